"""Handing variants out: they are drawn as targets come free, and none that was handed out is lost.

A variant is *outstanding* from its hand-out until the monitors were told its one result. Back-pressure is a bound on
what is outstanding: with slow monitors nothing new is handed out, and nobody who reads a target's events ever waits.

Each target has a thread that asks for its turn (`take`). Whatever may change who can have what calls `_deal`, which
gives variants to those that wait, in the order of the roster, and wakes only them.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum

from taskgen.distributor.health import Condition, Sign, State, TargetHealth
from taskgen.distributor.items import Item, Order, Progress, no_target, reason_of
from taskgen.distributor.roster import Roster, Seat
from taskgen.distributor.running import Running, send
from taskgen.errors import SessionBusy, UsageError
from taskgen.monitor import Run
from taskgen.session import Session, Status
from taskgen.trace import Trace

#: Waits are cut into pieces of this length, so that Ctrl-C is heard on every platform.
HEARTBEAT_S = 0.2


class Errand(Enum):
    """What a target that waits for a variant is to do instead."""

    VACATE = "vacate"  #: close the session: another target of the pool is to have its place
    PROBE = "probe"  #: find out whether it is still there


class Handout:
    """The state that the threads of a Distributor share; every method may be called from any thread."""

    def __init__(
        self, seats: Sequence[Seat], *, backlog: int, retries: int, report: Callable[[Item, Trace | None], None]
    ) -> None:
        self._lock = threading.RLock()  # re-entrant: a Distributor may be garbage-collected by a thread that holds it
        self._turns = [threading.Condition(self._lock) for _ in seats]  # one per target: nobody is woken for nothing
        self._over = threading.Condition(self._lock)  # for those who rest
        self._quiet = threading.Condition(self._lock)  # for those who wait for the end
        self._report = report
        self._roster = Roster(seats)
        self._bound = len(seats) + backlog
        self._retries = retries
        self._front: deque[Item] = deque()
        self._dealt: dict[int, Item | None] = {}  # None: a new variant is to be drawn
        self._evicted: set[int] = set()  # those that are to leave their place in a pool
        self._held: dict[int, Item] = {}
        self._running = Running()
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
        with self._lock:
            if self.closed:
                raise UsageError("this Distributor is closed", hint="make a new one")
            if not self.idle:
                raise SessionBusy("this Distributor is at work already", hint="call wait_finished() or stop() first")
            self.order = order
            self.ending = ""
            self.error = None
            self._handed_out = 0
            self._counts.clear()
            for target in range(len(self._turns)):
                self._roster.note(target, Sign.BEGUN)
            self._deal()

    @property
    def idle(self) -> bool:
        """Whether nothing is outstanding and nothing more will be handed out."""
        order = self.order
        over = order is None or order.source.exhausted or bool(self.ending) or not self._roster.alive
        return over and not self._outstanding

    def progress(self) -> Progress:
        """Return a snapshot of the counters."""
        with self._lock:
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

    def health(self) -> list[TargetHealth]:
        """Return a snapshot of the targets."""
        with self._lock:
            return self._roster.rows()

    def end(self, reason: str, error: BaseException | None = None) -> None:
        """Hand out nothing more and stop what runs, without waiting; the first error is kept for those who wait."""
        with self._lock:
            if self.error is None:
                self.error = error
            self.ending = self.ending or reason
            while self._front:
                self.settle(self._front.popleft(), "stopped", self.ending)
            stops = self._running.stops()
            self._over.notify_all()
            self._quiet.notify_all()
        send(stops)

    def abandon(self, reason: str) -> None:
        """Report what is still on a target as stopped; its late result will be ignored."""
        with self._lock:
            for item in self._held.values():
                self.settle(item, "stopped", reason)

    def shut(self) -> None:
        """Send the workers home."""
        with self._lock:
            self.closed = True
            self._over.notify_all()
            for turn in self._turns:
                turn.notify_all()

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

    def take(self, target: int, check_after_s: float | None = None) -> Item | Errand | None:
        """Wait for the next variant for a target, or for something else to do; None: there is nothing to wait for.

        A target that waits for `check_after_s` while others work is to be probed.
        """
        while True:
            with self._lock:
                self._held.pop(target, None)
                self._roster.wait(target)
                self._deal()
                errand = self._wait_for_turn(target, check_after_s)
                if target not in self._dealt:
                    self._roster.leave(target, State.LEASED if errand else State.IDLE)
                    return errand
                item = self._dealt.pop(target)
                order = self.order
            if order is None:
                raise AssertionError("handed out without an order")
            if item is None:
                item = self._draw(order, target)
            if item is None:
                self._release()
            elif self._begin(order, item):
                return item

    def _wait_for_turn(self, target: int, check_after_s: float | None) -> Errand | None:
        """Wait until this target is dealt something, or return what else there is."""
        while target not in self._dealt and not self.closed:
            if target in self._evicted:
                return Errand.VACATE
            woken = self._turns[target].wait(check_after_s)
            if not (woken or target in self._dealt or self.idle):
                return Errand.PROBE
        return None

    def _deal(self) -> None:
        """Give variants to the targets that wait, as far as there are any for them."""
        while self._roster.waiting and (self._deal_again() or self._deal_new()):
            pass
        if self._front and not self._evicted and (idler := self._roster.in_the_way(self._front)) is not None:
            self._evicted.add(idler)
            self._turns[idler].notify_all()

    def _deal_again(self) -> bool:
        for position, item in enumerate(self._front):
            target = self._roster.best(item)
            if target is not None:
                del self._front[position]
                item.begin_again(self._roster.seats[target].name)
                self._held[target] = item
                self._hand(target, item)
                return True
        return False

    def _deal_new(self) -> bool:
        order = self.order
        if order is None or self.ending or self.closed or self._outstanding >= self._bound or order.source.exhausted:
            return False
        target = self._roster.best()
        if target is None:
            return False
        self._outstanding += 1
        self._hand(target, None)
        return True

    def _hand(self, target: int, item: Item | None) -> None:
        self._dealt[target] = item
        self._evicted.discard(target)
        self._roster.seize(target)
        self._turns[target].notify_all()

    def _draw(self, order: Order, target: int) -> Item | None:
        try:
            drawn = order.source.draw()
            history = [] if drawn is None or order.ledger is None else order.ledger.earlier(drawn[0])
        except BaseException as error:  # noqa: BLE001  # a description is the user's code; those who wait hear of it
            self.end(reason_of(error), error)
            return None
        with self._lock:
            if drawn is None or self.ending:
                return None
            self._handed_out += 1
            name = self._roster.seats[target].name
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
        with self._lock:
            self._outstanding -= 1
            self._deal()
            if self.idle:
                self._quiet.notify_all()

    def enter(self, target: int, session: Session) -> None:
        """Register the session that is about to run something: `end` will stop it."""
        with self._lock:
            self._running.enter(target, session)
            self._roster.seats[target].state = State.RUNNING

    def leave(self, target: int) -> None:
        """The run is over: `end` has nothing to stop on this target."""
        with self._lock:
            self._running.leave(target)
            self._roster.seats[target].state = State.LEASED

    def may_enter(self, target: int) -> bool:
        """Wait a little for a `stop()` of the target's last run; False: it may yet hit the next run of the session."""
        return self._running.may_enter(target)

    def settle(self, item: Item, status: Status, reason: str = "", trace: Trace | None = None) -> None:
        """Give a variant its one result; a second one is ignored."""
        with self._lock:
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
        with self._lock:
            if self._held.pop(target, None) is not item:
                return
            item.fail(target, reason)
            self._counts["attempts"] += 1
            if self.ending:
                self.settle(item, "stopped", self.ending)
            elif item.failures > self._retries:
                self.settle(item, "failed", reason)
            else:
                self._queue(item)

    def _queue(self, item: Item) -> None:
        if not item.settled:
            self._front.appendleft(item)
            self._sift()
            self._deal()

    def unable(self, item: Item, target: int, error: UsageError) -> None:
        """A target can't do what a variant describes: perhaps another one can; if none is left, this ends the work.

        Once an attempt has failed, the variant has been begun somewhere, and its description is no reason to end the
        work: that nobody can repeat it counts as one more failed attempt.
        """
        item.unable.add(target)
        item.refusal = error
        if item.failures:
            self.again(item, target, reason_of(error))
            return
        self._withdraw(item)
        with self._lock:
            if self._held.pop(target, None) is not item:
                return
            if self.ending:
                self.settle(item, "stopped", self.ending)
            else:
                self._queue(item)

    def refuse(self, item: Item, error: BaseException, *, reason: str = "") -> None:
        """A variant can't be run as the user described it, or nobody wants its result: this ends the work."""
        item.refused = isinstance(error, UsageError) and not item.announced
        item.lasting = False
        reason = reason or reason_of(error)
        if item.refused:
            self._withdraw(item)
        self.settle(item, "failed", reason)
        self.end(reason, error)

    def _withdraw(self, item: Item) -> None:
        if self.order is not None and self.order.ledger is not None:
            with suppress(Exception):  # there is an error to be told already
                self.order.ledger.withdraw(item.run)

    def _sift(self) -> None:
        """Give those variants their result that no target can do."""
        for item in [each for each in self._front if self._roster.alive and not self._roster.can(each)]:
            if item not in self._front:  # the refusal of an earlier one ended the work
                return
            self._front.remove(item)
            if item.failures or item.refusal is None:
                self.settle(item, "failed", item.reason)
            else:
                self.refuse(item, item.refusal)

    def note(self, target: int, sign: Sign, reason: str = "") -> Condition:
        """Note what happened to a target; return its condition after that."""
        with self._lock:
            condition = self._roster.note(target, sign, reason)
            if self._front:  # a variant may prefer another target now
                self._deal()
            return condition

    def condition(self, target: int) -> Condition:
        """Return the condition of a target."""
        return self._roster.seats[target].condition

    def vacate(self, target: int) -> None:
        """A target has no session any more: another one of its pool may have one."""
        with self._lock:
            self._evicted.discard(target)
            self._roster.vacate(target)
            self._deal()

    def quarantine(self, target: int) -> None:
        """Give a target nothing more until the next `begin`; without targets the work is over."""
        with self._lock:
            condition = self._roster.note(target, Sign.WORN)
            if self.order is None or self.ending:
                return
            if self._roster.alive:
                self._sift()
                self._deal()
                return
            while self._front:
                item = self._front.popleft()
                item.lasting = False  # with a target it might go on
                self.settle(item, "failed", f"no target left: {condition.reason}")
            self._outstanding += 1  # nobody may think that it's over before the error is known
            source = self.order.source
        try:
            if source.look_ahead() is not None:
                name = self._roster.seats[target].name
                self.end("no target left", no_target(source.left(), name, condition.failures, condition.reason))
        except BaseException as error:  # noqa: BLE001  # as in `_draw`
            self.end(reason_of(error), error)
        self._release()

    def rest(self, seconds: float) -> bool:
        """Wait; False: something ended the wait early."""
        with self._lock:
            return not self._over.wait_for(lambda: self.closed or self.ending, seconds)
