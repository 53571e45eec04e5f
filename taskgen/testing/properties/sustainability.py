"""Sustainability: what was schedulable stays so when things get better; a table of what may get better, and where.

Baruah & Burns, "Sustainable scheduling analysis", RTSS 2006; execution on several cores: Ha & Liu, "Validating timing
constraints in multiprocessor and distributed real-time systems", ICDCS 1994. Where a condition is missing there are
anomalies: non-preemptive scheduling (Graham, Bell System Technical Journal 45, 1966), longer periods under offsets or
global scheduling, ranks that change.
"""

from collections.abc import Iterator

from taskgen.analysis import busy_period_ns
from taskgen.events import EventType
from taskgen.parameters import NO_PRIORITY, Parameters
from taskgen.taskset import TaskSet
from taskgen.testing.properties import scope
from taskgen.testing.properties.demand import missed
from taskgen.testing.properties.jobs import tasks_of
from taskgen.testing.properties.law import Case, Tolerance, Violation, relation
from taskgen.testing.properties.variation import changed, varied
from taskgen.trace import Job, Trace
from taskgen.units import format_ms

_TARGET = (
    scope.DETERMINISTIC,
    scope.COUNTS_RELEASES,
    scope.PREEMPTIVE,
    scope.NO_OVERHEADS,
    scope.LATE_JOBS_RUN_ON,
    scope.RANKS_STAY,
)


# -- less execution


