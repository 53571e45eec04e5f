"""The simulator judged by theory: each law where its theorem holds, on sets made for it.

The laws take their bounds from `taskgen.analysis`, whose own tests compare it with pyRTA and with counting jobs.
"""

from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import Job, Policy, SimSession, simulate
from taskgen import TaskSet, analysis
from taskgen.parameters import parameters_of
from taskgen.testing.properties import LAWS, Scheduling
from taskgen.testing.runs import check
from taskgen.units import NS_PER_MS
from tests.taskgen.properties.drawn import EXTRAS, SHIFTED, nightly, sets

#: A set has both, a priority and a deadline, for policies that go by either.
BOTH: dict[str, Any] = {"deadlines": "arbitrary"}
STUBBORN: dict[str, Any] = {"preemptive": False}
#: Each job executes a random share of C.
LESS: dict[str, Any] = {"execution": "uniform:0"}
GLOBAL: dict[str, Any] = {"cores": 2, "migration": "global"}


class Theorem(NamedTuple):
    """A law, how the simulator schedules, and the sets about which the law says something."""

    law: str
    options: dict[str, Any]
    sets: st.SearchStrategy[TaskSet]
    horizon_ms: int | None = 240

    def __str__(self) -> str:
        return " ".join([self.law, *map(str, self.options.values())])


RESPONSES = [
    Theorem(f"{mode}{law}_response", {"policy": policy, **options, **execution}, sets("FP", **BOTH, **extras))
    for policy, law in (("fp", "fixed_priority"), ("rm", "rate_monotonic"), ("dm", "deadline_monotonic"))
    for mode, options in (("", {}), ("nonpreemptive_", STUBBORN))
    for execution, extras in (({}, SHIFTED), (LESS, SHIFTED), ({}, EXTRAS))
]
DEMANDS = [
    Theorem(law, {"policy": "edf", **execution}, sets("EDF", load, **extras), horizon_ms)
    for law, load, extras, horizon_ms in (
        ("edf_full_utilization", 1, {"max_offset": 12, "deadlines": "implicit"}, None),
        ("edf_demand", 0.9, {}, None),
        ("edf_demand", 1.3, {**SHIFTED, "max_arrivals": 5, "single_jobs": True}, 240),
    )
    for execution in ({}, LESS)
]
THEOREMS = [
    *RESPONSES,
    *DEMANDS,
    Theorem("critical_instant", {"policy": "fp"}, sets("FP", priorities="distinct"), None),
    Theorem("critical_instant", {"policy": "fp"}, sets("FP", priorities="distinct", **BOTH), None),
    Theorem("edf_full_utilization", {"policy": "edf"}, sets("EDF", deadlines="implicit", max_arrivals=5)),
    Theorem("edf_overload", {"policy": "edf"}, sets("EDF", 1.3, min_n=3, deadlines="constrained"), None),
    Theorem("edf_overload", {"policy": "edf"}, sets("EDF", 1.3, min_n=3), None),
    Theorem("longer_periods", {"policy": "edf"}, sets("EDF", 0.7), None),
    Theorem("longer_periods", {"policy": "fp"}, sets("FP", 0.7, priorities="rm"), None),
    Theorem("longer_deadlines", {"policy": "edf"}, sets("EDF", 0.8, **SHIFTED)),
    Theorem("longer_deadlines", {"policy": "fp"}, sets("FP", 0.8, priorities="dm", **BOTH, **SHIFTED)),
    Theorem("less_execution", GLOBAL, sets("FP", 1.6, **SHIFTED)),
    Theorem("less_execution", GLOBAL, sets("mixed", 1.6)),
    Theorem("mixed_band", GLOBAL, sets("mixed", 2, **SHIFTED)),
    *(Theorem(f"nonpreemptive_{law}_order", {"policy": policy, **STUBBORN}, sets(kind, 1.2, **EXTRAS))
      for law, policy, kind in (("fixed_priority", "fp", "FP"), ("rate_monotonic", "rm", "FP"), ("edf", "edf", "EDF"),
                                ("deadline_monotonic", "dm", "EDF"), ("mixed", "auto", "mixed"))),
]  # fmt: skip


def search(theorem: Theorem, depth: settings) -> int:
    """Search for a set that breaks the law; return about how many sets it said something."""
    session, scheduling = SimSession(**theorem.options), Scheduling.of(theorem.options)
    law = LAWS[theorem.law]
    held = 0

    @depth
    @given(theorem.sets)
    def holds(taskset: TaskSet) -> None:
        nonlocal held
        (verdict,) = check(session, taskset, [law], scheduling=scheduling, horizon_ms=theorem.horizon_ms)
        assert verdict.violations == ()
        held += verdict.holds

    holds()
    return held


@pytest.mark.parametrize("theorem", THEOREMS, ids=str)
def test_the_law_holds_where_its_theorem_does(theorem: Theorem) -> None:
    assert search(theorem, settings(max_examples=30, deadline=None)) >= 5


@pytest.mark.nightly
@pytest.mark.parametrize("theorem", THEOREMS, ids=str)
def test_the_law_holds_however_long_one_looks(theorem: Theorem, pytestconfig: pytest.Config) -> None:
    assert search(theorem, nightly(pytestconfig))


# -- what no law is about


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


class LastReleased(Policy):
    """A policy of no merit: the latest release first."""

    def rank(self, job: Job, now_ns: int) -> int:
        return -job.release_ns


@given(
    sets("FP", deadlines="constrained", **SHIFTED),
    st.sampled_from(["fp", "rm", "dm", LastReleased]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_edf_is_optimal(taskset: TaskSet, other: Any, preemptive: bool, seed: int) -> None:
    """If any other policy meets all deadlines of a set on one core, EDF does (Dertouzos 1974)."""
    options = {"horizon_ms": 240, "seed": seed}
    if not simulate(taskset, policy=other, preemptive=preemptive, **options).misses:
        assert not simulate(taskset, policy="edf", **options).misses
