"""The analysis against the numbers of golden.json: bounds, response times and verdicts."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from taskgen import analysis
from taskgen.horizon import hyperperiod_ns
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS
from tests.taskgen.analysed import in_ms

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden.json"
CASES = json.loads(GOLDEN.read_text("utf-8"))["cases"] if GOLDEN.is_file() else []
NO_GOLDEN = [pytest.param(None, id="none", marks=pytest.mark.skip(reason=f"there is no {GOLDEN}"))]
_KEYS = {"C": "executiontime", "T": "period", "D": "deadline", "O": "offset", "J": "jitter"}


def describe(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tasks of a case in units that make all times whole nanoseconds."""
    levels = sorted({task["P"] for task in case["tasks"] if task["P"] is not None})
    result = []
    for number, task in enumerate(case["tasks"]):
        description: dict[str, Any] = {"id": number}
        description |= {name: Fraction(str(task[key])) for key, name in _KEYS.items() if task[key] is not None}
        if task["P"] is not None:
            description["priority"] = levels.index(task["P"])
        result.append(description)
    return result


def golden(*policies: str, key: str) -> list[Any]:
    """Return the cases of these policies on one core that state `key` and need no model beyond ours."""
    return [
        pytest.param(case, id=case["name"])
        for case in CASES
        if case["processors"] == 1
        and case["policy"] in policies
        and case["expect"].get(key) is not None
        and case.get("time_model", "continuous") == "continuous"
        and not any("S" in task for task in case["tasks"])  # self-suspension
        and "offsets" not in case["expect"].get("model", "")
    ] or NO_GOLDEN


def blocking(case: dict[str, Any]) -> dict[int, int]:
    return {number: int(Fraction(str(task["B"])) * NS_PER_MS) for number, task in enumerate(case["tasks"])}


@pytest.mark.parametrize("case", golden("FP", "RM", "DM", "NP-FP", key="wcrt"))
def test_golden_response_times(case: dict[str, Any]) -> None:
    tasks = parameters_of(describe(case))
    if case["policy"] == "NP-FP":
        bounds = analysis.nonpreemptive_response_times(tasks)
    else:
        bounds = analysis.response_times(tasks, blocking_ns=blocking(case))
    for task, bound, known in zip(tasks, in_ms(bounds), case["expect"]["wcrt"], strict=True):
        if known is None:  # a tool gave up at the deadline
            assert bound is None or bound * NS_PER_MS > (task.effective_deadline_ns or 0)
        else:
            assert bound == known


@pytest.mark.parametrize("case", golden("FP", "RM", "DM", key="schedulable"))
def test_golden_verdicts_of_fixed_priorities(case: dict[str, Any]) -> None:
    tasks = parameters_of(describe(case))
    assert analysis.is_schedulable(tasks, blocking_ns=blocking(case)) == case["expect"]["schedulable"]


@pytest.mark.parametrize("case", golden("EDF", key="schedulable") + golden("EDF vs RM", key="edf_schedulable"))
def test_golden_verdicts_of_edf(case: dict[str, Any]) -> None:
    expected = case["expect"]
    tasks = parameters_of(describe(case))
    overload = analysis.first_overload(tasks)
    assert (overload is None) == (analysis.qpa(tasks) is None)
    assert (overload is None) == expected.get("schedulable", expected.get("edf_schedulable"))
    if "first_overload" in expected:
        assert overload is not None
        assert [ns / NS_PER_MS for ns in overload] == [
            expected["first_overload"]["t"],
            expected["first_overload"]["dbf"],
        ]


@pytest.mark.parametrize("case", golden("EDF", "FP", "RM", "EDF vs RM", key="utilization"))
def test_golden_utilization(case: dict[str, Any]) -> None:
    expected = case["expect"]
    tasks = parameters_of(describe(case))
    assert float(analysis.utilization(tasks)) == pytest.approx(expected["utilization"])
    if "ll_test_passes" in expected:
        assert analysis.liu_layland_holds(tasks) == expected["ll_test_passes"]
    if "hyperbolic_test_passes" in expected:
        assert analysis.hyperbolic_bound_holds(tasks) == expected["hyperbolic_test_passes"]
    if "hyperperiod" in expected:
        assert hyperperiod_ns(tasks) / NS_PER_MS == expected["hyperperiod"]


@pytest.mark.parametrize("case", golden("RM bound", key="bound"))
def test_golden_liu_layland_bounds(case: dict[str, Any]) -> None:
    for number, bound in case["expect"]["bound"].items():
        assert analysis.liu_layland_bound(int(number)) == pytest.approx(bound, abs=1e-6)


def test_quick_processor_demand_analysis_takes_seven_steps() -> None:
    """Zhang & Burns 2009, the set of 8 tasks: L_a = 15356.97, L_b = 16984."""
    case = next((case for case in CASES if case["name"] == "qpa-zhang-burns-8"), None)
    if case is None:
        pytest.skip(f"there is no {GOLDEN}")
    tasks = parameters_of(describe(case))
    steps = [(step.interval_ns // NS_PER_MS, step.demand_ns // NS_PER_MS) for step in analysis.qpa_steps(tasks)]
    assert steps == [tuple(step) for step in case["expect"]["qpa_steps"]]
    assert analysis.synchronous_busy_period_ns(tasks) == case["expect"]["Lb"] * NS_PER_MS
