"""`taskgen run` as a user sees it: stdout, stderr, files and exit codes."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from taskgen import cli

Run = Callable[..., tuple[int, str, str]]

SETS = """
import itertools
from taskgen import TaskSet

def rm():
    return TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 2, "period": 6}])

def late():
    return TaskSet([{"executiontime": 3, "period": 4}, {"executiontime": 3, "period": 6}])

def always_late():
    return TaskSet([{"executiontime": 11, "period": 10, "priority": range(50)}])

class Huge(TaskSet):
    '''A billion variants.'''
    def __init__(self):
        super().__init__([{"executiontime": 1, "period": range(10, 10 + 10**9)}])

def endless():
    return TaskSet([{"executiontime": 1, "period": 10, "priority": 1, "offset": itertools.count()}])

class Seeded(TaskSet):
    def __init__(self, seed=0):
        super().__init__([{"executiontime": 1, "period": 10 + seed}])

def fifth_is_wrong():
    return TaskSet([{"executiontime": 1, "period": 10, "priority": [1, 2, 3, 4, 300, 5]}])

def breaks():
    raise RuntimeError("broken on purpose")

number = 42
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs a command line in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "sets.py").write_text(SETS)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
        captured = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, captured.out, captured.err

    return call


def test_the_main_job_runs_128_variants(run: Run) -> None:
    code, out, err = run("run", "-t", "example.Hey6TaskSet")
    assert (code, err) == (0, "")
    assert "128 variants: 128 finished" in out


def test_a_set_from_a_python_file_with_its_schedule(run: Run) -> None:
    code, out, _ = run("run", "-t", "./sets.py:rm", "--policy", "rm")
    assert code == 0
    assert "24.0 ms" in out


