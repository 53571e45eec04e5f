"""The current job of a task, as the processor keeps it and a policy sees it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from sim.execution import Work
    from taskgen.parameters import Parameters

#: The columns of a job, in the order of `taskgen.trace.Job`.
Row = tuple[int, int, int, int | None, int | None, int, int | None, EventType, int | None, int, int]

#: Where finished jobs go, each to the slot that was reserved at its release: a list is in the order of releases, a dict
#: in the order of ends; whoever reads a dict may clear it.
Rows = list[Row | None] | dict[int, Row]

#: A place in the ready queue: rank, then release (0 under the tie rule `index`), then id; one job per task is ready.
Entry = tuple[Any, int, int, "Job"]


class Job:
    """The current job of a task: one object per task, which takes up its jobs one after the other.

    A policy may read it during `rank`; it is another job later.
    """

    __slots__ = (
        "active", "arrival_ns", "core", "deadline_ns", "draw", "enqueued", "entry", "fixed", "home", "id", "index",
        "kill_ns", "last", "late", "limit", "missed", "period_ns", "preemptions", "queue", "relative_ns", "release_ns",
        "released", "remaining_ns", "slot", "special", "start_ns", "task", "work_ns",
    )  # fmt: skip

    def __init__(self, task: Parameters, work: Work, mortal: bool, home: int | None, queue: list[Entry]) -> None:
        self.task = task
        self.id = task.id
        self.work_ns = work if isinstance(work, int) else 0  #: of the current job
        self.draw = None if isinstance(work, int) else work  #: the execution time of a job, where jobs differ
        self.home = home  #: the only core that it may run on; None: any
        self.core = home  #: the core that it runs on, or ran on last
        self.queue = queue  #: where it waits when it is ready
        #: The exact distance of releases; 0: they follow from `task` one by one.
        self.period_ns = 0 if task.jitter_ns or task.arrivals_ns is not None else task.period_ns
        self.relative_ns = task.effective_deadline_ns or NEVER
        #: Its birth takes more than the common steps: it can be killed, its execution time is drawn, or no deadline
        #: follows from its arrival.
        self.special = mortal or self.draw is not None or self.relative_ns == NEVER
        self.limit = -1 if task.jobs is None else task.jobs
        self.released = 0  #: how many jobs were released, dropped ones included
        self.late: deque[tuple[int, int, int, int]] = deque()  #: index, arrival, release, slot of jobs behind this one
        self.active = False  #: it is released and not over
        self.last = -1  #: the last job that was released and not dropped
        self.missed = 0  #: the misses of all jobs before this index are reported
        self.entry: Entry | None = None  #: its place in the ready queue, where that never changes
        self.fixed: int | None = None  #: its rank, where that is fixed
        self.index = -1
        self.arrival_ns = 0
        self.release_ns = 0
        self.deadline_ns = NEVER  #: absolute; NEVER: none
        self.kill_ns = NEVER
        self.remaining_ns = 0
        self.start_ns: int | None = None
        self.preemptions = 0
        self.enqueued = 0
        self.slot = 0  #: its place among the rows

    def __repr__(self) -> str:
        return f"<job {self.index} of task {self.id}>"
