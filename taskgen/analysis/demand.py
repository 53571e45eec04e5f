"""Processor demand: whether EDF meets all deadlines on one core, with the interval that proves that it doesn't.

The demand h(t) is the work of all jobs that can arrive and have their deadline within an interval of length t. EDF
meets all deadlines of a synchronous (or sporadic) set iff h(t) <= t for each t (Baruah, Rosier & Howell, Real-Time
Systems 2, 1990, theorem 2; D > T: George, Rivierre & Spuri, INRIA RR-2966, 1996). Release jitter shortens the deadline
to D - J, which makes the test sufficient; so do offsets, which are ignored. A job without any deadline has no demand.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count
from typing import NamedTuple

from taskgen.analysis.response_time import busy_period_ns
from taskgen.analysis.utilization import wcet_ns
from taskgen.parameters import Parameters


class Overload(NamedTuple):
    """A certificate that EDF misses a deadline: more work is due in an interval than fits into it."""

    interval_ns: int
    demand_ns: int


class _Due(NamedTuple):
    """What counts of a task with a deadline."""

    deadline_ns: int  #: D - J, at least 0
    period_ns: int
    cost_ns: int  #: per deadline; all jobs of a task with period 0 are due at once

    def demand_ns(self, interval_ns: int) -> int:
        if interval_ns < self.deadline_ns:
            return 0
        number = (interval_ns - self.deadline_ns) // self.period_ns + 1 if self.period_ns else 1
        return number * self.cost_ns

    def last_ns(self, before_ns: int) -> int:
        """Return the last deadline below `before_ns`; -1 if there is none."""
        if before_ns <= self.deadline_ns:
            return -1
        if not self.period_ns:
            return self.deadline_ns
        return self.deadline_ns + (before_ns - 1 - self.deadline_ns) // self.period_ns * self.period_ns


def demand_ns(tasks: Sequence[Parameters], interval_ns: int) -> int:
    """Return h(t): the work that arrives and is due within an interval of `interval_ns`.

    Raises:
        InputError: an execution time is unknown.
    """
    return _demand_ns(_due(tasks), interval_ns)


def synchronous_busy_period_ns(tasks: Sequence[Parameters]) -> int | None:
    """Return L_b, the length of the busy period after a synchronous release; None if it never ends.

    Spuri, INRIA RR-2772, 1996, section 3; Zhang & Burns 2009, equation (9).

    Raises:
        InputError: an execution time is unknown.
    """
    return busy_period_ns(tasks)


def first_overload(tasks: Sequence[Parameters]) -> Overload | None:
    """Return the shortest interval with h(t) > t, None if EDF meets all deadlines: the processor-demand criterion.

    Looks at each deadline up to the smallest known bound, which can be many: `qpa` decides faster. In the synchronous
    schedule the first deadline that EDF misses is that interval's end.

    Raises:
        InputError: an execution time is unknown.
    """
    due = _due(tasks)
    bound_ns = _bound_ns(tasks, due)
    sum_ns = 0
    deadlines = heapq.merge(*(_deadlines(task) for task in due))
    group_ns = 0
    for deadline_ns, cost_ns in deadlines:
        if deadline_ns != group_ns and sum_ns > group_ns:
            break
        if deadline_ns > bound_ns:
            return None
        group_ns = deadline_ns
        sum_ns += cost_ns
    return Overload(group_ns, sum_ns) if sum_ns > group_ns else None


def qpa(tasks: Sequence[Parameters]) -> Overload | None:
    """Return an interval with h(t) > t, not always the shortest, or None if EDF meets all deadlines.

    Quick processor-demand analysis (Zhang & Burns, "Schedulability analysis for real-time systems with EDF
    scheduling", IEEE TC 58(9), 2009, theorem 5), exact like `first_overload`.

    Raises:
        InputError: an execution time is unknown.
    """
    for step in qpa_steps(tasks):
        if step.demand_ns > step.interval_ns:
            return step
    return None


def qpa_steps(tasks: Sequence[Parameters]) -> Iterator[Overload]:
    """Yield the intervals that `qpa` looks at, with their demand, from the longest down.

    From t it jumps to h(t), or to the deadline before t where h(t) = t; it ends below the smallest deadline, or at the
    first step whose demand exceeds its interval.

    Raises:
        InputError: an execution time is unknown.
    """
    due = _due(tasks)
    if not due:
        return
    smallest_ns = min(task.deadline_ns for task in due)
    interval_ns = _last_ns(due, _bound_ns(tasks, due) + 1)
    while interval_ns >= smallest_ns:
        needed_ns = _demand_ns(due, interval_ns)
        yield Overload(interval_ns, needed_ns)
        if needed_ns > interval_ns or needed_ns <= smallest_ns:
            return
        interval_ns = needed_ns if needed_ns < interval_ns else _last_ns(due, interval_ns)


def _due(tasks: Sequence[Parameters]) -> list[_Due]:
    return [
        _Due(
            max(0, task.effective_deadline_ns - task.jitter_ns),
            task.period_ns,
            wcet_ns(task) * (1 if task.period_ns else task.jobs or 1),
        )
        for task in tasks
        if task.effective_deadline_ns is not None
    ]


def _demand_ns(due: Sequence[_Due], interval_ns: int) -> int:
    return sum(task.demand_ns(interval_ns) for task in due)


def _last_ns(due: Sequence[_Due], before_ns: int) -> int:
    return max((task.last_ns(before_ns) for task in due), default=-1)


def _deadlines(task: _Due) -> Iterator[tuple[int, int]]:
    if not task.period_ns:
        return iter([(task.deadline_ns, task.cost_ns)])
    return ((deadline_ns, task.cost_ns) for deadline_ns in count(task.deadline_ns, task.period_ns))


def _bound_ns(tasks: Sequence[Parameters], due: Sequence[_Due]) -> int:
    """Return a length such that an overload, if there is one, shows in an interval of at most that length.

    U < 1: the smaller of L_a = max(D_i - T_i, sum U_i (T_i - D_i) / (1 - U)) and L_b (Zhang & Burns 2009, theorem 4).
    U = 1: h(t + H) = h(t) + H from the largest D on, so a hyperperiod behind it. U > 1: h(t) > U t - sum U_i D_i.
    """
    load = sum((Fraction(task.cost_ns, task.period_ns) for task in due if task.period_ns), Fraction(0))
    periodic = [(task, Fraction(task.cost_ns, task.period_ns)) for task in due if task.period_ns]
    if load > 1:
        return math.ceil(sum(part * task.deadline_ns for task, part in periodic) / (load - 1))
    longest_ns = max((task.deadline_ns for task in due), default=0)
    if load == 1:
        bounds = [math.lcm(*(task.period_ns for task, _ in periodic)) + longest_ns]
    else:
        single_ns = sum(task.cost_ns for task in due if not task.period_ns)
        excess = single_ns + sum(part * (task.period_ns - task.deadline_ns) for task, part in periodic)
        bounds = [max(math.floor(excess / (1 - load)), *(task.deadline_ns - task.period_ns for task in due), 0)]
    length_ns = synchronous_busy_period_ns(tasks)
    return min(bounds if length_ns is None else [*bounds, length_ns])
