"""Runs of boards as they would be told, job by job, and what their comparison says."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from sim import SimSession
from taskgen import TaskSet
from taskgen.events import Event, EventType
from taskgen.testing.against import Difference, compare
from taskgen.testing.properties import Tolerance
from taskgen.testing.runs import Executed
from taskgen.units import NS_PER_MS

MS = NS_PER_MS
#: Of a board whose tasks don't delay each other: S is 10 ms, of which the stamps take 1.
TOLERANCE = Tolerance(resolution_ns=MS, late_ns=9 * MS, release_delay_ns=26 * MS)
S = 10
EXIT, CRITICAL, PERIOD = EventType.EXIT, EventType.EXIT_CRITICAL, EventType.EXIT_PERIOD
CUT, REFUSED, ERROR = EventType.EXIT_EXTERNAL, EventType.NOT_SCHEDULED, EventType.EXIT_ERROR


class Ran(NamedTuple):
    """A job that a board tells of: its release attempt and its end, in ms."""

    task: int
    birth: int
    end: int | None = None
    outcome: EventType = EXIT


def tasks(*own: dict[str, Any]) -> TaskSet:
    """Return tasks of a period of 1000 ms that compute 100 ms, unless they say otherwise."""
    return TaskSet([{"id": number, "executiontime": 100, "period": 1000, **each} for number, each in enumerate(own)])


ONE, TWO = tasks({}), tasks({}, {})


def ran(taskset: TaskSet, *jobs: Ran, horizon: int = 5000, outcomes: bool = True, stopped: bool = False) -> Executed:
    """Return the run of a board with these jobs."""
    board = SimSession(profile="G3b")
    plan = replace(board.check(taskset, horizon_ms=horizon), stopped=lambda: stopped)
    trace = Executed(plan, replace(board.capabilities, outcomes=outcomes))
    events: list[tuple[int, int, EventType, int, int]] = []
    count: dict[int, int] = {}
    for place, (task, birth, end, outcome) in enumerate(sorted(jobs, key=lambda job: job.birth)):
        job = count.setdefault(task, 0)
        if outcome is REFUSED:
            events.append((birth, place, REFUSED, task, job))
            continue
        count[task] += 1
        events.append((birth + 26, place, EventType.START, task, job))
        if end is not None:
            events.append((end, place, outcome, task, job))
    trace.extend(Event(time * MS, kind, task, job, None) for time, _, kind, task, job in sorted(events))
    return trace


def compared(
    taskset: TaskSet,
    oracle: Iterable[Ran],
    witness: Iterable[Ran],
    *,
    tolerance: Tolerance = TOLERANCE,
    **of_witness: Any,
) -> Difference:
    return compare(taskset, ran(taskset, *oracle), ran(taskset, *witness, **of_witness), tolerance)


def verdict(taskset: TaskSet, oracle: Iterable[Ran], witness: Iterable[Ran], **options: Any) -> str:
    difference = compared(taskset, oracle, witness, **options)
    assert difference.unclaimed == ()
    assert bool(difference.violations()) is (difference.verdict in {"order", "misses"})
    assert bool(difference.details) is (difference.verdict != "agree")
    return difference.verdict
