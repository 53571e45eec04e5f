"""Exact time: milliseconds outside, integer nanoseconds inside.

Task attributes, command line and documents speak milliseconds; everything that computes uses integer nanoseconds.
No float arithmetic ever touches the clock: a float stands for its shortest decimal.
"""

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact
from fractions import Fraction
from typing import TypeAlias

from taskgen.errors import InputError

#: A time in milliseconds, as users give it.
Milliseconds: TypeAlias = int | float | Fraction | Decimal

NS_PER_MS = 1_000_000
MAX_NS = 1 << 62

# Enough digits for the exact product of any double's shortest decimal with 10**6: nothing is rounded twice.
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_EVEN)
_EXACT = Context(prec=400, traps=[Inexact])


def to_ns(value: object, field: str) -> int:
    """Convert a time in milliseconds to integer nanoseconds, exactly.

    An int, Fraction or Decimal must be a whole number of nanoseconds. A float means its shortest decimal
    (`Decimal(repr(x))`), rounded half-even to the nanosecond.

    Raises:
        InputError: not a number, NaN, infinite, negative, no whole nanosecond, or beyond 2^62 ns; names `field`.
    """
    ns = _exact_ns(value, field)
    if ns < 0 or (not ns and isinstance(value, float) and value < 0):  # a tiny float rounds to 0
        raise InputError(f"{field}: {short(value)} is negative, expected milliseconds >= 0")
    if ns > MAX_NS:
        raise InputError(f"{field}: {short(value)} ms is too long, expected at most 2^62 ns (about 146 years)")
    return ns


def _exact_ns(value: object, field: str) -> int:
    if type(value) is int:
        return value * NS_PER_MS
    if isinstance(value, bool):
        pass
    elif isinstance(value, float):
        if math.isfinite(value):
            # float's own repr: subclasses (numpy.float64) have another one.
            exact = _ROUNDING.multiply(Decimal(float.__repr__(value)), Decimal(NS_PER_MS))
            return int(_ROUNDING.to_integral_value(exact))
    elif isinstance(value, int):
        return int(value) * NS_PER_MS
    elif isinstance(value, Decimal | Fraction):
        return _whole_ns(value, field)
    raise InputError(f"{field}: {short(value)} is not a finite number of milliseconds")


def _whole_ns(value: Decimal | Fraction, field: str) -> int:
    exact = _exact_decimal(value, field) if isinstance(value, Decimal) else value * NS_PER_MS
    if exact is not None:
        numerator, denominator = exact.as_integer_ratio()
        if denominator == 1:
            return numerator
    raise InputError(
        f"{field}: {short(value)} ms is no whole number of nanoseconds",
        hint="give a float to have it rounded, or a multiple of 1/1000000 ms",
    )


def _exact_decimal(value: Decimal, field: str) -> Decimal | None:
    """Return the nanoseconds, None if they have too many digits to be whole."""
    if not value.is_finite():
        raise InputError(f"{field}: {value} is not a finite number of milliseconds")
    # An exponent far beyond 2^62 ns would make an integer of millions of digits.
    if not value:
        return Decimal(0)
    if value.adjusted() > 40:
        raise InputError(f"{field}: {short(value)} ms is out of range, expected at most 2^62 ns")
    try:
        return _EXACT.multiply(value, Decimal(NS_PER_MS)) if value.adjusted() > -10 else None
    except Inexact:
        return None


def short(value: object) -> str:
    """Return a value as text for a message: at most 60 characters, also where str() refuses a huge number."""
    try:
        text = str(value) if isinstance(value, int | float | Decimal | Fraction) else repr(value)
    except ValueError:
        return "a number of more than 4300 digits"
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
