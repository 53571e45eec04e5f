"""Choices: what makes an attribute stand for many values.

A value is a choice when it is a list, tuple, range, generator, set or any other iterable that is no str, bytes or
dict. Finite choices are sequences; iterators are wrapped once in a `Drawn`, which draws values only as far as asked
and keeps them, so that a description can be enumerated again and again.
"""

import copy
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

from taskgen.errors import InputError

#: Keys from a task down to a value; text but for dicts inside that a user gave other keys.
Path: TypeAlias = tuple[Any, ...]

# Values that can be shared by any number of variants.
ATOMIC: frozenset[type] = frozenset({int, float, str, bytes, bool, type(None), Decimal, Fraction})


def is_choice(path: Path, value: object) -> bool:
    """Tell whether the value at `path` stands for several values."""
    if isinstance(value, str | bytes | bytearray | dict) or not isinstance(value, Iterable):
        return False
    # The arrivals of one sporadic task are a list by nature; a choice between them is a list of lists.
    return not (path == ("arrivals",) and isinstance(value, list | tuple) and not any(map(_is_list, value)))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


class Drawn:
    """An iterator as a growing sequence: drawn only as far as asked, what was drawn is kept.

    Whoever holds the same iterator shares the same `Drawn` (see `drawn`), so two task-sets that were described with
    one generator agree about its values. It doesn't pickle: a generator can't be rebuilt elsewhere.
    """

    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._values: list[Any] = []
        self._error: Exception | None = None
        self._lock = threading.RLock()  # an iterator that asks for itself is an error, no deadlock
        self.exhausted = False

    def has(self, index: int) -> bool:
        """Draw as far as `index` and tell whether there is such a value; an error of the iterator is repeated."""
        if index < len(self._values):
            return True
        with self._lock:
            while index >= len(self._values) and not self.exhausted:
                self._draw()
        return index < len(self._values)

    def _draw(self) -> None:
        if self._error is not None:
            raise self._error
        try:
            self._values.append(next(self._iterator))
        except StopIteration:
            self.exhausted = True
        except Exception as error:
            # The iterator is finished after it raised; without this a second pass would look complete.
            self._error = error
            raise

    def __getitem__(self, index: int) -> Any:
        if not self.has(index):
            raise IndexError(index)
        return self._values[index]

    @property
    def drawn(self) -> int:
        """How many values were drawn so far."""
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        index = 0
        while self.has(index):
            yield self._values[index]
            index += 1

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError(
            "a choice that draws from an iterator can't be pickled; rebuild the task-set from its name and seed"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Drawn":
        return self

    def __repr__(self) -> str:
        return f"<{len(self._values)} values drawn from {self._iterator!r}>"


_drawn: "weakref.WeakValueDictionary[int, Drawn]" = weakref.WeakValueDictionary()


def drawn(iterator: Iterator[Any]) -> Drawn:
    """Return the one `Drawn` of this iterator."""
    # A Drawn keeps its iterator alive, so an id can't be re-used while its entry exists.
    found = _drawn.get(id(iterator))
    if found is None:
        found = _drawn[id(iterator)] = Drawn(iterator)
    return found


def settle(path: Path, value: Any) -> Any:
    """Return `value` in the form that a task keeps: iterators as `Drawn`, dicts copied, everything else as it is."""
    if isinstance(value, dict):
        return {key: settle((*path, key), inner) for key, inner in value.items()}
    if isinstance(value, Iterator) and is_choice(path, value):
        return drawn(value)
    return value


def values_of(path: Path, value: Any) -> Sequence[Any] | Drawn:
    """Return the values of a choice: a sequence for a finite one, a `Drawn` for an iterator.

    A set is ordered by value (by type name and repr where values don't compare), never by hash.

    Raises:
        InputError: the choice is empty; names the key.
    """
    values: Sequence[Any] | Drawn
    if isinstance(value, Drawn):
        return value
    if isinstance(value, range):
        values = value
    elif isinstance(value, set | frozenset):
        values = tuple(_ordered(value))
    elif isinstance(value, Sized):
        values = tuple(value)  # type: ignore[arg-type]  # a choice is iterable
    else:
        return drawn(iter(value))
    # Not len(): it overflows for a huge range.
    if not values:
        raise empty(path)
    return values


def dotted(path: Path) -> str:
    """Return a path as text: config.arg1."""
    return ".".join(map(str, path))


def empty(path: Path) -> InputError:
    """Return the error for a choice without values."""
    return InputError(
        f"{dotted(path)}: the choice is empty, expected at least one value",
        hint="leave the key out, or give it a value",
    )


def _ordered(values: "set[Any] | frozenset[Any]") -> list[Any]:
    # By text first: where values compare only partly (NaN, sets by inclusion), sorting depends on where it starts.
    by_text = sorted(values, key=lambda value: (type(value).__name__, _text(value)))
    try:
        return sorted(by_text)
    except TypeError:
        return by_text


def _text(value: object) -> str:
    # The repr of a set follows the hash seed.
    if isinstance(value, frozenset):
        return f"frozenset({_ordered(value)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    return repr(value)


def copy_value(value: Any) -> Any:
    """Return an independent copy of a value of a variant."""
    kind = type(value)
    if kind in ATOMIC:
        return value
    if kind is dict:
        return {key: copy_value(inner) for key, inner in value.items()}
    if kind is list:
        return [copy_value(inner) for inner in value]
    return copy.deepcopy(value)


def walk(task: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield `(path, value)` of each choice in a task, in order, walking into dicts."""
    for key, value in task.items():
        if type(value) in ATOMIC:
            continue
        here = (*path, key)
        if isinstance(value, dict):
            yield from walk(value, here)
        elif is_choice(here, value):
            yield here, value
