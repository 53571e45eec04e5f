"""Deadlines under EDF against the demand of intervals."""

from collections.abc import Iterator, Sequence

from taskgen.analysis import first_overload, qpa, utilization
from taskgen.parameters import Parameters
from taskgen.taskset import TaskSet
from taskgen.testing.properties import scope
from taskgen.testing.properties.jobs import tasks_of
from taskgen.testing.properties.law import Case, Tolerance, Violation, law
from taskgen.testing.properties.response import by_core
from taskgen.trace import Job, Trace
from taskgen.units import format_ms

_TARGET = (
    scope.COUNTS_RELEASES,
    scope.PREEMPTIVE,
    scope.NO_OVERHEADS,
    scope.SINGLE_CORES,
    scope.AT_MOST_C,
)


def missed(job: Job, why: str, tolerance: Tolerance) -> Violation | None:
    """Return the violation of a job that misses its deadline by more than the tolerance."""
    deadline_ns = job.deadline_ns
    if not job.missed or deadline_ns is None:
        return None
    late_ns = tolerance.spread_ns(0)
    if job.finish_ns is not None and deadline_ns <= job.finish_ns <= deadline_ns + late_ns and late_ns:
        return None
    end = "unfinished" if job.finish_ns is None else f"{job.outcome} at {format_ms(job.finish_ns)} ms"
    return Violation((job.task_id, job.index), deadline_ns, f"completion by {format_ms(deadline_ns)} ms, {why}", end)


def _misses(trace: Trace, tasks: Sequence[Parameters], why: str, tolerance: Tolerance) -> Iterator[Violation]:
    members = {task.id for task in tasks}
    return filter(None, (missed(job, why, tolerance) for job in trace.jobs if job.task_id in members))


@law(
    needs=_TARGET,
    conditions=[
        scope.EARLIEST_DEADLINE, scope.KNOWN_C, scope.RECURRENT, scope.NO_JITTER, scope.NO_KILLS,
        scope.DEADLINES_FROM_T, scope.LOAD_FITS,
    ],
    reads="jobs",
)  # fmt: skip
def edf_full_utilization(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """EDF misses no deadline as long as U <= 1.

    Liu & Layland, JACM 20(1), 1973, theorem 7; sporadic tasks: Baruah, Rosier & Howell, Real-Time Systems 2, 1990. One
    core, or tasks placed on cores, each by itself; preemptive, without overheads; D >= T, any offsets, no jitter; jobs
    execute at most C.
    """
    for tasks in by_core(taskset, trace):
        if tasks and utilization(tasks) <= 1:
            yield from _misses(trace, tasks, "as U <= 1 and D >= T", tolerance)


@law(needs=_TARGET, conditions=[scope.EARLIEST_DEADLINE, scope.KNOWN_C, scope.NO_KILLS], reads="jobs")
def edf_demand(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """EDF misses no deadline where no interval has more work due than fits into it.

    Baruah, Rosier & Howell, Real-Time Systems 2, 1990, theorem 2; D > T and jitter (D - J): George, Rivierre & Spuri,
    INRIA RR-2966, 1996. One core, or tasks placed on cores; preemptive, without overheads; any offsets; jobs execute at
    most C.
    """
    for tasks in by_core(taskset, trace):
        if tasks and qpa(tasks) is None:
            yield from _misses(trace, tasks, "as no interval is overloaded", tolerance)


def _overloaded(case: Case) -> str:
    return "" if scope.KNOWN_C(case) or qpa(case.tasks) is not None else "no interval is overloaded"


@law(
    needs=[*_TARGET, scope.ONE_CORE, scope.LATE_JOBS_RUN_ON, scope.EXECUTES_C],
    conditions=[
        scope.EARLIEST_DEADLINE, scope.KNOWN_C, scope.PERIODIC, scope.SYNCHRONOUS, scope.NO_JITTER, scope.NO_KILLS,
        scope.ENDLESS, _overloaded,
    ],
    reads="jobs",
)  # fmt: skip
def edf_overload(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """EDF misses its first deadline at the end of the shortest interval that has more work due than fits into it.

    Baruah, Rosier & Howell, Real-Time Systems 2, 1990, theorem 2: no policy meets it, and EDF meets all before. One
    core, preemptive, without overheads; periodic, synchronous, no jitter; each job executes exactly C. A run shorter
    than the interval shows nothing.
    """
    overload = first_overload(tasks_of(taskset, trace))
    first = min(trace.misses, key=lambda job: job.deadline_ns or 0, default=None)
    seen_ns = None if first is None else first.deadline_ns
    if overload is None or (overload.interval_ns > trace.end_ns and seen_ns is None):
        return
    late_ns = tolerance.spread_ns(0)
    if seen_ns is None or abs(seen_ns - overload.interval_ns) > late_ns:
        work = f"{format_ms(overload.demand_ns)} ms of work are due by {format_ms(overload.interval_ns)} ms"
        seen = "no miss" if seen_ns is None else f"a deadline of {format_ms(seen_ns)} ms missed first"
        job = None if first is None else (first.task_id, first.index)
        yield Violation(job, overload.interval_ns, f"the first miss of a deadline, as {work}", seen)
