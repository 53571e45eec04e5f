"""Many boards on one selector loop, in one thread.

At most one engine computes at a time, for a few ms; in between all sockets are looked at, so that no board waits for
another one's simulation, or for another one's client.
"""

import heapq
import itertools
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final, Self

from hil.board.engine import EngineFactory
from hil.board.hooks import Hook
from hil.board.station import Station
from hil.board.watched import Watched
from taskgen.units import NS_PER_MS

_NS_PER_S: Final = 1_000_000_000
#: How long a board may compute, and how long all of them before the sockets are looked at.
SLICE_NS: Final = 2 * NS_PER_MS
TURN_NS: Final = 4 * NS_PER_MS


class Server:
    """Serves boards until `stop`; a context manager that closes all sockets.

    Args:
        listeners: a socket for each board, non-blocking, which the server closes.
        make: makes a board's engine, as soon as somebody connects.
        speed: of the boards' time against the wall's; None: as fast as possible.
        hooks: what goes wrong, for each board.
        clock: the wall clock, in ns.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        make: EngineFactory,
        *,
        speed: Fraction | None,
        hooks: Sequence[Hook],
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.clock = clock
        self._watched = Watched()
        self.watch = self._watched.watch
        self._stopped = False
        self._alarms: list[tuple[int, int, Station]] = []  # a heap; those that the station has forgotten stay in it
        self._alarm_of: dict[Station, int | None] = {}
        self._runnable: deque[Station] = deque()
        self._count = itertools.count()
        self.stations: list[Station] = []
        for listener, hook in zip(listeners, hooks, strict=True):
            self.stations.append(Station(self, listener, make, speed, hook))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets, wherever Ctrl-C has interrupted us."""
        self._watched.close()
        for station in self.stations:
            station.close()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped = True

    def touch(self, station: Station) -> None:
        """Look again when this board has something to do."""
        alarm_ns = station.alarm_ns
        if self._alarm_of.get(station) == alarm_ns:
            return
        self._alarm_of[station] = alarm_ns
        if alarm_ns is not None:
            heapq.heappush(self._alarms, (alarm_ns, next(self._count), station))

    def run(self) -> None:
        """Serve until `stop`."""
        while not self._stopped:
            self.turn()

    def turn(self) -> None:
        """Look at the sockets, waiting until something is due, then let boards compute for a few ms."""
        for ready, events in self._watched.select(self._timeout_s()):
            ready(events)
        self._wake()
        until_ns = self.clock() + TURN_NS
        while self._runnable and (now_ns := self.clock()) < until_ns:
            station = self._runnable.popleft()
            station.turn(now_ns + SLICE_NS)
            self._wake()

    def _timeout_s(self) -> float | None:
        if self._stopped or self._runnable:
            return 0
        while self._alarms:
            alarm_ns, _, station = self._alarms[0]
            if self._alarm_of[station] == alarm_ns:
                return max(alarm_ns - self.clock(), 0) / _NS_PER_S
            heapq.heappop(self._alarms)
        return None

    def _wake(self) -> None:
        """Let those boards have a turn whose alarm has come."""
        now_ns = self.clock()
        while self._alarms and self._alarms[0][0] <= now_ns:
            alarm_ns, _, station = heapq.heappop(self._alarms)
            if self._alarm_of[station] == alarm_ns:
                self._alarm_of[station] = None
                self._runnable.append(station)
