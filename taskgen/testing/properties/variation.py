"""Variants of a set that keep everything but what they vary: ids stay, times stay exact."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from taskgen.parameters import Parameters, parameters_of
from taskgen.taskset import TaskSet
from taskgen.units import ms_from_ns


def described(taskset: TaskSet) -> Iterator[tuple[Mapping[str, Any], Parameters]]:
    """Yield the description of each task, with its id, and its parameters."""
    for task, parameters in zip(taskset, parameters_of(taskset), strict=True):
        yield {**task, "id": parameters.id}, parameters


#: The new value of a time of a task, in ns; None: it stays as it is.
Change = Callable[[Parameters], int | None]


def changed(taskset: TaskSet, key: str, change: Change, *, only: int | None = None) -> TaskSet:
    """Return a set whose tasks have other times `key`: all of them, or the one at the position `only`."""
    tasks = []
    for position, (task, parameters) in enumerate(described(taskset)):
        time_ns = change(parameters) if only in {None, position} else None
        tasks.append(task if time_ns is None else {**task, key: ms_from_ns(time_ns)})
    return TaskSet(tasks)


def varied(taskset: TaskSet, key: str, change: Change) -> list[TaskSet]:
    """Return the set with all its tasks changed, then with the first and with the last one changed by itself."""
    last = len(taskset) - 1
    alone = dict.fromkeys([0, last]) if last else ()
    return [changed(taskset, key, change), *(changed(taskset, key, change, only=place) for place in alone)]
