"""SimSession behind the Session interface: its promises, options, refusals, and policies of the user's own."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import pytest

from sim import EarliestDeadlineFirst, JobFixedPriority, Policy, SimSession, simulate
from taskgen import Target, TaskSet
from taskgen.errors import InputError, SessionBusy, Unsupported, UsageError
from taskgen.parameters import Parameters
from taskgen.testing import check_session


class OwnPolicy(Policy):
    """First come, first served."""

    def rank(self, job: Any, now_ns: int) -> int:
        release: int = job.release_ns
        return release


CONFORMING: list[dict[str, Any]] = [
    {},
    {"trace": False},
    {"policy": "edf", "tie": "index"},
    {"policy": "rm", "overrun": "kill"},
    {"policy": "dm", "overrun": "skip", "trace": False},
    {"policy": OwnPolicy},
]


@pytest.mark.parametrize("options", CONFORMING, ids=str)
def test_it_keeps_the_promises_of_every_session(options: dict[str, Any]) -> None:
    check_session(lambda: SimSession(**options))


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"profile": "G9"}, "profile: 'G9' isn't supported, expected ideal", ""),
        ({"profile": "Ideal"}, "profile: 'Ideal' isn't supported, expected ideal", "did you mean ideal?"),
        ({"engine": "batch"}, "engine: 'batch' isn't supported, expected simpy", ""),
        ({"cores": 0}, "cores: 0 isn't supported, expected 1..1024", ""),
        ({"cores": True}, "cores: True isn't supported, expected 1..1024", ""),
        ({"migration": "globl"}, "migration: 'globl' isn't supported", "did you mean global?"),
        ({"preemptive": 0}, "preemptive: 0 isn't supported, expected True or False", ""),
        ({"policy": "rr", "preemptive": False}, "policy rr and preemptive False don't go together", "preemptive: True"),
        ({"policy": "llf", "preemptive": False, "quantum_ms": 2}, "nothing ends with a quantum", "leave it out"),
        ({"partition": "best-fit"}, "partition: 'best-fit' isn't supported, expected first-fit or worst-fit", ""),
        ({"partition": "worst-fit", "migration": "global"}, "partition worst-fit don't go together", "partitioned"),
        ({"partition": "worst-fit", "profile": "G1"}, "profile G1 and partition worst-fit don't go together", "ideal"),
        ({"cores": 2000}, "cores: 2000 isn't supported, expected 1..1024 with profile ideal", "list policies"),
        ({"cores": 2000, "profile": "G1"}, "cores: 2000 isn't supported, expected 1..8 with profile G1", "policies"),
        ({"scheduler_ms": float("inf")}, "scheduler_ms: inf is not a finite number", "in milliseconds"),
        ({"overrun": "kil"}, "overrun: 'kil' isn't supported, expected continue or kill or skip", "did you mean kill?"),
        ({"tie": "fifo"}, "tie: 'fifo' isn't supported, expected running or index", ""),
        ({"context_switch_ms": -0.1}, "context_switch_ms: -0.1 is negative", ""),
        ({"migration_ms": "1"}, "migration_ms", ""),
        ({"execution": {"kind": "gauss"}}, "execution: kind: 'gauss' is no distribution", ""),
        ({"scheduler_ms": -1}, "scheduler_ms: -1 is negative", ""),
        ({"quantum_ms": 5}, "quantum_ms: 5.0: policy 'auto' has no quantum", "leave it out"),
        ({"policy": "rmm"}, "there is no policy 'rmm'", "rm"),
        ({"policy": "pathlib:Path"}, "is no sim.Policy", "derive the class from sim.Policy"),
        ({"policy": dict}, "is no sim.Policy", "derive the class from sim.Policy"),
        ({"workload": "pandabord"}, "there is no workload 'pandabord'", "pandaboard"),
        ({"workload": "nowhere.toml"}, "nowhere.toml: can't be read", ""),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_refused_with_one_clear_line(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        SimSession(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint in caught.value.hint


def test_an_unknown_option_of_a_target_is_an_error() -> None:
    with pytest.raises(UsageError, match="polcy") as caught:
        SimSession.open(Target("sim", "", {"polcy": "edf"}))
    assert "policy" in caught.value.hint


def test_the_address_is_the_profile() -> None:
    assert SimSession.open(Target("sim", "ideal")).capabilities.trace
    assert SimSession.open(Target("sim", "ideal", {"profile": "ideal", "policy": "edf"})).capabilities.trace
    with pytest.raises(UsageError, match=r"profile: 'G7' isn't supported"):
        SimSession.open(Target("sim", "G7"))


def test_a_profile_given_twice_differently_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"profile: sim:G1 and 'ideal' contradict each other"):
        SimSession.open(Target("sim", "G1", {"profile": "ideal"}))


@pytest.mark.parametrize("policy", [EarliestDeadlineFirst, EarliestDeadlineFirst(), "sim.policy:EarliestDeadlineFirst"])
def test_a_policy_is_a_name_a_class_or_an_object(policy: Any) -> None:
    tasks = TaskSet([{"executiontime": 2, "period": 5}, {"executiontime": 4, "period": 7}])
    assert simulate(tasks, policy=policy).events == simulate(tasks, policy="edf").events


# -- refusals of run() -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", [{}, {"priority": 128}])
def test_fp_needs_a_priority_for_each_task_and_names_the_one_without(priority: dict[str, int]) -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 4, "priority": 1}, {"executiontime": 1, "period": 5, **priority}])
    with pytest.raises(InputError, match=r"^task 1: .*policy fp needs 0\.\.127") as caught:
        SimSession(policy="fp").run(tasks)
    assert "--policy" in caught.value.hint


def test_an_unknown_program_is_refused_naming_both_ways_out() -> None:
    with pytest.raises(InputError, match=r"task 0: pkg: 'doom' has no known execution time .*knows .*hey.*") as caught:
        SimSession().run(TaskSet([{"pkg": "doom", "period": 100}]))
    assert "executiontime" in caught.value.hint
    assert "--workload" in caught.value.hint


def test_refusals_come_when_run_is_called_and_leave_the_session_free() -> None:
    session = SimSession()
    with pytest.raises(Unsupported, match="admission"):
        session.run(TaskSet([{"executiontime": 1, "period": 4}]), admission={"optimize": {}})
    with pytest.raises(Unsupported, match="choice"):
        session.run(TaskSet([{"executiontime": 1, "period": [4, 5]}]))
    events = session.run(TaskSet([{"executiontime": 1, "period": 4}]))
    with pytest.raises(SessionBusy):
        session.run(TaskSet([{"executiontime": 1, "period": 4}]))
    assert list(events)


def test_auto_warns_once_about_a_deadline_and_a_priority() -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 4, "deadline": 3, "priority": p} for p in (1, 2)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        events = list(SimSession().run(tasks, horizon_ms=4))
    assert events
    (warning,) = caught
    assert str(warning.message) == (
        "task 0 has a deadline and a priority: it is scheduled by EDF, its priority is ignored;"
        " --policy fp schedules by priority"
    )


def test_messages_name_what_a_user_wrote() -> None:
    """Errors of a policy from a file name the file."""
    with pytest.raises(UsageError, match=re.escape("nowhere.py: there is no such file")):
        SimSession(policy="nowhere.py:Mine")


# -- policies of the user's own --------------------------------------------------------------------------------------


class Shared(JobFixedPriority):
    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        return {task.id: None if task.deadline_ns else task.period_ns for task in tasks}


def test_fixed_ranks_may_be_as_large_as_times() -> None:
    """A rank of 5000 ms in ns still goes before any deadline."""
    taskset = TaskSet([{"executiontime": 3, "period": 5000}, {"executiontime": 1, "period": 100, "deadline": 100}])
    spans = simulate(taskset, policy=Shared(), horizon_ms=10).gantt
    assert [span.task_id for span in spans] == [0, 1]


def test_a_policy_object_is_a_template() -> None:
    policy = Shared()
    simulate(TaskSet([{"executiontime": 3, "period": 5000}]), policy=policy, horizon_ms=10)
    assert not hasattr(policy, "fixed")


@pytest.mark.parametrize("quantum_ns", [0, -5, 1e6 / 3, True])
def test_a_quantum_is_whole_nanoseconds(quantum_ns: Any) -> None:
    policy = type("Odd", (Shared,), {"quantum_ns": quantum_ns})
    with pytest.raises(UsageError, match=r"quantum_ns: .*expected whole nanoseconds > 0") as caught:
        SimSession(policy=policy)
    assert "2 ms are 2_000_000" in caught.value.hint


def test_a_bug_in_a_policy_is_its_authors_fault() -> None:
    class Broken(Policy):
        def rank(self, job: Any, now_ns: int) -> Any:
            return job.nope

    with pytest.raises(UsageError, match=r"policy Broken .*AttributeError"):
        simulate(TaskSet([{"executiontime": 3, "period": 5000}]), policy=Broken)


def test_only_what_the_theorem_covers_is_called_exact() -> None:
    taskset = TaskSet([{"executiontime": 1, "period": 4}])
    assert SimSession().check(taskset).exact
    assert not SimSession(policy=Shared()).check(taskset).exact
    assert not SimSession(processes=(lambda env, processor: iter(()),)).check(taskset).exact  # type: ignore[arg-type,return-value]
    cut = TaskSet([{"executiontime": 20_000, "period": 0, "deadline": 1}])
    assert not SimSession().check(cut).exact
