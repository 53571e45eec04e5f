"""The profile document: what happened since the last one, in the board's words (wire-protocol 3.1 to 3.4)."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hil.clock import LAST_STAMP_MS
from hil.documents import MAX_BYTES, DocumentError, Target, cut, feed
from taskgen.events import ENDINGS, EventType

#: The vocabulary of boards (wire-protocol 3.2).
BOARD_TYPES = {
    str(event): event for event in sorted({*ENDINGS, EventType.START, EventType.JOBS_DONE, EventType.EXTERNAL})
}

_EVENT = ["profile", "events", "event"]
#: The shortest event fills 50 bytes: more don't fit into the longest document.
_MAX_ELEMENTS = MAX_BYTES // 50
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_DIGITS = re.compile(r"-?[0-9]{1,10}")
_U32 = 1 << 32
#: What boards print, byte by byte (wire-protocol 3.1): the parser, which is for all else, lets the other threads of
#: this process run at each element, and with some hundred boards it is they that it waits for.
_AS_PRINTED = re.compile(
    rb'<profile>\n\t<events(?:/>|>\n(?:\t\t<event type="[A-Z_]{1,32}" task-id="-?[0-9]{1,10}"'
    rb' time-stamp="[0-9]{1,10}"/>\n)*\t</events>)\n</profile>'
)
_PRINTED_EVENT = re.compile('type="([A-Z_]+)" task-id="([-0-9]+)" time-stamp="([0-9]+)"')


class Stamped(NamedTuple):
    """One event of a board's log."""

    type: EventType | None  #: None: a type that the table doesn't know, `name` has its text
    task_id: int  #: 0 .. 2^32 - 1
    stamp_ms: int  #: of the board's clock, which wraps (`hil.clock`)
    name: str = ""  #: the text of an unknown type: builds of G3 print "UNKNOWN" for the types that were new then


def parse(data: bytes) -> tuple[Stamped, ...]:
    """Return the events of a profile document in the order in which the board logged them.

    NULs, what stands behind the first `</profile>`, unknown attributes and other elements are ignored. An unknown type
    stays in its place, as its meaning depends on it: after a START it ends the job, after an ending it is JOBS_DONE.

    Raises:
        DocumentError: too long, truncated, no profile, or an event lacks an attribute or has an impossible number.
    """
    events = _Events()
    text = cut(data, "profile", events.kind)
    if _AS_PRINTED.fullmatch(text):
        for name, task_id, stamp in _PRINTED_EVENT.findall(text.decode("ascii")):
            events.take(name, task_id, stamp)
    else:
        feed(text, events)
    return tuple(events.found)


class _Events(Target):
    def __init__(self) -> None:
        super().__init__("profile document", _MAX_ELEMENTS)
        self.found: list[Stamped] = []

    def opened(self, attributes: Mapping[str, str]) -> None:
        if self.path[0] != "profile":
            raise DocumentError(f"the board sent <{self.path[0]:.40}>, expected a profile document")
        if self.path == _EVENT:
            self.take(attributes.get("type", ""), attributes.get("task-id", ""), attributes.get("time-stamp", ""))

    def take(self, name: str, task_id: str, stamp: str) -> None:
        """Take an event."""
        if not _TYPE.fullmatch(name):
            raise self._error("type", name, "the name of an event type")
        known = BOARD_TYPES.get(name)
        # Ids from 2^31 print negative.
        number = self._number("task-id", task_id, -(_U32 // 2), _U32 - 1) % _U32
        self.found.append(
            Stamped(known, number, self._number("time-stamp", stamp, 0, LAST_STAMP_MS), "" if known else name)
        )

    def _number(self, name: str, text: str, least: int, most: int) -> int:
        if _DIGITS.fullmatch(text) and least <= int(text) <= most:
            return int(text)
        raise self._error(name, text, f"{least} .. {most}")

    def _error(self, name: str, text: str, expected: str) -> DocumentError:
        return DocumentError(f"{self.kind}: event {len(self.found)}: {name} is {text!r:.40}, expected {expected}")


def render(entries: Iterable[Stamped]) -> bytes:
    """Return the profile document of a board, byte by byte as its generator lays it out, without the final NUL.

    With the NUL, which the wire adds, its size is 33 if there are no events, else 43 + the sum of 44 + len(type) +
    len(id) + len(stamp) (wire-protocol 3.1).
    """
    lines = [
        f'\t\t<event type="{entry.type or entry.name}" task-id="{_signed(entry.task_id)}"'
        f' time-stamp="{entry.stamp_ms}"/>\n'
        for entry in entries
    ]
    events = f"\t<events>\n{''.join(lines)}\t</events>\n" if lines else "\t<events/>\n"
    return f"<profile>\n{events}</profile>\n".encode("ascii")


def _signed(task_id: int) -> int:
    return task_id - _U32 if task_id >= _U32 // 2 else task_id
