"""The thread that tells the monitors: one for all of them, everything in order per variant."""

import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from taskgen.distributor.handout import Handout
from taskgen.distributor.items import Item
from taskgen.monitor import Monitor, Run
from taskgen.registry import describe
from taskgen.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable


def say(line: str) -> None:
    """Write one line to stderr, if there is one."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # it is closed, or nobody reads it
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


class Detached(NamedTuple):
    """A monitor that raised, and what it raised."""

    monitor: Monitor
    error: BaseException


class Feed:
    """The events of one run on their way to the monitors that listen to them.

    The reader appends to the trace and wakes the audience at most once per batch; it never waits.
    """

    __slots__ = ("queued", "run", "told", "trace")

    def __init__(self, run: Run, trace: Trace) -> None:
        self.run = run
        self.trace = trace
        self.told = 0
        self.queued = False


class Audience:
    """The monitors and the queue of what they are to be told."""

    def __init__(self) -> None:
        self.monitors: list[Monitor] = []
        self.detached: list[Detached] = []
        self._messages: SimpleQueue[tuple[Callable[..., None], tuple[Any, ...]] | None] = SimpleQueue()
        self.thread: threading.Thread | None = None
        self._handout: Handout | None = None

    def serve(self, handout: Handout) -> None:
        """Start the thread, once."""
        if self.thread is None:
            self._handout = handout
            self.thread = threading.Thread(target=self._work, name="taskgen monitors", daemon=True)
            self.thread.start()

    def leave(self) -> None:
        """Close the monitors after everything that they still have to hear."""
        if self.thread is None:
            self._tell("close")
        else:
            self._messages.put(None)

    @property
    def listening(self) -> bool:
        """Whether a monitor wants to hear single events."""
        return any(map(_listens, self.monitors))

    def started(self, run: Run) -> None:
        """A target begins to run a variant."""
        self._messages.put((self._tell, ("taskset_started", run)))

    def feed(self, feed: Feed) -> None:
        """There are new events in a feed."""
        if not feed.queued:
            feed.queued = True
            self._messages.put((self._tell_events, (feed,)))

    def result(self, item: Item, trace: Trace | None) -> None:
        """A variant has its result."""
        self._messages.put((self._tell_result, (item, trace)))

    def _work(self) -> None:
        while (message := self._messages.get()) is not None:
            tell, arguments = message
            try:
                tell(*arguments)
            except BaseException as error:  # noqa: BLE001  # if this thread died, everybody would wait for ever
                self._end(f"telling the monitors failed: {describe(error)}", error)
        self._tell("close")

    def _end(self, reason: str, error: BaseException) -> None:
        if self._handout is not None:
            self._handout.end(reason, error)

    def _tell(self, name: str, *arguments: object) -> None:
        for monitor in tuple(self.monitors):
            self._call(monitor, name, *arguments)

    def _call(self, monitor: Monitor, name: str, *arguments: object) -> None:
        try:
            method = getattr(monitor, name, None)
            if method is not None:  # a monitor that isn't derived from Monitor has what it wants to hear
                method(*arguments)
        except BaseException as error:  # noqa: BLE001  # a monitor is the user's code: whatever it does, the runs go on
            self._detach(monitor, error)

    def _tell_events(self, feed: Feed) -> None:
        feed.queued = False  # before looking: what comes later is announced again
        listeners = [monitor for monitor in self.monitors if _listens(monitor)]
        events = feed.trace.events
        for index in range(feed.told, len(events)):
            for monitor in listeners:
                if monitor in self.monitors:
                    self._call(monitor, "taskset_event", feed.run, events[index])
            feed.told = index + 1

    def _tell_result(self, item: Item, trace: Trace | None) -> None:
        run = item.run
        try:
            if item.refused or not self._stored(item, trace):
                pass  # whoever started the work hears of it
            elif trace is None or run.status in {"stopped", "failed"}:
                self._tell("taskset_stopped", run, run.reason)
            else:
                self._tell("taskset_finished", run, trace)
        finally:
            if self._handout is not None:
                self._handout.told()

    def _stored(self, item: Item, trace: Trace | None) -> bool:
        """Store a result before anybody hears of it; False: it can't be, and that ends the work."""
        order = None if self._handout is None else self._handout.order
        if order is None or order.ledger is None or not item.lasting or item.run.status == "stopped":
            return True
        try:
            order.ledger.store(item.run, trace)
        except BaseException as error:  # noqa: BLE001  # those who wait hear of it
            self._end(f"storing the result of variant {item.run.variant} failed: {describe(error)}", error)
            return False
        return True

    def _detach(self, monitor: Monitor, error: BaseException) -> None:
        self.monitors[:] = [other for other in self.monitors if other is not monitor]
        self.detached.append(Detached(monitor, error))
        if isinstance(error, BrokenPipeError) or not isinstance(error, Exception):
            # Nobody reads any more, or the monitor wants to end the program: no reason to complain, nor to go on.
            self._end(f"monitor {type(monitor).__name__} ended the work", error)
            return
        say(f"monitor {type(monitor).__name__} failed and was detached: {describe(error)}")


def _listens(monitor: object) -> bool:
    """Whether a monitor has a `taskset_event` of its own."""
    try:
        method = getattr(monitor, "taskset_event", None)
    except BaseException:  # noqa: BLE001  # it raises again when it is told, and is detached
        return True
    return method is not None and getattr(method, "__func__", None) is not Monitor.taskset_event
