"""Execution times that differ from job to job: distributions, recordings, where they are given, what they keep."""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import SimSession, simulate
from sim.distributions import KINDS
from sim.execution import distribution
from sim.workload import load
from taskgen import TaskSet
from taskgen.errors import InputError, UsageError
from taskgen.parameters import Parameters, parameters_of
from taskgen.units import NS_PER_MS

TABLES: list[dict[str, Any]] = [
    {"kind": "uniform", "low_ms": 2, "high_ms": 5},
    {"kind": "share", "low": 0.4},
    {"kind": "normal", "mean_ms": 3, "deviation_ms": 1, "low_ms": 1, "high_ms": 6},
    {"kind": "weibull", "shape": 1.5, "scale_ms": 2, "offset_ms": 1},
    {"kind": "discrete", "values_ms": [1, 2, 4.5], "weights": [5, 4, 1]},
    {"kind": "recording", "values_ms": [1.25, 2.5, 3.75]},
]


def task(**attributes: Any) -> Parameters:
    return parameters_of(TaskSet([{"period": 100, **attributes}]))[0]


def draws(table: dict[str, Any], number: int = 2000, seed: int = 0, **attributes: Any) -> list[int]:
    execution_ns = distribution(table, "test").work(task(**attributes), seed)
    return [execution_ns(job) for job in range(number)]


def mean_ms(times_ns: list[int]) -> float:
    return sum(times_ns) / len(times_ns) / NS_PER_MS


def test_there_is_an_example_of_each_kind() -> None:
    assert {table["kind"] for table in TABLES} == {"share", *KINDS}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["kind"])
def test_a_draw_depends_on_seed_task_and_job_alone(table: dict[str, Any]) -> None:
    one = draws(table, executiontime=9)
    assert one == draws(table, executiontime=9)
    assert one != draws(table, executiontime=9, seed=1)
    assert one != draws(table, executiontime=9, id=1)
    work = distribution(table, "test").work(task(executiontime=9), 0)
    assert [work(job) for job in reversed(range(2000))] == one[::-1]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["kind"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(), wcet_ns=st.integers(1, 10 * NS_PER_MS))
def test_no_draw_exceeds_the_worst_case(table: dict[str, Any], seed: int, wcet_ns: int) -> None:
    wcet_ms = Decimal(wcet_ns) / NS_PER_MS
    assert all(type(time) is int and 1 <= time <= wcet_ns for time in draws(table, 20, seed, executiontime=wcet_ms))


