"""Sessions on boards in software keep their promises, whatever is done with them and whatever goes wrong."""

import re
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st

from hil.board.software import HARMFUL, HARMLESS, SoftwareBoard
from hil.deadlines import longest_silence_ns
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.dialect.boards import BOARDS
from taskgen.parameters import parameters_of
from taskgen.testing.program import Program
from taskgen.testing.stateful import run_session_machine
from tests.hil.unsteady import LeakyBoard

GENERATIONS = ("G1", "G1o", "G1p", "G3a", "G3b", "G4")
#: Faults that are noticed at once; a board that falls silent is waited for, which belongs to the night.
PROMPT = tuple(text for text in (*HARMLESS, *HARMFUL) if not text.startswith(("freeze", "blackhole", "accept-only")))
FEW = settings(max_examples=6, stateful_step_count=10, derandomize=True, database=None, phases=[Phase.generate])
SEARCH = settings(
    FEW, max_examples=60, stateful_step_count=8, phases=[Phase.generate, Phase.shrink], report_multiple_bugs=False
)
DEEP = settings(max_examples=150, stateful_step_count=30, database=None)
HEY = {"pkg": "hey", "executiontime": 30, "period": 500, "priority": 5}


@pytest.fixture(scope="module", params=GENERATIONS)
def board(request: pytest.FixtureRequest) -> Iterator[SoftwareBoard]:
    with SoftwareBoard(request.param) as board:
        yield board


def sets_for(board: SoftwareBoard) -> st.SearchStrategy[TaskSet]:
    """Return limited and endless sets with fixed priorities: where the optimiser is asked, any job may be denied."""
    with board() as session:
        capabilities = session.capabilities
    row = BOARDS[board.generation]
    bounds: dict[str, Any] = {"n": 3, "max_period": 10}
    if row.optimiser == "job":  # admission refuses a second fixed priority there
        bounds |= {"n": 1, "min_period": 8, "max_utilization": Fraction(1, 2)}  # nor is a job late, which costs silence
    if row.instances == 1:  # each task has one job, and from its end on only the wall clock knows of a horizon
        bounds["max_period"] = 2
    return st.one_of(
        *(ts.tasksets(policy="FP", max_jobs=jobs, capabilities=capabilities, **bounds) for jobs in (3, None))
    )


def test_boards_keep_the_promises_of_sessions(board: SoftwareBoard) -> None:
    run_session_machine(board, tasksets=sets_for(board), settings=FEW)


def test_boards_keep_them_whatever_goes_wrong(board: SoftwareBoard) -> None:
    texts = st.sampled_from([text for text in PROMPT if board.can_have(text)])
    run_session_machine(board, faults=board, tasksets=sets_for(board), texts=texts, settings=FEW)


@pytest.mark.nightly
def test_boards_keep_them_through_long_programs(board: SoftwareBoard) -> None:
    run_session_machine(board, faults=board, tasksets=sets_for(board), settings=DEEP)


@pytest.mark.nightly
@pytest.mark.parametrize("generation", GENERATIONS)
def test_boards_keep_them_with_all_that_they_can_run(generation: str) -> None:
    """Denied jobs tell nothing, so such a run is over when its time is: by the wall clock."""
    with SoftwareBoard(generation, options={"max_run_ms": 1000}) as board:
        run_session_machine(board, settings=DEEP)


@pytest.mark.nightly
def test_boards_keep_them_with_any_fault(board: SoftwareBoard) -> None:
    texts = ts.faults(max_after=3).filter(board.can_have)
    run_session_machine(board, faults=board, tasksets=sets_for(board), texts=texts, settings=DEEP)


@pytest.mark.parametrize(
    ("generation", "task", "known"),
    [
        ("G3a", {"executiontime": 400, "period": 400}, False),
        ("G3a", {"executiontime": 400, "period": 500}, False),
        ("G3a", {"executiontime": 400, "period": 400, "numberofjobs": 1}, True),
        ("G3a", {"executiontime": 30, "period": 500}, True),
        ("G3b", {"executiontime": 400, "period": 400}, True),
    ],
)
def test_a_board_that_destroys_late_jobs_in_silence_is_alive(
    generation: str, task: dict[str, int], known: bool
) -> None:
    """G3a ends a job at the next release of its task without an event (wire-protocol 6.4): nothing to say, not dead."""
    tasks = parameters_of(TaskSet([{**HEY, **task}]))
    assert (longest_silence_ns(tasks, BOARDS[generation]) is not None) is known


# -- the smallest program ---------------------------------------------------------------------------------------------


def run(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    file = folder / "program.py"
    file.write_text(script, "utf-8")
    return subprocess.run([sys.executable, file], cwd=folder, capture_output=True, text=True, timeout=60)


def test_a_script_starts_a_board_of_its_own(tmp_path: Path) -> None:
    with SoftwareBoard("G4") as board:
        with Program(board, faults=board) as program:
            program.connect()
            program.describe(TaskSet([{**HEY, "numberofjobs": 2}]))
            program.start()
            program.inject("slice:1")
            program.finish()
            program.inject("reset")
            program.mend()
            program.disconnect()
            program.connect()
            program.start()
            program.finish()
        script = program.script()
    assert "target = SoftwareBoard(generation='G4', speed='max', options={})\n" in script
    again = run(script, tmp_path)
    assert (again.stderr, again.returncode) == ("", 0)


def test_the_smallest_program_that_breaks_a_promise_runs_as_a_file(tmp_path: Path) -> None:
    tasksets = st.just(TaskSet([{**HEY, "numberofjobs": 1}]))
    with LeakyBoard("G4") as board, pytest.raises(AssertionError) as caught:
        run_session_machine(board, tasksets=tasksets, settings=SEARCH)
    (script,) = (note for note in caught.value.__notes__ if "with Program(" in note)
    said, _, _ = str(caught.value).partition(":")
    assert re.match("an event belongs to a task of the set|each event comes once", said)
    assert script.count("program.start()") == 2
    again = run(script, tmp_path)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith(f"AssertionError: {said}")
