"""A simulated board tells the very events of the simulator under the same profile, and what it knows besides."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.board.engine import EngineOptions, engine_factory
from hil.board.simulated import factory
from hil.documents import taskset as documents
from hil.documents.profile import Stamped
from hil.messages import Binary, Clear, SendBinaries, SendDescriptions, Start
from sim import SimSession
from sim.boards.eventlog import LogEntry
from taskgen import TaskSet
from taskgen.dialect import BOARDS, describe_all
from taskgen.errors import UsageError
from taskgen.events import EventType
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS
from tests.hil.board.benches import (
    AVAILABLE,
    GENERATIONS,
    GET_PROFILE,
    LATE,
    MS,
    START,
    STOP,
    WITH_LOG,
    Bench,
    descs,
    events_of,
    shown,
    task,
    word,
)

#: Of a job: its type, task and number, and when, in whole ms.
Told = tuple[EventType, int | None, int | None, int]


def simulated(tasks: list[dict[str, Any]], generation: str) -> list[Told]:
    """Return the events of a session with the profile of that board."""
    with SimSession(profile=generation) as session:
        events = list(session.run(TaskSet([dict(each) for each in tasks])))
    return [(each.type, each.task_id, each.job, each.time_ns // NS_PER_MS) for each in events]


def from_board(tasks: list[dict[str, Any]], bench: Bench) -> list[Told]:
    """Return the same from what a board logs for what a session sends, by the rules of a session."""
    parameters = parameters_of(TaskSet([dict(each) for each in tasks]))
    row = BOARDS[bench.generation]
    stamped = bench.events(SendDescriptions(documents.write(describe_all(parameters, row))), Start())
    stamped += bench.events(GET_PROFILE) if not row.pushes else []
    first = next(each for each in stamped if each.type is EventType.START)
    offset_ns = next(each.offset_ns for each in parameters if each.id == first.task_id)
    zero_ms = first.stamp_ms - (row.create_ns + offset_ns) // NS_PER_MS
    return [_told(each, zero_ms, starts) for starts in [Counter[int]()] for each in stamped]


def _told(event: Stamped, zero_ms: int, starts: Counter[int]) -> Told:
    assert event.type is not None
    starts[event.task_id] += event.type is EventType.START
    refused = event.type is EventType.NOT_SCHEDULED
    return event.type, event.task_id, starts[event.task_id] - (not refused), max(event.stamp_ms - zero_ms, 0)


def assert_same(told: list[Told], expected: list[Told]) -> None:
    """Hold two streams against each other: times may differ by the millisecond of a board's stamp."""
    assert [each[:3] for each in told] == [each[:3] for each in expected]
    assert all(abs(one[3] - other[3]) <= 1 for one, other in zip(told, expected, strict=True))


TASKS = st.fixed_dictionaries(
    {
        "executiontime": st.integers(1, 900),
        "period": st.integers(300, 1500),
        "priority": st.integers(0, 127),
        "numberofjobs": st.integers(1, 4),
    },
    optional={"criticaltime": st.integers(200, 1200)},
)


@pytest.mark.parametrize("generation", LATE)
@settings(max_examples=15, deadline=None)
@given(tasks=st.lists(TASKS, min_size=1, max_size=3))
def test_limited_sets_give_the_events_of_the_simulator(generation: str, tasks: list[dict[str, Any]]) -> None:
    # The board logs in one place what a session yields: the very order, also of events at one instant.
    bench = Bench(generation)
    assert_same(from_board(tasks, bench), simulated(tasks, generation))


@pytest.mark.parametrize("generation", WITH_LOG)
@pytest.mark.parametrize("pkg", ["hey", "pi", "linpack", "tumatmul"])
def test_programs_take_what_the_workload_table_says(generation: str, pkg: str) -> None:
    tasks = [{"pkg": pkg, "config": {"arg1": 500}, "period": 2000, "priority": 3, "numberofjobs": 2}]
    assert_same(
        from_board(tasks, Bench(generation)), simulated(tasks, generation)[: 2 if generation == "G1p" else None]
    )


