"""What a run sends: a plan in the words of a board's generation, and the programs that it needs."""

from collections.abc import Sequence
from dataclasses import dataclass

from hil.binaries import Program
from hil.messages import FromClient, Optimize, SendDescriptions
from taskgen.session import Plan


@dataclass(frozen=True, slots=True)
class Order:
    """A plan, as it is sent."""

    plan: Plan
    descriptions: SendDescriptions
    optimize: Optimize | None
    programs: tuple[Program, ...]
    query_ns: int = 0  #: one turn of an optimiser that blocks START

    @property
    def description(self) -> Sequence[FromClient]:
        """What is sent before START."""
        return (self.descriptions,) if self.optimize is None else (self.optimize, self.descriptions)
