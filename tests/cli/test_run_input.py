"""`taskgen run` with what is wrong: one clear line, exit code 2, nothing left behind."""

import json
from pathlib import Path

import pytest

from tests.cli.commanded import Run

BAD = [
    (["run"], "nothing to run"),
    (["run", "-t", "example.Hey6TaskSe"], "Hey6TaskSet"),
    (["run", "-t", "nothing.at:All"], "nothing"),
    (["run", "-t", "missing.py:All"], "missing.py"),
    (["run", "-t", "sets.py:Hug"], "Huge"),
    (["run", "-t", "sets.py:breaks"], "broken on purpose"),
    (["run", "-t", "sets.py:number"], "42"),
    (["run", "-t", "sets.py:rm", "-f", "a.json"], "both"),
    (["run", "-f", "missing.xml"], "missing.xml"),
    (["run", "-f", "sets.py"], "sets.py"),
    (["run", "-t", "sets.py:rm", "--dialect", "G1"], "dialect"),
    (["run", "-t", "sets.py:rm", "--limit", "-1"], "--limit"),
    (["run", "-t", "sets.py:rm", "--limit", "x"], "--limit"),
    (["run", "-t", "sets.py:rm", "--limt", "1"], "--limit"),
    (["run", "-t", "sets.py:endless", "--sample", "1"], "--sample"),
    (["run", "-t", "sets.py:rm", "--horizon", "nan"], "horizon"),
    (["run", "-t", "sets.py:rm", "--horizon", "-1"], "horizon"),
    (["run", "-t", "sets.py:rm", "--horizon", "1e300"], "horizon"),
    (["run", "-t", "sets.py:rm", "--horizon", "soon"], "--horizon"),
    (["run", "-t", "sets.py:rm", "--policy", "edff"], "edf"),
    (["run", "-t", "sets.py:rm", "--policy", "fp"], "priority"),
    (["run", "-t", "sets.py:rm", "--tie", "both"], "tie"),
    (["run", "-t", "sets.py:rm", "--overrun", "ignore"], "overrun"),
    (["run", "-t", "sets.py:rm", "--profile", "G9"], "profile"),
    (["run", "-t", "sets.py:rm", "sim:ideal", "--profile", "G1"], "ideal"),
    (["run", "-t", "sets.py:rm", "--cores", "0"], "--cores"),
    (["run", "-t", "sets.py:rm", "--admission", "fairness"], "admission"),
    (["run", "-t", "sets.py:rm", "--admission", "unfairness"], "unfairness"),
    (["run", "-t", "sets.py:rm", "--workload", "missing.toml"], "missing.toml"),
    (["run", "-t", "sets.py:rm", "-m", "stdot"], "stdout"),
    (["run", "-t", "sets.py:rm", "-s", "simm"], "sim"),
    (["run", "-t", "sets.py:rm", "simm"], "sim"),
    (["run", "-t", "sets.py:rm", "--binaries", "none"], "binaries"),
    (["run", "-t", "sets.py:rm", "-o", "missing/folder/x.json"], "missing/folder"),
    (["run", "-t", "sets.py:rm", "-o", "."], "directory"),
    (["run", "-t", "sets.py:rm", "--gantt", "x.pdf"], ".svg"),
    (["run", "-t", "sets.py:rm", "--gantt", "missing/x.svg"], "missing"),
    (["run", "-t", "sets.py:rm", "--trace", "missing/x.json"], "missing"),
    (["list", "planets"], "planets"),
    (["lst"], "lst"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_clear_line(run: Run, tmp_path: Path, arguments: list[str], named: str) -> None:
    """Exit code 2, one line `error:`, at most one `hint:`, no traceback, nothing on stdout, no file left behind."""
    before = sorted(path.name for path in tmp_path.iterdir())
    code, out, err = run(*arguments)
    lines = err.splitlines()
    assert (code, out) == (2, "")
    assert lines[0].startswith("error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    assert named in err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == before


@pytest.mark.parametrize(
    ("task", "named"),
    [
        ({"period": "abc"}, "'abc'"),
        ({"period": -1}, "-1"),
        ({"period": []}, "period"),
        ({"period": 5e12}, "2^62"),
        ({"offset": 5e12, "period": 4}, "offset"),
        ({"deadline": 5e12, "period": 4}, "deadline"),
        ({"criticaltime": 5e12, "period": 4}, "criticaltime"),
        ({"priority": 300, "period": 4}, "--dialect"),
        ({"priority": "high", "period": 4}, "'high'"),
        ({"executiontime": 0, "period": 4}, "executiontime"),
        ({"numberofjobs": 3, "period": 0}, "numberofjobs"),
        ({"config": 3, "period": 4}, "config"),
    ],
)
def test_bad_values_in_a_file_name_task_field_value_and_file(
    run: Run, tmp_path: Path, task: dict[str, object], named: str
) -> None:
    document = {"taskset": {"periodictask": [{"executiontime": 1} | task]}}
    (tmp_path / "a.json").write_text(json.dumps(document))
    code, out, err = run("run", "-f", "a.json", "-o", "x.json")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) <= 2
    assert named in err
    assert "a.json" in err
    assert not (tmp_path / "x.json").exists()


def test_a_wrong_variant_in_the_middle_keeps_what_was_run(run: Run, tmp_path: Path) -> None:
    code, _, err = run("run", "-t", "sets.py:fifth_is_wrong", "-o", "x.json")
    assert code == 2
    assert "300" in err
    document = json.loads((tmp_path / "x.json").read_text())
    assert document["complete"] is False
    assert [each["variant"] for each in document["runs"] if each["status"] == "finished"] == [0, 1, 2, 3]


def test_debug_shows_the_traceback(run: Run) -> None:
    assert "Traceback" in run("run", "-t", "sets.py:breaks", "--debug")[2]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--migration", "global", "--partition", "worst-fit"], "partition"),
        (["--context-switch", "-1"], "--context-switch"),
        (["--policy", "rm", "--quantum", "3"], "quantum"),
        (["--policy", "rr", "--non-preemptive"], "rr"),
        (["--profile", "G4", "--overrun", "kill"], "overrun"),
        (["--profile", "G4", "--cores", "99"], "cores"),
        (["--cores", "2000"], "cores"),
    ],
    ids=str,
)
def test_contradictory_options_are_one_clear_line(run: Run, arguments: list[str], named: str) -> None:
    code, out, err = run("run", "-t", "sets.py:rm", *arguments)
    assert (code, out) == (2, "")
    assert named in err.splitlines()[0]
