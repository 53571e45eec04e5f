"""Variants are handed out one by one, and each is told once."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from taskgen import Capabilities, Event, EventType, Session, Task, TaskSet
from taskgen.distributor import Distributor
from taskgen.errors import InputError, UsageError
from taskgen.session import Plan
from tests.taskgen.scripted import PATIENCE_S, Make, endless_jobs, job, recorder, session_of, variants


def test_one_target_runs_all_variants_in_order_and_each_is_told_once(make: Make) -> None:
    distributor = make()
    distributor.start(variants(20), seed=7)
    heard = recorder(distributor)
    assert heard.calls == [(what, number) for number in range(20) for what in ("started", "finished")]
    assert [run.taskset[0]["number"] for run in heard.results] == list(range(20))
    assert {(run.status, run.seed, run.attempt, run.target) for run in heard.results} == {
        ("finished", 7, 1, "Scripted:a")
    }
    assert [event.type for event in heard.traces[3].events] == [EventType.START, EventType.EXIT]
    progress = distributor.progress
    assert (progress.total, progress.finished, progress.done, progress.running) == (20, 20, 20, 0)


def test_all_targets_work_at_the_same_time(make: Make) -> None:
    together = threading.Barrier(3, timeout=PATIENCE_S)

    def meet(session: Session, plan: Plan) -> Iterator[Event]:
        together.wait()
        return job()

    distributor = make(meet, "a", "b", "c")
    distributor.start(variants(9))
    heard = recorder(distributor)
    assert sorted(run.variant for run in heard.results) == list(range(9))
    assert {run.target for run in heard.results} == {"Scripted:a", "Scripted:b", "Scripted:c"}


def test_the_run_knows_its_horizon(make: Make) -> None:
    distributor = make()
    distributor.start(variants(1), horizon_ms=25)
    run = recorder(distributor).results[0]
    assert run.horizon is not None
    assert run.horizon == (25_000_000, "requested")
    assert run.exact is False


def test_admission_is_handed_on_and_a_refused_set_is_rejected(make: Make) -> None:
    goals: list[object] = []

    def refuse(session: Session, plan: Plan) -> Iterator[Event]:
        goals.append(plan.admission)
        yield Event(0, EventType.NOT_SCHEDULED, 0, 0, None)

    distributor = make(kind=session_of(refuse, capabilities=Capabilities(admission=True)))
    distributor.start(variants(1), {"optimize": 1})
    assert goals == [{"optimize": 1}]
    assert [run.status for run in recorder(distributor).results] == ["rejected"]
    assert distributor.progress.rejected == 1


def test_a_billion_variants_start_at_once_and_a_limit_ends_them(make: Make) -> None:
    distributor = make()
    distributor.start(variants(10**9), limit=3)
    assert [run.variant for run in recorder(distributor).results] == [0, 1, 2]
    assert distributor.progress.total == 3


def test_too_many_events_fail_the_variant_and_only_that(make: Make) -> None:
    def talkative(session: Session, plan: Plan) -> Iterator[Event]:
        return endless_jobs(session, plan) if plan.taskset[0]["number"] == 1 else job()

    distributor = make(talkative, max_events=10)
    distributor.start(variants(3))
    assert [(run.status, run.reason) for run in recorder(distributor).results] == [
        ("finished", ""),
        ("failed", "more than 10 events; a shorter horizon yields fewer"),
        ("finished", ""),
    ]


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (TaskSet(), "the task-set is empty"),
        (TaskSet([{"period": []}]), "period: the choice is empty"),
        (TaskSet([{"period": "abc"}]), "period: 'abc' is not"),
        ([variants(2), TaskSet()], "the task-set is empty"),
        (Task({"period": 10}), "is no TaskSet"),
        (TaskSet, "is no TaskSet"),
        (42, "is no TaskSet"),
    ],
)
def test_a_wrong_description_is_refused_before_anything_runs(make: Make, work: Any, message: str) -> None:
    distributor = make()
    with pytest.raises(InputError, match=message):
        distributor.start(work)
    assert recorder(distributor).calls == []


@pytest.mark.parametrize(
    ("raised", "error", "message"),
    [
        (ZeroDivisionError("oops"), UsageError, "drawing variant 2 failed: ZeroDivisionError: oops"),
        (SystemExit(3), UsageError, "drawing variant 2 failed: SystemExit: 3"),
        (KeyboardInterrupt("enough"), KeyboardInterrupt, "enough"),
    ],
)
def test_a_description_that_raises_ends_the_work(
    make: Make, raised: BaseException, error: type[BaseException], message: str
) -> None:
    def sets() -> Iterator[TaskSet]:
        yield variants(2)
        raise raised

    distributor = make()
    distributor.start(sets(), wait=False)
    with pytest.raises(error, match=message):
        distributor.wait_finished(PATIENCE_S)
    assert len(recorder(distributor).results) == 2


def test_a_wrong_option_or_session_is_a_usage_error() -> None:
    with (
        Distributor("stdio", options={"policy": "edf"}) as distributor,
        pytest.raises(UsageError, match=r"^StdIOSession takes no option 'policy'$"),
    ):
        distributor.start(variants(3))
    with pytest.raises(UsageError, match="there is no session 'smi'"):
        Distributor("x", session="smi")
    with pytest.raises(UsageError, match="is no class derived from"):
        Distributor("x", session="taskgen.monitor:Monitor")
