"""How long a job computes: its execution time, or that of its program."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import NEVER, PANDABOARD, Program, SimSession, Workload, simulate
from sim.workload import Term, load
from taskgen import TaskSet
from taskgen.blocks import pi
from taskgen.errors import InputError, UsageError
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS, to_ns


def execution_ns(task: dict[str, Any], workload: Workload = PANDABOARD) -> int:
    (parameters,) = parameters_of([{"period": 1000, **task}])
    return workload.execution_ns(parameters)


def program(name: str, arg1: object = None) -> dict[str, Any]:
    return {"pkg": name, "config": {} if arg1 is None else {"arg1": arg1}}


@pytest.mark.parametrize(
    ("name", "arg1", "ms"),
    [
        # 25 ms to the first instruction, what the program costs in any case, and the fit over its argument.
        ("hey", None, "68"),
        ("namaste", None, "68"),
        ("cond_mod", 5, "87"),
        ("cond_42", 42, "87"),
        ("pi", 0, "102"),
        ("pi", 100_000, "188.1"),
        ("linpack", 100, "198.7"),  # 135 + 0.0024 x 10^4 + 3.97e-5 x 10^6
        ("linpack", 1, "135.0024397"),
        ("tumatmul", 10_000, "140.4"),  # 116 + 0.0015 x 10^4 + 9.4e-6 x 10^6
        ("tumatmul", 2, "116.003026587"),  # 9.4e-6 x 2^1.5 = 2.6587e-5
    ],
)
def test_the_figures_of_the_pandaboard(name: str, arg1: int | None, ms: str) -> None:
    assert execution_ns(program(name, arg1)) == int((Decimal(ms) * NS_PER_MS).to_integral_value())


def test_an_own_execution_time_wins() -> None:
    assert execution_ns({"executiontime": 2.5, **program("pi", 10)}) == 2_500_000


def test_the_placeholder_of_old_descriptions_means_unknown() -> None:
    assert execution_ns({"executiontime": 99_999_999, **program("hey")}) == 68 * NS_PER_MS


def test_idle_runs_for_ever() -> None:
    assert execution_ns(program("idle")) == NEVER
    trace = simulate(TaskSet([{**program("idle"), "priority": 9}, {**program("hey"), "priority": 1}]), horizon_ms=1000)
    assert [str(job.outcome) for job in trace.jobs] == ["EXIT_EXTERNAL", "EXIT"]
    assert trace.jobs[0].executed_ns == (1000 - 68) * NS_PER_MS


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"executiontime": 99_999_999}, "task 0: has no executiontime and no pkg"),
        (program("doom"), "task 0: pkg: 'doom' has no known execution time"),
        ({"pkg": 3}, "task 0: pkg: 3 has no known execution time"),
    ],
)
def test_an_unknown_program_names_both_ways_out(task: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        execution_ns(task)
    assert message in str(caught.value)
    assert "'pandaboard' knows cond_42, cond_mod, hey, idle, linpack, namaste, pi, tumatmul" in str(caught.value)
    assert "executiontime" in caught.value.hint
    assert "--workload FILE.toml" in caught.value.hint


@pytest.mark.parametrize("arg1", [None, -1, 2**32, 1.5, "10", True])
def test_an_argument_that_is_no_u32_is_refused(arg1: object) -> None:
    with pytest.raises(InputError, match=r"task 0: config\.arg1: .* is no argument for 'pi', expected a whole number"):
        execution_ns(program("pi", arg1))


def test_a_program_that_ignores_its_argument_needs_none() -> None:
    assert execution_ns({"pkg": "hey"}) == 68 * NS_PER_MS


@given(st.sampled_from(["pi", "linpack", "tumatmul"]), st.integers(0, 10**5), st.integers(0, 10**5))
def test_more_work_takes_longer(name: str, one: int, other: int) -> None:
    less, more = sorted([one, other])
    assert execution_ns(program(name, less)) <= execution_ns(program(name, more))


def test_a_block_runs_for_its_time() -> None:
    trace = simulate(TaskSet([{**pi.Value(1000), "period": 0}]))
    assert trace.max_response_ns == {0: 102_861_000}


# -- tables of one's own ---------------------------------------------------------------------------------------------

TABLE = """
[fft]
constant_ms = 0.5
terms = [{ coefficient_ms = 0.001, exponent = 2 }, { coefficient_ms = 0.1, exponent = 0.5 }]

