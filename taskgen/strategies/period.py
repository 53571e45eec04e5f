"""Periods: single ones, harmonic chains, and the menu from which a task-set takes its own within a hyperperiod."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from hypothesis import strategies as st

from taskgen.strategies.draws import MOST, check_order, check_whole, draw_whole, wrong

#: Periods of engine control units in ms (Kramer, Ziegenbein & Hamann, WATERS 2015, table III); hyperperiod 1000 ms.
AUTOMOTIVE_PERIODS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 1000)


class Menu:
    """The periods that there are, in order, and which of them go together.

    `max_hyperperiod` bounds their least common multiple (None: nothing does); `harmonic`: of any two, one divides the
    other. A period that was drawn may always be drawn again.
    """

    def __init__(self, values: Sequence[int], *, max_hyperperiod: int | None = None, harmonic: bool = False) -> None:
        self.values = values
        self.harmonic = harmonic
        self._bound = max_hyperperiod
        self._free = not harmonic and max_hyperperiod is None
        self._allowed = lru_cache(1024)(self._find_allowed)

    @property
    def longest(self) -> int:
        """The longest period that is on offer."""
        return self.allowed(())[-1]

    def draw(self, draw: st.DrawFn, drawn: Sequence[int], least: int) -> int:
        """Draw a period of at least `least` that goes with those already drawn; shrinks towards the shortest.

        The nearest one to a number from the whole menu: so it stays the same while others shrink.
        """
        allowed = self.allowed(drawn)
        wish = self.values[draw_whole(draw, 0, len(self.values) - 1)]
        place = bisect_left(allowed, wish)
        if place and (place == len(allowed) or wish - allowed[place - 1] <= allowed[place] - wish):
            place -= 1
        return max(allowed[place], allowed[bisect_left(allowed, least)]) if allowed[place] < least else allowed[place]

    def allowed(self, drawn: Iterable[int]) -> Sequence[int]:
        """Return the periods that go with those already drawn, in order."""
        if self._free:
            return self.values
        return self._allowed(frozenset(drawn) if self.harmonic else math.lcm(*drawn))

    def _find_allowed(self, drawn: "frozenset[int] | int") -> Sequence[int]:
        values: Iterable[int] = self.values
        if isinstance(drawn, frozenset):
            values = [one for one in values if all(one % other == 0 or other % one == 0 for other in drawn)]
            drawn = math.lcm(*drawn)
        if self._bound is None:
            return list(values)
        return [one for one in values if math.lcm(drawn, one) <= self._bound]


def menu(
    strategy: str,
    *,
    choices: Sequence[int] | None,
    min_period: int,
    max_period: int,
    max_hyperperiod: float | None = math.inf,
    harmonic: bool = False,
) -> Menu:
    """Return the menu that these bounds describe; a hyperperiod of None is ten times the longest period.

    Raises:
        UsageError: a bound is no whole number > 0, they contradict each other, or no period is left.
    """
    check_whole(strategy, "min_period", min_period, 1)
    check_whole(strategy, "max_period", max_period, 1)
    check_order(strategy, ("min_period", min_period), ("max_period", max_period))
    values: Sequence[int] = range(min_period, max_period + 1)
    if choices is not None:
        values = choices
    if max_hyperperiod == math.inf:
        bound = None
    elif max_hyperperiod is None:
        bound = 10 * values[-1]
    else:
        check_whole(strategy, "max_hyperperiod", max_hyperperiod, values[0])
        bound = int(max_hyperperiod)
    if len(values) > MOST and (harmonic or bound is not None):
        hint = "count in a longer unit_ms, or give the periods as choices; max_hyperperiod=math.inf needs no search"
        raise wrong(strategy, "max_period", max_period, f"at most {MOST} different periods", hint)
    return Menu(values, max_hyperperiod=bound, harmonic=harmonic)


def choices_of(strategy: str, name: str, values: Iterable[int] | None) -> list[int] | None:
    """Return given periods in order, None if they aren't given.

    Raises:
        UsageError: they are none.
    """
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise wrong(strategy, name, values, "a list of periods")
    found = list(islice(values, MOST + 1))
    if not 1 <= len(found) <= MOST:
        raise wrong(strategy, name, found, f"1..{MOST} periods")
    for one in found:
        check_whole(strategy, name, one, 1)
    return sorted(set(found))


def periods(
    *, min_period: int = 1, max_period: int = 100, choices: Iterable[int] | None = None, unit_ms: int = 1
) -> st.SearchStrategy[int]:
    """Periods in ms: whole multiples of `unit_ms`.

    Args:
        min_period: the shortest, in units.
        max_period: the longest, in units.
        choices: instead of that range: these, in units, for instance `AUTOMOTIVE_PERIODS`.
        unit_ms: what is counted.

    Raises:
        UsageError: the bounds are none.

    Examples from this strategy shrink towards the shortest period.
    """
    check_whole("periods", "unit_ms", unit_ms, 1)
    chosen = choices_of("periods", "choices", choices)
    values = menu("periods", choices=chosen, min_period=min_period, max_period=max_period).values
    if isinstance(values, range):
        return st.integers(values[0], values[-1]).map(unit_ms.__mul__)
    return st.sampled_from([one * unit_ms for one in values])


def harmonic_periods(
    *, n: int = 5, min_n: int = 1, min_period: int = 1, max_period: int = 1000, unit_ms: int = 1
) -> st.SearchStrategy[tuple[int, ...]]:
    """Tuples of periods in ms, of which each divides the next: any two of them are harmonic.

    Args:
        n: how many at most.
        min_n: how many at least.
        min_period: the shortest, in units.
        max_period: the longest, in units.
        unit_ms: what is counted.

    Raises:
        UsageError: the bounds are none.

    Examples from this strategy shrink towards few periods, and those towards the shortest.
    """
    check_whole("harmonic_periods", "unit_ms", unit_ms, 1)
    check_whole("harmonic_periods", "n", n, 1)
    check_whole("harmonic_periods", "min_n", min_n, 1)
    check_order("harmonic_periods", ("min_n", min_n), ("n", n))
    chain = menu(
        "harmonic_periods", choices=None, min_period=min_period, max_period=max_period, harmonic=True
    )  # fmt: skip
    return _harmonic_periods(chain, min_n, n, unit_ms)


@st.composite
def _harmonic_periods(draw: st.DrawFn, chain: Menu, least: int, most: int, unit_ms: int) -> tuple[int, ...]:
    drawn: list[int] = []
    for _ in range(draw_whole(draw, least, most)):
        drawn.append(chain.draw(draw, drawn, 1))
    return tuple(one * unit_ms for one in sorted(drawn))
