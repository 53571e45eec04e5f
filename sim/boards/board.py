"""A board in software without its wire: the protocol's commands as methods, the event log, the kernel's thread table.

Each command returns a SimPy event that succeeds when the board's command loop is free again, with the time that the
command has blocked it in ns; a board that hangs never answers. A session (`sim.boards.taskloader`) and a board behind
the real protocol drive it alike; step its environment, or let `env.run(until=board.start())` do that.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sim.boards.eventlog import LogEntry, stamp_ms
from sim.boards.generation import Generation, Switches
from sim.boards.kernel import Kernel
from sim.boards.loader import Loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import simpy

    from sim.boards.description import DemandOf, Description
    from sim.boards.kernel import Thread
    from sim.boards.scheduler import Scheduler

_NS_PER_US = 1000


class ThreadRow(NamedTuple):
    """One row of the live XML: a thread; times in ms of the board's 32-bit microsecond clock, 0 where there is none."""

    session: str
    thread: str
    foc_id: int
    execution_time: int
    priority: int  #: kernel level, 0 when EDF
    core: int
    state: int  #: 1 alive, 5 dead
    arrival_time: int
    start_time: int
    exit_time: int
    ram_quota: int  #: KiB


class Dead(NamedTuple):
    """An entry of the kernel's table of destroyed threads."""

    foc_id: int
    time_us: int


class Board:
    """A board of one generation. `on_log` hears each event, `on_push` what a push carries (None: nobody listens).

    `uptime_ns` is what its clock shows now, `created` how many instances count as created before, since any boot;
    `binaries` (None: all programs are there) may change at any time; `scheduler` orders the jobs instead of the
    kernel's own rules.
    """

    def __init__(
        self,
        env: simpy.Environment,
        row: Generation,
        demand_of: DemandOf,
        *,
        cores: int = 2,
        switches: Switches | None = None,
        binaries: set[str] | None = None,
        uptime_ns: int = 0,
        created: int = 0,
        scheduler: Scheduler | None = None,
        on_log: Callable[[LogEntry], None] | None = None,
        on_push: Callable[[tuple[LogEntry, ...]], None] | None = None,
    ) -> None:
        self.env = env
        self.row = row
        self.binaries = binaries
        self.on_log = on_log
        self.on_push = on_push
        self._demand_of = demand_of
        self._cores = cores
        self._switches = switches or Switches()
        self._created = created
        self._scheduler = scheduler
        self.loader = self._boot(uptime_ns)

    def _boot(self, uptime_ns: int) -> Loader:
        timing = self.row.timing
        self.kernel = Kernel(
            self.env,
            self._cores,
            quantum_ns=timing.quantum_ns,
            expired=self.row.expired,
            uptime_ns=uptime_ns,
            queue=None if self._scheduler is None else self._scheduler.queue,
        )
        loader = Loader(
            self.kernel,
            self.row,
            self._demand_of,
            binaries=self.binaries,
            switches=self._switches,
            created=self._created,
            scheduler=self._scheduler,
        )
        loader.log.on_log = self._logged
        loader.log.on_push = self._pushed
        return loader

    def _logged(self, entry: LogEntry) -> None:
        if self.on_log is not None:
            self.on_log(entry)

    def _pushed(self, entries: tuple[LogEntry, ...]) -> None:
        if self.on_push is not None:
            self.on_push(entries)

    # -- commands ------------------------------------------------------------------------------------------------

    def send_descs(self, descriptions: Sequence[Description], goal: Mapping[str, Any] | None = None) -> simpy.Event:
        """Append tasks to the list; `goal` is the document's content where it has one for the optimiser (G3)."""
        return self.loader.entry.call(partial(self.loader.send_descs, list(descriptions), goal))

    def optimize(self, goal: Mapping[str, Any]) -> simpy.Event:
        """OPTIMIZE (G1o)."""
        return self.send_descs((), goal)

    def start(self) -> simpy.Event:
        """START."""
        return self.loader.entry.call(self.loader.start)

    def stop(self) -> simpy.Event:
        """STOP."""
        return self.loader.entry.call(self.loader.stop)

    def clear(self) -> simpy.Event:
        """CLEAR."""
        return self.loader.entry.call(self.loader.clear)

    def reboot(self) -> simpy.Event:
        """Reset at once; the event succeeds when the board listens again, with an empty memory and a new clock."""
        self.loader.power_off()
        if self.binaries is not None:
            self.binaries = set()
        self.loader = self._boot(-self.row.timing.boot_ns)
        return self.env.timeout(self.row.timing.boot_ns, self.row.timing.boot_ns)

    def cut(self) -> None:
        """What a STOP does to the log, now: each job that runs ends with EXIT_EXTERNAL; nothing is started any more."""
        for task in self.loader.tasks:
            self.loader.halt(task)

    # -- what clients may ask ------------------------------------------------------------------------------------

    @property
    def hung(self) -> bool:
        """Whether the board will never answer again."""
        return self.loader.hung

    @property
    def clock_ns(self) -> int:
        """Time since boot."""
        return self.kernel.clock_ns

    def read_profile(self) -> tuple[LogEntry, ...]:
        """GET_PROFILE: return what was logged since the last read or push, and clear it."""
        return self.loader.log.read()

    def threads(self) -> list[ThreadRow]:
        """GET_LIVE: the loader's thread of each task, and the initial thread of each instance that is still there."""
        rows = [
            self._row(task.service, 0, task.description.quota) for task in self.loader.tasks if task.service is not None
        ]
        for instance in self.loader.instances:
            quota = instance.task.description.quota
            rows.append(self._row(instance.thread, instance.exit_ns or 0, quota))
        return rows

    def _row(self, thread: Thread, exit_ns: int, quota: int) -> ThreadRow:
        return ThreadRow(
            thread.session,
            thread.name,
            thread.foc_id,
            stamp_ms(self.kernel.executed_ns(thread)),
            thread.level,
            thread.core,
            1 if thread.dead_ns is None else 5,
            stamp_ms(thread.arrival_ns),
            stamp_ms(thread.start_ns or 0),
            stamp_ms(exit_ns),
            quota >> 10,
        )

    def dead_threads(self) -> Iterator[Dead]:
        """Yield the kernel's table of destroyed threads, core by core."""
        for table in self.loader.dead:
            for instance in table:
                yield Dead(instance.thread.foc_id, (instance.thread.dead_ns or 0) // _NS_PER_US & 0xFFFF_FFFF)
