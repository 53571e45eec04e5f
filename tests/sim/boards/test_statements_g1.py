"""Sections 6.1 and 6.2 of the protocol text, sentence by sentence: G1, its later builds and G1p."""

import itertools
from typing import Any

import pytest

from sim.boards.description import Demand, Description
from sim.boards.generation import Generation, generation
from sim.workload import NEVER
from tests.sim.boards.statement_bench import CREATE, PARSE, START, Bench, described, endless, ns

G1 = generation("G1")
LATER = generation("G1", destroy_at_exit=False)
G1P = generation("G1p")
G1O = generation("G1o")
ALL = pytest.mark.parametrize("row", [G1, LATER, G1P, G1O], ids=["G1", "later G1", "G1p", "G1o"])
#: Builds whose tasks share core 0 with the loader.
CORE_0 = pytest.mark.parametrize("row", [G1, LATER], ids=["G1", "later G1"])
#: A lone task's first release on G1, from SEND_DESCS, if START follows at once.
FIRST = PARSE + START


def first_job_short(_: Description, job: int) -> Demand:
    return Demand(ns(10) if job == 0 else NEVER)


def keep_busy(bench: Bench) -> None:
    """Occupy the entry point for the parses of four descriptions that are never started."""
    bench.descs(*(described(90 + number, pkg="spare") for number in range(4)))


def cost_of_a_kill_timer(row: Generation, **own: Any) -> float:
    """Return by how much the kill timer of a short job, armed or not, prolongs a long one: its handler runs or not."""
    ends = []
    for critical in (500, 0):
        first, long = described(1, critical=critical, **own), described(2, pkg="long")
        bench = Bench(row, first, long, work=works, binaries={"pi", "long"})
        bench.start()
        bench.until(3000)
        assert "EXIT_CRITICAL" not in bench.kinds
        ends += bench.when("EXIT", 2)
    killed, spared = ends
    return killed - spared


def works(one: Description, _: int) -> Demand:
    return Demand(ns(1000 if one.pkg == "long" else 10))


# -- 6.1 ---------------------------------------------------------------------------------------------------------------


@ALL
def test_a_task_is_paused_until_start(row: Generation) -> None:
    """wire-protocol 6.1: '`paused` = true until START'; 6.2: 'START: paused := false'."""
    bench = Bench(row, described(1), described(2, period=1000))
    bench.until(5000)
    assert bench.log == []
    bench.start()
    bench.until(6000)
    assert bench.when("START", 1)
    assert bench.when("START", 2)


@ALL
def test_a_tick_that_a_stop_overtakes_releases_nothing(row: Generation) -> None:
    """wire-protocol 6.1: '`paused` = true … after STOP'; 6.2: 'release: paused -> return'."""
    binaries: set[str] = set()
    bench = Bench(row, described(period=1000), binaries=binaries)
    bench.start()
    tick = bench.now + 1000
    bench.wait(100)  # the first tick finds no binary
    binaries.add("pi")
    bench.until(tick - 10)
    bench.board.send_descs([described(9)])  # the tick comes meanwhile, but is served behind the STOP
    bench.stop()
    assert bench.now > tick
    bench.until(tick + 5000)
    assert bench.log == []
    bench.start()
    bench.until(tick + 6000)
    assert "START" in bench.of(0)


def test_releases_are_drift_free() -> None:
    """wire-protocol 6.1: 'then every `period` (drift-free …)': a late release doesn't move the later ones."""
    bench = Bench(G1, described(period=1000))
    bench.start()
    bench.until(FIRST + 1000 - 10)
    keep_busy(bench)
    late = bench.now
    bench.until(FIRST + 3500)
    assert late > FIRST + 1000
    assert bench.when("START") == [time + CREATE for time in (FIRST, late, FIRST + 2000, FIRST + 3000)]


def test_missed_ticks_coalesce() -> None:
    """wire-protocol 6.1: 'missed ticks coalesce': a busy loader has one release of a task to serve, not a backlog."""
    bench = Bench(G1, described(period=1, quota=0))  # each creation fails after 26 ms
    bench.start()
    bench.until(3000)
    assert bench.stop() <= 2 * CREATE


