"""A simulated board behind its socket is a witness that agrees with the simulator of its generation."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.session import TaskloaderSession
from sim import SimSession
from taskgen import TaskSet
from taskgen.dialect.boards import BOARDS
from taskgen.session import Target
from taskgen.strategies import tasksets
from taskgen.testing.against import Difference, compare, oracle_for
from taskgen.testing.properties import Tolerance
from taskgen.testing.runs import execute
from taskgen.units import ms_from_ns
from tests.hil.board.serving import serving

OWN = '''
from sim.policy import JobFixedPriority


class Inverted(JobFixedPriority):
    """The largest number is the most urgent."""

    def priorities(self, tasks):
        return {task.id: -task.priority for task in tasks}
'''


def difference(
    generation: str, taskset: TaskSet, policy: str | None = None, horizon_ms: int | None = None
) -> Difference:
    """Run a set on a board that has just booted and on its oracle, and compare."""
    with serving(generation=generation, policy=policy) as server:
        options = {"dialect": generation, "binaries": "none", "quiet_ms": 20, "poll_ms": 5, "max_run_ms": 5000}
        target = Target("taskloader", str(server.stations[0].address), options)
        with TaskloaderSession.open(target) as session:
            witness = execute(session, taskset, horizon_ms=horizon_ms)
            with SimSession.open(oracle_for(target, generation, session.capabilities)) as simulator:
                oracle = execute(simulator, taskset, horizon_ms=ms_from_ns(witness.plan.horizon.time_ns))
    return compare(taskset, oracle, witness, Tolerance.of(options))


@pytest.mark.parametrize("generation", BOARDS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_a_correct_board_agrees_with_its_oracle(generation: str, data: st.DataObject) -> None:
    bounds: dict[str, Any] = {"max_utilization": None, "max_period": 15, "max_jobs": 3, "max_criticaltime": 12}
    policy: Any = "EDF" if generation.startswith("G3") else "FP"  # G3 refuses most sets with priorities
    capabilities = SimSession(profile=generation).capabilities
    taskset = data.draw(tasksets(n=4, policy=policy, capabilities=capabilities, max_offset=3, **bounds))
    found = difference(generation, taskset, horizon_ms=1500)
    assert found.verdict in {"agree", "slower"}, found.details


def test_a_board_with_a_broken_policy_has_another_order(tmp_path: Path) -> None:
    own = tmp_path / "own_inverted.py"
    own.write_text(OWN, encoding="utf-8")
    taskset = TaskSet(
        {"id": number, "pkg": "hey", "executiontime": time, "period": 3000, "priority": priority, "numberofjobs": 1}
        for number, (time, priority) in enumerate([(400, 10), (500, 20)])
    )
    assert difference("G4", taskset).verdict == "agree"
    found = difference("G4", taskset, policy=f"{own}:Inverted")
    assert (found.verdict, found.unclaimed) == ("order", ())
    assert any("before that one" in line for line in found.details)
