"""The board's event log: stamps in milliseconds of a 32-bit microsecond clock, read and cleared by polls and pushes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from taskgen.dialect.boards import STAMP_WRAP_NS
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskgen.events import EventType

#: Stamps wrap after 2^32 microseconds, 4 294 967.296 ms.
WRAP_NS = STAMP_WRAP_NS


def stamp_ms(clock_ns: int) -> int:
    """Return the stamp of an instant of the board's clock."""
    return clock_ns % WRAP_NS // NS_PER_MS


class LogEntry(NamedTuple):
    """One event as the board logs it; job, core and clock are for the simulator's eyes, they don't travel."""

    type: EventType
    task_id: int
    stamp_ms: int
    job: int  #: counts the task's STARTs from 0; NOT_SCHEDULED: the number that the job would have had
    core: int
    clock_ns: int  #: time since boot, unwrapped


class EventLog:
    """Events that nobody has fetched yet, and who is told: `on_log` of each entry, `on_push` of what a push carries."""

    def __init__(self) -> None:
        self._entries: list[LogEntry] = []
        self.on_log: Callable[[LogEntry], None] | None = None
        self.on_push: Callable[[tuple[LogEntry, ...]], None] | None = None

    def __len__(self) -> int:
        """How many events nobody has fetched yet."""
        return len(self._entries)

    def append(self, entry: LogEntry) -> None:
        """Log an event."""
        self._entries.append(entry)
        if self.on_log is not None:
            self.on_log(entry)

    def read(self) -> tuple[LogEntry, ...]:
        """Return what was logged since the last read or push, and clear it."""
        entries = tuple(self._entries)
        self._entries.clear()
        return entries

    def push(self) -> None:
        """Push what was logged; an empty log pushes nothing. Nobody there: the events are gone."""
        entries = self.read()
        if entries and self.on_push is not None:
            self.on_push(entries)
