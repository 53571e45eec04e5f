"""Fair enumeration: tuples of positions in order of growing sum, lexicographic within a sum."""

import itertools
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.choice import Drawn
from taskgen.diagonal import diagonals, position_at

law = settings(deadline=None)
lengths = st.lists(st.integers(1, 6), min_size=1, max_size=4)


def draws(sizes: list[int | None]) -> list[Drawn]:
    """Make sequences of these lengths, None for an endless one."""
    return [Drawn(itertools.count() if size is None else iter(range(size))) for size in sizes]


def in_order(tuples: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return sorted(tuples, key=lambda positions: (sum(positions), positions))


@law
@given(lengths)
def test_exhausted_sequences_give_each_tuple_once_in_the_order_of_the_definition(sizes: list[int]) -> None:
    expected = in_order(itertools.product(*map(range, sizes)))
    assert list(diagonals(draws([*sizes]))) == expected
    found = draws([*sizes])
    assert [position_at(found, index) for index in range(len(expected))] == expected
    assert position_at(found, len(expected)) is None


@law
@given(st.lists(st.none() | st.integers(1, 5), min_size=1, max_size=3).filter(lambda sizes: None in sizes))
def test_endless_sequences_reach_each_tuple_at_a_finite_index(sizes: list[int | None]) -> None:
    largest = 7  # all tuples with a sum up to this one come first
    ranges = [range(largest + 1 if size is None else size) for size in sizes]
    expected = in_order(t for t in itertools.product(*ranges) if sum(t) <= largest)
    assert list(itertools.islice(diagonals(draws(sizes)), len(expected))) == expected
    found = draws(sizes)
    assert [position_at(found, index) for index in range(len(expected))] == expected


def test_two_endless_sequences_follow_cantor() -> None:
    first = [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (2, 0), (0, 3)]
    assert list(itertools.islice(diagonals(draws([None, None])), 7)) == first


def test_a_far_index_is_found_without_walking_the_tuples() -> None:
    # The diagonal with sum s of three sequences begins at s (s + 1) (s + 2) / 6.
    start = 1000 * 1001 * 1002 // 6
    assert position_at(draws([None, None, None]), start) == (0, 0, 1000)
    assert position_at(draws([None, None, None]), start - 1) == (999, 0, 0)


def test_walking_draws_only_what_the_tuples_so_far_need() -> None:
    one, other = draws([None, None])
    walk = diagonals([one, other])
    drawn = []
    for _ in range(4):
        next(walk)
        drawn.append((one.drawn, other.drawn))
    assert drawn == [(1, 1), (1, 2), (2, 2), (2, 3)]


def test_an_empty_sequence_leaves_no_tuple() -> None:
    assert list(diagonals(draws([0, None]))) == []
    assert position_at(draws([None, 0]), 0) is None
