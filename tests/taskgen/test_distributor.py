"""Each variant has exactly one result, whatever targets and monitors do; nothing waits longer than asked."""

import gc
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import Capabilities, Event, EventType, Session, Target, Task, TaskSet, Trace
from taskgen.distributor import Distributor
from taskgen.errors import (
    ConnectError,
    InputError,
    SessionBusy,
    TargetError,
    TargetLost,
    Unsupported,
    UsageError,
)
from taskgen.monitor import Monitor, Run
from taskgen.session import Plan

Script = Callable[[Session, Plan], Iterator[Event]]

PATIENCE_S = 20.0  # a bound for what should take milliseconds, so that a bug fails instead of hanging


def job(number: int = 0, outcome: EventType = EventType.EXIT) -> Iterator[Event]:
    yield Event(number * 10, EventType.START, 0, number, 0)
    yield Event(number * 10 + 1, outcome, 0, number, 0)


def one_job(session: Session, plan: Plan) -> Iterator[Event]:
    return job()


def endless_jobs(session: Session, plan: Plan) -> Iterator[Event]:
    return itertools.takewhile(lambda _: not plan.stopped(), itertools.chain.from_iterable(map(job, itertools.count())))


def session_of(script: Script = one_job, **attributes: Any) -> type[Session]:
    """Return a class of sessions whose runs follow a script."""

    class Scripted(Session):
        def __init__(self, target: Target) -> None:
            self.target = target

        @classmethod
        def open(cls, target: Target) -> Self:
            return cls(target)

        def events(self, plan: Plan) -> Generator[Event, None, None]:
            yield from script(self, plan)

    for name, value in attributes.items():
        setattr(Scripted, name, value)
    return Scripted


def targets(*addresses: str) -> list[Target]:
    return [Target("Scripted", address) for address in addresses]


def variants(count: int) -> TaskSet:
    return TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1, "number": range(count)}])


class Recorder(Monitor):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.results: list[Run] = []
        self.traces: dict[int, Trace] = {}
        self.threads: set[threading.Thread] = set()
        self.closed = 0

    def note(self, what: str, run: Run) -> None:
        self.calls.append((what, run.variant))
        self.threads.add(threading.current_thread())

    def taskset_started(self, run: Run) -> None:
        self.note("started", run)

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        self.note("finished", run)
        self.results.append(run)
        self.traces[run.variant] = trace

    def taskset_stopped(self, run: Run, reason: str) -> None:
        self.note("stopped", run)
        assert reason == run.reason
        self.results.append(run)

    def close(self) -> None:
        self.closed += 1


