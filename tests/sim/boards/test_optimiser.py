"""The optimiser of the boards, statement by statement of wire-protocol 5.4."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.boards.goal import Goals, parse_goal
from sim.boards.optimiser import RULES, Optimiser, Thread
from taskgen.errors import InputError, UsageError
from taskgen.optimizations.fairness import Fairness
from taskgen.optimizations.utilization import Utilization

G3 = ("G3a", "G3b")
D = 10_000  #: relative deadline of all tasks here, in us


def goal(fairness: object, utilization: object, **more: object) -> dict[str, Any]:
    return {"goal": {"fairness": {"apply": fairness}, "utilization": {"apply": utilization}}, **more}


def board(generation: str = "G3b", names: str = "abc", **options: bool) -> Optimiser:
    optimiser = Optimiser(generation, **options)
    for name in names:
        optimiser.register(name, 0, period=10, deadline_us=D)
    return optimiser


def job(name: str, arrival: int, end: int | None, cpu: int = 0, core: int = 0, dead: int | None = None) -> Thread:
    return Thread(name, core, arrival, end, cpu, dead)


def miss(optimiser: Optimiser, name: str, cause: str, at: int, core: int = 0) -> None:
    """Let a job of `name`, released at `at`, miss its deadline, and `cause` exit last before that."""
    threads = [job(name, at, at + D + 1, core=core), job(cause, at - 1, at + D, core=core)]
    review = optimiser.review(name, at + D + 1, threads)
    assert (review.outcome, review.cause) == ("missed", cause)


def meet(optimiser: Optimiser, name: str, at: int, cpu: int = 0) -> None:
    assert optimiser.review(name, at + D, [job(name, at, at + D, cpu)]).outcome == "met"


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
