"""The simulator against recorded simulations of an independent, exact one: `golden.json` beside the repository."""

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from sim import simulate
from taskgen import TaskSet
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


def load() -> list[Any]:
    """Return a parameter for each case with one core, a preemptive policy and a recorded simulation."""
    if not GOLDEN.is_file():
        return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=f"there is no {GOLDEN}"))]
    return [
        pytest.param(case, id=case["name"])
        for case in json.loads(GOLDEN.read_text("utf-8"))["cases"]
        if case["processors"] == 1 and not case["policy"].startswith("NP-") and "simulation" in case
    ]


def scale_of(case: dict[str, Any]) -> int:
    """Return the factor that makes all times of a case whole nanoseconds."""
    times = [exact(task[key]) for task in case["tasks"] for key in "CTDOJ" if task[key] is not None]
    times.append(exact(case["simulation"]["horizon"]))
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


@pytest.mark.parametrize("case", load())
def test_ties_broken_by_index_give_the_recorded_answer(case: dict[str, Any]) -> None:
    assert simulated(case, "index") == parsed(case["simulation"]["tie_index"])


@pytest.mark.parametrize("case", load())
def test_the_default_rule_agrees_where_ties_do_not_matter(case: dict[str, Any]) -> None:
    answer, recorded = simulated(case, "running"), parsed(case["simulation"]["tie_index"])
    for name, look in FIELDS.items():
        if case["simulation"]["tie_independent"][name]:
            assert look(answer) == look(recorded), name


@pytest.mark.parametrize("case", load())
def test_the_default_rule_gives_the_answer_recorded_for_it(case: dict[str, Any]) -> None:
    """Where ties matter, a record under "the running job keeps the core" exists, too."""
    record = case["simulation"]
    keeps = record.get("tie_running_keeps_cpu", record["tie_index"])
    if keeps is record["tie_index"]:
        assert all(record["tie_independent"].values()), "ties matter, so the case has a record of its own"
    assert simulated(case, "running") == parsed(keeps)
