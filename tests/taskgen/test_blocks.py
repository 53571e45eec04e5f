"""Ready-made blocks, task-sets and optimisation goals."""

import importlib
import pkgutil
import random
from collections.abc import Callable
from typing import Any

import pytest

import taskgen.blocks
from taskgen import BlockTaskSet, Task, TaskSet, registry
from taskgen.blocks import binaries, cond_42, cond_mod, critical, deadline, hey, idle, namaste, period, priority
from taskgen.optimizations.fairness import Fairness
from taskgen.optimizations.utilization import Utilization
from taskgen.parameters import parameters_of
from taskgen.tasksets import example
from taskgen.tasksets.hey import Hey1TaskSet

PROGRAMS = ["pi", "linpack", "tumatmul", "cond_42", "cond_mod"]
HEY = {"pkg": "hey", "quota": "1M", "config": {}, "priority": 100, "period": 5000}


def module(name: str) -> Any:
    return importlib.import_module(f"taskgen.blocks.{name}")


def test_a_star_import_gives_all_block_modules() -> None:
    names: dict[str, Any] = {}
    exec("from taskgen.blocks import *", names)  # noqa: S102  # what users write
    public = {info.name for info in pkgutil.iter_modules(taskgen.blocks.__path__) if not info.name.startswith("_")}
    assert set(names) - {"__builtins__"} == public == set(registry.entries("blocks"))
    assert len(public) == 13


def test_programs_without_an_argument() -> None:
    assert hey.HelloWorld == {"pkg": "hey", "quota": "1M", "config": {}}
    for block, pkg in ((namaste.HelloWorld, "namaste"), (idle.Idle, "idle")):
        assert block == {**hey.HelloWorld, "pkg": pkg}
    assert Task(hey.Value) == hey.HelloWorld
    assert hey.Value(1)["config"] == {"arg1": 1}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_with_an_argument(name: str) -> None:
    program = module(name)
    assert program.Value(7) == {"pkg": name, "quota": "1M", "config": {"arg1": 7}}
    arguments = [variant["config"]["arg1"] for variant in Task(program.Variants(5)).variants()]
    assert arguments == [0, 1, 2, 3, 4]
    drawn = {Task(program.Random(3), seed=seed)["config"]["arg1"] for seed in range(50)}
    assert drawn == {1, 2, 3}


def test_a_condition_that_ends_at_once() -> None:
    assert cond_42.Break() == cond_42.Value(42)
    assert cond_mod.Break() == cond_mod.Value(42)


@pytest.mark.parametrize(
    ("name", "key", "ranges"),
    [
        ("priority", "priority", {"": range(128), "High": range(42), "Medium": range(42, 84), "Low": range(84, 128)}),
        *(
            (
                name,
                name,
                {
                    "": range(1000, 20001, 1000),
                    "High": range(1000, 5001, 1000),
                    "Medium": range(5000, 10001, 1000),
                    "Low": range(10000, 20001, 1000),
                },
            )
            for name in ("period", "deadline")
        ),
    ],
)
def test_attributes_drawn_from_their_ranges(name: str, key: str, ranges: dict[str, range]) -> None:
    block = module(name)
    assert block.Value(17) == block.Custom(17) == {key: 17}
    assert block.Variants() == {key: ranges[""]}
    for level, expected in ranges.items():
        drawn = {Task(getattr(block, f"{level}Random"), seed=seed)[key] for seed in range(1000)}
        assert drawn == set(expected)


def test_critical_times_are_choices_in_milliseconds() -> None:
    assert critical.Value(500) == {"criticaltime": 500}
    assert [list(block["criticaltime"]) for block in (critical.High, critical.Medium, critical.Low)] == [
        [1000, 2000, 3000, 4000],
        [5000, 6000, 7000, 8000, 9000],
        [10000, 11000, 12000, 13000, 14000],
    ]


