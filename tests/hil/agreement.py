"""A board in software beside the simulator: what a session tells of the one is what the other says."""

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

import hil.board
from hil.session import TaskloaderSession
from sim.session import SimSession
from taskgen.dialect.boards import BOARDS
from taskgen.events import Event, EventType
from taskgen.session import Target
from taskgen.taskset import TaskSet

QUICK = {"quiet_ms": 20, "poll_ms": 5}


def fresh(boards: hil.board.Boards) -> Target:
    """Return a board that has just booted: the optimiser of G3 forgets nothing else (wire-protocol 5.4)."""
    boards.reboot(0)
    target = boards.targets[0]
    while not TaskloaderSession.probe(target):  # it boots
        pass
    return Target(target.session, target.address, {**target.options, **QUICK})


def told(events: Iterator[Event]) -> list[tuple[int, EventType, int | None, int | None]]:
    return [(event.time_ns, event.type, event.task_id, event.job) for event in events]


@st.composite
def tasksets(draw: st.DrawFn, generation: str, most_ms: int, offsets_ms: tuple[int, ...]) -> TaskSet:
    """Draw limited sets of one to three tasks whose jobs compute up to `most_ms`; shrinks towards one short job."""
    row = BOARDS[generation]
    tasks = []
    for number in range(draw(st.integers(1, 3))):
        task: dict[str, Any] = {"id": number, "pkg": "hey"}
        task["executiontime"] = draw(st.integers(1, most_ms))
        task["period"] = draw(st.sampled_from([400, 500, 1000, 1700]))
        task["numberofjobs"] = draw(st.integers(1, 3))
        if row.edf != "none" and draw(st.booleans()):
            task["deadline"] = task["period"]
        else:
            task["priority"] = draw(st.integers(1, 127))
        if draw(st.booleans()):
            task["criticaltime"] = draw(st.sampled_from([100, 300, 450, 2500]))
        if row.offsets != "ignored":
            task["offset"] = draw(st.sampled_from(offsets_ms))
        tasks.append(task)
    return TaskSet(tasks)


def agree(board: Target, taskset: TaskSet, horizon_ms: int | None) -> None:
    """Compare the events of each task; at the horizon tasks are cut off in no order."""
    with TaskloaderSession.open(board) as session:
        seen = told(session.run(taskset, horizon_ms=horizon_ms))
    expected = told(SimSession(profile=board.options["dialect"]).run(taskset, horizon_ms=horizon_ms))
    for task in taskset:
        mine, theirs = ([event for event in events if event[2] == task["id"]] for events in (seen, expected))
        assert mine == theirs
