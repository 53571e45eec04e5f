"""Faults on the wire: every single one at every position, and garbage, against a reader that has all bytes at once."""

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hil.messages import (
    Acknowledgement,
    Available,
    Binary,
    Clear,
    Document,
    Fatal,
    Fault,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Optimize,
    Part,
    Reboot,
    SendBinaries,
    SendDescriptions,
    Start,
    Stop,
    Truncated,
    Unknown,
)
from hil.wire import Connection, LocalProtocolError, State, encode
from taskgen.dialect.boards import BOARDS
from tests.hil.wires import EMPTY_LOG, GENERATIONS, LIVE, LOG, Outcome, board, client, outcome, slices

# A conversation with a G4 board, each way.

BACK: list[Any] = [
    Available(),
    Document("live", LIVE),
    Document("profile", LOG),
    GoSend(),
    Document("profile", EMPTY_LOG),
    Acknowledgement(),
    Document("profile", LOG),
]
THERE: list[Any] = [
    Clear(),
    SendDescriptions(b"<taskset><periodictask/></taskset>"),
    SendBinaries(2),
    Binary("hey", b"\x7fELF and more"),
    Binary("pi", b"\x7fELF"),
    Start(),
    GetLive(),
    Available(),
    Stop(),
]


def waiting_client() -> Connection:
    """Return a client that was sent nothing yet, and awaits what BACK has."""
    ours = client()
    for request in (GetLive(), Available(), SendBinaries(1)):
        ours.send(request)
    return ours


def stream_of(messages: list[Any]) -> tuple[bytes, list[int]]:
    """Return the bytes of a conversation, and where each message begins; at last, its length."""
    frames = [encode(message) for message in messages]
    starts = [sum(map(len, frames[:position])) for position in range(len(frames) + 1)]
    return b"".join(frames), starts


Damage = Callable[[bytes, int], bytes]
DAMAGES: dict[str, Damage] = {
    "drop": lambda data, at: data[:at] + data[at + 1 :],
    "duplicate": lambda data, at: data[: at + 1] + data[at:],
    "insert NUL": lambda data, at: data[:at] + b"\0" + data[at:],
    "insert 255": lambda data, at: data[:at] + b"\xff" + data[at:],
    "insert <": lambda data, at: data[:at] + b"<" + data[at:],
    **{
        f"flip {bit}": lambda data, at, mask=1 << bit: data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]  # type: ignore[misc]
        for bit in range(8)
    },
}


def before(starts: list[int], at: int) -> int:
    """Return how many messages are complete in front of an offset."""
    return sum(end <= at for end in starts[1:])


def halves(data: bytes, at: int) -> list[bytes]:
    return [data[:at], data[at:]]


# What a client makes of a damaged stream.


def test_a_client_sees_each_cut_except_at_the_boundary_of_a_message() -> None:
    data, starts = stream_of(BACK)
    for at in range(len(data) + 1):
        complete = before(starts, at)
        expected = Outcome(BACK[:complete], None if at in starts else starts[complete])
        assert outcome(waiting_client(), [data[:at]]) == expected


@pytest.mark.parametrize("damage", [name for name in DAMAGES if not name.startswith("flip")])
def test_a_client_sees_each_byte_too_many_or_too_few(damage: str) -> None:
    data, starts = stream_of(BACK)
    for at in range(len(data)):
        damaged = DAMAGES[damage](data, at)
        found = outcome(waiting_client(), halves(damaged, at))
        assert found.error is not None
        assert found.error >= starts[before(starts, at)]
        # Of the frame that was hit, the missing byte may be the next one's, and the spare one behind it.
        complete = before(starts, at)
        assert found.messages[:complete] == BACK[:complete]
        assert len(found.messages) <= complete + 1


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name.startswith("flip")])
def test_a_flipped_bit_is_seen_or_changes_the_text_of_one_document(damage: str) -> None:
    data, starts = stream_of(BACK)
    for at in range(len(data)):
        found = outcome(waiting_client(), halves(DAMAGES[damage](data, at), at))
        complete = before(starts, at)
        if found.error is None:
            assert len(found.messages) == len(BACK)
            changed = [new for new, old in zip(found.messages, BACK, strict=True) if new != old]
            assert [type(message) for message in changed] == [Document]
            assert found.messages.index(changed[0]) == complete
        else:
            assert found.error == starts[complete]
            assert found.messages == BACK[:complete]


