"""Curves through measured execution times: C(argument) = constant + sum of coefficient x argument^exponent.

Weighted least squares without negative coefficients. Exponents come from a short list, at most two of them, so each
support is tried, and the fewest terms win that explain the points within their noise. Numbers are rational throughout;
only roots are rounded, to 28 digits, and in the end the coefficients, to six: they are what is judged, stored and used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from itertools import combinations
from statistics import median_low
from typing import Final, NamedTuple

from taskgen.units import NS_PER_MS

#: Loops (1), nested ones (2, 3), tests of divisors up to a root (1.5, 0.5).
EXPONENTS: Final = (Decimal("0.5"), Decimal(1), Decimal("1.5"), Decimal(2), Decimal(3))
#: More terms would follow the noise.
MOST_TERMS: Final = 2
#: Significant digits of coefficients.
_DIGITS: Final = Context(prec=6, rounding=ROUND_HALF_EVEN)
#: As workload tables are computed (`sim.workload`), so that predictions agree to the nanosecond.
_CONTEXT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_ROOTS: Final = Context(prec=28, rounding=ROUND_HALF_EVEN)
#: Points are trusted to this share of their time at best: a curve mustn't follow what is smaller.
_TRUST: Final = 1000


class Term(NamedTuple):
    """A summand: coefficient x argument^exponent."""

    coefficient_ms: Decimal
    exponent: Decimal


@dataclass(frozen=True, slots=True)
class Curve:
    """The execution time of a program as a function of its argument."""

    constant_ms: Decimal
    terms: tuple[Term, ...] = ()

    def execution_ns(self, argument: int) -> int:
        """Return the time of a job with this argument in ns, rounded half-even."""
        total = self.constant_ms
        for term in self.terms:
            power = _CONTEXT.power(Decimal(argument), term.exponent) if argument else Decimal(0)
            total = _CONTEXT.add(total, _CONTEXT.multiply(term.coefficient_ms, power))
        return int(_CONTEXT.to_integral_value(_CONTEXT.multiply(total, Decimal(NS_PER_MS))))

    def raised(self, constant_ms: Decimal) -> "Curve":
        """Return this curve with a larger constant."""
        return Curve(self.constant_ms + constant_ms, self.terms)

    def __str__(self) -> str:
        terms = (f"{plain(each.coefficient_ms):f} x arg1^{plain(each.exponent):f}" for each in self.terms)
        return " + ".join([f"{plain(self.constant_ms):f}", *terms]) + " ms"


def plain(number: Decimal) -> Decimal:
    """Return the same number without trailing zeros."""
    return Decimal(f"{number.normalize():f}")


class Point(NamedTuple):
    """What was measured with one argument."""

    argument: int
    samples_ns: tuple[int, ...]  #: at least one

    @property
    def measured_ns(self) -> int:
        """The median."""
        return median_low(self.samples_ns)

    def noise_ns(self, resolution_ns: int) -> Fraction:
        """Return what a curve may miss it by: half the resolution, the median deviation, a thousandth of it."""
        middle_ns = self.measured_ns
        spread_ns = median_low([abs(sample_ns - middle_ns) for sample_ns in self.samples_ns])
        return Fraction(resolution_ns, 2) + spread_ns + Fraction(middle_ns, _TRUST)


def fit(points: Sequence[Point], resolution_ns: int) -> Curve:
    """Return the curve with the fewest terms that explains the points, else the one that comes nearest.

    Args:
        points: at least one, each with another argument.
        resolution_ns: of the target's stamps.
    """
    noise_ms = [point.noise_ns(resolution_ns) / NS_PER_MS for point in points]
    best: tuple[Fraction, Curve] | None = None
    for count in range(MOST_TERMS + 1):
        for exponents in combinations(EXPONENTS, count):
            for candidate in _curves(points, noise_ms, exponents):
                off = _off(points, noise_ms, candidate)
                if best is None or off < best[0]:
                    best = (off, candidate)
        if best is not None and best[0] <= 1:
            break
    assert best is not None  # noqa: S101  # one point suffices for a constant
    return Curve(*_rounded(best[1]))


def _rounded(curve: Curve) -> tuple[Decimal, tuple[Term, ...]]:
    terms = tuple(Term(_DIGITS.plus(each.coefficient_ms), each.exponent) for each in curve.terms)
    return _DIGITS.plus(curve.constant_ms), terms


def _off(points: Sequence[Point], noise_ms: Sequence[Fraction], curve: Curve) -> Fraction:
    """Return the mean square of the residuals, in units of the noise."""
    residuals = (
        Fraction(point.measured_ns - curve.execution_ns(point.argument), NS_PER_MS) / noise
        for point, noise in zip(points, noise_ms, strict=True)
    )
    return Fraction(sum(residual * residual for residual in residuals), len(points))


def _curves(points: Sequence[Point], noise_ms: Sequence[Fraction], exponents: Sequence[Decimal]) -> Iterator[Curve]:
    """Yield the curves with these exponents, with a constant and without; none that has a negative coefficient."""
    powers = [[_power(point.argument, exponent) for exponent in exponents] for point in points]
    for constant in (True, False):
        rows = [[Fraction(1)] * constant + row for row in powers]
        unknowns = constant + len(exponents)
        if not unknowns or unknowns > max(1, len(points) - 1):
            continue
        found = _least_squares(rows, [Fraction(point.measured_ns, NS_PER_MS) for point in points], noise_ms)
        if found is None or min(found) < 0:
            continue
        values = [_CONTEXT.divide(Decimal(each.numerator), Decimal(each.denominator)) for each in found]
        terms = [Term(*each) for each in zip(values[constant:], exponents, strict=True)]
        yield Curve(values[0] if constant else Decimal(0), tuple(each for each in terms if each.coefficient_ms))


def _power(argument: int, exponent: Decimal) -> Fraction:
    return Fraction(_ROOTS.power(Decimal(argument), exponent)) if argument else Fraction(0)


def _least_squares(
    rows: Sequence[Sequence[Fraction]], values: Sequence[Fraction], noise: Sequence[Fraction]
) -> list[Fraction] | None:
    """Solve the normal equations; None: they are singular."""
    weights = [1 / (each * each) for each in noise]
    size = len(rows[0])
    matrix = [
        [
            *(
                sum((w * row[i] * row[j] for w, row in zip(weights, rows, strict=True)), Fraction(0))
                for j in range(size)
            ),
            sum((w * row[i] * value for w, row, value in zip(weights, rows, values, strict=True)), Fraction(0)),
        ]
        for i in range(size)
    ]
    for column in range(size):
        pivot = next((row for row in range(column, size) if matrix[row][column]), None)
        if pivot is None:
            return None
        matrix[column], matrix[pivot] = matrix[pivot], matrix[column]
        lead = matrix[column][column]
        matrix[column] = [each / lead for each in matrix[column]]
        for other in range(size):
            if other != column and (factor := matrix[other][column]):
                matrix[other] = [a - factor * b for a, b in zip(matrix[other], matrix[column], strict=True)]
    return [row[-1] for row in matrix]
