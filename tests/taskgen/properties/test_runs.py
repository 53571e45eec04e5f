"""Executing sets for laws: the trace knows how the run ended, properties share it, relations run variants."""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings

from sim import SimSession
from taskgen import TaskSet
from taskgen.errors import InputError, TargetError, TargetLost
from taskgen.events import Event, EventType
from taskgen.session import Plan
from taskgen.testing import runs
from taskgen.testing.properties import LAWS, RELATIONS, Scheduling
from taskgen.testing.properties.variation import varied
from taskgen.testing.runs import check, execute
from taskgen.units import NS_PER_MS
from tests.taskgen.properties.drawn import EXTRAS, HORIZON_MS, sets

LIMITED = TaskSet([{"executiontime": 1, "period": 4, "priority": 0, "numberofjobs": 3}])
ENDLESS = TaskSet([{"executiontime": 1, "period": 4, "priority": 0}])
PAIR = TaskSet([
    {"executiontime": 1, "period": 4, "priority": 0},
    {"executiontime": 3, "period": 12, "priority": 1},
])  # fmt: skip


class Counting(SimSession):
    """Remembers what it ran."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.plans: list[Plan] = []

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        self.plans.append(plan)
        return super().events(plan)


class Lost(SimSession):
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        yield from list(super().events(plan))[:3]
        raise TargetLost("the board is gone")


def test_a_trace_knows_its_plan_and_its_end() -> None:
    trace = execute(SimSession(), ENDLESS, horizon_ms=10)
    assert trace.plan.horizon.time_ns == trace.end_ns == 10 * NS_PER_MS
    assert len(trace.jobs) == 3
    assert not trace.stopped
    assert not trace.whole


def test_a_run_is_whole_if_nothing_but_its_last_job_ended_it() -> None:
    assert execute(SimSession(), LIMITED).whole
    assert execute(SimSession(), LIMITED, horizon_ms=1000).whole
    assert not execute(SimSession(), LIMITED, horizon_ms=6).whole, "job 2 comes at 8 ms"
    assert not execute(SimSession(), LIMITED, stop_after=4).whole


def test_a_run_is_stopped_after_so_many_events() -> None:
    session = SimSession()
    trace = execute(session, ENDLESS, horizon_ms=1_000_000, stop_after=3)
    assert trace.stopped
    assert trace.end_ns < 1_000_000 * NS_PER_MS
    assert not session.active


def test_errors_of_the_target_are_no_verdict() -> None:
    session = Lost()
    with pytest.raises(TargetLost):
        execute(session, ENDLESS)
    assert not session.active, "the session is free again"
    with pytest.raises(InputError):
        execute(session, TaskSet([{"period": -1}]))


def test_a_run_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_EVENTS", 20)
    session = SimSession()
    with pytest.raises(TargetError, match="more than 20 events"):
        execute(session, ENDLESS, horizon_ms=1000)
    assert not session.active


@pytest.mark.parametrize(
    "options", [{}, {"cores": 2, "migration": "global"}, {"overrun": "skip"}, {"preemptive": False}]
)
@given(taskset=sets("FP", **EXTRAS))
@settings(max_examples=20)
def test_jobs_without_events_are_the_same_jobs(options: dict[str, Any], taskset: TaskSet) -> None:
    session = SimSession(policy="fp", **options)
    recorded = execute(session, taskset, horizon_ms=HORIZON_MS, reads="jobs")
    traced = execute(session, taskset, horizon_ms=HORIZON_MS)
    assert recorded.events == []
    assert sorted(recorded.jobs) == sorted(traced.jobs)
    assert (recorded.end_ns, recorded.whole) == (traced.end_ns, traced.whole)


def test_a_session_that_overrides_its_events_is_asked_for_them() -> None:
    assert execute(Counting(), LIMITED, reads="jobs").events


def test_properties_share_one_run() -> None:
    session = Counting()
    verdicts = check(session, PAIR, [LAWS["event_stream"], LAWS["job_counts"], LAWS["fixed_priority_order"]])
    assert all(verdict.holds for verdict in verdicts)
    assert len(session.plans) == 1


def test_relations_run_their_variants_up_to_the_same_horizon() -> None:
    session = Counting()
    assert check(session, PAIR, [LAWS["less_execution"], LAWS["determinism"]])[0].holds
    assert len(session.plans) == 1 + 3 + 1
    assert {plan.horizon.time_ns for plan in session.plans} == {24 * NS_PER_MS}


def test_what_is_skipped_costs_no_run() -> None:
    session = Counting(policy="edf")
    edf = Scheduling(policy="edf")
    (verdict,) = check(session, PAIR, [LAWS["fixed_priority_order"]], scheduling=edf)
    assert verdict.skipped
    assert not verdict.holds
    assert session.plans == []


def test_a_base_that_misses_costs_no_variants() -> None:
    late = TaskSet([{"executiontime": 5, "period": 8, "deadline": 4}])
    session = Counting()
    assert check(session, late, [LAWS["longer_deadlines"]])[0].holds
    assert len(session.plans) == 1


def test_variants_change_one_thing_and_keep_ids() -> None:
    halves = varied(PAIR, "executiontime", lambda task: (task.wcet_ns or 0) // 2)
    assert [[task["executiontime"] for task in taskset] for taskset in halves] == [[0.5, 1.5], [0.5, 3], [1, 1.5]]
    assert all([task["id"] for task in taskset] == [0, 1] for taskset in halves)
    (alone,) = RELATIONS["independence"].variants(PAIR)
    assert [task["id"] for task in alone] == [0]
    assert RELATIONS["mixed_band"].variants(TaskSet([{"executiontime": 1, "period": 4, "deadline": 4}])) == []


def test_events_of_a_run_are_all_there() -> None:
    trace = execute(SimSession(), LIMITED)
    assert [event.type for event in trace.events].count(EventType.EXIT) == 3
    assert trace.events[-1].type in {EventType.JOBS_DONE, EventType.IDLE}
