"""How far it is: a bar on a terminal, a line now and then elsewhere, always on stderr."""

import math
import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from taskgen.distributor.health import Health, TargetHealth
from taskgen.monitor import Monitor, Run
from taskgen.monitors.stdout import plain_console
from taskgen.trace import Trace

#: Where there is no terminal, at most one line per so many seconds.
INTERVAL_S = 10.0
#: Beyond this no bar would ever move.
_COUNTABLE = 10**12


class ProgressMonitor(Monitor):
    """Counts the variants that are done, with and without missed deadlines.

    `total` is how many there will be: None or `math.inf` where nobody knows. `clock` returns seconds. `health` tells
    how the targets are (`Distributor.health`); those that are in trouble are counted.
    """

    def __init__(
        self,
        total: float | None = None,
        console: Console | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        health: Callable[[], Sequence[TargetHealth]] = tuple,
    ) -> None:
        self._total = None if total is None or total == math.inf else int(total)
        self._console = console or plain_console(stderr=True)
        self._clock = clock
        self._health = health
        self._spoken = clock()
        self._done = self._missed = self._stopped = 0
        self._closed = False
        self._bar: Progress | None = None

    def taskset_started(self, run: Run) -> None:  # noqa: ARG002  # the first one only counts
        """Show the bar when work begins."""
        if self._bar is None and self._console.is_terminal and not self._closed:
            misses = TextColumn("{task.fields[misses]}")
            times = (TimeElapsedColumn(), TimeRemainingColumn())
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), misses, *times)
            # What others print on the same terminal goes above the bar; into a file or pipe it goes as ever.
            shared = sys.stdout.isatty()
            self._bar = Progress(*columns, console=self._console, transient=True, redirect_stdout=shared)
            total = self._total if self._total is not None and self._total <= _COUNTABLE else None
            self._bar.add_task("variants", total=total, misses="")
            self._bar.start()

    def taskset_finished(self, run: Run, trace: Trace) -> None:  # noqa: ARG002  # every run counts alike
        """Count a run."""
        self._missed += any(job.missed for job in trace.jobs)
        self._advance()

    def taskset_stopped(self, run: Run, reason: str) -> None:  # noqa: ARG002  # every run counts alike
        """Count a run that was stopped or failed."""
        self._stopped += 1
        self._advance()

    def _advance(self) -> None:
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], advance=1, misses=self._remarks())
        elif not self._console.is_terminal and self._clock() - self._spoken >= INTERVAL_S:
            self._speak()

    def close(self) -> None:
        """Take the bar away and say how it ended; idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._bar is not None:
            self._bar.stop()
        if self._done:
            self._speak()

    def _speak(self) -> None:
        self._spoken = self._clock()
        total = "" if self._total is None else f" of {self._total}" if self._total <= _COUNTABLE else " of very many"
        remarks = self._remarks()
        line = f"{self._done}{total} variants done" + (f", {remarks}" if remarks else "")
        self._console.print(Text(line), soft_wrap=True)

    def _remarks(self) -> str:
        counts = {"with missed deadlines": self._missed, "stopped or failed": self._stopped}
        remarks = [f"{count} {what}" for what, count in counts.items() if count]
        rows = self._health()
        targets = {health: sum(row.health is health for row in rows) for health in (Health.BAD, Health.QUARANTINED)}
        remarks += [f"{count} of {len(rows)} targets {health}" for health, count in targets.items() if count]
        return ", ".join(remarks)
