"""Which job runs: never a less urgent one while a more urgent one waits, and never none while one waits.

What is wrong for one instant only is wrong for no time: a state is looked at when it has lasted.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from taskgen.parameters import LEAST_URGENT, NO_PRIORITY, Parameters
from taskgen.taskset import TaskSet
from taskgen.testing.properties import scope
from taskgen.testing.properties.law import Condition, Property, Tolerance, Violation, law, relation
from taskgen.testing.properties.sweep import Cluster, Ranked, walk
from taskgen.testing.properties.variation import described
from taskgen.trace import Job, Trace
from taskgen.units import format_ms

#: Behind all deadlines, which lie below 2^63.
_NEVER = 1 << 64


def _by_deadline(task: Parameters) -> Callable[[int], int]:
    relative_ns = task.effective_deadline_ns
    if relative_ns is None:
        return lambda _: _NEVER
    if task.arrivals_ns is None:
        first_ns, period_ns = task.offset_ns + relative_ns, task.period_ns
        return lambda index: first_ns + index * period_ns
    last = len(task.arrivals_ns) - 1  # a job beyond it is another law's business
    return lambda index: task.arrival_ns(min(index, last)) + relative_ns


def _always(rank: Any) -> Callable[[int], Any]:
    return lambda _: rank


def _by_priority(task: Parameters) -> Callable[[int], Any]:
    return _always(task.priority)


def _by_period(task: Parameters) -> Callable[[int], Any]:
    return _always((not task.period_ns, task.period_ns))


def _by_relative_deadline(task: Parameters) -> Callable[[int], Any]:
    return _always((not task.effective_deadline_ns, task.effective_deadline_ns or 0))


def _by_band(task: Parameters) -> Callable[[int], Any]:
    if task.deadline_ns or task.priority == NO_PRIORITY:
        deadline = _by_deadline(task)
        return lambda index: (1, deadline(index))
    return _always((0, LEAST_URGENT if task.priority is None else task.priority))


class Ranking(NamedTuple):
    """A rule for which job is more urgent, and where it is said to be in force."""

    name: str
    says: str
    source: str
    scope: Condition
    rank: Callable[[Parameters], Callable[[int], Any]]  #: of a task's jobs by number; the smallest is most urgent

    def ranks(self, trace: Trace) -> Callable[[int, int], Any]:
        """Return the rank of a job by task id and number."""
        by_task = {task.id: self.rank(task) for task in trace.tasks.values()}
        return lambda task_id, index: by_task[task_id](index)


RANKINGS = (
    Ranking(
        "fixed_priority", "a smaller priority", "Liu & Layland, JACM 20(1), 1973, section 4", scope.FIXED_PRIORITY,
        _by_priority,
    ),
    Ranking(
        "rate_monotonic", "a shorter period", "Liu & Layland, JACM 20(1), 1973, theorem 2", scope.by("rm"), _by_period
    ),
    Ranking(
        "deadline_monotonic", "a shorter relative deadline", "Leung & Whitehead, Performance Evaluation 2, 1982",
        scope.by("dm"), _by_relative_deadline,
    ),
    Ranking(
        "edf", "an earlier absolute deadline", "Liu & Layland, JACM 20(1), 1973, section 7", scope.EARLIEST_DEADLINE,
        _by_deadline,
    ),
    Ranking(
        "mixed", "a smaller priority, or any priority and not a deadline, or an earlier absolute deadline",
        "wire-protocol 7.1: the EDF queue runs only when no fixed-priority thread is ready", scope.by("auto"), _by_band,
    ),
)  # fmt: skip

#: Something is wrong with a cluster: which job suffers, what was expected, what was seen.
_Fault = tuple[Ranked, str, str]


def _lasting(
    trace: Trace, rank: Callable[[int, int], Any], look: Callable[[Cluster], _Fault | None], least_ns: int
) -> Iterator[Violation]:
    """Yield each fault of a cluster that lasts longer than `least_ns`."""
    faults: dict[Cluster, tuple[int, _Fault]] = {}
    for now_ns, cluster in walk(trace, rank):
        yield from _ripe(faults.get(cluster), now_ns, least_ns)
        fault = look(cluster)
        if fault is None:
            faults.pop(cluster, None)
            continue
        since_ns = now_ns
        if cluster in faults and now_ns - faults[cluster][0] <= least_ns:
            since_ns = faults[cluster][0]
        faults[cluster] = (since_ns, fault)
    for known in faults.values():
        yield from _ripe(known, trace.end_ns, least_ns)


def _ripe(known: tuple[int, _Fault] | None, now_ns: int, least_ns: int) -> Iterator[Violation]:
    if known is not None and now_ns - known[0] > least_ns:
        since_ns, (job, expected, seen) = known
        yield Violation(job.job, since_ns, expected, f"{seen} until {format_ms(now_ns)} ms")


def _inverted(cluster: Cluster) -> _Fault | None:
    waiting = cluster.first
    if waiting is None or not cluster.running:
        return None
    running = max(cluster.running.values())
    if waiting.rank >= running.rank:
        return None
    return waiting, f"it to run before job {running.index} of task {running.task_id}", "it waits, the other one runs"


def _idles(cluster: Cluster) -> _Fault | None:
    waiting = cluster.first
    if waiting is None or cluster.idle <= 0:
        return None
    where = (
        f"{cluster.idle} of {cluster.capacity} cores idle" if cluster.number is None else f"core {cluster.number} idles"
    )
    return waiting, "a core to run it", f"it waits, {where}"


def _order(ranking: Ranking) -> Property:
    def find(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
        return _lasting(trace, ranking.ranks(trace), _inverted, tolerance.resolution_ns)

    return Property(
        f"{ranking.name}_order",
        f"No job waits while a less urgent one runs; {ranking.says} is more urgent.\n\n{ranking.source}."
        " Traced, preemptive, without overheads; each core by itself, or all of them where jobs migrate.",
        (scope.TRACES, scope.COUNTS_RELEASES, scope.PREEMPTIVE, scope.NO_OVERHEADS),
        (ranking.scope,),
        "events",
        find,
    )


def _choice(ranking: Ranking) -> Property:
    def find(_taskset: TaskSet, trace: Trace, _tolerance: Tolerance) -> Iterator[Violation]:
        for now_ns, cluster in walk(trace, ranking.ranks(trace)):
            waiting = cluster.first
            chosen = max(cluster.started, default=None)
            if waiting is not None and chosen is not None and waiting.rank < chosen.rank:
                expected = f"it to begin before job {chosen.index} of task {chosen.task_id}"
                yield Violation(waiting.job, now_ns, expected, "it waits, the other one begins")
            for job in cluster.preempted:
                yield Violation(job.job, now_ns, "it to keep its core up to its end", "PREEMPT")

    return Property(
        f"nonpreemptive_{ranking.name}_order",
        f"Nothing is preempted, and no job waits when a less urgent one begins; {ranking.says} is more urgent.\n\n"
        f"{ranking.source}; non-preemptively: George, Rivierre & Spuri, INRIA RR-2966, 1996."
        " Traced, non-preemptive, without overheads.",
        (scope.TRACES, scope.COUNTS_RELEASES, scope.NONPREEMPTIVE, scope.NO_OVERHEADS),
        (ranking.scope,),
        "events",
        find,
    )


def _ties(ranking: Ranking) -> Property:
    def find(_taskset: TaskSet, trace: Trace, _tolerance: Tolerance) -> Iterator[Violation]:
        for now_ns, cluster in walk(trace, ranking.ranks(trace)):
            chosen = max(cluster.started, default=None)
            if chosen is None:
                continue
            other = f"job {chosen.index} of task {chosen.task_id}"
            for job in cluster.preempted:
                if job.job not in cluster.running and job.rank == chosen.rank:
                    yield Violation(job.job, now_ns, f"it to go on, {other} is no more urgent", "PREEMPT")
            waiting = cluster.first
            if waiting is not None and waiting.rank == chosen.rank and waiting < chosen:
                expected = f"it before {other}: as urgent, released earlier or with a smaller id"
                yield Violation(waiting.job, now_ns, expected, "it waits, the other one begins")

    return Property(
        f"{ranking.name}_ties",
        "Equally urgent jobs never preempt each other; among those that wait the earlier release goes first, then the"
        f" smaller id.\n\nThe tie rule `running` of the simulator, under which {ranking.says} is more urgent."
        " Traced, without overheads.",
        (scope.TRACES, scope.COUNTS_RELEASES, scope.NO_OVERHEADS, scope.RUNNING_WINS_TIES),
        (ranking.scope,),
        "events",
        find,
    )


ORDERS: Sequence[Property] = tuple(
    make(ranking) for ranking in RANKINGS for make in (_order, _choice, _ties) if make is not _ties or ranking.name in
    {"fixed_priority", "edf", "mixed"}  # the others rank by id where they are equal
)  # fmt: skip


@law(needs=[scope.TRACES, scope.NO_OVERHEADS])
def work_conservation(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """No core idles while a job waits that may run on it.

    Non-idling scheduling: George, Rivierre & Spuri, INRIA RR-2966, 1996. Any policy, preemptive or not, any number of
    cores; traced, without overheads.
    """
    return _lasting(trace, lambda *_: 0, _idles, tolerance.resolution_ns)


# -- independence


def _without_the_least_urgent(taskset: TaskSet) -> list[TaskSet]:
    """Leave the lowest priority out, and all but the highest."""
    levels = sorted({parameters.priority or 0 for _, parameters in described(taskset)})
    kept = dict.fromkeys([*levels[-2:-1], *levels[:1]]) if len(levels) > 1 else {}
    return [_only(taskset, lambda task, most=most: (task.priority or 0) <= most) for most in kept]


def _without_deadlines(taskset: TaskSet) -> list[TaskSet]:
    """Leave the tasks out that run by their deadlines."""
    kept = _only(taskset, lambda task: not (task.deadline_ns or task.priority == NO_PRIORITY))
    return [kept] if len(kept) else []


def _only(taskset: TaskSet, keeps: Callable[..., bool]) -> TaskSet:
    return TaskSet(task for task, parameters in described(taskset) if keeps(parameters))


_ALONE = (scope.DETERMINISTIC, scope.COUNTS_RELEASES, scope.PREEMPTIVE, scope.NO_OVERHEADS, scope.NO_PLACEMENT)


def _unchanged(traces: Iterator[Trace]) -> Iterator[Violation]:
    whole = {(job.task_id, job.index): job for job in next(traces).jobs}
    for part in traces:
        for job in part.jobs:
            before = whole.get((job.task_id, job.index))
            if before is None or _life(before) != _life(job):
                expected = f"as without less urgent tasks, {_tell(job)}"
                seen = "no such job" if before is None else _tell(before)
                yield Violation((job.task_id, job.index), job.release_ns, expected, seen)


@relation(variants=_without_the_least_urgent, needs=_ALONE, conditions=[scope.FIXED_PRIORITY], reads="jobs")
def independence(_taskset: TaskSet, traces: Iterator[Trace], _tolerance: Tolerance) -> Iterator[Violation]:
    """Jobs start and end as they do without the less urgent tasks of their set.

    Joseph & Pandya, The Computer Journal 29(5), 1986. Fixed priorities, preemptive, without overheads, on
    one core or with free migration; equal priorities stay together.
    """
    return _unchanged(traces)


@relation(variants=_without_deadlines, needs=(*_ALONE, scope.by("auto")), reads="jobs")
def mixed_band(_taskset: TaskSet, traces: Iterator[Trace], _tolerance: Tolerance) -> Iterator[Violation]:
    """In a mixed set the tasks with priorities start and end as they do without those that run by deadlines.

    wire-protocol 7.1: the EDF queue runs only when no fixed-priority thread is ready. Preemptive, without overheads,
    on one core or with free migration.
    """
    return _unchanged(traces)


def _life(job: Job) -> tuple[object, ...]:
    return (job.release_ns, job.start_ns, job.finish_ns, job.outcome)


def _tell(job: Job) -> str:
    start = "no start" if job.start_ns is None else f"start at {format_ms(job.start_ns)} ms"
    return f"{start}, {job.outcome} at {'no time' if job.finish_ns is None else format_ms(job.finish_ns) + ' ms'}"
