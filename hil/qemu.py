"""Boards that are emulated here: when one doesn't answer or fails in a run, its QEMU is reset or started anew.

How is said by the target's `power` table in the inventory, of the driver `qemu` or any other.
"""

import math
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Self, TypeVar

from hil.power.qemu import QemuPower
from hil.session import TaskloaderSession
from taskgen.errors import TargetError, UsageError
from taskgen.events import Event
from taskgen.power import Switch, switch_of
from taskgen.session import Plan, Target

_T = TypeVar("_T")

#: The rests between connects to a guest that boots, in seconds; each costs it a socket. The last one repeats.
_RESTS = (0.1, 0.2, 0.5, 1.0, 2.0)

_TICK_S = 0.1

# When a run on a board failed, by target, unless the board was cycled since.
_failed_ns: dict[str, int] = {}


class QemuSession(TaskloaderSession):
    """A `TaskloaderSession` whose board is a QEMU: it is started, reset or restarted where it doesn't answer.

    A run that loses its board still raises: the next `open` or run cycles the board's power, unless somebody, such as a
    Distributor, did so since.
    """

    #: How long a guest may take from its start until it can be connected to, beside the time to settle.
    boot_s = 60.0

    _target: Target | None = None
    _switch: Switch | None = None

    @classmethod
    def probe(cls, target: Target) -> bool:
        """Tell whether the guest answers, or its QEMU could be started by `open`."""
        if super().probe(target):
            return True
        switch = switch_of(target)
        return switch is not None and (not isinstance(switch.driver, QemuPower) or switch.driver.can_start)

    @classmethod
    def open(cls, target: Target) -> Self:
        """Connect to the guest; where that fails, or the last run did, cycle its power and wait until it has booted.

        Raises:
            TargetError: it doesn't answer after that either.
            PowerError: it can't be reset or started.
            UsageError: nobody says how, or an option is wrong.
        """
        switch = switch_of(target)
        if switch is None:
            raise UsageError(
                f"{target}: the session qemu needs to know how its QEMU is reset and started",
                hint='add power = {driver = "qemu", qmp = "unix:PATH", command = [...]} to the target in taskgen.toml',
            )
        connect = super().open
        session = None
        if not _is_suspect(target, switch):
            with suppress(TargetError):  # one that was cycled a moment ago still boots
                session = _retry(lambda: connect(target), cls.boot_s - _age_s(switch))
        if session is None:
            switch.cycle(_rest)
            session = _retry(lambda: connect(target), cls.boot_s)
            session._boot.forget()
        _failed_ns.pop(str(target), None)
        session._target, session._switch = target, switch
        return session

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        """Run the plan, after a cycle of the power if the last run lost the board.

        Raises:
            TargetLost: the board was lost.
            TargetError: after its power was cycled, it doesn't answer.
        """
        name = str(self._target)
        if self._target is not None and self._switch is not None and _is_suspect(self._target, self._switch):
            self._drop()
            if plan.stopped() or not self._switch.cycle(partial(_rest, stopped=plan.stopped)):
                return
            _retry(self._connect, self.boot_s)
            self._boot.forget()
            del _failed_ns[name]
        try:
            yield from super().events(plan)
        except TargetError:
            _failed_ns[name] = time.monotonic_ns()
            raise


def _retry(connect: Callable[[], _T], seconds: float) -> _T:
    """Connect to a guest that boots, within so many seconds: at least once, and raise the last error."""
    deadline = time.monotonic() + seconds
    rests = iter(_RESTS)
    rest = 0.0
    while True:
        try:
            return connect()
        except TargetError:  # an emulated network accepts for a guest that doesn't listen yet
            rest = next(rests, rest)
            if time.monotonic() + rest >= deadline:
                raise
        time.sleep(rest)


def _is_suspect(target: Target, switch: Switch) -> bool:
    """Tell whether a run failed on this board since its power was cycled."""
    failed_ns = _failed_ns.get(str(target))
    return failed_ns is not None and (switch.cycled_ns is None or switch.cycled_ns < failed_ns)


def _age_s(switch: Switch) -> float:
    """Return how long ago the power was cycled."""
    return math.inf if switch.cycled_ns is None else (time.monotonic_ns() - switch.cycled_ns) / 1e9


def _rest(seconds: float, stopped: Callable[[], bool] = bool) -> bool:
    """Wait until the time is over or the run was stopped; return whether it is the former."""
    deadline = time.monotonic() + seconds
    while not stopped():
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return True
        time.sleep(min(remaining, _TICK_S))
    return False
