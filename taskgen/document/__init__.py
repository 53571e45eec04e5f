"""Documents: task-sets as XML and JSON files, both ways.

`load` and `dump` go by suffix: `.xml` is what the boards read, `.json` holds choices as well, `.jsonl` one set per
line. A dialect says for which board generation a file is written (see `taskgen.dialect`). Every file is suspect: it is
bounded to 16 MiB and 32 levels before anything is built from it, and whatever is wrong is one InputError.
"""

import difflib
import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

from taskgen import dialect as dialects
from taskgen.choice import values_of, walk
from taskgen.document import json, xml
from taskgen.document.json import encode
from taskgen.document.limits import MAX_BYTES, MAX_DEPTH, check_size
from taskgen.errors import InputError
from taskgen.output import whole_file
from taskgen.parameters import parameters_of
from taskgen.taskset import TaskSet

Tasks: TypeAlias = list[dict[str, Any]]


def load(path: str | Path, dialect: str | None = None) -> TaskSet:
    """Load the one task-set of a file.

    Raises:
        InputError: the file can't be read, is no task-set, or a value is wrong; one line that names the file.
        UsageError: there is no such dialect.
    """
    sets = list(itertools.islice(load_all(path, dialect), 2))
    if len(sets) > 1:
        raise InputError(f"{path}: holds several task-sets, expected one", hint="keep one line, or load them all")
    return sets[0]


def load_all(path: str | Path, dialect: str | None = None) -> Iterator[TaskSet]:
    """Load the task-sets of a file: one of `.xml` or `.json`, one per line, lazily, of `.jsonl`.

    Raises:
        InputError, UsageError: as `load`; a wrong line of a `.jsonl` is named when it is reached.
    """
    path = Path(path)
    row, suffix = dialects.get(dialect), _suffix(path)
    return _load_lines(path, row) if suffix == ".jsonl" else _load_whole(path, row, _PARSERS[suffix])


def dump(taskset: TaskSet, path: str | Path, dialect: str | None = None) -> None:
    """Write a task-set to a file by its suffix, whole or not at all.

    Raises:
        InputError: the format or the dialect can't express the set; names the task and the key.
        UsageError: there is no such dialect, or the place can't be written.
    """
    path = Path(path)
    row, suffix = dialects.get(dialect), _suffix(path)
    with _named(str(path)):
        tasks = row.write(taskset)
        if suffix == ".xml":
            data = xml.render(tasks)
        else:
            separator = "\n" if suffix == ".json" else " "
            data = (json.render(tasks, separator) + "\n").encode("ascii")
    with whole_file(path, "wb") as file:
        file.write(data)


def to_xml(taskset: TaskSet, dialect: str | None = None) -> bytes:
    """Return a task-set as the XML of the boards: ASCII, no declaration, `config` on one line.

    Raises:
        InputError: XML or the dialect can't carry a value; names the task and the key.
    """
    return xml.render(dialects.get(dialect).write(taskset))


def from_xml(data: bytes | str, dialect: str | None = None, source: str = "") -> TaskSet:
    """Return the task-set of an XML document; `source` ends the message of an error.

    Raises:
        InputError: it isn't well-formed or no task-set, or a value is wrong.
    """
    data = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return _parsed(partial(xml.parse, data), dialects.get(dialect), source, _print_notes)


def to_json(taskset: TaskSet, dialect: str | None = None) -> str:
    """Return a task-set, choices included, as JSON in ASCII on one line.

    Raises:
        InputError: JSON or the dialect can't carry a value; names the task and the key.
    """
    return json.render(dialects.get(dialect).write(taskset))


def from_json(text: str | bytes, dialect: str | None = None, source: str = "") -> TaskSet:
    """Return the task-set of a JSON document; `source` ends the message of an error.

    Raises:
        InputError: it is no JSON or no task-set, or a value is wrong.
    """
    return _parsed(partial(json.parse, text), dialects.get(dialect), source, _print_notes)


def to_plain(taskset: TaskSet) -> dict[str, list[dict[str, Any]]]:
    """Return `{"periodictask": [...]}` of plain data for `encode`: times and numbers exact, floats of times in ns.

    Raises:
        InputError: a value can't be carried by JSON; names the task and the key.
    """
    return {"periodictask": [json.plain(task, position) for position, task in enumerate(taskset)]}


_PARSERS: dict[str, Callable[[bytes], Tasks]] = {".xml": xml.parse, ".json": json.parse}


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in {*_PARSERS, ".jsonl"}:
        raise InputError(f"{path}: the suffix {suffix!r} names no format, expected .xml, .json or .jsonl")
    return suffix


def _parsed(
    parse: Callable[[], Tasks], row: dialects.Dialect, source: str, tell: Callable[[list[str], str], None]
) -> TaskSet:
    with _named(source):
        tasks, notes = row.read(parse())
        taskset = TaskSet(_with_ids(tasks))
        choices = 0
        for task in taskset:
            for path, value in walk(task):
                values_of(path, value)  # refuses an empty choice
                choices += 1
        if not choices:
            parameters_of(taskset)
    tell(notes, source)
    return taskset


def _with_ids(tasks: Tasks) -> Tasks:
    """Give each task without id its position, or the next number that no task of the file has; in linear time."""
    taken = {task["id"] for task in tasks if isinstance(task.get("id"), int)}
    free = itertools.count()
    return [
        task if "id" in task else {"id": next(n for n in free if n >= position and n not in taken), **task}
        for position, task in enumerate(tasks)
    ]


def _print_notes(notes: list[str], source: str) -> None:
    if notes:
        sys.stderr.write(f"note: {'; '.join(notes)}{f' ({source})' if source else ''}\n")


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Let an error say where the set came from."""
    try:
        yield
    except InputError as error:
        if not source:
            raise
        raise InputError(f"{error} ({source})", hint=error.hint) from None


def _load_whole(path: Path, row: dialects.Dialect, parse: Callable[[bytes], Tasks]) -> Iterator[TaskSet]:
    with _open(path) as file:
        data = _read(file, path)
    yield _parsed(partial(parse, data), row, str(path), _print_notes)


def _load_lines(path: Path, row: dialects.Dialect) -> Iterator[TaskSet]:
    told: list[str] = []

    def tell_once(notes: list[str], source: str) -> None:
        if notes and not told:
            _print_notes(notes, source)
            told.extend(notes)

    number = 0
    found = False
    with _open(path) as file:
        while line := _read(file, path, line=True):
            number += 1
            if line.strip():
                found = True
                yield _parsed(partial(json.parse, line.strip()), row, f"{path} line {number}", tell_once)
    if not found:
        raise InputError(f"the document is empty ({path})")


def _read(file: IO[bytes], path: Path, *, line: bool = False) -> bytes:
    try:
        data = file.readline(MAX_BYTES + 1) if line else file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    with _named(str(path)):
        check_size(len(data))
    return data


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError | ValueError) -> InputError:
    if not isinstance(error, FileNotFoundError):
        reason = error.strerror if isinstance(error, OSError) else error
        return InputError(f"{path}: can't be read: {reason}")
    others = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, others, n=3)
    return InputError(f"{path}: there is no such file", hint=f"did you mean {', '.join(near)}?" if near else "")


__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "dump",
    "encode",
    "from_json",
    "from_xml",
    "load",
    "load_all",
    "to_json",
    "to_plain",
    "to_xml",
]
