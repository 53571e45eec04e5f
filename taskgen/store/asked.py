"""What a run was asked for: what makes it the same run when it is asked for again.

Whatever can change a result belongs to it; who listens and where the document goes doesn't. A task-set counts by what
it describes, a file by its content. The address of a board doesn't count: a run may go on where boards are left.
"""

import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from taskgen import __version__, registry
from taskgen.errors import InputError, UsageError
from taskgen.report.export import printable
from taskgen.session import Target
from taskgen.targets import is_address
from taskgen.taskset import TaskSet

#: Options of a target that change how it is reached and watched, not what comes out; the seed is asked for by itself.
INERT = frozenset({"wire_log", "port", "seed"})

_SHOWN = 3  #: differences that one line holds


def run_asked(
    *,
    tasksets: Iterable[tuple[str, TaskSet]] = (),
    files: Iterable[Path] = (),
    targets: Iterable[Target] = (),
    options: Mapping[str, Any] | None = None,
    **plain: object,
) -> dict[str, Any]:
    """Return what identifies a run, as plain data for `open_store`.

    Args:
        tasksets: names with what they stand for.
        files: files of task-sets.
        targets: where it runs.
        options: those that were given to all targets.
        plain: texts, numbers and JSON objects by name; None: not given.

    Raises:
        UsageError: a file or a first variant is none that could be known again.
    """
    options = options or {}
    found: dict[str, Any] = {
        "taskset": [_taskset(name, taskset) for name, taskset in tasksets] or None,
        "file": [f"{path.name} {_file_digest(path)}" for path in files] or None,
        "target": sorted({_target(target, options) for target in targets}),
        "taskgen": __version__,
        **{key: _plain(value) for key, value in plain.items()},
        **_options(options),
    }
    return {key: value for key, value in found.items() if value is not None}


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Return what differs between what a store has and what is asked for now, for one line; empty: nothing."""
    keys = [key for key in {**there, **here} if _text(there.get(key)) != _text(here.get(key))]
    said = [f"{key} was {_shown(there.get(key))}, is {_shown(here.get(key))} now" for key in keys[:_SHOWN]]
    return printable("; ".join(said + ["..."] * (len(keys) > _SHOWN)))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    several = isinstance(value, list) and value and all(isinstance(each, str) for each in value)
    text = ", ".join(value) if several else value if isinstance(value, str) else _text(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _taskset(name: str, taskset: TaskSet) -> str:
    """Return the name of a task-set, without folders, with a digest of what it describes."""
    from taskgen import document

    variants = taskset.variants()  # settles iterators, so that looking at them takes nothing away
    try:
        described = document.encode(document.to_plain(taskset)).encode()
    except InputError:
        # What an iterator will yield, nobody can tell: the first variant and the source have to do.
        described = document.encode(document.to_plain(variants[0])).encode() + _source(name)
    return f"{Path(name).name} {_digest(described)}"


def _source(name: str) -> bytes:
    maker = registry.load("tasksets", name)
    place = maker if inspect.isclass(maker) or inspect.isroutine(maker) else type(maker)
    try:
        return Path(inspect.getfile(place)).read_bytes()
    except (OSError, TypeError):  # made by a built-in, say
        return b""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _file_digest(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is no regular file, a store couldn't know it again", hint="leave --store out")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from None


def _target(target: Target, given: Mapping[str, Any]) -> str:
    """Return the kind of a target: session, address (unless a board's), options that weren't given to all."""
    name = target.session if is_address(target.address) else str(target)
    own = _options({key: value for key, value in target.options.items() if key not in given})
    return f"{name} {_text(own)}" if own else name


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _option(value) for key, value in given.items() if key not in INERT}


def _option(value: Any) -> Any:
    """Return the value of an option; that of a file (FILE, FILE.py:NAME) with a digest of its content."""
    if not isinstance(value, str | Path):
        return _plain(value)
    text = str(value)
    path = Path(text.rpartition(":")[0] if ".py:" in text else text)
    return f"{text} {_file_digest(path)}" if path.is_file() else text


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value.normalize() if value.is_finite() else value)
    if value is None or isinstance(value, bool | int | float | str | list | tuple | dict):
        return value
    return str(value)
