"""Jobs without events are runs like any other: one at a time, stopped by `stop()`, over when they are closed."""

import threading
from collections.abc import Callable, Generator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import simpy

from sim import Processor, SimSession
from taskgen import EventType, TaskSet
from taskgen.errors import SessionBusy
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from taskgen.trace import Job

#: U = 1.1: there always is an unfinished job.
ENDLESS = TaskSet([{"executiontime": 1, "period": 2}, {"executiontime": 60, "period": 100}])
HORIZON_MS = 10**9
OPTIONS: list[dict[str, Any]] = [
    {"policy": "rm"},
    {"policy": "rm", "cores": 2},
    {"policy": "rm", "cores": 2, "migration": "global"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_stop_cuts_a_stream_short(options: dict[str, Any]) -> None:
    """What ended before the stop ended as it would have without; what was unfinished is cut off at one instant."""
    session = SimSession(**options)
    stream = session.stream_jobs(ENDLESS, horizon_ms=HORIZON_MS)
    jobs = list(islice(stream, 5))
    session.stop()
    jobs += stream
    assert len(jobs) < 3000
    assert session.plan is not None
    assert session.plan.stopped()
    ended = [job for job in jobs if job.outcome is EventType.EXIT]
    whole = SimSession(**options).stream_jobs(ENDLESS, horizon_ms=HORIZON_MS)
    assert ended == list(islice(whole, len(ended)))
    cut = {job.finish_ns for job in jobs if job.outcome is EventType.EXIT_EXTERNAL}
    assert cut <= {max(job.finish_ns or 0 for job in jobs)}
    assert {job.outcome for job in jobs} <= {EventType.EXIT, EventType.EXIT_EXTERNAL}


def test_stop_reaches_a_stream_from_another_thread() -> None:
    session = SimSession(policy="rm")
    stream = session.stream_jobs(ENDLESS, horizon_ms=HORIZON_MS)
    jobs: list[Job] = []
    some = threading.Event()

    def consume() -> None:
        for job in stream:
            jobs.append(job)
            some.set()

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    assert some.wait(30)
    session.stop()
    consumer.join(30)
    assert not consumer.is_alive()
    assert not session.active
    assert max(job.finish_ns or 0 for job in jobs) < HORIZON_MS * NS_PER_MS


def test_stop_reaches_records_while_they_are_collected() -> None:
    """Here from within the simulation, as another thread would at any time."""

    def impatient(env: simpy.Environment, processor: Processor) -> Generator[simpy.Event, Any, None]:
        assert processor.now_ns <= env.now
        yield env.timeout(50 * NS_PER_MS)
        session.stop()

    session = SimSession(policy="rm", processes=(impatient,))
    trace = session.jobs(ENDLESS, horizon_ms=HORIZON_MS)
    assert trace.jobs
    assert trace.end_ns <= 52 * NS_PER_MS
    assert not session.active


def test_a_board_stops_its_stream_too() -> None:
    session = SimSession(profile="G4")
    stream = session.stream_jobs(TaskSet([{"pkg": "hey", "period": 1000, "priority": 1}]), horizon_ms=HORIZON_MS)
    session.stop()
    assert len(list(stream)) < 1000


def run(session: SimSession) -> Any:
    return session.run(ENDLESS, horizon_ms=4)


def stream(session: SimSession) -> Any:
    return session.stream_jobs(ENDLESS, horizon_ms=4)


def records(session: SimSession) -> Any:
    return session.jobs(ENDLESS, horizon_ms=4).jobs


@pytest.mark.parametrize("first", [run, stream])
@pytest.mark.parametrize("second", [run, stream, records])
def test_one_run_at_a_time(first: Callable[[SimSession], Any], second: Callable[[SimSession], Any]) -> None:
    """Busy from the call on, not from the first job; free once it is exhausted, closed or dropped."""
    session = SimSession(policy="rm")
    active = first(session)
    with pytest.raises(SessionBusy):
        second(session)
    next(active)
    with pytest.raises(SessionBusy):
        second(session)
    active.close()
    assert list(second(session))
    list(first(session))
    assert list(second(session))
    next(first(session))
    assert list(second(session))


def test_a_stop_counts_for_its_stream_only() -> None:
    session = SimSession(policy="rm")
    session.stop()
    assert len(list(session.stream_jobs(ENDLESS, horizon_ms=100))) == 51
    active = stream(session)
    session.stop()
    active.close()
    assert len(list(session.stream_jobs(ENDLESS, horizon_ms=100))) == 51


def test_a_refused_stream_leaves_the_session_free() -> None:
    session = SimSession()
    with pytest.raises(ValueError, match="period"):
        session.stream_jobs(TaskSet([{"executiontime": 1, "period": -1}]), horizon_ms=10)
    assert not session.active
    assert list(stream(session))
