"""Monitors hear everything in order, hold nobody up, and may do what they like."""

import io
import itertools
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from taskgen import Event, Session, TaskSet, Trace
from taskgen.errors import UsageError
from taskgen.monitor import Run
from taskgen.session import Plan
from tests.taskgen.scripted import PATIENCE_S, Listener, Make, Recorder, job, one_job, recorder, variants


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


def test_a_monitor_hears_only_what_it_has_methods_for(make: Make) -> None:
    class Counter:
        count = 0

        def taskset_finished(self, run: Run, trace: Trace) -> None:
            self.count += 1

    distributor, counter = make(), Counter()
    distributor.monitors.append(counter)
    distributor.start(variants(3), wait=False)
    assert distributor.wait_finished(PATIENCE_S)
    distributor.close()
    assert counter.count == len(recorder(distributor).results) == 3
    assert distributor.progress.failed_attempts == 0
    assert distributor.detached == []


def test_a_monitor_that_raises_when_it_is_looked_at_is_detached(make: Make) -> None:
    class Shy(Recorder):
        @property
        def taskset_event(self) -> Any:
            raise LookupError("not now")

    distributor, shy = make(), Shy()
    distributor.monitors.append(shy)
    distributor.start(variants(3), wait=False)
    assert distributor.wait_finished(PATIENCE_S)
    assert [run.attempt for run in recorder(distributor).results] == [1, 1, 1]
    assert [detached.monitor for detached in distributor.detached] == [shy]


def test_what_breaks_the_telling_itself_ends_the_work_instead_of_hanging_it(make: Make) -> None:
    class Incomparable(Listener):
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("apples and pears")

        __hash__ = None  # type: ignore[assignment]  # on purpose

    distributor = make()
    distributor.monitors.append(Incomparable())
    distributor.start(variants(10**6), wait=False)
    with pytest.raises(RuntimeError, match="apples and pears"):
        distributor.wait_finished(PATIENCE_S)
    assert len(recorder(distributor).results) == distributor.progress.handed_out < 100
    distributor.close()
    assert recorder(distributor).closed == 1


def test_a_monitor_that_raises_is_detached_also_without_a_stderr(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Recorder):
        def taskset_finished(self, run: Run, trace: Trace) -> None:
            raise ValueError("disk full")

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    distributor, broken = make(), Broken()
    distributor.monitors.insert(0, broken)
    distributor.start(variants(3), wait=False)
    assert distributor.wait_finished(PATIENCE_S)
    assert len(recorder(distributor).results) == 3
    assert [detached.monitor for detached in distributor.detached] == [broken]
