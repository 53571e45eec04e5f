"""What is of a run and what is older: stamps, leftovers, and documents that hold many jobs (wire-protocol 8, 19)."""

import pytest

from hil.chronicle import Chronicle, newest
from hil.clock import LAST_STAMP_MS
from hil.documents.profile import Stamped
from taskgen.dialect.boards import BOARDS
from taskgen.events import Event, EventType
from taskgen.parameters import parameters_of
from taskgen.taskset import TaskSet
from tests.hil.scripted import one_job

START, EXIT, DONE = EventType.START, EventType.EXIT, EventType.JOBS_DONE
EXTERNAL, CRITICAL, REFUSED = EventType.EXIT_EXTERNAL, EventType.EXIT_CRITICAL, EventType.NOT_SCHEDULED
FAR_NS = 10**12
MINUTE_NS = 60 * 10**9


def two_tasks() -> TaskSet:
    return TaskSet([{**one_job()[0], "id": number} for number in (1, 2)])


def told(
    taskset: TaskSet,
    *documents: list[tuple[EventType, int, int]],
    heard: tuple[int, int] | None = None,
    row: str = "G4",
) -> list[tuple[EventType, int | None, int]]:
    """Return the events of documents, with times in ms; `heard` is the newest stamp of before START."""
    chronicle = Chronicle(parameters_of(taskset), BOARDS[row], FAR_NS, heard)
    events: list[Event] = []
    for document in documents:
        events += chronicle.feed([Stamped(*entry) for entry in document], 0)
    return [(event.type, event.task_id, event.time_ns // 10**6) for event in events]


FRESH = [(START, 1, 2000), (EXIT, 1, 2030), (DONE, 1, 2030)]
TOLD = [(START, 1, 26), (EXIT, 1, 56), (DONE, 1, 56)]


def test_stamps_up_to_the_newest_one_of_before_start_are_stale() -> None:
    stale = [(START, 1, 1000), (CRITICAL, 1, 1099), (DONE, 1, 1099)]
    assert told(one_job(), stale, FRESH, heard=(1030, 0)) == TOLD
    assert told(one_job(), stale + FRESH, heard=(1100, 0)) == TOLD


def test_a_refusal_of_before_start_is_stale() -> None:
    assert told(one_job(), [(REFUSED, 1, 900)], FRESH, heard=(900, 0), row="G3b") == TOLD


def test_what_was_stopped_before_we_stop_sets_no_time_zero() -> None:
    leftover = [(START, 1, 900), (EXTERNAL, 1, 950)]
    second = [(START, 2, 2000), (EXIT, 2, 2030), (DONE, 2, 2030)]
    first = [(START, 1, 2100), (EXIT, 1, 2130), (DONE, 1, 2130)]
    expected = [(kind, task, ms - 1974) for kind, task, ms in second + first]
    assert told(two_tasks(), leftover + second, first) == expected
    assert told(two_tasks(), second, leftover, first) == expected  # beside a fresh START, behind it


def test_what_we_stopped_is_of_this_run() -> None:
    chronicle = Chronicle(parameters_of(one_job()), BOARDS["G4"], FAR_NS)
    chronicle.stopped = True
    events = chronicle.feed([Stamped(START, 1, 900), Stamped(EXTERNAL, 1, 950)], 0)
    assert [event.type for event in events] == [START, EXTERNAL]


@pytest.mark.parametrize("heard", [None, (900, 0)])
def test_a_document_with_many_jobs_is_told_whole(heard: tuple[int, int] | None) -> None:
    jobs = [entry for n in range(900) for entry in ((START, 1, 1000 + 40 * n), (EXIT, 1, 1020 + 40 * n))]
    taskset = one_job(numberofjobs=1000, period=40, criticaltime=35)
    assert told(taskset, jobs, heard=heard) == [(kind, 1, ms - 974) for kind, _, ms in jobs]


def test_a_job_off_the_grid_of_the_period_is_of_another_run() -> None:
    assert told(one_job(numberofjobs=2), [(START, 1, 1250), (EXIT, 1, 1280), *FRESH]) == TOLD
    assert len(told(one_job(numberofjobs=2), [(START, 1, 1500), (EXIT, 1, 1530), *FRESH])) == 5


def test_a_job_that_is_too_far_before_its_successor_is_of_another_run() -> None:
    assert told(one_job(numberofjobs=2), [(START, 1, 500), (EXIT, 1, 530), *FRESH]) == TOLD


def test_a_task_that_starts_behind_its_jobs_done_is_of_two_runs() -> None:
    old = [(START, 1, 1500), (EXIT, 1, 1530), (DONE, 1, 1530)]
    assert told(one_job(numberofjobs=2), old + FRESH) == TOLD


def test_a_stamp_behind_the_wrap_is_newer() -> None:
    assert newest((LAST_STAMP_MS, 0), [Stamped(START, 9, 20)], 5) == (20, 5)
    assert newest((2000, 0), [Stamped(START, 9, 20)], 5) == (2000, 0)
    wrapped = [(START, 1, 1000), (EXIT, 1, 1030), (DONE, 1, 1030)]
    assert told(one_job(), wrapped, heard=(LAST_STAMP_MS, 0)) == TOLD


def test_a_stamp_of_an_hour_ago_tells_nothing() -> None:
    assert newest((2000, 0), [Stamped(START, 9, 20)], 60 * MINUTE_NS) == (20, 60 * MINUTE_NS)
    assert told(one_job(), FRESH, heard=(3000, -60 * MINUTE_NS)) == TOLD
