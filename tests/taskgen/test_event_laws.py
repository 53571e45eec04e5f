"""The conformance suite names the law that the events of a session break."""

import heapq
import itertools
import re
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from taskgen.events import Event, EventType
from taskgen.parameters import Parameters
from taskgen.session import Capabilities, Plan, Session
from taskgen.testing import check_session
from tests.taskgen.toy import DONE, EXIT, START, Toy, Untraced


class RepeatsEvents(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        for event in super().job(*args):
            yield from (event, event)


class Disorderly(Toy):
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        events = list(super().events(plan))
        yield from events[1:]
        yield from events[:1]


class ForgetsStart(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        return (event for event in super().job(*args) if event.type is not START)

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        for task in plan.tasks:
            yield from itertools.islice(self.life(task), 3)


class StartsAfterTheEnd(Untraced):
    def job(self, *args: Any) -> Iterator[Event]:
        start, end = super().job(*args)
        yield end._replace(time_ns=start.time_ns)
        yield start

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        yield from heapq.merge(*map(self.life, plan.tasks), key=lambda event: event.time_ns)


class CountsFromOne(Toy):
    def job(self, release_ns: int, end_ns: int, task_id: int, job: int, outcome: EventType) -> Iterator[Event]:
        return super().job(release_ns, end_ns, task_id, job + 1, outcome)


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


class CutsWithExit(Toy):
    def cut(self, event: Event) -> Iterator[Event]:
        yield event._replace(type=EXIT)


class ForgetsWhatItCuts(Toy):
    def cut(self, event: Event) -> Iterator[Event]:
        yield from ()


class DispatchesFirst(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        release, start, dispatch, *rest = super().job(*args)
        yield from (dispatch, start, release, *rest)


class PreemptsTheWaiting(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        release, start, *rest = super().job(*args)
        yield from (release, start, start._replace(type=EventType.PREEMPT), *rest)


class SharesACore(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        return (event._replace(core=0) for event in super().job(*args) if event.type is not EventType.IDLE)


class IdlesTooSoon(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        release, start, dispatch, end, idle = super().job(*args)
        yield from (release, start, dispatch, idle._replace(time_ns=start.time_ns), end)


class FloatTime(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        return (event._replace(time_ns=event.time_ns / 1) for event in super().job(*args))  # type: ignore[arg-type]  # on purpose


class IsBornLate(Toy):
    """Everything but the release comes a nanosecond late."""

    def life(self, task: Parameters) -> Iterator[Event]:
        for event in super().life(task):
            yield event if event.type is EventType.RELEASE else event._replace(time_ns=event.time_ns + 1)


class IsBornBeforeItsRelease(Toy):
    capabilities = Capabilities(deterministic=True, trace=True, cores=2, job_numbers="starts")

    def job(self, *args: Any) -> Iterator[Event]:
        release, start, *rest = super().job(*args)
        yield from (start, *(event._replace(time_ns=event.time_ns + 1) for event in (release, *rest)))

    def life(self, task: Parameters) -> Iterator[Event]:
        for event in super().life(task):
            yield event._replace(time_ns=event.time_ns + 1) if event.type is DONE else event


class CountsTimeFromItsBoot(Toy):
    def life(self, task: Parameters) -> Iterator[Event]:
        return (event._replace(time_ns=event.time_ns + 1_000_000_000) for event in super().life(task))


class CountsTimeFromItsBootAsABoard(CountsTimeFromItsBoot):
    capabilities = Capabilities(deterministic=True, trace=True, cores=2, job_numbers="starts")


class DriftsAway(Toy):
    def life(self, task: Parameters) -> Iterator[Event]:
        late_ns = 0
        for event in super().life(task):
            late_ns = event.job or late_ns
            yield event._replace(time_ns=event.time_ns + late_ns)


class RunsElsewhere(Toy):
    capabilities = Capabilities(deterministic=True, trace=True, cores=1)

    def job(self, *args: Any) -> Iterator[Event]:
        return (event._replace(core=7) for event in super().job(*args))


class NeverIdle(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        return (event for event in super().job(*args) if event.type is not EventType.IDLE)


class NeverMisses(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        return (event for event in super().job(*args) if event.type is not EventType.DEADLINE_MISS)


class ForgetsTheKilled(Toy):
    def life(self, task: Parameters) -> Iterator[Event]:
        events = super().life(task)
        return (event for event in events if not task.critical_ns or event.type is not EventType.DEADLINE_MISS)


class AlwaysMisses(Toy):
    def job(self, *args: Any) -> Iterator[Event]:
        for event in super().job(*args):
            yield event
            if event.type is EXIT:
                yield event._replace(type=EventType.DEADLINE_MISS)


BROKEN = [
    (RepeatsEvents, "each event comes once"),
    (Disorderly, "come in time order"),
    (ForgetsStart, "a job has one START, got 0"),
    (StartsAfterTheEnd, "START comes before the job's end"),
    (CountsFromOne, "job numbers count up from 0"),
    (LosesJobs, "a task has its numberofjobs, 2; task 1 had 1"),
    (NeverDone, "JOBS_DONE comes after the end of the last job, got none of task 0"),
    (DoneTooSoon, "JOBS_DONE comes after the end of the last job, then came"),
    (CutsWithExit, "a job that is cut off ends with EXIT_EXTERNAL"),
    (ForgetsWhatItCuts, "every job has ended when the run is over"),
    (DispatchesFirst, "RELEASE comes before DISPATCH"),
    (PreemptsTheWaiting, "only a running job is preempted"),
    (SharesACore, "a core runs one job at a time"),
    (IdlesTooSoon, "IDLE means that nothing runs on the core"),
    (IsBornLate, "START comes with RELEASE, at the same instant"),
    (IsBornBeforeItsRelease, "RELEASE comes before START"),
    (CountsTimeFromItsBoot, "a job is RELEASEd at its arrival, 1000000 ns"),
    (CountsTimeFromItsBootAsABoard, "a job is RELEASEd at its arrival, 60000000 ns"),
    (DriftsAway, "a job is RELEASEd at its arrival, "),
    (RunsElsewhere, "cores are numbered from 0, and capabilities.cores is 1"),
    (NeverIdle, "IDLE comes when nothing runs on a core"),
    (NeverMisses, "DEADLINE_MISS comes iff a job isn't completed at its absolute deadline"),
    (ForgetsTheKilled, "DEADLINE_MISS comes iff a job isn't completed at its absolute deadline"),
    (AlwaysMisses, "DEADLINE_MISS comes iff a job isn't completed at its absolute deadline"),
    (FloatTime, "times are whole nanoseconds"),
]


@pytest.mark.parametrize(("session", "sentence"), BROKEN, ids=[session.__name__ for session, _ in BROKEN])
def test_a_broken_law_is_named(session: type[Session], sentence: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        check_session(session)
