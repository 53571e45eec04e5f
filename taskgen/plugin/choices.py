"""What the user chose: options of the command line, the environment, and the configuration file, in this order."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

#: What stands for no folder of programs: the boards have them.
NONE: Final = "none"


class Option(NamedTuple):
    """An option that can also be set as TASKGEN_NAME in the environment, and as taskgen_name in the configuration."""

    name: str
    metavar: str
    help: str


OPTIONS: Final = (
    Option("target", "NAME", "Where task-sets run: sim (default), sim:PROFILE, a name of the inventory, an address"),
    Option("inventory", "FILE", "The inventory of targets; default: the nearest taskgen.toml upward"),
    Option("budget", "N", "How often a test may execute task-sets, shrinking included; default: no bound"),
    Option("artifacts", "DIR", "Where traces of failed tests go; default: .taskgen/runs/ID"),
    Option("binaries", "DIR|none", "Folder of the programs for boards; none: the boards have them"),
)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose."""

    target: str
    inventory: Path | None  #: None: the one that is found
    patterns: tuple[str, ...]  #: which boards of the target may be used; empty: all
    budget: int | None  #: executions per test; None: no bound
    replay: bool  #: only stored counterexamples run
    artifacts: Path
    binaries: str | None  #: a folder, or `NONE`; None: nothing was said


def add_options(parser: pytest.Parser) -> None:
    """Add the options, and the same as settings of the configuration file."""
    group = parser.getgroup("taskgen", "real-time task-sets on the simulator or on boards")
    for name, metavar, text in OPTIONS:
        group.addoption(f"--taskgen-{name}", metavar=metavar, help=text)
        parser.addini(f"taskgen_{name}", f"{text}. Overridden by TASKGEN_{name.upper()} and --taskgen-{name}.")
    group.addoption(
        "--taskgen-board",
        metavar="PATTERN",
        action="append",
        default=[],
        help="Use only boards whose address matches: 10.0.0.*, 10.0.0.0/28. Repeatable.",
    )
    group.addoption(
        "--taskgen-replay",
        action="store_true",
        help="Run nothing but stored counterexamples, each test once; nothing that is stored is changed",
    )


def choices_of(config: pytest.Config) -> Choices:
    """Return what the user chose.

    Raises:
        pytest.UsageError: a value is wrong; names it and where it came from.
    """
    inventory, artifacts, binaries = (_get(config, name) for name in ("inventory", "artifacts", "binaries"))
    runs = config.rootpath / ".taskgen" / "runs"
    return Choices(
        target=_get(config, "target").text or "sim",
        inventory=inventory.path(),
        patterns=tuple(config.getoption("--taskgen-board")),
        budget=_budget(_get(config, "budget")),
        replay=config.getoption("--taskgen-replay"),
        artifacts=artifacts.path() or runs / f"{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}-{os.getpid()}",
        binaries=NONE if binaries.text == NONE else None if (path := binaries.path()) is None else str(path),
    )


class _Value(NamedTuple):
    """A value, and where it came from."""

    text: str
    source: str
    folder: Path  #: what relative paths are relative to

    def path(self) -> Path | None:
        return self.folder / self.text if self.text else None


def _get(config: pytest.Config, name: str) -> _Value:
    here = config.invocation_params.dir
    variable, setting = f"TASKGEN_{name.upper()}", f"taskgen_{name}"
    file = config.rootpath if config.inipath is None else config.inipath.parent
    places: tuple[tuple[str, Path, Callable[[], str | None]], ...] = (
        (f"--taskgen-{name}", here, lambda: config.getoption(f"--taskgen-{name}")),
        (variable, here, lambda: os.environ.get(variable)),
        (f"{setting} in {config.inipath}", file, lambda: config.getini(setting)),
    )
    for source, folder, look in places:
        if text := look():
            return _Value(text, source, folder)
    return _Value("", "", here)


def _budget(value: _Value) -> int | None:
    if not value.text:
        return None
    if not value.text.isdecimal() or not value.text.isascii() or not 1 <= int(value.text[:10]) < 10**9:
        raise pytest.UsageError(
            f"{value.source}: {value.text!r:.40} is no number of executions, expected a whole number from 1 on"
        )
    return int(value.text)
