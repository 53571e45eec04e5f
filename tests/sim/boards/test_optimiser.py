"""The optimiser of the boards, statement by statement of wire-protocol 5.4: goals, permission, reviews, misses."""

from typing import Any

import pytest

from sim.boards.goal import Goals, parse_goal
from sim.boards.optimiser import RULES, Optimiser
from taskgen.errors import InputError, UsageError
from taskgen.optimizations.fairness import Fairness
from taskgen.optimizations.utilization import Utilization
from tests.sim.boards.optimiser_bench import G3, D, board, goal, job, meet, miss

# -- the goal document


@pytest.mark.parametrize(
    ("fairness", "utilization", "chosen"),
    [
        (0, 0, "none"), (1, 0, "fairness"), (0, 1, "utilization"), ("7", "1", "fairness"), ("x", "1", "utilization"),
        ("0x1", 0, "fairness"), (" 1", 0, "none"), ("0001", 0, "none"), ("-1", 0, "none"),
    ],
)  # fmt: skip
def test_goals(fairness: object, utilization: object, chosen: str) -> None:
    """5.4: "integer, non-zero selects fairness (wins if both set)"; "at most three digits"; 2.1: numbers, raw text."""
    assert parse_goal(goal(fairness, utilization), polls=False) == Goals(chosen, None)  # type: ignore[arg-type]


def test_the_ready_made_goal_documents() -> None:
    """The client's query_interval of 1000 reaches the board as 100: its buffer takes three digits."""
    assert parse_goal(Fairness(), polls=True) == Goals("fairness", 100)
    assert parse_goal(Utilization(), polls=True) == Goals("utilization", 100)


def test_the_root_is_the_task_set_on_g3() -> None:
    """5.4: "root name irrelevant; on G3 it is the taskset root"."""
    tasks = {"periodictask": [{"id": 0}], **goal(0, 1)}
    assert parse_goal({"taskset": tasks}, polls=False).goal == "utilization"
    assert parse_goal(tasks, polls=False).goal == "utilization"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"goal": {"fairness": {"apply": 1}}}, "goal/utilization: is missing"),
        ({"goal": {"utilization": {"apply": 1}}}, "goal/fairness: is missing"),
        ({"goal": ""}, "goal: has no sub-trees"),
        (goal("", 1), "goal/fairness/apply: is missing or empty"),
    ],
)
def test_documents_that_make_the_board_throw(document: dict[str, Any], message: str) -> None:
    """5.4: "empty text throws", "A `goal` without both sub-trees throws"."""
    with pytest.raises(InputError, match=message):
        parse_goal(document, polls=False)


def test_the_query_interval() -> None:
    """5.4: "mandatory on G1o, ignored on G3"."""
    with pytest.raises(InputError, match="query_interval: is missing or empty"):
        parse_goal(goal(1, 0), polls=True)
    optimiser = Optimiser("G1o")
    optimiser.set_goal({"query_interval": 50})
    assert (optimiser.goal, optimiser.query_interval_ms) == ("none", 50)
    optimiser = Optimiser("G3a")
    optimiser.set_goal(goal(0, 1, query_interval=""))
    assert (optimiser.goal, optimiser.query_interval_ms) == ("utilization", 100)


def test_the_defaults() -> None:
    """5.4: "No `goal` leaves the goal unchanged. Default: none on G1o (polling interval 100 ms), fairness on G3"."""
    assert {name: Optimiser(name).goal for name in RULES} == {"G1o": "none", "G3a": "fairness", "G3b": "fairness"}
    assert Optimiser("G1o").query_interval_ms == 100
    optimiser = Optimiser("G3a")
    optimiser.set_goal(goal(0, 1))
    optimiser.set_goal({"periodictask": []})
    assert optimiser.goal == "utilization"


@pytest.mark.parametrize("generation", ["G1", "G1p", "G4", "G9"])
def test_generations_without_an_optimiser(generation: str) -> None:
    with pytest.raises(UsageError, match="has no optimiser"):
        Optimiser(generation)


# -- 1: permission


@pytest.mark.parametrize("generation", RULES)
def test_at_first_every_task_is_permitted(generation: str) -> None:
    """5.4: "flag `to_schedule` (initially true)"; rule 1: "Unknown names answer -1, which is permission"."""
    optimiser = board(generation)
    assert all(optimiser.permit(name, 0, 0) for name in "abcz")
    assert set(optimiser.values().values()) == {0}


def denied() -> Optimiser:
    """Return a G3 board on which a and b blamed each other, and b is denied: value 2 against 1."""
    optimiser = board()
    miss(optimiser, "a", "b", at=100_000)
    miss(optimiser, "a", "b", at=200_000)
    miss(optimiser, "b", "a", at=300_000)
    assert optimiser.values() == {"a": 2, "b": 1, "c": 0}
    assert optimiser.flags() == {"a": True, "b": False, "c": True}
    return optimiser


