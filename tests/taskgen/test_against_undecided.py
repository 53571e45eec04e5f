"""The differential mode: where two correct boards may differ, nothing is claimed any more."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import SimSession
from taskgen import TaskSet
from taskgen.events import EventType
from taskgen.strategies import tasksets
from taskgen.testing.against import Difference, compare
from taskgen.testing.properties import Tolerance
from taskgen.testing.runs import execute
from tests.taskgen.board_runs import CRITICAL, ERROR, MS, ONE, PERIOD, REFUSED, TOLERANCE, Ran, compared, tasks, verdict

# -- where an order that may swap decides what follows


#: Task 1 is the more urgent, and comes when task 0 has just ended, or hasn't yet.
LONG = tasks({}, {"executiontime": 798, "period": 3000})
JUST_OVER = [Ran(0, 0, 100), Ran(1, 102, 900)]
PREEMPTED = [Ran(0, 0, 901), Ran(1, 101, 899)]
AGAIN = Ran(0, 2000, 2100)
LATER = Ran(0, 2500, 2600)


@pytest.mark.parametrize(("oracle", "witness"), [(JUST_OVER, PREEMPTED), (PREEMPTED, JUST_OVER)])
def test_whether_a_job_ends_before_it_is_preempted_is_undecided(oracle: list[Ran], witness: list[Ran]) -> None:
    found = compared(LONG, [*oracle, AGAIN], [*witness, LATER])
    assert found.verdict == "agree"
    (why,) = found.unclaimed
    assert why == (
        f"whatever is behind {oracle[0].end if oracle is JUST_OVER else oracle[1].birth}.0 ms; undecided is "
        "what is first, the end of job 0 of task 0 or the birth of job 0 of task 1"
    )


def test_a_late_end_that_no_preemption_explains_is_a_difference() -> None:
    long = [Ran(0, 0, 1500), PREEMPTED[1]]
    assert verdict(LONG, JUST_OVER, long) == "misses"


def test_in_the_right_order_nothing_is_undecided() -> None:
    assert verdict(LONG, JUST_OVER, [Ran(0, 0, 104), Ran(1, 104, 905)]) == "slower"


@pytest.mark.parametrize("kill", [CRITICAL, PERIOD])
def test_a_kill_at_the_very_end_is_undecided(kill: EventType) -> None:
    oracle = [Ran(0, 0, 700), Ran(0, 1000, 1100)]
    found = compared(ONE, oracle, [Ran(0, 0, 705, kill), Ran(0, 2000, 2100)])
    why = f"whether job 0 of task 0 has EXIT after 700.0 ms, in time, or {kill} after 705.0 ms, missed"
    assert found == Difference("agree", (), unclaimed=(f"whatever is behind 700.0 ms; undecided is {why}",))


def test_a_release_that_finds_the_last_job_hardly_gone_is_undecided() -> None:
    taskset = tasks({}, {"period": 100, "executiontime": 50, "criticaltime": 95})
    oracle = [Ran(1, 0, 50), Ran(1, 100, 150), Ran(0, 120, 300)]
    witness = [Ran(1, 0, 50), Ran(1, 200, 250), Ran(0, 120, 300)]
    assert compared(taskset, oracle, witness).unclaimed == (
        "whatever is behind 100.0 ms; undecided is whether job 0 of task 1 is gone at the next release",
    )
    without = tasks({}, {"period": 100, "executiontime": 50})
    assert verdict(without, oracle, witness) == "order"  # it was over 50 ms before


def test_deadlines_that_may_swap_are_undecided() -> None:
    """EDF counts them from the births: 1000 and 1002 may be 1003 and 1002, then the other job is first."""
    taskset = tasks({"deadline": 1000}, {"deadline": 995})
    oracle = [Ran(0, 0, 400), Ran(1, 7, 900)]
    witness = [Ran(0, 0, 900), Ran(1, 3, 500)]
    found = compared(taskset, oracle, witness)
    assert found.verdict == "agree"
    assert "which deadline is first, that of job 0 of task 0 or that of job 0 of task 1" in found.unclaimed[0]
    far = tasks({"deadline": 1000}, {"deadline": 1500})
    assert verdict(far, oracle, witness) == "order"


def test_a_denial_after_a_miss_that_nobody_can_be_sure_of_is_undecided() -> None:
    """wire-protocol 5.4: the optimiser counts misses."""
    taskset = tasks({"deadline": 400})
    denied, born = Ran(0, 1000, None, REFUSED), Ran(0, 1000, 1300)
    assert compared(taskset, [Ran(0, 0, 399), born], [Ran(0, 0, 404), denied]).verdict == "slower"
    assert compared(taskset, [Ran(0, 0, 300), born], [Ran(0, 0, 304), denied]).verdict == "order"


# -- boards that tell less


def test_without_outcomes_jobs_are_those_of_the_same_time() -> None:
    oracle = [Ran(0, time, time + 100) for time in (0, 1000, 2000, 3000)]
    witness = [Ran(0, 0, 100), Ran(0, 2000, None), Ran(0, 3003, 3106)]
    found = compared(ONE, oracle, witness, outcomes=False)
    assert found.verdict == "slower"
    assert found.unclaimed == ("how jobs end where the target doesn't tell, and jobs that only the oracle has",)


@pytest.mark.parametrize(
    ("witness", "expected"),
    [
        (Ran(0, 500, 600), "order"),  # the oracle has no job then
        (Ran(0, 1000, 1500), "order"),  # too late
        (Ran(0, 1000, 1100), "agree"),
        (Ran(0, 1000, None), "agree"),
    ],
)
def test_what_such_a_board_tells_is_compared(witness: Ran, expected: str) -> None:
    oracle = [Ran(0, 0, 100), Ran(0, 1000, 1100, ERROR)]  # an error looks like a completion
    assert compared(ONE, oracle, [Ran(0, 0, 100), witness], outcomes=False).verdict == expected


@pytest.mark.parametrize(
    ("oracle", "witness", "expected"),
    [(None, None, "agree"), (400, None, "order"), (None, 400, "order"), (995, None, ""), (None, 995, "")],
)
def test_a_job_may_vanish_at_its_next_release_where_nobody_tells(
    oracle: int | None, witness: int | None, expected: str
) -> None:
    """wire-protocol 6.4: G3a destroys it without an event."""
    untold = replace(TOLERANCE, ends_untold=True)
    found = compared(ONE, [Ran(0, 0, oracle)], [Ran(0, 0, witness)], tolerance=untold)
    assert (found.verdict, bool(found.unclaimed)) == (expected or "agree", not expected)


# -- the law behind it: a correct target may be slower


@pytest.mark.parametrize(
    ("profile", "policy"),
    [("ideal", "FP"), ("ideal", "EDF"), ("G1p", "FP"), ("G3a", "EDF"), ("G3b", "EDF"), ("G4", "FP")],
)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_target_that_computes_a_little_longer_does_nothing_wrong(
    profile: str, policy: Any, data: st.DataObject
) -> None:
    """Whatever follows from that: a job is preempted, killed or late that wasn't, so others come first."""
    session = SimSession(profile=profile)
    target: dict[str, Any] = {"unit_ms": 100} if profile == "ideal" else {"capabilities": session.capabilities}
    bounds: dict[str, Any] = {"max_utilization": None, "max_period": 15, "max_jobs": 3, "max_criticaltime": 12}
    taskset = data.draw(tasksets(n=3, policy=policy, max_offset=3, **bounds, **target))
    more = data.draw(st.lists(st.integers(0, 2), min_size=len(taskset), max_size=len(taskset)))
    slow = TaskSet(
        {**task, "executiontime": task["executiontime"] + ms} for task, ms in zip(taskset, more, strict=True)
    )
    oracle, witness = (execute(session, tasks, horizon_ms=4000) for tasks in (taskset, slow))
    delayed = 0 if profile == "ideal" else 279  # by a sibling
    tolerance = Tolerance(
        resolution_ns=MS,
        late_ns=30 * MS,
        sibling_ns=delayed * MS,
        release_delay_ns=26 * MS,
        ends_untold=profile == "G3a",
    )
    difference = compare(taskset, oracle, witness, tolerance)
    assert difference.verdict in {"agree", "slower"}, difference.details
