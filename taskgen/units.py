"""Exact time: milliseconds outside, integer nanoseconds inside.

Task attributes, command line and documents speak milliseconds; everything that computes uses integer nanoseconds.
No float arithmetic ever touches the clock: a float stands for its shortest decimal.
"""

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from taskgen.errors import InputError

NS_PER_MS = 1_000_000
MAX_NS = 1 << 62

# Enough digits for the exact product of any double's shortest decimal with 10**6: nothing is rounded twice.
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)


def to_ns(value: object, field: str) -> int:
    """Convert a time in milliseconds to integer nanoseconds, exactly.

    An int, Fraction or Decimal must be a whole number of nanoseconds. A float means its shortest decimal
    (`Decimal(repr(x))`), rounded half-even to the nanosecond.

    Raises:
        InputError: not a number, NaN, infinite, negative, no whole nanosecond, or beyond 2^62 ns; names `field`.
    """
    ns = _exact_ns(value, field)
    if ns < 0:
        raise InputError(f"{field}: {value} is negative, expected milliseconds >= 0")
    if ns > MAX_NS:
        raise InputError(f"{field}: {_short(value)} ms is too long, expected at most 2^62 ns (about 146 years)")
    return ns


def _exact_ns(value: object, field: str) -> int:
    if type(value) is int:
        return value * NS_PER_MS
    if isinstance(value, bool):
        pass
    elif isinstance(value, float):
        if math.isfinite(value):
            # Quantising alone would overflow the context for huge values; they are refused later anyway.
            exact = _EXACT.multiply(Decimal(repr(value)), Decimal(NS_PER_MS))
            return int(_EXACT.to_integral_value(exact))
    elif isinstance(value, int):
        return int(value) * NS_PER_MS
    elif isinstance(value, Decimal | Fraction):
        return _whole_ns(value, field)
    raise InputError(f"{field}: {_short(value)} is not a finite number of milliseconds")


def _whole_ns(value: Decimal | Fraction, field: str) -> int:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise InputError(f"{field}: {value} is not a finite number of milliseconds")
        # An exponent far beyond 2^62 ns would make a Fraction of millions of digits.
        if value and not -40 <= value.adjusted() <= 40:
            expected = "at most 2^62 ns" if value.adjusted() > 0 else "a whole number of nanoseconds"
            raise InputError(f"{field}: {_short(value)} ms is out of range, expected {expected}")
    exact = Fraction(value) * NS_PER_MS
    if exact.denominator != 1:
        raise InputError(
            f"{field}: {_short(value)} ms is no whole number of nanoseconds",
            hint="give a float to have it rounded, or a multiple of 1/1000000 ms",
        )
    return exact.numerator


def _short(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of {value.bit_length()} bits"  # str() refuses more than 4300 digits
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def format_ms(ns: int) -> str:
    """Format integer nanoseconds as milliseconds with one to six decimals: 3.0, 0.333333, -1.5."""
    sign = "-" if ns < 0 else ""
    whole, rest = divmod(abs(ns), NS_PER_MS)
    if not rest:
        return f"{sign}{whole}.0"
    return f"{sign}{whole}.{f'{rest:06d}'.rstrip('0')}"


def ms_from_ns(ns: int) -> int | Decimal:
    """Return integer nanoseconds as the exact number of milliseconds: an int if whole, else a Decimal."""
    whole, rest = divmod(ns, NS_PER_MS)
    return Decimal(format_ms(ns)) if rest else whole
