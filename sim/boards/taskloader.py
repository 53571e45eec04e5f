"""A task-set on a simulated board, for a session: the board's stamps become set time and job numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.boards.board import Board
from sim.boards.description import Demand, describe, program_demand
from sim.boards.eventlog import WRAP_NS, LogEntry
from sim.boards.kernel import END, Appointment
from taskgen.events import EventType
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    import simpy

    from sim.boards.description import Description
    from sim.boards.generation import Generation, Switches
    from sim.boards.instance import ManagedTask
    from sim.boards.scheduler import Scheduler
    from taskgen.parameters import Parameters

_START = EventType.START
_REFUSED = EventType.NOT_SCHEDULED


class Taskloader:
    """A fresh board that gets the descriptions and START, and is stopped at the horizon.

    `work_ns(task, k)` is the CPU time of job k. Whoever steps the environment drains `events`, tuples of time in ns
    since the start of the set, type, task id, job, core. Time zero is the first START stamp minus the creation of its
    instance and that task's offset, and the horizon counts from there; until then events wait. If nothing starts the
    run ends a horizon after the last instant at which something could have, or with the first refusal at which the
    horizon has passed; it counts from the first refusal then (`_stand_in_ns`). `goal` is the optimiser's goal document;
    `uptime_ns` what the board's clock shows at the beginning; `scheduler` orders the jobs instead of its kernel.
    """

    def __init__(
        self,
        env: simpy.Environment,
        tasks: Sequence[Parameters],
        generation: Generation,
        work_ns: Callable[[Parameters, int], int],
        *,
        horizon_ns: int,
        cores: int = 2,
        goal: Mapping[str, Any] | None = None,
        switches: Switches | None = None,
        uptime_ns: int = 0,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.env = env
        self.horizon_ns = horizon_ns
        self.events: list[tuple[int, EventType, int, int, int]] = []
        self.over = False
        self.zero_ns: int | None = None  #: time zero on the environment's clock, once it is known
        self.board = Board(
            env,
            generation,
            self._demand,
            cores=cores,
            switches=switches,
            uptime_ns=uptime_ns,
            created=generation.timing.wear_instances,  # as the recorded figures: a board that has been up for a while
            scheduler=scheduler,
            on_log=self._logged,
        )
        self.board.loader.on_change = self._look
        self._boot_ns = int(env.now) - uptime_ns
        self._row = generation
        self._tasks = {task.id: task for task in tasks}
        self._descriptions = [describe(task, generation) for task in tasks]
        self._work_ns = work_ns
        self._goal = goal
        self._held: list[LogEntry] = []
        self._unborn: set[tuple[int, int]] = set()  # jobs that would start at the horizon or later, by task
        self._end: simpy.Event | None = None
        self._started_ns = 0
        self._now_ns = 0
        env.process(self._run())

    def _run(self) -> Generator[simpy.Event, Any, None]:
        """What a client does; a fresh board needs no CLEAR."""
        if self._goal is not None and self._row.optimiser == "start":
            yield self.board.optimize(self._goal)
        yield self.board.send_descs(self._descriptions, self._goal if self._row.optimiser == "job" else None)
        self._started_ns = int(self.env.now) + self._row.timing.start_ns
        self._end_after(self._started_ns + self._first_start_ns())
        yield self.board.start()
        self._look()

    def _demand(self, description: Description, job: int) -> Demand:
        """Return what a job does; a calibrated program's time includes its creation, which the loader pays."""
        task = self._tasks[description.id]
        work_ns = self._work_ns(task, job)
        if task.wcet_ns is not None:
            return Demand(work_ns)
        return program_demand(description, work_ns, self._row.timing)

    # -- the clock -----------------------------------------------------------------------------------------------

    def _first_start_ns(self) -> int:
        """Return how long after START the first job is logged, at the latest: what holds START up comes first."""
        row, tasks = self._row, self._tasks.values()
        wait_ns = max((task.period_ns for task in tasks), default=0)  # some timers fire at the end of a period
        wait_ns += row.timing.create_ns * len(tasks)
        if row.offsets != "ignored":
            wait_ns += sum(task.offset_ns for task in tasks)
        if row.jobs_limit == "odd":  # one question to the optimiser per job
            query_ns = self.board.loader.controller.query_interval_ns or row.timing.query_interval_ns
            wait_ns += query_ns * sum(task.jobs or 0 for task in tasks)
        return wait_ns

    def _end_after(self, zero_ns: int) -> None:
        """Let the run end at the horizon, as counted from `zero_ns`."""
        delay_ns = max(zero_ns + self.horizon_ns - int(self.env.now), 0)
        self._end = Appointment(self.env, delay_ns, END, self._on_horizon)

    def _on_horizon(self, event: simpy.Event) -> None:
        if event is self._end:
            self._finish()

    def _stamped_ns(self, entry: LogEntry) -> int:
        """Return an entry's stamp on the environment's clock; who was there knows how often it wrapped."""
        return self._boot_ns + entry.clock_ns // WRAP_NS * WRAP_NS + entry.stamp_ms * NS_PER_MS

    # -- events --------------------------------------------------------------------------------------------------

    def _logged(self, entry: LogEntry) -> None:
        if self.over:
            return
        if self.zero_ns is not None:
            self._emit(entry)
            return
        self._held.append(entry)
        if entry.type is _START:
            delay_ns = self._row.timing.create_ns + self._tasks[entry.task_id].offset_ns
            self._begin(self._stamped_ns(entry) - delay_ns)
        elif self._stamped_ns(entry) - self._stand_in_ns >= self.horizon_ns:
            self._begin(self._stand_in_ns)

    def _begin(self, zero_ns: int) -> None:
        self.zero_ns = zero_ns
        self._end_after(zero_ns)
        self._release_held()

    @property
    def _stand_in_ns(self) -> int:
        """Time zero of a set that hasn't started: its first stamp, minus the offset if that is a denied release.

        A refusal by admission is logged at START, whatever the task's offset is.
        """
        first = self._held[0]
        denied = any(task.deadline_ns for task in self.board.loader.tasks if task.description.id == first.task_id)
        return self._stamped_ns(first) - (self._tasks[first.task_id].offset_ns if denied else 0)

    def _release_held(self) -> None:
        if self._held and self.zero_ns is None:
            self.zero_ns = self._stand_in_ns
        for entry in self._held:
            self._emit(entry)
        self._held.clear()

    def _emit(self, entry: LogEntry) -> None:
        time_ns = max(self._stamped_ns(entry) - (self.zero_ns or 0), 0)
        if time_ns >= self.horizon_ns and entry.type in {_START, _REFUSED}:
            self._unborn.add((entry.task_id, entry.job))  # at the horizon nothing is released any more
        if (entry.task_id, entry.job) in self._unborn or self._is_beyond(entry):
            return
        self._now_ns = max(self._now_ns, time_ns)
        self.events.append((time_ns, entry.type, entry.task_id, entry.job, entry.core))

    def _is_beyond(self, entry: LogEntry) -> bool:
        """Whether a job comes on top of those of the set: some boards don't read `numberofjobs` (wire-protocol 2.2)."""
        limit = self._tasks[entry.task_id].jobs
        return limit is not None and entry.job >= limit and self._row.jobs_limit == "none"

    # -- the end -------------------------------------------------------------------------------------------------

    @property
    def hung(self) -> bool:
        """Whether the board hangs: no event will follow."""
        return self.board.hung

    @property
    def now_ns(self) -> int:
        """The time of the last event."""
        return self._now_ns

    def cut(self, time_ns: int) -> None:  # noqa: ARG002  # the board has a clock of its own
        """End the run now: jobs that run are cut off."""
        if not self.over:
            self._finish()

    def _finish(self) -> None:
        self.board.cut()
        self._release_held()
        self.over = True

    def _look(self) -> None:
        """The set is over when no task will have another job."""
        tasks = self.board.loader.tasks
        if not self.over and self._started_ns and all(self._is_done(task) for task in tasks):
            self._release_held()
            self.over = True

    def _is_done(self, task: ManagedTask) -> bool:
        if not task.accepted or task.done:
            return True
        limit = self._tasks[task.description.id].jobs
        instances = self._row.instances
        if limit is not None and task.starts > limit:
            return True  # the board goes on
        if limit is None or task.alive or (task.meta is not None and task.meta.job < 0):
            return False  # the last: its instance is being created
        if task.active and task.meta is None and task.kill_timer.armed:
            return False  # gone without an exit (OUT_OF_QUOTA), so its kill is still to be reported
        return task.attempts >= (limit if instances is None else min(limit, instances))
