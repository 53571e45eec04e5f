"""The conformance suite accepts a session that keeps its promises, and names the promise that another one breaks."""

import heapq
import io
import itertools
import re
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Self

import pytest

from taskgen.errors import ConnectError, SessionBusy
from taskgen.events import ENDINGS, Event, EventType
from taskgen.parameters import Parameters
from taskgen.session import Capabilities, Plan, Session, Target
from taskgen.sessions.stdio import StdIOSession
from taskgen.testing import check_session

START, EXIT, CUT, DONE = EventType.START, EventType.EXIT, EventType.EXIT_EXTERNAL, EventType.JOBS_DONE


class Toy(Session):
    """Each task has a core of its own, so each job runs from its release to its end."""

    capabilities = Capabilities(deterministic=True, trace=True, cores=2)

    @classmethod
    def open(cls, target: Target) -> Self:
        return cls.construct(target.options)

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        running: dict[int, Event] = {}
        now_ns = 0
        for event in heapq.merge(*map(self.life, plan.tasks), key=lambda event: event.time_ns):
            stopped = plan.stopped()
            if stopped or event.time_ns >= plan.horizon.time_ns:
                break
            now_ns = event.time_ns
            if event.task_id is not None and event.type is START:
                running[event.task_id] = event
            elif event.task_id is not None and event.type in ENDINGS:
                running.pop(event.task_id, None)
            yield event
        else:
            return
        cut_ns = now_ns if stopped else plan.horizon.time_ns
        for event in running.values():
            yield from self.cut(event._replace(time_ns=cut_ns, type=CUT))

    def life(self, task: Parameters) -> Iterator[Event]:
        """Yield what happens to a task that nobody cuts off."""
        for job in itertools.count() if task.jobs is None else range(task.jobs):
            release_ns = task.arrival_ns(job)
            yield from self.job(release_ns, release_ns + (task.wcet_ns or 0), task.id, job)
        yield Event(release_ns + (task.wcet_ns or 0), DONE, task.id, None, None)

    def job(self, release_ns: int, end_ns: int, task_id: int, job: int) -> Iterator[Event]:
        kinds = (EventType.RELEASE, START, EventType.DISPATCH) if self.capabilities.trace else (START,)
        for kind in kinds:
            yield Event(release_ns, kind, task_id, job, task_id)
        yield Event(end_ns, EXIT, task_id, job, task_id)
        if self.capabilities.trace:
            yield Event(end_ns, EventType.IDLE, None, None, task_id)

    def cut(self, event: Event) -> Iterator[Event]:
        yield event


class Untraced(Toy):
    capabilities = Capabilities(deterministic=True, cores=2)


class Board(Untraced):
    """Waits for each event in real time (of a board that is a million times too fast), until it is woken."""

    capabilities = Capabilities(cores=2, job_numbers="starts", policies=frozenset({"edf"}))

    def __init__(self) -> None:
        self.woken = threading.Event()

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        self.woken.clear()
        for event in super().events(plan):
            if plan.horizon.bound == "requested" and event.time_ns > 50_000_000:
                self.woken.wait()
            yield event

    def wake(self) -> None:
        self.woken.set()


@pytest.mark.parametrize("session", [Toy, Untraced, Board, lambda: StdIOSession(io.StringIO())])
def test_a_session_that_keeps_its_promises_passes(session: Callable[[], Session]) -> None:
    check_session(session, patience_s=30)


def test_each_task_gets_the_block_of_the_target() -> None:
    seen: list[object] = []

    class Reader(Toy):
        def events(self, plan: Plan) -> Generator[Event, None, None]:
            seen.extend(task.attributes.get("pkg") for task in plan.tasks)
            return super().events(plan)

    check_session(Reader, block={"pkg": "hey"})
    assert set(seen) == {"hey"}


class ValidatesLate(Toy):
    def run(self, *args: Any, **options: Any) -> Generator[Event, None, None]:
        yield from super().run(*args, **options)


