"""`taskgen run --execution`: execution times that vary, said in a line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskgen import cli

Run = Callable[..., tuple[int, str, str]]

SETS = """
from taskgen import TaskSet

def halves():
    return TaskSet([{"executiontime": 2, "period": 10}, {"executiontime": 4, "period": 20}])

def unknown():
    return TaskSet([{"pkg": "hey", "period": 1000}])
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs a task-set in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "sets.py").write_text(SETS)

    def call(name: str, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            cli.main(["run", "-t", f"sets.py:{name}", *arguments])
        captured = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, captured.out, captured.err

    return call


def responses(run: Run, spec: str, *arguments: str, name: str = "halves") -> dict[int, list[float]]:
    """Return the response times by task, in ms; each task has a core of its own, so they are the execution times."""
    code, out, err = run(name, "--execution", spec, "--cores", "2", "--migration", "global", "--json", *arguments)
    assert code == 0, err
    found: dict[int, list[float]] = {}
    jobs: list[dict[str, Any]] = json.loads(out)["runs"][0]["jobs"]
    for job in jobs:
        found.setdefault(job["task"], []).append(job["finish_ms"] - job["release_ms"])
    return found


@pytest.mark.parametrize("spec", ["uniform:0.5", "normal:0.75,0.1,0.5", "weibull:2,0.1,0.5", "discrete:0.5=3,0.75=1"])
def test_shares_of_each_tasks_worst_case(run: Run, spec: str) -> None:
    times = responses(run, spec, "--horizon", "2000", "--policy", "rm")
    assert len(times[0]) == 200
    assert len({round(time, 6) for time in times[0]}) > 1
    assert all(1 - 1e-9 <= time <= 2 + 1e-9 for time in times[0])
    assert all(2 - 1e-9 <= time <= 4 + 1e-9 for time in times[1])


def test_times_in_milliseconds(run: Run) -> None:
    assert set(responses(run, "discrete:1.5ms", "--policy", "rm")[0]) == {1.5}
    assert set(responses(run, "discrete:70ms", "--policy", "rm", name="unknown")[0]) == {70}


def test_a_recording(run: Run, tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("ms\n1.25\n")
    assert set(responses(run, "recording:times.csv,ms", "--policy", "rm")[0]) == {1.25}


def test_the_seed_decides_the_draws(run: Run) -> None:
    one, again, other = (responses(run, "uniform:0.5", "--seed", seed, "--policy", "rm") for seed in "001")
    assert one == again
    assert one != other


@pytest.mark.parametrize(
    ("name", "arguments", "line", "hint"),
    [
        ("halves", ["gauss:1"], "execution: 'gauss:1': kind: 'gauss' is no distribution, expected uniform", "uniform:"),
        ("halves", ["uniform:2,5"], "execution: 'uniform:2,5': low: 2 is out of range, expected a share of C", "2ms"),
        ("halves", ["uniform"], "execution: 'uniform': low_ms, high_ms: missing", "uniform:0.5"),
        ("halves", ["uniform:a"], "execution: 'uniform:a': 'a' is no number", "uniform:0.5"),
        ("unknown", ["uniform:0.5"], "task 0: has no executiontime, the distribution 'uniform'", "in ms"),
        ("halves", ["uniform:0.5", "stdio"], "takes no option 'execution'", ""),
    ],
    ids=str,
)
def test_a_wrong_line_is_one_clear_line_with_a_way_out(
    run: Run, name: str, arguments: list[str], line: str, hint: str
) -> None:
    code, out, err = run(name, "--execution", *arguments)
    assert (code, out) == (2, "")
    first, second = err.splitlines()[:2]
    assert first.startswith("error: ")
    assert line in first
    assert second.startswith("hint: ")
    assert hint in second


def test_the_help_shows_how_to_say_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    text = capsys.readouterr().out
    assert "--execution" in text
    assert "uniform:0.5" in text
