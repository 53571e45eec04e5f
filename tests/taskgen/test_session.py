"""What every session inherits: validation, one run at a time, stop from any thread, options by name."""

import threading
from collections.abc import Generator
from typing import Any, Self

import pytest

from taskgen import Capabilities, Event, EventType, Session, Target, TaskSet
from taskgen.errors import InputError, SessionBusy, Unsupported, UsageError
from taskgen.session import Plan

SET = TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 3}])


class Counting(Session):
    """Yields one event after another until it is stopped; knows what happened to it."""

    def __init__(self, speed: int = 1, *, colour: str = "red") -> None:
        self.speed = speed
        self.colour = colour
        self.log: list[str] = []

    @classmethod
    def open(cls, target: Target) -> Self:
        return cls.construct(target.options)

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        self.log.append("started")
        try:
            for number in range(1000):
                if plan.stopped():
                    return
                yield Event(number, EventType.START, 0, number, None)
        finally:
            self.log.append("ended")

    def wake(self) -> None:
        self.log.append("woken")

    def close(self) -> None:
        self.log.append("closed")


def test_a_run_is_validated_when_it_is_called_and_started_at_the_first_next() -> None:
    session = Counting()
    with pytest.raises(InputError, match="period: -1 is negative"):
        session.run(TaskSet([{"period": -1}]))
    with pytest.raises(Unsupported, match=r"period: \[1, 2\] is a choice"):
        session.run(TaskSet([{"period": [1, 2]}]))
    with pytest.raises(InputError, match="horizon: -1 is negative"):
        session.run(SET, horizon_ms=-1)
    events = session.run(SET)
    assert session.active
    assert session.log == []
    next(events)
    assert session.log == ["started"]


def test_one_run_at_a_time() -> None:
    session = Counting()
    events = session.run(SET)
    with pytest.raises(SessionBusy):
        session.run(SET)
    next(events)
    with pytest.raises(SessionBusy):
        session.run(SET)
    events.close()
    assert not session.active
    assert sum(1 for _ in session.run(SET)) == 1000
    assert not session.active
    session.run(SET)  # a generator that nobody keeps is over
    assert not session.active


def test_of_many_threads_one_gets_the_session() -> None:
    session, together = Counting(), threading.Barrier(8)
    runs: list[Generator[Event, None, None]] = []
    refused: list[SessionBusy] = []

    def run() -> None:
        together.wait(10)
        try:
            runs.append(session.run(SET))
        except SessionBusy as error:
            refused.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(runs), len(refused)) == (1, 7)


def test_stop_is_for_the_current_run_only() -> None:
    session = Counting()
    session.stop()
    assert session.log == []
    events = session.run(SET)
    next(events)
    thread = threading.Thread(target=session.stop)
    thread.start()
    thread.join()
    session.stop()
    assert list(events) == []
    assert session.log == ["started", "woken", "woken", "ended"]
    session.stop()
    assert len(list(session.run(SET))) == 1000


def test_a_stop_before_the_first_next_counts() -> None:
    session = Counting()
    events = session.run(SET)
    session.stop()
    assert list(events) == []


def test_it_is_a_context_manager() -> None:
    with Counting() as session:
        assert session.log == []
    assert session.log == ["closed"]


@pytest.mark.parametrize(
    ("attribute", "value", "capable"),
    [
        ("jitter", 1, Capabilities(sporadic=True)),
        ("arrivals", [0, 20], Capabilities(sporadic=True)),
        ("criticaltime", 5, Capabilities()),
        ("offset", 5, Capabilities()),
    ],
)
def test_what_a_target_cannot_do_is_refused(attribute: str, value: object, capable: Capabilities) -> None:
    session = Counting()
    taskset = TaskSet([{"id": 7, "executiontime": 1, "period": 10, attribute: value}])
    session.capabilities = Capabilities(kill=False, offsets=False)
    with pytest.raises(Unsupported, match=f"task 7: {attribute}: Counting can't do this"):
        session.run(taskset)
    session.capabilities = capable
    session.run(taskset)
    with pytest.raises(Unsupported, match="Counting has no admission control"):
        session.run(SET, admission={"optimize": {}})


def test_the_plan_carries_the_horizon() -> None:
    session = Counting()
    session.run(SET)
    assert session.plan is not None
    assert session.plan.horizon.bound == "end of the last job"
    session.run(SET, horizon_ms=2.5)
    assert session.plan.horizon == (2_500_000, "requested")
    assert session.plan.exact is False


def test_options_are_keyword_arguments_of_the_constructor() -> None:
    session = Counting.open(Target("counting", options={"speed": 2, "colour": "blue"}))
    assert (session.speed, session.colour) == (2, "blue")


class Strict(Counting):
    def __init__(self, *, port: int) -> None:
        super().__init__(port)


class Free(Counting):
    def __init__(self, **anything: Any) -> None:
        super().__init__()
        self.anything = anything


class Bare(Counting):
    def __init__(self) -> None:
        super().__init__()


@pytest.mark.parametrize(
    ("session", "options", "message", "hint"),
    [
        (Counting, {"color": "red"}, "Counting takes no option 'color'", "did you mean colour?"),
        (Counting, {"x": 1}, "Counting takes no option 'x'", "its options are speed, colour"),
        (Counting, {"self": 1}, "Counting takes no option 'self'", ""),
        (Bare, {"x": 1}, "Bare takes no option 'x'", "it takes no options"),
        (Strict, {}, "Strict needs the option 'port'", ""),
    ],
)
def test_a_wrong_option_is_one_line(session: type[Counting], options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        session.construct(options)
    assert str(caught.value) == message
    assert caught.value.hint.startswith(hint)


def test_a_constructor_may_take_any_option() -> None:
    assert Free.construct({"a": 1}).anything == {"a": 1}
