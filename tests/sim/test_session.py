"""SimSession behind the Session interface: options, horizon, stopping, the order of events, determinism."""

import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Generator, Sequence
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import EarliestDeadlineFirst, JobFixedPriority, Policy, SimSession, simulate
from taskgen import Event, EventType, Target, TaskSet
from taskgen.errors import InputError, SessionBusy, Unsupported, UsageError
from taskgen.parameters import Parameters
from taskgen.testing import check_session
from taskgen.units import NS_PER_MS

#: The scheduler's own events; all others are the board's vocabulary.
TRACED = {"RELEASE", "DISPATCH", "PREEMPT", "RESUME", "MIGRATE", "DEADLINE_MISS", "IDLE"}

#: An event in ms: type, task, job.
Line = tuple[float, str, int | None, int | None]


def lines(events: list[Event] | Generator[Event, None, None]) -> list[Line]:
    return [(e.time_ns / NS_PER_MS, str(e.type), e.task_id, e.job) for e in events]


class OwnPolicy(Policy):
    """First come, first served."""

    def rank(self, job: Any, now_ns: int) -> int:
        release: int = job.release_ns
        return release


CONFORMING: list[dict[str, Any]] = [
    {},
    {"trace": False},
    {"policy": "edf", "tie": "index"},
    {"policy": "rm", "overrun": "kill"},
    {"policy": "dm", "overrun": "skip", "trace": False},
    {"policy": OwnPolicy},
]


@pytest.mark.parametrize("options", CONFORMING, ids=str)
def test_it_keeps_the_promises_of_every_session(options: dict[str, Any]) -> None:
    check_session(lambda: SimSession(**options))


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"profile": "G9"}, "profile: 'G9' isn't supported, expected ideal", ""),
        ({"profile": "Ideal"}, "profile: 'Ideal' isn't supported, expected ideal", "did you mean ideal?"),
        ({"engine": "batch"}, "engine: 'batch' isn't supported, expected simpy", ""),
        ({"cores": 0}, "cores: 0 isn't supported, expected 1..1024", ""),
        ({"cores": True}, "cores: True isn't supported, expected 1..1024", ""),
        ({"migration": "globl"}, "migration: 'globl' isn't supported", "did you mean global?"),
        ({"preemptive": 0}, "preemptive: 0 isn't supported, expected True or False", ""),
        ({"policy": "rr", "preemptive": False}, "policy rr and preemptive False don't go together", "preemptive: True"),
        ({"policy": "llf", "preemptive": False, "quantum_ms": 2}, "nothing ends with a quantum", "leave it out"),
        ({"partition": "best-fit"}, "partition: 'best-fit' isn't supported, expected first-fit or worst-fit", ""),
        ({"partition": "worst-fit", "migration": "global"}, "partition worst-fit don't go together", "partitioned"),
        ({"partition": "worst-fit", "profile": "G1"}, "profile G1 and partition worst-fit don't go together", "ideal"),
        ({"cores": 2000}, "cores: 2000 isn't supported, expected 1..1024 with profile ideal", "list policies"),
        ({"cores": 2000, "profile": "G1"}, "cores: 2000 isn't supported, expected 1..8 with profile G1", "policies"),
        ({"scheduler_ms": float("inf")}, "scheduler_ms: inf is not a finite number", "in milliseconds"),
        ({"overrun": "kil"}, "overrun: 'kil' isn't supported, expected continue or kill or skip", "did you mean kill?"),
        ({"tie": "fifo"}, "tie: 'fifo' isn't supported, expected running or index", ""),
        ({"context_switch_ms": -0.1}, "context_switch_ms: -0.1 is negative", ""),
        ({"migration_ms": "1"}, "migration_ms", ""),
        ({"execution": {"kind": "gauss"}}, "execution: kind: 'gauss' is no distribution", ""),
        ({"scheduler_ms": -1}, "scheduler_ms: -1 is negative", ""),
        ({"quantum_ms": 5}, "quantum_ms: 5.0: policy 'auto' has no quantum", "leave it out"),
        ({"policy": "rmm"}, "there is no policy 'rmm'", "rm"),
        ({"policy": "pathlib:Path"}, "is no sim.Policy", "derive the class from sim.Policy"),
        ({"policy": dict}, "is no sim.Policy", "derive the class from sim.Policy"),
        ({"workload": "pandabord"}, "there is no workload 'pandabord'", "pandaboard"),
        ({"workload": "nowhere.toml"}, "nowhere.toml: can't be read", ""),
    ],
    ids=str,
)
def test_what_it_cannot_do_is_refused_with_one_clear_line(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        SimSession(**options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert hint in caught.value.hint


def test_an_unknown_option_of_a_target_is_an_error() -> None:
    with pytest.raises(UsageError, match="polcy") as caught:
        SimSession.open(Target("sim", "", {"polcy": "edf"}))
    assert "policy" in caught.value.hint


def test_the_address_is_the_profile() -> None:
    assert SimSession.open(Target("sim", "ideal")).capabilities.trace
    assert SimSession.open(Target("sim", "ideal", {"profile": "ideal", "policy": "edf"})).capabilities.trace
    with pytest.raises(UsageError, match=r"profile: 'G7' isn't supported"):
        SimSession.open(Target("sim", "G7"))


def test_a_profile_given_twice_differently_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"profile: sim:G1 and 'ideal' contradict each other"):
        SimSession.open(Target("sim", "G1", {"profile": "ideal"}))


@pytest.mark.parametrize("policy", [EarliestDeadlineFirst, EarliestDeadlineFirst(), "sim.policy:EarliestDeadlineFirst"])
def test_a_policy_is_a_name_a_class_or_an_object(policy: Any) -> None:
    tasks = TaskSet([{"executiontime": 2, "period": 5}, {"executiontime": 4, "period": 7}])
    assert simulate(tasks, policy=policy).events == simulate(tasks, policy="edf").events


# -- refusals of run() -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("priority", [{}, {"priority": 128}])
def test_fp_needs_a_priority_for_each_task_and_names_the_one_without(priority: dict[str, int]) -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 4, "priority": 1}, {"executiontime": 1, "period": 5, **priority}])
    with pytest.raises(InputError, match=r"^task 1: .*policy fp needs 0\.\.127") as caught:
        SimSession(policy="fp").run(tasks)
    assert "--policy" in caught.value.hint


