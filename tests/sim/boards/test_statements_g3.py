"""Sections 6.4, 6.6 and 6.8 of the protocol text, sentence by sentence: G3a and G3b."""

import pytest

from sim.boards.description import Demand
from sim.boards.generation import G1, G3A, G3B, G4, Generation
from tests.sim.boards.pushing_bench import PushingBench, task, works
from tests.sim.boards.statement_bench import ADMISSION, CREATE, PARSE, ns

BOTH = pytest.mark.parametrize("row", [G3A, G3B], ids=["G3a", "G3b"])
#: From the exit of a program to the end of its destruction.
DESTROY = 252
#: Costs of which admission accepts the first alone (5.3).
HUGE = 99_999_999


def asked(ms: float) -> Demand:
    """A job that asks for more RAM after so much CPU time."""
    return Demand(ns(ms), asks="ram")


# -- START -------------------------------------------------------------------------------------------------------------


@BOTH
def test_a_refused_task_is_reported_at_each_start_at_once_without_a_push(row: Generation) -> None:
    """wire-protocol 6.4: 'Refused tasks: NOT_SCHEDULED at once, no push'; 3.2: 'once per START'; 3.4: no push alone."""
    bench = PushingBench(row, task(1, executiontime=HUGE, offset=500), task(2, executiontime=HUGE), work=5000)
    bench.begin(2000)
    bench.begin(2000)
    refusals = [time for time, kind, number in bench.events if (kind, number) == ("NOT_SCHEDULED", 2)]
    assert refusals == [-2027, 0]
    assert bench.pushes == []


@BOTH
@pytest.mark.parametrize("tasks", [1, 3])
def test_admission_takes_its_time_per_set(row: Generation, tasks: int) -> None:
    """wire-protocol 8, hazard 12: 'admission about 0.4 s per set'; 5.1: it happens at SEND_DESCS."""
    bench = PushingBench(row)
    assert bench.descs(*(task(number) for number in range(tasks))) == tasks * PARSE + ADMISSION


@BOTH
def test_a_release_without_period_runs_on_the_start_thread(row: Generation) -> None:
    """wire-protocol 6.8: 'A period = 0 release runs on the start thread': it holds up the next offset only."""
    bench = PushingBench(row, task(1, period=0), task(2, offset=100, period=5000), work=500)
    bench.begin(10)
    assert bench.served(bench.board.send_descs([])) == 0  # the entry point is free
    bench.run(400)
    assert bench.events == [(CREATE, "START", 1), (CREATE + 100 + CREATE, "START", 2)]


@BOTH
def test_a_set_that_is_cleared_during_its_offsets_never_starts(row: Generation) -> None:
    """wire-protocol 6.4: 'CLEAR: … drop all tasks'. 6.8: 'leaves dangling pointers', which isn't modelled."""
    bench = PushingBench(row, task(1, offset=300), task(2, period=0, offset=300))
    bench.begin(100)
    bench.clear()
    bench.run(5000)
    assert bench.log == []


# -- the order of a release --------------------------------------------------------------------------------------------


@BOTH
def test_a_permitted_tick_of_a_paused_task_starts_nothing(row: Generation) -> None:
    """wire-protocol 6.4: 'paused -> return'."""
    bench = PushingBench(row, task(1, jobs=9), task(2, jobs=9, offset=10))
    bench.begin(1005)
    bench.board.stop()
    bench.run(5000)
    assert bench.of(2) == ["START", "EXIT"]


@BOTH
def test_the_tick_after_the_last_job_leaves_the_kill_timer_armed(row: Generation) -> None:
    """wire-protocol 6.8: 'then only the start timer is disarmed'; 6.4: the last job ends 'or by `criticaltime`'."""
    bench = PushingBench(row, task(1, critical=1500), work=5000)
    bench.begin(1200)
    assert bench.managed(1).timer.armed is (row is G3A)
    bench.run(3000)
    assert bench.events == [(CREATE, "START", 1), (1500, "EXIT_CRITICAL", 1), (1500, "JOBS_DONE", 1)]


@BOTH
def test_a_missing_binary_costs_no_job_and_arms_no_kill_timer(row: Generation) -> None:
    """wire-protocol 6.4: 'binary and quota checks as 6.2'; 6.2: 'binary missing -> return' stands above 'iter += 1'."""
    bench = PushingBench(row, task(1, jobs=2, critical=900), binaries=set())
    bench.begin(1500)
    assert not bench.managed(1).kill_timer.armed
    assert bench.board.binaries is not None
    bench.board.binaries.add("pi")
    bench.run(5000)
    assert bench.when("START") == [bench.zero + 2000 + CREATE, bench.zero + 3000 + CREATE]
    assert bench.of(1) == ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]


