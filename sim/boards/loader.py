"""The taskloader: one interpreter of the generations' rules, from the parse of a description to the birth of its jobs.

A `Loader` lives for one boot. Its entry point serves commands, releases and kill timers one after the other, so they
delay one another; a start thread walks through offsets (G3), a destruction thread ends instances (G1, G1p, G3). All of
them are threads of the kernel at the system's level on core 0 and take the time that the row's `Timing` says.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sim.boards.controller import Controller
from sim.boards.description import kill_delay_ns
from sim.boards.endings import Endings
from sim.boards.entrypoint import EntryPoint, Timer
from sim.boards.generation import EXIT_PERIOD_VALUE, Generation, Switches
from sim.boards.instance import Instance, ManagedTask
from sim.boards.kernel import SYSTEM_LEVEL, Kernel
from taskgen.errors import InputError
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Mapping, Sequence

    import simpy

    from sim.boards.description import Demand, DemandOf, Description
    from sim.boards.kernel import Thread
    from sim.boards.scheduler import Scheduler

    Steps = Generator[simpy.Event, Any, None]


class Loader(Endings):
    """A taskloader on a freshly booted kernel.

    `demand_of` says what job k of a description does; `binaries` are the programs that were uploaded (None: all);
    `created` instances since boot have worn the board; `scheduler` orders the jobs instead of the kernel's own rules.
    """

    def __init__(
        self,
        kernel: Kernel,
        row: Generation,
        demand_of: DemandOf,
        *,
        binaries: Container[str] | None = None,
        controller: Controller | None = None,
        switches: Switches | None = None,
        created: int = 0,
        scheduler: Scheduler | None = None,
    ) -> None:
        super().__init__(kernel, row, controller or Controller(row, kernel.cores), switches or Switches())
        self.demand_of = demand_of
        self.binaries = binaries
        self._starter = EntryPoint(kernel, "start") if row.offsets == "cumulative" else None
        self._created = created
        self._scheduler = scheduler

    # -- commands, served by the entry point ---------------------------------------------------------------------

    def send_descs(self, descriptions: Sequence[Description], goal: Mapping[str, Any] | None, thread: Thread) -> Steps:
        """Parse a document: its tasks are appended to the list, as far as admission is concerned in one decision."""
        timing = self.row.timing
        if any(not description.config for description in descriptions) or not self._take_goal(goal):
            self.hang()
        tasks = []
        for description in descriptions:
            if self.hung:
                return
            tasks.append(self._managed(description))
            yield self.kernel.run(thread, timing.parse_ns)
        if not tasks:
            return
        verdicts = self.controller.admit(descriptions, tasks[0].core, self.kernel)
        for task, verdict in zip(tasks, verdicts, strict=True):
            task.accepted = verdict is None or verdict.accepted
        if self.row.admission != "none":
            yield self.kernel.env.timeout(timing.admission_ns)
        self.tasks += tasks
        if self._scheduler is not None:
            self._scheduler.bind([task.description for task in self.tasks])

    def _take_goal(self, goal: Mapping[str, Any] | None) -> bool:
        if goal is None:
            return True
        try:
            self.controller.set_goal(goal)
        except InputError:
            return False
        return True

    def _managed(self, description: Description) -> ManagedTask:
        row, kernel = self.row, self.kernel
        edf = row.priorities.edf
        is_edf = edf is not None and description.deadline_ns > 0 and edf(description.priority)
        level = 0 if is_edf else row.priorities.level(description.priority)
        core = row.placement.core(kernel.cores, description.cores, description.coreoffset)
        task = ManagedTask(description, level, core, description.deadline_ns if is_edf else 0)
        task.timer = Timer(self.entry, partial(self.release, task))
        task.kill_timer = Timer(self.entry, partial(self.on_kill, task))
        task.service = kernel.thread("init -> taskloader", task.name, SYSTEM_LEVEL, 0)
        return task

    def start(self, thread: Thread) -> Steps:
        """START, by the generation's rule about offsets; a refused task gets its event or nothing."""
        yield self.kernel.run(thread, self.row.timing.start_ns)
        tasks = []
        for task in self.tasks:
            if task.accepted:
                tasks.append(task)
            elif self.row.refusal_event:
                self.record(EventType.NOT_SCHEDULED, task, task.starts)
        yield from _STARTS[self.row.offsets](self, tasks, thread)

    def _start_at_once(self, tasks: Sequence[ManagedTask], thread: Thread) -> Steps:
        """Single jobs are released inside START, one after the other; timers tick for the others."""
        released = False
        for task in tasks:
            task.paused = False
            if self.row.jobs_limit == "odd" and task.description.jobs:
                yield from self._start_odd(task)
            elif task.description.period_ns:
                task.timer.repeat(task.description.period_ns)
            else:
                if released:
                    yield self.kernel.run(thread, self.row.timing.gap_ns)
                released = True
                yield from self.release(task, thread)

    def _start_odd(self, task: ManagedTask) -> Steps:
        """G1o: a one-shot timer is armed once for each job, and only the last time counts; EDF tasks wait each time."""
        for _ in range(task.description.jobs if self.controller.knows(task.name) else 0):
            clock_us = self.kernel.clock_us
            review = self.controller.review(task.name, clock_us, self.seen_threads(), last_job_started=False)
            again_us = None if review is None else review.again_us
            wait_ns = self.controller.query_interval_ns or self.row.timing.query_interval_ns
            if again_us is not None:
                wait_ns = max(wait_ns, again_us * 1000 - self.kernel.clock_ns)
            yield self.kernel.env.timeout(wait_ns)
        task.timer.arm(kill_delay_ns(task.description.period_ns))  # a one-shot timer has the same limit

    def _start_in_background(self, tasks: Sequence[ManagedTask], thread: Thread) -> Steps:  # noqa: ARG002
        """G3: a thread walks through the queue, so offsets add up while other requests are served."""
        assert self._starter is not None  # noqa: S101  # such rows have one
        walked = None
        for task in tasks:
            walked = self._starter.call(partial(self._walk, task))
        if walked is not None and self.switches.start_waits:
            yield walked

    def _walk(self, task: ManagedTask, thread: Thread) -> Steps:
        """Sleep for one offset, then start the task, even if there was a STOP meanwhile."""
        yield self.kernel.env.timeout(task.description.offset_ns)
        if task not in self.tasks:
            return  # CLEAR came before: the board follows a dangling pointer
        task.paused = False
        if task.description.period_ns:
            task.timer.repeat(task.description.period_ns)
        else:
            yield from self.release(task, thread)

    @property
    def walking(self) -> bool:
        """Whether the start thread is still on its way through the queue."""
        return self._starter is not None and not self._starter.idle

    def _start_blocking(self, tasks: Sequence[ManagedTask], thread: Thread) -> Steps:  # noqa: ARG002
        """G4: the entry point itself sleeps, so no release is served before the last offset is over."""
        for task in tasks:
            yield self.kernel.env.timeout(task.description.offset_ns)
            task.paused = False
            task.timer.repeat(task.description.period_ns)  # which refuses 0

    def stop(self, thread: Thread) -> Steps:
        """STOP: pause all tasks, and let go of their instances as the row says."""
        for task in self.tasks:
            if not task.accepted:
                continue
            instance = task.meta
            self.halt(task)
            if self.hung:
                return
            if instance is None or self.row.destruction == "never":
                continue
            if self.row.destruction != "tick":
                self.condemn(instance)
            elif not instance.doomed:
                task.active = False
                yield from self.destroy(instance, thread)

    def clear(self, thread: Thread) -> Steps:
        """CLEAR: STOP, sleep, drop all tasks; the log, binaries and the optimiser stay as they are."""
        yield from self.stop(thread)
        if self.hung:
            return
        yield self.kernel.env.timeout(self.row.timing.clear_wait_ns)
        for task in self.tasks:
            task.timer.cancel()  # the offset walk may have armed it behind the STOP
            task.kill_timer.cancel()
            if task.service is not None:
                self.kernel.destroy(task.service)
        self.tasks.clear()

    def power_off(self) -> None:
        """The end of this boot: nothing happens any more, and no command returns."""
        self.kernel.halt()
        self.entry.dead = True
        if self._starter is not None:
            self._starter.dead = True

    # -- releases ------------------------------------------------------------------------------------------------

    def release(self, task: ManagedTask, thread: Thread) -> Steps:
        """The start routine: a new instance, unless the row has a reason against it."""
        row, description = self.row, task.description
        if row.jobs_limit == "limit" and task.attempts == description.jobs:
            yield from self._exhausted(task, thread)
            return
        if not self._permitted(task) or task.paused:
            return
        if task.meta is not None:
            yield from _OVERRUNS[row.overrun](self, task, thread)
            return
        if self.binaries is not None and description.pkg not in self.binaries:
            return
        task.attempts += row.counts_attempts
        if description.critical_ns:
            task.kill_timer.arm(kill_delay_ns(description.critical_ns))
        if description.quota > self.free_ram:
            return
        if description.quota:
            yield from self._create(task, thread)
        elif row.counts_attempts:  # creation throws without any RAM
            yield self.kernel.run(thread, row.timing.create_ns)
            self._log_start(task)

    def _exhausted(self, task: ManagedTask, thread: Thread) -> Steps:
        """A tick after the last job."""
        if self.row.optimiser == "job":
            self._ask(task)  # before it notices, also for other than EDF tasks, and whatever the answer is
        if self.row.last_tick_disarms:
            task.timer.disarm()
        if self.row.destruction != "tick":
            return
        task.timer.disarm()
        task.kill_timer.disarm()
        yield from self.force(task, EXIT_PERIOD_VALUE, thread)
        self.push()

    def _permitted(self, task: ManagedTask) -> bool:
        if self.row.optimiser != "job" or not task.deadline_ns or self._ask(task):
            return True
        self.record(EventType.NOT_SCHEDULED, task, task.starts)
        return False

    def _ask(self, task: ManagedTask) -> bool:
        return self.controller.permits(task.name, task.core, self.kernel.clock_us)

    def _ignore(self, task: ManagedTask, thread: Thread) -> Steps:  # noqa: ARG002
        """G1: a message on the console."""
        yield from ()

    def _discard(self, task: ManagedTask, thread: Thread) -> Steps:  # noqa: ARG002
        """G3a: the previous instance is destroyed without an event."""
        if task.meta is not None:
            self.condemn(task.meta)
        yield from ()

    def _cut_short(self, task: ManagedTask, thread: Thread) -> Steps:  # noqa: ARG002
        """G3b: EXIT_PERIOD, which waits for the destruction thread to be pushed."""
        if task.active:
            task.kill_timer.disarm()
            task.active = False
            if task.meta is not None:
                task.meta.exited = True
                task.meta.exit_ns = self.kernel.clock_ns
            self.record(EventType.EXIT_PERIOD, task, task.starts - 1)
        if task.meta is not None:
            self.condemn(task.meta)
        yield from ()

    def _force_out(self, task: ManagedTask, thread: Thread) -> Steps:
        """G4: forced exit, in silence after a soft exit."""
        yield from self.force(task, EXIT_PERIOD_VALUE, thread)

    def _create(self, task: ManagedTask, thread: Thread) -> Steps:
        """Create the child; the entry point is busy with it, then logs START, and the child's thread may run."""
        row, description = self.row, task.description
        session = f"init -> taskloader -> {task.name}"
        child = self.kernel.thread(session, task.name, task.level, task.core, task.deadline_ns)
        if self._scheduler is not None:
            child.job = self._scheduler.job(description, task.starts, task.core, child.arrival_ns)
        instance = task.meta = Instance(task, child)
        self.instances.append(instance)
        self.free_ram -= description.quota
        yield self.kernel.run(thread, row.timing.create_ns)
        if instance.destroyed:
            return  # a STOP came in between, on a board whose start thread creates
        task.active = True
        task.attempts += not row.counts_attempts
        instance.job = task.starts
        self._log_start(task)
        if row.needs_caps and not description.caps:
            return  # it starves in its first instructions
        self._execute(instance, self.demand_of(description, instance.job))

    def _execute(self, instance: Instance, demand: Demand) -> None:
        """Let the child do its work, then what others do for it without regard to its slice, then end."""
        timing, kernel, child = self.row.timing, self.kernel, instance.thread
        work_ns = demand.work_ns + (timing.worn_ns(self._created) if demand.loads else 0)
        self._created += 1

        def close(_: simpy.Event) -> None:
            closed = kernel.run(child, demand.closing_ns, first=True, slice_ns=demand.closing_ns)
            closed.callbacks.append(lambda _: self.ended(instance, demand))

        kernel.run(child, work_ns, first=timing.newest_first).callbacks.append(close)

    def _log_start(self, task: ManagedTask) -> None:
        task.starts += 1
        self.record(EventType.START, task, task.starts - 1)


_STARTS: dict[str, Callable[[Loader, Sequence[ManagedTask], Thread], Steps]] = {
    "ignored": Loader._start_at_once,
    "cumulative": Loader._start_in_background,
    "blocking": Loader._start_blocking,
}
_OVERRUNS: dict[str, Callable[[Loader, ManagedTask, Thread], Steps]] = {
    "ignored": Loader._ignore,
    "destroyed": Loader._discard,
    "exit_period": Loader._cut_short,
    "forced": Loader._force_out,
}