def test_an_unknown_program_is_refused_naming_both_ways_out() -> None:
    with pytest.raises(InputError, match=r"task 0: pkg: 'doom' has no known execution time .*knows .*hey.*") as caught:
        SimSession().run(TaskSet([{"pkg": "doom", "period": 100}]))
    assert "executiontime" in caught.value.hint
    assert "--workload" in caught.value.hint


def test_refusals_come_when_run_is_called_and_leave_the_session_free() -> None:
    session = SimSession()
    with pytest.raises(Unsupported, match="admission"):
        session.run(TaskSet([{"executiontime": 1, "period": 4}]), admission={"optimize": {}})
    with pytest.raises(Unsupported, match="choice"):
        session.run(TaskSet([{"executiontime": 1, "period": [4, 5]}]))
    events = session.run(TaskSet([{"executiontime": 1, "period": 4}]))
    with pytest.raises(SessionBusy):
        session.run(TaskSet([{"executiontime": 1, "period": 4}]))
    assert list(events)


def test_auto_warns_once_about_a_deadline_and_a_priority() -> None:
    tasks = TaskSet([{"executiontime": 1, "period": 4, "deadline": 3, "priority": p} for p in (1, 2)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        events = list(SimSession().run(tasks, horizon_ms=4))
    assert events
    (warning,) = caught
    assert str(warning.message) == (
        "task 0 has a deadline and a priority: it is scheduled by EDF, its priority is ignored;"
        " --policy fp schedules by priority"
    )


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


# -- stopping and closing --------------------------------------------------------------------------------------------

#: U = 1.1: there always is an unfinished job.
ENDLESS = TaskSet([{"executiontime": 1, "period": 2}, {"executiontime": 60, "period": 100}])


def test_stop_from_another_thread_in_the_middle() -> None:
    """A consumer reads in its own thread; stop() ends it long before the horizon, unfinished jobs are cut off."""
    session = SimSession(policy="rm")
    events = session.run(ENDLESS, horizon_ms=10**9)
    seen: list[Event] = []
    some = threading.Event()

    def consume() -> None:
        for event in events:
            seen.append(event)
            some.set()

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    assert some.wait(30)
    session.stop()
    consumer.join(30)
    assert not consumer.is_alive()
    assert not session.active
    assert 0 < seen[-1].time_ns < 10**15
    started = {(e.task_id, e.job) for e in seen if e.type is EventType.START}
    ended = {(e.task_id, e.job) for e in seen if str(e.type).startswith("EXIT")}
    assert started == ended
    cut = [event for event in seen if event.type is EventType.EXIT_EXTERNAL]
    assert cut
    assert {event.time_ns for event in cut} == {seen[-1].time_ns}


def test_stop_is_idempotent_and_counts_for_its_run_only() -> None:
    session = SimSession(policy="rm")
    session.stop()
    events = session.run(ENDLESS, horizon_ms=10**6)
    assert len(list(islice(events, 5))) == 5
    session.stop()
    session.stop()
    rest = list(events)
    assert rest[-1].type is EventType.EXIT_EXTERNAL
    assert list(session.run(ENDLESS, horizon_ms=100))[-1].time_ns == 100 * NS_PER_MS


def test_a_stopped_run_is_a_beginning_of_the_whole_one() -> None:
    """All that happened before the stop happened as it would have without."""
    session = SimSession(policy="edf")
    events = session.run(ENDLESS, horizon_ms=20_000)
    seen = list(islice(events, 10))
    session.stop()
    seen += events
    end_ns = seen[-1].time_ns
    whole = list(SimSession(policy="edf").run(ENDLESS, horizon_ms=20_000))
    before = [event for event in seen if event.type is not EventType.EXIT_EXTERNAL]
    assert before == [event for event in whole if event.time_ns <= end_ns][: len(before)]
    assert end_ns < 20_000 * NS_PER_MS


def test_closing_the_generator_frees_the_session() -> None:
    session = SimSession()
    events = session.run(ENDLESS, horizon_ms=10**9)
    next(events)
    assert session.active
    events.close()
    assert not session.active
    assert list(session.run(ENDLESS, horizon_ms=2))


def test_dropping_the_generator_frees_the_session() -> None:
    session = SimSession()
    next(session.run(ENDLESS, horizon_ms=10**9))
    assert list(session.run(ENDLESS, horizon_ms=2))


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


def test_messages_name_what_a_user_wrote() -> None:
    """Errors of a policy from a file name the file."""
    with pytest.raises(UsageError, match=re.escape("nowhere.py: there is no such file")):
        SimSession(policy="nowhere.py:Mine")


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


# -- policies of the user's own --------------------------------------------------------------------------------------


class Shared(JobFixedPriority):
    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        return {task.id: None if task.deadline_ns else task.period_ns for task in tasks}


def test_fixed_ranks_may_be_as_large_as_times() -> None:
    """A rank of 5000 ms in ns still goes before any deadline."""
    taskset = TaskSet([{"executiontime": 3, "period": 5000}, {"executiontime": 1, "period": 100, "deadline": 100}])
    spans = simulate(taskset, policy=Shared(), horizon_ms=10).gantt
    assert [span.task_id for span in spans] == [0, 1]


def test_a_policy_object_is_a_template() -> None:
    policy = Shared()
    simulate(TaskSet([{"executiontime": 3, "period": 5000}]), policy=policy, horizon_ms=10)
    assert not hasattr(policy, "fixed")


@pytest.mark.parametrize("quantum_ns", [0, -5, 1e6 / 3, True])
def test_a_quantum_is_whole_nanoseconds(quantum_ns: Any) -> None:
    policy = type("Odd", (Shared,), {"quantum_ns": quantum_ns})
    with pytest.raises(UsageError, match=r"quantum_ns: .*expected whole nanoseconds > 0") as caught:
        SimSession(policy=policy)
    assert "2 ms are 2_000_000" in caught.value.hint


def test_a_bug_in_a_policy_is_its_authors_fault() -> None:
    class Broken(Policy):
        def rank(self, job: Any, now_ns: int) -> Any:
            return job.nope

    with pytest.raises(UsageError, match=r"policy Broken .*AttributeError"):
        simulate(TaskSet([{"executiontime": 3, "period": 5000}]), policy=Broken)


def test_only_what_the_theorem_covers_is_called_exact() -> None:
    taskset = TaskSet([{"executiontime": 1, "period": 4}])
    assert SimSession().check(taskset).exact
    assert not SimSession(policy=Shared()).check(taskset).exact
    assert not SimSession(processes=(lambda env, processor: iter(()),)).check(taskset).exact  # type: ignore[arg-type,return-value]
    cut = TaskSet([{"executiontime": 20_000, "period": 0, "deadline": 1}])
    assert not SimSession().check(cut).exact
