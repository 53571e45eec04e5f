"""Runs for laws: execute a set on a session, and judge it by properties and relations."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from taskgen.errors import TargetError
from taskgen.events import EventType
from taskgen.session import Capabilities, Plan, Session
from taskgen.taskset import TaskSet
from taskgen.trace import Job, Trace
from taskgen.units import Milliseconds, ms_from_ns

if TYPE_CHECKING:
    from taskgen.testing.properties.law import Law, Reads, Scheduling, Tolerance, Violation

#: A run with more events is none that anybody judges: its session doesn't end.
MOST_EVENTS = 1_000_000
#: The horizon of a limited set that always leaves room for all that it has to do.
_LAST_END = "end of the last job"
#: Any other horizon does if it is so many times as long; boards skip releases, and take a second per job at most.
_ROOM = 10
_BOARD_JOB_NS = 1_000_000_000


class _Recorder(Protocol):
    """A session that can record jobs without events."""

    def jobs(self, taskset: TaskSet, *, horizon_ms: Milliseconds | None = None) -> Trace:
        """Run a set and return its jobs."""


class Executed(Trace):
    """The trace of a run, with its plan: it knows how the run ended; `jobs` instead of events, if they are given."""

    def __init__(
        self, plan: Plan, capabilities: Capabilities, jobs: Sequence[Job] | None = None, *, end_ns: int = 0
    ) -> None:
        super().__init__(plan.tasks, capabilities=capabilities)
        self.plan = plan
        self.end_ns = end_ns
        self._rows = jobs

    @property
    def stopped(self) -> bool:
        """Whether `stop()` ended it."""
        return self.plan.stopped()

    @property
    def whole(self) -> bool:
        """Whether it had to go on until all jobs were done: neither a horizon in its way nor a stop cut it off."""
        if self.stopped or any(job.outcome is EventType.EXIT_EXTERNAL for job in self.jobs):
            return False
        last_ns = work_ns = jobs = 0
        for task in self.plan.tasks:
            if task.jobs is None or task.wcet_ns is None:
                return False
            jobs += task.jobs
            last_ns = max(last_ns, task.arrival_ns(task.jobs - 1) + task.jitter_ns)
            work_ns += task.jobs * task.wcet_ns
        if self.capabilities.job_numbers == "starts":
            work_ns += jobs * _BOARD_JOB_NS
        horizon = self.plan.horizon
        return horizon.bound == _LAST_END or horizon.time_ns >= _ROOM * (last_ns + work_ns)


def execute(
    session: Session,
    taskset: TaskSet,
    *,
    horizon_ms: Milliseconds | None = None,
    admission: Mapping[str, Any] | None = None,
    stop_after: int | None = None,
    reads: "Reads" = "events",
) -> Executed:
    """Run a concrete task-set on a session and return its trace.

    Args:
        session: an open session; it stays open.
        taskset: a set without choices.
        horizon_ms: when the run ends; None: the default of `taskgen.horizon`.
        admission: the goal document for the target's admission control.
        stop_after: call `stop()` after so many events; None: never.
        reads: jobs: the trace needs no events, which is faster where a session can do without.

    Raises:
        TargetLost: the target was lost; so was the run.
        TargetError: the run has more than `MOST_EVENTS` events.
        SessionBusy, Unsupported, InputError: what `Session.run` raises.
    """
    if reads == "jobs" and admission is None and stop_after is None and (record := _recorder(session)) is not None:
        found = record(taskset, horizon_ms=horizon_ms)
        return Executed(_plan(session), session.capabilities, found.jobs, end_ns=found.end_ns)
    events = session.run(taskset, horizon_ms=horizon_ms, admission=admission)
    trace = Executed(_plan(session), session.capabilities)
    with closing(events):
        if stop_after is not None:
            trace.extend(islice(events, stop_after))
            session.stop()
        trace.extend(islice(events, MOST_EVENTS))
        if next(events, None) is not None:
            raise TargetError(f"{session!r:.80}: the run has more than {MOST_EVENTS} events", hint="give a horizon")
    trace.finish(trace.plan)
    return trace


def _plan(session: Session) -> Plan:
    assert session.plan is not None  # noqa: S101  # run() has set it
    return session.plan


def _recorder(session: Session) -> Callable[..., Trace] | None:
    """Return the method of a session that records jobs alone, if it tells of the same runs as `events`.

    Not so where a subclass overrides `events`: what it does to them it doesn't do to jobs.
    """
    for cls in type(session).__mro__:
        if "jobs" in vars(cls):
            return cast("_Recorder", session).jobs
        if "events" in vars(cls):
            return None
    return None


class Verdict(NamedTuple):
    """What a law says about a set on a target."""

    law: str
    violations: tuple["Violation", ...]
    skipped: str  #: why it says nothing; empty: it does

    @property
    def holds(self) -> bool:
        """Whether the law was looked at and nothing broke it."""
        return not self.skipped and not self.violations


def check(
    session: Session,
    taskset: TaskSet,
    laws: Iterable["Law"],
    *,
    scheduling: "Scheduling | None" = None,
    tolerance: "Tolerance | None" = None,
    horizon_ms: Milliseconds | None = None,
    admission: Mapping[str, Any] | None = None,
) -> list[Verdict]:
    """Judge a concrete set by several laws; it runs once for all properties, and once for each variant of a relation.

    Args:
        session: an open session.
        taskset: a set without choices.
        laws: properties and relations; those that don't apply cost no run.
        scheduling: how the target schedules (`Scheduling.of(target.options)`); None: as `sim` does by default.
        tolerance: of the target's times (`Tolerance.of(target.options)`); None: exact.
        horizon_ms: when runs end; None: the default for the set itself, which counts for its variants, too.
        admission: as in `execute`.

    Raises:
        What `execute` raises.
    """
    from taskgen.testing.properties.law import SIMULATED, ZERO

    scheduling, tolerance = scheduling or SIMULATED, tolerance or ZERO
    chosen = [(law, law.skips(taskset, session.capabilities, scheduling)) for law in laws]
    if all(reason for _, reason in chosen):
        return [Verdict(law.name, (), reason) for law, reason in chosen]
    reads: Reads = "events" if any(law.reads == "events" for law, reason in chosen if not reason) else "jobs"
    trace = execute(session, taskset, horizon_ms=horizon_ms, admission=admission, reads=reads)
    horizon = ms_from_ns(trace.plan.horizon.time_ns)

    def judge(law: "Law") -> "list[Violation]":
        run = partial(execute, session, horizon_ms=horizon, admission=admission, reads=law.reads)
        return law.verdict(taskset, trace, run, tolerance)

    return [Verdict(law.name, () if reason else tuple(judge(law)), reason) for law, reason in chosen]
