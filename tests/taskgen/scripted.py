"""Sessions whose runs follow a script, and monitors that keep what they hear: the kit of the Distributor's tests."""

import itertools
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Self

from taskgen import Event, EventType, Session, Target, TaskSet, Trace
from taskgen.distributor import Distributor
from taskgen.monitor import Monitor, Run
from taskgen.session import Plan

Script = Callable[[Session, Plan], Iterator[Event]]

PATIENCE_S = 20.0  # a bound for what should take milliseconds, so that a bug fails instead of hanging


def job(number: int = 0, outcome: EventType = EventType.EXIT) -> Iterator[Event]:
    yield Event(number * 10, EventType.START, 0, number, 0)
    yield Event(number * 10 + 1, outcome, 0, number, 0)


def one_job(session: Session, plan: Plan) -> Iterator[Event]:
    return job()


def endless_jobs(session: Session, plan: Plan) -> Iterator[Event]:
    return itertools.takewhile(lambda _: not plan.stopped(), itertools.chain.from_iterable(map(job, itertools.count())))


def session_of(script: Script = one_job, **attributes: Any) -> type[Session]:
    """Return a class of sessions whose runs follow a script."""

    class Scripted(Session):
        def __init__(self, target: Target) -> None:
            self.target = target

        @classmethod
        def open(cls, target: Target) -> Self:
            return cls(target)

        def events(self, plan: Plan) -> Generator[Event, None, None]:
            yield from script(self, plan)

    for name, value in attributes.items():
        setattr(Scripted, name, value)
    return Scripted


def targets(*addresses: str) -> list[Target]:
    return [Target("Scripted", address) for address in addresses]


def variants(count: int) -> TaskSet:
    return TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1, "number": range(count)}])


class Recorder(Monitor):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.results: list[Run] = []
        self.traces: dict[int, Trace] = {}
        self.threads: set[threading.Thread] = set()
        self.closed = 0

    def note(self, what: str, run: Run) -> None:
        self.calls.append((what, run.variant))
        self.threads.add(threading.current_thread())

    def taskset_started(self, run: Run) -> None:
        self.note("started", run)

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        self.note("finished", run)
        self.results.append(run)
        self.traces[run.variant] = trace

    def taskset_stopped(self, run: Run, reason: str) -> None:
        self.note("stopped", run)
        assert reason == run.reason
        self.results.append(run)

    def close(self) -> None:
        self.closed += 1


class Listener(Recorder):
    """Keeps the events, too."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[int, Event]] = []

    def taskset_event(self, run: Run, event: Event) -> None:
        self.events.append((run.variant, event))


Make = Callable[..., Any]


def recorder(distributor: Distributor) -> Recorder:
    assert isinstance(distributor.monitor, Recorder)
    return distributor.monitor
