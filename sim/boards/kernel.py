"""The boards' kernel on SimPy: cores, fixed-priority levels with round robin, and below them an EDF queue.

Each core has two ready queues. The fixed-priority queue comes first: levels 0..255, the higher runs, round robin inside
a level. The EDF queue runs only when no fixed-priority thread is ready; it is ordered by absolute deadlines, and what
happens to a thread whose deadline has passed depends on the kernel's age (`Expired`). Threads never migrate. A queue
that a policy orders may stand in the place of the EDF queue; then all jobs wait there (`sim.boards.scheduler`).

A thread asks for CPU time with `Kernel.run` and gets an event that succeeds when it has consumed it. Decisions come
after everything else of an instant, so whatever becomes ready at one instant competes in one decision.
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Literal, Protocol

import simpy
from simpy.events import EventPriority

from sim.workload import NEVER
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sim.job import Job

#: Threads past their deadline: `yield` to unexpired ones and run when all are expired, or `starve`: never run again.
Expired = Literal["yield", "starve"]

#: Round robin inside a level. It was never measured; this is the kernel's usual time slice, ten ticks of 1 ms.
QUANTUM_NS = 10 * NS_PER_MS
#: The level of the system: loader, destruction, network, logging.
SYSTEM_LEVEL = 128
TOP_LEVEL = 255
#: Deadlines are 32-bit microseconds; the clock that they are compared with has 64 bits.
_DEADLINE_BITS = 0xFFFF_FFFF
_NS_PER_US = 1000


# What comes first at one instant: SimPy sorts equal times by priority, then age; 0 and 1 are its own.
#: Completions and dispatching, once all ordinary events of the instant are over.
DECISION = EventPriority(2)
#: Releases and kills: a completion at that very instant wins.
TIMER = EventPriority(3)
#: The horizon.
END = EventPriority(4)


class Appointment(simpy.Event):
    """An event after `delay_ns` that comes behind all ordinary ones of its instant, by rank."""

    def __init__(
        self, env: simpy.Environment, delay_ns: int, rank: EventPriority, callback: Callable[[simpy.Event], None]
    ) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        self.callbacks.append(callback)
        env.schedule(self, rank, delay_ns)


class Thread:
    """A thread of the kernel; `level` 0 means EDF, without a deadline it is rejected and never runs."""

    __slots__ = (
        "arrival_ns", "core", "dead_ns", "deadline_us", "done", "executed_ns", "foc_id", "job", "kernel_work", "level",
        "name", "remaining_ns", "session", "slice_ns", "start_ns",
    )  # fmt: skip

    def __init__(self, session: str, name: str, level: int, core: int) -> None:
        self.session = session  #: label path of its address space
        self.name = name
        self.level = level
        self.core = core
        self.foc_id = 0  #: unique, ascending with creation
        self.arrival_ns = 0  #: when it was handed to the scheduler
        self.start_ns: int | None = None  #: first consumed CPU time
        self.dead_ns: int | None = None  #: when it was destroyed
        self.deadline_us: int | None = None  #: absolute, of the kernel's clock modulo 2^32
        self.executed_ns = 0  #: CPU time that it has consumed, up to the core's last decision
        self.remaining_ns = 0  #: CPU time that it still asks for
        self.slice_ns = 0  #: what is left of its quantum
        self.done: simpy.Event | None = None  #: succeeds when it has got what it asked for
        self.kernel_work = False  #: what it asks for happens inside the kernel: nobody preempts it
        self.job: Job | None = None  #: what a policy ranks, where one orders the jobs instead of level and deadline

    @property
    def rank(self) -> int:
        """The ready queue that it waits in; 0: the EDF queue, or that of a policy."""
        if self.kernel_work:
            return TOP_LEVEL
        return self.level if self.job is None else 0

    def __repr__(self) -> str:
        return f"<thread {self.session} {self.name} at level {self.level} of core {self.core}>"


class Queue(Protocol):
    """The threads of a core that ask for CPU time and stand in no level."""

    def add(self, thread: Thread, slice_ns: int | None) -> bool:
        """Let a thread wait, with this as its first slice (None: a usual one); False: the kernel rejects it."""

    def remove(self, thread: Thread) -> bool:
        """Take a thread off; False: it isn't there."""

    def head(self, running: Thread | None) -> Thread | None:
        """Return whose turn it is; `running` is who has had the core up to now."""

    def turn_ns(self, thread: Thread) -> int:
        """Return after how much CPU time at the latest that is to be asked again."""

    def by_deadline(self, running: Thread | None) -> list[Thread]:
        """Return the threads that are ordered by their deadlines, in that order."""


