"""From work to the argument of a program, and back."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.workload import PANDABOARD
from taskgen import registry
from taskgen.bench.prepare import work_of
from taskgen.bench.work import ExecutionTime, Table
from taskgen.errors import UsageError
from taskgen.session import Capabilities

BOARD = Table(PANDABOARD.name, PANDABOARD.programs)


@given(st.integers(103, 100_000))
def test_a_program_computes_as_long_as_it_is_asked_to_within_one_step(work_ms: int) -> None:
    block = BOARD.block(work_ms)
    assert block["pkg"] == "pi"
    assert abs(BOARD.wcet_ms(block) - work_ms) <= Decimal("0.000861") / 2  # type: ignore[operator]  # it is known


@pytest.mark.parametrize(("work_ms", "limit"), [(101, "shortest"), (10_000_000, "longest")])
def test_what_no_program_can_do_is_refused(work_ms: int, limit: str) -> None:
    with pytest.raises(UsageError, match=f"pi of the table pandaboard can't .* its {limit} job takes"):
        BOARD.block(work_ms)


def test_the_shortest_job_is_possible() -> None:
    assert BOARD.block(102)["config"] == {"arg1": 0}


@pytest.mark.parametrize(
    ("task", "known"),
    [
        ({"pkg": "hey"}, 68),
        ({"pkg": "hey", "executiontime": 5}, 5),
        ({"pkg": "sort"}, None),
        ({"pkg": "pi", "config": {"arg1": "many"}}, None),
        ({}, None),
    ],
)
def test_what_a_job_computes_is_known_from_its_program(task: dict[str, Any], known: int | None) -> None:
    assert BOARD.wcet_ms(task) == known


def test_a_simulator_computes_what_the_attribute_says() -> None:
    work = ExecutionTime()
    assert work.wcet_ms(work.block(10)) == 10
    assert work.wcet_ms({}) is None


def test_who_computes_how_much() -> None:
    board: Any = SimpleNamespace(capabilities=Capabilities(job_numbers="starts"))
    assert work_of(board).source == "table pandaboard"
    own = SimpleNamespace(name="mine", programs=registry.load("workloads", "pandaboard").programs)
    board.workload = own
    assert work_of(board).source == "table mine"
    ideal: Any = SimpleNamespace(capabilities=Capabilities())
    assert work_of(ideal).source == "executiontime"
