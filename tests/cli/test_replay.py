"""`taskgen replay`: whether a counterexample still is one, there, and if not by how much."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from taskgen import TaskSet
from taskgen.testing.counterexample import FOLDER, Counterexample, told, versions
from tests.cli.laboratory import RIGHT, Laboratory

FIND = ("check", "--property", "fixed_priority_order", "--policy", "mine.py:Mine", "--seed", "1")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Laboratory:
    return Laboratory(tmp_path, monkeypatch, capsys)


def store(law: str, *tasks: Mapping[str, Any], folder: Path = FOLDER, **changes: Any) -> Path:
    fields = {
        "law": law, "taskset": TaskSet(tasks), "seed": 0, "target": "sim", "options": {}, "expected": "something",
        "violations": (), "trace": told(None), "versions": versions(), "found": datetime.now(UTC),
    }  # fmt: skip
    return Counterexample(**{**fields, **changes}).write(folder)


SHORT = {"executiontime": 1, "period": 4}
ONE = {**SHORT, "priority": 0}


def test_a_bug_is_confirmed_until_it_is_fixed(lab: Laboratory) -> None:
    lab.run(*FIND)
    (file,) = lab.stored()
    name = str(file.relative_to(lab.folder))
    code, out, err = lab.run("replay")
    assert (code, err) == (1, "")
    assert out.splitlines()[0] == f"{name}: confirmed on sim"
    assert out.splitlines()[1].startswith("  job 0 of task 1 at 0.0 ms: expected it to run before job 0 of task 0")
    assert out.splitlines()[-1] == "1 counterexample: 1 confirmed"
    lab.schedule(RIGHT)
    code, out, _ = lab.run("replay", name)
    assert (code, out.splitlines()[0]) == (0, f"{name}: not confirmed on sim, margin -")


def test_another_target_takes_the_place_of_target_and_options(lab: Laboratory) -> None:
    lab.run(*FIND)
    assert lab.run("replay", "--target", "sim")[0] == 0
    assert lab.run("replay", "--target", "sim", "--policy", "mine.py:Mine")[0] == 1
    code, out, _ = lab.run("replay", "--target", "sim:G4")
    assert code == 75
    assert "no verdict on sim:G4: the target doesn't trace its scheduler" in out


def test_an_option_counts_more_than_what_was_stored(lab: Laboratory) -> None:
    lab.run(*FIND)
    code, document = lab.json("replay", "--policy", "fp")
    (row,) = document["replays"]
    assert (code, row["verdict"], row["property"], row["target"]) == (0, "not confirmed", "fixed_priority_order", "sim")


@pytest.mark.parametrize(
    ("law", "tasks", "margin_ms"),
    [
        ("edf_demand", [{**SHORT, "deadline": 4}], 3.0),
        ("edf_demand", [{**SHORT, "deadline": 3}, {**SHORT, "executiontime": 2, "deadline": 4}], 1.0),
        ("fixed_priority_response", [ONE, {"executiontime": 2, "period": 8, "offset": 1, "priority": 1}], 0.0),
        ("fixed_priority_response", [ONE, {"executiontime": 3, "period": 8, "offset": 1, "priority": 1}], 0.0),
        ("kill_at_criticaltime", [{**ONE, "criticaltime": 3}], 2.0),
        ("fixed_priority_order", [ONE], None),
        ("determinism", [ONE], None),
    ],
)  # fmt: skip
def test_the_margin_is_the_time_that_was_left(
    lab: Laboratory, law: str, tasks: list[dict[str, int]], margin_ms: float | None
) -> None:
    """C = 1 and D = 4 leave 3 ms; a job of 1 ms is 2 ms from its kill at 3; who reaches the bound of RTA has none."""
    store(law, *tasks)
    code, document = lab.json("replay")
    assert (code, document["replays"][0]["margin_ms"]) == (0, margin_ms)


@pytest.mark.parametrize(
    ("law", "verdict", "code"),
    [("laws.py:no_second_job", "agree", 1), ("job_counts", "disagree", 0), ("laws.py:moody", "flaky", 1)],
)
def test_repeated_runs_agree_disagree_or_are_flaky(lab: Laboratory, law: str, verdict: str, code: int) -> None:
    store(law, ONE, ONE)
    seen, document = lab.json("replay", "--repeat", "4")
    (row,) = document["replays"]
    assert (seen, row["agreement"], row["runs"]) == (code, verdict, 4)
    assert lab.run("replay", "--repeat", "4")[1].splitlines()[0].count(f", {verdict}: {law} failed in ") == 1


def test_all_files_and_folders_are_replayed(lab: Laboratory) -> None:
    store("laws.py:no_second_job", ONE, ONE)
    single = store("job_counts", ONE, folder=Path("elsewhere"))
    store("laws.py:about_nothing", ONE)
    code, out, _ = lab.run("replay", str(FOLDER), str(single))
    assert code == 1
    assert out.splitlines()[-1] == "3 counterexamples: 1 confirmed, 1 not confirmed, 1 no verdict"


def test_nothing_stored_is_nothing_confirmed(lab: Laboratory) -> None:
    """A job that replays all regressions of a project passes before there are any."""
    code, out, _ = lab.run("replay")
    assert (code, out) == (0, f"nothing to replay: no counterexample in {FOLDER}\n")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 2}', "\x00", "[" * 100_000, '{"a": NaN}'])
def test_garbage_is_refused_before_anything_runs(lab: Laboratory, content: str) -> None:
    store("job_counts", ONE)
    (FOLDER / "zzz.json").write_text(content)
    code, out, err = lab.run("replay")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {FOLDER / 'zzz.json'}: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.json"], "gone.json: there is no such file or folder"),
        (["--wire", "log", "x.json"], "--wire is offline"),
        (["--wire", "log", "--target", "sim"], "--wire is offline"),
        (["--target", "nowhere"], "there is no target 'nowhere'"),
        (["--repeat", "0"], "--repeat"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(lab: Laboratory, arguments: list[str], message: str) -> None:
    store("job_counts", ONE)
    code, _, err = lab.run("replay", *arguments)
    assert code == 2
    assert message in err.splitlines()[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"options": {"policy": "gone.py:Mine"}}, "gone.py: there is no such file"),
        ({"law": "laws.py:gone"}, "has no 'gone'"),
        ({"target": "lab"}, "there is no target 'lab'"),
    ],
)
def test_what_a_file_names_and_is_not_there_is_said_with_the_file(
    lab: Laboratory, changes: dict[str, Any], message: str
) -> None:
    file = store(changes.pop("law", "job_counts"), ONE, **changes)
    code, _, err = lab.run("replay")
    assert code == 2
    assert err.startswith(f"error: {file}: ")
    assert message in err


def test_nobody_at_an_address_is_no_verdict(lab: Laboratory) -> None:
    lab.hasten()
    store("job_counts", ONE)
    code, out, _ = lab.run("replay", "--target", "127.0.0.1:1")
    assert code == 75
    assert "no verdict on taskloader:127.0.0.1:1: taskloader:127.0.0.1:1 was lost, tried 3 times: " in out
