"""What all strategies share: cached integers, and bounds that are checked before anything is drawn."""

import difflib
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from hypothesis import strategies as st

from taskgen.errors import UsageError
from taskgen.units import short

#: More choices than this are never looked at.
MOST: Final = 10_000
#: Whole numbers, shrinking towards the least. Made once per pair of bounds: that costs more than to draw from it.
whole = lru_cache(1 << 14)(st.integers)


def draw_whole(draw: st.DrawFn, least: int, most: int) -> int:
    """Draw from least..most; shrinks towards `least`. One number to choose from is no draw."""
    return draw(whole(least, most)) if least < most else least


def check_whole(strategy: str, name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse what is no whole number of least..most.

    Raises:
        UsageError: names strategy, bound, value and what was expected.
    """
    if type(value) is not int or value < least or (most is not None and value > most):
        raise wrong(strategy, name, value, f"a whole number {f'>= {least}' if most is None else f'{least}..{most}'}")


def check_order(strategy: str, least: tuple[str, int], most: tuple[str, int]) -> None:
    """Refuse two bounds the wrong way round, given by name and value.

    Raises:
        UsageError: names both.
    """
    if least[1] > most[1]:
        raise wrong(strategy, least[0], least[1], f"at most {most[0]}, {most[1]}")


def check_name(strategy: str, name: str, value: object, known: Sequence[str]) -> None:
    """Refuse a name that isn't one of those.

    Raises:
        UsageError: names what is known; the hint has the nearest one.
    """
    if value not in known:
        near = difflib.get_close_matches(str(value).casefold(), {each.casefold(): each for each in known}, n=1)
        named = [each for each in known if each.casefold() in near]
        raise wrong(strategy, name, value, ", ".join(known), hint=f"did you mean {named[0]}?" if named else "")


def names(strategy: str, name: str, values: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return several names as a tuple.

    Raises:
        UsageError: one isn't known, or there is none.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise wrong(strategy, name, values, "a list of names")
    found = tuple(islice(values, MOST))
    for value in found:
        check_name(strategy, name, value, known)
    if not found:
        raise wrong(strategy, name, found, "at least one name")
    return found


def exact(strategy: str, name: str, value: Any) -> Fraction:
    """Return a positive number exactly; a float stands for its shortest decimal.

    Raises:
        UsageError: it is none.
    """
    is_number = isinstance(value, int | Fraction | Decimal | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise wrong(strategy, name, value, "a number > 0")
    return Fraction(repr(float(value))) if isinstance(value, float) else Fraction(value)


def wrong(strategy: str, name: str, value: object, expected: str, hint: str = "") -> UsageError:
    """Return the error for a bound."""
    return UsageError(f"{strategy}: {name}: {short(value)}, expected {expected}", hint=hint)
