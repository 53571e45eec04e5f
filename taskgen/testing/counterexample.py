"""Counterexamples as portable documents: what failed, how, where, and how to do it again.

A document is one JSON file of `.taskgen/counterexamples`, written whole, named after the property and its content.
Every file is suspect: it is bounded before it is read, each field is checked, and whatever is wrong is one line that
names file, field and what was expected. What it names by place (a policy, a property) is code, loaded when it is
replayed: replay files of people you trust.
"""

import difflib
import hashlib
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

from taskgen import __version__, document
from taskgen.errors import InputError, TaskgenError, UsageError
from taskgen.output import whole_file
from taskgen.parameters import parameters_of
from taskgen.report.export import event_json, job_json, printable
from taskgen.taskset import TaskSet
from taskgen.testing.properties import Violation, names
from taskgen.trace import Trace
from taskgen.units import Milliseconds, ms_from_ns, short, to_ns

SCHEMA: Final = 1
#: Where counterexamples are kept.
FOLDER: Final = Path(".taskgen") / "counterexamples"
#: A document, and a folder of them, may be so large.
MOST_BYTES: Final = 4 * 1024 * 1024
MOST_FILES: Final = 10_000
#: So much of a trace is told.
MOST_JOBS: Final = 500
MOST_EVENTS: Final = 2000
_MOST_VIOLATIONS: Final = 100
_LONGEST_TEXT: Final = 4096
_LONGEST_NAME: Final = 60

