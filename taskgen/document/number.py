"""Numbers as text and back, exactly: no number of a document passes through binary floating point."""

from decimal import Decimal
from fractions import Fraction
from typing import TypeAlias

from taskgen.document.limits import MAX_DIGITS
from taskgen.errors import InputError
from taskgen.units import ms_from_ns, to_ns

_TOO_LARGE = 10**MAX_DIGITS

Number: TypeAlias = int | float | Decimal | Fraction


def text_of(value: Number, field: str) -> str:
    """Return a number as exact JSON text; a float as its shortest decimal.

    Raises:
        InputError: NaN, infinite, a fraction without a finite decimal, or beyond 4300 digits; names `field`.
    """
    if isinstance(value, Fraction):
        value = decimal_of(value, field)
    if isinstance(value, float):
        if value - value != 0:
            raise InputError(f"{field}: {value} is no finite number")
        return float.__repr__(value)  # a subclass may show itself in another way
    if isinstance(value, Decimal):
        return _decimal_text(value, field)
    if abs(value) >= _TOO_LARGE:
        raise too_long(field)
    return int.__repr__(value)


def _decimal_text(value: Decimal, field: str) -> str:
    if not value.is_finite():
        raise InputError(f"{field}: {value} is no finite number")
    _, digits, exponent = value.as_tuple()
    if len(digits) > MAX_DIGITS:
        raise too_long(field)
    # Far exponents stay exponents: written out they would be pages of zeros.
    return format(value, "f") if int(exponent) >= -60 and value.adjusted() <= 60 else str(value)


def too_long(field: str) -> InputError:
    """Return the error for a number of more than 4300 digits."""
    return InputError(f"{field}: the number is too long, expected at most {MAX_DIGITS} digits")


def decimal_of(value: Fraction, field: str) -> int | Decimal:
    """Return a fraction as int or Decimal, exactly.

    Raises:
        InputError: it has no finite decimal; names `field`.
    """
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    places = max(twos, fives)
    if rest != 1 or places > MAX_DIGITS:
        raise InputError(f"{field}: {value!s:.60} has no finite decimal", hint="round it to the nanosecond")
    if not places:
        return value.numerator
    if value.numerator.bit_length() > MAX_DIGITS:
        raise too_long(field)
    digits = abs(value.numerator) * 10**places // value.denominator
    return Decimal((int(value < 0), tuple(map(int, str(digits))), -places))


def time_of(value: Number, field: str) -> Number:
    """Return a time in ms as it is, a float as the exact number of milliseconds that it stands for (whole ns)."""
    return ms_from_ns(to_ns(value, field)) if isinstance(value, float) else value
