"""Task-sets: containers of tasks, built by hand or from blocks.

>>> from taskgen import BlockTaskSet
>>> from taskgen.blocks import hey, period, priority
>>> taskset = BlockTaskSet(hey.HelloWorld, priority.Variants, [period.Value(10), period.Value(20)])
>>> len(taskset), taskset.variants().count
(2, 16384)
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

from taskgen.errors import InputError
from taskgen.task import Block, Task, call_block

if TYPE_CHECKING:
    from taskgen.variants import Variants


#: Choices of more ids than this are left to the check of each variant.
_MANY_IDS = 10_000


class TaskSet:
    """An ordered container of tasks: iteration, `len`, `[i]`, `append`, `+`.

    `append` gives a task that has no `id` the next free one. A task that is in the set already is appended as a copy
    with an id of its own.
    """

    #: The index of this variant in the `Variants` that it came from, None for a description.
    variant_index: int | None = None

    def __init__(self, tasks: Iterable[Mapping[str, Any]] = (), *, seed: int = 0) -> None:
        self._tasks: list[Task] = []
        self.seed = seed
        for task in tasks:
            self.append(task)

    @classmethod
    def of_variant(cls, tasks: list[Task], index: int) -> Self:
        """Wrap the finished tasks of a variant, as they are."""
        self = cls.__new__(cls)
        self._tasks = tasks
        self.seed = 0
        self.variant_index = index
        return self

    def append(self, task: Mapping[str, Any]) -> None:
        """Append a task; a plain dict becomes a `Task`."""
        if not isinstance(task, Task):
            if not isinstance(task, Mapping):
                raise InputError(f"task: {task!r} is no Task and no dict")
            task = Task(task)
        elif any(task is other for other in self._tasks):
            task = task.copy()
            task.pop("id", None)
        if "id" not in task:
            task["id"] = self._next_id()
        self._tasks.append(task)

    def _next_id(self) -> int:
        used: set[Any] = set()
        for task in self._tasks:
            number = task.get("id")
            if isinstance(number, int):
                used.add(number)
            elif isinstance(number, Sized) and not isinstance(number, str) and len(number) <= _MANY_IDS:
                used.update(number)  # type: ignore[arg-type]  # a choice of ids: any of them will be taken
        return next(number for number in itertools.count(len(self._tasks)) if number not in used)

    def variants(self) -> "Variants[TaskSet]":
        """Return the variants of this set: the product of all choices of all tasks, lazily; see `Variants`."""
        from taskgen.variants import taskset_variants

        for task in self._tasks:
            task.settle()
        return taskset_variants(self)

    @classmethod
    def load(cls, path: str | Path, dialect: str | None = None) -> "TaskSet":
        """Load a set from an `.xml` or `.json` file; `dialect` names the board generation that it was written for.

        Raises:
            InputError: the file can't be read or is no task-set; names the place.
        """
        from taskgen import document

        return document.load(path, dialect)

    def dump(self, path: str | Path, dialect: str | None = None) -> None:
        """Write the set to an `.xml` or `.json` file, whole or not at all.

        Raises:
            InputError: the format or the dialect can't express the set; names the key.
        """
        from taskgen import document

        document.dump(self, path, dialect)

    @overload
    def __getitem__(self, index: int) -> Task: ...

    @overload
    def __getitem__(self, index: slice) -> "TaskSet": ...

    def __getitem__(self, index: int | slice) -> "Task | TaskSet":
        return TaskSet(self._tasks[index]) if isinstance(index, slice) else self._tasks[index]

    def __add__(self, other: object) -> "TaskSet":
        """Return a new set with copies of the tasks of both; an id that is taken already is given anew."""
        if not isinstance(other, TaskSet):
            return NotImplemented
        result = TaskSet(seed=self.seed)
        taken: list[Any] = []
        for task in itertools.chain(self, other):
            new = task.copy()
            if isinstance(new.get("id"), int) and new["id"] in taken:
                del new["id"]
            result.append(new)
            taken.append(new["id"])
        return result

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task: object) -> bool:
        return task in self._tasks

    def __eq__(self, other: object) -> bool:
        return self._tasks == other._tasks if isinstance(other, TaskSet) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a mutable container

    def __repr__(self) -> str:
        return f"TaskSet({self._tasks!r})"


class BlockTaskSet(TaskSet):
    """A task-set from building blocks.

    Each argument is a block (a dict, or a callable that returns one) or a *list of blocks*; a list makes one task per
    element, several lists the product of all. Callables are called once per task; those that accept the keyword `rng`
    draw from one generator made from `seed`, in the order of the tasks.
    """

    def __init__(self, *args: Block | list[Block], task_class: type[Task] = Task, seed: int = 0) -> None:
        super().__init__(seed=seed)
        rng = random.Random(seed)
        lists = [arg if isinstance(arg, list | tuple) else [arg] for arg in args]
        for number, blocks in enumerate(lists):
            if not blocks:
                raise InputError(f"block {number + 1}: the list of blocks is empty, expected at least one")
        for combination in itertools.product(*lists) if lists else ():
            # The blocks are called here, so that a Task class of one's own needs to know nothing of `rng`.
            self.append(task_class(*[call_block(block, rng) for block in combination]))
