"""A session on boards in software: the same events as the simulator, and the promises of every session."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hil
import hil.board
from hil.derive import LOSSES
from hil.messages import Clear, SendDescriptions
from hil.session import TaskloaderSession, capabilities_of
from sim.session import SimSession
from taskgen import in_use, registry
from taskgen.addresses import Address
from taskgen.boards import BoardTarget
from taskgen.dialect.boards import BOARDS
from taskgen.errors import ConnectError, TargetLost, Unsupported, UsageError
from taskgen.events import EventType
from taskgen.handover import Handover
from taskgen.optimizations.fairness import Fairness
from taskgen.session import Session, Target
from taskgen.taskset import TaskSet
from taskgen.testing import check_session
from tests.hil.agreement import agree, fresh, tasksets, told
from tests.hil.scripted import one_job, runs_one_job, scripted, session_on

WITH_EVENTS = ("G1p", "G3a", "G3b", "G4")


@pytest.fixture(scope="module", params=WITH_EVENTS)
def boards(request: pytest.FixtureRequest) -> Iterator[hil.board.Boards]:
    with hil.board.serve(generation=request.param, speed="max") as boards:
        yield boards


@pytest.fixture
def board(boards: hil.board.Boards) -> Target:
    return fresh(boards)


@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_a_board_tells_what_the_simulator_says(boards: hil.board.Boards, data: st.DataObject) -> None:
    board = fresh(boards)
    agree(board, data.draw(tasksets(board.options["dialect"], 60, (0, 130, 700))), None)


@given(data=st.data(), horizon_ms=st.sampled_from([500, 900]))
@settings(max_examples=6, deadline=None)
def test_a_board_is_cut_off_where_the_simulator_is(
    boards: hil.board.Boards, data: st.DataObject, horizon_ms: int
) -> None:
    board = fresh(boards)
    agree(board, data.draw(tasksets(board.options["dialect"], 900, (0, 130))), horizon_ms)


@pytest.mark.parametrize(("offsets_ms", "horizon_ms"), [((0, 700), 500), ((700, 900), 500), ((700, 300), 1000)])
def test_the_horizon_counts_from_time_zero_also_behind_offsets(
    boards: hil.board.Boards, offsets_ms: tuple[int, ...], horizon_ms: int
) -> None:
    board = fresh(boards)
    ignored = BOARDS[board.options["dialect"]].offsets == "ignored"
    tasks = [
        {"id": number, "pkg": "hey", "executiontime": 20, "period": 400, "numberofjobs": 2, "priority": 1}
        | ({} if ignored else {"offset": offset_ms})
        for number, offset_ms in enumerate(offsets_ms)
    ]
    agree(board, TaskSet(tasks), horizon_ms)


def test_one_session_runs_one_set_after_another_as_the_simulator_does(board: Target) -> None:
    simulator = SimSession(profile=board.options["dialect"])
    with TaskloaderSession.open(board) as session:
        for jobs in (1, 3, 2):
            taskset = one_job(numberofjobs=jobs)
            assert told(session.run(taskset)) == told(simulator.run(taskset))


def test_it_passes_the_conformance_suite(board: Target) -> None:
    check_session(lambda: TaskloaderSession.open(board), block={"pkg": "hey"}, patience_s=30)


@pytest.mark.parametrize("generation", ["G1", "G1o"])
def test_boards_without_events_are_sampled(generation: str) -> None:
    with hil.board.serve(generation=generation, speed=1.0) as boards:
        target = boards.targets[0]
        with TaskloaderSession.open(Target("taskloader", target.address, {**target.options, "poll_ms": 20})) as session:
            seen = told(session.run(one_job(), horizon_ms=1500))
    assert seen == told(SimSession(profile=generation).run(one_job(), horizon_ms=1500))[: len(seen)]
    assert [kind for _, kind, *_ in seen] == [EventType.START, EventType.EXIT]


def test_capabilities_say_what_a_generation_tells() -> None:
    known = {name: capabilities_of(row, 2, 10) for name, row in BOARDS.items()}
    assert {name for name, each in known.items() if not each.outcomes} == {"G1", "G1o"}
    assert {name for name, each in known.items() if each.job_limits} == {"G3a", "G3b", "G4"}
    assert {name for name, each in known.items() if each.offsets} == {"G3a", "G3b", "G4"}
    assert {name for name, each in known.items() if each.admission} == {"G1o", "G3a", "G3b"}
    assert {name for name, each in known.items() if "edf" in each.policies} == {"G1o", "G1p", "G3a", "G3b"}
    assert all(each.job_numbers == "starts" and not each.deterministic for each in known.values())
    assert len(LOSSES) == len(set(LOSSES)) == 7


# --- connections


def test_opening_a_board_of_a_known_generation_asks_nothing() -> None:
    with scripted("G4") as board, session_on(board):
        pass
    assert board.heard == []
    assert board.connections == 1


def test_a_connection_that_discovery_opened_is_adopted() -> None:
    import socket

    with scripted("G4", runs_one_job) as board:
        address = Address("127.0.0.1", board.port)
        handover = Handover(address, socket.create_connection(address), 1)
        options = {"dialect": "G4", "binaries": "none"}
        with TaskloaderSession.open(BoardTarget("taskloader", str(address), options, connection=handover)) as session:
            assert len(list(session.run(one_job()))) == 3
        assert board.connections == 1


def test_a_board_in_use_is_there_and_isnt_touched() -> None:
    with scripted("G4", runs_one_job) as board:
        target = Target("taskloader", f"127.0.0.1:{board.port}", {"dialect": "G4", "binaries": "none"})
        with session_on(board) as session:
            list(session.run(one_job()))
            assert TaskloaderSession.probe(target)
            assert TaskloaderSession.inspect(target) == {"state": "in use"}
            assert board.connections == 1
        assert not in_use.held(Address("127.0.0.1", board.port))
        assert TaskloaderSession.probe(target)


def test_nobody_there() -> None:
    with scripted() as board:
        port = board.port
    target = Target("taskloader", f"127.0.0.1:{port}", {"dialect": "G4", "binaries": "none"})
    assert not TaskloaderSession.probe(target)
    with pytest.raises(ConnectError, match=f"127.0.0.1:{port}: nobody accepts a connection"):
        TaskloaderSession.open(target)


def test_a_session_that_lost_its_board_connects_anew_for_the_next_run() -> None:
    with scripted("G4", runs_one_job) as board, session_on(board) as session:
        list(session.run(one_job()))
        board.hang_up()
        link = session._link
        assert link is not None
        with pytest.raises(TargetLost, match="closed the connection"):
            link.receive(link.now() + 5 * 10**9)
        assert len(list(session.run(one_job()))) == 3
        assert board.connections == 2


def test_a_finished_set_stays_finished_when_the_board_dies_behind_it() -> None:
    def dies(board: Any, message: Any) -> None:
        runs_one_job(board, message)
        if "Start" in board.names() and isinstance(message, Clear):
            board.hang_up()

    with scripted("G4", dies) as board, session_on(board) as session:
        assert len(list(session.run(one_job()))) == 3


# --- options, names


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dialect": "G5"}, "there is no generation 'G5'"),
        ({"port": 0}, "port: 0 is no port"),
        ({"cores": 0}, "cores: 0, expected at least 1"),
        ({"reply_ms": 0}, "reply_ms: 0 is no time to wait"),
        ({"binary": "x"}, "takes no option 'binary'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        TaskloaderSession.open(Target("taskloader", "127.0.0.1:9", options))


def test_admission_goes_to_boards_that_have_an_optimiser() -> None:
    with scripted("G4") as board, session_on(board) as session, pytest.raises(Unsupported, match="no admission"):
        session.run(one_job(), admission=Fairness())
    with scripted("G3a", runs_one_job) as board, session_on(board) as session:
        assert len(list(session.run(one_job(), admission=Fairness()))) == 3
        sent = next(message for message in board.heard if isinstance(message, SendDescriptions))
        assert b"<fairness><apply>1</apply></fairness>" in sent.xml


def test_the_names_of_the_original_tool() -> None:
    known = registry.entries("sessions")
    if "taskloader" not in known:
        pytest.skip("the installed metadata is older than pyproject.toml")
    names = {"taskloader", "genode.GenodeSession"}
    assert {registry.load("sessions", name) for name in names} == {TaskloaderSession}
    assert registry.load("sessions", "simso.SimSoSession") is SimSession
    assert issubclass(hil.TaskloaderSession, Session)