# What a board makes of one.


def cut_there(at: int, data: bytes, starts: list[int]) -> list[Message]:
    """Return what the end of the stream reports, by the layouts of wire-protocol 1.3."""
    complete = before(starts, at)
    part = data[starts[complete] : at]
    if complete in {3, 4}:
        return [cut_binary(part, 5 - complete)]
    if len(part) < 4:
        return []
    if complete == 1:
        if len(part) < 8:
            return [Truncated("SEND_DESCS", Part.LENGTH, part[4:])]
        return [Truncated("SEND_DESCS", Part.PAYLOAD, part[8:], announced=34)]
    return [Truncated("SEND_BINARIES", Part.LENGTH, part[4:])]


def cut_binary(part: bytes, left: int) -> Message:
    name, announced = {2: ("hey", 13), 1: ("pi", 4)}[left]
    if len(part) < 16:
        return Truncated("SEND_BINARIES", Part.NAME, part, binaries_left=left)
    if len(part) < 20:
        return Truncated("SEND_BINARIES", Part.SIZE, part[16:], name=name, binaries_left=left)
    return Truncated("SEND_BINARIES", Part.IMAGE, part[20:], announced, name, left)


def test_a_board_says_where_a_client_went_away() -> None:
    data, starts = stream_of(THERE)
    for at in range(len(data) + 1):
        complete = before(starts, at)
        expected = [*THERE[:complete], *cut_there(at, data, starts)]
        assert outcome(board(), [data[:at]]) == Outcome(expected, None)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_board_never_raises_and_keeps_what_was_whole(damage: str) -> None:
    data, starts = stream_of(THERE)
    for at in range(len(data)):
        damaged = DAMAGES[damage](data, at)
        found = outcome(board(), halves(damaged, at))
        complete = before(starts, at)
        assert found.messages[:complete] == THERE[:complete]
        assert found == Outcome(list(board_reads(damaged, "G4")), None)


# The reader that has all bytes at once: a board's loop as wire-protocol 1.1 to 1.3 and 1.6 tell it.

WORDS = {0xDE5: SendDescriptions, 0xDE6: Clear, 0x514DE5: Start, 0x514DE6: Stop, 0x159D1: GetProfile, 0x159D2: GetLive}
WORDS |= {0x6F7074: Optimize, 0xAAAAA: Available, 0x159D3: Reboot, 0xDE5F11E: SendBinaries}
NAMES = {0xDE5: "SEND_DESCS", 0x6F7074: "OPTIMIZE", 0x159D1: "GET_PROFILE", 0xAAAAA: "AVAILABLE", 0x159D3: "REBOOT"}
BASIC = {0xDE5, 0xDE6, 0x514DE5, 0x514DE6, 0x159D2, 0xDE5F11E}


def fault(n: int, most: int) -> Fault | None:
    return Fault.NEGATIVE if n < 0 else Fault.EMPTY if n == 0 else Fault.HUGE if n > most else None


def board_reads(stream: bytes, generation: str) -> Iterator[Message]:
    wire = BytesIO(stream)
    while len(head := wire.read(4)) == 4:
        (word,) = struct.unpack("<I", head)
        if word not in BASIC and NAMES.get(word) not in BOARDS[generation].messages:
            yield Unknown(word)
        elif word in {0xDE5, 0x6F7074}:
            text = read_text(wire, word)
            yield text
            if not isinstance(text, SendDescriptions | Optimize):
                return
        elif word == 0xDE5F11E:
            for message in read_binaries(wire):
                yield message
                if isinstance(message, Fatal | Truncated):
                    return
        else:
            yield WORDS[word]()
            if word == 0x159D3:
                return


