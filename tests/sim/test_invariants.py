"""What holds in any schedule of one core without overheads, whatever the policy: read off the spans of the trace."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import simulate
from taskgen import TaskSet, Trace
from taskgen.events import EventType
from taskgen.trace import Job as Row

POLICIES = ("fp", "rm", "dm", "edf")
HORIZON = 120

task = st.fixed_dictionaries(
    {
        "executiontime": st.integers(1, 8),
        "period": st.integers(3, 30),
        "priority": st.integers(0, 4),
    },
    optional={
        "deadline": st.integers(1, 40),
        "offset": st.integers(0, 20),
        "jitter": st.integers(0, 10),
        "numberofjobs": st.integers(1, 5),
    },
)
mortal = st.integers(1, 20).map(lambda ms: {"criticaltime": ms})
tasks = st.lists(st.one_of(task, st.builds(dict.__or__, task, mortal)), min_size=1, max_size=5)
options = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(POLICIES),
        "overrun": st.sampled_from(["continue", "kill", "skip"]),
        "tie": st.sampled_from(["running", "index"]),
        "preemptive": st.booleans(),
        "seed": st.integers(0, 9),
    }
)


def run(descriptions: list[dict[str, Any]], chosen: dict[str, Any]) -> Trace:
    return simulate(TaskSet(descriptions), horizon_ms=HORIZON, **chosen)


def busy(trace: Trace) -> list[tuple[int, int]]:
    """Return the longest stretches without idle time; asserts that the core runs one job at a time."""
    spans = sorted((span.start_ns, span.end_ns) for span in trace.gantt)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans)), "one job at a time"
    stretches: list[tuple[int, int]] = []
    for start, end in spans:
        if stretches and stretches[-1][1] == start:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    return stretches


def check_work_conservation(trace: Trace) -> None:
    stretches = busy(trace)
    for job in trace.jobs:
        if job.release_ns is None or job.finish_ns is None or job.release_ns == job.finish_ns:
            continue  # dropped at its release, or cut off at once
        assert any(start <= job.release_ns and job.finish_ns <= end for start, end in stretches), job


def check_executed(trace: Trace) -> None:
    ran: dict[tuple[int, int], int] = defaultdict(int)
    for span in trace.gantt:
        ran[span.task_id, span.job] += span.end_ns - span.start_ns
    for job in trace.jobs:
        wcet_ns = trace.tasks[job.task_id].wcet_ns
        assert wcet_ns is not None
        assert job.executed_ns == ran[job.task_id, job.index]
        if job.outcome is EventType.EXIT:
            assert job.executed_ns == wcet_ns, job
        else:
            assert job.executed_ns < wcet_ns, job


@given(tasks, options)
def test_the_core_never_idles_while_a_job_waits(descriptions: list[dict[str, Any]], chosen: dict[str, Any]) -> None:
    """Work conservation: from a job's release to its end the core is busy, with this job or with others."""
    check_work_conservation(run(descriptions, chosen))


@given(tasks, options)
def test_a_completed_job_has_executed_exactly_its_time(
    descriptions: list[dict[str, Any]], chosen: dict[str, Any]
) -> None:
    """Executed time is C for each completed job, less for any other, and the sum of its spans."""
    check_executed(run(descriptions, chosen))


@given(tasks, options)
def test_a_preemption_is_a_change_of_jobs(descriptions: list[dict[str, Any]], chosen: dict[str, Any]) -> None:
    """No preemption is recorded where the same job goes on; a job's spans are one more than its preemptions."""
    trace = run(descriptions, chosen)
    spans: dict[tuple[int, int], int] = defaultdict(int)
    for span in trace.gantt:
        spans[span.task_id, span.job] += 1
    for earlier, later in pairwise(trace.gantt):
        same = (earlier.task_id, earlier.job) == (later.task_id, later.job)
        assert not (same and earlier.end_ns == later.start_ns)
    for job in trace.jobs:
        waited_last = job.preemptions == spans[job.task_id, job.index]  # preempted, then killed or cut off
        assert (waited_last and job.outcome is not EventType.EXIT) or spans[job.task_id, job.index] == (
            job.preemptions or 0
        ) + 1
        assert chosen["preemptive"] or not job.preemptions


def rank(job: Row, trace: Trace, policy: str) -> int:
    """Return what the policy looks at: smaller is more urgent."""
    parameters = trace.tasks[job.task_id]
    if policy == "edf":
        return job.deadline_ns or 0
    number = {"fp": parameters.priority, "rm": parameters.period_ns, "dm": parameters.effective_deadline_ns}[policy]
    return number or 0


def check_urgency(trace: Trace, policy: str) -> None:
    jobs = {(job.task_id, job.index): job for job in trace.jobs}
    waiting: list[tuple[int, int, Row]] = []
    free: dict[int, int] = defaultdict(int)  #: when a task's previous job was over
    for job in sorted(jobs.values(), key=lambda job: job.index):
        if job.release_ns is None or job.finish_ns is None:
            continue
        waiting.append((max(job.release_ns, free[job.task_id]), job.finish_ns, job))
        free[job.task_id] = job.finish_ns
    for span in trace.gantt:
        running = jobs[span.task_id, span.job]
        for since, until, job in waiting:
            if job is not running and max(since, span.start_ns) < min(until, span.end_ns):
                assert rank(job, trace, policy) >= rank(running, trace, policy), (job, running)


@given(tasks, options)
def test_no_waiting_job_is_more_urgent_than_the_running_one(
    descriptions: list[dict[str, Any]], chosen: dict[str, Any]
) -> None:
    """Preemptively; an equal rank is no violation."""
    chosen = {**chosen, "preemptive": True}
    check_urgency(run(descriptions, chosen), chosen["policy"])


def test_the_invariants_see_a_wrong_schedule() -> None:
    """The same checks refuse a trace whose spans idle or fall short: job 0 is released at 0 and runs 1-2 only."""
    trace = run([{"executiontime": 2, "period": 120}], {"policy": "rm"})
    check_work_conservation(trace)
    (span,) = trace.gantt
    wrong = Trace(trace.tasks.values())
    wrong.extend(trace.events)
    wrong._spans = [span._replace(start_ns=span.end_ns // 2)]
    with pytest.raises(AssertionError):
        check_work_conservation(wrong)
    with pytest.raises(AssertionError):
        check_executed(wrong)
    pair = [{"executiontime": 2, "period": 40, "priority": 0}, {"executiontime": 2, "period": 30, "priority": 1}]
    with pytest.raises(AssertionError):
        check_urgency(run(pair, {"policy": "rm"}), "fp")
