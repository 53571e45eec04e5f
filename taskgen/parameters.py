"""The parameters of the tasks of one concrete set, validated and in exact nanoseconds.

Everything that computes (simulator, analysis, traces) reads tasks through here, so that a description is checked in
one place, with messages that name the task, the field, the value and what was expected.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from taskgen.choice import dotted, walk
from taskgen.errors import InputError, Unsupported
from taskgen.units import MAX_NS, NS_PER_MS, short, to_ns

#: Execution times from here on are the placeholder of old descriptions: unknown.
UNKNOWN_EXECUTION_MS = 99_999_999
LEAST_URGENT = 127
NO_PRIORITY = 128

#: Attributes that are times in milliseconds.
TIMES = ("executiontime", "period", "deadline", "offset", "jitter", "criticaltime")
#: Attributes that are whole numbers, with their largest value.
INTEGERS = {
    "id": 2**31 - 1,
    "priority": NO_PRIORITY,
    "numberofjobs": 2**32 - 1,
    "cores": 2**16,
    "coreoffset": 2**16,
    "caps": 2**32 - 1,
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """One task of a concrete set, in the notation of Liu & Layland: C, T, D, all times in nanoseconds."""

    id: int
    wcet_ns: int | None  #: C; None: unknown, the workload model decides
    period_ns: int  #: T; 0: a single job
    deadline_ns: int | None  #: relative D; None: not given
    priority: int | None  #: 0 most urgent .. 127; 128: none by name; None: not given
    offset_ns: int
    jitter_ns: int
    jobs: int | None  #: how many jobs; None: endless
    critical_ns: int | None  #: a job that lives longer is killed; None: never
    arrivals_ns: tuple[int, ...] | None  #: sporadic arrivals after the offset; None: periodic
    attributes: Mapping[str, Any]  #: the description itself

    @property
    def effective_deadline_ns(self) -> int | None:
        """The deadline that counts as missed: D, else T; None for a single job without deadline."""
        return self.deadline_ns or self.period_ns or None

    def arrives(self, job: int) -> bool:
        """Tell whether the description says when job k arrives; of more jobs than it has, a broken target may tell."""
        return job >= 0 and (self.arrivals_ns is None or job < len(self.arrivals_ns))

    def arrival_ns(self, job: int) -> int:
        """Return the arrival a_k of job k."""
        if self.arrivals_ns is not None:
            return self.offset_ns + self.arrivals_ns[job]
        return self.offset_ns + job * self.period_ns


def parameters_of(taskset: Iterable[Mapping[str, Any]], source: str = "") -> tuple[Parameters, ...]:
    """Validate a concrete task-set and return its parameters, in its order.

    `source` says where the set came from and ends the message of an error.

    Raises:
        InputError: a value is wrong; one line names task, field, value and what was expected.
        Unsupported: a value is still a choice.
    """
    try:
        result = tuple(_parameters(task, position) for position, task in enumerate(taskset))
        if not result:
            raise InputError("the task-set is empty, expected at least one task")
        _check_ids(result)
    except InputError as error:
        if not source:
            raise
        raise InputError(f"{error} ({source})", hint=error.hint) from None
    return result


def _check_ids(tasks: tuple[Parameters, ...]) -> None:
    seen: dict[int, int] = {}
    for position, task in enumerate(tasks):
        if task.id in seen:
            raise InputError(
                f"task {position}: id {task.id} is taken by task {seen[task.id]}, expected unique ids",
                hint="give each task its own id, or name the board generation the file was written for with --dialect",
            )
        seen[task.id] = position


def _parameters(task: Mapping[str, Any], position: int) -> Parameters:
    label = _label(task, position)
    _refuse_choices(task, label)
    times = {key: to_ns(task[key], f"{label}: {key}") for key in TIMES if key in task and key != "executiontime"}
    numbers = {key: _integer(task[key], key, label) for key in INTEGERS if key in task}
    period_ns = times.get("period", 0)
    jobs = numbers.get("numberofjobs") or None
    arrivals_ns = _arrivals(task, period_ns, label)
    if arrivals_ns is not None:
        jobs = len(arrivals_ns) if jobs is None else min(jobs, len(arrivals_ns))
    elif not period_ns:
        if jobs not in {None, 1}:
            raise InputError(
                f"{label}: numberofjobs: {jobs} jobs with period 0, expected 1 or none: period 0 means a single job",
                hint="give the task a period",
            )
        jobs = 1
    if not isinstance(task.get("config", {}), Mapping):
        raise InputError(f"{label}: config: {short(task['config'])} is no dict")
    return Parameters(
        id=numbers.get("id", position),
        wcet_ns=_wcet(task, label),
        period_ns=period_ns,
        deadline_ns=times.get("deadline") or None,
        priority=numbers.get("priority"),
        offset_ns=times.get("offset", 0),
        jitter_ns=times.get("jitter", 0),
        jobs=jobs,
        critical_ns=times.get("criticaltime") or None,
        arrivals_ns=arrivals_ns,
        attributes=task,
    )


def _label(task: Mapping[str, Any], position: int) -> str:
    number = task.get("id")
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= INTEGERS["id"]
    return f"task {number if known else position}"


def _refuse_choices(task: Mapping[str, Any], label: str) -> None:
    for path, value in walk(task):
        raise Unsupported(
            f"{label}: {dotted(path)}: {short(value)} is a choice, a session runs one variant",
            hint="run each of taskset.variants(); a choice inside a choice isn't expanded",
        )


def _wcet(task: Mapping[str, Any], label: str) -> int | None:
    value = task.get("executiontime")
    if value is None:
        return None
    if _is_finite(value) and value >= UNKNOWN_EXECUTION_MS:
        return None  # before any conversion: old descriptions hold placeholders far beyond 2^62 ns
    wcet_ns = to_ns(value, f"{label}: executiontime")
    if not wcet_ns:
        raise InputError(f"{label}: executiontime: {short(value)} is no work, expected more than 0 ms")
    return None if wcet_ns >= UNKNOWN_EXECUTION_MS * NS_PER_MS else wcet_ns  # a float may have been rounded up


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value.is_finite() if isinstance(value, Decimal) else isinstance(value, int | Fraction)


def _integer(value: object, key: str, label: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{label}: {key}: {short(value)} is no whole number")
    if not 0 <= value <= INTEGERS[key]:
        hint = "a file for a board generation is loaded with --dialect G1 (or its own)" if key == "priority" else ""
        raise InputError(f"{label}: {key}: {short(value)} is out of range, expected 0..{INTEGERS[key]}", hint=hint)
    return value


def _arrivals(task: Mapping[str, Any], period_ns: int, label: str) -> tuple[int, ...] | None:
    values = task.get("arrivals")
    if values is None:
        return None
    if not isinstance(values, list | tuple) or not values:
        raise InputError(f"{label}: arrivals: {short(values)} is no list of milliseconds")
    arrivals = tuple(to_ns(value, f"{label}: arrivals[{number}]") for number, value in enumerate(values))
    for number, (earlier, later) in enumerate(itertools.pairwise(arrivals)):
        if later - earlier < period_ns or later < earlier:
            raise InputError(
                f"{label}: arrivals[{number + 1}]: {values[number + 1]} comes too early,"
                f" expected at least one period after {values[number]}"
            )
    return arrivals


def check_span(last_ns: int, label: str) -> None:
    """Refuse an instant that the clock of 2^62 ns can't hold."""
    if last_ns > MAX_NS:
        raise InputError(f"{label}: the set runs beyond 2^62 ns (about 146 years)", hint="give a shorter --horizon")
