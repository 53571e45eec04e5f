"""The conformance suite for sessions: what every backend promises, and what everything else relies on.

A backend's test is one call, with whatever opens a session of it:

>>> from sim.session import SimSession
>>> from taskgen.testing import check_session
>>> check_session(SimSession)
"""

import inspect
import threading
from collections.abc import Callable, Generator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from taskgen.errors import InputError, SessionBusy, TargetError, Unsupported, UsageError
from taskgen.events import Event, EventType
from taskgen.parameters import TIMES, parameters_of
from taskgen.registry import describe
from taskgen.session import Session
from taskgen.taskset import TaskSet
from taskgen.testing.event_laws import Observed, check_events, require
from taskgen.units import NS_PER_MS

#: More events than any run of the suite has; a run that was stopped and yields more didn't stop (a simulator may have
#: some thousands in stock).
_MANY = 100_000
#: A horizon that a run of the suite reaches only if it ignores stop(), after more events than that.
_FAR_MS = 600_000.0
#: A horizon that cuts a job of `endless` off: it is released at 20 ms and computes 3 ms.
_CUT_MS = 22
#: Where jobs are processes, birth takes some 30 ms and death 250 ms: all times of the suite are so much longer there.
_SLOWNESS = 60


def check_session(
    open_session: Callable[[], Session], *, block: Mapping[str, Any] | None = None, patience_s: float = 60.0
) -> None:
    """Check that a session keeps the promises of `taskgen.Session`.

    Args:
        open_session: opens a session; called several times, each session is closed before the next is opened.
        block: attributes for each task of the suite, such as a `pkg` that the target has.
        patience_s: how long one rule may take; a rule runs ten jobs or so, or stops a run of ten minutes.

    Raises:
        AssertionError: a rule is broken; one sentence says which, and how.
        TargetError: there is no target to check.
    """
    kit = _Kit(open_session, block or {})
    for rule in _RULES:
        _bounded(rule, kit, patience_s)
    if kit.executes:
        for rule in _EXECUTING_RULES:
            _bounded(rule, kit, patience_s)


class _Kit:
    """What the rules need: sessions, small task-sets, and ways to look at a run."""

    def __init__(self, open_session: Callable[[], Session], block: Mapping[str, Any]) -> None:
        self._open_session = open_session
        self._block = block
        self.executes = True
        self.ranked_by_deadline = False
        self.offsets = True
        self.slowness = 1

    def open(self) -> Session:
        session = self._open_session()
        require(isinstance(session, Session), f"a session derives from taskgen.Session, got {session!r:.80}")
        capabilities = session.capabilities
        processes = capabilities.job_numbers == "starts"
        self.executes = capabilities.executes
        # The admission control of boards refuses all but one task with a fixed priority.
        self.ranked_by_deadline = "fp" not in capabilities.policies or (processes and "edf" in capabilities.policies)
        self.offsets = capabilities.offsets
        self.slowness = _SLOWNESS if processes else 1
        return session

    @property
    def cut_ms(self) -> int:
        """The horizon that cuts a job of `endless` off."""
        return _CUT_MS * self.slowness

    def limited(self) -> TaskSet:
        """Return five jobs in two tasks; on one core the urgent task preempts the other at 1 ms."""
        offset = {"offset": 1} if self.offsets else {}
        return TaskSet([
            self._task(0, executiontime=1, period=10, numberofjobs=3, **offset),
            self._task(1, executiontime=3, period=20, numberofjobs=2),
        ])  # fmt: skip

    def endless(self) -> TaskSet:
        """Return two tasks without an end."""
        return TaskSet([self._task(0, executiontime=1, period=10), self._task(1, executiontime=3, period=20)])

    def late(self) -> TaskSet:
        """Return two jobs that are late wherever they run."""
        return TaskSet([self._task(0, executiontime=3, period=2, numberofjobs=2)])

    def killed(self) -> TaskSet:
        """Return a job that lives too long, though it would meet its deadline."""
        return TaskSet([self._task(0, executiontime=3, period=10, criticaltime=2, numberofjobs=1)])

    def _task(self, rank: int, **attributes: int) -> dict[str, Any]:
        slow = {key: value * (self.slowness if key in TIMES else 1) for key, value in attributes.items()}
        urgency = {"deadline": slow["period"]} if self.ranked_by_deadline else {"priority": rank}
        return {"id": rank, **self._block, **slow, **urgency}

    def drain(self, events: Generator[Event, None, None], what: str) -> list[Event]:
        """Return the rest of a run, which must come to its end."""
        rest = list(islice(events, _MANY))
        require(next(events, None) is None, f"the generator returns {what}; it went on for more than {_MANY} events")
        return rest

    def whole_run(self, session: Session, why: str) -> list[Event]:
        """Run the limited set to its end and check its events."""
        try:
            events = self.drain(session.run(self.limited()), "when all jobs are done")
        except SessionBusy as error:
            raise AssertionError(f"{why}: it said {error}") from error
        require(events or not self.executes, f"{why}: the run had no events")
        self.check(session, self.limited(), events, whole=True)
        return events

    def check(self, session: Session, taskset: TaskSet, events: list[Event], *, whole: bool) -> None:
        if self.executes:
            overheads = session.plan is not None and bool(session.plan.overheads)
            check_events(Observed(events, parameters_of(taskset), session.capabilities, overheads, whole))
        else:
            require(not events, f"a session that executes nothing yields no events, got {events[:1]}")