def test_the_start_routine_delays_a_kill() -> None:
    """wire-protocol 6.1: 'Start routine, kill timer handler … run on one thread (the loader's entry point)'."""
    binaries = {"pi"}
    killed, late = described(1, critical=500), described(2, period=460, pkg="late")
    bench = Bench(G1, killed, late, work=endless, binaries=binaries)
    bench.start()
    bench.wait(100)  # the first tick finds no binary
    binaries.add("late")
    bench.until(5000)
    released = bench.when("START", 1)[0] - CREATE
    creation = bench.when("START", 2)[0] - CREATE
    assert creation < released + 500 < creation + CREATE
    assert bench.when("EXIT_CRITICAL", 1) == [pytest.approx(creation + CREATE, abs=1)]


@ALL
def test_a_command_delays_releases_and_kills(row: Generation) -> None:
    """wire-protocol 6.1: 'Start routine, kill timer handler and command RPCs … so they delay one another'."""
    binaries = {"pi"}
    killed, late = described(1, critical=700), described(2, period=700, pkg="late")
    bench = Bench(row, killed, late, work=endless, binaries=binaries)
    bench.start()
    (created,) = bench.when("START", 1)
    bench.wait(100)
    binaries.add("late")
    bench.until(created - CREATE + 690)
    keep_busy(bench)
    free = bench.now
    assert free > created + 700
    bench.until(free + 300)
    assert bench.when("EXIT_CRITICAL", 1)[0] >= free
    assert bench.when("START", 2)[0] >= free + CREATE


# -- 6.2: START and releases -------------------------------------------------------------------------------------------


@ALL
def test_period_0_means_one_release(row: Generation) -> None:
    """wire-protocol 6.2: 'period > 0 ? arm periodic timer : release once'."""
    bench = Bench(row, described())
    bench.start()
    bench.until(20_000)  # its instance was destroyed long ago, where any is
    assert bench.kinds == ["START", "EXIT"]


@pytest.mark.parametrize(("period", "starts"), [(250, [0, 500, 1000]), (350, [0, 350, 700, 1050])])
def test_meta_clears_with_the_destruction(period: int, starts: list[int]) -> None:
    """wire-protocol 6.2: 'destroy (about 250 ms) ; meta := none'; a release before that is ignored."""
    bench = Bench(G1, described(period=period))
    bench.start()
    bench.until(FIRST + 1200)
    assert bench.when("START") == [FIRST + CREATE + start for start in starts]
    assert set(bench.kinds) == {"START", "EXIT"}


@CORE_0
def test_a_release_without_its_binary_arms_no_kill_timer(row: Generation) -> None:
    """wire-protocol 6.2: 'binary missing -> return', before the kill timer is armed."""
    assert cost_of_a_kill_timer(row, pkg="late") == 0


@CORE_0
def test_a_release_without_quota_leaves_its_kill_timer_armed(row: Generation) -> None:
    """wire-protocol 6.2: 'quota > loader's free RAM -> return (kill timer stays armed, no event)'."""
    assert cost_of_a_kill_timer(row, quota=1 << 30) > 0
    bench = Bench(row, described(quota=1 << 30, critical=300, period=1000))
    bench.start()
    bench.wait(5000)
    assert bench.log == []


@ALL
def test_a_failed_creation_logs_start_and_no_more(row: Generation) -> None:
    """wire-protocol 6.2: 'create child (about 26 ms) ; log START (even if creation failed)'; 3.2: 'when it threw'."""
    bench = Bench(row, described(quota=0, period=1000, critical=300))
    bench.start()
    begin = bench.now
    bench.until(begin + 2500)
    bench.stop()
    assert bench.log == [(begin + CREATE + 1000 * tick, "START", 0) for tick in range(3)]


# -- 6.2: exits and kills ----------------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (0, "EXIT"), (1, "EXIT_ERROR"), (-1, "EXIT_ERROR"), (17, "EXIT_CRITICAL"), (19, "EXIT_EXTERNAL"),
        (20, "EXIT_ERROR"), (21, "EXIT_ERROR"), (22, "EXIT_ERROR"),
    ],
)  # fmt: skip
def test_a_child_exits_with_its_value(row: Generation, value: int, kind: str) -> None:
    """wire-protocol 6.2: 'child exit v: active := false ; log event'; 3.2: which value is which event, since when."""
    bench = Bench(row, described(critical=500), work=lambda *_: Demand(ns(50), exit_value=value))
    bench.start()
    bench.until(2000)
    bench.stop()  # not active any more: nothing left to end
    assert bench.kinds == ["START", kind]


