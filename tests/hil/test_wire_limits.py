"""What one word from a board can mean, in each state: GO_SEND, an echo, an acknowledgement, a length, rubbish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.messages import (
    MAX_DOCUMENT,
    Acknowledgement,
    Available,
    Binary,
    Document,
    FromBoard,
    GoSend,
    SendBinaries,
    SendDescriptions,
)
from hil.wire import Connection, Limits, LocalProtocolError, RemoteProtocolError, Role, State, encode
from taskgen.dialect.boards import BOARDS
from tests.hil.wires import EMPTY_LOG, GO, LIVE, LOG, board, client, document, in_state

READING = [State.IDLE, State.AWAIT_GO, State.GO, State.REBOOTING]
#: AVAILABLE as a length.
ECHO = 0xAAAAA


def log(*events: tuple[str, int, int]) -> Document:
    """Return the profile of these events (type, task id, stamp in ms), as boards write it (wire-protocol 3.1)."""
    lines = "".join(f'\t\t<event type="{kind}" task-id="{task}" time-stamp="{ms}"/>\n' for kind, task, ms in events)
    return Document("profile", f"<profile>\n\t<events>\n{lines}\t</events>\n</profile>\n".encode())


def size(message: FromBoard) -> int:
    return int.from_bytes(encode(message)[:4], "little")


# Hazard 5: 0x90 is GO_SEND, or the length 144.


def test_a_push_in_front_of_go_send_is_delivered_and_the_waiting_goes_on() -> None:
    ours = in_state(Role.CLIENT, State.AWAIT_GO)
    assert ours.receive(encode(Document("profile", LOG))) == [Document("profile", LOG)]
    assert (ours.state, ours.expects_reply) == (State.AWAIT_GO, True)
    assert ours.receive(encode(Document("live", LIVE)) + GO) == [Document("live", LIVE), GoSend()]
    assert ours.state is State.GO


@pytest.mark.parametrize("n", [33, 143, 145, 255, 4096, MAX_DOCUMENT])
def test_any_other_length_is_one_while_go_send_is_awaited(n: int) -> None:
    ours = in_state(Role.CLIENT, State.AWAIT_GO, "G3a")
    assert ours.receive(encode(document(n))) == [document(n)]
    assert ours.state is State.AWAIT_GO


@pytest.mark.parametrize("state", [State.IDLE, State.GO, State.REBOOTING])
def test_144_is_a_length_when_nobody_awaits_go_send(state: State) -> None:
    assert in_state(Role.CLIENT, state).receive(encode(document(144))) == [document(144)]


def test_a_log_of_144_bytes_in_place_of_go_send_is_found_out_at_once() -> None:
    ours = in_state(Role.CLIENT, State.AWAIT_GO)
    data = encode(log(("START", 1, 2), ("EXIT", 1, 9)))
    assert ours.receive(data[:4]) == [GoSend()]
    with pytest.raises(RemoteProtocolError, match="word 0x6f72703c isn't what a board sends"):
        ours.receive(data[4:8])


TYPES = ["START", "EXIT", "EXIT_CRITICAL", "EXIT_EXTERNAL", "EXIT_ERROR", "EXIT_PERIOD", "NOT_SCHEDULED", "JOBS_DONE"]
TYPES += ["OUT_OF_QUOTA", "OUT_OF_CAPS", "UNKNOWN"]
EVENTS = st.tuples(st.sampled_from(TYPES), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))


@given(st.lists(EVENTS, min_size=1, max_size=4))
def test_only_two_events_of_a_clocks_first_tenth_of_a_second_have_144_bytes(events: list[tuple[str, int, int]]) -> None:
    if size(log(*events)) == 144:
        assert len(events) == 2
        assert {kind for kind, _, _ in events} <= {"START", "EXIT"}
        assert max(ms for _, _, ms in events) < 100


@pytest.mark.parametrize(
    ("first", "second", "n"),
    [
        (("START", 9, 9), ("EXIT", 9, 9), 144),
        (("EXIT", 9, 9), ("EXIT", 8, 99), 144),
        (("START", 9, 9), ("EXIT", 9, 10), 145),
        (("START", 10, 9), ("EXIT", 10, 9), 146),
        (("START", 0, 123456), ("EXIT", 0, 123999), 154),  # measured (wire-protocol 3.1)
    ],
)
def test_the_size_of_a_log(first: tuple[str, int, int], second: tuple[str, int, int], n: int) -> None:
    assert size(log(first, second)) == n


def test_one_event_is_too_short_and_three_are_too_long() -> None:
    longest = size(log(("EXIT_EXTERNAL", 2**32 - 1, 2**32 - 1)))
    shortest = size(log(*[("EXIT", 0, 0)] * 3))
    assert longest < 144 < shortest


# 0xAAAAA is AVAILABLE, or the length 699 050.


@pytest.mark.parametrize("generation", ["G1p", "G3a", "G3b", None])
def test_a_log_can_be_as_long_as_available_where_nobody_knows_it(generation: str | None) -> None:
    ours = client(generation)
    assert ours.receive(encode(document(ECHO))) == [document(ECHO)]


def test_an_echo_that_nobody_asked_for_is_an_error_and_no_length() -> None:
    ours = client("G4")
    ours.send(Available())
    assert ours.receive(encode(Available())) == [Available()]
    with pytest.raises(RemoteProtocolError, match="word 0xaaaaa"):
        ours.receive(encode(Available()))


def test_a_board_that_pushes_100_000_bytes_at_most_sends_no_longer_documents() -> None:
    assert client("G4").receive(encode(document(100_000))) == [document(100_000)]
    with pytest.raises(RemoteProtocolError, match=r"a length 33\.\.699049"):
        client("G4").receive(encode(document(ECHO + 1)))


def test_an_identified_board_without_available_may_send_its_length() -> None:
    ours = client(None)
    ours.send(Available())
    ours.identify(BOARDS["G3b"])
    assert ours.receive(encode(document(ECHO))) == [document(ECHO)]


# Each state and each kind of word.


@pytest.mark.parametrize("state", READING)
@pytest.mark.parametrize("message", [Document("profile", EMPTY_LOG), Document("live", LIVE), Acknowledgement()])
def test_documents_and_acknowledgements_come_in_any_state(state: State, message: FromBoard) -> None:
    ours = in_state(Role.CLIENT, state)
    assert ours.receive(encode(message)) == [message]
    assert ours.state is state


@pytest.mark.parametrize("state", READING)
@pytest.mark.parametrize(
    "data",
    [
        "00000000",
        "02000000",
        "20000000",  # 32, one less than the shortest profile
        "01000001",  # 16 MiB and a byte
        "ffffffff",
        "00000080",
        "3c70726f",  # <pro: the text without its length
        "0100000032",  # an acknowledgement is '1'
        "210000003f",  # <?xml
        "210000003c68",  # <h
        "21000000 0a",
        "26000000 3c6c6976 66",
    ],
)
def test_rubbish_is_an_error_as_soon_as_it_shows(state: State, data: str) -> None:
    stream = bytes.fromhex(data)
    ours = in_state(Role.CLIENT, state)
    offset = 4 if state is State.GO else 0
    assert ours.receive(stream[:-1]) == []
    with pytest.raises(RemoteProtocolError) as caught:
        ours.receive(stream[-1:])
    assert (caught.value.offset, caught.value.state, caught.value.data) == (offset, state.value, stream)


@pytest.mark.parametrize("state", [State.IDLE, State.GO, State.REBOOTING])
def test_go_send_is_no_answer_to_anything_else(state: State) -> None:
    ours = in_state(Role.CLIENT, state)
    assert ours.receive(GO) == []  # the length 144
    with pytest.raises(RemoteProtocolError, match="a document of 144 bytes begins with"):
        ours.receive(GO)


def test_a_document_ends_with_nul() -> None:
    with pytest.raises(RemoteProtocolError, match="ends with 0x0a, expected NUL"):
        client().receive(encode(Document("profile", LOG))[:-1] + b"\n")


def test_a_document_has_no_other_nul() -> None:
    data = bytearray(encode(Document("profile", LOG)))
    data[100] = 0
    with pytest.raises(RemoteProtocolError, match="has a NUL at 96"):
        client().receive(bytes(data))


def test_a_document_does_not_swallow_the_next_message() -> None:
    data = bytearray(encode(Document("profile", LOG)) + GO)
    data[0] += 4
    with pytest.raises(RemoteProtocolError, match="has a NUL at 153"):
        in_state(Role.CLIENT, State.AWAIT_GO).receive(bytes(data))


# Limits.


@pytest.mark.parametrize("n", [33, 1000])
def test_a_document_may_be_as_long_as_the_limit_and_no_longer(n: int) -> None:
    limits = Limits(document=n)
    assert client("G3a", limits=limits).receive(encode(document(n))) == [document(n)]
    with pytest.raises(RemoteProtocolError, match=rf"a length 33\.\.{n}"):
        client("G3a", limits=limits).receive(encode(document(n + 1))[:4])
    assert board("G3a", limits=limits).send(document(n))
    with pytest.raises(LocalProtocolError, match=f"Document: {n + 1} bytes, expected at most {n}"):
        board("G3a", limits=limits).send(document(n + 1))


def test_a_client_keeps_its_own_limits() -> None:
    ours = client(limits=Limits(descriptions=10, image=10))
    assert ours.send(SendDescriptions(b"x" * 10))
    with pytest.raises(LocalProtocolError, match="SEND_DESCS: 11 bytes, expected at most 10"):
        ours.send(SendDescriptions(b"x" * 11))
    ours.send(SendBinaries(1))
    ours.receive(GO)
    with pytest.raises(LocalProtocolError, match="SEND_BINARIES: 11 bytes, expected at most 10"):
        ours.send(Binary("hey", bytes(11)))
    assert ours.send(Binary("hey", bytes(10)))


def test_an_announcement_takes_no_memory() -> None:
    for ours, head in (
        (client("G3a"), (MAX_DOCUMENT).to_bytes(4, "little") + b"<profile>"),
        (board(), encode(SendDescriptions(b"x" * (10 << 20)))[:9]),
    ):
        assert isinstance(ours, Connection)
        assert ours.receive(head) == []
        assert (ours.mid_frame, ours.trailing_data) == (True, head)
