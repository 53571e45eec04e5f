"""How long programs compute on a target: measured, fitted, stored, and turned into work."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.board import serve
from sim import PANDABOARD, simulate
from sim.boards.generation import GENERATIONS
from sim.workload import load as load_workload
from taskgen import Target, TaskSet
from taskgen.addresses import parse
from taskgen.bench import calibrated
from taskgen.bench.calibration import BEFORE_START_NS, Effort, Fitted, calibrate
from taskgen.bench.fitting import EXPONENTS, Curve, Point, Term, fit
from taskgen.boards import BoardTarget
from taskgen.errors import InputError, UsageError
from taskgen.inventory.model import Entry
from taskgen.parameters import parameters_of
from taskgen.testing.stand import Stand
from taskgen.units import NS_PER_MS

ARGUMENTS = (1, 1000, 50_000, 200_000, 500_000)
TABLE = {
    name: Curve(each.constant_ms, tuple(Term(term.coefficient_ms, term.exponent) for term in each.terms))
    for name, each in PANDABOARD.programs.items()
}


def curve(constant_ms: Any, *terms: tuple[Any, Any]) -> Curve:
    return Curve(Decimal(constant_ms), tuple(Term(Decimal(a), Decimal(b)) for a, b in terms))


def measured(target: Target, *programs: str, **effort: Any) -> list[Fitted]:
    with Stand(target) as stand:
        return calibrate(stand, programs or ["pi"], Effort(**{"repeat": 1, **effort}))


# -- curves ------------------------------------------------------------------------------------------------------------


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """Draw a curve of one term that is felt beside its constant."""
    exponent = draw(st.sampled_from(EXPONENTS))
    at_largest_ms = draw(st.integers(100, 900))
    coefficient = (at_largest_ms / Decimal(4096) ** exponent).normalize()
    digits = Decimal(f"{coefficient:.3E}")
    return curve(draw(st.integers(1, 300)), (digits, exponent))


@settings(max_examples=30)
@given(curves())
def test_exact_times_give_the_curve_that_they_are_from(known: Curve) -> None:
    points = [Point(each, (known.execution_ns(each),)) for each in (0, 1, 16, 64, 256, 512, 1024, 2048, 4096)]
    found = fit(points, 1)
    for each in range(0, 4096, 111):
        assert abs(found.execution_ns(each) - known.execution_ns(each)) <= known.execution_ns(each) // 500 + 2


@settings(max_examples=30)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=12))
def test_no_coefficient_is_negative_whatever_the_times(times_ns: list[int]) -> None:
    found = fit([Point(4**number, (time_ns,)) for number, time_ns in enumerate(times_ns)], NS_PER_MS)
    assert found.constant_ms >= 0
    assert all(term.coefficient_ms > 0 for term in found.terms)


def test_what_is_within_the_resolution_is_no_term() -> None:
    assert fit([Point(1, (77_000_000,)), Point(1000, (78_000_000,)), Point(2000, (77_000_000,))], NS_PER_MS).terms == ()


def test_one_outlier_among_the_samples_changes_nothing() -> None:
    known = curve(100, ("0.001", 1))
    points = [Point(each, (*[known.execution_ns(each)] * 4, 900 * NS_PER_MS)) for each in (0, 10**4, 10**5, 5 * 10**5)]
    assert fit(points, 1) == known


# -- measuring ---------------------------------------------------------------------------------------------------------


def test_the_simulator_gives_the_coefficients_of_its_table_exactly() -> None:
    for found in measured(Target("sim"), "pi", "linpack", "tumatmul", "hey"):
        assert found.curve == TABLE[found.program]
        assert found.max_percent == 0
        assert found.misfit is None


def test_no_job_is_run_that_would_take_too_long() -> None:
    told: list[str] = []
    with Stand(Target("sim")) as stand:
        (found,) = calibrate(stand, ["linpack"], Effort(1, max_ms=400), notify=told.append)
    assert max(each.measured_ns for each in found.residuals) <= 400 * NS_PER_MS
    assert "linpack: argument 256 would take about" in "\n".join(told)


def test_arguments_that_would_take_too_long_are_left_out() -> None:
    (found,) = measured(Target("sim"), arguments=(10**6, 10, 1000, 10**5, 10**4, 10**7))
    assert [each.argument for each in found.residuals] == [10, 1000, 10_000, 100_000, 1_000_000]


def test_a_program_that_never_ends_is_an_error_that_says_so() -> None:
    with pytest.raises(UsageError, match="'idle': not even its shortest job came to its end within 100 ms"):
        measured(Target("sim"), "idle", max_ms=50)


def test_a_program_that_nobody_knows_is_the_users_error() -> None:
    with pytest.raises(InputError, match="'mine' has no known execution time"):
        measured(Target("sim"), "mine")


def test_repetitions_have_draws_of_their_own() -> None:
    (found,) = measured(Target("sim", "", {"execution": "uniform:100ms,200ms"}), repeat=9, arguments=ARGUMENTS)
    assert all(len(set(each.samples_ns)) > 1 for each in found.residuals)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"repeat": 0}, "repeat 0"),
        ({"repeat": 10**13}, "repeat 10000000000000: expected at most 1000 jobs per argument"),
        ({"repeat": 1000, "arguments": tuple(range(100))}, "20000 in all"),
        ({"max_ms": 0}, "max-ms 0"),
        ({"bound_percent": Decimal("nan")}, "bound: NaN"),
        ({"bound_percent": Decimal(-1)}, "bound: -1"),
        ({"arguments": ()}, "arguments: expected 1"),
        ({"arguments": (-1,)}, "arguments: expected 1"),
        ({"arguments": (1 << 32,)}, "arguments: expected 1"),
    ],
)
def test_an_effort_that_makes_no_sense_is_refused(wrong: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Effort(**wrong)


@contextmanager
def board(generation: str, workload: Path | None = None) -> Iterator[Target]:
    with serve(generation=generation, workload=workload) as boards:
        target = boards.targets[0]
        yield replace(target, options={**target.options, "dialect": generation, "quiet_ms": 10})


@pytest.mark.parametrize("generation", ["G4", "G3a"])
def test_a_board_in_software_gives_its_table_within_its_stamps(generation: str) -> None:
    with board(generation) as target:
        (found,) = measured(target, arguments=ARGUMENTS)
    assert found.misfit is None
    for each in (0, 300_000, 500_000):
        predicted_ns, known_ns = found.curve.execution_ns(each), PANDABOARD.programs["pi"].execution_ns(each)
        assert abs(predicted_ns - known_ns) < 2 * NS_PER_MS


@pytest.mark.parametrize("row", GENERATIONS.values(), ids=lambda row: row.name)
def test_what_a_table_counts_before_start_is_what_the_simulator_takes_away(row: Any) -> None:
    """The first instruction comes 25 ms behind the creation (wire-protocol 6.7), on G1 with the wear of its board."""
    timing = row.timing
    before_ns = timing.first_cpu_ns - timing.worn_ns(timing.wear_instances)
    assert abs(before_ns - BEFORE_START_NS) <= NS_PER_MS


def test_a_curve_that_misses_a_point_is_a_misfit() -> None:
    (found,) = measured(Target("sim"), "tumatmul", bound_percent=Decimal(0))
    assert found.misfit is None
    off = replace(found, curve=curve(1), residuals=(found.residuals[0]._replace(predicted_ns=NS_PER_MS),))
    assert off.misfit is not None
    assert (off.misfit.argument, off.rms_percent) == (1, Decimal("99.138"))


# -- files -------------------------------------------------------------------------------------------------------------


def written(path: Path, target: Target = Target("sim"), **effort: Any) -> dict[str, Any]:  # noqa: B008  # it is frozen
    effort = {"arguments": ARGUMENTS, **effort}
    found = measured(target, "pi", "hey", **effort)
    document = calibrated.document(target, "ideal", found, Effort(**effort))
    assert calibrated.write(path, document) == ["pi", "hey"]
    return document


def test_a_calibration_is_a_workload_table(tmp_path: Path) -> None:
    path = tmp_path / "sim.toml"
    written(path)
    task = {"pkg": "pi", "config": {"arg1": 1234}, "period": 1000, "numberofjobs": 1}
    assert {*load_workload(path).programs} == {"pi", "hey"}
    trace = simulate(TaskSet([task]), workload=str(path))
    (parameters,) = parameters_of([task])
    assert trace.jobs[0].executed_ns == PANDABOARD.execution_ns(parameters)


def test_simulator_and_work_predict_the_same_to_the_nanosecond(tmp_path: Path) -> None:
    path = tmp_path / "sim.toml"
    path.write_text(TABLE_OF_BOARD)
    programs = load_workload(path).programs
    for name, known in calibrated.load(path).curves.items():
        for argument in (0, 1, 7, 12345, 4_000_000_000):
            assert known.execution_ns(argument) == programs[name].execution_ns(argument)


def test_the_file_says_where_it_is_from_and_how_good_it_is(tmp_path: Path) -> None:
    written(tmp_path / "a.toml", repeat=2, seed=7)
    about = tomllib.loads((tmp_path / "a.toml").read_text())["calibration"]
    assert (about["target"], about["generation"], about["seed"], about["repeat"]) == ("sim", "ideal", 7, 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", about["when"])
    program = about["programs"]["pi"]
    assert program["max_residual_percent"] == program["rms_residual_percent"] == 0
    assert program["points"][1] == {
        "arg1": 1000, "measured_ms": 102.861, "predicted_ms": 102.861, "residual_percent": 0.0,
        "samples_ms": [102.861, 102.861],
    }  # fmt: skip


def test_what_does_not_fit_is_not_stored(tmp_path: Path) -> None:
    document = written(tmp_path / "a.toml")
    document["programs"]["pi"]["fits"] = False
    assert calibrated.write(tmp_path / "b.toml", document) == ["hey"]
    document["programs"]["hey"]["fits"] = False
    assert calibrated.write(tmp_path / "c.toml", document) == []
    assert not (tmp_path / "c.toml").exists()


def test_names_of_calibrations(tmp_path: Path) -> None:
    entry = Entry("lab", "taskloader", (parse("10.0.0.7"),))
    known = {
        "sim": Target("sim"),
        "sim_G4": Target("sim", "G4"),
        "sim_G1": Target("sim", "", {"profile": "G1"}),
        "10.0.0.7_3001": Target("taskloader", "10.0.0.7"),
        "__1_3002": Target("taskloader", "[::1]:3002"),
        "lab": BoardTarget("taskloader", "10.0.0.7", entry=entry),
    }
    for name, target in known.items():
        assert calibrated.path_of(target, tmp_path) == tmp_path / f"{name}.toml"
        assert calibrated.find(target, tmp_path) is None
    (tmp_path / "lab.toml").touch()
    assert calibrated.find(known["lab"], tmp_path) == tmp_path / "lab.toml"
    (tmp_path / "10.0.0.7_3001.toml").touch()
    assert calibrated.find(known["lab"], tmp_path) == tmp_path / "10.0.0.7_3001.toml"


TABLE_OF_BOARD = """
[pi]
constant_ms = 101.535
terms = [{ coefficient_ms = 0.000861081, exponent = 1 }, { coefficient_ms = 0.0000001, exponent = 1.5 }]

