"""The ladder with a board in software: found on the simulator, confirmed on the board, and found on the board."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import hil.board
from tests.cli.laboratory import Laboratory

#: Sets that boards can run, too: programs, and times that leave room for processes to be born.
PORTABLE = ("--unit", "100", "--program", "hey.HelloWorld", "--max-period", "5", "--max-jobs", "2")
OWN = ("check", "--property", "laws.py:no_second_job", "--seed", "1")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Laboratory:
    return Laboratory(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def board() -> Iterator[str]:
    with hil.board.serve(generation="G4", speed="max") as boards:
        yield str(boards.addresses[0])


def test_what_fails_on_the_simulator_is_confirmed_on_a_board(lab: Laboratory, board: str) -> None:
    assert lab.run(*OWN, *PORTABLE)[0] == 1
    code, out, _ = lab.run("replay", "--target", board)
    assert code == 1
    assert f": confirmed on taskloader:{board}\n  job 1 of task " in out
    (lab.folder / "laws.py").write_text((lab.folder / "laws.py").read_text().replace("if job.index:", "if False:"))
    lab.schedule("task.priority")  # what was loaded is forgotten
    code, out, _ = lab.run("replay", "--target", board, "--repeat", "2")
    assert code == 0
    assert f": not confirmed on taskloader:{board}, disagree: " in out


def test_what_only_the_simulator_can_judge_has_no_verdict_on_a_board(lab: Laboratory, board: str) -> None:
    order = ("check", "--property", "fixed_priority_order", "--policy", "mine.py:Mine", "--seed", "1")
    assert lab.run(*order, *PORTABLE)[0] == 1
    code, out, _ = lab.run("replay", "--target", board)
    assert code == 75
    assert "the target doesn't trace its scheduler" in out
    assert lab.run("replay")[0] == 1


def test_a_search_on_a_board_is_bounded_and_replays_there(lab: Laboratory, board: str) -> None:
    code, document = lab.json(*OWN, "--target", board, "--budget", "12")
    (row,) = document["properties"]
    assert code == 1
    assert row["executions"] <= 12
    assert all(task["pkg"] == "hey" for task in row["counterexample"]["taskset"]["periodictask"])
    assert row["counterexample"]["target"] == board
    assert lab.run("replay")[0] == 1


def test_beside_no_file_the_dialect_is_the_generation_of_the_board(lab: Laboratory, board: str) -> None:
    own = (*OWN, "--target", board, "--budget", "12")
    code, document = lab.json(*own, "--dialect", "G4")
    assert (code, document["properties"][0]["counterexample"]["options"]) == (1, {"dialect": "G4"})
    assert lab.run("replay", "--target", board, "--dialect", "G4")[0] == 1
    code, _, err = lab.run("check", "--property", "event_stream", "--target", board, "--dialect", "announced")
    assert (code, "known: G1, " in err) == (2, True)


def test_a_correct_board_holds_what_it_can_be_asked(lab: Laboratory, board: str) -> None:
    code, out, _ = lab.run(
        "check", "--property", "event_stream", "--property", "fixed_priority_order", board, "--max-examples", "4"
    )
    assert code == 75  # the second one
    assert f"event_stream on taskloader:{board}: held" in out
    assert f"fixed_priority_order on taskloader:{board}: no verdict: the target doesn't trace its scheduler" in out


def test_a_board_agrees_with_its_oracle(lab: Laboratory, board: str) -> None:
    code, document = lab.json("check", "--against", "sim", "--target", board, "--max-examples", "4", "--seed", "1")
    (row,) = document["properties"]
    assert (code, row["property"], row["verdict"]) == (0, "against:sim", "held")
    assert all(what.startswith(("agree", "slower")) for what in row["compared"])


def test_a_difference_from_the_oracle_is_stored_and_replayed(lab: Laboratory) -> None:
    code, document = lab.json("check", "--against", "sim", "--policy", "mine.py:Mine", "--seed", "1")
    (row,) = document["properties"]
    assert (code, row["verdict"]) == (1, "failed")
    assert lab.run("replay")[0] == 1
    lab.schedule("task.priority")
    code, out, _ = lab.run("replay")
    assert (code, "not confirmed on sim, margin -" in out) == (0, True)


def test_a_board_that_is_gone_is_no_verdict(lab: Laboratory) -> None:
    lab.hasten()
    with hil.board.serve(generation="G4", speed="max") as boards:
        address = str(boards.addresses[0])
        assert lab.run(*OWN, address)[0] == 1
    code, out, _ = lab.run("check", "--property", "job_counts", "--target", address)
    assert code == 75
    assert f"job_counts on taskloader:{address}: no verdict: taskloader:{address} was lost, tried 3 times: " in out
    code, out, _ = lab.run("replay")
    assert code == 75
    assert out.splitlines()[-1] == "1 counterexample: 1 no verdict"
