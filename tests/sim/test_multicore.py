"""Several cores: published examples, the rules of placement, processes beside the cores, stopping."""

import itertools
from collections.abc import Generator
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import Multicore, Policy, SimSession, simulate, support
from taskgen import EventType, TaskSet, Trace
from taskgen.testing import check_session
from taskgen.units import NS_PER_MS

Span = tuple[int | None, int | None, float, float]


def spans(trace: Trace) -> list[Span]:
    """Return core, task, start and end of each stretch, by start."""
    found: list[Span] = [(s.core, s.task_id, s.start_ns / NS_PER_MS, s.end_ns / NS_PER_MS) for s in trace.gantt]
    return sorted(found, key=lambda span: (span[2], span[0]))


def single(wcet: float, **attributes: Any) -> dict[str, Any]:
    return {"executiontime": wcet, "period": 0, **attributes}


SEVERAL: list[dict[str, Any]] = [
    {"cores": 2},
    {"cores": 2, "partition": "worst-fit", "policy": "edf"},
    {"cores": 3, "migration": "global", "policy": "rm"},
    {"cores": 2, "migration": "global", "policy": "edf", "trace": False},
    {"cores": 2, "trace": False},
    {"preemptive": False, "policy": "dm"},
    {"cores": 2, "policy": "rm", "scheduler_ms": 0.01, "context_switch_ms": 0.02, "migration_ms": 0.03},
    {"cores": 2, "migration": "global", "overrun": "skip", "scheduler_ms": 0.01},
    {"policy": "fifo"},
    {"policy": "rr", "cores": 2, "migration": "global"},
    {"policy": "llf", "quantum_ms": 1},
]


@pytest.mark.parametrize("options", SEVERAL, ids=str)
def test_it_keeps_the_promises_of_every_session(options: dict[str, Any]) -> None:
    check_session(lambda: SimSession(**options))


# -- published and hand examples -------------------------------------------------------------------------------------


def test_dhalls_effect() -> None:
    """Dhall & Liu 1978: two light tasks let a heavy one miss on two cores; a partition has room for all."""
    tasks = TaskSet([{"executiontime": c, "period": t} for c, t in ((2, 10), (2, 10), (10, 11))])
    for policy in ("edf", "rm"):
        missed = simulate(tasks, policy=policy, cores=2, migration="global", horizon_ms=110).misses
        assert (missed[0].task_id, missed[0].deadline_ns) == (2, 11 * NS_PER_MS)
        assert not simulate(tasks, policy=policy, cores=2, horizon_ms=110).misses


def test_a_newly_selected_job_takes_the_core_it_last_ran_on() -> None:
    """0 runs on core 1, is preempted by 2 at 1, and waits until both cores are free at 4: it goes back to core 1."""
    tasks = [single(3, priority=3), single(4, priority=1), single(3, priority=0, offset=1)]
    trace = simulate(TaskSet(tasks), cores=2, migration="global")
    assert spans(trace) == [(0, 1, 0, 4), (1, 0, 0, 1), (1, 2, 1, 4), (1, 0, 4, 6)]
    assert EventType.RESUME in {event.type for event in trace.events}
    assert EventType.MIGRATE not in {event.type for event in trace.events}


def test_a_job_migrates_where_its_core_is_taken() -> None:
    tasks = [single(4, priority=2), single(3, priority=1), single(4, priority=0, offset=1)]
    trace = simulate(TaskSet(tasks), cores=2, migration="global")
    assert spans(trace) == [(0, 1, 0, 3), (1, 0, 0, 1), (1, 2, 1, 5), (0, 0, 3, 6)]
    assert [(e.time_ns, e.core) for e in trace.events if e.type is EventType.MIGRATE] == [(3 * NS_PER_MS, 0)]
    assert [job.preemptions for job in trace.jobs] == [1, 0, 0]


def test_the_least_urgent_running_job_makes_room() -> None:
    tasks = [single(4, priority=2), single(4, priority=3), single(4, priority=1), single(1, priority=0, offset=2)]
    trace = simulate(TaskSet(tasks), cores=3, migration="global")
    assert [job.preemptions for job in trace.jobs] == [0, 1, 0, 0]
    lost = next(span for span in trace.gantt if span.task_id == 1)
    assert next(span.core for span in trace.gantt if span.task_id == 3) == lost.core


