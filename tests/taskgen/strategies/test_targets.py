"""Sets for a target are those that it can run: whatever it doesn't honour is left out, what it can't do is refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from hil.session import capabilities_of
from sim import SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.dialect import BOARDS, describe_all
from taskgen.dialect.boards import LONGEST_NS
from taskgen.errors import Unsupported
from taskgen.parameters import parameters_of
from taskgen.session import Capabilities

EVERYTHING: dict[str, Any] = {
    "max_offset": 9, "max_jitter": 9, "max_jobs": 3, "max_criticaltime": 90, "max_arrivals": 3, "single_jobs": True,
    "max_utilization": None, "n": 60,
}  # fmt: skip
IDEAL = SimSession().capabilities
ONCE = settings(database=None, deadline=None, derandomize=True)


@given(st.data(), st.sampled_from(sorted(BOARDS)), st.sampled_from(["FP", "EDF", "mixed"]), st.booleans())
def test_a_board_reads_each_set_that_is_for_it(data: st.DataObject, name: str, policy: Any, arbitrary: bool) -> None:
    capabilities = capabilities_of(BOARDS[name], 2, 60 * 10**9)
    deadlines: Any = "arbitrary" if arbitrary and policy != "FP" else "implicit"
    options = {**EVERYTHING, "policy": policy, "deadlines": deadlines, "capabilities": capabilities}
    if policy.lower() not in capabilities.policies:
        with pytest.raises(Unsupported, match="policy: "):
            ts.tasksets(**options)
        return
    taskset = data.draw(ts.tasksets(**options))
    describe_all(parameters_of(taskset), BOARDS[name])  # raises what the board can't read
    assert all(task["pkg"] == "hey" and (task["period"] or 100) >= 100 for task in taskset)
    assert capabilities.job_limits or not any("numberofjobs" in task for task in taskset)


@given(st.data(), st.sampled_from(["ideal", *sorted(BOARDS)]), st.sampled_from([None, 1, 2]))
@settings(max_examples=60)
def test_a_session_accepts_each_set_that_is_for_it(data: st.DataObject, profile: str, cores: int | None) -> None:
    """Also where the set wouldn't be schedulable on one core alone, and so fits nowhere unless bound to one."""
    session = SimSession(profile=profile, cores=2)
    taskset = data.draw(ts.tasksets(**{**EVERYTHING, "n": 6}, cores=cores, capabilities=session.capabilities))
    session.check(taskset)  # raises what it can't run


@given(ts.tasksets(policy="EDF", max_utilization=3, n=9, capabilities=replace(IDEAL, cores=3)))
def test_the_cores_of_a_simulated_target_are_used(taskset: TaskSet) -> None:
    assert all(task["cores"] == 3 for task in taskset)
    SimSession(policy="edf", cores=3).check(taskset)


@given(ts.tasksets(cores=3, policy="EDF", max_utilization=3, n=9))
def test_what_is_bound_to_cores_fits_there(taskset: TaskSet) -> None:
    SimSession(policy="edf", cores=3).check(taskset)


@given(ts.tasksets(cores=3, migration="global", policy="EDF", max_utilization=3, n=9))
def test_what_migrates_is_bound_nowhere(taskset: TaskSet) -> None:
    SimSession(policy="edf", cores=3, migration="global").check(taskset)


@pytest.mark.parametrize(
    ("lacking", "key"),
    [
        ({"offsets": False}, "offset"),
        ({"sporadic": False}, "jitter"),
        ({"sporadic": False}, "arrivals"),
        ({"kill": False}, "criticaltime"),
        ({"job_limits": False}, "numberofjobs"),
    ],
    ids=str,
)
def test_what_a_target_does_not_honour_is_left_out(lacking: dict[str, bool], key: str) -> None:
    bounds = {**EVERYTHING, "n": 2}
    has_it = ts.tasksets(**bounds, capabilities=IDEAL)
    assert find(has_it, lambda taskset: any(key in task for task in taskset), settings=ONCE)

    @settings(ONCE, max_examples=30)
    @given(ts.tasksets(**bounds, capabilities=replace(IDEAL, **lacking)))  # type: ignore[arg-type]  # some are bool
    def check(taskset: TaskSet) -> None:
        assert not any(key in task for task in taskset)

    check()


def smallest(**options: Any) -> dict[str, Any]:
    return find(ts.tasksets(n=1, **options), lambda _: True, settings=ONCE)[0]


def test_the_policy_follows_the_target_unless_told() -> None:
    """Admission control of boards that know EDF refuses all but one task with a fixed priority."""
    assert "priority" in smallest(capabilities=IDEAL)
    assert "deadline" in smallest(capabilities=replace(IDEAL, policies=frozenset({"edf"})))
    assert "deadline" in smallest(capabilities=capabilities_of(BOARDS["G3b"], 2, 1))
    assert "priority" in smallest(capabilities=capabilities_of(BOARDS["G4"], 2, 1))
    assert "priority" in smallest(capabilities=capabilities_of(BOARDS["G3b"], 2, 1), policy="FP")


def test_times_are_multiples_of_what_the_target_reads() -> None:
    assert smallest(capabilities=replace(IDEAL, time_resolution_ns=7 * 10**6))["period"] == 7
    assert smallest(capabilities=capabilities_of(BOARDS["G4"], 2, 1), unit_ms=60)["period"] == 60


def test_times_stay_within_what_boards_hold() -> None:
    capabilities = capabilities_of(BOARDS["G4"], 2, 1)
    longest = LONGEST_NS // 10**6
    allowed = ts.tasksets(capabilities=capabilities, unit_ms=1, periods=[longest, longest + 1])
    assert find(allowed, lambda _: True, settings=ONCE)[0]["period"] == longest


@pytest.mark.parametrize(
    ("options", "capabilities", "message"),
    [
        ({"policy": "EDF"}, capabilities_of(BOARDS["G4"], 2, 1), "tasksets: policy: EDF: the target knows fp"),
        ({"cores": 4}, replace(IDEAL, cores=2), "tasksets: cores: 4: the target has 2"),
        (
            {"unit_ms": 5},
            replace(IDEAL, time_resolution_ns=2 * 10**6),
            "tasksets: unit_ms: 5: the target reads whole multiples of 2 ms",
        ),
        (
            {"policy": "FP", "deadlines": "constrained"},
            capabilities_of(BOARDS["G3a"], 2, 1),
            "tasksets: deadlines: constrained: the target schedules tasks with a deadline by EDF",
        ),
    ],
)
def test_what_a_target_can_not_do_is_refused_at_the_call(
    options: dict[str, Any], capabilities: Capabilities, message: str
) -> None:
    with pytest.raises(Unsupported) as caught:
        ts.tasksets(**options, capabilities=capabilities)
    assert str(caught.value) == message
    assert caught.value.hint
