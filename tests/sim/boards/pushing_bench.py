"""A board on a bench whose pushes are heard, too; tasks sit on the second of four cores, the loader on the first."""

from collections.abc import Callable, Mapping
from typing import Any

from sim.boards.description import Demand, Description
from sim.boards.eventlog import LogEntry
from sim.boards.generation import Generation
from sim.boards.instance import ManagedTask
from tests.sim.boards.statement_bench import Bench, Work, described, ns


def task(number: int = 0, *, offset: float = 0, **own: Any) -> Description:
    """Return a task in the middle of the levels with one job a second, times in ms; a `deadline` makes it EDF."""
    known = {"jobs": 1, "period": 1000, "priority": 127 if own.get("deadline") else 60, "cores": 2, "coreoffset": 1}
    return described(number, **known | own, offset_ns=ns(offset))


def works(by_task: Mapping[int, float | Demand]) -> Callable[[Description, int], Demand]:
    """Return what jobs do, by the ids of their tasks: CPU time in ms, or more."""
    demands = {number: work if isinstance(work, Demand) else Demand(ns(work)) for number, work in by_task.items()}
    return lambda one, _: demands[one.id]


class PushingBench(Bench):
    """Events and pushes in ms since the first release: `events` as (time, type, id), `pushes` as (time, types)."""

    def __init__(self, row: Generation, *tasks: Description, work: Work = 10, **options: Any) -> None:
        self.zero = 0.0
        self.contents: list[list[tuple[str, int]]] = []
        self._pushed: list[float] = []
        super().__init__(row, *tasks, work=work, **{"cores": 4, "on_push": self._on_push} | options)

    def _on_push(self, entries: tuple[LogEntry, ...]) -> None:
        self._pushed.append(self.now)
        self.contents.append([(str(entry.type), entry.task_id) for entry in entries])

    def begin(self, until: float = 0) -> None:
        """START, which ends with the first release, then let the time pass."""
        self.start()
        self.zero = self.now
        self.run(until)

    def run(self, until: float) -> None:
        """Let the time pass up to so long after the first release."""
        if until > self.now - self.zero:
            self.until(self.zero + until)

    @property
    def events(self) -> list[tuple[float, str, int]]:
        return [(round(time - self.zero, 3), kind, number) for time, kind, number in self.log]

    @property
    def pushes(self) -> list[tuple[float, list[str]]]:
        times = [round(time - self.zero, 3) for time in self._pushed]
        return [(time, [kind for kind, _ in content]) for time, content in zip(times, self.contents, strict=True)]

    def managed(self, number: int = 0) -> ManagedTask:
        """Return the loader's own record of a task."""
        (found,) = [known for known in self.board.loader.tasks if known.description.id == number]
        return found
