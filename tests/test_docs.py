"""The documentation is executed: each Python block of README.md and docs/, and each example in a docstring."""

import doctest
import importlib
import re
import threading
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SNIPPETS = ROOT.parent / "shared" / "seed-snippets.md"

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks_of(page: Path) -> list[tuple[int, str]]:
    """Return the Python blocks of a page with the lines on which they begin."""
    text = page.read_text("utf-8")
    return [(text.count("\n", 0, match.start(1)) + 1, match[1]) for match in _BLOCK.finditer(text)]


def documented_modules() -> list[str]:
    """Return the modules of taskgen and sim that have examples in their docstrings."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("taskgen", "sim", "hil")
        for path in sorted((ROOT / package).rglob("*.py"))
        if ">>> " in path.read_text("utf-8")
    ]


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples write files; no two of them share a folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks_of(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_blocks_of_a_page_run_in_order(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All blocks of a page share one namespace, and leave no work behind."""
    before = set(threading.enumerate())
    namespace: dict[str, Any] = {"__name__": f"page_{page.stem}"}
    for line, block in blocks_of(page):
        # Empty lines before the block make the line numbers of a traceback those of the page.
        exec(compile("\n" * (line - 1) + block, str(page), "exec"), namespace)  # noqa: S102  # our own pages
    capsys.readouterr()
    assert not [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("name", documented_modules())
def test_the_examples_of_a_module_are_true(name: str) -> None:
    failed, attempted = doctest.testmod(
        importlib.import_module(name), raise_on_error=False, optionflags=doctest.ELLIPSIS
    )
    assert attempted
    assert not failed


def test_the_snippets_that_users_know_are_in_the_documentation_as_they_stand() -> None:
    """Snippet 3 with the simulator in the place of the board's address."""
    if not SNIPPETS.is_file():
        pytest.skip(f"there is no {SNIPPETS}")
    documented = (ROOT / "docs" / "describe.md").read_text("utf-8")
    snippets = [snippet for _, snippet in blocks_of(SNIPPETS)]
    assert len(snippets) == 3
    for snippet in snippets:
        assert snippet.replace('"172.25.1.2"', '"sim"') in documented


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
