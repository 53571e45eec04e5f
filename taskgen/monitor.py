"""Who listens: a Monitor is told what happens to each run, from one thread, in order per variant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from taskgen.horizon import Horizon
from taskgen.session import Status

if TYPE_CHECKING:
    from taskgen.events import Event
    from taskgen.taskset import TaskSet
    from taskgen.trace import Trace


@dataclass(slots=True)
class Run:
    """One variant on its way through a target; `status` is known when it is over."""

    variant: int  #: the index of the variant
    taskset: "TaskSet"
    target: str
    seed: int = 0
    attempt: int = 1
    status: Status | None = None
    reason: str = ""  #: why it failed or was stopped
    history: list[str] = field(default_factory=list)  #: the failures of earlier attempts
    horizon: Horizon | None = None
    exact: bool = False  #: the horizon shows all that can happen
    canary: Mapping[str, Any] | None = None  #: what the target's canary showed last, where the inventory asks for one


class Monitor:
    """Derive from it and override what you want to hear; a monitor that raises is detached and reported.

    A variant whose target failed is started again, with a new `Run` of a higher `attempt`; it has one result. A variant
    that a session refuses as it is described never begins: whoever started the work gets the error.
    """

    def taskset_started(self, run: Run) -> None:
        """A target has begun to run the variant."""

    def taskset_event(self, run: Run, event: "Event") -> None:
        """An event of the run."""

    def taskset_finished(self, run: Run, trace: "Trace") -> None:
        """The run is over by itself: finished or rejected."""

    def taskset_stopped(self, run: Run, reason: str) -> None:
        """The run was stopped, or failed for good."""

    def close(self) -> None:
        """No more runs will come."""


AbstractMonitor = Monitor  #: the original tool's name
