"""Fair enumeration of tuples of positions in several sequences of unknown length.

Tuples come in order of growing sum, lexicographic within a sum; a tuple beyond the end of a sequence is skipped. So
each tuple has a finite index, and only as much is drawn as the tuples so far need (k = 2: Cantor's pairing function).
"""

import itertools
import math
from collections.abc import Iterator, Sequence

from taskgen.choice import Drawn


def diagonals(draws: Sequence[Drawn]) -> Iterator[tuple[int, ...]]:
    """Yield all tuples of positions, in order; ends when all sequences are exhausted and walked."""
    for total in itertools.count():
        level = _level(draws, total)
        first = next(level, None)
        if first is None:  # sums up to the largest possible one all occur
            return
        yield first
        yield from level


def _level(draws: Sequence[Drawn], total: int) -> Iterator[tuple[int, ...]]:
    if len(draws) == 1:
        if draws[0].has(total):
            yield (total,)
        return
    rest = draws[1:]
    # Where the others are exhausted they can't take up the whole sum: start where they can.
    reach = sum(draw.drawn - 1 for draw in rest) if all(draw.exhausted for draw in rest) else total
    for first in range(max(0, total - reach), total + 1):
        if not draws[0].has(first):
            return
        for others in _level(rest, total - first):
            yield (first, *others)


def position_at(draws: Sequence[Drawn], index: int) -> tuple[int, ...] | None:
    """Return the tuple with this index in the order of `diagonals`, None if there are fewer.

    O(number of diagonals up to it), without walking the tuples.
    """
    if len(draws) == 1:
        return (index,) if draws[0].has(index) else None
    for total in itertools.count():
        for draw in draws:
            draw.has(total)
        size = _level_size(draws, total)
        if not size:
            return None
        if index < size:
            return _unrank(draws, total, index)
        index -= size
    raise AssertionError("count() never ends")


def _level_size(draws: Sequence[Drawn], total: int) -> int:
    """Count the tuples with this sum: stars and bars, inclusion and exclusion over the exhausted sequences."""
    if not draws:
        return int(total == 0)
    ends = [draw.drawn for draw in draws if draw.exhausted and draw.drawn <= total]
    bars = len(draws) - 1
    size = 0
    for chosen in range(len(ends) + 1):
        for subset in itertools.combinations(ends, chosen):
            left = total - sum(subset)
            if left >= 0:
                size += (-1) ** chosen * math.comb(left + bars, bars)
    return size


def _unrank(draws: Sequence[Drawn], total: int, index: int) -> tuple[int, ...]:
    positions = []
    for number in range(len(draws)):
        rest = draws[number + 1 :]
        for position in range(total + 1):
            size = _level_size(rest, total - position)
            if index < size:
                positions.append(position)
                total -= position
                break
            index -= size
    return tuple(positions)