@BOTH
def test_quota_failures_consume_all_jobs_in_silence(row: Generation) -> None:
    """wire-protocol 6.4: 'a quota failure still consumes one of the jobs'; 6.2: 'kill timer stays armed, no event'."""
    bench = PushingBench(row, task(1, jobs=2, quota=1 << 30, critical=800))
    bench.begin(500)
    assert bench.managed(1).kill_timer.armed
    bench.run(1500)
    bench.board.loader.free_ram = 2 << 30
    bench.run(5000)
    assert bench.log == []


@BOTH
def test_quota_comes_back_with_the_destruction(row: Generation) -> None:
    """wire-protocol 7.4: only builds without destruction 'never return `quota`'; 6.4: 'destroy ; meta := none'."""
    holder, waiting = task(1, quota=300 << 20), task(2, quota=300 << 20, period=120, jobs=5)
    bench = PushingBench(row, holder, waiting, work=10)
    bench.begin(2000)
    exited = CREATE + 10
    start = bench.when("START", 2)[0]
    assert start - bench.zero == 360 + CREATE > exited + DESTROY  # after the ticks at 0, 120 and 240


# -- exits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "value", "kind"),
    [
        (G3A, 1, "EXIT_ERROR"), (G3A, 17, "EXIT_CRITICAL"), (G3A, 19, "EXIT_EXTERNAL"), (G3A, 20, "EXIT_ERROR"),
        (G3A, 21, "EXIT_ERROR"), (G3A, 22, "EXIT_ERROR"), (G3B, 1, "EXIT_ERROR"), (G3B, 17, "EXIT_CRITICAL"),
        (G3B, 19, "EXIT_EXTERNAL"), (G3B, 20, "EXIT_PERIOD"), (G3B, 21, "EXIT_ERROR"), (G3B, 22, "EXIT_ERROR"),
    ],
)  # fmt: skip
def test_a_child_exits_with_its_value(row: Generation, value: int, kind: str) -> None:
    """wire-protocol 3.2: 'A child that itself exits with 17, 19, 20 … is reported under that meaning'; 'Since'.

    6.4: 'child exit v: … log event ; iter == numberofjobs -> log JOBS_DONE ; push', whatever v is (3.4).
    """
    bench = PushingBench(row, task(1), work=lambda *_: Demand(ns(50), exit_value=value))
    bench.begin(5000)
    assert bench.events == [(CREATE, "START", 1), (CREATE + 50, kind, 1), (CREATE + 50, "JOBS_DONE", 1)]
    assert bench.pushes == [(CREATE + 50, ["START", kind, "JOBS_DONE"])]


@BOTH
def test_a_normal_exit_disarms_the_kill_timer_on_g3b(row: Generation) -> None:
    """wire-protocol 6.4: 'child exit v: … (G3b from 2018-06-13) disarm kill timer'; 6.2: 'Not cancelled' elsewhere."""
    bench = PushingBench(row, task(1, critical=900))
    bench.begin(CREATE)
    assert bench.managed(1).kill_timer.armed
    bench.run(100)
    assert bench.managed(1).kill_timer.armed is (row is G3A)
    bench.run(3000)
    assert bench.of(1) == ["START", "EXIT", "JOBS_DONE"]


@BOTH
def test_a_killed_child_runs_on_and_ends_once(row: Generation) -> None:
    """wire-protocol 7.4: 'A forced exit only logs and marks; the child keeps consuming CPU until it is destroyed'."""
    bench = PushingBench(row, task(1, critical=100), work=200)
    bench.begin(150)
    assert bench.board.threads()[1].execution_time == 150 - CREATE
    bench.run(3000)
    assert bench.events == [(CREATE, "START", 1), (100, "EXIT_CRITICAL", 1), (100, "JOBS_DONE", 1)]
    assert bench.pushes == [(100, ["START", "EXIT_CRITICAL", "JOBS_DONE"])]
    assert bench.dead[0] - bench.zero == 100 + DESTROY


