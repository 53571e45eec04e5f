"""Utilisation bounds and response-time analysis against published numbers and other tools."""

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from response_time_analysis import fp
from response_time_analysis.model import (
    WCET,
    Deadline,
    FullyNonPreemptive,
    FullyPreemptive,
    IdealProcessor,
    PeriodicWithJitter,
    Priority,
    Task,
    taskset,
)

from taskgen import analysis
from taskgen.errors import InputError
from taskgen.parameters import Parameters, parameters_of
from taskgen.units import NS_PER_MS
from tests.taskgen.analysed import in_ms, ms

# -- utilisation


def test_utilization_is_exact() -> None:
    assert analysis.utilization(ms((0.1, 0.3), (0.1, 0.3), (0.1, 0.3))) == 1
    assert analysis.utilization(ms((1, 4), (1, 5), (3, 9), (3, 18))) == Fraction(19, 20)
    assert analysis.utilization(ms((5, 0))) == 0  # a single job has no rate


def test_an_unknown_execution_time_is_named() -> None:
    with pytest.raises(InputError, match="task 0: executiontime: unknown"):
        analysis.utilization(parameters_of([{"period": 5}]))


def test_the_liu_layland_bound_falls_to_ln_2() -> None:
    """Liu & Layland 1973: 1, 0.828, 0.780, 0.757, ..."""
    bounds = [analysis.liu_layland_bound(number) for number in range(1, 6)]
    assert bounds == pytest.approx([1, 0.828427, 0.779763, 0.756828, 0.743492], abs=1e-6)
    assert analysis.liu_layland_bound(10**9) == pytest.approx(math.log(2))
    with pytest.raises(InputError, match="0 tasks have no bound"):
        analysis.liu_layland_bound(0)


def test_the_hyperbolic_bound_accepts_what_liu_and_layland_refuse() -> None:
    """Bini, Buttazzo & Buttazzo 2003: (1, 2) (1, 3) has U = 0.833 > 0.828 and a product of exactly 2."""
    tasks = ms((1, 2), (1, 3))
    assert not analysis.liu_layland_holds(tasks)
    assert analysis.hyperbolic_bound_holds(tasks)
    assert not analysis.hyperbolic_bound_holds(ms((1.000001, 2), (1, 3)))


def test_sha_and_goodenough_pass_the_bound() -> None:
    """Sha & Goodenough 1990: 0.753 < 0.779."""
    assert analysis.liu_layland_holds(ms((20, 100), (40, 150), (100, 350)))
    assert not analysis.liu_layland_holds(ms((40, 100), (40, 150), (100, 350)))  # Lehoczky, Sha & Ding 1989: 0.953


@pytest.mark.parametrize("tasks", [ms((1, 4, 3)), ms((1, 4, 4, 1)), ms((1, 0)), ()])
def test_bounds_say_nothing_outside_their_model(tasks: tuple[Parameters, ...]) -> None:
    assert not analysis.liu_layland_holds(tasks)
    assert not analysis.hyperbolic_bound_holds(tasks)
    assert not analysis.edf_bound_holds(tasks)


def test_edf_uses_the_whole_core() -> None:
    """Liu & Layland 1973, theorem 7; D > T changes nothing."""
    assert analysis.edf_bound_holds(ms((1, 2), (1, 3), (1, 6, 9)))
    assert not analysis.edf_bound_holds(ms((1, 2), (1, 3), (1.000001, 6)))


shares = st.lists(st.tuples(st.integers(1, 10), st.integers(10, 40)), min_size=1, max_size=6)


@given(shares)
def test_each_test_accepts_what_the_weaker_one_accepts(tasks: list[tuple[int, int]]) -> None:
    """Liu & Layland's bound implies the hyperbolic one, that one rate-monotonic schedulability, that one U <= 1."""
    ordered = ms(*sorted(tasks, key=lambda task: task[1]))
    verdicts = [
        analysis.liu_layland_holds(ordered),
        analysis.hyperbolic_bound_holds(ordered),
        analysis.is_schedulable(ordered),
        analysis.edf_bound_holds(ordered),
    ]
    assert verdicts == sorted(verdicts)
    assert analysis.edf_bound_holds(ordered) == (analysis.first_overload(ordered) is None)


# -- response times


@pytest.mark.parametrize(
    ("tasks", "known"),
    [
        # schedcat, tests of uniprocessor RTA; the last task ends exactly at its deadline.
        ([(1, 4), (1, 5), (3, 9), (3, 18)], [1, 2, 7, 18]),
        # Burns & Wellings, process sets A and B; C has U = 1.
        ([(10, 30), (10, 40), (12, 50)], [10, 20, 52]),
        ([(4, 16), (5, 40), (32, 80)], [4, 9, 58]),
        ([(5, 20), (10, 40), (40, 80)], [5, 15, 80]),
        # Lehoczky 1990: the fifth job is the worst; then both orders of example 2.
        ([(26, 70), (62, 100, 118)], [26, 118]),
        ([(52, 100, 110), (52, 140, 154)], [52, 156]),
        ([(52, 140, 154), (52, 100, 110)], [52, 108]),
        # Above U = 1 only the tasks below lack a bound.
        ([(1, 5), (2, 2)], [1, None]),
        ([(2, 2), (1, 100)], [2, None]),
        # A single job delays others once, and itself waits for all.
        ([(3, 0), (1, 4)], [3, 4]),
        ([(1, 4), (6, 0)], [1, 8]),
    ],
)
def test_published_response_times(tasks: list[tuple[float, ...]], known: list[float | None]) -> None:
    assert in_ms(analysis.response_times(ms(*tasks))) == known