def read_text(wire: BytesIO, word: int) -> Message:
    if len(head := wire.read(4)) < 4:
        return Truncated(NAMES[word], Part.LENGTH, head)
    (n,) = struct.unpack("<i", head)
    if reason := fault(n, 10 << 20):
        return Fatal(NAMES[word], reason, n)
    text = wire.read(n)
    if len(text) < n:
        return Truncated(NAMES[word], Part.PAYLOAD, text, n)
    return SendDescriptions(text) if word == 0xDE5 else Optimize(text)


def read_binaries(wire: BytesIO) -> Iterator[Message]:
    if len(head := wire.read(4)) < 4:
        yield Truncated("SEND_BINARIES", Part.LENGTH, head)
        return
    (count,) = struct.unpack("<i", head)
    yield SendBinaries(max(count, 0))
    for left in range(count, 0, -1):
        field = wire.read(16)
        if len(field) < 16:
            yield Truncated("SEND_BINARIES", Part.NAME, field, binaries_left=left)
        name, head = field.split(b"\0")[0].decode("latin-1"), wire.read(4)
        if len(head) < 4:
            yield Truncated("SEND_BINARIES", Part.SIZE, head, name=name, binaries_left=left)
        (size,) = struct.unpack("<i", head)
        if reason := fault(size, 40 << 20):
            yield Fatal("SEND_BINARIES", reason, size, name)
        image = wire.read(size)
        if len(image) < size:
            yield Truncated("SEND_BINARIES", Part.IMAGE, image, size, name, left)
        yield Binary.received(field, image)


# Garbage.

PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(THERE + BACK).map(encode),
    st.sampled_from(THERE + BACK).map(encode).flatmap(lambda data: st.integers(0, len(data)).map(lambda at: data[:at])),
    st.sampled_from(sorted(WORDS)).map(lambda word: struct.pack("<I", word)),
    st.integers(-3, 40).map(lambda n: struct.pack("<i", n)),
    st.sampled_from(
        [bytes(20), struct.pack("<i", -(1 << 31)), struct.pack("<i", (1 << 31) - 1), b"<profile", b"<live"]
    ),
)
GARBAGE = st.lists(PIECES, max_size=12).map(b"".join)
CUTS = st.lists(st.integers(0, 500), max_size=8)


@given(data=GARBAGE, cuts=CUTS, generation=st.sampled_from(GENERATIONS))
@example(encode(SendBinaries(2)) + b"\xff" * 16 + b"\1\0\0\0x" + bytes(16) + b"\1\0\0\0y", [], "G4")
@example(encode(SendBinaries(1)) + b"hey".ljust(16, b"\0") + bytes(4) + encode(Clear()), [], "G4")
def test_a_board_makes_the_same_of_garbage_in_any_slices(data: bytes, cuts: list[int], generation: str) -> None:
    assert outcome(board(generation), slices(data, cuts)) == Outcome(list(board_reads(data, generation)), None)


@given(data=GARBAGE, cuts=CUTS, generation=st.sampled_from([*GENERATIONS, None]), upload=st.booleans())
def test_a_client_makes_the_same_of_garbage_in_any_slices(
    data: bytes, cuts: list[int], generation: str | None, upload: bool
) -> None:
    def reader() -> Connection:
        ours = client(generation)
        if upload and generation:
            ours.send(SendBinaries(3))
        return ours

    sliced, whole = outcome(reader(), slices(data, cuts)), outcome(reader(), [data])
    assert sliced == whole
    # What was understood is exactly what was there.
    understood = b"".join(encode(message) for message in whole.messages)  # type: ignore[arg-type]  # a client reads no notices
    assert data.startswith(understood)
    assert (whole.error is None) == (understood == data)


# The table of wire-protocol 1.6.


HEY = b"hey".ljust(16, b"\0")


