"""From a task in our words to the elements that a board of a generation reads, and what can't be said to it.

The elements hold values as they are sent: whole numbers in the board's units, text, and the dict of `config`. What a
board doesn't read is kept as it is, and in its place. Nothing is rounded but `executiontime`, which is an upper bound.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from taskgen.choice import copy_value
from taskgen.dialect.boards import DEFAULTS, ENDLESS, IDS, LONGEST_NS, MOST_TASKS, BoardRow
from taskgen.errors import Unsupported
from taskgen.parameters import LEAST_URGENT, NO_PRIORITY, UNKNOWN_EXECUTION_MS, Parameters
from taskgen.units import NS_PER_MS, format_ms, short

#: A number of bytes that all boards read alike: of other texts they read the beginning (wire-protocol 2.1).
_SIZE = re.compile(r"[0-9]{1,32}[KMG]?", re.ASCII)


def describe(task: Parameters, row: BoardRow) -> dict[str, Any]:
    """Return the elements of one task for boards of a generation, with what they need and the task leaves out.

    What the board passes over, or can't keep to, is no error here; `describe_all` refuses that, too.

    Raises:
        Unsupported: a value can't be expressed in the board's numbers; names task, key and value.
    """
    elements: dict[str, Any] = copy_value(dict(task.attributes))
    elements["id"] = task.id
    for key, time_ns, unit_ns in _times(task, row):
        fault = _number_fault(time_ns, unit_ns)
        if fault:
            raise _unsupported(task, key, fault, row)
        elements[key] = time_ns // unit_ns
    elements["priority"] = _raw_priority(task, row)
    if row.jobs_limit != "none":
        elements["numberofjobs"] = _jobs(task, row)
    if row.admission != "none" or "executiontime" in elements:
        elements["executiontime"] = (
            UNKNOWN_EXECUTION_MS if task.wcet_ns is None else -(-task.wcet_ns // NS_PER_MS)  # a bound: rounded up
        )
    for key in row.needs:
        value = DEFAULTS[key]
        elements.setdefault(key, value if isinstance(value, int | str) else dict(value))
    return elements


def describe_all(tasks: Sequence[Parameters], row: BoardRow) -> list[dict[str, Any]]:
    """Return the elements of each task of a set, or refuse the set.

    Raises:
        Unsupported: such boards have no words for something, or not for so many tasks; names task and key.
    """
    if len(tasks) > MOST_TASKS:
        raise Unsupported(
            f"the set has {len(tasks)} tasks, boards of generation {row.name} take at most {MOST_TASKS} at a time",
            hint="split the set",
        )
    for task in tasks:
        for key, fault in _faults(task, row):
            raise _unsupported(task, key, fault, row)
    return [describe(task, row) for task in tasks]


def inexpressible(task: Parameters, row: BoardRow) -> list[str]:
    """Return the attributes of a task that boards of a generation can't honour or read.

    A limit of jobs is never among them: where a board knows none, it only makes the run longer.
    """
    return [key for key, _ in _faults(task, row)]


def _unsupported(task: Parameters, key: str, fault: str, row: BoardRow) -> Unsupported:
    value = task.attributes.get(key, task.id if key == "id" else None)
    return Unsupported(
        f"task {task.id}: {key}: {short(value)}: boards of generation {row.name} {fault}",
        hint=f"change {key} or leave it out, or choose another generation",
    )


def _faults(task: Parameters, row: BoardRow) -> Iterator[tuple[str, str]]:
    """Yield what can't be said, and why."""
    deadline = "deadline" if task.deadline_ns else "priority"  # 128 means EDF, too
    pkg = str(task.attributes.get("pkg", ""))
    faults: Iterable[tuple[str, bool, str]] = (
        ("id", task.id not in IDS, f"know the ids {IDS[0]}..{IDS[-1]}"),
        ("pkg", len(pkg) > row.name_length, f"know names of at most {row.name_length} characters"),
        ("quota", not _is_size(task.attributes.get("quota", 0)), "read digits with K, M or G, below 4G"),
        ("jitter", bool(task.jitter_ns), "can't delay releases"),
        ("arrivals", task.arrivals_ns is not None, "release periodically"),
        (deadline, bool(_edf_deadline_ns(task)) and row.edf == "none", "have no EDF"),
        ("offset", bool(task.offset_ns) and row.offsets == "ignored", "don't act on offsets"),
    )
    yield from ((key, fault) for key, holds, fault in faults if holds)
    for key, time_ns, unit_ns in _times(task, row):
        if time_ns > LONGEST_NS:
            yield key, f"multiply by 1000 in signed 32 bits, expected at most {LONGEST_NS // NS_PER_MS} ms"
        elif fault := _number_fault(time_ns, unit_ns):
            yield key, fault


def _is_size(value: Any) -> bool:
    """Return whether boards read a number of bytes as it is meant."""
    text = str(value)
    if isinstance(value, bool) or not _SIZE.fullmatch(text):
        return False
    exponent = {"K": 10, "M": 20, "G": 30}.get(text[-1], 0)
    return int(text.rstrip("KMG")) << exponent <= ENDLESS


def _number_fault(time_ns: int, unit_ns: int) -> str:
    """Return why a time is no number that a board reads, or nothing."""
    number, rest = divmod(time_ns, unit_ns)
    if rest:
        return f"read whole multiples of {format_ms(unit_ns)} ms"
    return "read numbers of 32 bits" if number > ENDLESS else ""


def _times(task: Parameters, row: BoardRow) -> Iterator[tuple[str, int, int]]:
    """Yield the times that the board reads: key, time and the board's unit in ns."""
    known = task.attributes
    period_ns = task.period_ns if task.period_ns or row.single else LONGEST_NS
    times = (
        ("period", period_ns, NS_PER_MS, True),
        ("deadline", _edf_deadline_ns(task), row.deadline_unit_ns, row.edf != "none"),
        ("offset", task.offset_ns, NS_PER_MS, row.offsets != "ignored"),
        ("criticaltime", task.critical_ns or 0, NS_PER_MS, True),
    )
    yield from (
        (key, time_ns, unit_ns) for key, time_ns, unit_ns, is_read in times if is_read and (time_ns or key in known)
    )


def _edf_deadline_ns(task: Parameters) -> int:
    if task.priority == NO_PRIORITY:
        return task.effective_deadline_ns or 0
    return task.deadline_ns or 0


def _raw_priority(task: Parameters, row: BoardRow) -> int:
    if row.edf_raw is not None and _edf_deadline_ns(task):
        return row.edf_raw
    return row.raw[LEAST_URGENT if task.priority is None else min(task.priority, LEAST_URGENT)]


def _jobs(task: Parameters, row: BoardRow) -> int:
    if row.jobs_limit == "odd":
        # 0 is its periodic mode; any other number is a single release, a period late.
        return 0 if task.jobs in {None, 1} else task.jobs or 0
    return ENDLESS if task.jobs is None else task.jobs
