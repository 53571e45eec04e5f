"""Time zero and the horizon where a board starts late, or nothing at all: as the simulator has them, event by event."""

from typing import Any

import pytest

import hil.board
from hil.chronicle import Chronicle
from hil.deadlines import Deadlines, Settings
from hil.documents.profile import Stamped
from hil.messages import GetProfile, Message
from hil.session import TaskloaderSession
from taskgen.dialect.boards import BOARDS
from taskgen.events import EventType
from taskgen.parameters import parameters_of
from taskgen.session import Target
from taskgen.taskset import TaskSet
from taskgen.units import NS_PER_MS
from tests.hil.agreement import agree, fresh, told
from tests.hil.scripted import ScriptedBoard, one_job, scripted, session_on
from tests.sim.boards.one_board import RUNS, OneBoard

START, EXIT, REFUSED = EventType.START, EventType.EXIT, EventType.NOT_SCHEDULED
#: A task whose jobs the optimiser may deny; its releases are 100 ms apart.
EDF = one_job(deadline=50, period=100, numberofjobs=3, offset=30)


# --- what the optimiser remembers of earlier sets


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_sets_on_a_board_that_remembers_are_those_of_the_simulator(generation: str) -> None:
    simulated = OneBoard(generation)
    with hil.board.serve(generation=generation, speed="max") as boards:
        target = boards.targets[0]
        board = Target("taskloader", target.address, {**target.options, "quiet_ms": 20})
        with TaskloaderSession.open(board) as session:
            for taskset, horizon_ms in RUNS:
                expected = told(iter(simulated.run(taskset, horizon_ms)))
                assert told(session.run(taskset, horizon_ms=horizon_ms)) == expected


# --- the chronicle alone


def chronicle_of(taskset: TaskSet, horizon_ms: int) -> Chronicle:
    return Chronicle(parameters_of(taskset), BOARDS["G3b"], horizon_ms * NS_PER_MS)