def test_without_preemption_a_job_runs_to_its_end() -> None:
    tasks = [single(5, priority=2), single(1, priority=1, offset=1)]
    assert spans(simulate(TaskSet(tasks), preemptive=False)) == [(0, 0, 0, 5), (0, 1, 5, 6)]


def test_one_job_of_a_task_runs_at_a_time() -> None:
    """A late job delays its successor, also where a core is idle."""
    tasks = TaskSet([{"executiontime": 3, "period": 2, "numberofjobs": 2}])
    assert spans(simulate(tasks, cores=2, migration="global")) == [(0, 0, 0, 3), (0, 0, 3, 6)]


def test_partitioned_cores_do_not_help_each_other() -> None:
    tasks = [single(3, cores=2, coreoffset=1), single(2, cores=2, coreoffset=1)]
    trace = simulate(TaskSet(tasks), cores=2)
    assert spans(trace) == [(1, 0, 0, 3), (1, 1, 3, 5)]
    assert next((e.time_ns, e.core) for e in trace.events if e.type is EventType.IDLE) == (0, 0)


def test_utilization_is_averaged_over_the_cores() -> None:
    tasks = TaskSet([{"executiontime": 5, "period": 10}])
    assert simulate(tasks, cores=2, horizon_ms=100).utilization == pytest.approx(0.25)


def test_no_horizon_is_exact_on_several_cores() -> None:
    assert not SimSession(cores=2).check(TaskSet([{"executiontime": 5, "period": 10}])).exact


# -- models agree ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    shares=st.lists(st.tuples(st.integers(1, 6), st.integers(7, 20)), min_size=1, max_size=6),
    policy=st.sampled_from(["rm", "edf", "llf", "rr"]),
    seed=st.integers(0, 3),
    cores=st.integers(2, 4),
)
def test_each_partitioned_core_is_a_uniprocessor(
    shares: list[tuple[int, int]], policy: str, seed: int, cores: int
) -> None:
    """The same jobs as on a core of its own, jitter and drawn execution times included."""
    tasks = [
        {"id": i, "executiontime": c, "period": t, "jitter": 3, "cores": cores, "coreoffset": i % cores}
        for i, (c, t) in enumerate(shares)
    ]
    options: dict[str, Any] = {"policy": policy, "seed": seed, "execution": {"kind": "share", "low": 0.5}}
    together = simulate(TaskSet(tasks), cores=cores, horizon_ms=200, **options)
    for core in range(cores):
        mine = [dict(task, cores=1, coreoffset=0) for task in tasks if task["coreoffset"] == core]
        if mine:
            alone = simulate(TaskSet(mine), horizon_ms=200, **options)
            here = [job for job in together.jobs if tasks[job.task_id]["coreoffset"] == core]
            assert [job._replace(core=0) for job in here if job.start_ns is not None] == [
                job for job in alone.jobs if job.start_ns is not None
            ]


# -- processes beside the cores, stopping ----------------------------------------------------------------------------


def test_a_process_sees_and_interrupts_each_core() -> None:
    """Core 1 is away from 1 to 3; its job goes on elsewhere only if it may."""
    seen = []

    def probe(env: simpy.Environment, processor: Multicore) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(NS_PER_MS)
        seen.append([job and job.id for job in processor.running])
        processor.interrupt(2 * NS_PER_MS, core=1)
        yield env.timeout(1)
        seen.append([job.id for job in processor.ready])

    tasks = TaskSet([single(4, cores=2, coreoffset=0), single(3, cores=2, coreoffset=1)])
    trace = simulate(tasks, cores=2, processes=(probe,))
    assert seen == [[0, 1], [1]]
    assert spans(trace) == [(0, 0, 0, 4), (1, 1, 0, 1), (1, 1, 3, 5)]


def test_an_interrupted_job_migrates_if_it_may() -> None:
    def probe(env: simpy.Environment, processor: Multicore) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(NS_PER_MS)
        processor.interrupt(9 * NS_PER_MS)

    trace = simulate(TaskSet([single(3)]), cores=2, migration="global", processes=(probe,))
    assert spans(trace) == [(0, 0, 0, 1), (1, 0, 1, 3)]


