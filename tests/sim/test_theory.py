"""The simulator judged by theory: one core, random sets, and oracles that share no code with it.

Fixed priorities against pyRTA (PyPI `response-time-analysis`); EDF against the demand of each interval, counted job by
job. Times are whole milliseconds, periods divide 120 so that hyperperiods stay short.
"""

from collections.abc import Sequence
from math import lcm
from typing import Any, NamedTuple

from hypothesis import assume, given
from hypothesis import strategies as st
from response_time_analysis import fp
from response_time_analysis.model import (
    WCET,
    Deadline,
    FullyPreemptive,
    IdealProcessor,
    Periodic,
    PeriodicWithJitter,
    Priority,
    Task,
    taskset,
)

from sim import Job, Policy, simulate
from taskgen import TaskSet, Trace, analysis
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

#: Each job executes a random share of C.
ANYTHING = {"kind": "share", "low": 0, "high": 1}
PERIODS = [2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 30]


class T(NamedTuple):
    """A periodic task in ms; its place in a list is its id and its priority."""

    wcet: int
    period: int
    deadline: int
    offset: int = 0
    jitter: int = 0


@st.composite
def sets(
    draw: st.DrawFn, *, deadlines: str = "any", offsets: bool = False, jitter: bool = False, overload: bool = False
) -> list[T]:
    """Draw 1 to 5 tasks, mostly with U <= 1; they shrink towards few, short and rare jobs, D = T, no offset."""
    tasks: list[T] = []
    left = 1.25 if overload else 1.0
    for period in draw(st.lists(st.sampled_from(PERIODS), min_size=1, max_size=5)):
        most = min(period, int(left * period + 1e-9))
        if not most:
            continue
        wcet = draw(st.integers(1, most))
        left -= wcet / period
        least, longest = {"constrained": (wcet, period), "late": (period, 3 * period), "any": (wcet, 3 * period)}[
            deadlines
        ]
        deadline = draw(st.one_of(st.just(period), st.integers(min(least, longest), longest)))
        tasks.append(
            T(
                wcet,
                period,
                deadline,
                draw(st.integers(0, 30)) if offsets else 0,
                draw(st.integers(0, period)) if jitter else 0,
            )
        )
    assume(tasks)
    return tasks


def describe(tasks: Sequence[T], **changes: int) -> TaskSet:
    return TaskSet(
        {
            "executiontime": task.wcet,
            "period": task.period,
            "deadline": task.deadline,
            "offset": task.offset,
            "jitter": task.jitter,
            "priority": place,
        }
        | changes
        for place, task in enumerate(tasks)
    )


def demand(tasks: Sequence[T], interval: int) -> int:
    """Return the work due in an interval of this length, each job counted."""
    return sum(task.wcet for task in tasks for _ in range(task.deadline, interval + 1, task.period))