def test_several_sets_one_after_the_other_start_afresh() -> None:
    bench = Bench("G4")
    tasks = [{"executiontime": 20, "period": 100, "priority": 1, "numberofjobs": 3, "criticaltime": 60}]
    expected = simulated(tasks, "G4")
    for _ in range(3):
        assert_same(from_board(tasks, bench), expected)
        bench.say(Clear())


@pytest.mark.parametrize("generation", WITH_LOG)
def test_after_a_reboot_a_board_is_as_it_was_in_the_beginning(generation: str) -> None:
    tasks = [{"pkg": "pi", "config": {"arg1": 500}, "period": 2000, "priority": 3, "numberofjobs": 1}]
    bench = Bench(generation)
    fresh = from_board(tasks, bench)
    bench.dom0.reboot()
    bench.wait()
    assert bench.connect()
    assert from_board(tasks, bench) == fresh


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_the_goal_of_the_optimiser_travels_in_the_set(generation: str) -> None:
    apply = {"fairness": {"apply": 0}, "utilization": {"apply": 1}}
    bench = Bench(generation)
    assert shown(bench.events(descs(goal=apply), START))[0] == ("START", 0)
    bench = Bench(generation)
    bench.say(descs(goal={"fairness": {"apply": 0}, "utilization": 0}))
    assert not bench.answers  # its parser throws: sched_controller is dead, and the call never returns


def test_time_stands_still_when_nothing_is_to_come() -> None:
    for generation in GENERATIONS:
        bench = Bench(generation)
        bench.say(descs(task(period=0)) if generation != "G4" else descs(), START)
        ended_ns = bench.engine.now_ns
        assert ended_ns < 1000 * MS
        bench.say(GET_PROFILE)
        assert bench.engine.now_ns == ended_ns


@pytest.mark.parametrize("generation", LATE)
def test_time_goes_on_as_long_as_something_is_to_come(generation: str) -> None:
    bench = Bench(generation)
    endless = task(pkg="idle", executiontime=None, period=1000, numberofjobs=2**32 - 1, criticaltime=700)
    bench.say(descs(endless), START, until_ms=60_000)
    assert not bench.engine.settled
    assert bench.engine.now_ns > 59_000 * MS
    bench.say(STOP, until_ms=70_000)
    assert bench.engine.settled


@pytest.mark.parametrize(
    "still",
    [
        task(pkg="idle", executiontime=None, period=0),  # computes for ever, and nobody ends it
        task(pkg="nowhere", executiontime=None),  # has no binary
        task(numberofjobs=None),  # no jobs at all
        task(quota="2G"),  # more than there is
    ],
)
@pytest.mark.parametrize("generation", ["G3a", "G3b", "G4"])
def test_timers_that_tick_without_effect_are_nothing_to_come(generation: str, still: dict[str, object]) -> None:
    bench = Bench(generation)
    assert not bench.events(descs(still), START, until_ms=100_000)
    assert bench.engine.settled


