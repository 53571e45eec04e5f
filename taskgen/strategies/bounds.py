"""The bounds of tasks and task-sets: checked first, then narrowed to what a target can run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from hypothesis import strategies as st

from taskgen.blocks import hey
from taskgen.choice import dotted, walk
from taskgen.dialect.boards import LONGEST_NS, MOST_TASKS
from taskgen.errors import Unsupported
from taskgen.parameters import LEAST_URGENT
from taskgen.session import Capabilities
from taskgen.strategies.draws import check_name, check_order, check_whole, exact, wrong
from taskgen.strategies.period import Menu, choices_of, menu
from taskgen.strategies.utilization import fitting_tasks
from taskgen.task import Task
from taskgen.units import NS_PER_MS

Policy: TypeAlias = Literal["FP", "EDF", "mixed", "fp", "edf"]
Deadlines: TypeAlias = Literal["implicit", "constrained", "arbitrary"]
Priorities: TypeAlias = Literal["any", "distinct", "rm", "dm"]
Migration: TypeAlias = Literal["partitioned", "global"]
Block: TypeAlias = Mapping[str, Any] | st.SearchStrategy[Mapping[str, Any]]
Number: TypeAlias = float | Fraction | Decimal

_POLICIES: Final = ("FP", "EDF", "mixed")
_DEADLINES: Final = ("implicit", "constrained", "arbitrary")
_PRIORITIES: Final = ("any", "distinct", "rm", "dm")
_MIGRATIONS: Final = ("partitioned", "global")
#: Bounds that are whole numbers: the least value of each.
_WHOLE: Final = MappingProxyType(
    {"n": 1, "min_n": 1, "max_priority": 0, "max_offset": 0, "max_jitter": 0, "max_criticaltime": 0, "max_arrivals": 0}
)
#: Where jobs are processes, whose birth takes some 30 ms, a unit is so long.
_PROCESS_UNIT_MS: Final = 100
_LONGEST_MS: Final = LONGEST_NS // NS_PER_MS


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What `tasksets` is given, see there; times count units.

    Raises:
        UsageError: a bound is none, or they contradict each other; names it, its value and what was expected.
    """

    strategy: str = "tasksets"
    n: int = 5
    min_n: int = 1
    policy: Policy | None = None
    priorities: Priorities = "any"
    max_priority: int = LEAST_URGENT
    max_utilization: Number | None = 1
    periods: Sequence[int] | None = None
    min_period: int = 1
    max_period: int = 100
    max_hyperperiod: float | None = None
    harmonic: bool = False
    deadlines: Deadlines = "implicit"
    max_offset: int = 0
    max_jitter: int = 0
    max_jobs: int | None = None
    max_criticaltime: int = 0
    max_arrivals: int = 0
    single_jobs: bool = False
    cores: int | None = None
    migration: Migration = "partitioned"
    block: Block | None = None
    unit_ms: int | None = None
    width: int = 1  #: how many cores the target has; tasks are bound to one where there are several
    menu: Menu = field(init=False)
    capacity: Fraction = field(init=False)  #: the largest utilization of a pool
    blocks: st.SearchStrategy[Mapping[str, Any]] | None = field(init=False)

    def __post_init__(self) -> None:
        if self.policy in {"fp", "edf"}:  # as sessions call them
            object.__setattr__(self, "policy", self.policy.upper())
        self._check_names()
        for name, least in _WHOLE.items():
            check_whole(self.strategy, name, getattr(self, name), least)
        check_whole(self.strategy, "max_priority", self.max_priority, 0, LEAST_URGENT)
        check_order(self.strategy, ("min_n", self.min_n), ("n", self.n))
        for name in ("max_jobs", "cores", "unit_ms"):
            if getattr(self, name) is not None:
                check_whole(self.strategy, name, getattr(self, name), 1)
        self._check_block()
        chosen = menu(
            self.strategy, choices=self.periods, min_period=self.min_period, max_period=self.max_period,
            max_hyperperiod=self.max_hyperperiod, harmonic=self.harmonic,
        )  # fmt: skip
        object.__setattr__(self, "menu", chosen)
        self._check_room()

    def _check_names(self) -> None:
        if self.policy is not None:
            check_name(self.strategy, "policy", self.policy, _POLICIES)
        check_name(self.strategy, "priorities", self.priorities, _PRIORITIES)
        check_name(self.strategy, "deadlines", self.deadlines, _DEADLINES)
        check_name(self.strategy, "migration", self.migration, _MIGRATIONS)
        for name in ("harmonic", "single_jobs"):
            if not isinstance(getattr(self, name), bool):
                raise wrong(self.strategy, name, getattr(self, name), "True or False")

    def _check_block(self) -> None:
        block = self.block
        if isinstance(block, Mapping):
            for path, value in walk(Task(block)):
                raise wrong(self.strategy, f"block: {dotted(path)}", value, "one value, no choice")
            block = st.just(block)
        elif block is not None and not isinstance(block, st.SearchStrategy):
            raise wrong(self.strategy, "block", block, "a dict of attributes, or a strategy of such")
        object.__setattr__(self, "blocks", block)

    def _check_room(self) -> None:
        """Leave out how many tasks don't fit, and refuse bounds that leave nothing."""
        capacity = Fraction(self.n)
        if self.max_utilization is not None:
            capacity = exact(self.strategy, "max_utilization", self.max_utilization) / self.pools
        object.__setattr__(self, "capacity", capacity)
        most = fitting_tasks(capacity, self.pools, self.menu.longest)
        if self.priorities != "any" and self.policy != "EDF":
            most = min(most, self.max_priority + 1)
        if most < self.min_n:
            name = "max_utilization" if self.priorities == "any" else "max_priority"
            expected = f"room for {self.min_n} tasks of period {self.menu.longest}"
            raise wrong(self.strategy, name, getattr(self, name), expected, hint=f"at most {most} tasks fit")
        object.__setattr__(self, "n", min(self.n, most))

    @property
    def pools(self) -> int:
        """How many cores have a utilization of their own; where jobs migrate, all share one."""
        return (self.cores or 1) if self.migration == "partitioned" else 1

    @property
    def is_bound(self) -> bool:
        """Whether each task names its core."""
        return self.width > 1 and self.migration == "partitioned"

    @property
    def optional(self) -> Mapping[str, int]:
        """The times that a task may lack, each with its largest value."""
        return {"offset": self.max_offset, "jitter": self.max_jitter, "criticaltime": self.max_criticaltime}

    @property
    def unit(self) -> int:
        """What is counted, in ms."""
        return self.unit_ms or 1

    def for_target(self, capabilities: Capabilities | None) -> "Bounds":
        """Return the bounds of what a target can run; what it doesn't honour is left out.

        Raises:
            Unsupported: it doesn't know the policy, or hasn't that many cores, or no time that short.
            UsageError: nothing is left.
        """
        if capabilities is not None and not isinstance(capabilities, Capabilities):
            raise wrong(
                self.strategy, "capabilities", capabilities, "taskgen.Capabilities, such as session.capabilities"
            )
        if capabilities is None:
            return replace(self, policy=self.policy or "FP", width=self.cores or 1)
        changes: dict[str, Any] = {"policy": self._policy_of(capabilities), "unit_ms": self._unit_of(capabilities)}
        changes |= self._cores_of(capabilities)
        for name, honoured in (
            ("max_offset", capabilities.offsets),
            ("max_jitter", capabilities.sporadic),
            ("max_arrivals", capabilities.sporadic),
            ("max_criticaltime", capabilities.kill),
        ):
            if not honoured:
                changes[name] = 0
        if not capabilities.job_limits:
            changes["max_jobs"] = None
        narrowed = replace(self, **changes)
        return narrowed._for_processes() if capabilities.job_numbers == "starts" else narrowed

    def _policy_of(self, capabilities: Capabilities) -> Policy:
        known = capabilities.policies
        if self.policy is None:
            # The admission control of boards that know EDF refuses all but one task with a fixed priority.
            admits_edf_only = capabilities.job_numbers == "starts" and "edf" in known
            return "EDF" if "fp" not in known or admits_edf_only else "FP"
        if self.policy.lower() not in known:
            raise self._unsupported("policy", self.policy, f"knows {', '.join(sorted(known))}")
        return self.policy

    def _cores_of(self, capabilities: Capabilities) -> dict[str, int]:
        known = capabilities.cores
        if self.cores is not None and self.cores > known:
            raise self._unsupported("cores", self.cores, f"has {known}")
        if capabilities.job_numbers == "starts":  # boards run everything on one core unless told
            return {"cores": self.cores or 1, "width": self.cores or 1}
        return {"cores": self.cores or known, "width": known}

    def _unit_of(self, capabilities: Capabilities) -> int:
        resolution_ms = -(-capabilities.time_resolution_ns // NS_PER_MS)
        if self.unit_ms is None:
            return max(resolution_ms, _PROCESS_UNIT_MS if capabilities.job_numbers == "starts" else 1)
        if self.unit_ms * NS_PER_MS % capabilities.time_resolution_ns:
            raise self._unsupported("unit_ms", self.unit_ms, f"reads whole multiples of {resolution_ms} ms")
        return self.unit_ms

    def _for_processes(self) -> "Bounds":
        """Narrow to what descriptions of boards can say (wire-protocol 2.2, 8)."""
        if self.policy == "FP" and self.deadlines != "implicit":
            raise self._unsupported("deadlines", self.deadlines, "schedules tasks with a deadline by EDF")
        longest = _LONGEST_MS // self.unit // (2 if self.deadlines == "arbitrary" else 1)
        changes: dict[str, Any] = {
            "n": min(self.n, MOST_TASKS),
            "max_period": min(self.max_period, longest),
            "max_offset": min(self.max_offset, longest),
            "max_criticaltime": min(self.max_criticaltime, longest),
            "block": hey.HelloWorld if self.block is None else self.block,
        }
        if self.periods is not None:
            changes["periods"] = choices_of(self.strategy, "periods", [one for one in self.periods if one <= longest])
        return replace(self, **changes)

    def _unsupported(self, name: str, value: object, fault: str) -> Unsupported:
        return Unsupported(
            f"{self.strategy}: {name}: {value}: the target {fault}", hint=f"change {name} or leave it out"
        )
