"""`taskgen run` on boards whose answers don't tell their generation: who says it, and what `--dialect` means."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.board import serve
from tests.cli.commanded import Run

_SET = "import taskgen\n\ndef one():\n    return taskgen.TaskSet([{'pkg': 'hey', 'period': 100, 'priority': 5}])\n"
_OPTIONS = ("--binaries", "none", "--horizon", "250", "--json")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Yield the address of a board that may be of generation G1p or G3a, as far as it tells."""
    with serve(generation="G1p", speed="max") as boards:
        yield boards.targets[0].address


def test_an_address_whose_generation_stays_open_is_refused_with_the_lines_that_decide(run: Run, address: str) -> None:
    """Units and the direction of priorities are never guessed."""
    Path("one.py").write_text(_SET)
    code, out, err = run("run", "-t", "one.py:one", address, *_OPTIONS)
    assert (code, json.loads(out or "{}")) == (2, {})
    assert "G1p or G3a" in err
    assert 'dialect = "G1p" or dialect = "G3a"' in err
    assert "--dialect" in err


def test_beside_t_the_dialect_is_the_generation_of_the_boards(run: Run, address: str) -> None:
    Path("one.py").write_text(_SET)
    code, out, _ = run("run", "-t", "one.py:one", address, *_OPTIONS, "--dialect", "G1p")
    assert code == 0
    (each,) = json.loads(out)["runs"]
    assert each["status"] == "finished"
    assert [job["outcome"] for job in each["jobs"]][:1] == ["EXIT"]


def test_beside_f_it_is_that_of_the_file_alone(run: Run, address: str) -> None:
    """A file that was written for one generation may run on boards of another one: that says the inventory."""
    Path("old.json").write_text(json.dumps({"taskset": {"periodictask": [{"pkg": "hey", "period": 100}]}}))
    given = ("-f", "old.json", *_OPTIONS, "--dialect", "G1p")
    assert run("run", address, *given)[0] == 2
    Path("taskgen.toml").write_text(f'[targets.lab]\nhosts = ["{address}"]\ndialect = "G1p"\n')
    assert run("run", "lab", *given)[0] == 0


@pytest.mark.parametrize(("dialect", "named"), [("G5", "'G5'"), ("announced", "known: G1, ")])
def test_a_generation_that_is_none_is_refused_before_anybody_is_asked(run: Run, dialect: str, named: str) -> None:
    Path("one.py").write_text(_SET)
    code, out, err = run("run", "-t", "one.py:one", "127.0.0.1:1", *_OPTIONS, "--dialect", dialect)
    assert (code, out) == (2, "")
    assert named in err
