"""Predicted versus measured: residuals per task, and the assumption that breaks first."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.board import serve
from sim import SimSession
from taskgen import Target, TaskSet
from taskgen.bench.assumptions import ASSUMPTIONS, Comparison
from taskgen.bench.fidelity import fidelity, tables
from taskgen.bench.prepare import setting_of
from taskgen.bench.suite import Measured
from taskgen.blocks import pi
from taskgen.errors import UsageError
from taskgen.monitors.stdout import plain_console
from taskgen.session import Session
from taskgen.testing.properties.law import BOARD_TOLERANCES, ZERO, Tolerance
from taskgen.testing.runs import Executed, execute
from taskgen.testing.stand import Stand

ALONE = [{**pi.Value(100_000), "period": 1000, "criticaltime": 500, "priority": 1, "numberofjobs": 3}]
TWO = [
    {**pi.Value(100_000), "period": 2000, "criticaltime": 1500, "priority": 1, "numberofjobs": 2},
    {**pi.Value(400_000), "period": 2000, "criticaltime": 1500, "priority": 2, "numberofjobs": 2},
]
SLOW = "[pi]\nconstant_ms = 102\nterms = [{ coefficient_ms = 0.0012, exponent = 1 }]\n"


def measured_on(stand: Stand, tasks: Sequence[Any]) -> Measured:
    taskset = TaskSet(tasks)
    setting = setting_of(stand, seed=0, duration_ms=1000)
    return Measured(taskset, stand.execute(taskset, horizon_ms=8000), setting, 0, 0)


def report_of(target: Target, *sets: Sequence[Any], against: str = "sim") -> dict[str, Any]:
    with Stand(target) as stand:
        runs = [(f"case {number}", measured_on(stand, each)) for number, each in enumerate(sets)]
        return fidelity(runs, stand.target, against=against)


# The admission control of G3a refuses all tasks with a priority but the first (wire-protocol 5.3).
@pytest.mark.parametrize(("generation", "tasks"), [("G4", TWO), ("G3a", [{**TWO[0], "executiontime": 170}])])
def test_a_board_in_software_does_what_the_simulator_predicts(generation: str, tasks: list[Any]) -> None:
    with serve(generation=generation) as boards:
        target = boards.targets[0]
        options = {**target.options, "dialect": generation, "quiet_ms": 20}
        report = report_of(replace(target, options=options), ALONE, tasks)
    assert report["oracle"] == f"sim:{generation}"
    assert report["first"] is None
    for row in report["tasks"]:
        assert row["duration_ms"]["predicted"] == row["duration_ms"]["measured"] is not None
        assert row["start_residual_ms"] == {"median": 0.0, "max": 0.0}
        assert row["jobs"]["predicted"] == row["jobs"]["measured"] > 1
    assert [row["case"] for row in report["tasks"]] == ["case 0", *["case 1"] * len(tasks)]


def test_a_slow_board_breaks_the_execution_times(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(SLOW)
    with serve(generation="G4", workload=tmp_path / "slow.toml") as boards:
        report = report_of(boards.targets[0], ALONE, TWO)
    assert report["first"]["assumption"] == "execution times"
    assert report["first"]["first_in_runs"] == 2
    alone = report["tasks"][0]
    assert alone["duration_ms"] == {"predicted": 163.0, "measured": 197.0}
    assert alone["duration_residual_percent"] == pytest.approx(20.859)


def test_the_simulator_agrees_with_itself() -> None:
    report = report_of(Target("sim"), [{"executiontime": 3, "period": 10}, {"executiontime": 4, "period": 15}])
    assert (report["oracle"], report["first"], report["runs"]) == ("sim:ideal", None, 1)


def test_what_the_oracle_cannot_run_is_named_and_the_rest_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = [{"pkg": "mine", "executiontime": 3, "period": 100}]
    with Stand(Target("sim")) as stand:
        runs = [("known", measured_on(stand, ALONE)), ("unknown", measured_on(stand, unknown))]
        del runs[1][1].taskset[0]["executiontime"]
        report = fidelity(runs, stand.target)
    assert list(report["unpredicted"]) == ["unknown"]
    assert [row["case"] for row in report["tasks"]] == ["known"]


def test_only_a_simulator_is_an_oracle() -> None:
    with pytest.raises(UsageError, match="is no oracle"):
        report_of(Target("sim"), ALONE, against="board")


def test_nothing_measured_is_nothing_compared() -> None:
    assert fidelity([], Target("sim"))["first"] is None


# -- which assumption --------------------------------------------------------------------------------------------------


def run(tasks: Sequence[Any], **options: Any) -> Executed:
    return execute(SimSession(**options), TaskSet(tasks), horizon_ms=1000)


def first(measured: Executed, predicted: Executed, tolerance: Tolerance = ZERO) -> str | None:
    found = Comparison(measured, predicted, tolerance).breaks()
    return found[0].assumption if found else None


def test_who_is_scheduled_by_another_policy_ends_in_another_order() -> None:
    tasks = [
        {"executiontime": 10, "period": 100, "deadline": 90, "priority": 1},
        {"executiontime": 20, "period": 100, "deadline": 30, "priority": 2},
    ]
    assert first(run(tasks, policy="edf"), run(tasks, policy="fp")) == "order"


def test_who_executes_longer_breaks_the_execution_times() -> None:
    fast, slow = ([{"executiontime": c, "period": 100}, {"executiontime": 5, "period": 50}] for c in (10, 13))
    assert first(run(slow), run(fast)) == "execution times"


def test_who_is_released_late_breaks_the_release_times() -> None:
    early, late = ([{"executiontime": 10, "period": 100, "offset": offset}] for offset in (0, 7))
    assert first(run(late), run(early)) == "release times"


def test_who_is_killed_though_it_takes_as_long_breaks_the_kills() -> None:
    free = [{"executiontime": 10, "period": 100}, {"executiontime": 20, "period": 100}]
    assert first(run([free[0], {**free[1], "criticaltime": 15}]), run(free)) == "kills"


def board_run(*lives: tuple[int, int, int], session: Session) -> Executed:
    """Return a run of single jobs on a board: task, START and EXIT in ms."""
    from taskgen.events import EventType
    from taskgen.trace import Job
    from taskgen.units import NS_PER_MS

    tasks = TaskSet([{"pkg": "pi", "period": 0, "priority": task} for task, _, _ in lives])
    jobs = [
        Job(task, 0, None, None, start * NS_PER_MS, end * NS_PER_MS, None, EventType.EXIT, None, None, None)
        for task, start, end in lives
    ]
    plan = session.check(tasks, horizon_ms=5000)
    return Executed(plan, session.capabilities, jobs)


@pytest.mark.parametrize(
    ("measured", "assumption"),
    [
        ([(0, 26, 189), (1, 64, 800)], None),
        ([(0, 27, 190), (1, 65, 801)], None),  # stamps are cut on both sides
        ([(0, 26, 189), (1, 64, 900)], "delays of siblings"),  # the end of task 0 is within the life of task 1
        ([(0, 26, 189), (1, 120, 856)], "delays of siblings"),
        ([(0, 26, 189), (1, 1564, 2300)], "release times"),
        ([(0, 26, 820), (1, 64, 600)], "order"),
    ],
)
def test_on_a_board_siblings_are_blamed_for_what_they_can_do(
    measured: list[tuple[int, int, int]], assumption: str | None
) -> None:
    from hil.session import TaskloaderSession

    session = TaskloaderSession(dialect="G3a", binaries="none")
    predicted = board_run((0, 26, 189), (1, 64, 800), session=session)
    assert first(board_run(*measured, session=session), predicted, BOARD_TOLERANCES["G3a"]) == assumption


@given(
    st.lists(
        st.fixed_dictionaries(
            {"executiontime": st.integers(1, 20), "period": st.sampled_from([10, 20, 50]), "offset": st.integers(0, 9)}
        ),
        min_size=1,
        max_size=3,
    )
)
def test_a_run_never_differs_from_itself(tasks: list[dict[str, int]]) -> None:
    assert first(run(tasks), run(tasks)) is None


# -- tables ------------------------------------------------------------------------------------------------------------


def test_the_tables_show_tasks_and_assumptions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "slow.toml").write_text(SLOW)
    with Stand(Target("sim", "", {"profile": "G4", "workload": str(tmp_path / "slow.toml")})) as stand:
        run = measured_on(stand, ALONE)
    report = fidelity([("latency/low", run)], Target("sim", "", {"profile": "G4"}))
    for table in tables(report):
        plain_console().print(table)
    shown = capsys.readouterr().out
    assert "predicted by sim:G4" in shown
    assert all(assumption in shown for assumption in ASSUMPTIONS)
    (line,) = [line for line in shown.splitlines() if "execution times" in line]
    assert "1 of 1 runs" in line
    assert "job 0 of task 0 took 197.0 ms instead of 163.0 ms" in line
