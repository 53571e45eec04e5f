"""Byte streams as they were seen on the wire, and small things that the tests of the wire share."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pytest

from hil.messages import (
    Acknowledgement,
    Available,
    Binary,
    Clear,
    Document,
    FromBoard,
    FromClient,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescriptions,
    Start,
    Stop,
)
from hil.wire import Connection, RemoteProtocolError, Role, State
from taskgen.dialect.boards import BOARDS

GO = bytes.fromhex("90000000")
GENERATIONS = ("G1", "G1o", "G1p", "G3a", "G3b", "G4")
WITH_LOG = ("G1p", "G3a", "G3b", "G4")

EMPTY_LOG = b"<profile>\n\t<events/>\n</profile>\n"
LOG = (
    b"<profile>\n\t<events>\n"
    b'\t\t<event type="START" task-id="0" time-stamp="123456"/>\n'
    b'\t\t<event type="EXIT" task-id="0" time-stamp="123999"/>\n'
    b"\t</events>\n</profile>\n"
)
LIVE = b"<live>\n\t<task-descriptions/>\n</live>\n"
#: A log that is shorter than the one before it in the board's buffer (wire-protocol 1.3).
STALE = EMPTY_LOG + LOG[len(EMPTY_LOG) :]


class Recorded(NamedTuple):
    """One message, the bytes that carry it, and the generations that have it."""

    message: Any
    bytes: bytes
    generations: tuple[str, ...] = GENERATIONS


FROM_CLIENT = [
    Recorded(SendDescriptions(b"<taskset/>"), bytes.fromhex("e50d0000 0a000000 3c7461736b7365742f3e")),
    Recorded(Clear(), bytes.fromhex("e60d0000")),
    Recorded(SendBinaries(0), bytes.fromhex("1ef1e50d 00000000")),
    Recorded(Start(), bytes.fromhex("e54d5100")),
    Recorded(Stop(), bytes.fromhex("e64d5100")),
    Recorded(GetProfile(), bytes.fromhex("d1590100"), WITH_LOG),
    Recorded(GetLive(), bytes.fromhex("d2590100")),
    Recorded(Optimize(b"<goal/>\n"), bytes.fromhex("74706f00 08000000 3c676f616c2f3e0a"), ("G1o",)),
    Recorded(Available(), bytes.fromhex("aaaa0a00"), ("G4",)),
    Recorded(Reboot(), bytes.fromhex("d3590100"), ("G3a", "G3b", "G4")),
]
UPLOAD = [
    Recorded(SendBinaries(2), bytes.fromhex("1ef1e50d 02000000")),
    Recorded(GoSend(), bytes.fromhex("90000000")),
    Recorded(Binary("hey", b"\x7fELF"), bytes.fromhex("68657900 00000000 00000000 00000000 04000000 7f454c46")),
    Recorded(GoSend(), bytes.fromhex("90000000")),
    Recorded(Binary("fifteen-letters", b"\0"), bytes.fromhex("6669667465656e2d6c65747465727300 01000000 00")),
]
FROM_BOARD = [
    Recorded(
        Document("profile", EMPTY_LOG),
        bytes.fromhex("21000000 3c70726f66696c653e0a 093c6576656e74732f3e0a 3c2f70726f66696c653e0a 00"),
        WITH_LOG,
    ),
    Recorded(
        Document("profile", LOG),
        bytes.fromhex(
            "9a000000 3c70726f66696c653e0a 093c6576656e74733e0a"
            "09093c6576656e7420747970653d2253544152542220"
            "7461736b2d69643d2230222074696d652d7374616d703d22313233343536222f3e0a"
            "09093c6576656e7420747970653d22455849542220"
            "7461736b2d69643d2230222074696d652d7374616d703d22313233393939222f3e0a"
            "093c2f6576656e74733e0a 3c2f70726f66696c653e0a 00"
        ),
        WITH_LOG,
    ),
    Recorded(
        Document("live", LIVE),
        bytes.fromhex("26000000 3c6c6976653e0a 093c7461736b2d6465736372697074696f6e732f3e0a 3c2f6c6976653e0a 00"),
    ),
    Recorded(Available(), bytes.fromhex("aaaa0a00"), ("G4",)),
    Recorded(Acknowledgement(), bytes.fromhex("01000000 31")),
]


def known(table: list[Recorded], generation: str) -> list[Recorded]:
    return [entry for entry in table if generation in entry.generations]


def client(generation: str | None = "G4", **options: Any) -> Connection:
    return Connection(Role.CLIENT, BOARDS[generation] if generation else None, **options)


def board(generation: str = "G4", **options: Any) -> Connection:
    return Connection(Role.BOARD, BOARDS[generation], **options)


def document(size: int) -> Document:
    """Return a log whose n, with the NUL, is `size`."""
    return Document("profile", EMPTY_LOG[:-1] + b" " * (size - len(EMPTY_LOG) - 1) + b"\n")


def in_state(role: Role, state: State, generation: str = "G4") -> Connection:
    """Return a connection that was led into a state; a client in AWAIT_GO has two binaries to send."""
    ours, theirs = client(generation), board(generation)
    machine = ours if role is Role.CLIENT else theirs
    match state:
        case State.AWAIT_GO:
            hand(SendBinaries(2), ours, theirs)
        case State.GO:
            hand(SendBinaries(2), ours, theirs)
            hand(GoSend(), theirs, ours)
        case State.REBOOTING:
            hand(Reboot(), ours, theirs)
        case State.HUNG:
            machine.receive(bytes.fromhex("e50d0000 00000000"))
        case State.CLOSED:
            machine.receive(b"")
        case State.ERROR:
            with pytest.raises(RemoteProtocolError):
                machine.receive(b"garbage!")
    assert machine.state is state
    return machine


def hand(message: FromClient | FromBoard, sender: Connection, receiver: Connection) -> list[Message]:
    """Send a message from one machine to the other; return what arrives."""
    return receiver.receive(sender.send(message))


class Outcome(NamedTuple):
    """What a machine made of a stream."""

    messages: list[Message]
    #: Where in the stream the frame of an error begins; None: no error.
    error: int | None


def outcome(machine: Connection, chunks: Iterable[bytes]) -> Outcome:
    """Feed chunks, empty ones left out, then the end of the stream."""
    messages: list[Message] = []
    try:
        for chunk in filter(None, chunks):
            messages += machine.receive(chunk)
        messages += machine.receive(b"")
    except RemoteProtocolError as error:
        messages += error.messages  # type: ignore[arg-type]  # messages are all that it carries
        assert machine.state is State.ERROR
        return Outcome(messages, error.offset)
    assert machine.state is State.CLOSED
    return Outcome(messages, None)


def slices(stream: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """Cut a stream at these offsets, modulo its length."""
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    for begin, end in zip([0, *places], [*places, len(stream)], strict=True):
        yield stream[begin:end]
