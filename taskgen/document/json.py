"""Task-sets as JSON: `{"taskset": {"periodictask": [{...}, ...]}}`, with choices as lists or `{"range": [0, 128]}`."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from json import JSONDecodeError, loads
from json.encoder import encode_basestring_ascii
from typing import Any

from taskgen.choice import Drawn, values_of
from taskgen.dialect import label_of
from taskgen.document.limits import MAX_DEPTH, MAX_DIGITS, OBJECTS_PER_TASK, check_count, check_size, decode, too_deep
from taskgen.document.number import Number, decimal_of, text_of, time_of, too_long
from taskgen.errors import InputError
from taskgen.parameters import TIMES

# A string that isn't closed reaches to the end: the scan stays linear whatever the text is.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.|\\\Z)*+"?|[\[{]|[\]}]', re.DOTALL)
_WORDS = {None: "null", True: "true", False: "false"}
# {"taskset": {"periodictask": [{ takes four levels of a document.
_TASK_DEPTH = 4


def parse(text: str | bytes) -> list[dict[str, Any]]:
    """Return the tasks of a JSON document as plain dicts; numbers as int or Decimal, ranges as ranges.

    Raises:
        InputError: it is no JSON, no task-set, too long or too deep, or holds NaN, a duplicate key or a bad range.
    """
    text = _text(text)
    _check_depth(text)
    try:
        document = loads(
            text, parse_int=_integer, parse_float=_decimal, parse_constant=_constant, object_pairs_hook=_unique
        )
    except JSONDecodeError as error:
        raise InputError(f"no JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    return [_task(task, position) for position, task in enumerate(_tasks(document))]


def _text(text: str | bytes) -> str:
    if isinstance(text, bytes):
        return decode(text)
    check_size(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")))
    if not text.strip("\ufeff \t\r\n"):
        raise InputError("the document is empty")
    return text.removeprefix("\ufeff")


def _check_depth(text: str) -> None:
    depth = objects = 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
            objects += 1
            if objects % OBJECTS_PER_TASK == 0:
                check_count(objects // OBJECTS_PER_TASK)
            if depth > MAX_DEPTH:
                raise too_deep()
        elif sign in "]}":
            depth -= 1


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise too_long(f"{text[:20]}...")
    return int(text)


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_DIGITS:
        raise too_long(f"{text[:20]}...")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise InputError(f"{text:.60} is beyond any number that can be computed with") from None


def _constant(text: str) -> None:
    raise InputError(f"{text} is no number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise InputError(f"the key {twice!r:.60} comes twice in one object")
    return result


def _tasks(document: object) -> list[Any]:
    for key in ("taskset", "periodictask"):
        if not isinstance(document, dict) or key not in document:
            raise InputError(f'{key}: missing, expected {{"taskset": {{"periodictask": [{{...}}, ...]}}}}')
        document = document[key]
    if not isinstance(document, list):
        raise InputError(f"periodictask: {_shown(document)} is no list of tasks")
    if not document:
        raise InputError("periodictask: the task-set is empty, expected at least one task")
    check_count(len(document))
    return document


def _shown(value: object) -> str:
    return f"{value!r:.60}"


def _task(task: object, position: int) -> dict[str, Any]:
    if not isinstance(task, dict):
        raise InputError(f"task {position}: {_shown(task)} is no object")
    return {key: _with_ranges(value, f"{label_of(task, position)}: {key}") for key, value in task.items()}


def _with_ranges(value: Any, field: str) -> Any:
    if not isinstance(value, dict):
        return value
    if _is_range(value):
        bounds = value["range"]
        if bounds[2:] == [0]:
            raise InputError(f"{field}: range: the step is 0, expected another one")
        return range(*bounds)
    return {key: _with_ranges(inner, f"{field}.{key}") for key, inner in value.items()}


def _is_range(value: Mapping[str, Any]) -> bool:
    if len(value) != 1 or not isinstance(value.get("range"), list | tuple):
        return False
    return len(value["range"]) in {2, 3} and all(type(bound) is int for bound in value["range"])


def plain(task: Mapping[str, Any], position: int) -> dict[str, Any]:
    """Return a task of dicts, lists, texts, numbers, booleans and None alone, ready for `encode`.

    Raises:
        InputError: a value can't be carried by JSON; names the task and the key.
    """
    label = label_of(task, position)
    return {
        _key(key, label): _plain(value, (key,), label, is_time=key in TIMES or key == "arrivals")
        for key, value in task.items()
    }


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise InputError(f"{where}: the key {key!r:.60} is no text")
    return key


def _plain(value: Any, path: tuple[str, ...], label: str, *, is_time: bool = False, chosen: bool = False) -> Any:
    """Make a value plain; `chosen` says that it is one of a choice, where no further choice can be walked to."""
    field = f"{label}: {'.'.join(path)}"
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal | Fraction):
        return _plain_number(value, field, is_time=is_time)
    if len(path) > MAX_DEPTH - _TASK_DEPTH:
        raise too_deep(f"{label}: {path[0]}: ")
    if isinstance(value, dict):
        if not chosen and _is_range(value):
            raise InputError(f"{field}: {_shown(value)} would be read as a range", hint="give the range itself")
        return {_key(key, field): _plain(inner, (*path, key), label, chosen=chosen) for key, inner in value.items()}
    if isinstance(value, bytes | bytearray) or not isinstance(value, Iterable):
        raise InputError(f"{field}: {_shown(value)} can't be carried by JSON (it is a {type(value).__name__})")
    return _plain_choice(value, path, label, is_time=is_time, chosen=chosen)


def _plain_number(value: Number, field: str, *, is_time: bool) -> Number:
    if is_time:
        value = time_of(value, field)
    text_of(value, field)  # refuses what has no exact text while the key is known
    return decimal_of(value, field) if isinstance(value, Fraction) else value


def _plain_choice(value: Any, path: tuple[str, ...], label: str, *, is_time: bool, chosen: bool) -> Any:
    field = f"{label}: {'.'.join(path)}"
    if chosen and not isinstance(value, list | tuple):
        raise InputError(f"{field}: {_shown(value)} is a choice inside of a choice, which JSON can't carry")
    values = value if isinstance(value, list | tuple) else values_of(path, value)
    if isinstance(values, Drawn):
        raise InputError(
            f"{field}: {_shown(value)} draws from an iterator, which a file can't hold", hint="give a list or a range"
        )
    if not values and not chosen:
        raise InputError(f"{field}: the choice is empty, expected at least one value")
    if isinstance(values, range):
        bounds = [values.start, values.stop] if values.step == 1 else [values.start, values.stop, values.step]
        return {"range": [_plain_number(bound, field, is_time=False) for bound in bounds]}
    return [
        _plain(single, (*path, f"[{number}]"), label, is_time=is_time, chosen=True)
        for number, single in enumerate(values)
    ]


def encode(value: Any) -> str:
    """Return plain data as JSON text in ASCII on one line; Decimal and Fraction as exact numbers.

    Raises:
        InputError: NaN, infinite, or no plain data.
    """
    return "".join(_encoded(value))


def _encoded(value: Any) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        yield _WORDS[value]
    elif isinstance(value, str):
        yield encode_basestring_ascii(value)
    elif isinstance(value, int | float | Decimal | Fraction):
        yield text_of(value, "number")
    elif isinstance(value, Mapping):
        lead = "{"
        for key, inner in value.items():
            yield f"{lead}{encode_basestring_ascii(_key(key, 'object'))}: "
            yield from _encoded(inner)
            lead = ", "
        yield "{}" if lead == "{" else "}"
    elif isinstance(value, list | tuple):
        lead = "["
        for inner in value:
            yield lead
            yield from _encoded(inner)
            lead = ", "
        yield "[]" if lead == "[" else "]"
    else:
        raise InputError(f"{_shown(value)} can't be carried by JSON (it is a {type(value).__name__})")


def render(tasks: Iterable[Mapping[str, Any]], separator: str = " ") -> str:
    """Return the JSON document of a task-set, `separator` around each task (a space, or a new line).

    Raises:
        InputError: the set is empty or too long, or JSON can't carry a value; names the task and the key.
    """
    texts = [encode(plain(task, position)) for position, task in enumerate(tasks)]
    if not texts:
        raise InputError("the task-set is empty, expected at least one task")
    edge = separator.strip(" ")
    text = f'{{"taskset": {{"periodictask": [{edge}{f",{separator}".join(texts)}{edge}]}}}}'
    check_size(len(text))
    return text
