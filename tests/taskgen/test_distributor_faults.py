"""Each variant has exactly one result, whatever its targets do."""

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import Event, Session, Target, TaskSet
from taskgen.distributor import Distributor
from taskgen.errors import ConnectError, InputError, TargetError, TargetLost, Unsupported, UsageError
from taskgen.session import Plan
from tests.taskgen.scripted import PATIENCE_S, Make, Recorder, job, recorder, session_of, targets, variants


def test_a_lost_variant_runs_on_another_target_and_keeps_its_history(make: Make) -> None:
    def lose(session: Any, plan: Plan) -> Iterator[Event]:
        yield from itertools.islice(job(), 1)
        if plan.taskset[0]["number"] == 0 and session.target.address not in lost:
            lost.append(session.target.address)
            if len(lost) < 3:
                raise TargetLost("the cable is out")
        yield from itertools.islice(job(), 1, None)

    lost: list[str] = []
    distributor = make(lose, "a", "b", "c")
    distributor.start(variants(4))
    heard = recorder(distributor)
    run = next(run for run in heard.results if run.variant == 0)
    assert (run.status, run.attempt, run.target) == ("finished", 3, f"Scripted:{lost[2]}")
    assert run.history == [f"Scripted:{lost[i]}, attempt {i + 1}: the cable is out" for i in range(2)]
    assert [call for call in heard.calls if call[1] == 0] == [("started", 0)] * 3 + [("finished", 0)]
    assert sorted(run.variant for run in heard.results) == [0, 1, 2, 3]
    assert len(heard.traces[0].events) == 2


def test_a_variant_that_fails_everywhere_is_reported_and_the_others_go_on(make: Make) -> None:
    def crash(session: Session, plan: Plan) -> Iterator[Event]:
        if plan.taskset[0]["number"] == 1:
            raise ZeroDivisionError("a bug\nin two lines")
        return job()

    distributor = make(crash)
    distributor.start(variants(3))
    results = {run.variant: run for run in recorder(distributor).results}
    assert [results[number].status for number in range(3)] == ["finished", "failed", "finished"]
    assert results[1].reason == "ZeroDivisionError: a bug"
    assert len(results[1].history) == results[1].attempt == 3
    assert distributor.progress.failed_attempts == 3


ENDS = {"lost": TargetLost("lost"), "bug": KeyError("bug"), "exit": SystemExit(3)}


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 8),
    st.integers(1, 3),
    st.integers(0, 2),
    st.dictionaries(st.tuples(st.integers(0, 7), st.integers(1, 3)), st.sampled_from(sorted(ENDS)), max_size=12),
)
def test_each_variant_has_exactly_one_result_whatever_fails(
    count: int, boards: int, retries: int, failures: dict[tuple[int, int], str]
) -> None:
    attempts = dict.fromkeys(range(count), 0)

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        number = plan.taskset[0]["number"]
        attempts[number] += 1  # a variant is on one target at a time
        yield from itertools.islice(job(), 1)
        if (number, attempts[number]) in failures:
            raise ENDS[failures[number, attempts[number]]]
        yield from itertools.islice(job(), 1, None)

    with Distributor(
        targets(*"abc"[:boards]), session=session_of(script), retries=retries, backoff_s=0.0, quarantine_after=100
    ) as distributor:
        distributor.monitor = heard = Recorder()
        distributor.start(variants(count)) if count else distributor.start(variants(1), limit=0)
        progress = distributor.progress
    expected = {
        number: "failed" if all((number, n) in failures for n in range(1, retries + 2)) else "finished"
        for number in range(count)
    }
    assert sorted(run.variant for run in heard.results) == list(range(count))
    assert {run.variant: run.status for run in heard.results} == expected
    assert {run.variant: run.attempt for run in heard.results} == attempts
    assert progress.finished + progress.failed == progress.handed_out == count
    assert heard.closed == 1


