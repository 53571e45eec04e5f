"""Help and lists teach what there is."""

import json

import pytest

from tests.cli.commanded import Run


def test_help_teaches(run: Run) -> None:
    for arguments in (["--help"], ["run", "--help"], ["list", "--help"]):
        code, out, _ = run(*arguments)
        assert code == 0
        assert "taskgen" in out
    assert "example.Hey6TaskSet" in run("run", "--help")[1]
    assert run("--version")[1].startswith("taskgen ")


@pytest.mark.parametrize("what", ["tasksets", "blocks", "monitors", "sessions", "targets", "policies", "workloads"])
def test_lists(run: Run, what: str) -> None:
    code, out, _ = run("list", what)
    assert code == 0
    assert what in out
    rows = json.loads(run("list", what, "--json")[1])[what]
    assert all(row["name"] and row["summary"] for row in rows)


def test_lists_by_flag(run: Run) -> None:
    assert "example.Hey6TaskSet" in run("list", "-t")[1]
    assert "stdout" in run("list", "-m")[1]
    assert "sim" in run("list", "-s")[1]


def test_no_command_shows_the_help(run: Run) -> None:
    code, out, err = run()
    assert code == 2
    assert "run" in out + err
    assert "error" not in err


def test_the_combinations_of_the_simulator_are_listed(run: Run) -> None:
    assert "go together" in run("list", "policies")[1]
    rows = json.loads(run("list", "policies", "--json")[1])["combinations"]
    assert any("G4" in row["profile"] for row in rows)