def fed(chronicle: Chronicle, *entries: tuple[EventType, int]) -> list[tuple[int, EventType]]:
    """Return what a document with these events of task 1 at these ms adds."""
    events = chronicle.feed([Stamped(kind, 1, ms) for kind, ms in entries], 0)
    return [(event.time_ns // NS_PER_MS, event.type) for event in events]


def test_denials_wait_for_a_start_until_the_horizon_has_passed_without_one() -> None:
    chronicle = chronicle_of(EDF, 250)
    assert fed(chronicle, (REFUSED, 1030), (REFUSED, 1130), (REFUSED, 1230)) == []
    assert not chronicle.horizon_reached
    assert chronicle.born
    assert fed(chronicle, (REFUSED, 1330)) == [(30, REFUSED), (130, REFUSED), (230, REFUSED)]
    assert chronicle.horizon_reached
    assert fed(chronicle, (START, 1456), (EXIT, 1466)) == []  # too late


def test_a_start_behind_denials_is_time_zero() -> None:
    chronicle = chronicle_of(EDF, 250)
    assert chronicle.rest_ns is None
    seen = fed(chronicle, (REFUSED, 1030), (REFUSED, 1130), (START, 1256), (EXIT, 1266))
    assert seen == [(0, REFUSED), (0, REFUSED), (56, START), (66, EXIT)]
    assert chronicle.rest_ns == (250 - 66) * NS_PER_MS


def test_what_is_denied_up_to_the_end_is_told_at_the_end() -> None:
    chronicle = chronicle_of(EDF, 1000)
    assert fed(chronicle, (REFUSED, 1030), (REFUSED, 1130)) == []
    assert [event.time_ns // NS_PER_MS for event in chronicle.finish()] == [30, 130]


def test_a_refusal_by_admission_is_time_zero_itself() -> None:
    chronicle = chronicle_of(one_job(offset=30), 1000)
    assert fed(chronicle, (REFUSED, 1000)) == []
    assert [event.time_ns for event in chronicle.finish()] == [0]


# --- a board that denies is there, and one that starts late has its time


def test_a_board_that_denies_each_job_has_run_the_set() -> None:
    """Nothing started, but it said so: that is no lost board."""

    def denies(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, GetProfile) and "Stop" in board.names():
            board.log((REFUSED, 1, 1030), (REFUSED, 1, 1130))

    with scripted("G3b", denies) as board, session_on(board, reply_ms=100) as session:
        seen = [(event.time_ns // NS_PER_MS, event.type) for event in session.run(EDF, horizon_ms=200)]
    assert seen == [(30, REFUSED), (130, REFUSED)]


def test_the_horizon_counts_from_the_first_start_also_by_our_clock() -> None:
    settings = Settings(reply_ns=1, silence_ns=1, quiet_ns=1, poll_ns=1)
    deadlines = Deadlines.of(
        parameters_of(EDF), BOARDS["G3b"], settings, started_ns=0, run_ns=250 * NS_PER_MS, query_ns=0
    )
    before_ns = deadlines.horizon_ns
    deadlines.extend(100 * NS_PER_MS, 240 * NS_PER_MS)
    assert deadlines.horizon_ns == before_ns  # which waits for all that may hold START up
    deadlines.extend(2000 * NS_PER_MS, 240 * NS_PER_MS)
    assert deadlines.horizon_ns > 2240 * NS_PER_MS


def test_a_job_of_g1o_that_comes_a_period_late_comes() -> None:
    """wire-protocol 6.3: 'net effect one release one period after START', here long behind the horizon."""
    with hil.board.serve(generation="G1o", speed=1.0) as boards:
        target = boards.targets[0]
        options = {**target.options, "poll_ms": 20, "quiet_ms": 20}
        agree(Target("taskloader", target.address, options), one_job(period=1000, numberofjobs=2), 150)


# --- the first START comes behind a task that never starts


def task(number: int, **attributes: Any) -> dict[str, Any]:
    known = {"id": number, "pkg": "hey", "executiontime": 20, "period": 400, "numberofjobs": 2}
    return {**known, **({} if "deadline" in attributes else {"priority": 1 + number}), **attributes}


NEVER = {"quota": "600M"}  #: more than a board has: accepted, and never started
LATE: dict[str, tuple[list[dict[str, Any]], int | None]] = {
    "the second is refused, the first comes behind its offset": ([task(0, offset=140), task(1, offset=20)], None),
    "cut before its offset is over": ([task(0, offset=140), task(1, offset=20)], 100),
    "refused behind one that never starts": (
        [task(0, offset=70, deadline=300, **NEVER), task(1, offset=30), task(2, offset=10)],
        150,
    ),
    "nothing but refusals": ([task(0, **NEVER), task(1, offset=30)], 100),
    "one of EDF behind its offset, then refusals": (
        [task(0, offset=140, deadline=300), task(1, offset=60), task(2)],
        None,
    ),
    "less urgent than one that never ends": (
        [task(0, executiontime=5000, period=10_000, numberofjobs=1), task(1, executiontime=1, offset=40)],
        150,
    ),
}


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_a_first_start_behind_tasks_that_never_start(generation: str) -> None:
    with hil.board.serve(generation=generation, speed="max") as boards:
        for tasks, horizon_ms in LATE.values():
            agree(fresh(boards), TaskSet(tasks), horizon_ms)


def test_a_job_that_vanishes_before_denials_is_cut_off_at_the_horizon_all_the_same() -> None:
    """G3a destroys a job that is alive at its next release without a word; denials follow until the horizon."""
    hey = {"pkg": "hey", "numberofjobs": 1}
    late = {**hey, "executiontime": 538, "period": 2000, "numberofjobs": 4, "priority": 26, "criticaltime": 3945}
    denied = {**hey, "executiontime": 25, "period": 100, "numberofjobs": 3, "deadline": 50}
    single = {**hey, "executiontime": 67, "period": 0, "deadline": 400, "offset": 208}
    taskset = TaskSet([late, denied, single])
    with hil.board.serve(generation="G3a", speed="max") as boards:
        agree(fresh(boards), taskset, 2_500)