def test_time_stands_still_when_the_log_is_full_of_what_is_never_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimiser denies a job at each period (wire-protocol 5.4); only an exit would push that."""
    full = 200
    monkeypatch.setattr("hil.board.simulated.UNREAD_EVENTS", full)
    bench = Bench("G3b")
    first = task(id=0, executiontime=5, period=250, deadline=250, offset=700, priority=127, quota="5M")
    denied = {**first, "id": 1, "period": 1000, "deadline": 50, "numberofjobs": 5, "offset": 0}
    assert ("NOT_SCHEDULED", 1) not in shown(bench.events(descs(first, denied), START))
    assert bench.engine.settled
    before = bench.events(GET_PROFILE)
    assert full <= len(before) < 3 * full  # a log that is read leaves room for as many
    assert set(shown(before)) == {("NOT_SCHEDULED", 1)}
    assert before[0].stamp_ms < 4_000
    assert bench.events(GET_PROFILE)[0].stamp_ms > before[-1].stamp_ms
    assert bench.answers


def test_a_program_without_its_argument_aborts() -> None:
    assert shown(Bench("G4").events(descs(task(pkg="pi", executiontime=None)), START))[:2] == [
        ("START", 0),
        ("EXIT_ERROR", 0),
    ]


def test_a_program_must_be_there() -> None:
    bench = Bench("G3b")
    own = task(pkg="own", executiontime=None, period=100, numberofjobs=1)
    assert not bench.events(descs(own), START)
    go_send = word(0x90)
    written = bench.say(SendBinaries(1), Binary("own", b"\x7fELF"))
    assert written.startswith(go_send)
    assert shown(events_of(written.removeprefix(go_send)))[0] == ("START", 0)  # at the next tick


def test_who_says_how_long_it_computes_needs_no_program() -> None:
    (start, end, _) = Bench("G4").events(descs(task(pkg="anything", executiontime=123)), START)
    assert (start.type, end.type, end.stamp_ms - start.stamp_ms) == (EventType.START, EventType.EXIT, 123)


def test_the_placeholder_of_old_descriptions_says_nothing() -> None:
    (start, end, _) = Bench("G4").events(descs(task(executiontime=99_999_999)), START)
    assert end.stamp_ms - start.stamp_ms == 43  # of `hey`, whose creation the loader pays


def test_another_workload_table(tmp_path: Path) -> None:
    table = tmp_path / "own.toml"
    table.write_text("[own]\nconstant_ms = 70\n")
    bench = Bench("G4", workload=str(table))
    (start, end, _) = bench.events(descs(task(pkg="own", executiontime=None)), START)
    assert end.stamp_ms - start.stamp_ms == 45
    assert not bench.events(descs(task(id=1, executiontime=None)), START)  # hey isn't in it


def test_drawn_execution_times_are_those_of_the_seed(tmp_path: Path) -> None:
    table = tmp_path / "own.toml"
    table.write_text('[own]\ndistribution = { kind = "uniform", low_ms = 50, high_ms = 90 }\n')
    tasks = task(pkg="own", executiontime=None, numberofjobs=3, period=1000, criticaltime=500)

    def stamps(seed: int) -> list[int]:
        return [each.stamp_ms for each in Bench(workload=str(table), seed=seed).events(descs(tasks), START)]

    assert stamps(1) == stamps(1) != stamps(2)


def test_each_set_draws_its_own_execution_times(tmp_path: Path) -> None:
    table = tmp_path / "own.toml"
    table.write_text('[own]\ndistribution = { kind = "uniform", low_ms = 50, high_ms = 90 }\n')
    tasks = descs(task(pkg="own", executiontime=None, numberofjobs=3, period=1000, criticaltime=500))

    def lives(bench: Bench) -> list[int]:
        stamps = [
            each.stamp_ms for each in bench.events(tasks, START) if each.type in {EventType.START, EventType.EXIT}
        ]
        return [end - start for start, end in zip(stamps[::2], stamps[1::2], strict=True)]

    one, other = Bench(workload=str(table), seed=1), Bench(workload=str(table), seed=1)
    runs = [lives(one) for _ in range(3)]
    assert len({tuple(run) for run in runs}) == 3
    assert [lives(other) for _ in range(3)] == runs


def test_the_clock_wraps() -> None:
    wrap_ms = (1 << 32) // 1000
    bench = Bench("G4", uptime_ms=wrap_ms - 50)
    assert [each.stamp_ms for each in bench.events(descs(), START)][:2] == [13, 23]


@pytest.mark.parametrize(("generation", "dies"), [("G4", True), ("G3b", False)])
def test_a_push_that_is_too_long_kills_the_loader_of_g4(generation: str, dies: bool) -> None:
    bench = Bench(generation)
    entry = LogEntry(EventType.START, 0, 1, 0, 0, 0)
    bench.engine._board.on_push((entry,) * 2000)  # type: ignore[attr-defined]
    assert (bench.dom0.take() == b"") is dies
    if generation == "G4":
        assert bench.say(AVAILABLE) == AVAILABLE  # dom0's loop is idle: that is all that it proves
    bench.say(START)
    assert bench.answers is not dies


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generation": "G5"}, "no generation 'G5'"),
        ({"workload": "nowhere.toml"}, "nowhere.toml"),
        ({"cores": 0}, "cores"),
        ({"uptime_ms": -1}, "uptime"),
        ({"generation": "G3a", "destroy_at_exit": False}, "destroy_at_exit"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        factory(EngineOptions(**options))


def test_an_unknown_engine_is_named_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no engine 'linux'") as raised:
        engine_factory("linux", EngineOptions())
    assert "sim" in raised.value.hint