[spin]
endless = true

[tick]
constant_ms = 3
"""


def table(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_table_from_a_file(tmp_path: Path) -> None:
    workload = load(table(tmp_path, TABLE))
    assert workload.name == "mine"
    assert execution_ns(program("fft", 100), workload) == to_ns(0.5 + 10 + 1, "C")
    assert execution_ns(program("spin"), workload) == NEVER
    assert execution_ns(program("tick"), workload) == 3 * NS_PER_MS
    with pytest.raises(InputError, match="'mine' knows fft, spin, tick"):
        execution_ns(program("hey"), workload)


def test_a_session_takes_a_table_a_path_or_a_name(tmp_path: Path) -> None:
    path = table(tmp_path, TABLE)
    tasks = TaskSet([{"pkg": "tick", "period": 0}])
    for workload in (path, str(path), load(path)):
        assert simulate(tasks, workload=workload).max_response_ns == {0: 3 * NS_PER_MS}
    assert SimSession(workload="pandaboard").workload is PANDABOARD


def test_a_table_in_python() -> None:
    cube = Workload("mine", {"cube": Program(Decimal(1), (Term(Decimal("0.001"), Decimal(3)),))})
    assert execution_ns(program("cube", 10), cube) == 2 * NS_PER_MS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fft", "is no TOML"),
        ("fft = 3", "[fft]: expected a table with constant_ms, distribution, endless, terms, got 3"),
        ("[fft]", "[fft]: expected a table with"),
        ("[fft]\nconstant = 3", "[fft]: expected a table with"),
        ("[fft]\nconstant_ms = '3'", "[fft]: constant_ms: '3' is no number"),
        ("[fft]\nconstant_ms = true", "[fft]: constant_ms: True is no number"),
        ("[fft]\nconstant_ms = -1", "[fft]: constant_ms: -1 is out of range"),
        ("[fft]\nconstant_ms = nan", "[fft]: constant_ms: NaN is out of range"),
        ("[fft]\nconstant_ms = inf", "[fft]: constant_ms: Infinity is out of range"),
        ("[fft]\nconstant_ms = 1e400", "[fft]: constant_ms: 1E+400 is out of range"),
        ("[fft]\nendless = 1", "[fft]: endless: 1 is neither true nor false"),
        ("[fft]\nterms = 3", "[fft]: terms: 3 is no list"),
        ("[fft]\nterms = [3]", "[fft]: terms: expected { coefficient_ms"),
        ("[fft]\nterms = [{ coefficient_ms = 1 }]", "[fft]: terms: expected { coefficient_ms"),
        (
            "[fft]\nterms = [{ coefficient_ms = 1, exponent = 99 }]",
            "[fft]: exponent: 99 is out of range, expected 0..8",
        ),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = table(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="embedded null byte"):
        load("\0.toml")
    with pytest.raises(UsageError, match=r"nowhere\.toml: can't be read: No such file"):
        load(tmp_path / "nowhere.toml")
    path = tmp_path / "noise.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is no TOML"):
        load(path)


@pytest.mark.parametrize("text", ["[fft]\nconstant_ms = 0", "[fft]\nconstant_ms = 4e18"])
def test_a_table_must_give_a_possible_time(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"task 0: the workload table 'mine' gives \d+ ns of work"):
        execution_ns(program("fft"), load(table(tmp_path, text)))
