"""The state of one core: the job on it, and the overhead that it is busy with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sim.workload import NEVER

if TYPE_CHECKING:
    from sim.job import Entry, Job

#: A stretch of overhead: core, task and job that it is for (None: for none), start, end, kind.
OverheadSpan = tuple[int, int | None, int | None, int, int, str]

SCHEDULER = "scheduler"
CONTEXT_SWITCH = "context_switch"
MIGRATION = "migration"
INTERRUPT = "interrupt"  #: by another SimPy process: no overhead, but as exclusive


class Overheads(NamedTuple):
    """What scheduling costs, in ns; each is a stretch of time in which the core runs no job."""

    scheduler_ns: int = 0  #: before a decision after a release, completion or kill
    context_switch_ns: int = 0  #: when the core begins a job other than the one that it ran last
    migration_ns: int = 0  #: when a job resumes on another core


class Core:
    """One core. It is *locked* while an overhead or an interrupt (`stage`) lasts, up to `lock_ns`."""

    __slots__ = (
        "begun", "blocked_ns", "concerned", "deciding", "entry", "executing", "finish_ns", "idle", "job", "loaded",
        "loading", "lock_ns", "number", "quantum_ns", "since_ns", "stage", "stages",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.job: Job | None = None  #: the selected job: it runs, or will as soon as the core is not locked
        self.entry: Entry | None = None  #: its rank among the others
        self.executing = False
        self.begun = False  #: it has run since it was selected
        self.finish_ns = NEVER  #: when it completes, if nothing happens before
        self.quantum_ns = NEVER  #: when its quantum ends
        self.loaded: tuple[int, int] | None = None  #: task and index of the job that ran last
        self.loading: tuple[int, int] | None = None  #: of the job that the core switches to
        self.stage: str | None = None
        self.since_ns = 0  #: when the stage began
        self.lock_ns = NEVER  #: when the stage ends
        self.stages: list[tuple[str, int]] = []  #: kind and duration of the stages that follow
        self.blocked_ns = 0  #: interrupts were asked for until then
        self.concerned = False  #: something has happened that a decision has to answer
        self.deciding = False  #: a decision is due at this instant
        self.idle = False  #: IDLE was reported

    @property
    def next_ns(self) -> int:
        """The next instant of this core."""
        return self.lock_ns if self.stage is not None else min(self.finish_ns, self.quantum_ns)

    def select(self, entry: Entry) -> None:
        """Give the core a job."""
        self.entry, self.job, self.begun = entry, entry[3], False

    def execute(self, now_ns: int) -> None:
        """Let the job compute from now on."""
        assert self.job is not None  # noqa: S101  # for the type checker; the caller has looked
        self.finish_ns = now_ns + self.job.remaining_ns
        self.executing = True

    def pause(self, now_ns: int) -> None:
        """Let the job stop to compute, and remember what is left."""
        if self.executing and self.job is not None:
            self.job.remaining_ns = self.finish_ns - now_ns
            self.executing, self.finish_ns = False, NEVER

    def clear(self) -> None:
        """Leave the core without a job."""
        self.job = self.entry = None
        self.executing = self.begun = False
        self.finish_ns = self.quantum_ns = NEVER

    def lock(self, kind: str, now_ns: int, end_ns: int) -> None:
        """Begin a stage."""
        self.stage, self.since_ns, self.lock_ns = kind, now_ns, end_ns
        self.idle = self.idle and kind == INTERRUPT

    def proceed(self, now_ns: int) -> bool:
        """Begin the next stage, if there is one."""
        if not self.stages:
            return False
        kind, duration_ns = self.stages.pop(0)
        self.lock(kind, now_ns, now_ns + duration_ns)
        return True

    def unlock(self, now_ns: int) -> OverheadSpan | None:
        """End the stage, and return its span if it was an overhead."""
        kind, since_ns = self.stage, self.since_ns
        self.stage, self.lock_ns = None, NEVER
        if kind is None or kind == INTERRUPT or since_ns == now_ns:
            return None
        task_id, job = (None, None) if kind == SCHEDULER or self.loading is None else self.loading
        return (self.number, task_id, job, since_ns, now_ns, kind)


class Cluster(NamedTuple):
    """Cores that share a ready queue: one each if partitioned, all of them if global."""

    cores: tuple[Core, ...]
    ready: list[Entry]

    def concern(self) -> None:
        """Note that something has happened to a job that waits: it may matter to each core that it may run on."""
        for core in self.cores:
            core.concerned = True
