"""The life cycle of generation G4, statement by statement of the protocol text."""

from typing import Any

import pytest
import simpy

from sim.boards.board import Board
from sim.boards.description import Demand, describe
from sim.boards.eventlog import LogEntry
from sim.boards.generation import G4, Switches
from sim.boards.taskloader import Taskloader
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

CREATE = 26


def run(*tasks: dict[str, Any], horizon: int = 20_000, **options: Any) -> list[tuple[float, str, int, int]]:
    """Return the events of a set as (ms, type, task, job)."""
    loader = Taskloader(
        simpy.Environment(),
        parameters_of(tasks),
        G4,
        lambda task, _: task.wcet_ns or 1,
        horizon_ns=horizon * NS_PER_MS,
        **options,
    )
    while not loader.over:
        loader.env.step()
    return [(time_ns / NS_PER_MS, str(kind), task, job) for time_ns, kind, task, job, _ in loader.events]


def times(events: list[tuple[float, str, int, int]], kind: str, task: int = 0) -> list[float]:
    return [time for time, type_, id_, _ in events if type_ == kind and id_ == task]


class Bench:
    """A board and what was logged and pushed, in ms."""

    def __init__(self, *tasks: dict[str, Any], demand: Demand | None = None, **options: Any) -> None:
        self.env = simpy.Environment()
        self.log: list[tuple[float, str]] = []
        self.pushes: list[list[str]] = []
        given = demand or Demand(10 * NS_PER_MS)
        self.board = Board(self.env, G4, lambda *_: given, on_log=self.logged, on_push=self.pushed, **options)
        self.env.run(self.board.send_descs([describe(task, G4) for task in parameters_of(tasks)]))

    def logged(self, entry: LogEntry) -> None:
        self.log.append((self.env.now / NS_PER_MS, str(entry.type)))

    def pushed(self, entries: tuple[LogEntry, ...]) -> None:
        self.pushes.append([str(entry.type) for entry in entries])


def test_the_first_release_is_immediate_and_start_is_logged_after_creation() -> None:
    """wire-protocol 6.1: 'first release immediately when the timer is armed'; 3.2: START 'after creation (… 26 ms)'."""
    assert run({"executiontime": 10, "period": 500, "numberofjobs": 1}) == [
        (CREATE, "START", 0, 0),
        (CREATE + 10, "EXIT", 0, 0),
        (CREATE + 10, "JOBS_DONE", 0, 0),
    ]


def test_all_tasks_begin_after_the_sum_of_all_offsets() -> None:
    """wire-protocol 6.5: 'all tasks begin after the sum of all offsets'. Time zero: first START - creation - offset."""
    first = {"executiontime": 1, "period": 5000, "numberofjobs": 1, "offset": 100}
    events = run(first, {**first, "offset": 300, "priority": 5})
    assert times(events, "START", 0) == [100 + CREATE]
    assert times(events, "START", 1) == [100 + 2 * CREATE]


def test_start_blocks_for_the_sum_of_the_offsets() -> None:
    """wire-protocol 6.6: START returns 'after all offsets'."""
    task = {"executiontime": 1, "period": 5000, "offset": 100}
    bench = Bench(task, {**task, "offset": 300})
    assert bench.env.run(bench.board.start()) == (27 + 400) * NS_PER_MS


def test_the_timer_keeps_the_pace_from_its_arming() -> None:
    """wire-protocol 6.1: 'then every `period` (drift-free; missed ticks coalesce)'."""
    task = {"executiontime": 1, "period": 1000, "criticaltime": 200, "numberofjobs": 3}
    events = run({**task, "offset": 100}, {"executiontime": 1, "period": 1000, "numberofjobs": 1, "offset": 2500})
    # The first task's ticks at 1000 and 2000 fell into START and became one with the first.
    begin = 100.0
    assert times(events, "START", 0) == [begin + CREATE, begin + 500 + CREATE, begin + 1500 + CREATE]


