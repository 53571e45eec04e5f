"""Task-sets keep their bounds, all of them can come, and they are small where nothing else is asked for."""

import math
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations_with_replacement, count
from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from taskgen import Task, TaskSet
from taskgen import strategies as ts
from taskgen.errors import UsageError
from taskgen.parameters import parameters_of

AT_ONCE = settings(database=None, deadline=None, derandomize=True)

bounds = st.fixed_dictionaries(
    {
        "n": st.integers(1, 8),
        "policy": st.sampled_from(["FP", "EDF", "mixed"]),
        "priorities": st.sampled_from(["any", "distinct", "rm", "dm"]),
        "max_priority": st.integers(7, 127),
        "max_utilization": st.sampled_from([Fraction(1, 3), 0.7, 1, 2, None]),
        "max_period": st.integers(24, 60),
        "max_hyperperiod": st.sampled_from([None, 60, 720, math.inf]),
        "harmonic": st.booleans(),
        "deadlines": st.sampled_from(["implicit", "constrained", "arbitrary"]),
        "max_offset": st.sampled_from([0, 20]),
        "max_jitter": st.sampled_from([0, 5]),
        "max_jobs": st.sampled_from([None, 3]),
        "max_criticaltime": st.sampled_from([0, 20]),
        "cores": st.integers(1, 3),
        "migration": st.sampled_from(["partitioned", "global"]),
        "unit_ms": st.sampled_from([1, 100]),
    }
)


def load(tasks: Any) -> Fraction:
    return sum((Fraction(task["executiontime"], task["period"]) for task in tasks), Fraction(0))


def limit_of(given_utilization: Any) -> Fraction | float:
    return math.inf if given_utilization is None else Fraction(str(given_utilization))


@given(st.data(), bounds)
@settings(max_examples=70)
def test_a_set_keeps_all_bounds(data: st.DataObject, chosen: dict[str, Any]) -> None:
    taskset = data.draw(ts.tasksets(**chosen))
    unit = chosen["unit_ms"]
    parameters_of(taskset)  # it is valid, and concrete
    assert 1 <= len(taskset) <= chosen["n"]
    assert [task["id"] for task in taskset] == list(range(len(taskset)))
    assert load(taskset) <= limit_of(chosen["max_utilization"])
    for task in taskset:
        cost, period = task["executiontime"], task["period"]
        assert unit <= cost <= period <= chosen["max_period"] * unit
        assert all(type(value) is int for value in task.values())
        for key in ("offset", "jitter", "criticaltime"):
            assert 0 < task.get(key, unit) <= max(chosen[f"max_{key}"], 1) * unit
        assert 1 <= task.get("numberofjobs", 1) <= (chosen["max_jobs"] or 1)
    times = [value for task in taskset for key, value in task.items() if key in {"period", "executiontime", "deadline"}]
    assert not any(value % unit for value in times)


