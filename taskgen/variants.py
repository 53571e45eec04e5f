"""Variants: the lazy product of all choices of a task or a task-set.

Finite choices are counted in mixed radix: the digits of an index, most significant first, are the positions in the
choices, so the last choice of the last task turns fastest, as in `itertools.product`, and any variant is found from
its index alone. `range(10**9)` costs nothing.

Iterators (generators, `itertools.count()`) have no known length. They form the outer block, walked along growing
diagonals (tuples of positions by their sum, lexicographic within a sum), so each combination comes at a finite index
(Cantor's enumeration of tuples); the finite choices form the inner block, in product order.
"""

import math
import operator
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar, cast, overload

from taskgen.choice import ATOMIC, Drawn, Path, copy_value, empty, values_of, walk
from taskgen.diagonal import diagonals, position_at
from taskgen.errors import InputError
from taskgen.task import Task, copy_nested
from taskgen.taskset import TaskSet

# The stop of an index range without end: no machine counts that far, and ranges of this size cost nothing.
_ENDLESS = 1 << 256

V = TypeVar("V", bound=Task | TaskSet)


class Variants(Generic[V]):
    """The variants of a task or a task-set: lazy, re-iterable, indexable, in one fixed order.

    `iter(v)` always starts anew; `next(v)` draws from a cursor that belongs to this object. A variant is independent
    of all others and of the description, and carries its `variant_index`.
    """

    def __init__(self, space: "_Space[V]", indices: range | tuple[int, ...]) -> None:
        self._space = space
        self._indices = indices
        self._cursor: Iterator[V] | None = None

    @property
    def count(self) -> int | float:
        """How many variants there are: exact at any size, `math.inf` while an iterator's length is unknown.

        Asking a bounded slice of an unbounded set draws as far as its end.
        """
        length = self._length()
        return math.inf if length is None else length

    def _length(self) -> int | None:
        indices = self._indices
        if isinstance(indices, tuple):
            return len(indices)
        total = self._space.total()
        if total is None:
            if indices.stop >= _ENDLESS:
                return None
            if indices:
                self._space.check_not_empty()
            if not indices or self._space.reaches(max(indices[0], indices[-1])):
                return _range_size(indices)
            total = self._space.total()
        if total is None:
            raise AssertionError("an index out of reach has exhausted every iterator")
        # Only a slice that was made before the end was known reaches beyond it, and such a slice ascends.
        return _range_size(range(indices.start, min(indices.stop, total), indices.step))

    def __len__(self) -> int:
        length = self._length()
        if length is None:
            raise OverflowError("unbounded variants have no length; take a slice or use itertools.islice")
        if length > sys.maxsize:
            raise OverflowError(f"{length} variants are more than len() can say; use .count")
        return length

    def __bool__(self) -> bool:
        return bool(self._indices) and self._space.reaches(self._indices[0])

    def __iter__(self) -> Iterator[V]:
        return self._space.walk(self._indices)

    def __next__(self) -> V:
        if self._cursor is None:
            self._cursor = iter(self)
        return next(self._cursor)

    @overload
    def __getitem__(self, index: int) -> V: ...

    @overload
    def __getitem__(self, index: slice) -> "Variants[V]": ...

    def __getitem__(self, index: int | slice) -> "V | Variants[V]":
        if isinstance(index, slice):
            parts = [0 if part is None else operator.index(part) for part in (index.start, index.stop, index.step)]
            if min(parts) >= 0:
                return Variants(self._space, self._indices[index])
            if self._length() is None:
                raise ValueError("a slice of unbounded variants can't count from the end")
            return Variants(self._space, self._reachable()[index])
        position = operator.index(index)
        if position >= 0:
            return self._space.at(self._indices[position])
        if self._length() is None:
            raise IndexError("unbounded variants can't be counted from the end")
        return self._space.at(self._reachable()[position])

    def _reachable(self) -> range | tuple[int, ...]:
        # A slice of an iterator's values may end beyond them.
        return self._indices[: self._length()]

    def shard(self, index: int, shards: int) -> "Variants[V]":
        """Return each `shards`-th variant from `index` on: the shards 0 .. n-1 partition the variants."""
        if not 0 <= index < shards:
            raise ValueError(f"shard {index} of {shards}: expected 0 <= shard < shards")
        return Variants(self._space, self._indices[index::shards])

    def sample(self, size: int, seed: int = 0) -> "Variants[V]":
        """Return `size` variants without replacement, uniformly and repeatably, in random order.

        Floyd's algorithm (Bentley & Floyd, "A sample of brilliance", CACM 30(9), 1987): O(size), however many
        variants there are.

        Raises:
            ValueError: the set is unbounded, or has fewer variants than `size`.
        """
        count = self._length()
        if count is None:
            raise ValueError("unbounded variants can't be sampled uniformly; take a slice first")
        if not 0 <= size <= count:
            raise ValueError(f"sample of {size}: expected 0 <= size <= {count}, the number of variants")
        rng = random.Random(seed)
        chosen: set[int] = set()
        for last in range(count - size, count):
            position = rng.randrange(last + 1)
            chosen.add(last if position in chosen else position)
        order = sorted(chosen)  # the order of a set is nobody's promise
        rng.shuffle(order)
        return Variants(self._space, tuple(self._indices[position] for position in order))

    def __repr__(self) -> str:
        indices = self._indices
        if isinstance(indices, tuple) or self._space.total() is not None:
            return f"<Variants: {self.count}>"
        # Showing something draws nothing.
        return f"<Variants: {'unbounded' if indices.stop >= _ENDLESS else f'at most {_range_size(indices)}'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Variants, (self._space, self._indices)  # without the cursor of next()


