"""Processor demand, exact and quick, against published examples and counting."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import analysis
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS
from tests.taskgen.analysed import ms


@pytest.mark.parametrize(
    ("tasks", "interval", "demand"),
    [
        (ms((1, 2), (2, 4, 2)), 2, 3),  # U = 1 and D < T: L_a doesn't exist
        (ms((3, 12), (2, 3), (2, 4)), 9, 10),  # schedcat, U = 1.42
        (ms((1, 2, 1), (1, 2, 1)), 1, 2),
        (ms((2, 10, 5, 5)), 0, 2),  # all of D is jitter
        (ms((3, 0, 2)), 2, 3),
        (ms((2, 2), (1, 0, 30)), 30, 31),  # U = 1 and a single job: far behind the hyperperiod
        (ms((3, 0, 3), (8, 100, 10)), 10, 11),  # the single job moves L_a
        (ms((5, 10, 4), (1, 10, 100)), 4, 5),  # a long deadline makes the sum in L_a negative
    ],
)
def test_an_overload_is_a_certificate(tasks: tuple[Parameters, ...], interval: int, demand: int) -> None:
    assert analysis.first_overload(tasks) == (interval * NS_PER_MS, demand * NS_PER_MS)
    found = analysis.qpa(tasks)
    assert found is not None
    assert found.demand_ns == analysis.demand_ns(tasks, found.interval_ns) > found.interval_ns


@pytest.mark.parametrize(
    "tasks",
    [
        ms((3, 6), (2, 4, 3)),  # U = 1
        ms((2, 5, 4), (3, 6, 5)),  # schedcat, Guan & Yi 6
        ms((2, 4), (2, 9), (3, 12)),
        ms((3, 3)),
        ms((5, 0)),  # nothing is ever due
        ms((1, 0, 1), (1, 4, 2)),
    ],
)
def test_no_overload(tasks: tuple[Parameters, ...]) -> None:
    assert analysis.first_overload(tasks) is None
    assert analysis.qpa(tasks) is None


def test_the_demand_by_hand() -> None:
    """h(t) of (1, 4, 2): deadlines at 2, 6, 10."""
    (task,) = ms((1, 4, 2))
    demand = [analysis.demand_ns([task], t * NS_PER_MS) // NS_PER_MS for t in range(12)]
    assert demand == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]


demand_tasks = st.lists(
    st.tuples(
        st.integers(1, 4), st.sampled_from([0, 2, 3, 4, 6, 8, 12]), st.integers(1, 20), st.sampled_from([0, 0, 1, 3])
    ),
    min_size=1,
    max_size=5,
)


def brute_force(tasks: Sequence[tuple[int, int, int, int]], limit: int) -> int | None:
    """Return the first integer t with h(t) > t: jobs counted one by one."""
    for t in range(limit + 1):
        due = 0
        for c, period, d, j in tasks:
            at = max(0, d - j)
            while at <= t:
                due += c
                if not period:
                    break
                at += period
        if due > t:
            return t
    return None


@given(demand_tasks)
def test_both_tests_agree_with_counting(tasks: list[tuple[int, int, int, int]]) -> None:
    """Zhang & Burns 2009 and Baruah et al. 1990 against every t up to where it must show: max D + 2 x 24 (or sum C)."""
    ours = ms(*tasks)
    load = analysis.utilization(ours)
    # h(t) >= U t - sum U D, so an overload by U > 1 shows by sum U D / (U - 1), and U - 1 is at least 1/24 here.
    limit = 24 * 5 * 4 * 21 if load > 1 else 20 + 48 + sum(c for c, *_ in tasks) * 24
    first = analysis.first_overload(ours)
    known = brute_force(tasks, limit)
    assert (None if first is None else first.interval_ns) == (None if known is None else known * NS_PER_MS)
    found = analysis.qpa(ours)
    assert (found is None) == (known is None)
    if found is not None:
        assert found.demand_ns == analysis.demand_ns(ours, found.interval_ns) > found.interval_ns
    steps = [step.interval_ns for step in analysis.qpa_steps(ours)]
    assert all(later < earlier for earlier, later in pairwise(steps))
