"""Two runs on the same target don't differ, a tenth more time is found: the proof of `benchmarks.verdicts`, small."""

from collections.abc import Sequence

import pytest

from benchmarks.verdicts import OnSimulator, Pair, Programs, boards, pairs_of, tally
from hil import TaskloaderSession
from taskgen import Target, TaskSet
from taskgen.bench.compare import Row, Verdict


def rights(found: Sequence[Pair]) -> tuple[int, int]:
    """Return how many unchanged pairs are right, and how many slowed ones."""
    return tally(found, slowed=False)["right"], tally(found, slowed=True)["right"]


def test_on_the_simulator_the_same_is_the_same_and_slower_is_worse() -> None:
    found = list(pairs_of(OnSimulator(), 1))
    assert rights(found) == (1, 1)
    assert all(row.p is not None for row in found[0].rows if row.metric != "jitter"), "there was something to compare"


@pytest.mark.nightly
@pytest.mark.parametrize(("generation", "pairs"), [("G3b", 3), ("G4", 10)])
def test_on_boards_the_same_is_the_same_and_slower_is_worse(generation: str, pairs: int) -> None:
    with boards(pairs, generation=generation) as place:
        assert rights(list(pairs_of(place, pairs))) == (pairs, pairs)


@pytest.mark.nightly
def test_on_a_busy_machine_nothing_is_worse_than_before() -> None:
    with boards(5) as place:
        found = list(pairs_of(place, 5, suites=["latency", "churn"], busy=1))
    assert rights(found) == (5, 5)


def test_runs_of_one_board_are_independent_and_those_of_two_boards_too() -> None:
    task = {**Programs().block(110), "period": 1000, "criticaltime": 500, "numberofjobs": 3, "priority": 1}

    def took_ns(target: Target) -> list[tuple[int, ...]]:
        with TaskloaderSession.open(target) as session:
            runs = [list(session.run(TaskSet([task]))) for _ in range(3)]
        return [tuple(event.time_ns for event in events) for events in runs]

    with boards(1, spread=20) as place:
        first, second = took_ns(place.fresh(slowed=False)), took_ns(place.fresh(slowed=False))
    assert len({*first, *second}) == 6


@pytest.mark.parametrize(
    ("verdicts", "unchanged", "slowed"),
    [
        ([Verdict.UNCHANGED, Verdict.UNCLEAR], True, False),
        ([Verdict.UNCHANGED, Verdict.WORSE], False, True),
        ([Verdict.BETTER], False, False),
        ([Verdict.WORSE, Verdict.BETTER], False, False),
        ([Verdict.FAILING], False, False),
    ],
)
def test_a_pair_is_right_if_it_says_what_was_done(verdicts: list[Verdict], unchanged: bool, slowed: bool) -> None:
    rows = [Row("latency", "load-0", "jitter", "ms", verdict) for verdict in verdicts]
    assert [Pair(kind, rows).right for kind in (False, True)] == [unchanged, slowed]
    assert not any(Pair(kind, rows, "no board").right for kind in (False, True))
