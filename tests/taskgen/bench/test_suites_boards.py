"""All suites through sockets, on a board in software of each generation, and with boards that die."""

from collections.abc import Iterator
from typing import Any

import pytest

import hil.board
from hil.board.software import OPTIONS
from taskgen.bench.measure import Asked, measure
from taskgen.bench.prepare import load_suite
from taskgen.bench.result import Result
from taskgen.bench.suite import Case, Suite
from taskgen.bench.watch import Watch
from taskgen.dialect.boards import BOARDS
from taskgen.distributor.health import Care
from taskgen.session import Target
from taskgen.taskset import TaskSet
from tests.taskgen.bench.pooled import suite

HURRY = Care(backoff_s=0.01)
#: Boards that push their events, or keep a log; what happens on the others is seen by whoever looks often enough.
TOLD = tuple(name for name, row in BOARDS.items() if "GET_PROFILE" in row.messages)
UNTOLD = tuple(name for name in BOARDS if name not in TOLD)
ALL = ("smoke", "latency", "churn", "soak")


def targets(boards: hil.board.Boards) -> list[Target]:
    hasty = {**OPTIONS, "reply_ms": 200, "connect_timeout_ms": 200, "silence_ms": 150}
    return [Target(each.session, each.address, {**each.options, **hasty}) for each in boards.targets]


def asked(*suites: str, repeat: int = 1, **fields: Any) -> Asked:
    return Asked([load_suite(name) for name in suites], repeat=repeat, warmup=0, duration_ms=20_000, **fields)


@pytest.fixture(params=TOLD)
def boards(request: pytest.FixtureRequest) -> Iterator[hil.board.Boards]:
    with hil.board.serve(generation=request.param) as boards:
        yield boards


def unmeasured(result: Result) -> list[str]:
    """Return the cases that gave no samples at all."""
    return [f"{each.name}/{case.name}" for each in result.suites for case in each.cases if not case.series]


def not_ok(result: Result) -> list[str]:
    return [finding["text"] for each in result.suites for finding in each.findings if finding["ok"] is False]


def test_all_suites_run_to_the_end(boards: hil.board.Boards) -> None:
    # Stopping a set takes half a second on some, however fast their time runs.
    suites = ALL if boards.options.generation == "G4" else ALL[:-1]
    result = measure(targets(boards), asked(*suites), care=HURRY)
    assert (result.complete, result.reason) == (True, "")
    assert unmeasured(result) == []
    assert not_ok(result) == []
    assert [each.name for each in result.suites] == list(suites)
    assert result.target["generation"] == boards.options.generation
    assert [song["board"] for song in result.canary] == [str(targets(boards)[0])]


@pytest.mark.parametrize("generation", UNTOLD)
def test_boards_that_tell_nothing_are_measured_as_far_as_one_sees(generation: str) -> None:
    """At full speed a job may come and go between two looks: what is missing is unknown, and no failure."""
    hey = TaskSet([{"pkg": "hey", "period": 1000, "priority": 1}])
    short = suite(Case("short", hey, lambda measured: {"response": len(measured.trace.jobs)}, horizon_ms=500))
    with hil.board.serve(generation=generation) as boards:
        result = measure(targets(boards), Asked([short], repeat=2, canary=False), care=HURRY)
    assert (result.complete, result.reason) == (True, "")
    assert len(result.suites[0].cases[0].series[0].samples) == 2


@pytest.mark.nightly
@pytest.mark.parametrize("generation", BOARDS)
def test_all_suites_run_to_the_end_again_and_again(generation: str) -> None:
    with hil.board.serve(generation=generation, speed="max" if generation in TOLD else 20) as boards:
        result = measure(targets(boards), asked(*ALL, repeat=2), care=HURRY)
    assert (result.complete, result.reason) == (True, "")


class Killer(Watch):
    """Freezes a board after so many runs."""

    def __init__(self, boards: hil.board.Boards, after: int) -> None:
        self._boards = boards
        self._after = after
        self.given_up: list[str] = []

    def ran(self, done: int, suite: Suite, case: Case, repetition: int, sampled: Any) -> None:
        if done == self._after:
            self._boards.freeze(0)

    def lost(self, board: str, reason: str) -> None:
        self.given_up.append(board)


def test_a_board_that_dies_in_the_middle_leaves_a_partial_result() -> None:
    with hil.board.serve(generation="G4") as boards:
        result = measure(
            targets(boards), asked("latency", repeat=10, canary=False), Killer(boards, after=6), care=HURRY
        )
    assert not result.complete
    assert result.reason.startswith("34 of 40 runs are missing: taskloader:127.0.0.1:")
    assert max(len(series.samples) for series in result.suites[0].cases[0].series) in {1, 2}


def test_another_board_of_the_pool_takes_the_runs_of_one_that_dies() -> None:
    with hil.board.serve(generation="G4", count=2) as boards:
        watch = Killer(boards, after=6)
        result = measure(targets(boards), asked("latency", repeat=30, canary=False), watch, care=HURRY)
        dead, alive = (str(target.address) for target in boards.targets)
    assert (result.complete, result.reason) == (True, "")
    assert watch.given_up in ([], [f"taskloader:{dead}"])  # if the other one did all the rest meanwhile
    for case in result.suites[0].cases:
        for series in case.series:
            assert len(series.samples) == 30
            assert alive in series.boards
