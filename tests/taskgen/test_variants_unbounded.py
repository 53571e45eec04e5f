"""Variants of huge and of unbounded descriptions: nothing is computed, drawn or kept before somebody asks."""

import itertools
import math
import pickle
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import Task, TaskSet, Variants
from taskgen.errors import InputError

law = settings(deadline=None, max_examples=60)
MIB = 1 << 20


def plain(variant: TaskSet) -> list[dict[str, Any]]:
    """Return a variant as dicts, to compare with a reference."""
    return [dict(task) for task in variant]


def endless(name: str) -> Iterator[str]:
    return (f"{name}{number}" for number in itertools.count())


def drawing(*names: str, inner: int = 1) -> TaskSet:
    """A set with one endless choice per name, and finite ones with `inner` combinations."""
    return TaskSet([{"inner": range(inner)}, *({name: endless(name)} for name in names)])


def test_the_count_is_exact_at_any_size() -> None:
    variants = TaskSet([{"a": range(10**10), "b": range(10**10), "c": range(10**10)}]).variants()
    assert variants.count == 10**30
    assert plain(variants[10**30 - 1]) == [{"a": 10**10 - 1, "b": 10**10 - 1, "c": 10**10 - 1, "id": 0}]
    assert plain(variants[-1]) == plain(variants[10**30 - 1])
    assert [v[0]["c"] for v in variants[10**29 :: 10**10 + 1][:3]] == [0, 1, 2]
    assert variants.shard(3, 7).count == math.ceil((10**30 - 3) / Fraction(7))
    assert bool(variants)
    with pytest.raises(OverflowError, match=r"use \.count"):
        len(variants)
    assert Task({"id": range(10**30)}).variants().count == 10**30


@pytest.mark.parametrize(
    "description",
    [
        pytest.param(lambda: [{"id": range(10**9)}], id="a range of 10^9"),
        pytest.param(lambda: [{"id": n, "a": range(1000), "b": range(1000)} for n in range(5)], id="10^30"),
        pytest.param(lambda: [{n: endless(n)} for n in "abcdef"], id="endless generators"),
    ],
)
def test_the_first_variant_costs_a_few_mib_at_most(description: Any) -> None:
    tracemalloc.start()
    try:
        variants = TaskSet(description()).variants()
        assert bool(variants)
        assert next(iter(variants)).variant_index == variants[0].variant_index == 0
        if variants.count != math.inf:
            assert len(variants.sample(100)) == 100
            assert variants[-1].variant_index == variants.count - 1
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


def test_memory_stays_flat_over_a_hundred_thousand_variants_of_ten_tasks() -> None:
    taskset = TaskSet({"pkg": "hey", "priority": range(128), "period": (10, 20)} for _ in range(10))
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        for variant in itertools.islice(taskset.variants(), 100_000):
            last = variant
        assert last.variant_index == 99_999
        assert tracemalloc.get_traced_memory()[1] - start < 2 * MIB
    finally:
        tracemalloc.stop()


@law
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 3))
def test_iterators_are_outer_and_each_combination_comes_once(sizes: list[int], inner: int) -> None:
    def fresh() -> Variants[TaskSet]:
        tasks: list[dict[str, Any]] = [{"x": iter(range(size))} for size in sizes]
        return TaskSet([*tasks, {"inner": range(inner)}]).variants()

    outer = sorted(itertools.product(*map(range, sizes)), key=lambda t: (sum(t), t))
    expected = [(*positions, digit) for positions in outer for digit in range(inner)]
    variants = fresh()
    assert variants.count == math.inf
    assert [tuple(t.get("x", t.get("inner")) for t in v) for v in variants] == expected
    assert variants.count == len(variants) == len(expected)
    everything = list(variants)
    assert [fresh()[index] for index in range(len(expected))] == everything
    assert list(fresh()[: len(expected) + 5][::-1]) == everything[::-1]
    assert fresh()[: len(expected) + 5][-1] == everything[-1]
    assert len(fresh()[1 : len(expected) + 5]) == len(expected) - 1
    assert [v for index in range(3) for v in fresh().shard(index, 3)] == [
        v for index in range(3) for v in everything[index::3]
    ]
    with pytest.raises(IndexError):
        variants[len(expected)]


