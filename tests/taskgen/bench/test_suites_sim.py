"""The suites smoke, latency, churn and soak on the simulator: answers that theory knows."""

from collections.abc import Sequence
from typing import Any

import pytest

from sim import JobFixedPriority
from taskgen import Target
from taskgen.analysis import nonpreemptive_response_times
from taskgen.bench.measure import Asked, measure
from taskgen.bench.prepare import load_suite, setting_of
from taskgen.bench.result import CaseResult, SuiteResult
from taskgen.bench.scale import Scale
from taskgen.bench.suites import soak
from taskgen.dialect.boards import BOARDS
from taskgen.parameters import Parameters, parameters_of
from taskgen.taskset import TaskSet
from taskgen.testing.stand import Stand

SIMULATED_METRICS = {"pass", "response-median", "response-p99", "response-max", "jitter", "lost"}


def run(name: str, repeat: int = 2, duration_ms: int = 60_000, **options: Any) -> SuiteResult:
    asked = Asked([load_suite(name)], repeat=repeat, warmup=0, duration_ms=duration_ms)
    (found,) = measure([Target("sim", "", options)], asked).suites
    return found


def values(case: CaseResult, metric: str) -> list[float]:
    return [value for series in case.series if series.metric == metric for value in series.samples]


def findings(result: SuiteResult) -> dict[str, dict[str, Any]]:
    return {finding["name"]: dict(finding) for finding in result.findings}


@pytest.mark.parametrize("profile", ["ideal", *BOARDS])
@pytest.mark.parametrize("name", ["smoke", "latency", "soak"])
def test_simulated_times_do_not_vary(name: str, profile: str) -> None:
    for case in run(name, profile=profile).cases:
        assert not case.failures
        for series in case.series:
            assert not series.samples or series.host or len(set(series.samples)) == 1
            assert series.host == (series.metric not in SIMULATED_METRICS)


# -- smoke


@pytest.mark.parametrize("profile", ["ideal", *BOARDS])
def test_each_feature_works(profile: str) -> None:
    result = run("smoke", profile=profile, cores=2)
    assert {case.name: values(case, "pass") for case in result.cases} == {case.name: [1, 1] for case in result.cases}
    assert findings(result)["features"]["ok"] is True


LEFT_OUT = {
    "ideal": {"admission"},
    "G1": {"numberofjobs", "offset", "sporadic", "edf", "mixed", "cores", "admission"},
    "G1o": {"periodic", "numberofjobs", "offset", "sporadic", "two-priorities", "cores"},
    "G3b": {"sporadic", "two-priorities", "cores"},
    "G4": {"sporadic", "edf", "mixed", "admission"},
}


@pytest.mark.parametrize("profile", LEFT_OUT)
def test_features_that_the_target_lacks_are_left_out_with_the_reason(profile: str) -> None:
    result = run("smoke", profile=profile, cores=2)
    told = {finding["name"] for finding in result.findings if finding["text"].startswith("left out: ")}
    assert told == LEFT_OUT[profile]
    assert not told & {case.name for case in result.cases}


class Inverted(JobFixedPriority):
    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        return {task.id: -(task.priority or 0) for task in tasks}


def test_a_scheduler_that_inverts_priorities_is_found() -> None:
    result = run("smoke", policy=Inverted)
    passed = {case.name: values(case, "pass") for case in result.cases}
    assert passed["two-priorities"] == [0, 0]
    assert passed["single-job"] == [1, 1]
    finding = findings(result)["two-priorities"]
    assert finding["ok"] is False
    assert "expected the more urgent one first (2 of 2 runs)" in finding["text"]
    assert findings(result)["features"]["ok"] is False


# -- latency


def test_the_most_urgent_task_is_not_delayed_by_any_load() -> None:
    """R = C: nothing blocks it (Joseph & Pandya 1986)."""
    result = run("latency")
    assert [case.params["load"] for case in result.cases] == [0, 0.2, 0.4, 0.6, 0.8]
    for case in result.cases:
        for metric in ("response-median", "response-p99", "response-max"):
            assert values(case, metric) == [1, 1]
        assert values(case, "jitter") == [0, 0]
        predicted = {series.metric: series.predicted for series in case.series}
        assert (predicted["response-max"], predicted["jitter"]) == (1, 0)


def test_a_context_switch_is_part_of_the_response() -> None:
    alone, *_ = run("latency", context_switch_ms=0.25).cases
    assert values(alone, "response-max") == [1.25, 1.25]
    assert values(alone, "jitter") == [0, 0], "each job pays it"


def test_without_preemption_less_urgent_tasks_block_within_the_bound() -> None:
    """R <= B + C, B the longest job of the others (George, Rivierre & Spuri 1996)."""
    for case in run("latency", preemptive=False).cases:
        tasks = parameters_of(TaskSet(case.taskset["periodictask"]))  # type: ignore[index]  # it is there
        bound_ns = nonpreemptive_response_times(tasks)[0]
        assert bound_ns is not None
        (most, _) = values(case, "response-max")
        assert 1 <= most <= bound_ns / 1e6
        assert values(case, "jitter")[0] == most - 1, "it waits, or it doesn't"
    assert most > 1


