"""The life cycles of generations G3a and G3b, statement by statement of the protocol text."""

from typing import Any

import pytest
import simpy

from sim.boards.board import Board
from sim.boards.description import Demand, Description, describe
from sim.boards.eventlog import LogEntry
from sim.boards.generation import G3A, G3B, Generation, Switches
from sim.boards.taskloader import Taskloader
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

CREATE = 26
BOTH = pytest.mark.parametrize("row", [G3A, G3B], ids=["G3a", "G3b"])


def run(
    row: Generation, *tasks: dict[str, Any], horizon: int = 20_000, **options: Any
) -> list[tuple[float, str, int, int]]:
    """Return the events of a set as (ms, type, task, job)."""
    loader = Taskloader(
        simpy.Environment(),
        parameters_of(tasks),
        row,
        lambda task, _: task.wcet_ns or 1,
        horizon_ns=horizon * NS_PER_MS,
        **options,
    )
    while not loader.over:
        loader.env.step()
    return [(time_ns / NS_PER_MS, str(kind), task, job) for time_ns, kind, task, job, _ in loader.events]


class Bench:
    """A board with tasks of no announced cost; what was logged and pushed, in ms since START."""

    def __init__(self, row: Generation, *tasks: dict[str, Any], work: int = 10, **options: Any) -> None:
        self.env = simpy.Environment()
        self.log: list[tuple[float, str, int]] = []
        self.pushes: list[list[str]] = []
        self.zero = 0
        demand = options.pop("demand", None) or Demand(work * NS_PER_MS)
        self.board = Board(self.env, row, lambda *_: demand, on_log=self.logged, on_push=self.pushed, **options)
        if tasks:
            self.env.run(self.board.send_descs([free(describe(task, row)) for task in parameters_of(tasks)]))

    def logged(self, entry: LogEntry) -> None:
        self.log.append(((self.env.now - self.zero) / NS_PER_MS, str(entry.type), entry.task_id))

    def pushed(self, entries: tuple[LogEntry, ...]) -> None:
        self.pushes.append([str(entry.type) for entry in entries])

    def start(self, run: int = 0) -> float:
        """START, then let the board run for a while; return how long START blocked, in ms."""
        self.zero = int(self.env.now) + 27 * NS_PER_MS  # until the first release
        blocked: Any = self.env.run(self.board.start())
        self.until(run)
        return float(blocked / NS_PER_MS)

    def until(self, time: int) -> None:
        """Run until this many ms after START."""
        if self.zero + time * NS_PER_MS > self.env.now:
            self.env.run(until=self.zero + time * NS_PER_MS)


def free(description: Description) -> Description:
    """Return the description without announced cost, which admission accepts."""
    values = {name: getattr(description, name) for name in Description.__slots__}
    return Description(**{**values, "executiontime": 0})


@BOTH
def test_a_task_shorter_than_its_period(row: Generation) -> None:
    """wire-protocol 6.4: 'e < p: START at 0, p, 2p, ...; EXIT after each; JOBS_DONE with the last'."""
    assert run(row, {"executiontime": 100, "period": 1000, "numberofjobs": 3}) == [
        (CREATE, "START", 0, 0),
        (CREATE + 100, "EXIT", 0, 0),
        (1000 + CREATE, "START", 0, 1),
        (1000 + CREATE + 100, "EXIT", 0, 1),
        (2000 + CREATE, "START", 0, 2),
        (2000 + CREATE + 100, "EXIT", 0, 2),
        (2000 + CREATE + 100, "JOBS_DONE", 0, 2),
    ]


def test_on_g3b_every_overrun_costs_a_period_and_the_last_job_is_never_cut() -> None:
    """wire-protocol 6.4: 'e > p: START 0, EXIT_PERIOD p, START 2p, EXIT_PERIOD 3p'; 'The last job is never cut'."""
    assert run(G3B, {"executiontime": 1500, "period": 1000, "numberofjobs": 3}) == [
        (CREATE, "START", 0, 0),
        (1000, "EXIT_PERIOD", 0, 0),
        (2000 + CREATE, "START", 0, 1),
        (3000, "EXIT_PERIOD", 0, 1),
        (4000 + CREATE, "START", 0, 2),
        (5500 + CREATE, "EXIT", 0, 2),
        (5500 + CREATE, "JOBS_DONE", 0, 2),
    ]


def test_on_g3a_an_overrun_is_destroyed_without_an_event() -> None:
    """wire-protocol 6.4: 'G3a: queue destruction, return (no event)', NO start at this tick."""
    assert run(G3A, {"executiontime": 1500, "period": 1000, "numberofjobs": 2}) == [
        (CREATE, "START", 0, 0),
        (2000 + CREATE, "START", 0, 1),
        (3500 + CREATE, "EXIT", 0, 1),
        (3500 + CREATE, "JOBS_DONE", 0, 1),
    ]


