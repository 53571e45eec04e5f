"""Options of `taskgen run` that contradict each other, or that a target can't honour: exit 2 before anything runs."""

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taskgen import cli, registry

Run = Callable[..., tuple[int, str, str]]

SETS = """
from sim import JobFixedPriority, Policy
from taskgen import TaskSet

def two():
    return TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 2, "period": 6}])

def six():
    return TaskSet([{"executiontime": 1, "period": 4, "priority": range(6)}])

class Forgets(JobFixedPriority):
    def priorities(self, tasks):
        return {0: 1}

class Leaves(Policy):
    def rank(self, job, now_ns):
        raise SystemExit(3)
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs a command line in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "sets.py").write_text(SETS)
    task = {"id": 0, "executiontime": 1, "period": 4, "priority": {"range": [0, 6]}}
    (tmp_path / "six.json").write_text(json.dumps({"taskset": {"periodictask": [task]}}))

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
        captured = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, captured.out, captured.err

    return call


def _words(value: list[str] | str) -> str:
    return value if isinstance(value, str) else " ".join(value)


def refused(run: Run, *arguments: str) -> list[str]:
    """Return the two lines of a refusal."""
    code, out, err = run(*arguments)
    lines = err.splitlines()
    assert (code, out) == (2, ""), err
    assert [line.partition(" ")[0] for line in lines] == ["error:", "hint:"]
    return lines


# -- given twice -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--profile", "G1", "--profile", "G4"], "--profile: given twice differently: G1, G4"),
        (["--policy", "rm", "--policy=edf"], "--policy: given twice differently: rm, edf"),
        (["--cores", "2", "--horizon", "5", "--cores", "3"], "--cores: given twice differently: 2, 3"),
        (["--execution", "uniform:0.5", "--execution", "uniform:0.6"], "--execution: given twice differently"),
        (["-o", "a", "--output", "b"], "--output: given twice differently: a, b"),
        (["-p1", "-p", "2"], "--port: given twice differently: 1, 2"),
        (["-s", "sim", "-s", "stdio"], "--session: given twice differently: sim, stdio"),
        (["--seed", "1", "--seed", "2", "--seed", "1"], "--seed: given twice differently: 1, 2"),
    ],
    ids=_words,
)
def test_an_option_given_twice_differently_is_refused(run: Run, arguments: list[str], named: str) -> None:
    assert named in refused(run, "run", "-t", "sets.py:two", *arguments)[0]


def test_twice_the_same_is_no_contradiction_and_what_repeats_repeats(run: Run) -> None:
    arguments = ["--policy", "rm", "--policy", "rm", "--horizon", "4", "--check", "--check", "-t", "sets.py:two"]
    code, out, _ = run("run", "-t", "sets.py:two", *arguments, "-m", "stdout", "-m", "stdout")
    assert code == 0
    assert out.count("2 variants: 2 finished") == 2


def test_so_it_is_for_lists(run: Run) -> None:
    assert "--inventory: given twice" in refused(run, "list", "targets", "--inventory", "a", "--inventory", "b")[0]


def test_behind_two_dashes_nothing_is_an_option(run: Run) -> None:
    assert "--profile" in refused(run, "run", "-t", "sets.py:two", "--profile", "G1", "--", "--profile")[0]


# -- all targets, before anything runs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["sim", "sim:G4", "--profile", "G1"], "profile: sim:G4 and 'G1' contradict each other"),
        (["sim", "stdio", "--policy", "edf"], "stdio: StdIOSession takes no option 'policy'"),
        (["sim:ideal", "sim:G4", "--tie", "index"], "profile G4 and tie index don't go together"),
        (["sim:ideal", "sim:G1", "--partition", "worst-fit"], "profile G1 and partition worst-fit don't go together"),
    ],
    ids=_words,
)
def test_each_target_is_looked_at_first(run: Run, arguments: list[str], named: str) -> None:
    """However many variants there are, and whoever comes first."""
    assert named in refused(run, "run", "-f", "six.json", *arguments)[0]


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["--context-switch", "-1"], "--context-switch: -1 is negative", "give --context-switch in milliseconds"),
        (["--scheduler-cost", "nan"], "--scheduler-cost: NaN is not a finite number", "give --scheduler-cost"),
        (["--migration-cost", "inf"], "--migration-cost: Infinity is not a finite number", "give --migration-cost"),
        (["--policy", "rm", "--quantum", "3"], "--quantum: 3.0: policy 'rm' has no quantum", "leave it out"),
        (["--policy", "rr", "--non-preemptive"], "policy rr and --non-preemptive don't", "or no --non-preemptive"),
        (["--cores", "2000"], "cores: 2000 isn't supported, expected 1..1024 with profile ideal", "list policies"),
        (["--tie", "foo"], "tie: 'foo' isn't supported, expected running or index", "list policies"),
        (["--profile", ""], "profile: '' isn't supported, expected ideal", "list policies"),
        (["--execution", "recording:six.json,ms,sequence"], "3 words, expected FILE or FILE,COLUMN", "workload table"),
    ],
    ids=str,
)
def test_options_are_named_as_they_were_written(run: Run, arguments: list[str], error: str, hint: str) -> None:
    """By their flags, with a hint, and without blaming the file of the set."""
    lines = refused(run, "run", "-f", "six.json", *arguments)
    assert error in lines[0]
    assert "(six.json)" not in lines[0]
    assert hint in lines[1]


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ("sets.py:Forgets", "policy Forgets: priorities() has no rank for task 1"),
        ("sets.py:Leaves", "policy Leaves failed: SystemExit: 3"),
        ("sim.policy:Policy", "Policy has no rank()"),
        ("sim.policy:JobFixedPriority", "JobFixedPriority has no priorities()"),
    ],
)
def test_a_policy_that_is_wrong_is_its_authors_fault(run: Run, policy: str, named: str) -> None:
    """Neither a lost target, which is tried again, nor our bug."""
    code, _, err = run("run", "-t", "sets.py:two", "--policy", policy, "--cores", "2", "--migration", "global")
    assert code == 2
    assert [named in line for line in err.splitlines() if line.startswith("error: ")] == [True]


# -- a run that shows nothing ----------------------------------------------------------------------------------------


def test_where_no_job_is_born_before_the_horizon_a_note_says_so_once(run: Run) -> None:
    """A board takes 26 ms to create a job; two hyperperiods are over at 24 ms."""
    code, _, err = run("run", "-t", "sets.py:two", "-t", "sets.py:two", "--profile", "G1")
    assert code == 0
    (note,) = err.splitlines()
    assert note.startswith("note: variant 0 on sim: no job was born before the horizon of 24.0 ms")
    assert "--horizon" in note
    assert run("run", "-t", "sets.py:two", "--profile", "G1", "--horizon", "100")[2] == ""
    assert run("run", "-t", "sets.py:two", "stdio")[2] == ""  # it runs nothing at all


# -- plug-ins --------------------------------------------------------------------------------------------------------

PLUG_INS = """
import typer

