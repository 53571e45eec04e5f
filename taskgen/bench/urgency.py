"""Who is more urgent, and where a less urgent job went first although a more urgent one was there.

An inversion is a pair of jobs of different tasks: the less urgent one completed strictly between release and end of the
more urgent one. Whoever schedules preemptively by urgency has none, since nothing less urgent computes meanwhile; where
jobs can't be preempted each completion after a blocked release counts once per blocked job. Only events are needed
that every target tells.
"""

from collections.abc import Iterator
from typing import NamedTuple

from taskgen.bench.arrivals import born, clock_of
from taskgen.bench.scale import row_of, spread_ns
from taskgen.bench.suite import Setting
from taskgen.events import EventType
from taskgen.parameters import LEAST_URGENT, NO_PRIORITY, Parameters
from taskgen.testing.runs import Executed


class _Life(NamedTuple):
    task_id: int
    urgency: tuple[int, int]  #: band, then level or absolute deadline; the smaller one is more urgent
    release_ns: int
    finish_ns: int | None
    completed: bool
    core: int | None


def by_edf(task: Parameters) -> bool:
    """Whether a task belongs to the band behind all priorities (wire-protocol 7.1)."""
    return bool(task.deadline_ns) or task.priority == NO_PRIORITY


def level_of(setting: Setting, priority: int) -> int:
    """Return which level of the target a priority means; boards may have two of them (wire-protocol 7.2)."""
    row = row_of(setting)
    level = None if row is None else row.level(row.raw[priority])
    return priority if level is None else level


def inversions(trace: Executed, setting: Setting) -> int:
    """Count the inversions of a run.

    Times of boards are compared within the spread of their stamps; jobs on different cores don't disturb each other.
    """
    spread = spread_ns(setting, 0)
    lives = list(_lives(trace, setting))
    completed = [life for life in lives if life.completed]
    return sum(_inverted(waiting, other, spread) for other in completed for waiting in lives)


def _inverted(waiting: _Life, other: _Life, spread: int) -> bool:
    apart = None not in {waiting.core, other.core} and waiting.core != other.core
    if waiting.task_id == other.task_id or apart:
        return False
    slack = spread if waiting.urgency[0] == other.urgency[0] == 1 else 0
    if (waiting.urgency[0], waiting.urgency[1] + slack) >= other.urgency:
        return False
    end_ns = other.finish_ns or 0
    return waiting.release_ns + spread < end_ns and (waiting.finish_ns is None or end_ns + spread < waiting.finish_ns)


def _lives(trace: Executed, setting: Setting) -> Iterator[_Life]:
    clock = clock_of(setting)
    for job in trace.jobs:
        task = trace.tasks.get(job.task_id)
        release_ns = clock.release_ns(job) if clock.told else job.start_ns  # on boards it is there from START on
        if task is None or release_ns is None or not born(job):
            continue
        if by_edf(task):
            attempt_ns = clock.release_ns(job) or 0
            urgency = (1, attempt_ns + (task.effective_deadline_ns or 0))
        else:
            urgency = (0, level_of(setting, LEAST_URGENT if task.priority is None else task.priority))
        completed = job.outcome is EventType.EXIT
        yield _Life(job.task_id, urgency, release_ns, job.finish_ns, completed, job.core)
