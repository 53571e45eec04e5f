"""One board at its place in the network: who is connected, and how its engine's time goes by.

A station never waits: the server (`hil.board.server`) tells it what is ready and gives it a few ms to compute.
"""

import selectors
import socket
import sys
import traceback
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Final, Protocol

from hil.board.dom0 import WRITE_BYTES, Dom0
from hil.board.engine import Engine, EngineFactory
from hil.board.hooks import Action, Hook
from hil.board.line import Line
from hil.board.listening import abort, address_of, resume, silence
from hil.board.pace import Pace
from taskgen.units import NS_PER_MS

#: How far a board at `max` computes ahead of a client that it hears nothing of, in steps of its engine: some seconds of
#: CPU. Tasks without end would occupy the server for ever.
LONELY_STEPS: Final = 1_000_000
#: The same in its time, where a client has to ask for each glance at the threads: G1 and G1o tell no events.
GLANCE_NS: Final = 500 * NS_PER_MS
#: Steps between two looks at the clock.
_STEPS: Final = 100
#: The board never closes a connection; the last few stay open, that nobody takes the silence for an end.
_LEFT_OPEN: Final = 8
_FOR_EVER: Final = 1 << 63


class Loop(Protocol):
    """What a station needs of its server."""

    def clock(self) -> int:
        """Return the wall clock in ns."""

    def watch(self, sock: socket.socket, events: int, ready: Callable[[int], None]) -> None:
        """Call `ready` with what of `events` a socket is ready for; 0: forget the socket."""

    def touch(self, station: "Station") -> None:
        """Look again when this board has something to do by itself."""


