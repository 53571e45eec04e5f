"""What a taskloader's own work costs, as a table: one instance per board, one for boards that nobody has measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sim.boards.kernel import QUANTUM_NS
from taskgen.dialect.boards import BOOT_NS, CREATE_NS, START_NS
from taskgen.units import NS_PER_MS


def ms(milliseconds: float) -> int:
    """Return a time of a table in ns."""
    return round(milliseconds * NS_PER_MS)


def by_program(**milliseconds: float) -> Mapping[str, int]:
    """Return times of a table by program in ns."""
    return MappingProxyType({pkg: ms(time) for pkg, time in milliseconds.items()})


@dataclass(frozen=True, slots=True)
class Timing:
    """What the loader's own work costs; it runs at the system's level on core 0, so tasks there wait meanwhile.

    The defaults are the shape of the PandaBoard's table (`sim.boards.pandaboard`) without its details.
    """

    parse_ns: int = ms(11)  #: each description in SEND_DESCS
    admission_ns: int = 0  #: the admission test, per SEND_DESCS
    start_ns: int = START_NS  #: START until the first release
    gap_ns: int = ms(11.5)  #: between two releases inside START, beside the creation
    create_ns: int = CREATE_NS  #: release until START is logged; the child runs from then on
    first_cpu_ns: int = ms(25)  #: the part of a calibrated program's time that is this creation
    newest_first: bool = False  #: a new child overtakes the others of its level
    wear_ns: int = 0  #: each instance since boot prolongs the start of a calibrated program by this,
    wear_instances: int = 0  #: up to so many of them
    closing_by_program: Mapping[str, int] = field(default_factory=by_program)  #: last output, on the console's time
    page_faults_ns: int = 0  #: served by the kernel's pager for a program that fills its quota, beside its own CPU time
    kill_ns: int = 0  #: the handler of the kill timer, before it acts
    exit_ns: int = 0  #: an exit, reported at the system's level, before its destruction is queued
    destruction_poll_ns: int = 0  #: the destruction thread looks at its queue this often
    destroy_ns: int = ms(252)  #: destruction of an instance
    destroy_by_program: Mapping[str, int] = field(
        default_factory=lambda: by_program(hey=217, namaste=217)
    )  #: small ones
    destroy_per_argument: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: MappingProxyType({})
    )  #: and of those that allocate: ns per unit of their argument, up to this argument
    destroy_unloaded_ns: int | None = None  #: destruction of a child that hasn't run yet; None: as any other
    loaded_ns: int = 0  #: the CPU time after which its destruction costs as much as any other's, linear up to there
    destroy_open_ns: int | None = None  #: the part of it that other system threads can preempt; None: all of it
    clear_wait_ns: int = ms(500)  #: CLEAR sleeps between its STOP and dropping the tasks
    query_interval_ns: int = ms(100)  #: one turn in G1o's optimiser
    boot_ns: int = BOOT_NS[0]  #: REBOOT until the board listens again
    quantum_ns: int = QUANTUM_NS  #: round robin inside a level
    ram: int = 500 << 20  #: bytes that the loader has for its children

    def destruction_ns(self, pkg: str, argument: int = 0, executed_ns: int | None = None) -> int:
        """Return what it costs to destroy an instance that has consumed `executed_ns` (None: all that it wanted)."""
        full_ns = self.destroy_by_program.get(pkg, self.destroy_ns)
        first_ns = self.destroy_unloaded_ns
        if executed_ns is not None and executed_ns < self.loaded_ns and first_ns is not None:
            return first_ns + (full_ns - first_ns) * executed_ns // self.loaded_ns
        slope_ns, most = self.destroy_per_argument.get(pkg, (0, 0))
        return full_ns + slope_ns * min(argument, most)

    def worn_ns(self, instances: int) -> int:
        """Return by how much the start of a program takes longer after so many instances since boot."""
        return self.wear_ns * min(instances, self.wear_instances)