@CORE_0
def test_a_normal_exit_leaves_the_kill_timer_armed(row: Generation) -> None:
    """wire-protocol 6.2: 'Not cancelled by a normal exit (console still says "critical time reached")'."""
    assert cost_of_a_kill_timer(row) > 0


def test_each_release_arms_the_kill_timer_anew() -> None:
    """wire-protocol 6.2: 'criticaltime > 0 -> arm kill timer (one shot, from now)'; 3.2: 'since the start attempt'."""
    bench = Bench(G1, described(period=1000, critical=1020), work=first_job_short)
    bench.start()
    bench.until(FIRST + 5000)
    assert bench.kinds[:4] == ["START", "EXIT", "START", "EXIT_CRITICAL"]
    # the release at 2000 is ignored
    assert bench.when("EXIT_CRITICAL") == [pytest.approx(FIRST + start + 1020, abs=1) for start in (1000, 3000)]


@ALL
def test_a_kill_of_what_has_exited_is_no_event(row: Generation) -> None:
    """wire-protocol 6.2: 'kill timer: not paused and active -> forced exit 17', so an exited child isn't killed."""
    bench = Bench(row, described(critical=100), work=50)
    bench.start()
    bench.until(3000)
    assert bench.kinds == ["START", "EXIT"]


# -- 6.2: destruction --------------------------------------------------------------------------------------------------


def test_the_destruction_thread_polls() -> None:
    """wire-protocol 6.2: 'destruction thread (every 10 ms): destroy': exits within one interval share an instant."""
    destroyed = []
    for work in range(10, 31):
        bench = Bench(G1, described(), work=work)
        bench.start()
        bench.until(1000)
        destroyed += bench.dead
    instants = sorted(set(destroyed))
    assert all(later - earlier == 10 for earlier, later in itertools.pairwise(instants))
    assert max(map(destroyed.count, instants)) == 10
    assert len(destroyed) == 21


def test_exited_children_are_destroyed_one_after_the_other() -> None:
    """wire-protocol 6.2: 'queue for destruction'; 'destroy (about 250 ms)'."""
    bench = Bench(G1, *(described(number) for number in range(3)), work=1)
    bench.start()
    bench.until(3000)
    first, second, third = bench.dead
    assert second - first == pytest.approx(250, abs=15)
    assert third - second == pytest.approx(250, abs=15)


@pytest.mark.parametrize("row", [LATER, G1P, G1O], ids=["later G1", "G1p", "G1o"])
def test_later_builds_do_not_destroy_at_exit(row: Generation) -> None:
    """wire-protocol 6.2: 'do not destroy at exit (exit-time stays readable)'."""
    bench = Bench(row, described())
    bench.start()
    bench.until(10_000)
    assert bench.dead == []
    (child,) = [row for row in bench.board.threads() if row.session.endswith("00.pi")]
    assert [child.exit_time] == bench.when("EXIT")


@pytest.mark.parametrize("command", ["stop", "clear"])
def test_g1p_destroys_at_stop_and_clear_only(command: str) -> None:
    """wire-protocol 6.2: 'G1p destroys at STOP/CLEAR only', also what has exited long before."""
    bench = Bench(G1P, described(1), described(2), work=lambda one, _: Demand(ns(10) if one.id == 1 else NEVER))
    bench.start()
    bench.until(5000)
    assert bench.dead == []
    assert bench.served(getattr(bench.board, command)()) == (500 if command == "clear" else 0)
    bench.until(7000)
    assert len(bench.dead) == 2
    assert min(bench.dead) > 5000
    assert bench.sessions == (["init -> taskloader"] * 2 if command == "stop" else [])


def test_on_g1p_quota_comes_back_with_the_destruction() -> None:
    """wire-protocol 6.2: 'G1p destroys at STOP/CLEAR only'; then a second large task fits, and START runs all anew."""
    bench = Bench(G1P, described(1, quota=300 << 20), described(2, quota=300 << 20))
    for _ in range(2):
        bench.log.clear()
        bench.start()
        bench.wait(2000)
        assert (bench.of(1), bench.of(2)) == (["START", "EXIT"], [])
        bench.stop()
        bench.wait(1000)


