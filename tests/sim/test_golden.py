"""The simulator against recorded simulations of an independent, exact one: `golden.json` beside the repository."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sim import simulate
from taskgen import TaskSet, Trace
from taskgen.units import NS_PER_MS

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden.json"

#: What each flag of `tie_independent` covers, and how to look at it.
FIELDS: dict[str, Callable[[dict[str, Any]], object]] = {
    "any_miss": lambda answer: answer["misses"] > 0,
    "first_miss_time": lambda answer: answer["first_miss_time"],
    "miss_count": lambda answer: answer["misses"],
    "max_response": lambda answer: answer["max_response"],
}


def exact(number: object) -> Fraction:
    return Fraction(str(number))


def load(wanted: Callable[[dict[str, Any]], bool]) -> list[Any]:
    """Return a parameter for each case that is wanted."""
    if not GOLDEN.is_file():
        return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=f"there is no {GOLDEN}"))]
    cases = json.loads(GOLDEN.read_text("utf-8"))["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases if wanted(case)]


def is_recorded(case: dict[str, Any]) -> bool:
    return "simulation" in case


def is_expected(case: dict[str, Any]) -> bool:
    return "sim" in case["expect"]


def is_killed(case: dict[str, Any]) -> bool:
    return bool(case["expect"].get("overrun") == "kill at deadline")


def options_of(case: dict[str, Any]) -> dict[str, Any]:
    """Several processors mean global migration, NP- nobody is preempted."""
    migration = "global" if case["processors"] > 1 else "partitioned"
    return {
        "cores": case["processors"], "migration": migration, "preemptive": not case["policy"].startswith("NP-"),
    }  # fmt: skip


def scale_of(case: dict[str, Any]) -> int:
    """Return the factor that makes all times of a case whole nanoseconds."""
    times = [exact(task[key]) for task in case["tasks"] for key in "CTDOJ" if task[key] is not None]
    times += [
        exact(part["horizon"]) for part in (case["simulation"], case["expect"].get("sim", {})) if "horizon" in part
    ]
    return math.lcm(*((time * NS_PER_MS).denominator for time in times))


def describe(case: dict[str, Any], scale: int) -> TaskSet:
    keys = {"C": "executiontime", "T": "period", "D": "deadline", "O": "offset", "J": "jitter"}
    levels = sorted({exact(task["P"]) for task in case["tasks"] if task["P"] is not None})
    tasks = []
    for number, task in enumerate(case["tasks"]):
        description: dict[str, Any] = {"id": number}
        description |= {name: exact(task[key]) * scale for key, name in keys.items() if task[key] is not None}
        if task["P"] is not None:
            description["priority"] = levels.index(exact(task["P"]))
        tasks.append(description)
    return TaskSet(tasks)


def simulated(case: dict[str, Any], tie: str) -> dict[str, Any]:
    """Simulate a case and return its answer in the units and fields of the record."""
    scale = scale_of(case)
    record = case["simulation"]
    trace = simulate(
        describe(case, scale),
        policy=record["policy"].lower(),
        overrun=record["overrun"],
        tie=tie,
        horizon_ms=exact(record["horizon"]) * scale,
        **options_of(case),
    )

    def unscaled(ns: int | None) -> Fraction | None:
        return None if ns is None else Fraction(ns, NS_PER_MS * scale)

    first = min(trace.misses, key=lambda job: (job.deadline_ns or 0, job.task_id), default=None)
    return {
        "misses": len(trace.misses),
        "first_miss_time": unscaled(first.deadline_ns) if first else None,
        "first_miss_task": case["tasks"][first.task_id]["name"] if first else None,
        "max_response": [unscaled(trace.max_response_ns.get(number)) for number in range(len(case["tasks"]))],
    }


def parsed(answer: dict[str, Any]) -> dict[str, Any]:
    time = answer["first_miss_time"]
    return answer | {
        "first_miss_time": None if time is None else exact(time),
        "max_response": [None if value is None else exact(value) for value in answer["max_response"]],
    }


@pytest.mark.parametrize("case", load(is_recorded))
def test_ties_broken_by_index_give_the_recorded_answer(case: dict[str, Any]) -> None:
    assert simulated(case, "index") == parsed(case["simulation"]["tie_index"])


@pytest.mark.parametrize("case", load(is_recorded))
def test_the_default_rule_agrees_where_ties_do_not_matter(case: dict[str, Any]) -> None:
    answer, recorded = simulated(case, "running"), parsed(case["simulation"]["tie_index"])
    for name, look in FIELDS.items():
        if case["simulation"]["tie_independent"][name]:
            assert look(answer) == look(recorded), name


@pytest.mark.parametrize("case", load(is_recorded))
def test_the_default_rule_gives_the_answer_recorded_for_it(case: dict[str, Any]) -> None:
    """Where ties matter, a record under "the running job keeps the core" exists, too."""
    record = case["simulation"]
    keeps = record.get("tie_running_keeps_cpu", record["tie_index"])
    if keeps is record["tie_index"]:
        assert all(record["tie_independent"].values()), "ties matter, so the case has a record of its own"
    assert simulated(case, "running") == parsed(keeps)


def test_all_records_are_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """55 simulations, 16 expected schedules, one with kills; the rest is printed with reasons."""
    if not GOLDEN.is_file():
        pytest.skip(f"there is no {GOLDEN}")
    cases = json.loads(GOLDEN.read_text("utf-8"))["cases"]
    assert [sum(map(wanted, cases)) for wanted in (is_recorded, is_expected, is_killed)] == [55, 16, 1]
    with capsys.disabled():
        for case in cases:
            if not is_recorded(case):
                print(f"\n  {case['name']}: {reason(case)}", end="")  # noqa: T201  # for whoever reads the log
        print()  # noqa: T201  # the dot of the test goes on its own line


def reason(case: dict[str, Any]) -> str:
    """Return why a case isn't simulated."""
    if case["policy"] in {"FP", "EDF", "FIFO"}:
        return f"{case['policy']}: a result of analysis, nothing was simulated ({', '.join(case['expect'])})"
    return f"{case['policy']}: no scheduling of independent jobs that the simulator knows"


