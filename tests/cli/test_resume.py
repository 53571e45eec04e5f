"""`taskgen run --store --resume`: the driver may be killed at any moment, and each variant has exactly one result."""

import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskgen import cli

Call = Callable[..., tuple[int, str, str]]

TOY = """
import itertools, os, signal
from pathlib import Path
from taskgen import Event, EventType, Session, TaskSet
from taskgen.monitor import Monitor

def sweep():
    return TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1, "priority": range(100), "number": range(15)}])

def endless():
    return TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1, "number": itertools.count()}])

def late():
    return TaskSet([{"executiontime": [1, 30], "period": 10, "numberofjobs": 1}])

class Toy(Session):
    '''One job per set; notes which variant begins.'''

    @classmethod
    def open(cls, target):
        return cls()

    def events(self, plan):
        variant = plan.taskset.variant_index
        with open("begun.log", "a") as log:
            log.write(f"{variant}\\n")
        yield Event(0, EventType.START, 0, 0, 0)
        self.meanwhile(variant)
        yield Event(1_000_000, EventType.EXIT, 0, 0, 0)

    def meanwhile(self, variant):
        pass

class Suicidal(Toy):
    '''Kills its driver in the middle of the fourth variant.'''

    def meanwhile(self, variant):
        if Path("begun.log").read_text().count("\\n") == 4:
            os.kill(os.getpid(), signal.SIGKILL)

class Broken(Toy):
    def meanwhile(self, variant):
        if variant == 1:
            raise OSError("the cable is out")

class Murderer(Monitor):
    '''Kills its driver when it hears of a result.'''

    def taskset_finished(self, run, trace):
        if run.variant == 3:
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "toy.py").write_text(TOY)
    return tmp_path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs a command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
        captured = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, captured.out, captured.err

    return run


def start(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "taskgen", "run", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def runs(path: str = "x.json") -> list[dict[str, Any]]:
    document = json.loads(Path(path).read_text())
    assert document["complete"] is True
    found: list[dict[str, Any]] = document["runs"]
    return found


def begun() -> Counter[int]:
    return Counter(map(int, Path("begun.log").read_text().split()))


STORE = ("--store", "sqlite:///a.db")
GO_ON = (*STORE, "--resume", "-o", "x.json")


def test_twenty_kills_at_random_moments_lose_nothing_and_run_nothing_twice() -> None:
    """SIGKILL while it starts, and after so many results; what was heard of was stored, so it never begins again."""
    rng = random.Random(4)
    command = ["-t", "toy.py:sweep", "-s", "toy.py:Toy", "--seed", "3", "-m", "jsonl"]
    heard: Counter[int] = Counter()  # how often a variant had begun when its result was heard of
    for kill in range(20):
        with start(*command, *STORE, "--resume") as process:
            assert process.stdout is not None
            if kill % 4 == 0:
                time.sleep(rng.uniform(0, 0.5))
                lines = []
            else:
                lines = list(itertools.islice(process.stdout, rng.randrange(1, 80)))
                time.sleep(rng.uniform(0, 0.005))
            process.kill()
            # What came through the pipe before the kill was heard, too; the last line may be half.
            lines += [line for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        assert process.returncode == -signal.SIGKILL
        records = [json.loads(line) for line in lines]
        for variant in (record["variant"] for record in records if record["record"] == "finished"):
            assert variant not in heard
            heard[variant] = begun()[variant]
    assert heard.total() > 100
    last = start(*command, *GO_ON)
    _, err = last.communicate()
    assert (last.returncode, err.count("\n")) == (0, 1)
    assert int(err.split()[1]) >= len(heard)  # "resumed: N variants ..."
    done = runs()
    assert [run["variant"] for run in done] == list(range(1500))
    assert {run["status"] for run in done} == {"finished"}
    attempts = {run["variant"]: run.get("attempt", 1) for run in done}
    assert 0 < sum(attempts.values()) - 1500 <= 20 * 9  # at most one target's work and the backlog per kill
    assert all(len(run.get("history", [])) == run.get("attempt", 1) - 1 for run in done)
    # A start is noted before the session knows of it, and may be all that there was of the attempt.
    assert all(begun()[variant] <= attempt for variant, attempt in attempts.items())
    assert all(begun()[variant] == times for variant, times in heard.items())


def test_a_kill_in_the_middle_of_a_variant_is_attempt_two(call: Call) -> None:
    command = ["-t", "toy.py:sweep", "-s", "toy.py:Suicidal", "--limit", "6"]
    with start(*command, *STORE) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert call("run", *command, *STORE)[0] == 2  # never without --resume
    assert call("run", *command, *GO_ON)[0] == 0
    done = runs()
    assert [run.get("attempt", 1) for run in done] == [begun()[variant] for variant in range(6)]
    (line,) = done[3]["history"]
    assert line.startswith("toy.py:Suicidal, attempt 1: ")
    assert begun()[3] == 2


def test_a_kill_after_a_result_was_stored_runs_nothing_again(call: Call) -> None:
    command = ["-t", "toy.py:sweep", "-s", "toy.py:Toy", "--limit", "20"]
    with start(*command, *STORE, "-m", "toy.py:Murderer") as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert call("run", *command, *GO_ON)[0] == 0
    assert len(runs()) == 20
    assert begun()[3] == 1


def test_a_run_in_two_parts_gives_the_document_of_a_run_in_one(call: Call) -> None:
    command = ["run", "-t", "toy.py:late", "-t", "example.Hey6TaskSet", "--seed", "5", "--horizon", "20"]
    assert call(*command, "-o", "one.json")[0] == 0
    with start(*command[1:], *STORE, "-m", "toy.py:Murderer") as process:
        process.communicate()
    assert call(*command, *GO_ON)[0] == 0
    one, two = (json.loads(Path(name).read_text()) for name in ("one.json", "x.json"))
    for run in two["runs"]:
        run.pop("attempt", None), run.pop("history", None)
    assert two["runs"] == one["runs"]
    assert {**one, "runs": [], "started": ""} == {**two, "runs": [], "started": ""}


def test_a_run_that_is_over_answers_from_the_store(call: Call) -> None:
    command = ["run", "-t", "toy.py:late", *STORE]
    assert call(*command, "--check")[0] == 1
    before = Path("a.db").read_bytes()
    code, out, err = call(*command, "--resume", "--check", "--json")
    document = json.loads(out)
    assert (code, err) == (1, "resumed: 2 variants have their result already\n")
    assert [run["summary"]["misses"] for run in document["runs"]] == [0, 1]
    assert call(*command, "--resume", "--json")[1] == out
    assert Path("a.db").read_bytes() == before
    assert [path.name for path in Path().iterdir() if path.name.startswith("a.db")] == ["a.db"]


def test_a_failed_variant_keeps_its_history_and_its_exit_code(call: Call) -> None:
    command = ["run", "-t", "toy.py:sweep", "--limit", "3", "-s", "toy.py:Broken"]
    assert call(*command, *STORE)[0] == 75
    assert call(*command, *GO_ON)[0] == 75
    assert [run["status"] for run in runs()] == ["finished", "failed", "finished"]
    assert len(runs()[1]["history"]) == 3
    assert begun()[1] == 3


def test_samples_go_on(call: Call) -> None:
    command = ["run", "-t", "toy.py:sweep", "--sample", "100", "--seed", "2"]
    assert call(*command, "-o", "y.json")[0] == 0
    sample = [run["variant"] for run in runs("y.json")]
    command += ["-s", "toy.py:Suicidal"]
    with start(*command[1:], *STORE) as process:
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert call(*command, *GO_ON)[0] == 0
    assert [run["variant"] for run in runs()] == sorted(sample)
    assert begun()[sample[3]] == 2


def test_unbounded_sets_go_on(call: Call) -> None:
    command = ["run", "-t", "toy.py:endless", "-s", "toy.py:Suicidal", "--limit", "40"]
    with start(*command[1:], *STORE) as process:
        process.communicate()
    assert call(*command, *GO_ON)[0] == 0
    assert [run["taskset"]["periodictask"][0]["number"] for run in runs()] == list(range(40))
    assert runs()[3]["attempt"] == 2


def test_ctrl_c_closes_the_document_and_the_rest_follows(call: Call) -> None:
    command = ["-t", "toy.py:sweep", "-s", "toy.py:Toy"]
    with start(*command, *STORE, "-o", "x.json", preexec_fn=_hear_signals) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == 130
    document = json.loads(Path("x.json").read_text())
    assert document["complete"] is False
    assert 0 < len(document["runs"]) < 1500
    assert call("run", *command, *GO_ON)[0] == 0
    assert [run["variant"] for run in runs()] == list(range(1500))
    assert json.loads(Path("x.json").read_text())["started"] == document["started"]


def _hear_signals() -> None:
    """A shell lets background jobs ignore SIGINT, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_full_disk_is_one_line_and_the_rest_follows(call: Call) -> None:
    command = ["-t", "toy.py:sweep", "-s", "toy.py:Toy"]
    with start(*command, *STORE, preexec_fn=_small_files) as process:
        _, err = process.communicate()
    assert process.returncode == 2
    errors = [line for line in err.splitlines() if not line.startswith("hint: ")]
    assert len(errors) == 1
    assert "a.db: can't be written" in errors[0]
    assert call("run", *command, *GO_ON)[0] == 0
    assert [run["variant"] for run in runs()] == list(range(1500))
    assert begun().total() < 1520


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))