class StartsAtOnce(Toy):
    def run(self, *args: Any, **options: Any) -> Generator[Event, None, None]:
        events = super().run(*args, **options)
        next(events)
        return events


class ReturnsAList(Toy):
    def run(self, *args: Any, **options: Any) -> Any:
        return list(super().run(*args, **options))


class RepeatsEvents(Toy):
    def job(self, *args: int) -> Iterator[Event]:
        for event in super().job(*args):
            yield from (event, event)


class Disorderly(Toy):
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        events = list(super().events(plan))
        yield from events[1:]
        yield from events[:1]


class ForgetsStart(Toy):
    def job(self, *args: int) -> Iterator[Event]:
        return (event for event in super().job(*args) if event.type is not START)

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        for task in plan.tasks:
            yield from itertools.islice(self.life(task), 3)


class StartsAfterTheEnd(Untraced):
    def job(self, *args: int) -> Iterator[Event]:
        start, end = super().job(*args)
        yield end._replace(time_ns=start.time_ns)
        yield start

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        yield from heapq.merge(*map(self.life, plan.tasks), key=lambda event: event.time_ns)


class CountsFromOne(Toy):
    def job(self, release_ns: int, end_ns: int, task_id: int, job: int) -> Iterator[Event]:
        return super().job(release_ns, end_ns, task_id, job + 1)


class LosesJobs(Toy):
    def life(self, task: Parameters) -> Iterator[Event]:
        return (event for event in super().life(task) if event.job != 1 or task.jobs != 2)


class NeverDone(Toy):
    def life(self, task: Parameters) -> Iterator[Event]:
        return (event for event in super().life(task) if event.type is not DONE)


class DoneTooSoon(Toy):
    def life(self, task: Parameters) -> Iterator[Event]:
        done = Event(task.arrival_ns(0), DONE, task.id, None, None)
        return itertools.chain([done], (event for event in super().life(task) if event.type is not DONE))


class NeverReturns(Toy):
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        yield from super().events(plan)
        for time_ns in itertools.count():
            yield Event(time_ns, EventType.IDLE, None, None, 0)


class IgnoresStop(Toy):
    def stop(self) -> None:
        pass


class RemembersStop(Toy):
    halted = False

    def stop(self) -> None:
        self.halted = True

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        if not self.halted:
            yield from super().events(plan)


class CutsWithExit(Toy):
    def cut(self, event: Event) -> Iterator[Event]:
        yield event._replace(type=EXIT)


class ForgetsWhatItCuts(Toy):
    def cut(self, event: Event) -> Iterator[Event]:
        yield from ()


class NeverBusy(Toy):
    def _check_free(self) -> None:
        pass


class BusyOnceClosed(Toy):
    claimed = False

    def _check_free(self) -> None:
        super()._check_free()
        if self.claimed:
            raise SessionBusy("a run was closed, and never forgotten")

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        try:
            yield from super().events(plan)
        except GeneratorExit:
            self.claimed = True
            raise


class IgnoresTheHorizon(Toy):
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        late = plan.horizon._replace(time_ns=plan.horizon.time_ns + 10_000_000)
        return super().events(Plan(plan.tasks, plan.taskset, late, None, plan.exact, plan.stopped))


class ClosesOnce(Toy):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise OSError("it is closed already")
        self.closed = True


class Moody(Untraced):
    cores = itertools.count()

    def job(self, *args: int) -> Iterator[Event]:
        return (event._replace(core=next(self.cores)) for event in super().job(*args))


class OtherContext(Toy):
    def __enter__(self) -> Self:
        return type(self)()


class DispatchesFirst(Toy):
    def job(self, *args: int) -> Iterator[Event]:
        release, start, dispatch, *rest = super().job(*args)
        yield from (dispatch, start, release, *rest)


class PreemptsTheWaiting(Toy):
    def job(self, *args: int) -> Iterator[Event]:
        release, start, *rest = super().job(*args)
        yield from (release, start, start._replace(type=EventType.PREEMPT), *rest)


