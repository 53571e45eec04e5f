"""Statistics of small samples: quantiles, and a test whether two samples differ that assumes no distribution.

A dozen samples of a response time are skewed, tied by the clock's resolution, and spoilt by outliers: hence medians
instead of means, and ranks instead of Student's t.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import Final

#: Up to this product of the sample sizes, p is exact; 50 x 50 takes a tenth of a second.
EXACT_UP_TO: Final = 2500


@dataclass(frozen=True, slots=True)
class Summary:
    """What a table says about a sample, in its unit."""

    n: int
    least: float
    q1: float
    median: float
    q3: float
    p99: float
    most: float

    @property
    def iqr(self) -> float:
        """The interquartile range: half of the samples lie within."""
        return self.q3 - self.q1


def summary(samples: Sequence[float]) -> Summary | None:
    """Return what a table says about samples; None: there are none."""
    if not samples:
        return None
    ordered = sorted(samples)
    at = partial(_quantile, ordered)
    return Summary(len(ordered), ordered[0], at(1, 4), at(1, 2), at(3, 4), at(99, 100), ordered[-1])


def quantile(samples: Sequence[float], numerator: int, denominator: int) -> float:
    """Return the quantile of a fraction: linear between the order statistics around rank 1 + (n - 1) p.

    This is definition 7 of Hyndman and Fan (1996), the default of R and NumPy. It never leaves the samples' range, so
    p99 of a few samples is nearly their maximum. Where the rank is whole, it is the sample itself: no rounding.

    Raises:
        ValueError: there are no samples.
    """
    if not samples:
        raise ValueError("no samples have no quantile")
    return _quantile(sorted(samples), numerator, denominator)


def median(samples: Sequence[float]) -> float:
    """Return the sample in the middle, or half of the two there together.

    Raises:
        ValueError: there are no samples.
    """
    return quantile(samples, 1, 2)


def _quantile(ordered: Sequence[float], numerator: int, denominator: int) -> float:
    index, rest = divmod((len(ordered) - 1) * numerator, denominator)
    low = ordered[index]
    if not rest or low == (high := ordered[index + 1]):
        return low
    # Rounding must not leave the two.
    return min(max(low + (high - low) * (rest / denominator), low), high)


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p of Mann and Whitney's U test: whether two independent samples are from one distribution.

    p is the probability, over all ways to deal the pooled samples out to both sides, that U is at least as far from
    its mean as it is. Ties get their mean rank and the distribution is the one under these very ties, so p is exact
    for any data, constant samples included. Beyond `EXACT_UP_TO` it is the normal approximation with corrections for
    ties and continuity.

    Raises:
        ValueError: a side has no samples.
    """
    if not first or not second:
        raise ValueError("both sides need samples")
    ranked = _ranked(first, second)
    ties = tuple(count for count, _ in ranked)
    # Midranks are halves: everything counts twice.
    rank_sum, rank = 0, 0
    for count, ours in ranked:
        rank_sum += ours * (2 * rank + count + 1)
        rank += count
    distance = abs(rank_sum - len(first) * (rank + 1))
    if len(first) * len(second) <= EXACT_UP_TO:
        return _tail(len(first), ties, distance)
    return _normal(len(first), len(second), ties, distance)


def _ranked(first: Sequence[float], second: Sequence[float]) -> list[tuple[int, int]]:
    """Return, for each value from the least on, how often it comes, and how often in the first sample."""
    pooled = sorted([(value, 1) for value in first] + [(value, 0) for value in second])
    groups = ([ours for _, ours in group] for _, group in groupby(pooled, key=lambda each: each[0]))
    return [(len(group), sum(group)) for group in groups]


def _tail(n: int, ties: tuple[int, ...], distance: int) -> float:
    """Return how probable a doubled rank sum of n samples is that is at least so far from its mean."""
    ways = _ways(n, ties)
    mean = n * (sum(ties) + 1)
    extreme = sum(count for total, count in enumerate(ways) if abs(total - mean) >= distance)
    return extreme / math.comb(sum(ties), n)


@lru_cache(maxsize=256)
def _ways(n: int, ties: tuple[int, ...]) -> tuple[int, ...]:
    """Return in how many ways n of the pooled samples have each doubled rank sum, by sum.

    The generating function of each number of chosen samples is one integer, its value at a power of two above all
    coefficients: adding a sample of rank r is a shift by r and an addition, at the speed of long integers.
    """
    pooled = sum(ties)
    width = (math.comb(pooled, n).bit_length() + 7) // 8 * 8
    chosen = [1] + [0] * n
    seen = 0
    for count in ties:
        shift = (2 * seen + count + 1) * width
        for _ in range(count):
            seen += 1
            for k in range(min(n, seen), 0, -1):
                chosen[k] += chosen[k - 1] << shift
    size = width // 8
    data = chosen[n].to_bytes((n * 2 * pooled + 1) * size, "little")
    return tuple(int.from_bytes(data[at : at + size], "little") for at in range(0, len(data), size))


def _normal(n: int, m: int, ties: tuple[int, ...], distance: int) -> float:
    """Return p by the normal approximation; the distance of doubled ranks is twice that of U."""
    pooled = n + m
    tied = sum(count**3 - count for count in ties) / (pooled * (pooled - 1))
    variance = n * m / 12 * (pooled + 1 - tied)
    if not variance:
        return 1.0
    z = (distance / 2 - 0.5) / math.sqrt(variance)
    return min(1.0, math.erfc(z / math.sqrt(2)))


def least_p(n: int, m: int) -> float:
    """Return the least two-sided p that samples of these sizes can have: all of one side above the other."""
    return 2 / math.comb(n + m, n)


def enough(tests: int, level: float) -> int:
    """Return how many samples each side needs so that one difference among many tests can be significant at all."""
    n = 1
    while least_p(n, n) * tests >= level:
        n += 1
    return n


def holm(p: Sequence[float]) -> list[float]:
    """Return the p of several tests, in their order, adjusted by Holm's step-down method (1979).

    Rejecting all whose adjusted p is below a level keeps the probability of any false rejection below that level,
    however the tests depend on each other.
    """
    adjusted = [1.0] * len(p)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        highest = max(highest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = highest
    return adjusted
