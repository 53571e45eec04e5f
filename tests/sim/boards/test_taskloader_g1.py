"""The life cycles of generations G1, G1p and G1o, statement by statement of the protocol text."""

from dataclasses import replace
from typing import Any

import pytest
import simpy

from sim.boards.board import Board
from sim.boards.description import Demand, DemandOf, Description, describe, quota_limit
from sim.boards.eventlog import LogEntry
from sim.boards.generation import G1, G1O, G1P, Generation, generation
from sim.boards.taskloader import Taskloader
from sim.boards.timing import Timing
from sim.workload import NEVER, PANDABOARD
from taskgen.parameters import Parameters, parameters_of
from taskgen.units import NS_PER_MS

CREATE = 26
LATER = generation("G1", destroy_at_exit=False)
ALL = pytest.mark.parametrize("row", [G1, LATER, G1P, G1O], ids=["G1", "later G1", "G1p", "G1o"])
ONCE = pytest.mark.parametrize("row", [LATER, G1P, G1O], ids=["later G1", "G1p", "G1o"])


def pandaboard(task: Parameters, _: int) -> int:
    return PANDABOARD.execution_ns(task)


def run(
    row: Generation, *tasks: dict[str, Any], horizon: int = 20_000, **options: Any
) -> list[tuple[float, str, int, int]]:
    """Return the events of a set as (ms, type, task, job)."""
    loader = Taskloader(
        simpy.Environment(), parameters_of(tasks), row, pandaboard, horizon_ns=horizon * NS_PER_MS, **options
    )
    while not loader.over:
        loader.env.step()
    return [(time_ns / NS_PER_MS, str(kind), task, job) for time_ns, kind, task, job, _ in loader.events]


class Bench:
    """A board and its log, in ms since SEND_DESCS."""

    def __init__(
        self, row: Generation, *tasks: dict[str, Any] | Description, demand: DemandOf | int = 10, **options: Any
    ) -> None:
        self.env = simpy.Environment()
        self.log: list[tuple[float, str, int]] = []
        work: DemandOf = (lambda *_: Demand(demand * NS_PER_MS)) if isinstance(demand, int) else demand
        self.board = Board(self.env, row, work, on_log=self.logged, on_push=self.pushed, **options)
        self.board.send_descs(
            [one if isinstance(one, Description) else describe(parameters_of([one])[0], row) for one in tasks]
        )

    def logged(self, entry: LogEntry) -> None:
        self.log.append((self.env.now / NS_PER_MS, str(entry.type), entry.task_id))

    def pushed(self, entries: tuple[LogEntry, ...]) -> None:
        raise AssertionError("G1 boards push nothing")

    def start(self, run: int = 0) -> None:
        self.env.run(self.board.start())
        if run:
            self.env.run(until=self.env.now + run * NS_PER_MS)

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.log]


@ALL
def test_a_single_job_starts_at_once(row: Generation) -> None:
    """wire-protocol 6.2: 'period > 0 ? arm periodic timer : release once'; START after about 26 ms; no JOBS_DONE."""
    assert run(row, {"executiontime": 100}) == [(CREATE, "START", 0, 0), (CREATE + 100, "EXIT", 0, 0)]


def test_a_periodic_task_starts_every_period() -> None:
    """wire-protocol 6.1: 'first release immediately when the timer is armed, then every `period`'."""
    events = run(G1, {"executiontime": 100, "period": 1000}, horizon=2500)
    assert [time for time, kind, _, _ in events if kind == "START"] == [CREATE, 1000 + CREATE, 2000 + CREATE]


def test_an_overrun_is_ignored() -> None:
    """wire-protocol 6.2: 'meta -> console message, return (no event)'."""
    assert run(G1, {"executiontime": 1200, "period": 1000}, horizon=4000) == [
        (CREATE, "START", 0, 0),
        (1200 + CREATE, "EXIT", 0, 0),
        (2000 + CREATE, "START", 0, 1),
        (3200 + CREATE, "EXIT", 0, 1),
    ]


