"""Work can be ended at any time, and nothing waits longer than asked."""

import gc
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from taskgen import Event, Session
from taskgen.distributor import Distributor
from taskgen.errors import SessionBusy, UsageError
from taskgen.session import Plan
from tests.taskgen.scripted import (
    PATIENCE_S,
    Make,
    Recorder,
    Script,
    endless_jobs,
    job,
    recorder,
    session_of,
    targets,
    variants,
)


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


def test_close_blames_nobody_who_had_nothing_to_do(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    running, release = threading.Event(), threading.Event()

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        running.set()
        release.wait(PATIENCE_S)
        return job()

    distributor = make(script, *"abcdefgh")
    distributor.start(variants(1), wait=False)
    assert running.wait(PATIENCE_S)
    distributor.close(1.0)
    release.set()
    assert len(capsys.readouterr().err.splitlines()) == 1


class Stubborn:
    """Sessions whose `stop()` doesn't return before it is released."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.release = threading.Event()
        self.returned = threading.Event()
        self.stopped: list[Session] = []

    def kind(self, script: Script) -> type[Session]:
        def stop(session: Session) -> None:
            self.called.set()
            self.release.wait(PATIENCE_S)
            self.stopped.append(session)
            self.returned.set()

        return session_of(script, stop=stop)


def test_stop_and_close_do_not_wait_for_the_stop_of_a_session(make: Make) -> None:
    stop, running = Stubborn(), threading.Event()

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        running.set()
        stop.release.wait(PATIENCE_S)
        yield from ()

    distributor = make(kind=stop.kind(script))
    heard = recorder(distributor)
    distributor.start(variants(2), wait=False)
    assert running.wait(PATIENCE_S)
    distributor.stop()
    assert stop.called.wait(PATIENCE_S)
    distributor.close(0.5)
    assert stop.stopped == []
    assert [run.status for run in heard.results] == ["stopped"]
    stop.release.set()


def test_a_slow_stop_never_hits_a_run_of_the_next_start(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskgen.distributor.running.STOP_S", 0.01)
    stop, running = Stubborn(), threading.Event()
    ran: list[Session] = []

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        ran.append(session)
        running.set()
        if len(ran) == 1:
            stop.called.wait(PATIENCE_S)
        else:
            stop.release.set()
            stop.returned.wait(PATIENCE_S)
        yield from job()

    distributor = make(kind=stop.kind(script))
    distributor.start(variants(1), wait=False)
    assert running.wait(PATIENCE_S)
    distributor.stop()
    assert distributor.wait_finished(PATIENCE_S)
    distributor.start(variants(1), wait=False)
    assert distributor.wait_finished(PATIENCE_S)
    assert stop.stopped == ran[:1]
    assert ran[1] is not ran[0]


def test_a_session_that_stops_as_it_should_is_kept(make: Make) -> None:
    ran: list[Session] = []

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        ran.append(session)
        running.set()
        yield from endless_jobs(session, plan)

    distributor = make(script, max_events=10**9)
    for _ in range(3):
        running = threading.Event()
        distributor.start(variants(2), wait=False)
        assert running.wait(PATIENCE_S)
        distributor.stop()
        assert distributor.wait_finished(PATIENCE_S)
    assert len(ran) == 3
    assert len(set(ran)) == 1


def test_ctrl_c_during_a_wait_stops_and_closes(make: Make) -> None:
    def script(session: Session, plan: Plan) -> Iterator[Event]:
        signal.raise_signal(signal.SIGINT)
        yield from endless_jobs(session, plan)

    distributor = make(script, max_events=10**9)
    heard = recorder(distributor)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            distributor.start(variants(5))
    finally:
        signal.signal(signal.SIGINT, before)
    assert [run.status for run in heard.results] == ["stopped"]
    assert heard.closed == 1


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
