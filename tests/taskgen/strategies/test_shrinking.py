"""Known bugs come down to the smallest set that shows them, whatever the seed.

Each bug is what a wrong scheduler or life cycle does, which pretends to be right.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import find, settings

from sim import SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.session import Session
from taskgen.testing.properties import PROPERTIES
from taskgen.testing.runs import check
from tests.taskgen.properties.mutants import planned

SEEDS = range(2)
HORIZON_MS = 40
SEARCH = settings(database=None, deadline=None, max_examples=2000)


def seeds(*cases: Any) -> list[Any]:
    """Give each case a seed, the first one all of them."""
    plain = [pytest.param(*case.values, SEEDS[0], id=case.id) for case in cases]
    return [*plain, *(pytest.param(*cases[0].values, seed, id=f"{cases[0].id} ({seed})") for seed in SEEDS[1:])]


def breaks(law: str, session: Session) -> Callable[[TaskSet], bool]:
    """Return whether a set breaks a law on a session that pretends to schedule correctly."""

    def fails(taskset: TaskSet) -> bool:
        (verdict,) = check(session, taskset, [PROPERTIES[law]], horizon_ms=HORIZON_MS)
        return bool(verdict.violations)

    return fails


def misses(**options: Any) -> Callable[[TaskSet], bool]:
    session = SimSession(**options)
    return lambda taskset: bool(session.jobs(taskset, horizon_ms=HORIZON_MS).misses)


def smallest(strategy: Any, fails: Callable[[TaskSet], bool], seed: int) -> list[dict[str, int]]:
    """Return the tasks of the smallest failing set, without ids, in the order of their attributes."""
    taskset = find(strategy, fails, settings=SEARCH, random=random.Random(seed))
    plain = [{key: value for key, value in task.items() if key != "id"} for task in taskset]
    return sorted(plain, key=lambda task: sorted(task.items()))


TWO_AT_ONCE = [{"executiontime": 1, "period": 2, "priority": 0}, {"executiontime": 1, "period": 2, "priority": 1}]
BLOCKED = [{"executiontime": 1, "period": 2, "priority": 0}, {"executiontime": 2, "period": 4, "priority": 1}]


INVERTED = planned(lambda task: {"priority": 127 - (task.priority or 0)})
ONE_LEVEL = planned(lambda _: {"priority": 5})
NO_KILLS = planned(lambda _: {"critical_ns": None})
NO_OFFSETS = planned(lambda _: {"offset_ns": 0})


@pytest.mark.parametrize(
    ("session", "minimum", "seed"),
    seeds(
        pytest.param(SimSession(policy="fp", preemptive=False), BLOCKED, id="never preempts"),
        pytest.param(SimSession(policy="fifo"), TWO_AT_ONCE, id="first come, first served"),
        pytest.param(SimSession(policy="edf"), TWO_AT_ONCE, id="earliest deadline first"),
        pytest.param(INVERTED(policy="fp"), TWO_AT_ONCE, id="inverted"),
        pytest.param(ONE_LEVEL(policy="fp"), TWO_AT_ONCE, id="one level only"),
    ),
)  # fmt: skip
def test_a_scheduler_that_is_no_preemptive_fp_is_exposed_by_two_small_tasks(
    session: Session, minimum: list[dict[str, int]], seed: int
) -> None:
    fails = breaks("fixed_priority_response", session)
    assert smallest(ts.tasksets(n=5, policy="FP"), fails, seed) == minimum


def test_so_is_one_among_ten_tasks() -> None:
    never_preempts = breaks("fixed_priority_response", SimSession(policy="fp", preemptive=False))
    assert smallest(ts.tasksets(n=10, policy="FP"), never_preempts, 0) == BLOCKED


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_that_is_ignored_is_exposed_by_one_job(seed: int) -> None:
    lives_too_long = breaks("kill_at_criticaltime", NO_KILLS(policy="fp"))
    minimum = [{"executiontime": 2, "period": 2, "priority": 0, "criticaltime": 1}]
    assert smallest(ts.tasksets(n=1, policy="FP", max_criticaltime=20), lives_too_long, seed) == minimum
    # In a set, a second task may keep the job waiting instead.
    shown = smallest(ts.tasksets(n=3, policy="FP", max_criticaltime=20), lives_too_long, seed)
    assert len(shown) <= 2
    assert all(value <= 2 for task in shown for value in task.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_an_offset_that_is_ignored_is_exposed_by_one_job(seed: int) -> None:
    comes_too_early = breaks("release_separation", NO_OFFSETS(policy="edf"))
    minimum = [{"executiontime": 1, "period": 1, "deadline": 1, "offset": 1}]
    assert smallest(ts.tasksets(policy="EDF", max_offset=10), comes_too_early, seed) == minimum


@pytest.mark.parametrize("seed", SEEDS)
def test_the_theorem_of_liu_and_layland_needs_deadlines_as_long_as_periods(seed: int) -> None:
    shown = smallest(ts.tasksets(deadlines="constrained", policy="EDF"), misses(policy="edf"), seed)
    assert len(shown) == 2
    assert all(value <= 4 for task in shown for value in task.values())


def test_the_effect_of_dhall_needs_three_tasks_on_two_cores() -> None:
    """Global EDF misses a deadline though the cores aren't full (Dhall & Liu, Oper. Res. 26, 1978)."""
    strategy = ts.tasksets(n=3, policy="EDF", cores=2, migration="global", max_utilization=2, max_period=20)
    shown = smallest(strategy, misses(policy="edf", cores=2, migration="global"), 0)
    assert len(shown) == 3
    assert sum(task["period"] for task in shown) <= 8
