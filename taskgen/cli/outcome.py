"""What a command has seen: the verdict over all runs, the result document, and the first trace for drawing."""

import heapq
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from taskgen.errors import UsageError
from taskgen.events import Event
from taskgen.monitor import Monitor, Run
from taskgen.output import check_writable
from taskgen.report.result import ResultWriter, run_document, speaks_against
from taskgen.store import ResultStore
from taskgen.trace import Trace
from taskgen.units import format_ms

if TYPE_CHECKING:
    from taskgen.distributor.health import TargetHealth


class Drawings:
    """The Gantt chart and the Chrome trace that were asked for: of the first variant that ran to its end.

    Raises:
        UsageError: a place can't be written or drawn to; raised at once, before anything runs.
    """

    def __init__(self, gantt: Path | None = None, chrome: Path | None = None) -> None:
        self._gantt = gantt
        self._chrome = chrome
        self._trace: Trace | None = None
        self.wanted = gantt is not None or chrome is not None
        if gantt is not None:
            from taskgen.report.gantt import check_gantt

            check_gantt(gantt)
        for path in (gantt, chrome):
            if path is not None:
                check_writable(path)

    def offer(self, trace: Trace) -> None:
        """Keep the first trace, if one is wanted."""
        if self._trace is None and (self._gantt or self._chrome):
            self._trace = trace

    def draw(self) -> None:
        """Write what was asked for.

        Raises:
            UsageError: nothing ran to its end, or a place can't be written.
        """
        if not (self._gantt or self._chrome):
            return
        if self._trace is None:
            raise UsageError("nothing ran to its end, so there is nothing to draw")
        if self._gantt is not None:
            self._trace.write_gantt(self._gantt)
        if self._chrome is not None:
            self._trace.write_chrome(self._chrome)


class TextSink:
    """Several text files as one: what is written goes to each."""

    def __init__(self, files: list[IO[str]]) -> None:
        self._files = files

    def write(self, text: str) -> None:
        """Write to all files."""
        for file in self._files:
            file.write(text)

    def flush(self) -> None:
        """Flush all files."""
        for file in self._files:
            file.flush()


class Unheard(Monitor):
    """A monitor that falls silent when nobody reads what it writes any more, instead of ending the work."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor: Monitor = monitor
        if type(monitor).taskset_event is not Monitor.taskset_event:
            self.taskset_event = self._event  # type: ignore[method-assign]  # only who listens is told single events

    def taskset_started(self, run: Run) -> None:
        """Hand it on."""
        self._hand_on(lambda: self._monitor.taskset_started(run))

    def _event(self, run: Run, event: Event) -> None:
        self._hand_on(lambda: self._monitor.taskset_event(run, event))

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        """Hand it on."""
        self._hand_on(lambda: self._monitor.taskset_finished(run, trace))

    def taskset_stopped(self, run: Run, reason: str) -> None:
        """Hand it on."""
        self._hand_on(lambda: self._monitor.taskset_stopped(run, reason))

    def close(self) -> None:
        """Hand it on."""
        self._hand_on(self._monitor.close)

    def _hand_on(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except BrokenPipeError:
            self._monitor = Monitor()


class Outcome(Monitor):
    """Counts what became of the runs, streams the result document, and offers traces for drawing.

    `health`, where it is set, tells how the targets are; the document lists those that failed.
    With a store, what it has counts, too, and the document is made from it at the end, in the order of the variants.
    """

    def __init__(self, writer: ResultWriter | None, drawings: Drawings, store: ResultStore | None = None) -> None:
        self._writer = writer
        self._drawings = drawings
        self._store = store
        self.health: Callable[[], Sequence[TargetHealth]] = tuple
        self._said_empty = False
        self._unstored: list[tuple[int, str]] = []  # as many as there are targets, at most
        before = None if store is None else store.tally()
        self.runs = before.runs if before else 0
        self.finished = before.finished + before.rejected if before else 0
        self.failed = before.failed if before else 0
        self.against = before.against if before else 0  #: runs with a verdict against the system under test

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        """Note a run that is over by itself."""
        self.finished += 1
        self.against += speaks_against(run, trace)
        self._note_emptiness(run, trace)
        self._drawings.offer(trace)
        self._note(run, trace)

    def taskset_stopped(self, run: Run, reason: str) -> None:  # noqa: ARG002  # the run knows its reason
        """Note a run that was stopped or failed."""
        self.failed += run.status == "failed"
        self._note(run, None)

    def _note_emptiness(self, run: Run, trace: Trace) -> None:
        """Say once that a run was over before it showed anything: a board takes some time to create a job."""
        if self._said_empty or trace.jobs or not trace.capabilities.executes or run.horizon is None:
            return
        self._said_empty = True
        sys.stderr.write(
            f"note: variant {run.variant} on {run.target}: no job was born before the horizon of"
            f" {format_ms(run.horizon.time_ns)} ms ({run.horizon.bound}); give a longer one with --horizon\n"
        )

    def _note(self, run: Run, trace: Trace | None) -> None:
        self.runs += 1
        if self._writer is None:
            return
        if self._store is None:
            self._writer.add(run, trace)
        elif trace is None and not self._store.stored(run.variant):
            self._unstored.append((run.variant, run_document(run, None)))

    def end(self, *, complete: bool) -> None:
        """Close the result document; the first call counts."""
        if self._writer is None:
            return
        try:
            if self._store is not None:
                complete = complete and not self._unstored
                for _, document in heapq.merge(self._store.results(), sorted(self._unstored)):
                    self._writer.add_document(document)
        except BaseException:
            complete = False
            raise
        finally:
            self._writer.close(complete, [row for row in self.health() if row.total_failures])

    def exit_code(self, *, check: bool) -> int:
        """Return 1 for a verdict against the system under test (if asked), 75 for runs without verdict, else 0."""
        if check and self.against:
            return 1
        return 75 if self.failed else 0
