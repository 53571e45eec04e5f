"""`taskgen bench` as a user sees it: tables, documents, what is kept, comparisons, and exit codes."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from taskgen import registry
from taskgen.bench import document
from taskgen.bench.result import Result, Series
from tests.cli.commanded import Run, start

SHELF = Path(".taskgen") / "bench"

SUITE = """
import os
from taskgen import TaskSet
from taskgen.bench.suite import Case, Metric, Suite

def cases(setting):
    work = int(os.environ.get("WORK", "2"))
    return [Case("one", TaskSet([{"executiontime": work, "period": 10, "numberofjobs": 3}]), measure)]

def measure(measured):
    return {"response": max(measured.trace.max_response_ns.values()) / 1e6}

def broken(measured):
    raise RuntimeError("broken on purpose")

MINE = Suite("mine", "is it mine?", 1, (Metric("response", "ms", "less", 0.1, "how long"),), cases)
TWIN = Suite("mine", "is it mine?", 1, MINE.metrics, cases)
BROKEN = Suite("broken", "?", 1, MINE.metrics, lambda setting: [Case("one", cases(setting)[0].taskset, broken)])
NONE = 42
"""


@pytest.fixture
def bench(run: Run, tmp_path: Path) -> Run:
    (tmp_path / "own.py").write_text(SUITE)
    return lambda *arguments: run("bench", *arguments)


def test_a_table_on_stdout_and_the_progress_on_stderr(bench: Run) -> None:
    code, out, err = bench("--suite", "latency", "--repeat", "2", "--seed", "7")
    assert code == 0
    assert out.startswith("taskgen bench  target sim  repeat 2  seed 7")
    assert "load-0.8  response-max     ms         1" in out
    assert "warm-up: 1 run of each case, not counted" in out
    assert out.rstrip().endswith(f"Saved {SHELF / '0001_nogit_sim.json'}")
    lines = err.splitlines()
    assert lines[0] == "bench: 5 cases, 15 runs, seed 7"
    loads = ("0", "0.2", "0.4", "0.6", "0.8")
    assert sorted(lines[1:]) == sorted(f"latency/load-{load}: all runs are over" for load in loads)


def test_all_suites_but_soak_are_the_default(bench: Run) -> None:
    code, out, _ = bench("--repeat", "1", "--warmup", "0", "--json")
    names = [suite["name"] for suite in json.loads(out)["suites"]]
    assert code == 0
    assert names == [name for name in registry.names("suites") if name != "soak"]
    assert {"smoke", "latency", "churn"} <= set(names)


def test_one_document_is_printed_written_and_kept(bench: Run) -> None:
    code, out, err = bench("--suite", "own.py:MINE", "--repeat", "3", "--json", "-o", "result.json")
    assert code == 0
    assert out == Path("result.json").read_text()
    assert json.loads(out) == json.loads((SHELF / "0001_nogit_sim.json").read_text())
    result = document.read(Path("result.json"))
    (suite,) = result.suites
    assert (suite.name, list(suite.cases[0].series[0].samples)) == ("mine", [2, 2, 2])
    assert (result.seed, result.repeat, result.target["name"]) == (0, 3, "sim")
    assert "taskgen bench  target sim" in err


def test_the_same_target_is_unchanged_and_another_set_is_not_compared(
    bench: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ("--suite", "own.py:MINE", "--repeat", "8")
    assert bench(*mine, "--save-baseline", "main")[0] == 0
    for reference in (("--baseline", "main"), ("--compare", "latest")):
        code, out, _ = bench(*mine, *reference, "--fail-on", "worse")
        assert (code, "1 unchanged" in out) == (0, True)
    monkeypatch.setenv("WORK", "3")
    code, out, _ = bench(*mine, "--baseline", "main")
    assert (code, "another task-set than the baseline's" in out) == (75, True)


def test_a_target_that_became_slower_is_worse(bench: Run) -> None:
    latency = ("--suite", "latency", "--repeat", "10", "--execution", "uniform:0.5")
    assert bench(*latency, "-o", "main.json")[0] == 0
    document.write(faster(document.read(Path("main.json"))), Path("fast.json"))
    code, out, _ = bench(*latency, "--compare", "fast.json", "--fail-on", "worse")
    assert (code, "worse" in out) == (1, True)
    assert bench(*latency, "--compare", "fast.json")[0] == 0, "only if asked"


def faster(result: Result) -> Result:
    """Return what a target would have given that took half the time."""

    def halved(series: Series) -> Series:
        return replace(series, samples=[sample / 2 for sample in series.samples])

    return replace(result, suites=[
        replace(suite, cases=[replace(case, series=list(map(halved, case.series))) for case in suite.cases])
        for suite in result.suites
    ])  # fmt: skip


def test_results_are_compared_by_the_subcommand(bench: Run) -> None:
    for _ in range(2):
        assert bench("--suite", "own.py:MINE", "--repeat", "8")[0] == 0
    code, out, _ = bench("compare", "latest~1", "latest")
    assert (code, "1 unchanged" in out) == (0, True)


def test_suites_are_listed(bench: Run) -> None:
    code, out, _ = bench("--list")
    assert code == 0
    assert "latency: how soon is the most urgent task served under growing load?" in out
    assert "  jitter [ms]: " in out
    code, out, _ = bench("--list", "--json")
    listed = {suite["name"]: suite for suite in json.loads(out)["suites"]}
    assert {"smoke", "latency", "churn", "soak"} <= set(listed)
    assert listed["churn"]["metrics"][0]["better"] == "more"


def test_without_a_pool_the_hint_says_how_to_get_one(bench: Run) -> None:
    code, _, err = bench("--target", "board")
    assert code == 2
    assert "error: there is no target 'board'" in err
    assert 'hint: add [targets.board] with hosts = ["10.0.0.7"] to taskgen.toml' in err
    assert "taskgen board serve" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "latencies"], "there is no suite 'latencies'"),
        (["--suite", "own.py:NONE"], "is no taskgen.bench.suite.Suite"),
        (["--suite", "own.py:MINE", "--suite", "own.py:TWIN"], "two suites are called 'mine'"),
        (["--fail-on", "worse"], "--fail-on worse: than what?"),
        (["--compare", "x", "--baseline", "y"], "--compare and --baseline both say what to compare with"),
        (["--baseline", "main"], "there is no baseline 'main'"),
        (["--compare", "main"], "there is no such file"),
        (["--save-baseline", "../x"], "baseline '../x'"),
        (["--repeat", "3", "--repeat", "4"], "--repeat: given twice differently: 3, 4"),
        (["--repeat", "0"], "--repeat"),
        (["--duration", "long"], "'long' is not a number of seconds"),
        (["--duration", "0"], "out of range"),
        (["--against", "board"], "only sim predicts"),
        (["--target", "stdio"], "shows descriptions, and runs nothing"),
        (["--policy", "nosuch"], "nosuch"),
        (["--calibration", "none.toml"], "none.toml: can't be read"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(bench: Run, arguments: list[str], message: str) -> None:
    code, out, err = bench(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not SHELF.exists()


def test_runs_that_fail_leave_no_verdict(bench: Run) -> None:
    code, out, err = bench("--suite", "own.py:BROKEN", "--repeat", "2", "--warmup", "0", "--save-baseline", "main")
    assert code == 75
    assert "broken on purpose" in out
    assert "2 of 2 runs failed" in out
    assert "the baseline main is left as it is" in err
    assert not (SHELF / "baselines").exists()


def test_a_target_that_is_not_there_is_no_verdict(bench: Run) -> None:
    code, _, err = bench("--target", "127.0.0.1:1", "--suite", "smoke")
    assert code == 75
    assert err.startswith("error: taskloader:127.0.0.1:1 was lost, tried 3 times")


def test_predictions_stand_beside_what_was_measured(bench: Run) -> None:
    code, out, _ = bench("--suite", "own.py:MINE", "--repeat", "2", "--against", "sim", "--json")
    assert code == 0
    fidelity = json.loads(out)["extra"]["fidelity"]
    assert fidelity["oracle"] == "sim:ideal"
    assert len(fidelity["tasks"]) == 1


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    with start(tmp_path, "bench", "--suite", "churn", "--repeat", "100000", "-o", "partial.json") as process:
        assert process.stderr is not None
        assert "bench: 6 cases" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert "Traceback" not in err
    result = document.read(tmp_path / "partial.json")
    assert (result.complete, result.reason) == (False, "interrupted")
    assert list((tmp_path / SHELF).glob("0001_*.json"))