@ONCE
def test_builds_that_do_not_destroy_at_exit_run_every_task_once(row: Generation) -> None:
    """wire-protocol 6.2: '`meta` never clears, so every task runs once, all later releases are ignored'."""
    events = run(row, {"executiontime": 100, "period": 1000}, horizon=5000)
    assert [kind for _, kind, _, _ in events] == ["START", "EXIT"]


@ALL
def test_a_kill_comes_criticaltime_after_the_release(row: Generation) -> None:
    """wire-protocol 6.2: 'criticaltime > 0 -> arm kill timer (one shot, from now)', before the creation."""
    assert run(row, {"executiontime": 600, "criticaltime": 500}) == [
        (CREATE, "START", 0, 0),
        (500, "EXIT_CRITICAL", 0, 0),
    ]


def test_offsets_are_read_and_unused() -> None:
    """wire-protocol 2.2: `offset` 'read, unused' on G0 to G1o; time zero lies that offset before the first release."""
    bench = Bench(G1, {"id": 3, "offset": 700})
    bench.start(200)
    assert bench.log[0][:2] == (38 + CREATE, "START")


@pytest.mark.parametrize("row", [G1, G1P])
def test_numberofjobs_is_not_read(row: Generation) -> None:
    """wire-protocol 2.2: `numberofjobs` 'not read' on G0, G1, G1p: 0 runs, and one doesn't limit."""
    bench = Bench(row, Description(period_ns=1000 * NS_PER_MS, quota=1, jobs=0))
    bench.start(4500)
    assert bench.kinds[:2] == ["START", "EXIT"]
    if row is G1:
        assert bench.kinds.count("START") == 5
        limited = Bench(row, Description(period_ns=1000 * NS_PER_MS, quota=1, jobs=1))
        limited.start(4500)
        assert limited.kinds.count("START") == 5


def test_a_forced_exit_only_logs_and_the_child_consumes_cpu_until_destroyed() -> None:
    """wire-protocol 7.4: 'the child keeps consuming CPU until it is destroyed'; without destruction: for ever."""
    destroying = Bench(G1, {"criticaltime": 500}, demand=lambda *_: Demand(NEVER))
    destroying.start(2000)
    assert [row.session for row in destroying.board.threads()] == ["init -> taskloader"]
    for row, lasts in ((LATER, True), (G1O, True), (G1P, False)):
        bench = Bench(row, {"criticaltime": 500}, demand=lambda *_: Demand(NEVER))
        bench.start(2000)
        (_, before) = bench.board.threads()
        bench.env.run(bench.board.clear())
        bench.env.run(until=bench.env.now + 1000 * NS_PER_MS)
        left = bench.board.threads()
        assert bool(left) is lasts  # G1p: 'until STOP or CLEAR'
        assert not left or left[0].execution_time > before.execution_time + 900


def test_stop_pauses_and_ends_what_runs() -> None:
    """wire-protocol 6.2: 'STOP: for every task: paused, timers disarmed, active -> forced exit 19'."""
    bench = Bench(G1, {"period": 1000}, {"id": 1, "period": 1000, "priority": 3}, demand=300)
    bench.start(200)
    assert bench.env.run(bench.board.stop()) == 0
    bench.env.run(until=bench.env.now + 3000 * NS_PER_MS)
    assert bench.kinds == ["START", "START", "EXIT_EXTERNAL", "EXIT_EXTERNAL"]


@ALL
def test_clear_sleeps_500_ms_and_drops_all_tasks(row: Generation) -> None:
    """wire-protocol 6.2: 'CLEAR: STOP, sleep 500 ms, drop all tasks (binaries stay)'."""
    bench = Bench(row, {"period": 1000})
    bench.env.run(until=1000 * NS_PER_MS)
    assert bench.env.run(bench.board.clear()) == 500 * NS_PER_MS
    assert bench.board.threads() == []


