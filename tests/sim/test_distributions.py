"""Quantiles of distributions, far out in their tails too; times as shares of C; distributions in a line of text."""

from decimal import Decimal, getcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim import simulate
from sim.distributions import Draw
from sim.execution import distribution
from taskgen import TaskSet
from taskgen.errors import UsageError
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

MEAN_MS, DEVIATION_MS = 50_000_000, 1_000_000
DEVIATION_NS = DEVIATION_MS * NS_PER_MS


def standard(low: float, high: float | None, share: str | Fraction) -> float:
    """Return the quantile of a truncated normal distribution, all in deviations from the mean."""
    table: dict[str, Any] = {"kind": "normal", "mean_ms": MEAN_MS, "deviation_ms": DEVIATION_MS}
    table["low_ms"] = MEAN_MS + Decimal(str(low)) * DEVIATION_MS
    if high is not None:
        table["high_ms"] = MEAN_MS + Decimal(str(high)) * DEVIATION_MS
    word = int(Fraction(share) * 2**64)
    return distribution(table, "test").sample_ns(Draw(word, 0)) / DEVIATION_NS - MEAN_MS / DEVIATION_MS


# -- tails -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "quantiles"),
    [
        # mpmath, 60 digits: the root of Q(z) = Q(low) - share (Q(low) - Q(high)), for the shares 0.001, 0.5, 0.999.
        (8.5, None, (8.5001161393703, 8.5800943567840, 9.2680439966445)),
        (10, None, (10.000099077662, 10.068411836081, 10.662528400790)),
        (20, None, (20.000049900819, 20.034541676514, 20.341627290984)),
        (36, None, (36.000027770270, 36.019234135733, 36.191227267670)),
        (9, 9.25, (9.0000989121512, 9.0654565806053, 9.2490364950207)),
        (30, 31, (30.000033313060, 30.023070467827, 30.229130431010)),
        (0, None, (0.0012533144654326, 0.67448975019608, 3.2905267314919)),
        (-3, 12, (-2.8271047341547, 0.0016918470940848, 3.0906334641187)),
    ],
)
def test_quantiles_of_a_truncated_normal(low: float, high: float | None, quantiles: tuple[float, ...]) -> None:
    """In the upper tail, and, by symmetry, in the lower one."""
    for share, known in zip(("0.001", "0.5", "0.999"), quantiles, strict=True):
        assert standard(low, high, share) == pytest.approx(known, abs=1e-10)
        if high is not None:
            assert standard(-high, -low, 1 - Fraction(share)) == pytest.approx(-known, abs=1e-10)


def tail(distance: Decimal) -> Decimal:
    """Return Q(distance) sqrt(2 pi), by Laplace's continued fraction 1/(z + 1/(z + 2/(z + 3/(z + ...))))."""
    fraction = distance
    for term in range(400, 0, -1):
        fraction = distance + term / fraction
    return (-distance * distance / 2).exp(getcontext()) / fraction


@settings(max_examples=60, deadline=None)
@given(
    low=st.decimals(3, 36, places=3),
    width=st.decimals("0.01", 2, places=3),
    share=st.fractions("0.0001", "0.9999", max_denominator=10_000),
)
def test_a_draw_splits_what_is_left_of_the_curve_in_its_share(low: Decimal, width: Decimal, share: Fraction) -> None:
    drawn = Decimal(standard(float(low), float(low + width), share))
    assume(low < drawn < low + width)
    below = (tail(low) - tail(drawn)) / (tail(low) - tail(low + width))
    assert float(below) == pytest.approx(float(share), rel=1e-6, abs=1e-6)


def test_draws_far_out_are_fine_grained_and_in_order() -> None:
    shares = [Fraction(n, 1000) for n in range(1, 1000)]
    for low, high in ((12, None), (-30, -12), (8.3, 8.4)):
        drawn = [standard(low, high, share) for share in shares]
        assert len(set(drawn)) == len(drawn)
        assert drawn == sorted(drawn)


@pytest.mark.parametrize("word", [0, 2**64 - 1])
@pytest.mark.parametrize(("low", "high"), [(-50, None), (-50, 50), (37, None), (37, 50), (-50, -37), (-50, 0), (0, 50)])
def test_the_ends_of_the_curve_are_times(low: float, high: float | None, word: int) -> None:
    drawn = standard(low, high, Fraction(word, 2**64))
    assert low <= drawn <= (50 if high is None else high)


