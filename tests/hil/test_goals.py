"""Goals of the optimiser on the wire of G1o: a message of its own, OPTIMIZE (wire-protocol 1.2, 5.4)."""

from pathlib import Path
from typing import Any

import pytest

import hil.board
from hil.replay import replay
from hil.session import TaskloaderSession
from sim.session import SimSession
from taskgen.optimizations.fairness import Fairness
from taskgen.optimizations.utilization import Utilization
from taskgen.session import Target
from taskgen.taskset import TaskSet
from tests.hil.agreement import QUICK, told
from tests.hil.scripted import one_job

GOALS = {"none": None, "fairness": Fairness(), "utilization": Utilization()}
#: Of EDF, so that START of G1o waits in the optimiser for each of their jobs (wire-protocol 6.3, 7.4).
TASKS = TaskSet(
    [{"id": number, "pkg": "hey", "executiontime": 20, "period": 400, "deadline": 300} for number in range(2)]
)


def said(path: Path) -> list[str]:
    """Return what the client of a wire log said, a line each, without when and where."""
    return [line.split("  > ", 1)[1] for line in replay(path) if "  > " in line]


@pytest.fixture(scope="module")
def target() -> Any:
    with hil.board.serve(generation="G1o", speed="max") as boards:
        yield boards.targets[0]


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_goal_on_g1o_is_a_message_of_its_own_in_front_of_the_set(
    target: Target, goal: str, jobs: int, tmp_path: Path
) -> None:
    log = tmp_path / "wire.log"
    taskset = TaskSet([{**task, "numberofjobs": jobs} for task in TASKS])
    board = Target(target.session, target.address, {**target.options, **QUICK, "wire_log": log})
    with TaskloaderSession.open(board) as session:
        seen = told(session.run(taskset, admission=GOALS[goal]))
    expected = told(SimSession(profile="G1o").run(taskset, admission=GOALS[goal]))
    # The START of one that another one's end held up is told too early: see `hil.derive.LOSSES`.
    assert {event[1:] for event in seen} == {event[1:] for event in expected}
    assert seen[0] == expected[0]
    goals = [line for line in said(log) if line.startswith("OPTIMIZE")]
    assert len(goals) == (goal != "none")
    if goals:
        chosen = {name: f"<{name}><apply>{int(name == goal)}</apply></{name}>" for name in ("fairness", "utilization")}
        assert all(element in goals[0] for element in chosen.values())
        assert "<query_interval>1000</query_interval>" in goals[0]
        (place,) = (number for number, line in enumerate(said(log)) if line.startswith("SEND_DESCS"))
        assert said(log)[place - 1] == goals[0]


def test_a_goal_is_kept_by_the_board_and_goes_with_each_run(target: Target, tmp_path: Path) -> None:
    log = tmp_path / "wire.log"
    board = Target(target.session, target.address, {**target.options, **QUICK, "wire_log": log})
    with TaskloaderSession.open(board) as session:
        for goal in (Fairness(), None, Utilization()):
            assert told(session.run(one_job(), admission=goal)) == told(
                SimSession(profile="G1o").run(one_job(), admission=goal)
            )
    assert [line.partition(" ")[0] for line in said(log) if "OPTIMIZE" in line or "SEND_DESCS" in line] == [
        *("OPTIMIZE", "SEND_DESCS"), "SEND_DESCS", *("OPTIMIZE", "SEND_DESCS")
    ]  # fmt: skip
