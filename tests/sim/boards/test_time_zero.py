"""Time zero: by the first START, and where nothing starts by the first refusal; the horizon counts from there."""

import pytest

from sim import SimSession
from taskgen import TaskSet
from taskgen.events import EventType
from taskgen.units import NS_PER_MS
from tests.sim.boards.one_board import DENIED, LEARNT, RUNS, OneBoard

START, REFUSED = EventType.START, EventType.NOT_SCHEDULED


def in_ms(events: object) -> list[tuple[int, EventType, int, int]]:
    return [(event[0] // NS_PER_MS, *event[1:4]) for event in events]  # type: ignore[attr-defined]


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_a_set_that_is_denied_each_job_ends_at_the_horizon(generation: str) -> None:
    """wire-protocol 5.4: the flag outlives CLEAR. The first release, denied, lies at the task's offset."""
    board = OneBoard(generation)
    first, denied, third, again = (in_ms(board.run(*run)) for run in RUNS)
    assert [kind for _, kind, *_ in first].count(START) == 2
    assert denied == again == [(ms, REFUSED, 1, 0) for ms in (30, 130, 230)]
    assert third[0] == (36, START, 2, 0)  # the design's definition, as soon as something starts
    assert [event for event in third if event[1] is REFUSED] == [(ms, REFUSED, 1, 0) for ms in (40, 140, 240)]


def test_the_horizon_moves_when_it_is_asked_for() -> None:
    for horizon_ms, count in ((10, 0), (30, 0), (31, 1), (130, 1), (131, 2), (1000, 10)):
        board = OneBoard("G3b")
        board.run(LEARNT, 1000)
        assert in_ms(board.run(DENIED, horizon_ms)) == [(30 + 100 * n, REFUSED, 1, 0) for n in range(count)]


#: A task that is accepted and never starts, as it asks for more RAM than there is.
NEVER = {"pkg": "hey", "executiontime": 20, "period": 400, "numberofjobs": 2, "priority": 1, "quota": "600M"}


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_a_refusal_by_admission_lies_at_time_zero(generation: str) -> None:
    """wire-protocol 6.4: 'Refused tasks: NOT_SCHEDULED at once', whatever their offset is."""
    taskset = TaskSet([NEVER, {**NEVER, "quota": "1M", "offset": 70}])
    assert in_ms(SimSession(profile=generation).run(taskset, horizon_ms=250)) == [(0, REFUSED, 1, 0)]


def test_a_job_that_lives_at_the_horizon_ends_there_even_if_the_next_one_is_denied_then() -> None:
    """wire-protocol 6.4: the optimiser is asked at each release of an EDF task, also while its last job lives."""
    tasks = TaskSet({"pkg": "hey", "executiontime": 50, "period": period, "deadline": 50} for period in (50, 100))
    longer, shorter = (in_ms(SimSession(profile="G3b").run(tasks, horizon_ms=horizon)) for horizon in (101, 100))
    assert (100, REFUSED, 1, 1) in longer
    assert [event for event in shorter if event[2] == 1] == [(52, START, 1, 0), (100, EventType.EXIT_EXTERNAL, 1, 0)]
