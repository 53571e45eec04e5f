"""`taskgen calibrate` as a user sees it: stdout, stderr, files and exit codes."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.board import serve
from taskgen import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs a command line in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    return run


PI = ("calibrate", "--target", "sim", "--program", "pi")


def test_the_curve_is_shown_with_its_residuals_and_stored(run: Run, tmp_path: Path) -> None:
    code, out, err = run(*PI, "--program", "hey", "--seed", "3")
    assert code == 0
    assert "pi: 102 + 0.000861 x arg1^1 ms" in out
    assert "hey: 68 ms" in out
    assert "residuals: at most 0.000 %, RMS 0.000 %" in out
    assert "calibrate sim: seed 3" in err
    assert "stored pi, hey in .taskgen/calibrations/sim.toml" in err
    assert (tmp_path / ".taskgen/calibrations/sim.toml").is_file()


def test_what_was_stored_is_a_workload_for_run_and_for_boards(run: Run, tmp_path: Path) -> None:
    assert run(*PI, "-o", "pi.toml")[0] == 0
    (tmp_path / "a.json").write_text(
        '{"taskset": {"periodictask": [{"pkg": "pi", "config": {"arg1": 1000}, "period": 500, "numberofjobs": 1}]}}'
    )
    code, out, _ = run("run", "-f", "a.json", "--workload", "pi.toml", "--json")
    assert (code, json.loads(out)["runs"][0]["summary"]["max_response_ms"]) == (0, {"0": 102.861})
    with serve(generation="G4", workload=tmp_path / "pi.toml") as boards:
        address = boards.targets[0].address
        code, *_ = run(*PI[:2], address, *PI[3:], "--arguments", "1,200000,400000", "-o", "again.toml")
    assert code == 0
    again = tomllib.loads((tmp_path / "again.toml").read_text())
    assert again["calibration"]["before_start_ms"] == 25
    assert abs(again["pi"]["constant_ms"] - 102) < 2


def test_json_is_one_document_with_all_points(run: Run) -> None:
    code, out, _ = run(*PI, "--json", "--arguments", "1000,10")
    found = json.loads(out)
    assert (code, found["schema"], found["target"], found["generation"]) == (0, 1, "sim", "ideal")
    program = found["programs"]["pi"]
    assert [point["arg1"] for point in program["points"]] == [10, 1000]
    assert program["fits"] is True


def test_the_same_seed_measures_in_the_same_order(run: Run) -> None:
    noisy = ("--execution", "uniform:100ms,200ms", "--arguments", "1,2,3,4", "--repeat", "5", "--json", "--seed", "1")
    documents = [json.loads(run(*PI, *noisy)[1])["programs"] for _ in range(2)]
    assert documents[0] == documents[1]


def test_a_curve_that_does_not_fit_is_told_in_one_line_and_not_stored(run: Run, tmp_path: Path) -> None:
    noisy = ("--execution", "discrete:100ms=1,200ms=1", "--bound", "0.1")
    code, out, err = run(*PI, *noisy, "--arguments", "1,2,3,4,5,6,7,8", "--seed", "2")
    assert code == 1
    assert "pi: no curve through 8 points fits: " in err
    assert "expected at most 0.1 %; it isn't stored" in err
    assert "residuals: at most" in out
    assert not list(tmp_path.glob(".taskgen/calibrations/*.toml"))


def test_a_plot_shows_points_and_curves(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert run(*PI, "--program", "linpack", "--plot", "a.svg")[0] == 0
    drawn = (tmp_path / "a.svg").read_text()
    assert "START to EXIT, ms" in drawn
    assert "linpack: 135 + 0.0024 x arg1^2 + 0.0000397 x arg1^3 ms" in drawn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arguments", "1,x"], "'1,x' is no list of whole numbers such as 100,1000,10000"),
        (["--arguments", "1,-1"], "arguments: expected 1..1000 whole numbers of at most 4294967295"),
        (["--bound", "much"], "'much' is no share in percent"),
        (["--repeat", "0"], "Invalid value for '--repeat'"),
        (["-o", "a.json"], "a.json: expected FILE.toml, as --workload reads it"),
        (["-o", "nowhere/a.toml"], "nowhere/a.toml: can't be written"),
        (["--plot", "a.txt"], "expected .svg or .png"),
        (["--program", "mine"], "'mine' has no known execution time"),
        (["--profile", "G5"], "profile: 'G5' isn't supported"),
    ],
)
def test_what_makes_no_sense_is_exit_2(run: Run, arguments: list[str], message: str) -> None:
    code, _, err = run(*PI, *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_nobody_at_the_address_is_no_verdict(run: Run) -> None:
    code, _, err = run(*PI[:2], "127.0.0.1:1", *PI[3:], "--profile", "G4")
    assert code == 2  # a board has no profile
    assert "takes no option 'profile'" in err
