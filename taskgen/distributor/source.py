"""Where variants come from: whatever is to be run as one numbered stream, drawn one at a time."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from taskgen.choice import walk
from taskgen.errors import InputError, UsageError
from taskgen.parameters import parameters_of
from taskgen.registry import describe
from taskgen.taskset import TaskSet
from taskgen.variants import Variants

#: What can be run: a set (its variants), variants, or several of both.
Work: TypeAlias = "TaskSet | Variants[TaskSet] | Iterable[TaskSet | Variants[TaskSet]]"


class Source:
    """The variants of some work with their numbers, drawn lazily by any thread.

    The variants of one set have their own indices; those of several sets count on. A variant that is given alone (it
    was taken out of its set) keeps its number. Those that are `stored` are passed over, and count as drawn.
    """

    def __init__(self, work: Work, limit: int | None = None, stored: Callable[[int], bool] | None = None) -> None:
        """Look at what is to be run, as far as that costs nothing.

        Raises:
            InputError: it is no task-set, or has an empty choice or no task.
            UsageError: the limit is negative.
        """
        if limit is not None and limit < 0:
            raise UsageError(f"limit: {limit} is negative, expected at least 0")
        self._lock = threading.Lock()
        self._limit = limit
        self._stored = stored
        self._ahead: list[tuple[int, TaskSet]] = []
        self._drawn = 0
        self._over = False
        self.skipped = 0  #: how many were passed over
        self.total = _total(work, limit)  #: how many there are; None: unknown or endless
        self._numbered = _numbered([work] if isinstance(work, TaskSet | Variants) else work)

    @property
    def exhausted(self) -> bool:
        """Whether it is known that no further variant will come."""
        # Where the number is known, nobody waits for a target only to learn that there is nothing for it.
        return not self._ahead and (self._over or self._drawn in {self._limit, self.total})

    def draw(self) -> tuple[int, TaskSet] | None:
        """Return the next variant with its number, or None.

        Raises:
            UsageError: drawing it failed (a generator of the description raised, say).
        """
        with self._lock:
            return self._ahead.pop() if self._ahead else self._next()

    def look_ahead(self) -> TaskSet | None:
        """Return the next variant without taking it."""
        with self._lock:
            if not self._ahead:
                found = self._next()
                if found is None:
                    return None
                self._ahead.append(found)
            return self._ahead[0][1]

    def left(self) -> int | None:
        """How many variants weren't drawn; None: unknown, as where nobody knows how many of them are stored."""
        if self.total is None or self._stored is not None:
            return None
        return self.total - self._drawn + len(self._ahead)

    def check(self) -> None:
        """Validate the first variant: what is wrong with all of them is known before anything runs.

        Raises:
            InputError: a value is wrong.
        """
        first = self.look_ahead()
        if first is None:
            return
        try:
            parameters_of(first)
        except InputError as error:
            number = self._ahead[0][0]
            if not number:
                raise
            raise InputError(f"variant {number}: {error}", hint=error.hint) from None

    def _next(self) -> tuple[int, TaskSet] | None:
        while (found := self._draw()) is not None and self._stored is not None and self._stored(found[0]):
            self.skipped += 1
        return found

    def _draw(self) -> tuple[int, TaskSet] | None:
        if self._over or self._drawn == self._limit:
            return None
        self._over = True  # unless a variant comes
        with _naming(f"drawing variant {self._drawn}"):
            found = next(self._numbered, None)
        if found is not None:
            self._over = False
            self._drawn += 1
        return found


@contextmanager
def _naming(action: str) -> Iterator[None]:
    """Turn whatever a generator of the description raises into one line."""
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{action} failed: {describe(error)}") from error


def _total(work: Work, limit: int | None) -> int | None:
    if isinstance(work, TaskSet | Variants):
        counts = [_count(work)]
    elif isinstance(work, list | tuple):
        counts = [_count(part) for part in work]
    else:
        return None
    total = sum(counts)
    if total == math.inf:
        return None  # unknown: an iterator may end before the limit
    return int(total) if limit is None else min(int(total), limit)


def _count(work: object) -> int | float:
    part = _checked(work)
    with _naming("counting the variants"):
        return 1 if isinstance(part, TaskSet) else part.count


def _numbered(works: Iterable[Any]) -> Iterator[tuple[int, TaskSet]]:
    base = 0
    for work in _iterable(works):
        part = _checked(work)
        if isinstance(part, TaskSet):
            number = part.variant_index or 0
            base = max(base, number + 1)
            yield number, part
            continue
        beyond = base
        for taskset in part:
            if not isinstance(taskset, TaskSet):
                raise _no_taskset(taskset)
            number = base + (taskset.variant_index or 0)
            beyond = max(beyond, number + 1)
            yield number, taskset
        base = beyond


def _checked(work: object) -> "TaskSet | Variants[TaskSet]":
    """Return a variant as it is, and the variants of a description."""
    if isinstance(work, Variants):
        return work
    if not isinstance(work, TaskSet):
        raise _no_taskset(work)
    if not len(work):
        raise InputError("the task-set is empty, expected at least one task")
    if work.variant_index is not None and not any(next(walk(task), None) for task in work):
        return work
    return work.variants()


def _iterable(works: Any) -> Iterator[Any]:
    if isinstance(works, str | Mapping) or not isinstance(works, Iterable):
        raise _no_taskset(works)
    return iter(works)


def _no_taskset(work: object) -> InputError:
    called = isinstance(work, type) and issubclass(work, TaskSet)
    hint = f"call it: {work.__name__}()" if called else "put tasks into a TaskSet([...])"  # type: ignore[attr-defined]  # a class
    return InputError(f"{work!r:.60} is no TaskSet, no variants of one and no series of them", hint=hint)
