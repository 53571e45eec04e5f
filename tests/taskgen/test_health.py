"""The health of a target: what follows from what happens to it, and what is done about it."""

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import TaskSet
from taskgen.distributor.health import TRANSITIONS, Care, Condition, Health, Remedy, Sign, State
from taskgen.distributor.items import Item
from taskgen.distributor.roster import Roster, Seat
from taskgen.monitor import Run

HAPPENING = [sign for sign in Sign if sign is not Sign.BEGUN]


def after(*signs: Sign) -> Condition:
    condition = Condition()
    for sign in signs:
        condition = condition.after(sign, f"it {sign}")
    return condition


def test_a_target_in_quarantine_is_left_alone_until_the_next_start_whatever_is_heard_of_it() -> None:
    assert set(TRANSITIONS) == set(itertools.product(Health, Sign))
    ways_out = {sign for sign in Sign if TRANSITIONS[Health.QUARANTINED, sign] is not Health.QUARANTINED}
    assert ways_out == {Sign.BEGUN}
    assert {sign for (_, sign), after in TRANSITIONS.items() if after is Health.GOOD} == {
        Sign.WORKED,
        Sign.ANSWERED,
        Sign.BEGUN,  # of one that was good
    }


@pytest.mark.parametrize(
    ("signs", "health", "failures"),
    [
        ([], "unknown", 0),
        ([Sign.WORKED], "good", 0),
        ([Sign.WORKED, Sign.FAILED], "unknown", 1),
        ([Sign.FAILED, Sign.ANSWERED], "good", 1),  # an answer isn't a run that came to its end
        ([Sign.FAILED, Sign.SILENT], "bad", 2),
        ([Sign.FAILED, Sign.SILENT, Sign.CYCLED], "unknown", 2),
        ([Sign.FAILED, Sign.SILENT, Sign.CYCLED, Sign.ANSWERED], "good", 2),
        ([Sign.FAILED, Sign.SILENT, Sign.ANSWERED, Sign.WORKED], "good", 0),
        ([Sign.FAILED, Sign.WORN], "quarantined", 1),
        ([Sign.FAILED, Sign.WORN, Sign.BEGUN], "unknown", 0),
        ([Sign.FAILED, Sign.SILENT, Sign.BEGUN], "unknown", 2),
    ],
)
def test_what_becomes_of_a_target(signs: list[Sign], health: str, failures: int) -> None:
    condition = after(*signs)
    assert (condition.health, condition.failures) == (health, failures)


def test_the_last_failure_is_remembered_and_all_are_counted() -> None:
    condition = after(Sign.FAILED, Sign.WORKED, Sign.SILENT, Sign.ANSWERED, Sign.WORKED)
    assert (condition.total, condition.failures, condition.reason) == (2, 0, "it silent")


@pytest.mark.parametrize(
    ("signs", "switchable", "remedy"),
    [
        ([Sign.WORKED], True, Remedy.NONE),
        ([Sign.FAILED], True, Remedy.PROBE),
        ([Sign.FAILED, Sign.SILENT], True, Remedy.CYCLE),
        ([Sign.FAILED, Sign.SILENT], False, Remedy.PROBE),
        ([Sign.FAILED, Sign.ANSWERED, Sign.FAILED], True, Remedy.CYCLE),  # it answers, and hangs all the same
        ([Sign.FAILED, Sign.SILENT, Sign.CYCLED], True, Remedy.PROBE),
        ([Sign.FAILED, Sign.SILENT, Sign.CYCLED, Sign.SILENT], True, Remedy.PROBE),
        ([Sign.FAILED, Sign.SILENT, Sign.CYCLED, Sign.SILENT, Sign.SILENT], True, Remedy.CYCLE),
        ([Sign.FAILED] * 5, True, Remedy.QUARANTINE),
        ([*[Sign.FAILED] * 5, Sign.ANSWERED], True, Remedy.NONE),
    ],
)
def test_what_is_done_about_a_target(signs: list[Sign], switchable: bool, remedy: Remedy) -> None:
    assert Care(quarantine_after=5, cycle_after=2).remedy(after(*signs), switchable=switchable) is remedy


@given(st.lists(st.sampled_from(HAPPENING)), st.booleans())
def test_a_target_is_used_if_and_only_if_its_last_word_was_good(signs: list[Sign], switchable: bool) -> None:
    condition = Condition()
    for sign in signs:
        if condition.health is Health.QUARANTINED:
            break
        condition = condition.after(sign, "some reason")
        used = Care().remedy(condition, switchable=switchable) is Remedy.NONE
        assert used == (sign in {Sign.WORKED, Sign.ANSWERED})


