"""Strategies aimed at a judge: task-sets that the target takes, and about which something is claimed.

What a law wants it says as functions, not as bounds. So it is asked: small sets that differ in one feature each show
which features it and the target put up with, and which it can't do without.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any, Final, NamedTuple

from hypothesis import strategies as st

from taskgen.blocks import hey
from taskgen.session import Capabilities
from taskgen.strategies import tasksets
from taskgen.strategies.bounds import Bounds
from taskgen.taskset import TaskSet
from taskgen.testing.judge import Judge
from taskgen.units import NS_PER_MS

Tasks = list[dict[str, int]]

#: No law needs more features at once.
_MOST_NEEDED: Final = 2
#: Sets are limited to so many jobs each.
_JOBS: Final = 5
_BOARD_JOBS: Final = 3
#: Runs on boards may last so many times as long as their jobs need.
_PATIENCE: Final = 2
#: Small enough for some hundred sets a second, or for some seconds per set on a board.
_USUAL: Final[Mapping[str, Any]] = {"n": 5, "max_period": 20}
_USUAL_ON_BOARDS: Final[Mapping[str, Any]] = {"n": 3, "max_period": 10}


#: Times of boards are round numbers.
_ROUND_NS: Final = 100 * NS_PER_MS


class Feature(NamedTuple):
    """Something that sets may have."""

    name: str  #: the bound of `tasksets`
    value: Callable[[int], Any]  #: of that bound, from the longest period
    show: Callable[[Tasks], None]  #: gives it to a small set
    usual: bool = True  #: sets have it where nothing speaks against it


def _second(key: str, value: int) -> Callable[[Tasks], None]:
    return lambda tasks: tasks[1].update({key: value})


def _deadlines(distance: int) -> Callable[[Tasks], None]:
    def show(tasks: Tasks) -> None:
        for task in tasks:
            if "deadline" in task or "priority" not in task:
                task["deadline"] = task["period"] + distance

    return show


def _equals(tasks: Tasks) -> None:
    for task in tasks:
        if "priority" in task:
            task["priority"] = 0


def _overload(tasks: Tasks) -> None:
    for task in tasks:
        task["executiontime"] = task["period"] - 1


def _limit(tasks: Tasks) -> None:
    for task in tasks:
        task["numberofjobs"] = 2


_FEATURES: Final = (
    Feature("priorities", lambda _: "any", _equals),
    Feature("deadlines", lambda _: "arbitrary", _deadlines(1)),
    Feature("deadlines", lambda _: "constrained", _deadlines(-1)),
    Feature("max_offset", lambda longest: max(1, longest // 2), _second("offset", 1)),
    Feature("max_jitter", lambda longest: max(1, longest // 4), _second("jitter", 1)),
    Feature("max_criticaltime", lambda longest: longest, _second("criticaltime", 7)),
    Feature("max_utilization", lambda _: None, _overload, usual=False),
)
_LIMIT: Final = Feature("max_jobs", lambda _: _JOBS, _limit)
_BOARD_LIMIT: Final = Feature("max_jobs", lambda _: _BOARD_JOBS, _limit)


@dataclass(frozen=True)
class _Family:
    """Sets of one policy, on one target."""

    policy: str | None
    capabilities: Capabilities
    given: Mapping[str, Any]  #: the user's bounds, which stay
    bounds: Bounds = field(init=False)

    def __post_init__(self) -> None:
        chosen = {**self.given, **({} if self.policy is None else {"policy": self.policy})}
        object.__setattr__(self, "bounds", Bounds(**chosen).for_target(self.capabilities))

    def probe(self, features: Sequence[Feature]) -> TaskSet:
        """Return a small set with these features."""
        tasks: Tasks = [
            {"id": number, "executiontime": 1, "period": period, **self._urgency(number, period)}
            for number, period in enumerate((4, 8))
        ]
        for feature in features:
            feature.show(tasks)
        block = self.given.get("block") or (hey.HelloWorld if self.capabilities.job_numbers == "starts" else {})
        timed = ("executiontime", "period", "deadline", "offset", "jitter", "criticaltime")
        unit = self.bounds.unit
        return TaskSet(
            {**block, **{key: value * unit if key in timed else value for key, value in task.items()}} for task in tasks
        )

    def _urgency(self, number: int, period: int) -> dict[str, int]:
        by_deadline = self.bounds.policy == "EDF" or (self.bounds.policy == "mixed" and number)
        return {"deadline": period} if by_deadline else {"priority": number}

    def strategy(self, features: Sequence[Feature]) -> st.SearchStrategy[TaskSet]:
        """Return the strategy of sets that may have these features."""
        chosen: dict[str, Any] = {"priorities": "distinct", **self.given}
        if self.policy is not None:
            chosen["policy"] = self.policy
        for feature in features:
            chosen[feature.name] = feature.value(self.bounds.max_period)
        return tasksets(**chosen, capabilities=self.capabilities)

    def features(self) -> list[Feature]:
        """Return those that are the user's to leave out, and the target's to honour."""
        able = {
            "max_offset": self.capabilities.offsets,
            "max_jitter": self.capabilities.sporadic,
            "max_criticaltime": self.capabilities.kill,
            "max_jobs": self.capabilities.job_limits,
            # Where jobs are processes a deadline changes who schedules a task, elsewhere only if its policy says so.
            "deadlines": self.bounds.policy != "FP",
        }
        return [each for each in _FEATURES if each.name not in self.given and able.get(each.name, True)]


def aimed(
    judge: Judge, *, migration: str | None = None, given: Mapping[str, Any] | None = None
) -> st.SearchStrategy[TaskSet]:
    """Return the strategy of sets that the target of a judge can run, and that it says something about.

    Args:
        judge: whose target is open.
        migration: partitioned or global, as the target is told; None: partitioned.
        given: bounds of `tasksets` that are the user's; all others follow from judge and target.

    Raises:
        UsageError: a bound is none, or they leave nothing.
        TargetLost: the target can't be asked.
    """
    capabilities = judge.stand.session.capabilities
    on_board = capabilities.job_numbers == "starts"
    bounds = _usual(judge, given or {})
    if not on_board and capabilities.cores > 1:
        bounds.setdefault("max_utilization", capabilities.cores)
    if migration is not None:
        bounds.setdefault("migration", migration)
    families = [_Family(policy, capabilities, bounds) for policy in _policies(capabilities, bounds.get("policy"))]
    found = [strategy for family in families for strategy in _strategies(judge, family)]
    # Where nothing small is accepted, larger sets may be.
    return st.one_of(found or [family.strategy([]) for family in families])


def enough_ms(judge: Judge, given: Mapping[str, Any]) -> int | None:
    """Return how long a run of such a set may last on a board; None: as long as it takes, elsewhere.

    A board may refuse a job again and again, and only its horizon ends that: 60 s, each time.
    """
    capabilities = judge.stand.session.capabilities
    if capabilities.job_numbers != "starts":
        return None
    family = _Family(None, capabilities, _usual(judge, given))
    return _PATIENCE * ((family.bounds.max_jobs or _BOARD_JOBS) + 2) * family.bounds.max_period * family.bounds.unit


def _usual(judge: Judge, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's bounds, and those that are usual on the target.

    A unit of a board's time is longer than what its siblings blur, where that would hide what is looked for; twice as
    long where time is only simulated, and costs nothing.
    """
    capabilities = judge.stand.session.capabilities
    if capabilities.job_numbers != "starts":
        return {**_USUAL, **given}
    bounds = {**_USUAL_ON_BOARDS, **given}
    siblings = min(bounds["n"], _USUAL_ON_BOARDS["n"]) - 1
    units = (2 if capabilities.deterministic else 1) * -(-judge.blur_ns(siblings) // _ROUND_NS)
    return bounds if units == 0 else {"unit_ms": units * _ROUND_NS // NS_PER_MS, **bounds}


def _policies(capabilities: Capabilities, asked: str | None) -> list[str | None]:
    if asked is not None:
        return [asked]
    if capabilities.job_numbers == "starts":
        return [None]  # admission of boards has its own mind
    return [each for each in ("FP", "EDF", "mixed") if each.lower() in capabilities.policies]


def _strategies(judge: Judge, family: _Family) -> Iterator[st.SearchStrategy[TaskSet]]:
    """Yield the strategies of endless and of limited sets, as far as there is something to say about them."""

    def accepted(features: Sequence[Feature]) -> bool:
        return not judge.excludes(family.probe(features))

    on_board = family.capabilities.job_numbers == "starts"
    limit = _BOARD_LIMIT if on_board else _LIMIT
    may_end = family.capabilities.job_limits and limit.name not in family.given
    starts: list[list[Feature]] = [[], [limit]] if may_end else [[]]
    for start in reversed(starts) if on_board else starts:
        needed = next((each for each in _combinations(start, family.features()) if accepted(each)), None)
        if needed is None:
            continue
        yield family.strategy(_enriched(needed, family.features(), accepted))
        if on_board:
            return  # endless sets last as long as runs may on a board


def _combinations(start: list[Feature], features: list[Feature]) -> Iterator[list[Feature]]:
    sizes = range(_MOST_NEEDED + 1)
    return ([*start, *more] for more in chain.from_iterable(combinations(features, size) for size in sizes))


def _enriched(
    needed: list[Feature], features: list[Feature], accepted: Callable[[Sequence[Feature]], bool]
) -> list[Feature]:
    """Add what else is accepted, one by one."""
    chosen = list(needed)
    for feature in features:
        taken = {each.name for each in chosen}
        if feature.usual and feature.name not in taken and accepted([*chosen, feature]):
            chosen.append(feature)
    return chosen
