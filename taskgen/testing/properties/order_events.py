"""Which job runs, as far as births and ends alone tell it: START and EXIT are all that a board says.

A job *lives* from its birth to its end. On one core under a preemptive policy it gets no time while a more urgent job
lives, so it can't complete if one does all its life long. That needs no execution times: who completes has computed.

On boards a START is logged when the process has been created, up to `_Slack.early_ns` after its birth. But their loader
creates one process after the other (wire-protocol 6.1), so who is logged first was born first. An EXIT may be logged
late, by `Tolerance.spread_ns` at most, while the job is in nobody's way any more: a less urgent one must have ended
that much earlier before anything is claimed. The laws of `order` see more, where schedulers are traced.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple

from taskgen.events import EventType
from taskgen.parameters import LEAST_URGENT, Parameters
from taskgen.taskset import TaskSet
from taskgen.testing.properties import scope
from taskgen.testing.properties.jobs import by_task, spread_of
from taskgen.testing.properties.law import Case, Tolerance, Violation, law
from taskgen.trace import Job, Trace
from taskgen.units import format_ms

#: More of them are only counted in a violation.
_NAMED = 3


class Life(NamedTuple):
    """A job while it lives; where a time isn't known exactly, what is certain."""

    job: Job
    born_ns: int  #: at the latest
    over_ns: int  #: at the earliest; so long it is in the way of less urgent jobs
    rank: tuple[int, int]  #: its lowest and its highest possible value; smaller is more urgent


class _Slack(NamedTuple):
    """How much earlier something was than it is told."""

    born_ns: int  #: a birth, compared with other births
    early_ns: int  #: a birth, on the clock
    over_ns: int  #: an end


class _Line:
    """The lives of a task's jobs; births, ends and ranks grow."""

    def __init__(self, lives: Iterable[Life]) -> None:
        self.lives = list(lives)
        self._births = [life.born_ns for life in self.lives]
        self._ranks = [life.rank[1] for life in self.lives]

    def last(self, born_ns: int, rank: int) -> Life | None:
        """Return the last one born by then that surely has a smaller rank."""
        count = min(bisect_right(self._births, born_ns), bisect_left(self._ranks, rank))
        return self.lives[count - 1] if count else None


#: From what is known of a job (its birth) to its life.
Liven = Callable[[Parameters, Job, int, _Slack], Life]


def _one_core(case: Case) -> str:
    """Require one core, or a board that has all tasks on one of its cores."""
    if case.capabilities.job_numbers == "releases":
        return scope.ONE_CORE(case)
    places = {tuple(task.attributes.get(key) for key in ("cores", "coreoffset")) for task in case.tasks}
    return "tasks are on several cores" if len(places) > 1 else ""


_NEEDS = (scope.TELLS_OUTCOMES, scope.PREEMPTIVE, scope.NO_OVERHEADS, _one_core)


