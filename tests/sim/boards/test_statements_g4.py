"""Sections 6.5, 6.6 and 6.8 of the protocol text, sentence by sentence: G4."""

import pytest

from sim.boards.description import Demand, Description
from sim.boards.generation import G4
from tests.sim.boards.pushing_bench import PushingBench, task, works
from tests.sim.boards.statement_bench import CREATE, PARSE, ns

#: From a forced exit, or the tick after a soft one, to the end of the destruction.
DESTROY = 252
MB = 1 << 20


def test_send_descs_only_parses() -> None:
    """wire-protocol 5.1: admission 'compiled out, everything accepted' on G4, so it takes no time either."""
    assert PushingBench(G4).descs(task(1), task(2)) == 2 * PARSE


# -- releases that fail ------------------------------------------------------------------------------------------------


def test_a_quota_failure_costs_no_job_and_is_retried_at_every_tick() -> None:
    """wire-protocol 6.8: 'quota failure … does not consume a job on G4: retried at every tick, no JOBS_DONE'.

    'in the last two cases the kill timer stays armed', here by the tick before.
    """
    bench = PushingBench(G4, task(1, jobs=2, quota=400 * MB, critical=600))
    bench.board.loader.free_ram = 300 * MB
    bench.begin(3500)
    assert bench.log == []
    assert bench.managed(1).kill_timer.armed
    bench.board.loader.free_ram = 500 * MB
    bench.run(9000)
    assert [time for time, kind, _ in bench.events if kind == "START"] == [4000 + CREATE, 5000 + CREATE]
    assert bench.of(1) == ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]
    assert len(bench.pushes) == 2


def test_a_creation_failure_costs_no_job_and_is_retried_at_every_tick() -> None:
    """wire-protocol 6.5: 'create child ; failure -> return (no START) ; iter += 1'; 6.8: 'retried at every tick'.

    2.2: without `quota` the creation fails. Each attempt arms the kill timer, which therefore never fires.
    """
    bench = PushingBench(G4, task(1, jobs=2, quota=0, critical=1500))
    bench.begin(9400)
    assert bench.log == []
    assert bench.managed(1).kill_timer.armed
    assert bench.managed(1).timer.armed
    bench.run(9999)
    assert bench.pushes == []


def test_a_missing_binary_costs_no_job_and_arms_no_kill_timer() -> None:
    """wire-protocol 6.5: 'binary missing -> return ; kill timer armed if criticaltime > 0'; 6.8: no job consumed."""
    bench = PushingBench(G4, task(1, jobs=2, critical=600), binaries=set())
    bench.begin(3500)
    assert bench.log == []
    assert not bench.managed(1).kill_timer.armed
    assert bench.board.binaries is not None
    bench.board.binaries.add("pi")
    bench.run(9000)
    assert [time for time, kind, _ in bench.events if kind == "START"] == [4000 + CREATE, 5000 + CREATE]
    assert bench.of(1) == ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]


def test_the_quota_of_a_soft_exited_child_comes_back_with_its_destruction() -> None:
    """wire-protocol 6.5: 'soft exit, child object stays'; a tick later it is destroyed and its quota is free."""
    holder, waiting = task(1, quota=300 * MB), task(2, quota=300 * MB, period=450)
    bench = PushingBench(G4, holder, waiting)
    bench.begin(2000)
    assert bench.events[-3][:2] == (1350 + CREATE, "START")  # not at 0, 450 and 900


# -- exits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "second"),
    [
        (0, "EXIT", 2000), (21, "OUT_OF_CAPS", 2000), (22, "OUT_OF_QUOTA", 2000), (1, "EXIT_ERROR", 1000),
        (17, "EXIT_CRITICAL", 1000), (19, "EXIT_EXTERNAL", 1000), (20, "EXIT_PERIOD", 1000),
    ],
)  # fmt: skip
def test_a_child_exits_with_its_value(value: int, kind: str, second: int) -> None:
    """wire-protocol 3.2: '17, 19, 20 (21, 22) is reported under that meaning'; 6.5: 'soft exit', 'destroy at once'."""
    bench = PushingBench(G4, task(1, jobs=2), work=lambda *_: Demand(ns(50), exit_value=value))
    bench.begin(500)
    assert len(bench.board.threads()) == (2 if second == 2000 else 1)
    bench.run(5000)
    ends = CREATE + 50
    assert bench.events == [
        (CREATE, "START", 1), (ends, kind, 1),
        (second + CREATE, "START", 1), (second + ends, kind, 1), (second + ends, "JOBS_DONE", 1),
    ]  # fmt: skip
    assert bench.pushes == [(ends, ["START", kind]), (second + ends, ["START", kind, "JOBS_DONE"])]


