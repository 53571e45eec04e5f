"""`is_schedulable` ends early, in bounded time where that is asked for, and never says more than the bounds do."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import analysis
from taskgen.parameters import Parameters, parameters_of
from taskgen.units import NS_PER_MS


def ms(*tasks: tuple[float | Fraction, ...]) -> tuple[Parameters, ...]:
    """Return tasks (C, T, D, J) in ms, in the order of their priority; missing or 0: D = T, J = 0."""
    names = ("executiontime", "period", "deadline", "jitter")
    return parameters_of(
        {"priority": place, **dict(zip(names, task, strict=False))} for place, task in enumerate(tasks)
    )


drawn = st.lists(
    st.tuples(st.integers(1, 9), st.integers(0, 20), st.integers(0, 60), st.integers(0, 12)).map(
        lambda task: task if task[1] else (*task[:3], 0)
    ),
    min_size=1,
    max_size=5,
)
blockings = st.dictionaries(st.integers(0, 4), st.integers(1, 5_000_000))


@given(drawn, blockings)
@settings(deadline=None)
def test_schedulable_means_that_each_bound_is_within_its_deadline(
    tasks: list[tuple[int, ...]], blocking_ns: dict[int, int]
) -> None:
    """U = 1 with jitter and blocking, overload and single jobs included."""
    parameters = ms(*tasks)
    bounds = analysis.response_times(parameters, blocking_ns=blocking_ns)
    within = [
        task.effective_deadline_ns is None or (bounds[task.id] or 2**63) <= task.effective_deadline_ns
        for task in parameters
    ]
    assert analysis.is_schedulable(parameters, blocking_ns=blocking_ns) is all(within)
    if analysis.is_schedulable(parameters, blocking_ns=blocking_ns, most_jobs=3):
        assert all(within)


def reference_ns(task: Parameters, interfering: list[Parameters]) -> int:
    """Compute the bound by the definition: the length of the busy period first, then each job in it."""

    def least(own_ns: int, tasks: list[Parameters]) -> int:
        length = own_ns
        while (
            more := own_ns
            + sum(-(-(length + each.jitter_ns) // each.period_ns) * (each.wcet_ns or 0) for each in tasks)
        ) != length:
            length = more
        return length

    length = least(1, [task, *interfering]) - 1  # an instant of its own begins the period
    jobs = -(-(length + task.jitter_ns) // task.period_ns)
    ends = [least((job + 1) * (task.wcet_ns or 0), interfering) for job in range(max(jobs, 1))]
    return max(end - job * task.period_ns + task.jitter_ns for job, end in enumerate(ends))


@given(drawn)
@settings(deadline=None)
def test_the_search_ends_with_the_busy_period(tasks: list[tuple[int, ...]]) -> None:
    """It looks at no length of a busy period, and finds the same."""
    parameters = [task for task in ms(*tasks) if task.period_ns]
    for place, task in enumerate(parameters):
        if sum(Fraction(each.wcet_ns or 0, each.period_ns) for each in parameters[: place + 1]) < 1:
            found = analysis.response_time_ns(task, parameters[:place])
            assert found == reference_ns(task, parameters[:place])


#: U = 1 with jitter: the busy period never ends, responses repeat after 30 and 20 jobs.
FULL = ms((1, 2, 9, 1), (1, 3, 30, 1), (1, 6, 60, 1))


@pytest.mark.parametrize(("most_jobs", "passes"), [(None, True), (10_000, True), (1, False)])
def test_who_looks_at_too_few_jobs_proves_nothing(most_jobs: int | None, passes: bool) -> None:
    assert analysis.is_schedulable(FULL, most_jobs=most_jobs) is passes


def test_a_hyperperiod_beyond_reach_is_refused_in_time() -> None:
    """U = 1 with jitter, periods without a common factor but 2 ns: 100 jobs are looked at, not 5 x 10^9."""
    halves_ns = (5_000_000_029, 5_000_000_039)
    assert math.gcd(*halves_ns) == 1
    halves = [Fraction(half_ns, NS_PER_MS) for half_ns in halves_ns]
    tasks = ms(*((half, 2 * half, 20 * half, 1) for half in halves))
    assert analysis.utilization(tasks) == 1
    assert not analysis.is_schedulable(tasks, most_jobs=100)


def test_a_late_task_is_found_before_its_busy_period_ends() -> None:
    """The second task is late at once; the end of its busy period is 10^12 jobs away."""
    tasks = ms((1, 2), (500_000, 1_000_000.000001, 2))
    assert not analysis.is_schedulable(tasks)
