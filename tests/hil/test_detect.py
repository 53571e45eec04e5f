"""Which generation answers: told as far as the answers tell, and never guessed."""

import re

import pytest

import hil.board
from hil.connection import Link, connect
from hil.detect import detect, only
from hil.documents import live, profile
from hil.documents.live import Row
from hil.documents.profile import Stamped
from hil.messages import Available, Document, GetLive, GetProfile, Message, Unknown
from hil.session import TaskloaderSession
from taskgen.addresses import Address
from taskgen.dialect.boards import BOARDS
from taskgen.errors import UsageError
from taskgen.events import EventType
from taskgen.session import Target
from tests.hil.scripted import ScriptedBoard, scripted, session_on

#: What the answers of an idle board in software leave open.
TOLD = {
    "G1": {"G1", "G1o"},
    "G1o": {"G1", "G1o"},
    "G1p": {"G1p", "G3a"},
    "G3a": {"G1p", "G3a"},
    "G3b": {"G3b"},
    "G4": {"G4"},
}


@pytest.mark.parametrize("generation", BOARDS)
def test_boards_of_each_generation_are_told_as_far_as_their_answers_go(generation: str) -> None:
    with hil.board.serve(generation=generation) as boards:
        found = TaskloaderSession.inspect(Target("taskloader", boards.targets[0].address))
    assert found["state"] == "idle"
    assert found["latency_ns"] > 0
    assert set(found["generation"].split(" or ")) == TOLD[generation]


@pytest.mark.parametrize("generation", [name for name, told in TOLD.items() if len(told) == 1])
def test_auto_is_enough_where_one_remains(generation: str) -> None:
    with scripted(generation) as board, session_on(board, dialect="auto") as session:
        assert session.row is BOARDS[generation]
        assert session.capabilities.policies == ({"fp"} if generation == "G4" else {"fp", "edf", "mixed"})


def test_two_that_remain_are_both_named_with_the_line_to_write() -> None:
    sentence = r"127.0.0.1:\d+: the board is of generation G1p or G3a"
    with (
        scripted("G3a") as board,
        pytest.raises(UsageError, match=sentence) as raised,
        session_on(board, dialect="auto"),
    ):
        pass
    assert raised.value.exit_code == 2
    assert 'dialect = "G1p" or dialect = "G3a"' in raised.value.hint


def full_list(count: int, *, exit_time: int | None = 0) -> bytes:
    rows = [Row("init -> taskloader", "07.hey", 7, 100, exit_time=exit_time)]
    unused = Row("", "", 0, 0, priority=0, state=0, exit_time=exit_time)
    return live.render([*rows, *[unused] * (count - 1)], None, "G4")


@pytest.mark.parametrize(
    ("xml", "names"),
    [
        (full_list(30), {"G3b"}),  # the others fill their lists up
        (full_list(100), {"G1", "G1o"}),
        (full_list(100, exit_time=None), {"G1"}),  # an old build
        (live.render([Row("init", "a", number, 1) for number in range(100)], None, "G4"), {"G1", "G1o", "G3b"}),
    ],
)
def test_thread_lists_tell_silent_boards_apart(xml: bytes, names: set[str]) -> None:
    def lists(board: ScriptedBoard, message: Message) -> bool:
        if isinstance(message, GetLive):
            board.say(Document("live", xml))
        return isinstance(message, GetLive)

    with scripted("G3b", lists) as board:
        found = TaskloaderSession.inspect(Target("taskloader", f"127.0.0.1:{board.port}"))
    assert set(found["generation"].split(" or ")) == names


@pytest.mark.parametrize(("generation", "names"), [("G3b", "G3b"), ("G3a", "G1p or G3a")])
def test_a_log_with_events_is_asked_for_again(generation: str, names: str) -> None:
    def leftover(board: ScriptedBoard, message: Message) -> bool:
        first = isinstance(message, GetProfile) and board.names().count("GetProfile") == 1
        if first:
            board.say(Document("profile", profile.render([Stamped(EventType.EXIT, 3, 500)])))
        return first

    with scripted(generation, leftover) as board:
        address = Address("127.0.0.1", board.port)
        link = Link(connect(address, 10**9), address)
        rows = detect(link, doubt_ns=100_000_000)
        link.close()
    assert " or ".join(row.name for row in rows) == names


def test_only_harmless_questions_are_asked() -> None:
    with scripted("G3a") as board:
        TaskloaderSession.inspect(Target("taskloader", f"127.0.0.1:{board.port}"))
    questions = {Available, GetProfile, GetLive}
    assert {type(message) for message in board.heard} <= questions | {Unknown}
    assert {message.word for message in board.heard if isinstance(message, Unknown)} == {0xAAAAA}


def test_one_row_needs_no_decision() -> None:
    assert only((BOARDS["G4"],), "somewhere") is BOARDS["G4"]
    with pytest.raises(UsageError, match=re.escape("somewhere: the board is of generation G1 or G4")):
        only((BOARDS["G1"], BOARDS["G4"]), "somewhere")
