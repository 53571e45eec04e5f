"""The events of SimSession: their order, late releases, and that they are the same each time."""

import os
import subprocess
import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim import SimSession, simulate
from taskgen import EventType, TaskSet
from taskgen.units import NS_PER_MS
from tests.sim.event_lines import lines

#: The scheduler's own events; all others are the board's vocabulary.
TRACED = {"RELEASE", "DISPATCH", "PREEMPT", "RESUME", "MIGRATE", "DEADLINE_MISS", "IDLE"}

# -- the order of events ---------------------------------------------------------------------------------------------


def test_the_events_of_a_preemption() -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 5, "offset": 1}, {"executiontime": 3, "period": 9}])
    assert lines(SimSession(policy="rm").run(tasks, horizon_ms=5)) == [
        (0, "RELEASE", 1, 0), (0, "START", 1, 0), (0, "DISPATCH", 1, 0),
        (1, "RELEASE", 0, 0), (1, "START", 0, 0), (1, "PREEMPT", 1, 0), (1, "DISPATCH", 0, 0),
        (2, "EXIT", 0, 0), (2, "RESUME", 1, 0),
        (4, "EXIT", 1, 0), (4, "IDLE", None, None),
    ]  # fmt: skip


def test_a_core_without_work_at_the_start_is_idle() -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 5, "offset": 2, "numberofjobs": 1}])
    assert lines(SimSession().run(tasks)) == [
        (0, "IDLE", None, None),
        (2, "RELEASE", 0, 0), (2, "START", 0, 0), (2, "DISPATCH", 0, 0),
        (3, "EXIT", 0, 0), (3, "JOBS_DONE", 0, 0), (3, "IDLE", None, None),
    ]  # fmt: skip


def test_a_late_job_is_born_at_its_release_and_dispatched_after_its_predecessor() -> None:
    events = SimSession().run(TaskSet([{"executiontime": 3, "period": 2, "numberofjobs": 2}]))
    assert lines(events) == [
        (0, "RELEASE", 0, 0), (0, "START", 0, 0), (0, "DISPATCH", 0, 0),
        (2, "DEADLINE_MISS", 0, 0), (2, "RELEASE", 0, 1), (2, "START", 0, 1),
        (3, "EXIT", 0, 0), (3, "DISPATCH", 0, 1),
        (4, "DEADLINE_MISS", 0, 1), (6, "EXIT", 0, 1), (6, "JOBS_DONE", 0, 1),
        (6, "IDLE", None, None),
    ]  # fmt: skip


def test_a_job_killed_before_its_deadline_is_missed_at_the_kill() -> None:
    events = SimSession().run(TaskSet([{"executiontime": 9, "period": 8, "criticaltime": 5, "numberofjobs": 1}]))
    assert lines(events)[3:6] == [(5, "DEADLINE_MISS", 0, 0), (5, "EXIT_CRITICAL", 0, 0), (5, "JOBS_DONE", 0, 0)]


def test_a_job_that_never_ran_is_killed_too() -> None:
    tasks = TaskSet([{"executiontime": 9, "period": 0}, {"executiontime": 1, "period": 0, "criticaltime": 4}])
    tasks = TaskSet([{**task, "priority": place} for place, task in enumerate(tasks)])
    trace = simulate(tasks)
    job = next(trace.jobs_of(1))
    assert (str(job.outcome), job.start_ns, job.finish_ns, job.executed_ns) == ("EXIT_CRITICAL", None, 4_000_000, 0)
    assert job.missed


def test_a_dropped_job_counts_and_keeps_its_number() -> None:
    session = SimSession(overrun="skip", trace=False)
    events = session.run(TaskSet([{"executiontime": 3, "period": 2, "numberofjobs": 3}]))
    assert lines(events) == [
        (0, "START", 0, 0), (2, "NOT_SCHEDULED", 0, 1), (3, "EXIT", 0, 0),
        (4, "START", 0, 2), (7, "EXIT", 0, 2), (7, "JOBS_DONE", 0, 2),
    ]  # fmt: skip