def test_a_denial_counts() -> None:
    """Rule 1: "Flag false: the denial counts, `value` += 1, reset rule (5), flags recomputed (6)"."""
    optimiser = denied()
    permission = optimiser.permit("b", 0, 400_000)
    assert not permission
    assert permission.now_us == 400_000
    assert "fairness" in permission.reason
    # max_value is 2 and both have reached it: 2 is subtracted from each. a's flag: 0 >= 0 allowed.
    assert optimiser.values() == {"a": 0, "b": 0, "c": 0}
    assert optimiser.flags() == {"a": True, "b": False, "c": True}


def test_a_denied_task_comes_back_when_another_task_is_looked_at() -> None:
    """Rule 6 on G3: "own flag untouched", so that only a competitor's turn lifts a denial."""
    optimiser = denied()
    optimiser.permit("b", 0, 400_000)
    assert not optimiser.permit("b", 0, 500_000)
    meet(optimiser, "a", at=600_000)  # b's value of 1 is at least a's 0
    assert optimiser.permit("b", 0, 700_000)


# -- 2, 8, 10: review


@pytest.mark.parametrize("generation", G3)
def test_one_exited_thread_is_scored_before_its_deadline(generation: str) -> None:
    """Rule 10: "A review on G3 that finds exactly one exited thread scores it even before its deadline"."""
    optimiser = board(generation)
    first = job("a", 0, 10)
    assert optimiser.review("a", 10, [first]).outcome == "met"
    second = job("a", 20, 30)
    assert optimiser.review("a", 30, [first, second]).outcome == "met"
    more = [job("a", 40, 50), job("a", 60, 70)]
    assert optimiser.review("a", 70, [first, second, *more]).outcome == "too early"
    assert optimiser.review("a", 20 + D, [first, second, *more]).outcome == "met"


def test_g1o_polls_until_the_deadline_has_passed() -> None:
    """Rule 2: "at START on G1o, where the call polls every `query_interval` until the deadline has passed"."""
    optimiser = board("G1o")
    optimiser.set_goal({"query_interval": 3})
    assert optimiser.review("a", 0, []).outcome == "nothing new"  # no arrival is known: once
    assert optimiser.review("a", 10, [job("a", 5, 9)]).outcome == "met"
    polls = []
    now_us = 12
    while (review := optimiser.review("a", now_us, [job("a", 5, 9), job("a", 11, 12)])).again_us is not None:
        assert review.outcome == "too early"
        polls.append(now_us)
        now_us = review.again_us
    assert review.outcome == "met"
    assert polls == [12, 3012, 6012, 9012]  # the deadline is at 10 005


def test_a_job_is_scored_once() -> None:
    """Rule 10: "G3b reviews twice, at exit and at destruction"; rule 8: the second one finds nothing new."""
    optimiser = board()
    miss(optimiser, "a", "b", at=100)
    late = [job("a", 100, 100 + D + 1), job("b", 99, 100 + D)]
    assert optimiser.review("a", 200 + D, late).outcome == "nothing new"
    assert optimiser.values()["a"] == 1


def test_a_denied_task_counts_also_when_nothing_is_new() -> None:
    """Rule 8: "Review without a newly exited thread: if the flag is false, `value` += 1, then rules 5 and 6"."""
    optimiser = denied()
    assert optimiser.review("b", 900_000, []).outcome == "nothing new"
    assert optimiser.values() == {"a": 0, "b": 0, "c": 0}  # 2 and 2 reach max_value
    optimiser.review("a", 900_000, [])  # a's flag is set
    assert optimiser.values()["a"] == 0


def test_an_unknown_name_is_not_reviewed() -> None:
    assert board().review("z", 0, [job("z", 0, 5)]).outcome == "unknown"


# -- 3 and 4: met and missed


def test_met_pays_back_one() -> None:
    """Rule 3: "exit <= arrival + D: `value` -= 1 (floor 0)"."""
    optimiser = denied()
    meet(optimiser, "a", at=400_000)
    meet(optimiser, "c", at=400_000)
    assert optimiser.values() == {"a": 1, "b": 1, "c": 0}


def test_the_cause_is_whoever_exited_last_before_the_deadline() -> None:
    """Rule 4: "other task whose newest exit is the latest not after this deadline"."""
    optimiser = board()
    late = job("a", 100, D + 200)
    review = optimiser.review("a", D + 200, [late, job("b", 0, 90), job("c", 0, 95), job("c", 96, D + 101)])
    assert review.cause == "b"  # c's newest exit is behind the deadline
    assert review.outcome == "missed"


