"""Verdicts: what is worse, what isn't comparable, and how often a comparison is wrong."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.bench import document
from taskgen.bench.compare import MARKS, Comparison, Verdict, compare
from taskgen.bench.result import Result, Series
from taskgen.document import encode
from tests.taskgen.bench.results import ENVIRONMENT, TARGET, case, of, result, series, suite, with_target

BASE = [10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 10.8, 10.9]
WORSE = [value + 2 for value in BASE]


def verdicts(comparison: Comparison) -> list[str]:
    return [str(row.verdict) for row in comparison.rows]


def one(before: Series, after: Series) -> str:
    (verdict,) = verdicts(compare(result(suite(case(before))), result(suite(case(after)))))
    return verdict


@pytest.mark.parametrize(
    ("before", "after", "options", "verdict"),
    [
        (BASE, BASE, {}, "unchanged"),
        (BASE, WORSE, {}, "worse"),
        (WORSE, BASE, {}, "better"),
        (BASE, WORSE, {"better": "more"}, "better"),
        (WORSE, BASE, {"better": "more"}, "worse"),
        ([5] * 10, [6] * 10, {}, "worse"),  # deterministic: no spread at all
        ([100] * 10, [105] * 10, {}, "unchanged"),  # a ratio of 1.05 is none
        ([100] * 10, [106] * 10, {}, "worse"),
        ([106] * 10, [100] * 10, {}, "better"),
        (BASE, WORSE, {"floor": 2.0}, "unchanged"),  # nobody cares
        ([0.3] * 10, [0.4] * 10, {"floor": 0.1}, "unchanged"),  # though 0.4 - 0.3 > 0.1 for floats
        ([0.3] * 10, [0.4] * 10, {"floor": 0.099}, "worse"),
        ([0] * 10, [0] * 10, {}, "unchanged"),
        ([0] * 10, [1] * 10, {"floor": 0.5}, "worse"),  # no ratio: the floor decides
        ([0] * 10, [1] * 10, {"floor": 1.0}, "unchanged"),
        ([-4] * 10, [4] * 10, {"better": "more"}, "better"),
        ([-4] * 10, [-2] * 10, {}, "worse"),
        (BASE, [9.0, 9.1, 9.2, 13.0, 13.1, 13.2, 13.3, 13.4, 13.5, 13.6], {}, "not significant"),
        (BASE[:6], WORSE, {}, "too few samples"),
        (BASE, WORSE[:6], {}, "too few samples"),
        (BASE[:7], WORSE[:7], {}, "worse"),
    ],
)
def test_a_change_is_significant_large_and_above_the_floor(
    before: list[float], after: list[float], options: dict[str, Any], verdict: str
) -> None:
    assert one(series(before, **options), series(after, **options)) == verdict


@given(
    st.lists(st.integers(-20, 20), min_size=7, max_size=12),
    st.lists(st.integers(-20, 20), min_size=7, max_size=12),
    st.sampled_from([0.0, 1.0, 7.5]),
)
def test_exchanging_the_results_exchanges_worse_and_better(before: list[int], after: list[int], floor: float) -> None:
    there = one(series(before, floor=floor), series(after, floor=floor))
    back = one(series(after, floor=floor), series(before, floor=floor))
    assert back == {"worse": "better", "better": "worse"}.get(there, there)
    more = one(series(before, floor=floor, better="more"), series(after, floor=floor, better="more"))
    assert more == back


def test_a_row_says_what_a_table_and_a_document_need() -> None:
    (row,) = compare(of([5] * 10), of([6] * 10)).rows
    assert (row.suite, row.case, row.metric, row.unit, row.mark) == ("latency", "u-90", "m0", "ms", "+")
    assert (row.ratio, row.p) == (1.2, 2 / 184756)
    assert row.before is not None
    assert row.after is not None
    assert (row.before.median, row.after.median) == (5, 6)
    assert set(MARKS) == set(Verdict)


def test_the_plain_data_is_json() -> None:
    plain = compare(of([5] * 10, BASE), of([6] * 10, BASE[:3])).plain()
    assert json.loads(encode(plain)) == plain
    assert plain["counts"]["worse"] == plain["counts"]["too few samples"] == 1
    assert [row["mark"] for row in plain["rows"]] == ["+", "?"]


# -- many metrics


def test_p_is_corrected_over_all_metrics_of_the_run() -> None:
    # They overlap: p = 0.0008 alone, which isn't significant among three.
    near = [value + 0.6 for value in BASE]
    assert verdicts(compare(of(BASE, floor=0.1), of(near, floor=0.1))) == ["worse"]
    quiet = [BASE, BASE]
    crowd = compare(of(BASE, *quiet), of(near, *[BASE[::-1]] * 2))
    assert verdicts(crowd) == ["not significant", "unchanged", "unchanged"]
    p = compare(of(BASE), of(near)).rows[0].p
    assert p is not None
    assert crowd.rows[0].p == pytest.approx(3 * p)


def test_metrics_that_never_vary_take_no_share_of_the_level() -> None:
    near = [value + 0.6 for value in BASE]
    constant = [[0] * 10] * 50
    comparison = compare(of(BASE, *constant), of(near, *constant))
    assert verdicts(comparison) == ["worse"] + ["unchanged"] * 50
    assert comparison.rows[1].p is None


def test_too_few_samples_for_so_many_metrics_are_told() -> None:
    before, after = of(*[BASE[:7]] * 4), of(*[WORSE[:7]] * 4)
    comparison = compare(before, after)
    assert verdicts(comparison) == ["not significant"] * 4
    (note,) = comparison.notes
    assert note.startswith("no change of any of 4 metrics can be significant with so few samples")
    assert "--repeat 8 or more" in note
    assert compare(of(*[BASE[:7]] * 3), of(*[WORSE[:7]] * 3)).notes == ()


def noisy(rng: random.Random, factor: float = 1.0, noise: float = 0.02) -> Result:
    """Return a result of 6 metrics, rounded as a clock does it."""
    rows = [[round(rng.gauss(1, noise) * factor * 10 * (n + 1), 1) for _ in range(10)] for n in range(6)]
    return of(*rows, floor=0.1)


@pytest.mark.parametrize(("noise", "most"), [(0.02, 0), (0.5, 5)])
def test_the_same_system_twice_gives_few_false_alarms_in_1000_pairs(noise: float, most: int) -> None:
    rng = random.Random(1)
    pairs = ((noisy(rng, noise=noise), noisy(rng, noise=noise)) for _ in range(1000))
    alarms = sum(bool({"worse", "better"} & set(verdicts(compare(*pair)))) for pair in pairs)
    assert alarms <= most  # the level alone allows 2 on average; with little noise the factor excludes them


def test_without_factor_and_floor_the_level_holds() -> None:
    # What Holm promises: some row has p < 0.05 in about 5 % of pairs at most, whatever the noise.
    rng = random.Random(2)
    wrong = 0
    for _ in range(600):
        rows = compare(noisy(rng), noisy(rng)).rows
        wrong += any(row.p is not None and row.p < 0.05 for row in rows)
    assert 0 < wrong <= 600 * 0.05 + 15


def test_a_slow_down_of_a_tenth_is_always_found() -> None:
    rng = random.Random(4)
    for _ in range(200):
        assert verdicts(compare(noisy(rng), noisy(rng, 1.1))) == ["worse"] * 6


# -- failures


def test_a_case_that_fails_now_counts_as_worse() -> None:
    before = result(suite(case(series(BASE))))
    after = result(suite(case(series(BASE[:8]), failures=["no job ended", "no job ended"])))
    comparison = compare(before, after)
    assert verdicts(comparison) == ["newly failing", "unchanged"]
    row = comparison.rows[0]
    assert verdicts(compare(before, replace(after, complete=False))) == verdicts(comparison)
    assert (row.suite, row.case, row.metric, row.mark) == ("latency", "u-90", "failures", "!")
    assert row.why == "2 runs without samples: no job ended"
    assert comparison.exit_code(fail_on_worse=True) == 1
    assert comparison.exit_code(fail_on_worse=False) == 0
    assert verdicts(compare(after, before)) == ["unchanged"]
    assert verdicts(compare(after, after)) == ["unchanged"], "it failed before"


def test_a_case_that_only_fails_now_is_newly_failing_though_it_failed_sometimes() -> None:
    before = result(suite(case(series(BASE), failures=["late"])))
    after = result(suite(case(series([]), failures=["late"] * 10)))
    assert verdicts(compare(before, after)) == ["newly failing", "too few samples"]
    assert verdicts(compare(after, after)) == ["too few samples"]


@pytest.mark.parametrize("left", [(), (series([]),)], ids=["gone", "empty"])
def test_a_metric_that_no_run_has_any_more_is_newly_failing(left: tuple[Series, ...]) -> None:
    before = result(suite(case(series(BASE))))
    after = result(suite(case(*left)))
    assert verdicts(compare(before, after)) == ["newly failing"]
    cut = replace(after, complete=False, reason="all boards lost")
    assert verdicts(compare(before, cut)) == ["too few samples"]
    assert compare(before, cut).notes == ("this run isn't complete: all boards lost",)


def test_a_lost_target_is_no_verdict() -> None:
    before = result(suite(case(series(BASE))), complete=False)
    after = result(suite(case(series([]), lost=["no answer"] * 10)), complete=False, reason="all boards lost")
    comparison = compare(before, after)
    assert verdicts(comparison) == verdicts(compare(before, replace(after, complete=True))) == ["too few samples"]
    assert comparison.exit_code(fail_on_worse=True) == 75
    assert comparison.notes == (
        "the baseline isn't complete: it does not say why",
        "this run isn't complete: all boards lost",
    )


# -- what isn't comparable


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"generation": "G3a"}, "generation G4, the baseline's is G3a"),
        ({"session": "sim"}, "session taskloader, the baseline's is sim"),
        ({"work": "calibration pi.json"}, "work table pandaboard, the baseline's is calibration pi.json"),
        ({"profile": "ideal"}, "profile unknown, the baseline's is ideal"),
        ({"options": {"cores": 2}}, "option cores unknown, the baseline's is 2"),
        ({"boards": [{"id": "a", "model": "panda"}]}, "model of boards unknown, the baseline's is panda"),
        ({"a": 1, "b": [1], "c": 1, "d": 1}, "the baseline's is 1; and 1 more"),
    ],
)
def test_other_targets_are_never_compared(change: dict[str, Any], why: str) -> None:
    after = of(BASE, [1] * 10)
    comparison = compare(with_target(after, **change), after)
    assert verdicts(comparison) == ["not comparable"] * 2
    assert all(why in row.why and row.mark == "x" and row.p is None for row in comparison.rows)
    assert why in comparison.notes[0]
    assert [comparison.exit_code(fail_on_worse=fail) for fail in (False, True)] == [75, 75]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "bench"},
        {"options": {"port": 2, "binaries": "elsewhere"}},
        {"boards": [{"id": "b", "address": "10.0.0.8"}]},
        {"boards": ["10.0.0.8", "10.0.0.9"]},
    ],
)
def test_how_a_target_is_called_and_reached_does_not_matter(change: dict[str, Any]) -> None:
    before, after = of(BASE), with_target(of(BASE), **change)
    assert verdicts(compare(before, after)) == ["unchanged"]


def test_a_result_compares_with_itself_from_a_file() -> None:
    target = {**TARGET, "options": {"cores": (1, 2), "context_switch_ms": 0.1}}
    fresh = result(suite(case(series(BASE), taskset={"periodictask": [{"period": 0.1}]})), target=target)
    assert verdicts(compare(document.from_json(document.to_json(fresh), ""), fresh)) == ["unchanged"]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (suite(case(series(BASE)), version=2), suite(case(series(BASE))), "version 1 of the suite, the baseline's is"),
        (suite(skipped="no kill"), suite(case(series(BASE))), "skipped in the baseline: no kill"),
        (suite(case(series(BASE)), name="knee"), suite(case(series(BASE))), "the suite isn't in the baseline"),
        (suite(case(series(BASE), name="u-80")), suite(case(series(BASE))), "the case isn't in the baseline"),
        (suite(case(series(BASE), params={"n": 4})), suite(case(series(BASE), params={"n": 8})), "n 8, the baseline's"),
        (suite(case(series(BASE, "misses"))), suite(case(series(BASE))), "the metric isn't in the baseline"),
        (suite(case(series(BASE, unit="us"))), suite(case(series(BASE))), "unit ms, the baseline's is us"),
        (suite(case(series(BASE, better="more"))), suite(case(series(BASE))), "better less, the baseline's is more"),
        (
            suite(case(series(BASE), taskset={"periodictask": [{"period": 10}]})),
            suite(case(series(BASE), taskset={"periodictask": [{"period": 20}]})),
            "another task-set than the baseline's",
        ),
    ],
)  # fmt: skip
def test_other_benchmarks_are_never_compared(before: Any, after: Any, why: str) -> None:
    rows = {row.metric: row for row in compare(result(before), result(after)).rows if row.case == "u-90"}
    assert rows["response-max"].verdict is Verdict.APART
    assert rows["response-max"].why.startswith(why)


def test_what_is_gone_is_told() -> None:
    gone = suite(case(series(BASE)), name="knee")
    before = result(suite(case(series(BASE)), case(series(BASE), name="u-99")), gone, replace(gone, name="soak"))
    after = result(suite(case(series(BASE))), suite(name="soak", skipped="no time"))
    comparison = compare(before, after)
    assert [(row.case, str(row.verdict), row.why) for row in comparison.rows] == [
        ("u-90", "unchanged", ""),
        ("u-99", "not comparable", "the case isn't in this run"),
    ]
    assert comparison.notes == (
        "suite knee: not in this run",
        "suite soak: skipped in this run, not in the baseline: no time",
    )


def test_nothing_in_common_is_no_verdict() -> None:
    assert compare(result(), result()).exit_code(fail_on_worse=True) == 75
    assert compare(of(BASE[:3]), of(BASE[:3])).exit_code(fail_on_worse=False) == 75


# -- this machine


def host(samples: list[float], *, other: bool = False, **fields: Any) -> Result:
    machine = {**ENVIRONMENT, "host": {"id": "9", "cpu": "A53", "cores": 4}} if other else ENVIRONMENT
    rows = case(series(samples, "start", host=True), series(samples, "response"))
    return result(suite(rows), environment=machine, **fields)


def test_another_machine_is_a_warning_about_host_times_only() -> None:
    comparison = compare(host(BASE), host(BASE, other=True))
    assert verdicts(comparison) == ["unchanged"] * 2
    (note,) = comparison.notes
    assert note.startswith("host times are from different machines: host id 9, the baseline's is 3f2a; host cpu A53")
    board_times = compare(of(BASE), replace(of(BASE), environment={}))
    assert (verdicts(board_times), board_times.notes) == (["unchanged"], ())


def test_host_times_of_a_machine_that_drifted_are_not_compared() -> None:
    comparison = compare(host(BASE, reference_ns=[100] * 5), host(WORSE, reference_ns=[118] * 5))
    assert verdicts(comparison) == ["not comparable", "worse"]
    told = "this machine's reference load took 1.18 times as long as with the baseline"
    assert [row.why for row in comparison.rows] == [told, ""]
    assert comparison.rows[0].ratio is not None, "who wants to know it sees it"
    assert comparison.notes == (f"host times aren't compared: {told}",)


def test_a_few_long_samples_of_the_reference_load_say_that_others_use_this_machine() -> None:
    busy = [100] * 8 + [300] * 2
    assert verdicts(compare(host(BASE, reference_ns=[100] * 10), host(WORSE, reference_ns=busy)))[0] == "not comparable"


def test_metrics_that_are_not_compared_need_no_share_of_the_level() -> None:
    def rows(samples: list[float], reference_ns: int) -> Result:
        hosts = [series(samples, f"start-{number}", host=True) for number in range(200)]
        return result(suite(case(*hosts, series(samples, "response"))), reference_ns=[reference_ns])

    assert verdicts(compare(rows(BASE, 100), rows(WORSE, 100)))[-1] == "not significant"
    assert verdicts(compare(rows(BASE, 100), rows(WORSE, 200)))[-1] == "worse"


@pytest.mark.parametrize("reference_ns", [[], [0], [104]])
def test_a_reference_load_within_bounds_or_unknown_is_not_mentioned(reference_ns: list[int]) -> None:
    assert compare(host(BASE, reference_ns=[100]), host(BASE, reference_ns=reference_ns)).notes == ()
