"""Running suites: every case in every round, seeds, warm-up, and a result even where something goes wrong."""

import threading
import time
from typing import Any

import pytest

from taskgen import Target, TaskSet
from taskgen.bench import worker
from taskgen.bench.measure import Asked, measure
from taskgen.bench.suite import Case, Measured
from taskgen.boards import BoardTarget
from taskgen.errors import TargetError, UsageError
from taskgen.inventory import Entry
from tests.taskgen.bench.pooled import HURRY, METRIC, Heard, Pooled, case, install, lose, pool, response, suite

RANDOM = Target("sim", "", {"execution": "uniform:0.5"})
LONG_S = 20.0


def samples(result: Any, case: int = 0) -> list[float]:
    return list(result.suites[0].cases[case].series[0].samples)


# -- what is measured


def test_each_case_counts_as_often_as_asked_and_warm_up_is_kept_aside() -> None:
    result = measure([Target("sim")], Asked([suite(case("one"), case("two", 5))], repeat=3, warmup=2))
    assert [each.name for each in result.suites[0].cases] == ["one", "two"]
    for each, expected in zip(result.suites[0].cases, (2.0, 5.0), strict=True):
        assert (each.series[0].samples, each.series[0].warmup) == ([expected] * 3, [expected] * 2)
    assert (result.complete, result.reason) == (True, "")


def test_the_same_seed_gives_the_same_samples() -> None:
    first, again, other = (measure([RANDOM], Asked([suite()], repeat=5, seed=seed)) for seed in (1, 1, 100))
    assert samples(first) == samples(again)
    assert samples(first) != samples(other)
    assert len(set(samples(first))) == 5, "each repetition draws anew"
    assert not set(first.suites[0].cases[0].series[0].warmup) & set(samples(first))


def test_repetition_k_of_a_simulator_has_the_seed_s_plus_k() -> None:
    early, late = (samples(measure([RANDOM], Asked([suite()], repeat=3, seed=seed))) for seed in (10, 11))
    assert early[1:] == late[:-1]


def test_host_times_are_those_of_the_run() -> None:
    seen: list[Measured] = []

    def look(measured: Measured) -> dict[str, float]:
        seen.append(measured)
        return {"response": 0}

    begun = time.perf_counter_ns()
    measure([Target("sim")], Asked([suite(case(measure=look, stamped=True))], repeat=2, warmup=0))
    took = time.perf_counter_ns() - begun
    for each in seen:
        assert 0 < each.start_ns <= each.run_ns < took
        assert len(each.arrived_ns) == len(each.trace.events)
        assert each.start_ns == each.arrived_ns[0] <= each.arrived_ns[-1] <= each.run_ns


def test_a_case_that_is_stopped_says_how_long_that_took() -> None:
    seen: list[Measured] = []

    def look(measured: Measured) -> dict[str, float]:
        seen.append(measured)
        return {}

    endless = Case("endless", TaskSet([{"executiontime": 1, "period": 10}]), look, stop_after=1)
    over = case("over", measure=look, stop_after=1000)
    measure([Target("sim")], Asked([suite(endless, over)], repeat=1, warmup=0))
    stopped, ended = sorted(seen, key=lambda each: not each.trace.stopped)
    assert stopped.trace.stopped
    assert stopped.stop_ns is not None
    assert 0 < stopped.stop_ns <= stopped.run_ns
    assert ended.stop_ns is None, "there was nothing left to stop"


def test_a_case_with_a_number_of_its_own_runs_so_often_without_warm_up() -> None:
    watch = Heard()
    result = measure([Target("sim")], Asked([suite(case("own", repeat=4), case("two"))], repeat=2), watch)
    assert [len(each.series[0].samples) for each in result.suites[0].cases] == [4, 2]
    assert [number for name, number in watch.runs if name == "own"] == [0, 1, 2, 3]


def test_the_record_says_what_was_measured() -> None:
    result = measure([Target("sim", "", {"profile": "G4"})], Asked([suite(case())], repeat=1, name="sim:G4"))
    assert result.target["name"] == "sim:G4"
    assert (result.target["generation"], result.target["work"]) == ("G4", "table pandaboard")
    assert result.suites[0].cases[0].taskset == {"periodictask": [
        {"executiontime": 2, "period": 10, "numberofjobs": 1, "id": 0}
    ]}  # fmt: skip
    assert result.reference_ns
    assert min(result.reference_ns) > 0
    assert result.environment["host"]