@law(needs=_NEEDS, conditions=[_one_core, scope.FIXED_PRIORITY], reads="jobs")
def fixed_priority_events(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """No job completes if jobs with a smaller priority lived all its life long.

    Liu & Layland, JACM 20(1), 1973, section 4; boards: wire-protocol 7.1, `higher runs first`. Births and ends suffice;
    preemptive, without overheads, all tasks on one core, jobs that don't block. Priorities that are one level to a
    board (7.2) are equal. On boards others must live on after the job for longer than the tolerance.
    """
    least = LEAST_URGENT - tolerance.equal_priorities

    def liven(task: Parameters, job: Job, born_ns: int, slack: _Slack) -> Life:
        level = min(LEAST_URGENT if task.priority is None else task.priority, least)
        return Life(job, born_ns, (job.finish_ns or 0) - slack.over_ns, (level, level))

    return _outlived(trace, tolerance, liven)


@law(needs=_NEEDS, conditions=[_one_core, scope.EARLIEST_DEADLINE], reads="jobs")
def edf_events(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """No job completes if jobs with an earlier absolute deadline lived all its life long.

    Liu & Layland, JACM 20(1), 1973, section 7; boards: wire-protocol 7.1, deadlines from the creation of the thread, a
    job whose deadline has passed yields to others. Births and ends suffice; as fixed_priority_events. Boards that have
    been up for more than 71.6 minutes break it (7.4).
    """
    on_board = trace.capabilities.job_numbers == "starts"

    def liven(task: Parameters, job: Job, born_ns: int, slack: _Slack) -> Life:
        relative_ns = task.effective_deadline_ns or 0
        over_ns = (job.finish_ns or 0) - slack.over_ns
        if not on_board:
            due_ns = (job.arrival_ns or 0) + relative_ns
            return Life(job, born_ns, over_ns, (due_ns, due_ns))
        first_ns = born_ns - slack.early_ns + relative_ns
        last_ns = born_ns + tolerance.resolution_ns + relative_ns
        return Life(job, born_ns, min(over_ns, first_ns), (first_ns, last_ns))

    return _outlived(trace, tolerance, liven)


def _slack(trace: Trace, tolerance: Tolerance) -> _Slack:
    tasks = trace.tasks.values()
    spread_ns = spread_of(trace, tolerance, len(tasks) - 1)
    order_ns = early_ns = tolerance.resolution_ns + tolerance.late_ns
    if trace.capabilities.job_numbers == "starts":
        early_ns += len(tasks) * tolerance.release_delay_ns  # they share the processor
        if not all(task.period_ns for task in tasks):
            order_ns = early_ns  # single jobs may have a thread of their own that creates them (wire-protocol 6.8)
    return _Slack(order_ns, early_ns, spread_ns)


def _outlived(trace: Trace, tolerance: Tolerance, liven: Liven) -> Iterator[Violation]:
    """Yield each job that has completed although more urgent ones lived from before its birth to its end."""
    slack = _slack(trace, tolerance)
    lines = [
        _Line(_lives(trace, trace.tasks[task_id], jobs, liven, slack))
        for task_id, jobs in by_task(trace).items()
        if task_id in trace.tasks
    ]
    for life in chain.from_iterable(line.lives for line in lines):
        end_ns = life.job.finish_ns or 0
        if life.job.outcome is EventType.EXIT and end_ns > life.born_ns:
            covering = _covering(min(life.born_ns - slack.born_ns, end_ns), end_ns, life.rank[0], lines)
            if covering:
                yield _violation(life, covering)


def _lives(trace: Trace, task: Parameters, jobs: Sequence[Job], liven: Liven, slack: _Slack) -> Iterator[Life]:
    """Yield the lives of a task's jobs, as far as they are known."""
    # A board may start a job that never runs, for want of memory say (wire-protocol 7.4); its siblings don't either.
    can_run = trace.capabilities.job_numbers == "releases" or any(job.outcome is EventType.EXIT for job in jobs)
    for job in jobs:
        born_ns = job.start_ns if job.release_ns is None else job.release_ns
        if born_ns is None or job.finish_ns is None or job.outcome is EventType.NOT_SCHEDULED:
            continue
        if can_run:
            yield liven(task, job, born_ns, slack)


def _covering(begin_ns: int, end_ns: int, rank: int, lines: Sequence[_Line]) -> list[Life]:
    """Return the fewest lives of a smaller rank that leave no time of a stretch; none if there are no such ones."""
    chosen: list[Life] = []
    while True:
        known = (line.last(begin_ns, rank) for line in lines)
        longest = max((life for life in known if life is not None), key=attrgetter("over_ns"), default=None)
        if longest is None or not (longest.over_ns > begin_ns or longest.over_ns >= end_ns):
            return []
        chosen.append(longest)
        begin_ns = longest.over_ns
        if begin_ns >= end_ns:
            return chosen


def _violation(life: Life, others: Sequence[Life]) -> Violation:
    names = [f"job {each.job.index} of task {each.job.task_id}" for each in others[:_NAMED]]
    names += [f"{len(others) - _NAMED} more"] * (len(others) > _NAMED)
    who = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    job = life.job
    return Violation(
        (job.task_id, job.index),
        job.finish_ns,
        f"no EXIT while {who} {'lives' if len(names) == 1 else 'live'}, more urgent",
        f"START at {format_ms(life.born_ns)} ms, EXIT at {format_ms(job.finish_ns or 0)} ms",
    )
