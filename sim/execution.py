"""How long each job computes, where jobs differ: distributions and recordings.

A draw is a function of (seed, task, job) alone (see `sim.stream`), in whole nanoseconds; arithmetic on time is decimal.
In a workload table, or as `SimSession(execution=...)`:

    [pi]
    distribution = { kind = "uniform", low_ms = 80, high_ms = 120 }

    kind = "uniform"    low_ms, high_ms
    kind = "normal"     mean_ms, deviation_ms; cut off at low_ms (default 0) and high_ms (default: none)
    kind = "weibull"    shape, scale_ms; offset_ms (default 0)
    kind = "discrete"   values_ms; weights (default: all equal)
    kind = "recording"  values_ms, or file (beside the table's): a number of ms per line, or a CSV file with column;
                        order = "random" or "sequence" (job k computes as long as the k-th, over and over)
    kind = "share"      low, high: uniform between these shares of C

Where a task has an `executiontime`, that is its worst case C: no draw exceeds it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sim.stream import uniform
from taskgen.errors import InputError, UsageError
from taskgen.units import MAX_NS, NS_PER_MS

if TYPE_CHECKING:
    from taskgen.parameters import Parameters

#: The execution time of a task's jobs in ns: a constant, or a function of the job's index.
Work = int | Callable[[int], int]

#: Draws are whole numbers 0 .. _STEPS - 1, each as likely.
_STEPS = 1 << 64
_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Draw:
    """What a distribution needs to know of one job: a uniform number of 64 bits, its index, and C if there is one."""

    word: int
    job: int
    wcet_ns: int | None


class Distribution:
    """Derive from it as a frozen dataclass; the fields are the keys of its table, `sample_ns` draws."""

    kind: ClassVar[str]
    #: Draws are shares of C, so each task needs one.
    needs_wcet: ClassVar[bool] = False

    def sample_ns(self, draw: Draw) -> int:
        """Return an execution time in ns; it is brought into 1 .. C afterwards."""
        raise NotImplementedError

    def work(self, task: Parameters, seed: int) -> Callable[[int], int]:
        """Return the execution times of a task, by job index.

        Raises:
            InputError: the distribution needs C, and the task has none.
        """
        if self.needs_wcet and task.wcet_ns is None:
            raise InputError(
                f"task {task.id}: has no executiontime, the distribution {self.kind!r} needs one",
                hint="give the task an executiontime, or a distribution in ms",
            )
        most_ns = MAX_NS if task.wcet_ns is None else task.wcet_ns

        def execution_ns(job: int) -> int:
            draw = Draw(uniform(seed, task.id, job, "execution", _STEPS - 1), job, task.wcet_ns)
            return min(max(self.sample_ns(draw), 1), most_ns)

        return execution_ns


@dataclass(frozen=True, slots=True)
class Uniform(Distribution):
    """Every nanosecond from low to high is as likely."""

    low_ms: Decimal
    high_ms: Decimal
    kind = "uniform"

    def __post_init__(self) -> None:
        _check(self.low_ms <= self.high_ms, "high_ms", self.high_ms, f"at least low_ms, {self.low_ms}")

    def sample_ns(self, draw: Draw) -> int:
        """Draw."""
        return _between(_ns(self.low_ms), _ns(self.high_ms), draw.word)


@dataclass(frozen=True, slots=True)
class Share(Distribution):
    """Uniform between two shares of C."""

    low: Decimal
    high: Decimal = Decimal(1)
    kind = "share"
    needs_wcet = True

    def __post_init__(self) -> None:
        _check(self.low <= self.high <= 1, "low and high", f"{self.low}, {self.high}", "0 <= low <= high <= 1")

    def sample_ns(self, draw: Draw) -> int:
        """Draw."""
        wcet_ns = draw.wcet_ns or 0
        return _between(round(wcet_ns * Fraction(self.low)), round(wcet_ns * Fraction(self.high)), draw.word)


@dataclass(frozen=True, slots=True)
class Normal(Distribution):
    """A normal distribution, truncated: what lies outside of low .. high never comes, the rest keeps its proportions.

    The standard quantile is a float without a unit; the time is its exact decimal value times the deviation.
    """

    mean_ms: Decimal
    deviation_ms: Decimal
    low_ms: Decimal = Decimal(0)
    high_ms: Decimal | None = None
    kind = "normal"

    def __post_init__(self) -> None:
        _check(self.deviation_ms > 0, "deviation_ms", self.deviation_ms, "more than 0")
        if self.high_ms is not None:
            _check(self.low_ms < self.high_ms, "high_ms", self.high_ms, f"more than low_ms, {self.low_ms}")
        low, high = self._bounds()
        _check(low < high, "low_ms and high_ms", f"{self.low_ms}, {self.high_ms}", "bounds that the curve reaches")

    def _bounds(self) -> tuple[float, float]:
        from statistics import NormalDist

        low = float((self.low_ms - self.mean_ms) / self.deviation_ms)
        high = None if self.high_ms is None else float((self.high_ms - self.mean_ms) / self.deviation_ms)
        return NormalDist().cdf(low), 1.0 if high is None else NormalDist().cdf(high)

    def sample_ns(self, draw: Draw) -> int:
        """Draw."""
        from statistics import NormalDist

        low, high = self._bounds()
        share = low + (high - low) * ((draw.word >> 12) + 0.5) / (1 << 52)
        quantile = Decimal(NormalDist().inv_cdf(min(max(share, 2.0**-60), 1 - 2.0**-53)))
        time_ms = max(self.low_ms, _CONTEXT.fma(quantile, self.deviation_ms, self.mean_ms))
        return _ns(time_ms if self.high_ms is None else min(time_ms, self.high_ms))


@dataclass(frozen=True, slots=True)
class Weibull(Distribution):
    """A Weibull distribution behind an offset: execution times with a long tail."""

    shape: Decimal
    scale_ms: Decimal
    offset_ms: Decimal = Decimal(0)
    kind = "weibull"

    def __post_init__(self) -> None:
        _check(self.shape >= Decimal("0.1"), "shape", self.shape, "at least 0.1")
        _check(self.scale_ms > 0, "scale_ms", self.scale_ms, "more than 0")

    def sample_ns(self, draw: Draw) -> int:
        """Draw, by the inverse of the distribution function."""
        share = _CONTEXT.divide(Decimal(2 * draw.word + 1), Decimal(2 * _STEPS))
        spread = _CONTEXT.power(-_CONTEXT.ln(share), _CONTEXT.divide(Decimal(1), self.shape))
        return _ns(_CONTEXT.fma(spread, self.scale_ms, self.offset_ms))


@dataclass(frozen=True, slots=True)
class Discrete(Distribution):
    """Some values, with weights."""

    values_ms: tuple[Decimal, ...]
    weights: tuple[Decimal, ...] = ()
    kind = "discrete"

    def __post_init__(self) -> None:
        _check(bool(self.values_ms), "values_ms", "[]", "at least one value")
        if self.weights:
            matching = len(self.weights) == len(self.values_ms) and sum(self.weights) > 0
            _check(matching, "weights", [*map(str, self.weights)], "one for each value, not all 0")

    def sample_ns(self, draw: Draw) -> int:
        """Draw."""
        weights = [Fraction(weight) for weight in self.weights] or [Fraction(1)] * len(self.values_ms)
        mark = Fraction(draw.word, _STEPS) * sum(weights)
        for value_ms, weight in zip(self.values_ms, weights, strict=True):
            mark -= weight
            if mark < 0:
                return _ns(value_ms)
        raise AssertionError("the mark lies below the sum of all weights")


@dataclass(frozen=True, slots=True)
class Recording(Distribution):
    """Execution times that were measured."""

    values_ms: tuple[Decimal, ...]
    order: str = "random"
    kind = "recording"

    def __post_init__(self) -> None:
        _check(bool(self.values_ms), "values_ms", "[]", "at least one value")
        _check(self.order in {"random", "sequence"}, "order", repr(self.order), "random or sequence")

    def sample_ns(self, draw: Draw) -> int:
        """Draw, or take the next."""
        number = len(self.values_ms)
        return _ns(self.values_ms[draw.job % number if self.order == "sequence" else draw.word * number // _STEPS])


KINDS: dict[str, type[Distribution]] = {cls.kind: cls for cls in (Uniform, Share, Normal, Weibull, Discrete, Recording)}


def distribution(table: Any, place: str, folder: Path = Path()) -> Distribution:
    """Make a distribution from its table; `place` says where that stands, `folder` where its files are.

    Raises:
        UsageError: the kind is unknown, a key is unknown or missing, or a value is out of range; names the place.
    """
    if isinstance(table, Distribution):
        return table
    if not isinstance(table, Mapping):
        raise UsageError(f"{place}: expected a table with the key kind, got {table!r:.80}")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(f"{place}: kind: {kind!r:.40} is no distribution, expected {', '.join(KINDS)}")
    if kind == "recording" and "file" in table:
        table = _recorded(table, place, folder)
    cls = KINDS[kind]
    fields: dict[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]  # all kinds are dataclasses
    for key in table:
        if key not in fields and key != "kind":
            raise UsageError(f"{place}: {key} is no key of the kind {kind!r}", hint=f"its keys are {', '.join(fields)}")
    try:
        return cls(**{key: _value(value, key) for key, value in table.items() if key != "kind"})
    except TypeError:
        missing = [key for key in fields if key not in table and key in _REQUIRED[kind]]
        raise UsageError(f"{place}: {', '.join(missing)}: missing, the kind {kind!r} needs it") from None
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


class Execution:
    """Which tasks have which distribution: one for all (or its table), a dict of them by task id or pkg, or None.

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