def _refused(errors: type[Exception], call: Callable[[], object], sentence: str) -> None:
    try:
        call()
    except errors:
        return
    except Exception as error:
        raise AssertionError(f"{sentence}; it raised {describe(error)}") from error
    raise AssertionError(f"{sentence}; it raised nothing")


def _refuses_before_it_starts(kit: _Kit) -> None:
    with kit.open() as session:
        task = dict(kit.limited()[0])
        cases: tuple[tuple[str, type[Exception], TaskSet], ...] = (
            ("a set with choices raises Unsupported", Unsupported, TaskSet([{**task, "period": [10, 20]}])),
            ("a wrong value raises InputError", InputError, TaskSet([{**task, "period": -1}])),
            ("an empty set raises InputError", InputError, TaskSet()),
        )
        for name, errors, taskset in cases:
            _refused(errors, partial(session.run, taskset), f"{name} when run() is called")
            require(not session.active, "a run that was refused leaves the session free")
        if not session.capabilities.offsets:
            shifted = TaskSet([{**task, "offset": kit.slowness}])
            sentence = "without offsets in its capabilities, a session refuses them when run() is called"
            _refused(Unsupported, partial(session.run, shifted), sentence)
        if not session.capabilities.admission:
            _refused(
                Unsupported,
                lambda: session.run(kit.limited(), admission={"optimize": {}}),
                "without admission control, admission raises Unsupported when run() is called",
            )


def _starts_at_the_first_next(kit: _Kit) -> None:
    with kit.open() as session:
        events = session.run(kit.limited())
        require(isinstance(events, Generator), f"run() returns a generator, got {events!r:.80}")
        created = not inspect.isgenerator(events) or inspect.getgeneratorstate(events) == inspect.GEN_CREATED
        require(created, "a run starts at the first next, not before")
        require(session.active, "a session is active from run() on")
        _refused(SessionBusy, lambda: session.run(kit.limited()), "a second run while one is active raises SessionBusy")
        events.close()
        require(not session.active, "closing the generator frees the session")
        kit.whole_run(session, "closing a generator that wasn't started frees the session")


def _closes(kit: _Kit) -> None:
    session = kit.open()
    with session as same:
        require(same is session, "a session is its own context manager")
        kit.whole_run(session, "a session that was just opened is free")
    session.close()
    session.close()  # idempotent: raises nothing


def _stop_when_idle_does_nothing(kit: _Kit) -> None:
    with kit.open() as session:
        session.stop()
        sentence = "stop() is a no-op when no run is active"
        kit.whole_run(session, sentence)
        session.stop()
        kit.whole_run(session, sentence)


def _runs_whole(kit: _Kit) -> None:
    with kit.open() as session:
        first = kit.whole_run(session, "a limited set runs to its end")
        again = kit.whole_run(session, "a session runs one set after another")
        sentence = "a deterministic session repeats itself: same set, same events"
        require(first == again or not session.capabilities.deterministic, sentence)
        deterministic = session.capabilities.deterministic
    if deterministic:
        with kit.open() as session:
            require(kit.whole_run(session, "a new session is free") == first, f"{sentence}, in another session, too")


def _is_busy(kit: _Kit) -> None:
    with kit.open() as session:
        events = session.run(kit.limited())
        first = [next(events)]
        _refused(SessionBusy, lambda: session.run(kit.limited()), "a second run while one is active raises SessionBusy")
        first += kit.drain(events, "when all jobs are done, also after another run was refused")
        kit.check(session, kit.limited(), first, whole=True)
        require(not session.active, "a session is free when the generator has returned")


