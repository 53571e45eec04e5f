"""`taskgen_run`: retries, budgets and what is remembered, with Hypothesis in this very process."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sim.session import SimSession
from taskgen import Event, EventType, Session, Target, TaskSet, registry
from taskgen.errors import ConnectError, TargetLost, Unsupported, UsageError
from taskgen.plugin.bench import ATTEMPTS, GIVEN_UP, Bench, BoardLost
from taskgen.plugin.runner import KEPT, Runner
from taskgen.session import Capabilities, Plan
from taskgen.testing import stand as benches
from taskgen.testing.properties import PROPERTIES, ZERO, Violation
from tests.taskgen.scripted import job, session_of

ON_BOARD = Capabilities(cores=1, job_numbers="starts")


def one(**attributes: Any) -> TaskSet:
    return TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1, **attributes}])


class Script:
    """The runs of a board: each outcome is a number of events, after which it is lost if `loses` says so."""

    def __init__(self, *losses: bool, always: bool = False) -> None:
        self._losses = list(losses)
        self._always = always
        self.rests: list[float] = []
        self.runs = 0

    def __call__(self, session: Session, plan: Plan) -> Iterator[Event]:
        self.runs += 1
        lost = self._losses.pop(0) if self._losses else self._always
        events = job()
        yield next(events)
        if lost:
            raise TargetLost("the cable is out", hint="plug it in")
        yield from events

    def bench(self, monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> Bench:
        return serving(monkeypatch, session_of(self, **{"capabilities": ON_BOARD, **attributes}), rests=self.rests)


def serving(
    monkeypatch: pytest.MonkeyPatch, kind: type[Session], *, address: str = "10.0.0.7", rests: list[float] | None = None
) -> Bench:
    load = registry.load
    monkeypatch.setattr(registry, "load", lambda group, name: kind if group == "sessions" else load(group, name))
    log: list[float] = [] if rests is None else rests
    return Bench(Target("scripted", address), rest=log.append)


# -- retries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("losses", range(ATTEMPTS))
def test_a_target_that_comes_back_is_not_lost(monkeypatch: pytest.MonkeyPatch, losses: int) -> None:
    script = Script(*[True] * losses)
    runner = Runner(script.bench(monkeypatch))
    trace = runner(one())
    assert [event.type for event in trace.events] == [EventType.START, EventType.EXIT]
    assert (script.runs, runner.runs) == (losses + 1, 1)
    assert [record.why for record in runner.records] == ["the cable is out"] * losses + [""]
    assert len(script.rests) == losses
    assert script.rests == sorted(script.rests)


def test_one_that_does_not_is_lost_with_its_reason_and_what_it_told(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(always=True)
    runner = Runner(script.bench(monkeypatch))
    with pytest.raises(BoardLost, match=r"^scripted:10\.0\.0\.7 .*tried 3 times: the cable is out; hint: plug it in$"):
        runner(one())
    assert [len(record.trace.events) for record in runner.records] == [1] * ATTEMPTS
    assert not issubclass(BoardLost, Exception)


def test_a_lost_target_gets_one_chance_per_test_and_after_some_tests_none(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(always=True)
    runner = Runner(script.bench(monkeypatch))
    counts = []
    for _ in range(GIVEN_UP + 2):
        with pytest.raises(BoardLost):
            runner(one())
        counts.append(script.runs)
    assert counts == [3, 4, 5, 5, 5]


def test_a_target_that_works_again_is_trusted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(True, True, True, False, True, True, False)
    runner = Runner(script.bench(monkeypatch))
    with pytest.raises(BoardLost):
        runner(one())
    for _ in range(2):
        runner(one())
    assert script.runs == 7


def test_a_target_that_is_not_there_is_lost_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(target: Target) -> Session:
        raise ConnectError("nobody is there")

    rests: list[float] = []
    bench = serving(monkeypatch, session_of(open=nobody), rests=rests)
    with pytest.raises(BoardLost, match=r"tried 3 times: nobody is there$"):
        _ = bench.session
    assert len(rests) == 2


def test_power_is_cycled_where_rest_did_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Switch:
        def cycle(self, rest: Any) -> None:
            calls.append("cycle")
            assert rest(2.0)

    monkeypatch.setattr(benches, "switch_of", lambda _: Switch())
    script = Script(True, True)
    Runner(script.bench(monkeypatch))(one())
    assert calls == ["cycle"]
    assert len(script.rests) == 2
    assert script.rests[1] == 2.0


def test_what_the_user_got_wrong_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    runner = Runner(script.bench(monkeypatch))
    with pytest.raises(Unsupported) as caught:
        runner(one(jitter=3))
    assert caught.value.__notes__ == ["hint: leave jitter out"]
    assert (script.runs, list(runner.records)) == (0, [])


def test_a_flood_of_events_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benches, "MOST_EVENTS", 5)
    closed = threading.Event()
    runs = []

    def flood(session: Session, plan: Plan) -> Iterator[Event]:
        try:
            while True:
                yield Event(0, EventType.EXTERNAL, 0, None, None)
        finally:
            closed.set()

    class Flooded(session_of(flood)):  # type: ignore[misc]  # a class like any other
        def run(self, *arguments: Any, **options: Any) -> Any:
            runs.append(super().run(*arguments, **options))  # which nobody collects
            return runs[-1]

    with pytest.raises(UsageError, match="more than 5 events"):
        Runner(serving(monkeypatch, Flooded))(one())
    assert closed.is_set()


def test_closing_a_session_ends_though_the_session_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benches, "CLOSE_S", 0.01)
    never = threading.Event()
    bench = serving(monkeypatch, session_of(close=lambda _: never.wait()))
    assert bench.session is bench.session
    bench.close()
    bench.close()
    never.set()


def test_the_last_runs_of_a_test_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(Script().bench(monkeypatch))
    sets = [one(number=number) for number in range(KEPT + 2)]
    for taskset in sets:
        runner(taskset)
    assert [record.taskset for record in runner.records] == sets[2:]
    runner.begin()
    assert (runner.runs, list(runner.records)) == (0, [])


# -- examples ----------------------------------------------------------------------------------------------------------

many = settings(max_examples=50, database=None, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_loss_ends_the_search_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(*[False] * 9, always=True)
    runner = Runner(script.bench(monkeypatch))

    @many
    @given(st.integers())
    def search(number: int) -> None:
        runner(one(number=number))

    with pytest.raises(BoardLost):
        search()
    assert script.runs == 9 + ATTEMPTS


def test_a_set_that_was_run_is_not_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither shrinking nor the final report pays twice, and a board that changes its mind makes nothing flaky."""
    script = Script()
    runner = Runner(script.bench(monkeypatch))
    seen: set[int] = set()

    @many
    @given(st.integers(0, 100))
    def search(number: int) -> None:
        runner(one(number=number))
        seen.add(number)
        assert number < 10

    with pytest.raises(AssertionError):
        search()
    assert script.runs == len(seen) == runner.runs


