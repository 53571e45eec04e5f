"""Variants: the product of all choices, lazy, indexable, independent, the same in any process."""

import copy
import itertools
import math
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import Task, TaskSet

law = settings(deadline=None, max_examples=60)

values = st.integers(-5, 5) | st.sampled_from(["hey", b"hey", None, 0.5, Fraction(1, 3)]) | st.lists(st.integers(0, 3))
choices = st.lists(values, min_size=1, max_size=3)
attributes = st.dictionaries(
    st.sampled_from(["period", "priority", "own key"]),
    st.sampled_from(["hey", 3, None]) | choices | choices.map(tuple) | st.integers(1, 3).map(range),
    max_size=2,
)
descriptions = st.lists(
    st.builds(lambda outer, config: {**outer, "config": config}, attributes, attributes), min_size=1, max_size=3
).filter(lambda description: math.prod(len(values) for _, _, values in _places(description)) <= 100)


def plain(variant: "Task | TaskSet") -> Any:
    """Return a variant as dicts and lists, to compare with a reference."""
    return dict(variant) if isinstance(variant, Task) else [dict(task) for task in variant]


def reference(description: list[dict[str, Any]]) -> list[Any]:
    """All variants by definition: itertools.product over the choices in the order in which they stand."""
    places = _places(description)
    result = []
    for combination in itertools.product(*(place[2] for place in places)):
        tasks = copy.deepcopy(description)
        for (number, path, _), value in zip(places, combination, strict=True):
            node = tasks[number]
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
        result.append([{**task, "id": number} for number, task in enumerate(tasks)])
    return result


def _places(description: list[dict[str, Any]]) -> list[tuple[int, tuple[str, ...], list[Any]]]:
    return [
        (number, path, list(value))
        for number, task in enumerate(description)
        for path, value in _leaves(task)
        if isinstance(value, list | tuple | range)
    ]


