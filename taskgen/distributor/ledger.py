"""What outlives the driver: which variants have their result, and which were handed out without one.

A Distributor that is given a `Ledger` skips what is stored, notes an attempt before its target knows of it, and has a
result stored before any monitor hears of it. `taskgen.store` has one that survives a SIGKILL.
"""

from typing import Protocol

from taskgen.monitor import Run
from taskgen.trace import Trace


class Ledger(Protocol):
    """The memory of one piece of work; called from several threads. Whatever a method raises ends the work."""

    def stored(self, variant: int) -> bool:
        """Whether a variant has its result: then it is skipped."""

    def earlier(self, variant: int) -> list[str]:
        """Return one line per attempt that was begun before and came to no result, oldest first."""

    def begin(self, run: Run) -> None:
        """Note an attempt; durable when this returns."""

    def withdraw(self, run: Run) -> None:
        """Forget an attempt that never began: a session refused the description."""

    def store(self, run: Run, trace: Trace | None) -> None:
        """Keep the one result of a variant (finished, rejected or failed); durable when this returns."""
