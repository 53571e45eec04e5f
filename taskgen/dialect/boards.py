"""The board generations as their clients see them: one frozen row each, no branches (wire-protocol 0, 1, 2, 7, 10).

Whoever speaks to a board reads these rows, the session behind the socket as well as the simulated board; the rules by
which a board then acts are the simulator's own. Raw values are those of the board: its units, its priority numbers.
Where a generation changed over time a row is its shipped tip, and the build that is simulated:
G1 the recordings' (destroys at exit), G1p after 2017-10-20, G3a from 2018-02-21, G3b and G4 the last ones.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from taskgen.errors import UsageError
from taskgen.units import NS_PER_MS

#: What a client may send (wire-protocol 1.2); CHECKPOINT and RESTORE are nobody's business here.
Message = Literal[
    "SEND_DESCS",
    "CLEAR",
    "SEND_BINARIES",
    "START",
    "STOP",
    "GET_PROFILE",
    "GET_LIVE",
    "REBOOT",
    "OPTIMIZE",
    "AVAILABLE",
]
#: A deadline > 0 makes an EDF task: on no board; whatever the priority is; at priority 127 exactly.
Edf = Literal["none", "any", "lowest"]
#: `offset`: read but unused; added up by a thread in the background; slept through before any task begins.
Offsets = Literal["ignored", "cumulative", "blocking"]
#: `numberofjobs`: not read; G1o's own (one release, a period late); the number of starts.
JobsLimit = Literal["none", "odd", "limit"]
#: When an instance is destroyed: after its exit; at STOP and CLEAR; never; by the next tick or the kill timer.
Destruction = Literal["exit", "stop", "never", "tick"]
#: Admission control at SEND_DESCS: none; a refused task silently never starts; NOT_SCHEDULED at START.
Admission = Literal["none", "silent", "announced"]
#: The optimiser acts: nowhere; at START, which blocks; before each EDF job and after each exit.
Optimiser = Literal["none", "start", "job"]

#: Ids beyond collide in the names of instances (wire-protocol 2.4).
IDS = range(100)
#: A program's name in SEND_BINARIES: 15 characters and a NUL (wire-protocol 1.3).
UPLOAD_NAME = 15
#: Tasks per document that no board chokes on (wire-protocol 8, hazard 20).
MOST_TASKS = 40
#: Longest time that the boards' signed 32-bit microseconds hold, in whole milliseconds (wire-protocol 2.2).
LONGEST_NS = 2_147_483 * NS_PER_MS
#: Stamps wrap after 2^32 microseconds, 4 294 967.296 ms (wire-protocol 3.3).
STAMP_WRAP_NS = (1 << 32) * 1000
#: The `numberofjobs` of a task without end: 2^32 - 1.
ENDLESS = (1 << 32) - 1
#: What a session fills in where a description is silent and the board needs it (wire-protocol 2.2).
DEFAULTS: Mapping[str, int | str | Mapping[str, object]] = MappingProxyType(
    {"config": MappingProxyType({}), "quota": "5M", "caps": 235, "cores": 2, "coreoffset": 1}
)

#: Release until START is logged, START until the first release, REBOOT until the board listens (wire-protocol 6.7, 8).
CREATE_NS = 26 * NS_PER_MS
START_NS = 27 * NS_PER_MS
BOOT_NS = (20_000 * NS_PER_MS, 60_000 * NS_PER_MS)

_U32 = 1 << 32


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One generation, as far as a client needs to know it."""

    name: str
    about: str  #: one line for listings
    messages: frozenset[Message]  #: others are warned of on the console, and their next four bytes are a command
    # -- what it reads of a task (wire-protocol 2.2, 7.2)
    levels: tuple[range, ...]  #: the raw priorities that mean its best level, the next one, ...; others never run
    raw: Sequence[int]  #: the raw priority that a session sends for ours, 0 most urgent .. 127
    beyond: int | None = None  #: which of the levels raw priorities above all of them mean
    edf: Edf = "none"
    edf_raw: int | None = None  #: the raw priority that a session gives to an EDF task
    deadline_unit_ns: int = NS_PER_MS
    offsets: Offsets = "ignored"
    single: bool = True  #: period 0 means one job; else the timer refuses it and the task never starts
    jobs_limit: JobsLimit = "none"
    needs: tuple[str, ...] = ("config", "quota")  #: what must not be missing: a session fills in `DEFAULTS`
    # -- what comes back (wire-protocol 1.3, 3.2, 3.4)
    pushes: bool = False  #: the log is pushed after each ending
    silent_when_empty: bool = False  #: an empty log is no reply at all to GET_PROFILE
    jobs_done: bool = False  #: JOBS_DONE follows the end of the last job
    admission: Admission = "none"
    optimiser: Optimiser = "none"
    destruction: Destruction = "exit"
    # -- limits (wire-protocol 2.4, 3.4, 5.3)
    pkg_length: int = 31  #: characters of `pkg`; 20 where the admission record has no room for more
    record_tasks: int | None = None  #: more tasks per document overrun the admission's records; None: it has none
    push_bytes: int | None = None  #: a longer push kills the loader; None: any that the buffer holds
    # -- delays
    clear_ns: int = 500 * NS_PER_MS  #: CLEAR blocks the command loop
    admission_ns: int = 0  #: SEND_DESCS does, per document
    start_ns: int = START_NS  #: START until the first release
    create_ns: int = CREATE_NS  #: release until START is logged
    boot_ns: tuple[int, int] = BOOT_NS  #: REBOOT until it listens: shortest, longest

    @property
    def instances(self) -> int | None:
        """How many instances a task can have in all; None: any number."""
        return 1 if self.destruction in {"stop", "never"} else None

    @property
    def name_length(self) -> int:
        """How many characters of a program's name reach the board and come to no harm there."""
        return min(self.pkg_length, UPLOAD_NAME)

    def level(self, raw: int) -> int | None:
        """Return which of its levels a raw priority means, 0 the best; None: such a task never runs unless by EDF."""
        for level, meant in enumerate(self.levels):
            if raw in meant:
                return level
        return self.beyond

    def is_edf(self, raw: int) -> bool:
        """Whether a task with this raw priority and a deadline > 0 is scheduled by EDF."""
        return self.edf == "any" or (self.edf == "lowest" and raw == self.edf_raw)


