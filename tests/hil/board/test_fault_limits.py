"""Faults strike where they say, or are refused: what a board can't have is no silent success."""

import pytest

from hil.board.faults import check_works, parse
from hil.board.kinds import KINDS
from hil.board.options import BoardOptions
from hil.board.process import serve
from hil.messages import Start
from taskgen.dialect.boards import BOARDS
from taskgen.errors import UsageError
from tests.hil.board.test_board_faults import Caller, board


@pytest.mark.parametrize(
    ("generation", "fault", "message"),
    [
        ("G1", "hang-on-kill", "fault hang-on-kill: boards of G1 can't have it"),
        ("G4", "hang-on-kill", "fault hang-on-kill: boards of G4 can't have it"),
        ("G1p", "duplicate-push", "fault duplicate-push: boards of G1p can't have it"),
        ("G1o", "stale-events:3", "fault stale-events: boards of G1o can't have it"),
        ("G1", "stale-tail:at=GET_PROFILE", "fault stale-tail:at=GET_PROFILE: boards of G1 know no GET_PROFILE"),
        ("G3b", "wrong-reply:at=AVAILABLE", "fault wrong-reply:at=AVAILABLE: boards of G3b know no AVAILABLE"),
        ("G4", "freeze:after=2OPTIMIZE", "fault freeze:after=2OPTIMIZE: boards of G4 know no OPTIMIZE"),
    ],
)
def test_what_a_generation_cannot_have_is_refused(generation: str, fault: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        BoardOptions(generation, count=2, faults=(f"1:{fault}",))
    assert str(caught.value) == message
    with serve(generation=generation) as boards, pytest.raises(UsageError) as caught:
        boards.inject(0, fault)
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_is_for_some_board(kind: str) -> None:
    works = [name for name, row in BOARDS.items() if KINDS[kind].works(row)]
    assert works
    for name in works:
        check_works(parse(kind), BOARDS[name])


def test_what_clients_send_may_be_unknown_to_the_board() -> None:
    check_works(parse("latency:5,at=OPTIMIZE"), BOARDS["G4"])
    check_works(parse("freeze:after=BINARY"), BOARDS["G1"])


def test_a_board_accepts_only_once_a_client_has_started_a_set() -> None:
    with board("accept-only:after=START") as server:
        address = server.stations[0].address
        for _ in range(2):
            with Caller(address) as caller:
                assert caller.is_served
        with Caller(address) as caller:
            caller.say(Start())
            assert caller.is_served
        for _ in range(2):
            with Caller(address) as caller:
                assert not caller.is_served


def test_a_count_of_starts_goes_on_from_client_to_client() -> None:
    with board("accept-only:after=2START,once") as server:
        address = server.stations[0].address
        served = []
        for _ in range(4):
            with Caller(address) as caller:
                served.append(caller.is_served)
                if served[-1]:
                    caller.say(Start())
                    assert caller.is_served
        assert served == [True, True, False, True]
