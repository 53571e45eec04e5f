"""Handing variants out: they are drawn as targets come free, and none that was handed out is lost.

A variant is *outstanding* from its hand-out until the monitors were told its one result. Back-pressure is a bound on
what is outstanding: with slow monitors nothing new is handed out, and nobody who reads a target's events ever waits.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from taskgen.distributor.ledger import Ledger
from taskgen.distributor.source import Source
from taskgen.errors import InputError, SessionBusy, TargetError, TaskgenError, Unsupported, UsageError
from taskgen.monitor import Run
from taskgen.registry import describe
from taskgen.session import Session, Status
from taskgen.trace import Trace
from taskgen.units import Milliseconds

#: Waits are cut into pieces of this length, so that Ctrl-C is heard on every platform.
HEARTBEAT_S = 0.2
#: How long the next run on a session waits for a `stop()` that was meant for the last one.
STOP_S = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """What holds for all variants of one `start`."""

    source: Source
    admission: Mapping[str, Any] | None = None
    horizon_ms: Milliseconds | None = None
    seed: int = 0
    ledger: Ledger | None = None


@dataclass(eq=False, slots=True)
class Item:
    """A variant that was handed out; `run` is its current attempt."""

    run: Run
    failed_on: set[int] = field(default_factory=set)  #: the targets on which an attempt failed
    failures: int = 0  #: how many attempts failed; those of an earlier driver don't count
    settled: bool = False  #: it has its one result
    announced: bool = False  #: the monitors heard of an attempt
    refused: bool = False  #: it never began: a session refused the description
    lasting: bool = True  #: its result is one for the ledger, not just a part of the end of all work


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is; `total` is None while nobody knows how many variants there are."""

    total: int | None
    handed_out: int
    finished: int
    rejected: int
    stopped: int
    failed: int
    failed_attempts: int
    skipped: int = 0  #: variants whose result was stored before

    @property
    def done(self) -> int:
        """How many variants have their result."""
        return self.finished + self.rejected + self.stopped + self.failed

    @property
    def running(self) -> int:
        """How many variants are on a target, or wait for another attempt."""
        return self.handed_out - self.done


