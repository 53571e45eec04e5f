"""FIFO, round robin and least laxity: the example of each, on one core and globally."""

from typing import Any

import pytest

from sim import simulate
from sim.policy import READY_MADE
from taskgen import TaskSet, Trace, registry
from taskgen.units import NS_PER_MS


def single(*wcets: int, **attributes: Any) -> TaskSet:
    """Return tasks of one job each, all released at 0."""
    return TaskSet([{"executiontime": wcet, "period": 0, **attributes} for wcet in wcets])


def spans(trace: Trace) -> list[tuple[int, float, float]]:
    return [(span.task_id, span.start_ns / NS_PER_MS, span.end_ns / NS_PER_MS) for span in trace.gantt]


def finished(trace: Trace) -> list[float]:
    return [(job.finish_ns or 0) / NS_PER_MS for job in trace.jobs]


def test_each_name_of_the_registry_is_a_class_of_ours() -> None:
    named = {name: registry.load("policies", name) for name in READY_MADE}
    assert named == READY_MADE


def test_fifo() -> None:
    """Silberschatz et al., Operating System Concepts: bursts 24, 3, 3: waits of 0, 24, 27."""
    trace = simulate(single(24, 3, 3), policy="fifo")
    assert spans(trace) == [(0, 0, 24), (1, 24, 27), (2, 27, 30)]


def test_fifo_goes_by_release_and_preempts_nobody() -> None:
    tasks = TaskSet(
        [
            {"executiontime": 5, "period": 0, "offset": 1, "deadline": 50},
            {"executiontime": 2, "period": 0, "offset": 2, "deadline": 3},
            {"executiontime": 2, "period": 0, "priority": 0},
        ]
    )
    assert spans(simulate(tasks, policy="fifo")) == [(2, 0, 2), (0, 2, 7), (1, 7, 9)]


def test_fifo_on_two_cores() -> None:
    trace = simulate(single(4, 3, 2, 1), policy="fifo", cores=2, migration="global")
    assert finished(trace) == [4, 3, 5, 5]


def test_round_robin() -> None:
    """Silberschatz et al., Operating System Concepts: bursts 24, 3, 3, quantum 4: waits of 6, 4, 7."""
    trace = simulate(single(24, 3, 3), policy="rr", quantum_ms=4)
    assert [trace.response_times(i)[0] // NS_PER_MS for i in range(3)] == [30, 7, 10]
    assert [job.preemptions for job in trace.jobs] == [1, 0, 0]


def test_the_quantum_is_10_ms_if_nobody_says() -> None:
    assert spans(simulate(single(12, 5), policy="rr")) == [(0, 0, 10), (1, 10, 15), (0, 15, 17)]


def test_the_arrival_of_a_peer_does_not_restart_the_quantum() -> None:
    tasks = TaskSet([{"executiontime": 6, "period": 0}, {"executiontime": 3, "period": 0, "offset": 3}])
    assert spans(simulate(tasks, policy="rr", quantum_ms=4)) == [(0, 0, 4), (1, 4, 7), (0, 7, 9)]


def test_round_robin_on_two_cores() -> None:
    """Both quanta end at 2: 0 and 1 queue behind 2 in this order, so 2 and 0 run, and 1 when 0 is done."""
    trace = simulate(single(4, 4, 4), policy="rr", quantum_ms=2, cores=2, migration="global")
    by_core = [(s.core, s.task_id, s.start_ns // NS_PER_MS, s.end_ns // NS_PER_MS) for s in trace.gantt]
    assert sorted(by_core) == [(0, 0, 0, 4), (0, 1, 4, 6), (1, 1, 0, 2), (1, 2, 2, 6)]


def test_least_laxity_schedules_what_edf_cannot_on_two_cores() -> None:
    """Mok 1983: laxities 0, 2, 1. EDF takes the first two and is late with the long one; least laxity isn't."""
    tasks = TaskSet([{"executiontime": c, "period": 0, "deadline": d} for c, d in ((2, 2), (2, 4), (6, 7))])
    options: dict[str, Any] = {"cores": 2, "migration": "global"}
    edf = simulate(tasks, policy="edf", **options)
    assert [(job.task_id, (job.finish_ns or 0) // NS_PER_MS) for job in edf.misses] == [(2, 8)]
    llf = simulate(tasks, policy="llf", **options)
    assert not llf.misses
    assert finished(llf) == [2, 4, 6]


def test_least_laxity_looks_again_a_quantum_after_each_dispatch() -> None:
    """Laxities 14, 14 at 0; after each 2 ms the one that waited has the smaller."""
    trace = simulate(single(6, 6, deadline=20), policy="llf", quantum_ms=2)
    assert spans(trace)[:3] == [(0, 0, 2), (1, 2, 6), (0, 6, 10)]


def test_equal_laxity_keeps_the_running_job() -> None:
    assert spans(simulate(single(6, 6, deadline=20), policy="llf", quantum_ms=20)) == [(0, 0, 6), (1, 6, 12)]


@pytest.mark.parametrize("options", [{}, {"cores": 1, "scheduler_ms": 0.001}, {"migration": "global"}], ids=str)
def test_laxity_is_the_same_for_all_jobs_without_deadline(options: dict[str, Any]) -> None:
    """However long they are, and whenever they arrive: equal laxity keeps the running job."""
    together = simulate(single(20, 30), policy="llf", **options)
    assert [int(each) for each in finished(together)] == [20, 50]
    later = TaskSet([{"executiontime": 4, "period": 0}, {"executiontime": 5, "period": 0, "offset": 1}])
    one_by_one = simulate(later, policy="llf", quantum_ms=1, **options)
    assert [int(each) for each in finished(one_by_one)] == [4, 9]
    for trace in (together, one_by_one):
        assert [job.preemptions for job in trace.jobs] == [0, 0]


def test_a_job_without_deadline_can_wait_longer_than_any_other() -> None:
    tasks = TaskSet(
        [{"executiontime": 9, "period": 0}, {"executiontime": 1, "period": 0, "deadline": 10**9, "offset": 1}]
    )
    assert spans(simulate(tasks, policy="llf")) == [(0, 0, 1), (1, 1, 2), (0, 2, 10)]


@pytest.mark.parametrize("policy", ["fifo", "llf"])
def test_without_preemption_the_choice_is_made_at_completions(policy: str) -> None:
    tasks = TaskSet(
        [
            {"executiontime": 9, "period": 0, "deadline": 90},
            {"executiontime": 1, "period": 0, "offset": 1, "deadline": 80},
            {"executiontime": 1, "period": 0, "offset": 2, "deadline": 20},
        ]
    )
    order = [task for task, _, _ in spans(simulate(tasks, policy=policy, preemptive=False))]
    assert order == {"fifo": [0, 1, 2], "llf": [0, 2, 1]}[policy]
