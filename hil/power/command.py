"""The power driver `command`: a program of the user switches the board."""

import shlex
import time
from collections.abc import Callable, Sequence

from hil import program
from hil.power.arguments import fill
from taskgen.errors import UsageError
from taskgen.power import Place, PowerError
from taskgen.units import NS_PER_MS


class CommandPower:
    """Runs `cycle`, or `off` and `on` with a pause between them; each is a list of arguments, without a shell.

    Args:
        place: the board, for the placeholders `{host}`, `{port}` and `{name}`.
        cycle: switches the board off and on again.
        on: switches it on; needs `off`.
        off: switches it off; needs `on`.
        timeout_ms: how long one program may take; then it is killed with all that it started.
        pause_ms: how long the board stays off between `off` and `on`: its capacitors hold it for a while.
        sleep: waits, in seconds.

    Raises:
        UsageError: there is neither `cycle` nor both of `on` and `off`, or a placeholder is unknown.
    """

    def __init__(
        self,
        place: Place,
        *,
        cycle: Sequence[str] = (),
        on: Sequence[str] = (),
        off: Sequence[str] = (),
        timeout_ms: int = 60_000,
        pause_ms: int = 2_000,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not cycle and not (on and off):
            lack = "cycle is missing" if not (on or off) else f"{'off' if on else 'on'} is missing"
            raise UsageError(f"power command: {lack}", hint='write cycle = ["pducycle", "{host}"], or both on and off')
        self._cycle = fill(cycle, place, "power.cycle")
        self._on = fill(on, place, "power.on")
        self._off = fill(off, place, "power.off")
        self._timeout_ms = timeout_ms
        self._pause_ms = pause_ms
        self._sleep = sleep

    @property
    def bound_ns(self) -> int:
        """How long `cycle` takes at most."""
        one_ns = self._timeout_ms * NS_PER_MS + round(program.DEATH_S * 1e9)
        return one_ns if self._cycle else 2 * one_ns + self._pause_ms * NS_PER_MS

    def describe(self) -> str:
        """Return the command as one would type it."""
        return shlex.join(self._cycle or self._off)

    def cycle(self) -> None:
        """Switch the board off and on again.

        Raises:
            PowerError: a program can't be started, fails, or takes too long.
        """
        if self._cycle:
            self._run(self._cycle)
            return
        try:
            self._run(self._off)
        finally:  # one that failed may have switched it off all the same
            self._sleep(self._pause_ms / 1000)
            self._run(self._on)

    def _run(self, arguments: tuple[str, ...]) -> None:
        shown = f"power command {shlex.join(arguments):.200}"
        try:
            ended = program.run(arguments, self._timeout_ms / 1000)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise PowerError(f"{shown}: can't be started: {reason}", hint=f"is {arguments[0]:.60} installed?") from None
        if ended.code == 0:
            return
        if ended.code is None:
            how = f"took more than {self._timeout_ms} ms and was killed"
        else:
            how = f"signal {-ended.code}" if ended.code < 0 else f"exit code {ended.code}"
        said = ended.said()
        raise PowerError(f"{shown}: {how}{f': {said}' if said else ''}", hint="try it in a terminal")