def test_jitter_counts_from_the_arrival() -> None:
    """Tindell, Burns & Wellings 1994: the interfering task comes twice; one's own jitter is part of the response."""
    assert in_ms(analysis.response_times(ms((2, 10, 10, 9), (3, 20)))) == [11, 7]
    assert in_ms(analysis.response_times(ms((2, 10, 3, 5)))) == [7]
    assert not analysis.is_schedulable(ms((2, 10, 3, 5)))


def test_blocking() -> None:
    """schedcat, blocking-legacy: B = 1, 5, 0."""
    tasks = ms((1, 2), (5, 20), (1, 20))
    blocking = {0: NS_PER_MS, 1: 5 * NS_PER_MS}
    assert in_ms(analysis.response_times(tasks, blocking_ns=blocking)) == [2, 20, 12]


def test_full_load_with_blocking_still_has_a_bound() -> None:
    """At U = 1 the busy period never ends once it is delayed, but the responses repeat with the hyperperiod."""
    (task,) = ms((10, 10))
    assert analysis.busy_period_ns([task], blocking_ns=1) is None
    assert analysis.response_times([task], blocking_ns={0: NS_PER_MS}) == {0: 11 * NS_PER_MS}
    # The first job responds within 12 only; simulated with an urgent single job of 1 ms in place of B.
    tasks = ms((3, 6), (1, 8), (3, 8))
    assert in_ms(analysis.response_times(tasks, blocking_ns={2: NS_PER_MS}))[2] == 14
    assert in_ms(analysis.response_times(ms((1, 2, 2, 1), (2, 4)))) == [2, 5]  # jitter: 1-2 2-3 4-5 ..., ends at 5


def test_equal_ranks_delay_each_other() -> None:
    tasks = parameters_of(
        {"executiontime": c, "period": t, "priority": p} for c, t, p in [(1, 5, 1), (2, 10, 2), (3, 10, 2)]
    )
    assert in_ms(analysis.response_times(tasks)) == [1, 7, 7]


def test_ranks_by_id_replace_priorities() -> None:
    tasks = parameters_of([{"id": 4, "executiontime": 4, "period": 10}, {"id": 9, "executiontime": 2, "period": 5}])
    assert analysis.response_times(tasks, ranks={4: 1, 9: 0}) == {4: 8 * NS_PER_MS, 9: 2 * NS_PER_MS}
    with pytest.raises(InputError, match="task 4: has no priority"):
        analysis.response_times(tasks)


def test_a_job_without_deadline_is_always_in_time() -> None:
    assert analysis.is_schedulable(ms((2, 2), (3, 0)))
    assert not analysis.is_schedulable(ms((2, 2), (3, 0, 100)))


def test_nonpreemptive_response_times() -> None:
    """response-time-analysis-rs, continuous time: 55, 75, 75. Davis et al. 2007: the second job is the worst."""
    assert in_ms(analysis.nonpreemptive_response_times(ms((20, 70), (20, 80), (35, 200)))) == [55, 75, 75]
    # CAN revisited, table 1: C = 1 ms, T = 2.5, 3.5, 3.5; message C ends 3.5 ms after its arrival in the second job.
    assert in_ms(analysis.nonpreemptive_response_times(ms((1, 2.5), (1, 3.5), (1, 3.5)))) == [2, 3, 3.5]


pyrta_tasks = st.lists(
    st.tuples(st.integers(1, 8), st.integers(4, 40), st.integers(1, 60), st.integers(0, 12)), min_size=1, max_size=5
)


def pyrta(tasks: list[tuple[int, int, int, int]], execution: Any) -> list[int | None]:
    """Return the bounds of pyRTA, from the release of a job, in whole time units."""
    theirs = taskset(
        Task(PeriodicWithJitter(t, j), execution(WCET(c)), Deadline(d), Priority(len(tasks) - place))
        for place, (c, t, d, j) in enumerate(tasks)
    )
    return [fp.rta(theirs, task, IdealProcessor(), horizon=20_000).response_time_bound for task in theirs]


@given(pyrta_tasks)
def test_pyrta_agrees(tasks: list[tuple[int, int, int, int]]) -> None:
    """Its bounds count from the release: equal without own jitter, otherwise ours is at most J later."""
    ours = in_ms(analysis.response_times(ms(*tasks)))
    for bound, theirs, (_, _, _, jitter) in zip(ours, pyrta(tasks, FullyPreemptive), tasks, strict=True):
        if bound is None or theirs is None:
            # At U = 1 with jitter its busy window never ends, and ours need not.
            assert theirs is None
        else:
            assert theirs <= bound <= theirs + jitter


@given(pyrta_tasks)
def test_pyrta_never_exceeds_the_dense_nonpreemptive_bound(tasks: list[tuple[int, int, int, int]]) -> None:
    """In whole units a less urgent job holds the core for C - 1 after a release; in dense time for C."""
    ours = in_ms(analysis.nonpreemptive_response_times(ms(*tasks)))
    for bound, theirs in zip(ours, pyrta(tasks, FullyNonPreemptive), strict=True):
        if bound is not None and theirs is not None:
            assert theirs <= bound
