"""Sessions that break a promise, each another one, and a target that can be spoilt: importable, as scripts need it."""

import socket
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any, ClassVar, Self

from taskgen.errors import TargetLost
from taskgen.events import Event
from taskgen.parameters import Parameters
from taskgen.session import Capabilities, Plan, Session, Target
from taskgen.taskset import TaskSet
from tests.taskgen.toy import Toy


class Steady(Toy):
    """Keeps all promises, whatever ids its tasks have."""

    capabilities = Capabilities(deterministic=True)

    def life(self, task: Parameters) -> Iterator[Event]:
        return (event._replace(core=None) for event in super().life(task))


class ForgetsStop(Steady):
    """A stop before the first event is forgotten."""

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        if self._stop_flag is not None:
            self._stop_flag.clear()
        yield from super().events(plan)


class IgnoresStop(Steady):
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        return super().events(replace(plan, stopped=bool))


class Leaks(Steady):
    """The last event of a run comes again in the next one; nobody asks it to repeat itself."""

    capabilities = Capabilities()
    left: Event | None = None

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        if self.left is not None:
            yield self.left
        for event in super().events(plan):
            self.left = event
            yield event


class Drifts(Steady):
    """Its second run is a nanosecond late."""

    runs = 0

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        self.runs += 1
        for event in super().events(plan):
            yield event._replace(time_ns=event.time_ns + (self.runs > 1))


class NeverBusy(Steady):
    def _check_free(self) -> None:
        pass


class IsLost(Steady):
    """Without any fault, behind its fourth event."""

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        for count, event in enumerate(super().events(plan)):
            if count == 4:
                raise TargetLost("it fell from the table")
            yield event


class LeavesSocket(Steady):
    left: ClassVar[list[socket.socket]] = []

    def close(self) -> None:
        self.left.append(socket.socket())


class Hangs(Steady):
    """When it is closed."""

    over: ClassVar = threading.Event()

    def close(self) -> None:
        self.over.wait()


class Refuses(Steady):
    """Finds out too late that a set is wrong."""

    def check(self, taskset: Any, **options: Any) -> Plan:
        plan = super().check(taskset or TaskSet([{"period": 1, "executiontime": 1}]), **options)
        return replace(plan, taskset=taskset)


class Bench:
    """A target that can be spoilt: it falls silent at the next event, until it is mended."""

    harmless = ("hum",)
    harmful = ("cut",)

    def __init__(self) -> None:
        self.spoilt = False
        self.sends = 0

    def __call__(self) -> Session:
        return OnBench(self)

    def sent(self, _: Session | None) -> int:
        return self.sends

    def inject(self, fault: str) -> None:
        self.spoilt = self.spoilt or fault == "cut"

    def mend(self) -> None:
        self.spoilt = False


class OnBench(Steady):
    capabilities = Capabilities()

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    @classmethod
    def open(cls, target: Target) -> Self:
        raise NotImplementedError

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        self.bench.sends += 1
        for event in super().events(plan):
            self.check_target_is_there()
            yield event

    def check_target_is_there(self) -> None:
        if self.bench.spoilt:
            raise TargetLost("cut")


class BearsGrudges(Bench):
    """What was cut once is lost whenever it is met again, though somebody has mended it."""

    def mend(self) -> None:
        pass


class Hasty(Bench):
    """Its sessions send when they look at a set."""

    def __call__(self) -> Session:
        return SendsEarly(self)


class SendsEarly(OnBench):
    def check(self, taskset: Any, **options: Any) -> Plan:
        self.bench.sends += 7
        return super().check(taskset, **options)


class HumsBadly(Bench):
    """What is called harmless isn't."""

    def inject(self, fault: str) -> None:
        self.spoilt = True


class Absent(Bench):
    def probe(self) -> bool:
        return False
