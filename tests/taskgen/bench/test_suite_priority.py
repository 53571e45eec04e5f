"""The suite `priority`: urgency is respected by correct schedulers, and whoever disregards it is exposed."""

from pathlib import Path
from typing import Any

import pytest

from sim import SimSession
from taskgen.bench.prepare import setting_of
from taskgen.bench.suites import priority
from taskgen.bench.urgency import inversions
from taskgen.session import Target
from taskgen.taskset import TaskSet
from taskgen.testing.runs import Executed, execute
from taskgen.testing.stand import Stand
from tests.taskgen.bench.suited import GENERATIONS, INVERTED, on_board, on_sim, some
from tests.taskgen.board_runs import Ran, ran, tasks

ORDERS = {"levels-0-127", "levels-0-1", "levels-63-64", "levels-126-127", "levels-0-64-127", "deadlines"}
CASES = ORDERS | {"preempt", "crowd"}


@pytest.fixture
def inverted(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(INVERTED, encoding="utf-8")
    return f"{path}:Inverted"


def test_a_preemptive_scheduler_has_no_inversion_and_no_latency() -> None:
    found = on_sim(priority.SUITE)
    assert found.values("in-order") == dict.fromkeys(ORDERS, 1)
    assert found.values("inversions") == dict.fromkeys(CASES, 0)
    assert found.values("latency") == {"preempt": 0}
    assert found.bad() == []
    for case, predicted in found.predicted.items():
        assert predicted == {name: samples[0] for name, samples in found.samples[case].items()}


def test_without_preemption_the_urgent_task_waits_for_the_background_job() -> None:
    """The background computes for 60 ms from 1 on: what arrives at 10 begins at 61, of those up to 60 six wait."""
    found = on_sim(priority.SUITE, preemptive=False)
    assert found.samples["preempt"]["latency"] == [51]
    assert found.samples["preempt"]["inversions"] == [6]
    # Where all begin together the most urgent goes first, even so.
    assert found.values("in-order") == dict.fromkeys(ORDERS, 1)
    assert found.findings["inversions"]["ok"] is False
    assert "preempt" in found.findings["inversions"]["values"]["bad"]


def test_an_inverted_scheduler_is_exposed(inverted: str) -> None:
    """The background goes first and ends at 60: job 0 waits for 60 ms, and jobs 0 to 5 (10 ms apart) are passed."""
    found = on_sim(priority.SUITE, policy=inverted)
    assert found.values("in-order") == dict.fromkeys(ORDERS, 0)
    assert (found.samples["preempt"]["latency"], found.samples["preempt"]["inversions"]) == ([60], [6])
    # Of two jobs one goes wrong, of three each of the three pairs.
    wrong = {case: 3 if case in {"deadlines", "levels-0-64-127"} else 1 for case in ORDERS}
    assert {case: n for case, n in found.values("inversions").items() if case in ORDERS} == wrong
    assert found.samples["crowd"]["inversions"][0] > 0
    assert set(found.bad()) == {"order", "inversions"}
    assert found.findings["order"]["text"].startswith("0 of 6 cases end in the order of urgency; not levels-0-127,")


@pytest.mark.parametrize("policy", ["fifo", "rr"])
def test_a_scheduler_without_urgency_is_exposed(policy: str) -> None:
    found = on_sim(priority.SUITE, policy=policy)
    assert found.values("in-order") == dict.fromkeys(ORDERS, 0)
    assert set(found.bad()) == {"order", "inversions"}


@pytest.mark.parametrize("options", [{"cores": 2}, {"cores": 4, "partition": "worst-fit"}])
def test_more_cores_make_no_difference(options: dict[str, Any]) -> None:
    found = on_sim(priority.SUITE, **options)
    assert found.bad() == []
    assert found.values("in-order") == dict.fromkeys(ORDERS, 1)


def test_without_a_trace_latency_is_unknown_and_inversions_are_counted_all_the_same() -> None:
    found = on_sim(some(priority.SUITE, "preempt"), trace=False, preemptive=False)
    assert found.values("latency") == {}
    assert found.values("inversions") == {"preempt": 6}


# -- what an inversion is


def counted(trace: Executed, session: str = "sim", **options: object) -> int:
    with Stand(Target(session, "", options)) as stand:
        return inversions(trace, setting_of(stand, seed=0, duration_ms=1))


def simulated(*own: dict[str, int], policy: str) -> int:
    with SimSession(policy=policy) as session:
        return counted(execute(session, TaskSet(own), horizon_ms=100))


def test_a_completion_counts_once_for_each_urgent_job_that_it_passes() -> None:
    """First come, first served: 0..10, while jobs arrive at 2 and 3."""
    long = {"executiontime": 10, "period": 100, "priority": 9}
    urgent = {"executiontime": 1, "period": 100, "priority": 0}
    assert simulated(long, {**urgent, "offset": 2}, {**urgent, "offset": 3}, policy="fifo") == 2
    assert simulated(long, {**urgent, "offset": 2}, {**urgent, "offset": 3}, policy="fp") == 0
    # Equal urgency is no inversion, nor is an arrival at the very end.
    assert simulated(long, {**urgent, "offset": 2, "priority": 9}, policy="fifo") == 0
    assert simulated(long, {**urgent, "offset": 10}, policy="fifo") == 0


def test_any_priority_is_more_urgent_than_any_deadline() -> None:
    long = {"executiontime": 10, "period": 100, "deadline": 20}
    assert simulated(long, {"executiontime": 1, "period": 100, "priority": 127, "offset": 2}, policy="fifo") == 1
    assert simulated(long, {"executiontime": 1, "period": 100, "deadline": 50, "offset": 2}, policy="fifo") == 0
    assert simulated(long, {"executiontime": 1, "period": 100, "deadline": 10, "offset": 2}, policy="fifo") == 1


@pytest.mark.parametrize(
    ("jobs", "number"),
    [
        ([Ran(0, 0, 500), Ran(1, 100, 700)], 1),  # the urgent one was there at 126, and not at its end
        ([Ran(0, 0, 500), Ran(1, 465, 700)], 0),  # it was there 9 ms before: within the spread
        ([Ran(0, 0, 500), Ran(1, 100, 509)], 0),  # both ended at once, as far as stamps tell
        ([Ran(0, 0), Ran(1, 100, 700)], 0),  # nobody knows when the other one ended
        ([Ran(0, 0, 500), Ran(1, 100)], 1),  # it never ended
    ],
)
def test_on_boards_within_the_spread_of_the_stamps(jobs: list[Ran], number: int) -> None:
    pair = tasks({"priority": 9}, {"priority": 0})
    assert counted(ran(pair, *jobs), profile="G3b") == number
    same_level = tasks({"priority": 9}, {"priority": 1})
    assert counted(ran(same_level, *jobs), profile="G1") == 0


# -- boards

LEVELS = {case for case in ORDERS if case.startswith("levels")}
LEFT_OUT = {
    "G1": {"levels-63-64", "levels-126-127", "levels-0-64-127", "deadlines"},  # two levels, no EDF
    "G1o": {"levels", "preempt"},  # admission refuses priorities, and a task has one job
    "G1p": {"levels", "preempt"},
    "G3a": {"levels"},
    "G3b": {"levels"},
    "G4": {"deadlines"},
}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_boards_respect_urgency(generation: str) -> None:
    found = on_sim(priority.SUITE, profile=generation)
    assert found.left_out() == LEFT_OUT[generation]
    run = CASES - LEFT_OUT[generation] - (LEVELS if "levels" in LEFT_OUT[generation] else set())
    assert found.values("inversions") == dict.fromkeys(run, 0)
    assert found.values("in-order") == dict.fromkeys(run & ORDERS, 1)
    assert set(found.values("latency")) == run & {"preempt"}
    assert found.bad() == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_through_a_socket_as_well(generation: str) -> None:
    found = on_board(priority.SUITE, generation)
    assert found.left_out() == LEFT_OUT[generation]
    # Boards that are polled may not tell all ends.
    assert set(found.values("in-order").values()) <= {1}
    assert set(found.values("inversions").values()) <= {0}
    if generation not in {"G1", "G1o"}:
        assert found.values("in-order")
    assert found.bad() == []


@pytest.mark.parametrize(("generation", "cases"), [("G3b", {"deadlines"}), ("G4", LEVELS)])
def test_an_inverted_board_is_exposed(generation: str, cases: set[str], inverted: str) -> None:
    found = on_board(some(priority.SUITE, "levels", "deadlines"), generation, policy=inverted)
    assert found.values("in-order") == dict.fromkeys(cases, 0)
    assert "order" in found.bad()
