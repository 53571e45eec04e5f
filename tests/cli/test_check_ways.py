"""Where `taskgen check` leads a user on: pictures, laws for boards, and what a board is compared with."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hil.board
from tests.cli.laboratory import INVERTED, RIGHT, Laboratory

ORDER = ("check", "--property", "fixed_priority_order", "--policy", "mine.py:Mine", "--seed", "1")
EVENTS = ("check", "--property", "fixed_priority_events", "--policy", "mine.py:Mine", "--seed", "1")
AGAINST = ("check", "--against", "sim", "--unit", "1000", "--seed", "1", "--max-examples", "40")
LESS = "fixed_priority_events says the same as far as START and EXIT tell it"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Laboratory:
    return Laboratory(tmp_path, monkeypatch, capsys)


@pytest.fixture
def board(lab: Laboratory) -> Iterator[str]:
    """A board that carries the scheduler as it is first: inverted."""
    with hil.board.serve(generation="G4", speed="max", policy=f"{lab.folder / 'mine.py'}:Mine") as boards:
        yield str(boards.addresses[0])


def test_a_counterexample_has_a_picture(lab: Laboratory) -> None:
    picture = ["  task 0 |####    |", "  task 1 |----####|", "          0  2.0 ms   # runs, - waits"]
    for command in (ORDER, ("replay",)):
        lines = lab.run(*command)[1].splitlines()
        first = lines.index(picture[0])
        assert lines[first : first + 3] == picture


def test_what_boards_cannot_be_asked_leads_to_what_they_can(lab: Laboratory, board: str) -> None:
    assert lab.run(*ORDER)[1].endswith(f".json\n  on boards: {LESS}\n")
    assert f"\n  on sim:G4: {LESS}\n" in lab.run(*ORDER, "--target", "sim:G4")[1]
    assert f"\n  on taskloader:{board}: {LESS}\n" in lab.run("replay", "--target", board)[1]


def test_an_inverted_scheduler_is_found_on_a_profile_and_confirmed_on_its_board(lab: Laboratory, board: str) -> None:
    code, out, _ = lab.run(*EVENTS, "--target", "sim:G4", "--unit", "1000")
    assert code == 1
    assert out.splitlines()[-1].endswith(".json --target board")
    code, out, _ = lab.run("replay", "--target", board)
    assert (code, "confirmed on taskloader" in out, "= lives" in out) == (1, True, True)


def test_the_oracle_of_a_board_runs_the_policy_that_the_board_is_said_to_carry(lab: Laboratory, board: str) -> None:
    """The board has the inverted one."""
    lab.schedule(INVERTED)
    assert lab.run(*AGAINST, "--policy", "mine.py:Mine", "--target", board)[0] == 0
    lab.schedule(RIGHT)
    code, document = lab.json(*AGAINST, "--policy", "mine.py:Mine", "--target", board)
    (row,) = document["properties"]
    assert (code, row["verdict"]) == (1, "failed")
    assert lab.run("replay")[0] == 1  # the policy is stored
    lab.schedule(INVERTED)
    code, out, _ = lab.run("replay")
    assert (code, "not confirmed" in out) == (0, True)


def test_a_policy_for_a_board_that_is_compared_with_nothing_is_refused(lab: Laboratory) -> None:
    code, _, err = lab.run(*EVENTS, "--target", "127.0.0.1")
    assert code == 2
    assert "takes no option 'policy'" in err
    assert "taskgen board serve --policy" in err


def test_the_oracle_may_have_another_profile(lab: Laboratory) -> None:
    code, out, _ = lab.run("check", "--against", "sim:G3b", "--target", "sim:G4", "--seed", "1")
    assert (code, out.startswith("against:sim:G3b on sim:G4: FAILED\n")) == (1, True)
    assert lab.run("replay")[0] == 1
    code, _, err = lab.run("check", "--against", "sim:G5", "--target", "sim:G4")
    assert (code, err.startswith("error: profile: 'G5' isn't supported")) == (2, True)


def test_what_is_not_compared_is_shown(lab: Laboratory) -> None:
    command = (
        "check",
        "--against",
        "sim:ideal",
        "--target",
        "sim:G4",
        "--unit",
        "100",
        "--seed",
        "5",
        "--max-examples",
        "30",
    )
    code, out, _ = lab.run(*command)
    assert code == 0
    assert "agree, up to where both may go on otherwise\n" in out
    assert "\n  not compared, for instance: whatever is behind " in out
    assert "; undecided is " in out
    assert lab.json(*command)[1]["properties"][0]["unclaimed"]


def test_without_hypothesis_one_line_says_what_to_install(lab: Laboratory) -> None:
    (lab.folder / "hypothesis.py").write_text("raise ModuleNotFoundError('gone', name='hypothesis')\n")
    found = subprocess.run(
        [sys.executable, "-m", "taskgen", *ORDER], cwd=lab.folder, env={**os.environ, "PYTHONPATH": str(lab.folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert found.stderr.splitlines() == [
        "error: taskgen.strategies needs Hypothesis, which is not installed",
        "hint: pip install 'rt-taskgen[testing]'",
    ]
