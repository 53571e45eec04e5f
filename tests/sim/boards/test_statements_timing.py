"""Section 6.7 of the protocol text, row by row: the PandaBoard's measured quantities as its simulation shows them.

Fresh boards start programs a little faster than worn ones; the measured means are those of a board that has created
some 45 instances.
"""

import pytest

from sim.boards.description import Demand, Description, program_demand
from sim.boards.generation import generation
from sim.workload import PANDABOARD
from taskgen.parameters import parameters_of
from tests.sim.boards.statement_bench import CREATE, PARSE, START, Bench, described, endless, ns

G1 = generation("G1")
WORN = 45
FIRST = PARSE + START


def calibrated(one: Description, _: int) -> Demand:
    """What a real program does."""
    (task,) = parameters_of([{"pkg": one.pkg, "config": {"arg1": one.argument or 0}}])
    return program_demand(one, PANDABOARD.execution_ns(task), G1.timing)


def arrivals(bench: Bench) -> tuple[list[int], list[int]]:
    """Return when the descriptions were parsed, and when their children were created."""
    parsed, created = (
        [row.arrival_time for row in bench.board.threads() if row.session.count("->") == depth] for depth in (1, 2)
    )
    return parsed, created


def test_from_the_parse_to_the_child() -> None:
    """wire-protocol 6.7: 'description parsed -> child created, single task …: 37 (36..41)'."""
    bench = Bench(G1, described(), work=endless)
    bench.start()
    (parsed,), (created,) = arrivals(bench)
    assert 36 <= created - parsed <= 41


@pytest.mark.parametrize("n", [2, 3])
def test_each_further_description_and_child(n: int) -> None:
    """wire-protocol 6.7: 'parsed later by 10..11'; created 'later than the previous one by 37..38 (26..28 …)'."""
    bench = Bench(G1, *map(described, range(n)), work=endless)
    bench.start()
    parsed, created = arrivals(bench)
    for one in range(n - 1):
        assert 10 <= parsed[one + 1] - parsed[one] <= 11
        assert 37 <= created[one + 1] - created[one] <= 38
        assert 26 <= created[one + 1] - created[one] - (parsed[one + 1] - parsed[one]) <= 28


def test_from_the_creation_to_the_first_instruction() -> None:
    """wire-protocol 6.7: 'child created -> first CPU: 25 (18..30)'."""
    bench = Bench(G1, described(pkg="namaste"), work=calibrated)
    bench.start()
    bench.wait(20)
    (child,) = [row for row in bench.board.threads() if row.session.count("->") == 2]
    assert 18 <= child.start_time - child.arrival_time <= 30


def test_the_work_of_namaste() -> None:
    """wire-protocol 6.7: 'first CPU -> exit of `namaste` …: about 43'."""
    bench = Bench(G1, described(pkg="namaste"), work=calibrated, created=WORN)
    bench.start()
    bench.wait(500)
    (started,), (ended,) = bench.when("START"), bench.when("EXIT")
    assert ended - started == pytest.approx(43, abs=1)


def test_kills_of_a_lone_task_are_precise() -> None:
    """wire-protocol 6.7: 'kill precision …: constant offset +-1 for single tasks with long criticaltimes'."""
    for critical in (200, 333, 500, 1000, 1999, 60_000):
        bench = Bench(G1, described(critical=critical), work=endless)
        bench.start()
        bench.until(70_000)
        (killed,) = bench.when("EXIT_CRITICAL")
        assert killed - critical == pytest.approx(FIRST, abs=1)


@pytest.mark.parametrize("critical", range(55, 101, 5))
def test_kills_that_come_early_are_late(critical: int) -> None:
    """wire-protocol 6.7: 'criticaltimes of 55..100: offsets 43..90': START still creates the sibling."""
    bench = Bench(G1, described(1, critical=critical), described(2, critical=critical), work=endless)
    bench.start()
    bench.until(3000)
    offsets = [killed - critical for killed in bench.when("EXIT_CRITICAL")]
    assert len(offsets) == 2
    assert all(43 <= offset <= 90 for offset in offsets)


def test_a_siblings_teardown_delays_kills_by_up_to_200() -> None:
    """wire-protocol 6.7: 'kill precision …: with siblings 73-98 % within +-1, outliers to +200'."""
    late = []
    for critical in range(100, 1000, 10):
        bench = Bench(
            G1,
            described(1, critical=critical),
            described(2),
            work=lambda one, job: Demand(ns(300)) if one.id == 2 else endless(),
        )
        bench.start()
        bench.until(5000)
        (killed,) = bench.when("EXIT_CRITICAL")
        late.append(killed - critical - FIRST - PARSE)
    precise = sum(abs(delay) <= 1 for delay in late) / len(late)
    assert 0.7 <= precise <= 0.98
    assert 150 <= max(late) <= 230


@pytest.mark.parametrize("pkg", ["namaste", "pi", "linpack", "cond_mod", "tumatmul"])
def test_from_the_soft_exit_to_the_destruction(pkg: str) -> None:
    """wire-protocol 6.7: 'soft exit -> thread destroyed (RIP) …: 217 (`namaste`) .. 252 (libc programs)'."""
    bench = Bench(G1, described(pkg=pkg, argument=10), work=calibrated, created=WORN)
    bench.start()
    bench.until(2000)
    (ended,), (destroyed,) = bench.when("EXIT"), bench.dead
    assert destroyed - ended == pytest.approx(217 if pkg == "namaste" else 252, abs=11)  # one poll more or less


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("work", [40, 400])
def test_destructions_of_siblings(n: int, work: int) -> None:
    """wire-protocol 6.7: 'soft exit -> thread destroyed …; 260-330 with siblings'; our polls are up to 2 earlier."""
    bench = Bench(G1, *map(described, range(n)), work=work)
    bench.start()
    bench.until(5000)
    waits = [destroyed - ended for ended, destroyed in zip(sorted(bench.when("EXIT")), bench.dead, strict=True)]
    assert 258 <= min(waits) <= max(waits) <= 330


def test_the_destruction_holds_up_everything_on_core_0() -> None:
    """wire-protocol 6.7: 'soft exit -> thread destroyed (RIP), occupies core 0 at top priority 217 … 252'."""
    ends = {}
    for pkg in ("", "pi"):
        tasks = [described(1, pkg="pi"), *([described(2, pkg="pi")] if pkg else [])]
        bench = Bench(G1, *tasks, work=lambda one, _: Demand(ns(1000 if one.id == 1 else 10)))
        bench.start()
        bench.until(5000)
        ends[pkg] = bench.when("EXIT", 1)[0] - bench.when("START", 1)[0]
    # the sibling's creation, its 10 of work, the report of its exit and its teardown
    assert ends["pi"] - ends[""] == pytest.approx(CREATE + 11.5 + 10 + 252, abs=10)


def test_releases_under_load_are_late() -> None:
    """wire-protocol 6.7: 'release jitter under load (service thread late): up to 300'."""
    busy = [described(number, period=130 + 40 * number) for number in range(2)]
    bench = Bench(G1, *busy, described(9, period=1000), work=5)
    bench.start()
    tick = bench.now
    bench.until(60_000)
    late = [(start - CREATE - tick) % 1000 for start in bench.when("START", 9)]
    assert len(late) > 50
    assert 100 <= max(late) <= 300
