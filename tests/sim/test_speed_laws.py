"""What makes the simulator fast changes nothing: job records are those of the full trace, streamed or not."""

import random
import subprocess
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Generator
from itertools import islice, pairwise
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import Policy, Processor, SimSession
from sim.recorder import Recorder
from taskgen import Event, TaskSet
from taskgen.trace import Job

MIB = 1 << 20
MS = 1_000_000


class OwnEDF(Policy):
    """EDF, as a user writes it."""

    def rank(self, job: Any, now_ns: int) -> int:
        return int(job.deadline_ns)


class LateComersFirst(Policy):
    """A rank that depends on the instant at which a job enters the ready queue, and on what it has been through."""

    def rank(self, job: Any, now_ns: int) -> tuple[int, int]:
        return (job.preemptions - now_ns % 7, job.enqueued)


TEN = TaskSet([{"executiontime": 0.9, "period": 10 + number} for number in range(10)])
SIMULTANEOUS = TaskSet([{"executiontime": 9, "period": 10, "deadline": 10 + n % 3} for n in range(500)])
MANY = TaskSet([{"executiontime": 0.1, "period": 1 + n / 1000} for n in range(128)])

periodic = st.fixed_dictionaries(
    {"executiontime": st.integers(1, 8), "period": st.integers(4, 30), "priority": st.integers(0, 3)},
    optional={
        "offset": st.integers(0, 20),
        "deadline": st.integers(1, 40),
        "jitter": st.integers(0, 5),
        "numberofjobs": st.sampled_from([1, 3, 100]),
        "criticaltime": st.integers(3, 20),
    },
)
plain = st.fixed_dictionaries(
    {"executiontime": st.integers(1, 8), "period": st.integers(4, 30), "priority": st.integers(0, 3)},
    optional={"offset": st.integers(0, 20), "deadline": st.integers(1, 40), "numberofjobs": st.sampled_from([3, 200])},
)
one_shot = st.fixed_dictionaries(
    {"executiontime": st.integers(1, 30), "period": st.just(0), "priority": st.integers(0, 3)},
    optional={"offset": st.integers(0, 500)},
)
policies = st.sampled_from(["fp", "rm", "dm", "edf", "fifo", "rr", "llf", OwnEDF, LateComersFirst])


def by_end(job: Job) -> tuple[int, int, int]:
    assert job.finish_ns is not None
    return (job.finish_ns, job.task_id, job.index)


