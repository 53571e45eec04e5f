"""A user's own SimPy processes beside the processor: probes, faults and loads, interleaved exactly."""

from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest
import simpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim import Policy, Processor, SimSession, simulate
from taskgen import Event, EventType, TaskSet, Trace
from taskgen.errors import UsageError
from taskgen.units import NS_PER_MS

MS = NS_PER_MS
Running = Generator[simpy.Event, Any, None]
Process = Callable[[simpy.Environment, Processor], Running]


def at(time_ms: float, action: Callable[[Processor], object]) -> Process:
    """Return a process that does something once."""

    def process(env: simpy.Environment, processor: Processor) -> Running:
        yield env.timeout(int(time_ms * MS))
        action(processor)

    return process


def spans(trace: Trace) -> list[tuple[int, float, float]]:
    return [(span.task_id, span.start_ns / MS, span.end_ns / MS) for span in trace.gantt]


def moments(trace: Trace, kind: EventType) -> list[float]:
    return [event.time_ns / MS for event in trace.events if event.type is kind]


ONE = TaskSet([{"executiontime": 3, "period": 10, "priority": 1}])
TWO = TaskSet([{"executiontime": 1, "period": 4, "priority": 1}, {"executiontime": 4, "period": 12, "priority": 2}])


# -- probes ----------------------------------------------------------------------------------------------------------


def seen_by_probe(tasks: TaskSet, times_ns: Iterable[int], horizon_ms: int, **options: Any) -> list[tuple[Any, ...]]:
    """Return what runs and what waits at each of some instants."""
    seen: list[tuple[Any, ...]] = []

    def probe(env: simpy.Environment, processor: Processor) -> Running:
        for time_ns in times_ns:
            yield env.timeout(time_ns - env.now)
            running = processor.running
            seen.append((time_ns, running and running.id, [job.id for job in processor.ready]))

    simulate(tasks, horizon_ms=horizon_ms, processes=(probe,), **options)
    return seen


def test_a_probe_sees_what_runs_and_what_waits() -> None:
    """By hand: 0 runs at 0-1, 4-5, 8-9; 1 runs at 1-4, 5-6."""
    seen = seen_by_probe(TWO, [t * MS + 1 for t in range(10)], 12)
    assert [(running, waiting) for _, running, waiting in seen] == [
        (0, [1]), (1, []), (1, []), (1, []), (0, [1]), (1, []), (None, []), (None, []), (0, []), (None, []),
    ]  # fmt: skip


def test_the_ready_jobs_come_most_urgent_first() -> None:
    tasks = TaskSet([{"executiontime": 5, "period": 100, "deadline": d} for d in (40, 10, 30, 20)])
    assert seen_by_probe(tasks, [1], 10) == [(1, 1, [3, 2, 0])]


def test_at_equal_times_a_process_comes_before_the_processor() -> None:
    """At a release the job isn't there yet, at a completion it still runs."""
    assert seen_by_probe(ONE, [0, 3 * MS, 10 * MS, 10 * MS + 1], 20) == [
        (0, None, []),
        (3 * MS, 0, []),
        (10 * MS, None, []),
        (10 * MS + 1, 0, []),
    ]


@pytest.mark.parametrize("hops", [0, 1, 5])
def test_it_does_so_however_it_came_to_that_instant(hops: int) -> None:
    """Also after more events at the same instant, and when the processor waited for that instant before it did."""
    seen = []

    def probe(env: simpy.Environment, processor: Processor) -> Running:
        yield env.timeout(1)
        yield env.timeout(3 * MS - 1)
        for _ in range(hops):
            yield env.timeout(0)
        seen.append((env.now, processor.running is not None))

    simulate(ONE, horizon_ms=20, processes=(probe,))
    assert seen == [(3 * MS, True)]


