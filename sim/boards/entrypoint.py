"""Threads of the loader that serve requests one after the other, and the timers that send them signals."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from sim.boards.eventlog import WRAP_NS
from sim.boards.kernel import SYSTEM_LEVEL, TIMER, Appointment

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import simpy

    from sim.boards.kernel import Kernel, Thread

    #: What a thread does for one request: a SimPy process; the thread is the one whose CPU time it spends.
    Steps = Generator[simpy.Event, Any, None]
    Handler = Callable[[Thread], Steps]


class EntryPoint:
    """A thread at the system's level that serves requests in their order; a handler that waits holds up the others."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self.kernel = kernel
        self.thread = kernel.thread("init -> taskloader", name, SYSTEM_LEVEL, 0)
        self._requests: deque[Handler] = deque()
        self._idle: simpy.Event | None = None
        self.dead = False  #: it serves nobody any more, and no call returns
        kernel.env.process(self._serve())

    @property
    def idle(self) -> bool:
        """Whether it waits for requests, with all of them served."""
        return self._idle is not None

    def post(self, handler: Handler) -> None:
        """Let the thread serve this request after all earlier ones."""
        self._requests.append(handler)
        if self._idle is not None:
            self._idle.succeed()
            self._idle = None

    def call(self, handler: Handler) -> simpy.Event:
        """Post a request; return an event that succeeds, with the time from now on in ns, when it was served."""
        env = self.kernel.env
        served, called_ns = env.event(), self.kernel.now_ns

        def serve(thread: Thread) -> Steps:
            yield from handler(thread)
            if not self.dead:
                served.succeed(self.kernel.now_ns - called_ns)

        self.post(serve)
        return served

    def _serve(self) -> Steps:
        while not self.dead:
            if self._requests:
                yield from self._requests.popleft()(self.thread)
            else:
                self._idle = self.kernel.env.event()
                yield self._idle


class Timer:
    """A timer whose ticks are signals to an entry point; ticks that it hasn't served coalesce into one.

    Armed anew it forgets a signal that waits to be served: a kill comes `criticaltime` after the newest start attempt
    (wire-protocol 3.2), never at the birth of a job because of an earlier one.
    """

    def __init__(self, entry: EntryPoint, handler: Handler) -> None:
        self._entry = entry
        self._handler = handler
        self._armed: simpy.Event | None = None
        self._signal: simpy.Event | None = None  #: the tick that the entry point hasn't served
        self._period_ns = 0

    def arm(self, delay_ns: int) -> None:
        """Tick once after `delay_ns`, instead of what was armed before."""
        self.cancel()
        self._period_ns = 0
        self._appoint(delay_ns)

    def repeat(self, period_ns: int) -> None:
        """Tick at once, then every `period_ns`, as far as 32-bit microseconds hold it (wire-protocol 2.2); 0: never."""
        self.cancel()
        self._period_ns = period_ns % WRAP_NS
        if self._period_ns:
            self._appoint(0)

    @property
    def armed(self) -> bool:
        """Whether it will tick."""
        return self._armed is not None

    def disarm(self) -> None:
        """Don't tick any more; a signal that was sent already is served."""
        self._armed = None

    def cancel(self) -> None:
        """Disarm it, and forget a signal that waits to be served."""
        self._armed = self._signal = None

    def _appoint(self, delay_ns: int) -> None:
        self._armed = Appointment(self._entry.kernel.env, delay_ns, TIMER, self._tick)

    def _tick(self, tick: simpy.Event) -> None:
        if tick is not self._armed or self._entry.kernel.halted:
            return
        self._armed = None
        if self._period_ns:
            self._appoint(self._period_ns)
        if self._signal is None:
            self._signal = tick
            self._entry.post(partial(self._serve, tick))

    def _serve(self, tick: simpy.Event, thread: Thread) -> Steps:
        if tick is self._signal:
            self._signal = None
            yield from self._handler(thread)