def test_period_0_never_fires() -> None:
    """wire-protocol 6.5: 'period = 0 never fires (timer refuses 0): no start, no event'."""
    bench = Bench({"executiontime": 1, "period": 100, "numberofjobs": 1})
    description = describe(parameters_of([{"period": 100}])[0], G4)
    single = type(description)(quota=1, caps=235, jobs=1)
    bench.env.run(bench.board.clear())
    bench.env.run(bench.board.send_descs([single]))
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 10_000 * NS_PER_MS)
    assert bench.log == []


def test_a_session_turns_period_0_into_one_job_with_the_longest_period() -> None:
    """wire-protocol 2.2: 'the usable limit of `period` … is 2 147 483 ms'."""
    description = describe(parameters_of([{"executiontime": 3, "period": 0}])[0], G4)
    assert (description.period_ns, description.jobs) == (2_147_483 * NS_PER_MS, 1)
    assert [kind for _, kind, _, _ in run({"executiontime": 3, "period": 0})] == ["START", "EXIT", "JOBS_DONE"]


@pytest.mark.parametrize("critical", [0, 1000, 1500])
def test_the_effective_period_is_doubled(critical: int) -> None:
    """wire-protocol 6.5: 'criticaltime = 0 or >= period: … Effective period = 2 x period'."""
    events = run({"executiontime": 100, "period": 1000, "numberofjobs": 3, "criticaltime": critical})
    assert times(events, "START") == [CREATE, 2000 + CREATE, 4000 + CREATE]
    assert [kind for _, kind, _, _ in events] == ["START", "EXIT"] * 3 + ["JOBS_DONE"]


def test_a_criticaltime_below_the_period_cleans_up_in_silence() -> None:
    """wire-protocol 6.5: '0 < criticaltime < period and the job ends before: … Effective period = period'."""
    events = run({"executiontime": 100, "period": 1000, "numberofjobs": 3, "criticaltime": 500})
    assert times(events, "START") == [CREATE, 1000 + CREATE, 2000 + CREATE]
    assert times(events, "EXIT_CRITICAL") == []


def test_a_job_longer_than_criticaltime_is_killed_at_release_plus_criticaltime() -> None:
    """wire-protocol 6.5: 'EXIT_CRITICAL at start + criticaltime' (3.2: 'since the start attempt')."""
    events = run({"executiontime": 600, "period": 1000, "numberofjobs": 2, "criticaltime": 500})
    assert events == [
        (CREATE, "START", 0, 0),
        (500, "EXIT_CRITICAL", 0, 0),
        (1000 + CREATE, "START", 0, 1),
        (1500, "EXIT_CRITICAL", 0, 1),
        (1500, "JOBS_DONE", 0, 1),
    ]


def test_a_job_longer_than_the_period_is_cut_at_the_tick_and_costs_a_period() -> None:
    """wire-protocol 6.5: 'EXIT_PERIOD at the tick, next start one period later'; 3.4: JOBS_DONE follows in G4."""
    assert run({"executiontime": 1200, "period": 1000, "numberofjobs": 2}) == [
        (CREATE, "START", 0, 0),
        (1000, "EXIT_PERIOD", 0, 0),
        (2000 + CREATE, "START", 0, 1),
        (3000, "EXIT_PERIOD", 0, 1),
        (3000, "JOBS_DONE", 0, 1),
    ]


def test_after_the_final_exit_the_next_tick_disarms_the_timers_and_cleans_up() -> None:
    """wire-protocol 6.5: 'After the final EXIT + JOBS_DONE the next tick disarms the timers and cleans up'."""
    bench = Bench({"executiontime": 10, "period": 1000, "numberofjobs": 1})
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 900 * NS_PER_MS)
    assert len(bench.board.threads()) == 2
    bench.env.run(until=bench.env.now + 500 * NS_PER_MS)
    assert len(bench.board.threads()) == 1  # only the loader's own thread for the task
    assert [kind for _, kind in bench.log] == ["START", "EXIT", "JOBS_DONE"]