@given(st.data(), bounds)
@settings(max_examples=70)
def test_the_periods_of_a_set_go_together(data: st.DataObject, chosen: dict[str, Any]) -> None:
    periods = [task["period"] // chosen["unit_ms"] for task in data.draw(ts.tasksets(**chosen))]
    most = chosen["max_hyperperiod"]
    assert math.lcm(*periods) <= (10 * chosen["max_period"] if most is None else most)
    if chosen["harmonic"]:
        assert all(max(pair) % min(pair) == 0 for pair in combinations_with_replacement(periods, 2))


@given(st.data(), bounds)
@settings(max_examples=70)
def test_the_policy_says_which_tasks_have_a_priority_and_which_a_deadline(
    data: st.DataObject, chosen: dict[str, Any]
) -> None:
    taskset = data.draw(ts.tasksets(**chosen))
    ranked = [task for task in taskset if "priority" in task]
    if chosen["policy"] != "mixed":
        assert len(ranked) == (len(taskset) if chosen["policy"] == "FP" else 0)
    for task in taskset:
        has_deadline = "priority" not in task or (chosen["policy"] == "FP" and chosen["deadlines"] != "implicit")
        assert ("deadline" in task) == has_deadline
        most = task["period"] * (2 if chosen["deadlines"] == "arbitrary" else 1)
        assert task["executiontime"] <= task.get("deadline", task["period"]) <= most
        if "deadline" in task and chosen["deadlines"] == "implicit":
            assert task["deadline"] == task["period"]
    assert all(0 <= task["priority"] <= chosen["max_priority"] for task in ranked)
    if chosen["priorities"] != "any":
        assert len({task["priority"] for task in ranked}) == len(ranked)
    if chosen["priorities"] in {"rm", "dm"}:
        key = "period" if chosen["priorities"] == "rm" else "deadline"
        order = [task.get(key, task["period"]) for task in sorted(ranked, key=lambda task: task["priority"])]
        assert order == sorted(order)


@given(st.data(), bounds)
@settings(max_examples=70)
def test_tasks_of_several_cores_are_bound_to_one_each_and_none_is_overloaded(
    data: st.DataObject, chosen: dict[str, Any]
) -> None:
    taskset = data.draw(ts.tasksets(**chosen))
    bound = chosen["cores"] > 1 and chosen["migration"] == "partitioned"
    assert all(("coreoffset" in task) == bound for task in taskset)
    if bound and chosen["max_utilization"] is not None:
        each = limit_of(chosen["max_utilization"]) / chosen["cores"]
        for core in range(chosen["cores"]):
            assert load(task for task in taskset if task["coreoffset"] == core) <= each


def small_sets(n: int, longest: int) -> Iterator[Counter[tuple[int, int]]]:
    """Yield all sets of up to n tasks (C, T), C <= T <= longest, that don't overload a core."""
    every = [(cost, period) for period in range(1, longest + 1) for cost in range(1, period + 1)]
    for size in range(1, n + 1):
        for each in combinations_with_replacement(every, size):
            if sum(Fraction(*one) for one in each) <= 1:
                yield Counter(each)


def test_each_set_can_come_up_to_the_order_of_its_tasks() -> None:
    seen: set[frozenset[tuple[tuple[int, int], int]]] = set()

    @settings(AT_ONCE, max_examples=10_000)
    @given(ts.tasksets(n=3, policy="EDF", max_period=4))
    def collect(taskset: TaskSet) -> None:
        seen.add(frozenset(Counter((task["executiontime"], task["period"]) for task in taskset).items()))

    collect()
    assert seen == {frozenset(each.items()) for each in small_sets(3, 4)}


@pytest.mark.parametrize("policy", ["FP", "EDF", "mixed"])
def test_many_tasks_fit_as_long_as_each_has_one_unit(policy: Any) -> None:
    """The periods are long enough for all tasks to come, whatever the first ones took."""

    @settings(AT_ONCE, max_examples=50)
    @given(ts.tasksets(n=40, min_n=40, policy=policy, max_period=50, max_hyperperiod=100))
    def check(taskset: TaskSet) -> None:
        assert len(taskset) == 40
        assert load(taskset) <= 1

    check()


def test_a_set_repeats_itself_as_python() -> None:
    taskset = find(ts.tasksets(), lambda taskset: len(taskset) == 3, settings=AT_ONCE)
    assert eval(repr(taskset), {"TaskSet": TaskSet, "Task": Task}) == taskset  # noqa: S307  # that is the law


def test_no_two_sets_share_the_attributes_of_a_block() -> None:
    block = {"pkg": "pi", "config": {"arg1": 1}}
    taskset = find(ts.tasksets(block=block), lambda taskset: len(taskset) == 2, settings=AT_ONCE)
    taskset[0]["config"]["arg1"] = 2
    assert taskset[1]["config"] == block["config"] == {"arg1": 1}


@given(ts.tasksets(block=ts.blocks(programs=("hey", "pi"))))
def test_a_block_may_be_drawn(taskset: TaskSet) -> None:
    assert all(task["pkg"] in {"hey", "pi"} for task in taskset)


@given(ts.tasks(policy="EDF", max_jobs=2))
def test_a_single_task_has_no_id_yet(task: Task) -> None:
    assert "id" not in task
    assert TaskSet([task])[0]["id"] == 0


@pytest.mark.parametrize(
    ("given_bounds", "message"),
    [
        ({"n": 0}, "tasksets: n: 0, expected a whole number >= 1"),
        ({"n": True}, "tasksets: n: True, expected a whole number >= 1"),
        ({"n": 2, "min_n": 3}, "tasksets: min_n: 3, expected at most n, 2"),
        ({"policy": "EFD"}, "tasksets: policy: 'EFD', expected FP, EDF, mixed"),
        ({"deadlines": "late"}, "tasksets: deadlines: 'late', expected implicit, constrained, arbitrary"),
        ({"max_priority": 128}, "tasksets: max_priority: 128, expected a whole number 0..127"),
        ({"max_utilization": 0}, "tasksets: max_utilization: 0, expected a number > 0"),
        ({"max_utilization": math.nan}, "tasksets: max_utilization: nan, expected a number > 0"),
        ({"max_utilization": 0.001}, "tasksets: max_utilization: 0.001, expected room for 1 tasks of period 100"),
        ({"min_period": 9, "max_period": 8}, "tasksets: min_period: 9, expected at most max_period, 8"),
        ({"max_hyperperiod": 2.5}, "tasksets: max_hyperperiod: 2.5, expected a whole number >= 1"),
        ({"periods": []}, "tasksets: periods: [], expected 1..10000 periods"),
        ({"max_period": 10**6}, "tasksets: max_period: 1000000, expected at most 10000 different periods"),
        ({"min_n": 3, "max_priority": 1, "priorities": "distinct"}, "tasksets: max_priority: 1, expected room for 3"),
        ({"periods": 5}, "tasksets: periods: 5, expected a list of periods"),
        ({"periods": count(1)}, "tasksets: periods: [1, 2, 3"),
        ({"capabilities": "sim"}, "tasksets: capabilities: 'sim', expected taskgen.Capabilities"),
        ({"max_jobs": 0}, "tasksets: max_jobs: 0, expected a whole number >= 1"),
        ({"block": "hey"}, "tasksets: block: 'hey', expected a dict of attributes, or a strategy of such"),
        ({"block": {"quota": ["1M", "2M"]}}, "tasksets: block: quota: ['1M', '2M'], expected one value, no choice"),
        ({"cores": 0}, "tasksets: cores: 0, expected a whole number >= 1"),
        ({"unit_ms": 0.5}, "tasksets: unit_ms: 0.5, expected a whole number >= 1"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_bounds_are_refused_at_the_call(given_bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        ts.tasksets(**given_bounds)
    assert str(caught.value).startswith(message)


def test_the_nearest_name_is_proposed_and_case_does_not_matter() -> None:
    with pytest.raises(UsageError) as caught:
        ts.tasksets(policy="mixd")  # type: ignore[arg-type]  # as a user may
    assert caught.value.hint == "did you mean mixed?"
    assert find(ts.tasksets(n=2, policy="edf"), lambda _: True, settings=AT_ONCE)[0]["deadline"] == 1


def test_the_smallest_set_of_all() -> None:
    assert find(ts.tasksets(n=2, policy="FP"), lambda _: True, settings=AT_ONCE) == TaskSet(
        [{"id": 0, "executiontime": 1, "period": 1, "priority": 0}]
    )
    assert find(ts.tasksets(n=2, policy="mixed"), lambda _: True, settings=AT_ONCE)[0]["priority"] == 0
    assert find(ts.tasksets(n=2, policy="EDF", unit_ms=100), lambda _: True, settings=AT_ONCE) == TaskSet(
        [{"id": 0, "executiontime": 100, "period": 100, "deadline": 100}]
    )
