"""Board generations as profiles of the simulator's session."""

import pytest

from sim import SimSession, simulate
from sim.boards.generation import GENERATIONS, Switches
from taskgen import EventType, TaskSet
from taskgen.errors import Unsupported, UsageError
from taskgen.optimizations.fairness import Fairness
from taskgen.testing import check_session

ONE = TaskSet([{"executiontime": 100, "period": 1000, "priority": 3, "numberofjobs": 2}])
MS = 1_000_000


@pytest.mark.parametrize("profile", GENERATIONS)
def test_a_profile_speaks_the_boards_vocabulary(profile: str) -> None:
    """START 26 ms after the release (wire-protocol 6.7), the end 100 ms of CPU later, jobs counted by STARTs."""
    session = SimSession(profile=profile)
    assert not session.capabilities.trace
    assert session.capabilities.job_numbers == "starts"
    trace = simulate(ONE, profile=profile, horizon_ms=5000)
    start, end = [event for event in trace.events if event.job == 0][:2]
    assert (start.type, start.time_ns) == (EventType.START, 26 * MS)
    assert (end.type, end.time_ns) == (EventType.EXIT, 126 * MS)
    assert trace.jobs[0].arrival_ns is None


@pytest.mark.parametrize("profile", GENERATIONS)
def test_a_profile_keeps_what_a_session_promises(profile: str) -> None:
    """Design 3.4: 'the conformance suite that every backend passes'."""
    check_session(lambda: SimSession(profile=profile))


def test_the_capabilities_of_a_profile() -> None:
    """wire-protocol 10: jobs limit, offset; 2.2: deadline; 5.1: optimiser."""
    can = {name: SimSession(profile=name).capabilities for name in GENERATIONS}
    assert [can[name].offsets for name in GENERATIONS] == [False] * 3 + [True] * 3
    assert [can[name].job_limits for name in GENERATIONS] == [False] * 3 + [True] * 3
    assert ["edf" in can[name].policies for name in GENERATIONS] == [False, True, True, True, True, False]
    assert [can[name].admission for name in GENERATIONS] == [False, True, False, True, True, False]


def test_g4_without_criticaltime_starts_each_second_period() -> None:
    """wire-protocol 6.5: the effective period is 2 x period."""
    starts = [e.time_ns for e in simulate(ONE, profile="G4").events if e.type is EventType.START]
    assert starts == [26 * MS, 2026 * MS]


def test_endless_sets_end_at_a_boards_minute() -> None:
    endless = TaskSet([{"executiontime": 100, "period": 50_000, "priority": 3}])
    plan = SimSession(profile="G4").check(endless)
    assert (plan.horizon.time_ns, plan.exact) == (60_000 * MS, False)


@pytest.mark.parametrize(
    ("attributes", "profile"),
    [
        ({"jitter": 1}, "G4"),
        ({"offset": 5}, "G1"),
        ({"deadline": 9}, "G1"),
        ({"period": 1.5}, "G3b"),
        ({"criticaltime": 0.25}, "G4"),
        ({"period": 2_147_484}, "G4"),
        ({"pkg": "of_sixteen_chars"}, "G1"),
    ],
    ids=str,
)
def test_what_a_board_has_no_words_for_is_refused(attributes: dict[str, object], profile: str) -> None:
    (key,) = attributes
    with pytest.raises(Unsupported, match=rf"task 0: {key}"):
        SimSession(profile=profile).run(TaskSet([{**ONE[0], **attributes}]))


def test_admission_needs_an_optimiser() -> None:
    assert list(SimSession(profile="G3b").run(ONE, admission=Fairness()))
    with pytest.raises(Unsupported, match="no admission control"):
        SimSession(profile="G4").run(ONE, admission=Fairness())


def test_switches_belong_to_boards() -> None:
    with pytest.raises(UsageError, match="no switches"):
        SimSession(switches=Switches(hang_on_kill=True))
    killed = TaskSet([{**ONE[0], "criticaltime": 50}])
    hung = simulate(killed, profile="G3b", switches=Switches(hang_on_kill=True), horizon_ms=5000)
    assert len(hung.events) < len(simulate(killed, profile="G3b", horizon_ms=5000).events)


def test_the_later_build_of_g1_runs_each_task_once() -> None:
    """wire-protocol 6.2: without destruction at exit every task runs once."""
    counts = [
        len(simulate(ONE, profile="G1", horizon_ms=9000, destroy_at_exit=destroys).jobs) for destroys in (True, False)
    ]
    assert counts[0] > 1
    assert counts[1] == 1


def test_a_run_can_be_stopped() -> None:
    session = SimSession(profile="G4")
    events = session.run(ONE)
    assert next(events).type is EventType.START
    session.stop()
    assert [event.type for event in events][-1] is EventType.EXIT_EXTERNAL


def test_g3b_reports_the_kill_of_a_job_that_ran_out_of_quota() -> None:
    """wire-protocol 6.8: OUT_OF_QUOTA leaves `active` true and the kill timer armed, so EXIT_CRITICAL can follow."""
    greedy = {"pkg": "tumatmul", "config": {"arg1": 201_000}, "quota": "5M", "period": 2000, "criticaltime": 1200}
    trace = simulate(TaskSet([{**greedy, "priority": 3, "numberofjobs": 1}]), profile="G3b", horizon_ms=9000)
    assert [str(event.type) for event in trace.events] == ["START", "OUT_OF_QUOTA", "EXIT_CRITICAL", "JOBS_DONE"]
    assert trace.events[2].time_ns == 1200 * MS


def test_a_board_that_runs_on_has_told_the_jobs_of_the_set() -> None:
    """wire-protocol 2.2: `numberofjobs` 'not read' on G1: further jobs delay the others, and are no jobs of the set.

    The set is over when each task has had its own, also if no instant finds all of them idle.
    """
    tasks = [
        {"id": 0, "executiontime": 200, "period": 600, "priority": 3, "numberofjobs": 1},
        {"id": 1, "executiontime": 100, "period": 700, "priority": 3, "numberofjobs": 3},
    ]
    trace = simulate(TaskSet(tasks), profile="G1")
    assert [(job.task_id, job.index) for job in trace.jobs] == [(0, 0), (1, 0), (1, 1), (1, 2)]
    assert {job.outcome for job in trace.jobs} == {EventType.EXIT}
    endless = TaskSet([{key: value for key, value in task.items() if key != "numberofjobs"} for task in tasks])
    more = simulate(endless, profile="G1", horizon_ms=3000).events
    assert [event for event in more if (event.task_id, event.job) in {(0, 0), (1, 0), (1, 1), (1, 2)}] == trace.events
