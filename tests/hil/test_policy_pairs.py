"""A policy of the user's own does the same to a simulated profile and to a board in software behind its socket."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.session import TaskloaderSession
from sim import Policy, SimSession
from sim.policy import JobFixedPriority
from taskgen import TaskSet
from taskgen.errors import UsageError
from taskgen.session import Target
from taskgen.strategies import tasksets
from taskgen.testing.runs import execute
from taskgen.units import NS_PER_MS
from tests.hil.board.serving import serving
from tests.taskgen.properties.mutants import Inverted, LongestDeadlineFirst, NewestOfEquals


class Turns(Policy):
    """Round robin with short slices."""

    quantum_ns = 30 * NS_PER_MS

    def rank(self, job: Any, now_ns: int) -> int:
        return int(job.enqueued)


class Unranked(JobFixedPriority):
    def priorities(self, tasks: Any) -> dict[int, int | None]:
        return {}


class Raises(Policy):
    def rank(self, job: Any, now_ns: int) -> int:
        raise ValueError("no rank today")


PAIRS = [("G3b", LongestDeadlineFirst), ("G4", Inverted), ("G4", NewestOfEquals), ("G4", Turns)]


@pytest.mark.parametrize(("generation", "policy"), PAIRS, ids=str)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_a_profile_and_a_board_carry_the_same_scheduler(
    generation: str, policy: type[Policy], data: st.DataObject
) -> None:
    session = SimSession(profile=generation, policy=policy)
    bounds: dict[str, Any] = {"max_utilization": None, "max_period": 10, "max_jobs": 2, "max_criticaltime": 9}
    taskset = data.draw(tasksets(n=3, capabilities=session.capabilities, **bounds))
    simulated = execute(session, taskset, horizon_ms=3000)
    with serving(generation=generation, policy=f"{policy.__module__}:{policy.__name__}", speed="max") as server:
        options = {"dialect": generation, "binaries": "none", "quiet_ms": 20, "poll_ms": 5}
        with TaskloaderSession.open(Target("taskloader", str(server.stations[0].address), options)) as board:
            served = execute(board, taskset, horizon_ms=3000)
    assert [each[:4] for each in served.events] == [each[:4] for each in simulated.events]


TWO = TaskSet(
    {"executiontime": time, "period": 2000, "priority": priority, "numberofjobs": 1}
    for time, priority in ((300, 1), (200, 2))
)


def ends(policy: Any, **options: Any) -> dict[int, int]:
    trace = SimSession(profile="G4", policy=policy, **options).trace(TWO)
    return {job.task_id: (job.finish_ns or 0) // NS_PER_MS for job in trace.jobs}


@pytest.mark.parametrize(
    ("policy", "options", "expected"),
    [
        ("auto", {}, {0: 352, 1: 552}),
        ("fp", {}, {0: 352, 1: 552}),
        (Inverted, {}, {0: 552, 1: 252}),
        (Inverted(), {}, {0: 552, 1: 252}),
        ("tests.taskgen.properties.mutants:Inverted", {}, {0: 552, 1: 252}),
        ("rr", {"quantum_ms": 100}, {0: 552, 1: 452}),
    ],
    ids=["auto", "fp", "class", "object", "place", "rr"],
)
def test_a_policy_orders_the_jobs_of_a_profile(policy: Any, options: dict[str, Any], expected: dict[int, int]) -> None:
    assert ends(policy, **options) == expected


def test_each_run_has_a_policy_of_its_own() -> None:
    session = SimSession(profile="G4", policy=Turns)
    assert session.trace(TWO).events == session.trace(TWO).events


def test_a_policy_that_ranks_nothing_is_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="has no rank for task"):
        SimSession(profile="G4", policy=Unranked).check(TWO)


def test_a_policy_that_fails_is_the_users_fault() -> None:
    with pytest.raises(UsageError, match="policy Raises failed: ValueError: no rank today"):
        SimSession(profile="G4", policy=Raises).trace(TWO)
