"""How much a target computes: turns "10 ms of work" into attributes of a task, and back.

The textbook simulator computes what `executiontime` says. A board runs a program, whose argument decides how long: a
calibration (`taskgen calibrate`) knows how; without one it is the table of the board that taskgen brings.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from taskgen.blocks._program import program
from taskgen.errors import UsageError
from taskgen.units import Milliseconds, ms_from_ns, short, to_ns

#: Programs read their argument as u32.
_LARGEST_ARGUMENT: Final = 2**32 - 1


class Work(Protocol):
    """Work on one target."""

    #: Where the figures are from, for the record: `executiontime`, `calibration FILE`, `table pandaboard`.
    source: str

    def block(self, work_ms: Milliseconds) -> Mapping[str, Any]:
        """Return the attributes of a task whose jobs compute for so long, as near as the target can.

        Raises:
            UsageError: no program of the target computes for so long, or so shortly.
        """

    def wcet_ms(self, task: Mapping[str, Any]) -> Milliseconds | None:
        """Return what a job of a task with these attributes computes on this target; None: unknown."""


class ExecutionTime:
    """Work on a simulator that computes what the attribute says."""

    source = "executiontime"

    def block(self, work_ms: Milliseconds) -> Mapping[str, Any]:
        """Return the attribute."""
        return {"executiontime": work_ms}

    def wcet_ms(self, task: Mapping[str, Any]) -> Milliseconds | None:
        """Return the attribute."""
        return task.get("executiontime")


class Program(Protocol):
    """How long one job of a program computes."""

    def execution_ns(self, argument: int) -> int:
        """Return the CPU time of a job with this argument; it never falls as the argument grows."""


class Table:
    """Work on a board: a table of programs, one of which computes for as long as its argument says.

    Args:
        name: of the table, for the record.
        programs: by name; those of a registered workload (`taskgen.workloads`), for instance.
        program: the one whose argument is chosen.
    """

    def __init__(self, name: str, programs: Mapping[str, Program], program: str = "pi") -> None:
        self.source = f"table {name}"
        self._programs = programs
        self._program = program

    def block(self, work_ms: Milliseconds) -> Mapping[str, Any]:
        """Return the program with the argument whose time is nearest.

        Raises:
            UsageError: its shortest job is longer, or its longest is shorter.
        """
        work_ns = to_ns(work_ms, "work")
        argument = self._least(work_ns)
        took_ns = self._took_ns(argument)
        if took_ns < work_ns or (not argument and took_ns > work_ns):
            limit = f"its {'shortest' if took_ns > work_ns else 'longest'} job takes {ms_from_ns(took_ns)} ms"
            raise UsageError(
                f"work: {short(work_ms)} ms: {self._program} of the {self.source} can't compute for so long, {limit}",
                hint="ask for other work, or calibrate another program",
            )
        if argument and work_ns - self._took_ns(argument - 1) < took_ns - work_ns:
            argument -= 1
        return program(self._program, argument)

    def _took_ns(self, argument: int) -> int:
        return self._programs[self._program].execution_ns(argument)

    def _least(self, work_ns: int) -> int:
        """Return the least argument with which a job takes so long, or the largest there is."""
        low, high = 0, _LARGEST_ARGUMENT
        while low < high:
            middle = (low + high) // 2
            if self._took_ns(middle) < work_ns:
                low = middle + 1
            else:
                high = middle
        return low

    def wcet_ms(self, task: Mapping[str, Any]) -> Milliseconds | None:
        """Return the time of its program with its argument, unless the task says it."""
        if task.get("executiontime") is not None:
            return ExecutionTime().wcet_ms(task)
        known = self._programs.get(str(task.get("pkg")))
        argument = task.get("config", {}).get("arg1", 0)
        if known is None or type(argument) is not int or not 0 <= argument <= _LARGEST_ARGUMENT:
            return None
        return ms_from_ns(known.execution_ns(argument))
