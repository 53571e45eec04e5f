"""The suite `admission`: verdicts against exact tests, on perfect controls, on useless ones, and on those of boards."""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from sim import SimSession
from taskgen import Event
from taskgen.bench.suites import admission
from taskgen.bench.textbook import schedulable
from taskgen.events import EventType
from taskgen.session import Plan, Target
from tests.taskgen.bench.suited import GENERATIONS, Found, on, on_board, on_sim, some

KINDS = ("fp", "edf", "constrained")


class Perfect(SimSession):
    """Refuses what isn't schedulable, exactly."""

    capabilities = replace(SimSession.capabilities, admission=True)

    def __init__(self, *, profile: str = "ideal") -> None:
        super().__init__(profile=profile)
        self.capabilities = replace(self.capabilities, admission=True)

    def accepts(self, tasks: Iterable[Mapping[str, Any]]) -> bool:
        return schedulable(tasks)  # type: ignore[arg-type]  # dicts do

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        if plan.admission is None or self.accepts(plan.taskset):
            yield from super().events(plan)
        else:
            yield from (Event(0, EventType.NOT_SCHEDULED, task.id, 0, None) for task in plan.tasks)


class Trusting(Perfect):
    """Accepts all."""

    def accepts(self, tasks: Iterable[Mapping[str, Any]]) -> bool:
        return True


class Suspicious(Perfect):
    """Refuses all."""

    def accepts(self, tasks: Iterable[Mapping[str, Any]]) -> bool:
        return False


def ran(kind: type[SimSession], *, repeat: int = 1) -> Found:
    target = Target(f"{__name__}:{kind.__name__}", "", {"profile": "ideal"})
    return on(target, admission.SUITE, repeat=repeat)


def matrix(found: Found, name: str = "matrix") -> tuple[int, int, int, int]:
    values = found.findings[name]["values"]
    return values["tp"], values["fp"], values["tn"], values["fn"]


def test_the_sets_lie_on_both_sides_of_the_boundary() -> None:
    """Schedulable are the factors 0.8 and 1, since at 1 the sets just are (see the suite); 1.02 and 1.2 aren't."""
    found = ran(Trusting)
    exact = {case: predicted["accepted"] for case, predicted in found.predicted.items()}
    assert len(exact) == 18
    assert {case: case.split("-")[1] in {"0.8", "1"} for case in exact} == exact


@pytest.mark.parametrize(
    ("kind", "expected"), [(Perfect, (9, 0, 9, 0)), (Trusting, (9, 9, 0, 0)), (Suspicious, (0, 0, 9, 9))]
)
def test_the_matrix_tells_controls_apart(kind: type[SimSession], expected: tuple[int, ...]) -> None:
    found = ran(kind)
    assert matrix(found) == expected
    assert found.findings["matrix"]["ok"] is (kind is Perfect)
    assert sum(found.values("correct").values()) == expected[0] + expected[2]


def test_runs_are_counted_and_kinds_stand_apart() -> None:
    found = ran(Perfect, repeat=3)
    assert [matrix(found, f"matrix-{kind}") for kind in KINDS] == [(9, 0, 9, 0)] * 3
    assert found.findings["matrix"]["text"] == "27 of 27 runs of schedulable sets accepted, 27 of 27 others refused"


def test_the_textbook_simulator_has_none() -> None:
    assert on_sim(admission.SUITE).skipped == "the target has no admission control"


# -- boards


def check_board(found: Found) -> None:
    """wire-protocol 5.1, 5.3: EDF tasks aren't tested; D counts as 0, so a second task with a priority is refused."""
    if found.skipped:
        return
    schedulable_sets, others = 3, 3
    assert matrix(found, "matrix-fp") == (0, 0, others, schedulable_sets)
    for kind in KINDS[1:]:
        assert matrix(found, f"matrix-{kind}") == (schedulable_sets, others, 0, 0)
    assert found.findings["matrix"]["ok"] is False


@pytest.mark.parametrize("generation", GENERATIONS)
def test_boards_refuse_priorities_and_accept_all_deadlines(generation: str) -> None:
    found = on_sim(admission.SUITE, profile=generation)
    # G1p tests each task by itself, and takes no goal.
    assert bool(found.skipped) is (generation in {"G1", "G1p", "G4"})
    check_board(found)


@pytest.mark.parametrize("generation", ["G1", "G1p", "G3a", "G3b", "G4"])
def test_through_a_socket_as_well(generation: str) -> None:
    found = on_board(admission.SUITE, generation)
    assert bool(found.skipped) is (generation in {"G1", "G1p", "G4"})
    check_board(found)


def test_where_refusals_are_silent_they_show_as_well() -> None:
    found = on_board(some(admission.SUITE, "-1-fairness", "edf-1.02-"), "G1o")  # each refusal takes its time
    assert found.values("accepted") == {
        "fp-1-fairness": 0,
        "edf-1-fairness": 1,
        "edf-1.02-fairness": 1,
        "edf-1.02-utilization": 1,
        "constrained-1-fairness": 1,
    }


@pytest.mark.nightly
def test_where_refusals_are_silent_all_sets() -> None:
    check_board(on_board(admission.SUITE, "G1o"))