# -- shapes: the sample of a fixed seed against the theory -----------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "expected_ms", "deviation_ms"),
    [
        (TABLES[0], 3.5, 3 / math.sqrt(12)),
        (TABLES[1], 0.7 * 10, 6 / math.sqrt(12)),
        ({"kind": "normal", "mean_ms": 5, "deviation_ms": 1}, 5, 1),
        ({"kind": "weibull", "shape": 1, "scale_ms": 2}, 2, 2),  # exponential
        ({"kind": "weibull", "shape": 2, "scale_ms": 2}, math.sqrt(math.pi), 2 * math.sqrt(1 - math.pi / 4)),
        (TABLES[4], 0.5 * 1 + 0.4 * 2 + 0.1 * 4.5, 1.03),
        (TABLES[5], 2.5, 1.03),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_the_mean_is_that_of_the_theory(table: dict[str, Any], expected_ms: float, deviation_ms: float) -> None:
    attributes = {"executiontime": 10} if table["kind"] == "share" else {}
    assert mean_ms(draws(table, **attributes)) == pytest.approx(expected_ms, abs=4 * deviation_ms / math.sqrt(2000))


def test_a_truncated_normal_stays_inside_and_keeps_its_shape() -> None:
    times = draws(TABLES[2])
    assert all(NS_PER_MS <= time <= 6 * NS_PER_MS for time in times)
    assert len(set(times)) > 1990  # nothing piles up at the bounds


def test_discrete_values_come_as_often_as_they_weigh() -> None:
    times = draws(TABLES[4])
    assert set(times) == {NS_PER_MS, 2 * NS_PER_MS, 9 * NS_PER_MS // 2}
    assert times.count(NS_PER_MS) / 2000 == pytest.approx(0.5, abs=0.05)
    assert 0 not in draws({"kind": "discrete", "values_ms": [3, 0.5], "weights": [0, 1]}, 50)
    assert set(draws({"kind": "discrete", "values_ms": [3, 0.5], "weights": [0, 1]}, 50)) == {NS_PER_MS // 2}


def test_a_recording_is_replayed_in_its_order() -> None:
    table = {"kind": "recording", "values_ms": [1, 2, 3], "order": "sequence"}
    assert [time // NS_PER_MS for time in draws(table, 7)] == [1, 2, 3, 1, 2, 3, 1]


def test_a_recording_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "times.txt").write_text("1.5\n2\n\n")
    (tmp_path / "times.csv").write_text("run,ms\n1,3\n2,\n3,4.25\n")
    (tmp_path / "empty.csv").write_text("run,ms\n")
    table = {"kind": "recording", "order": "sequence"}
    plain = distribution(table | {"file": "times.txt"}, "test", tmp_path)
    assert plain == distribution(table | {"values_ms": [Decimal("1.5"), 2]}, "test")
    column = distribution(table | {"file": "times.csv", "column": "ms"}, "test", tmp_path)
    assert column == distribution(table | {"values_ms": [3, Decimal("4.25")]}, "test")
    for wrong, message in (
        ({"file": "nowhere.txt"}, "can't be read"),
        ({"file": "times.csv"}, "expected a number of milliseconds per line"),
        ({"file": "times.csv", "column": "s"}, "has no column 's'"),
        ({"file": "empty.csv", "column": "s"}, "has no column 's'"),
        ({"file": "empty.csv", "column": "ms"}, "expected at least one value"),
        ({"file": "\0"}, "embedded null byte"),
        ({"file": "times.csv", "values_ms": [1]}, "file and values_ms contradict each other"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            distribution(table | wrong, "test", tmp_path)
        assert caught.value.hint


# -- where it is given -----------------------------------------------------------------------------------------------


def test_jobs_execute_what_was_drawn_on_any_model() -> None:
    """One core, several, rows, traces, overheads: the same job computes for the same time."""
    tasks = TaskSet([{"executiontime": 4, "period": 10, "id": i} for i in range(3)])
    table = {"kind": "uniform", "low_ms": 1, "high_ms": 3}
    wanted = {
        (each.id, job): distribution(table, "").work(each, 5)(job) for each in parameters_of(tasks) for job in range(4)
    }
    given: dict[str, Any] = {"policy": "rm", "execution": table, "seed": 5}
    for own in ({}, {"cores": 2}, {"cores": 2, "migration": "global"}, {"context_switch_ms": 0.01}):
        options = given | own
        for trace in (simulate(tasks, horizon_ms=40, **options), SimSession(**options).jobs(tasks, horizon_ms=40)):
            done = {(j.task_id, j.index): j.executed_ns for j in trace.jobs if j.response_ns is not None}
            assert done == {key: wanted[key] for key in done}
            assert len(done) == 12


def test_each_task_may_have_its_own_by_id_or_by_program() -> None:
    tasks = TaskSet([{"period": 10, "pkg": "a"}, {"period": 10, "pkg": "b"}, {"period": 10, "executiontime": 1}])
    execution = {0: {"kind": "discrete", "values_ms": [2]}, "b": {"kind": "discrete", "values_ms": [3]}}
    trace = simulate(tasks, policy="rm", execution=execution, horizon_ms=10)
    assert [(job.executed_ns or 0) // NS_PER_MS for job in trace.jobs] == [2, 3, 1]


def test_a_workload_table_may_hold_distributions(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[sort]\ndistribution = { kind = "uniform", low_ms = 2.5, high_ms = 5 }\n[copy]\nconstant_ms = 1\n')
    assert load(path).programs["sort"].distribution == distribution(
        {"kind": "uniform", "low_ms": Decimal("2.5"), "high_ms": 5}, ""
    )
    tasks = TaskSet([{"period": 10, "pkg": "sort"}, {"period": 10, "pkg": "sort", "executiontime": 3}])
    trace = simulate(tasks, policy="rm", workload=path, horizon_ms=100)
    free, bound = ([job.executed_ns or 0 for job in trace.jobs_of(i)] for i in range(2))
    assert 2.5 * NS_PER_MS <= min(free) <= max(free) <= 5 * NS_PER_MS
    assert max(bound) <= 3 * NS_PER_MS


def test_where_execution_times_vary_no_horizon_is_exact() -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 4}])
    assert not SimSession(execution={"kind": "share", "low": 0.5}).check(tasks).exact


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (3, "execution: expected a table with the key kind, got 3"),
        ({"kind": "gauss"}, "execution: kind: 'gauss' is no distribution, expected uniform, normal"),
        ({"kind": "uniform", "low_ms": 1}, "execution: high_ms: missing, the kind 'uniform' needs it"),
        ({"kind": "uniform", "from": 1}, "execution: from is no key of the kind 'uniform'"),
        ({"kind": "uniform", "low": 0, "high_ms": 1}, "execution: high_ms: is a time, but others are shares of C"),
        ({"kind": "share", "low_ms": 1}, "execution: low_ms: is a time, but others are shares of C"),
        ({"kind": "uniform", "low": 0.5, "high": 0.25}, "high: 0.25 is out of range, expected at least low, 0.5"),
        ({"kind": "normal", "mean": 80, "deviation": 1}, "mean: 80 is out of range, expected a share of C, 0..1"),
        ({"kind": "normal", "mean": 0.5}, "execution: deviation: missing, the kind 'normal' needs it"),
        ({"kind": "discrete", "values_ms": [Decimal("1e-999999")]}, "values_ms[0]: 1E-999999 is out of range"),
        ({"kind": "uniform", "low_ms": 3, "high_ms": 1}, "execution: high_ms: 1 is out of range, expected at least"),
        ({"kind": "uniform", "low_ms": -1, "high_ms": 1}, "execution: low_ms: -1 is out of range"),
        ({"kind": "uniform", "low_ms": "1", "high_ms": 1}, "execution: low_ms: '1' is no number"),
        ({"kind": "uniform", "low_ms": float("nan"), "high_ms": 1}, "execution: low_ms: nan is out of range"),
        ({"kind": "share", "low": 0.5, "high": 1.5}, "high: 1.5 is out of range, expected a share of C, 0..1"),
        ({"kind": "normal", "mean_ms": 1, "deviation_ms": 0}, "deviation_ms: 0 is out of range"),
        ({"kind": "normal", "mean_ms": 1, "deviation_ms": 1, "low_ms": 5, "high_ms": 4}, "high_ms: 4 is out of range"),
        ({"kind": "normal", "mean_ms": 1, "deviation_ms": 1, "low_ms": 500}, "bounds that the curve reaches"),
        ({"kind": "normal", "mean_ms": 99, "deviation_ms": 1, "high_ms": 61}, "bounds that the curve reaches"),
        ({"kind": "weibull", "shape": 0, "scale_ms": 1}, "shape: 0 is out of range"),
        ({"kind": "weibull", "shape": 1, "scale_ms": 0}, "scale_ms: 0 is out of range"),
        ({"kind": "discrete", "values_ms": []}, "values_ms: [] is out of range, expected at least one"),
        ({"kind": "discrete", "values_ms": 3}, "values_ms: 3 is no list"),
        ({"kind": "discrete", "values_ms": [1], "weights": [1, 2]}, "expected one for each value"),
        ({"kind": "recording", "values_ms": [1], "order": "backwards"}, "order: 'backwards' is out of range"),
        ({"kind": "discrete", "values_ms": [1], "weights": [-1]}, "weights[0]: -1 is out of range, expected a number"),
        ("recording:a.csv,ms,sequence", "3 words, expected FILE or FILE,COLUMN"),
        ("recording:", "0 words, expected FILE or FILE,COLUMN"),
        ({0: {"kind": "uniform"}}, "execution: 0: low_ms, high_ms: missing"),
    ],
)
def test_what_is_no_distribution_is_refused_with_one_line(table: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        SimSession(execution=table)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_share_of_an_unknown_time_is_refused() -> None:
    with pytest.raises(InputError, match="task 0: has no executiontime, the distribution 'uniform' of shares"):
        simulate(TaskSet([{"period": 4, "pkg": "hey"}]), execution={"kind": "share", "low": 0.5})


def test_a_distribution_for_nobody_is_refused() -> None:
    with pytest.raises(InputError, match="the set has no task with the id 7"):
        simulate(TaskSet([{"period": 4, "executiontime": 1}]), execution={7: {"kind": "share", "low": 0.5}})


def test_a_program_has_a_distribution_or_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[sort]\nconstant_ms = 1\ndistribution = { kind = "discrete", values_ms = [1] }\n')
    with pytest.raises(UsageError, match=r"\[sort\]: distribution: says all, leave constant_ms out"):
        load(path)
