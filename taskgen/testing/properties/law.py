"""What a law is: a function of a task-set, a trace and a tolerance, with the conditions under which it claims anything.

A `Property` judges one run. A `Relation` judges several: the run of a set, and those of its variants. Both say why they
don't apply: because of what the target lacks (`lacks`), or of what the set is (`excludes`).
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Self, TypeAlias

from taskgen import registry
from taskgen.dialect.boards import BOARDS, BoardRow
from taskgen.parameters import LEAST_URGENT, Parameters, parameters_of
from taskgen.session import Capabilities
from taskgen.taskset import TaskSet
from taskgen.trace import Trace
from taskgen.units import NS_PER_MS, format_ms

#: More violations of one law in one run tell nothing new.
MOST_VIOLATIONS = 20


class Violation(NamedTuple):
    """One place where a run breaks a law."""

    job: tuple[int, int] | None  #: task id and number of the job; None: no single job
    time_ns: int | None  #: when, since the start of the set; None: no single instant
    expected: str
    seen: str

    def __str__(self) -> str:
        who = "the run" if self.job is None else f"job {self.job[1]} of task {self.job[0]}"
        when = "" if self.time_ns is None else f" at {format_ms(self.time_ns)} ms"
        return f"{who}{when}: expected {self.expected}; saw {self.seen}"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a target may be from exact time before it breaks a law; all in ns, 0 for a simulator."""

    resolution_ns: int = 0  #: of its stamps
    late_ns: int = 0  #: whatever happens may come, or be stamped, late by this,
    sibling_ns: int = 0  #: and by this for each other task of the set: what it costs to create and to destroy its job
    slice_ns: int = 0  #: of those that share a level in turn
    release_delay_ns: int = 0  #: from the release attempt to the START that tells of it
    load_ns: int = (
        0  #: from the release attempt to the end of the program's loading, at most; a kill that is due before
    )
    load_late_ns: int = 0  #: may come late by this, besides
    stop_ns: int = 0  #: how long it takes to cut all jobs off
    ends_untold: bool = False  #: a job may vanish without an event
    kills_untold: bool = False  #: a kill that is due before the START of a single job is lost
    top_priorities: int = 0  #: so many priorities, from 0 on, are the level of the target's own work
    equal_priorities: int = 0  #: so many priorities are no more urgent than the least urgent one

    def spread_ns(self, siblings: int, peers: int = 0) -> int:
        """Return by how much an event of a task with so many siblings may be off.

        So many `peers`, tasks on the level of the target's own work, take a turn after each of its slices: that of an
        event, and of two pieces of work per sibling, whose last slice may be a short one.
        """
        work_ns = siblings * self.sibling_ns
        return self.resolution_ns + self.late_ns + work_ns + peers * (work_ns + (1 + 2 * siblings) * self.slice_ns)

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Tolerance":
        """Return the tolerance of a target with these options: `dialect` or `profile` names its generation."""
        name = options.get("dialect", options.get("profile", "ideal"))
        return BOARD_TOLERANCES.get(name, WIDEST if name == "auto" else ZERO)


def _board(row: BoardRow) -> Tolerance:
    return Tolerance(
        resolution_ns=NS_PER_MS,
        # Creation and destruction of each sibling's instance, 26 and 252 ms, at the system's level.
        sibling_ns=279 * NS_PER_MS,
        slice_ns=10 * NS_PER_MS,  # ten ticks of the kernel, whose levels are served round robin (wire-protocol 7.1)
        release_delay_ns=row.create_ns,
        # The first instruction comes 25 ms after the creation, up to 110 of loading follow. Meanwhile kills of tasks
        # alone came 43..90 ms after parse + criticaltime, all later ones 38: 52 late at most (wire-protocol 6.7).
        load_ns=row.create_ns + 135 * NS_PER_MS,
        load_late_ns=52 * NS_PER_MS,
        stop_ns=max(row.clear_ns, 500 * NS_PER_MS),
        # A job that is alive at its next release is destroyed there without an event (wire-protocol 6.4).
        ends_untold=row.name == "G3a",
        # The start thread creates single jobs, so their kill timers are served meanwhile (wire-protocol 6.8).
        kills_untold=row.offsets == "cumulative",
        top_priorities=sum(row.level(raw) == 0 for raw in row.raw),
        equal_priorities=sum(row.level(raw) == row.level(row.raw[LEAST_URGENT]) for raw in row.raw) - 1,
    )


ZERO = Tolerance()
#: By generation (wire-protocol 6.6 and 6.7): a task alone on a board is punctual to 1 ms, siblings delay each other.
BOARD_TOLERANCES: Mapping[str, Tolerance] = MappingProxyType({name: _board(row) for name, row in BOARDS.items()})
#: For a board whose generation isn't known.
WIDEST = Tolerance(*map(max, zip(*map(astuple, BOARD_TOLERANCES.values()), strict=True)))


