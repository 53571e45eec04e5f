"""A task is a dict; blocks merge from left to right."""

import copy
import pickle
import random
from functools import partial
from typing import Any

import pytest

from taskgen import Task
from taskgen.errors import InputError


def test_a_task_is_a_dict() -> None:
    task = Task()
    task["priority"] = 128
    task["id"] = 0
    assert task == {"priority": 128, "id": 0} == Task({"priority": 128, "id": 0})
    assert isinstance(task, dict)


def test_a_later_block_wins_and_the_order_of_keys_is_that_of_first_appearance() -> None:
    task = Task({"pkg": "hey", "period": 10}, {"period": 20}, lambda: {"priority": 3})
    assert list(task.items()) == [("pkg", "hey"), ("period", 20), ("priority", 3)]


def test_a_block_with_the_keyword_rng_draws_from_the_seed() -> None:
    def block(*, rng: random.Random) -> dict[str, Any]:
        return {"priority": rng.randrange(10**9)}

    assert Task(block, seed=1) == Task(block, seed=1) == Task(block, rng=random.Random(1))
    assert Task(block, seed=1) != Task(block, seed=2)
    assert Task(block) == Task(block, seed=0)
    assert Task(block, block, seed=1) != Task(block, seed=1)  # one generator for all blocks of a task


def test_a_callable_with_other_defaults_or_bound_arguments_is_a_block() -> None:
    def block(period: int = 5) -> dict[str, Any]:
        return {"period": period}

    assert Task(block) == {"period": 5}
    assert Task(partial(block, 7)) == {"period": 7}


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (5, "block: 5 is neither a dict nor a callable"),
        ([{"period": 1}], r"block: \[{'period': 1}\] is neither"),
        (lambda: 5, r"block: <lambda>\(\) returned 5, expected a dict"),
        ({1: 2}, "block: the key 1 is no text"),
        (lambda: {None: 2}, "block: the key None is no text"),
    ],
)
def test_what_is_no_block_is_refused(block: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Task(block)


def test_tasks_own_their_dicts() -> None:
    block = {"pkg": "pi", "config": {"arg1": 1, "deep": {"x": 1}}}
    one, other = Task(block), Task(block)
    one["config"]["arg1"] = 2
    one["config"]["deep"]["x"] = 2
    assert other == block == {"pkg": "pi", "config": {"arg1": 1, "deep": {"x": 1}}}
    copied = one.copy()
    copied["config"]["deep"]["x"] = 3
    assert one["config"]["deep"]["x"] == 2
    assert type(copied) is Task


def test_a_subclass_keeps_its_type_in_copies_and_variants() -> None:
    class Sporadic(Task):
        pass

    task = Sporadic({"period": [1, 2]})
    assert type(task.copy()) is Sporadic
    assert [type(variant) for variant in task.variants()] == [Sporadic, Sporadic]


def test_a_finite_task_pickles_and_copies() -> None:
    task = Task({"period": range(3), "config": {"arg1": [1, 2]}})
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301  # our own bytes
    assert copy.deepcopy(task) == task
    variant = task.variants()[4]
    assert pickle.loads(pickle.dumps(variant)).variant_index == 4  # noqa: S301  # our own bytes


def test_an_iterator_serves_copies_of_a_task_alike() -> None:
    task = Task({"period": iter([1, 2, 3])})
    twin = copy.deepcopy(task)
    assert [v["period"] for v in task.variants()] == [v["period"] for v in twin.variants()] == [1, 2, 3]
    with pytest.raises(TypeError, match="can't be pickled; rebuild the task-set from its name and seed"):
        pickle.dumps(task)


def test_the_representation_names_the_class() -> None:
    assert repr(Task({"period": 1})) == "Task({'period': 1})"