def test_no_jobs_means_no_start() -> None:
    """wire-protocol 2.2: `numberofjobs` '0: task never starts'; endless is sent as 4294967295."""
    description = describe(parameters_of([{"executiontime": 1, "period": 100}])[0], G4)
    assert description.jobs == 4_294_967_295
    bench = Bench({"executiontime": 10, "period": 1000, "numberofjobs": 1})
    nothing = type(description)(quota=1, caps=235, period_ns=100 * NS_PER_MS)
    bench.env.run(bench.board.send_descs([nothing]))
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 5000 * NS_PER_MS)
    assert [kind for _, kind in bench.log] == ["START", "EXIT", "JOBS_DONE"]


@pytest.mark.parametrize(("asks", "event"), [("ram", "OUT_OF_QUOTA"), ("caps", "OUT_OF_CAPS")])
def test_a_child_that_asks_for_memory_exits_softly(asks: Any, event: str) -> None:
    """wire-protocol 6.5: '0, 21, 22 -> EXIT / OUT_OF_CAPS / OUT_OF_QUOTA: "soft exit", child object stays'."""
    bench = Bench({"executiontime": 10, "period": 1000, "numberofjobs": 2}, demand=Demand(10, asks=asks))
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 5000 * NS_PER_MS)
    assert [kind for _, kind in bench.log] == ["START", event, "START", event, "JOBS_DONE"]
    assert bench.log[2][0] - bench.log[0][0] == 2000


@pytest.mark.parametrize(
    ("value", "event"), [(1, "EXIT_ERROR"), (17, "EXIT_CRITICAL"), (19, "EXIT_EXTERNAL"), (20, "EXIT_PERIOD")]
)
def test_exit_values_are_reported_under_their_meaning(value: int, event: str) -> None:
    """wire-protocol 3.2: 'A child that itself exits with 17, 19, 20 (21, 22) is reported under that meaning'."""
    bench = Bench({"executiontime": 10, "period": 1000, "numberofjobs": 2}, demand=Demand(10, value))
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 5000 * NS_PER_MS)
    assert [kind for _, kind in bench.log] == ["START", event, "START", event, "JOBS_DONE"]
    assert bench.log[2][0] - bench.log[0][0] == 1000  # destroyed at once, so the next tick starts


def test_a_child_that_ends_with_an_error_hangs_the_loader_where_the_switch_is_on() -> None:
    """wire-protocol 6.8: 'event never logged, loader hangs (inferred; a switch, off by default)'."""
    task = {"executiontime": 10, "period": 1000, "numberofjobs": 2}
    bench = Bench(task, demand=Demand(10, 1), switches=Switches(hang_on_error=True))
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 5000 * NS_PER_MS)
    assert [kind for _, kind in bench.log] == ["START"]
    assert bench.board.hung


def test_stop_ends_what_runs_and_tears_down_before_it_returns() -> None:
    """wire-protocol 6.5: 'STOP: paused, timers off, forced exit 19'; 6.6: STOP returns 'after teardown' on G4."""
    bench = Bench({"period": 1000}, demand=Demand(5000 * NS_PER_MS))
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 100 * NS_PER_MS)
    assert bench.env.run(bench.board.stop()) == 252 * NS_PER_MS
    assert [kind for _, kind in bench.log] == ["START", "EXIT_EXTERNAL"]
    bench.env.run(until=bench.env.now + 5000 * NS_PER_MS)
    assert len(bench.log) == 2


def test_stop_is_silent_about_a_soft_exited_child() -> None:
    """wire-protocol 6.5: 'STOP: … forced exit 19 (silent if soft-exited)'."""
    bench = Bench({"period": 1000})
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 100 * NS_PER_MS)
    bench.env.run(bench.board.stop())
    assert [kind for _, kind in bench.log] == ["START", "EXIT"]


def test_clear_blocks_for_a_second() -> None:
    """wire-protocol 6.6: 'CLEAR blocks the command loop: … G4 1000 ms'; it doesn't reset the event log."""
    bench = Bench({"period": 1000})
    assert bench.env.run(bench.board.clear()) == 1000 * NS_PER_MS
    assert bench.board.threads() == []


