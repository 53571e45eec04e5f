"""Descriptions are checked in one place, with messages that name task, field, value and what was expected."""

import itertools
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from taskgen import Task, TaskSet
from taskgen.errors import InputError, Unsupported
from taskgen.parameters import check_span, parameters_of
from taskgen.units import MAX_NS

MS = 1_000_000


def one(**attributes: Any) -> Any:
    return parameters_of([attributes])[0]


def test_all_attributes_in_nanoseconds() -> None:
    task = {
        "id": 7, "executiontime": 0.5, "period": 10, "deadline": Decimal("7.5"), "priority": 3,
        "offset": Fraction(1, 8), "jitter": 1, "numberofjobs": 5, "criticaltime": 20, "pkg": "pi",
    }  # fmt: skip
    found = parameters_of([task])[0]
    assert (found.id, found.wcet_ns, found.period_ns, found.deadline_ns) == (7, 500_000, 10 * MS, 7_500_000)
    assert (found.priority, found.offset_ns, found.jitter_ns) == (3, 125_000, MS)
    assert (found.jobs, found.critical_ns, found.arrivals_ns) == (5, 20 * MS, None)
    assert found.attributes == task
    assert found.arrival_ns(3) == 125_000 + 30 * MS


def test_what_is_missing_or_zero() -> None:
    found = one(period=10, deadline=0, criticaltime=0, numberofjobs=0)
    assert (found.wcet_ns, found.deadline_ns, found.critical_ns, found.jobs) == (None, None, None, None)
    assert (found.id, found.priority, found.offset_ns, found.jitter_ns) == (0, None, 0, 0)
    assert [task.id for task in parameters_of([{}, {}])] == [0, 1]


def test_period_zero_is_a_single_job() -> None:
    assert one().jobs == one(period=0).jobs == one(period=0, numberofjobs=1).jobs == 1


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({"period": 10, "deadline": 7}, 7 * MS), ({"period": 10}, 10 * MS), ({"deadline": 7}, 7 * MS), ({}, None)],
)
def test_the_deadline_that_counts_is_d_else_t(attributes: dict[str, Any], expected: int | None) -> None:
    assert one(**attributes).effective_deadline_ns == expected


@pytest.mark.parametrize("value", [99_999_999, 10**30, 1e30, Decimal("1E+400"), Fraction(10**30), None])
def test_the_placeholder_of_old_descriptions_is_an_unknown_execution_time(value: Any) -> None:
    assert one(period=10, executiontime=value).wcet_ns is None


def test_an_execution_time_just_below_the_placeholder_is_known() -> None:
    assert one(executiontime=99_999_998).wcet_ns == 99_999_998 * MS


def test_sporadic_arrivals() -> None:
    task = one(period=10, arrivals=[0, 10, 25.5], offset=1)
    assert task.arrivals_ns == (0, 10 * MS, 25_500_000)
    assert task.jobs == 3
    assert [task.arrival_ns(job) for job in range(3)] == [MS, 11 * MS, 26_500_000]
    assert one(arrivals=[0, 1, 2], numberofjobs=2).jobs == 2
    assert one(arrivals=(5,)).jobs == 1


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"period": "abc"}, "task 0: period: 'abc' is not a finite number of milliseconds"),
        ({"id": 4, "period": -1}, "task 4: period: -1 is negative, expected milliseconds >= 0"),
        ({"offset": float("nan")}, "task 0: offset: nan is not a finite number"),
        ({"jitter": None}, "task 0: jitter: None is not a finite number"),
        ({"deadline": 2**62 // MS + 1}, "task 0: deadline: 4611686018428 ms is too long, expected at most 2^62 ns"),
        ({"criticaltime": Fraction(1, 3)}, "task 0: criticaltime: 1/3 ms is no whole number of nanoseconds"),
        ({"executiontime": 0}, "task 0: executiontime: 0 is no work, expected more than 0 ms"),
        ({"executiontime": -1}, "task 0: executiontime: -1 is negative"),
        ({"executiontime": "5"}, "task 0: executiontime: '5' is not a finite number"),
        ({"executiontime": float("inf")}, "task 0: executiontime: inf is not a finite number"),
        ({"executiontime": Decimal("NaN")}, "task 0: executiontime: NaN is not a finite number"),
        ({"priority": 129}, "task 0: priority: 129 is out of range, expected 0..128"),
        ({"priority": -1}, "task 0: priority: -1 is out of range, expected 0..128"),
        ({"priority": 1.0}, "task 0: priority: 1.0 is no whole number"),
        ({"priority": True}, "task 0: priority: True is no whole number"),
        ({"numberofjobs": "3"}, "task 0: numberofjobs: '3' is no whole number"),
        ({"numberofjobs": 2}, "task 0: numberofjobs: 2 jobs with period 0, expected 1 or none"),
        ({"id": "x"}, "task 0: id: 'x' is no whole number"),
        pytest.param({"id": 10**5000}, "task 0: id: a number of more than 4300 digits is out of range", id="huge id"),
        ({"cores": -1}, "task 0: cores: -1 is out of range, expected 0..65536"),
        ({"config": "x"}, "task 0: config: 'x' is no dict"),
        ({"arrivals": []}, "task 0: arrivals: [] is no list of milliseconds"),
        ({"arrivals": 5}, "task 0: arrivals: 5 is no list of milliseconds"),
        ({"arrivals": [0, "x"]}, "task 0: arrivals[1]: 'x' is not a finite number"),
        ({"arrivals": [3, 2]}, "task 0: arrivals[1]: 2 comes too early"),
        ({"arrivals": [0, 9], "period": 10}, "arrivals[1]: 9 comes too early, expected at least one period after 0"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        parameters_of([attributes])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError) as again:
        parameters_of([attributes], source="my.xml")
    assert str(again.value) == f"{caught.value} (my.xml)"
    assert again.value.hint == caught.value.hint


@pytest.mark.parametrize("tasks", [[{"priority": 300}], [{"id": 1}, {"id": 1}]])
def test_what_board_files_do_is_hinted_at(tasks: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError) as caught:
        parameters_of(tasks)
    assert "--dialect" in caught.value.hint


def test_equal_ids_name_both_tasks() -> None:
    with pytest.raises(InputError, match=r"^task 2: id 5 is taken by task 0, expected unique ids$"):
        parameters_of([{"id": 5}, {"id": 1}, {"id": 5}])


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(InputError, match="the task-set is empty"):
        parameters_of(TaskSet())


@pytest.mark.parametrize(
    ("task", "place"),
    [
        (Task({"period": [1, 2]}), "period"),
        (Task({"config": {"arg1": range(10**12)}}), "config.arg1"),
        (Task({"own": itertools.count()}), "own"),
    ],
)
def test_a_choice_is_for_variants_not_for_a_session(task: Task, place: str) -> None:
    with pytest.raises(Unsupported, match=f"^task 0: {place}: .* is a choice, a session runs one variant") as caught:
        parameters_of([task])
    assert "variants()" in caught.value.hint


def test_the_clock_holds_2_to_the_62_nanoseconds() -> None:
    check_span(MAX_NS, "task 0")
    with pytest.raises(InputError, match="task 0: the set runs beyond"):
        check_span(MAX_NS + 1, "task 0")