def test_json_is_one_document_on_stdout(run: Run) -> None:
    code, out, err = run("run", "-t", "sets.py:rm", "--policy", "rm", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == 1
    assert document["complete"] is True
    (only,) = document["runs"]
    assert (only["status"], only["target"]) == ("finished", "sim")
    assert only["summary"]["max_response_ms"] == {"0": 1.0, "1": 3.0}
    assert only["summary"]["exactness"] == "exact"
    assert len(only["jobs"]) == 6 + 4
    assert "finished" in err  # the table for people went to stderr


def test_json_is_the_same_in_every_process(run: Run, tmp_path: Path) -> None:
    outputs = [
        subprocess.run(
            [sys.executable, "-m", "taskgen", "run", "-t", "sets.py:rm", "--json", "--seed", "3"],
            capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}, cwd=tmp_path,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    first, second = (json.loads(out)["runs"] for out in outputs)
    assert first == second


def test_output_goes_to_a_file_whole(run: Run, tmp_path: Path) -> None:
    code, _, _ = run("run", "-t", "sets.py:rm", "-o", "result.json")
    assert code == 0
    assert len(json.loads((tmp_path / "result.json").read_text())["runs"]) == 1
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_check_is_a_verdict(run: Run) -> None:
    assert run("run", "-t", "sets.py:rm", "--policy", "rm", "--check")[0] == 0
    code, out, _ = run("run", "-t", "sets.py:late", "--policy", "rm", "--check")
    assert code == 1
    assert "MISSED" in out
    assert run("run", "-t", "sets.py:late", "--policy", "rm")[0] == 0


def test_huge_and_endless_sets_start_at_once_and_end_at_their_limit(run: Run) -> None:
    for name in ("Huge", "endless"):
        code, out, _ = run("run", "-t", f"sets.py:{name}", "--limit", "1000", "--horizon", "20")
        assert code == 0
        assert "1000 variants: 1000 finished" in out
    assert run("run", "-t", "sets.py:Huge", "--limit", "0") == (0, "", "")


def test_a_sample_is_repeatable_and_spread(run: Run) -> None:
    documents = [
        json.loads(run("run", "-t", "sets.py:Huge", "--sample", "3", "--seed", seed, "--horizon", "1", "--json")[1])
        for seed in ("1", "1", "2")
    ]
    picked = [[each["variant"] for each in document["runs"]] for document in documents]
    assert picked[0] == picked[1] != picked[2]
    assert len(set(picked[0])) == 3
    assert max(picked[0]) > 10**6


def test_the_seed_reaches_the_task_set(run: Run) -> None:
    document = json.loads(run("run", "-t", "sets.py:Seeded", "--seed", "7", "--json")[1])
    assert document["runs"][0]["taskset"]["periodictask"][0]["period"] == 17
    assert document["runs"][0]["seed"] == 7


def test_several_sets_count_on(run: Run) -> None:
    document = json.loads(run("run", "-t", "sets.py:rm", "-t", "sets.py:late", "--json")[1])
    assert [each["variant"] for each in document["runs"]] == [0, 1]


def test_files_of_all_formats(run: Run, tmp_path: Path) -> None:
    task = {"executiontime": 1, "period": 4, "priority": 1}
    text = json.dumps({"taskset": {"periodictask": [task]}})
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.jsonl").write_text(f"{text}\n{text}\n")
    (tmp_path / "c.xml").write_text(
        "<taskset><periodictask><executiontime>1</executiontime><period>4</period></periodictask></taskset>"
    )
    counts = {"a.json": 1, "b.jsonl": 2, "c.xml": 1}
    for name, count in counts.items():
        document = json.loads(run("run", "-f", name, "--json")[1])
        assert [each["status"] for each in document["runs"]] == ["finished"] * count


def test_pictures_and_traces(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plot` isn't installed")
    code, _, _ = run("run", "-t", "sets.py:rm", "--gantt", "a.svg", "--trace", "a.json")
    assert code == 0
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert json.loads((tmp_path / "a.json").read_text())["traceEvents"]
    assert run("run", "-t", "sets.py:rm", "--gantt", "a.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"


def test_stdio_shows_descriptions(run: Run) -> None:
    code, out, _ = run("run", "-t", "example.Hey0TaskSet", "-s", "stdio.StdIOSession")
    assert code == 0
    assert json.loads(out)["taskset"]["periodictask"][0]["pkg"] == "hey"


def test_several_monitors(run: Run) -> None:
    code, out, _ = run("run", "-t", "sets.py:rm", "-m", "csv", "-m", "jsonl", "--horizon", "12")
    assert code == 0
    assert out.count("EXIT") >= 5
    assert any(line.startswith("{") for line in out.splitlines())


def test_a_policy_of_the_users_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from sim import Policy\n\nclass Lifo(Policy):\n"
        "    def rank(self, job, now_ns):\n        return -job.release_ns\n"
    )
    document = json.loads(run("run", "-t", "sets.py:rm", "--policy", "mine.py:Lifo", "--json")[1])
    # The second task of the first instant is as young as the first: equal ranks, so the smaller id begins.
    assert [job["start_ms"] for job in document["runs"][0]["jobs"][:2]] == [0.0, 1.0]


def test_both_priority_and_deadline_warn_once(run: Run, tmp_path: Path) -> None:
    task = {"executiontime": 1, "period": 4, "priority": {"range": [0, 9]}, "deadline": 3}
    (tmp_path / "a.json").write_text(json.dumps({"taskset": {"periodictask": [task]}}))
    code, _, err = run("run", "-f", "a.json")
    assert code == 0
    assert err.count("--policy fp") == 1


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


def test_a_board_that_nobody_finds_is_no_verdict(run: Run) -> None:
    """Nobody listens on port 1: exit code 75, and the variant's line says why."""
    code, out, err = run("run", "-t", "sets.py:rm", "127.0.0.1", "-p", "1")
    assert (code, err) == (75, "")
    assert "FAILED: no target left: 127.0.0.1:1: nobody accepts a connection: Connection refused" in out


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


def start(tmp_path: Path, *arguments: str) -> "subprocess.Popen[str]":
    (tmp_path / "sets.py").write_text(SETS)
    return subprocess.Popen(
        [sys.executable, "-m", "taskgen", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        preexec_fn=_hear_signals,  # noqa: PLW1509  # it starts no thread and takes no lock
    )  # fmt: skip


def _hear_signals() -> None:
    """A shell lets background jobs ignore SIGINT, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_prints_what_was_done_and_exits_130(tmp_path: Path) -> None:
    with start(tmp_path, "run", "-t", "sets.py:Huge", "--json", "--horizon", "20") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        head = list(itertools.islice(process.stdout, 5))  # it is at work
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
        process.wait(timeout=30)
    document = json.loads("".join(head) + out)
    assert process.returncode == 130
    assert document["complete"] is False
    assert len(document["runs"]) >= 4
    assert "interrupted: " in err
    assert "Traceback" not in err


def test_a_broken_pipe_is_quiet(tmp_path: Path) -> None:
    with start(tmp_path, "run", "-t", "sets.py:Huge", "--horizon", "20") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() == 0
        assert process.stderr.read() == ""


# -- what users do to a command line ---------------------------------------------------------------------------------

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


def test_a_module_beside_the_user_is_found(run: Run, tmp_path: Path) -> None:
    assert run("run", "-t", "sets:rm", "--policy", "rm")[0] == 0
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "beside.py").write_text("PERIOD = 7")
    (folder / "uses.py").write_text(
        "from beside import PERIOD\nfrom taskgen import TaskSet\n"
        "def my():\n    return TaskSet([{'executiontime': 1, 'period': PERIOD}])\n"
    )
    document = json.loads(run("run", "-t", "folder/uses.py:my", "--json")[1])
    assert document["runs"][0]["taskset"]["periodictask"][0]["period"] == 7


def test_a_lost_reader_loses_neither_the_file_nor_the_verdict(tmp_path: Path) -> None:
    command = ["run", "-t", "sets.py:always_late", "--check", "-o", "x.json", "--horizon", "20"]
    with start(tmp_path, *command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=30) == 1
        assert process.stderr.read() == ""
    assert json.loads((tmp_path / "x.json").read_text())["complete"] is True


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    with start(tmp_path, "run", "-t", "sets.py:Huge", "-o", "x.json", "--horizon", "20") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir() if "json" in path.name] == []


def test_no_command_shows_the_help(run: Run) -> None:
    code, out, err = run()
    assert code == 2
    assert "run" in out + err
    assert "error" not in err


def test_the_combinations_of_the_simulator_are_listed(run: Run) -> None:
    assert "go together" in run("list", "policies")[1]
    rows = json.loads(run("list", "policies", "--json")[1])["combinations"]
    assert any("G4" in row["profile"] for row in rows)


def test_several_cores_with_overheads(run: Run) -> None:
    arguments = ["-t", "sets.py:late", "--cores", "2", "--migration", "global", "--policy", "rm", "--json"]
    document = json.loads(run("run", *arguments, "--context-switch", "0.5", "--horizon", "12")[1])
    jobs = document["runs"][0]["jobs"]
    assert {job["core"] for job in jobs} == {0, 1}
    assert jobs[0]["start_ms"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--migration", "global", "--partition", "worst-fit"], "partition"),
        (["--context-switch", "-1"], "--context-switch"),
        (["--policy", "rm", "--quantum", "3"], "quantum"),
        (["--policy", "rr", "--non-preemptive"], "rr"),
        (["--profile", "G4", "--policy", "edf"], "edf"),
        (["--profile", "G4", "--cores", "99"], "cores"),
        (["--cores", "2000"], "cores"),
    ],
    ids=str,
)
def test_contradictory_options_are_one_clear_line(run: Run, arguments: list[str], named: str) -> None:
    code, out, err = run("run", "-t", "sets.py:rm", *arguments)
    assert (code, out) == (2, "")
    assert named in err.splitlines()[0]
