"""A Trace collects the events of one run and tells what became of each job.

It works on whatever a session yields: with the scheduler's own events (RELEASE, DISPATCH, PREEMPT, ...) it knows
preemptions, executed time and spans; with the board's vocabulary alone it knows START and the end. What is unknown is
None. A simulator that records jobs only fills it with finished job rows.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from taskgen.events import ENDINGS, Event, EventType
from taskgen.parameters import Parameters
from taskgen.session import Capabilities, Plan


class Job(NamedTuple):
    """One job; all times in nanoseconds since the start of the set, None where unknown."""

    task_id: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody misses on a job
    arrival_ns: int | None  #: a_k
    release_ns: int | None  #: r_k = a_k + jitter
    start_ns: int | None  #: first dispatch where the session traces, else its START; None: never ran
    finish_ns: int | None  #: when it ended, however it ended
    deadline_ns: int | None  #: absolute deadline; None: it has none
    outcome: EventType | None  #: the type of the event that ended it; None: it never ended
    core: int | None  #: the core it ran on last
    preemptions: int | None
    executed_ns: int | None

    @property
    def response_ns(self) -> int | None:
        """Finish - arrival, of a completed job."""
        if self.outcome is not EventType.EXIT or self.finish_ns is None or self.arrival_ns is None:
            return None
        return self.finish_ns - self.arrival_ns

    @property
    def missed(self) -> bool:
        """Whether it wasn't completed at its absolute deadline; a killed job never completes."""
        if self.outcome is EventType.NOT_SCHEDULED:
            return False
        if self.outcome in _KILLS:
            return True
        if self.deadline_ns is None or self.finish_ns is None:
            return False
        if self.outcome is EventType.EXIT:
            return self.finish_ns > self.deadline_ns
        return self.finish_ns >= self.deadline_ns


_KILLS = frozenset(
    {
        EventType.EXIT_CRITICAL,
        EventType.EXIT_PERIOD,
        EventType.EXIT_ERROR,
        EventType.OUT_OF_QUOTA,
        EventType.OUT_OF_CAPS,
    }
)


class Span(NamedTuple):
    """A stretch of time in which a core ran one job."""

    core: int | None
    task_id: int
    job: int
    start_ns: int
    end_ns: int


class Overhead(NamedTuple):
    """A stretch of time in which a core ran no job because it was busy with scheduling."""

    core: int
    task_id: int | None  #: the job that the core switches to; None: for none in particular
    job: int | None
    start_ns: int
    end_ns: int
    kind: str  #: scheduler, context_switch or migration


class _Record:
    """A job that is being collected."""

    __slots__ = (
        "arrival_ns", "core", "deadline_ns", "executed_ns", "finish_ns", "index", "outcome", "preemptions",
        "release_ns", "since_ns", "start_ns", "task_id",
    )  # fmt: skip

    def __init__(
        self, task_id: int, index: int, arrival_ns: int | None, deadline_ns: int | None, *, traced: bool
    ) -> None:
        self.task_id = task_id
        self.index = index
        self.arrival_ns = arrival_ns
        self.deadline_ns = deadline_ns
        self.release_ns: int | None = None
        self.start_ns: int | None = None
        self.finish_ns: int | None = None
        self.outcome: EventType | None = None
        self.core: int | None = None
        self.preemptions: int | None = 0 if traced else None
        self.executed_ns: int | None = 0 if traced else None
        self.since_ns: int | None = None

    def job(self) -> Job:
        return Job(
            self.task_id, self.index, self.arrival_ns, self.release_ns, self.start_ns, self.finish_ns, self.deadline_ns,
            self.outcome, self.core, self.preemptions, self.executed_ns,
        )  # fmt: skip


