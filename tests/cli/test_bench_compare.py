"""`taskgen bench compare`: what it prints, and its exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from taskgen.bench import shelf
from taskgen.cli.bench_compare import compare
from taskgen.cli.once import Once
from taskgen.errors import TaskgenError
from tests.taskgen.bench.results import of, with_target

BASE = [10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 10.8, 10.9]
WORSE = [value + 2 for value in BASE]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run the subcommand alone; errors of taskgen are those of `taskgen`, whose exit code they carry."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.callback()(lambda: None)
    app.command("compare", cls=Once)(compare)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = app(args=["compare", *arguments], standalone_mode=False)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_the_later_result_is_judged_by_the_earlier(call: Call) -> None:
    shelf.store(of(BASE))
    shelf.store(of(WORSE))
    code, out, err = call("latest~1", "latest")
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.startswith("u-90"))
    assert row.split() == ["u-90", "m0", "ms", "12.45", "0.45", "12.89", "12.90", "10.45", "1.19", "+"]
    assert out.splitlines()[0].endswith("against latest~1")
    assert out.splitlines()[-1] == "1 worse."
    assert call("2", "1")[1].splitlines()[-1] == "1 better."


@pytest.mark.parametrize(
    ("before", "after", "arguments", "code"),
    [
        (BASE, WORSE, [], 0),
        (BASE, WORSE, ["--fail-on", "worse"], 1),
        (WORSE, BASE, ["--fail-on", "worse"], 0),
        (BASE, BASE, ["--fail-on", "worse"], 0),
        (BASE, BASE[:3], ["--fail-on", "worse"], 75),
        (BASE, BASE[:3], [], 75),
        (BASE, [], ["--fail-on", "worse"], 1),
    ],
)
def test_exit_codes(call: Call, before: list[float], after: list[float], arguments: list[str], code: int) -> None:
    shelf.store(of(before))
    shelf.store(of(after))
    assert call("1", "2", *arguments)[0] == code


def test_what_is_not_comparable_is_no_verdict_and_says_why(call: Call) -> None:
    shelf.save_baseline(of(BASE), "main")
    shelf.store(with_target(of(WORSE), generation="G3a"))
    code, out, _ = call("main", "latest", "--fail-on", "worse")
    assert code == 75
    assert "note: the target isn't the baseline's: generation G3a, the baseline's is G4" in out
    assert out.splitlines()[-1] == "1 not comparable."


def test_a_document_for_machines(call: Call) -> None:
    shelf.store(of(BASE))
    shelf.store(of(WORSE))
    code, out, err = call("1", "2", "--json", "-o", "comparison.json")
    plain: dict[str, Any] = json.loads(out)
    assert json.loads(Path("comparison.json").read_text()) == plain
    assert (code, plain["schema"], plain["counts"]["worse"]) == (0, 1, 1)
    assert (plain["baseline"], plain["result"]) == (
        ".taskgen/bench/0001_9f3c1e2_lab.json", ".taskgen/bench/0002_9f3c1e2_lab.json"
    )  # fmt: skip
    assert plain["rows"][0]["verdict"] == "worse"
    assert "1 worse." in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latest", "latest"], "there are no results in .taskgen/bench"),
        (["here.json", "no.json"], "there is no such file, nor a result of this name"),
        (["here.json", "here.json"], "here.json: schema: is null, expected 1"),
        (["a", "b", "--fail-on", "better"], "better"),
        (["a"], "Missing"),
    ],
)
def test_what_users_get_wrong_is_one_clear_line(call: Call, arguments: list[str], message: str) -> None:
    Path("here.json").write_text("{}")
    with pytest.raises(Exception, match=message) as raised:
        call(*arguments)
    assert getattr(raised.value, "exit_code", None) == 2
    assert "\n" not in str(raised.value) or not isinstance(raised.value, TaskgenError)


def test_help_has_an_example(call: Call) -> None:
    app = typer.Typer()
    app.command(cls=Once)(compare)
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert "taskgen bench compare latest~1 latest" in " ".join(shown.output.split())
