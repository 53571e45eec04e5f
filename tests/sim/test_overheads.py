"""Overheads of scheduling: hand examples of each rule. Times in ms."""

from typing import Any

import pytest

from sim import SimSession, simulate
from taskgen import EventType, TaskSet, Trace
from taskgen.units import NS_PER_MS

#: A stretch on a core: what (a task, or the kind of an overhead), from, to.
Stretch = tuple[int | str, float, float]


def stretches(trace: Trace, core: int = 0) -> list[Stretch]:
    """Return what a core did, jobs and overheads, in order."""
    ran: list[Stretch] = [
        (s.task_id, s.start_ns / NS_PER_MS, s.end_ns / NS_PER_MS) for s in trace.gantt if s.core == core
    ]
    paid: list[Stretch] = [
        (s.kind, s.start_ns / NS_PER_MS, s.end_ns / NS_PER_MS) for s in trace.overheads if s.core == core
    ]
    return sorted(ran + paid, key=lambda stretch: stretch[1])


def moments(trace: Trace, *kinds: EventType) -> list[tuple[float, str, int | None]]:
    return [(e.time_ns / NS_PER_MS, str(e.type), e.task_id) for e in trace.events if e.type in kinds]


def single(wcet: int, priority: int, offset: int = 0, **attributes: Any) -> dict[str, Any]:
    return {"executiontime": wcet, "period": 0, "priority": priority, "offset": offset, **attributes}


RUNS = (EventType.DISPATCH, EventType.PREEMPT, EventType.RESUME, EventType.MIGRATE)


def test_a_preemption_costs_a_decision_and_two_switches() -> None:
    """Scheduler 1, switch 2: each decision after a release or completion, each switch to another job."""
    trace = simulate(TaskSet([single(5, 2), single(2, 1, 4)]), scheduler_ms=1, context_switch_ms=2)
    assert stretches(trace) == [
        ("scheduler", 0, 1), ("context_switch", 1, 3), (0, 3, 4),
        ("scheduler", 4, 5), ("context_switch", 5, 7), (1, 7, 9),
        ("scheduler", 9, 10), ("context_switch", 10, 12), (0, 12, 16),
    ]  # fmt: skip
    assert moments(trace, *RUNS) == [(3, "DISPATCH", 0), (5, "PREEMPT", 0), (7, "DISPATCH", 1), (12, "RESUME", 0)]
    assert trace.response_times(0) == [16 * NS_PER_MS]
    assert trace.response_times(1) == [5 * NS_PER_MS]
    assert [job.executed_ns for job in trace.jobs] == [5 * NS_PER_MS, 2 * NS_PER_MS]
    assert [(each.kind, each.task_id, each.job) for each in trace.overheads[:2]] == [
        ("scheduler", None, None),
        ("context_switch", 0, 0),
    ]


def test_a_job_that_goes_on_after_a_decision_was_not_preempted() -> None:
    trace = simulate(TaskSet([single(4, 1), single(1, 2, 4)]), scheduler_ms=1, context_switch_ms=2)
    assert stretches(trace)[2:5] == [(0, 3, 4), ("scheduler", 4, 5), (0, 5, 8)]
    first = next(trace.jobs_of(0))
    assert (first.preemptions, first.executed_ns) == (0, 4 * NS_PER_MS)
    assert moments(trace, *RUNS) == [(3, "DISPATCH", 0), (11, "DISPATCH", 1)]


def test_what_happens_inside_an_overhead_is_decided_at_its_end() -> None:
    """The switch to 0 goes on to its end; then 1, released at 2, is chosen, and 0 has never run."""
    trace = simulate(TaskSet([single(2, 2), single(1, 1, 2)]), scheduler_ms=1, context_switch_ms=2)
    assert stretches(trace) == [
        ("scheduler", 0, 1), ("context_switch", 1, 3), ("scheduler", 3, 4), ("context_switch", 4, 6), (1, 6, 7),
        ("scheduler", 7, 8), ("context_switch", 8, 10), (0, 10, 12),
    ]  # fmt: skip
    assert [job.preemptions for job in trace.jobs] == [0, 0]
    assert next(trace.jobs_of(0)).start_ns == 10 * NS_PER_MS


def test_a_release_inside_the_scheduler_is_part_of_its_decision() -> None:
    trace = simulate(TaskSet([single(2, 2), single(1, 1, 1)]), scheduler_ms=2)
    assert stretches(trace) == [("scheduler", 0, 2), (1, 2, 3), ("scheduler", 3, 5), (0, 5, 7)]


def test_the_next_job_of_a_task_is_another_job() -> None:
    """A switch out of idle, too; the same job after an interrupting release costs none."""
    trace = simulate(TaskSet([{"executiontime": 1, "period": 4, "numberofjobs": 2}]), context_switch_ms=1)
    assert stretches(trace) == [("context_switch", 0, 1), (0, 1, 2), ("context_switch", 4, 5), (0, 5, 6)]


