"""Utilizations: how a bound is split among tasks, exactly and without a draw that is thrown away."""

import math
from decimal import Decimal
from fractions import Fraction

from hypothesis import strategies as st

from taskgen.strategies.draws import check_order, check_whole, draw_whole, exact, whole, wrong


class Budget:
    """The utilization that is left on each core while tasks are drawn, in whole numbers over a common denominator.

    Room is kept for the tasks to come: one unit of time each, in the longest period that was drawn so far.
    """

    def __init__(self, capacity: Fraction, cores: int = 1) -> None:
        self._base = capacity.denominator
        self._left = [capacity.numerator] * cores
        self._longest = 0

    def core_with_room(self, wish: int) -> int:
        """Return the first core from `wish` on, then from 0 on, that can take another task."""
        if not self._longest:
            return wish
        has_room = [left * self._longest >= self._base for left in self._left]
        return has_room.index(True, wish) if True in has_room[wish:] else has_room.index(True)

    def least_period(self, core: int, more: int) -> int:
        """Return the shortest period of a task on that core that leaves room for `more`."""
        if self._longest:
            kept = self._kept(core, self._longest, more)
            return -(-self._base // (self._left[core] - kept))
        each = -(-(more + 1) // len(self._left))
        return -(-each * self._base // self._left[core])

    def most(self, core: int, period: int, more: int, *, even: bool) -> int:
        """Return the longest execution time of such a task; `even`: not more than its share of what is left."""
        self._extend(period)
        left = self._left[core]
        free = left - self._kept(core, max(period, self._longest), more)
        most = min(period, free * period // self._base)
        share = left * period * len(self._left) // (self._base * (more + 1))
        return min(most, max(1, share)) if even else most

    def spend(self, core: int, period: int, cost: int) -> None:
        """Take the utilization of a task away."""
        self._left[core] -= cost * self._base // period
        self._longest = max(self._longest, period)

    def _kept(self, core: int, period: int, more: int) -> int:
        """Return what must stay on that core, because the others haven't room for all that are to come."""
        elsewhere = sum(left * period // self._base for other, left in enumerate(self._left) if other != core)
        return max(0, more - elsewhere) * self._base // period

    def _extend(self, period: int) -> None:
        """Make the denominator a multiple of a period."""
        factor = period // math.gcd(self._base, period)
        if factor > 1:
            self._base *= factor
            self._left = [left * factor for left in self._left]


def fitting_tasks(capacity: Fraction, cores: int, longest: int) -> int:
    """Return how many tasks of the longest period fit at most, with an execution time of one unit each."""
    return cores * (capacity * longest).__floor__()


def utilizations(
    *,
    n: int = 5,
    min_n: int = 1,
    max_utilization: float | Fraction | Decimal = 1,
    min_each: float | Fraction | Decimal = Fraction(1, 1000),
    max_each: float | Fraction | Decimal = 1,
    step: float | Fraction | Decimal = Fraction(1, 1000),
    exactly: bool = False,
) -> st.SearchStrategy[tuple[Fraction, ...]]:
    """Tuples of utilizations, exact multiples of `step`, whose sum is at most `max_utilization`.

    Args:
        n: how many at most.
        min_n: how many at least.
        max_utilization: bound of their sum.
        min_each: the smallest.
        max_each: the largest.
        step: what all of them are multiples of; so must the bounds be.
        exactly: the sum is the bound.

    Raises:
        UsageError: the bounds are none, or no tuple satisfies them.

    Examples from this strategy shrink towards few utilizations, and those towards the smallest (with `exactly`: the
    last ones towards the largest).
    """
    check_whole("utilizations", "n", n, 1)
    check_whole("utilizations", "min_n", min_n, 1)
    check_order("utilizations", ("min_n", min_n), ("n", n))
    unit = exact("utilizations", "step", step)
    bounds = {"max_utilization": max_utilization, "min_each": min_each, "max_each": max_each}
    steps = {name: exact("utilizations", name, value) / unit for name, value in bounds.items()}
    for name, number in steps.items():
        if number.denominator != 1:
            raise wrong("utilizations", name, bounds[name], f"a multiple of step, {step}")
    total, least, most = map(int, steps.values())
    check_order("utilizations", ("min_each", least), ("max_each", most))
    fitting = [count for count in range(min_n, n + 1) if least * count <= total <= most * count or not exactly]
    fitting = [count for count in fitting if least * count <= total]
    if not fitting:
        raise wrong(
            "utilizations", "max_utilization", max_utilization, f"what {min_n}..{n} such utilizations add up to"
        )
    return _utilizations(unit, total, (least, most), (fitting[0], fitting[-1]), exactly=exactly)


@st.composite
def _utilizations(
    draw: st.DrawFn, unit: Fraction, left: int, each: tuple[int, int], counts: tuple[int, int], *, exactly: bool
) -> tuple[Fraction, ...]:
    least, most = each
    steps = []
    for more in reversed(range(draw_whole(draw, *counts))):
        start = max(least, left - more * most) if exactly else least
        end = min(most, left - more * least)
        steps.append(draw(whole(start, end)))
        left -= steps[-1]
    return tuple(unit * number for number in steps)