class Handout:
    """The state that the threads of a Distributor share; every method may be called from any thread."""

    def __init__(
        self, targets: int, *, backlog: int, retries: int, report: Callable[[Item, Trace | None], None]
    ) -> None:
        lock = threading.RLock()  # re-entrant: a Distributor may be garbage-collected by a thread that holds it
        self._changed = threading.Condition(lock)  # for workers
        self._quiet = threading.Condition(lock)  # for those who wait for the end
        self._report = report
        self._targets = range(targets)
        self._bound = targets + backlog
        self._retries = retries
        self._alive = set(self._targets)
        self._front: deque[Item] = deque()
        self._held: dict[int, Item] = {}
        self._sessions: dict[int, Session] = {}
        self._stops: dict[int, threading.Event] = {}  # set when the `stop()` of a target's session has returned
        self._outstanding = 0
        self._handed_out = 0
        self._counts: Counter[str] = Counter()
        self.order: Order | None = None
        self.ending = ""  #: why nothing more is handed out; empty: work goes on
        self.error: BaseException | None = None
        self.closed = False

    def begin(self, order: Order) -> None:
        """Start to hand out; quarantined targets get another chance.

        Raises:
            UsageError: this is closed, or the work of an earlier `begin` isn't over (SessionBusy).
        """
        with self._changed:
            if self.closed:
                raise UsageError("this Distributor is closed", hint="make a new one")
            if not self.idle:
                raise SessionBusy("this Distributor is at work already", hint="call wait_finished() or stop() first")
            self.order = order
            self.ending = ""
            self.error = None
            self._alive = set(self._targets)
            self._handed_out = 0
            self._counts.clear()
            self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether nothing is outstanding and nothing more will be handed out."""
        order = self.order
        over = order is None or order.source.exhausted or bool(self.ending) or not self._alive
        return over and not self._outstanding

    def progress(self) -> Progress:
        """Return a snapshot of the counters."""
        with self._changed:
            counts = self._counts
            return Progress(
                total=None if self.order is None else self.order.source.total,
                handed_out=self._handed_out,
                finished=counts["finished"],
                rejected=counts["rejected"],
                stopped=counts["stopped"],
                failed=counts["failed"],
                failed_attempts=counts["attempts"],
                skipped=0 if self.order is None else self.order.source.skipped,
            )

    def take(self, target: int, name: str) -> Item | None:
        """Wait for the next variant for a target; None: there is nothing to wait for any more."""
        while True:
            with self._changed:
                self._held.pop(target, None)
                item = None
                while not (self.closed or (item := self._again(target, name)) or self._may_draw(target)):
                    self._changed.wait()
                order = self.order
                if order is None or (item is None and self.closed):
                    return None
                if item is None:
                    self._outstanding += 1
                else:
                    self._held[target] = item
            if item is None:
                item = self._draw(order, target, name)
            if item is None:
                self._release()
            elif self._begin(order, item):
                return item

    def _again(self, target: int, name: str) -> Item | None:
        if target not in self._alive:
            return None
        for position, item in enumerate(self._front):
            # A variant prefers a target that it hasn't failed on, as long as there is one.
            if target not in item.failed_on or not self._alive - item.failed_on:
                del self._front[position]
                last = item.run
                item.run = Run(
                    last.variant, last.taskset, name, last.seed, attempt=last.attempt + 1, history=list(last.history)
                )
                return item
        return None

    def _may_draw(self, target: int) -> bool:
        return (
            self.order is not None
            and not self.ending
            and not self.order.source.exhausted
            and target in self._alive
            and self._outstanding < self._bound
        )

    def _draw(self, order: Order, target: int, name: str) -> Item | None:
        try:
            drawn = order.source.draw()
            history = [] if drawn is None or order.ledger is None else order.ledger.earlier(drawn[0])
        except BaseException as error:  # noqa: BLE001  # a description is the user's code; those who wait hear of it
            self.end(reason_of(error), error)
            return None
        with self._changed:
            if drawn is None or self.ending:
                return None
            self._handed_out += 1
            item = Item(Run(*drawn, name, order.seed, attempt=len(history) + 1, history=history))
            self._held[target] = item
            return item

    def _begin(self, order: Order, item: Item) -> bool:
        """Note an attempt before its target knows of it; what can't be noted isn't run, and ends the work."""
        if order.ledger is not None:
            try:
                order.ledger.begin(item.run)
            except BaseException as error:  # noqa: BLE001  # those who wait hear of it
                self.refuse(item, error)
                return False
        return True

    def _release(self) -> None:
        with self._changed:
            self._outstanding -= 1
            self._changed.notify_all()
            if self.idle:
                self._quiet.notify_all()

    def enter(self, target: int, session: Session) -> None:
        """Register the session that is about to run a variant: `end` will stop it."""
        with self._changed:
            self._sessions[target] = session
            self._stops.pop(target, None)

    def leave(self, target: int) -> None:
        """The run is over: `end` has nothing to stop on this target."""
        with self._changed:
            self._sessions.pop(target, None)

    def may_enter(self, target: int) -> bool:
        """Wait a little for a `stop()` of the target's last run; False: it may yet hit the next run of the session."""
        stop = self._stops.get(target)
        return stop is None or stop.wait(STOP_S)

    def settle(self, item: Item, status: Status, reason: str = "", trace: Trace | None = None) -> None:
        """Give a variant its one result; a second one is ignored."""
        with self._changed:
            if item.settled:
                return
            item.settled = True
            item.run.status = status
            item.run.reason = reason
            self._counts[status] += 1
            self._report(item, trace)

    def told(self) -> None:
        """The monitors know the result of one more variant."""
        self._release()

    def again(self, item: Item, target: int, reason: str) -> None:
        """An attempt failed: hand the variant out again, first of all, or give it up; once per attempt."""
        with self._changed:
            if self._held.pop(target, None) is not item:
                return
            run = item.run
            run.history.append(f"{run.target}, attempt {run.attempt}: {reason}")
            item.failed_on.add(target)
            item.failures += 1
            self._counts["attempts"] += 1
            if self.ending:
                self.settle(item, "stopped", self.ending)
            elif item.failures > self._retries:
                self.settle(item, "failed", reason)
            elif not item.settled:
                self._front.appendleft(item)
                self._changed.notify_all()

    def refuse(self, item: Item, error: BaseException, *, reason: str = "") -> None:
        """A variant can't be run as the user described it, or nobody wants its result: this ends the work."""
        item.refused = isinstance(error, UsageError) and not item.announced
        item.lasting = False
        reason = reason or reason_of(error)
        order = self.order
        if item.refused and order is not None and order.ledger is not None:
            with suppress(Exception):  # there is an error to be told already
                order.ledger.withdraw(item.run)
        self.settle(item, "failed", reason)
        self.end(reason, error)

    def quarantine(self, target: int, name: str, failures: int, reason: str) -> None:
        """Give a target nothing more until the next `begin`; without targets the work is over."""
        with self._changed:
            self._alive.discard(target)
            self._changed.notify_all()
            if self._alive or self.order is None or self.ending:
                return
            while self._front:
                item = self._front.popleft()
                item.lasting = False  # with a target it might go on
                self.settle(item, "failed", f"no target left: {reason}")
            self._outstanding += 1  # nobody may think that it's over before the error is known
            source = self.order.source
        try:
            if source.look_ahead() is not None:
                self.end("no target left", _no_target(source.left(), name, failures, reason))
        except BaseException as error:  # noqa: BLE001  # as in `_draw`
            self.end(reason_of(error), error)
        self._release()

    def rest(self, seconds: float) -> bool:
        """Wait; False: something ended the wait early."""
        with self._changed:
            return not self._changed.wait_for(lambda: self.closed or self.ending, seconds)

    def end(self, reason: str, error: BaseException | None = None) -> None:
        """Hand out nothing more and stop what runs, without waiting; the first error is kept for those who wait."""
        with self._changed:
            if self.error is None:
                self.error = error
            self.ending = self.ending or reason
            while self._front:
                self.settle(self._front.popleft(), "stopped", self.ending)
            stops = []
            for target, session in self._sessions.items():
                if target not in self._stops or self._stops[target].is_set():
                    self._stops[target] = threading.Event()
                    stops.append((session, self._stops[target]))
            self._changed.notify_all()
            self._quiet.notify_all()
        for stop in stops:
            try:
                threading.Thread(target=_stop, args=stop, name="taskgen stop", daemon=True).start()
            except RuntimeError:  # the program is about to end: no thread starts any more
                _stop(*stop)

    def abandon(self, reason: str) -> None:
        """Report what is still on a target as stopped; its late result will be ignored."""
        with self._changed:
            for item in self._held.values():
                self.settle(item, "stopped", reason)

    def shut(self) -> None:
        """Send the workers home."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def wait_idle(self, timeout: float | None) -> bool:
        """Wait until the work is over; False: it isn't after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._quiet:
            while not self.idle:
                left = HEARTBEAT_S if deadline is None else min(HEARTBEAT_S, deadline - time.monotonic())
                if left <= 0:
                    return False
                self._quiet.wait(left)
            return True


def _stop(session: Session, over: threading.Event) -> None:
    with suppress(BaseException):  # a session that can't be stopped is left behind when the Distributor closes
        session.stop()
    over.set()


def reason_of(error: BaseException) -> str:
    """Return why something failed, in one line; our own errors need no type to be understood."""
    line = describe(error)
    return line.removeprefix(f"{type(error).__name__}: ") if isinstance(error, TaskgenError) else line


def naming(run: Run, error: UsageError) -> UsageError:
    """Return the same error with the number of the variant; the only variant of a set needs none."""
    if not run.variant:
        return error
    kind = type(error) if type(error) in {InputError, Unsupported} else UsageError
    named = kind(f"variant {run.variant}: {reason_of(error)}", hint=error.hint)
    named.__cause__ = error
    return named


def _no_target(left: int | None, name: str, failures: int, reason: str) -> TargetError:
    untried = "further variants" if left is None else "1 variant" if left == 1 else f"{left} variants"
    return TargetError(
        f"no target left, {untried} not tried: {name} failed {failures} times in a row: {reason}",
        hint="see what is wrong with the target, then start again",
    )