def _half_execution(task: Parameters) -> int | None:
    return None if task.wcet_ns is None else max(1, task.wcet_ns // 2)


def _less_execution(taskset: TaskSet) -> list[TaskSet]:
    """Halve C, of all tasks, and of the first and the last by itself."""
    return varied(taskset, "executiontime", _half_execution)


@relation(
    variants=_less_execution,
    needs=[*_TARGET, scope.NO_PLACEMENT, scope.EXECUTES_C],
    conditions=[scope.KNOWN_C, scope.NO_KILLS],
    reads="jobs",
)
def less_execution(_taskset: TaskSet, traces: Iterator[Trace], tolerance: Tolerance) -> Iterator[Violation]:
    """Jobs that execute less, at the same arrivals, let no job end later.

    Ha & Liu, ICDCS 1994 (predictability); one core: Baruah & Burns, RTSS 2006. Preemptive, work-conserving,
    ranks of jobs that never change, without overheads, on one core or on identical cores with free migration; any
    offsets and jitter. Never non-preemptive. With several cores jobs are independent only up to the first instant at
    which a task has two unfinished jobs, so what ends later isn't judged.
    """
    first = next(traces)
    until_ns = first.end_ns if first.capabilities.cores == 1 else _first_backlog_ns(first)
    before = {(job.task_id, job.index): job for job in first.jobs if _ended(job, until_ns)}
    for other in traces:
        after = {(job.task_id, job.index): job for job in other.jobs}
        for key, job in before.items():
            if job.finish_ns is None:
                continue
            now = after.get(key)
            if now is None or now.finish_ns is None or now.finish_ns > job.finish_ns + tolerance.spread_ns(0):
                seen = (
                    "no end" if now is None or now.finish_ns is None else f"{now.outcome} at {format_ms(now.finish_ns)}"
                )
                expected = f"EXIT by {format_ms(job.finish_ns)} ms, as before jobs executed less"
                yield Violation(key, now and now.finish_ns, expected, f"{seen} ms" if now else seen)


def _ended(job: Job, until_ns: int) -> bool:
    return job.outcome is EventType.EXIT and job.finish_ns is not None and job.finish_ns <= until_ns


def _first_backlog_ns(trace: Trace) -> int:
    """Return the first release of a job whose predecessor is unfinished; the end of the run if there is none."""
    first_ns = trace.end_ns
    ends: dict[int, int] = {}
    for job in sorted(trace.jobs, key=lambda job: job.index):
        if job.release_ns is not None and job.release_ns < ends.get(job.task_id, 0):
            first_ns = min(first_ns, job.release_ns)
        ends[job.task_id] = max(ends.get(job.task_id, 0), trace.end_ns + 1 if job.finish_ns is None else job.finish_ns)
    return first_ns


# -- longer periods


def _by_deadline(task: Parameters) -> bool:
    return bool(task.deadline_ns) or task.priority in {None, NO_PRIORITY}


def _longer_periods(taskset: TaskSet) -> list[TaskSet]:
    """Double T, of all tasks, and of the first and the last by itself; D stays where it is given or ranks jobs."""
    fixed = changed(taskset, "deadline", lambda task: task.effective_deadline_ns if _by_deadline(task) else None)
    return varied(fixed, "period", lambda task: 2 * task.period_ns)


def _schedules_tasks(case: Case) -> str:
    fixed = scope.both(scope.FIXED_PRIORITY, scope.DISTINCT_PRIORITIES)
    return scope.either(fixed, scope.EARLIEST_DEADLINE)(case)


@relation(
    variants=_longer_periods,
    needs=[*_TARGET, scope.ONE_CORE, scope.EXECUTES_C, scope.by("fp", "edf", "auto")],
    conditions=[
        scope.KNOWN_C, scope.PERIODIC, scope.SYNCHRONOUS, scope.NO_JITTER, scope.NO_KILLS, scope.ENDLESS,
        _schedules_tasks, scope.LOAD_FITS,
    ],
    reads="jobs",
)  # fmt: skip
def longer_periods(taskset: TaskSet, traces: Iterator[Trace], tolerance: Tolerance) -> Iterator[Violation]:
    """A set that meets all deadlines meets them when its periods are longer.

    Baruah & Burns, RTSS 2006. One core, preemptive, without overheads; periodic, synchronous, no
    jitter, not with offsets, not global; D unchanged; priorities unchanged and distinct, or EDF; each job executes C;
    U <= 1. A run that misses, or ends before the busy period does, proves nothing.
    """
    first = next(traces)
    length_ns = busy_period_ns(tasks_of(taskset, first))
    if length_ns is None or first.end_ns < length_ns + _longest_ns(taskset, first) or first.misses:
        return
    for other in traces:
        yield from _still_met(other, "as with shorter periods", tolerance)


def _longest_ns(taskset: TaskSet, trace: Trace) -> int:
    """Return the longest deadline: jobs of the busy period are judged by then."""
    return max(task.effective_deadline_ns or 0 for task in tasks_of(taskset, trace))


def _still_met(trace: Trace, why: str, tolerance: Tolerance) -> Iterator[Violation]:
    return filter(None, (missed(job, why, tolerance) for job in trace.misses))


# -- longer deadlines


def _longer_deadlines(taskset: TaskSet) -> list[TaskSet]:
    """Double D where it is given, of all tasks, and of the first and the last by itself."""
    return varied(taskset, "deadline", lambda task: task.deadline_ns and 2 * task.deadline_ns)


def _some_deadline(case: Case) -> str:
    return "" if any(task.deadline_ns for task in case.tasks) else "no task has a deadline of its own"


@relation(
    variants=_longer_deadlines,
    needs=[*_TARGET, scope.ONE_CORE, scope.by("fp", "edf", "auto")],
    conditions=[
        scope.KNOWN_C, scope.NO_KILLS, scope.either(scope.FIXED_PRIORITY, scope.EARLIEST_DEADLINE), _some_deadline
    ],
    reads="jobs",
)  # fmt: skip
def longer_deadlines(_taskset: TaskSet, traces: Iterator[Trace], tolerance: Tolerance) -> Iterator[Violation]:
    """A set that meets all deadlines meets them when they are longer.

    Baruah & Burns, RTSS 2006; EDF because it is optimal: Dertouzos, IFIP Congress 1974. One core,
    preemptive, without overheads; fixed priorities that stay, or EDF; any offsets and jitter. A run that misses proves
    nothing.
    """
    first = next(traces)
    if first.misses:
        return
    for other in traces:
        yield from _still_met(other, "as with shorter deadlines", tolerance)
