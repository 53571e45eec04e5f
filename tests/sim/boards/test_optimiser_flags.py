"""The optimiser of the boards, statement by statement of wire-protocol 5.4: flags, who leaves, and laws of both."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.boards.optimiser import RULES, Optimiser
from tests.sim.boards.optimiser_bench import G3, D, board, goal, job, meet, miss

# -- 6: flags


def rivals(generation: str, measures: dict[str, int], document: dict[str, Any] | None = None) -> Optimiser:
    """Return a board under utilization where a blamed all others, which have these measures, and then met."""
    optimiser = board(generation, names="".join(measures))
    optimiser.set_goal(document or goal(0, 1, query_interval=1))
    others = [name for name in measures if name != "a"]
    for number, name in enumerate(others):
        miss(optimiser, "a", name, at=100_000 + number * 50_000)
    for name in others:
        meet(optimiser, name, at=1_000_000, cpu=measures[name] * 10)
    meet(optimiser, "a", at=1_000_000, cpu=measures["a"] * 10)
    return optimiser


@pytest.mark.parametrize("generation", G3)
@pytest.mark.parametrize(
    ("measures", "flags"),
    [
        ({"a": 5, "b": 3, "c": 4}, {"b": False}),  # the smallest below a
        ({"a": 5, "b": 3, "c": 3}, {"b": False}),  # ties: the first listed is the smallest
        ({"a": 5, "b": 5, "c": 6}, {}),
    ],
)
def test_flags_of_g3(generation: str, measures: dict[str, int], flags: dict[str, bool]) -> None:
    """Rule 6: "the competitor with the smallest measure < own is denied; own flag untouched"; rule 8: ties."""
    assert rivals(generation, measures).flags() == dict.fromkeys(measures, True) | flags


def test_g3_allows_the_largest_at_or_above() -> None:
    """Rule 6: "the competitor with the largest measure >= own is allowed"; rule 8: the last listed in a tie."""
    optimiser = rivals("G3b", {"a": 5, "b": 3, "c": 4})
    meet(optimiser, "b", at=2_000_000, cpu=100)
    meet(optimiser, "a", at=2_000_000, cpu=50)
    assert optimiser.flags() == {"a": True, "b": True, "c": False}  # b with 10 is back, c with 4 goes
    meet(optimiser, "b", at=3_000_000, cpu=40)
    meet(optimiser, "a", at=3_000_000, cpu=50)
    assert optimiser.flags() == {"a": True, "b": False, "c": False}  # b and c tie at 4 below a: the first goes
    meet(optimiser, "a", at=4_000_000, cpu=40)
    assert optimiser.flags() == {"a": True, "b": False, "c": True}  # b and c tie at a's 4: the last comes back


@pytest.mark.parametrize(
    ("measures", "flags"),
    [
        ({"a": 5, "b": 3, "c": 5}, {"a": True, "b": False, "c": False}),  # nobody above
        ({"a": 5, "b": 6, "c": 7}, {"a": False, "b": False, "c": True}),
        ({"a": 5, "b": 7, "c": 7}, {"a": False, "b": True, "c": False}),  # ties: the first listed
    ],
)
def test_flags_of_g1o(measures: dict[str, int], flags: dict[str, bool]) -> None:
    """Rule 6: "no competitor above own: self allowed, all competitors denied. Otherwise self denied, topmost allowed".

    While a missed, all measured 0 and nobody was above it: its competitors were denied.
    """
    assert rivals("G1o", measures).flags() == flags


def test_a_competitor_on_another_core_does_not_count() -> None:
    """Rule 6: "looking only at competitors on the same core"."""
    optimiser = board()
    optimiser.permit("b", 1, 0)
    miss(optimiser, "a", "b", at=100_000)
    assert optimiser.flags() == {"a": True, "b": True, "c": True}
    optimiser.permit("b", 0, 0)
    miss(optimiser, "a", "b", at=200_000, core=1)  # now it is a that is elsewhere
    assert optimiser.flags() == {"a": True, "b": True, "c": True}
    miss(optimiser, "a", "b", at=300_000)
    assert optimiser.flags() == {"a": True, "b": False, "c": True}


def test_an_empty_competitor_list_changes_nothing() -> None:
    """Rule 8; G1o would otherwise allow a."""
    optimiser = board("G1o")
    optimiser.set_goal(goal(1, 0, query_interval=1))
    miss(optimiser, "b", "a", at=100_000)  # on G1o nobody is above b: a is denied
    meet(optimiser, "a", at=200_000)
    assert optimiser.flags() == {"a": False, "b": True, "c": True}


@pytest.mark.parametrize("generation", RULES)
def test_without_goal_no_flag_ever_changes(generation: str) -> None:
    optimiser = rivals(generation, {"a": 5, "b": 7, "c": 3}, goal(0, 0, query_interval=1))
    assert all(optimiser.flags().values())


def test_measured_utilization() -> None:
    """Rule 10: "us of CPU / T as given; integer division on G1o": 49 / 10 against 40 / 10."""
    for generation, b in [("G3b", False), ("G1o", False)]:
        assert rivals(generation, {"a": 5, "b": 4}).flags()["b"] is b
    exact, whole = (board(generation, names="ab") for generation in ("G3b", "G1o"))
    for optimiser in (exact, whole):
        optimiser.set_goal(goal(0, 1, query_interval=1))
        miss(optimiser, "a", "b", at=100_000)
        meet(optimiser, "b", at=200_000, cpu=49)
        meet(optimiser, "a", at=200_000, cpu=40)
    assert exact.flags() == {"a": True, "b": True}  # 4.9 >= 4.0
    assert whole.flags() == {"a": True, "b": False}  # 4 isn't above 4


def test_the_counters_of_g1o_stay_at_zero() -> None:
    """Rule 9: "G1o's counters live in dead memory and are undefined: model `value` = 0 there"."""
    optimiser = board("G1o")
    miss(optimiser, "a", "b", at=100_000)
    assert set(optimiser.values().values()) == {0}


# -- 7: leaving


def test_a_task_without_further_jobs_ends_on_g1o_only() -> None:
    """Rule 7: "moved to the ended list and removed from all competitor lists"; rule 7 "exists on G1o only"."""
    for generation, outcome in [("G1o", "ended"), ("G3b", "nothing new")]:
        optimiser = board(generation)
        optimiser.set_goal(goal(1, 0, query_interval=1))
        miss(optimiser, "b", "a", at=100_000)
        meet(optimiser, "a", at=200_000)
        assert optimiser.review("a", 900_000, [], last_job_started=True).outcome == outcome
        assert ("a" in optimiser.flags()) == (generation == "G3b")


def test_a_group_of_one_dissolves() -> None:
    """Rule 7; then a miss without cause is again a miss of a task without a group."""
    optimiser = board(names="ab", hangs=True)
    miss(optimiser, "a", "b", at=100_000)
    optimiser.leave("b")
    assert optimiser.review("a", 900_000, [job("a", 200_000, 300_000)]).hangs
    optimiser.leave("b")  # nothing left to do
    assert optimiser.permit("b", 0, 900_000)  # unknown now


def test_who_left_is_no_competitor() -> None:
    """Rule 7: "removed from all competitor lists": b, who was above a, no longer keeps it from running."""
    optimiser = rivals("G1o", {"a": 5, "b": 7, "c": 3})
    assert not optimiser.flags()["a"]
    optimiser.leave("b")
    meet(optimiser, "a", at=2_000_000, cpu=50)
    assert optimiser.flags() == {"a": True, "c": False}


def test_the_first_registration_of_a_name_is_kept() -> None:
    """5.4: "The first registration of a name is kept for ever (CLEAR does not reset it)"."""
    optimiser = board(names="a")
    optimiser.register("a", 1, period=1, deadline_us=5)
    assert optimiser.review("a", D, [job("a", 0, D)]).outcome == "met"


# -- laws

steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["permit", "met", "missed", "nothing"]), st.integers(0, 1)),
    max_size=30,
)


@given(steps, st.sampled_from(sorted(RULES)), st.sampled_from(["fairness", "utilization"]))
def test_counters_never_fall_below_zero_and_the_answer_is_the_flag(
    steps: list[tuple[str, str, int]], generation: str, chosen: str
) -> None:
    """Rule 3: "floor 0"; rule 1: the loader asks for the flag, and "answer is the new flag" after a denial."""
    optimiser = board(generation)
    optimiser.set_goal(goal(int(chosen == "fairness"), int(chosen == "utilization"), query_interval=1))
    now_us = 0
    for name, action, core in steps:
        now_us += 100_000
        if action == "permit":
            before = optimiser.flags()[name]
            answer = optimiser.permit(name, core, now_us)
            assert bool(answer) == optimiser.flags()[name]
            assert bool(answer) or not before
        elif action == "nothing":
            optimiser.review(name, now_us, [])
        else:
            end_us = now_us + D + (action == "missed")
            optimiser.review(name, now_us + 2 * D, [job(name, now_us, end_us, cpu=now_us // 7, core=core)])
        assert min(optimiser.values().values()) >= 0
