"""The clock of a board: milliseconds of 32-bit microseconds, which start again every 71.6 minutes (wire-protocol 3.3).

A stamp alone is ambiguous; with what was seen before, and how much time went by here, it is an instant since boot.
Instants are integer nanoseconds; a wrap isn't a whole number of milliseconds.
"""

from taskgen.errors import TargetLost
from taskgen.units import NS_PER_MS

#: One turn of the clock, 4 294 967.296 ms.
WRAP_NS = (1 << 32) * 1000
#: The largest stamp; the millisecond after it is cut short by the wrap.
LAST_STAMP_MS = (WRAP_NS - 1) // NS_PER_MS

#: How far events may be out of order in a board's log: several threads write it.
DISORDER_NS = 1_000_000_000
#: How old the newest event may be when it arrives: events wait for the next push or poll.
LATE_NS = 15 * 60 * 1_000_000_000


class Rebooted(TargetLost):
    """The board's clock went back: it has booted again, and its binaries and tasks are gone."""


def unwrap(stamp_ms: int, after_ns: int) -> int:
    """Return the first instant with a stamp that isn't before `after_ns`; both in ns since the same boot."""
    stamp_ns = stamp_ms * NS_PER_MS
    return stamp_ns + -((stamp_ns - after_ns) // WRAP_NS) * WRAP_NS


def nearest(stamp_ms: int, instant_ns: int) -> int:
    """Return the instant with a stamp that lies nearest to another one, at most half a turn away."""
    return unwrap(stamp_ms, instant_ns - WRAP_NS // 2)


class Clock:
    """Turns the stamps of one connection into ns since boot, up to whole turns before the first stamp.

    To be read at least once per turn: longer silences lose a turn. `disorder_ns`: how far a stamp may lie behind the
    latest one; `late_ns`: how old the newest event may be when it arrives.
    """

    def __init__(self, *, disorder_ns: int = DISORDER_NS, late_ns: int = LATE_NS) -> None:
        self.latest_ns: int | None = None  #: the latest instant so far
        self._heard_ns = 0
        self._disorder_ns = disorder_ns
        self._late_ns = late_ns

    def read(self, stamp_ms: int, now_ns: int) -> int:
        """Return the instant of a stamp that arrived at `now_ns` of a monotonic clock on our side.

        Raises:
            Rebooted: the stamp lies behind the latest one, and too little time went by for a wrap.
        """
        if self.latest_ns is None:
            self.latest_ns, self._heard_ns = stamp_ms * NS_PER_MS, now_ns
            return self.latest_ns
        instant_ns = unwrap(stamp_ms, self.latest_ns - self._disorder_ns)
        if instant_ns - self.latest_ns > now_ns - self._heard_ns + self._late_ns:
            latest_ms = self.latest_ns % WRAP_NS // NS_PER_MS
            raise Rebooted(
                f"the board's clock went back from {latest_ms} ms to {stamp_ms} ms: it rebooted",
                hint="send its binaries again",
            )
        if instant_ns > self.latest_ns:
            self.latest_ns, self._heard_ns = instant_ns, now_ns
        return instant_ns
