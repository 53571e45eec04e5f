"""A dialect: how one kind of file says what a task is.

A dialect translates the attributes of a file to milliseconds and to 0 most urgent .. 127 (`read`), and back (`write`).
Reading keeps what the board would do: what a generation doesn't act on is left out, and its priorities become the
levels of its kernel. Writing refuses what the generation can't express and names the key.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from taskgen.choice import Drawn, is_choice, values_of
from taskgen.dialect.boards import LONGEST_NS
from taskgen.errors import InputError
from taskgen.parameters import NO_PRIORITY, TIMES
from taskgen.units import NS_PER_MS, ms_from_ns, to_ns

# A translated choice is a list in memory; a range beyond this can't become one.
_LONGEST_CHOICE = 1_000_000
# No time has an exponent like that, and Decimal's own limits aren't far.
_FAR = 100_000
_U32 = 1 << 32
_LONGEST_MS = LONGEST_NS // NS_PER_MS
_OTHER_DEADLINE = "deadline beside another priority than that of EDF"
_LATE = "with numberofjobs 1 a period late: read as 2, which does the same there"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of file says what a task is."""

    name: str
    about: str  #: one line for listings
    #: Unit of a time as a power of ten of milliseconds (3: seconds, -3: microseconds); a key that isn't here is in ms.
    units: Mapping[str, int] = field(default_factory=dict)
    #: The values of the file that mean priority 0, 1, ...; the first of each is written. Empty: the same numbers.
    levels: tuple[range, ...] = ()
    #: The priority that values above all of those mean.
    beyond: int | None = None
    #: The priority of a file that says "none" beside a deadline.
    edf_priority: int | None = None
    #: Beside any other priority a deadline counts for nothing.
    edf_only: bool = False
    #: Attributes that the board doesn't act on.
    ignored: tuple[str, ...] = ()
    #: The `numberofjobs` of a task without end, where none or 0 means that it never starts.
    endless: int | None = None
    #: Any `numberofjobs` but 0 is one release, a period late; 0 is one at once.
    late: bool = False
    #: A period of 0 means one job; else such a task never starts.
    single: bool = True
    #: A board reads whole numbers only, and a missing element as 0.
    board: bool = False
    #: Equal ids are numbered anew, by position.
    renumbers: bool = True

    def read(self, tasks: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
        """Translate the tasks of a file; return them with the notes that a user should see.

        Raises:
            InputError: a priority is none of this dialect's; names the task.
        """
        notes: dict[str, None] = {}
        result = [self._read(task, label_of(task, position), notes) for position, task in enumerate(tasks)]
        idle = sorted(notes.keys() & {*self.ignored, _OTHER_DEADLINE})
        told = [f"{self.name} boards don't act on {', '.join(idle)}: left out"] if idle else []
        told += [f"{self.name} boards never start a task {note}" for note in notes if note not in {*idle, _LATE}]
        if _LATE in notes:
            told.append(f"{self.name} boards release a task {_LATE}")
        if self.renumbers and _has_equal_ids(result):
            told.append("equal ids: the tasks are numbered by position")
            result = [{**task, "id": position} for position, task in enumerate(result)]
        return result, told

    def _read(self, task: Mapping[str, Any], label: str, notes: dict[str, None]) -> dict[str, Any]:
        new = dict(task)
        for key in self.ignored:
            if key in new and not _is_zero(new[key]):
                del new[key]
                notes[key] = None
        if self.board and _is_zero(new.get("executiontime")):
            del new["executiontime"]
        for key, unit in self.units.items():
            if key in new:
                new[key] = _each(new[key], key, label, partial(_scaled, exponent=unit))
        if self.levels:
            self._read_priority(new, label, notes)
        if self.endless is not None:
            self._read_jobs(new, notes)
        elif self.late and "numberofjobs" in new:
            self._read_late(new, notes)
        return new

    def _read_priority(self, task: dict[str, Any], label: str, notes: dict[str, None]) -> None:
        if self.edf_only and _has_deadline(task) is not False and not self._keeps_deadline(task, label):
            del task["deadline"]
            notes[_OTHER_DEADLINE] = None
        edf = self.edf_priority is not None and _has_deadline(task) is True
        if "priority" in task or not edf:
            priority = task.get("priority", 0)
            task["priority"] = _each(priority, "priority", label, partial(self._level, edf=edf, label=label))

    def _keeps_deadline(self, task: Mapping[str, Any], label: str) -> bool:
        """Whether the priority of a task lets its deadline count; a choice must not leave that open."""
        seen: list[bool] = []
        _each(task.get("priority", 0), "priority", label, lambda priority: seen.append(priority == self.edf_priority))
        if any(seen) and not all(seen):
            raise InputError(
                f"{label}: deadline: counts beside priority {self.edf_priority} only, which is but one of the choices",
                hint="make two files of it",
            )
        return any(seen)

    def _level(self, priority: object, edf: bool, label: str) -> object:
        if type(priority) is not int:
            return priority  # whoever validates the set names it
        if edf and priority == self.edf_priority:
            return NO_PRIORITY
        for level, meant in enumerate(self.levels):
            if priority in meant:
                return level
        lowest, highest = min(meant[0] for meant in self.levels), max(meant[-1] for meant in self.levels)
        if highest < priority < _U32 and self.beyond is not None:
            return self.beyond
        if edf and 0 <= priority < _U32:
            return NO_PRIORITY  # it could never run but for its deadline
        last = highest if self.beyond is None else _U32 - 1
        raise InputError(
            f"{label}: priority: {priority} is out of range, expected {lowest}..{last} in dialect {self.name}"
        )

    def _read_jobs(self, task: dict[str, Any], notes: dict[str, None]) -> None:
        """Translate a limit of jobs that must be given, and what a period of 0 makes of it."""
        jobs = task.get("numberofjobs", 0)
        if _is_zero(jobs):
            notes["without numberofjobs: read as endless"] = None
        if _is_zero(task.get("period", 0)):
            if not self.single:
                notes["with period 0: read as a single job"] = None
                task["period"] = 0
            task["numberofjobs"] = 1
        elif not self.single and task["period"] == _LONGEST_MS and jobs == 1:
            task["period"] = 0  # as it is written
        else:
            task["numberofjobs"] = _each(jobs, "numberofjobs", "", lambda each: 0 if each == self.endless else each)

    def _read_late(self, task: dict[str, Any], notes: dict[str, None]) -> None:
        """Translate 1, which is our word for one job at once; 2 says on the board what the file's 1 does."""
        single = _is_zero(task.get("period", 0))  # a period late is at once then

        def read(jobs: object) -> object:
            if jobs != 1 or isinstance(jobs, bool):
                return jobs
            if not single:
                notes[_LATE] = None
            return 0 if single else 2

        task["numberofjobs"] = _each(task["numberofjobs"], "numberofjobs", "", read)

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
        if self.endless is not None:
            self._write_jobs(new, label)
        elif self.late and "numberofjobs" in new:
            new["numberofjobs"] = _each(
                new["numberofjobs"], "numberofjobs", label, lambda each: 0 if each == 1 else each
            )
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
        edf = False if self.edf_priority is None else _has_deadline(task)
        if self.edf_only and edf:
            task.setdefault("priority", NO_PRIORITY)
        if "priority" in task:
            task["priority"] = _each(task["priority"], "priority", label, partial(self._written, edf=edf, label=label))
        elif not edf:
            self._written(None, edf, label)

    def _written(self, priority: object, edf: bool | None, label: str) -> object:
        """Return the number for a priority; `edf`: whether there is a deadline, None where a choice leaves it open."""
        if edf and priority == NO_PRIORITY:
            return self.edf_priority
        if type(priority) is int and 0 <= priority < len(self.levels):
            written = self.levels[priority][0]
            if not self.edf_only or edf is False or (edf is None and written == self.edf_priority):
                return written
        shown = "none (least urgent)" if priority is None else f"{priority!r:.60}"
        known = f"0..{len(self.levels) - 1}"
        if self.edf_only and edf is not False:
            raise InputError(
                f"{label}: priority: {shown} beside a deadline can't be expressed in dialect {self.name}",
                hint="leave priority out, or the deadline",
            )
        raise InputError(
            f"{label}: priority: {shown} can't be expressed in dialect {self.name}, which knows {known}",
            hint=f"give each task a priority in {known}" + (", or a deadline" if self.edf_priority else ""),
        )

    def _write_jobs(self, task: dict[str, Any], label: str) -> None:
        period, jobs = task.get("period", 0), task.get("numberofjobs", 0)
        if not _is_zero(period):
            if not self.single:
                _each(period, "period", label, partial(self._refuse_single, label=label))
            task["numberofjobs"] = _each(jobs, "numberofjobs", label, lambda each: self.endless if each == 0 else each)
        elif _is_zero(jobs) or jobs == 1:
            task["numberofjobs"] = 1
            if not self.single:
                task["period"] = _LONGEST_MS

    def _refuse_single(self, period: object, label: str) -> None:
        if _is_zero(period):
            raise InputError(
                f"{label}: period: a choice between 0 and more can't be expressed in dialect {self.name}",
                hint="make two files of it",
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


def _has_deadline(task: Mapping[str, Any]) -> bool | None:
    """Whether a task has a deadline > 0; None if some values of a choice are, or nobody knows yet."""
    deadline = task.get("deadline")
    if not is_choice(("deadline",), deadline):
        return _is_positive(deadline)
    values = values_of(("deadline",), deadline)
    if isinstance(values, Drawn):
        return None
    if isinstance(values, range):
        least, most = sorted((values[0], values[-1]))
        return least > 0 if least > 0 or most <= 0 else None
    positive = set(map(_is_positive, values))
    return positive.pop() if len(positive) == 1 else None


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