def test_without_preemption_an_interrupted_job_goes_on_before_others() -> None:
    def probe(env: simpy.Environment, processor: Multicore) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(NS_PER_MS)
        processor.interrupt(2 * NS_PER_MS)

    tasks = TaskSet([single(3, priority=2), single(1, priority=1, offset=2)])
    trace = simulate(tasks, preemptive=False, processes=(probe,))
    assert spans(trace) == [(0, 0, 0, 1), (0, 0, 3, 5), (0, 1, 5, 6)]


def test_a_process_lets_a_job_fail() -> None:
    def fault(env: simpy.Environment, processor: Multicore) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(NS_PER_MS)
        processor.fail(1)
        with pytest.raises(ValueError, match="there is no task 7"):
            processor.fail(7)
        with pytest.raises(ValueError, match="expected whole nanoseconds"):
            processor.interrupt(0.5)  # type: ignore[arg-type]  # what is refused

    trace = simulate(TaskSet([single(3), single(3)]), cores=2, migration="global", processes=(fault,))
    assert [(str(job.outcome), job.finish_ns) for job in trace.jobs] == [
        ("EXIT", 3 * NS_PER_MS),
        ("EXIT_ERROR", NS_PER_MS),
    ]


@pytest.mark.parametrize("options", [{}, {"migration": "global"}, {"scheduler_ms": 0.1}], ids=str)
def test_stop_ends_all_cores_at_one_instant(options: dict[str, Any]) -> None:
    session = SimSession(cores=2, **options)
    tasks = TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 700, "period": 10_000, "offset": 1}])
    events = session.run(tasks, horizon_ms=10**9)
    seen = [next(events) for _ in range(20)]
    session.stop()
    rest = list(events)
    ends = [event.time_ns for event in rest if event.type is EventType.EXIT_EXTERNAL]
    assert len(set(ends)) <= 1
    assert all(event.time_ns <= rest[-1].time_ns for event in seen + rest)
    assert len(rest) < 10_000


def test_a_policy_of_ones_own_sees_partitioned_cores_in_the_order_of_time() -> None:
    times = []

    class Watching(Policy):
        dynamic = True

        def rank(self, job: Any, now_ns: int) -> Any:
            times.append(now_ns)
            return job.deadline_ns

    simulate(TaskSet([{"executiontime": 1, "period": p} for p in (3, 5, 7)]), policy=Watching, cores=2, horizon_ms=50)
    assert times == sorted(times)


# -- the table of what is supported ----------------------------------------------------------------------------------


def test_the_table_says_what_works() -> None:
    table = SimSession.support()
    assert table == support.rows()
    assert list(table[0]) == [
        "profile", "engine", "policy", "cores", "migration", "partition", "preemptive", "overrun", "tie", "overheads",
    ]  # fmt: skip
    assert all(isinstance(value, str) and value for row in table for value in row.values())


class ByRelease(Policy):
    def rank(self, job: Any, now_ns: int) -> Any:
        return job.release_ns


def test_every_row_of_the_table_runs() -> None:
    tasks = TaskSet(
        [{"executiontime": 1, "period": 4, "priority": 1}, {"executiontime": 2, "period": 6, "priority": 2}]
    )
    for row in support.SUPPORTED:
        if "ideal" not in row.profile:
            continue
        for policy in row.policy:
            for migration, partition in itertools.product(row.migration, row.partition):
                options: Any = {"migration": migration, "partition": partition, "preemptive": row.preemptive[0]}
                name: Any = policy if policy != "own" else ByRelease
                assert SimSession(policy=name, cores=2, **options).jobs(tasks, horizon_ms=12).jobs


def test_a_core_is_idle_only_when_its_own_queue_is_empty() -> None:
    """Each core decides for itself: another one's decision says nothing about it."""
    task = {"period": 0, "cores": 2}
    tasks = TaskSet([
        {"executiontime": 2, "priority": 0, "coreoffset": 0, **task},
        {"executiontime": 2, "priority": 0, "coreoffset": 1, **task},
        {"executiontime": 3, "priority": 1, "coreoffset": 1, **task},
    ])  # fmt: skip
    for preemptive in (True, False):
        events = simulate(tasks, cores=2, preemptive=preemptive).events
        assert [(e.time_ns // 1_000_000, e.core) for e in events if e.type == "IDLE"] == [(2, 0), (5, 1)]