def test_a_target_that_comes_back_is_used_again(make: Make) -> None:
    opened = itertools.count()
    probed = itertools.count()

    def open_later(cls: type[Any], target: Target) -> Session:
        if next(opened) < 2:
            raise ConnectError("nobody there")
        session: Session = cls(target)
        return session

    def probe(cls: type[Session], target: Target) -> bool:
        return next(probed) % 2 == 1  # every second time

    distributor = make(kind=session_of(open=classmethod(open_later), probe=classmethod(probe)), quarantine_after=10)
    distributor.start(variants(2))
    assert [(run.status, run.attempt) for run in recorder(distributor).results] == [("finished", 3), ("finished", 1)]
    assert next(probed) == 4


def absent(cls: type[Session], target: Target) -> Session:
    raise ConnectError(f"nobody answers at {target.address}")


@pytest.mark.parametrize(
    ("work", "untried"),
    [
        (variants(50), "46 variants"),
        (TaskSet([{"executiontime": 1, "period": 10, "number": itertools.count()}]), "further variants"),
    ],
)
def test_without_targets_the_work_ends_and_says_what_was_not_tried(make: Make, work: TaskSet, untried: str) -> None:
    distributor = make(None, "a", "b", kind=session_of(open=classmethod(absent)), quarantine_after=4)
    with pytest.raises(TargetError, match=r"no target left, .*nobody answers") as caught:
        distributor.start(work)
    handed_out = distributor.progress.handed_out
    expected = untried if untried == "further variants" else f"{50 - handed_out} variants"
    assert f"{expected} not tried" in str(caught.value)
    results = recorder(distributor).results
    assert len(results) == handed_out < 50
    assert {run.status for run in results} == {"failed"}
    assert all(run.history for run in results)


def test_without_targets_no_error_is_raised_when_every_variant_has_its_result(make: Make) -> None:
    distributor = make(kind=session_of(open=classmethod(absent)), quarantine_after=2)
    distributor.start(variants(1))
    assert [run.reason for run in recorder(distributor).results] == ["no target left: nobody answers at a"]


def test_a_quarantined_target_gets_another_chance_at_the_next_start(make: Make) -> None:
    broken = True

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        if broken:
            raise TargetLost("lost")
        return job()

    distributor = make(script, quarantine_after=1)
    with pytest.raises(TargetError):
        distributor.start(variants(2))
    broken = False
    distributor.start(variants(2))
    assert [run.status for run in recorder(distributor).results] == ["failed", "finished", "finished"]


def test_a_healthy_target_takes_over_from_a_broken_one(make: Make) -> None:
    def script(session: Any, plan: Plan) -> Iterator[Event]:
        if session.target.address == "broken":
            raise TargetLost("lost")
        return job()

    distributor = make(script, "broken", "fine", quarantine_after=2)
    distributor.start(variants(30))
    results = recorder(distributor).results
    assert sorted(run.variant for run in results) == list(range(30))
    assert {(run.status, run.target) for run in results} == {("finished", "Scripted:fine")}


def test_a_refused_variant_never_began_and_ends_the_work_with_its_error(make: Make) -> None:
    def check(self: Session, taskset: TaskSet, **options: Any) -> Plan:
        if taskset[0]["number"] == 2:
            raise Unsupported("no such program", hint="another one")
        return Session.check(self, taskset, **options)

    distributor = make(kind=session_of(check=check))
    with pytest.raises(Unsupported, match=r"^variant 2: no such program$") as caught:
        distributor.start(variants(10))
    assert caught.value.hint == "another one"
    assert recorder(distributor).calls == [(what, number) for number in range(2) for what in ("started", "finished")]
    assert distributor.progress.failed == 1
    with pytest.raises(Unsupported):
        distributor.wait_finished()
    distributor.start(variants(2))


@pytest.mark.parametrize("events", [0, 1])
def test_an_error_of_the_user_in_a_running_variant_ends_the_work_and_the_variant_has_its_result(
    make: Make, events: int
) -> None:
    def script(session: Session, plan: Plan) -> Iterator[Event]:
        yield from itertools.islice(job(), events)
        if plan.taskset[0]["number"] == 1:
            raise InputError("the policy divides by zero")

    distributor = make(script)
    with pytest.raises(InputError, match=r"^variant 1: the policy divides by zero$"):
        distributor.start(variants(10))
    heard = recorder(distributor)
    assert heard.calls == [("started", 0), ("finished", 0), ("started", 1), ("stopped", 1)]
    assert (heard.results[1].status, heard.results[1].reason) == ("failed", "variant 1: the policy divides by zero")


