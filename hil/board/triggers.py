"""When a fault strikes: counts and draws, the same for streams and for boards.

One `Trigger` belongs to one fault on one connection, in one direction; `Once` is what the connections of a board share.
"""

import random
from collections.abc import Sequence

from hil.board.faults import Fault
from hil.board.kinds import BYTES


class Once:
    """Whether a fault that strikes only once has struck; one for all connections."""

    __slots__ = ("_fault", "_spent")

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._spent = False

    def spend(self) -> bool:
        """Strike, if that is still allowed."""
        allowed = not (self._fault.once and self._spent)
        self._spent = True
        return allowed


class Trigger:
    """Decides when one fault strikes.

    Args:
        fault: which one.
        key: what the draws depend on: seed, board, connection, ...
        once: what the fault's other triggers share with this one.
    """

    __slots__ = ("_heard", "_once", "_opportunities", "_sent", "fault", "random")

    def __init__(self, fault: Fault, key: str, once: Once) -> None:
        self.fault = fault
        self.random = random.Random(key)  # of text: the same in each process
        self._once = once
        self._opportunities = 0
        self._sent = 0
        self._heard = 0

    def due(self, message: str = "") -> bool:
        """Take an opportunity, and draw; True: the fault should strike here, if it isn't spent.

        Args:
            message: what the opportunity is, or is about.
        """
        fault = self.fault
        if fault.at and message != fault.at:
            return False
        is_open = self._is_open
        self._opportunities += 1
        return is_open and self._draw()

    def _draw(self) -> bool:
        return self.fault.p == 1 or self.random.random() < self.fault.p

    def spend(self) -> bool:
        """Strike, if it has another strike left."""
        return self._once.spend()

    def strikes(self, message: str = "") -> bool:
        """Take an opportunity, and strike if it is one."""
        return self.due(message) and self.spend()

    def heard(self, message: str) -> bool:
        """Note that the client's message is through; True: a prompt fault should strike behind it."""
        after = self.fault.after
        if after is None or after.unit != message:
            return False
        self._heard += 1
        return self.fault.prompt and self._heard >= after.number and self._draw()

    def passed(self) -> bool:
        """Note a message at which a prompt fault doesn't strike; True: it should strike behind it."""
        self._opportunities += 1
        after = self.fault.after
        return after is not None and not after.unit and self._opportunities == after.number

    @property
    def at_once(self) -> bool:
        """Whether nothing needs to go by before a prompt fault strikes."""
        after = self.fault.after
        return self.fault.prompt and (after is None or after.number == 0)

    def shares(self, once: Once) -> bool:
        """Whether this is a trigger of the very fault that `once` belongs to."""
        return self._once is once

    def sent(self, size: int) -> int | None:
        """Note that so many bytes go by; return behind how many of them `after=...B` is over, None if not in these."""
        before, self._sent = self._sent, self._sent + size
        after = self.fault.after
        if after is None or after.unit != BYTES or not before < after.number <= self._sent:
            return None
        return after.number - before

    @property
    def _is_open(self) -> bool:
        """Whether what `after` asks for has gone by."""
        after = self.fault.after
        if after is None:
            return True
        counted = {"": self._opportunities, BYTES: self._sent}.get(after.unit, self._heard)
        return counted >= after.number


class Plan:
    """The faults of a board, or of a proxy, and what its connections share.

    Args:
        faults: what goes wrong.
        key: what the draws depend on, besides the connection: the seed, and the number of the board.
        before: the plan that this one replaces: faults that it begins with, too, go on where they are.
    """

    def __init__(self, faults: Sequence[Fault], key: str, before: "Plan | None" = None) -> None:
        self.key = key
        self.faults = [(fault, Once(fault)) for fault in faults]
        for index, pair in enumerate(() if before is None else before.faults[: len(faults)]):
            if pair[0] == faults[index]:
                self.faults[index] = pair

    def trigger(self, index: int, place: str) -> Trigger:
        """Return a new trigger of fault `index` for a place: a connection, and perhaps a direction."""
        fault, once = self.faults[index]
        return Trigger(fault, f"{self.key}/{index}/{place}", once)