def load_fits(tasks: Sequence[T]) -> bool:
    hyperperiod = lcm(*(task.period for task in tasks))
    return sum(task.wcet * hyperperiod // task.period for task in tasks) <= hyperperiod


def bounds(tasks: Sequence[T]) -> list[int | None]:
    """Return pyRTA's bounds from arrival: from release, and the own jitter on top."""
    theirs = taskset(
        Task(
            PeriodicWithJitter(task.period, task.jitter) if task.jitter else Periodic(task.period),
            FullyPreemptive(WCET(task.wcet)),
            Deadline(task.deadline),
            Priority(len(tasks) - place),
        )
        for place, task in enumerate(tasks)
    )
    found = [fp.rta(theirs, task, IdealProcessor(), horizon=10_000).response_time_bound for task in theirs]
    return [None if bound is None else bound + task.jitter for bound, task in zip(found, tasks, strict=True)]


def observed(trace: Trace, number: int) -> list[float]:
    return [trace.max_response_ns.get(place, 0) / NS_PER_MS for place in range(number)]


def first_miss_ms(trace: Trace) -> float | None:
    first = min((job.deadline_ns or 0 for job in trace.misses), default=None)
    return None if first is None else first / NS_PER_MS


# -- fixed priorities


@given(sets())
def test_the_largest_response_in_the_busy_period_is_the_bound(tasks: list[T]) -> None:
    """One core, preemptive, no overhead and jitter, synchronous, distinct priorities, U <= 1 (Lehoczky 1990)."""
    parameters = parameters_of(describe(tasks))
    length_ns = analysis.busy_period_ns(parameters)
    assert length_ns is not None
    trace = simulate(describe(tasks), policy="fp", horizon_ms=length_ns // NS_PER_MS)
    assert observed(trace, len(tasks)) == bounds(tasks)
    assert trace.max_response_ns == analysis.response_times(parameters)


@given(sets(offsets=True, jitter=True), st.integers(0, 1000))
def test_no_response_exceeds_the_bound(tasks: list[T], seed: int) -> None:
    """Offsets and jitter: observed <= bound."""
    trace = simulate(describe(tasks), policy="fp", horizon_ms=300, seed=seed)
    ours = analysis.response_times(parameters_of(describe(tasks)))
    for place, (seen, bound) in enumerate(zip(observed(trace, len(tasks)), bounds(tasks), strict=True)):
        assert bound is None or seen <= bound
        exact = ours[place]
        assert exact is not None  # U <= 1, so that there is a bound
        assert seen * NS_PER_MS <= exact


@given(sets(offsets=True, jitter=True), st.integers(0, 1000))
def test_less_execution_is_covered_by_the_bound(tasks: list[T], seed: int) -> None:
    """Jobs that execute anything up to C never respond later than the bound for C."""
    trace = simulate(describe(tasks), policy="fp", horizon_ms=300, seed=seed, execution=ANYTHING)
    ours = analysis.response_times(parameters_of(describe(tasks)))
    for place, seen_ns in trace.max_response_ns.items():
        bound_ns = ours[place]
        assert bound_ns is not None
        assert seen_ns <= bound_ns


@given(sets(offsets=True, jitter=True), st.integers(0, 1000))
def test_no_response_exceeds_the_nonpreemptive_bound(tasks: list[T], seed: int) -> None:
    """Dense time: a less urgent job that began just before holds the core for all of its C (Davis et al. 2007)."""
    trace = simulate(describe(tasks), policy="fp", preemptive=False, horizon_ms=300, seed=seed)
    assert not any(job.preemptions for job in trace.jobs)
    ours = analysis.nonpreemptive_response_times(parameters_of(describe(tasks)))
    for place, seen_ns in trace.max_response_ns.items():
        bound_ns = ours[place]
        assert bound_ns is not None
        assert seen_ns <= bound_ns


def test_blocking_is_approached_in_dense_time() -> None:
    """By hand: (20, 70) (20, 80) (35, 200), the longest job begins 1 ns before the others: 55 - 1 ns, 75 - 1 ns."""
    offset = 1 / NS_PER_MS
    tasks = TaskSet(
        {"executiontime": c, "period": t, "priority": place, "offset": o}
        for place, (c, t, o) in enumerate([(20, 70, offset), (20, 80, offset), (35, 200, 0)])
    )
    trace = simulate(tasks, policy="fp", preemptive=False, horizon_ms=100)
    bound_ns = analysis.nonpreemptive_response_times(parameters_of(tasks))
    assert trace.max_response_ns[0] == (bound_ns[0] or 0) - 1 == 55 * NS_PER_MS - 1
    assert trace.max_response_ns[1] == (bound_ns[1] or 0) - 1 == 75 * NS_PER_MS - 1


# -- EDF


@given(sets(deadlines="constrained", overload=True))
def test_edf_misses_iff_an_interval_is_overloaded(tasks: list[T]) -> None:
    """One core, preemptive, no overhead, strictly periodic, synchronous, D <= T, C each time.

    EDF misses within two hyperperiods iff the processor-demand test fails, and first at the end of the interval found
    (Baruah, Rosier & Howell 1990).
    """
    horizon = 2 * lcm(*(task.period for task in tasks))
    overloaded = next((t for t in range(horizon + 1) if demand(tasks, t) > t), None)
    trace = simulate(describe(tasks), policy="edf", horizon_ms=horizon)
    assert first_miss_ms(trace) == overloaded
    certificate = analysis.first_overload(parameters_of(describe(tasks)))
    late = load_fits(tasks) or overloaded is not None  # a small overload shows after the horizon
    assert not late or (None if certificate is None else certificate.interval_ns // NS_PER_MS) == overloaded


@given(sets(deadlines="late", offsets=True))
def test_edf_uses_the_whole_core(tasks: list[T]) -> None:
    """D >= T, U <= 1, any offsets: no miss (Liu & Layland 1973, theorem 7)."""
    assert load_fits(tasks)
    horizon = max(task.offset for task in tasks) + 2 * lcm(*(task.period for task in tasks))
    assert not simulate(describe(tasks), policy="edf", horizon_ms=horizon).misses


@given(sets(offsets=True, jitter=True, overload=True), st.integers(0, 1000))
def test_edf_meets_all_deadlines_where_no_interval_is_overloaded(tasks: list[T], seed: int) -> None:
    """Offsets, jitter (D - J in the demand), less execution: the processor-demand test is sufficient."""
    if analysis.qpa(parameters_of(describe(tasks))) is None:
        assert not simulate(describe(tasks), policy="edf", horizon_ms=300, seed=seed).misses
        assert not simulate(describe(tasks), policy="edf", horizon_ms=300, seed=seed, execution=ANYTHING).misses


class LastReleased(Policy):
    """A policy of no merit: the latest release first."""

    def rank(self, job: Job, now_ns: int) -> int:
        return -job.release_ns


@given(
    sets(deadlines="constrained", offsets=True, jitter=True),
    st.sampled_from(["fp", "rm", "dm", LastReleased]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_edf_is_optimal(tasks: list[T], other: Any, preemptive: bool, seed: int) -> None:
    """If any other policy meets all deadlines of a set on one core, EDF does (Dertouzos 1974)."""
    options = {"horizon_ms": 240, "seed": seed}
    if not simulate(describe(tasks), policy=other, preemptive=preemptive, **options).misses:
        assert not simulate(describe(tasks), policy="edf", **options).misses