def task_variants(task: Task) -> Variants[Task]:
    """Return the variants of a task whose iterators are settled."""
    return _variants(_Space([task], single=True))


def taskset_variants(taskset: TaskSet) -> Variants[TaskSet]:
    """Return the variants of a task-set."""
    return _variants(_Space(list(taskset), single=False))


def _variants(space: "_Space[Any]") -> Variants[Any]:
    for slot, draw in zip(space.drawn, space.draws, strict=True):
        if draw.exhausted and not draw.drawn:
            raise empty(slot.path)
    total = space.total()
    return Variants(space, range(_ENDLESS * space.inner if total is None else total))


def _range_size(indices: range) -> int:
    return (indices[-1] - indices[0]) // indices.step + 1 if indices else 0


class _Slot:
    """One choice: where it stands, and its values."""

    __slots__ = ("path", "size", "task", "values")

    def __init__(self, task: int, path: Path, values: Sequence[Any] | Drawn) -> None:
        self.task = task
        self.path = path
        self.values = values
        self.size = (
            0 if isinstance(values, Drawn) else _range_size(values) if isinstance(values, range) else len(values)
        )


class _Space(Generic[V]):
    """All combinations of the choices of some tasks, as a mapping from index to variant."""

    def __init__(self, tasks: list[Task], *, single: bool) -> None:
        self.single = single
        self.kinds = [type(task) for task in tasks]
        #: What tasks of the user's own classes carry beside their attributes.
        self.own = [{key: value for key, value in vars(task).items() if key != "variant_index"} for task in tasks]
        self.templates: list[dict[str, Any]] = [copy_nested(task) for task in tasks]
        slots: list[_Slot] = []
        for number, task in enumerate(tasks):
            slots += [_Slot(number, path, values_of(path, value)) for path, value in walk(task)]
        self.finite = [slot for slot in slots if not isinstance(slot.values, Drawn)]
        self.drawn = [slot for slot in slots if isinstance(slot.values, Drawn)]
        self.draws = [slot.values for slot in slots if isinstance(slot.values, Drawn)]
        self.inner = math.prod(slot.size for slot in self.finite)

    def total(self) -> int | None:
        """How many combinations, or None while an iterator is not exhausted."""
        if all(draw.exhausted for draw in self.draws):
            return self.inner * math.prod(draw.drawn for draw in self.draws)
        return None

    def reaches(self, index: int) -> bool:
        """Whether there is a combination with this index; draws as far as needed."""
        if not self.draws:
            return index < self.inner
        return position_at(self.draws, index // self.inner) is not None

    def at(self, index: int) -> V:
        """Return the variant with this index.

        Raises:
            IndexError: there are fewer combinations.
        """
        cursor = _Cursor(self)
        outer, inner = divmod(index, self.inner)
        if self.draws:
            self.check_not_empty()
            found = position_at(self.draws, outer)
            if found is None:
                raise IndexError(index)
            cursor.turn(self.drawn, found)
        cursor.turn(self.finite, self._digits(inner))
        return cursor.variant(index)

    def walk(self, indices: range | tuple[int, ...]) -> Iterator[V]:
        """Yield the variants with these indices, in that order."""
        if isinstance(indices, tuple) or (self.draws and indices.step < 0):
            return map(self.at, indices)
        if self.draws:
            return self._walk_drawn(indices)
        if indices.step == 1:
            return self._count_up(indices)
        return self._jump(indices)

    def _jump(self, indices: range) -> Iterator[V]:
        cursor = _Cursor(self)
        for index in indices:
            cursor.turn(self.finite, self._digits(index))
            yield cursor.variant(index)

    def _count_up(self, indices: range) -> Iterator[V]:
        """Count in mixed radix: most steps turn one wheel only."""
        if not indices:
            return
        cursor = _Cursor(self)
        slots = self.finite
        digits = self._digits(indices[0])
        cursor.turn(slots, digits)
        last = len(slots) - 1
        for index in indices:
            yield cursor.variant(index)
            wheel = last
            while wheel >= 0:
                slot = slots[wheel]
                digit = digits[wheel] + 1
                if digit < slot.size:
                    digits[wheel] = digit
                    cursor.put(slot, slot.values[digit])
                    break
                digits[wheel] = 0
                cursor.put(slot, slot.values[0])
                wheel -= 1

    def _walk_drawn(self, indices: range) -> Iterator[V]:
        cursor = _Cursor(self)
        wanted = iter(indices)
        index = next(wanted, None)
        if index is None:
            return
        self.check_not_empty()
        for outer, positions in enumerate(diagonals(self.draws)):
            end = (outer + 1) * self.inner
            if index >= end:
                continue
            cursor.turn(self.drawn, positions)
            while index < end:
                cursor.turn(self.finite, self._digits(index % self.inner))
                yield cursor.variant(index)
                index = next(wanted, None)
                if index is None:
                    return

    def check_not_empty(self) -> None:
        for slot, draw in zip(self.drawn, self.draws, strict=True):
            if not draw.has(0):
                raise empty(slot.path)

    def _digits(self, index: int) -> list[int]:
        digits = [0] * len(self.finite)
        for wheel in range(len(self.finite) - 1, -1, -1):
            index, digits[wheel] = divmod(index, self.finite[wheel].size)
        return digits


def _refuse_iterator(path: Path, value: Any) -> None:
    """Refuse an element that can't be copied: elements are taken whole, choices inside them aren't expanded."""
    inner = next(walk(value), (path, None))[1] if isinstance(value, dict) else value
    if isinstance(inner, Iterator | Drawn):
        raise InputError(
            f"{'.'.join(path)}: {value!r:.60} is a choice inside a choice",
            hint="list its values one by one, or make the inner one a choice of its own",
        )


class _Cursor(Generic[V]):
    """The current combination: templates with values filled in, from which fresh tasks are made."""

    def __init__(self, space: _Space[V]) -> None:
        self._kinds = space.kinds
        self._own = space.own
        self._single = space.single
        self._templates = [copy_nested(template) for template in space.templates]
        # Keys whose values may be changed in place, so that each variant needs a copy of its own.
        self._mutable = [{k for k, value in t.items() if type(value) not in ATOMIC} for t in self._templates]
        for slot in (*space.finite, *space.drawn):
            if len(slot.path) == 1:
                self._mutable[slot.task].discard(slot.path[0])

    def turn(self, slots: list[_Slot], positions: Sequence[int]) -> None:
        for slot, position in zip(slots, positions, strict=True):
            self.put(slot, slot.values[position])

    def put(self, slot: _Slot, value: Any) -> None:
        node = self._templates[slot.task]
        path = slot.path
        plain = type(value) in ATOMIC
        if not plain:
            _refuse_iterator(path, value)
        if len(path) == 1:
            node[path[0]] = value
            if not plain:
                self._mutable[slot.task].add(path[0])
            return
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    def variant(self, index: int) -> V:
        tasks = []
        for kind, own, template, mutable in zip(self._kinds, self._own, self._templates, self._mutable, strict=True):
            task = kind.__new__(kind)
            task.update(template)
            if own:
                vars(task).update(own)
            for key in mutable:
                task[key] = copy_value(template[key])
            tasks.append(task)
        if self._single:
            tasks[0].variant_index = index
            return cast("V", tasks[0])
        return cast("V", TaskSet.of_variant(tasks, index))
