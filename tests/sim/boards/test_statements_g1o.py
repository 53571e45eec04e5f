"""Section 6.3 of the protocol text, sentence by sentence, and what else a board of generation G1o shows of itself."""

from typing import Any

import pytest

from sim.boards.description import Demand, Description
from sim.boards.generation import generation
from tests.sim.boards.statement_bench import ADMISSION, CREATE, PARSE, START, Bench, described, endless, ns

G1O = generation("G1o")
#: A lone task's first release, from SEND_DESCS, if START follows at once.
FIRST = PARSE + ADMISSION + START
INTERVAL = 100  #: the optimiser's query_interval that no document has changed


def limited(number: int = 0, jobs: int = 1, **own: Any) -> Description:
    return described(number, jobs=jobs, **{"priority": 1, "period": 1000, **own})


def urgent(number: int = 0, jobs: int = 1, **own: Any) -> Description:
    """An EDF task as G1o knows it."""
    return limited(number, jobs, **{"priority": 128, "deadline": 500, **own})


# -- numberofjobs = 0 --------------------------------------------------------------------------------------------------


def test_without_jobs_the_first_release_comes_at_once() -> None:
    """wire-protocol 6.3: '`numberofjobs` = 0: periodic timer, first release at once, only the first has effect'."""
    bench = Bench(G1O, limited(jobs=0))
    assert bench.start() == START
    bench.until(10_000)
    assert bench.log == [(FIRST + CREATE, "START", 0), (FIRST + CREATE + 10, "EXIT", 0)]


def test_without_jobs_the_timer_is_periodic() -> None:
    """wire-protocol 6.3: '`numberofjobs` = 0: periodic timer'; 1.5: 'a periodic task tries again at its next tick'."""
    binaries: set[str] = set()
    bench = Bench(G1O, limited(jobs=0), binaries=binaries)
    bench.start()
    bench.until(FIRST + 2500)
    binaries.add("pi")
    bench.until(10_000)
    assert bench.when("START") == [FIRST + 3000 + CREATE]


# -- numberofjobs > 0 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2, 7])
@pytest.mark.parametrize("period", [300, 1000])
def test_with_jobs_there_is_one_release_a_period_after_start(jobs: int, period: int) -> None:
    """wire-protocol 6.3: '`numberofjobs` > 0: … net effect one release **one period after START**'."""
    bench = Bench(G1O, limited(jobs=jobs, period=period))
    assert bench.start() == START  # it doesn't wait for the release
    bench.until(20_000)
    assert bench.when("START") == [FIRST + period + CREATE]


def test_with_jobs_the_timer_ticks_once() -> None:
    """wire-protocol 6.3: 'the loop re-arms a one-shot timer': a release that finds no binary isn't repeated."""
    binaries: set[str] = set()
    bench = Bench(G1O, limited(jobs=3), binaries=binaries)
    bench.start()
    bench.until(FIRST + 1500)
    binaries.add("pi")
    bench.until(20_000)
    assert bench.log == []


def test_a_kill_counts_from_the_late_release() -> None:
    """wire-protocol 6.3: 'As above', 6.2: 'arm kill timer (one shot, from now)'."""
    bench = Bench(G1O, limited(jobs=1, critical=400), work=endless)
    bench.start()
    bench.until(5000)
    assert bench.when("EXIT_CRITICAL") == [pytest.approx(FIRST + 1000 + 400, abs=1)]


def test_a_second_start_moves_the_release() -> None:
    """wire-protocol 6.3: 're-arms a one-shot timer'; 6.6: 'second START restarts: … periodic timers are re-armed'."""
    bench = Bench(G1O, limited(jobs=1))
    bench.start()
    bench.until(FIRST + 600)
    bench.start()
    bench.until(10_000)
    assert bench.when("START") == [FIRST + 600 + START + 1000 + CREATE]


# -- priority 128 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_each_turn_of_an_edf_task_blocks_start_for_one_interval(jobs: int) -> None:
    """wire-protocol 7.4: 'G1o, priority 128: each of the `numberofjobs` turns costs one query_interval'."""
    bench = Bench(G1O, urgent(jobs=jobs))
    assert bench.start() == START + jobs * INTERVAL
    bench.until(20_000)
    assert bench.when("START") == [FIRST + jobs * INTERVAL + 1000 + CREATE]


def test_without_jobs_there_is_no_turn() -> None:
    """wire-protocol 6.3: 'for priority 128 each turn first blocks in the optimiser': each of `numberofjobs`, here 0."""
    bench = Bench(G1O, urgent(jobs=0))
    assert bench.start() == START
    bench.until(FIRST + 2000)
    assert bench.when("START") == [FIRST + CREATE]


@pytest.mark.parametrize("priority", [0, 1, 127, 129])
def test_other_priorities_block_nothing_even_with_a_deadline(priority: int) -> None:
    """wire-protocol 7.2: 'On G1o 128 only selects the class `lo` (admission, optimiser)'."""
    bench = Bench(G1O, urgent(jobs=4, priority=priority))
    assert bench.start() == START


@pytest.mark.parametrize("priority", [0, 1, 127, 128])
def test_any_deadline_makes_an_edf_thread(priority: int) -> None:
    """wire-protocol 7.2: 'any `deadline` > 0 makes the task EDF whatever p is'; 4.1: `priority` is '0 when EDF'."""
    edf, fixed = urgent(1, jobs=0, priority=priority), limited(2, jobs=0, priority=priority)
    bench = Bench(G1O, edf, fixed, work=endless)
    bench.start()
    bench.wait(100)
    levels = {row.thread: row.priority for row in bench.board.threads() if row.session.count("->") == 2}
    assert levels == {"01.pi": 0, "02.pi": 127 if priority else 128}


def test_the_turns_of_all_tasks_add_up_and_hold_up_who_comes_later() -> None:
    """wire-protocol 6.3: 'each turn first blocks in the optimiser'; 5.1: 'Optimiser: at START, blocking'."""
    bench = Bench(G1O, limited(1, jobs=0), urgent(2, jobs=2), urgent(3, jobs=3), limited(4, jobs=0))
    assert bench.start() == START + 5 * INTERVAL
    free = bench.now
    bench.until(5000)
    assert bench.when("START", 1) == [free + CREATE]  # its tick came at once, its release is served after START
    assert bench.when("START", 4)[0] >= free + CREATE


def test_a_stop_waits_for_all_turns() -> None:
    """wire-protocol 6.1: 'command RPCs … delay one another': a STOP waits for all turns."""
    bench = Bench(G1O, urgent(jobs=3))
    bench.board.start()
    assert bench.stop() == START + 3 * INTERVAL
    bench.until(10_000)
    assert bench.log == []


# -- one instance ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_task_has_one_instance_in_all(jobs: int) -> None:
    """wire-protocol 6.3: 'As above without destruction: one instance per task', also over STOP and further STARTs."""
    bench = Bench(G1O, limited(jobs=jobs))
    for _ in range(3):
        bench.start()
        bench.wait(2500)
        bench.stop()
    assert bench.kinds == ["START", "EXIT"]
    assert bench.dead == []


# -- refused tasks -----------------------------------------------------------------------------------------------------


def refused_second() -> Bench:
    """Return a board that has accepted task 1 and refused task 2."""
    return Bench(G1O, limited(1, jobs=0, executiontime=900), limited(2, jobs=0, executiontime=900), work=endless)


def test_start_skips_refused_tasks() -> None:
    """wire-protocol 6.3: 'Refused tasks are skipped by START'; 5.1: 'task silently never starts'."""
    bench = refused_second()
    bench.start()
    bench.wait(3000)
    bench.start()
    bench.wait(3000)
    assert bench.log == [(2 * PARSE + ADMISSION + START + CREATE, "START", 1)]


@pytest.mark.parametrize("command", ["stop", "clear"])
def test_stop_and_clear_skip_refused_tasks(command: str) -> None:
    """wire-protocol 6.3: 'Refused tasks are skipped by START, STOP and CLEAR's kill'; CLEAR drops them all the same."""
    bench = refused_second()
    bench.start()
    bench.wait(500)
    bench.served(getattr(bench.board, command)())
    assert bench.of(1) == ["START", "EXIT_EXTERNAL"]
    assert bench.of(2) == []
    assert bench.sessions.count("init -> taskloader") == (2 if command == "stop" else 0)


# -- its kernel and its optimiser --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["G1o", "G1p"])
def test_a_job_that_is_preempted_beyond_its_deadline_never_runs_again(name: str) -> None:
    """wire-protocol 7.1: 'on G1o, G1p, G2 kernels a thread whose deadline has passed isn't queued any more'."""

    def work(one: Description, _: int) -> Demand:
        return Demand(ns({1: 200, 2: 300, 3: 50}[one.id]))

    expired, fixed, patient = described(1, deadline=250), described(2), described(3, deadline=5000)
    bench = Bench(generation(name), expired, fixed, patient, work=work)
    bench.start()
    bench.until(20_000)
    assert {number: bench.of(number) for number in (1, 2, 3)} == {
        1: ["START"],
        2: ["START", "EXIT"],
        3: ["START", "EXIT"],
    }
    (left,) = [row for row in bench.board.threads() if row.session.endswith("01.pi") and row.exit_time == 0]
    assert 0 < left.execution_time < 200


@pytest.mark.parametrize("interval", [30, 500, 999])
def test_a_turn_takes_the_documents_interval(interval: int) -> None:
    """wire-protocol 5.4: 'query_interval: ms; mandatory on G1o'; 7.4: a turn costs one."""
    bench = Bench(G1O)
    bench.served(bench.board.optimize(goal(query_interval=interval)))
    bench.descs(urgent(jobs=2))
    assert bench.start() == START + 2 * interval


@pytest.mark.parametrize(
    "document",
    [
        {"goal": {"fairness": {"apply": 1}, "utilization": {"apply": 0}}},
        {"goal": {"fairness": {"apply": 1}}, "query_interval": 100},
        {"query_interval": ""},
    ],
    ids=["no interval", "half a goal", "empty text"],
)
def test_a_document_that_the_optimiser_can_not_parse_hangs_the_board(document: dict[str, Any]) -> None:
    """wire-protocol 5.4: 'mandatory', 'without both sub-trees throws', 'empty text throws'; 1.6: it never returns."""
    bench = Bench(G1O)
    sent = bench.board.optimize(document)
    bench.until(5000)
    assert not sent.triggered
    assert bench.board.hung


def test_clear_does_not_reset_the_optimiser() -> None:
    """wire-protocol 6.6: 'CLEAR resets event log / optimiser / binaries: no / no / no', the optimiser."""
    bench = Bench(G1O)
    bench.served(bench.board.optimize(goal(query_interval=700)))
    bench.clear()
    bench.descs(urgent(jobs=3))
    assert bench.start() == START + 3 * 700


def goal(query_interval: int) -> dict[str, Any]:
    return {"goal": {"fairness": {"apply": 1}, "utilization": {"apply": 0}}, "query_interval": query_interval}