def _leaves(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in node.items():
        yield from _leaves(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]


@law
@given(descriptions)
def test_iteration_equals_itertools_product(description: list[dict[str, Any]]) -> None:
    expected = reference(description)
    variants = TaskSet(description).variants()
    assert list(map(plain, variants)) == expected
    assert list(map(plain, variants)) == expected  # each pass starts anew
    assert variants.count == len(variants) == len(expected)
    assert [variant.variant_index for variant in variants] == list(range(len(expected)))


@law
@given(descriptions, st.data())
def test_an_index_a_slice_and_a_shard_are_those_of_the_list_of_all(
    description: list[dict[str, Any]], data: st.DataObject
) -> None:
    variants = TaskSet(description).variants()
    everything = list(variants)
    size = len(everything)
    assert [variants[index] for index in range(-size, size)] == everything * 2
    bound = st.none() | st.integers(-size - 2, size + 2)
    cut = slice(data.draw(bound), data.draw(bound), data.draw(st.none() | st.integers(-3, 3).filter(bool)))
    assert list(variants[cut]) == everything[cut]
    assert len(variants[cut]) == len(everything[cut])
    assert list(variants[cut][::-1]) == everything[cut][::-1]
    shards = data.draw(st.integers(1, 7))
    parts = [variants.shard(index, shards) for index in range(shards)]
    assert [list(part) for part in parts] == [everything[index::shards] for index in range(shards)]
    assert sorted(v.variant_index or 0 for part in parts for v in part) == list(range(size))


def test_the_last_choice_of_the_last_task_turns_fastest() -> None:
    taskset = TaskSet([{"period": [1, 2]}, {"priority": [3, 4], "config": {"arg1": "xy", "arg2": (5, 6)}}])
    rows = [(a["period"], b["priority"], b["config"]["arg2"]) for a, b in taskset.variants()]
    assert rows == list(itertools.product([1, 2], [3, 4], [5, 6]))


def test_a_task_has_variants_too() -> None:
    variants = Task({"id": range(128), "priority": 42}).variants()
    assert [dict(variant) for variant in variants] == [{"id": number, "priority": 42} for number in range(128)]
    assert type(variants[5]) is Task
    assert variants[5].variant_index == 5


def test_a_set_without_choices_is_its_only_variant() -> None:
    taskset = TaskSet([{"period": 10, "arrivals": [0, 10, 20], "pkg": "hey"}])
    assert list(taskset.variants()) == [taskset]
    assert taskset.variants()[0][0]["arrivals"] == [0, 10, 20]


def test_a_choice_of_arrivals_is_a_list_of_lists() -> None:
    task = Task({"arrivals": [[0, 10], [0, 20]]})
    assert [variant["arrivals"] for variant in task.variants()] == [[0, 10], [0, 20]]


def test_keys_of_nested_dicts_need_not_be_text() -> None:
    assert [v["config"] for v in Task({"config": {1: [2, 3]}}).variants()] == [{1: 2}, {1: 3}]


def test_next_draws_from_a_cursor_of_the_object() -> None:
    taskset = TaskSet([{"period": [1, 2]}])
    variants, other = taskset.variants(), taskset.variants()
    assert [next(variants)[0]["period"], next(variants)[0]["period"]] == [1, 2]
    assert [variant[0]["period"] for variant in variants] == [1, 2]  # iter() starts anew
    assert next(other)[0]["period"] == 1
    with pytest.raises(StopIteration):
        next(variants)


@pytest.mark.parametrize(
    "ask", [lambda v: v[2], lambda v: v[-3], lambda v: v[:1][1], lambda v: v.sample(1)[1]], ids=range(4)
)
def test_an_index_beyond_the_variants_is_an_index_error(ask: Any) -> None:
    with pytest.raises(IndexError):
        ask(Task({"period": [1, 2]}).variants())


@pytest.mark.parametrize(("shard", "shards"), [(-1, 2), (2, 2), (0, 0)])
def test_a_shard_that_does_not_exist_is_refused(shard: int, shards: int) -> None:
    with pytest.raises(ValueError, match=f"shard {shard} of {shards}"):
        Task().variants().shard(shard, shards)


# Independence


@law
@given(descriptions)
def test_changing_a_variant_changes_no_other_and_not_the_description(description: list[dict[str, Any]]) -> None:
    taskset = TaskSet(description)
    before = copy.deepcopy(plain(taskset))
    expected = reference(description)
    for position, variant in enumerate(taskset.variants()):
        assert plain(variant) == expected[position]
        _ruin(variant)
    assert plain(taskset) == before
    _ruin(taskset.variants()[0])
    assert list(map(plain, taskset.variants())) == expected


def _ruin(node: Any) -> None:
    """Change whatever can be changed in place, at any depth."""
    if isinstance(node, TaskSet):
        for task in node:
            _ruin(task)
        node.append({"more": 1})
    elif isinstance(node, dict):
        for value in node.values():
            _ruin(value)
        node["more"] = 1
    elif isinstance(node, list):
        node.append("more")


def test_mutable_elements_of_a_choice_are_copied() -> None:
    deep = {"arg1": [1, {"x": 2}]}
    task = Task({"config": [deep, bytearray(b"raw")], "period": [10, 20]})
    variants = list(task.variants())
    variants[0]["config"]["arg1"][1]["x"] = 3
    variants[2]["config"].append(1)
    assert variants[1]["config"] == deep == {"arg1": [1, {"x": 2}]}
    assert variants[3]["config"] == b"raw"


def test_changing_the_description_afterwards_changes_no_variants() -> None:
    task = Task({"period": [10, 20], "config": {"arg1": [1]}})
    variants = task.variants()
    task["config"]["arg1"] = [7, 8]
    task["period"] = 5
    assert [(v["period"], v["config"]["arg1"]) for v in variants] == [(10, 1), (20, 1)]


# Sampling


def test_a_sample_is_repeatable_without_replacement_and_in_random_order() -> None:
    variants = Task({"a": range(100), "b": range(100)}).variants()
    drawn = [v.variant_index for v in variants.sample(500, seed=3)]
    assert drawn == [v.variant_index for v in variants.sample(500, seed=3)]
    assert drawn != [v.variant_index for v in variants.sample(500, seed=4)]
    assert len(set(drawn)) == 500
    assert drawn != sorted(v for v in drawn if v is not None)
    assert sorted(v["a"] for v in Task({"a": range(9)}).variants().sample(9)) == list(range(9))
    assert variants[::2].sample(1)[0].variant_index in range(0, 10_000, 2)


def test_a_sample_of_more_than_there_is_or_of_less_than_nothing_is_refused() -> None:
    variants = Task({"a": range(9)}).variants()
    assert list(variants.sample(0)) == []
    for size in (-1, 10):
        with pytest.raises(ValueError, match=f"sample of {size}: expected 0 <= size <= 9"):
            variants.sample(size)


def chi_square(counts: Counter[Any], cells: int) -> float:
    expected = counts.total() / cells
    return sum((counts[cell] - expected) ** 2 for cell in counts) / expected + (cells - len(counts)) * expected


def test_samples_are_uniform() -> None:
    # The seeds are fixed, so is the statistic; 99.9 % of uniform draws stay below the bound.
    variants = Task({"a": range(6)}).variants()
    samples = [tuple(v["a"] for v in variants.sample(3, seed)) for seed in range(3000)]
    assert chi_square(Counter(itertools.chain(*samples)), 6) < 20.5  # 5 degrees of freedom
    assert chi_square(Counter(samples), 120) < 171.0  # 119: all ordered triples
    large = [v["a"] * 10 // 10**40 for v in Task({"a": range(10**40)}).variants().sample(5000)]
    assert chi_square(Counter(large), 10) < 27.9  # 9: the tenths of a huge space


# The same everywhere

_PRINT_VARIANTS = """
from decimal import Decimal
from fractions import Fraction
from taskgen import TaskSet
choices = {
    "text": {"pi", "hey", "idle", "linpack", "namaste"},
    "mixed": {1, "one", b"one", None, 2.5, (1, "x"), frozenset({"a", "b", "c"})},
    "nested": {("y", frozenset({"a", "b", "c", "d"})), ("x", frozenset({"p", "q", "r"}))},
    "sets": {frozenset({"a", "b"}), frozenset({"c", "d", "e"}), frozenset({"f"})},
    "numbers": {Decimal("0.5"), Fraction(1, 3), 2, -1.5},
}
def show(value):  # the repr of a set follows the hash seed
    if isinstance(value, frozenset):
        return sorted(value)
    return [show(inner) for inner in value] if isinstance(value, tuple) else value
variants = TaskSet([choices]).variants()
print(variants.count)
for variant in variants:
    print([show(value) for value in variant[0].values()])
print([variant.variant_index for variant in variants.sample(20, seed=1)])
"""


def test_variants_are_equal_in_processes_with_different_hash_seeds() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _PRINT_VARIANTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert outputs.pop().startswith("840\n")


def test_sets_are_ordered_by_value_where_values_compare() -> None:
    def order(choice: Any) -> list[Any]:
        return [variant["x"] for variant in Task({"x": choice}).variants()]

    assert order({10, 9, 2.5, Decimal(3), True}) == [True, 2.5, Decimal(3), 9, 10]
    assert order({(10, 1), (9, 2), (9, 1)}) == [(9, 1), (9, 2), (10, 1)]
    assert order(frozenset({"b", "a"})) == ["a", "b"]
    assert order({1, "1", None}) == [None, 1, "1"]  # by type name: NoneType, int, str
    assert order({Fraction(1, 2), Decimal(3)}) == [Fraction(1, 2), Decimal(3)]


def test_finite_variants_pickle_with_their_order_and_without_their_cursor() -> None:
    variants = TaskSet([{"period": {30, 10, 20}, "config": {"arg1": [1, 2]}}, {"id": range(10**20)}]).variants()
    next(variants)
    for view in (variants, variants[5:50:3], variants.shard(1, 4), variants[:100].sample(10)):
        twin = pickle.loads(pickle.dumps(view))  # noqa: S301  # our own bytes
        assert twin.count == view.count
        assert list(itertools.islice(twin, 20)) == list(itertools.islice(view, 20))
