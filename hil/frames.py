"""Frames: messages to bytes and back, without memory (wire-protocol 1.2 and 1.3).

Each `decode_` function looks at the front of a buffer and returns the message that is complete there and its size in
bytes, or None while bytes are missing. They never look behind that message, so how a stream was sliced can't matter.
All words are 32-bit little-endian; lengths are signed.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from hil.errors import LocalProtocolError
from hil.messages import (
    MAX_DESCRIPTIONS,
    MAX_DOCUMENT,
    MAX_IMAGE,
    MIN_DOCUMENT,
    NAME_BYTES,
    ROOTS,
    Acknowledgement,
    Available,
    Binary,
    Clear,
    Document,
    Fatal,
    Fault,
    FromBoard,
    FromClient,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Notice,
    Optimize,
    Part,
    Reboot,
    SendBinaries,
    SendDescriptions,
    Start,
    Stop,
    Truncated,
    Unknown,
    is_text,
    name_of,
    root_of,
)

WORD: Final = 4
#: Where a board cuts a document in two writes: the length, then the text (wire-protocol 1.3).
SPLIT: Final = WORD
_PAGE: Final = 4096


class Command(NamedTuple):
    """A message that is known by a word: its name in wire-protocol 1.2 and that word."""

    name: str
    word: int


COMMANDS: Final[Mapping[type, Command]] = MappingProxyType(
    {
        SendDescriptions: Command("SEND_DESCS", 0xDE5),
        Clear: Command("CLEAR", 0xDE6),
        SendBinaries: Command("SEND_BINARIES", 0xDE5F11E),
        Start: Command("START", 0x514DE5),
        Stop: Command("STOP", 0x514DE6),
        GetProfile: Command("GET_PROFILE", 0x159D1),
        GetLive: Command("GET_LIVE", 0x159D2),
        Reboot: Command("REBOOT", 0x159D3),
        Optimize: Command("OPTIMIZE", 0x6F7074),
        Available: Command("AVAILABLE", 0xAAAAA),
    }
)
GO_SEND: Final = 0x90
_ACKNOWLEDGEMENT: Final = b"\1\0\0\0" + b"1"
_TAGS: Final = tuple(b"<" + root.encode() for root in ROOTS)
_LONGEST_TAG: Final = max(map(len, _TAGS))

#: A message and the bytes that it took.
Frame: TypeAlias = tuple[Message, int]


class Malformed(Exception):
    """The front of the buffer isn't a frame of a board; the machine makes a RemoteProtocolError of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a peer may announce before we refuse, in bytes; the defaults are the largest possible.

    Precedents: h11 16 KiB per event, websockets 1 MiB per message, both against peers that announce and never send.
    Memory grows with what arrives, not with what is announced.
    """

    document: int = MAX_DOCUMENT
    descriptions: int = MAX_DESCRIPTIONS
    image: int = MAX_IMAGE

    def __post_init__(self) -> None:
        for field, least, most in (
            ("document", MIN_DOCUMENT, MAX_DOCUMENT),
            ("descriptions", 1, MAX_DESCRIPTIONS),
            ("image", 1, MAX_IMAGE),
        ):
            if not least <= (value := getattr(self, field)) <= most:
                raise LocalProtocolError(f"limits: {field}: {value!r:.40}, expected {least}..{most} bytes")


def name_of_type(message: type) -> str:
    """Return how wire-protocol 1.2 calls a message: SEND_DESCS, ...; a binary is part of SEND_BINARIES."""
    command = COMMANDS.get(SendBinaries if message is Binary else message)
    return command.name if command else message.__name__


def encode(message: FromClient | FromBoard) -> bytes:
    """Return the bytes of a message, exactly.

    Raises:
        LocalProtocolError: it never travels (Unknown, Fatal, Truncated, or none of ours).
    """
    match message:
        case SendDescriptions(xml) | Optimize(xml):
            return struct.pack("<Ii", COMMANDS[type(message)].word, len(xml)) + xml
        case SendBinaries(count):
            return struct.pack("<Ii", COMMANDS[SendBinaries].word, count)
        case Binary(name, image):
            return struct.pack(f"<{NAME_BYTES}si", name.encode("latin-1"), len(image)) + image
        case Document(_, xml):
            return struct.pack("<i", len(xml) + 1) + xml + b"\0"
        case GoSend():
            return struct.pack("<I", GO_SEND)
        case Acknowledgement():
            return _ACKNOWLEDGEMENT
    if type(message) not in COMMANDS:
        raise LocalProtocolError(f"{message!r:.80} isn't a message that travels")
    return struct.pack("<I", COMMANDS[type(message)].word)


def padded(message: FromClient) -> FromClient:
    """Return the message that is safe to send: white space behind the XML keeps boards in step.

    n must not be a multiple of 4096, or the board's parser runs off the page (wire-protocol 1.3); a board that doesn't
    know OPTIMIZE eats it in words of four bytes (1.6).

    Raises:
        LocalProtocolError: no room for it below the largest size.
    """
    if not isinstance(message, SendDescriptions | Optimize):
        return message
    step = WORD if isinstance(message, Optimize) else 1
    size = -(-len(message.xml) // step) * step
    if size % _PAGE == 0:
        size += step
    return message if size == len(message.xml) else type(message)(message.xml.ljust(size, b"\n"))


def decode_reply(buffer: bytearray, due: Mapping[int, GoSend | Available], limit: int) -> Frame | None:
    """Return what a board sent.

    Args:
        buffer: what has arrived.
        due: the messages of one word that may come now; any other word is a length.
        limit: the longest document, with its NUL.

    Raises:
        Malformed: no frame of a board begins like this.
    """
    if len(buffer) < WORD:
        return None
    size = int.from_bytes(buffer[:WORD], "little")
    if size in due:
        return due[size], WORD
    if size == 1:
        return _acknowledgement(buffer)
    if not MIN_DOCUMENT <= size <= limit:
        expected = ", ".join(f"{word:#x}" for word in due) + (", or " if due else "")
        raise Malformed(f"word {size:#x} isn't what a board sends, expected {expected}a length {MIN_DOCUMENT}..{limit}")
    return _document(buffer, size)


def _acknowledgement(buffer: bytearray) -> Frame | None:
    if len(buffer) < len(_ACKNOWLEDGEMENT):
        return None
    if not buffer.startswith(_ACKNOWLEDGEMENT):
        raise Malformed("a document of one byte is an acknowledgement, expected '1' in it")
    return Acknowledgement(), len(_ACKNOWLEDGEMENT)


def _document(buffer: bytearray, size: int) -> Frame | None:
    # Looked at as it arrives: a stream that is out of step is seen here, not after 16 MiB.
    begin = bytes(buffer[WORD : WORD + _LONGEST_TAG])
    if not begin.startswith(_TAGS) and not any(begin == tag[: len(begin)] for tag in _TAGS):
        raise Malformed(f"a document of {size} bytes begins with {begin!r}, expected <profile or <live")
    if len(buffer) < WORD + size:
        return None
    if buffer[WORD + size - 1]:
        raise Malformed(f"a document of {size} bytes ends with {buffer[WORD + size - 1]:#04x}, expected NUL")
    xml = bytes(buffer[WORD : WORD + size - 1])
    if not is_text(xml):
        raise Malformed(f"a document of {size} bytes has a NUL at {xml.index(0)}, expected one at its end")
    root = root_of(xml)
    assert root is not None, "MIN_DOCUMENT is longer than a root"  # noqa: S101  # narrows the type
    return Document.received(root, xml), WORD + size


def decode_command(buffer: bytearray, known: Mapping[int, type], limits: Limits) -> Frame | None:
    """Return the command that a client sent, Unknown for words that aren't in `known`, or Fatal."""
    if len(buffer) < WORD:
        return None
    word = int.from_bytes(buffer[:WORD], "little")
    command = known.get(word)
    if command is None:
        return Unknown(word), WORD
    if command not in (SendDescriptions, Optimize, SendBinaries):
        return command(), WORD
    if len(buffer) < 2 * WORD:
        return None
    size = _signed(buffer, WORD)
    if command is SendBinaries:
        return SendBinaries(max(0, size)), 2 * WORD  # a negative count is harmless, no GO_SEND (wire-protocol 1.6)
    if fault := _fault(size, limits.descriptions):
        return Fatal(COMMANDS[command].name, fault, size), 2 * WORD
    if len(buffer) < 2 * WORD + size:
        return None
    xml = bytes(buffer[2 * WORD : 2 * WORD + size])
    return (Optimize(xml) if command is Optimize else SendDescriptions(xml)), 2 * WORD + size