@dataclass(frozen=True, slots=True)
class Scheduling:
    """What a target's options say about how it schedules; the defaults are those of `sim.SimSession`."""

    policy: str | None = "auto"  #: None: one of the user's own, which is said to obey the law that is checked
    preemptive: bool = True
    migrates: bool = False  #: jobs run on any core
    overheads: bool = False  #: scheduling itself costs time
    overrun: str = "continue"
    tie: str = "running"
    execution: Literal["exact", "less", "unknown"] = "exact"  #: of the tasks' execution time C

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Read the options of a target (`taskgen.Target.options`)."""
        policy = options.get("policy", "auto")
        known = isinstance(policy, str) and policy in registry.entries("policies")
        costs = ("context_switch_ms", "migration_ms", "scheduler_ms")
        return cls(
            policy=policy if known else None,
            preemptive=options.get("preemptive", True),
            migrates=options.get("migration") == "global",
            overheads=any(options.get(name) for name in costs) or bool(options.get("processes")),
            overrun=options.get("overrun", "continue"),
            tie=options.get("tie", "running"),
            execution=_execution(options.get("execution")),
        )


def _execution(given: object) -> Literal["exact", "less", "unknown"]:
    if given is None:
        return "exact"
    # A share of C; all else may exceed it.
    return "less" if isinstance(given, str) and given.startswith("uniform:") else "unknown"


class Case(NamedTuple):
    """What the conditions of a law look at."""

    tasks: Sequence[Parameters]  #: none where only the target is asked about
    capabilities: Capabilities
    scheduling: Scheduling


#: Returns why it isn't met, or an empty text.
Condition: TypeAlias = Callable[[Case], str]

SIMULATED = Scheduling()


Reads: TypeAlias = Literal["events", "jobs"]


@dataclass(frozen=True, slots=True)
class _Scoped:
    """A name, a statement with its source, and where it holds."""

    name: str
    about: str  #: the statement in one line, then its source
    needs: tuple[Condition, ...]  #: of the target
    conditions: tuple[Condition, ...]  #: of the set
    reads: Reads  #: what it looks at in a trace; to get jobs alone is faster where a target can

    @property
    def summary(self) -> str:
        """The statement in one line."""
        return self.about.partition("\n")[0]

    def lacks(self, capabilities: Capabilities, scheduling: Scheduling = SIMULATED) -> str:
        """Return why nothing on this target can be judged by this law; empty if it can."""
        case = Case((), capabilities, scheduling)
        return next(filter(None, (need(case) for need in self.needs)), "")

    def excludes(self, taskset: TaskSet, capabilities: Capabilities, scheduling: Scheduling = SIMULATED) -> str:
        """Return why the law claims nothing about this set on such a target; empty if it does.

        Raises:
            InputError: a value of the set is wrong.
            Unsupported: the set has choices.
        """
        if not self.conditions:
            return ""
        case = Case(parameters_of(taskset), capabilities, scheduling)
        return next(filter(None, (condition(case) for condition in self.conditions)), "")

    def skips(self, taskset: TaskSet, capabilities: Capabilities, scheduling: Scheduling = SIMULATED) -> str:
        """Return why the law is skipped, for the target's sake or the set's; empty if it applies.

        Raises:
            What `excludes` raises.
        """
        return self.lacks(capabilities, scheduling) or self.excludes(taskset, capabilities, scheduling)


#: Runs a set as often as asked, always with the same options and the same horizon.
Runner: TypeAlias = Callable[[TaskSet], Trace]


@dataclass(frozen=True, slots=True)
class Property(_Scoped):
    """A law about one run."""

    find: Callable[[TaskSet, Trace, Tolerance], Iterable[Violation]]

    def judge(self, taskset: TaskSet, trace: Trace, tolerance: Tolerance = ZERO) -> list[Violation]:
        """Return where the run breaks the law; at most `MOST_VIOLATIONS`."""
        return list(islice(self.find(taskset, trace, tolerance), MOST_VIOLATIONS))

    def verdict(self, taskset: TaskSet, trace: Trace, run: Runner, tolerance: Tolerance = ZERO) -> list[Violation]:  # noqa: ARG002  # as `Relation`
        """Judge a set that has been run already; `run` would run further sets."""
        return self.judge(taskset, trace, tolerance)


@dataclass(frozen=True, slots=True)
class Relation(_Scoped):
    """A law about the run of a set and those of its variants."""

    variants: Callable[[TaskSet], Sequence[TaskSet]]
    find: Callable[[TaskSet, Iterator[Trace], Tolerance], Iterable[Violation]]

    def judge(self, taskset: TaskSet, traces: Iterable[Trace], tolerance: Tolerance = ZERO) -> list[Violation]:
        """Return where the runs break the law, at most `MOST_VIOLATIONS`; the first trace is that of the set itself.

        The others are those of its variants, in their order; they are asked for as far as they are needed.
        """
        return list(islice(self.find(taskset, iter(traces), tolerance), MOST_VIOLATIONS))

    def verdict(self, taskset: TaskSet, trace: Trace, run: Runner, tolerance: Tolerance = ZERO) -> list[Violation]:
        """Judge a set that has been run already; `run` runs its variants."""
        return self.judge(taskset, chain([trace], map(run, self.variants(taskset))), tolerance)


Law: TypeAlias = Property | Relation


def law(
    *, needs: Iterable[Condition] = (), conditions: Iterable[Condition] = (), reads: Reads = "events"
) -> Callable[[Callable[[TaskSet, Trace, Tolerance], Iterable[Violation]]], Property]:
    """Make a Property of a function that yields violations: its name, and its docstring, which names the source."""

    def make(find: Callable[[TaskSet, Trace, Tolerance], Iterable[Violation]]) -> Property:
        return Property(find.__name__, inspect.getdoc(find) or "", tuple(needs), tuple(conditions), reads, find)

    return make


def relation(
    *,
    variants: Callable[[TaskSet], Sequence[TaskSet]],
    needs: Iterable[Condition] = (),
    conditions: Iterable[Condition] = (),
    reads: Reads = "events",
) -> Callable[[Callable[[TaskSet, Iterator[Trace], Tolerance], Iterable[Violation]]], Relation]:
    """Make a Relation of a function that yields violations, as `law`."""

    def make(find: Callable[[TaskSet, Iterator[Trace], Tolerance], Iterable[Violation]]) -> Relation:
        about = inspect.getdoc(find) or ""
        return Relation(find.__name__, about, tuple(needs), tuple(conditions), reads, variants, find)

    return make