_BASIC: frozenset[Message] = frozenset({"SEND_DESCS", "CLEAR", "SEND_BINARIES", "START", "STOP", "GET_LIVE"})
_TWO_LEVELS = (range(128), range(128, _U32))

_G1 = BoardRow(
    name="G1",
    about="mainline boards of 2016-11..2017-09: two priority levels, no EDF, endless jobs, no offsets",
    messages=_BASIC,
    levels=_TWO_LEVELS,
    raw=(0, *[32768] * 127),  # 32768 is the priority of all recordings
)
_G1O = BoardRow(
    name="G1o",
    about="master of 2017-10-25: two priority levels, deadline in microseconds makes EDF, no offsets",
    messages=_BASIC | {"OPTIMIZE"},
    levels=(range(1), range(1, _U32)),
    raw=range(128),
    edf="any",
    edf_raw=128,
    deadline_unit_ns=1000,
    jobs_limit="odd",
    admission="silent",
    optimiser="start",
    destruction="never",
    pkg_length=20,
    record_tasks=56,
    admission_ns=400 * NS_PER_MS,
)
_G1P = replace(
    _G1,
    name="G1p",
    about="1608 boards of 2017-10..2018-01: two priority levels, deadline in microseconds makes EDF, one job per task",
    messages=_BASIC | {"GET_PROFILE"},
    edf="any",
    edf_raw=32768,
    deadline_unit_ns=1000,
    admission="silent",
    destruction="stop",
    admission_ns=400 * NS_PER_MS,
)
_G3A = BoardRow(
    name="G3a",
    about="1608 boards of 2018-02..04: priority 128 most urgent .. 1, any deadline makes EDF, offsets add up",
    messages=_BASIC | {"GET_PROFILE", "REBOOT"},
    levels=tuple(range(128 - level, 129 - level) for level in range(128)),
    raw=range(128, 0, -1),
    edf="any",
    edf_raw=1,
    offsets="cumulative",
    jobs_limit="limit",
    pushes=True,
    jobs_done=True,
    admission="announced",
    optimiser="job",
    pkg_length=20,
    record_tasks=42,
    admission_ns=400 * NS_PER_MS,
)
_G3B = replace(
    _G3A,
    name="G3b",
    about="1608 boards of 2018-06: priority 0..127, a deadline makes EDF at priority 127, offsets add up",
    levels=tuple(range(level, level + 1) for level in range(128)),
    raw=range(128),
    beyond=0,
    edf="lowest",
    edf_raw=127,
    silent_when_empty=True,
    clear_ns=0,
)
_G4 = BoardRow(
    name="G4",
    about="1802 boards of 2018-11..2019: priority 0..127, no EDF, no single jobs, all offsets before the first job",
    messages=_BASIC | {"GET_PROFILE", "REBOOT", "AVAILABLE"},
    levels=_G3B.levels,
    raw=range(128),
    beyond=0,
    offsets="blocking",
    single=False,
    jobs_limit="limit",
    needs=(*_G1.needs, "caps", "cores", "coreoffset"),
    pushes=True,
    silent_when_empty=True,
    jobs_done=True,
    destruction="tick",
    push_bytes=100_000,
    clear_ns=1000 * NS_PER_MS,
)

#: All rows by name.
BOARDS: Mapping[str, BoardRow] = MappingProxyType({row.name: row for row in (_G1, _G1O, _G1P, _G3A, _G3B, _G4)})


def board(name: str, *, destroy_at_exit: bool = True) -> BoardRow:
    """Return the row of a generation; `destroy_at_exit=False` is the later build of G1, which destroys nothing.

    Raises:
        UsageError: there is no such generation (the hint has the nearest names), or no such build of it.
    """
    row = BOARDS.get(name)
    if row is None:
        raise no_such("generation", name, BOARDS)
    if destroy_at_exit or row.destruction != "exit":
        return row
    if row is not _G1:
        raise UsageError(f"destroy_at_exit: every build of {name} destroys at exit", hint="leave it out")
    return replace(row, destruction="never")


def no_such(what: str, name: object, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is none of the known ones; its hint has the nearest, else all of them."""
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(str(name).casefold(), folded, n=3, cutoff=0.5)
    names = ", ".join(folded[each] for each in near or folded)
    return UsageError(f"there is no {what} {name!r:.60}", hint=f"did you mean {names}?" if near else f"known: {names}")