@BOTH
def test_a_tick_between_exit_and_destruction_is_skipped_without_an_event(row: Generation) -> None:
    """wire-protocol 6.4: 'exited but is not yet destroyed at a tick, that tick is skipped without an event'."""
    events = run(row, {"executiontime": 900, "period": 1000, "numberofjobs": 2})
    assert events[:3] == [
        (CREATE, "START", 0, 0),
        (CREATE + 900, "EXIT", 0, 0),
        (2000 + CREATE, "START", 0, 1),
    ]


@BOTH
def test_offsets_add_up_in_the_background(row: Generation) -> None:
    """wire-protocol 6.4: 'Offsets add up: task k is armed at the sum of offsets 1..k'."""
    tasks = [{"period": 5000, "numberofjobs": 1, "offset": offset} for offset in (100, 200, 300)]
    bench = Bench(row, *tasks, work=1500)  # no destruction comes in between
    assert bench.start(2000) == 27  # START itself returns at once
    assert [time for time, kind, _ in bench.log if kind == "START"] == [126, 326, 626]


@BOTH
def test_start_waits_for_the_offsets_where_the_switch_is_on(row: Generation) -> None:
    """wire-protocol 6.6: START may return 'possibly only after them (lock hand-over, inferred)'."""
    tasks = [{"period": 5000, "numberofjobs": 1, "offset": offset} for offset in (100, 200)]
    assert Bench(row, *tasks, switches=Switches(start_waits=True)).start() == 27 + 300


@BOTH
@pytest.mark.parametrize(("jobs", "done"), [(1, ["JOBS_DONE"]), (3, [])])
def test_period_0_is_one_start(row: Generation, jobs: int, done: list[str]) -> None:
    """wire-protocol 6.4: 'period = 0: one start, whatever numberofjobs >= 1 says (JOBS_DONE only if it is 1)'."""
    bench = Bench(row)
    bench.env.run(bench.board.send_descs([Description(jobs=jobs, quota=1, priority=5)]))
    bench.start(1000)
    assert [kind for _, kind, _ in bench.log] == ["START", "EXIT", *done]


@BOTH
def test_no_jobs_means_no_start(row: Generation) -> None:
    """wire-protocol 6.4: 'iter == numberofjobs -> … return [0 jobs: always here]'."""
    bench = Bench(row)
    bench.env.run(bench.board.send_descs([Description(period_ns=NS_PER_MS, quota=1), Description(quota=1)]))
    bench.start(1000)
    assert bench.log == []


@BOTH
def test_a_failed_quota_check_consumes_a_job_without_an_event(row: Generation) -> None:
    """wire-protocol 6.4: 'a quota failure still consumes one of the jobs'."""
    bench = Bench(row, {"period": 1000, "numberofjobs": 3, "quota": "1M"})
    bench.board.loader.free_ram = 0
    bench.start(1500)
    bench.board.loader.free_ram = 1 << 30
    bench.until(5000)
    assert [(time, kind) for time, kind, _ in bench.log] == [
        (2026, "START"),
        (2036, "EXIT"),
        (2036, "JOBS_DONE"),
    ]


@BOTH
def test_start_is_logged_even_if_creation_failed(row: Generation) -> None:
    """wire-protocol 3.2: START 'also when creation threw in G0-G3'; 2.2: `quota` missing: '0 (creation fails)'."""
    bench = Bench(row)
    bench.env.run(bench.board.send_descs([Description(jobs=1, period_ns=1000 * NS_PER_MS)]))
    bench.start(3000)
    assert [kind for _, kind, _ in bench.log] == ["START"]


@BOTH
def test_a_kill_comes_at_release_plus_criticaltime(row: Generation) -> None:
    """wire-protocol 6.2 and 6.4: the kill timer is armed at the release; a forgiving board delivers the event."""
    assert run(row, {"executiontime": 800, "period": 1000, "numberofjobs": 1, "criticaltime": 300}) == [
        (CREATE, "START", 0, 0),
        (300, "EXIT_CRITICAL", 0, 0),
        (300, "JOBS_DONE", 0, 0),
    ]


@BOTH
def test_a_kill_hangs_the_board_where_the_switch_is_on(row: Generation) -> None:
    """wire-protocol 6.4: 'a faithful simulator should offer "board hangs" for EXIT_CRITICAL', off by default."""
    bench = Bench(
        row, {"period": 1000, "numberofjobs": 1, "criticaltime": 300}, work=800, switches=Switches(hang_on_kill=True)
    )
    bench.start(5000)
    assert [kind for _, kind, _ in bench.log] == ["START"]
    assert bench.board.hung


