"""How instances end: exits, forced exits, requests for memory, and destruction, as the generation's row says."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from sim.boards.entrypoint import EntryPoint
from sim.boards.eventlog import EventLog, LogEntry, stamp_ms
from sim.boards.generation import (
    EXIT_CRITICAL_VALUE,
    EXIT_EXTERNAL_VALUE,
    OUT_OF_CAPS_VALUE,
    OUT_OF_QUOTA_VALUE,
    Generation,
    Switches,
)
from sim.boards.kernel import SYSTEM_LEVEL, Kernel
from sim.boards.optimiser import Thread as SeenThread
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import simpy

    from sim.boards.controller import Controller
    from sim.boards.description import Demand
    from sim.boards.instance import Instance, ManagedTask
    from sim.boards.kernel import Thread

_NS_PER_US = 1000
#: The kernel remembers that many destroyed threads per core; then its table starts anew.
RIP_SIZE = 50
_SOFT_EXITS = frozenset({0, OUT_OF_CAPS_VALUE, OUT_OF_QUOTA_VALUE})
_ASKS = {"ram": OUT_OF_QUOTA_VALUE, "caps": OUT_OF_CAPS_VALUE}


class Endings:
    """The part of a loader that lets instances die."""

    def __init__(self, kernel: Kernel, row: Generation, controller: Controller, switches: Switches) -> None:
        self.kernel = kernel
        self.row = row
        self.controller = controller
        self.switches = switches
        self.log = EventLog()
        self.tasks: list[ManagedTask] = []
        self.instances: list[Instance] = []  #: those that aren't destroyed, oldest first
        self.dead: tuple[list[Instance], ...] = tuple([] for _ in range(kernel.cores))  #: RIP table per core
        self.free_ram = row.timing.ram
        self.on_change: Callable[[], None] | None = None  #: hears when an instance has ended or was destroyed
        self.hung = False  #: it never answers again
        self.entry = EntryPoint(kernel, "ep")
        self._condemned: deque[Instance] = deque()
        self._work: simpy.Event | None = None
        if row.destruction in {"exit", "stop"}:
            kernel.env.process(self._destruction_thread())
        if switches.busy_loops and row.offsets == "cumulative":
            kernel.run(kernel.thread("init -> dom0", "busy loop", SYSTEM_LEVEL, 0), NEVER)

    # -- the log -------------------------------------------------------------------------------------------------

    def record(self, kind: EventType, task: ManagedTask, job: int) -> None:
        """Log an event; a board that hangs logs nothing."""
        if self.hung or self.kernel.halted:
            return
        clock_ns = self.kernel.clock_ns
        self.log.append(LogEntry(kind, task.description.id, stamp_ms(clock_ns), job, task.core, clock_ns))

    def push(self) -> None:
        """Push the log, on boards that do."""
        if self.row.push and not self.hung:
            self.log.push()

    def hang(self) -> None:
        """Dead-lock: nobody is served any more; instances run on."""
        self.hung = self.entry.dead = True

    # -- exits ---------------------------------------------------------------------------------------------------

    def ended(self, instance: Instance, demand: Demand) -> None:
        """A child has done its work: it exits, or asks for more memory."""
        task = instance.task
        if task.meta is not instance or not task.active or instance.exited or instance.doomed:
            return  # it was forced to exit before, or is being destroyed
        if not demand.asks:
            self._child_exit(instance, demand.exit_value)
        elif self.row.exhaustion == "exits":
            self._child_exit(instance, _ASKS[demand.asks])
        elif self.row.exhaustion == "destroyed" and demand.asks == "ram":
            # `active` stays, and so does the kill timer.
            self.record(EventType.OUT_OF_QUOTA, task, instance.job)
            self.condemn(instance)

    def _child_exit(self, instance: Instance, value: int) -> None:
        """The child calls exit itself, served by a thread of its own."""
        task = instance.task
        if self.row.destruction != "tick":
            self.finish(task, value)
            exit_ns = self.row.timing.exit_ns
            if exit_ns and task.service is not None:
                self.kernel.run(task.service, exit_ns).callbacks.append(lambda _: self.condemn_at_exit(task))
            else:
                self.condemn_at_exit(task)
        elif value in _SOFT_EXITS:
            self._mark_exit(instance)
            self._report(task, value)  # the child object stays, and still counts as active
        elif self.switches.hang_on_error:
            self.hang()
        else:
            self.finish(task, value)
            self.entry.post(lambda thread: self.destroy(instance, thread))

    def finish(self, task: ManagedTask, value: int) -> None:
        """Let the active instance of a task exit, by itself or by force: log it, and JOBS_DONE after the last job."""
        task.active = False
        if task.meta is not None:
            self._mark_exit(task.meta)
        if self.row.exit_disarms:
            task.kill_timer.disarm()
        self._report(task, value)

    def _mark_exit(self, instance: Instance) -> None:
        instance.exited = True
        instance.exit_ns = self.kernel.clock_ns

    def _report(self, task: ManagedTask, value: int) -> None:
        self.record(self.row.exit_event(value), task, task.starts - 1)
        if self.row.jobs_done and task.attempts == task.description.jobs:
            task.done = True
            self.record(EventType.JOBS_DONE, task, task.starts - 1)
        self.push()
        self.review(task)
        self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def review(self, task: ManagedTask) -> None:
        """Let the optimiser look at what became of a task's jobs, where it works after each exit."""
        if self.row.optimiser != "job" or not self.controller.knows(task.name):
            return
        last = task.attempts == task.description.jobs
        clock_us = self.kernel.clock_us
        review = self.controller.review(task.name, clock_us, self.seen_threads(), last_job_started=last)
        if review is not None and review.hangs:
            self.hang()

    def seen_threads(self) -> list[SeenThread]:
        """Return the jobs that the kernel knows of, for the optimiser."""
        seen = []
        for instance in (*self.instances, *(dead for table in self.dead for dead in table)):
            thread = instance.thread
            exit_us = None if instance.exit_ns is None or instance.destroyed else instance.exit_ns // _NS_PER_US
            destroyed_us = None if thread.dead_ns is None else thread.dead_ns // _NS_PER_US
            cpu_us = self.kernel.executed_ns(thread) // _NS_PER_US
            arrival_us = thread.arrival_ns // _NS_PER_US
            seen.append(SeenThread(instance.task.name, thread.core, arrival_us, exit_us, cpu_us, destroyed_us))
        return seen

    # -- forced exits --------------------------------------------------------------------------------------------

    def force(self, task: ManagedTask, value: int, thread: Thread) -> Generator[simpy.Event, Any, None]:
        """Force the instance of a task to exit, if there is one; only soft-exited ones are torn down in silence."""
        if self.row.destruction != "tick":
            if task.active:
                self.finish(task, value)
                if self.row.timing.exit_ns:
                    yield self.kernel.run(thread, self.row.timing.exit_ns)
                self.condemn_at_exit(task)
            return
        instance = task.meta
        if instance is None or instance.doomed:
            return
        if instance.exited:
            task.active = False
        else:
            self.finish(task, value)
        yield from self.destroy(instance, thread)

    def on_kill(self, task: ManagedTask, thread: Thread) -> Generator[simpy.Event, Any, None]:
        """The kill timer has fired; a normal exit may have come before."""
        if self.row.timing.kill_ns:
            yield self.kernel.run(thread, self.row.timing.kill_ns)
        if task.paused:
            return
        if self._dead_locks(task):
            self.hang()
            return
        if task.active:
            self.controller.leave(task.name)
        yield from self.force(task, EXIT_CRITICAL_VALUE, thread)

    def _dead_locks(self, task: ManagedTask) -> bool:
        return self.switches.hang_on_kill and self.row.offsets == "cumulative" and task.active

    def halt(self, task: ManagedTask) -> None:
        """Pause a task: timers off, and EXIT_EXTERNAL for an instance that runs."""
        task.paused = True
        task.timer.disarm()
        task.kill_timer.disarm()
        if self._dead_locks(task):
            self.hang()
        elif task.active and not (task.meta is not None and task.meta.exited):
            self.finish(task, EXIT_EXTERNAL_VALUE)

    # -- destruction ---------------------------------------------------------------------------------------------

    def condemn_at_exit(self, task: ManagedTask) -> None:
        """Queue the destruction of an instance that has exited, on builds that destroy at exit."""
        if self.row.destruction == "exit" and task.meta is not None:
            self.condemn(task.meta)

    def condemn(self, instance: Instance) -> None:
        """Queue the destruction of an instance, once."""
        if instance.doomed:
            return
        instance.doomed = True
        self._condemned.append(instance)
        if self._work is not None:
            self._work.succeed()
            self._work = None

    def _destruction_thread(self) -> Generator[simpy.Event, Any, None]:
        kernel, poll_ns = self.kernel, self.row.timing.destruction_poll_ns
        thread = kernel.thread("init -> taskloader", "destruct", SYSTEM_LEVEL, 0)
        looked_ns = kernel.env.now
        while not kernel.halted:
            if not self._condemned:
                self._work = kernel.env.event()
                yield self._work
            if poll_ns:  # it slept in between, without anything to do
                yield kernel.env.timeout(-(kernel.env.now - looked_ns) % poll_ns)
            while self._condemned:
                instance = self._condemned.popleft()
                if self.row.push_at_destruction:
                    self.push()
                    self.review(instance.task)  # as after its exit, whose time is readable up to the destruction
                yield from self.destroy(instance, thread)
            looked_ns = kernel.env.now

    def _destruction_ns(self, instance: Instance) -> tuple[int, int]:
        """Return what destroying an instance costs, and the part that other threads of the loader can preempt."""
        timing, thread, task = self.row.timing, instance.thread, instance.task.description
        loaded = thread.done is not None and thread.done.triggered  # all its work is done
        executed_ns = timing.loaded_ns if loaded else self.kernel.executed_ns(thread)
        total_ns = timing.destruction_ns(task.pkg, task.argument or 0, executed_ns)
        return total_ns, total_ns if timing.destroy_open_ns is None else min(timing.destroy_open_ns, total_ns)

    def destroy(self, instance: Instance, thread: Thread) -> Generator[simpy.Event, Any, None]:
        """Destroy an instance, which takes a while; it may consume CPU time up to the end, even after a forced exit."""
        if instance.destroyed:  # a tick or a STOP that was served first has done it
            return
        instance.doomed = True
        task = instance.task
        total_ns, open_ns = self._destruction_ns(instance)
        yield self.kernel.run(thread, open_ns)
        if total_ns > open_ns:
            yield self.kernel.run(thread, total_ns - open_ns, kernel_work=True)
        if instance.destroyed:
            return
        self.kernel.destroy(instance.thread)
        instance.destroyed = True
        self.instances.remove(instance)
        self.free_ram += task.description.quota
        table = self.dead[instance.thread.core]
        if len(table) == RIP_SIZE:
            table.clear()
        table.append(instance)
        if task.meta is instance:
            task.meta = None
        self._changed()
