"""How far a benchmark is: a bar on a terminal, a line per case elsewhere, always on stderr."""

import sys
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from taskgen.bench.collect import Sampled
from taskgen.bench.suite import Case, Measured, Suite
from taskgen.bench.watch import Watch
from taskgen.monitors.stdout import plain_console

_NS_PER_S = 1_000_000_000
_LONG_S = 120


class Progress(Watch):
    """Shows it; a context manager that takes the bar away.

    Args:
        seed: of the order of runs.
        keep: whether the runs that count are kept.
        console: where to; None: stderr.
    """

    def __init__(self, seed: int, console: Console | None = None, *, keep: bool = False) -> None:
        #: The runs that count, with suite and case; those that were stopped on purpose aren't among them.
        self.kept: list[tuple[str, Measured]] = []
        self._keep = keep
        self._seed = seed
        self._console = console or plain_console(stderr=True)
        self._bar: Bar | None = None
        self._left: Counter[tuple[str, str]] = Counter()
        self._failed: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, runs: Counter[tuple[str, str]], estimate_ns: int | None, boards: int) -> None:
        """Say what follows and how long it may take."""
        total = runs.total()
        where = f" on {boards} boards" if boards > 1 else ""
        last = "" if estimate_ns is None else f", at most about {_duration(estimate_ns)}"
        self._say(f"bench: {len(runs)} cases, {total} runs{where}, seed {self._seed}{last}")
        self._left = Counter(runs)
        if self._console.is_terminal and total:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            times = (TimeElapsedColumn(), TimeRemainingColumn())
            # What others print on the same terminal goes above the bar.
            self._bar = Bar(
                *columns, *times, console=self._console, transient=True, redirect_stdout=sys.stdout.isatty()
            )
            self._bar.add_task("runs", total=total)
            self._bar.start()

    def ran(self, done: int, suite: Suite, case: Case, repetition: int, sampled: Sampled) -> None:  # noqa: ARG002
        """Move the bar; without one say it when all runs of a case are over."""
        key = (suite.name, case.name)
        self._left[key] -= 1
        self._failed[key] += bool(sampled.failure)
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done)
        elif not self._left[key]:
            failed = f", {self._failed[key]} of them failed" if self._failed[key] else ""
            self._say(f"{suite.name}/{case.name}: all runs are over{failed}")

    def measured(self, suite: Suite, case: Case, measured: Measured) -> None:
        """Keep a run."""
        if self._keep and case.stop_after is None:
            self.kept.append((f"{suite.name}/{case.name}", measured))

    def lost(self, board: str, reason: str) -> None:
        """Say that a board is given up."""
        self._say(f"{board} is given up: {reason}")

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _duration(time_ns: int) -> str:
    seconds = -(-time_ns // _NS_PER_S)
    return f"{seconds} s" if seconds < _LONG_S else f"{-(-seconds // 60)} min"
