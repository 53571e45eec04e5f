"""The conformance suite accepts a session that keeps its promises, and names the promise that another one breaks."""

import dataclasses
import io
import itertools
import re
from collections.abc import Callable, Generator, Iterator
from typing import Any, Self

import pytest

from taskgen.errors import ConnectError, SessionBusy, Unsupported
from taskgen.events import Event, EventType
from taskgen.parameters import Parameters
from taskgen.session import Capabilities, Plan, Session
from taskgen.sessions.stdio import StdIOSession
from taskgen.taskset import TaskSet
from taskgen.testing import check_session
from tests.taskgen.toy import Board, Toy, Untraced


class Profile(Toy):
    """Its jobs are born a millisecond after their release, as on a board, and it gives all their events."""

    capabilities = Capabilities(deterministic=True, trace=True, cores=2, job_numbers="starts")

    def job(self, *args: Any) -> Iterator[Event]:
        release, *rest = super().job(*args)
        yield release
        yield from (event._replace(time_ns=event.time_ns + 1_000_000) for event in rest)

    def life(self, task: Parameters) -> Iterator[Event]:
        late_ns = {EventType.JOBS_DONE: 1_000_000}
        return (event._replace(time_ns=event.time_ns + late_ns.get(event.type, 0)) for event in super().life(task))


class Admits(Toy):
    """Refuses what isn't schedulable, as a partitioned target does."""

    def check(self, taskset: TaskSet, **options: Any) -> Plan:
        plan = super().check(taskset, **options)
        if any((task.wcet_ns or 0) > task.period_ns for task in plan.tasks):
            raise Unsupported("a task fits on no core")
        return plan


class Early(Untraced):
    """A board of the first generations: it knows neither offsets nor a limit of jobs, and says nothing at the end."""

    capabilities = Capabilities(
        deterministic=True, cores=2, job_numbers="starts", offsets=False, job_limits=False, policies=frozenset({"fp"})
    )

    def life(self, task: Parameters) -> Iterator[Event]:
        again = super().life(dataclasses.replace(task, jobs=task.jobs and task.jobs + 2))
        return (event for event in again if event.type is not EventType.JOBS_DONE)


@pytest.mark.parametrize("session", [Toy, Untraced, Board, Profile, Admits, Early, lambda: StdIOSession(io.StringIO())])
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


class TakesOffsets(Early):
    def check(self, taskset: TaskSet, **options: Any) -> Plan:
        return super().check(TaskSet([{**task, "offset": 0} for task in taskset]), **options)


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
    cores = itertools.cycle([0, 0, 1])

    def job(self, *args: Any) -> Iterator[Event]:
        return (event._replace(core=next(self.cores)) for event in super().job(*args))


class OtherContext(Toy):
    def __enter__(self) -> Self:
        return type(self)()


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
    (TakesOffsets, "without offsets in its capabilities, a session refuses them when run() is called"),
    (NeverReturns, "the generator returns when all jobs are done"),
    (IgnoresStop, "the generator returns at once if stop() came before the first next"),
    (RemembersStop, "stop() is a no-op when no run is active"),
    (NeverBusy, "a second run while one is active raises SessionBusy; it raised nothing"),
    (BusyOnceClosed, "closing the generator stops the set and frees the session: it said a run was closed"),
    (IgnoresTheHorizon, "nothing happens after the horizon of 22000000 ns"),
    (ClosesOnce, "a session keeps the rule 'closes'; it raised OSError: it is closed already"),
    (Moody, "a deterministic session repeats itself"),
    (OtherContext, "a session is its own context manager"),
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
