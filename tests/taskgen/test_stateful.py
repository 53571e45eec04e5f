"""The state machine accepts sessions that keep their promises, and finds, shrinks and prints what breaks one."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.strategies import just

from sim.session import SimSession
from taskgen import Target
from taskgen.errors import UsageError
from taskgen.session import Session
from taskgen.strategies import tasksets
from taskgen.testing.stateful import run_session_machine, session_machine
from tests.taskgen import promises

#: The same programs each time, and as few as show something.
FEW = settings(max_examples=15, stateful_step_count=12, derandomize=True, database=None)
SEARCH = settings(
    max_examples=100,
    stateful_step_count=10,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
)
FIRST = settings(SEARCH, phases=[Phase.generate])
DEEP = settings(max_examples=300, stateful_step_count=50, database=None)

SIMULATORS = [
    Target("sim"),
    Target("sim", options={"cores": 2}),
    Target("sim", options={"policy": "edf", "overrun": "kill"}),
    Target("sim", options={"policy": "rr", "quantum_ms": 1, "trace": False}),
    *(Target("sim", generation) for generation in ("G1", "G1o", "G1p", "G3a", "G3b", "G4")),
]


def name_of(value: object) -> str:
    options = dict(getattr(value, "options", {})) or ""
    return f"{value}{options}" if isinstance(value, Target) else getattr(value, "__name__", type(value).__name__)


def failure_of(opens: Any, **options: Any) -> tuple[str, str]:
    """Return what a session breaks, as a sentence, and the script of the smallest program that shows it."""
    with pytest.raises(AssertionError) as caught:
        run_session_machine(opens, **{"settings": SEARCH, **options})
    scripts = [note for note in caught.value.__notes__ if "with Program(" in note]
    assert len(scripts) == 1
    return str(caught.value), scripts[0]


def steps_of(script: str) -> list[str]:
    """Return the names of the steps of a script."""
    return re.findall(r"^    program\.(\w+)", script, re.MULTILINE)


def run(script: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    file = folder / "program.py"
    file.write_text(script, "utf-8")
    return subprocess.run([sys.executable, file], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("target", SIMULATORS, ids=name_of)
def test_the_simulator_keeps_its_promises(target: Target) -> None:
    run_session_machine(target, settings=FEW)


@pytest.mark.nightly
@pytest.mark.parametrize("target", SIMULATORS, ids=name_of)
def test_the_simulator_keeps_its_promises_through_long_programs(target: Target) -> None:
    run_session_machine(target, settings=DEEP)


def test_other_task_sets_can_be_drawn() -> None:
    target = Target("sim", options={"cores": 2, "migration": "global", "context_switch_ms": 0.1})
    run_session_machine(target, tasksets=tasksets(n=3, max_period=10, cores=2, migration="global"), settings=FEW)


@pytest.mark.parametrize("opens", [promises.Steady, promises.Bench(), partial(SimSession, profile="G4")])
def test_whatever_opens_a_session_will_do(opens: Callable[[], Session]) -> None:
    run_session_machine(opens, settings=FEW)


def test_a_machine_is_a_unittest_too() -> None:
    machine = session_machine(promises.Steady)
    machine.TestCase.settings = FEW
    machine.TestCase("runTest").debug()


# -- what breaks a promise is found, and printed as a program that breaks it ------------------------------------------


@pytest.mark.parametrize(
    ("opens", "sentence", "steps"),
    [
        (promises.ForgetsStop, "before its first next never starts|returns soon after stop", ["start", "stop"]),
        (promises.NeverBusy, "a second run while one is active raises SessionBusy", ["start", "start_second"]),
        (promises.Leaks, "an event belongs to a task of the set|each event comes once", ["start", "start"]),
        (promises.IsLost, "a target without faults isn't lost; the run raised TargetLost: it fell", ["start"]),
    ],
    ids=name_of,
)
def test_the_smallest_program_that_breaks_a_promise_runs_as_a_file(
    opens: type[Session], sentence: str, steps: list[str], tmp_path: Path
) -> None:
    said, script = failure_of(opens)
    assert re.search(sentence, said)
    assert [step for step in steps_of(script) if step in {"start", "start_second", "stop"}][-2:] == steps
    assert len(steps_of(script)) <= 12
    again = run(script, tmp_path)
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1] == f"AssertionError: {said}"


@pytest.mark.parametrize(
    ("opens", "sentence"),
    [
        (promises.BearsGrudges(), "a target without faults isn't lost"),
        (promises.HumsBadly(), "a target without faults isn't lost"),
        (promises.Hasty(), r"check\(\) sends nothing, it sent 7 bytes"),
    ],
    ids=name_of,
)
def test_a_target_that_is_spoilt_and_mended(opens: Any, sentence: str) -> None:
    said, script = failure_of(opens, faults=opens, settings=FIRST)
    assert re.search(sentence, said)
    assert "fill in" in script, "an object that no expression stands for"


def test_a_target_that_is_spoilt_may_be_lost() -> None:
    bench = promises.Bench()
    run_session_machine(bench, faults=bench, settings=FEW)
    run_session_machine(bench, faults=bench, texts=just("cut"), settings=FEW)


def test_texts_need_something_that_takes_them() -> None:
    with pytest.raises(UsageError, match="texts: there is nothing to inject them with"):
        session_machine(promises.Steady, texts=just("cut"))
