"""What holds in any schedule of one core without overheads, whatever the policy and the options."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim import SimSession, simulate
from taskgen import TaskSet, Trace
from taskgen.events import EventType
from taskgen.testing.properties import PROPERTIES, Scheduling
from taskgen.testing.runs import check
from tests.taskgen.properties.drawn import EXTRAS, sets

HORIZON_MS = 120
#: A priority and a deadline each, for policies that go by either; the core is overloaded now and then.
TASKSETS = sets("FP", 1.5, deadlines="arbitrary", **EXTRAS)
#: C > T, and C > D, which is never drawn.
TOO_LONG = TaskSet([
    {"executiontime": 7, "period": 5, "deadline": 9, "priority": 1, "jitter": 3},
    {"executiontime": 3, "period": 12, "deadline": 2, "priority": 0, "offset": 1},
    {"executiontime": 2, "period": 30, "deadline": 40, "priority": 1, "criticaltime": 20},
])  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {
        "overrun": st.sampled_from(["continue", "kill", "skip"]),
        "tie": st.sampled_from(["running", "index"]),
        "preemptive": st.booleans(),
        "seed": st.integers(0, 9),
    }
)
PREEMPTIVE = {"tie": "running", "preemptive": True, "seed": 0}
STUBBORN = {"tie": "index", "preemptive": False, "seed": 1}

#: By policy: who runs, preemptively and not.
ORDERS = {
    "fp": ("fixed_priority_order", "nonpreemptive_fixed_priority_order"),
    "rm": ("rate_monotonic_order", "nonpreemptive_rate_monotonic_order"),
    "dm": ("deadline_monotonic_order", "nonpreemptive_deadline_monotonic_order"),
    "edf": ("edf_order", "nonpreemptive_edf_order"),
}


@pytest.mark.parametrize("policy", ORDERS)
@given(taskset=TASKSETS, chosen=OPTIONS)
@example(taskset=TOO_LONG, chosen={**PREEMPTIVE, "overrun": "continue"})
@example(taskset=TOO_LONG, chosen={**PREEMPTIVE, "overrun": "kill"})
@example(taskset=TOO_LONG, chosen={**PREEMPTIVE, "overrun": "skip"})
@example(taskset=TOO_LONG, chosen={**STUBBORN, "overrun": "continue"})
def test_the_most_urgent_job_runs_for_its_time_and_the_core_never_idles_while_it_waits(
    policy: str, taskset: TaskSet, chosen: dict[str, Any]
) -> None:
    options = {"policy": policy, **chosen}
    verdicts = check(
        SimSession(**options), taskset, PROPERTIES.values(), scheduling=Scheduling.of(options), horizon_ms=HORIZON_MS
    )
    assert [verdict for verdict in verdicts if verdict.violations] == []
    held = {verdict.law for verdict in verdicts if verdict.holds}
    order, stubborn_order = ORDERS[policy]
    assert held >= {
        "work_conservation", "executes_wcet", "scheduler_stream", "misses_told",
        order if chosen["preemptive"] else stubborn_order,
    }  # fmt: skip


# -- what no law is about: the spans of a trace


def run(policy: str, taskset: TaskSet, chosen: dict[str, Any]) -> Trace:
    return simulate(taskset, policy=policy, horizon_ms=HORIZON_MS, **chosen)


def check_executed(trace: Trace) -> None:
    ran: dict[tuple[int, int], int] = defaultdict(int)
    for span in trace.gantt:
        ran[span.task_id, span.job] += span.end_ns - span.start_ns
    for job in trace.jobs:
        assert job.executed_ns == ran[job.task_id, job.index]


@given(st.sampled_from([*ORDERS]), TASKSETS, OPTIONS)
def test_the_executed_time_of_a_job_is_the_sum_of_its_spans_which_never_overlap(
    policy: str, taskset: TaskSet, chosen: dict[str, Any]
) -> None:
    trace = run(policy, taskset, chosen)
    check_executed(trace)
    spans = sorted((span.start_ns, span.end_ns) for span in trace.gantt)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans)), "one job at a time"


def test_a_span_that_falls_short_is_seen() -> None:
    trace = run("rm", TaskSet([{"executiontime": 2, "period": 120}]), {})
    check_executed(trace)
    (span,) = trace.gantt
    wrong = Trace(trace.tasks.values())
    wrong.extend(trace.events)
    wrong._spans = [span._replace(start_ns=span.end_ns // 2)]
    with pytest.raises(AssertionError):
        check_executed(wrong)


@given(st.sampled_from([*ORDERS]), TASKSETS, OPTIONS)
def test_a_preemption_is_a_change_of_jobs(policy: str, taskset: TaskSet, chosen: dict[str, Any]) -> None:
    """No preemption is recorded where the same job goes on; a job's spans are one more than its preemptions."""
    trace = run(policy, taskset, chosen)
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
