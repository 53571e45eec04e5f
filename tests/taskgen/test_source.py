"""Whatever is to be run is one numbered stream of variants, drawn as late as possible."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import TaskSet
from taskgen.distributor.source import Source, Work
from taskgen.errors import InputError, UsageError


def sets(*counts: int) -> list[TaskSet]:
    return [TaskSet([{"period": range(1, count + 1)}]) for count in counts]


def drawn(source: Source) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    while (pair := source.draw()) is not None:
        number, taskset = pair
        found.append((number, taskset[0]["period"]))
    assert source.exhausted
    return found


def test_the_variants_of_one_set_have_their_own_numbers() -> None:
    [taskset] = sets(5)
    assert drawn(Source(taskset)) == [(i, i + 1) for i in range(5)]
    assert drawn(Source(taskset.variants()[1::2])) == [(1, 2), (3, 4)]
    assert drawn(Source(taskset.variants()[4])) == [(4, 5)]
    sample = taskset.variants().sample(3, seed=1)
    assert [number for number, _ in drawn(Source(sample))] == [v.variant_index for v in sample]


def test_the_variants_of_several_sets_count_on() -> None:
    three, two = sets(3, 2)
    expected = [(0, 1), (1, 2), (2, 3), (3, 1), (4, 2)]
    assert drawn(Source([three, two])) == expected
    assert drawn(Source(iter([three, two]))) == expected
    assert drawn(Source([three.variants(), two])) == expected


def test_variants_that_are_given_one_by_one_keep_their_numbers() -> None:
    [taskset] = sets(6)
    assert drawn(Source(v for v in taskset.variants() if v[0]["period"] % 2)) == [(0, 1), (2, 3), (4, 5)]


def test_a_variant_that_became_a_description_again_has_variants() -> None:
    [taskset] = sets(3)
    variant = taskset.variants()[2]
    variant[0]["priority"] = [1, 2]
    assert drawn(Source(variant)) == [(0, 3), (1, 3)]


@given(st.lists(st.integers(1, 4), max_size=4), st.none() | st.integers(0, 12), st.booleans())
def test_total_limit_and_what_is_left_agree(counts: list[int], limit: int | None, peek: bool) -> None:
    source = Source(sets(*counts), limit)
    expected = sum(counts) if limit is None else min(limit, sum(counts))
    assert source.total == expected
    for done in range(expected):
        if peek:
            assert source.look_ahead() is not None
        assert not source.exhausted
        assert source.left() == expected - done
        assert source.draw() is not None
    assert source.exhausted or not expected
    assert source.look_ahead() is None
    assert source.draw() is None
    assert source.exhausted


def test_nothing_is_drawn_before_it_is_asked_for() -> None:
    numbers = iter(range(1, 100))
    source = Source(TaskSet([{"period": numbers}]))
    assert source.total is None
    assert source.left() is None
    source.check()
    source.draw()
    assert next(numbers) <= 3  # one beyond what was drawn, at most


def test_huge_and_endless_sets_cost_nothing() -> None:
    assert Source(TaskSet([{"period": range(10**30)}])).total == 10**30
    endless = Source(TaskSet([{"period": itertools.count(1)}]), limit=3)
    assert endless.total is None
    assert drawn(endless) == [(0, 1), (1, 2), (2, 3)]


def test_a_generator_that_raises_is_one_line() -> None:
    def raising() -> Iterator[TaskSet]:
        yield from sets(1)
        raise ZeroDivisionError("oops\nin two lines")

    source = Source(raising())
    source.draw()
    with pytest.raises(UsageError, match=r"^drawing variant 1 failed: ZeroDivisionError: oops$"):
        source.draw()
    assert source.draw() is None


@pytest.mark.parametrize("work", ["sim", {"period": 10}, 3, [3], [[]], TaskSet, sets(1)[0][0].variants()])
def test_what_is_no_task_set_is_refused(work: Work) -> None:
    with pytest.raises(InputError, match="is no TaskSet"):
        Source(work).draw()


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(UsageError, match="limit: -1 is negative"):
        Source(sets(1), limit=-1)


def test_what_is_stored_is_passed_over_and_counts_as_drawn() -> None:
    source = Source(sets(3, 4), limit=6, stored={0, 1, 4}.__contains__)
    source.check()
    assert source.left() is None
    assert drawn(source) == [(2, 3), (3, 1), (5, 3)]
    assert (source.skipped, source.total) == (3, 6)
    everything = Source(sets(3), stored=lambda _: True)
    everything.check()
    assert everything.exhausted
    assert everything.draw() is None


def test_the_first_variant_that_is_left_is_named_if_it_is_wrong() -> None:
    taskset = TaskSet([{"period": 10, "priority": [1, 300]}])
    with pytest.raises(InputError, match=r"^variant 1: .*300"):
        Source(taskset, stored={0}.__contains__).check()