class Trace:
    """The events of one run, and its jobs in the order of their release."""

    def __init__(self, tasks: Iterable[Parameters] = (), *, capabilities: Capabilities | None = None) -> None:
        self.tasks = {task.id: task for task in tasks}
        self.capabilities = capabilities or Capabilities(trace=True)
        self.events: list[Event] = []
        self.end_ns = 0
        self._records: list[_Record] = []
        self._open: dict[tuple[int, int], _Record] = {}
        self._spans: list[Span] = []
        self._overheads: list[Overhead] = []
        self._done: set[int] = set()
        self._jobs: tuple[Job, ...] | None = None
        self._rows: Sequence[tuple[Any, ...]] | None = None

    @classmethod
    def of_jobs(
        cls, tasks: Iterable[Parameters], rows: Sequence[tuple[Any, ...]], *, end_ns: int, capabilities: Capabilities
    ) -> "Trace":
        """Make a trace without events from rows, in the order of releases, of `Job`'s fields; jobs on access."""
        trace = cls(tasks, capabilities=capabilities)
        trace._rows = rows
        trace.end_ns = end_ns
        return trace

    def extend(self, events: Iterable[Event]) -> None:
        """Append several events."""
        for event in events:
            self.append(event)

    def append(self, event: Event) -> None:
        """Append the next event."""
        self.events.append(event)
        self._jobs = None
        time_ns, kind, task_id, job, core = event
        self.end_ns = max(self.end_ns, time_ns)
        if task_id is None or job is None:
            return
        if kind is EventType.JOBS_DONE:
            self._done.add(task_id)
        handler = _HANDLERS.get(kind)
        if handler is not None:
            record = self._open.get((task_id, job)) or self._begin(task_id, job)
            handler(self, record, time_ns, core)
        elif kind in ENDINGS:
            self._end(self._open.get((task_id, job)) or self._begin(task_id, job), time_ns, kind)

    def finish(self, plan: Plan) -> None:
        """Note that the run of `plan` is over: what wasn't done ran to its horizon, unless it was stopped."""
        # Only a session that traces is trusted to say JOBS_DONE for each task that is.
        traced = self.capabilities.trace
        if not plan.stopped() and any(
            task.jobs is None or (traced and task.id not in self._done) for task in plan.tasks
        ):
            self.end_ns = max(self.end_ns, plan.horizon.time_ns)
        if plan.overheads:
            self._interrupt(plan.overheads)

    def _begin(self, task_id: int, index: int) -> _Record:
        task = self.tasks.get(task_id)
        arrival_ns = deadline_ns = None
        if task is not None and self.capabilities.job_numbers == "releases" and task.arrives(index):
            arrival_ns = task.arrival_ns(index)
            relative_ns = task.effective_deadline_ns
            deadline_ns = None if relative_ns is None else arrival_ns + relative_ns
        record = _Record(task_id, index, arrival_ns, deadline_ns, traced=self.capabilities.trace)
        self._records.append(record)
        self._open[task_id, index] = record
        return record

    def _release(self, record: _Record, time_ns: int, core: int | None) -> None:  # noqa: ARG002  # one signature for all
        record.release_ns = time_ns

    def _start(self, record: _Record, time_ns: int, core: int | None) -> None:
        if not self.capabilities.trace:
            record.start_ns = time_ns
            record.core = core

    def _run(self, record: _Record, time_ns: int, core: int | None) -> None:
        if record.start_ns is None:
            record.start_ns = time_ns
        record.core = core
        record.since_ns = time_ns

    def _preempt(self, record: _Record, time_ns: int, core: int | None) -> None:  # noqa: ARG002  # one signature for all
        self._pause(record, time_ns)
        record.preemptions = (record.preemptions or 0) + 1

    def _pause(self, record: _Record, time_ns: int) -> None:
        if record.since_ns is None:
            return
        if time_ns > record.since_ns:
            self._spans.append(Span(record.core, record.task_id, record.index, record.since_ns, time_ns))
        record.executed_ns = (record.executed_ns or 0) + time_ns - record.since_ns
        record.since_ns = None

    def _end(self, record: _Record, time_ns: int, outcome: EventType) -> None:
        self._pause(record, time_ns)
        record.finish_ns = time_ns
        record.outcome = outcome
        del self._open[record.task_id, record.index]

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs in the order of their release (or START)."""
        if self._jobs is None:
            if self._rows is None:
                self._jobs = tuple(record.job() for record in self._records)
            else:
                self._jobs = tuple(map(_JOB, self._rows))
        return self._jobs

    def jobs_of(self, task_id: int) -> Iterator[Job]:
        """Yield the jobs of one task."""
        return (job for job in self.jobs if job.task_id == task_id)

    def response_times(self, task_id: int) -> list[int]:
        """Return finish - arrival in ns of the completed jobs of a task, in order; see `outcomes` for the others."""
        return [job.response_ns for job in self.jobs_of(task_id) if job.response_ns is not None]

    def outcomes(self, task_id: int) -> dict[str, int]:
        """Count the jobs of a task by outcome; a job that never ended counts as UNFINISHED."""
        counts: dict[str, int] = defaultdict(int)
        for job in self.jobs_of(task_id):
            counts[str(job.outcome or "UNFINISHED")] += 1
        return dict(counts)

    @property
    def misses(self) -> tuple[Job, ...]:
        """The jobs that missed their deadline: finished late, killed, or unfinished at it."""
        return tuple(job for job in self.jobs if job.missed)

    @property
    def max_response_ns(self) -> dict[int, int]:
        """The largest response time of each task that completed a job."""
        worst: dict[int, int] = {}
        for job in self.jobs:
            response_ns = job.response_ns
            if response_ns is not None:
                worst[job.task_id] = max(worst.get(job.task_id, 0), response_ns)
        return worst

    @property
    def utilization(self) -> float | None:
        """The share of time in which jobs ran, averaged over the cores; None where the session doesn't trace."""
        if not self.end_ns or any(job.executed_ns is None for job in self.jobs):
            return None
        executed_ns = sum(job.executed_ns or 0 for job in self.jobs)
        return executed_ns / (self.end_ns * max(1, self.capabilities.cores))

    @property
    def gantt(self) -> tuple[Span, ...]:
        """The spans in which jobs ran, in the order of their ends; empty where the session doesn't trace."""
        return tuple(self._spans)

    @property
    def overheads(self) -> tuple[Overhead, ...]:
        """The spans in which cores were busy with scheduling, in the order of their ends; known after `finish`."""
        return tuple(self._overheads)

    def _interrupt(self, overheads: Sequence[Overhead]) -> None:
        """Take the time of overheads out of the jobs that they interrupted: no event tells that a job just paused."""
        self._overheads = sorted(overheads, key=_by_end)
        by_core: dict[int | None, list[Overhead]] = defaultdict(list)
        for overhead in self._overheads:
            by_core[overhead.core].append(overhead)
        records = {(record.task_id, record.index): record for record in self._records}
        spans: list[Span] = []
        for span in self._spans:
            pieces = list(_without(span, by_core[span.core]))
            spans += pieces
            record = records[span.task_id, span.job]
            if record.executed_ns is not None:
                record.executed_ns -= _length([span]) - _length(pieces)
        self._spans = sorted(spans, key=_by_end)
        self._jobs = None

    def write_json(self, path: str | Path) -> None:
        """Write jobs and events as JSON."""
        from taskgen.report.export import write_json

        write_json(self, Path(path))

    def write_csv(self, path: str | Path) -> None:
        """Write the jobs as CSV, times in ms."""
        from taskgen.report.export import write_csv

        write_csv(self, Path(path))

    def write_chrome(self, path: str | Path) -> None:
        """Write a Chrome trace, which opens in Perfetto."""
        from taskgen.report.chrome import write_chrome

        write_chrome(self, Path(path))

    def write_gantt(self, path: str | Path) -> None:
        """Draw a Gantt chart as SVG or PNG; needs the extra `plot`."""
        from taskgen.report.gantt import write_gantt

        write_gantt(self, Path(path))


# Job._make without its check of the length.
_JOB = partial(tuple.__new__, Job)


def _by_end(span: Span | Overhead) -> tuple[int, int]:
    return (span.end_ns, span.core or 0)


def _length(spans: Iterable[Span]) -> int:
    return sum(span.end_ns - span.start_ns for span in spans)


def _without(span: Span, others: Sequence[Overhead]) -> Iterator[Span]:
    """Yield what is left of a span; the others are in order and don't overlap each other."""
    start_ns = span.start_ns
    for number in range(bisect_right(others, start_ns, key=_end), len(others)):
        other = others[number]
        if other.start_ns >= span.end_ns:
            break
        if start_ns < other.start_ns:
            yield span._replace(start_ns=start_ns, end_ns=other.start_ns)
        start_ns = other.end_ns
    if start_ns < span.end_ns:
        yield span._replace(start_ns=start_ns)


def _end(overhead: Overhead) -> int:
    return overhead.end_ns


_HANDLERS = {
    EventType.MIGRATE: Trace._run,
    EventType.RELEASE: Trace._release,
    EventType.START: Trace._start,
    EventType.DISPATCH: Trace._run,
    EventType.RESUME: Trace._run,
    EventType.PREEMPT: Trace._preempt,
}
