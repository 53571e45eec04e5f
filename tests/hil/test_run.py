"""Runs on boards that say little: denied jobs, busy boards, and boards of another generation."""

import threading
import time

import pytest

import hil.board
from hil.deadlines import longest_silence_ns
from hil.messages import Clear, GetLive, Message, SendDescriptions, Start
from hil.session import TaskloaderSession
from sim.session import SimSession
from taskgen.dialect.boards import BOARDS
from taskgen.errors import TargetLost
from taskgen.events import EventType
from taskgen.parameters import parameters_of
from taskgen.session import Target
from taskgen.taskset import TaskSet
from tests.hil.scripted import ScriptedBoard, one_job, runs_one_job, scripted, session_on

START, EXIT, DONE = EventType.START, EventType.EXIT, EventType.JOBS_DONE

#: The second task is denied all of its jobs, and boards push no denials (wire-protocol 3.4).
_TASK = {"pkg": "namaste", "deadline": 300}
DENIED = TaskSet(
    [
        {"id": 0, "executiontime": 500, "period": 400, "numberofjobs": 1, **_TASK},
        {"id": 1, "executiontime": 1, "period": 100, "numberofjobs": 3, "offset": 700, **_TASK},
    ]
)


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_denials_are_silent_and_the_board_lives(generation: str) -> None:
    assert longest_silence_ns(parameters_of(DENIED), BOARDS[generation]) is None
    with hil.board.serve(generation=generation, speed="max") as boards:
        target = boards.targets[0]
        options = {**target.options, "quiet_ms": 20}
        with TaskloaderSession.open(Target("taskloader", target.address, options)) as session:
            seen = [event[:4] for event in session.run(DENIED, horizon_ms=1500)]
    assert seen == [event[:4] for event in SimSession(profile=generation).run(DENIED, horizon_ms=1500)]
    assert EventType.NOT_SCHEDULED in {event[1] for event in seen}


def test_fixed_priorities_are_never_denied_and_bound_the_silence() -> None:
    assert longest_silence_ns(parameters_of(one_job()), BOARDS["G3b"]) is not None
    assert longest_silence_ns(parameters_of(one_job(deadline=300)), BOARDS["G4"]) is not None  # no optimiser


def test_a_board_that_dies_in_silence_is_lost_at_the_horizon() -> None:
    def dies(board: ScriptedBoard, message: Message) -> object:
        if isinstance(message, Start):  # one task ends, the other one might be denied
            board.log((START, 0, 2000), (EXIT, 0, 2500), (DONE, 0, 2500))
        return isinstance(message, GetLive)

    with scripted("G3b", dies) as board, session_on(board, reply_ms=50) as session:
        run = session.run(DENIED, horizon_ms=600)
        with pytest.raises(TargetLost, match="GET_LIVE: no answer"):
            list(run)


def test_stale_stamps_of_a_connection_are_no_events_of_its_next_run() -> None:
    def late(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Start) and board.names().count("Start") == 2:
            board.log((START, 1, 2000), (EventType.EXIT_CRITICAL, 1, 2099), (DONE, 1, 2099))
        runs_one_job(board, message)

    with scripted("G4", late) as board, session_on(board) as session:
        assert [event.type for event in session.run(one_job())] == [START, EXIT, DONE]
        assert [event.type for event in session.run(one_job())] == [START, EXIT, DONE]


def test_what_clear_brings_tells_the_time() -> None:
    def leftovers(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Clear) and "Start" not in board.names():
            board.log((START, 77, 1500), (EXIT, 77, 1990))
        if isinstance(message, Start):
            board.log((START, 1, 1480), (EventType.EXIT_CRITICAL, 1, 1580), (DONE, 1, 1580))
        runs_one_job(board, message)

    with scripted("G4", leftovers) as board, session_on(board) as session:
        board.now_ms = 2000
        assert [event.type for event in session.run(one_job())] == [START, EXIT, DONE]


def test_a_board_that_answers_nothing_may_serve_another_client() -> None:
    with scripted("G4", lambda *_: True) as board, session_on(board, dialect="G3a", reply_ms=50) as session:
        run = session.run(one_job())
        with pytest.raises(TargetLost, match=r"CLEAR: no answer within .* ms: it may serve another client"):
            list(run)


@pytest.mark.parametrize(("real", "configured"), [("G4", "G3a"), ("G3a", "G4")])
def test_a_wrong_dialect_is_a_likely_reason(real: str, configured: str) -> None:
    with scripted(real) as board, session_on(board, dialect=configured, reply_ms=50) as session:
        run = session.run(one_job())
        with pytest.raises(TargetLost) as failure:
            list(run)
    assert f"is it a board of generation {configured}?" in failure.value.hint


def test_what_still_comes_behind_clear_is_waited_for() -> None:
    """wire-protocol 8, hazard 19: what an earlier set left comes for longer than the quiet time, but never pauses."""
    told: list[int] = []
    described: list[int] = []

    def floods(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Clear) and not told:
            for number in range(60):
                board.log((START, 77, 1000 + number), (EXIT, 77, 1001 + number))
                told.append(number)
                time.sleep(0.005)
        if isinstance(message, SendDescriptions):
            described.append(len(told))
        runs_one_job(board, message)

    def paced(board: ScriptedBoard, message: Message) -> None:
        threading.Thread(target=floods, args=(board, message)).start()

    with scripted("G3b", paced) as board, session_on(board, quiet_ms=200) as session:
        assert [event.type for event in session.run(one_job())] == [START, EXIT, DONE]
    assert described == [60]
