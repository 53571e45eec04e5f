"""Tasks and task-sets, by construction: nothing that is drawn is thrown away, whatever the bounds."""

from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate
from typing import Any

from hypothesis import strategies as st

from taskgen.choice import copy_value
from taskgen.parameters import LEAST_URGENT
from taskgen.session import Capabilities
from taskgen.strategies.bounds import Block, Bounds, Deadlines, Migration, Number, Policy, Priorities
from taskgen.strategies.draws import draw_whole, whole
from taskgen.strategies.period import choices_of
from taskgen.strategies.utilization import Budget
from taskgen.task import Task
from taskgen.taskset import TaskSet

#: So many priorities are drawn as often as all others together: ties are where schedulers differ.
_OFTEN = 4


def tasksets(
    *,
    n: int = 5,
    min_n: int = 1,
    policy: Policy | None = None,
    priorities: Priorities = "any",
    max_priority: int = LEAST_URGENT,
    max_utilization: Number | None = 1,
    periods: Iterable[int] | None = None,
    min_period: int = 1,
    max_period: int = 100,
    max_hyperperiod: float | None = None,
    harmonic: bool = False,
    deadlines: Deadlines = "implicit",
    max_offset: int = 0,
    max_jitter: int = 0,
    max_jobs: int | None = None,
    max_criticaltime: int = 0,
    max_arrivals: int = 0,
    single_jobs: bool = False,
    cores: int | None = None,
    migration: Migration = "partitioned",
    block: Block | None = None,
    unit_ms: int | None = None,
    capabilities: Capabilities | None = None,
) -> st.SearchStrategy[TaskSet]:
    """Concrete task-sets whose times are whole multiples of `unit_ms`: all bounds of times count such units.

    Each set within the bounds can come, up to the order of its tasks. Where utilization is bounded and little is left,
    a task with the longest period comes first.

    Args:
        n: how many tasks at most, as far as they fit.
        min_n: how many tasks at least; `n=5, min_n=5` are five.
        policy: FP, EDF or mixed: priorities, deadlines, or either (None: FP, EDF on targets that want it).
        priorities: any, distinct, or derived: rm (rate-monotonic), dm (deadline-monotonic), ties by id.
        max_priority: the least urgent one.
        max_utilization: bound of all tasks together, exact; None: only that of each, 1.
        periods: instead of a range: these, for instance `AUTOMOTIVE_PERIODS`.
        min_period: the shortest.
        max_period: the longest.
        max_hyperperiod: bound of their least common multiple (None: 10 x the longest period; math.inf: none).
        harmonic: of any two periods one divides the other.
        deadlines: implicit (D = T), constrained (C <= D <= T), arbitrary (C <= D <= 2 T). A task that has a deadline is
            scheduled by EDF: sets of policy FP have it only unless implicit, and want a session with `policy="fp"`.
        max_offset: bound of first arrivals.
        max_jitter: bound of the release jitter J.
        max_jobs: each task has 1..max_jobs jobs; None: endless.
        max_criticaltime: bound of the times after which jobs are killed; 0: never.
        max_arrivals: a task may be sporadic instead of periodic, with so many `arrivals` at most; the first one comes
            by T, each other one T to 2 T after the one before. 0: none is.
        single_jobs: a task may be a single job, of period 0; it counts as much as with the T that it would have, which
            is its D where it needs one.
        cores: how many the tasks are for (None: those of a simulated target, else 1).
        migration: partitioned: with several cores each task is bound to one of them, which gets at most
            `max_utilization / cores`; global: none is.
        block: attributes that each task has besides, for instance a program: a dict, or a strategy such as `blocks()`.
        unit_ms: what is counted (None: 1; 100 on targets where jobs are processes).
        capabilities: those of a target: only what it can run. Offsets, jitter, arrivals, criticaltime and limits of
            jobs that it doesn't honour are left out; where jobs are processes they are those of `hey` unless `block`
            says otherwise.

    Raises:
        UsageError: a bound is none, or they leave nothing.
        Unsupported: the target doesn't know the policy, or hasn't that many cores.

    Examples from this strategy shrink towards few tasks, short periods and execution times, priority 0 (mixed: a
    priority rather than a deadline), D = T or else D = C, core 0, no offset, jitter or criticaltime, periodic tasks
    rather than sporadic ones or single jobs, and few arrivals, each as early as can be.
    """
    bounds = Bounds(
        n=n, min_n=min_n, policy=policy, priorities=priorities, max_priority=max_priority,
        max_utilization=max_utilization, periods=choices_of("tasksets", "periods", periods), min_period=min_period,
        max_period=max_period, max_hyperperiod=max_hyperperiod, harmonic=harmonic, deadlines=deadlines,
        max_offset=max_offset, max_jitter=max_jitter, max_jobs=max_jobs, max_criticaltime=max_criticaltime,
        max_arrivals=max_arrivals, single_jobs=single_jobs, cores=cores, migration=migration, block=block,
        unit_ms=unit_ms,
    )  # fmt: skip
    return _tasksets(bounds.for_target(capabilities))


