"""One board that runs set after set: what its optimiser has learnt of tasks outlives CLEAR (wire-protocol 5.4)."""

from typing import TYPE_CHECKING

import simpy

from sim.boards.generation import GENERATIONS
from sim.boards.taskloader import Taskloader
from taskgen import TaskSet
from taskgen.events import Event
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from sim.boards.controller import Controller

_DENIED = {"pkg": "namaste", "executiontime": 1, "period": 100, "deadline": 50}
#: Behind this set `namaste` of task 1 is denied each job, until somebody else ends (rules 4 and 6).
LEARNT = TaskSet(
    [
        {**_DENIED, "id": 0, "executiontime": 120, "numberofjobs": 1},
        {**_DENIED, "id": 1, "numberofjobs": 1, "offset": 130},
    ]
)
#: Nothing starts then.
DENIED = TaskSet([{**_DENIED, "id": 1, "numberofjobs": 3, "offset": 30}])
#: A task with a fixed priority does.
BESIDE = TaskSet(
    [
        {"id": 2, "pkg": "hey", "executiontime": 10, "period": 100, "numberofjobs": 1, "priority": 5, "offset": 10},
        *DENIED,
    ]
)
#: Set after set, with the horizon in ms; the first one ends by itself.
RUNS = ((LEARNT, 1000), (DENIED, 250), (BESIDE, 250), (DENIED, 250))


class OneBoard:
    """Simulates each set on a board of its own, and hands its optimiser and clock on to the next one."""

    def __init__(self, generation: str) -> None:
        self._row = GENERATIONS[generation]
        self._controller: Controller | None = None
        self._uptime_ns = 0

    def run(self, taskset: TaskSet, horizon_ms: int) -> list[Event]:
        """Return the events of a set whose tasks all say how long they compute."""
        model = Taskloader(
            simpy.Environment(),
            parameters_of(taskset),
            self._row,
            lambda task, _: task.wcet_ns or 0,
            horizon_ns=horizon_ms * NS_PER_MS,
            uptime_ns=self._uptime_ns,
        )
        if self._controller is not None:
            model.board.loader.controller = self._controller
        while not model.over:
            model.env.step()
        self._controller = model.board.loader.controller
        self._uptime_ns = model.board.clock_ns + 1000 * NS_PER_MS
        return [Event(*event) for event in model.events]