def test_the_hang_also_comes_by_stop_with_a_running_task() -> None:
    """wire-protocol 6.4: '… and for STOP/CLEAR with a running task, on G3'."""
    bench = Bench(G3B, {"period": 5000}, work=2000, switches=Switches(hang_on_kill=True))
    bench.start(100)
    stopped = bench.board.stop()
    bench.until(5000)
    assert not stopped.triggered
    assert bench.board.hung


@pytest.mark.parametrize(("row", "ends"), [(G3A, ["EXIT_EXTERNAL"]), (G3B, ["EXIT_EXTERNAL", "JOBS_DONE"])])
def test_stop_ends_accepted_tasks_and_returns_at_once(row: Generation, ends: list[str]) -> None:
    """wire-protocol 6.4: 'forced exit 19 (event, maybe JOBS_DONE, push)'; 6.6: STOP returns 'after queuing'."""
    bench = Bench(row, {"period": 1000, "numberofjobs": 1 if "JOBS_DONE" in ends else 5}, work=900)
    bench.start(100)
    assert bench.env.run(bench.board.stop()) == 0
    assert [kind for _, kind, _ in bench.log] == ["START", *ends]


@pytest.mark.parametrize(("row", "wait"), [(G3A, 500), (G3B, 0)])
def test_clear_blocks_as_long_as_the_generation_says(row: Generation, wait: int) -> None:
    """wire-protocol 6.6: CLEAR blocks the command loop 500 ms on G3a, 'not at all' on G3b from 2018-06-07."""
    bench = Bench(row, {"period": 1000})
    assert bench.env.run(bench.board.clear()) == wait * NS_PER_MS
    assert bench.board.threads() == []


@BOTH
def test_a_stop_during_the_offset_walk_does_not_hold_tasks_not_yet_reached(row: Generation) -> None:
    """wire-protocol 6.8: 'A STOP during the offset walk doesn't hold tasks not yet reached: they start afterwards'."""
    bench = Bench(row, *({"period": 5000, "numberofjobs": 1, "offset": 300} for _ in range(2)))
    bench.start(400)
    bench.env.run(bench.board.stop())
    bench.until(2000)
    assert [(time, id_) for time, kind, id_ in bench.log if kind == "START"] == [(326, 0), (626, 1)]


@pytest.mark.parametrize(("row", "pushes"), [(G3A, [["START", "EXIT"], ["START", "EXIT", "JOBS_DONE"]]), (G3B, None)])
def test_a_push_follows_each_exit(row: Generation, pushes: list[list[str]] | None) -> None:
    """wire-protocol 3.4: pushed 'after each exit of a child'; JOBS_DONE in the same document."""
    bench = Bench(row, {"period": 1000, "numberofjobs": 2})
    bench.start(5000)
    assert bench.pushes == (pushes or [["START", "EXIT"], ["START", "EXIT", "JOBS_DONE"]])


def test_exit_period_travels_with_the_destruction_threads_push() -> None:
    """wire-protocol 6.8: 'travel only with the destruction thread's push'; 3.4: not followed by JOBS_DONE."""
    bench = Bench(G3B, {"period": 1000, "numberofjobs": 2}, work=1500)
    bench.start(1001)
    assert bench.pushes == [["START", "EXIT_PERIOD"]]


def test_out_of_quota_leaves_the_kill_timer_armed() -> None:
    """wire-protocol 6.8: 'leaves `active` true and the kill timer armed, so EXIT_CRITICAL … can still follow'."""
    ask = Demand(50 * NS_PER_MS, asks="ram")
    bench = Bench(G3B, {"period": 2000, "numberofjobs": 2, "criticaltime": 900}, demand=ask)
    bench.start(1500)
    assert [(time, kind) for time, kind, _ in bench.log] == [
        (CREATE, "START"),
        (CREATE + 50, "OUT_OF_QUOTA"),
        (900, "EXIT_CRITICAL"),
    ]


def test_out_of_quota_has_no_jobs_done() -> None:
    """wire-protocol 6.4: 'RAM request (G3b): log OUT_OF_QUOTA, queue destruction (no exit event, no JOBS_DONE)'."""
    bench = Bench(G3B, {"period": 1000, "numberofjobs": 2}, demand=Demand(50 * NS_PER_MS, asks="ram"))
    bench.start(5000)
    assert [kind for _, kind, _ in bench.log] == ["START", "OUT_OF_QUOTA", "START", "OUT_OF_QUOTA"]


def test_on_g3a_a_child_out_of_quota_blocks() -> None:
    """wire-protocol 3.2: OUT_OF_QUOTA exists since G3b; before, such a child blocks for ever (recordings 6.6)."""
    bench = Bench(G3A, {"period": 4000, "numberofjobs": 1}, demand=Demand(50 * NS_PER_MS, asks="ram"))
    bench.start(3000)
    assert [kind for _, kind, _ in bench.log] == ["START"]


