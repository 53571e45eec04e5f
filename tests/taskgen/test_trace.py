"""A Trace tells from events what became of each job; events here are written by hand."""

import threading
from typing import Any

import pytest

from taskgen import Event, EventType, TaskSet, Trace
from taskgen.horizon import Horizon
from taskgen.parameters import parameters_of
from taskgen.session import Capabilities, Plan
from taskgen.trace import Job, Span

MS = 1_000_000
E = EventType

#: Two tasks: 0 is urgent (C 1, T 5), 1 is not (C 4, T 10, D 8).
TASKS = parameters_of(
    [{"executiontime": 1, "period": 5, "offset": 1}, {"executiontime": 4, "period": 10, "deadline": 8}]
)


def trace_of(*rows: tuple[int, EventType, int, int], capabilities: Capabilities | None = None) -> Trace:
    """Collect (ms, type, task, job) rows that happened on core 0."""
    trace = Trace(TASKS, capabilities=capabilities)
    trace.extend(Event(ms * MS, kind, task, job, 0) for ms, kind, task, job in rows)
    return trace


PREEMPTED = [
    (0, E.RELEASE, 1, 0), (0, E.START, 1, 0), (0, E.DISPATCH, 1, 0),
    (1, E.RELEASE, 0, 0), (1, E.START, 0, 0), (1, E.PREEMPT, 1, 0), (1, E.DISPATCH, 0, 0),
    (2, E.EXIT, 0, 0), (2, E.RESUME, 1, 0), (5, E.EXIT, 1, 0),
]  # fmt: skip


def test_a_preempted_job() -> None:
    trace = trace_of(*PREEMPTED)
    assert [job.task_id for job in trace.jobs] == [1, 0]  # in the order of release
    assert trace.jobs[0] == Job(1, 0, 0, 0, 0, 5 * MS, 8 * MS, E.EXIT, 0, 1, 4 * MS)
    assert trace.jobs[1] == Job(0, 0, MS, MS, MS, 2 * MS, 6 * MS, E.EXIT, 0, 0, MS)
    assert trace.gantt == (Span(0, 1, 0, 0, MS), Span(0, 0, 0, MS, 2 * MS), Span(0, 1, 0, 2 * MS, 5 * MS))
    assert trace.response_times(1) == [5 * MS]
    assert trace.response_times(0) == [MS]
    assert trace.max_response_ns == {1: 5 * MS, 0: MS}
    assert trace.misses == ()
    assert trace.end_ns == 5 * MS
    assert trace.utilization == 1.0
    assert len(trace.events) == len(PREEMPTED)


def test_response_times_count_from_the_arrival_not_from_the_release() -> None:
    trace = trace_of((3, E.RELEASE, 0, 0), (4, E.DISPATCH, 0, 0), (5, E.EXIT, 0, 0))
    (job,) = trace.jobs
    assert (job.arrival_ns, job.release_ns, job.start_ns) == (MS, 3 * MS, 4 * MS)
    assert trace.response_times(0) == [4 * MS]


def test_of_a_job_beyond_the_arrivals_nothing_is_known_but_what_was_told() -> None:
    tasks = parameters_of([{"executiontime": 1, "period": 5, "arrivals": [0, 7]}])
    trace = Trace(tasks)
    trace.extend(Event(ms * MS, E.EXIT, 0, job, 0) for job, ms in enumerate((1, 8, 15)))
    assert [job.arrival_ns for job in trace.jobs] == [0, 7 * MS, None]
    assert trace.response_times(0) == [MS, MS]


def test_a_killed_job_that_never_ran_has_no_start_and_no_response_time() -> None:
    trace = trace_of((0, E.RELEASE, 1, 0), (0, E.START, 1, 0), (3, E.EXIT_CRITICAL, 1, 0))
    (job,) = trace.jobs
    assert (job.start_ns, job.finish_ns, job.executed_ns) == (None, 3 * MS, 0)
    assert job.response_ns is None
    assert trace.response_times(1) == []
    assert trace.outcomes(1) == {"EXIT_CRITICAL": 1}
    assert trace.gantt == ()


@pytest.mark.parametrize(
    ("end_ms", "outcome", "missed"),
    [
        (7, E.EXIT, False),
        (8, E.EXIT, False),  # completing at the very deadline meets it
        (9, E.EXIT, True),
        (7, E.EXIT_CRITICAL, True),  # a job killed before its deadline is missed at the kill
        (8, E.EXIT_CRITICAL, True),
        (7, E.EXIT_PERIOD, True),
        (7, E.EXIT_ERROR, True),
        (7, E.OUT_OF_QUOTA, True),
        (7, E.OUT_OF_CAPS, True),
        (7, E.EXIT_EXTERNAL, False),  # the horizon came first
        (8, E.EXIT_EXTERNAL, True),  # unfinished, deadline <= horizon
        (9, E.EXIT_EXTERNAL, True),
        (0, E.NOT_SCHEDULED, False),
        (9, E.NOT_SCHEDULED, False),  # dropped: no miss
    ],
)
def test_a_job_is_missed_iff_it_is_not_completed_at_its_absolute_deadline(
    end_ms: int, outcome: EventType, missed: bool
) -> None:
    trace = trace_of((0, E.RELEASE, 1, 0), (end_ms, outcome, 1, 0))
    assert trace.jobs[0].missed is missed
    assert trace.misses == (trace.jobs if missed else ())
    assert trace.outcomes(1) == {outcome.value: 1}