def test_a_killed_child_runs_on_and_ends_once() -> None:
    """wire-protocol 6.5: 'exit v: already inactive -> ignore'; 7.4: it 'keeps consuming CPU until it is destroyed'."""
    bench = PushingBench(G4, task(1, critical=100), work=200)
    bench.begin(3000)
    assert bench.events == [(CREATE, "START", 1), (100, "EXIT_CRITICAL", 1), (100, "JOBS_DONE", 1)]
    assert bench.pushes == [(100, ["START", "EXIT_CRITICAL", "JOBS_DONE"])]
    assert [time - bench.zero for time in bench.dead] == [100 + DESTROY]


@pytest.mark.parametrize("critical", [0, 500])
def test_a_soft_exited_child_goes_in_silence(critical: int) -> None:
    """wire-protocol 6.5: 'soft-exited before -> destroy silently (no event)'; 3.4: no push for such a teardown."""
    bench = PushingBench(G4, task(1, jobs=2, critical=critical))
    bench.begin(1500)
    gone = critical or 1000
    assert bench.dead[0] - bench.zero == gone + DESTROY
    assert bench.pushes[0] == (CREATE + 10, ["START", "EXIT"])
    assert len(bench.pushes) == (2 if critical else 1)


def test_exit_period_is_pushed_at_the_tick() -> None:
    """wire-protocol 6.5: 'meta present -> forced exit 20 ; return'; 'log event ; … push'."""
    bench = PushingBench(G4, task(1, jobs=9), work=3000)
    bench.begin(1500)
    assert bench.pushes == [(1000, ["START", "EXIT_PERIOD"])]


# -- the tick after the last job ---------------------------------------------------------------------------------------


def test_the_tick_after_the_last_job_disarms_both_timers() -> None:
    """wire-protocol 6.5: 'iter == numberofjobs -> disarm both timers'."""
    bench = PushingBench(G4, task(1, critical=1500))
    bench.begin(900)
    managed = bench.managed(1)
    assert (managed.timer.armed, managed.kill_timer.armed) == (True, True)
    bench.run(1400)
    assert (managed.timer.armed, managed.kill_timer.armed) == (False, False)
    bench.run(5000)
    assert bench.pushes == [(CREATE + 10, ["START", "EXIT", "JOBS_DONE"])]  # 'empty push = nothing'


def test_the_tick_after_the_last_job_pushes_what_is_there() -> None:
    """wire-protocol 6.5: 'forced exit 20 if active ; push'; 3.4: 'and at the tick after the last job'."""

    def second_job_long(one: Description, job: int) -> Demand:
        return Demand(ns(3000 if (one.id, job) == (2, 1) else 10))

    bench = PushingBench(G4, task(1, period=1500), task(2, period=700, jobs=5), work=second_job_long)
    bench.begin(1800)
    assert bench.events[-1] == (1400 + CREATE, "START", 2)
    assert bench.pushes[-1] == (1500 + DESTROY, ["START"])


def test_the_last_job_is_cut_by_its_period() -> None:
    """wire-protocol 6.5: 'forced exit 20 if active'; 3.4: 'In G4 it can, and JOBS_DONE follows'."""
    bench = PushingBench(G4, task(1, critical=1500), work=3000)
    bench.begin(5000)
    assert bench.events == [(CREATE, "START", 1), (1000, "EXIT_PERIOD", 1), (1000, "JOBS_DONE", 1)]
    assert bench.pushes == [(1000, ["START", "EXIT_PERIOD", "JOBS_DONE"])]
    assert not bench.managed(1).kill_timer.armed


# -- START, STOP, CLEAR ------------------------------------------------------------------------------------------------


def test_a_tick_behind_a_stop_starts_nothing() -> None:
    """wire-protocol 6.5: 'paused -> return': the tick came while the entry point was busy, STOP was served before."""
    bench = PushingBench(G4, task(1, period=2000, critical=300, jobs=9), task(2, period=2010, critical=300, jobs=9))
    bench.begin(2005)  # in the middle of a creation
    bench.board.stop()
    bench.run(9000)
    assert bench.of(1) == ["START", "EXIT", "START", "EXIT_EXTERNAL"]
    assert bench.of(2) == ["START", "EXIT"]