@pytest.mark.parametrize("row", [G1, G3A, G4], ids=["G1", "G3a", "G4"])
def test_no_job_is_killed_at_its_birth_by_the_kill_of_an_earlier_one(row: Generation) -> None:
    """wire-protocol 3.2: EXIT_CRITICAL: '`criticaltime` elapsed since the start attempt'; 6.2: 'one shot, from now'.

    A busy loader serves the tick, then the old kill, which came meanwhile; the tick has armed the timer anew.
    """
    critical = 2000 if row is G4 else 1000
    busy = task(2, period=990, jobs=9)
    bench = PushingBench(row, task(1, critical=critical, jobs=9), busy, work=10)
    bench.begin(8500)
    assert bench.of(1).count("EXIT") == (5 if row is G4 else 9)
    assert "EXIT_CRITICAL" not in bench.of(1)


# -- EXIT_PERIOD and OUT_OF_QUOTA --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "period", "event"), [(3000, 1000, "EXIT_PERIOD"), (asked(50), 5000, "OUT_OF_QUOTA")], ids=str
)
def test_some_endings_travel_with_the_destruction_thread(work: float | Demand, period: int, event: str) -> None:
    """wire-protocol 6.8: 'EXIT_PERIOD and OUT_OF_QUOTA travel only with the destruction thread's push'."""
    exit_ms = 900
    demands = works({1: exit_ms - CREATE, 2: work})
    bench = PushingBench(G3B, task(1, period=5000, priority=9), task(2, period=period, jobs=9), work=demands)
    bench.begin(1500)
    (logged,) = [time for time, kind, _ in bench.events if kind == event]
    assert exit_ms < logged < exit_ms + DESTROY  # the destruction thread is busy with the first task
    assert bench.pushes == [
        (exit_ms, ["START", "START", "EXIT", "JOBS_DONE"]),
        (exit_ms + DESTROY, [event]),
    ]


def test_they_also_travel_with_a_later_exit() -> None:
    """wire-protocol 6.8: '… or with a later one': an exit that comes before the destruction thread carries them."""
    tasks = [task(1, period=5000, priority=9), task(2, jobs=9), task(3, period=5000, priority=8, offset=1005)]
    bench = PushingBench(G3B, *tasks, work=works({1: 900 - CREATE, 2: 3000, 3: 20}))
    bench.begin(1500)
    (exit_ms,) = [time for time, kind, number in bench.events if (kind, number) == ("EXIT", 3)]
    assert 1000 < exit_ms < 900 + DESTROY
    assert bench.pushes[1:] == [(exit_ms, ["EXIT_PERIOD", "START", "EXIT", "JOBS_DONE"])]


@pytest.mark.parametrize("work", [900, 3000])
def test_exit_period_after_out_of_quota_or_alone_ends_the_job(work: int) -> None:
    """wire-protocol 6.8: 'OUT_OF_QUOTA leaves `active` true …, so EXIT_CRITICAL or EXIT_PERIOD can still follow'.

    6.4: 'active -> disarm kill timer, active := false, log EXIT_PERIOD …, NO start at this tick'; 3.4: no JOBS_DONE.
    """
    bench = PushingBench(G3B, task(1, jobs=2, critical=1500), work=lambda *_: asked(work))
    bench.begin(1400)
    greedy = [(CREATE + 900, "OUT_OF_QUOTA", 1)] if work == 900 else []
    events = [(CREATE, "START", 1), *greedy, (1000, "EXIT_PERIOD", 1)]
    assert bench.events == events
    assert not bench.managed(1).kill_timer.armed
    bench.run(1999)
    assert bench.events == events
    bench.run(2100)
    assert bench.events == [*events, (2000 + CREATE, "START", 1)]


def test_after_exit_period_there_is_nothing_left_to_stop() -> None:
    """wire-protocol 6.4: 'active := false, log EXIT_PERIOD', so a STOP before the next start ends nothing."""
    bench = PushingBench(G3B, task(1, jobs=9), work=3000)
    bench.begin(1500)
    bench.stop()
    bench.run(5000)
    assert bench.of(1) == ["START", "EXIT_PERIOD"]


def test_on_g3a_a_child_that_ends_during_its_destruction_leaves_no_event() -> None:
    """wire-protocol 6.4: 'meta: G3a: queue destruction, return (no event)'; 10: 'destroyed, no event'."""
    bench = PushingBench(G3A, task(1, jobs=9), work=1100 - CREATE)  # it would end 100 after the tick
    bench.begin(1999)
    assert bench.events == [(CREATE, "START", 1)]
    assert [time - bench.zero for time in bench.dead] == [1000 + DESTROY]
    assert bench.pushes == []