def test_what_one_example_runs_twice_is_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    runner = Runner(script.bench(monkeypatch))

    @settings(many, phases=[Phase.generate], max_examples=1)
    @given(st.just(0))
    def search(number: int) -> None:
        assert runner(one()) is not runner(one())

    search()
    assert script.runs == 2
    runner(one())  # outside of an example nothing is remembered
    runner(one())
    assert script.runs == 4


def test_a_deterministic_target_without_budget_needs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    runner = Runner(script.bench(monkeypatch, capabilities=replace(ON_BOARD, deterministic=True)))

    @settings(many, phases=[Phase.generate], max_examples=5)
    @given(st.integers())
    def search(number: int) -> None:
        runner(one())

    search()
    assert script.runs == 5


@pytest.mark.parametrize("budget", [1, 3, 20])
def test_a_budget_bounds_the_runs_of_a_search_that_finds_nothing(monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    script = Script()
    runner = Runner(script.bench(monkeypatch), budget)
    numbers = []

    @many
    @given(st.integers())
    def search(number: int) -> None:
        runner(one(number=number))
        numbers.append(number)

    search()
    assert script.runs == budget
    assert len(set(numbers)) == budget


def test_shrinking_stays_within_the_budget_and_the_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    runner = Runner(script.bench(monkeypatch), 12)
    failed = []

    @many
    @given(st.integers(0, 10**6))
    def search(number: int) -> None:
        runner(one(number=number))
        if number >= 1000:
            failed.append(number)
            raise AssertionError

    with pytest.raises(AssertionError):
        search()
    assert script.runs == 12
    assert failed[-1] == min(failed)  # the report is about the smallest that was run
    assert [record.taskset[0]["number"] for record in runner.records] == failed[-1:]


def test_an_example_that_has_begun_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script()
    runner = Runner(script.bench(monkeypatch), 2)
    finished = []

    @many
    @given(st.integers())
    def search(number: int) -> None:
        for part in range(3):
            runner(one(number=number, part=part))
        finished.append(number)

    search()
    assert script.runs == 3
    assert len(finished) == 1


def test_a_plain_test_beyond_its_budget_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(Script().bench(monkeypatch), 1)
    runner(one())
    with pytest.raises(pytest.skip.Exception, match="the budget of 1 executions is spent, no verdict"):
        runner(one())


# -- laws --------------------------------------------------------------------------------------------------------------

OVERLOAD = TaskSet([{"executiontime": 3, "period": 4, "deadline": 4}, {"executiontime": 3, "period": 6, "deadline": 6}])


def simulated(**options: Any) -> Runner:
    return Runner(Bench(Target("sim", "", options)))


def test_laws_hold_on_the_simulator() -> None:
    runner = simulated()
    assert runner.violations(OVERLOAD, "event_stream", "job_counts", "edf_order", "determinism", horizon_ms=40) == []
    assert runner.runs == 2  # determinism compares two
    assert runner.violations(OVERLOAD, "fixed_priority_order") == []
    assert runner.runs == 2  # which claims nothing about EDF


def test_a_broken_law_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(SimSession):
        def events(self, plan: Plan) -> Any:
            return (event for event in super().events(plan) if event[:2] != (0, EventType.START))

    violations = Runner(serving(monkeypatch, Forgetful, address="")).violations(OVERLOAD, "event_stream", horizon_ms=20)
    assert violations
    assert all(isinstance(violation, Violation) for violation in violations)


def test_a_law_that_the_target_cannot_answer_skips_the_test() -> None:
    runner = simulated(profile="G4")
    with pytest.raises(pytest.skip.Exception, match=r"sim: .*trace"):
        runner.violations(OVERLOAD, "edf_order")


def test_laws_are_judged_with_the_tolerance_of_the_generation() -> None:
    """START comes 26 ms after the release attempt, from which kills are counted."""
    taskset = TaskSet([{"pkg": "idle", "executiontime": 900, "period": 500, "criticaltime": 100, "numberofjobs": 2}])
    for target in (Target("sim", "G4"), Target("sim", "", {"profile": "G4"})):
        runner = Runner(Bench(target))
        assert runner.violations(taskset, "kill_at_criticaltime") == []
        assert PROPERTIES["kill_at_criticaltime"].judge(taskset, runner.records[-1].trace, ZERO)


def test_an_unknown_law_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match="job_count"):
        simulated().violations(OVERLOAD, "job_count")
