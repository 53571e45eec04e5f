"""The taskloader protocol without IO: each message as bytes, states, what the driver is told, limits."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.messages import (
    MAX_DESCRIPTIONS,
    MAX_DOCUMENT,
    MAX_IMAGE,
    Available,
    Binary,
    Clear,
    Document,
    GetLive,
    GetProfile,
    GoSend,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescriptions,
    Unknown,
)
from hil.wire import (
    SPLIT,
    Connection,
    Limits,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    Role,
    State,
    encode,
)
from tests.hil.wires import (
    EMPTY_LOG,
    FROM_BOARD,
    FROM_CLIENT,
    GENERATIONS,
    GO,
    LOG,
    STALE,
    UPLOAD,
    Recorded,
    board,
    client,
    hand,
    known,
    outcome,
    slices,
)


def asked(generation: str) -> tuple[Connection, Connection]:
    """Return a client that waits for all that this generation can answer, and its board."""
    ours, theirs = client(generation), board(generation)
    for request in (GetProfile(), GetLive(), Available()):
        if any(entry.message == request for entry in known(FROM_CLIENT, generation)):
            hand(request, ours, theirs)
            hand(request, ours, theirs)
    return ours, theirs


# Each message, as bytes.


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_client_sends_what_was_recorded_and_a_board_reads_it(generation: str) -> None:
    for message, recorded, _ in known(FROM_CLIENT, generation):
        assert client(generation).send(message) == recorded
        assert board(generation).receive(recorded) == [message]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_board_sends_what_was_recorded_and_a_client_reads_it(generation: str) -> None:
    ours, theirs = asked(generation)
    for message, recorded, _ in known(FROM_BOARD, generation):
        assert theirs.send(message) == recorded
        assert ours.receive(recorded) == [message]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_upload_takes_turns(generation: str) -> None:
    ours, theirs = client(generation), board(generation)
    for message, recorded, _ in UPLOAD:
        sender, receiver = (theirs, ours) if isinstance(message, GoSend) else (ours, theirs)
        assert sender.send(message) == recorded
        assert receiver.receive(recorded) == [message]
    assert (ours.state, theirs.state) == (State.IDLE, State.IDLE)


@pytest.mark.parametrize("entry", [*FROM_CLIENT, *UPLOAD, *FROM_BOARD], ids=lambda entry: type(entry.message).__name__)
def test_encoding_needs_no_connection(entry: Recorded) -> None:
    assert encode(entry.message) == entry.bytes


def test_a_board_can_write_length_and_text_apart() -> None:
    data = board().send(Document("profile", LOG))
    assert data[:SPLIT] == (43 + 44 + 5 + 1 + 6 + 44 + 4 + 1 + 6).to_bytes(4, "little")  # wire-protocol 3.1
    assert data[SPLIT:] == LOG + b"\0"


def whole_stream(direction: str) -> bytes:
    """Return all that a G4 client sends in one conversation ("there"), or all that its board does ("back")."""
    if direction == "back":
        back = [entry.bytes for entry in FROM_BOARD]
        return b"".join([*back, GO, *back])
    there = [entry.bytes for entry in known(FROM_CLIENT, "G4") if entry.message != Reboot()]
    uploads = [entry.bytes for entry in UPLOAD if not isinstance(entry.message, GoSend)]
    return b"".join([*there, *uploads, *there])


def reader(direction: str) -> Connection:
    if direction == "there":
        return board()
    ours = client()
    for request in (Available(), Available(), SendBinaries(1)):
        ours.send(request)
    return ours


@pytest.mark.parametrize("direction", ["there", "back"])
def test_byte_by_byte_is_all_at_once(direction: str) -> None:
    stream = whole_stream(direction)
    at_once = outcome(reader(direction), [stream])
    assert at_once.error is None
    assert len(at_once.messages) == {"there": 2 * 8 + 3, "back": 2 * 5 + 1}[direction]
    assert outcome(reader(direction), (stream[i : i + 1] for i in range(len(stream)))) == at_once


@given(direction=st.sampled_from(["there", "back"]), cuts=st.lists(st.integers(0, 2000)))
def test_slicing_never_matters(direction: str, cuts: list[int]) -> None:
    stream = whole_stream(direction)
    assert outcome(reader(direction), slices(stream, cuts)) == outcome(reader(direction), [stream])


def test_zeros_behind_the_text_are_tolerated() -> None:
    assert client().receive(encode(Document("profile", LOG + bytes(3)))) == [Document("profile", LOG + bytes(3))]


def test_a_stale_tail_stays_for_the_reader_of_the_xml() -> None:
    assert client().receive(encode(Document("profile", STALE))) == [Document("profile", STALE)]


# What nobody can send.


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: SendDescriptions(b""), "SEND_DESCS: xml: 0 bytes"),
        (lambda: SendDescriptions(bytes(MAX_DESCRIPTIONS + 1)), "10485761 bytes"),
        (lambda: SendDescriptions("<taskset/>"), "expected bytes"),  # type: ignore[arg-type]
        (lambda: Optimize(b""), "OPTIMIZE: xml: 0 bytes"),
        (lambda: SendBinaries(-1), "count: -1"),
        (lambda: SendBinaries(1 << 31), "count: 2147483648"),
        (lambda: SendBinaries(True), "count: True"),
        (lambda: Binary("", b"x"), "name: ''"),
        (lambda: Binary("sixteen-letters!", b"x"), "expected 1..15 ASCII characters"),
        (lambda: Binary("a\0b", b"x"), "without NUL"),
        (lambda: Binary("größe", b"x"), "ASCII"),
        (lambda: Binary(b"hey", b"x"), "ASCII"),  # type: ignore[arg-type]
        (lambda: Binary("hey", b""), "binary hey: image: 0 bytes"),
        (lambda: Binary("hey", bytes(MAX_IMAGE + 1)), "41943041 bytes"),
        (lambda: Document("profile", b"<profile/>"), "10 bytes"),
        (lambda: Document("profile", EMPTY_LOG + b"\0\n"), "NUL at 32"),
        (lambda: Document("live", EMPTY_LOG), "root: 'live'"),
        (lambda: Document("html", b"<html>" + bytes(40)), "root: 'html'"),  # type: ignore[arg-type]
        (lambda: Document("profile", b"<profile>".ljust(MAX_DOCUMENT)), "16777216 bytes"),
        (lambda: Limits(document=32), "limits: document: 32"),
        (lambda: Limits(image=MAX_IMAGE + 1), "limits: image"),
        (lambda: Connection(Role.BOARD), "row: None"),
        (lambda: encode(Unknown(1)), "isn't a message that travels"),  # type: ignore[arg-type]
    ],
)
def test_what_the_wire_cannot_carry_does_not_exist(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(LocalProtocolError) as caught:
        make()
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_errors_come_in_two_kinds_and_survive_a_pickle() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ProtocolError("neither ours nor theirs")
    ours = client()
    with pytest.raises(RemoteProtocolError) as caught:
        ours.receive(encode(Document("profile", LOG)) + b"\xff" * 100)
    error = caught.value
    assert (error.offset, error.state, error.data) == (158, "idle", b"\xff" * 32)
    assert error.messages == (Document("profile", LOG),)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes
    assert (str(copy), copy.messages) == (str(error), error.messages)
    assert "ff ff" in str(error)
    assert error.exit_code == 75


def test_large_messages_print_small() -> None:
    assert len(repr(Binary("hey", bytes(10_000)))) < 300
    assert repr(SendBinaries(2)) == "SendBinaries(count=2)"


# White space that keeps boards in step.


@pytest.mark.parametrize(("size", "sent"), [(4095, 4095), (4096, 4097), (8192, 8193), (10, 10)])
def test_descriptions_never_fill_whole_pages(size: int, sent: int) -> None:
    [message] = hand(SendDescriptions(b"<taskset/>".ljust(size)), client(), board())
    assert isinstance(message, SendDescriptions)
    assert (len(message.xml), message.xml.rstrip()) == (sent, b"<taskset/>")


@pytest.mark.parametrize(("size", "sent"), [(7, 8), (8, 8), (4093, 4100), (4096, 4100)])
def test_a_board_that_does_not_know_optimize_stays_in_step(size: int, sent: int) -> None:
    data = client("G1o").send(Optimize(b"<goal/>".ljust(size)))
    assert len(data) == 8 + sent
    *_, last = board("G4").receive(data + encode(Clear()))
    assert last == Clear()