# -- shares of C -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "times"),
    [
        ({"kind": "uniform", "low": 0.25}, {"kind": "uniform", "low_ms": 2, "high_ms": 8}),
        ({"kind": "share", "low": 0.25, "high": 0.5}, {"kind": "uniform", "low_ms": 2, "high_ms": 4}),
        (
            {"kind": "normal", "mean": 0.5, "deviation": 0.25},
            {"kind": "normal", "mean_ms": 4, "deviation_ms": 2, "high_ms": 8},
        ),
        (
            {"kind": "weibull", "shape": 2, "scale": 0.125, "offset": 0.5},
            {"kind": "weibull", "shape": 2, "scale_ms": 1, "offset_ms": 4},
        ),
        (
            {"kind": "discrete", "values": [0.5, 1], "weights": [9, 1]},
            {"kind": "discrete", "values_ms": [4, 8], "weights": [9, 1]},
        ),
        ({"kind": "recording", "values": [0.5, 0.75]}, {"kind": "recording", "values_ms": [4, 6]}),
    ],
    ids=lambda table: table["kind"],
)
def test_times_may_be_shares_of_the_worst_case(shares: dict[str, Any], times: dict[str, Any]) -> None:
    (task,) = parameters_of(TaskSet([{"executiontime": 8, "period": 10}]))
    one, other = (distribution(table, "test").work(task, 3) for table in (shares, times))
    assert [one(job) for job in range(50)] == [other(job) for job in range(50)]


# -- a line ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "table"),
    [
        ("uniform:0.5", {"kind": "uniform", "low": 0.5}),
        ("share:0.5,0.75", {"kind": "uniform", "low": 0.5, "high": 0.75}),
        ("uniform: 2ms, 5 ms", {"kind": "uniform", "low_ms": 2, "high_ms": 5}),
        ("normal:0.8,0.1", {"kind": "normal", "mean": 0.8, "deviation": 0.1, "low": 0, "high": 1}),
        ("normal:8ms,1ms,6ms", {"kind": "normal", "mean_ms": 8, "deviation_ms": 1, "low_ms": 6}),
        ("weibull:2,0.1,0.5", {"kind": "weibull", "shape": 2, "scale": 0.1, "offset": 0.5}),
        ("weibull:1.5,3ms", {"kind": "weibull", "shape": 1.5, "scale_ms": 3}),
        ("discrete:0.5,1", {"kind": "discrete", "values": [0.5, 1]}),
        ("discrete:2ms=9,5ms", {"kind": "discrete", "values_ms": [2, 5], "weights": [9, 1]}),
    ],
)
def test_a_line_says_what_a_table_says(line: str, table: dict[str, Any]) -> None:
    assert distribution(line, "test") == distribution(table, "test")


def test_a_line_may_name_a_recording(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("run,ms\n1,3\n2,4.25\n")
    wanted = distribution({"kind": "recording", "values_ms": [3, Decimal("4.25")]}, "test")
    assert distribution("recording:times.csv,ms", "test", tmp_path) == wanted


def test_a_line_serves_wherever_a_table_does() -> None:
    tasks = TaskSet([{"executiontime": 4, "period": 10}, {"pkg": "sort", "period": 10}])
    trace = simulate(tasks, policy="rm", execution={0: "discrete:0.5", "sort": "discrete:3ms"}, horizon_ms=10)
    assert [(job.executed_ns or 0) / NS_PER_MS for job in trace.jobs] == [2, 3]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("gauss:1", "test: 'gauss:1': kind: 'gauss' is no distribution, expected uniform, normal, weibull"),
        ("", "kind: '' is no distribution"),
        ("uniform", "low_ms, high_ms: missing, the kind 'uniform' needs it"),
        ("uniform:2,5", "low: 2 is out of range, expected a share of C, 0..1"),
        ("uniform:0.5,5ms", "high_ms: is a time, but others are shares of C"),
        ("uniform:half", "'half' is no number"),
        ("uniform:0.5,", "'' is no number"),
        ("uniform:nan", "low: NaN is out of range"),
        ("uniform:1e-999999999", "expected 40 decimals at most"),
        ("uniform:0.1,0.2,0.3", "3 numbers, expected low, high at most"),
        ("uniform:0.5,0.2", "high: 0.2 is out of range, expected at least low, 0.5"),
        ("normal:0.8", "deviation: missing"),
        ("weibull:2ms,1ms", "shape_ms is no key of the kind 'weibull'"),
        ("discrete:", "values: [] is out of range, expected at least one value"),
        ("discrete:1,2ms", "times and shares of C mixed"),
        ("discrete:0.5=x", "'x' is no number"),
        ("discrete:0.5=-1", "weights[0]: -1 is out of range"),
        ("recording:nowhere.txt", "file: nowhere.txt: can't be read"),
        ("recording:", "0 words, expected FILE or FILE,COLUMN"),
    ],
)
def test_what_is_no_line_is_refused_with_one_line(line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        distribution(line, "test")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
