"""What became of task-sets that ran already: so that a set runs once, and has one verdict, however slow the target."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from taskgen.taskset import TaskSet
from taskgen.units import Milliseconds

V = TypeVar("V")


def identity(
    taskset: TaskSet, horizon_ms: Milliseconds | None = None, admission: Mapping[str, Any] | None = None
) -> str:
    """Return what two runs have in common that can't be told apart: the set, its horizon, its goal."""
    return repr(([dict(task) for task in taskset], horizon_ms, admission))


class Memo(Generic[V]):
    """Values by key, at most so many: the oldest are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[object, V] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: object) -> V | None:
        """Return what is remembered; None: nothing."""
        return self._known.get(key)

    def keep(self, key: object, value: V) -> V:
        """Remember a value, and return it."""
        self._known[key] = value
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return value