class DeadlineQueue:
    """EDF; a head with an expired deadline is skipped in favour of the next one (wire-protocol 7.1), see `Expired`."""

    def __init__(self, kernel: Kernel, expired: Expired = "yield") -> None:
        self._kernel = kernel
        self._expired: Expired = expired
        self._threads: list[Thread] = []

    def add(self, thread: Thread, slice_ns: int | None) -> bool:  # noqa: ARG002  # there are no slices
        """Let a thread wait; the kernel's core rejects one that has neither level nor deadline."""
        if thread.deadline_us is None:
            return False
        self._threads.append(thread)
        return True

    def remove(self, thread: Thread) -> bool:
        """Take a thread off."""
        if thread not in self._threads:
            return False
        self._threads.remove(thread)
        return True

    def head(self, running: Thread | None) -> Thread | None:
        """Return the thread with the earliest deadline that hasn't passed, else whom the kernel's age lets run."""
        clock_us = self._kernel.clock_us
        ordered = sorted(self._threads, key=_by_deadline)
        for thread in ordered:
            if (thread.deadline_us or 0) >= clock_us:
                return thread
        if self._expired == "yield":
            return ordered[0] if ordered else None
        # Such a thread isn't queued any more; the one that runs goes on until something preempts it.
        return running if running in ordered else None

    def turn_ns(self, thread: Thread) -> int:
        """Return all that it asks for."""
        return thread.remaining_ns

    def by_deadline(self, running: Thread | None) -> list[Thread]:
        """Return the threads; where expired ones aren't queued any more, none of them but the one that runs."""
        ordered = sorted(self._threads, key=_by_deadline)
        if self._expired == "yield":
            return ordered
        return [t for t in ordered if t is running or (t.deadline_us or 0) >= self._kernel.clock_us]


def _by_deadline(thread: Thread) -> tuple[int, int]:
    return (thread.deadline_us or 0, thread.foc_id)


class _Core:
    """One core: its ready queues, the thread that runs, and when to look again."""

    def __init__(self, kernel: Kernel, below: Queue) -> None:
        self.kernel = kernel
        self.levels: dict[int, deque[Thread]] = {}
        self.below = below  #: has its turn when no level has
        self.running: Thread | None = None
        self._since_ns = 0
        self._timer: Appointment | None = None

    def enqueue(self, thread: Thread, *, first: bool = False, slice_ns: int | None = None) -> None:
        """Put a thread that asks for CPU time at the tail (`first`: the head) of its level, or into the EDF queue."""
        if thread.rank:
            thread.slice_ns = self.kernel.quantum_ns if slice_ns is None else slice_ns
            queue = self.levels.setdefault(thread.rank, deque())
            (queue.appendleft if first else queue.append)(thread)
        elif not self.below.add(thread, slice_ns):
            return
        self.look_again(0)

    def dequeue(self, thread: Thread) -> None:
        """Take a thread off the ready queues, if it is there."""
        self.account()
        if not (self._leave_level(thread) if thread.rank else self.below.remove(thread)):
            return
        if self.running is thread:
            self.running = None
        self.look_again(0)

    def _leave_level(self, thread: Thread) -> bool:
        queue = self.levels.get(thread.rank)
        if queue is None or thread not in queue:
            return False
        queue.remove(thread)
        if not queue:
            del self.levels[thread.rank]
        return True

    def look_again(self, delay_ns: int) -> None:
        """Decide after `delay_ns`, which replaces an earlier appointment."""
        self._timer = Appointment(self.kernel.env, delay_ns, DECISION, self._decide)

    def account(self) -> None:
        """Charge the running thread for the time since the last look."""
        now_ns = self.kernel.now_ns
        thread, used_ns = self.running, now_ns - self._since_ns
        if thread is not None and used_ns:
            if thread.start_ns is None:
                thread.start_ns = self.kernel.clock_ns - used_ns
            thread.executed_ns += used_ns
            thread.remaining_ns -= used_ns
            thread.slice_ns -= used_ns
        self._since_ns = now_ns

    def _decide(self, timer: simpy.Event) -> None:
        if timer is not self._timer or self.kernel.halted:  # made again since
            return
        self._timer = None
        self.account()
        thread = self.running
        if thread is not None and thread.remaining_ns <= 0:
            self.dequeue(thread)
            thread.remaining_ns = 0
            assert thread.done is not None  # noqa: S101  # it was queued by `run`
            thread.done.succeed()
        elif thread is not None and thread.rank and thread.slice_ns <= 0:
            thread.slice_ns = self.kernel.quantum_ns
            self.levels[thread.rank].rotate(-1)
        self.running = thread = self._head()
        if thread is None:
            return
        delay_ns = thread.remaining_ns if thread.rank else self.below.turn_ns(thread)
        if thread.rank and len(self.levels[thread.rank]) > 1:
            delay_ns = min(delay_ns, thread.slice_ns)
        if delay_ns < NEVER >> 1:  # an endless thread needs no appointment
            self.look_again(delay_ns)

    def _head(self) -> Thread | None:
        if self.levels:
            return self.levels[max(self.levels)][0]
        return self.below.head(self.running)