def test_refused_tasks_are_reported_at_once_and_without_a_push() -> None:
    """wire-protocol 6.4: 'Refused tasks: NOT_SCHEDULED at once, no push'; 5.3: 'all but the first are refused'."""
    task = {"executiontime": 99_999_999, "period": 1000, "numberofjobs": 1, "priority": 5}
    events = run(G3B, task, task)
    assert [(kind, task_id, job) for _, kind, task_id, job in events] == [
        ("NOT_SCHEDULED", 1, 0),
        ("START", 0, 0),
        ("EXIT", 0, 0),
        ("JOBS_DONE", 0, 0),
    ]


def test_a_set_without_an_accepted_task_is_over() -> None:
    """wire-protocol 5.1: 'A machine with one core refuses every task'."""
    assert run(G3A, {"executiontime": 1, "period": 10}, cores=1) == [(0, "NOT_SCHEDULED", 0, 0)]


class Denying:
    """A sched_controller whose optimiser says no at first."""

    def __init__(self, denials: int) -> None:
        self.denials = denials

    def permits(self, *_: object) -> bool:
        self.denials -= 1
        return self.denials < 0

    def knows(self, name: str) -> bool:
        return False


def test_a_job_that_the_optimiser_denies_is_not_scheduled_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 6.4: 'EDF and optimiser says no -> log NOT_SCHEDULED, return [no push]'."""
    bench = Bench(G3B, {"period": 1000, "deadline": 900, "numberofjobs": 2})
    monkeypatch.setattr(bench.board.loader.controller, "permits", Denying(2).permits)
    bench.start(6000)
    assert [(round(time), kind) for time, kind, _ in bench.log] == [
        (0, "NOT_SCHEDULED"),
        (1000, "NOT_SCHEDULED"),
        (2026, "START"),
        (2036, "EXIT"),
        (3026, "START"),
        (3036, "EXIT"),
        (3036, "JOBS_DONE"),
    ]
    assert bench.pushes[0] == ["NOT_SCHEDULED", "NOT_SCHEDULED", "START", "EXIT"]


def test_the_optimiser_denies_the_cause_of_misses() -> None:
    """wire-protocol 5.4: a miss makes its cause a competitor, and fairness denies the one with the smaller value."""
    tasks = [
        {"executiontime": 300, "period": 1000, "deadline": 200},  # always late
        {"executiontime": 100, "period": 1000, "deadline": 150},  # in its way, in time
    ]
    events = run(G3B, *tasks, horizon=10_000)
    denied = [id_ for _, kind, id_, _ in events if kind == "NOT_SCHEDULED"]
    assert set(denied) == {1}


def test_busy_loops_starve_core_0_where_the_switch_is_on() -> None:
    """wire-protocol 7.4: 'where tasks sit on core 0, nothing below 128 runs (inferred; a switch, off by default)'."""
    task = {"executiontime": 10, "period": 2000, "numberofjobs": 1, "priority": 5}
    kinds = [kind for _, kind, _, _ in run(G3B, task, horizon=1000, switches=Switches(busy_loops=True))]
    assert kinds == ["START", "EXIT_EXTERNAL", "JOBS_DONE"]
    on_core_1 = run(G3A, task, horizon=1000, switches=Switches(busy_loops=True))
    assert [kind for _, kind, _, _ in on_core_1] == ["START", "EXIT", "JOBS_DONE"]


def test_a_second_start_releases_single_jobs_again_but_not_beyond_their_number() -> None:
    """wire-protocol 6.6: '0-period tasks are released again (ignored while `meta`, refused after `numberofjobs`)'."""
    bench = Bench(G3B)
    bench.env.run(bench.board.send_descs([Description(jobs=2, quota=1)]))
    for _ in range(3):
        bench.start(1000)
    assert [kind for _, kind, _ in bench.log] == ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]


def test_a_second_send_descs_adds_tasks() -> None:
    """wire-protocol 6.6: 'Second SEND_DESCS without CLEAR adds tasks'."""
    bench = Bench(G3B, {"id": 1, "period": 5000, "numberofjobs": 1})
    bench.env.run(bench.board.send_descs([Description(id=2, jobs=1, quota=1)]))
    bench.start(1000)
    assert {id_ for _, _, id_ in bench.log} == {1, 2}


@BOTH
@pytest.mark.parametrize("horizon", [1, 700, 725, 726])
def test_of_a_job_that_would_start_at_the_horizon_there_is_no_event(row: Generation, horizon: int) -> None:
    assert run(row, {"period": 5000, "numberofjobs": 1, "offset": 700}, horizon=horizon) == []