def tasks(
    *,
    policy: Policy | None = None,
    max_priority: int = LEAST_URGENT,
    max_utilization: Number | None = 1,
    periods: Iterable[int] | None = None,
    min_period: int = 1,
    max_period: int = 100,
    deadlines: Deadlines = "implicit",
    max_offset: int = 0,
    max_jitter: int = 0,
    max_jobs: int | None = None,
    max_criticaltime: int = 0,
    max_arrivals: int = 0,
    single_jobs: bool = False,
    block: Block | None = None,
    unit_ms: int | None = None,
    capabilities: Capabilities | None = None,
) -> st.SearchStrategy[Task]:
    """Concrete tasks without an id, for sets of one's own; the bounds are those of `tasksets`.

    Raises:
        UsageError: a bound is none, or they leave nothing.
        Unsupported: the target doesn't know the policy.

    Examples from this strategy shrink towards a short period and execution time, priority 0, D = T or else D = C, no
    offset, jitter or criticaltime, a periodic task rather than a sporadic one or a single job, and few arrivals, each
    as early as can be.
    """
    bounds = Bounds(
        strategy="tasks", n=1, policy=policy, max_priority=max_priority, max_utilization=max_utilization,
        periods=choices_of("tasks", "periods", periods), min_period=min_period, max_period=max_period,
        deadlines=deadlines, max_offset=max_offset, max_jitter=max_jitter, max_jobs=max_jobs,
        max_criticaltime=max_criticaltime, max_arrivals=max_arrivals, single_jobs=single_jobs, block=block,
        unit_ms=unit_ms,
    )  # fmt: skip
    return _tasks(bounds.for_target(capabilities))


@st.composite
def _tasks(draw: st.DrawFn, bounds: Bounds) -> Task:
    task = _Drawing(draw, bounds, 1).task(0)
    del task["id"]
    return task


@st.composite
def _tasksets(draw: st.DrawFn, bounds: Bounds) -> TaskSet:
    count = draw_whole(draw, bounds.min_n, bounds.n)
    drawing = _Drawing(draw, bounds, count)
    if bounds.max_arrivals:  # tasks take different many numbers: a draw of its own tells which of them belong together
        tasks = [draw(st.just(number).map(drawing.task)) for number in range(count)]
    else:
        tasks = [drawing.task(number) for number in range(count)]
    if bounds.priorities in {"rm", "dm"}:
        _rank(tasks, "period" if bounds.priorities == "rm" else "deadline")
    return TaskSet(tasks)


@lru_cache(1 << 10)
def _delays(most: int, period: int) -> st.SearchStrategy[list[int]]:
    """Lists of how much later than possible each of some arrivals is."""
    return st.lists(whole(0, period), max_size=most)


def _arrivals(delays: list[int], period: int, unit: int) -> list[int]:
    return [(place * period + delay) * unit for place, delay in enumerate(accumulate(delays))]