#: The options of a target that a document may carry: those of the command line. Others say how to reach it.
OPTIONS: Final = frozenset({
    "policy", "profile", "cores", "migration", "partition", "preemptive", "overrun", "tie", "context_switch_ms",
    "scheduler_ms", "migration_ms", "quantum_ms", "engine", "workload", "execution", "binaries", "port", "dialect",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """A task-set that breaks a property, with all that it takes to run it again."""

    law: str  #: the name of the property, or its place
    taskset: TaskSet
    seed: int
    target: str  #: as the user wrote it
    session: str | None = None  #: for that target, if the user named one
    options: Mapping[str, Any]  #: of the session: profile, policy by place, cores, ...
    horizon_ms: Milliseconds | None = None
    admission: Mapping[str, Any] | None = None
    expected: str  #: what the property says
    violations: tuple[Violation, ...]
    trace: Mapping[str, Any]  #: the first jobs and events of the run, as plain data
    versions: Mapping[str, str | None]
    found: datetime

    @property
    def digest(self) -> str:
        """What makes it another one than others: property, set and where it failed."""
        content = [
            self.law, document.to_plain(self.taskset), self.seed, self.target, self.session, dict(self.options),
            self.horizon_ms, self.admission,
        ]  # fmt: skip
        return hashlib.sha256(document.encode(content).encode()).hexdigest()[:16]

    @property
    def file_name(self) -> str:
        """The name of its file, which any file system takes."""
        readable = re.sub(r"[^\w.-]+", "-", self.law, flags=re.ASCII).strip("-.")[-_LONGEST_NAME:]
        return f"{readable.strip('-.') or 'property'}-{self.digest}.json"

    def to_json(self) -> str:
        """Return the document, on one line.

        Raises:
            InputError: the set can't be carried by JSON.
        """
        return document.encode({
            "schema": SCHEMA,
            "property": self.law,
            "expected": _line(self.expected),
            "taskset": document.to_plain(self.taskset),
            "seed": self.seed,
            "target": self.target,
            "session": self.session,
            "options": {key: _plain(value) for key, value in self.options.items()},
            "horizon_ms": self.horizon_ms,
            "admission": self.admission,
            "violations": [_violation_plain(each) for each in self.violations],
            "trace": self.trace,
            "versions": self.versions,
            "found": f"{self.found.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        })  # fmt: skip

    def write(self, folder: Path = FOLDER) -> Path:
        """Write it into a folder, whole, and return the file; one that is there already stays as it is.

        Raises:
            UsageError: the place can't be written.
            InputError: the set can't be carried by JSON.
        """
        text = self.to_json()
        path = folder / self.file_name
        if path.is_file():
            return path
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder}: can't be made: {error.strerror or error}", hint="choose another one") from None
        with whole_file(path) as file:
            file.write(text + "\n")
        return path


def versions() -> dict[str, str | None]:
    """Return the versions that a document names; None: it isn't installed."""
    try:
        hypothesis: str | None = version("hypothesis")
    except PackageNotFoundError:
        hypothesis = None
    return {"taskgen": __version__, "python": platform.python_version(), "hypothesis": hypothesis}


def told(trace: Trace | None) -> dict[str, Any]:
    """Return the first jobs and events of a trace as plain data; `complete` says whether these are all."""
    if trace is None:
        return {"end_ms": None, "jobs": [], "events": [], "complete": False}
    jobs, events = trace.jobs[:MOST_JOBS], trace.events[:MOST_EVENTS]
    complete = len(jobs) == len(trace.jobs) and len(events) == len(trace.events)
    texts = ([job_json(job) for job in jobs], [event_json(event) for event in events])
    plain = [[json.loads(text, parse_float=Decimal) for text in each] for each in texts]
    return {"end_ms": ms_from_ns(trace.end_ns), "jobs": plain[0], "events": plain[1], "complete": complete}


def portable(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of a target that a document carries."""
    return {key: value for key, value in options.items() if key in OPTIONS}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | Decimal) else str(value)


def _line(text: str) -> str:
    """Return a text as one that can be read again."""
    return printable(text)[:_LONGEST_TEXT] or "?"


def _violation_plain(violation: Violation) -> dict[str, Any]:
    task, job = violation.job or (None, None)
    time_ms = None if violation.time_ns is None else ms_from_ns(violation.time_ns)
    return {"task": task, "job": job, "time_ms": time_ms} | {
        "expected": _line(violation.expected),
        "seen": _line(violation.seen),
    }


# -- reading


def read(path: Path) -> Counterexample:
    """Read a document.

    Raises:
        InputError: it can't be read, or a field is wrong; one line that names file, field and what was expected.
    """
    try:
        return _counterexample(_fields(_parsed(path)))
    except _WrongError as error:
        raise InputError(f"{path}: {error}", hint=error.hint) from None
    except TaskgenError as error:  # of the task-set
        raise InputError(f"{path}: taskset: {error}", hint=error.hint) from None


def files(places: Sequence[Path] = (FOLDER,)) -> list[Path]:
    """Return the files of several places, each a file or a folder of documents.

    Raises:
        InputError: one isn't there, or holds too many files.
    """
    found: dict[Path, None] = {}
    for place in places:
        if not place.exists():
            raise InputError(f"{place}: there is no such file or folder", hint="`taskgen check` writes some")
        inside = sorted(place.glob("*.json")) if place.is_dir() else [place]
        if len(inside) > MOST_FILES:
            raise InputError(f"{place}: holds {len(inside)} files, expected at most {MOST_FILES}")
        found.update(dict.fromkeys(inside))
    return list(found)


def stored(
    name: str, folder: Path = FOLDER, notify: Callable[[str], object] = lambda _: None
) -> Iterator[tuple[Path, Counterexample]]:
    """Yield the documents of a folder about one property; `notify` is told which files are none, in a line."""
    for path in files([folder]) if folder.is_dir() else []:
        try:
            found = read(path)
        except InputError as error:
            notify(str(error))
            continue
        if found.law == name:
            yield path, found


class _WrongError(Exception):
    """A field is wrong."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def _parsed(path: Path) -> Any:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise _WrongError("is no file, expected a counterexample")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _WrongError(f"can't be read: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise _WrongError(f"is too long, expected at most {MOST_BYTES // 1024 // 1024} MiB")
    try:
        return json.loads(data.decode("utf-8"), parse_float=Decimal, parse_constant=_constant)
    except RecursionError:
        raise _WrongError("nests too deeply, expected a counterexample") from None
    except (ValueError, InvalidOperation) as error:
        raise _WrongError(f"is no JSON, expected a counterexample: {str(error)[:100]}") from None


def _constant(text: str) -> None:
    raise ValueError(f"{text} is no number")


class _Field(NamedTuple):
    fits: Callable[[Any], bool]
    expected: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _is_whole(value: Any) -> bool:
    return type(value) is int


def _is_option(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | Decimal) or _is_text(value)


def _is_time(value: Any) -> bool:
    try:
        return value is None or (isinstance(value, int | Decimal) and to_ns(value, "time") >= 0)
    except TaskgenError:
        return False


def _is_violation(value: Any) -> bool:
    kinds = {"task": _is_whole, "job": _is_whole, "time_ms": _is_time, "expected": _is_text, "seen": _is_text}
    if not isinstance(value, dict) or set(value) != set(kinds):
        return False
    without_job = value["task"] is None and value["job"] is None
    return all(fits(value[key]) or (without_job and key in {"task", "job"}) for key, fits in kinds.items())


def _is_trace(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"end_ms", "jobs", "events", "complete"}
        and _is_time(value["end_ms"])
        and all(isinstance(value[key], list) and len(value[key]) <= most for key, most in _ROWS.items())
    )


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _all(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(fits(each) for each in value.values())


_ROWS: Final = {"jobs": MOST_JOBS, "events": MOST_EVENTS}
_FIELDS: Final[Mapping[str, _Field]] = {
    "schema": _Field(lambda value: value == SCHEMA and _is_whole(value), f"{SCHEMA}, which this taskgen reads"),
    "property": _Field(_is_text, "the name of a property, or its place"),
    "expected": _Field(_is_text, "a text"),
    "taskset": _Field(lambda value: isinstance(value, dict), "a task-set"),
    "seed": _Field(_is_whole, "a whole number"),
    "target": _Field(_is_text, "the name of a target"),
    "session": _Field(lambda value: value is None or _is_text(value), "the name of a session, or null"),
    "options": _Field(lambda value: _all(value, _is_option), "an object of texts and numbers"),
    "horizon_ms": _Field(_is_time, "a time, or null"),
    "admission": _Field(lambda value: value is None or isinstance(value, dict), "an object, or null"),
    "violations": _Field(
        lambda value: isinstance(value, list) and len(value) <= _MOST_VIOLATIONS and all(map(_is_violation, value)),
        f"at most {_MOST_VIOLATIONS} objects with task, job, time_ms, expected and seen",
    ),
    "trace": _Field(_is_trace, f"end_ms, at most {MOST_JOBS} jobs and {MOST_EVENTS} events, and complete"),
    "versions": _Field(lambda value: _all(value, lambda each: each is None or _is_text(each)), "an object of texts"),
    "found": _Field(_is_moment, "a time with its zone, as 2026-11-22T03:42:14Z"),
}


def _fields(read: Any) -> dict[str, Any]:
    if not isinstance(read, dict):
        raise _WrongError(f"is {type(read).__name__}, expected an object: a counterexample")
    for name in read:
        if name not in _FIELDS:
            near = difflib.get_close_matches(name, _FIELDS, n=1)
            raise _WrongError(
                f"{short(name)} is no field of a counterexample", hint=f"did you mean {near[0]}?" if near else ""
            )
    for name, (fits, expected) in _FIELDS.items():
        if name not in read:
            raise _WrongError(f"{name}: is missing, expected {expected}")
        if not fits(read[name]):
            raise _WrongError(f"{name}: {short(read[name])}, expected {expected}")
    for option in read["options"]:
        if option not in OPTIONS:
            raise _WrongError(f"options: {short(option)}, expected {', '.join(sorted(OPTIONS))}")
    _check_known(read["property"])
    return read


def _check_known(name: str) -> None:
    if ":" in name or name in names():  # a place is looked at when it is loaded
        return
    near = difflib.get_close_matches(name, names(), n=3, cutoff=0.5)
    raise _WrongError(
        f"property: {short(name)}, expected one that is known",
        hint=f"did you mean {', '.join(near)}?" if near else "see `taskgen check --list`",
    )


def _counterexample(read: Mapping[str, Any]) -> Counterexample:
    taskset = document.from_json(document.encode({"taskset": read["taskset"]}))
    parameters_of(taskset)  # refuses choices
    return Counterexample(
        law=read["property"],
        taskset=taskset,
        seed=read["seed"],
        target=read["target"],
        session=read["session"],
        options=read["options"],
        horizon_ms=read["horizon_ms"],
        admission=read["admission"],
        expected=read["expected"],
        violations=tuple(map(_violation, read["violations"])),
        trace=read["trace"],
        versions=read["versions"],
        found=datetime.fromisoformat(read["found"]),
    )


def _violation(read: Mapping[str, Any]) -> Violation:
    job = None if read["job"] is None else (read["task"], read["job"])
    time_ns = None if read["time_ms"] is None else to_ns(read["time_ms"], "time_ms")
    return Violation(job, time_ns, read["expected"], read["seen"])