def test_idle_is_reported_after_the_decision_that_found_nothing() -> None:
    trace = simulate(TaskSet([{"executiontime": 1, "period": 9}]), scheduler_ms=1, horizon_ms=9)
    assert moments(trace, EventType.IDLE) == [(3, "IDLE", None)]
    assert stretches(trace) == [("scheduler", 0, 1), (0, 1, 2), ("scheduler", 2, 3)]


def test_the_end_of_a_quantum_needs_no_scheduler_but_a_switch() -> None:
    trace = simulate(TaskSet([single(4, 0), single(2, 0)]), policy="rr", quantum_ms=3, context_switch_ms=1)
    assert stretches(trace) == [
        ("context_switch", 0, 1), (0, 1, 4), ("context_switch", 4, 5), (1, 5, 7), ("context_switch", 7, 8), (0, 8, 9),
    ]  # fmt: skip


def test_a_job_that_resumes_on_another_core_pays_for_its_way() -> None:
    """0 is preempted on core 1 at 1, and goes on when core 0 gets free at 3."""
    tasks = TaskSet([single(4, 2), single(3, 1), single(4, 0, 1)])
    trace = simulate(tasks, cores=2, migration="global", migration_ms=1)
    assert stretches(trace, 1) == [(0, 0, 1), (2, 1, 5)]
    assert stretches(trace, 0) == [(1, 0, 3), ("migration", 3, 4), (0, 4, 7)]
    assert moments(trace, *RUNS)[-1] == (4, "MIGRATE", 0)
    job = next(trace.jobs_of(0))
    assert (job.core, job.preemptions, job.executed_ns) == (0, 1, 4 * NS_PER_MS)


def test_migration_comes_after_the_switch() -> None:
    """Switches from 0 to 1 and, to the newcomer, from 2 to 3; core 0 gets free at 4."""
    tasks = TaskSet([single(4, 2), single(3, 1), single(4, 0, 2)])
    trace = simulate(tasks, cores=2, migration="global", migration_ms=1, context_switch_ms=1)
    assert stretches(trace, 1) == [("context_switch", 0, 1), (0, 1, 2), ("context_switch", 2, 3), (2, 3, 7)]
    assert stretches(trace, 0) == [
        ("context_switch", 0, 1), (1, 1, 4), ("context_switch", 4, 5), ("migration", 5, 6), (0, 6, 9),
    ]  # fmt: skip


def test_a_kill_inside_an_overhead_comes_at_its_instant() -> None:
    """Killed at 2, in the middle of the switch, which goes on to 3; then the next one is chosen."""
    tasks = TaskSet([single(4, 1, criticaltime=2), single(1, 2)])
    trace = simulate(tasks, scheduler_ms=1, context_switch_ms=2)
    assert moments(trace, EventType.EXIT_CRITICAL) == [(2, "EXIT_CRITICAL", 0)]
    assert stretches(trace) == [
        ("scheduler", 0, 1), ("context_switch", 1, 3), ("scheduler", 3, 4), ("context_switch", 4, 6), (1, 6, 7),
    ]  # fmt: skip


def test_a_kill_inside_the_scheduler_ends_a_job_that_it_had_interrupted() -> None:
    tasks = TaskSet([single(9, 2, criticaltime=5), single(1, 1, 4)])
    trace = simulate(tasks, scheduler_ms=2)
    assert stretches(trace) == [("scheduler", 0, 2), (0, 2, 4), ("scheduler", 4, 6), (1, 6, 7)]
    killed = next(trace.jobs_of(0))
    assert (killed.finish_ns, killed.executed_ns, killed.preemptions) == (5 * NS_PER_MS, 2 * NS_PER_MS, 0)


def test_without_preemption_a_release_interrupts_nobody() -> None:
    trace = simulate(TaskSet([single(4, 2), single(1, 1, 2)]), preemptive=False, scheduler_ms=1)
    assert stretches(trace) == [("scheduler", 0, 1), (0, 1, 5), ("scheduler", 5, 6), (1, 6, 7)]


def test_the_horizon_cuts_overheads_short() -> None:
    trace = simulate(TaskSet([single(4, 1)]), scheduler_ms=5, horizon_ms=3)
    assert stretches(trace) == [("scheduler", 0, 3)]


@pytest.mark.parametrize("name", ["scheduler_ms", "context_switch_ms", "migration_ms"])
def test_no_horizon_is_exact_where_decisions_cost_time(name: str) -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 4}])
    assert SimSession().check(tasks).exact
    assert not SimSession(**{name: 1}).check(tasks).exact  # type: ignore[arg-type]  # a float each


def test_executed_time_is_the_same_in_rows_and_in_traces() -> None:
    tasks = TaskSet([{"executiontime": 2, "period": 5}, {"executiontime": 3, "period": 9}])
    options: dict[str, Any] = {"policy": "rm", "scheduler_ms": 0.1, "context_switch_ms": 0.2}
    assert SimSession(**options).jobs(tasks).jobs == simulate(tasks, **options).jobs