def test_without_a_deadline_only_a_kill_is_a_miss() -> None:
    single = parameters_of([{"executiontime": 5}])
    for outcome, missed in ((E.EXIT, False), (E.EXIT_EXTERNAL, False), (E.EXIT_CRITICAL, True)):
        trace = Trace(single)
        trace.extend([Event(0, E.RELEASE, 0, 0, 0), Event(10**15, outcome, 0, 0, 0)])
        assert trace.jobs[0].deadline_ns is None
        assert trace.jobs[0].missed is missed


def test_late_jobs_of_a_task_are_kept_apart() -> None:
    trace = trace_of(
        (0, E.RELEASE, 1, 0), (0, E.DISPATCH, 1, 0), (8, E.DEADLINE_MISS, 1, 0), (10, E.RELEASE, 1, 1),
        (12, E.EXIT, 1, 0), (12, E.DISPATCH, 1, 1), (16, E.EXIT, 1, 1),
    )  # fmt: skip
    assert trace.response_times(1) == [12 * MS, 6 * MS]
    assert [job.missed for job in trace.jobs_of(1)] == [True, False]
    assert [job.deadline_ns for job in trace.jobs] == [8 * MS, 18 * MS]


def test_an_idle_core_lowers_the_utilization() -> None:
    trace = trace_of(*PREEMPTED)
    trace.append(Event(5 * MS, E.IDLE, None, None, 0))
    trace.append(Event(10 * MS, E.RELEASE, 1, 1, None))
    assert trace.utilization == 0.5


def test_utilization_is_averaged_over_the_cores() -> None:
    assert trace_of(*PREEMPTED, capabilities=Capabilities(trace=True, cores=2)).utilization == 0.5


def test_an_unfinished_job_is_counted_as_such() -> None:
    trace = trace_of((0, E.RELEASE, 1, 0), (0, E.DISPATCH, 1, 0))
    assert trace.outcomes(1) == {"UNFINISHED": 1}
    assert trace.jobs[0].outcome is None


def test_jobs_are_up_to_date_after_each_event() -> None:
    trace = trace_of(*PREEMPTED[:-1])
    assert trace.jobs[0].outcome is None
    trace.append(Event(5 * MS, E.EXIT, 1, 0, 0))
    assert trace.jobs[0].outcome is E.EXIT


def test_a_board_tells_start_and_end_only() -> None:
    board = Capabilities(trace=False, job_numbers="starts")
    trace = trace_of((2, E.START, 1, 0), (6, E.EXIT, 1, 0), (6, E.JOBS_DONE, 1, 0), capabilities=board)
    (job,) = trace.jobs
    # The number of a START tells no arrival: releases without a START may have come before.
    assert job == Job(1, 0, None, None, 2 * MS, 6 * MS, None, E.EXIT, 0, None, None)
    assert trace.response_times(1) == []
    assert trace.utilization is None
    assert trace.gantt == ()


def test_a_simulator_without_scheduler_events_still_knows_arrivals() -> None:
    trace = trace_of((0, E.START, 1, 0), (6, E.EXIT, 1, 0), capabilities=Capabilities(trace=False))
    (job,) = trace.jobs
    assert (job.arrival_ns, job.start_ns, job.deadline_ns, job.response_ns) == (0, 0, 8 * MS, 6 * MS)


def test_markers_and_unknown_tasks_make_no_wrong_jobs() -> None:
    trace = trace_of((1, E.EXTERNAL, 1, 0), (2, E.JOBS_DONE, 1, 0))
    assert list(trace.jobs) == []
    trace.append(Event(3 * MS, E.START, 99, 0, None))
    (job,) = trace.jobs
    assert (job.task_id, job.index, job.arrival_ns) == (99, 0, None)


def test_a_trace_of_finished_rows_answers_the_same_questions() -> None:
    events = trace_of(*PREEMPTED)
    rows: list[tuple[Any, ...]] = [tuple(job) for job in events.jobs]
    trace = Trace.of_jobs(TASKS, rows, end_ns=events.end_ns, capabilities=Capabilities(trace=True))
    assert trace.jobs == events.jobs
    assert trace.max_response_ns == events.max_response_ns
    assert trace.utilization == events.utilization
    assert trace.events == []


@pytest.mark.parametrize(("jobs", "stopped", "end_ms"), [(0, False, 20), (0, True, 3), (1, False, 3)])
def test_an_endless_set_lasts_until_its_horizon_unless_it_is_stopped(jobs: int, stopped: bool, end_ms: int) -> None:
    taskset = TaskSet([{"executiontime": 3, "period": 10, "numberofjobs": jobs}])
    tasks = parameters_of(taskset)
    flag = threading.Event()
    if stopped:
        flag.set()
    plan = Plan(tasks, taskset, Horizon(20 * MS, "requested"), None, exact=False, stopped=flag.is_set)
    trace = Trace(tasks)
    trace.append(Event(3 * MS, EventType.EXIT, 0, 0, 0))
    if jobs:
        trace.append(Event(3 * MS, EventType.JOBS_DONE, 0, 0, 0))
    trace.finish(plan)
    assert trace.end_ns == end_ms * MS