def _honours_the_horizon(kit: _Kit) -> None:
    with kit.open() as session:
        taskset = kit.endless()
        events = kit.drain(session.run(taskset, horizon_ms=kit.cut_ms), "at the horizon")
        kit.check(session, taskset, events, whole=False)
        horizon_ns = kit.cut_ms * NS_PER_MS
        if session.capabilities.deterministic:
            late = [event for event in events if event.time_ns > horizon_ns]
            require(not late, f"nothing happens after the horizon of {horizon_ns} ns, got {late[:1]}")
        for task in parameters_of(taskset):
            born = [event for event in events if event.task_id == task.id and event.type is EventType.START]
            # A target with a clock of its own may notice the horizon one period late.
            bound = horizon_ns // task.period_ns + 2
            require(born, f"an endless task runs until the horizon, task {task.id} had no job")
            require(len(born) <= bound, f"no job is born after the horizon: task {task.id} had {len(born)}")


def _tells_what_is_missed(kit: _Kit) -> None:
    with kit.open() as session:
        capabilities = session.capabilities
        if not capabilities.trace or capabilities.job_numbers == "starts":
            return  # it tells nothing, or nobody knows which deadline a job has
        for taskset in [kit.late(), *([kit.killed()] if capabilities.kill else [])]:
            try:
                run = session.run(taskset)
            except UsageError:
                continue  # a target may refuse what isn't schedulable
            kit.check(session, taskset, kit.drain(run, "when all jobs are done"), whole=True)


def _stops_from_any_thread(kit: _Kit) -> None:
    with kit.open() as session:
        taskset = kit.endless()
        events = session.run(taskset, horizon_ms=_FAR_MS)
        seen = list(islice(events, 3))
        for _ in range(2):  # idempotent
            stopper = threading.Thread(target=session.stop)
            stopper.start()
            stopper.join()
        seen += kit.drain(events, "soon after stop()")
        kit.check(session, taskset, seen, whole=False)
        require(not session.active, "a session is free when a stopped run has returned")
        kit.whole_run(session, "stop() counts for the run that it stopped, not for the next one")


def _stop_is_sticky(kit: _Kit) -> None:
    with kit.open() as session:
        taskset = kit.endless()
        events = session.run(taskset, horizon_ms=_FAR_MS)
        session.stop()
        seen = kit.drain(events, "at once if stop() came before the first next")
        kit.check(session, taskset, seen, whole=False)
        kit.whole_run(session, "stop() counts for the run that it stopped, not for the next one")


def _stop_wakes_a_run_that_waits(kit: _Kit) -> None:
    with kit.open() as session:
        if session.capabilities.deterministic:
            return  # nothing to wait for: its time is simulated
        timer = threading.Timer(0.05, session.stop)
        events = session.run(kit.endless(), horizon_ms=_FAR_MS)
        seen = [next(events)]
        timer.start()
        seen += kit.drain(events, "soon after stop(), also when it waits for an event")
        kit.check(session, kit.endless(), seen, whole=False)


def _closing_the_generator_stops(kit: _Kit) -> None:
    with kit.open() as session:
        events = session.run(kit.endless(), horizon_ms=_FAR_MS)
        next(events)
        events.close()
        require(not session.active, "closing the generator frees the session")
        kit.whole_run(session, "closing the generator stops the set and frees the session")


_RULES: tuple[Callable[[_Kit], None], ...] = (
    _refuses_before_it_starts,
    _starts_at_the_first_next,
    _closes,
    _stop_when_idle_does_nothing,
    _stop_is_sticky,
    _runs_whole,
)
_EXECUTING_RULES: tuple[Callable[[_Kit], None], ...] = (
    _is_busy,
    _honours_the_horizon,
    _tells_what_is_missed,
    _stops_from_any_thread,
    _stop_wakes_a_run_that_waits,
    _closing_the_generator_stops,
)


def _bounded(rule: Callable[[_Kit], None], kit: _Kit, patience_s: float) -> None:
    """Apply a rule in a thread of its own, so that a session that hangs breaks a rule, too."""
    name = rule.__name__.strip("_").replace("_", " ")
    raised: list[BaseException] = []

    def apply() -> None:
        try:
            rule(kit)
        except BaseException as error:  # noqa: BLE001  # handed over to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=apply, name=f"check_session: {name}", daemon=True)
    thread.start()
    thread.join(patience_s)
    require(not thread.is_alive(), f"a session never hangs: the rule '{name}' took longer than {patience_s:g} s")
    if raised and isinstance(raised[0], AssertionError | TargetError):
        raise raised[0]
    if raised:
        raise AssertionError(f"a session keeps the rule '{name}'; it raised {describe(raised[0])}") from raised[0]
