"""The replays of `taskgen replay`: each counterexample once more, on one target after the other."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import typer

from taskgen import __version__, document
from taskgen.cli.findings import exit_code, replay_lines, replay_plain
from taskgen.cli.searches import oracle_of, stand_of
from taskgen.errors import TargetError, UsageError
from taskgen.testing.counterexample import FOLDER, Counterexample, files, read
from taskgen.testing.judge import DifferenceJudge, Judge, LawJudge, oracle_in
from taskgen.testing.properties import load
from taskgen.testing.replay import Replayed, replay
from taskgen.testing.stand import Stand

if TYPE_CHECKING:
    from taskgen.units import Milliseconds

_COUNTED: Final = ("confirmed", "not confirmed", "no verdict")


@dataclass(frozen=True, slots=True)
class Again:
    """What the user says about where to replay; what he leaves out is as it was found."""

    target: str | None  #: replaces target and options
    session: str | None
    options: Mapping[str, Any]
    horizon_ms: "Milliseconds | None"
    inventory: Path | None


class Replays:
    """The replays of one command, with one target open at a time: a board serves one client. A context manager."""

    def __init__(self, again: Again) -> None:
        self._again = again
        self._verdicts: Counter[str] = Counter()
        self._rows: list[dict[str, Any]] = []
        self._open = ExitStack()
        self._asked: object = None
        self._stand: Stand | None = None
        self._told: Mapping[str, Any] = {}  # what its oracle has to know

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def run(self, places: list[Path] | None, repeat: int) -> int:
        """Run all counterexamples of some files and folders, tell what became of each, and return the exit code.

        Raises:
            UsageError: a file isn't there or is no counterexample; before any runs.
        """
        chosen = places or ([FOLDER] if FOLDER.is_dir() else [])
        found = [(path, read(path)) for path in files(chosen)]
        if not found:  # for a job that runs all regressions this is success
            typer.echo(f"nothing to replay: no counterexample in {', '.join(map(str, chosen or [FOLDER]))}")
            return 0
        for path, counterexample in found:
            self._one(path, counterexample, repeat)
        counts = [f"{self._verdicts[each]} {each}" for each in _COUNTED if self._verdicts[each]]
        typer.echo(f"{len(found)} counterexample{'s'[: len(found) != 1]}: {', '.join(counts)}")
        return exit_code(self._verdicts, failed="confirmed", none="no verdict")

    def document(self) -> str:
        """Return what became of them as one JSON document."""
        return document.encode({"schema": 1, "taskgen": __version__, "replays": self._rows}) + "\n"

    def _one(self, path: Path, counterexample: Counterexample, repeat: int) -> None:
        name = self._again.target or counterexample.target
        try:
            judge = self._judge(name, counterexample)
            replayed = replay(judge, counterexample.taskset, repeat=repeat)
            name = judge.stand.name
        except TargetError as error:  # nobody is there to be asked
            replayed = Replayed(reason=f"{error}; {error.hint}" if error.hint else str(error))
        except UsageError as error:
            raise type(error)(f"{path}: {error}", hint=error.hint) from error
        self._verdicts[replayed.verdict] += 1
        for line in replay_lines(path, counterexample, name, replayed):
            typer.echo(line)
        self._rows.append(replay_plain(path, counterexample, name, replayed))

    def _judge(self, name: str, counterexample: Counterexample) -> Judge:
        against = oracle_in(counterexample.law)
        stand = self._stand_of(name, counterexample, against)
        horizon = counterexample.horizon_ms if self._again.horizon_ms is None else self._again.horizon_ms
        if against:
            oracle = self._open.enter_context(oracle_of(stand, against, self._told))
            return DifferenceJudge(stand, oracle, against, horizon_ms=horizon, admission=counterexample.admission)
        law = load(counterexample.law)
        return LawJudge(counterexample.law, law, stand, horizon_ms=horizon, admission=counterexample.admission)

    def _stand_of(self, name: str, counterexample: Counterexample, against: str) -> Stand:
        again = self._again
        stored = {} if again.target else counterexample.options
        session = again.session or (None if again.target else counterexample.session)
        chosen = (name, session, {**stored, **again.options}, counterexample.seed, again.inventory)
        if self._stand is None or (*chosen, against) != self._asked:
            self._open.close()
            self._stand, self._told = stand_of(*chosen, against=against or None)
            self._open.enter_context(self._stand)
            self._asked = (*chosen, against)
        return self._stand
