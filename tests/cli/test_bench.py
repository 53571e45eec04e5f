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
from tests.hil.board.serving import serving

SHELF = Path(".taskgen") / "bench"

SUITE = """
import os
from taskgen import TaskSet
from taskgen.bench.suite import Case, Finding, Metric, Suite

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
UNJUDGED = Suite("mine", "is it mine?", 1, MINE.metrics, cases, judge=lambda cases, samples: broken(cases))
ODD = Suite("mine", "?", 1, MINE.metrics, cases, judge=lambda *_: [Finding("odd", "?", values={"set": {1}})])
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
        (["--repeat", "9" * 30], "runs, expected at most 200000"),
        (["--duration", "long"], "'long' is not a number of seconds"),
        (["--duration", "0"], "out of range"),
        (["--against", "board"], "only sim predicts"),
        (["--against", "sim:G9"], "'G9' isn't supported"),
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


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BROKEN", "suite broken, case one: measuring it failed: RuntimeError: broken on purpose"),
        ("UNJUDGED", "suite mine: judging the samples failed: RuntimeError: broken on purpose"),
        ("ODD", "suite mine: judging the samples failed: InputError: "),
    ],
)
def test_a_suite_that_breaks_is_its_authors_fault_and_costs_no_sample_of_others(
    bench: Run, name: str, message: str
) -> None:
    suites = ("--suite", f"own.py:{name}", "--suite", "smoke")
    code, out, err = bench(*suites, "--repeat", "2", "--warmup", "0", "--json")
    assert code == 2
    assert f"error: {message}" in err
    assert "Traceback" not in err
    smoke = json.loads(out)["suites"][1]
    assert all(len(series["samples"]) == 2 for case in smoke["cases"] for series in case["series"])
    assert document.read(SHELF / "0001_nogit_sim.json").complete == (name != "BROKEN")


def test_runs_that_fail_make_no_baseline(bench: Run) -> None:
    code, out, err = bench("--suite", "own.py:BROKEN", "--repeat", "2", "--warmup", "0", "--save-baseline", "main")
    assert code == 2
    assert "2 of 2 runs failed" in out
    assert "the baseline main is left as it is" in err
    assert not (SHELF / "baselines").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("name='a\\nb'", "name: 'a\\nb', expected a text of 1 to 200 printable characters"),
        ("version='1'", "version: '1', expected a whole number"),
        ("metrics=(Metric('r', 'ms', 'sideways', 0, ''),)", "metric r: better: 'sideways', expected less or more"),
        ("metrics=(Metric('r', 'ms', 'less', -1, ''),)", "metric r: floor: -1, expected a number from 0 on"),
        ("metrics=MINE.metrics * 2", "two metrics are called 'response'"),
        ("lacks=broken", "making its cases failed: RuntimeError: broken on purpose"),
        ("cases=broken", "making its cases failed: RuntimeError: broken on purpose"),
        ("cases=lambda _: None", "cases: None, expected a list of Cases"),
        ("cases=lambda _: [1]", "cases: 1, expected Cases only"),
        ("cases=lambda _: [Case('x', {}, measure)]", "case x: taskset: {}, expected a TaskSet"),
        ("cases=lambda s: [replace(cases(s)[0], repeat=0)]", "case one: repeat: 0, expected a whole number from 1 on"),
        ("cases=lambda s: [replace(cases(s)[0], stop_after=0)]", "case one: stop_after: 0, expected a whole number"),
        ("cases=lambda s: [replace(cases(s)[0], params={'u': []})]", "case one: params: u: [], expected a number or"),
        ("cases=lambda s: [replace(cases(s)[0], predicted={'x': 1})]", "case one: predicted: 'x', expected a metric"),
        ("cases=lambda s: [replace(cases(s)[0], name='')]", "name of a case: '', expected a text of 1 to 200"),
    ],
)
def test_a_malformed_suite_is_one_line_before_anything_runs(bench: Run, fields: str, message: str) -> None:
    Path("bad.py").write_text(f"from dataclasses import replace\n{SUITE}\nBAD = replace(MINE, {fields})\n")
    code, out, err = bench("--suite", "bad.py:BAD")
    assert (code, out) == (2, "")
    assert err.startswith("error: suite ")
    assert message in err
    assert not SHELF.exists()


def test_cases_that_a_policy_can_not_rank_are_left_out(bench: Run) -> None:
    code, out, _ = bench("--suite", "knee", "--policy", "fp", "--repeat", "1", "--warmup", "0")
    assert code == 0
    assert "edf-liu-layland-0.82 and 21 more: left out: task 0: priority: is missing, policy fp needs" in out
    assert "ok      fp-liu-layland: misses from U = 0.83" in out


def test_a_generation_that_answers_leave_open_is_given(bench: Run) -> None:
    with serving(generation="G1o", speed="max") as server:
        smoke = ("--target", str(server.stations[0].address), "--suite", "smoke", "--repeat", "1", "--warmup", "0")
        code, _, err = bench(*smoke)
        assert (code, "generation G1 or G1o" in err) == (2, True)
        code, out, _ = bench(*smoke, "--dialect", "G1o", "--json")
    assert (code, json.loads(out)["target"]["generation"]) == (0, "G1o")


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
    with start(tmp_path, "bench", "--suite", "churn", "--repeat", "20000", "-o", "partial.json") as process:
        assert process.stderr is not None
        assert "bench: 6 cases" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        err = process.stderr.read()
        assert process.wait(timeout=30) == 130
    assert "Traceback" not in err
    result = document.read(tmp_path / "partial.json")
    assert (result.complete, result.reason) == (False, "interrupted")
    assert list((tmp_path / SHELF).glob("0001_*.json"))