def test_a_second_driver_is_one_line() -> None:
    command = ["-t", "toy.py:endless", "-s", "toy.py:Toy", *STORE]
    with start(*command) as first:
        assert first.stdout is not None
        first.stdout.readline()
        second = start(*command, "--resume")
        _, err = second.communicate()
        assert first.poll() is None
        first.kill()
    assert second.returncode == 2
    assert "a.db: is in use by another taskgen" in err
    assert len(err.splitlines()) == 2


OTHER = [
    (["-t", "toy.py:late"], "taskset was toy.py:sweep "),
    (["--limit", "4"], "limit was 3, is 4 now"),
    (["--sample", "3"], "sample was not given, is 3 now"),
    (["--seed", "1"], "seed was 0, is 1 now"),
    (["--policy", "edf"], "policy was not given, is edf now"),
    (["--horizon", "20"], "horizon_ms was not given, is 2E+1 now"),
    (["--cores", "2"], "cores was not given, is 2 now"),
    (["--admission", "fairness"], "admission was not given"),
    (["--profile", "G4"], "profile was not given, is G4 now"),
    (["sim:G4"], "target was sim, is sim:G4 now"),
    (["--context-switch", "1"], "context_switch_ms was not given, is 1 now"),
]


@pytest.mark.parametrize(("arguments", "said"), OTHER, ids=[" ".join(arguments) for arguments, _ in OTHER])
def test_another_question_is_refused_and_says_what_differs(call: Call, arguments: list[str], said: str) -> None:
    base = {"-t": "toy.py:sweep", "--limit": "3"}
    assert call("run", *itertools.chain.from_iterable(base.items()), *STORE)[0] == 0
    changed = base | ({arguments[0]: arguments[1]} if len(arguments) == 2 else {})
    targets = arguments if len(arguments) == 1 else []
    before = Path("a.db").read_bytes()
    for resume in ([], ["--resume"]):
        code, out, err = call("run", *targets, *itertools.chain.from_iterable(changed.items()), *STORE, *resume)
        assert (code, out) == (2, "")
        assert said in err.splitlines()[0]
        assert len(err.splitlines()) == 2
    assert Path("a.db").read_bytes() == before