def test_a_missing_binary_loses_that_release() -> None:
    """wire-protocol 1.5: 'no event, that release is lost (a periodic task tries again at its next tick)'."""
    bench = Bench(G1, {"period": 1000, "pkg": "hey"}, binaries=set())
    bench.start(1500)
    assert bench.log == []
    assert bench.board.binaries is not None
    bench.board.binaries.add("hey")
    bench.env.run(until=bench.env.now + 1000 * NS_PER_MS)
    assert bench.kinds == ["START", "EXIT"]


def test_a_failed_quota_check_leaves_no_event() -> None:
    """wire-protocol 6.2: 'quota > loader's free RAM -> return (kill timer stays armed, no event)'."""
    bench = Bench(G1, {"quota": "1G", "criticaltime": 100})
    bench.start(2000)
    assert bench.log == []


def test_such_builds_never_return_quota() -> None:
    """wire-protocol 7.4: 'after about loader RAM / quota jobs releases fail silently'."""
    row = replace(LATER, timing=replace(LATER.timing, ram=10 << 20))
    bench = Bench(row, *({"id": number, "quota": "4M"} for number in range(4)))
    bench.start(2000)
    assert bench.kinds.count("START") == 2


def test_a_description_without_config_kills_the_taskloader() -> None:
    """wire-protocol 2.2: `config` required: 'exception, taskloader dies'; 1.6: the RPC never returns."""
    bench = Bench(G1, Description(quota=1, config=False))
    started = bench.board.start()
    bench.env.run(until=1000 * NS_PER_MS)
    assert bench.board.hung
    assert not started.triggered


def test_a_criticaltime_beyond_the_timers_range_kills_at_once() -> None:
    """wire-protocol 2.2: 'usable limit … 2 147 483 ms; above it `criticaltime` kills at once'."""
    for limit, kinds in ((2_147_483, ["START", "EXIT"]), (2_147_484, ["START", "EXIT_CRITICAL"])):
        assert [kind for _, kind, _, _ in run(G1, {"executiontime": 10, "criticaltime": limit})] == kinds


def test_out_of_quota_blocks_for_ever() -> None:
    """Recordings 7: 'tumatmul at or above 201000 under quota 5M: 291 of CPU in all, then it blocks'."""
    assert quota_limit("tumatmul", 200_999, 5 << 20) is None
    assert quota_limit("tumatmul", 201_000, 6 << 20) is None
    task = {"pkg": "tumatmul", "config": {"arg1": 201_000}, "quota": "5M", "criticaltime": 3000}
    assert run(G1, task) == [(CREATE, "START", 0, 0), (3000, "EXIT_CRITICAL", 0, 0)]
    given = quota_limit("tumatmul", 201_000, 5 << 20)
    assert given is not None
    bench = Bench(G1, task, demand=lambda *_: given)
    bench.start(2000)
    assert bench.board.threads()[1].execution_time == 291


def test_measured_creation_follows_the_parse() -> None:
    """Recordings 7: 'created(k) = parse(first) + 38 + 11 (n-1) + 37.5 k'."""
    for n in (1, 2, 3):
        bench = Bench(G1, *({"id": number} for number in range(n)), demand=lambda *_: Demand(NEVER))
        bench.start(1000)
        rows = bench.board.threads()
        assert [row.arrival_time for row in rows[:n]] == [11 * k for k in range(n)]
        assert [row.arrival_time for row in rows[n:]] == [int(38 + 11 * (n - 1) + 37.5 * k) for k in range(n)]


@pytest.mark.parametrize(
    ("pkg", "argument", "response"), [("namaste", 0, 105), ("cond_mod", 4, 124), ("pi", 100_000, 139 + 86)]
)
def test_measured_responses_of_single_programs(pkg: str, argument: int, response: int) -> None:
    """Recordings 6: namaste 105 (98..112), cond_mod 124 (116..130), pi 139 + 0.861 us per term; fresh boards: less."""
    (_, _, _, _), (exit_ms, kind, _, _) = run(G1, {"pkg": pkg, "config": {"arg1": argument}})
    assert kind == "EXIT"
    assert exit_ms + 38 == pytest.approx(response - 3, abs=5)


