"""The result of a benchmark as one JSON document, and back.

The keys are the fields of `taskgen.bench.result`, raw samples included; `schema` and `taskgen` say who wrote it, and
each series has its `stats` for readers who don't want to compute. Every file is suspect: it is bounded before it is
read, each field is checked, and whatever is wrong is one line that names file, field, value and what was expected.
"""

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from taskgen import __version__
from taskgen.bench.result import SCHEMA, CaseResult, Result, Series, SuiteResult
from taskgen.bench.statistics import summary
from taskgen.document import encode
from taskgen.errors import InputError
from taskgen.output import whole_file
from taskgen.units import short

#: A document may be so large when it is read.
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_ITEMS: Final = 10_000  #: suites, cases, series, failures, findings, ...
MOST_SAMPLES: Final = 1_000_000  #: of one series
_LONGEST_NAME: Final = 200
_LONGEST_TEXT: Final = 65_536
#: No time, rate or share is beyond this, in any unit.
_LARGEST: Final = 10**18
_MOST_DIGITS: Final = 400

T = TypeVar("T")


def to_json(result: Result) -> str:
    """Return the document of a result, on one line.

    Raises:
        InputError: something in it can't be carried by JSON, such as NaN.
    """
    return encode({"schema": SCHEMA, "taskgen": __version__} | _plain(result))


def _plain(value: Any) -> Any:
    """Return a part of a result as plain data; what is free in it stays as it is, for `encode` to refuse."""
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if not isinstance(value, Result | SuiteResult | CaseResult | Series):
        return value
    plain = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Series):
        stats = summary(value.samples)
        plain["stats"] = None if stats is None else asdict(stats)
    return plain


def write(result: Result, path: Path) -> None:
    """Write the document of a result, whole or not at all.

    Raises:
        InputError: as `to_json`.
        UsageError: the place can't be written.
    """
    text = to_json(result)
    with whole_file(path) as file:
        file.write(text + "\n")


def read(path: Path) -> Result:
    """Read a document.

    Numbers come as int or float, those of task-sets as int or exact Decimal. Keys that this version doesn't know are
    left out.

    Raises:
        InputError: it can't be read, or a field is wrong; one line that names file, field and what was expected.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: can't be read: {reason}") from None
    return from_json(data, str(path))


def from_json(data: bytes | str, source: str) -> Result:
    """Return the result of a document; `source` begins the message of an error.

    Raises:
        InputError: as `read`.
    """
    try:
        document = _object(_parsed(data), "")
        _check_schema(document)
        return _read_result(document, "")
    except RecursionError:
        raise InputError(f"{source}: nests too deeply, expected the result of a benchmark") from None
    except _WrongError as error:
        raise InputError(f"{source}: {error}", hint=error.hint) from None


class _WrongError(Exception):
    """A field is wrong."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def _wrong(where: str, value: object, expected: str) -> _WrongError:
    shown = {dict: "an object", list: "a list", type(None): "null"}.get(type(value), short(value))
    return _WrongError(f"{where.lstrip('.') or 'the document'}: is {shown}, expected {expected}")


def _parsed(data: bytes | str) -> Any:
    if len(data) > MOST_BYTES:
        raise _WrongError(f"is too long, expected at most {MOST_BYTES // 1024 // 1024} MiB")
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        return json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=_constant)
    except (ValueError, InvalidOperation) as error:
        raise _WrongError(f"is no JSON, expected the result of a benchmark: {str(error)[:100]}") from None


def _integer(text: str) -> int:
    return int(_short_number(text))


def _decimal(text: str) -> Decimal:
    return Decimal(_short_number(text))


def _short_number(text: str) -> str:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has more than {_MOST_DIGITS} digits")
    return text


def _constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _check_schema(document: Mapping[str, Any]) -> None:
    schema = document.get("schema")
    if isinstance(schema, bool) or not isinstance(schema, int):
        raise _wrong("schema", schema, f"{SCHEMA}: the result of a benchmark")
    if schema > SCHEMA:
        writer = document.get("taskgen")
        by = f" (written by taskgen {writer})" if isinstance(writer, str) and writer.isprintable() else ""
        raise _WrongError(f"schema: is {schema}{by:.60}, expected at most {SCHEMA}", "a newer taskgen reads it")
    if schema < 1:
        raise _wrong("schema", schema, str(SCHEMA))


# -- fields: each reads a value at a place, or says what was expected there

_Read: TypeAlias = Callable[[Any, str], T]


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(where, value, "an object" if where else "an object: the result of a benchmark")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise _wrong(where, value, f"a text of at most {_LONGEST_TEXT} characters")
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= _LONGEST_NAME:
        raise _wrong(where, value, f"a text of 1 to {_LONGEST_NAME} printable characters")
    return value


