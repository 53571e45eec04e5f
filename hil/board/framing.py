"""Where messages begin and end in the bytes between a client and a board, without keeping them.

Other than `hil.wire` this refuses nothing and remembers no payload: it only counts, so that a fault can strike in the
middle of a message. Bytes that make no sense are messages of four bytes.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from hil.frames import COMMANDS, GO_SEND, WORD
from hil.messages import (
    MAX_DOCUMENT,
    NAME_BYTES,
    Available,
    Optimize,
    SendBinaries,
    SendDescriptions,
)

Direction: TypeAlias = Literal["up", "down"]
WAYS: Final[tuple[Direction, Direction]] = ("up", "down")

_NAMES: Final = {command.word: command.name for command in COMMANDS.values()}
_LONG: Final = frozenset(COMMANDS[type_].name for type_ in (SendDescriptions, Optimize))
_ANNOUNCES: Final = COMMANDS[SendBinaries].name
_AVAILABLE: Final = COMMANDS[Available]
#: What a word that is no message of ours is called.
UNKNOWN: Final = "UNKNOWN"


#: Fields that begin a message, and its name as far as it is known then.
_FIRST: Final = {"word": "", "name": "BINARY"}


#: Which words in a row need not come one by one.
Join: TypeAlias = Literal["", "unknown", "alone"]
#: Which words are still read by themselves, and up to where each word is the length of a document.
_MEANT: Final[Mapping[tuple[Direction, Join], tuple[frozenset[int], int]]] = {
    ("up", "unknown"): (frozenset(_NAMES), 0),
    ("up", "alone"): (frozenset(word for word, name in _NAMES.items() if name in {*_LONG, _ANNOUNCES}), 0),
    ("down", "unknown"): (frozenset(), MAX_DOCUMENT),
    ("down", "alone"): (frozenset(), MAX_DOCUMENT),
}
_WORDS: Final = struct.Struct("<I")


class Segment(NamedTuple):
    """Some bytes of one direction, and how they are to travel."""

    data: bytes = b""
    message: str = ""  #: which message they are part of
    begins: bool = False  #: they are its first ones
    ends: bool = False  #: they are its last ones
    over: bool = False  #: the stream ends here, as its sender wants
    delay_ns: int = 0
    slice: int = 0  #: at most so many bytes at once; 0: any number
    gap_ns: int = 0  #: between two slices
    end: Literal["", "close", "reset"] = ""  #: of the connection, behind the bytes

    def follows(self, other: "Segment") -> bool:
        """Whether it can be written together with the one before it."""
        alone = self.over or other.over or other.end
        return not alone and (self.delay_ns, self.slice) == (other.delay_ns, other.slice)


class _Field(NamedTuple):
    """What is read before the payload."""

    name: Literal["word", "length", "count", "name"]
    size: int = WORD


class Framer:
    """Splits the bytes of one direction where messages begin and end."""

    __slots__ = ("_announced", "_begins", "_field", "_head", "_left", "_message", "_passed", "_way", "binaries")

    def __init__(self, way: Direction) -> None:
        self._way = way
        self.binaries = 0  #: up: which are still to come; down: for which GO_SEND is due
        self._announced = 0
        self._message = ""
        self._begins = False
        self._left = 0  # of the payload
        self._head = bytearray()  # of the field
        self._passed = 0  # of these bytes, those of a word that weren't held back
        self._field = _Field("word")

    def take_binaries(self) -> int:
        """Return how many binaries were announced since the last call."""
        announced, self._announced = self._announced, 0
        return announced

    def split(self, data: bytes, *, hold: bool = True, join: Join = "") -> Iterator[Segment]:
        """Yield the bytes again, b"" as the end of the stream.

        Args:
            data: some bytes of the stream.
            hold: hold up to three bytes back, until they tell which message they begin; else its first bytes may come
                without its name.
            join: where nobody counts them, words that stand in a row come as one message without meaning: those that
                are `unknown`, or `alone`, which has the commands and replies of one word, too.
        """
        if not data:
            if held := bytes(self._head[self._passed :]) if self._field.name == "word" else b"":
                yield Segment(held, UNKNOWN, begins=True)
            yield Segment(over=True)
        place = 0
        while place < len(data):
            if join and not (self._left or self._head) and (size := self._row(data, place, join)):
                part = data[place : place + size]
                yield Segment(part, UNKNOWN, begins=True, ends=True)
            elif self._left:
                part = data[place : place + self._left]
                self._left -= len(part)
                yield self._segment(part, ends=not self._left)
            else:
                part = data[place : place + self._field.size - len(self._head)]
                yield from self._read(part, hold)
            place += len(part)

    def _row(self, data: bytes, place: int, join: Join) -> int:
        """Return how many bytes from here on are words that `join` joins."""
        whole = len(data) - (len(data) - place) % WORD
        if self._field.name != "word" or place == whole:
            return 0
        meant, longest = _MEANT[self._way, join]
        words = _WORDS.iter_unpack(memoryview(data)[place:whole])
        number = next(
            (number for number, (word,) in enumerate(words) if 0 < word <= longest or word in meant),
            (whole - place) // WORD,
        )
        return number * WORD

    def _read(self, part: bytes, hold: bool) -> Iterator[Segment]:
        """Yield a part of the field, and go on to the next one when it is whole."""
        field, is_word = self._field, self._field.name == "word"
        if not self._head and field.name in _FIRST:
            self._begin(_FIRST[field.name])
        self._head += part
        if len(self._head) < field.size:
            if not (is_word and hold):
                self._passed = len(self._head)
                yield self._segment(part)
            return
        value = int.from_bytes(self._head[:WORD], "little", signed=True)
        rest = bytes(self._head[self._passed :])
        self._head.clear()
        self._passed = 0
        more = getattr(self, f"_on_{field.name}")(value)
        yield self._segment(rest, ends=not more)

    def _segment(self, data: bytes, *, ends: bool = False) -> Segment:
        begins, self._begins = self._begins, False
        if ends:
            self._field = _Field("name", NAME_BYTES) if self._way == "up" and self.binaries else _Field("word")
        return Segment(data, self._message, begins, ends)

    def _begin(self, message: str) -> None:
        self._message = message
        self._begins = True

    # Each returns whether the message goes on.

    def _on_word(self, word: int) -> bool:
        return self._on_command(word) if self._way == "up" else self._on_reply(word)

    def _on_command(self, word: int) -> bool:
        self._message = _NAMES.get(word, UNKNOWN)
        self._field = _Field("length" if self._message in _LONG else "count")
        return self._message in _LONG or self._message == _ANNOUNCES

    def _on_reply(self, word: int) -> bool:
        if word == GO_SEND and self.binaries:
            self.binaries -= 1
            self._message = "GO_SEND"
        elif word == _AVAILABLE.word:
            self._message = _AVAILABLE.name
        elif 0 < word <= MAX_DOCUMENT:
            self._message = "DOCUMENT"
            self._left = word
        else:
            self._message = UNKNOWN
        return self._left > 0

    def _on_name(self, _: int) -> bool:
        self._field = _Field("length")
        self.binaries -= 1
        return True

    def _on_length(self, length: int) -> bool:
        self._left = max(0, length)
        return self._left > 0

    def _on_count(self, count: int) -> bool:
        self.binaries = self._announced = max(0, count)
        return False
