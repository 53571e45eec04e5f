"""Suites and cases are anybody's: whatever is malformed in them is one clear line, before anything runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskgen.bench.suite import Case, Metric, Suite
from taskgen.errors import UsageError
from taskgen.taskset import TaskSet
from taskgen.units import short

#: Names are columns of tables, and are read back from documents.
LONGEST_NAME: Final = 200


def check_suite(suite: Suite) -> None:
    """Check the fields of a suite.

    Raises:
        UsageError: one is wrong; it names suite and field.
    """
    place = f"suite {short(suite.name)}"
    _name(f"{place}: name", suite.name)
    if type(suite.version) is not int or suite.version < 0:
        raise _wrong(f"{place}: version", suite.version, "a whole number from 0 on")
    for metric in _all(f"{place}: metrics", suite.metrics, Metric):
        _name(f"{place}: metric", metric.name)
        where = f"{place}: metric {metric.name}"
        _name(f"{where}: unit", metric.unit)
        if metric.better not in {"less", "more"}:
            raise _wrong(f"{where}: better", metric.better, "less or more")
        if not _is_number(metric.floor) or metric.floor < 0:
            raise _wrong(f"{where}: floor", metric.floor, "a number from 0 on")
    _distinct(place, "metrics", [metric.name for metric in suite.metrics])


def check_cases(suite: Suite, made: Any) -> Sequence[Case]:
    """Return what `suite.cases` made, once it is checked.

    Raises:
        UsageError: something is wrong; it names suite, case and field.
    """
    place = f"suite {suite.name}"
    cases: Sequence[Case] = _all(f"{place}: cases", made, Case)
    for case in cases:
        _name(f"{place}: name of a case", case.name)
        _check_case(suite, case, f"{place}, case {case.name}")
    _distinct(place, "cases", [case.name for case in cases])
    return cases


def _check_case(suite: Suite, case: Case, place: str) -> None:
    if not isinstance(case.taskset, TaskSet):
        raise _wrong(f"{place}: taskset", case.taskset, "a TaskSet")
    for name in ("repeat", "stop_after"):
        value = getattr(case, name)
        if value is not None and (type(value) is not int or value < 1):
            raise _wrong(f"{place}: {name}", value, "a whole number from 1 on, or None")
    for key, value in _items(f"{place}: params", case.params):
        if not isinstance(value, str) and not _is_number(value):
            raise _wrong(f"{place}: params: {key:.40}", value, "a number or a text")
    declared = {metric.name for metric in suite.metrics}
    for key, value in _items(f"{place}: predicted", case.predicted):
        if key not in declared:
            raise _wrong(f"{place}: predicted", key, "a metric of the suite")
        if not _is_number(value):
            raise _wrong(f"{place}: predicted: {key:.40}", value, "a number")


def _wrong(where: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{where}: {short(value)}, expected {expected}")


def _name(where: str, value: Any) -> None:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= LONGEST_NAME:
        raise _wrong(where, value, f"a text of 1 to {LONGEST_NAME} printable characters")


def _all(where: str, values: Any, kind: type) -> Any:
    if not isinstance(values, list | tuple):
        raise _wrong(where, values, f"a list of {kind.__name__}s")
    for value in values:
        if not isinstance(value, kind):
            raise _wrong(where, value, f"{kind.__name__}s only")
    return values


def _items(where: str, value: Any) -> Sequence[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(where, value, "a dict with texts as keys")
    return list(value.items())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _distinct(place: str, what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{place}: two {what} are called {name!r:.60}")
