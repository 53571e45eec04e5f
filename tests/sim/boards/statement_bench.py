"""A board on a bench, for tests of single statements: commands as a client gives them, times in ms since its boot."""

from collections.abc import Callable
from typing import Any

import simpy

from sim.boards.board import Board
from sim.boards.description import Demand, Description
from sim.boards.eventlog import LogEntry
from sim.boards.generation import Generation
from sim.workload import NEVER
from taskgen.units import NS_PER_MS

#: What the loader's work takes on the measured board: a description, START, a creation, the pause between two of them.
PARSE, START, CREATE, GAP = 11, 27, 26, 11.5
#: Admission control, per SEND_DESCS.
ADMISSION = 400

#: CPU time in ms of each job, or what job k of a task does.
Work = float | Callable[[Description, int], Demand]


def ns(milliseconds: float) -> int:
    return round(milliseconds * NS_PER_MS)


def endless(*_: object) -> Demand:
    """A job that never ends."""
    return Demand(NEVER)


def described(
    number: int = 0, *, period: float = 0, critical: float = 0, deadline: float = 0, **own: Any
) -> Description:
    """Return a task as a board reads it, at the level below the loader's, times in ms."""
    known: dict[str, Any] = {"pkg": "pi", "priority": 32768, "quota": 5 << 20, "caps": 235} | own
    return Description(id=number, period_ns=ns(period), critical_ns=ns(critical), deadline_ns=ns(deadline), **known)


class Bench:
    """A freshly booted board that has read the descriptions of one SEND_DESCS, if there are any."""

    def __init__(self, row: Generation, *tasks: Description, work: Work = 10, **options: Any) -> None:
        self.env = simpy.Environment()
        self.log: list[tuple[float, str, int]] = []
        self.board = Board(self.env, row, _demands(work), on_log=self._logged, **options)
        if tasks:
            self.descs(*tasks)

    def _logged(self, entry: LogEntry) -> None:
        self.log.append((self.env.now / NS_PER_MS, str(entry.type), entry.task_id))

    @property
    def now(self) -> float:
        return self.env.now / NS_PER_MS

    def until(self, at: float) -> None:
        """Let the time pass up to an instant."""
        self.env.run(until=ns(at))

    def wait(self, time: float) -> None:
        """Let that much time pass."""
        self.env.run(until=self.env.now + ns(time))

    def served(self, command: simpy.Event) -> float:
        """Wait for the answer to a command; return how long it took."""
        blocked_ns: Any = self.env.run(until=command)
        return float(blocked_ns / NS_PER_MS)

    def descs(self, *tasks: Description) -> float:
        return self.served(self.board.send_descs(tasks))

    def start(self) -> float:
        return self.served(self.board.start())

    def stop(self) -> float:
        return self.served(self.board.stop())

    def clear(self) -> float:
        return self.served(self.board.clear())

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.log]

    def of(self, number: int) -> list[str]:
        """Return the types of a task's events."""
        return [kind for _, kind, task in self.log if task == number]

    def when(self, kind: str, number: int | None = None) -> list[float]:
        """Return the instants of the events of one type."""
        return [time for time, found, task in self.log if found == kind and number in {None, task}]

    @property
    def dead(self) -> list[float]:
        """When the kernel's last dead threads were destroyed, core by core."""
        return [dead.time_us / 1000 for dead in self.board.dead_threads()]

    @property
    def sessions(self) -> list[str]:
        """The address spaces of the threads that are there."""
        return [row.session for row in self.board.threads()]


def _demands(work: Work) -> Callable[[Description, int], Demand]:
    if callable(work):
        return work
    demand = Demand(ns(work))
    return lambda *_: demand
