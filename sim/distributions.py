"""Distributions of execution times: what a job computes as a function of a uniform number, in exact arithmetic.

Times are milliseconds, or, if the distribution is `relative`, shares of the worst case C of each task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from sim.stream import uniform
from taskgen.errors import InputError, UsageError
from taskgen.units import MAX_NS, NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from taskgen.parameters import Parameters

#: Draws are whole numbers 0 .. _STEPS - 1, each as likely.
_STEPS = 1 << 64
_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
#: Farther than this from the mean, in deviations, a float can't hold what is left of a normal distribution.
_REACH = 37


@dataclass(frozen=True, slots=True)
class Draw:
    """What a distribution needs to know of one job: a uniform number of 64 bits, its index, and the unit of times."""

    word: int
    job: int
    unit_ns: int = NS_PER_MS  #: 1 ms, or C

    def ns(self, time: Decimal) -> int:
        """Return a time in whole nanoseconds, rounded half-even."""
        return int(_CONTEXT.to_integral_value(_CONTEXT.multiply(time, Decimal(self.unit_ns))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Derive from it as a frozen dataclass; the fields are the keys of its table, `sample_ns` draws."""

    kind: ClassVar[str]
    #: The fields that are times; their keys end in `_ms`, or are those of the fields where times are shares of C.
    times: ClassVar[tuple[str, ...]]
    relative: bool = False

    def sample_ns(self, draw: Draw) -> int:
        """Return an execution time in ns; it is brought into 1 .. C afterwards."""
        raise NotImplementedError

    def work(self, task: Parameters, seed: int) -> Callable[[int], int]:
        """Return the execution times of a task, by job index.

        Raises:
            InputError: times are shares of C, and the task has none.
        """
        if self.relative and task.wcet_ns is None:
            raise InputError(
                f"task {task.id}: has no executiontime, the distribution {self.kind!r} of shares of it needs one",
                hint="give the task an executiontime, or a distribution in ms",
            )
        most_ns = MAX_NS if task.wcet_ns is None else task.wcet_ns
        unit_ns = most_ns if self.relative else NS_PER_MS

        def execution_ns(job: int) -> int:
            draw = Draw(uniform(seed, task.id, job, "execution", _STEPS - 1), job, unit_ns)
            return min(max(self.sample_ns(draw), 1), most_ns)

        return execution_ns

    def _check(self, good: bool, field: str, value: object, expected: str) -> None:
        if not good:
            raise UsageError(f"{self._key(field)}: {value} is out of range, expected {expected}")

    def _key(self, field: str) -> str:
        return f"{field}_ms" if field in self.times and not self.relative else field


@dataclass(frozen=True, slots=True)
class Uniform(Distribution):
    """Every nanosecond from low to high is as likely."""

    low: Decimal
    high: Decimal
    kind = "uniform"
    times = ("low", "high")

    def __post_init__(self) -> None:
        self._check(self.low <= self.high, "high", self.high, f"at least {self._key('low')}, {self.low}")

    def sample_ns(self, draw: Draw) -> int:
        """Draw."""
        low_ns, high_ns = draw.ns(self.low), draw.ns(self.high)
        return low_ns + draw.word * (high_ns - low_ns + 1) // _STEPS


