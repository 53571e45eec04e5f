"""A task-set is a container of tasks with ids of their own."""

import operator
import random
from collections.abc import Sequence
from typing import Any

import pytest

from taskgen import BlockTaskSet, Task, TaskSet
from taskgen.errors import InputError


def ids(taskset: TaskSet) -> list[Any]:
    return [task["id"] for task in taskset]


def test_a_container_but_no_list() -> None:
    tasks = [Task({"period": 10}), Task({"period": 20})]
    taskset = TaskSet(tasks)
    assert len(taskset) == 2
    assert list(taskset) == tasks
    assert taskset[1]["period"] == 20
    assert taskset[-1] is taskset[1]
    assert tasks[0] in taskset
    assert not isinstance(taskset, list | Sequence)
    assert list(taskset[1:]) == tasks[1:]


def test_two_sets_without_arguments_share_nothing() -> None:
    TaskSet().append(Task({"period": 10}))
    assert len(TaskSet()) == 0


def test_append_gives_the_next_free_id() -> None:
    taskset = TaskSet([{"id": 1}, {}, {"id": 7}, {}])
    assert ids(taskset) == [1, 2, 7, 3]
    choice = TaskSet([{"id": range(128)}, {}])
    assert ids(choice) == [range(128), 128]  # any of the others may be taken in a variant


def test_the_same_task_twice_is_two_tasks() -> None:
    task = Task({"period": 10})
    taskset = TaskSet([task, task])
    taskset[1]["period"] = 20
    assert ids(taskset) == [0, 1]
    assert task["period"] == 10
    assert taskset[0] is task


def test_a_sum_has_copies_of_all_tasks_with_ids_of_their_own() -> None:
    one, other = TaskSet([{"period": 1}, {"period": 2}]), TaskSet([{"period": 3}, {"period": 4, "id": 9}])
    both = one + other
    assert [task["period"] for task in both] == [1, 2, 3, 4]
    assert ids(both) == [0, 1, 2, 9]
    both[0]["period"] = 5
    assert one[0]["period"] == 1
    with pytest.raises(TypeError):
        operator.add(one, [{"period": 1}])


def test_what_is_no_task_is_refused() -> None:
    wrong: list[Any] = [[5], {"period": 1}]
    for tasks in wrong:
        with pytest.raises(InputError, match=r"^task: (5|'period') is no Task and no dict"):
            TaskSet(tasks)


def test_equality_compares_the_tasks() -> None:
    assert TaskSet([{"period": 1}]) == TaskSet([{"period": 1}])
    assert TaskSet([{"period": 1}]) != TaskSet([{"period": 2}])
    assert TaskSet() != []


def test_a_list_of_blocks_makes_tasks_and_several_lists_the_product() -> None:
    taskset = BlockTaskSet({"pkg": "hey"}, [{"priority": 1}, {"priority": 2}], [{"period": 10}, {"period": 20}])
    assert [(task["priority"], task["period"]) for task in taskset] == [(1, 10), (1, 20), (2, 10), (2, 20)]
    assert ids(taskset) == [0, 1, 2, 3]
    assert taskset.variants().count == 1


def test_a_choice_inside_a_block_makes_variants_not_tasks() -> None:
    taskset = BlockTaskSet({"pkg": "hey"}, {"priority": [1, 2]})
    assert len(taskset) == 1
    assert taskset.variants().count == 2


def test_callables_are_called_once_per_task_and_draw_in_the_order_of_the_tasks() -> None:
    calls = iter(range(100))

    def count() -> dict[str, Any]:
        return {"call": next(calls)}

    def draw(*, rng: random.Random) -> dict[str, Any]:
        return {"draw": rng.random()}

    taskset = BlockTaskSet([{}, {}, {}], count, draw, seed=5)
    rng = random.Random(5)
    assert [task["call"] for task in taskset] == [0, 1, 2]
    assert [task["draw"] for task in taskset] == [rng.random() for _ in range(3)]


def test_the_class_of_the_tasks_can_be_given() -> None:
    class Sporadic(Task):
        pass

    assert type(BlockTaskSet({"period": 1}, task_class=Sporadic)[0]) is Sporadic


def test_an_empty_list_of_blocks_is_refused_and_no_blocks_make_an_empty_set() -> None:
    with pytest.raises(InputError, match="block 2: the list of blocks is empty"):
        BlockTaskSet({"pkg": "hey"}, [])
    assert len(BlockTaskSet()) == 0