# -- schedules that publications describe ----------------------------------------------------------------------------


@pytest.mark.parametrize("case", load(is_expected))
def test_the_expected_schedule_comes_about(case: dict[str, Any]) -> None:
    """First miss, misses, largest responses, completions: whatever the source says."""
    wanted, scale = case["expect"]["sim"], scale_of(case)
    independent = all(case["simulation"]["tie_independent"].values()) and "tie" not in wanted
    for tie in ["index", "running"] if independent else ["index"]:
        trace = simulate(
            describe(case, scale),
            policy=wanted.get("policy", case["policy"].split("-")[-1]).lower(),
            tie=tie,
            horizon_ms=exact(wanted["horizon"]) * scale,
            **options_of(case),
        )
        for key, look in SCHEDULE.items():
            if key in wanted:
                look(wanted[key], trace, case["tasks"], NS_PER_MS * scale)
    assert wanted.keys() <= {"release", "policy", "tie", "horizon", "note"} | SCHEDULE.keys()


def check_first_miss(wanted: dict[str, Any], trace: Trace, tasks: list[Any], unit: int) -> None:
    first = min(trace.misses, key=lambda job: (job.deadline_ns or 0, job.task_id))
    assert Fraction(first.deadline_ns or 0, unit) == exact(wanted["time"])
    if "task" in wanted:
        assert (tasks[first.task_id]["name"], first.index) == (wanted["task"], wanted["job"])
    if "finish" in wanted:
        assert Fraction(first.finish_ns or 0, unit) == exact(wanted["finish"])


def check_completions(wanted: dict[str, int], trace: Trace, tasks: list[Any], unit: int) -> None:
    """Long-run averages: one more or less at the end."""
    for number, task in enumerate(tasks):
        assert abs(len(trace.response_times(number)) - wanted[task["name"]]) <= 1


def check_completion_times(wanted: list[list[Any]], trace: Trace, tasks: list[Any], unit: int) -> None:
    finished = [
        [Fraction(job.finish_ns or 0, unit) if job.response_ns is not None else None for job in trace.jobs_of(number)]
        for number in range(len(tasks))
    ]
    assert sorted(finished, key=str) == sorted(
        ([None if t is None else exact(t) for t in row] for row in wanted), key=str
    )


SCHEDULE: dict[str, Callable[[Any, Trace, list[Any], int], None]] = {
    "first_miss": check_first_miss,
    "misses": lambda wanted, trace, tasks, unit: _equal(len(trace.misses), wanted),
    "max_response": lambda wanted, trace, tasks, unit: _equal(
        {task["name"]: Fraction(trace.max_response_ns[number], unit) for number, task in enumerate(tasks)}, wanted
    ),
    "jobs_released_per_task": lambda wanted, trace, tasks, unit: _equal(
        [len(list(trace.jobs_of(number))) for number in range(len(tasks))], [wanted] * len(tasks)
    ),
    "completions": check_completions,
    "completions_multiset": check_completion_times,
}


def _equal(seen: object, wanted: object) -> None:
    assert seen == wanted


@pytest.mark.parametrize("case", load(is_killed))
def test_jobs_killed_at_their_deadlines_have_executed_what_was_published(case: dict[str, Any]) -> None:
    horizon_ms = case["expect"]["hyperperiod"]
    trace = simulate(
        describe(case, 1), policy=case["policy"].lower(), overrun="kill", horizon_ms=horizon_ms, **options_of(case)
    )
    for number, task in enumerate(case["tasks"]):
        executed = [Fraction(job.executed_ns or 0, NS_PER_MS) for job in trace.jobs_of(number)]
        assert executed == case["expect"]["executed"][task["name"]]
