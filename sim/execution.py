"""How long each job computes, where jobs differ: which task has which distribution, and how to say it.

A draw is a function of (seed, task, job) alone (see `sim.stream`), in whole nanoseconds; arithmetic on time is decimal.
In a workload table, or as `SimSession(execution=...)`:

    [pi]
    distribution = { kind = "uniform", low_ms = 80, high_ms = 120 }

    kind = "uniform"    low_ms, high_ms
    kind = "normal"     mean_ms, deviation_ms; truncated at low_ms (default 0) and high_ms (default: none)
    kind = "weibull"    shape, scale_ms; offset_ms (default 0)
    kind = "discrete"   values_ms; weights (default: all equal)
    kind = "recording"  values_ms, or file (beside the table's): a number of ms per line, or a CSV file with column;
                        order = "random" or "sequence" (job k computes as long as the k-th, over and over)

Without `_ms` all times of a table are shares of the worst case C, 0..1: `{ kind = "uniform", low = 0.5 }`; high is 1
then if it isn't given. `share` is another name of such a uniform distribution. The same in a line, with the keys in
the order of the table above, `ms` behind each time or behind none:

    uniform:0.5    uniform:80ms,120ms    normal:0.8,0.1    weibull:2,0.1,0.5    discrete:0.5=9,1=1
    recording:FILE    recording:FILE,COLUMN

Where a task has an `executiontime`, that is its C: no draw exceeds it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.distributions import KINDS, Distribution
from taskgen.errors import InputError, UsageError
from taskgen.units import MAX_NS, NS_PER_MS

if TYPE_CHECKING:
    from taskgen.parameters import Parameters

#: The execution time of a task's jobs in ns: a constant, or a function of the job's index.
Work = int | Callable[[int], int]

_MAX_DECIMALS = 40
_UNIFORM_SHARES = "share"
_LISTS = ("values", "weights")
_LINES = (
    "write uniform:0.5, normal:0.8,0.1, weibull:2,0.1,0.5 or discrete:0.5,1 (shares of C), uniform:2ms,5ms,"
    " or recording:FILE"
)
_FILES = "write recording:FILE with a number of ms per line, or recording:FILE,COLUMN for a CSV file with a header"
_MOST_MS = MAX_NS // NS_PER_MS


def distribution(given: Any, place: str, folder: Path = Path()) -> Distribution:
    """Make a distribution from its table or line; `place` says where that stands, `folder` where its files are.

    Raises:
        UsageError: the kind is unknown, a key is unknown or missing, or a value is out of range; names the place.
    """
    if isinstance(given, Distribution):
        return given
    if isinstance(given, str):
        place = f"{place}: {given!r:.80}"
        given = _table(given, place)
    if not isinstance(given, Mapping):
        raise UsageError(f"{place}: expected a table with the key kind, got {given!r:.80}", hint=_LINES)
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in {_UNIFORM_SHARES, *KINDS}:
        known = ", ".join([*KINDS, _UNIFORM_SHARES])
        raise UsageError(f"{place}: kind: {kind!r:.40} is no distribution, expected {known}", hint=_LINES)
    if kind == "recording" and "file" in given:
        given = _recorded(given, place, folder)
    cls = KINDS["uniform" if kind == _UNIFORM_SHARES else kind]
    values = {key: value for key, value in given.items() if key != "kind"}
    relative = kind == _UNIFORM_SHARES or any(key in cls.times for key in values)
    try:
        return cls(**_fields(cls, kind, values, relative=relative), relative=relative)
    except UsageError as error:
        raise UsageError(f"{place}: {error}", hint=error.hint or _LINES) from None


class Execution:
    """Which tasks have which distribution: one (or its table or line) for all, a dict by task id or pkg, or None.

    Raises:
        UsageError: a table is wrong; names the place.
    """

    def __init__(self, given: Any = None) -> None:
        self._all: Distribution | None = None
        self._own: dict[int | str, Distribution] = {}
        if isinstance(given, Mapping) and "kind" not in given:
            self._own = {key: distribution(table, f"execution: {key}") for key, table in given.items()}
        elif given is not None:
            self._all = distribution(given, "execution")

    def check(self, tasks: Sequence[Parameters]) -> None:
        """Refuse distributions for tasks that aren't there.

        Raises:
            InputError: names the first of them.
        """
        known = {key for task in tasks for key in (task.id, task.attributes.get("pkg"))}
        for key in self._own:
            if key not in known:
                what = f"pkg {key!r}" if isinstance(key, str) else f"id {key!r}"
                raise InputError(f"execution: the set has no task with the {what}", hint="name tasks by id or pkg")

    def work(self, task: Parameters, seed: int) -> Callable[[int], int] | None:
        """Return the execution times of a task by job index; None: it has no distribution."""
        name = task.attributes.get("pkg")
        found = self._own.get(task.id) or (self._own.get(name) if isinstance(name, str) else None) or self._all
        return None if found is None else found.work(task, seed)


# -- tables ----------------------------------------------------------------------------------------------------------


def _fields(cls: type[Distribution], kind: str, values: Mapping[str, Any], *, relative: bool) -> dict[str, Any]:
    """Return the fields of a distribution from the keys of its table."""
    keys = {_key(cls, field.name, relative): field for field in fields(cls) if field.name != "relative"}
    for key in values:
        if relative and key.removesuffix("_ms") in cls.times and key not in keys:
            raise UsageError(f"{key}: is a time, but others are shares of C", hint="give all in ms, or none")
        if key not in keys:
            raise UsageError(f"{key} is no key of the kind {kind!r}", hint=f"its keys are {', '.join(keys)}")
    given = {"high": 1, **values} if relative and "high" in keys else values
    missing = [key for key, field in keys.items() if key not in given and field.default is MISSING]
    if missing:
        raise UsageError(f"{', '.join(missing)}: missing, the kind {kind!r} needs it", hint=_LINES)
    share, time = (1, "a share of C, 0..1"), (_MOST_MS, "0..2^62 ns")
    number = (_MOST_MS, f"a number without a unit, 0..{_MOST_MS}")
    return {
        field.name: _value(given[key], key, number if field.name not in cls.times else share if relative else time)
        for key, field in keys.items()
        if key in given
    }


def _key(cls: type[Distribution], field: str, relative: bool) -> str:
    return f"{field}_ms" if field in cls.times and not relative else field


def _value(value: Any, key: str, expected: tuple[int, str]) -> Any:
    """Return the value of a key; `expected` is the most that a number may be, and words for it."""
    if key == "order":
        if not isinstance(value, str):
            raise UsageError(f"order: {value!r:.60} is no text")
        return value
    if key.removesuffix("_ms") in _LISTS:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{key}: {value!r:.60} is no list")
        return tuple(_decimal(each, f"{key}[{number}]", expected) for number, each in enumerate(value))
    return _decimal(value, key, expected)


def _decimal(value: Any, key: str, expected: tuple[int, str]) -> Decimal:
    most, words = expected
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UsageError(f"{key}: {value!r:.60} is no number")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or not 0 <= number <= most:
        raise UsageError(
            f"{key}: {value!s:.60} is out of range, expected {words}",
            hint=f"times take their unit: {key}_ms in a table, {value!s:.20}ms in a line" if most == 1 else "",
        )
    if int(number.as_tuple().exponent) < -_MAX_DECIMALS:
        raise UsageError(f"{key}: {value!s:.60} is out of range, expected {_MAX_DECIMALS} decimals at most")
    return number


def _recorded(table: Mapping[str, Any], place: str, folder: Path) -> dict[str, Any]:
    """Return the table of a recording with the values of its file."""
    path, column = folder / str(table["file"]), table.get("column")
    rest = {key: value for key, value in table.items() if key not in {"file", "column"}}
    if "values_ms" in rest:
        raise UsageError(f"{place}: file and values_ms contradict each other", hint="give one of them")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(_column(file, column)) if column is not None else list(file)
        values = [row for row in rows if row.strip()]
        return rest | {"values_ms": [Decimal(value.strip()) for value in values]}
    except KeyError as error:
        known = ", ".join(map(str, error.args[0]))
        raise UsageError(
            f"{place}: column: {path} has no column {column!r:.40}", hint=f"it has {known:.200}" if known else _FILES
        ) from None
    except (ArithmeticError, UnicodeDecodeError, csv.Error):
        raise UsageError(f"{place}: file: {path}: expected a number of milliseconds per line", hint=_FILES) from None
    except OSError as error:
        raise UsageError(f"{place}: file: {path}: can't be read: {error.strerror or error}", hint=_FILES) from None
    except ValueError as error:  # no path at all
        raise UsageError(f"{place}: file: {str(path)!r:.80}: {error}", hint=_FILES) from None


def _column(file: Iterable[str], name: object) -> Iterator[str]:
    """Yield the cells of a column of a CSV file; KeyError has the columns that are there."""
    reader = csv.DictReader(file)
    known = list(reader.fieldnames or [])
    if name not in known:
        raise KeyError(known)
    for row in reader:
        yield row[str(name)] or ""


# -- lines -----------------------------------------------------------------------------------------------------------


def _table(line: str, place: str) -> dict[str, Any]:
    """Return the table that a line stands for."""
    kind, _, rest = line.partition(":")
    words = [word.strip() for word in rest.split(",")] if rest.strip() else []
    if kind == "recording":
        if len(words) not in {1, 2}:
            raise UsageError(
                f"{place}: {len(words)} words, expected FILE or FILE,COLUMN",
                hint="in a workload table a recording has the key order, and any file name",
            )
        return {"kind": kind, **dict(zip(("file", "column"), words, strict=False))}
    cls = KINDS.get("uniform" if kind == _UNIFORM_SHARES else kind)
    if cls is None:
        return {"kind": kind}
    if kind == "discrete":
        return {"kind": kind, **_weighted(words, place)}
    names = [field.name for field in fields(cls) if field.name != "relative"]
    if len(words) > len(names):
        raise UsageError(f"{place}: {len(words)} numbers, expected {', '.join(names)} at most", hint=_LINES)
    table: dict[str, Any] = {"kind": kind}
    for name, word in zip(names, words, strict=False):
        unit, table_value = _quantity(word, place)
        table[name + unit] = table_value
    return table


def _weighted(words: Sequence[str], place: str) -> dict[str, Any]:
    """Return values and weights from `VALUE=WEIGHT` or `VALUE` alone."""
    pairs = [word.partition("=") for word in words]
    values = [_quantity(value, place) for value, _, _ in pairs]
    if len({unit for unit, _ in values}) > 1:
        raise UsageError(f"{place}: times and shares of C mixed", hint="give all in ms, or none")
    table: dict[str, Any] = {"values" + (values[0][0] if values else ""): [value for _, value in values]}
    if any(equals for _, equals, _ in pairs):
        table["weights"] = [_quantity(weight, place)[1] if equals else Decimal(1) for _, equals, weight in pairs]
    return table


def _quantity(word: str, place: str) -> tuple[str, Decimal]:
    """Return the unit of a number, as the keys of tables have it, and the number."""
    number = word.strip().removesuffix("ms")
    try:
        return ("" if number == word.strip() else "_ms"), Decimal(number)
    except InvalidOperation:
        raise UsageError(f"{place}: {word!r:.40} is no number", hint=_LINES) from None
