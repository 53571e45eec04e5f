"""SimSession stopped, closed or dropped in the middle of a run."""

import threading
from itertools import islice

from sim import SimSession
from taskgen import Event, EventType, TaskSet
from taskgen.units import NS_PER_MS

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
