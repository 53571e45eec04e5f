"""The board's `sched_controller`: admission and optimiser as the taskloader asks them, with the kernel's data."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sim.boards import optimiser as optimising
from sim.boards.admission import Admission, Entry, Ready, Verdict, instance_name
from sim.boards.generation import Generation
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from sim.boards.description import Description
    from sim.boards.kernel import Kernel
    from sim.boards.optimiser import Optimiser, Review, Thread

_ADMISSION_CORE = 1
_NS_PER_US = 1000


class Controller:
    """Admission control and optimiser of one boot; without either everything is permitted.

    `hangs` turns on the inferred hang of G3 after a miss without cause.
    """

    def __init__(self, row: Generation, cores: int, *, hangs: bool = False) -> None:
        self._admission = Admission(row.name, cores=cores) if row.admission != "none" else None
        self.optimiser: Optimiser | None = None
        if row.optimiser != "none":
            self.optimiser = optimising.Optimiser(row.name, hangs=hangs)
        self._registered: set[str] = set()

    @property
    def query_interval_ns(self) -> int:
        """How long one turn in the optimiser waits, as the goal document says; 0: there is no optimiser."""
        return 0 if self.optimiser is None else self.optimiser.query_interval_ms * NS_PER_MS

    def admit(self, descriptions: Sequence["Description"], core: int, kernel: "Kernel") -> list[Verdict | None]:
        """Decide on the tasks of one SEND_DESCS, and register those that the optimiser cares for."""
        if self._admission is None or self._admission.rule is None:
            return [None] * len(descriptions)
        factor_ns = NS_PER_MS if self._admission.rule.deadline_factor > 1 else _NS_PER_US
        entries = [Entry(instance_name(one.id, one.pkg), _elements(one, factor_ns)) for one in descriptions]
        ready = kernel.deadline_queue(_ADMISSION_CORE) if kernel.cores > _ADMISSION_CORE else []
        verdicts = self._admission.admit(entries, [Ready(name, deadline_us) for name, deadline_us in ready])
        for verdict in verdicts:
            if verdict.accepted and verdict.kind == "lo" and self.optimiser is not None:
                record = verdict.record
                self.optimiser.register(verdict.name, core, period=record.period, deadline_us=record.deadline)
                self._registered.add(verdict.name)
        return list(verdicts)

    def set_goal(self, document: Mapping[str, Any]) -> None:
        """Take the optimiser's goal of a document.

        Raises:
            InputError: the board's parser throws.
        """
        if self.optimiser is not None:
            self.optimiser.set_goal(document)

    def knows(self, name: str) -> bool:
        """Whether the optimiser has this task."""
        return name in self._registered

    def permits(self, name: str, core: int, clock_us: int) -> bool:
        """Whether a task may start its next job."""
        return self.optimiser is None or bool(self.optimiser.permit(name, core, clock_us))

    def review(
        self, name: str, clock_us: int, threads: Iterable["Thread"], *, last_job_started: bool
    ) -> "Review | None":
        """Look at what became of a task's jobs; None if nobody cares."""
        if self.optimiser is None or name not in self._registered:
            return None
        return self.optimiser.review(name, clock_us, threads, last_job_started=last_job_started)

    def leave(self, name: str) -> None:
        """A task was killed."""
        if self.optimiser is not None and name in self._registered:
            self.optimiser.leave(name)


def _elements(description: "Description", deadline_unit_ns: int) -> dict[str, int]:
    return {
        "executiontime": description.executiontime,
        "period": description.period_ns // NS_PER_MS,
        "deadline": description.deadline_ns // deadline_unit_ns,
        "priority": description.priority,
    }