@dataclass(frozen=True, slots=True)
class Normal(Distribution):
    """A normal distribution, truncated: what lies outside of low .. high never comes, the rest keeps its proportions.

    The standard quantile is a float without a unit; the time is its exact decimal value times the deviation. It is
    looked up from the nearer end of the curve, where floats are dense: so bounds may lie far out in either tail.
    """

    mean: Decimal
    deviation: Decimal
    low: Decimal = Decimal(0)
    high: Decimal | None = None
    kind = "normal"
    times = ("mean", "deviation", "low", "high")

    def __post_init__(self) -> None:
        self._check(self.deviation > 0, "deviation", self.deviation, "more than 0")
        if self.high is not None:
            self._check(self.low < self.high, "high", self.high, f"more than {self._key('low')}, {self.low}")
        low, high = self._bounds()
        if low > _REACH or high < -_REACH or self._shares()[1] <= 0:
            raise UsageError(
                f"{self._key('low')} and {self._key('high')}: {self.low}, {self.high} are out of range,"
                f" expected bounds that the curve reaches, {_REACH} deviations from the mean at most"
            )

    def _bounds(self) -> tuple[float, float]:
        """Return low and high in deviations from the mean."""
        low = float((self.low - self.mean) / self.deviation)
        return low, math.inf if self.high is None else float((self.high - self.mean) / self.deviation)

    def _shares(self) -> tuple[float, float, float]:
        """Return how much of the curve lies below, inside and above the bounds, each as exact as a float can be."""
        low, high = self._bounds()
        below, above = _tail(-low), _tail(high)
        if low > 0:
            return below, _tail(low) - above, above
        return below, _tail(-high) - below if high < 0 else 1 - below - above, above

    def sample_ns(self, draw: Draw) -> int:
        """Draw, by the inverse of the distribution function."""
        from statistics import NormalDist

        below, inside, above = self._shares()
        lower = below + inside * ((2 * draw.word + 1) / (2 * _STEPS))
        if lower <= 0.5:
            quantile = NormalDist().inv_cdf(lower)
        else:
            quantile = -NormalDist().inv_cdf(above + inside * ((2 * (_STEPS - draw.word) - 1) / (2 * _STEPS)))
        time = max(self.low, _CONTEXT.fma(Decimal(quantile), self.deviation, self.mean))
        return draw.ns(time if self.high is None else min(time, self.high))


@dataclass(frozen=True, slots=True)
class Weibull(Distribution):
    """A Weibull distribution behind an offset: execution times with a long tail."""

    shape: Decimal
    scale: Decimal
    offset: Decimal = Decimal(0)
    kind = "weibull"
    times = ("scale", "offset")

    def __post_init__(self) -> None:
        self._check(self.shape >= Decimal("0.1"), "shape", self.shape, "at least 0.1")
        self._check(self.scale > 0, "scale", self.scale, "more than 0")

    def sample_ns(self, draw: Draw) -> int:
        """Draw, by the inverse of the distribution function."""
        share = _CONTEXT.divide(Decimal(2 * draw.word + 1), Decimal(2 * _STEPS))
        spread = _CONTEXT.power(-_CONTEXT.ln(share), _CONTEXT.divide(Decimal(1), self.shape))
        return draw.ns(_CONTEXT.fma(spread, self.scale, self.offset))


@dataclass(frozen=True, slots=True)
class Discrete(Distribution):
    """Some values, with weights."""

    values: tuple[Decimal, ...]
    weights: tuple[Decimal, ...] = ()
    kind = "discrete"
    times = ("values",)

    def __post_init__(self) -> None:
        self._check(bool(self.values), "values", "[]", "at least one value")
        if self.weights:
            matching = len(self.weights) == len(self.values) and sum(self.weights) > 0
            self._check(matching, "weights", [*map(str, self.weights)], "one for each value, not all 0")

    def sample_ns(self, draw: Draw) -> int:
        """Draw."""
        weights = [Fraction(weight) for weight in self.weights] or [Fraction(1)] * len(self.values)
        mark = Fraction(draw.word, _STEPS) * sum(weights)
        for value, weight in zip(self.values, weights, strict=True):
            mark -= weight
            if mark < 0:
                return draw.ns(value)
        raise AssertionError("the mark lies below the sum of all weights")


@dataclass(frozen=True, slots=True)
class Recording(Distribution):
    """Execution times that were measured."""

    values: tuple[Decimal, ...]
    order: str = "random"
    kind = "recording"
    times = ("values",)

    def __post_init__(self) -> None:
        self._check(bool(self.values), "values", "[]", "at least one value")
        self._check(self.order in {"random", "sequence"}, "order", repr(self.order), "random or sequence")

    def sample_ns(self, draw: Draw) -> int:
        """Draw, or take the next."""
        number = len(self.values)
        return draw.ns(self.values[draw.job % number if self.order == "sequence" else draw.word * number // _STEPS])


KINDS: dict[str, type[Distribution]] = {cls.kind: cls for cls in (Uniform, Normal, Weibull, Discrete, Recording)}


def _tail(distance: float) -> float:
    """Return how much of the standard normal distribution lies above a distance from its mean."""
    return math.erfc(distance / math.sqrt(2)) / 2
