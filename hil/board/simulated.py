"""The simulated board as an engine: the life cycle of a generation, as SimSession computes it under the same profile.

The one module of this room that imports the simulator. A session and this engine build the same `sim.boards.Board`, so
that a set gives the same events on both; here its commands come as messages, its log and threads leave as documents.
With a policy of the user's own, that one orders the jobs; if it fails the board hangs, and the reason is on stderr.
"""

import sys
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Final

import simpy

from hil.board.engine import Command, EngineFactory, EngineOptions
from hil.documents import DocumentError, over, taskset
from hil.documents import live as live_document
from hil.documents import profile as profile_document
from hil.messages import MAX_DOCUMENT, Clear, Optimize, SendDescriptions, Start, Stop
from sim.boards.board import Board, ThreadRow
from sim.boards.description import Demand, Description, program_demand
from sim.boards.description import read as read_description
from sim.boards.draws import Draws
from sim.boards.eventlog import LogEntry
from sim.boards.generation import Switches, generation
from sim.boards.instance import Instance, ManagedTask
from sim.boards.kernel import Thread
from sim.boards.profile import job_work
from sim.boards.scheduler import Scheduler, scheduler_maker
from sim.session import SimSession
from sim.workload import NEVER
from taskgen.dialect.boards import no_such
from taskgen.errors import TaskgenError, UsageError
from taskgen.parameters import UNKNOWN_EXECUTION_MS
from taskgen.units import NS_PER_MS

#: Boards whose log is generated over the one before it, whose tail may remain (wire-protocol 1.3).
_TAILS = frozenset({"G1p", "G3a"})
#: Boards on which a second upload of a name changes nothing; elsewhere it fills the first one's pages (1.3).
_FIRST_COUNTS = frozenset({"G4"})
_PAGE = 4096
#: So many events wait until a client fetches them; a board at `max` would soon have more than any document holds.
UNREAD_EVENTS: Final = 10_000
#: A program that nobody knows, or that lacks its argument, aborts.
_ABORT = Demand(NS_PER_MS, exit_value=1)
#: Longer than any clock of a board: beyond, nobody could tell the stamps apart.
_MAX_UPTIME_MS = 1 << 40


def factory(options: EngineOptions) -> EngineFactory:
    """Return what makes simulated boards.

    Raises:
        UsageError: there is no such generation, build, workload table or policy, or too many cores.
    """
    options.row  # noqa: B018  # names the generation, where the session would speak of profiles
    if not 0 <= options.uptime_ms <= _MAX_UPTIME_MS:
        raise UsageError(f"uptime: {options.uptime_ms} ms is out of range, expected 0..{_MAX_UPTIME_MS}")
    session = SimSession(
        profile=options.generation,
        workload=options.workload,
        seed=options.seed,
        cores=options.cores,
        destroy_at_exit=options.destroy_at_exit,
    )
    make = None if options.policy is None else scheduler_maker(options.policy, options.row)
    return partial(SimulatedBoard, session, options, make)


