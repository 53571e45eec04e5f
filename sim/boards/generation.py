"""The board generations as a table: one row per generation, no branches.

A row says by which rules a taskloader and its kernel give birth to jobs and let them die, and with which timing;
`sim.boards.loader` is the one interpreter of these rows. All times in nanoseconds. The timing is the PandaBoard's,
measured on G1; later generations were never measured, they keep its shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from sim.boards.kernel import SYSTEM_LEVEL, Expired
from sim.boards.pandaboard import PANDABOARD_TIMING
from sim.boards.timing import Timing
from taskgen.errors import UsageError
from taskgen.events import EventType
from taskgen.units import NS_PER_MS

#: Exit values with a meaning of their own.
EXIT_CRITICAL_VALUE = 17
EXIT_EXTERNAL_VALUE = 19
EXIT_PERIOD_VALUE = 20
OUT_OF_CAPS_VALUE = 21
OUT_OF_QUOTA_VALUE = 22

#: Offsets: not read; added up by a thread in the background; slept through one after the other before any task begins.
Offsets = Literal["ignored", "cumulative", "blocking"]
#: A release that finds the previous instance: ignored; destroyed without an event; EXIT_PERIOD if it still runs; forced
#: exit, also of one that has exited.
Overrun = Literal["ignored", "destroyed", "exit_period", "forced"]
#: When an instance is destroyed: after its exit; at STOP and CLEAR; never; by the next tick or the kill timer.
Destruction = Literal["exit", "stop", "never", "tick"]
#: `numberofjobs`: not read; G1o's own (one release, a period late); the number of starts.
JobsLimit = Literal["none", "odd", "limit"]
#: A child that asks for more RAM: blocks for ever; is destroyed behind an event; exits softly.
Exhaustion = Literal["blocks", "destroyed", "exits"]

#: Longest delay that the boards' signed 32-bit microseconds can hold, in whole milliseconds.
LONGEST_NS = 2_147_483 * NS_PER_MS
_ENDLESS = 2**32 - 1


def _ms(milliseconds: float) -> int:
    return round(milliseconds * NS_PER_MS)


@dataclass(frozen=True, slots=True)
class Priorities:
    """From the `priority` of a description to the kernel's level, and from ours (0 most urgent .. 127) to it."""

    level: Callable[[int], int]
    raw: Callable[[int], int]
    #: Whether a task with this raw priority and a deadline > 0 is scheduled by EDF; None: the generation has no EDF.
    edf: Callable[[int], bool] | None
    #: The raw priority that a session gives to an EDF task.
    edf_raw: int = 127


