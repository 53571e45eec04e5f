"""How long a set is run when nobody says."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.horizon import DEFAULT_RUN_NS, EXACT_BOUNDS, Horizon, choose_horizon, hyperperiod_ns, is_exact
from taskgen.parameters import Parameters, parameters_of
from taskgen.units import MAX_NS

MS = 1_000_000
law = settings(deadline=None)


def tasks(*descriptions: dict[str, Any]) -> tuple[Parameters, ...]:
    return parameters_of({"executiontime": 1, **description} for description in descriptions)


def test_a_requested_horizon_wins() -> None:
    assert choose_horizon(tasks({"period": 10}), 5, 3) == Horizon(5, "requested")


def test_endless_tasks_run_for_two_hyperperiods_after_the_last_offset() -> None:
    found = choose_horizon(tasks({"period": 4, "offset": 3}, {"period": 6}))
    assert found == Horizon((3 + 2 * 12) * MS, "max offset + 2 hyperperiods")
    assert found.bound in EXACT_BOUNDS


@law
@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(0, 30))
def test_the_hyperperiod_is_the_least_common_multiple_of_the_periods(periods: list[int], offset: int) -> None:
    found = tasks(*({"period": period} for period in periods), {"offset": offset})
    assert hyperperiod_ns(found) == math.lcm(*periods) * MS
    assert choose_horizon(found).time_ns == min(offset + 2 * math.lcm(*periods), 10_000 * min(periods)) * MS


def test_a_long_hyperperiod_is_cut_where_some_task_would_release_its_10001st_job() -> None:
    found = choose_horizon(tasks({"period": 9973, "offset": 5}, {"period": 9967}, {"period": 9949}))
    assert found == Horizon(9949 * 10_000 * MS, "release of a task's job 10001")
    assert found.bound not in EXACT_BOUNDS
    limited = tasks({"period": 1, "numberofjobs": 20_000}, {"period": 9973}, {"period": 9967})
    assert choose_horizon(limited).time_ns == 10_000 * MS
    assert choose_horizon(tasks({"period": 1, "numberofjobs": 9}, {"period": 9973})).time_ns == 2 * 9973 * MS


def test_boards_have_a_longest_run_of_their_own() -> None:
    assert choose_horizon(tasks({"period": 4}), None, 7 * MS) == Horizon(7 * MS, "target's max_run_ms")
    assert choose_horizon(tasks({"period": 4}), None, 8 * MS).bound == "max offset + 2 hyperperiods"
    assert choose_horizon(tasks({"period": 4, "numberofjobs": 2}), None, 7 * MS).time_ns == 7 * MS


@pytest.mark.parametrize(
    ("description", "last_release", "longest"),
    [
        ({"period": 10, "numberofjobs": 3, "offset": 5}, 25, 10),
        ({"period": 10, "numberofjobs": 3, "deadline": 40, "jitter": 2}, 22, 40),
        ({"deadline": 7, "offset": 1}, 1, 7),
        ({"arrivals": [0, 50], "period": 20}, 50, 20),
    ],
)
def test_limited_tasks_run_to_their_end_within_10000_periods(
    description: dict[str, Any], last_release: int, longest: int
) -> None:
    found = choose_horizon(tasks(description))
    assert found == Horizon((last_release + 10_000 * longest) * MS, "end of the last job")


def test_single_jobs_without_any_scale_get_a_minute() -> None:
    assert choose_horizon(tasks({"offset": 5})).time_ns == 5 * MS + DEFAULT_RUN_NS


def test_the_clock_is_a_bound_that_is_never_exact() -> None:
    century = 365 * 100 * 86_400_000
    found = choose_horizon(tasks({"period": century}))
    assert found.time_ns == MAX_NS
    assert found.bound not in EXACT_BOUNDS


@pytest.mark.parametrize(
    ("descriptions", "exact"),
    [
        ([{"period": 2}, {"period": 2}], True),  # U = 1
        ([{"period": 2}, {"period": 3}, {"period": 6}], True),  # U = 1 exactly: 1/2 + 1/3 + 1/6
        ([{"period": 2}, {"period": 3}, {"period": 5}], False),  # U > 1
        ([{"period": 4, "deadline": 4}], True),
        ([{"period": 4, "deadline": 5}], False),
        ([{"period": 4, "jitter": 1}], False),
        ([{"period": 4, "executiontime": 99_999_999}], False),
        ([{"period": 4, "arrivals": [0, 5]}], False),
        ([{"deadline": 5}, {"deadline": 6}], True),  # single jobs alone: all of them are seen
        ([{"period": 4}, {"executiontime": 100, "deadline": 150}], False),  # may end after two hyperperiods
    ],
)
def test_a_bound_is_exact_only_where_theory_says_so(descriptions: list[dict[str, Any]], exact: bool) -> None:
    assert is_exact(tasks(*descriptions)) is exact
    assert not is_exact(tasks(*descriptions), cores=2)