class SharesACore(Toy):
    def job(self, *args: int) -> Iterator[Event]:
        return (event._replace(core=0) for event in super().job(*args) if event.type is not EventType.IDLE)


class IdlesTooSoon(Toy):
    def job(self, *args: int) -> Iterator[Event]:
        release, start, dispatch, end, idle = super().job(*args)
        yield from (release, start, dispatch, idle._replace(time_ns=start.time_ns), end)


class FloatTime(Toy):
    def job(self, *args: int) -> Iterator[Event]:
        return (event._replace(time_ns=event.time_ns / 1) for event in super().job(*args))  # type: ignore[arg-type]  # on purpose


class OnlyShows(Toy):
    capabilities = Capabilities(executes=False)


class Raises(Toy):
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        raise ZeroDivisionError("a bug")
        yield


class Sleepy(Board):
    def wake(self) -> None:
        pass


BROKEN = [
    (ValidatesLate, "a set with choices raises Unsupported when run() is called; it raised nothing"),
    (StartsAtOnce, "a run starts at the first next"),
    (ReturnsAList, "run() returns a generator"),
    (RepeatsEvents, "each event comes once"),
    (Disorderly, "come in time order"),
    (ForgetsStart, "a job has one START, got 0"),
    (StartsAfterTheEnd, "START comes before the job's end"),
    (CountsFromOne, "job numbers count up from 0"),
    (LosesJobs, "a task has its numberofjobs, 2; task 1 had 1"),
    (NeverDone, "JOBS_DONE comes after the end of the last job, got none of task 0"),
    (DoneTooSoon, "JOBS_DONE comes after the end of the last job, then came"),
    (NeverReturns, "the generator returns when all jobs are done"),
    (IgnoresStop, "the generator returns at once if stop() came before the first next"),
    (RemembersStop, "stop() is a no-op when no run is active"),
    (CutsWithExit, "a job that is cut off ends with EXIT_EXTERNAL"),
    (ForgetsWhatItCuts, "every job has ended when the run is over"),
    (NeverBusy, "a second run while one is active raises SessionBusy; it raised nothing"),
    (BusyOnceClosed, "closing the generator stops the set and frees the session: it said a run was closed"),
    (IgnoresTheHorizon, "nothing happens after the horizon of 22000000 ns"),
    (ClosesOnce, "a session keeps the rule 'closes'; it raised OSError: it is closed already"),
    (Moody, "a deterministic session repeats itself"),
    (OtherContext, "a session is its own context manager"),
    (DispatchesFirst, "RELEASE comes before DISPATCH"),
    (PreemptsTheWaiting, "only a running job is preempted"),
    (SharesACore, "a core runs one job at a time"),
    (IdlesTooSoon, "IDLE means that nothing runs on the core"),
    (FloatTime, "times are whole nanoseconds"),
    (OnlyShows, "a session that executes nothing yields no events"),
    (Raises, "it raised ZeroDivisionError: a bug"),
    (object, "a session derives from taskgen.Session"),
]


@pytest.mark.parametrize(("session", "sentence"), BROKEN, ids=[session.__name__ for session, _ in BROKEN])
def test_a_broken_promise_is_named(session: Callable[[], Session], sentence: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        check_session(session)


def test_a_session_that_hangs_breaks_a_rule_too() -> None:
    opened: list[Sleepy] = []

    def open_session() -> Session:
        opened.append(Sleepy())
        return opened[-1]

    with pytest.raises(AssertionError, match="a session never hangs: the rule 'stop wakes a run that waits'"):
        check_session(open_session, patience_s=0.5)
    opened[-1].woken.set()


def test_a_target_that_is_absent_is_no_broken_promise() -> None:
    def open_session() -> Session:
        raise ConnectError("nobody there")

    with pytest.raises(ConnectError):
        check_session(open_session)


def test_the_testing_kit_resolves_its_names_when_they_are_used() -> None:
    from taskgen import testing

    assert "check_session" in dir(testing)
    with pytest.raises(AttributeError, match="has no attribute 'check_sessions'"):
        testing.check_sessions  # noqa: B018  # looking it up is the point