@dataclass(frozen=True, slots=True)
class Placement:
    """The loader's request for a core inside init's affinity space; None: taken from the description or the machine."""

    spaces: int = 1  #: width A of init's space, in which the loader sits at position 0
    width: int | None = 1  #: w; None: the number of cores
    position: int = 0  #: x
    described: bool = False  #: `cores` and `coreoffset` of the description replace w and x

    def core(self, cores: int, width: int = 0, position: int = 0) -> int:
        """Return floor(x * cores / (A * w)), on a machine with that many cores."""
        if not self.described:
            width, position = cores if self.width is None else self.width, self.position
        if not width:  # placement unspecified
            return 0
        return min(position * cores // (self.spaces * width), cores - 1)


@dataclass(frozen=True, slots=True)
class Generation:
    """One row of the table."""

    name: str
    priorities: Priorities
    placement: Placement
    timing: Timing
    expired: Expired = "yield"  #: the kernel's rule for EDF threads past their deadline
    push: bool = False  #: the log is pushed after each ending
    push_at_destruction: bool = False  #: and when the destruction thread takes an instance
    offsets: Offsets = "ignored"
    single: bool = True  #: period 0 means one job; else the timer refuses it and the task never starts
    jobs_limit: JobsLimit = "none"
    endless: int = _ENDLESS  #: the `numberofjobs` that a session sends for an endless task
    jobs_done: bool = False  #: JOBS_DONE follows the end of the last job
    overrun: Overrun = "ignored"
    destruction: Destruction = "exit"
    exit_disarms: bool = False  #: a normal exit disarms the kill timer
    last_tick_disarms: bool = False  #: the tick after the last job disarms the release timer
    counts_attempts: bool = True  #: a failed creation is one of the jobs, and START is logged all the same
    exhaustion: Exhaustion = "blocks"
    needs_caps: bool = False  #: a child without capability quota starves
    admission: Literal["none", "all", "hi"] = "none"
    refusal_event: bool = False  #: NOT_SCHEDULED at START for a refused task; else silence
    optimiser: Literal["none", "start", "job"] = "none"
    #: Which exit values are reported under a name of their own; any other is EXIT_ERROR.
    exits: Mapping[int, EventType] = field(
        default_factory=lambda: MappingProxyType(
            {
                0: EventType.EXIT,
                EXIT_CRITICAL_VALUE: EventType.EXIT_CRITICAL,
                EXIT_EXTERNAL_VALUE: EventType.EXIT_EXTERNAL,
            }
        )
    )

    def exit_event(self, value: int) -> EventType:
        """Return how an exit value is reported."""
        return self.exits.get(value, EventType.EXIT_ERROR)

    @property
    def instances(self) -> int | None:
        """How many instances a task can have in all; None: any number."""
        return 1 if self.destruction in {"stop", "never"} else None


def _two_levels(limit: int) -> Callable[[int], int]:
    return lambda raw: SYSTEM_LEVEL if raw < limit else SYSTEM_LEVEL - 1


def _clamped_level(raw: int) -> int:
    return SYSTEM_LEVEL - raw if raw < SYSTEM_LEVEL else SYSTEM_LEVEL


def _rising_level(raw: int) -> int:
    return raw if raw <= SYSTEM_LEVEL else 0


def _always(raw: int) -> bool:  # noqa: ARG001  # one signature for all rows
    return True


def _lowest(raw: int) -> bool:
    return raw == 127


_EXITS_G3B = MappingProxyType(
    {
        0: EventType.EXIT,
        EXIT_CRITICAL_VALUE: EventType.EXIT_CRITICAL,
        EXIT_EXTERNAL_VALUE: EventType.EXIT_EXTERNAL,
        EXIT_PERIOD_VALUE: EventType.EXIT_PERIOD,
    }
)
_EXITS_G4 = MappingProxyType(
    {
        **_EXITS_G3B,
        OUT_OF_CAPS_VALUE: EventType.OUT_OF_CAPS,
        OUT_OF_QUOTA_VALUE: EventType.OUT_OF_QUOTA,
    }
)

#: 32768 is the priority of all recordings.
_G1_PRIORITIES = Priorities(level=_two_levels(128), raw=lambda ours: 32768 if ours else 0, edf=None)

G1 = Generation("G1", _G1_PRIORITIES, Placement(), PANDABOARD_TIMING)

G1O = Generation(
    "G1o",
    Priorities(level=_two_levels(1), raw=lambda ours: ours, edf=_always, edf_raw=128),
    Placement(spaces=2, width=2, position=2),
    replace(PANDABOARD_TIMING, admission_ns=_ms(400)),
    expired="starve",
    jobs_limit="odd",
    endless=0,
    destruction="never",
    admission="hi",
    optimiser="start",
)

G1P = Generation(
    "G1p",
    replace(_G1_PRIORITIES, edf=_always, edf_raw=32768),
    Placement(width=2, position=1),
    replace(PANDABOARD_TIMING, admission_ns=_ms(400)),
    expired="starve",
    destruction="stop",
    admission="all",
)

G3A = Generation(
    "G3a",
    Priorities(level=_rising_level, raw=lambda ours: SYSTEM_LEVEL - ours, edf=_always, edf_raw=1),
    Placement(width=None, position=1),
    Timing(admission_ns=_ms(400)),
    push=True,
    offsets="cumulative",
    jobs_limit="limit",
    jobs_done=True,
    overrun="destroyed",
    admission="hi",
    refusal_event=True,
    optimiser="job",
)

G3B = replace(
    G3A,
    name="G3b",
    priorities=Priorities(level=_clamped_level, raw=lambda ours: ours, edf=_lowest),
    placement=Placement(width=4, position=1),
    timing=Timing(admission_ns=_ms(400), clear_wait_ns=0),
    push_at_destruction=True,
    overrun="exit_period",
    exit_disarms=True,
    last_tick_disarms=True,
    exhaustion="destroyed",
    exits=_EXITS_G3B,
)

G4 = Generation(
    "G4",
    Priorities(level=_clamped_level, raw=lambda ours: ours, edf=None),
    Placement(spaces=2, described=True),
    Timing(clear_wait_ns=_ms(1000)),
    push=True,
    offsets="blocking",
    single=False,
    jobs_limit="limit",
    jobs_done=True,
    overrun="forced",
    destruction="tick",
    counts_attempts=False,
    exhaustion="exits",
    needs_caps=True,
    exits=_EXITS_G4,
)

#: All rows by name.
GENERATIONS: Mapping[str, Generation] = MappingProxyType({row.name: row for row in (G1, G1O, G1P, G3A, G3B, G4)})


@dataclass(frozen=True, slots=True)
class Switches:
    """What was inferred from the sources and seen by nobody: off by default."""

    #: G3: a forced exit (criticaltime, STOP, CLEAR) of a running task dead-locks the loader.
    hang_on_kill: bool = False
    #: G4: a child that ends with an error dead-locks the loader.
    hang_on_error: bool = False
    #: G3: busy loops at the system's level occupy core 0, so nothing below that level runs there.
    busy_loops: bool = False
    #: G3: START returns only when all offsets are over.
    start_waits: bool = False


def generation(name: str, *, destroy_at_exit: bool = True, timing: Timing | None = None) -> Generation:
    """Return a row of the table, as it is or varied.

    `destroy_at_exit=False` is the later build of G1, which destroys no instance after its exit; `timing` replaces the
    row's constants.

    Raises:
        UsageError: there is no such generation, or no such build of it.
    """
    row = GENERATIONS.get(name)
    if row is None:
        raise UsageError(f"there is no generation {name!r:.40}", hint=f"known: {', '.join(GENERATIONS)}")
    if not destroy_at_exit:
        if row.destruction == "exit" and row is not G1:
            raise UsageError(f"destroy_at_exit: every build of {name} destroys at exit", hint="leave it out")
        row = replace(row, destruction="never") if row is G1 else row
    return row if timing is None else replace(row, timing=timing)