def _moment(value: Any, where: str) -> str:
    with contextlib.suppress(ValueError):
        if isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None:
            return value
    raise _wrong(where, value, "a time with its zone, as 2026-11-22T03:42:14Z")


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not -_LARGEST <= value <= _LARGEST:
        raise _wrong(where, value, f"a number within +-{_LARGEST:.0e}")
    return value if isinstance(value, int) else float(value)


def _bound(value: Any, where: str) -> float:
    if (number := _number(value, where)) < 0:
        raise _wrong(where, value, "a number from 0 on")
    return number


def _whole(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**64:
        raise _wrong(where, value, "a whole number of at most 64 bits")
    return value


def _count(value: Any, where: str) -> int:
    if (count := _whole(value, where)) < 0:
        raise _wrong(where, value, "a whole number from 0 on")
    return count


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(where, value, "true or false")
    return value


def _better(value: Any, where: str) -> str:
    if not isinstance(value, str) or value not in {"less", "more"}:
        raise _wrong(where, value, "less or more")
    return value


def _free(value: Any, where: str) -> Any:
    """Read plain data of any shape, with floats as such."""
    if isinstance(value, dict):
        return {key: _free(inner, f"{where}.{key:.40}") for key, inner in value.items()}
    if isinstance(value, list):
        return [_free(inner, f"{where}[{index}]") for index, inner in enumerate(value)]
    if isinstance(value, Decimal):
        if not math.isfinite(number := float(value)):
            raise _wrong(where, value, "a number that fits into a float")
        return number
    return value


def _free_object(value: Any, where: str) -> dict[str, Any]:
    return {key: _free(inner, f"{where}.{key:.40}") for key, inner in _object(value, where).items()}


def _param(value: Any, where: str) -> int | float | str:
    return _text(value, where) if isinstance(value, str) else _number(value, where)


def _params(value: Any, where: str) -> dict[str, int | float | str]:
    return {key: _param(inner, f"{where}.{key:.40}") for key, inner in _object(value, where).items()}


def _optional(read: _Read[T]) -> _Read[T | None]:
    return lambda value, where: None if value is None else read(value, where)


def _all(read: _Read[T], most: int = MOST_ITEMS) -> _Read[tuple[T, ...]]:
    def read_all(value: Any, where: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise _wrong(where, value, "a list")
        if len(value) > most:
            raise _WrongError(f"{where.lstrip('.')}: has {len(value)} items, expected at most {most}")
        return tuple([read(inner, f"{where}[{index}]") for index, inner in enumerate(value)])

    return read_all


def _record(kind: Callable[..., T], readers: Mapping[str, _Read[Any]]) -> _Read[T]:
    """Return what reads an object as a dataclass; a field with a default may be missing."""
    rows = fields(kind)  # type: ignore[arg-type]  # it is a dataclass
    required = [row.name for row in rows if row.default is MISSING and row.default_factory is MISSING]

    def read_record(value: Any, where: str) -> T:
        given = _object(value, where)
        for name in required:
            if name not in given:
                raise _WrongError(f"{f'{where}.{name}'.lstrip('.')}: is missing")
        return kind(**{name: check(given[name], f"{where}.{name}") for name, check in readers.items() if name in given})

    return read_record


def _distinct(read_one: _Read[T], key: str) -> _Read[tuple[T, ...]]:
    """Return what reads a list of records that no two of have the same name."""
    read_all = _all(read_one)

    def read_distinct(value: Any, where: str) -> tuple[T, ...]:
        records = read_all(value, where)
        seen: set[str] = set()
        for index, record in enumerate(records):
            if (name := getattr(record, key)) in seen:
                raise _wrong(f"{where}[{index}].{key}", name, "one that no other has")
            seen.add(name)
        return records

    return read_distinct


_read_series: _Read[Series] = _record(Series, {
    "metric": _name,
    "unit": _name,
    "better": _better,
    "floor": _bound,
    "samples": _all(_number, MOST_SAMPLES),
    "warmup": _all(_number, MOST_SAMPLES),
    "boards": _all(_name, MOST_SAMPLES),
    "predicted": _optional(_number),
    "host": _flag,
})  # fmt: skip
_read_case: _Read[CaseResult] = _record(CaseResult, {
    "name": _name,
    "params": _params,
    "series": _distinct(_read_series, "metric"),
    "failures": _all(_text),
    "taskset": _optional(_object),
    "lost": _all(_text),
})  # fmt: skip
_read_suite: _Read[SuiteResult] = _record(SuiteResult, {
    "name": _name,
    "version": _count,
    "cases": _distinct(_read_case, "name"),
    "findings": _all(_free_object),
    "skipped": _text,
})  # fmt: skip
_read_result: _Read[Result] = _record(Result, {
    "started": _moment,
    "seed": _whole,
    "repeat": _count,
    "target": _free_object,
    "environment": _free_object,
    "suites": _distinct(_read_suite, "name"),
    "reference_ns": _all(_count, MOST_SAMPLES),
    "canary": _all(_free_object),
    "complete": _flag,
    "reason": _text,
    "extra": _free_object,
})  # fmt: skip
