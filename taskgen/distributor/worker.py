"""One target's thread: it opens the session when there is work, runs what it is handed, and rests after failures."""

import random
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from taskgen.distributor.audience import Audience, Feed
from taskgen.distributor.handout import Handout, Item, naming, reason_of
from taskgen.errors import ConnectError, SessionBusy, UsageError
from taskgen.events import Event, EventType
from taskgen.parameters import parameters_of
from taskgen.session import Session, Status, Target
from taskgen.trace import Trace


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is borne from a target."""

    max_events: int  #: events of one variant
    quarantine_after: int  #: failures in a row
    backoff_s: float  #: the first rest after a failure; doubles with each further one
    max_backoff_s: float

    def rest_s(self, failures: int, rng: random.Random) -> float:
        """Return how long to rest after so many failures in a row: exponential, with jitter between half and all."""
        doublings = min(failures - 1, 64)  # 2.0**1024 would overflow
        return min(self.max_backoff_s, self.backoff_s * 2.0**doublings) * rng.uniform(0.5, 1.0)


class Worker:
    """What the thread of one target does."""

    def __init__(
        self, index: int, target: Target, kind: type[Session], handout: Handout, audience: Audience, limits: Limits
    ) -> None:
        self.target = target
        self._index = index
        self._name = str(target)
        self._kind = kind
        self._handout = handout
        self._audience = audience
        self._limits = limits
        self._session: Session | None = None
        self._failures = 0
        self._reason = ""
        self._rng = random.Random(index)

    def work(self) -> None:
        """Serve until the Distributor closes."""
        while (item := self._handout.take(self._index, self._name)) is not None:
            try:
                self._serve(item)
            except BaseException as error:  # noqa: BLE001  # a thread that dies takes its variant with it: nobody would wake
                self._give_up(item, error)
        self._drop()

    def _serve(self, item: Item) -> None:
        try:
            self._run(item)
        except BaseException as error:  # noqa: BLE001  # whatever a session does, its variant is never lost
            if isinstance(error, UsageError) and not isinstance(error, SessionBusy) and not item.failures:
                # Later attempts are no reason to refuse it: this target can't do what another one could.
                self._handout.refuse(item, error if self._session is None else naming(item.run, error))
            elif isinstance(error, BrokenPipeError) and not self._kind.capabilities.executes:
                self._handout.refuse(item, error, reason="nobody reads any more")
            else:
                self._fail(item, error)
        else:
            self._failures = 0

    def _run(self, item: Item) -> None:
        order = self._handout.order
        if order is None:
            raise AssertionError("handed out without an order")
        if self._session is not None and not self._handout.may_enter(self._index):
            self._drop()
        if self._session is None:
            self._session = self._kind.open(self.target)
        session = self._session
        self._handout.enter(self._index, session)
        try:
            events = session.run(item.run.taskset, admission=order.admission, horizon_ms=order.horizon_ms)
            try:
                trace, status, reason = self._collect(item, session, events)
            finally:
                events.close()
        finally:
            self._handout.leave(self._index)
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
        bounded = islice(events, self._limits.max_events)
        if self._audience.listening:
            feed = Feed(run, trace)
            for event in bounded:
                trace.append(event)
                self._audience.feed(feed)
        else:
            trace.extend(bounded)
        if next(events, None) is not None:
            return trace, "failed", f"more than {self._limits.max_events} events; a shorter horizon yields fewer"
        if plan is not None:
            trace.finish(plan)
        if self._handout.ending if plan is None else plan.stopped():
            return trace, "stopped", self._handout.ending or "the session was stopped"
        return trace, "rejected" if _rejected(trace) else "finished", ""

    def _fail(self, item: Item, error: BaseException) -> None:
        self._failures += 1
        self._reason = reason_of(error)
        self._handout.again(item, self._index, self._reason)  # first of all: to drop a session may take its time
        self._drop()
        self._recover()

    def _give_up(self, item: Item, error: BaseException) -> None:
        """After a failure that `_serve` didn't expect: nobody knows what state the target is in."""
        self._reason = reason_of(error)
        self._handout.again(item, self._index, self._reason)
        self._drop()
        self._quarantine(self._failures + 1)

    def _recover(self) -> None:
        while self._failures < self._limits.quarantine_after:
            if not self._handout.rest(self._limits.rest_s(self._failures, self._rng)) or self._answers():
                return
            self._failures += 1
            self._reason = str(ConnectError(f"{self._name} doesn't answer"))
        self._quarantine(self._failures)

    def _quarantine(self, failures: int) -> None:
        self._failures = 0
        self._handout.quarantine(self._index, self._name, failures, self._reason)

    def _answers(self) -> bool:
        try:
            return bool(self._kind.probe(self.target))
        except BaseException:  # noqa: BLE001  # a probe must not raise; one that does found nobody
            return False

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(BaseException):  # it is given up anyway
                session.close()


def _rejected(trace: Trace) -> bool:
    """Whether admission refused the set: no job was born, and some were refused."""
    if any(event.type is EventType.START for event in trace.events):
        return False
    return any(event.type is EventType.NOT_SCHEDULED for event in trace.events)