class Station:
    """A board that listens; `speed` None is `max`. The engine is made when somebody needs it."""

    def __init__(
        self, loop: Loop, listener: socket.socket, make: EngineFactory, speed: Fraction | None, hook: Hook
    ) -> None:
        self.address = address_of(listener)
        self._loop = loop
        self._listener = listener
        self._silent = False
        self._boots = 0
        self._make = make
        self._speed = speed
        self._hook = hook
        self._made: Dom0 | None = None
        self._pace: Pace | None = None
        self._line: Line | None = None
        self._left_open: deque[socket.socket] = deque()
        self._waited = False  # the client didn't read
        self._lonely = 0  # steps since it heard of its client
        self._heard_ns = 0  # when that was
        self._watch()

    @property
    def _dom0(self) -> Dom0:
        if self._made is None:
            engine = self._make()
            self._made = Dom0(engine, self._hook)
            self._switch(self._hook, on=True)
            if self._speed is not None:
                self._pace = Pace(self._speed, self._loop.clock(), engine.now_ns)
        return self._made

    # -- what the world does to it -------------------------------------------------------------------------------

    def inject(self, hook: Hook) -> None:
        """Let this hook act instead of the one before."""
        self._switch(self._hook, on=False)
        hook.follows(self._hook)
        self._hook = self._dom0.hook = hook
        self._switch(hook, on=True)
        if self._line is not None:
            self._line.repeat_end(hook)
        self._begin()
        self._settle()

    def _begin(self) -> None:
        """Let happen what the hook makes happen at once."""
        for what in self._hook.begins(connected=self._line is not None):
            if isinstance(what, Action):
                self._dom0.act(what)
            elif self._line is not None:
                self._line.write([what])
        self._flush()

    def _switch(self, hook: Hook, *, on: bool) -> None:
        for name in hook.switches:
            self._dom0.engine.switch(name, on)

    def freeze(self) -> None:
        """Let nothing happen any more; who connects is neither refused nor served."""
        self._dom0.frozen = True
        self._watch()

    def reboot(self) -> None:
        """Cut the board's power for a moment."""
        self._catch_up()
        self._dom0.reboot()
        self._settle()

    def close(self) -> None:
        """Close all sockets; the loop watches none of them any more."""
        line = [] if self._line is None else [self._line.sock]
        for sock in (self._listener, *line, *self._left_open):
            sock.close()

    # -- sockets -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Watch for what can happen now."""
        dom0, line = self._made, self._line
        accepts = line is None if dom0 is None else dom0.accepts
        events = selectors.EVENT_READ if accepts and not self._silent else 0
        self._loop.watch(self._listener, events, self._on_listener)
        if line is not None and dom0 is not None and not line.closed:
            self._loop.watch(line.sock, 0 if dom0.frozen else line.events(reads=dom0.reads), self._on_line)
        self._loop.touch(self)

    def _on_listener(self, _: int) -> None:
        try:
            sock, _address = self._listener.accept()
        except OSError:  # whoever it was has gone, or there are too many files
            if self._left_open:
                self._left_open.popleft().close()
            return
        if not self._hook.accepts():
            self._leave_open(sock)
        elif self._dom0.connect():
            self._line = Line(sock, self._loop.clock)
            self._catch_up()
            self._hear()
            self._begin()
        else:
            sock.close()
        self._settle()

    def _on_line(self, _: int) -> None:
        self._safely(self._attend)

    def _attend(self) -> None:
        """Write what waits, and read, also where it could only write before; what was read has its turn.

        Else a board that computes faster than its client reads fills the window anew each time, and never hears a STOP.
        """
        self._flush()
        line = self._line
        if line is not None and line.events(reads=self._dom0.reads) & selectors.EVENT_READ:
            line.read(self._hook)
        self._exchange(0)

    def _exchange(self, until_ns: int) -> None:
        """Hand on what has arrived, and write what the board says to it; some of it also where that instant is over."""
        self._catch_up()
        self._flush()
        while self._serve() and self._loop.clock() < until_ns:
            pass

    def _serve(self) -> bool:
        """Let the board serve some of what has arrived; False: there is nothing, or the client doesn't read."""
        line, dom0 = self._line, self._dom0
        if line is None or line.blocked:
            return False
        if dom0.pending:
            dom0.progress()
        elif dom0.reads and (data := line.arrived()) is not None:
            self._hear()
            dom0.receive(data)
        else:
            return False
        self._flush()
        return True

    def _hear(self) -> None:
        """Note a sign of life of the client."""
        self._lonely = 0
        self._heard_ns = self._dom0.engine.now_ns

    def _flush(self) -> None:
        written = self._dom0.take()
        line = self._line
        if line is None:
            return
        if written:
            line.write(self._hook.outgoing(written))
        if line.flush():
            self._hear()
        if self._waited and not line.blocked and self._pace is not None:
            self._pace.meet(self._loop.clock(), self._dom0.engine.now_ns)  # time stood still
        self._waited = line.blocked

    def _settle(self) -> None:
        """Do to the sockets what the board did to its connections."""
        dom0, line = self._dom0, self._line
        if line is not None and (line.closed or not dom0.serves):
            self._loop.watch(line.sock, 0, _ignore)
            line.shut()
        if dom0.booting is not self._silent:
            self._silent = dom0.booting
            (silence if dom0.booting else resume)(self._listener)
        if dom0.boots != self._boots:
            self._boots = dom0.boots
            self._reset()
        elif line is not None and not dom0.serves:
            self._line = None
            self._leave_open(line.sock)
        self._watch()

    def _leave_open(self, sock: socket.socket) -> None:
        if sock.fileno() < 0:
            return
        self._left_open.append(sock)
        if len(self._left_open) > _LEFT_OPEN:
            self._left_open.popleft().close()

    def _reset(self) -> None:
        """End all connections as a board that boots: its new TCP stack knows none of them."""
        if self._line is not None:
            self._loop.watch(self._line.sock, 0, _ignore)
            self._left_open.append(self._line.sock)
            self._line = None
        while self._left_open:
            abort(self._left_open.popleft())

    # -- time ----------------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Let the engine's clock show what it may, where nothing is due before."""
        limit_ns = self._limit_ns(self._dom0.engine)
        if limit_ns < _FOR_EVER:
            self._dom0.engine.skip(limit_ns)

    def _limit_ns(self, engine: Engine) -> int:
        """Return how far the engine's clock may go by now."""
        if self._pace is not None:
            return self._pace.board_ns(self._loop.clock())
        if engine.busy or "GET_PROFILE" in engine.row.messages:
            return _FOR_EVER
        return self._heard_ns + GLANCE_NS

    @property
    def alarm_ns(self) -> int | None:
        """When the station has something to do by itself: 0 for now, None for never."""
        dom0, line = self._made, self._line
        if dom0 is None or dom0.frozen:
            return None
        if self._is_pending(dom0):
            return 0
        due = (None if line is None else line.due_ns(reads=dom0.reads), self._engine_due_ns(dom0))
        return min((each for each in due if each is not None), default=None)

    def _is_pending(self, dom0: Dom0) -> bool:
        """Whether commands wait to be served, and nothing hinders the board: time doesn't go on before."""
        return dom0.pending and self._line is not None and not self._line.blocked

    def _engine_due_ns(self, dom0: Dom0) -> int | None:
        engine = dom0.engine
        next_ns = engine.next_ns
        if next_ns is None or dom0.frozen or (self._line is not None and self._line.blocked):
            return None
        if self._pace is not None:
            return self._pace.wall_ns(next_ns)
        if engine.settled or self._lonely >= LONELY_STEPS:
            return None
        return 0 if next_ns <= self._limit_ns(engine) else None

    def turn(self, until_ns: int) -> None:
        """Do what is due, up to this instant of the wall clock."""
        self._safely(lambda: self._compute(until_ns))

    def _safely(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:  # noqa: BLE001  # our fault, in one engine: that board hangs, the others go on
            traceback.print_exc(file=sys.stderr)
            self._dom0.frozen = True
        self._settle()

    def _compute(self, until_ns: int) -> None:
        self._exchange(until_ns)
        dom0, now_ns = self._dom0, self._loop.clock()
        while now_ns < until_ns and not self._is_pending(dom0):
            due_ns = self._engine_due_ns(dom0)
            if due_ns is None or due_ns > now_ns:
                break
            self._lonely += dom0.engine.advance(self._limit_ns(dom0.engine), _STEPS)
            dom0.progress()
            if dom0.written >= WRITE_BYTES:
                self._flush()
            while self._is_pending(dom0) and self._loop.clock() < until_ns:
                self._serve()
            now_ns = self._loop.clock()
        self._exchange(0)


def _ignore(_: int) -> None:
    """Nobody listens to this socket any more."""