def test_a_task_that_never_exited_counts_as_exit_0() -> None:
    """Rule 10: "Never-exited tasks count as exit 0 when the cause is sought"."""
    review = board().review("a", D + 200, [job("a", 100, D + 200), job("b", 0, D + 300), job("c", 0, None)])
    assert review.cause == "c"


def test_a_destroyed_thread_is_a_cause_too() -> None:
    """Rule 4: "or the latest RIP entry inside [arrival, deadline]"."""
    late = job("a", 100, D + 200)
    assert board().review("a", D + 200, [late, job("b", 0, 150), job("c", 0, None, dead=160)]).cause == "c"
    assert board().review("a", D + 200, [late, job("b", 0, 50), job("c", 0, None, dead=99)]).cause == "b"


def test_a_miss_makes_a_group() -> None:
    """Rule 4: "both join one group (groups merge ...); max_value = max(old, competitors + 1)"; 5: all must reach it."""
    optimiser = board(names="abcd")
    miss(optimiser, "a", "b", at=100_000)
    miss(optimiser, "c", "d", at=200_000)
    miss(optimiser, "a", "c", at=300_000)  # merged: max_value = max(2, 2, 2 + 1)
    assert optimiser.values() == {"a": 2, "b": 0, "c": 1, "d": 0}
    for at in (400_000, 500_000, 600_000):
        miss(optimiser, "b", "a", at=at)
        miss(optimiser, "c", "a", at=at + 50_000)
        miss(optimiser, "d", "a", at=at + 70_000)
    # Rule 9: "From 2018-02-01 rule 5 is not applied after a miss for a task that is in a group".
    assert optimiser.values() == {"a": 2, "b": 3, "c": 4, "d": 3}
    # a is denied by now; counting that denial reaches 3 for all, which is paid back.
    assert not optimiser.flags()["a"]
    optimiser.permit("a", 0, 900_000)
    assert optimiser.values() == {"a": 0, "b": 0, "c": 1, "d": 0}


def test_a_miss_pays_nothing_back() -> None:
    """Rule 9: "From 2018-02-01 rule 5 is not applied after a miss for a task that is in a group"."""
    optimiser = denied()
    miss(optimiser, "b", "a", at=400_000)
    assert optimiser.values() == {"a": 2, "b": 2, "c": 0}  # both have reached max_value


def test_nothing_is_paid_back_before_all_have_reached_it() -> None:
    """Rule 5: "and all group members on this core have reached it"."""
    optimiser = board()
    miss(optimiser, "a", "b", at=100_000)
    assert [bool(optimiser.permit("b", 0, 200_000)) for _ in range(3)] == [False] * 3
    assert optimiser.values() == {"a": 1, "b": 3, "c": 0}


def test_a_merged_group_keeps_the_larger_max_value() -> None:
    """Rule 4: "groups merge, smaller into larger", `max_value` = max(old, competitors + 1)."""
    optimiser = board(names="abcdefg")
    chain = [("a", "b"), ("b", "c"), ("c", "d")]  # max_value 2
    smaller = [("e", "f"), ("e", "g")]  # max_value 3
    merged = [("d", "e"), ("d", "e"), ("f", "e"), ("f", "e"), ("g", "e"), ("g", "e")]
    at = 0
    for name, cause in [*chain, *smaller, *merged, *chain]:
        at += 100_000
        miss(optimiser, name, cause, at=at)
    assert set(optimiser.values().values()) == {2}
    name = next(name for name, allowed in optimiser.flags().items() if not allowed)
    before = optimiser.values()
    optimiser.permit(name, 0, at + 100_000)
    assert optimiser.values() == before | {name: before[name] + 1}


def test_the_reset_looks_at_one_core() -> None:
    """Rule 5: "all group members on this core have reached it, subtract `max_value` from each"."""
    optimiser = denied()
    optimiser.permit("a", 1, 300_000)  # a has moved to core 1, where its value is 0
    optimiser.permit("b", 0, 400_000)
    assert optimiser.values() == {"a": 0, "b": 0, "c": 0}
    optimiser.permit("a", 0, 500_000)
    assert optimiser.values()["a"] == 2  # it wasn't asked to pay


def test_a_miss_without_cause() -> None:
    """Rule 9: a single task that misses hangs the board: inferred, a switch that is off by default."""
    late = [job("a", 0, D + 1)]
    review = board(names="a").review("a", D + 1, late)
    assert (review.outcome, review.cause, review.hangs) == ("missed", None, False)
    assert board(names="a", hangs=True).review("a", D + 1, late).hangs
    assert not board(names="ab", hangs=True).review("a", D + 1, late).hangs
    assert not board("G1o", names="a", hangs=True).review("a", D + 1, late).hangs