class Kernel:
    """Cores and their threads as a part of a SimPy environment whose clock is in whole nanoseconds.

    `uptime_ns` is what the kernel's clock shows now, at its start; `queue` makes what waits below the levels of a core
    (None: the EDF queue).
    """

    def __init__(
        self,
        env: simpy.Environment,
        cores: int,
        *,
        quantum_ns: int = QUANTUM_NS,
        expired: Expired = "yield",
        uptime_ns: int = 0,
        queue: Callable[[Kernel], Queue] | None = None,
    ) -> None:
        self.env = env
        self.quantum_ns = quantum_ns
        self.halted = False
        self._boot_ns = int(env.now) - uptime_ns
        self._cores = [_Core(self, queue(self) if queue else DeadlineQueue(self, expired)) for _ in range(cores)]
        self._ids = count(1)

    @property
    def now_ns(self) -> int:
        """The environment's clock."""
        return int(self.env.now)

    @property
    def clock_ns(self) -> int:
        """Time since boot."""
        return self.now_ns - self._boot_ns

    @property
    def clock_us(self) -> int:
        """Time since boot in microseconds, 64 bits."""
        return self.clock_ns // _NS_PER_US

    @property
    def cores(self) -> int:
        """How many cores there are."""
        return len(self._cores)

    def thread(self, session: str, name: str, level: int, core: int, deadline_ns: int = 0) -> Thread:
        """Create a thread; with a relative deadline > 0 it is an EDF thread, whatever its level."""
        thread = Thread(session, name, 0 if deadline_ns else level, core)
        thread.foc_id = next(self._ids)
        thread.arrival_ns = self.clock_ns
        if deadline_ns:
            thread.deadline_us = (self.clock_us + deadline_ns // _NS_PER_US) & _DEADLINE_BITS
        return thread

    def run(
        self,
        thread: Thread,
        work_ns: int,
        *,
        kernel_work: bool = False,
        first: bool = False,
        slice_ns: int | None = None,
    ) -> simpy.Event:
        """Let a thread ask for CPU time; return an event that succeeds when it has consumed it.

        `kernel_work` happens inside the kernel, where nobody preempts it; `first` overtakes the others of its level;
        `slice_ns` replaces the first quantum.
        The event never succeeds if the thread is destroyed before, or rejected for having neither level nor deadline.
        """
        thread.done = self.env.event()
        thread.remaining_ns = work_ns
        thread.kernel_work = kernel_work
        if work_ns:
            self._cores[thread.core].enqueue(thread, first=first, slice_ns=slice_ns)
        else:
            thread.done.succeed()
        return thread.done

    def block(self, thread: Thread) -> None:
        """Take the CPU away from a thread, for ever or until it asks again."""
        self._cores[thread.core].dequeue(thread)

    def destroy(self, thread: Thread) -> None:
        """End a thread."""
        self.block(thread)
        if thread.dead_ns is None:
            thread.dead_ns = self.clock_ns

    def deadline_queue(self, core: int) -> list[tuple[str, int]]:
        """Return name and absolute deadline in us of the threads in a core's EDF queue, in its order."""
        cpu = self._cores[core]
        return [(thread.name, thread.deadline_us or 0) for thread in cpu.below.by_deadline(cpu.running)]

    def running(self, core: int) -> Thread | None:
        """Return the thread that runs on a core, as of its last decision."""
        return self._cores[core].running

    def executed_ns(self, thread: Thread) -> int:
        """Return the CPU time that a thread has consumed until now."""
        self._cores[thread.core].account()
        return thread.executed_ns

    def halt(self) -> None:
        """Stop everything for ever: nobody runs any more."""
        self.halted = True