class Listener(Recorder):
    """Keeps the events, too."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[int, Event]] = []

    def taskset_event(self, run: Run, event: Event) -> None:
        self.events.append((run.variant, event))


@pytest.fixture
def make() -> Iterator[Callable[..., Distributor]]:
    made: list[Distributor] = []

    def distributor(
        script: Script = one_job, *addresses: str, kind: type[Session] | None = None, **options: Any
    ) -> Any:
        options = {"backoff_s": 0.001, "max_backoff_s": 0.002, **options}
        made.append(Distributor(targets(*addresses or ("a",)), session=kind or session_of(script), **options))
        made[-1].monitor = Recorder()
        return made[-1]

    yield distributor
    for each in made:
        each.close(1.0)


Make = Callable[..., Any]


def recorder(distributor: Distributor) -> Recorder:
    assert isinstance(distributor.monitor, Recorder)
    return distributor.monitor


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


def test_monitors_are_told_by_one_thread_of_their_own(make: Make) -> None:
    distributor = make(one_job, "a", "b", "c")
    second = Recorder()
    distributor.monitors.append(second)
    distributor.start(variants(10))
    distributor.start(variants(10))
    threads = recorder(distributor).threads | second.threads
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    assert sorted(second.calls) == sorted(recorder(distributor).calls)


def test_a_listener_hears_each_event_once_in_order(make: Make) -> None:
    distributor = make(lambda session, plan: itertools.chain.from_iterable(map(job, range(50))))
    distributor.monitor = listener = Listener()
    distributor.start(variants(5))
    expected = list(itertools.chain.from_iterable(map(job, range(50))))
    assert listener.events == [(number, event) for number in range(5) for event in expected]
    assert listener.traces[4].events == expected


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


def test_slow_monitors_hold_back_the_hand_out_and_nothing_else(make: Make) -> None:
    told, bound = threading.Event(), threading.Event()
    numbers = iter(range(1000))
    taken: list[int] = []

    def sets() -> Iterator[TaskSet]:
        for number in numbers:
            taken.append(number)
            yield variants(1)

    def long(session: Session, plan: Plan) -> Iterator[Event]:
        yield from itertools.chain.from_iterable(map(job, range(100)))
        if taken[-1] == 6:
            bound.set()

    class Slow(Listener):
        def taskset_event(self, run: Run, event: Event) -> None:
            told.wait(PATIENCE_S)

    distributor = make(long, backlog=6)
    distributor.monitor = slow = Slow()
    distributor.start(sets(), wait=False)
    # All that may be handed out (6 and 1 for the target) is read to its end while the monitor is stuck in an event.
    assert bound.wait(PATIENCE_S)
    assert distributor.wait_finished(0.05) is False
    assert taken == list(range(7))
    assert slow.results == []
    distributor.stop()
    told.set()
    assert distributor.wait_finished(PATIENCE_S)
    assert len(slow.results) == distributor.progress.handed_out == 7


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


def test_a_refused_variant_ends_the_work_with_its_error(make: Make) -> None:
    def script(session: Session, plan: Plan) -> Iterator[Event]:
        if plan.taskset[0]["number"] == 2:
            raise Unsupported("no such program", hint="another one")
        return job()

    distributor = make(script)
    with pytest.raises(Unsupported, match=r"^variant 2: no such program$") as caught:
        distributor.start(variants(10))
    assert caught.value.hint == "another one"
    assert [run.status for run in recorder(distributor).results] == ["finished", "finished"]
    assert distributor.progress.failed == 1
    with pytest.raises(Unsupported):
        distributor.wait_finished()
    distributor.start(variants(2))


def test_a_wrong_value_of_a_later_variant_names_the_variant(make: Make) -> None:
    with pytest.raises(InputError, match=r"^variant 1: task 0: period: -1 is negative"):
        make().start(TaskSet([{"executiontime": 1, "period": [10, -1]}]))


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


def test_a_description_that_raises_ends_the_work(make: Make) -> None:
    def sets() -> Iterator[TaskSet]:
        yield variants(2)
        raise ZeroDivisionError("oops")

    distributor = make()
    with pytest.raises(UsageError, match="drawing variant 2 failed: ZeroDivisionError: oops"):
        distributor.start(sets())
    assert len(recorder(distributor).results) == 2


def test_stop_ends_endless_runs_which_are_then_stopped(make: Make) -> None:
    started = threading.Barrier(3, timeout=PATIENCE_S)

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        started.wait()
        yield from endless_jobs(session, plan)

    distributor = make(script, "a", "b", max_events=10**9)
    distributor.start(variants(10), wait=False)
    started.wait()
    with pytest.raises(SessionBusy):
        distributor.start(variants(1))
    distributor.stop()
    distributor.stop()
    assert distributor.wait_finished(PATIENCE_S)
    assert [(run.status, run.reason) for run in recorder(distributor).results] == [("stopped", "stopped")] * 2
    assert distributor.progress.stopped == distributor.progress.handed_out == 2


def test_a_monitor_may_stop_the_work(make: Make) -> None:
    class Enough(Recorder):
        def taskset_finished(self, run: Run, trace: Trace) -> None:
            super().taskset_finished(run, trace)
            distributor.stop()
            with pytest.raises(UsageError, match="can't wait"):
                distributor.wait_finished()

    distributor = make(backlog=0)
    distributor.monitor = Enough()
    distributor.start(variants(10**6))
    assert distributor.detached == []
    assert 1 <= distributor.progress.done == len(recorder(distributor).results) <= 2


def test_a_waiting_run_is_woken_by_stop(make: Make) -> None:
    waiting, woken = threading.Event(), threading.Event()

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        waiting.set()
        woken.wait(PATIENCE_S)
        yield from ()

    distributor = make(kind=session_of(script, wake=lambda self: woken.set()))
    distributor.start(variants(2), wait=False)
    assert distributor.wait_finished(0.0) is False
    assert waiting.wait(PATIENCE_S)
    distributor.stop()
    assert distributor.wait_finished(PATIENCE_S)
    assert [run.status for run in recorder(distributor).results] == ["stopped"]


def test_close_leaves_a_run_behind_that_ignores_stop_and_reports_it_once(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    running, release = threading.Event(), threading.Event()

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        running.set()
        release.wait(PATIENCE_S)
        return job()

    distributor = make(script)
    heard = recorder(distributor)
    distributor.start(variants(2), wait=False)
    assert running.wait(PATIENCE_S)
    distributor.close(0.1)
    assert [(run.status, run.reason) for run in heard.results] == [("stopped", "it didn't stop within 0.075 s")]
    assert heard.closed == 1
    assert capsys.readouterr().err == "Scripted:a: didn't stop within 0.1 s and was left behind\n"
    release.set()
    distributor.close()  # idempotent
    assert len(heard.results) == heard.closed == 1
    with pytest.raises(UsageError, match="closed"):
        distributor.start(variants(1))


def test_ctrl_c_during_a_wait_stops_and_closes(make: Make) -> None:
    def script(session: Session, plan: Plan) -> Iterator[Event]:
        signal.raise_signal(signal.SIGINT)
        yield from endless_jobs(session, plan)

    distributor = make(script, max_events=10**9)
    heard = recorder(distributor)
    with pytest.raises(KeyboardInterrupt):
        distributor.start(variants(5))
    assert [run.status for run in heard.results] == ["stopped"]
    assert heard.closed == 1


def test_a_monitor_that_raises_is_detached_and_reported_and_the_run_goes_on(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Recorder):
        def taskset_finished(self, run: Run, trace: Trace) -> None:
            raise ValueError("disk full")

    distributor, broken = make(), Broken()
    distributor.monitors.insert(0, broken)
    distributor.start(variants(3))
    assert isinstance(distributor.monitor, Recorder)
    assert len(distributor.monitor.results) == 3
    assert broken.calls == [("started", 0)]
    [(detached, error)] = distributor.detached
    assert detached is broken
    assert str(error) == "disk full"
    assert capsys.readouterr().err == "monitor Broken failed and was detached: ValueError: disk full\n"


@pytest.mark.parametrize("error", [BrokenPipeError, SystemExit])
def test_a_monitor_whose_reader_is_gone_ends_the_work_quietly(
    make: Make, capsys: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    class Piped(Recorder):
        def taskset_finished(self, run: Run, trace: Trace) -> None:
            raise error

    distributor = make()
    distributor.monitor = Piped()
    with pytest.raises(error):
        distributor.start(variants(10**6))
    assert distributor.progress.handed_out < 100
    assert capsys.readouterr().err == ""


def test_a_distributor_that_is_dropped_at_work_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    distributor = Distributor(targets("a"), session=session_of(endless_jobs), max_events=10**9)
    distributor.monitor = heard = Recorder()
    distributor.start(variants(3), wait=False)
    kept = [distributor]
    del distributor
    with pytest.warns(ResourceWarning, match="dropped at work: 0 of 3 variants have a result"):
        kept.clear()
    gc.collect()
    assert "dropped at work" in capsys.readouterr().err
    assert {run.status for run in heard.results} <= {"stopped"}
    assert heard.closed == 1


PROGRAM = """
from taskgen.distributor import Distributor
from taskgen.monitor import Monitor

class Closing(Monitor):
    def close(self):
        print("closed")

distributor = Distributor("stdio")
distributor.monitor = Closing()
from taskgen import TaskSet
distributor.start(TaskSet([{"period": 10}]))
"""


def test_monitors_are_closed_at_the_end_of_a_program_that_closes_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == ["closed"]


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


def test_the_monitor_is_the_only_one_of_the_monitors(make: Make) -> None:
    distributor = make()
    first, second = Recorder(), Recorder()
    distributor.monitor = first
    distributor.monitors.append(second)
    assert distributor.monitor is first
    distributor.monitor = second
    assert distributor.monitors == [second]
    distributor.monitor = None
    assert distributor.monitors == []
    distributor.start(variants(2))
    assert distributor.progress.finished == 2
