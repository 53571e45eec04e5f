"""Dialects: in which units and priorities a description was written, one table row per board generation.

A dialect translates the attributes of a file to milliseconds and to 0 most urgent .. 127 (`read`), and back (`write`).
Reading keeps what the board would do: what a generation doesn't act on is left out, and its priorities become the
levels of its kernel. Writing refuses what the generation can't express and names the key.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from taskgen.choice import Drawn, is_choice, values_of
from taskgen.errors import InputError, UsageError
from taskgen.parameters import NO_PRIORITY, TIMES
from taskgen.units import ms_from_ns, to_ns

# A translated choice is a list in memory; a range beyond this can't become one.
_LONGEST_CHOICE = 1_000_000
# No time has an exponent like that, and Decimal's own limits aren't far.
_FAR = 100_000


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of file says what a task is."""

    name: str
    about: str  #: one line for listings
    #: Unit of a time as a power of ten of milliseconds (3: seconds, -3: microseconds); a key that isn't here is in ms.
    units: Mapping[str, int] = field(default_factory=dict)
    #: The values of the file that mean priority 0, 1, ...; the first of each is written. Empty: the same numbers.
    levels: tuple[range, ...] = ()
    #: The priority of a file that says "none" beside a deadline.
    edf_priority: int | None = None
    #: Attributes that the board doesn't act on.
    ignored: tuple[str, ...] = ()
    #: A board reads whole numbers only, and a missing element as 0.
    board: bool = False
    #: Equal ids are numbered anew, by position.
    renumbers: bool = True

    def read(self, tasks: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
        """Translate the tasks of a file; return them with the notes that a user should see.

        Raises:
            InputError: a priority is none of this dialect's; names the task.
        """
        ignored: set[str] = set()
        result = [self._read(task, label_of(task, position), ignored) for position, task in enumerate(tasks)]
        notes = [f"{self.name} boards don't act on {', '.join(sorted(ignored))}: left out"] if ignored else []
        if self.renumbers and _has_equal_ids(result):
            notes.append("equal ids: the tasks are numbered by position")
            result = [{**task, "id": position} for position, task in enumerate(result)]
        return result, notes

    def _read(self, task: Mapping[str, Any], label: str, ignored: set[str]) -> dict[str, Any]:
        idle = {key for key in self.ignored if key in task and not _is_zero(task[key])}
        ignored |= idle
        new = {key: value for key, value in task.items() if key not in idle}
        if self.board and _is_zero(new.get("executiontime")):
            del new["executiontime"]
        for key, unit in self.units.items():
            if key in new:
                new[key] = _each(new[key], key, label, partial(_scaled, exponent=unit))
        if self.levels:
            edf = self.edf_priority is not None and _is_edf(new)
            if "priority" in new:
                new["priority"] = _each(new["priority"], "priority", label, partial(self._level, edf=edf, label=label))
            elif not edf:
                new["priority"] = 0
        return new

    def _level(self, priority: object, edf: bool, label: str) -> object:
        if type(priority) is not int:
            return priority  # whoever validates the set names it
        if edf and priority == self.edf_priority:
            return NO_PRIORITY
        for level, meant in enumerate(self.levels):
            if priority in meant:
                return level
        last = self.levels[-1][-1]
        raise InputError(f"{label}: priority: {priority} is out of range, expected 0..{last} in dialect {self.name}")

    def write(self, tasks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Translate the tasks of a set to this dialect.

        Raises:
            InputError: the dialect can't express a value; names task and key.
        """
        return [self._write(task, label_of(task, position)) for position, task in enumerate(tasks)]

    def _write(self, task: Mapping[str, Any], label: str) -> dict[str, Any]:
        new = dict(task)
        for key in self.ignored:
            if key in new and not _is_zero(new[key]):
                self._refuse_idle(key, new, label)
                del new[key]
        if self.levels:
            self._write_priority(new, label)
        for key in TIMES:
            unit = self.units.get(key, 0)
            if key in new and (unit or self.board):
                new[key] = _each(new[key], key, label, partial(self._time, key=key, label=label))
        return new

    def _refuse_idle(self, key: str, task: Mapping[str, Any], label: str) -> None:
        # A single job is what period 0 means anyway.
        if key == "numberofjobs" and task[key] == 1 and _is_zero(task.get("period", 0)):
            return
        raise InputError(
            f"{label}: {key}: {task[key]!r:.60} can't be expressed in dialect {self.name}, its boards don't act on it",
            hint=f"leave {key} out",
        )

    def _write_priority(self, task: dict[str, Any], label: str) -> None:
        edf = self.edf_priority is not None and _is_edf(task)
        if "priority" in task:
            task["priority"] = _each(task["priority"], "priority", label, partial(self._written, edf=edf, label=label))
        elif not edf:
            self._written(None, edf, label)

    def _written(self, priority: object, edf: bool, label: str) -> object:
        if edf and priority == NO_PRIORITY:
            return self.edf_priority
        if type(priority) is int and 0 <= priority < len(self.levels):
            return self.levels[priority][0]
        shown = "none (least urgent)" if priority is None else f"{priority!r:.60}"
        known = f"0..{len(self.levels) - 1}"
        raise InputError(
            f"{label}: priority: {shown} can't be expressed in dialect {self.name}, which knows {known}",
            hint=f"give each task a priority in {known}" + (", or a deadline" if self.edf_priority else ""),
        )

    def _time(self, value: object, key: str, label: str) -> object:
        if isinstance(value, float):
            value = ms_from_ns(to_ns(value, f"{label}: {key}"))
        value = _scaled(value, -self.units.get(key, 0))
        if self.board and isinstance(value, Decimal | Fraction):
            raise InputError(
                f"{label}: {key}: {value} can't be expressed in dialect {self.name}, whose boards read whole numbers"
            )
        return value


_U32 = 2**32

#: The dialects by name.
DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("now", "milliseconds, priority 0 most urgent .. 127 (the default)", renumbers=False),
        Dialect(
            "announced",
            "the first announcement of taskgen: period in seconds, deadline in microseconds",
            units={"period": 3, "deadline": -3},
        ),
        Dialect(
            "G1",
            "mainline boards of 2016-11..2017-09: two priority levels, no EDF, endless jobs, no offsets",
            levels=(range(128), range(128, _U32)),
            ignored=("deadline", "numberofjobs", "offset"),
            board=True,
        ),
        Dialect(
            "G1o",
            "master of 2017-10-25: two priority levels, deadline in microseconds makes EDF, no offsets",
            units={"deadline": -3},
            levels=(range(1), range(1, _U32)),
            edf_priority=128,
            ignored=("offset",),
            board=True,
        ),
    )
}


def names() -> tuple[str, ...]:
    """Return the names of all dialects."""
    return tuple(DIALECTS)


def get(name: str | None) -> Dialect:
    """Return a dialect by name; None is `now`.

    Raises:
        UsageError: there is none of that name; the hint has the nearest names.
    """
    found = DIALECTS.get("now" if name is None else name)
    if found is not None:
        return found
    folded = {known.casefold(): known for known in DIALECTS}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=3, cutoff=0.5)
    raise UsageError(
        f"there is no dialect {name!r:.60}",
        hint=f"did you mean {', '.join(folded[other] for other in near)}?" if near else f"known: {', '.join(DIALECTS)}",
    )


def label_of(task: Mapping[str, Any], position: int) -> str:
    """Return how messages name a task: by its id, else by its position."""
    known = task.get("id")
    usable = isinstance(known, str) or (isinstance(known, int) and known.bit_length() < 64)
    return f"task {known if usable else position!s:.20}"


def _has_equal_ids(tasks: list[dict[str, Any]]) -> bool:
    # A board reads a missing id as 0; here it is given by position, which is what numbering anew would do.
    ids = [task["id"] for task in tasks if isinstance(task.get("id"), int | Decimal)]
    return len(set(ids)) < len(ids)


def _each(value: Any, key: str, label: str, change: Callable[[Any], object]) -> Any:
    if not is_choice((key,), value):
        return change(value)
    values = values_of((key,), value)
    if isinstance(values, Drawn):
        return value
    if values[_LONGEST_CHOICE:]:
        raise InputError(f"{label}: {key}: {value!r:.60} is too long to translate, at most 1000000 values can be")
    return [change(single) for single in values]


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float | Decimal | Fraction) and not isinstance(value, bool) and value == 0


def _is_edf(task: Mapping[str, Any]) -> bool:
    deadline = task.get("deadline")
    if not is_choice(("deadline",), deadline):
        return _is_positive(deadline)
    values = values_of(("deadline",), deadline)
    if isinstance(values, range):
        return min(values[0], values[-1]) > 0
    return not isinstance(values, Drawn) and all(map(_is_positive, values))


def _is_positive(value: object) -> bool:
    if isinstance(value, Decimal) and value.is_nan():
        return False  # NaN doesn't compare
    return isinstance(value, int | float | Decimal | Fraction) and not isinstance(value, bool) and value > 0


def _scaled(value: object, exponent: int) -> object:
    """Return value x 10^exponent exactly: an int if whole, else Decimal or Fraction; what is no number as it is."""
    if isinstance(value, Fraction):
        value *= Fraction(10) ** exponent
        return value.numerator if value.denominator == 1 else value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return value
    number = Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _FAR:
        return value  # whoever validates the set names it
    sign, digits, position = number.as_tuple()
    # Arithmetic would round to the context's precision; moving the point can't.
    number = Decimal((sign, digits, int(position) + exponent))
    return int(number) if number.adjusted() < 60 and number == number.to_integral_value() else number
