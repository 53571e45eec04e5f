"""What a board reads of a task, and what its program then does.

A `Description` is a `periodictask` element as a board generation sees it: its own priority numbers and job limits.
`describe` makes it from the parameters of a task in our conventions; a board behind the protocol makes it from XML.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sim.boards.generation import LONGEST_NS, Generation
from sim.boards.timing import Timing
from taskgen.parameters import LEAST_URGENT, NO_PRIORITY, UNKNOWN_EXECUTION_MS, Parameters
from taskgen.units import NS_PER_MS

#: What a session fills in where the description is silent.
DEFAULT_QUOTA = "5M"
DEFAULT_CAPS = 235
DEFAULT_CORES = 2
DEFAULT_COREOFFSET = 1

_SIZE = re.compile(r"(0x[0-9a-fA-F]+|[0-9]*)([KMG]?)")
_SUFFIXES = {"": 0, "K": 10, "M": 20, "G": 30}
_U32 = 1 << 32


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """One task as a board reads it; what is missing there is 0, 0 or empty here. Two are never equal, as on a board."""

    id: int = 0
    pkg: str = ""
    priority: int = 0  #: in the generation's own numbers and direction
    deadline_ns: int = 0  #: relative; 0: no EDF task
    period_ns: int = 0
    critical_ns: int = 0  #: 0: never killed
    offset_ns: int = 0
    jobs: int = 0  #: `numberofjobs`
    quota: int = 0  #: bytes
    caps: int = 0
    cores: int = 0
    coreoffset: int = 0
    executiontime: int = 0  #: milliseconds, for admission control
    argument: int | None = None  #: `config/arg1`
    config: bool = True  #: a description without `config` kills the taskloader


class Demand(NamedTuple):
    """What one job does: CPU time, then its end."""

    work_ns: int
    exit_value: int = 0  #: it ends by itself with this value
    asks: Literal["", "ram", "caps"] = ""  #: instead of ending it asks for more of this
    closing_ns: int = 0  #: and before its end: the console's output, on no slice of its own
    loads: bool = False  #: it is a real program, whose start takes longer on a board that has created many


#: What job k of a described task does.
DemandOf = Callable[[Description, int], Demand]


class QuotaLimit(NamedTuple):
    """A program that outgrows its RAM from some argument on."""

    argument: int
    quota: int  #: bytes; with more the limit wasn't measured
    work_ns: int  #: CPU time until it asks for more


#: Programs that exceed their quota: a linked list of all primes, measured on the PandaBoard.
QUOTA_LIMITS: Mapping[str, QuotaLimit] = {"tumatmul": QuotaLimit(201_000, 5 << 20, 291 * NS_PER_MS)}


def quota_limit(pkg: str, argument: int | None, quota: int) -> Demand | None:
    """Return what a program does that exceeds its quota, None if it doesn't."""
    limit = QUOTA_LIMITS.get(pkg)
    if limit is None or argument is None or argument < limit.argument or quota > limit.quota:
        return None
    return Demand(limit.work_ns, asks="ram")


def program_demand(description: Description, work_ns: int, timing: Timing) -> Demand:
    """Return what a calibrated program does that takes `work_ns` when it is alone; the loader pays its creation."""
    closing_ns = timing.closing_by_program.get(description.pkg, 0)
    limit = quota_limit(description.pkg, description.argument, description.quota)
    if limit is not None:
        return limit._replace(work_ns=limit.work_ns + timing.page_faults_ns, loads=True)
    return Demand(max(work_ns - timing.first_cpu_ns - closing_ns, 1), closing_ns=closing_ns, loads=True)


def size_of(text: object) -> int:
    """Read a byte size as a board does: digits and one capital suffix, the rest is ignored (4k is 4, 1.5M is 1)."""
    match = _SIZE.match(str(text))
    digits, suffix = match.groups() if match else ("", "")
    return int(digits or "0", 16 if digits.startswith("0x") else 10) << _SUFFIXES[suffix]


def describe(task: Parameters, row: Generation) -> Description:
    """Translate a task to a generation: priority direction, endless and single jobs; fill in what the board needs."""
    known = task.attributes
    period_ns, jobs = task.period_ns, row.endless if task.jobs is None else task.jobs
    if not period_ns and not row.single:
        period_ns = LONGEST_NS
    if row.jobs_limit == "odd" and task.jobs == 1:
        jobs = 0  # the only release that isn't a period late
    argument = known.get("config", {}).get("arg1")
    return Description(
        id=task.id,
        pkg=str(known.get("pkg", "")),
        priority=_raw_priority(task, row),
        deadline_ns=_edf_deadline_ns(task),
        period_ns=period_ns,
        critical_ns=task.critical_ns or 0,
        offset_ns=task.offset_ns,
        jobs=jobs,
        quota=size_of(known.get("quota", DEFAULT_QUOTA)),
        caps=_number(known, "caps", DEFAULT_CAPS),
        cores=_number(known, "cores", DEFAULT_CORES),
        coreoffset=_number(known, "coreoffset", DEFAULT_COREOFFSET),
        executiontime=UNKNOWN_EXECUTION_MS if task.wcet_ns is None else -(-task.wcet_ns // NS_PER_MS),
        argument=argument if isinstance(argument, int) else None,
    )


def _number(known: Mapping[str, Any], key: str, default: int) -> int:
    return int(known.get(key, default))


def _edf_deadline_ns(task: Parameters) -> int:
    if task.priority == NO_PRIORITY:
        return task.effective_deadline_ns or 0
    return task.deadline_ns or 0


def _raw_priority(task: Parameters, row: Generation) -> int:
    if _edf_deadline_ns(task) and row.priorities.edf is not None:
        return row.priorities.edf_raw
    priority = LEAST_URGENT if task.priority in {None, NO_PRIORITY} else task.priority
    return row.priorities.raw(priority or 0)


def inexpressible(task: Parameters, row: Generation) -> list[str]:
    """Return the attributes of a task that boards of a generation can't honour or don't read."""
    reasons = {
        "jitter": bool(task.jitter_ns),
        "arrivals": task.arrivals_ns is not None,
        "deadline": bool(_edf_deadline_ns(task)) and row.priorities.edf is None,
        "offset": bool(task.offset_ns) and row.offsets == "ignored",
        "numberofjobs": row.jobs_limit != "limit" and task.jobs is not None and bool(task.period_ns),
        "period": task.period_ns > LONGEST_NS,
        "criticaltime": (task.critical_ns or 0) > LONGEST_NS,
    }
    return [key for key, holds in reasons.items() if holds]


def kill_delay_ns(critical_ns: int) -> int:
    """Return when the kill timer fires: at once beyond 2 147 483 ms, whose microseconds are negative in 32 bits."""
    delay_us = critical_ns // 1000 % _U32
    return 0 if delay_us >= _U32 // 2 else delay_us * 1000
