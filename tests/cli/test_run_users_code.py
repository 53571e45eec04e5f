"""`taskgen run` with a user's own code: what it prints, and what it gets wrong."""

import json
from pathlib import Path

import pytest

from tests.cli.commanded import Run

NOISY = """
print("hello at import")
from taskgen import Task, TaskSet
from taskgen.monitor import Monitor
from sim import Policy

class My(TaskSet):
    def __init__(self):
        print("building")
        super().__init__([{"executiontime": 11, "period": 10, "priority": range(50)}])

class Leaves(TaskSet):
    def __init__(self):
        raise SystemExit(0)

class BadMonitor(Monitor):
    def __init__(self):
        raise RuntimeError("no way")

class BadPolicy(Policy):
    def __init__(self):
        raise RuntimeError("no way")

class WrongRank(Policy):
    def rank(self, job, now_ns):
        return job.nope

def bytes_inside():
    return TaskSet([{"executiontime": 1, "period": 10, "blob": b"abc"}])

def nested():
    return TaskSet([{"executiontime": 1, "period": 10, "config": [{"arg1": range(3)}]}])
"""


@pytest.fixture
def noisy(run: Run, tmp_path: Path) -> Run:
    (tmp_path / "noisy.py").write_text(NOISY)
    return run


def test_what_a_file_prints_stays_off_the_document(noisy: Run) -> None:
    _, out, err = noisy("run", "-t", "noisy.py:My", "--json", "--horizon", "20")
    assert len(json.loads(out)["runs"]) == 50
    assert "hello at import" in err
    assert "building" in err


def test_json_and_a_file_are_both_written(noisy: Run, tmp_path: Path) -> None:
    _, out, _ = noisy("run", "-t", "noisy.py:My", "--json", "-o", "x.json", "--horizon", "20")
    assert (tmp_path / "x.json").read_text() == out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-t", "noisy.py:Leaves"], "SystemExit"),
        (["-t", "noisy.py:My", "-m", "noisy.py:BadMonitor"], "no way"),
        (["-t", "noisy.py:My", "--policy", "noisy.py:BadPolicy"], "no way"),
        (["-t", "noisy.py:My", "--policy", "noisy.py:WrongRank"], "nope"),
        (["-t", "noisy.py:bytes_inside", "--json"], "blob"),
        (["-t", "noisy.py:nested"], "config"),
        (["-t", "noisy.py:My", "-t", "noisy.py:Typo"], "Typo"),
        (["-f", "one.json", "-f", "missing.json"], "missing.json"),
        (["-t", "noisy.py:My", "-o", "same", "--trace", "same"], "same"),
        (["-t", "noisy.py:My", "-o", "/dev/full"], "write"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_users_get_wrong_is_theirs(noisy: Run, tmp_path: Path, arguments: list[str], named: str) -> None:
    """Exit code 2 and one line: neither our bug (70) nor a lost target (75); nothing ran, nothing is left."""
    task = {"executiontime": 1, "period": 4}
    (tmp_path / "one.json").write_text(json.dumps({"taskset": {"periodictask": [task]}}))
    before = {path.name for path in tmp_path.iterdir()}
    code, out, err = noisy("run", *arguments)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(errors) == 1
    assert named in errors[0]
    if arguments[-1] not in {"/dev/full", "noisy.py:WrongRank"}:  # these are known only once something runs
        assert "variant" not in out
        assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == before