good = typer.Typer()

@good.command("go")
def go():
    print("went")

@good.command("stay")
def stay():
    print("stayed")

bad = typer.Typer()

@bad.command("go")
def takes(x: list[list[int]]):
    pass

number = 42
"""


@pytest.fixture
def _plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugged_commands.py").write_text(PLUG_INS)
    monkeypatch.syspath_prepend(tmp_path)
    names = {"good": "good", "untyped": "bad", "number": "number", "missing": "nothing", "run": "number"}
    found = {
        name: importlib.metadata.EntryPoint(name, f"plugged_commands:{value}", "taskgen.commands")
        for name, value in names.items()
    }
    entries = registry.entries

    def with_plug_ins(group: str) -> dict[str, importlib.metadata.EntryPoint]:
        return found if group == "commands" else entries(group)

    monkeypatch.setattr(registry, "entries", with_plug_ins)


@pytest.mark.usefixtures("_plug_ins")
def test_a_broken_command_breaks_nothing_but_itself(run: Run) -> None:
    assert run("run", "-t", "sets.py:two", "--policy", "rm")[0] == 0
    assert run("good", "go")[:2] == (0, "went\n")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    for name in ("untyped", "number", "missing"):
        assert any(name in line and "Broken: command" in line for line in out.splitlines())


@pytest.mark.usefixtures("_plug_ins")
@pytest.mark.parametrize(
    ("name", "reason"),
    [("untyped", "making it failed"), ("number", "is no typer.Typer"), ("missing", "AttributeError")],
)
def test_what_is_wrong_with_it_is_said_when_it_is_asked_for(run: Run, name: str, reason: str) -> None:
    for arguments in ([], ["go", "--fast", "-x", "3"], ["--help"]):
        code, out, err = run(name, *arguments)
        assert (code, out) == (2, "")
        assert err.startswith(f"error: command '{name}': ")
        assert reason in err.splitlines()[0]