def test_two_endless_choices_are_walked_fairly() -> None:
    variants = drawing("a", "b", inner=2).variants()
    rows = [(a["a"], b["b"], i["inner"]) for i, a, b in itertools.islice(variants, 6)]
    assert rows == [
        ("a0", "b0", 0),
        ("a0", "b0", 1),
        ("a0", "b1", 0),
        ("a0", "b1", 1),
        ("a1", "b0", 0),
        ("a1", "b0", 1),
    ]
    assert list(variants[3:9:2]) == [variants[3], variants[5], variants[7]]
    assert list(itertools.islice(variants.shard(1, 3), 3)) == [variants[1], variants[4], variants[7]]


class Counting:
    """An endless iterator that counts how often it was drawn from."""

    def __init__(self) -> None:
        self.drawn = 0

    def __iter__(self) -> "Counting":
        return self

    def __next__(self) -> int:
        self.drawn += 1
        return self.drawn - 1


def test_iterators_are_drawn_only_as_far_as_asked_and_never_twice() -> None:
    source = Counting()
    variants = TaskSet([{"period": source, "priority": [1, 2]}]).variants()
    assert source.drawn == 0
    assert repr(variants) == "<Variants: unbounded>"
    assert repr(variants[:10]) == "<Variants: at most 10>"
    assert variants.count == math.inf
    assert source.drawn == 0
    assert bool(variants)
    assert source.drawn == 1
    assert [v[0]["period"] for v in itertools.islice(variants, 5)] == [0, 0, 1, 1, 2]
    assert source.drawn == 3
    assert variants[13][0]["period"] == 6
    assert source.drawn == 7
    assert [v[0]["period"] for v in itertools.islice(variants, 5)] == [0, 0, 1, 1, 2]
    assert len(variants[:20]) == 20
    assert source.drawn == 10


def test_several_iterators_are_drawn_as_far_as_the_diagonal_needs() -> None:
    one, other = Counting(), Counting()
    list(itertools.islice(TaskSet([{"a": one}, {"b": other}]).variants(), 10))  # the sums 0, 1, 2 and 3
    assert (one.drawn, other.drawn) == (4, 4)


def test_unbounded_variants_have_no_length_no_end_no_sample_and_no_pickle() -> None:
    variants = drawing("a").variants()
    with pytest.raises(OverflowError, match="unbounded variants have no length"):
        list(variants)
    with pytest.raises(OverflowError):
        len(variants)
    with pytest.raises(ValueError, match="can't be sampled"):
        variants.sample(1)
    with pytest.raises(IndexError, match="from the end"):
        variants[-1]
    for cut in (slice(-3, None), slice(None, -1), slice(None, None, -1)):
        with pytest.raises(ValueError, match="from the end"):
            variants[cut]
    with pytest.raises(TypeError, match="rebuild the task-set from its name and seed"):
        pickle.dumps(variants)
    assert len(variants[5:10].sample(5)) == 5


# Errors


@pytest.mark.parametrize("choice", [[], (), set(), range(0), iter(())], ids=lambda value: type(value).__name__)
def test_an_empty_choice_is_an_error_that_names_the_key(choice: Any) -> None:
    taskset = TaskSet([{"period": 10}, {"config": {"arg1": choice}, "endless": itertools.count()}])
    for _ in range(2):  # also when the iterator is known to be empty
        with pytest.raises(InputError, match=r"^config\.arg1: the choice is empty"):
            next(iter(taskset.variants()))
    with pytest.raises(InputError, match=r"^config\.arg1: "):
        len(taskset.variants()[:5])


@pytest.mark.parametrize("ask", [iter, len, lambda v: v[0]], ids=["iter", "len", "index"])
def test_an_iterator_that_turns_out_empty_is_an_error_that_names_the_key(ask: Any) -> None:
    variants = Task({"period": iter(())}).variants()
    with pytest.raises(InputError, match=r"^period: the choice is empty"):
        list(ask(variants[:3]))
    assert not Task({"period": iter(())}).variants()


def test_a_generator_that_raises_raises_in_each_pass() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("no more periods")

    variants = Task({"period": broken()}).variants()
    for _ in range(2):
        walk = iter(variants)
        assert next(walk)["period"] == 1
        with pytest.raises(LookupError, match="no more periods"):
            next(walk)
        with pytest.raises(LookupError, match="no more periods"):
            variants[1]


def test_a_generator_that_asks_for_itself_is_an_error_and_no_deadlock() -> None:
    def own() -> Iterator[Any]:
        yield variants[0]

    variants = Task({"period": own()}).variants()
    with pytest.raises(ValueError, match="generator already executing"):
        variants[0]