def test_stop_disarms_both_timers_of_each_task() -> None:
    """wire-protocol 6.5: 'STOP: paused, timers off, forced exit 19'; 6.6: it returns 'after teardown'."""
    tasks = [task(number, jobs=9, critical=1500) for number in (1, 2)]
    bench = PushingBench(G4, *tasks, work=works({1: 10, 2: 3000}))
    bench.begin(500)
    assert bench.stop() == 2 * DESTROY
    for number in (1, 2):
        managed = bench.managed(number)
        assert (managed.timer.armed, managed.kill_timer.armed) == (False, False)
    assert bench.contents == [[("START", 1), ("EXIT", 1)], [("START", 2), ("EXIT_EXTERNAL", 2)]]
    assert len(bench.board.threads()) == 2  # the loader's own


def test_jobs_done_follows_a_forced_exit_of_the_last_job() -> None:
    """wire-protocol 6.5: 'log event ; iter == numberofjobs -> log JOBS_DONE ; push', whatever v is."""
    bench = PushingBench(G4, task(1), work=3000)
    bench.begin(500)
    assert bench.clear() == DESTROY + 1000
    assert bench.pushes == [(500, ["START", "EXIT_EXTERNAL", "JOBS_DONE"])]
    assert bench.board.threads() == []


def test_clear_keeps_the_log_and_the_binaries() -> None:
    """wire-protocol 6.6: 'CLEAR resets event log / optimiser / binaries: no / - / no'; old ids travel with the next."""
    bench = PushingBench(G4, binaries={"pi"})
    bench.descs(task(7))
    bench.begin(CREATE + 1)
    started = bench.board.loader.log.read()
    assert [str(entry.type) for entry in started] == ["START"]
    bench.run(500)
    bench.contents.clear()
    bench.board.loader.log.append(started[0])  # as if it had been left over
    bench.clear()
    bench.descs(task(1))
    bench.begin(1000)
    assert bench.contents == [[("START", 7), ("START", 1), ("EXIT", 1), ("JOBS_DONE", 1)]]


def test_a_second_start_rearms_periodic_timers_with_an_immediate_tick() -> None:
    """wire-protocol 6.6: 'second START restarts: … periodic timers are re-armed with an immediate tick'."""
    bench = PushingBench(G4, task(1, jobs=4, critical=300))
    bench.begin(700)
    first = bench.zero
    bench.begin(2500)
    second = bench.zero - first
    assert second == 727
    assert [time - first - CREATE for time in bench.when("START")] == [0, second, second + 1000, second + 2000]


def test_that_tick_is_a_release_like_any_other() -> None:
    """wire-protocol 6.5: 'meta present -> forced exit 20'; 6.6: a second START's tick finds the running job."""
    bench = PushingBench(G4, task(1, jobs=4), work=3000)
    bench.begin(300)
    bench.begin(900)
    assert bench.events[-1] == (0, "EXIT_PERIOD", 1)


def test_a_second_send_descs_adds_tasks() -> None:
    """wire-protocol 6.6: 'Second SEND_DESCS without CLEAR adds tasks'."""
    bench = PushingBench(G4, task(1))
    bench.descs(task(2))
    bench.begin(500)
    assert {number for _, _, number in bench.events} == {1, 2}


def test_a_task_with_an_offset_of_its_own_waits_for_all() -> None:
    """wire-protocol 6.5: 'Releases cannot be served before START returns', also those of tasks without an offset."""
    bench = PushingBench(G4, task(1, offset=100), task(2, offset=300), task(3))
    bench.begin(500)
    assert bench.zero == 3 * PARSE + 27 + 400
    assert bench.events[0][:2] == (CREATE, "START")


@pytest.mark.parametrize(
    ("values", "events"),
    [
        ({"period": 4_295_967, "critical": 500}, [(CREATE, "START"), (999.704 + CREATE, "START")]),
        ({"period": 536_870_912}, []),  # 0 microseconds
        ({"critical": 4_295_467}, [(CREATE, "START"), (499.704, "EXIT_CRITICAL")]),
    ],
    ids=str,
)
def test_times_wrap_in_32_bit_microseconds(values: dict[str, int], events: list[tuple[float, str]]) -> None:
    """wire-protocol 2.2: 'above 4 294 967 ms the value wraps'; 6.1: 'Armed with 0 it never fires'."""
    one = task(1, **{"jobs": 3, "period": 100_000} | values)
    bench = PushingBench(G4, one, work=300 if "period" in values else 700)
    bench.begin(1100)
    assert [(time, kind) for time, kind, _ in bench.events if kind != "EXIT"] == events