def decode_binary(buffer: bytearray, limits: Limits) -> Frame | None:
    """Return the binary that a client sent: name, size, image; or Fatal."""
    head = NAME_BYTES + WORD
    if len(buffer) < head:
        return None
    size = _signed(buffer, NAME_BYTES)
    if fault := _fault(size, limits.image):
        return Fatal(COMMANDS[SendBinaries].name, fault, size, name_of(bytes(buffer[:NAME_BYTES]))), head
    if len(buffer) < head + size:
        return None
    return Binary.received(bytes(buffer[:NAME_BYTES]), bytes(buffer[head : head + size])), head + size


def decode_end(buffer: bytearray, known: Mapping[int, type], binaries_left: int) -> Notice | None:
    """Return what a client left unfinished when it went away; None at the boundary of a command, or inside its word."""
    if binaries_left:
        return _cut_binary(bytes(buffer), binaries_left)
    if len(buffer) < WORD:
        return None
    name = COMMANDS[known[int.from_bytes(buffer[:WORD], "little")]].name
    if len(buffer) < 2 * WORD:
        return Truncated(name, Part.LENGTH, bytes(buffer[WORD:]))
    return Truncated(name, Part.PAYLOAD, bytes(buffer[2 * WORD :]), _signed(buffer, WORD))


def _cut_binary(data: bytes, left: int) -> Truncated:
    command = COMMANDS[SendBinaries].name
    if len(data) < NAME_BYTES:
        return Truncated(command, Part.NAME, data, binaries_left=left)
    name, rest = name_of(data), data[NAME_BYTES:]
    if len(rest) < WORD:
        return Truncated(command, Part.SIZE, rest, name=name, binaries_left=left)
    return Truncated(command, Part.IMAGE, rest[WORD:], _signed(rest, 0), name, left)


def _fault(size: int, most: int) -> Fault | None:
    if size < 0:
        return Fault.NEGATIVE
    if size == 0:
        return Fault.EMPTY
    return Fault.HUGE if size > most else None


def _signed(buffer: bytes | bytearray, at: int) -> int:
    return int.from_bytes(buffer[at : at + WORD], "little", signed=True)