def test_destruction_occupies_core_0_at_the_top() -> None:
    """wire-protocol 6.7: 'soft exit -> thread destroyed …, occupies core 0 at top priority 217 … 252'."""
    lone = run(G1, {"pkg": "pi", "config": {"arg1": 500_000}})
    both = run(G1, {"pkg": "hey", "config": {"arg1": 0}}, {"pkg": "pi", "config": {"arg1": 500_000}})
    cost = both[-1][0] - lone[-1][0]
    # recordings 6.3: 'adding one hey to pi costs pi 287', counted from pi's own parse, 11 ms after hey's.
    assert cost == pytest.approx(287 + 11, abs=25)


@pytest.mark.parametrize(("pkg", "least", "most"), [("namaste", 205, 225), ("pi", 245, 265)])
def test_a_thread_is_destroyed_long_after_its_soft_exit(pkg: str, least: int, most: int) -> None:
    """wire-protocol 6.7: 'soft exit -> thread destroyed (RIP) … 217 (`namaste`) .. 252 (libc programs)'."""
    bench = Bench(G1, {"pkg": pkg}, demand=50)
    bench.start(2000)
    (dead,) = bench.board.dead_threads()
    (exit_ms,) = [time for time, kind, _ in bench.log if kind == "EXIT"]
    assert least <= dead.time_us / 1000 - exit_ms <= most


def test_the_destruction_thread_looks_every_10_ms() -> None:
    """wire-protocol 6.2: 'destruction thread (every 10 ms): destroy (about 250 ms)'."""
    polling = replace(G1, timing=Timing(destruction_poll_ns=10 * NS_PER_MS))
    bench = Bench(polling, {"pkg": "pi"}, demand=10)
    bench.start(2000)
    (dead,) = bench.board.dead_threads()
    (exit_ms,) = [time for time, kind, _ in bench.log if kind == "EXIT"]
    assert exit_ms + 252 < dead.time_us / 1000 <= exit_ms + 262
    assert (dead.time_us - 252_000) % 10_000 == 0


def test_g1o_releases_a_limited_task_once_one_period_after_start() -> None:
    """wire-protocol 6.3: '`numberofjobs` > 0: … net effect one release one period after START'."""
    bench = Bench(G1O, Description(quota=1, jobs=3, priority=1, period_ns=1000 * NS_PER_MS))
    bench.start(5000)
    begin = 11 + 400 + 27  # parse, admission, START
    assert [(time, kind) for time, kind, _ in bench.log] == [
        (begin + 1000 + CREATE, "START"),
        (begin + 1000 + CREATE + 10, "EXIT"),
    ]


def test_g1o_edf_tasks_wait_one_interval_per_job() -> None:
    """wire-protocol 7.4: 'G1o, priority 128: each of the `numberofjobs` turns costs one query_interval'."""
    limited = Description(quota=1, jobs=3, priority=128, period_ns=1000 * NS_PER_MS, deadline_ns=500 * NS_PER_MS)
    bench = Bench(G1O, limited)
    bench.start(5000)
    assert bench.log[0][0] == 11 + 400 + 27 + 3 * 100 + 1000 + CREATE


@pytest.mark.parametrize("row", [G1P, G1O])
def test_a_refused_task_silently_never_starts(row: Generation) -> None:
    """wire-protocol 5.1: 'task silently never starts' on G1p and G1o."""
    heavy = {"executiontime": 900, "period": 1000, "deadline": 0, "priority": 1}
    events = run(row, {**heavy, "id": 1}, {**heavy, "id": 2}, horizon=3000)
    assert {(kind, id_) for _, kind, id_, _ in events} == {("START", 1), ("EXIT", 1)}


def test_second_start_releases_single_jobs_again() -> None:
    """wire-protocol 6.6: 'second START restarts: 0-period tasks are released again (ignored while `meta`…)'."""
    bench = Bench(G1, {})
    bench.start()  # while the child of the first one runs or is being destroyed
    bench.start(1000)
    assert bench.kinds == ["START", "EXIT"]
    bench.start(1000)
    assert bench.kinds == ["START", "EXIT"] * 2