@pytest.mark.parametrize("reason", Fault)
@pytest.mark.parametrize(
    ("head", "most", "command", "name"),
    [
        (b"\xe5\x0d\0\0", 10 << 20, "SEND_DESCS", ""),
        (encode(SendBinaries(1)) + HEY, 40 << 20, "SEND_BINARIES", "hey"),
        (encode(SendBinaries(2)) + bytes(16), 40 << 20, "SEND_BINARIES", ""),
    ],
)
def test_a_length_that_kills_leaves_a_board_connected_and_mute(
    head: bytes, most: int, command: str, name: str, reason: Fault
) -> None:
    theirs = board()
    length = {Fault.EMPTY: 0, Fault.NEGATIVE: -1, Fault.HUGE: most + 1}[reason]
    stream = head + struct.pack("<i", length) + encode(Clear())
    assert theirs.receive(stream)[-1] == Fatal(command, reason, length, name)
    assert (theirs.state, theirs.closed, theirs.mid_frame) == (State.HUNG, False, False)
    assert theirs.receive(encode(Clear())) == []
    assert theirs.receive(b"") == []
    assert theirs.closed


def test_a_hung_board_still_says_what_it_owed_before() -> None:
    theirs = board()
    assert theirs.receive(encode(Available()) + bytes.fromhex("e50d0000 00000000"))[0] == Available()
    assert theirs.send(Available()) == encode(Available())


def test_a_board_that_hung_in_an_image_asks_for_no_other() -> None:
    theirs = board()
    theirs.receive(encode(SendBinaries(2)))
    theirs.send(GoSend())
    theirs.receive(HEY + bytes(4))
    assert theirs.state is State.HUNG
    with pytest.raises(LocalProtocolError, match="can't be sent"):
        theirs.send(GoSend())


def test_a_negative_count_announces_nothing() -> None:
    stream = bytes.fromhex("1ef1e50d ffffffff") + encode(Clear())
    assert board().receive(stream) == [SendBinaries(0), Clear()]


def test_an_unknown_word_costs_four_bytes() -> None:
    stream = encode(Optimize(b"<goal/>\n")) + encode(Clear())
    words = (0x6F7074, 8, 0x616F673C, 0x0A3E2F6C)
    assert board("G4").receive(stream) == [*map(Unknown, words), Clear()]


@pytest.mark.parametrize(
    ("generation", "reads"), [("G1", Unknown(0x159D3)), ("G1o", Unknown(0x159D3)), ("G4", Reboot())]
)
def test_the_word_of_reboot(generation: str, reads: Message) -> None:
    assert board(generation).receive(bytes.fromhex("d3590100")) == [reads]


def test_a_board_that_reboots_reads_no_more() -> None:
    theirs = board()
    assert theirs.receive(encode(Reboot()) + encode(Clear())) == [Reboot()]
    assert theirs.receive(encode(Clear())) == []


def test_a_name_may_fill_its_16_bytes() -> None:
    stream = encode(SendBinaries(1)) + b"sixteen-letters!" + b"\1\0\0\0x"
    [_, binary] = board().receive(stream)
    assert isinstance(binary, Binary)
    assert (binary.name, binary.image) == ("sixteen-letters!", b"x")


def test_binaries_that_do_not_wait_are_read_and_go_send_comes_late() -> None:
    theirs = board()
    early = encode(SendBinaries(3)) + encode(Binary("a", b"1")) + encode(Binary("b", b"2"))
    assert len(theirs.receive(early)) == 3
    for owed in (True, True, False):  # the third asks for the binary that isn't here
        assert not theirs.expects_reply
        assert theirs.send(GoSend())
        assert theirs.state is (State.AWAIT_GO if owed else State.GO)
    with pytest.raises(LocalProtocolError, match="can't be sent"):
        theirs.send(GoSend())
    theirs.receive(encode(Binary("c", b"3")))
    assert theirs.state is State.IDLE


def test_late_go_sends_outlive_their_upload() -> None:
    theirs = board()
    stream = encode(SendBinaries(1)) + encode(Binary("a", b"1")) + encode(SendBinaries(1)) + encode(Binary("b", b"2"))
    theirs.receive(stream)
    assert theirs.state is State.IDLE
    assert theirs.send(GoSend()) + theirs.send(GoSend()) == encode(GoSend()) * 2
    with pytest.raises(LocalProtocolError, match="no client asked"):
        theirs.send(GoSend())