@pytest.mark.parametrize(("retries", "status"), [(2, "finished"), (1, "failed")])
def test_a_target_that_cannot_repeat_what_another_one_began_has_failed(make: Make, retries: int, status: str) -> None:
    attempts = itertools.count(1)  # of variant 0

    def check(self: Session, taskset: TaskSet, **options: Any) -> Plan:
        if taskset[0]["number"] == 0 and next(attempts) == 2:
            raise Unsupported("no such program")
        return Session.check(self, taskset, **options)

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        yield from itertools.islice(job(), 1)
        if plan.taskset[0]["number"] == 0 and not lost:
            lost.append(session)
            raise TargetLost("the cable is out")
        yield from itertools.islice(job(), 1, None)

    lost: list[Session] = []
    distributor = make(None, "a", "b", kind=session_of(script, check=check), retries=retries)
    distributor.start(variants(3))
    results = {run.variant: run for run in recorder(distributor).results}
    assert {number: run.status for number, run in results.items()} == {0: status, 1: "finished", 2: "finished"}
    assert [line.partition(": ")[2] for line in results[0].history] == ["the cable is out", "no such program"]


class Unspeakable(TargetError):
    def __str__(self) -> str:
        raise ValueError("no words")


def leave(*_: object) -> bool:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (TargetLost("Unspeakable"), {"close": leave}),
        (Unspeakable(""), {}),
    ],
    ids=["close", "str"],
)
def test_a_session_that_raises_where_nobody_expects_it_loses_no_variant(
    make: Make, error: Exception, attributes: dict[str, Any]
) -> None:
    def script(session: Any, plan: Plan) -> Iterator[Event]:
        if session.target.address == "odd":
            failed.set()
            raise error
        failed.wait(PATIENCE_S)
        return job()

    failed = threading.Event()
    distributor = make(None, "odd", "fine", kind=session_of(script, **attributes), quarantine_after=2)
    distributor.start(variants(5), wait=False)
    assert distributor.wait_finished(PATIENCE_S)
    results = recorder(distributor).results
    assert sorted((run.variant, run.status) for run in results) == [(number, "finished") for number in range(5)]
    assert {line for run in results for line in run.history} == {"Scripted:odd, attempt 1: Unspeakable"}


def test_a_probe_that_raises_found_nobody(make: Make) -> None:
    kind = session_of(open=classmethod(absent), probe=classmethod(leave))
    distributor = make(kind=kind, quarantine_after=3)
    distributor.start(variants(2), wait=False)
    with pytest.raises(TargetError, match=r"1 variant not tried: .* failed 3 times in a row: nobody answers at a"):
        distributor.wait_finished(PATIENCE_S)


class Unhinted(UsageError):
    def __init__(self) -> None:
        """Leave out what every error of taskgen has."""


def test_a_worker_survives_what_it_did_not_expect(make: Make) -> None:
    def script(session: Session, plan: Plan) -> Iterator[Event]:
        if plan.taskset[0]["number"] == 1:
            raise Unhinted  # whoever wants to name its variant needs its hint
        return job()

    distributor = make(script)
    distributor.start(variants(3), wait=False)
    with pytest.raises(TargetError, match=r"no target left, 1 variant not tried: .*AttributeError"):
        distributor.wait_finished(PATIENCE_S)
    assert [run.status for run in recorder(distributor).results] == ["finished", "failed"]
    distributor.start(variants(1), wait=False)
    assert distributor.wait_finished(PATIENCE_S)
    assert distributor.progress.finished == 1


def test_a_wrong_value_of_a_later_variant_names_the_variant(make: Make) -> None:
    with pytest.raises(InputError, match=r"^variant 1: task 0: period: -1 is negative"):
        make().start(TaskSet([{"executiontime": 1, "period": [10, -1]}]))