class SimulatedBoard:
    """An `Engine`; `session` says what jobs do, as in a run of its own; `make` what orders them, if not the kernel."""

    def __init__(self, session: SimSession, options: EngineOptions, make: Callable[[], Scheduler] | None) -> None:
        self._rules = generation(options.generation, destroy_at_exit=options.destroy_at_exit)
        self.row = self._rules.board
        self.on_push: Callable[[bytes], None] = lambda _: None
        self._env = simpy.Environment()
        self._session = session
        self._work = Draws(session)
        self._switches = Switches()
        self._happened = False
        self._served: simpy.Event | None = None
        self._stuck = False
        self._board = Board(
            self._env,
            self._rules,
            self._demand,
            cores=session.capabilities.cores,
            binaries=set(session.workload.programs),
            uptime_ns=options.uptime_ms * NS_PER_MS,
            created=self._rules.timing.wear_instances,  # as in a session: a board that has been up for a while
            scheduler=None if make is None else make(),
            on_push=self._pushed,
        )
        self._forget()

    def _forget(self) -> None:
        """What a boot forgets."""
        self._board.loader.on_change = self._changed
        self._sizes: dict[str, int] = {}
        self._log_text = self._live_text = b""
        self._subjects: dict[int, tuple[str, str]] = {}

    # -- time ----------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a command holds the command loop, or the board boots."""
        return self._served is not None or self._stuck

    @property
    def now_ns(self) -> int:
        """The simulation's clock."""
        return int(self._env.now)

    @property
    def next_ns(self) -> int | None:
        """When the next event of the simulation is due."""
        next_ns = self._env.peek()
        return None if next_ns == float("inf") else int(next_ns)

    def advance(self, until_ns: int, steps: int) -> int:
        """Step the simulation."""
        env, taken = self._env, 0
        self._happened = False
        while taken < steps and env.peek() <= until_ns and not self._happened:
            try:
                env.step()
            except TaskgenError as error:
                self._fail(error)
            taken += 1
        if "GET_PROFILE" not in self.row.messages:
            self._board.read_profile()  # nobody will
        return taken

    def _fail(self, error: TaskgenError) -> None:
        """Let the board die of its policy, which failed, or was given tasks that it has no rank for."""
        sys.stderr.write(f"error: a board hangs: {error}\n")
        self._board.kernel.halt()
        self.hang()

    def _changed(self) -> None:
        self._happened = True

    @property
    def settled(self) -> bool:
        """Whether nothing is to come that a client could notice, unless it fetches the log that has filled up."""
        loader = self._board.loader
        if self._board.hung or (len(loader.log) >= UNREAD_EVENTS and not self.busy):
            return True
        if self.busy or loader.walking or any(map(self._is_leaving, loader.instances)):
            return False
        return all(map(self._is_quiet, loader.tasks))

    def _is_leaving(self, instance: Instance) -> bool:
        """Whether an instance is being born or destroyed."""
        if instance.exited or instance.doomed:
            return instance.doomed or self.row.destruction == "exit"
        return not instance.task.active

    def _is_quiet(self, task: ManagedTask) -> bool:
        """Whether nothing is to come from a task but ticks without effect."""
        if not task.accepted:
            return True
        if task.active and task.kill_timer.armed and (task.meta is None or not task.meta.exited):
            return False
        ticks = task.timer.armed and not task.paused
        if task.alive and task.meta is not None:
            return not (self._works(task.meta.thread) or (ticks and self._cuts(task)))
        return not (ticks and self._may_start(task))

    def _works(self, thread: Thread) -> bool:
        """Whether a thread comes to its end by itself."""
        kernel = self._board.kernel
        if not 0 < thread.remaining_ns < NEVER >> 1:
            return False
        if thread.job is not None:
            return True
        if thread.deadline_us is None:
            return thread.level > 0
        in_time = thread.deadline_us >= kernel.clock_us or self._rules.expired == "yield"
        return in_time or kernel.running(thread.core) is thread

    def _cuts(self, task: ManagedTask) -> bool:
        """Whether a tick ends the job that is there."""
        overrun = self._rules.overrun
        return overrun == "forced" or (overrun != "ignored" and not self._is_exhausted(task))

    def _may_start(self, task: ManagedTask) -> bool:
        """Whether a tick starts another job."""
        description = task.description
        single = self.row.instances is not None and task.meta is not None
        fits = description.quota <= self._board.loader.free_ram and (description.quota or self._rules.counts_attempts)
        return not (single or self._is_exhausted(task)) and bool(fits) and description.pkg in self._programs

    def _is_exhausted(self, task: ManagedTask) -> bool:
        return self.row.jobs_limit == "limit" and task.attempts == task.description.jobs

    def skip(self, to_ns: int) -> None:
        """Let time pass in which nothing is due."""
        if self._env.now < to_ns < self._env.peek():
            self._env.timeout(to_ns - self.now_ns)
            self._env.step()

    # -- commands ------------------------------------------------------------------------------------------------

    def command(self, command: Command) -> None:
        """Begin a command; a document that its parser can't read kills the taskloader, or sched_controller."""
        try:
            served = self._begin(command)
        except DocumentError:
            self.hang()
            self._stuck = True
        else:
            self._wait_for(served)

    def _begin(self, command: Command) -> simpy.Event:
        match command:
            case SendDescriptions(xml):
                return self._describe(xml)
            case Optimize(xml):
                return self._board.optimize(taskset.read_goal(xml, self.row.name))
            case Clear():
                return self._board.clear()
            case Start():
                self._work.anew()
                return self._board.start()
            case Stop():
                return self._board.stop()

    def _wait_for(self, served: simpy.Event) -> None:
        self._served = served
        served.callbacks.append(self._on_served)

    def _on_served(self, event: simpy.Event) -> None:
        if event is self._served:  # no reboot came between
            self._served = None
            self._happened = True

    def _describe(self, xml: bytes) -> simpy.Event:
        document = taskset.read(xml, self.row.name)
        descriptions = [read_description(task, self.row) for task in document.tasks]
        # Who says how long a program computes needs no program.
        self._programs.update(each.pkg for each in descriptions if _is_known(each.executiontime))
        goal = None if document.goal is None or self.row.optimiser != "job" else {"goal": document.goal}
        return self._board.send_descs(descriptions, goal)

    @property
    def _programs(self) -> set[str]:
        assert self._board.binaries is not None  # noqa: S101  # given from the start
        return self._board.binaries

    def store(self, name: str, size: int) -> bool:
        """Keep a binary; only its name counts, as the workload table says what it does."""
        self._programs.add(name)
        first = self._sizes.setdefault(name, size)
        return self.row.name in _FIRST_COUNTS or size <= -(-first // _PAGE) * _PAGE

    def hang(self) -> None:
        """Let the taskloader die."""
        self._board.loader.hang()

    def reboot(self) -> None:
        """Reset; the programs of the workload table come with the board."""
        self._stuck = False
        booted = self._board.reboot()
        self._programs.update(self._session.workload.programs)
        self._board.loader.switches = self._switches
        self._forget()
        self._wait_for(booted)

    def switch(self, name: str, on: bool) -> None:
        """Turn one of `sim.boards.generation.Switches` on or off."""
        known = [field.name for field in fields(Switches)]
        if name not in known:
            raise no_such("switch", name, known)
        self._switches = self._board.loader.switches = replace(self._switches, **{name: on})

    # -- what jobs do --------------------------------------------------------------------------------------------

    def _demand(self, description: Description, job: int) -> Demand:
        known = _is_known(description.executiontime)
        work = self._work.of(
            description.id, description.pkg, description.argument, description.executiontime if known else None
        )
        if work is None:
            return _ABORT
        work_ns = job_work(work, job)
        return Demand(work_ns) if known else program_demand(description, work_ns, self._rules.timing)

    # -- documents -----------------------------------------------------------------------------------------------

    def profile(self) -> bytes | None:
        """Return and clear the event log."""
        if self._board.hung:
            self._stuck = True  # the taskloader would have to answer
            return None
        entries = self._board.read_profile()
        return self._log(entries, MAX_DOCUMENT) if entries or not self.row.silent_when_empty else None

    def _pushed(self, entries: tuple[LogEntry, ...]) -> None:
        xml = self._log(entries, self.row.push_bytes or MAX_DOCUMENT)
        self._happened = True
        if xml is not None:
            self.on_push(xml)

    def _log(self, entries: tuple[LogEntry, ...], limit: int) -> bytes | None:
        """Return the log as a document; one that is too long kills the taskloader."""
        xml = profile_document.render(
            profile_document.Stamped(each.type, each.task_id, each.stamp_ms) for each in entries
        )
        if self.row.name in _TAILS:
            xml = self._log_text = over(xml, self._log_text)
        if len(xml) < limit:
            return xml
        self.hang()
        return None

    def live(self) -> bytes:
        """Return the list of threads, which the kernel tells even where the taskloader is dead."""
        recorded = self.row.name == "G1" and self.row.destruction == "exit"  # the build behind the recordings
        dead = [live_document.Dead(each.foc_id, each.time_us // 1000) for each in self._board.dead_threads()]
        self._live_text = over(
            live_document.render(self._rows(), dead if recorded else None, self.row.name), self._live_text
        )
        return self._live_text

    def _rows(self) -> list[live_document.Row]:
        """Return all threads that were ever listed, newest first: a subject is never released (wire-protocol 4.2)."""
        alive = {each.foc_id: _row(each) for each in self._board.threads()}
        self._subjects |= {row.foc_id: (row.session, row.thread) for row in alive.values()}
        newest = sorted(self._subjects, reverse=True)[: live_document.ROWS]
        self._subjects = {foc_id: self._subjects[foc_id] for foc_id in newest}
        rows = [alive.get(foc_id) or self._corpse(*self._subjects[foc_id]) for foc_id in newest]
        if self.row.name in live_document.FIXED_ROWS:
            return rows
        for number, row in enumerate(rows):
            if row.core and number:  # sampled on another core: what the stack held before
                before = rows[number - 1]
                rows[number] = row._replace(start_time=before.start_time, exit_time=before.exit_time)
        return [*rows, _INIT]

    def _corpse(self, session: str, thread: str) -> live_document.Row:
        dead = (
            _UNINITIALISED if self.row.name in live_document.FIXED_ROWS else live_document.Row("", "", 0, 0, priority=0)
        )
        return dead._replace(session=session, thread=thread, state=5)


#: Threads of init give rows of zeros.
_INIT = live_document.Row("", "", 0, 0, priority=0, state=0)
#: What early boards show of dead threads: memory, as a recording has it.
_UNINITIALISED = live_document.Row(
    "", "", 2164927092, 538967, priority=2156847116, start_time=704913603, exit_time=9263588051195144, id=45,
    ram_quota=2106296, ram_used=2106296,
)  # fmt: skip


def _row(thread: ThreadRow) -> live_document.Row:
    return live_document.Row(
        thread.session,
        thread.thread,
        thread.foc_id,
        thread.arrival_time,
        thread.execution_time,
        thread.priority,
        thread.core,
        thread.state,
        thread.start_time,
        thread.exit_time,
        id=thread.foc_id * _PAGE,
        ram_quota=thread.ram_quota,
    )


def _is_known(executiontime: int) -> bool:
    """Whether the description itself says how long a job computes, in ms."""
    return 0 < executiontime < UNKNOWN_EXECUTION_MS
