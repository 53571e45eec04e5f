"""The messages of the taskloader protocol as frozen values, one class per message (wire-protocol 1.2).

A message that the wire can't carry doesn't exist: constructors raise LocalProtocolError. Texts are the raw bytes of
the XML; nobody here reads them. `hil.frames` turns messages into bytes, `hil.wire` knows their order.

The last three classes never travel: a machine in the role of a board reports with them what a client did wrong, so
that a board in software can do what wire-protocol 1.6 says of its generation.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final, Literal, Self, TypeAlias

from hil.errors import LocalProtocolError

#: The shortest reply: a profile without events, 33 bytes with its NUL (wire-protocol 3.1).
MIN_DOCUMENT: Final = 33
#: The largest: what hazard 5 of wire-protocol 8 takes for a length; logs of boards end at 20 MiB, clients at 16.
MAX_DOCUMENT: Final = 16 << 20
#: RAM of dom0 in G1o (wire-protocol 1.3), the smallest; a board that can't get n bytes blocks for ever.
MAX_DESCRIPTIONS: Final = 10 << 20
#: The smallest quota of a taskloader, which stores the images (wire-protocol 1.3).
MAX_IMAGE: Final = 40 << 20
MAX_COUNT: Final = (1 << 31) - 1  #: a count is a signed word
NAME_BYTES: Final = 16  #: of a binary's name on the wire, the last one NUL

#: What a document is about: its root element.
Root: TypeAlias = Literal["profile", "live"]
ROOTS: Final[tuple[Root, ...]] = ("profile", "live")

_SHOWN = 40


class _Payload:
    """Messages that carry much show little of it."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):  # type: ignore[arg-type]  # each subclass is a dataclass
            value = getattr(self, field.name)
            cut = isinstance(value, bytes) and len(value) > _SHOWN
            shown.append(f"{field.name}={value[:_SHOWN]!r}... {len(value)} bytes" if cut else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


# Client to board.


@dataclass(frozen=True, slots=True, repr=False)
class SendDescriptions(_Payload):
    """SEND_DESCS: append the tasks of this document to the board's list; 1 byte to 10 MiB of ASCII XML."""

    xml: bytes

    def __post_init__(self) -> None:
        _check_bytes("SEND_DESCS: xml", self.xml, 1, MAX_DESCRIPTIONS)


@dataclass(frozen=True, slots=True)
class Clear:
    """CLEAR: stop all tasks and forget them; binaries stay."""


@dataclass(frozen=True, slots=True)
class SendBinaries:
    """SEND_BINARIES: announce `count` binaries; each is sent when the board says GO_SEND."""

    count: int

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 0 <= self.count <= MAX_COUNT:
            raise LocalProtocolError(f"SEND_BINARIES: count: {self.count!r:.40}, expected 0..{MAX_COUNT}")


@dataclass(frozen=True, slots=True, repr=False)
class Binary(_Payload):
    """One binary of SEND_BINARIES: its name (1..15 ASCII characters, the `pkg` of tasks) and its ELF image."""

    name: str
    image: bytes

    def __post_init__(self) -> None:
        name = self.name
        if not (isinstance(name, str) and name.isascii() and "\0" not in name and 0 < len(name) < NAME_BYTES):
            raise LocalProtocolError(
                f"binary: name: {name!r:.40} can't be sent, expected 1..{NAME_BYTES - 1} ASCII characters without NUL",
                hint="the name on the wire is the key that pkg is looked up by: a cut name would never be found",
            )
        _check_bytes(f"binary {name}: image", self.image, 1, MAX_IMAGE)

    @classmethod
    def received(cls, field: bytes, image: bytes) -> Self:
        """Return the binary as a board reads it; a board refuses no name.

        Args:
            field: the 16 bytes of the name, used up to the first NUL, all 16 without one, as Latin-1.
            image: the content.
        """
        self = object.__new__(cls)
        object.__setattr__(self, "name", name_of(field))
        object.__setattr__(self, "image", image)
        return self


@dataclass(frozen=True, slots=True)
class Start:
    """START: release the tasks of the list."""


@dataclass(frozen=True, slots=True)
class Stop:
    """STOP: end all tasks; the list stays."""


@dataclass(frozen=True, slots=True)
class GetProfile:
    """GET_PROFILE: ask for the event log; may never be answered (hazard 7 of wire-protocol 8)."""


@dataclass(frozen=True, slots=True)
class GetLive:
    """GET_LIVE: ask for the list of threads."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """REBOOT: reset the board; no reply, no FIN. The same word is CHECKPOINT on a board of G2c."""


@dataclass(frozen=True, slots=True, repr=False)
class Optimize(_Payload):
    """OPTIMIZE (G1o only): the goal of the optimiser; 1 byte to 10 MiB of ASCII XML."""

    xml: bytes

    def __post_init__(self) -> None:
        _check_bytes("OPTIMIZE: xml", self.xml, 1, MAX_DESCRIPTIONS)


@dataclass(frozen=True, slots=True)
class Available:
    """AVAILABLE (G4 only), both ways: asked by the client, echoed by an idle serve loop."""


# Board to client.


@dataclass(frozen=True, slots=True)
class GoSend:
    """GO_SEND: send the next binary."""


@dataclass(frozen=True, slots=True, repr=False)
class Document(_Payload):
    """A pushed event log or the reply to GET_PROFILE or GET_LIVE; `xml` is all of it except the final NUL.

    The text may have the tail of an older document behind its root's end (wire-protocol 1.3): who reads the XML cuts.
    """

    root: Root
    xml: bytes

    @classmethod
    def received(cls, root: Root, xml: bytes) -> Self:
        """Return what a board sent and the wire has looked at already."""
        self = object.__new__(cls)
        object.__setattr__(self, "root", root)
        object.__setattr__(self, "xml", xml)
        return self

    def __post_init__(self) -> None:
        _check_bytes("document: xml", self.xml, MIN_DOCUMENT - 1, MAX_DOCUMENT - 1)
        if not is_text(self.xml):
            raise LocalProtocolError(f"document: xml: NUL at {self.xml.index(0)}, expected a text: boards end there")
        if self.root not in ROOTS or root_of(self.xml) != self.root:
            raise LocalProtocolError(
                f"document: root: {self.root!r:.40} with the text {self.xml[:12]!r}, expected <profile or <live"
            )


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The document `1` of one byte that G2 boards send after some commands; to be dropped (hazard 11)."""


# What a machine in the role of a board reports of bad input.


class Fault(StrEnum):
    """Why a board dies of a length."""

    EMPTY = "empty"  #: n = 0, or an image of size 0
    NEGATIVE = "negative"
    HUGE = "huge"  #: beyond the limits; a real board waits for that memory for ever


class Part(StrEnum):
    """Where in a command a stream ended."""

    LENGTH = "length"  #: n of a document, or the count of SEND_BINARIES
    PAYLOAD = "payload"
    NAME = "name"  #: also: before the first byte of a binary that was announced
    SIZE = "size"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A command word that this generation doesn't know; the next four bytes are the next command."""

    word: int


@dataclass(frozen=True, slots=True)
class Fatal:
    """A length that the board doesn't survive; nothing that comes after it is read.

    Attributes:
        command: SEND_DESCS, OPTIMIZE or SEND_BINARIES.
        reason: what is wrong with it.
        value: the length as announced, signed.
        name: of the binary, else "".
    """

    command: str
    reason: Fault
    value: int
    name: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Truncated(_Payload):
    """The client went away inside a command, or before a binary that it had announced.

    Attributes:
        command: SEND_DESCS, OPTIMIZE or SEND_BINARIES.
        part: what was being read.
        data: what had arrived of that part.
        announced: length of the payload or image in bytes, 0 while unknown.
        name: of the binary, "" while unknown.
        binaries_left: announced binaries that aren't complete, with this one.
    """

    command: str
    part: Part
    data: bytes
    announced: int = 0
    name: str = ""
    binaries_left: int = 0


#: Whatever a client may send.
FromClient: TypeAlias = (
    SendDescriptions
    | Clear
    | SendBinaries
    | Binary
    | Start
    | Stop
    | GetProfile
    | GetLive
    | Reboot
    | Optimize
    | Available
)
#: Whatever a board may send.
FromBoard: TypeAlias = GoSend | Document | Available | Acknowledgement
#: What only the board's side of a connection reports.
Notice: TypeAlias = Unknown | Fatal | Truncated
#: Whatever `Connection.receive` returns.
Message: TypeAlias = FromClient | FromBoard | Notice


_TAGS = tuple((root, b"<" + root.encode()) for root in ROOTS)


def root_of(xml: bytes) -> Root | None:
    """Return what a document is about, by its first bytes; None if it is neither."""
    return next((root for root, tag in _TAGS if xml.startswith(tag)), None)


def is_text(xml: bytes) -> bool:
    """Return whether a board can send this: it measures up to the first NUL, so none stands in front of other bytes."""
    return b"\0" not in xml.rstrip(b"\0")


def name_of(field: bytes) -> str:
    """Return a binary's name as a board reads it from its 16 bytes: up to the first NUL, Latin-1."""
    return field[:NAME_BYTES].split(b"\0", 1)[0].decode("latin-1")


def _check_bytes(field: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, bytes):
        raise LocalProtocolError(f"{field}: {value!r:.40}, expected bytes")
    if not least <= len(value) <= most:
        raise LocalProtocolError(f"{field}: {len(value)} bytes can't be sent, expected {least}..{most}")