@pytest.mark.parametrize("row", [LATER, G1O], ids=["later G1", "G1o"])
def test_builds_without_destruction_keep_the_quota_beyond_clear(row: Generation) -> None:
    """wire-protocol 7.4: 'Such builds never return `quota`: after about loader RAM / quota jobs …'."""
    bench = Bench(row)
    for number in range(8):
        bench.descs(described(number, quota=100 << 20))
        bench.start()
        bench.wait(500)
        bench.clear()
    assert {task for _, _, task in bench.log} == set(range(5))  # of 500 MiB


def test_g1_returns_the_quota_with_each_destruction() -> None:
    """wire-protocol 6.2: 'destroy (about 250 ms)', in contrast to 7.4."""
    bench = Bench(G1, described(quota=400 << 20, period=1000))
    bench.start()
    bench.until(5000)
    assert len(bench.when("EXIT")) == 5


# -- 6.2: STOP and CLEAR -----------------------------------------------------------------------------------------------


@ALL
def test_stop_takes_all_tasks(row: Generation) -> None:
    """wire-protocol 6.2: 'STOP: for every task: paused, timers disarmed, active -> forced exit 19'."""
    tasks = [described(number, period=1000 * (number % 2)) for number in range(6)]
    bench = Bench(row, *tasks, work=lambda one, _: Demand(ns(10) if one.id < 2 else NEVER))
    bench.start()
    bench.wait(900)
    at = bench.now
    bench.stop()
    bench.until(at + 5000)
    assert bench.of(0) == bench.of(1) == ["START", "EXIT"]
    assert [(time, task) for time, kind, task in bench.log if kind == "EXIT_EXTERNAL"] == [
        (at, n) for n in (2, 3, 4, 5)
    ]
    assert max(time for time, _, _ in bench.log) == at


def test_stop_disarms_the_kill_timers() -> None:
    """wire-protocol 6.2: 'STOP: … timers disarmed'; 7.4: there the child goes on and nothing holds it up."""
    executed = set()
    for critical in (0, 500):
        bench = Bench(LATER, described(critical=critical), work=endless)
        bench.start()
        bench.until(300)
        bench.stop()
        bench.until(1000)
        executed |= {row.execution_time for row in bench.board.threads() if row.session.endswith("00.pi")}
    assert executed == {1000 - FIRST - CREATE}


def test_a_stopped_job_has_no_kill_left_for_the_next_start() -> None:
    """wire-protocol 6.2: 'STOP: … timers disarmed': the next kill counts from the next release."""
    bench = Bench(G1, described(critical=500), work=endless)
    bench.start()
    bench.until(100)
    bench.stop()
    bench.until(FIRST + 500 - 10)
    bench.board.start()
    release = bench.now + START  # by then the first kill would be due
    assert release > FIRST + 500
    bench.until(3000)
    assert bench.kinds == ["START", "EXIT_EXTERNAL", "START", "EXIT_CRITICAL"]
    assert bench.when("EXIT_CRITICAL") == [pytest.approx(release + 500, abs=1)]


@ALL
def test_clear_stops_then_sleeps_then_drops(row: Generation) -> None:
    """wire-protocol 6.2: 'CLEAR: STOP, sleep 500 ms, drop all tasks (binaries stay)'."""
    binaries = {"pi"}
    bench = Bench(row, described(1), described(2, period=1000), work=endless, binaries=binaries)
    bench.start()
    bench.wait(200)
    at = bench.now
    cleared = bench.board.clear()
    bench.until(at + 499)
    assert bench.when("EXIT_EXTERNAL") == [at, at]
    assert bench.sessions.count("init -> taskloader") == 2
    assert {row.state for row in bench.board.threads()} == {1}
    assert bench.served(cleared) == 500
    assert "init -> taskloader" not in bench.sessions
    bench.log.clear()
    bench.start()
    bench.until(at + 4000)
    assert bench.log == []  # nothing is left to start
    bench.descs(described(3))
    bench.start()
    assert bench.kinds == ["START"]  # without another upload