def test_what_the_target_cannot_run_is_left_out_with_the_reason() -> None:
    goal: dict[str, Any] = {"optimize": {}}
    result = measure(
        [Target("sim")], Asked([suite(case(), case("ask", admission=goal), case("no", skipped="no!"))], repeat=1)
    )
    assert [each.name for each in result.suites[0].cases] == ["one"]
    assert [finding["name"] for finding in result.suites[0].findings] == ["ask", "no"]
    assert "no admission control" in result.suites[0].findings[0]["text"]
    assert result.complete
    nothing = measure(
        [Target("sim")], Asked([suite(case("no", skipped="no!")), suite(name="b", lacks=lambda _: "nope")])
    )
    assert [each.skipped for each in nothing.suites] == ["the target can't run any of its cases", "nope"]


def test_what_a_run_shows_to_be_wrong_becomes_a_finding() -> None:
    def complain(measured: Measured) -> dict[str, float]:
        measured.notes.append("too slow")
        return response(measured)

    (finding,) = measure([Target("sim")], Asked([suite(case(measure=complain))], repeat=3)).suites[0].findings
    assert (finding["name"], finding["text"], finding["ok"]) == ("one", "too slow (3 of 3 runs)", False)


# -- what goes wrong


def test_a_measure_that_breaks_costs_its_samples_and_nothing_else() -> None:
    def broken(measured: Measured) -> dict[str, float]:
        raise KeyError("no such thing")

    result = measure([Target("sim")], Asked([suite(case("bad", measure=broken), case())], repeat=2, warmup=0))
    bad, good = result.suites[0].cases
    assert bad.failures == [f"repetition {k}: measuring it failed: KeyError: 'no such thing'" for k in (0, 1)]
    assert len(good.series[0].samples) == 2
    assert (result.complete, result.reason) == (False, "2 of 4 runs failed")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"other": 1}, "isn't among its metrics"),
        ({"response": "1"}, "is no number"),
        ({"response": 1e999}, "no number"),
    ],
)
def test_a_suite_measures_what_it_declares(values: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        measure([Target("sim")], Asked([suite(case(measure=lambda _: values))]))


def test_a_wrong_set_is_the_fault_of_its_suite() -> None:
    wrong = Case("wrong", TaskSet([{"executiontime": 1, "period": -1}]), response)
    with pytest.raises(UsageError, match="suite toy, case wrong: task 0: period: -1"):
        measure([Target("sim")], Asked([suite(wrong)]))
    with pytest.raises(UsageError, match="two cases are called 'one'"):
        measure([Target("sim")], Asked([suite(case(), case())]))
    with pytest.raises(UsageError, match="shows descriptions"):
        measure([Target("stdio")], Asked([suite()]))


def test_a_board_that_dies_hands_its_runs_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lose("127.0.0.1", after=3))
    watch = Heard()
    cases = [case(str(number)) for number in range(4)]
    result = measure(pool("127.0.0.1", "127.0.0.2"), Asked([suite(*cases)], repeat=5), watch, care=HURRY)
    assert (result.complete, result.reason) == (True, "")
    for each in result.suites[0].cases:
        assert (len(each.series[0].samples), each.failures) == (5, [])
        assert set(each.series[0].boards) <= {"127.0.0.1", "127.0.0.2"}
    assert watch.given_up in ([], ["pooled:127.0.0.1"])  # if the other one was faster
    assert {song["board"] for song in result.canary} == {"127.0.0.1", "127.0.0.2"}
    assert sum(board["runs"] for board in result.target["boards"]) == 4 * 6


def test_without_a_board_left_the_result_is_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, lose("127.0.0.1", "127.0.0.2", after=4))
    result = measure(pool("127.0.0.1", "127.0.0.2"), Asked([suite()], repeat=30, warmup=0), care=HURRY)
    assert not result.complete
    assert "the cable is out" in result.reason
    assert len(samples(result)) == 8


