"""Tables: every number is there, as precise as it deserves, and colour says nothing that marks don't."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from taskgen.bench.compare import compare
from taskgen.bench.result import Result
from taskgen.bench.statistics import Summary, summary
from taskgen.bench.table import headline, places, reference_line, show, summary_line, warmup_line
from tests.taskgen.bench.results import case, of, result, series, suite, with_target

BASE = [10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 10.8, 10.9]
WORSE = [value + 2 for value in BASE]


def shown(after: Result, before: Result | None = None, **console: Any) -> list[str]:
    """Return the lines of a table without what is at their right ends."""
    buffer = io.StringIO()
    options = {"width": 80, "markup": False, "highlight": False, "emoji": False, **console}
    show(Console(file=buffer, **options), after, None if before is None else compare(before, after), baseline="main")
    return [line.rstrip() for line in buffer.getvalue().splitlines()]


def summed(*samples: float) -> Summary:
    found = summary(samples)
    assert found is not None
    return found


def test_a_result_and_its_comparison_as_people_see_them() -> None:
    before = result(suite(case(series(BASE), series([0] * 10, "misses", unit="1"))))
    cases = (
        case(series(WORSE, warmup=[20.0]), series([0] * 10, "misses", unit="1"), failures=["no answer"]),
        case(series(BASE), name="u-99"),
    )
    findings = ({"name": "first-miss", "text": "at U = 0.92", "ok": True}, {"name": "bound", "text": "n/a", "ok": None})
    after = result(suite(*cases, findings=findings), reference_ns=[10_000_000, 10_100_000, 10_200_000])
    lines = shown(after, before)
    assert lines[:13] == [
        "taskgen bench  target lab  repeat 10  seed 7  commit 9f3c1e2 (dirty)  against main",
        "",
        "latency",
        "case  metric        unit  median   IQR    p99    max  baseline  ratio",
        "u-90  response-max  ms     12.45  0.45  12.89  12.90     10.45   1.19  +",
        "u-90  misses        1          0     0      0      0         0      -",
        "u-99  response-max  ms     10.45  0.45  10.89  10.90         -      -  x",
        "  warm-up: 1 run of each case, not counted; farthest off: u-90 response-max 20.00 ms, the median is 12.45",
        "  ok      first-miss: at U = 0.92",
        "  -       bound: n/a",
        "  ! u-90 failures: 1 run without samples: no answer",
        "  x u-99 response-max: the case isn't in the baseline",
        "",
    ]
    assert lines[13].startswith("this machine: its reference load took 10.10 ms (IQR 0.10, max 10.20, n 3)")
    assert lines[13].endswith(", at the end 1.02 times as long as at the beginning")
    assert lines[14:] == ["+ worse   ! newly failing   x not comparable"]


def test_without_a_comparison_there_is_nothing_to_compare_with() -> None:
    lines = shown(of(BASE))
    assert lines[3].split() == ["case", "metric", "unit", "median", "IQR", "p99", "max"]
    assert not any("worse" in line for line in lines)


def test_predictions_have_a_column_where_there_are_any() -> None:
    after = result(suite(case(series([12] * 3, predicted=12.25), series([3] * 3, "misses"))))
    lines = shown(after, after)
    assert lines[3].split()[3:] == ["median", "IQR", "p99", "max", "predicted", "baseline", "ratio"]
    assert lines[4].split()[3:] == ["12.00", "0.00", "12.00", "12.00", "12.25", "12.00", "-", "?"]
    assert lines[5].split()[3:] == ["3", "0", "3", "3", "-", "3", "-", "?"]


@pytest.mark.parametrize(
    ("samples", "decimals"),
    [
        ([1.0, 2.0, 3.0], 1),  # IQR 1.0
        ([100.0, 300.0, 520.0], 0),  # IQR 210
        ([12.0, 12.04, 12.1], 3),  # IQR 0.05
        ([1.0, 1.0 + 1e-9, 1.0 + 2e-9], 6),
        ([7, 7, 7], 0),
        ([1200, 1200, 1200], 0),
        ([7.25, 7.25, 7.25], 2),
        ([0, 0, 0, 0, 0, 0, 0.5], 1),  # no spread, but a maximum
        ([1 / 3] * 3, 6),
    ],
)
def test_a_number_is_as_precise_as_its_spread(samples: list[float], decimals: int) -> None:
    assert places([summed(*samples)]) == decimals


def test_both_sides_are_as_precise_as_the_calmer_one() -> None:
    assert places([summed(10, 20, 30), summed(1.0, 1.1, 1.2)]) == 2
    assert places([summed(5, 5), summed(0.125, 0.125)]) == 3
    assert places([]) == 0


def test_nothing_is_cut_on_a_narrow_terminal() -> None:
    long = result(suite(case(series([123456789.125] * 10), name="a-very-long-name-of-a-case" * 3)))
    lines = shown(long, long, width=40)
    assert "a-very-long-name-of-a-case" * 3 in lines[4]
    assert lines[4].split()[3:] == ["123456789.125", "0.000", *["123456789.125"] * 3, "1.00"]


def test_colour_repeats_marks_and_respects_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = shown(of(WORSE), of(BASE))
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = shown(of(WORSE), of(BASE), force_terminal=True, color_system="standard")
    assert any("\x1b[1;31m" in line and "+" in line for line in coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    grey = shown(of(WORSE), of(BASE), force_terminal=True, color_system="standard")
    assert not any("\x1b[31m" in line or "\x1b[1;31m" in line for line in grey)
    assert any(line.endswith("+") for line in plain)


def test_text_of_a_document_can_not_steer_a_terminal() -> None:
    evil = "\x1b[2J[red]"
    after = result(
        suite(case(series(BASE), failures=[evil]), findings=({"name": evil, "text": evil},)),
        suite(name="soak", skipped=evil),
        reason=evil,
        complete=False,
        canary=({"board": evil, "rows": [evil]},),
    )
    lines = shown(with_target(after, name=evil), of())
    assert not any("\x1b" in line for line in lines)
    assert sum("?[2J[red]" in line for line in lines) >= 6


SONGS: tuple[dict[str, Any], ...] = (
    {"board": "10.0.0.7", "good": True, "why": [], "execution_ms": 163.0, "slow_percent": -0.613, "drift_ppm": 12,
     "drift_uncertainty_ppm": 300, "clock_rate": 1.000012, "reference": None},
    {"board": "10.0.0.8", "good": False, "why": ["2 releases lost"], "execution_ms": 163.0},
    {"board": "10.0.0.6", "good": True, "why": [], "drift_ppm": None, "clock_rate": 18148.368039},
    {"board": "10.0.0.9", "skipped": "no pi"},
)  # fmt: skip


def test_a_skipped_suite_an_empty_suite_and_the_canary_are_lines() -> None:
    skipped = suite(name="mixed", skipped="the target has no EDF")
    after = result(skipped, suite(case(failures=["no job"], lost=["no answer"] * 2)), canary=SONGS)
    lines = shown(replace(after, complete=False, reason="no board is left"))
    assert "mixed: skipped: the target has no EDF" in lines
    assert "  u-90 failures: 1 run without samples: no job" in lines
    assert "  u-90: 2 runs lost: no answer" in lines
    assert [line for line in lines if line.startswith("canary")] == [
        "canary: 10.0.0.7 ok, its program took 163 ms, -0.6 % against its reference, drift +12 ppm, give or take 300",
        "canary: 10.0.0.8 NOT OK, 2 releases lost",
        "canary: 10.0.0.6 ok, its clock runs 18148.37 times as fast as ours",
        "canary: 10.0.0.9, skipped: no pi",
    ]
    assert "this run isn't complete: no board is left" in lines


def test_cases_left_out_for_one_reason_are_one_line_and_what_was_found_is_never_joined() -> None:
    findings: list[dict[str, Any]] = [{"name": f"edf-{k}", "text": "left out: no EDF"} for k in range(5)]
    findings += [{"name": "cores", "text": "left out: one core"}]
    findings += [{"name": name, "text": "too slow", "ok": False} for name in ("one", "two")]
    lines = shown(result(suite(case(series(BASE)), findings=findings)))
    assert "  -       edf-0, edf-1, edf-2 and 2 more: left out: no EDF" in lines
    assert "  -       cores: left out: one core" in lines
    assert sum("too slow" in line for line in lines) == 2


def test_reasons_are_told_once() -> None:
    lines = shown(of(*[BASE] * 5), with_target(of(*[BASE] * 5), generation="G3a"))
    why = "generation G4, the baseline's is G3a"
    assert f"  x u-90 m0, u-90 m1, u-90 m2 and 2 more: {why}" in lines
    assert f"note: the target isn't the baseline's: {why}" in lines
    assert lines[-1] == "x not comparable"


def test_the_headline_names_what_was_measured() -> None:
    bare = replace(with_target(of(), boards=["a", "b"], name=""), environment={"git": None})
    assert headline(bare) == "taskgen bench  target taskloader (2 boards)  repeat 10  seed 7"


def test_the_summary_counts_verdicts() -> None:
    comparison = compare(of(BASE, BASE, BASE[:3]), of(WORSE, BASE, BASE))
    assert summary_line(comparison) == "1 worse, 1 unchanged, 1 too few samples."
    assert summary_line(compare(of(), of())) == "nothing to compare."


@pytest.mark.parametrize(
    ("warmup", "samples", "line"),
    [
        ((), [1.0], "warm-up: none"),
        ((1.0, 1.0), [1.0], "warm-up: 2 runs of each case, not counted, none of them far off"),
        (
            (1.5,),
            [1.0],
            "warm-up: 1 run of each case, not counted; farthest off: u-90 response-max 1.5 ms, the median is 1.0",
        ),
        (
            (0.5,),
            [1.0],
            "warm-up: 1 run of each case, not counted; farthest off: u-90 response-max 0.5 ms, the median is 1.0",
        ),
        ((1.5,), [], "warm-up: 1 run of each case, not counted, none of them far off"),
        ((0,), [1.0], "warm-up: 1 run of each case, not counted, none of them far off"),
    ],
)
def test_warm_up_is_shown(warmup: tuple[float, ...], samples: list[float], line: str) -> None:
    assert warmup_line([case(series(samples, warmup=warmup))]).startswith(line)


def test_a_difference_below_the_floor_is_no_news_of_the_warm_up() -> None:
    assert "none of them far off" in warmup_line([case(series([1.0], warmup=(1.5,), floor=0.5))])


@pytest.mark.parametrize(
    ("reference_ns", "line"),
    [
        ([], "this machine: no reference load was measured"),
        ([1_500_000], "this machine: its reference load took 1.5 ms (IQR 0.0, max 1.5, n 1)"),
        (
            [10**6] * 3 + [2 * 10**6] * 3,
            "at the end 2.00 times as long as at the beginning: host times drifted with it",
        ),
        ([2 * 10**6, 10**6, 10**6], "at the end 0.50 times as long as at the beginning: host times drifted with it"),
    ],
)
def test_the_drift_of_this_machine_is_shown(reference_ns: list[int], line: str) -> None:
    assert line in reference_line(reference_ns)