def test_a_child_out_of_quota_can_be_killed_while_it_is_destroyed() -> None:
    """wire-protocol 6.8: 'OUT_OF_QUOTA leaves … the kill timer armed, so EXIT_CRITICAL … can still follow'."""
    bench = PushingBench(G3B, task(1, period=5000, critical=200), work=lambda *_: asked(100))
    bench.begin(150)
    assert bench.managed(1).kill_timer.armed
    bench.run(2000)
    assert [kind for _, kind, _ in bench.events] == ["START", "OUT_OF_QUOTA", "EXIT_CRITICAL", "JOBS_DONE"]
    assert bench.pushes == [(126, ["START", "OUT_OF_QUOTA"]), (200, ["EXIT_CRITICAL", "JOBS_DONE"])]
    assert len(bench.dead) == 1


# -- STOP, CLEAR and what follows --------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("command", ["stop", "clear"])
def test_stop_and_clear_push_the_forced_exit_and_destroy(row: Generation, command: str) -> None:
    """wire-protocol 6.4: 'active -> forced exit 19 (event, maybe JOBS_DONE, push) ; queue destruction'."""
    bench = PushingBench(row, task(1), task(2, jobs=5), work=3000)
    bench.begin(500)
    bench.served(getattr(bench.board, command)())
    bench.run(2000)
    assert bench.pushes == [
        (500, ["START", "START", "EXIT_EXTERNAL", "JOBS_DONE"]),
        (500, ["EXIT_EXTERNAL"]),
    ]
    assert [time - bench.zero for time in bench.dead] == [500 + DESTROY, 500 + 2 * DESTROY]


@BOTH
def test_left_over_events_travel_with_the_next_set_under_their_old_ids(row: Generation) -> None:
    """wire-protocol 6.6: 'delivered with the next push of the next task set, carrying old ids'; CLEAR keeps the log."""
    bench = PushingBench(row, task(6, executiontime=HUGE, jobs=0), task(7, executiontime=HUGE))
    bench.begin(1000)
    bench.clear()
    assert bench.contents == []
    bench.descs(task(1))
    bench.begin(1000)
    assert bench.contents == [[("NOT_SCHEDULED", 7), ("START", 1), ("EXIT", 1), ("JOBS_DONE", 1)]]


@BOTH
def test_clear_keeps_binaries(row: Generation) -> None:
    """wire-protocol 6.6: 'CLEAR resets event log / optimiser / binaries: no / no / no'."""
    bench = PushingBench(row, task(1), binaries={"pi"})
    bench.clear()
    bench.descs(task(2))
    bench.begin(1000)
    assert bench.kinds == ["START", "EXIT", "JOBS_DONE"]


@BOTH
def test_a_second_start_rearms_periodic_timers_with_an_immediate_tick(row: Generation) -> None:
    """wire-protocol 6.6: 'second START restarts: … periodic timers are re-armed with an immediate tick'."""
    bench = PushingBench(row, task(1, jobs=4))
    bench.begin(500)
    first = bench.zero
    bench.begin(2500)
    second = bench.zero - first
    assert second == 527
    starts = [time - first - CREATE for time in bench.when("START")]
    assert starts == [0, second, second + 1000, second + 2000]


@BOTH
@pytest.mark.parametrize(
    ("values", "events"),
    [
        ({"period": 4_295_967}, [(CREATE, "START"), (999.704 + CREATE, "START")]),  # 999 704 microseconds
        ({"period": 536_870_912}, []),  # 0
        ({"critical": 4_295_467}, [(CREATE, "START"), (499.704, "EXIT_CRITICAL")]),
    ],
    ids=str,
)
def test_times_wrap_in_32_bit_microseconds(
    row: Generation, values: dict[str, int], events: list[tuple[float, str]]
) -> None:
    """wire-protocol 2.2: 'above 4 294 967 ms the value wraps'; 6.1: 'Armed with 0 it never fires'."""
    one = task(1, **{"jobs": 3, "period": 100_000} | values)
    bench = PushingBench(row, one, work=300 if "period" in values else 700)
    bench.begin(1100)
    assert [(time, kind) for time, kind, _ in bench.events if kind != "EXIT"] == events
