"""Sporadic arrivals and single jobs: what is drawn is legal, and a wrong timer comes down to the smallest set."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from sim import SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.errors import UsageError
from taskgen.parameters import Parameters, parameters_of
from taskgen.testing.properties import PROPERTIES
from taskgen.testing.runs import check
from taskgen.units import NS_PER_MS
from tests.taskgen.properties.mutants import planned

SEARCH = settings(database=None, deadline=None, max_examples=1000)
HORIZON_MS = 40

bounds = st.fixed_dictionaries(
    {
        "n": st.integers(1, 5),
        "policy": st.sampled_from(["FP", "EDF", "mixed"]),
        "priorities": st.sampled_from(["any", "rm", "dm"]),
        "deadlines": st.sampled_from(["implicit", "constrained", "arbitrary"]),
        "max_arrivals": st.integers(0, 4),
        "single_jobs": st.booleans(),
        "max_jobs": st.sampled_from([None, 2]),
        "unit_ms": st.sampled_from([1, 100]),
    }
)


@given(st.data(), bounds)
@settings(max_examples=70)
def test_arrivals_lie_a_period_apart_at_least_and_two_at_most(data: st.DataObject, chosen: dict[str, Any]) -> None:
    for task in data.draw(ts.tasksets(**chosen)):
        if "arrivals" not in task:
            continue
        arrivals, period = task["arrivals"], task["period"]
        assert 1 <= len(arrivals) <= chosen["max_arrivals"]
        assert 0 <= arrivals[0] <= period
        assert all(period <= later - earlier <= 2 * period for earlier, later in pairwise(arrivals))
        assert not any(arrival % chosen["unit_ms"] for arrival in arrivals)


@given(st.data(), bounds)
@settings(max_examples=70)
def test_a_single_job_has_no_period_and_nothing_that_needs_one(data: st.DataObject, chosen: dict[str, Any]) -> None:
    taskset = data.draw(ts.tasksets(**chosen))
    parameters_of(taskset)  # it is valid, and concrete
    for task in taskset:
        if not task["period"]:
            assert chosen["single_jobs"]
            assert not {"arrivals", "numberofjobs"} & {*task}
            assert task.get("deadline", task["executiontime"]) >= task["executiontime"]
        else:
            assert ("numberofjobs" in task) == (chosen["max_jobs"] is not None)
        if chosen["policy"] == "EDF":
            assert task["deadline"], "without a period, too"


@given(ts.tasksets(priorities="rm", single_jobs=True))
def test_a_single_job_ranks_last_by_its_period(taskset: TaskSet) -> None:
    ranked = sorted(taskset, key=lambda task: task["priority"])
    assert all(task["period"] or not later["period"] for task, later in pairwise(ranked))


@given(ts.tasks(policy="EDF", max_arrivals=2, single_jobs=True))
def test_a_task_alone_may_be_either_too(task: dict[str, Any]) -> None:
    assert not task["period"] or len(task.get("arrivals", [])) <= 2


def smallest(strategy: Any, fails: Callable[[TaskSet], bool], seed: int = 0) -> list[dict[str, Any]]:
    """Return the tasks of the smallest failing set, without ids."""
    taskset = find(strategy, fails, settings=SEARCH, random=random.Random(seed))
    return [{key: value for key, value in task.items() if key != "id"} for task in taskset]


@pytest.mark.parametrize("seed", range(2))
def test_both_are_left_out_where_nothing_needs_them(seed: int) -> None:
    plain = [{"executiontime": 1, "period": 1, "priority": 0}]
    assert smallest(ts.tasksets(max_arrivals=4, single_jobs=True), bool, seed) == plain


@pytest.mark.parametrize("seed", range(2))
def test_few_arrivals_are_left_each_as_early_as_can_be(seed: int) -> None:
    shown = smallest(ts.tasksets(max_arrivals=9), lambda each: any(len(t.get("arrivals", ())) > 2 for t in each), seed)
    assert shown == [{"executiontime": 1, "period": 1, "priority": 0, "arrivals": [0, 1, 2]}]


def breaks(law: str, change: Callable[[Parameters], dict[str, Any]]) -> Callable[[TaskSet], bool]:
    """Return whether a simulator that misreads each task breaks a law."""
    session = planned(change)()

    def fails(taskset: TaskSet) -> bool:
        (verdict,) = check(session, taskset, [PROPERTIES[law]], horizon_ms=HORIZON_MS)
        return bool(verdict.violations)

    return fails


def periodic(task: Parameters) -> dict[str, Any]:
    number = len(task.arrivals_ns or ())
    return {"arrivals_ns": tuple(job * task.period_ns for job in range(number)) or None}


def recurring(task: Parameters) -> dict[str, Any]:
    return {} if task.period_ns else {"period_ns": NS_PER_MS, "jobs": None}


@pytest.mark.parametrize("seed", range(2))
def test_arrivals_that_are_ignored_are_exposed_by_one_job_that_comes_late(seed: int) -> None:
    shown = smallest(ts.tasksets(max_arrivals=4), breaks("release_separation", periodic), seed)
    assert shown == [{"executiontime": 1, "period": 1, "priority": 0, "arrivals": [1]}]


@pytest.mark.parametrize("seed", range(2))
def test_a_single_job_that_comes_again_is_exposed_by_itself(seed: int) -> None:
    shown = smallest(ts.tasksets(single_jobs=True), breaks("job_counts", recurring), seed)
    assert shown == [{"executiontime": 1, "period": 0, "priority": 0}]


@given(ts.tasksets(policy="mixed", max_arrivals=4, single_jobs=True, max_jitter=5, max_utilization=2))
def test_no_law_is_broken_by_them(taskset: TaskSet) -> None:
    verdicts = check(SimSession(), taskset, PROPERTIES.values(), horizon_ms=HORIZON_MS)
    assert [verdict for verdict in verdicts if verdict.violations] == []


@pytest.mark.parametrize("strategy", [ts.tasks, ts.tasksets])
def test_wrong_bounds_are_refused_at_the_call(strategy: Any) -> None:
    with pytest.raises(UsageError) as caught:
        strategy(max_arrivals=-1)
    assert str(caught.value) == f"{strategy.__name__}: max_arrivals: -1, expected a whole number >= 0"
    with pytest.raises(UsageError) as caught:
        strategy(single_jobs="yes")
    assert str(caught.value) == f"{strategy.__name__}: single_jobs: 'yes', expected True or False"
