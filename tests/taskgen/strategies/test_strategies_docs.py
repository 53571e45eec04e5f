"""What docs/strategies.md says is complete and true: its tables, its output, its test file on any target."""

import contextlib
import inspect
import io
import re
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

import hil.board
from taskgen import strategies as ts
from tests.taskgen.plugged import run

PAGE = Path(__file__).parents[3] / "docs" / "strategies.md"
TEXT = PAGE.read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def block_with(words: str) -> str:
    (found,) = (block for block in blocks("python") if words in block)
    return found


def test_each_strategy_is_in_the_table() -> None:
    listed = set(re.findall(r"^\| `(\w+)\(\)` \| .+ \| .+ \|$", TEXT, re.MULTILINE))
    assert listed == {name for name in ts.__all__ if name.islower()}


def test_each_bound_of_a_task_set_is_in_the_table() -> None:
    rows = re.findall(r"^\| (.+?) \| .+ \|$", TEXT.partition("## Bounds")[2].partition("## Only")[0], re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert listed == {*inspect.signature(ts.tasksets).parameters} - {"capabilities"}


def test_what_is_printed_is_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of output stands in a comment; `...` stands for the rest."""
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    namespace: dict[str, Any] = {}
    with contextlib.redirect_stdout(printed):
        for block in blocks("python"):
            exec(block, namespace)  # noqa: S102  # our own page
    said = re.findall(
        r"^(?:.*print\(.*\)  )?# (TaskSet.*|job .*|tasksets: .*)$", "".join(blocks("python")), re.MULTILINE
    )
    lines = printed.getvalue().splitlines()
    assert len(lines) == len(said) > 3
    for line, pattern in zip(lines, said, strict=True):
        assert fnmatchcase(line, pattern.replace("[", "[[]").replace("...", "*")), line


@pytest.fixture
def _documented(pytester: pytest.Pytester) -> None:
    laws = block_with("def nobody_outlives") + "\n\n" + block_with("def only_their_order_counts")
    pytester.makepyfile(laws=laws, test_mine=block_with("def test_my_laws"))


@pytest.mark.usefixtures("_documented")
def test_the_test_file_runs_on_the_simulator_and_on_a_board(pytester: pytest.Pytester) -> None:
    run(pytester, "--taskgen-target", "sim").assert_outcomes(passed=1)
    with hil.board.serve(generation="G4", speed="max") as boards:
        seeded = ("--taskgen-target", str(boards.addresses[0]), "--hypothesis-seed", "0")
        run(pytester, *seeded).assert_outcomes(passed=1)


@pytest.mark.usefixtures("_documented")
def test_an_entry_point_gives_a_law_a_name(pytester: pytest.Pytester) -> None:
    (document,) = blocks("toml")
    ((group, entries),) = tomllib.loads(document)["project"]["entry-points"].items()
    info = pytester.mkdir("laws-1.0.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: laws\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {place}" for name, place in entries.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
    code = (
        "from taskgen.testing.properties import load, names;"
        f"print([load(name).name for name in names() if name in {[*entries]}])"
    )
    shown = pytester.run(sys.executable, "-c", code)
    assert shown.outlines == [str(sorted(entries))]