@pytest.mark.parametrize("profile", ["G3b", "G4"])
def test_on_boards_siblings_cost_the_urgent_task_their_creation(profile: str) -> None:
    """Creating one takes 26 ms at the system's level (wire-protocol 6.7)."""
    alone, one, two, *_ = (values(case, "response-max")[0] for case in run("latency", profile=profile).cases)
    assert one - alone == two - one == 26


# -- churn


@pytest.mark.parametrize("profile", ["ideal", "G4"])
def test_starting_is_part_of_a_run(profile: str) -> None:
    for case in run("churn", repeat=3, profile=profile).cases:
        if case.name.startswith("once"):
            for sets, start in zip(values(case, "sets"), values(case, "start"), strict=True):
                assert 0 < start < 1000 / sets
            assert not values(case, "stop")
        else:
            assert len(values(case, "stop")) == 3
            assert min(values(case, "stop")) > 0
            assert not values(case, "sets")
        assert all(series.host for series in case.series)


# -- soak


@pytest.mark.parametrize("duration_ms", [60_000, 1000, 1])
def test_the_duration_is_cut_into_ten_slices_of_whole_periods(duration_ms: int) -> None:
    (case,) = run("soak", repeat=3, duration_ms=duration_ms).cases
    assert case.params["periods"] == max(1, duration_ms // 100)
    assert values(case, "lost") == [0] * 10


def test_a_long_duration_is_cut_into_more_slices_since_the_events_of_a_run_are_bounded() -> None:
    with Stand(Target("sim")) as stand:
        setting = setting_of(stand, seed=0, duration_ms=10**9)
    (case,) = soak.SUITE.cases(setting)
    assert (case.repeat, case.params["periods"], case.horizon_ms) == (10_000, 10_000, 100_000)


def test_jobs_that_do_not_start_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """With work that outlasts the period, a task of G4 skips releases (wire-protocol 6.5)."""
    monkeypatch.setattr(soak, "scale_of", lambda _: Scale(200, 110, 330, 3, 10))
    result = run("soak", profile="G4", duration_ms=20_000)
    assert min(values(result.cases[0], "lost")) > 0
    assert findings(result)["jobs"]["ok"] is False


def test_what_cannot_be_soaked_says_so() -> None:
    assert run("soak", profile="G1o").skipped == "a task has one job on this board, whatever its period"


@pytest.mark.parametrize(
    ("memory", "leaks"),
    [
        ([50, 80, 90, 90, 90, 90, 90, 90, 90, 90], False),  # the first slices load what is loaded once
        ([50, 60, 70, 80, 90, 100, 110, 120, 130, 140], True),
        ([50.0 + number / 10 for number in range(10)], False),
    ],
)
def test_memory_that_keeps_growing_is_a_leak(memory: list[float], leaks: bool) -> None:
    (case,) = load_suite("soak").cases(_setting())
    (finding,) = load_suite("soak").judge([case], {"slice": {"memory": memory}})
    assert (finding.name, finding.ok) == ("memory", not leaks)


class Clocked:
    """A run whose events have stamps, and came when they came."""

    def __init__(self, stamps_ms: list[float], arrived_ms: list[float]) -> None:
        self.trace = self
        self.events = [type("Stamp", (), {"time_ns": round(stamp * 1e6)}) for stamp in stamps_ms]
        self.arrived_ns = [round(each * 1e6) for each in arrived_ms]


@pytest.mark.parametrize("ppm", [0, 300, -5000])
def test_drift_is_that_of_the_soonest_events(ppm: int) -> None:
    stamps = [100.0 * number for number in range(60)]
    late = [(7 * number) % 13 for number in range(60)]  # each 13th comes at once
    arrived = [40 + stamp * (1 + ppm / 1e6) + delay for stamp, delay in zip(stamps, late, strict=True)]
    found: Any = Clocked(stamps, arrived)
    drift = soak._drift_ppm(found)
    assert drift is not None
    assert abs(drift - ppm) < 1


@pytest.mark.parametrize(
    ("stamps", "arrived"),
    [
        ([0, 1, 2], [0, 1, 2]),  # too few
        ([100 * k for k in range(60)], list(range(60))),  # a board in software, faster than the wall
        ([5] * 60, list(range(60))),  # it stands still
        ([100 * k for k in range(60)], []),  # nobody looked
    ],
)
def test_where_drift_is_unknown_nothing_is_claimed(stamps: list[float], arrived: list[float]) -> None:
    found: Any = Clocked(stamps, arrived)
    assert soak._drift_ppm(found) is None


def _setting() -> Any:
    from taskgen.bench.prepare import setting_of
    from taskgen.testing.stand import Stand

    return setting_of(Stand(Target("sim")), seed=0, duration_ms=60_000)
