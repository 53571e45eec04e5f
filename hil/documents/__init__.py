"""The XML documents that travel between a client and a board, as bytes in and values out: no socket, no clock.

`profile` and `live` come from a board: every byte is suspect, so they are bounded, entities and networks are off, and
what doesn't hold raises `DocumentError`. `taskset` goes to a board; its `read` is the board's own view of it.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from taskgen.errors import TargetError

if TYPE_CHECKING:
    from lxml import etree

#: Longer ones come from no board; the wire refuses them, too (wire-protocol 8, hazard 5).
MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
#: What the board's generators can't print, and uninitialised memory can: all control characters but tab and newline.
CONTROL = bytes(range(9)) + bytes(range(11, 32)) + b"\x7f"

_PIECE = 1 << 16
_BARE_AMPERSAND = re.compile(rb"&(?!(?:lt|gt|amp|quot|apos);)")
# What libxml2 says beside the reason: the place once more, an option of its own.
_ASIDE = re.compile(r", (line [0-9]|try XML_PARSE_HUGE).*")


class DocumentError(TargetError):
    """A document is implausible: truncated, no XML, beyond the bounds, or with numbers that can't be."""

    def __init__(
        self, message: str, *, hint: str = "the stream is out of step: reconnect, or reboot the board"
    ) -> None:
        super().__init__(message, hint=hint)


class Target:
    """What a parser reports to: knows the path of open elements and holds the bounds; subclasses take what they need.

    `limit` bounds the number of elements. What follows the end of the root is ignored: stale tails are ordinary.
    """

    def __init__(self, kind: str, limit: int) -> None:
        self.kind = kind  #: for messages
        self.path: list[str] = []
        self.closed = False
        self._elements = 0
        self._limit = limit

    def opened(self, attributes: Mapping[str, str]) -> None:
        """Take the beginning of the element at `path`."""

    def ended(self) -> None:
        """Take the end of the element at `path`."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Hear of an element from the parser."""
        if self.closed:
            return
        self._elements += 1
        self.path.append(tag.rpartition("}")[2])
        if self._elements > self._limit:
            raise DocumentError(f"the {self.kind} has too many elements, expected at most {self._limit}")
        if len(self.path) > MAX_DEPTH:
            raise DocumentError(f"the {self.kind} nests too deeply, expected at most {MAX_DEPTH} levels")
        self.opened(attributes)

    def end(self, _tag: str) -> None:
        """Hear of the end of an element from the parser."""
        if not self.closed:
            self.ended()
            self.path.pop()
            self.closed = not self.path

    def data(self, text: str) -> None:
        """Hear of text from the parser."""

    def comment(self, text: str) -> None:
        """Hear of a comment from the parser."""


def check_size(data: bytes, kind: str) -> None:
    """Refuse a document of more than 16 MiB."""
    if len(data) > MAX_BYTES:
        raise DocumentError(f"the {kind} has {len(data)} bytes, expected at most {MAX_BYTES}")


def cut(data: bytes, root: str, kind: str) -> bytes:
    """Return a board's document without NULs and control characters, up to the first closing tag of its root.

    An older, longer document may have left its tail behind the new one (wire-protocol 1.3).

    Raises:
        DocumentError: it is too long, has no such end, or a DOCTYPE or entities.
    """
    check_size(data, kind)
    text, end, _ = data.translate(None, CONTROL).partition(f"</{root}>".encode())
    if not end:
        raise DocumentError(f"the {kind} has no end: </{root}> is missing in {len(data)} bytes ({data[:40]!r})")
    if b"<!" in text.replace(b"<!--", b""):
        raise DocumentError(f"the {kind} has a DOCTYPE or other declarations, which no board writes")
    return text + end


class _Relay:
    """What a parser reports to, so that it can serve one target after the other."""

    def __init__(self) -> None:
        self.target = _NOBODY
        self.escaped = False  # ampersands in attributes: libxml2 leaves them so to whoever builds a tree

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self.escaped:
            attributes = {name: value.replace("&#38;", "&") for name, value in attributes.items()}
        self.target.start(tag, attributes)

    def end(self, tag: str) -> None:
        self.target.end(tag)

    def data(self, text: str) -> None:
        self.target.data(text)

    def comment(self, text: str) -> None:
        self.target.comment(text)

    def close(self) -> None:
        """Nothing is left to do at the end of the document."""


_NOBODY = Target("", 0)
#: Parsers that nobody uses now: making one takes longer than most documents. One that has met a fault is left behind.
_idle: "list[tuple[etree.XMLParser, _Relay]]" = []


def feed(data: bytes, target: Target) -> None:
    """Parse a document into a target; ampersands that begin no entity of XML itself stand for themselves.

    Raises:
        DocumentError: it isn't well-formed up to the end of its root.
    """
    from lxml import etree

    text = _BARE_AMPERSAND.sub(b"&amp;", data)
    try:
        parser, relay = _idle.pop()
    except IndexError:
        parser, relay = _parser()
    relay.target = target
    relay.escaped = b"&" in text
    try:
        for start in range(0, len(text), _PIECE):
            parser.feed(text[start : start + _PIECE])
            if target.closed:
                break
        parser.close()
    except etree.XMLSyntaxError as error:
        if not target.closed:
            reason = _ASIDE.sub("", " ".join(str(error.msg).split()))
            raise DocumentError(
                f"the {target.kind} is no well-formed XML at line {error.lineno}: {reason:.120}"
            ) from None
        return
    relay.target = _NOBODY
    if len(text) <= _PIECE:  # one that was long may have grown
        _idle.append((parser, relay))


def _parser() -> "tuple[etree.XMLParser, _Relay]":
    from lxml import etree

    relay = _Relay()
    # The encoding is ours to say, and with this one each byte is a character.
    parser = etree.XMLParser(
        target=relay,  # type: ignore[arg-type]  # its stubs ask for other types of text than come
        encoding="iso-8859-1",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    return parser, relay


def over(document: bytes, previous: bytes) -> bytes:
    """Return what a board sends that generates `document` into a buffer which still holds `previous`, all without NULs.

    The generator overwrites its own NUL with the final newline, so the text is measured up to the NUL of the older one
    when that was longer (wire-protocol 1.3). The result is the next `previous`.
    """
    return document + previous[len(document) :]