def tasksets(task: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[TaskSet]:
    return st.lists(task, min_size=1, max_size=6).map(TaskSet)


def drawn(seed: int) -> TaskSet:
    """Draw a set that keeps a core busy and beyond: stretches of such a set hold many preemptions and late jobs."""
    rng = random.Random(seed)
    tasks = []
    for number in range(rng.randint(2, 7)):
        task = {"executiontime": rng.randint(1, 7), "period": rng.randint(5, 40), "priority": rng.randint(0, 3)}
        task |= {"deadline": rng.randint(1, 60)} if rng.random() < 0.3 else {}
        task |= {"offset": rng.randint(0, 30)} if rng.random() < 0.5 else {}
        task |= {"numberofjobs": rng.randint(1, 60)} if number and rng.random() < 0.3 else {}
        tasks.append(task)
    return TaskSet(tasks)


@pytest.mark.parametrize("policy", ["fp", "rm", "dm", "edf", "auto", "fifo", "rr", "llf", OwnEDF, LateComersFirst])
@pytest.mark.filterwarnings("ignore:task .* has a deadline and a priority")
@pytest.mark.parametrize("tie", ["running", "index"])
def test_records_of_drawn_sets_are_those_of_the_full_trace(policy: Any, tie: Any) -> None:
    session = SimSession(policy=policy, tie=tie, quantum_ms=2 if policy in {"rr", "llf"} else None)
    for seed in range(20):
        taskset, horizon_ms = drawn(seed), 100 + 37 * seed
        assert session.jobs(taskset, horizon_ms=horizon_ms).jobs == session.trace(taskset, horizon_ms).jobs


@pytest.mark.parametrize("limits", [(3, 2000), (50, 60), (998, 3), (999, 1), (1000, 1), (996, 2), (997, 2)], ids=str)
def test_records_end_when_all_tasks_are_done(limits: tuple[int, int]) -> None:
    """Also where the last release of a task is that of a stretch, and where its last job ends in one."""
    tasks = [{"executiontime": 4, "period": 10, "numberofjobs": limit} for limit in limits]
    session = SimSession(policy="edf")
    for taskset in (TaskSet(tasks), TaskSet(tasks[:1])):
        recorded, traced = session.jobs(taskset, horizon_ms=100_000), session.trace(taskset, 100_000)
        assert (recorded.jobs, recorded.end_ns) == (traced.jobs, traced.end_ns)


@given(
    taskset=tasksets(st.one_of(plain, one_shot)),
    policy=policies,
    tie=st.sampled_from(["running", "index"]),
    horizon_ms=st.integers(1, 1000),
)
@settings(max_examples=60, deadline=None)
def test_records_of_plain_stretches_are_those_of_the_full_trace(
    taskset: TaskSet, policy: Any, tie: Any, horizon_ms: int
) -> None:
    """Overload, ties, tasks that end in the middle and late jobs included."""
    session = SimSession(policy=policy, tie=tie)
    assert session.jobs(taskset, horizon_ms=horizon_ms).jobs == session.trace(taskset, horizon_ms).jobs


@given(
    taskset=tasksets(st.one_of(periodic, one_shot)),
    policy=st.sampled_from(["rm", "edf", OwnEDF]),
    overrun=st.sampled_from(["continue", "kill", "skip"]),
    cores=st.integers(1, 3),
    migration=st.sampled_from(["partitioned", "global"]),
    horizon_ms=st.integers(1, 1000),
)
@settings(max_examples=80, deadline=None)
def test_a_stream_has_the_same_jobs_in_the_order_of_their_ends(
    taskset: TaskSet, policy: Any, overrun: Any, cores: int, migration: str, horizon_ms: int
) -> None:
    if migration == "partitioned":  # placed by hand: overloaded cores, too
        taskset = TaskSet(
            [{**task, "cores": cores, "coreoffset": number % cores} for number, task in enumerate(taskset)]
        )
    session = SimSession(policy=policy, overrun=overrun, cores=cores, migration=migration)
    streamed = list(session.stream_jobs(taskset, horizon_ms=horizon_ms))
    assert all((a.finish_ns or 0) <= (b.finish_ns or 0) for a, b in pairwise(streamed))
    recorded = session.jobs(taskset, horizon_ms=horizon_ms).jobs
    assert sorted(streamed, key=by_end) == sorted(recorded, key=by_end)


@given(
    taskset=tasksets(plain),
    execution=st.sampled_from(
        [
            None,
            {"kind": "uniform", "low_ms": 0, "high_ms": 9},
            {"kind": "normal", "mean_ms": 3, "deviation_ms": 1, "low_ms": 0},
        ]
    ),
    actions=st.lists(st.tuples(st.integers(0, 900), st.sampled_from(["interrupt", "fail", "look"])), max_size=6),
    policy=st.sampled_from(["rm", "edf", OwnEDF]),
)
@settings(max_examples=60, deadline=None)
def test_faults_and_loads_strike_in_plain_stretches_as_in_the_full_trace(
    taskset: TaskSet, execution: Any, actions: list[tuple[int, str]], policy: Any
) -> None:
    """Each of them comes at an instant of its own or of the processor's; execution times may vary, down to nothing."""
    seen: list[list[Any]] = []

    def act(env: simpy.Environment, processor: Processor) -> Generator[simpy.Event, Any, None]:
        notes: list[Any] = []
        seen.append(notes)
        for time_ms, action in sorted(actions):
            yield env.timeout(time_ms * MS - env.now)
            if action == "interrupt":
                processor.interrupt(3 * MS)
            elif action == "fail":
                processor.fail(0)
            else:
                running = processor.running
                notes.append((env.now, running and (running.id, running.index), [job.id for job in processor.ready]))

    session = SimSession(policy=policy, execution=execution, processes=(act,))
    assert session.jobs(taskset, horizon_ms=1000).jobs == session.trace(taskset, 1000).jobs
    assert seen[0] == seen[1]


@pytest.mark.parametrize("policy", ["rm", "edf", OwnEDF])
def test_interrupts_between_stretches_are_those_of_the_full_trace(policy: Any) -> None:
    """Seldom enough for stretches in between, and longer than many a period."""

    def load(env: simpy.Environment, processor: Processor) -> Generator[simpy.Event, Any, None]:
        while True:
            yield env.timeout(270 * MS)
            processor.interrupt(90 * MS)

    session = SimSession(policy=policy, processes=(load,))
    for seed in range(20):
        assert session.jobs(drawn(seed), horizon_ms=1500).jobs == session.trace(drawn(seed), 1500).jobs


def test_a_plain_set_runs_in_stretches_of_at_most_a_thousand_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """So somebody who wants the run to stop is heard that often."""
    stretches: list[int] = []
    original: Callable[[Recorder, list[Any]], None] = Recorder._run_plainly

    def counted(self: Recorder, releases: list[Any]) -> None:
        stretches.append(len(releases) - 1)  # the last is a sentinel
        original(self, releases)

    monkeypatch.setattr(Recorder, "_run_plainly", counted)
    jobs = SimSession(policy="edf").jobs(TEN, horizon_ms=20_000).jobs
    assert max(stretches) <= 1000
    assert sum(stretches) > 0.9 * len(jobs)


def spread(taskset: TaskSet, cores: int) -> TaskSet:
    """Bind the tasks to cores, whatever their load."""
    return TaskSet([{**task, "coreoffset": number % cores} for number, task in enumerate(taskset)])


def uneven(tasks: int, cores: int) -> TaskSet:
    """Bind all tasks to the first core but one each to the others, which have next to nothing to do."""
    busy: list[dict[str, Any]] = [
        {"executiontime": 0.01, "period": 1 + number % 7, "coreoffset": 0} for number in range(tasks)
    ]
    return TaskSet([*busy, *({"executiontime": 1, "period": 10_000, "coreoffset": core} for core in range(1, cores))])


@pytest.mark.parametrize("records", [False, True])
@pytest.mark.parametrize(
    ("taskset", "options"),
    [
        pytest.param(TEN, {"policy": "edf"}, id="one core"),
        pytest.param(SIMULTANEOUS, {"policy": "edf"}, id="simultaneous"),
        pytest.param(SIMULTANEOUS, {"policy": OwnEDF}, id="simultaneous, own"),
        pytest.param(SIMULTANEOUS, {"policy": "edf", "overrun": "skip"}, id="simultaneous, mortal"),
        pytest.param(spread(SIMULTANEOUS, 3), {"policy": "rm", "cores": 3}, id="simultaneous, partitioned"),
        pytest.param(SIMULTANEOUS, {"policy": "rm", "cores": 3, "migration": "global"}, id="simultaneous, global"),
        pytest.param(SIMULTANEOUS, {"policy": "rm", "preemptive": False}, id="simultaneous, without preemption"),
        pytest.param(uneven(10, 64), {"policy": "edf", "cores": 64}, id="uneven"),
        pytest.param(spread(MANY, 64), {"policy": "edf", "cores": 64}, id="many cores"),
    ],
)
def test_a_run_looks_for_stop_at_least_every_thousand_jobs(
    taskset: TaskSet, options: dict[str, Any], records: bool
) -> None:
    """Jobs count where they are released."""
    session = SimSession(**options)
    model: Any = None
    released: list[int] = []

    def stopped() -> bool:
        models = getattr(model, "_processors", [model])
        released.append(sum(job.released for each in models for job in each._jobs))
        return released[-1] > 12_000

    plan = session.check(taskset, horizon_ms=10**9, stopped=stopped)
    model = session._model(plan, {} if records else None)
    deque(session._steps(plan, model), maxlen=0)
    assert max(later - earlier for earlier, later in pairwise(released)) <= 1000
    assert released[-1] <= 13_000


def peak_of(consume: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        consume()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "options",
    [
        {"policy": "edf"},
        {"policy": OwnEDF},
        {"policy": "edf", "cores": 2},
        {"policy": "edf", "cores": 2, "migration": "global"},
        {"policy": "edf", "overrun": "kill"},
    ],
    ids=str,
)
def test_memory_of_a_stream_does_not_grow_with_simulated_time(options: dict[str, Any]) -> None:
    session = SimSession(**options)

    def consume(horizon_ms: int) -> Callable[[], object]:
        return lambda: deque(session.stream_jobs(TEN, horizon_ms=horizon_ms), maxlen=0)

    consume(100)()  # what is made once
    short, long = peak_of(consume(2_000)), peak_of(consume(20_000))
    assert long < short + MIB / 4


def test_memory_of_events_does_not_grow_with_simulated_time() -> None:
    session = SimSession(policy="edf")

    def consume(horizon_ms: int) -> Callable[[], object]:
        def events() -> deque[Event]:
            return deque(session.run(TEN, horizon_ms=horizon_ms), maxlen=0)

        return events

    consume(100)()
    short, long = peak_of(consume(1_000)), peak_of(consume(10_000))
    assert long < short + MIB / 4


def test_a_stream_needs_no_horizon_that_somebody_waits_for() -> None:
    """The first jobs of a run over 30 years come at once; closing the stream ends it."""
    stream = SimSession(policy="edf").stream_jobs(TEN, horizon_ms=10**12)
    first = list(islice(stream, 5))
    stream.close()
    assert [job.task_id for job in first] == [0, 1, 2, 3, 4]
    assert next(stream, None) is None


def test_a_stream_refuses_a_bad_set_at_the_call() -> None:
    with pytest.raises(ValueError, match="period"):
        SimSession().stream_jobs(TaskSet([{"executiontime": 1, "period": -1}]), horizon_ms=10)


def test_a_board_streams_its_jobs_too() -> None:
    tasks = TaskSet([{"pkg": "hey", "period": 1000, "priority": 1, "numberofjobs": 3}])
    session = SimSession(profile="G4")
    jobs = list(session.stream_jobs(tasks, horizon_ms=20_000))
    assert sorted(jobs) == sorted(session.jobs(tasks, horizon_ms=20_000).jobs)
    assert jobs


def test_the_simulator_imports_nothing_heavy() -> None:
    heavy = ("numpy", "numba", "matplotlib", "pandas", "scipy", "hypothesis", "typer", "rich", "lxml")
    code = f"import sim, sys; print(*(name for name in {heavy} if name in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not answer.stdout.split()
