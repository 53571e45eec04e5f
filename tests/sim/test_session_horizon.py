"""SimSession at the horizon: what still counts, what is cut off, and where a trace ends."""

import pytest

from sim import SimSession, simulate
from taskgen import EventType, TaskSet
from taskgen.units import NS_PER_MS
from tests.sim.event_lines import lines

# -- horizon ---------------------------------------------------------------------------------------------------------


def test_at_the_horizon_completions_count_and_nothing_is_released() -> None:
    """The job ends at 4, the horizon: it is complete and met its deadline; the next isn't released."""
    trace = simulate(TaskSet([{"executiontime": 4, "period": 4}]), horizon_ms=4)
    assert [(str(job.outcome), job.missed) for job in trace.jobs] == [("EXIT", False)]
    assert trace.end_ns == 4 * NS_PER_MS


def test_at_the_horizon_nothing_is_dispatched() -> None:
    """Task 0 ends at the horizon and task 1, ready, doesn't start any more: it is cut off, without a start."""
    tasks = TaskSet(
        [{"executiontime": 3, "period": 9, "priority": 0}, {"executiontime": 1, "period": 9, "priority": 1}]
    )
    trace = simulate(tasks, horizon_ms=3)
    assert lines(trace.events)[-2:] == [(3, "EXIT", 0, 0), (3, "EXIT_EXTERNAL", 1, 0)]
    assert trace.jobs[1].start_ns is None


def test_a_kill_of_that_instant_counts() -> None:
    trace = simulate(TaskSet([{"executiontime": 5, "period": 9, "criticaltime": 3}]), horizon_ms=3)
    assert [str(job.outcome) for job in trace.jobs] == ["EXIT_CRITICAL"]


@pytest.mark.parametrize(("horizon", "missed"), [(3, False), (4, True), (5, True)])
def test_a_job_that_is_cut_off_is_missed_iff_its_deadline_is_not_behind_the_horizon(horizon: int, missed: bool) -> None:
    trace = simulate(TaskSet([{"executiontime": 9, "period": 20, "deadline": 4}]), horizon_ms=horizon)
    (job,) = trace.jobs
    assert str(job.outcome) == "EXIT_EXTERNAL"
    assert job.finish_ns == horizon * NS_PER_MS
    assert job.missed is missed
    assert [e.time_ns for e in trace.events if e.type is EventType.DEADLINE_MISS] == [4 * NS_PER_MS] * missed


def test_late_jobs_are_cut_off_one_by_one() -> None:
    trace = simulate(TaskSet([{"executiontime": 5, "period": 2}]), horizon_ms=5)
    assert lines(trace.events)[-6:] == [
        (4, "DEADLINE_MISS", 0, 1), (4, "RELEASE", 0, 2), (4, "START", 0, 2), (5, "EXIT", 0, 0),
        (5, "EXIT_EXTERNAL", 0, 1), (5, "EXIT_EXTERNAL", 0, 2),
    ]  # fmt: skip


def test_limited_sets_end_with_their_last_job() -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 4, "numberofjobs": 2}, {"executiontime": 3, "period": 0}])
    trace = simulate(tasks, policy="rm")
    assert trace.end_ns == 5 * NS_PER_MS
    done = [line for line in lines(trace.events) if line[1] == "JOBS_DONE"]
    assert done == [(4, "JOBS_DONE", 1, 0), (5, "JOBS_DONE", 0, 1)]


def test_endless_sets_run_for_two_hyperperiods_after_the_largest_offset() -> None:
    session = SimSession(policy="rm")
    tasks = TaskSet([{"executiontime": 1, "period": 4, "offset": 3}, {"executiontime": 1, "period": 6}])
    events = list(session.run(tasks))
    assert session.plan is not None
    assert session.plan.horizon.time_ns == 27 * NS_PER_MS
    assert session.plan.exact
    assert max(event.time_ns for event in events) <= 27 * NS_PER_MS


def test_overload_is_only_observed() -> None:
    session = SimSession(policy="rm")
    list(session.run(TaskSet([{"executiontime": 5, "period": 4}])))
    assert session.plan is not None
    assert not session.plan.exact


# -- where a trace ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize(("horizon_ms", "jobs", "end_ms"), [(None, 2, 101), (50, 2, 50), (50, 0, 50), (500, 2, 101)])
def test_a_trace_ends_with_its_jobs_or_at_the_horizon(
    trace: bool, horizon_ms: int | None, jobs: int, end_ms: int
) -> None:
    taskset = TaskSet([{"executiontime": 1, "period": 100, "numberofjobs": jobs}])
    result = simulate(taskset, trace=trace, horizon_ms=horizon_ms)
    assert result.end_ns == end_ms * NS_PER_MS
    assert result.utilization == len(result.jobs) / end_ms
