"""The schedule of a short run as text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import simulate
from taskgen import TaskSet
from taskgen.report.lanes import lanes
from taskgen.strategies import tasksets

TWO = TaskSet(
    [{"executiontime": 1, "period": 4, "priority": 0}, {"executiontime": 5, "period": 8, "priority": 1, "offset": 1}]
)


def test_a_task_runs_waits_or_has_no_job() -> None:
    assert lanes(simulate(TWO, policy="fp", horizon_ms=8)) == [
        "task 0 |####            ####            |",
        "task 1 |    ############----########    |",
        "        0                         8.0 ms   # runs, - waits",
    ]


def test_where_the_scheduler_is_not_traced_jobs_live() -> None:
    trace = simulate(TaskSet([{"executiontime": 74, "period": 900, "numberofjobs": 1}]), profile="G4", horizon_ms=200)
    assert lanes(trace, 100_000_000) == [
        "task 0 |             =====================================|",
        "        0                                         100.0 ms   = lives",
    ]


def test_a_picture_may_end_before_the_run() -> None:
    trace = simulate(TWO, policy="fp", horizon_ms=8)
    assert lanes(trace, 2_000_000)[:2] == ["task 0 |####    |", "task 1 |    ####|"]
    assert lanes(trace, 10**12) == lanes(trace)


def test_what_is_shorter_than_a_column_has_one() -> None:
    ticks = TaskSet([{"executiontime": 1, "period": 1000, "priority": 0, "offset": 500}])
    row, _ = lanes(simulate(ticks, policy="fp", horizon_ms=1000))
    assert row == f"task 0 |{' ' * 30}#{' ' * 29}|"


@pytest.mark.parametrize("tasks", [0, 21])
def test_what_is_no_picture_is_not_drawn(tasks: int) -> None:
    many = TaskSet([{"executiontime": 1, "period": 100, "priority": 1}] * max(tasks, 1))
    assert lanes(simulate(many, policy="fp", horizon_ms=50), until_ns=tasks * 1_000_000) == []


@settings(max_examples=40, deadline=None)
@given(tasksets(n=4, max_utilization=None, max_period=30, max_offset=9), st.integers(1, 90))
def test_a_picture_fits_and_is_as_wide_as_the_run(taskset: TaskSet, horizon_ms: int) -> None:
    """In whole milliseconds, which have a column each: as many as were executed."""
    trace = simulate(taskset, horizon_ms=horizon_ms)
    *rows, _ = lanes(trace) or [""]
    assert len({len(row) for row in rows}) <= 1
    assert all(len(row) <= 70 for row in rows)
    if rows and horizon_ms <= 60:
        unit = sum(row.count("#") for row in rows) / sum(job.executed_ns or 0 for job in trace.jobs)
        width = rows[0].index("|", 9) - rows[0].index("|") - 1
        assert unit == width / trace.end_ns
