"""Response times against what the analysis of fixed priorities says."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from taskgen.analysis import busy_period_ns, nonpreemptive_response_times, response_times
from taskgen.events import EventType
from taskgen.parameters import Parameters
from taskgen.taskset import TaskSet
from taskgen.testing.properties import scope
from taskgen.testing.properties.jobs import tasks_of
from taskgen.testing.properties.law import Condition, Property, Tolerance, Violation, law
from taskgen.trace import Trace
from taskgen.units import format_ms

#: Ranks of tasks by id, the smallest most urgent.
Ranks = Callable[[Sequence[Parameters]], Mapping[int, int]]
_Analysis = Callable[..., Mapping[int, int | None]]


def by_core(taskset: TaskSet, trace: Trace) -> Iterator[list[Parameters]]:
    """Yield the tasks of each core; those of which no job ran, whose core is unknown, are left out."""
    tasks = tasks_of(taskset, trace)
    if trace.capabilities.cores == 1:
        yield list(tasks)
        return
    cores = {job.task_id: job.core for job in trace.jobs if job.core is not None}
    for core in sorted(set(cores.values())):
        yield [task for task in tasks if cores.get(task.id) == core]


def _priorities(tasks: Sequence[Parameters]) -> dict[int, int]:
    return {task.id: task.priority or 0 for task in tasks}


def _by_period(tasks: Sequence[Parameters]) -> dict[int, int]:
    return _levels(tasks, lambda task: task.period_ns)


def _by_deadline(tasks: Sequence[Parameters]) -> dict[int, int]:
    return _levels(tasks, lambda task: task.effective_deadline_ns or 0)


def _levels(tasks: Sequence[Parameters], key: Callable[[Parameters], int]) -> dict[int, int]:
    """Number tasks from 0 by a time, equal ones alike; 0 is none, and comes last."""
    times = sorted({key(task) for task in tasks}, key=lambda time_ns: (not time_ns, time_ns))
    return {task.id: times.index(key(task)) for task in tasks}


#: By policy: what is checked, ranks, and where they are said to be in force.
_RANKS: Mapping[str, tuple[Ranks, Condition]] = {
    "fixed_priority": (_priorities, scope.FIXED_PRIORITY),
    "rate_monotonic": (_by_period, scope.by("rm")),
    "deadline_monotonic": (_by_deadline, scope.by("dm")),
}
_MODES: Mapping[str, tuple[_Analysis, Condition, str]] = {
    "": (
        response_times, scope.PREEMPTIVE,
        "Lehoczky, RTSS 1990, section 3; with jitter Tindell, Burns & Wellings, Real-Time Systems 6, 1994, section 3",
    ),
    "nonpreemptive_": (
        nonpreemptive_response_times, scope.NONPREEMPTIVE,
        "George, Rivierre & Spuri, INRIA RR-2966, 1996, theorem 15; Davis et al., Real-Time Systems 35, 2007, sec. 3.2",
    ),
}  # fmt: skip


def _bounded(
    taskset: TaskSet, trace: Trace, bounds: Callable[[list[Parameters]], Mapping[int, int | None]], late_ns: int
) -> Iterator[Violation]:
    bound_of: dict[int, int | None] = {}
    for tasks in by_core(taskset, trace):
        bound_of.update(bounds(tasks))
    for job in trace.jobs:
        bound_ns = bound_of.get(job.task_id)
        if bound_ns is None or job.arrival_ns is None or job.outcome is EventType.NOT_SCHEDULED:
            continue
        end_ns = trace.end_ns if job.finish_ns is None else job.finish_ns
        if end_ns - job.arrival_ns > bound_ns + late_ns:
            expected = f"a response of at most {format_ms(bound_ns)} ms"
            ended = "unfinished" if job.finish_ns is None else str(job.outcome)
            yield Violation(
                (job.task_id, job.index), end_ns, expected, f"{ended} after {format_ms(end_ns - job.arrival_ns)} ms"
            )


def _response(policy: str, mode: str) -> Property:
    ranks, condition = _RANKS[policy]
    analysis, preemption, source = _MODES[mode]

    def find(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
        return _bounded(taskset, trace, lambda tasks: analysis(tasks, ranks=ranks(tasks)), tolerance.spread_ns(0))

    return Property(
        f"{mode}{policy}_response",
        f"No job is over later than the response time that the analysis bounds.\n\n{source}. On one core, or tasks"
        " placed on cores, without overheads; jobs execute at most C; any offsets, jitter, deadlines and limits. A task"
        " without a bound (U > 1 down to its level) is not judged.",
        (scope.COUNTS_RELEASES, preemption, scope.NO_OVERHEADS, scope.SINGLE_CORES, scope.AT_MOST_C),
        (condition, scope.KNOWN_C),
        "jobs",
        find,
    )


RESPONSES: Sequence[Property] = tuple(_response(policy, mode) for mode in _MODES for policy in _RANKS)


@law(
    needs=[
        scope.COUNTS_RELEASES, scope.ONE_CORE, scope.PREEMPTIVE, scope.NO_OVERHEADS, scope.LATE_JOBS_RUN_ON,
        scope.EXECUTES_C,
    ],
    conditions=[
        scope.FIXED_PRIORITY, scope.KNOWN_C, scope.PERIODIC, scope.SYNCHRONOUS, scope.NO_JITTER, scope.NO_KILLS,
        scope.ENDLESS, scope.DISTINCT_PRIORITIES, scope.LOAD_FITS,
    ],
    reads="jobs",
)  # fmt: skip
def critical_instant(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """The largest response time of each task is the one that the analysis finds: it is reached after the start.

    Liu & Layland, JACM 20(1), 1973, theorem 1; any deadlines: Lehoczky, RTSS 1990, section 3. Fixed priorities, all
    distinct; one core, preemptive, without overheads; periodic, synchronous, no jitter; each job executes exactly C;
    U <= 1. A run shorter than the busy period shows nothing.
    """
    tasks = tasks_of(taskset, trace)
    length_ns = busy_period_ns(tasks)
    if length_ns is None or trace.end_ns < length_ns:
        return
    worst = trace.max_response_ns
    for task_id, bound_ns in response_times(tasks).items():
        seen_ns = worst.get(task_id, 0)
        if bound_ns is not None and abs(seen_ns - bound_ns) > tolerance.resolution_ns:
            expected = f"a largest response time of {format_ms(bound_ns)} ms of task {task_id}"
            yield Violation(None, length_ns, expected, f"{format_ms(seen_ns)} ms")
