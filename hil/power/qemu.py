"""The power driver `qemu`: an emulated board is reset through its monitor, or killed and started anew.

A reset is tried first. A QEMU whose monitor doesn't answer, that refuses, or that needs a reset again soon after one,
is ended (`quit`, else SIGKILL) and started from its command. What runs then lives in a session of its own and outlives
us, as a board does; `off` ends it.
"""

import shlex
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO

from hil import program
from hil.power.arguments import fill, fill_one
from hil.power.instance import Child, Process, stranger
from hil.power.qmp import Monitor, QmpAbsent, QmpError, QmpRefused, parse
from taskgen.power import Place, PowerError
from taskgen.units import NS_PER_MS, short

#: After a reset, another one within this time becomes a restart: the first one didn't help.
TRUST_NS = 300 * 1000 * NS_PER_MS

_TICK_S = 0.02
_TRIES = 50


@dataclass(slots=True)
class Board:
    """What this process knows about one QEMU, whoever drives it."""

    process: subprocess.Popen[bytes] | None = None  #: what was started: kept, so that it can be ended
    reset_ns: int | None = None  #: when it was reset, unless it was started since


#: By monitor.
BOARDS: defaultdict[str, Board] = defaultdict(Board)


class QemuPower:
    """Resets or restarts one QEMU.

    Args:
        place: the board, for the placeholders `{host}`, `{port}` and `{name}` in the other arguments.
        qmp: where its monitor listens: `unix:/run/board0.sock` (on Linux it then can be killed whoever started it) or
            `127.0.0.1:4444`.
        command: how it is started, a list of arguments without a shell; without it a QEMU is only ever reset.
        timeout_ms: how long the monitor may take to do what it is asked.
        start_ms: how long QEMU may take from its start until its monitor says that the guest runs.
        clock: what time it is, in ns.
        sleep: waits, in seconds.

    Raises:
        UsageError: `qmp` is no address, or a placeholder is unknown.
    """

    def __init__(
        self,
        place: Place,
        *,
        qmp: str,
        command: Sequence[str] = (),
        timeout_ms: int = 2_000,
        start_ms: int = 20_000,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._where = fill_one(qmp, place, "power.qmp")
        parse(self._where)
        self._command = fill(command, place, "power.command")
        self._timeout_ns = timeout_ms * NS_PER_MS
        self._start_ns = start_ms * NS_PER_MS
        self._clock = clock
        self._sleep = sleep
        self.board = BOARDS[self._where]

    @property
    def bound_ns(self) -> int:
        """How long `cycle` takes at most: to reset, to quit in vain, to be killed, to be gone, to start."""
        return 5 * self._timeout_ns + self._start_ns + round(3 * program.DEATH_S * 1e9)

    def describe(self) -> str:
        """Return which QEMU this is, by its monitor."""
        return f"QEMU at {self._where}"

    @property
    def can_start(self) -> bool:
        """Whether `cycle` could start it, as far as one can tell without doing so."""
        return bool(self._command) and shutil.which(self._command[0]) is not None

    def cycle(self) -> None:
        """Reset the guest and let it run; or end QEMU and start it again.

        Raises:
            PowerError: the guest doesn't run afterwards, with the reason.
        """
        monitor: Monitor | None = None
        with ExitStack() as stack:
            try:
                monitor = stack.enter_context(self._open())
                self._reset(monitor)
            except QmpError as error:
                if not self._command:
                    raise PowerError(
                        str(error), hint="add command = [...] to power: then QEMU can be restarted"
                    ) from None
                self._end(stack, monitor, polite=isinstance(error, QmpRefused))
            else:
                return
        self._start()

    def off(self) -> None:
        """End QEMU, if it runs; `cycle` starts it again.

        Raises:
            PowerError: it can't be ended.
        """
        monitor: Monitor | None = None
        with ExitStack() as stack:
            try:
                monitor = stack.enter_context(self._open())
                monitor.greet()
            except QmpError:
                self._end(stack, monitor, polite=False)
            else:
                self._end(stack, monitor, polite=True)

    def _open(self) -> Monitor:
        return Monitor.connect(self._where, self._clock() + self._timeout_ns, self._clock)

    def _reset(self, monitor: Monitor) -> None:
        monitor.greet()
        now_ns = self._clock()
        reset_ns = self.board.reset_ns
        if self._command and reset_ns is not None and now_ns - reset_ns < TRUST_NS:
            raise QmpRefused(f"QMP at {self._where}: the last reset didn't help")
        monitor.execute("system_reset")
        self._let_run(monitor)
        self.board.reset_ns = now_ns

    def _let_run(self, monitor: Monitor) -> None:
        status: object = None
        for _ in range(_TRIES):
            status = monitor.execute("query-status")
            if isinstance(status, dict) and status.get("running") is True:
                return
            with suppress(QmpRefused):  # the reset isn't through yet
                monitor.execute("cont")
            self._sleep(_TICK_S)
        raise QmpRefused(f"QMP at {self._where}: the guest doesn't run: {short(status)}")

    def _end(self, stack: ExitStack, monitor: Monitor | None, *, polite: bool) -> None:
        """End QEMU: what we started for this monitor, and who listens there; the connection proves who that is."""
        processes: list[Process] = []
        self.board.reset_ns = None
        if (child := self.board.process) is not None and child.poll() is None:
            processes.append(Child(child))
        if monitor is not None:
            listener = stranger(monitor.pid, self._command[0] if self._command else "", self._where)
            if listener is not None:
                stack.callback(listener.close)
                processes.append(listener)
            if polite:
                monitor.deadline_ns = self._clock() + self._timeout_ns
                with suppress(QmpError):
                    monitor.execute("quit")
        grace_s = self._timeout_ns / 1e9 if polite else 0
        for process in processes:
            if not process.wait(grace_s) and not process.kill():
                raise PowerError(f"{self.describe()}: its process doesn't die of SIGKILL")
        self._await_absence()

    def _await_absence(self) -> None:
        deadline_ns = self._clock() + self._timeout_ns
        while self._clock() < deadline_ns:
            try:
                Monitor.connect(self._where, deadline_ns, self._clock).close()
            except QmpAbsent:
                return
            except QmpError:
                pass  # somebody is there, and accepts nobody
            self._sleep(_TICK_S)
        raise PowerError(
            f"{self.describe()}: is frozen, and nobody knows which process it is",
            hint="let its monitor listen at a UNIX socket (Linux only), or let taskgen start it",
        )

    def _start(self) -> None:
        shown = f"{self.describe()}: {shlex.join(self._command):.200}"
        try:
            process = program.start(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise PowerError(f"{shown}: can't be started: {reason}", hint="is it installed?") from None
        self.board.process = process
        if process.stderr is None:
            raise AssertionError("stderr is a pipe")
        tail = bytearray()
        try:
            reason = self._await_guest(process, process.stderr, tail)
        except BaseException:
            program.end(process)
            raise
        finally:
            process.stderr.close()  # QEMU ignores SIGPIPE
        if reason:
            program.end(process)
            said = "".join(program.lines_of(tail)[:1])  # what follows are explanations
            raise PowerError(
                f"{shown}: {reason}{f': {said}' if said else ''}",
                hint="does its command have the monitor: -qmp unix:PATH,server=on,wait=off?",
            )

    def _await_guest(self, process: subprocess.Popen[bytes], errors: IO[bytes], tail: bytearray) -> str:
        """Wait until the guest runs; return why it doesn't, or nothing."""
        deadline_ns = self._clock() + self._start_ns
        reason = ""
        while self._clock() < deadline_ns:
            program.read_tail(errors, tail)
            try:
                with Monitor.connect(self._where, deadline_ns, self._clock) as monitor:
                    monitor.greet()
                    self._let_run(monitor)
                    return ""
            except QmpError as error:
                reason = str(error)
            if process.poll() not in {None, 0}:  # 0: it went on as a daemon
                program.read_tail(errors, tail)
                return f"exit code {process.returncode}"
            self._sleep(_TICK_S)
        return f"doesn't run within {self._start_ns // NS_PER_MS} ms: {reason}"
