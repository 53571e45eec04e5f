"""The board generations as a table: one row per generation, no branches.

What a client must know stands in `taskgen.dialect.boards`; a row here adds by which rules a taskloader and its kernel
give birth to jobs and let them die, and with which timing; `sim.boards.loader` is the one interpreter of these rows.
All times in nanoseconds. The timing is the PandaBoard's, measured on G1; later generations were never measured, they
keep its shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from sim.boards.kernel import SYSTEM_LEVEL, Expired
from sim.boards.pandaboard import PANDABOARD_TIMING
from sim.boards.timing import Timing
from taskgen.dialect.boards import BOARDS, Admission, BoardRow, Destruction, JobsLimit, Offsets, Optimiser, board
from taskgen.events import EventType

#: Exit values with a meaning of their own.
EXIT_CRITICAL_VALUE = 17
EXIT_EXTERNAL_VALUE = 19
EXIT_PERIOD_VALUE = 20
OUT_OF_CAPS_VALUE = 21
OUT_OF_QUOTA_VALUE = 22

#: A release that finds the previous instance: ignored; destroyed without an event; EXIT_PERIOD if it still runs; forced
#: exit, also of one that has exited.
Overrun = Literal["ignored", "destroyed", "exit_period", "forced"]
#: A child that asks for more RAM: blocks for ever; is destroyed behind an event; exits softly.
Exhaustion = Literal["blocks", "destroyed", "exits"]


@dataclass(frozen=True, slots=True)
class Priorities:
    """From the `priority` of a description to the kernel (wire-protocol 7.2)."""

    board: BoardRow

    def level(self, raw: int) -> int:
        """Return the kernel's level for a raw priority; a thread at level 0 never runs."""
        level = self.board.level(raw)
        return 0 if level is None else SYSTEM_LEVEL - level

    @property
    def edf(self) -> Callable[[int], bool] | None:
        """Whether a task with this raw priority and a deadline > 0 is scheduled by EDF; None: there is no EDF."""
        return None if self.board.edf == "none" else self.board.is_edf


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


_EXITS = MappingProxyType(
    {
        0: EventType.EXIT,
        EXIT_CRITICAL_VALUE: EventType.EXIT_CRITICAL,
        EXIT_EXTERNAL_VALUE: EventType.EXIT_EXTERNAL,
    }
)
_EXITS_G3B = MappingProxyType({**_EXITS, EXIT_PERIOD_VALUE: EventType.EXIT_PERIOD})
_EXITS_G4 = MappingProxyType(
    {**_EXITS_G3B, OUT_OF_CAPS_VALUE: EventType.OUT_OF_CAPS, OUT_OF_QUOTA_VALUE: EventType.OUT_OF_QUOTA}
)


@dataclass(frozen=True, slots=True)
class Generation:
    """One row of the table."""

    board: BoardRow  #: what a client knows of it
    placement: Placement
    timing: Timing
    expired: Expired = "yield"  #: the kernel's rule for EDF threads past their deadline
    push_at_destruction: bool = False  #: the log is pushed when the destruction thread takes an instance, too
    overrun: Overrun = "ignored"
    exit_disarms: bool = False  #: a normal exit disarms the kill timer
    last_tick_disarms: bool = False  #: the tick after the last job disarms the release timer
    counts_attempts: bool = True  #: a failed creation is one of the jobs, and START is logged all the same
    exhaustion: Exhaustion = "blocks"
    #: Which exit values are reported under a name of their own; any other is EXIT_ERROR.
    exits: Mapping[int, EventType] = field(default_factory=lambda: _EXITS)

    def exit_event(self, value: int) -> EventType:
        """Return how an exit value is reported."""
        return self.exits.get(value, EventType.EXIT_ERROR)

    @property
    def name(self) -> str:
        """The generation's name."""
        return self.board.name

    @property
    def priorities(self) -> Priorities:
        """From raw priorities to the kernel's levels."""
        return Priorities(self.board)

    @property
    def push(self) -> bool:
        """Whether the log is pushed after each ending."""
        return self.board.pushes

    @property
    def offsets(self) -> Offsets:
        """What becomes of offsets."""
        return self.board.offsets

    @property
    def jobs_limit(self) -> JobsLimit:
        """What `numberofjobs` means."""
        return self.board.jobs_limit

    @property
    def jobs_done(self) -> bool:
        """Whether JOBS_DONE follows the end of the last job."""
        return self.board.jobs_done

    @property
    def destruction(self) -> Destruction:
        """When an instance is destroyed."""
        return self.board.destruction

    @property
    def instances(self) -> int | None:
        """How many instances a task can have in all; None: any number."""
        return self.board.instances

    @property
    def needs_caps(self) -> bool:
        """Whether a child without capability quota starves."""
        return "caps" in self.board.needs

    @property
    def admission(self) -> Admission:
        """Whether there is admission control, and how a refusal shows."""
        return self.board.admission

    @property
    def refusal_event(self) -> bool:
        """Whether a refused task is NOT_SCHEDULED at START; else silence."""
        return self.board.admission == "announced"

    @property
    def optimiser(self) -> Optimiser:
        """Where the optimiser acts."""
        return self.board.optimiser


def _timed(name: str, timing: Timing) -> Timing:
    """Return a timing with the delays that clients of a generation know, too."""
    row = BOARDS[name]
    return replace(timing, clear_wait_ns=row.clear_ns, admission_ns=row.admission_ns)


G1 = Generation(BOARDS["G1"], Placement(), _timed("G1", PANDABOARD_TIMING))

G1O = Generation(
    BOARDS["G1o"],
    Placement(spaces=2, width=2, position=2),
    _timed("G1o", PANDABOARD_TIMING),
    expired="starve",
)

G1P = Generation(BOARDS["G1p"], Placement(width=2, position=1), _timed("G1p", PANDABOARD_TIMING), expired="starve")

G3A = Generation(BOARDS["G3a"], Placement(width=None, position=1), _timed("G3a", Timing()), overrun="destroyed")

G3B = Generation(
    BOARDS["G3b"],
    Placement(width=4, position=1),
    _timed("G3b", Timing()),
    push_at_destruction=True,
    overrun="exit_period",
    exit_disarms=True,
    last_tick_disarms=True,
    exhaustion="destroyed",
    exits=_EXITS_G3B,
)

G4 = Generation(
    BOARDS["G4"],
    Placement(spaces=2, described=True),
    _timed("G4", Timing()),
    overrun="forced",
    counts_attempts=False,
    exhaustion="exits",
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
    described = board(name, destroy_at_exit=destroy_at_exit)
    row = GENERATIONS[name]
    if described is not row.board:
        row = replace(row, board=described)
    return row if timing is None else replace(row, timing=timing)