def test_lists_of_programs_make_tasks() -> None:
    taskset = BlockTaskSet(binaries.Random(10), period.Value(100))
    assert [task["pkg"] for task in taskset] == ["hey", "idle", "cond_mod", "cond_42", "pi", "linpack", "tumatmul"]
    drawn = BlockTaskSet(binaries.RandomList(200, 10), deadline.Random, seed=1)
    assert len(drawn) == 200
    assert {task["pkg"] for task in drawn} == {"hey", "idle", *PROGRAMS}
    assert {task["config"].get("arg1") for task in drawn} == {None, *range(1, 11)}
    assert drawn == BlockTaskSet(binaries.RandomList(200, 10), deadline.Random, seed=1)
    assert drawn != BlockTaskSet(binaries.RandomList(200, 10), deadline.Random, seed=2)


# Task-sets


def tasks(taskset: TaskSet) -> list[dict[str, Any]]:
    return [dict(task) for task in taskset]


@pytest.mark.parametrize("make", [example.Hey0TaskSet, example.Hey1TaskSet, example.Hey2TaskSet, Hey1TaskSet])
def test_the_one_static_task_is_the_same_however_it_is_described(make: Callable[[], TaskSet]) -> None:
    assert tasks(make()) == [{**HEY, "id": 0}]


def test_static_examples() -> None:
    assert [task["period"] for task in example.Hey3TaskSet()] == [5000, 8000]
    four = [(task["priority"], task["period"]) for task in example.Hey4TaskSet()]
    assert four == [(10, 5000), (10, 8000), (100, 5000), (100, 8000)]
    assert tasks(example.Hey8TaskSet()) == [{**HEY, "id": number} for number in range(10)]


def test_random_examples_follow_their_seed() -> None:
    one = example.Hey5TaskSet()
    assert len(one) == 1
    assert one == example.Hey5TaskSet(seed=0) == BlockTaskSet(hey.HelloWorld, priority.Random, period.Value(5000))
    assert len({example.Hey5TaskSet(seed=seed)[0]["priority"] for seed in range(50)}) > 20
    assert [set(task) for task in example.Hey9TaskSet()] == [{*HEY, "id"}] * 10
    assert len({task["priority"] for task in example.Hey9TaskSet(seed=1)}) > 5


def test_examples_with_variants() -> None:
    assert [variant[0]["priority"] for variant in example.Hey6TaskSet().variants()] == list(range(128))
    seven = example.Hey7TaskSet(seed=3)
    assert len(seven) == 2
    assert seven.variants().count == 128 * 128
    assert all(1000 <= task["period"] <= 20000 for task in seven.variants()[-1])


@pytest.mark.parametrize("name", registry.names("tasksets"))
def test_each_ready_made_set_is_repeatable_valid_and_explained(name: str) -> None:
    make = registry.load("tasksets", name)
    before = random.getstate()
    taskset = make(seed=5)
    assert taskset == make(seed=5)
    assert len(parameters_of(taskset.variants()[0])) == len(taskset)
    assert random.getstate() == before, "the global random state was touched"
    assert make.__doc__.splitlines()[0].endswith((".", ":"))


def test_changing_a_ready_made_set_changes_no_block() -> None:
    taskset = Hey1TaskSet()
    taskset[0]["config"]["arg1"] = 1
    assert hey.HelloWorld["config"] == {}
    assert tasks(Hey1TaskSet()) == [{**HEY, "id": 0}]


# Goals


def test_goals_are_the_documents_of_the_board_each_of_its_own() -> None:
    def document(fairness: int, utilization: int) -> dict[str, Any]:
        goal = {"fairness": {"apply": fairness}, "utilization": {"apply": utilization}}
        return {"optimize": {"goal": goal, "query_interval": 1000}}

    assert Fairness() == document(1, 0)
    assert Utilization() == document(0, 1)
    assert isinstance(Fairness(), dict)
    Fairness()["optimize"]["query_interval"] = 5
    assert Fairness() == document(1, 0)
