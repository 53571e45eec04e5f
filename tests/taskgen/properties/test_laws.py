"""Laws as users meet them: names, statements, reasons to skip them, and what a violation says."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sim import SimSession, simulate
from sim.boards.generation import GENERATIONS
from taskgen import TaskSet, Trace
from taskgen.errors import UsageError
from taskgen.session import Capabilities
from taskgen.testing.properties import (
    BOARD_TOLERANCES,
    LAWS,
    PROPERTIES,
    RELATIONS,
    WIDEST,
    ZERO,
    Scheduling,
    Tolerance,
    Violation,
    law,
    load,
    names,
)
from taskgen.testing.properties.law import MOST_VIOLATIONS
from taskgen.units import NS_PER_MS
from tests.taskgen.properties.mutants import Inverted, LongestPeriodFirst

FP = {"executiontime": 1, "period": 4, "priority": 0}
EDF = {"executiontime": 1, "period": 4, "deadline": 4}
SIM = Capabilities(deterministic=True, trace=True)


@pytest.mark.parametrize("name", LAWS)
def test_a_law_states_what_it_claims_and_its_source(name: str) -> None:
    each = LAWS[name]
    assert each.name == name
    assert each.summary.endswith(".")
    assert "\n\n" in each.about, "the source follows"


def test_laws_are_properties_or_relations() -> None:
    assert {*PROPERTIES, *RELATIONS} == {*LAWS}
    assert not {*PROPERTIES} & {*RELATIONS}
    assert names() == sorted(names())
    assert {*names()} >= {*LAWS}


def test_a_law_is_loaded_by_its_name_or_place() -> None:
    assert load("edf_order") is LAWS["edf_order"]
    assert load("taskgen.testing.properties.jobs:job_counts") is LAWS["job_counts"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("edf_ordre", "property 'edf_ordre': there is none of this name"),
        ("taskgen.testing.properties.jobs:tasks_of", "is no Property and no Relation"),
        ("taskgen.testing.properties.jobs:nothing", "has no 'nothing'"),
    ],
)
def test_what_is_no_law_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        load(name)
    assert raised.value.hint


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(UsageError) as raised:
        load("edf_ordre")
    assert "edf_order" in raised.value.hint


# -- where laws apply


@pytest.mark.parametrize(
    ("name", "tasks", "scheduling", "reason"),
    [
        ("fixed_priority_order", [EDF], {}, "task 0 is scheduled by its deadline under policy auto"),
        ("fixed_priority_order", [EDF], {"policy": "fp"}, "task 0 has no priority"),
        ("fixed_priority_order", [FP], {"policy": "edf"}, "the target schedules by edf, not by fp or auto"),
        ("fixed_priority_order", [FP], {"preemptive": False}, "the target schedules non-preemptively"),
        ("nonpreemptive_edf_order", [EDF], {}, "the target schedules preemptively"),
        ("edf_order", [EDF, FP], {}, "task 1 is scheduled by its priority under policy auto"),
        (
            "fixed_priority_ties",
            [FP],
            {"tie": "index"},
            "tie is index, the law is about ties that the running job wins",
        ),
        ("work_conservation", [FP], {"overheads": True}, "scheduling costs time on the target"),
        ("executes_wcet", [FP], {"execution": "less"}, "jobs don't execute exactly C"),
        ("fixed_priority_response", [FP], {"execution": "unknown"}, "jobs may execute more than C"),
        ("fixed_priority_response", [{**FP, "executiontime": 99_999_999}], {}, "task 0 has no executiontime"),
        ("critical_instant", [{**FP, "offset": 1}], {}, "task 0 has an offset"),
        ("critical_instant", [{**FP, "jitter": 1}], {}, "task 0 has release jitter"),
        ("critical_instant", [{**FP, "numberofjobs": 1}], {}, "task 0 ends after some jobs"),
        ("critical_instant", [FP, FP], {}, "two tasks have the same priority"),
        ("critical_instant", [{**FP, "executiontime": 5}], {}, "the utilization is 1.250, more than 1"),
        ("edf_full_utilization", [{**EDF, "deadline": 3}], {}, "task 0 has a deadline below T"),
        ("edf_full_utilization", [{"executiontime": 1, "deadline": 3}], {}, "task 0 has no period"),
        ("edf_overload", [EDF], {}, "no interval is overloaded"),
        ("edf_overload", [{**EDF, "arrivals": [0, 4]}], {}, "task 0 isn't periodic"),
        ("edf_demand", [{**EDF, "criticaltime": 3}], {}, "task 0 has a criticaltime"),
        ("kill_at_criticaltime", [FP], {}, "no task has a criticaltime"),
        ("kill_at_criticaltime", [FP], {"overrun": "kill"}, "overrun kill ends jobs at deadlines, too"),
        ("less_execution", [FP], {"preemptive": False}, "the target schedules non-preemptively"),
        ("less_execution", [FP], {"policy": "llf"}, "ranks of jobs change under policy llf"),
        ("less_execution", [FP], {"overrun": "skip"}, "overrun is skip, the law is about late jobs that run on"),
        ("longer_periods", [{**FP, "offset": 1}], {}, "task 0 has an offset"),
        ("longer_periods", [EDF, FP], {}, "task 0 is scheduled by its deadline under policy auto; task 1"),
        ("longer_deadlines", [FP], {}, "no task has a deadline of its own"),
        ("mixed_band", [FP], {"policy": "fp"}, "the target schedules by fp, not by auto"),
        ("kill_at_next_release", [FP], {}, "the target is no board"),
        ("admission_respected", [FP], {}, "the target has no admission control"),
    ],
)
def test_a_law_says_why_it_does_not_apply(
    name: str, tasks: list[dict[str, Any]], scheduling: dict[str, Any], reason: str
) -> None:
    assert LAWS[name].skips(TaskSet(tasks), SIM, Scheduling(**scheduling)).startswith(reason)


@pytest.mark.parametrize(
    ("name", "capabilities", "migrates", "reason"),
    [
        ("edf_order", {"trace": False}, False, "the target doesn't trace its scheduler"),
        ("determinism", {"deterministic": False}, False, "the target isn't deterministic"),
        ("job_counts", {"job_limits": False}, False, "the target has no numberofjobs"),
        ("kill_at_criticaltime", {"kill": False}, False, "the target has no criticaltime"),
        ("kill_at_criticaltime", {"outcomes": False}, False, "the target doesn't tell how jobs end"),
        ("jobs_in_order", {"trace": False}, False, "the target doesn't tell when jobs begin to run"),
        ("edf_demand", {"job_numbers": "starts"}, False, "the target counts jobs by their starts"),
        ("edf_demand", {"cores": 2}, True, "jobs migrate between 2 cores, the law is about each by itself"),
        ("longer_periods", {"cores": 3}, True, "the law is about one core, the target has 3"),
        ("less_execution", {"cores": 3}, False, "tasks are placed on 3 cores"),
    ],
)
def test_a_law_says_what_the_target_lacks(name: str, capabilities: dict[str, Any], migrates: bool, reason: str) -> None:
    able = Capabilities(**{"deterministic": True, "trace": True, **capabilities})
    assert LAWS[name].lacks(able, Scheduling(migrates=migrates)).startswith(reason)


def test_a_policy_of_ones_own_is_taken_at_its_word() -> None:
    own = Scheduling.of({"policy": "mine.py:Scheduler"})
    assert own.policy is None
    for name, task in (("fixed_priority_order", FP), ("edf_order", EDF), ("rate_monotonic_order", FP)):
        assert LAWS[name].skips(TaskSet([task]), SIM, own) == ""


def test_how_a_target_schedules_is_read_off_its_options() -> None:
    assert Scheduling.of({}) == Scheduling()
    assert Scheduling.of(
        {"policy": "edf", "migration": "global", "scheduler_ms": 0.1, "overrun": "skip"}
    ) == Scheduling(policy="edf", migrates=True, overheads=True, overrun="skip")
    assert Scheduling.of({"execution": "uniform:0.5"}).execution == "less"
    assert Scheduling.of({"execution": {"kind": "uniform", "low_ms": 1, "high_ms": 9}}).execution == "unknown"
    assert Scheduling.of({"preemptive": False, "tie": "index"}) == Scheduling(preemptive=False, tie="index")


# -- tolerances


def test_simulators_have_no_tolerance_and_each_generation_has_one() -> None:
    assert Tolerance.of({}) == Tolerance.of({"profile": "ideal"}) == ZERO == Tolerance()
    assert set(BOARD_TOLERANCES) == set(GENERATIONS)
    assert Tolerance.of({"dialect": "G4"}) == Tolerance.of({"profile": "G4"}) == BOARD_TOLERANCES["G4"]
    assert Tolerance.of({"dialect": "auto"}) == WIDEST


def test_a_task_alone_is_off_by_the_resolution_and_siblings_add_to_it() -> None:
    g4 = BOARD_TOLERANCES["G4"]
    assert g4.spread_ns(0) == NS_PER_MS
    assert g4.spread_ns(2) == (1 + 2 * 279) * NS_PER_MS
    assert BOARD_TOLERANCES["G3a"].ends_untold
    assert not g4.ends_untold


# -- violations


def first(name: str, tasks: list[dict[str, Any]], horizon_ms: int = 20, **options: Any) -> Violation:
    taskset = TaskSet(tasks)
    return PROPERTIES[name].judge(taskset, simulate(taskset, horizon_ms=horizon_ms, **options))[0]


INVERSION = "expected it to run before job 0 of task 1; saw it waits, the other one runs until 4.0 ms"
LATE = "expected completion by 10.0 ms, as no interval is overloaded; saw EXIT_EXTERNAL at 20.0 ms"
PAIR = [{"executiontime": 2, "period": 5, "priority": 0}, {"executiontime": 4, "period": 10, "priority": 1}]


def test_a_violation_names_job_time_expected_and_seen() -> None:
    found = first("fixed_priority_order", PAIR, policy=Inverted)
    assert found.job == (0, 0)
    assert found.time_ns == 0
    assert str(found) == f"job 0 of task 0 at 0.0 ms: {INVERSION}"


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        (
            "fixed_priority_response", {"policy": Inverted},
            "job 0 of task 0 at 6.0 ms: expected a response of at most 2.0 ms; saw EXIT after 6.0 ms",
        ),
        (
            "rate_monotonic_order", {"policy": LongestPeriodFirst},
            f"job 0 of task 0 at 0.0 ms: {INVERSION}",
        ),
        (
            "critical_instant", {"policy": Inverted},
            "the run at 8.0 ms: expected a largest response time of 2.0 ms of task 0; saw 6.0 ms",
        ),
        (
            "nonpreemptive_fixed_priority_order", {"policy": "fp"},
            "job 0 of task 1 at 5.0 ms: expected it to keep its core up to its end; saw PREEMPT",
        ),
        (
            "executes_wcet", {"policy": "fp", "execution": {"kind": "uniform", "low_ms": 1, "high_ms": 1}},
            "job 0 of task 0 at 1.0 ms: expected 2.0 ms of execution; saw 1.0 ms up to its EXIT",
        ),
        (
            "edf_demand", {"policy": "fp", "preemptive": False, "context_switch_ms": 3},
            f"job 0 of task 1 at 10.0 ms: {LATE}",
        ),
        (
            "jobs_in_order", {"policy": "fp"}, "",
        ),
    ],
)  # fmt: skip
def test_violations_by_hand(name: str, options: dict[str, Any], text: str) -> None:
    """Task 0: C = 2, T = 5; task 1: C = 4, T = 10."""
    taskset = TaskSet(PAIR)
    found = PROPERTIES[name].judge(taskset, simulate(taskset, horizon_ms=20, **options))
    assert (str(found[0]) if found else "") == text


def test_the_first_miss_under_overload_is_known() -> None:
    """C = 3, D = 4 twice: by 4 ms 6 ms of work are due. EDF misses then; a horizon before that shows nothing."""
    tasks = [{"executiontime": 3, "period": 4}, {"executiontime": 3, "period": 4}]
    taskset = TaskSet(tasks)
    overload = PROPERTIES["edf_overload"]
    for horizon_ms in (3, 20):
        assert overload.judge(taskset, simulate(taskset, policy="edf", horizon_ms=horizon_ms)) == []
    light = simulate(taskset, policy="edf", horizon_ms=20, execution={"kind": "uniform", "low_ms": 1, "high_ms": 1})
    assert str(overload.judge(taskset, light)[0]) == (
        "the run at 4.0 ms: expected the first miss of a deadline, as 6.0 ms of work are due by 4.0 ms; saw no miss"
    )


def test_violations_are_bounded() -> None:
    taskset = TaskSet([{"executiontime": 2, "period": 2}])
    trace = simulate(taskset, policy="rm", horizon_ms=200)
    other = Trace(simulate(TaskSet([{"executiontime": 1, "period": 2}]), policy="rm", horizon_ms=2).tasks.values())
    other.extend(trace.events)
    assert len(PROPERTIES["executes_wcet"].judge(taskset, other)) == MOST_VIOLATIONS


def test_users_write_laws_of_their_own() -> None:
    @law()
    def at_most_ten_jobs(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
        """No run has more than ten jobs.

        Nobody's theorem.
        """
        for job in trace.jobs[10:]:
            yield Violation((job.task_id, job.index), job.release_ns, "ten jobs", "one more")

    taskset = TaskSet([FP])
    assert at_most_ten_jobs.summary == "No run has more than ten jobs."
    assert at_most_ten_jobs.skips(taskset, SimSession.capabilities) == ""
    assert at_most_ten_jobs.judge(taskset, simulate(taskset, horizon_ms=40)) == []
    assert len(at_most_ten_jobs.judge(taskset, simulate(taskset, horizon_ms=44))) == 1


def test_laws_need_neither_a_simulator_nor_hypothesis() -> None:
    look = (
        "import sys, taskgen.testing.properties, taskgen.testing.runs;"
        "print(*sorted({'simpy', 'sim', 'hil', 'hypothesis', 'lxml', 'typer', 'numpy'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []
