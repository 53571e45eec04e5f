"""Commands, admission, stamps and what a session sends: sections 6.6, 5.1, 3.3, 7.4 of the protocol text for G1 boards.

Where the text has one table for all generations, so has a test.
"""

from typing import Any

import pytest

from sim.boards.description import Demand, Description, describe
from sim.boards.generation import Generation, generation
from taskgen.errors import Unsupported
from taskgen.parameters import parameters_of
from tests.sim.boards.statement_bench import ADMISSION, CREATE, GAP, PARSE, START, Bench, described, endless, ns

G1 = generation("G1")
LATER = generation("G1", destroy_at_exit=False)
G1P = generation("G1p")
G1O = generation("G1o")
ALL = pytest.mark.parametrize("row", [G1, LATER, G1P, G1O], ids=["G1", "later G1", "G1p", "G1o"])
TESTING = pytest.mark.parametrize("row", [G1P, G1O], ids=["G1p", "G1o"])


# -- 6.6 ---------------------------------------------------------------------------------------------------------------


@ALL
def test_clear_blocks_the_command_loop(row: Generation) -> None:
    """wire-protocol 6.6: 'CLEAR blocks the command loop 500 ms' on G1 to G3a, with running tasks as without."""
    bench = Bench(row, described(1), described(2, period=300), work=endless)
    bench.start()
    bench.wait(1000)
    bench.board.clear()
    assert bench.start() == 500 + START


@ALL
def test_stop_returns_after_queuing(row: Generation) -> None:
    """wire-protocol 6.6: 'STOP returns after queuing': the teardown comes later, where there is one."""
    bench = Bench(row, described(1), described(2), work=endless)
    bench.start()
    bench.wait(1000)
    assert bench.stop() == 0
    assert bench.when("EXIT_EXTERNAL") == [bench.now] * 2
    assert bench.dead == []
    bench.wait(1000)
    assert len(bench.dead) == (2 if row in (G1, G1P) else 0)


@ALL
def test_start_returns_after_the_first_releases_with_period_0(row: Generation) -> None:
    """wire-protocol 6.6: 'START returns: … after all first releases with period 0'; other releases come behind it."""
    bench = Bench(row, described(1), described(2, period=1000), described(3), described(4), work=endless)
    assert bench.start() == START + 3 * CREATE + 2 * GAP
    assert [(kind, task) for _, kind, task in bench.log] == [("START", 1), ("START", 3), ("START", 4)]
    returned = bench.now
    bench.wait(200)
    assert bench.log[3:] == [(returned + CREATE, "START", 2)]


@ALL
def test_clear_does_not_reset_the_event_log(row: Generation) -> None:
    """wire-protocol 6.6: 'CLEAR resets event log … no'; left-over events come with the next set, 'carrying old ids'."""
    bench = Bench(row, described(7), work=endless)
    bench.start()
    bench.clear()
    bench.descs(described(8))
    bench.start()
    logged = [(str(entry.type), entry.task_id) for entry in bench.board.read_profile()]
    assert logged == [("START", 7), ("EXIT_EXTERNAL", 7), ("START", 8)]


@ALL
def test_a_second_document_adds_tasks(row: Generation) -> None:
    """wire-protocol 6.6: 'Second SEND_DESCS without CLEAR adds tasks'; 1.3: 'appends to the task list'."""
    bench = Bench(row, described(1), described(1))
    bench.descs(described(2), described(1))
    bench.start()
    bench.wait(3000)
    assert [task for _, kind, task in bench.log if kind == "START"] == [1, 1, 2, 1]


@ALL
def test_a_document_after_start_waits_for_the_next_start(row: Generation) -> None:
    """wire-protocol 1.5: SEND_DESCS 'before START'; 6.1: '`paused` = true until START'."""
    bench = Bench(row)
    bench.start()
    bench.descs(described(1), described(2, period=100))
    bench.wait(2000)
    assert bench.log == []


@ALL
def test_a_second_start_releases_single_jobs_again(row: Generation) -> None:
    """wire-protocol 6.6: 'second START restarts: 0-period tasks are released again (ignored while `meta`…)'."""
    bench = Bench(row, described())
    bench.start()
    bench.start()  # the first child is there
    bench.wait(1000)
    assert bench.kinds == ["START", "EXIT"]
    bench.start()
    bench.wait(1000)
    assert bench.kinds == ["START", "EXIT"] * (2 if row is G1 else 1)


def test_a_second_start_rearms_periodic_timers() -> None:
    """wire-protocol 6.6: 'periodic timers are re-armed with an immediate tick': the old grid is gone."""
    bench = Bench(G1, described(period=1000))
    bench.start()
    first = bench.now
    bench.until(first + 1400)
    bench.start()
    second = bench.now
    bench.until(second + 2500)
    starts = [time - CREATE for time in bench.when("START")]
    assert starts == [first, first + 1000, second, second + 1000, second + 2000]


@pytest.mark.parametrize("row", [LATER, G1P, G1O], ids=["later G1", "G1p", "G1o"])
def test_there_the_immediate_tick_is_ignored(row: Generation) -> None:
    """wire-protocol 6.6: '(ignored while `meta` …)'; 6.2: '`meta` never clears' before a STOP."""
    bench = Bench(row, described(period=1000))
    for _ in range(3):
        bench.start()
        bench.wait(1500)
    assert bench.kinds == ["START", "EXIT"]


# -- admission ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "admission"),
    [(G1, 0), (LATER, 0), (G1P, ADMISSION), (G1O, ADMISSION)],
    ids=["G1", "later G1", "G1p", "G1o"],
)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_admission_takes_its_time_per_document(row: Generation, admission: int, n: int) -> None:
    """wire-protocol 8, hazard 12: 'admission about 0.4 s per set'; 6.7: 'each further description … 10..11'."""
    bench = Bench(row)
    for _ in range(2):
        assert bench.descs(*(described(number) for number in range(n))) == n * PARSE + admission


def test_admission_decides_at_send_descs() -> None:
    """wire-protocol 5.1: 'Admission at SEND_DESCS': what came alone was accepted, beside another it is refused."""
    heavy = [described(number, period=1000, executiontime=900) for number in (1, 2)]
    together, apart = Bench(G1P, *heavy), Bench(G1P, heavy[0])
    apart.descs(heavy[1])  # 'Tasks accepted by an earlier SEND_DESCS … are therefore forgotten'
    for bench, started in ((together, {1}), (apart, {1, 2})):
        bench.start()
        bench.wait(3000)
        assert {task for _, _, task in bench.log} == started


#: What a heavy task shows for itself that comes second in its document.
REFUSALS = {"G1": "START", "G1o": "", "G1p": "", "G3a": "NOT_SCHEDULED", "G3b": "NOT_SCHEDULED", "G4": "START"}


@pytest.mark.parametrize(("name", "shown"), REFUSALS.items())
def test_the_effect_of_a_refusal(name: str, shown: str) -> None:
    """wire-protocol 5.1: 'Effect of refusal': none | silently never starts | same | NOT_SCHEDULED at START | none."""
    jobs = 0 if name == "G1o" else 2
    heavy = [described(number, period=1000, executiontime=900, priority=3, jobs=jobs) for number in (1, 2)]
    bench = Bench(generation(name), *heavy)
    bench.start()
    bench.wait(900)
    assert bench.of(1)[0] == "START"
    assert bench.of(2)[:1] == ([shown] if shown else [])
    assert bench.of(2).count("NOT_SCHEDULED") == (shown == "NOT_SCHEDULED")


@pytest.mark.parametrize(("name", "shown"), REFUSALS.items())
@pytest.mark.parametrize("priority", [3, 127, 128])
@pytest.mark.parametrize("deadline", [0, 500])
def test_a_machine_with_one_core_refuses_every_task(name: str, shown: str, priority: int, deadline: int) -> None:
    """wire-protocol 5.1: 'Admission always addresses core 1. A machine with one core refuses every task'."""
    jobs = 0 if name == "G1o" else 1
    task = described(1, period=1000, deadline=deadline, priority=priority, jobs=jobs)
    bench = Bench(generation(name), task, cores=1)
    bench.start()
    bench.wait(900)
    assert bench.kinds[:1] == ([shown] if shown else [])


def test_g1o_tests_fixed_priority_tasks_only() -> None:
    """wire-protocol 5.1: 'Admission at SEND_DESCS: G1p every task | G1o `hi` tasks'; `lo` is 'always accepted'."""
    heavy: dict[str, Any] = {"period": 1000, "executiontime": 900, "deadline": 0.5}
    for row, priority, started in ((G1O, 128, {1, 2}), (G1O, 127, {1}), (G1P, 128, {1})):
        bench = Bench(row, *(described(number, priority=priority, **heavy) for number in (1, 2)))
        bench.start()
        bench.wait(3000)
        assert {task for _, _, task in bench.log} == started


@TESTING
def test_admission_takes_deadlines_in_microseconds_and_the_rest_in_milliseconds(row: Generation) -> None:
    """wire-protocol 5.1: 'C, T, D … G1o and G1p as given', and 2.2: `deadline` is given in us there.

    The second of two equals with C = 10, T = 100 lets the first one respond in 20: within D = 20 us, beyond 19 us; with
    T = 19 there is a third job to wait for.
    """
    for period, deadline, started in ((100, 15, {1, 2}), (100, 0.020, {1, 2}), (100, 0.019, {1}), (19, 0.020, {1})):
        tasks = [described(number, period=period, deadline=deadline, executiontime=10) for number in (1, 2)]
        bench = Bench(row, *tasks)
        bench.start()
        bench.wait(2000)
        assert {task for _, _, task in bench.log} == started


@pytest.mark.parametrize(
    ("row", "two", "four"), [(G1, 0, 0), (LATER, 0, 0), (G1P, 1, 2), (G1O, 1, 2)], ids=["G1", "later G1", "G1p", "G1o"]
)
def test_the_core_of_the_children(row: Generation, two: int, four: int) -> None:
    """wire-protocol 7.3: 'G0, G1: 0, 0'; 'G1o: 1, 2'; 'G1p from 2017-10-17: 1 (measured), 2'."""
    for cores, core in ((2, two), (4, four)):
        bench = Bench(row, described(), cores=cores)
        bench.start()
        assert [thread.core for thread in bench.board.threads()] == [0, core]


# -- stamps ------------------------------------------------------------------------------------------------------------


@ALL
def test_stamps_are_whole_milliseconds(row: Generation) -> None:
    """wire-protocol 3.3: 'Milliseconds, unsigned, of the board's clock'; 'Computed from … microseconds': cut off."""
    bench = Bench(row, described(), work=lambda *_: Demand(10_999_999), uptime_ns=ns(0.9))
    bench.start()
    bench.wait(100)
    (start,) = bench.when("START")
    assert [entry.stamp_ms for entry in bench.board.read_profile()] == [start, start + 11]  # .9 and .899999


@ALL
def test_stamps_wrap(row: Generation) -> None:
    """wire-protocol 3.3: 'Computed from 32-bit microseconds, so stamps **wrap after 4 294 967 ms**' (and .296)."""
    bench = Bench(row, described(), work=800, uptime_ns=ns(4_294_367.1))
    bench.start()
    bench.wait(2000)
    start, end = (entry.stamp_ms for entry in bench.board.read_profile())
    assert 4_294_367 <= start <= 4_294_967
    assert end == start + 800 - 4_294_968  # .1 - .296 of a millisecond


@ALL
def test_neither_clear_nor_start_resets_the_clock(row: Generation) -> None:
    """wire-protocol 3.3: 'No wall clock, no reset at CLEAR or START'."""
    bench = Bench(row, uptime_ns=ns(60_000))
    for number in range(3):
        bench.descs(described(number))
        bench.start()
        bench.wait(500)
        bench.clear()
    stamps = [entry.stamp_ms for entry in bench.board.read_profile()]
    assert stamps == [int(60_000 + time) for time, _, _ in bench.log]


# -- what a session sends ----------------------------------------------------------------------------------------------


def sent(name: str, **attributes: Any) -> Description:
    (task,) = parameters_of([attributes])
    return describe(task, generation(name))


@pytest.mark.parametrize(
    ("attributes", "jobs"),
    [
        ({"period": 100}, 0),  # periodic mode
        ({"period": 100, "numberofjobs": 1}, 0),  # 'first release at once, only the first has effect'
        ({"period": 100, "numberofjobs": 2}, 2),
        ({"period": 100, "numberofjobs": 9}, 9),
        ({}, 0),
        ({"numberofjobs": 1}, 0),
    ],
)
def test_numberofjobs_as_g1o_means_it(attributes: dict[str, int], jobs: int) -> None:
    """wire-protocol 6.3: '`numberofjobs` = 0: … first release at once'; > 0: 'one period after START'."""
    assert sent("G1o", **attributes).jobs == jobs


@pytest.mark.parametrize("jobs", [{}, {"numberofjobs": 1}])
def test_a_session_on_g1o_has_its_release_at_once(jobs: dict[str, int]) -> None:
    """wire-protocol 6.3: with `numberofjobs` = 1 the release would come one period after START."""
    bench = Bench(G1O, sent("G1o", period=1000, **jobs))
    bench.start()
    returned = bench.now
    bench.wait(3000)
    assert bench.when("START") == [returned + CREATE]


EDF_RAW = {"G1o": 128, "G1p": 32768, "G3a": 1, "G3b": 127}


@pytest.mark.parametrize(("name", "raw"), EDF_RAW.items())
def test_the_priority_of_edf_tasks(name: str, raw: int) -> None:
    """wire-protocol 2.2: G1o '128 = EDF'; 7.2: G3b 'only if priority = 127', G1p and G3a: any deadline > 0."""
    assert sent(name, period=100, deadline=50).priority == raw
    assert sent(name, period=100, priority=128).priority == raw  # none by name: EDF, its period is the deadline
    assert sent(name, period=100, priority=5, deadline=50).priority == raw


@pytest.mark.parametrize("name", [*EDF_RAW, "G1", "G4"])
@pytest.mark.parametrize("priority", [{}, {"priority": 0}, {"priority": 126}])
def test_the_priority_of_other_tasks_never_makes_them_edf(name: str, priority: dict[str, int]) -> None:
    """wire-protocol 2.2, 7.2: without a deadline the kernel has a fixed-priority thread, on G1o not of class `lo`."""
    jobs = 1 if name == "G1o" else 4
    bench = Bench(generation(name), sent(name, period=1000, numberofjobs=jobs, **priority), work=endless)
    assert bench.start() == START  # no turn in the optimiser
    bench.wait(200)
    (child,) = [row for row in bench.board.threads() if row.session.count("->") == 2]
    assert child.priority in ({128} if priority == {"priority": 0} else range(1, 128))
    assert child.execution_time > 0


@pytest.mark.parametrize("name", EDF_RAW)
def test_an_edf_task_of_a_session_is_one_to_the_kernel(name: str) -> None:
    """wire-protocol 4.1: `priority` is '0 when EDF'; 7.2: which priority and deadline make a task EDF."""
    bench = Bench(generation(name), sent(name, period=1000, deadline=500, numberofjobs=1), work=endless)
    bench.start()
    bench.wait(200)
    (child,) = [row for row in bench.board.threads() if row.session.count("->") == 2]
    assert child.priority == 0
    assert child.execution_time > 0


@pytest.mark.parametrize(("name", "unit"), [("G1o", 0.001), ("G1p", 0.001), ("G3a", 1), ("G3b", 1)])
def test_the_units_of_a_deadline(name: str, unit: float) -> None:
    """wire-protocol 2.2: `deadline` is in us on G1o and G1p, later in ms; a task-set has it in ms."""
    for deadline in (unit, 50, 50 + unit):
        assert sent(name, period=100, deadline=deadline).deadline_ns == ns(deadline)
    with pytest.raises(Unsupported, match="deadline"):
        sent(name, period=100, deadline=50 + unit / 2)
    assert sent(name, period=100, priority=128).deadline_ns == ns(100)
    assert sent(name, period=100, priority=5).deadline_ns == 0