@given(st.integers(1, 2000), st.integers())
def test_rests_double_up_to_a_bound_with_jitter_between_half_and_all(failures: int, seed: int) -> None:
    care = Care(backoff_s=0.25, max_backoff_s=30.0)
    rest_s = care.rest_s(failures, random.Random(seed))
    whole_s = min(30.0, 0.25 * 2 ** min(failures - 1, 100))
    assert whole_s / 2 <= rest_s <= whole_s
    assert rest_s == care.rest_s(failures, random.Random(seed))


@given(
    st.integers(1, 8),
    st.integers(1, 4),
    st.booleans(),
    st.randoms(use_true_random=False),
    st.floats(0, 3),
    st.floats(0, 40),
)
def test_a_target_is_well_or_in_quarantine_within_the_bound(
    quarantine_after: int, cycle_after: int, switchable: bool, rng: random.Random, probe_s: float, cycle_s: float
) -> None:
    """It fails whenever it is used; probes and power cycles go well or not: the longest that can be."""
    care = Care(quarantine_after, cycle_after)
    condition, elapsed_s = after(Sign.FAILED), 0.0
    while (remedy := care.remedy(condition, switchable=switchable)) is not Remedy.QUARANTINE:
        if remedy is Remedy.NONE:
            condition = condition.after(Sign.FAILED, "again")
        elif remedy is Remedy.CYCLE:
            elapsed_s += cycle_s
            fails = rng.random() < 0.3
            elapsed_s += care.rest_s(condition.failures, rng) if fails else 0.0
            condition = condition.after(Sign.FAILED if fails else Sign.CYCLED, "the outlet is gone")
        else:
            elapsed_s += care.rest_s(condition.failures, rng) + probe_s
            condition = condition.after(Sign.ANSWERED if rng.random() < 0.5 else Sign.SILENT, "nobody")
    assert elapsed_s <= care.longest_recovery_s(probe_s, cycle_s if switchable else 0.0) * (1 + 1e-9)


# --- who comes first


def roster(count: int, *, parallel: int | None = None) -> Roster:
    pool = None if parallel is None else "board"
    made = Roster([Seat(str(number), pool, parallel) for number in range(count)])
    for number in range(count):
        made.wait(number)
    return made


def turns(targets: Roster) -> Iterator[int]:
    while (target := targets.best()) is not None:
        yield target
        targets.seize(target)


def test_the_target_with_the_fewest_failures_comes_first_then_the_one_that_had_nothing_for_longest() -> None:
    targets = roster(4)
    targets.note(1, Sign.FAILED, "lost")
    targets.note(1, Sign.WORKED)  # it is good again, and not forgotten
    assert list(turns(targets)) == [0, 2, 3, 1]
    for number in (3, 0, 1, 2):
        targets.wait(number)
    assert list(turns(targets)) == [0, 2, 3, 1]
    assert [row.state for row in targets.rows()] == [State.LEASED] * 4


def test_of_a_pool_no_more_work_than_it_allows() -> None:
    targets = roster(5, parallel=2)
    assert list(turns(targets)) == [0, 1]
    targets.wait(0)
    assert list(turns(targets)) == [0]  # it kept its place
    targets.vacate(1)
    targets.wait(1)
    assert list(turns(targets)) == [2]


def item(failed_on: set[int], unable: set[int] | None = None) -> Item:
    taskset = TaskSet([{"period": 1}])
    return Item(Run(0, taskset, "0", 0), failed_on=failed_on, unable=unable or set())


def test_a_variant_goes_to_another_target_unless_all_others_are_bad() -> None:
    targets = roster(3)
    assert targets.best(item({0})) == 1
    targets.seize(1)
    targets.seize(2)
    assert targets.best(item({0})) is None
    targets.note(1, Sign.SILENT, "nobody")
    assert targets.best(item({0})) is None
    targets.note(2, Sign.SILENT, "nobody")
    assert targets.best(item({0})) == 0


def test_a_variant_never_goes_to_a_target_that_cannot_do_it() -> None:
    targets = roster(2)
    assert targets.best(item(set(), {0})) == 1
    targets.seize(1)
    assert targets.best(item({1}, {0})) is None
    assert targets.can(item({1}, {0}))
    targets.note(1, Sign.WORN)
    assert not targets.can(item({1}, {0}))


def test_a_target_that_waits_makes_room_for_one_of_its_pool_only_when_it_stands_in_its_way() -> None:
    targets = roster(2, parallel=1)
    targets.seize(0)
    targets.wait(0)
    assert targets.in_the_way([item({1})]) is None
    assert targets.best(item({0})) is None
    assert targets.in_the_way([item({0})]) == 0
