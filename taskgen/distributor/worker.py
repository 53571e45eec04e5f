"""One target's thread: it opens the session when there is work, runs what it is handed, and rests after failures."""

from collections.abc import Generator
from contextlib import suppress
from itertools import islice

from taskgen.distributor.audience import Audience, Feed
from taskgen.distributor.handout import Errand, Handout
from taskgen.distributor.health import Sign
from taskgen.distributor.items import Item, naming, reason_of
from taskgen.distributor.recovery import Recovery
from taskgen.errors import SessionBusy, Unsupported, UsageError
from taskgen.events import Event, EventType
from taskgen.parameters import parameters_of
from taskgen.session import Session, Status, Target
from taskgen.trace import Trace


class Worker:
    """What the thread of one target does."""

    def __init__(
        self,
        index: int,
        target: Target,
        kind: type[Session],
        handout: Handout,
        audience: Audience,
        recovery: Recovery,
        *,
        max_events: int,
        check_after_s: float | None = None,
    ) -> None:
        self.target = target
        self._index = index
        self._kind = kind
        self._handout = handout
        self._audience = audience
        self._recovery = recovery
        self._max_events = max_events
        self._check_after_s = check_after_s
        self._session: Session | None = None
        self._opened = False  # ever

    def work(self) -> None:
        """Serve until the Distributor closes."""
        while (duty := self._handout.take(self._index, self._due_s())) is not None:
            try:
                self._do(duty)
            except BaseException as error:  # noqa: BLE001  # a thread that dies takes its variant with it: nobody would wake
                self._give_up(duty, error)
        self._drop()

    def _due_s(self) -> float | None:
        """Return after which idle time the target is to be probed; one with an open session notices by itself."""
        return self._check_after_s if self._session is None else None

    def _do(self, duty: Item | Errand) -> None:
        if isinstance(duty, Item):
            self._serve(duty)
        elif duty is Errand.VACATE:
            self._drop()
        elif not self._recovery.probe():
            self._recovery.recover()

    def _serve(self, item: Item) -> None:
        began = False
        try:
            session, events = self._begin(item)
            began = True
            self._run(item, session, events)
        except BaseException as error:  # noqa: BLE001  # whatever a session does, its variant is never lost
            if isinstance(error, Unsupported) and self._session is not None and not began:
                self._handout.unable(item, self._index, naming(item.run, error))
            elif isinstance(error, UsageError) and self._blames_user(error) and not item.failures:
                # Later attempts are no reason to refuse it: this target can't do what another one could.
                self._handout.refuse(item, error if self._session is None else naming(item.run, error))
            elif isinstance(error, BrokenPipeError) and not self._kind.capabilities.executes:
                self._handout.refuse(item, error, reason="nobody reads any more")
            else:
                self._fail(item, error)

    def _blames_user(self, error: UsageError) -> bool:
        # A target that was opened before, in the same way, and can't be any more has failed, whatever it says.
        return not isinstance(error, SessionBusy) and (self._session is not None or not self._opened)

    def _begin(self, item: Item) -> tuple[Session, Generator[Event, None, None]]:
        order = self._handout.order
        if order is None:
            raise AssertionError("handed out without an order")
        if self._session is not None and not self._handout.may_enter(self._index):
            self._close_session()
        if self._session is None:
            self._session = self._kind.open(self.target)
            self._opened = True
            self._recovery.inspect(self._session)
        session = self._session
        item.run.canary = self._recovery.canary
        return session, session.run(item.run.taskset, admission=order.admission, horizon_ms=order.horizon_ms)

    def _run(self, item: Item, session: Session, events: Generator[Event, None, None]) -> None:
        self._handout.enter(self._index, session)
        try:
            try:
                trace, status, reason = self._collect(item, session, events)
            finally:
                events.close()
        finally:
            self._handout.leave(self._index)
        if status != "stopped":  # which says nothing about the target
            self._handout.note(self._index, Sign.WORKED)
        self._handout.settle(item, status, reason, trace)

    def _collect(self, item: Item, session: Session, events: Generator[Event, None, None]) -> tuple[Trace, Status, str]:
        run, plan = item.run, session.plan
        if plan is not None:
            run.horizon, run.exact = plan.horizon, plan.exact
        if self._handout.ending:  # it came before there was a run to stop
            session.stop()
        item.announced = True
        self._audience.started(run)
        tasks = parameters_of(run.taskset) if plan is None else plan.tasks
        trace = Trace(tasks, capabilities=session.capabilities)
        bounded = islice(events, self._max_events)
        if self._audience.listening:
            feed = Feed(run, trace)
            for event in bounded:
                trace.append(event)
                self._audience.feed(feed)
        else:
            trace.extend(bounded)
        if next(events, None) is not None:
            return trace, "failed", f"more than {self._max_events} events; a shorter horizon yields fewer"
        if plan is not None:
            trace.finish(plan)
        if self._handout.ending if plan is None else plan.stopped():
            return trace, "stopped", self._handout.ending or "the session was stopped"
        return trace, "rejected" if _rejected(trace) else "finished", ""

    def _fail(self, item: Item, error: BaseException) -> None:
        reason = reason_of(error)
        self._handout.note(self._index, Sign.FAILED, reason)
        self._handout.again(item, self._index, reason)  # first of all: to drop a session may take its time
        self._drop()
        self._recovery.recover()

    def _give_up(self, duty: Item | Errand, error: BaseException) -> None:
        """After a failure that `_serve` didn't expect: nobody knows what state the target is in."""
        reason = reason_of(error)
        self._handout.note(self._index, Sign.FAILED, reason)
        if isinstance(duty, Item):
            self._handout.again(duty, self._index, reason)
        self._drop()
        self._handout.quarantine(self._index)

    def _drop(self) -> None:
        """Close the session, and let another target of the pool have this one's place."""
        self._close_session()
        self._handout.vacate(self._index)

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(BaseException):  # it is given up anyway
                session.close()


def _rejected(trace: Trace) -> bool:
    """Whether admission refused the set: no job was born, and some were refused."""
    if any(event.type is EventType.START for event in trace.events):
        return False
    return any(event.type is EventType.NOT_SCHEDULED for event in trace.events)
