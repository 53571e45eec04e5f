"""What a board reads of a task, and what its program then does.

A `Description` is a `periodictask` element as a board generation sees it: its own priority numbers and job limits.
`read` makes it from the elements of a document, whoever wrote them; `describe` from a task in our conventions, by way
of the elements that a session would send.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from sim.boards.generation import Generation
from sim.boards.timing import Timing
from taskgen.dialect.boards import BoardRow
from taskgen.dialect.describe import describe as elements_of
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|[0-9]*")
_SIZE = re.compile(rf"({_NUMBER.pattern})([KMG]?)")
_NUMBERS = (
    "id", "priority", "deadline", "period", "criticaltime", "offset", "numberofjobs", "caps", "cores", "coreoffset",
    "executiontime",
)  # fmt: skip
#: The board's buffer for a name (wire-protocol 2.2).
_PKG_LENGTH = 31
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


def number_of(value: object) -> int:
    """Read a number as a board does: decimal, or hexadecimal with 0x, up to the first other character; modulo 2^32."""
    match = _NUMBER.match(str(value))
    return _value_of(match[0] if match else "")


def size_of(value: object) -> int:
    """Read a byte size as a board does: digits and one capital suffix, the rest is ignored (4k is 4, 1.5M is 1)."""
    match = _SIZE.match(str(value))
    digits, suffix = match.groups() if match else ("", "")
    return _value_of(digits) << _SUFFIXES[suffix] & _U32 - 1


def _value_of(digits: str) -> int:
    # The last 32 bits are in the last 8 or 32 digits: what a stranger sends may have any number of them.
    if digits.startswith("0x"):
        return int(digits[2:][-8:], 16)
    return int(digits[-32:] or "0") % _U32


def read(elements: Mapping[str, Any] | Iterable[tuple[str, Any]], board: BoardRow) -> Description:
    """Read the elements of a task as a board does: raw values, the first of a name counts, what is missing is 0.

    Values are text as it stands in the document, or numbers; `config` is a mapping of its elements. Nothing is refused
    (wire-protocol 2.1, 2.2): what a board doesn't read is passed over.
    """
    pairs = elements.items() if isinstance(elements, Mapping) else elements
    first: dict[str, Any] = {}
    for key, value in pairs:
        first.setdefault(key, value)
    numbers = {key: number_of(first.get(key, 0)) for key in _NUMBERS}
    config = first.get("config")
    argument = config.get("arg1") if isinstance(config, Mapping) else None
    return Description(
        id=numbers["id"],
        pkg=str(first.get("pkg", ""))[:_PKG_LENGTH],
        priority=numbers["priority"],
        deadline_ns=numbers["deadline"] * board.deadline_unit_ns if board.edf != "none" else 0,
        period_ns=numbers["period"] * NS_PER_MS,
        critical_ns=numbers["criticaltime"] * NS_PER_MS,
        offset_ns=numbers["offset"] * NS_PER_MS if board.offsets != "ignored" else 0,
        jobs=numbers["numberofjobs"] if board.jobs_limit != "none" else 0,
        quota=size_of(first.get("quota", 0)),
        caps=numbers["caps"],
        cores=numbers["cores"],
        coreoffset=numbers["coreoffset"],
        executiontime=numbers["executiontime"],
        argument=None if argument is None else number_of(argument),
        config=config is not None,
    )


def describe(task: Parameters, row: Generation) -> Description:
    """Return what a board of a generation reads when a session describes a task to it.

    Raises:
        Unsupported: a value can't be expressed in the board's numbers.
    """
    return read(elements_of(task, row.board), row.board)


def kill_delay_ns(critical_ns: int) -> int:
    """Return when the kill timer fires: at once beyond 2 147 483 ms, whose microseconds are negative in 32 bits."""
    delay_us = critical_ns // 1000 % _U32
    return 0 if delay_us >= _U32 // 2 else delay_us * 1000