class _Drawing:
    """One set while it is drawn, task by task."""

    def __init__(self, draw: st.DrawFn, bounds: Bounds, count: int) -> None:
        self._draw = draw
        self._bounds = bounds
        self._count = count
        self._block = bounds.blocks
        self._budget = Budget(bounds.capacity, bounds.pools)
        self._periods: list[int] = []
        self._ranks: set[int] = set()
        # Else the first tasks take most of the utilization; what an even split gives, the other can give, too.
        self._even = bounds.n > 1 and draw_whole(draw, 0, 1) == 1

    def task(self, number: int) -> Task:
        """Draw a task: one number per attribute, as many for each task, so that Hypothesis can take one out."""
        bounds, budget, more = self._bounds, self._budget, self._count - number - 1
        core = budget.core_with_room(self._whole(0, bounds.pools - 1))
        period = bounds.menu.draw(self._draw, self._periods, budget.least_period(core, more))
        cost = self._draw(whole(1, budget.most(core, period, more, even=self._even)))
        budget.spend(core, period, cost)
        self._periods.append(period)
        task: dict[str, Any] = {} if self._block is None else copy_value(dict(self._draw(self._block)))
        task |= {"id": number, "executiontime": cost * bounds.unit, "period": period * bounds.unit}
        task |= self._urgency(cost, period)
        for key, most in bounds.optional.items():
            if time := self._whole(0, most):
                task[key] = time * bounds.unit
        task |= self._jobs(period)
        if not task["period"]:
            task.pop("numberofjobs", None)  # of the block
        if bounds.is_bound:
            task |= {"cores": bounds.width, "coreoffset": core}
        return Task(task)

    def _jobs(self, period: int) -> dict[str, Any]:
        """Draw which jobs there are: those of a period, how many of them, some arrivals, or a single one."""
        bounds = self._bounds
        jobs: dict[str, Any] = {}
        if bounds.max_jobs is not None:
            jobs["numberofjobs"] = self._whole(1, bounds.max_jobs)
        if bounds.max_arrivals and (delays := self._draw(_delays(bounds.max_arrivals, period))):
            jobs["arrivals"] = _arrivals(delays, period, bounds.unit)
        return {"period": 0} if bounds.single_jobs and self._whole(0, 1) else jobs

    def _urgency(self, cost: int, period: int) -> dict[str, int]:
        """Draw the priority or the deadline."""
        bounds = self._bounds
        urgency = {}
        if bounds.policy != "EDF":
            urgency["priority"] = self._priority()
        if bounds.policy != "FP" or bounds.deadlines != "implicit":
            urgency["deadline"] = self._deadline(cost, period) * bounds.unit
        if bounds.policy == "mixed":  # both are drawn: else that with fewer draws would count as smaller
            del urgency["priority" if self._whole(0, 1) else "deadline"]
        return urgency

    def _whole(self, least: int, most: int) -> int:
        return draw_whole(self._draw, least, most)

    def _deadline(self, cost: int, period: int) -> int:
        """Draw D: T first, then C, C + 1 and so on. A distance from T would have to grow while T shrinks."""
        kind = self._bounds.deadlines
        if kind == "implicit":
            return period
        drawn = self._draw(whole(0, (period if kind == "constrained" else 2 * period) - cost))
        if not drawn:
            return period
        return cost + drawn - (cost + drawn <= period)

    def _priority(self) -> int:
        """Draw a priority; those that follow from other attributes are given in the end."""
        if self._bounds.priorities in {"rm", "dm"}:
            return 0
        size = self._bounds.max_priority + 1
        drawn = self._whole(0, 2 * size - 1)
        rank = drawn if drawn < size else drawn % min(_OFTEN, size)
        if self._bounds.priorities == "distinct":  # in a mixed set, also among those that are dropped
            while rank in self._ranks:
                rank = (rank + 1) % size
            self._ranks.add(rank)
        return rank


def _rank(tasks: list[Task], key: str) -> None:
    """Give the tasks with a priority theirs by the order of an attribute (missing: D = T), ties by id."""
    ranked = [task for task in tasks if "priority" in task]

    def urgency(task: Task) -> tuple[bool, int, int]:
        time_ms = task.get(key, task["period"])
        return not time_ms, time_ms, task["id"]  # a single job without a deadline ranks last

    for priority, task in enumerate(sorted(ranked, key=urgency)):
        task["priority"] = priority
