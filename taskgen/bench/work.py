"""How much a target computes: turns "10 ms of work" into attributes of a task, and back.

The textbook simulator computes what `executiontime` says. A board runs a program, whose argument decides how long: a
calibration (`taskgen calibrate`) knows how; without one it is the table of the board that taskgen brings.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from taskgen.units import Milliseconds


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