def test_a_run_that_kills_boards_is_given_up_before_they_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(session: Pooled, plan: Any) -> None:
        if plan.tasks[0].wcet_ns == 9_000_000:
            lose(session.address)(session, plan)

    install(monkeypatch, script)
    suites = [suite(case("deadly", 9, repeat=1), case())]
    result = measure(pool("127.0.0.1"), Asked(suites, repeat=6, warmup=0), care=HURRY)
    deadly, fine = result.suites[0].cases
    assert len(fine.series[0].samples) == 6
    assert (deadly.series, deadly.failures, len(deadly.lost)) == ([], [], 1), "that says nothing about the target"
    assert "tried" in deadly.lost[0]
    assert not result.complete


def test_a_board_that_is_absent_is_replaced_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    absent = Target("taskloader", "127.0.0.1:1", {"dialect": "G4", "connect_timeout_ms": 50, "binaries": "none"})
    result = measure([absent, *pool("127.0.0.2")], Asked([suite()], repeat=2), care=HURRY)
    assert result.complete
    assert len(samples(result)) == 2
    with pytest.raises(TargetError, match=r"127\.0\.0\.1:1 was lost"):
        measure([absent], Asked([suite()]), care=HURRY)


def test_boards_that_differ_are_not_measured_together(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Heard()
    install(monkeypatch, lambda session, plan: _wait(lambda: watch.given_up))
    monkeypatch.setitem(Pooled.kinds, "127.0.0.2", 2)
    result = measure(pool("127.0.0.1", "127.0.0.2"), Asked([suite()], repeat=3), watch, care=HURRY)
    assert watch.given_up == ["pooled:127.0.0.2"]
    assert set(result.suites[0].cases[0].series[0].boards) == {"127.0.0.1"}
    assert result.complete


def test_so_many_boards_of_a_pool_work_at_a_time_as_the_inventory_says(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, most = threading.Semaphore(0), []

    def script(session: Pooled, plan: Any) -> None:
        busy.release()
        most.append(busy._value)
        busy.acquire()

    install(monkeypatch, script)
    entry = Entry("lab", "pooled", parallel=1)
    targets = [BoardTarget("pooled", f"127.0.0.{number}", entry=entry) for number in (1, 2, 3)]
    result = measure(targets, Asked([suite()], repeat=20), care=HURRY)
    assert set(most) == {1}
    assert set(result.suites[0].cases[0].series[0].boards) == {"127.0.0.1"}


def test_a_run_has_a_bound_on_this_machines_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    install(monkeypatch, lambda session, plan: _wait(plan.stopped))
    result = measure(pool("127.0.0.1"), Asked([suite()], repeat=1, warmup=0), care=HURRY)
    assert result.suites[0].cases[0].failures == ["repetition 0: it took longer than 0 s"]


def test_a_run_that_cannot_be_stopped_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    begun, over = threading.Event(), threading.Event()

    def script(session: Pooled, plan: Any) -> None:
        if session.address == "127.0.0.1":
            begun.set()
            over.wait(LONG_S)
        else:
            begun.wait(LONG_S)

    install(monkeypatch, script)
    watch = Heard()
    try:
        result = measure(pool("127.0.0.1", "127.0.0.2"), Asked([suite()], repeat=3), watch, care=HURRY)
    finally:
        over.set()
    assert result.complete
    assert len(samples(result)) == 3
    assert watch.given_up == ["pooled:127.0.0.1"]


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run take 50 ms at most, and be left behind 100 ms later."""
    monkeypatch.setattr(worker, "LONGEST_RUN_S", 0.05)
    monkeypatch.setattr(worker, "TIMES", 0)
    monkeypatch.setattr(worker, "CLOSE_S", 0.1)


def _wait(stopped: Any) -> None:
    deadline = time.monotonic() + LONG_S
    while not stopped() and time.monotonic() < deadline:
        time.sleep(0.005)


def test_boards_are_announced_with_the_time_that_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    watch = Heard()
    measure(pool("127.0.0.1", "127.0.0.2"), Asked([suite()], repeat=3, warmup=1), watch, care=HURRY)
    assert watch.estimate_ns == (12_000_000 + 2_000_000_000) * 4 // 2
    watch = Heard()
    measure([Target("sim")], Asked([suite()], repeat=1), watch)
    assert watch.estimate_ns is None


@pytest.mark.parametrize("wrong", [{"repeat": 0}, {"warmup": -1}, {"duration_ms": 0}])
def test_numbers_of_runs_are_checked(wrong: Any) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}: "):
        Asked([suite(metrics=(METRIC,))], **wrong)
