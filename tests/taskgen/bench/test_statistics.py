"""Quantiles and Mann-Whitney's test, against known answers, brute force, and scipy where it is installed."""

import itertools
import math
import random
import statistics as standard
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskgen.bench import statistics
from taskgen.bench.statistics import enough, holm, least_p, mann_whitney, median, quantile, summary

#: Few values, so that most samples have ties.
TIED = st.integers(0, 4)
NUMBERS = st.floats(-1e18, 1e18, allow_nan=False)


def test_a_summary_of_known_samples() -> None:
    # Hyndman and Fan's definition 7 of 1..10, as R's quantile(1:10) says: 3.25, 5.5, 7.75.
    found = summary(range(10, 0, -1))
    assert found is not None
    assert (found.n, found.least, found.q1, found.median, found.q3, found.most) == (10, 1, 3.25, 5.5, 7.75, 10)
    assert found.iqr == 4.5
    assert found.p99 == pytest.approx(9.91)


def test_no_samples_have_no_summary() -> None:
    assert summary([]) is None
    for compute in (median, lambda samples: quantile(samples, 1, 2), lambda samples: mann_whitney(samples, [1.0])):
        with pytest.raises(ValueError, match="sample"):
            compute(())


@given(st.lists(NUMBERS, min_size=2, max_size=30), st.integers(1, 19))
def test_quantiles_are_those_of_the_standard_library(samples: list[float], twentieths: int) -> None:
    expected = standard.quantiles(samples, n=20, method="inclusive")[twentieths - 1]
    assert quantile(samples, twentieths, 20) == pytest.approx(expected, rel=1e-12, abs=1e-3)


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.integers(0, 100), st.integers(0, 100))
@example([0.1, 0.1, 0.1], 33, 34)
def test_quantiles_stay_among_the_samples_and_in_order(samples: list[float], low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert min(samples) <= quantile(samples, low, 100) <= quantile(samples, high, 100) <= max(samples)


def test_a_whole_rank_gives_the_sample_itself() -> None:
    assert quantile([10**17 + 1, 3, 2], 1, 1) == 10**17 + 1
    assert median([7]) == 7


def by_force(first: Sequence[float], second: Sequence[float]) -> float:
    """Deal the pooled samples out in all ways, and count those at least as far from the mean."""
    pooled = [*first, *second]

    def distance(chosen: set[int]) -> float:
        ours = [pooled[index] for index in chosen]
        theirs = [value for index, value in enumerate(pooled) if index not in chosen]
        u = sum((a > b) + (a == b) / 2 for a in ours for b in theirs)
        return abs(u - len(ours) * len(theirs) / 2)

    seen = distance(set(range(len(first))))
    ways = [distance(set(chosen)) for chosen in itertools.combinations(range(len(pooled)), len(first))]
    return sum(each >= seen for each in ways) / len(ways)


@given(st.lists(TIED, min_size=1, max_size=5), st.lists(TIED, min_size=1, max_size=5))
@example([0, 0, 0], [0, 0])
@example([1], [0, 2, 2, 2])
def test_p_counts_all_ways_to_deal_the_samples_out(first: list[int], second: list[int]) -> None:
    assert mann_whitney(first, second) == pytest.approx(by_force(first, second), rel=1e-12)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_p_depends_on_ranks_alone_and_on_no_side(first: list[int], second: list[int]) -> None:
    p = mann_whitney(first, second)
    assert 0 < p <= 1
    assert p == mann_whitney(second, first)
    assert p == mann_whitney([-value for value in first], [-value for value in second])
    assert p == mann_whitney([math.exp(value) for value in first], [math.exp(value) for value in second])


@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_samples_that_do_not_overlap_have_the_least_p(n: int) -> None:
    # 10 and 10: 2 of 184756 ways.
    assert mann_whitney(range(n), range(100, 100 + n)) == least_p(n, n) == 2 / math.comb(2 * n, n)


def test_constant_samples_differ_significantly_or_not_at_all() -> None:
    assert mann_whitney([5] * 10, [6] * 10) == 2 / 184756
    assert mann_whitney([5] * 10, [5] * 10) == 1


def test_published_p() -> None:
    # Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, example 4.1: U = 15 of 5 x 10, one-sided 0.1272.
    term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    early = [1.15, 0.88, 0.90, 0.74, 1.21]
    assert mann_whitney(term, early) == pytest.approx(2 * 0.1272, abs=1e-4)


def test_the_approximation_agrees_where_both_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    for shift in (0, 3, 6, 9):
        first = [rng.randrange(20) for _ in range(40)]
        second = [rng.randrange(20) + shift for _ in range(45)]
        monkeypatch.setattr(statistics, "EXACT_UP_TO", 40 * 45)
        exact = mann_whitney(first, second)
        monkeypatch.setattr(statistics, "EXACT_UP_TO", 40 * 45 - 1)
        approximate = mann_whitney(first, second)
        assert approximate != exact
        assert approximate == pytest.approx(exact, rel=0.1, abs=1e-4)


def test_many_samples_are_approximated() -> None:
    assert mann_whitney([1] * 500, [1] * 500) == 1
    assert mann_whitney(range(0, 1000, 2), range(1, 1001, 2)) > 0.9
    assert mann_whitney(range(500), range(500, 1000)) < 1e-100


def test_scipy_agrees() -> None:
    scipy = pytest.importorskip("scipy.stats", reason="scipy, which this compares with, isn't installed")
    rng = random.Random(5)
    for _ in range(50):
        first, second = ([rng.random() for _ in range(rng.randint(2, 12))] for _ in "ab")
        expected = scipy.mannwhitneyu(first, second, method="exact").pvalue
        assert mann_whitney(first, second) == pytest.approx(expected, rel=1e-9)
    tied = [[rng.randrange(30) for _ in range(60)] for _ in "ab"]
    expected = scipy.mannwhitneyu(*tied, method="asymptotic", use_continuity=True).pvalue
    assert mann_whitney(*tied) == pytest.approx(expected, rel=1e-9)


def test_holm_by_hand() -> None:
    # p ascending .005 .01 .03 .04 times 4 3 2 1, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.7]) == [0.8, 0.8]
    assert holm([0.6, 0.9]) == [1, 1]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(single <= both <= min(1.0, single * len(p)) for single, both in zip(p, adjusted, strict=True))
    order = sorted(range(len(p)), key=lambda index: p[index])
    assert [adjusted[index] for index in order] == sorted(adjusted)


@pytest.mark.parametrize(("tests", "needed"), [(1, 7), (3, 7), (4, 8), (100, 10)])
def test_how_many_samples_a_correction_asks_for(tests: int, needed: int) -> None:
    assert enough(tests, 0.002) == needed
    assert least_p(needed, needed) * tests < 0.002 <= least_p(needed - 1, needed - 1) * tests
