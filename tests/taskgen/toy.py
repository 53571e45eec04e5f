"""Sessions for tests: they keep their promises with as little as possible, and are easily broken."""

import heapq
import itertools
import threading
from collections.abc import Generator, Iterator
from typing import Self

from taskgen.events import ENDINGS, Event, EventType
from taskgen.parameters import Parameters
from taskgen.session import Capabilities, Plan, Session, Target

START, EXIT, CUT, DONE = EventType.START, EventType.EXIT, EventType.EXIT_EXTERNAL, EventType.JOBS_DONE
KILLED = EventType.EXIT_CRITICAL


class Toy(Session):
    """Each task has a core of its own, and late jobs are killed, so each job runs from its release to its end."""

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
            demand_ns = task.wcet_ns or 0
            lifetime_ns = min(demand_ns, task.effective_deadline_ns or demand_ns, task.critical_ns or demand_ns)
            outcome = EXIT if lifetime_ns == demand_ns else KILLED
            yield from self.job(release_ns, release_ns + lifetime_ns, task.id, job, outcome)
        yield Event(release_ns + lifetime_ns, DONE, task.id, None, None)

    def job(self, release_ns: int, end_ns: int, task_id: int, job: int, outcome: EventType) -> Iterator[Event]:
        kinds = (EventType.RELEASE, START, EventType.DISPATCH) if self.capabilities.trace else (START,)
        for kind in kinds:
            yield Event(release_ns, kind, task_id, job, task_id)
        if self.capabilities.trace and outcome is KILLED:
            yield Event(end_ns, EventType.DEADLINE_MISS, task_id, job, task_id)
        yield Event(end_ns, outcome, task_id, job, task_id)
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
            if plan.horizon.bound == "requested" and event.time_ns > 3_000_000_000:
                self.woken.wait()
            yield event

    def wake(self) -> None:
        self.woken.set()