def test_a_push_follows_each_end_and_nothing_a_start() -> None:
    """wire-protocol 3.4: G4 pushes 'after each terminating event except a silent soft-exit teardown'."""
    bench = Bench({"period": 1000, "numberofjobs": 2, "criticaltime": 500})
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 5000 * NS_PER_MS)
    assert bench.pushes == [["START", "EXIT"], ["START", "EXIT", "JOBS_DONE"]]


def test_a_missing_binary_or_quota_costs_no_job() -> None:
    """wire-protocol 6.8: 'Missing binary, quota failure or creation failure does not consume a job on G4'."""
    bench = Bench({"period": 1000, "numberofjobs": 1, "pkg": "hey"}, binaries=set())
    bench.env.run(bench.board.start())
    bench.env.run(until=bench.env.now + 2500 * NS_PER_MS)
    assert bench.log == []
    assert bench.board.binaries is not None
    bench.board.binaries.add("hey")
    bench.env.run(until=bench.env.now + 2500 * NS_PER_MS)
    assert [kind for _, kind in bench.log] == ["START", "EXIT", "JOBS_DONE"]


def test_a_child_without_capabilities_starves() -> None:
    """wire-protocol 2.2: `caps` missing: '0, child starves'; a session fills in 235."""
    assert describe(parameters_of([{"period": 5}])[0], G4).caps == 235
    events = run({"executiontime": 10, "period": 1000, "caps": 0, "criticaltime": 400, "numberofjobs": 1})
    assert [kind for _, kind, _, _ in events] == ["START", "EXIT_CRITICAL", "JOBS_DONE"]


def test_not_scheduled_is_never_logged() -> None:
    """wire-protocol 6.8: 'G4: NOT_SCHEDULED is never logged'; 5.1: admission 'compiled out, everything accepted'."""
    task = {"executiontime": 90, "period": 100, "numberofjobs": 2}
    events = run(task, task, task)
    assert {kind for _, kind, _, _ in events} <= {"START", "EXIT", "EXIT_PERIOD", "JOBS_DONE"}


def test_at_the_horizon_running_jobs_end_with_exit_external() -> None:
    events = run({"executiontime": 700, "period": 1000}, horizon=600)
    assert events == [(CREATE, "START", 0, 0), (600, "EXIT_EXTERNAL", 0, 0)]


def test_a_completion_at_the_instant_of_its_kill_counts() -> None:
    events = run({"executiontime": 474, "period": 1000, "numberofjobs": 1, "criticaltime": 500})
    assert [kind for _, kind, _, _ in events] == ["START", "EXIT", "JOBS_DONE"]


def test_the_horizon_counts_from_time_zero_and_not_from_start() -> None:
    """wire-protocol 6.5: all offsets come first, here 700 ms; time zero is the first START - creation - its offset."""
    late = {"executiontime": 1, "period": 400, "numberofjobs": 1, "offset": 700, "priority": 9}
    events = run({"executiontime": 20, "period": 400, "numberofjobs": 2}, late, horizon=500)
    assert [(kind, task) for _, kind, task, _ in events] == [
        ("START", 0), ("START", 1), ("EXIT", 1), ("JOBS_DONE", 1), ("EXIT", 0),
    ]  # fmt: skip
    assert times(events, "START") == [CREATE]


@pytest.mark.parametrize("horizon", [1, 700, 725, 726])
def test_of_a_job_that_would_start_at_the_horizon_there_is_no_event(horizon: int) -> None:
    assert run({"executiontime": 900, "period": 1000, "offset": 700, "criticaltime": 20}, horizon=horizon) == []


@pytest.mark.parametrize("offset", [0, 700])
def test_a_set_of_which_nothing_starts_ends(offset: int) -> None:
    assert run({"executiontime": 1, "period": 400, "quota": "2G", "offset": offset}, horizon=500) == []