[calibration]
schema = 1
target = "board"
generation = "G4"
when = "2026-11-22T05:34:25Z"

[calibration.programs.pi]
points = [{ arg1 = 1 }, { arg1 = 100000 }]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (TABLE_OF_BOARD, "= 1", "is no TOML"),
        (TABLE_OF_BOARD, "", r"has no table \[calibration\]"),
        ("[calibration]\n", "[calibrated]\n", r"calibration.schema: is None, expected 1"),
        ("schema = 1", "schema = 2", "calibration.schema: is 2, expected 1"),
        ('generation = "G4"', "generation = 4", "calibration.generation: is 4, expected a text"),
        ("101.535", "-1", r"\[pi\]: constant_ms: -1 is no number from 0 on"),
        ("101.535", "nan", r"\[pi\]: constant_ms: NaN is no number"),
        ("101.535", "true", r"\[pi\]: constant_ms: True is no number"),
        ("exponent = 1.5", "exponent = 9", "exponent: 9 is out of range"),
        (", exponent = 1.5", "", r"\[pi\]: terms: expected coefficient_ms and exponent"),
        ("constant_ms = 101.535", "endless = true", r"\[pi\]: expected constant_ms and terms"),
        ("points = [{ arg1 = 1 }, { arg1 = 100000 }]", "points = []", r"has no points with an arg1"),
        ("points = [{ arg1 = 1 }, { arg1 = 100000 }]", "points = 3", r"has no points with an arg1"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(TABLE_OF_BOARD.replace(old, new))
    with pytest.raises(UsageError, match=message):
        calibrated.load(path)


def test_a_file_that_is_missing_or_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read: No such file"):
        calibrated.load(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_bytes(b"#" * (1 << 21))
    with pytest.raises(UsageError, match="too long for a calibration"):
        calibrated.load(tmp_path / "a.toml")


# -- work --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def work(tmp_path: Path) -> calibrated.Calibrated:
    folder = tmp_path / "calibrations"
    folder.mkdir()
    (folder / "board.toml").write_text(TABLE_OF_BOARD)
    entry = Entry("board", "taskloader", (parse("10.0.0.7"),))
    found = calibrated.work_of(BoardTarget("taskloader", "10.0.0.7", entry=entry), folder)
    assert found is not None
    return found


@given(st.integers(102, 190))
def test_a_block_computes_as_nearly_as_the_argument_allows(work_ms: int) -> None:
    known = calibrated.Calibrated("board.toml", {"pi": curve(101, ("0.001", 1))}, {"pi": 100_000}, {"generation": "G4"})
    task = known.block(work_ms)
    assert (task["pkg"], task["config"]["arg1"]) == ("pi", (work_ms - 101) * 1000)
    assert known.wcet_ms(task) == work_ms


def test_the_record_names_the_calibration(work: calibrated.Calibrated, tmp_path: Path) -> None:
    assert work.source == f"calibration {tmp_path / 'calibrations' / 'board.toml'}"
    assert calibrated.work_of(Target("sim"), tmp_path) is None


def test_nothing_is_said_beyond_what_was_measured(work: calibrated.Calibrated) -> None:
    with pytest.raises(UsageError, match=r"has no job of pi so long, only up to 190\.80"):
        work.block(400)
    with pytest.raises(UsageError, match=r"shortest job takes 101\.535 ms"):
        work.block(10)
    assert work.predicted_ns("pi", 100_001) is None
    assert work.predicted_ns("hey", 0) is None
    assert work.predicted_ns("pi", 0) == 76_535_000