def _recorded(table: Mapping[str, Any], place: str, folder: Path) -> dict[str, Any]:
    """Return the table of a recording with the values of its file."""
    path, column = folder / str(table["file"]), table.get("column")
    rest = {key: value for key, value in table.items() if key not in {"file", "column"}}
    if "values_ms" in rest:
        raise UsageError(f"{place}: file and values_ms contradict each other", hint="give one of them")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file)) if column is not None else [{None: line} for line in file]
        values = [row[column] for row in rows if (row[column] or "").strip()]
        return rest | {"values_ms": [Decimal(value.strip()) for value in values]}
    except OSError as error:
        raise UsageError(f"{place}: file: {path}: can't be read: {error.strerror or error}") from None
    except KeyError:
        raise UsageError(f"{place}: column: {path} has no column {column!r:.40}") from None
    except (ArithmeticError, UnicodeDecodeError, csv.Error):
        raise UsageError(f"{place}: file: {path}: expected a number of milliseconds per line") from None


_REQUIRED = {
    "uniform": {"low_ms", "high_ms"},
    "share": {"low"},
    "normal": {"mean_ms", "deviation_ms"},
    "weibull": {"shape", "scale_ms"},
    "discrete": {"values_ms"},
    "recording": {"values_ms"},
}


def _value(value: Any, key: str) -> Any:
    if key == "order":
        if not isinstance(value, str):
            raise UsageError(f"order: {value!r:.60} is no text")
        return value
    if key in {"values_ms", "weights"}:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{key}: {value!r:.60} is no list")
        return tuple(_decimal(each, f"{key}[{number}]") for number, each in enumerate(value))
    return _decimal(value, key)


def _decimal(value: Any, key: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UsageError(f"{key}: {value!r:.60} is no number")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or not 0 <= number <= MAX_NS // NS_PER_MS:
        raise UsageError(f"{key}: {value} is out of range, expected 0..2^62 ns")
    return number


def _check(good: bool, key: str, value: object, expected: str) -> None:
    if not good:
        raise UsageError(f"{key}: {value} is out of range, expected {expected}")


def _ns(time_ms: Decimal) -> int:
    return int(_CONTEXT.to_integral_value(_CONTEXT.multiply(time_ms, Decimal(NS_PER_MS))))


def _between(low_ns: int, high_ns: int, word: int) -> int:
    return low_ns + word * (high_ns - low_ns + 1) // _STEPS