def test_a_file_counts_by_its_content(call: Call, folder: Path) -> None:
    task = {"executiontime": 1, "period": [10, 20], "numberofjobs": 1}
    text = json.dumps({"taskset": {"periodictask": [task]}})
    (folder / "set.json").write_text(text)
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "set.json").write_text(text)
    assert call("run", "-f", "set.json", *STORE)[0] == 0
    assert call("run", "-f", "elsewhere/set.json", *GO_ON)[0] == 0
    (folder / "set.json").write_text(text.replace("20", "30"))
    code, _, err = call("run", "-f", "set.json", *GO_ON)
    assert code == 2
    assert "has another run: file was set.json" in err


def test_a_set_counts_by_what_it_describes_and_an_endless_one_by_its_source(call: Call, folder: Path) -> None:
    file = folder / "edited.py"
    file.write_text(TOY)
    commands = {
        name: ("run", "-t", f"edited.py:{name}", "--limit", "3", "--store", f"sqlite:///{name}.db")
        for name in ("sweep", "endless")
    }
    for command in commands.values():
        assert call(*command)[0] == 0
    file.write_text(TOY + "# a remark\n")
    assert call(*commands["sweep"], "--resume")[0] == 0
    assert call(*commands["endless"], "--resume")[0] == 2
    file.write_text(TOY.replace('"period": 10', '"period": 100'))
    for name in [name for name in sys.modules if name.startswith("taskgen_file_edited")]:
        del sys.modules[name]  # as in a new process
    assert call(*commands["sweep"], "--resume")[0] == 2


def test_who_listens_and_where_it_goes_makes_no_other_run(call: Call) -> None:
    command = ["run", "-t", "toy.py:sweep", "--limit", "3", *STORE]
    assert call(*command)[0] == 0
    assert call(*command, "--resume", "--json", "-m", "csv", "--check", "-o", "y.json")[0] == 0


BAD = [
    (["--resume"], "--store"),
    (["--store", "postgresql://host/db"], "postgresql is not supported"),
    (["--store", "a.db"], "sqlite:///FILE"),
    (["--store", "sqlite:///missing/a.db"], "missing/a.db: can't be written"),
    (["--store", "sqlite:///."], "no regular file"),
    (["--store", "sqlite:////dev/full"], "no regular file"),
    (["--store", "sqlite:///toy.py"], "is no SQLite file"),
    (["--store", "sqlite:///x.json", "-o", "x.json"], "name the same file"),
    (["--store", "sqlite:///a.db", "--policy", "edff"], "edf"),
    (["--store", "sqlite:///a.db", "--admission", "fairness"], "admission"),
    (["--store", "sqlite:///a.db", "--horizon", "nan"], "horizon"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_bad_input_is_one_clear_line_and_leaves_no_file(
    call: Call, folder: Path, arguments: list[str], said: str
) -> None:
    code, out, err = call("run", "-t", "toy.py:sweep", *arguments)
    lines = err.splitlines()
    assert (code, out) == (2, "")
    assert lines[0].startswith("error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    assert said in err
    assert {path.name for path in folder.iterdir()} <= {"toy.py", "__pycache__"}


def test_a_store_that_is_no_longer_ours_to_write_is_one_line(call: Call) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    command = ["run", "-t", "toy.py:sweep", "--limit", "3", *STORE]
    assert call(*command)[0] == 0
    Path("a.db").chmod(0o400)
    code, _, err = call(*command, "--resume")
    assert (code, len(err.splitlines())) == (2, 2)
    assert "read-only" in err
