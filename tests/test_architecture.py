"""The rooms of the house: who may import whom, how large a module is, what a bare import costs."""

import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import taskgen

ROOT = Path(__file__).parents[1]
ROOMS = ("taskgen", "sim", "hil")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
#: What `import taskgen` must leave alone: it costs time, or is an extra that may be missing.
HEAVY = ("hypothesis", "lxml", "matplotlib", "numba", "numpy", "rich", "simpy", "typer")
#: Rooms that a room may import besides itself, and the one module that may do more.
ARROWS = {"taskgen": set[str](), "sim": {"taskgen"}, "hil": {"taskgen"}}
EXCEPTIONS = {"hil.board.simulated": {"sim"}}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[str]:
    """Yield the absolute name of each module that `source` imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if is_package else module.split(".")[:-1]
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])])


def wrong_arrows(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """Return the rooms that this module may not import but does."""
    room = module.split(".", maxsplit=1)[0]
    allowed = {room} | ARROWS[room] | EXCEPTIONS.get(module, set())
    rooms = {name.split(".")[0] for name in imports(source, module, is_package=is_package)}
    return sorted(rooms & set(ROOMS) - allowed)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows(path: Path) -> None:
    assert wrong_arrows(path.read_text("utf-8"), name_of(path), is_package=path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("source", "module", "wrong"),
    [
        ("import sim.session", "taskgen.session", ["sim"]),
        ("def f():\n    from hil import wire", "taskgen.session", ["hil"]),
        ("if TYPE_CHECKING:\n    from sim.policy import Policy", "taskgen.session", ["sim"]),
        ("from taskgen.task import Task\nimport simpy", "sim.session", []),
        ("import hil", "sim.session", ["hil"]),
        ("from . import policy", "sim.session", []),
        ("from sim.session import SimSession", "hil.session", ["sim"]),
        ("from sim.session import SimSession", "hil.board.simulated", []),
    ],
)
def test_the_test_itself_sees_a_wrong_arrow(source: str, module: str, wrong: list[str]) -> None:
    assert wrong_arrows(source, module) == wrong


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for_and_stays_small(path: Path) -> None:
    source = path.read_text("utf-8")
    assert len(source.splitlines()) <= 400
    if not path.name.startswith("_") or path.name == "__init__.py":
        assert ast.get_docstring(ast.parse(source)), "a public module has a docstring"


def test_a_bare_import_pulls_in_nothing_heavy(tmp_path: Path) -> None:
    look = f"import sys, taskgen; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", look], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []


def test_the_public_names_are_sorted_and_importable() -> None:
    assert taskgen.__all__ == sorted(taskgen.__all__)
    assert all(hasattr(taskgen, name) for name in taskgen.__all__)


def test_the_version_stands_in_one_number() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == taskgen.__version__


def test_the_imported_rooms_are_the_ones_tested_here() -> None:
    for room in ROOMS:
        assert Path(str(importlib.import_module(room).__file__)).parent == ROOT / room