def test_a_process_does_not_prolong_a_run() -> None:
    """The horizon, or the end of all jobs, ends the processes, too."""
    times: list[float] = []

    def clock(env: simpy.Environment, processor: Processor) -> Running:
        while True:
            times.append(env.now // MS)
            yield env.timeout(MS)

    trace = simulate(ONE, horizon_ms=5, processes=(clock,))
    assert trace.end_ns == 5 * MS
    assert times == [0, 1, 2, 3, 4, 5]
    times.clear()
    simulate(TaskSet([{"executiontime": 3, "period": 0}]), horizon_ms=50, processes=(clock,))
    assert times == [0, 1, 2, 3]


def test_each_run_starts_the_processes_anew() -> None:
    starts: list[float] = []

    def note(env: simpy.Environment, processor: Processor) -> Running:
        starts.append(env.now)
        yield env.timeout(1)

    session = SimSession(processes=(note,))
    first, second = (list(session.run(ONE, horizon_ms=30)) for _ in range(2))
    assert first == second
    assert starts == [0, 0]


# -- exact interleaving ----------------------------------------------------------------------------------------------


class LeastLaxity(Policy):
    dynamic = True
    quantum_ns = 2 * MS

    def rank(self, job: Any, now_ns: int) -> Any:
        return job.deadline_ns - now_ns - job.remaining_ns


@st.composite
def descriptions(draw: st.DrawFn) -> TaskSet:
    tasks = []
    for _ in range(draw(st.integers(1, 4))):
        task: dict[str, Any] = {
            "executiontime": draw(st.integers(1, 5)),
            "period": draw(st.integers(1, 12)),
            "offset": draw(st.integers(0, 5)),
            "priority": draw(st.integers(0, 3)),
        }
        optional = {
            "deadline": st.integers(1, 14),
            "criticaltime": st.integers(1, 9),
            "numberofjobs": st.integers(1, 4),
        }
        tasks.append(task | {key: draw(values) for key, values in optional.items() if draw(st.booleans())})
    return TaskSet(tasks)


def ticking(steps_ns: list[int]) -> Process:
    def process(env: simpy.Environment, processor: Processor) -> Running:
        while True:
            for step_ns in steps_ns:
                yield env.timeout(step_ns)

    return process


#: Steps between wake-ups: odd ones fall between the instants of the processor, whole milliseconds upon them.
STEPS = st.lists(st.sampled_from([777_777, 1_000_001, 2_500_001, MS, 3 * MS]), min_size=1, max_size=3)


@settings(max_examples=100, deadline=None)
@given(
    tasks=descriptions(),
    policy=st.sampled_from(["fp", "edf", LeastLaxity]),
    overrun=st.sampled_from(["continue", "kill", "skip"]),
    horizon=st.integers(0, 40),
    steps=st.lists(STEPS, min_size=1, max_size=2),
)
def test_watching_changes_nothing(
    tasks: TaskSet, policy: Any, overrun: Any, horizon: int, steps: list[list[int]]
) -> None:
    """Whatever processes wake up, and whenever: the events are those of the undisturbed run."""
    alone, watched = (
        list(SimSession(policy=policy, overrun=overrun, processes=processes).run(tasks, horizon_ms=horizon))
        for processes in ((), tuple(map(ticking, steps)))
    )
    assert watched == alone


@settings(max_examples=50, deadline=None)
@given(tasks=descriptions(), policy=st.sampled_from(["fp", "edf"]))
def test_a_probe_agrees_with_the_trace(tasks: TaskSet, policy: str) -> None:
    times = [t * MS + 1 for t in range(30)]
    trace = simulate(tasks, policy=policy, horizon_ms=30)
    for time_ns, running, _ in seen_by_probe(tasks, times, 30, policy=policy):
        in_trace = [span.task_id for span in trace.gantt if span.start_ns < time_ns < span.end_ns]
        assert in_trace == ([] if running is None else [running])


# -- faults ----------------------------------------------------------------------------------------------------------


def test_a_fault_ends_the_running_job() -> None:
    trace = simulate(ONE, horizon_ms=20, processes=(at(1, lambda processor: processor.fail(0)),))
    jobs = [(str(job.outcome), job.finish_ns, job.executed_ns, job.missed) for job in trace.jobs]
    assert jobs == [("EXIT_ERROR", 1 * MS, 1 * MS, True), ("EXIT", 13 * MS, 3 * MS, False)]
    assert moments(trace, EventType.DEADLINE_MISS) == [1]


def test_a_fault_ends_a_waiting_job() -> None:
    trace = simulate(TWO, horizon_ms=12, processes=(at(0.5, lambda processor: processor.fail(1)),))
    (job,) = trace.jobs_of(1)
    assert (str(job.outcome), job.start_ns, job.finish_ns) == ("EXIT_ERROR", None, MS // 2)
    assert spans(trace) == [(0, 0, 1), (0, 4, 5), (0, 8, 9)]


def test_a_fault_of_a_task_without_a_job_is_nothing() -> None:
    disturbed = simulate(ONE, horizon_ms=20, processes=(at(5, lambda processor: processor.fail(0)),))
    assert disturbed.events == simulate(ONE, horizon_ms=20).events


def test_at_the_instant_of_a_completion_the_job_is_complete() -> None:
    disturbed = simulate(ONE, horizon_ms=20, processes=(at(3, lambda processor: processor.fail(0)),))
    assert [str(job.outcome) for job in disturbed.jobs] == ["EXIT", "EXIT"]


def test_after_a_fault_the_late_successor_runs() -> None:
    trace = simulate(
        TaskSet([{"executiontime": 5, "period": 4, "numberofjobs": 2}]),
        processes=(at(4.5, lambda processor: processor.fail(0)),),
    )
    assert spans(trace) == [(0, 0, 4.5), (0, 4.5, 9.5)]
    assert [str(job.outcome) for job in trace.jobs] == ["EXIT_ERROR", "EXIT"]


def test_faults_of_one_instant_all_count() -> None:
    def both(processor: Processor) -> None:
        processor.fail(0)
        processor.fail(1)

    trace = simulate(TWO, horizon_ms=4, processes=(at(0.5, both),))
    assert [str(job.outcome) for job in trace.jobs] == ["EXIT_ERROR", "EXIT_ERROR"]
    assert moments(trace, EventType.IDLE) == [0.5]


# -- loads -----------------------------------------------------------------------------------------------------------


def test_an_interrupt_takes_the_core_away() -> None:
    trace = simulate(ONE, horizon_ms=10, processes=(at(1, lambda processor: processor.interrupt(2 * MS)),))
    assert spans(trace) == [(0, 0, 1), (0, 3, 5)]
    assert trace.jobs[0].preemptions == 1
    assert (moments(trace, EventType.PREEMPT), moments(trace, EventType.RESUME)) == ([1], [3])
    assert trace.jobs[0].executed_ns == 3 * MS


def test_interrupts_queue_up() -> None:
    loads = tuple(at(time, lambda processor: processor.interrupt(2 * MS)) for time in (1, 2, 2))
    assert spans(simulate(ONE, horizon_ms=10, processes=loads)) == [(0, 0, 1), (0, 7, 9)]


def test_a_job_released_during_an_interrupt_waits() -> None:
    trace = simulate(ONE, horizon_ms=20, processes=(at(9, lambda processor: processor.interrupt(2 * MS)),))
    assert spans(trace) == [(0, 0, 3), (0, 11, 14)]
    assert [job.preemptions for job in trace.jobs] == [0, 0]


def test_an_interrupt_of_no_time_is_nothing() -> None:
    disturbed = simulate(ONE, horizon_ms=10, processes=(at(1, lambda processor: processor.interrupt(0)),))
    assert disturbed.events == simulate(ONE, horizon_ms=10).events


def interrupting(wcet_ms: int, period_ms: int) -> Process:
    def process(env: simpy.Environment, processor: Processor) -> Running:
        while True:
            processor.interrupt(wcet_ms * MS)
            yield env.timeout(period_ms * MS)

    return process


@settings(max_examples=100, deadline=None)
@given(tasks=descriptions(), wcet=st.integers(1, 3), period=st.integers(1, 9), policy=st.sampled_from(["fp", "auto"]))
@example(tasks=TWO, wcet=1, period=1, policy="fp")
@pytest.mark.filterwarnings("ignore:task . has a deadline and a priority")
def test_a_periodic_interrupt_is_a_task_above_all_others(tasks: TaskSet, wcet: int, period: int, policy: str) -> None:
    """Also for preemptions, kills and misses, and in overload."""
    higher = TaskSet([{**task, "priority": task["priority"] + 1} for task in tasks])
    highest = TaskSet([*higher, {"executiontime": wcet, "period": period, "priority": 0, "id": 99}])
    loaded = simulate(higher, policy=policy, horizon_ms=40, processes=(interrupting(wcet, period),))
    as_task = simulate(highest, policy=policy, horizon_ms=40)
    assert loaded.jobs == tuple(job for job in as_task.jobs if job.task_id != 99)


# -- what processes must not do --------------------------------------------------------------------------------------


@pytest.mark.parametrize("duration_ns", [-1, 1.5, 2.0, True, "1"])
def test_an_interrupt_lasts_whole_nanoseconds(duration_ns: Any) -> None:
    with pytest.raises(UsageError, match=r"ValueError: interrupt of .*: expected whole nanoseconds >= 0"):
        simulate(ONE, horizon_ms=10, processes=(at(1, lambda processor: processor.interrupt(duration_ns)),))


@pytest.mark.parametrize("action", [lambda processor: processor.fail(0), lambda processor: processor.interrupt(1)])
def test_a_clock_that_counts_floats_is_refused(action: Callable[[Processor], object]) -> None:
    def process(env: simpy.Environment, processor: Processor) -> Running:
        yield env.timeout(0.5)
        action(processor)

    with pytest.raises(UsageError, match=r"TypeError: the simulation clock is at 0\.5, expected integer nanoseconds"):
        simulate(ONE, horizon_ms=10, processes=(process,))


def test_an_error_in_a_process_reaches_who_reads_the_events() -> None:
    def broken(env: simpy.Environment, processor: Processor) -> Running:
        yield env.timeout(15 * MS)
        raise ZeroDivisionError("mine")

    session = SimSession(processes=(broken,))
    seen: list[Event] = []
    with pytest.raises(UsageError, match="ZeroDivisionError: mine"):
        seen.extend(session.run(ONE, horizon_ms=30))
    assert not session.active
    assert [event.time_ns // MS for event in seen if event.type is EventType.EXIT] == [3, 13]
