"""The kit of the store's tests: results to store, and what is read back."""

import json
from collections.abc import Callable
from typing import Any

from taskgen import TaskSet, Trace
from taskgen.monitor import Run
from taskgen.parameters import parameters_of
from taskgen.store import ResultStore
from tests.taskgen.scripted import job

ASKED = {"taskset": "mine", "limit": 10}
Open = Callable[..., ResultStore]


def result(variant: int, status: str = "finished", **about: Any) -> tuple[Run, Trace]:
    taskset = TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1}])
    trace = Trace(parameters_of(taskset))
    trace.extend(job())
    return Run(variant, taskset, "sim", status=status, **about), trace  # type: ignore[arg-type]  # wrong ones, too


def numbers(store: ResultStore) -> list[int]:
    return [variant for variant, _ in store.results()]


def documents(store: ResultStore) -> list[dict[str, Any]]:
    return [json.loads(document) for _, document in store.results()]
