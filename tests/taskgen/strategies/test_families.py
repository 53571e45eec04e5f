"""Periods, utilizations, blocks and faults: each within its bounds, each with its smallest example."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import hil.board
from hil.board import faults as boards
from sim.workload import PANDABOARD
from taskgen import Task, TaskSet
from taskgen import strategies as ts
from taskgen.errors import UsageError
from taskgen.parameters import parameters_of
from taskgen.strategies.fault import ROWS

ONCE = settings(database=None, deadline=None, derandomize=True, max_examples=1000)


def smallest(strategy: st.SearchStrategy[Any], condition: Any = lambda _: True) -> Any:
    return find(strategy, condition, settings=ONCE)


@given(st.data(), st.integers(1, 50), st.integers(0, 50), st.sampled_from([1, 10]))
def test_periods_are_whole_units_within_their_bounds(data: st.DataObject, least: int, more: int, unit: int) -> None:
    period = data.draw(ts.periods(min_period=least, max_period=least + more, unit_ms=unit))
    assert period % unit == 0
    assert least <= period // unit <= least + more


def test_periods_shrink_towards_the_shortest() -> None:
    assert smallest(ts.periods(min_period=3)) == 3
    assert smallest(ts.periods(), lambda period: period > 17) == 18
    assert smallest(ts.periods(choices=ts.AUTOMOTIVE_PERIODS), lambda period: period > 17) == 20
    assert smallest(ts.periods(choices=[5, 2], unit_ms=10)) == 20


@given(ts.harmonic_periods(n=6, min_n=2, min_period=2, unit_ms=5))
def test_each_harmonic_period_divides_the_next(periods: tuple[int, ...]) -> None:
    assert 2 <= len(periods) <= 6
    assert all(later % earlier == 0 for earlier, later in pairwise(periods))
    assert 10 <= periods[0] <= periods[-1] <= 5000


def test_harmonic_periods_shrink_towards_few_and_short_ones() -> None:
    assert smallest(ts.harmonic_periods()) == (1,)
    assert smallest(ts.harmonic_periods(min_n=3), lambda periods: len(set(periods)) == 3) == (1, 2, 4)


@given(ts.utilizations(n=6, max_utilization=0.9, min_each=0.05, max_each=0.4, step=0.05))
def test_utilizations_keep_their_bounds_exactly(parts: tuple[Fraction, ...]) -> None:
    assert sum(parts) <= Fraction(9, 10)
    assert all(Fraction(1, 20) <= part <= Fraction(2, 5) and part % Fraction(1, 20) == 0 for part in parts)


@given(ts.utilizations(n=6, max_utilization=2, max_each=Fraction(1, 2), exactly=True))
def test_utilizations_add_up_exactly_where_they_must(parts: tuple[Fraction, ...]) -> None:
    assert sum(parts) == 2
    assert 4 <= len(parts) <= 6


def test_utilizations_shrink_towards_few_and_small_ones() -> None:
    assert smallest(ts.utilizations()) == (Fraction(1, 1000),)
    assert smallest(ts.utilizations(step=Fraction(1, 3), min_each=Fraction(1, 3), exactly=True, min_n=2)) == (
        Fraction(1, 3),
        Fraction(2, 3),
    )


@given(ts.blocks(), ts.blocks(programs=("idle",)))
def test_a_block_describes_a_program_that_is_known(block: dict[str, Any], endless: dict[str, Any]) -> None:
    (task,) = parameters_of(TaskSet([Task(block, {"period": 1000})]))
    assert PANDABOARD.execution_ns(task) > 0
    assert block["pkg"] != "idle" == endless["pkg"]


def test_blocks_shrink_towards_the_smallest_program() -> None:
    assert smallest(ts.blocks())["pkg"] == "hey"
    assert smallest(ts.blocks(programs=("linpack", "pi")))["config"] == {"arg1": 1}
    assert smallest(ts.blocks(), lambda block: block["pkg"] == "pi")["config"] == {"arg1": 1}


@given(ts.faults(kinds=tuple(ROWS), max_after=20))
@settings(max_examples=400)
def test_a_fault_is_written_as_boards_write_it(text: str) -> None:
    assert str(boards.parse(text)) == text


@given(ts.faults(boards=3))
def test_a_fault_of_one_of_many_boards_names_it(text: str) -> None:
    assert sum(map(len, boards.parse_for_boards([text], 3))) == 1


def test_the_kinds_of_faults_are_those_that_boards_have() -> None:
    """The texts are written without what interprets them, so its table is written twice; the amounts are narrower."""
    assert ROWS.keys() == boards.KINDS.keys()
    for name, kind in boards.KINDS.items():
        row = ROWS[name]
        assert row.layer == kind.layer
        assert set(row.at) == set(kind.at)
        extra = [row.extra] if row.extra else []
        expected = {*(["after", "p", "once"] if row.triggers else []), *(["at"] if row.at else []), *extra}
        assert set(kind.takes) == expected | ({"way"} if row.way else set())
        if kind.amount:
            factor = 10**6 if kind.amount.unit == "ms" else 1
            default, least, most = (each * factor for each in row.amount or ())
            assert default == kind.amount.default
            assert kind.amount.least <= least < most <= kind.amount.most
        else:
            assert row.amount is None


def kinds_of(texts: Iterable[str]) -> set[str]:
    return {boards.parse(text).kind for text in texts}


def test_all_kinds_come_but_those_that_are_left_out() -> None:
    seen: set[str] = set()

    @settings(ONCE)
    @given(ts.faults(layer="board", generation="G3a"))
    def collect(text: str) -> None:
        seen.add(text)

    collect()
    expected = {name for name, kind in boards.KINDS.items() if kind.layer == "board"} - {"hang-on-kill"}
    assert kinds_of(seen) == expected


def test_faults_shrink_towards_a_kind_without_conditions() -> None:
    assert smallest(ts.faults()) == "latency"
    assert smallest(ts.faults(kinds=["reboot", "cut"])) == "reboot"
    assert smallest(ts.faults(boards=2), lambda text: "cut" in text) == "0:cut"
    assert smallest(ts.faults(), lambda text: "once" in text) == "latency:once"


def test_a_board_in_software_takes_them() -> None:
    seen: list[str] = []

    @settings(ONCE, max_examples=3)
    @given(st.lists(ts.faults(), max_size=3))
    def check(texts: list[str]) -> None:
        with hil.board.serve(generation="G4", speed="max", faults=texts):
            seen.extend(texts)

    check()
    assert seen


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ts.periods(min_period=0), "periods: min_period: 0, expected a whole number >= 1"),
        (lambda: ts.periods(choices=[0]), "periods: choices: 0, expected a whole number >= 1"),
        (lambda: ts.periods(unit_ms=0), "periods: unit_ms: 0, expected a whole number >= 1"),
        (lambda: ts.harmonic_periods(n=1, min_n=2), "harmonic_periods: min_n: 2, expected at most n, 1"),
        (lambda: ts.utilizations(max_each=0.0005),
         "utilizations: max_each: 0.0005, expected a multiple of step, 1/1000"),
        (lambda: ts.utilizations(min_each=0.2, max_each=0.1),
         "utilizations: min_each: 200, expected at most max_each, 100"),
        (lambda: ts.utilizations(n=2, max_utilization=3, exactly=True),
         "utilizations: max_utilization: 3, expected what 1..2 such utilizations add up to"),
        (lambda: ts.blocks(programs=()), "blocks: programs: (), expected at least one name"),
        (lambda: ts.blocks(programs=("hai",)),
         "blocks: programs: 'hai', expected hey, namaste, cond_42, cond_mod, pi, linpack, tumatmul, idle"),
        (lambda: ts.faults(kinds=["latency"], layer="board"), "faults: kinds: 'latency', expected one of layer board"),
        (lambda: ts.faults(kinds="latency"), "faults: kinds: 'latency', expected a list of names"),
        (lambda: ts.faults(max_after=0), "faults: max_after: 0, expected a whole number 1..2147483647"),
    ],
)  # fmt: skip
def test_wrong_bounds_are_refused_at_the_call(make: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert str(caught.value) == message