@st.composite
def descriptions(draw: st.DrawFn) -> TaskSet:
    tasks = []
    for _ in range(draw(st.integers(1, 4))):
        task: dict[str, Any] = {
            "executiontime": draw(st.integers(1, 5)),
            "period": draw(st.integers(1, 10)),
            "offset": draw(st.integers(0, 5)),
            "priority": draw(st.integers(0, 3)),
        }
        optional = {"deadline": st.integers(1, 12), "criticaltime": st.integers(1, 9), "jitter": st.integers(1, 4)}
        optional["numberofjobs"] = st.integers(1, 4)
        tasks.append(task | {key: draw(values) for key, values in optional.items() if draw(st.booleans())})
    return TaskSet(tasks)


@settings(max_examples=100, deadline=None)
@given(
    tasks=descriptions(),
    policy=st.sampled_from(["fp", "edf", "dm"]),
    overrun=st.sampled_from(["continue", "kill", "skip"]),
    horizon=st.integers(0, 40),
)
def test_without_trace_the_board_vocabulary_remains(tasks: TaskSet, policy: str, overrun: Any, horizon: int) -> None:
    """`trace=False` leaves the scheduler's own events out and changes nothing else; EXIT_EXTERNAL included."""
    full, plain = (
        list(SimSession(policy=policy, overrun=overrun, trace=trace).run(tasks, horizon_ms=horizon))
        for trace in (True, False)
    )
    assert plain == [event for event in full if event.type not in TRACED]


# -- releases that jitter carries past the deadline ------------------------------------------------------------------

LATE_RELEASE = {"executiontime": 2, "period": 10, "deadline": 2, "jitter": 9, "numberofjobs": 1}


def test_a_job_released_after_its_deadline_is_missed_at_its_release() -> None:
    events = list(SimSession().run(TaskSet([LATE_RELEASE]), horizon_ms=40))
    assert [event.time_ns for event in events] == sorted(event.time_ns for event in events)
    (release,) = [event for event in events if event.type is EventType.RELEASE]
    (miss,) = [event for event in events if event.type is EventType.DEADLINE_MISS]
    assert miss.time_ns == release.time_ns > 2 * NS_PER_MS


def test_under_overrun_kill_it_dies_at_its_release_and_never_runs() -> None:
    urgent = {"executiontime": 5, "period": 20, "offset": 7, "numberofjobs": 1, "priority": 1}
    trace = simulate(TaskSet([LATE_RELEASE | {"priority": 0}, urgent]), policy="fp", overrun="kill", horizon_ms=40)
    whole, dead = trace.jobs
    assert (dead.outcome, dead.start_ns, dead.executed_ns) == (EventType.EXIT_CRITICAL, None, 0)
    assert dead.finish_ns == dead.release_ns
    assert (whole.start_ns, whole.finish_ns) == (7 * NS_PER_MS, 12 * NS_PER_MS)


# -- determinism -----------------------------------------------------------------------------------------------------

PROGRAM = """
from sim import SimSession
from taskgen import TaskSet
tasks = TaskSet([
    {"executiontime": 1.1, "period": 4.7, "jitter": 0.3},
    {"executiontime": 2, "period": 9, "deadline": 8, "jitter": 5, "pkg": "a"},
    {"executiontime": 3, "period": 12, "deadline": 12, "criticaltime": 11},
])
for event in SimSession(policy=POLICY, seed=SEED).run(tasks, horizon_ms=500):
    print(event)
"""


def output(policy: str, seed: int, hash_seed: str) -> bytes:
    program = PROGRAM.replace("POLICY", repr(policy)).replace("SEED", str(seed))
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, timeout=60)
    assert not done.stderr
    return done.stdout


def test_the_same_set_and_seed_give_the_same_bytes_in_any_process() -> None:
    first = output("edf", 1, "0")
    assert first.count(b"\n") > 500
    assert first == output("edf", 1, "4711")
    assert first != output("edf", 2, "0")
