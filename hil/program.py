"""Programs of somebody else: started without a shell, bounded in time and in what is kept of their output."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

#: How much of a program's output is kept: its end.
KEPT = 4096
#: How long a process may take to die of SIGKILL: longer only if the kernel holds it.
DEATH_S = 5.0

_TICK_S = 0.05


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    code: int | None  #: exit code, or the negative number of the signal; None: it was killed because its time was over
    output: bytes = b""  #: the last `KEPT` bytes of stdout and stderr

    def said(self) -> str:
        """Return the last line that it printed, printable and short; empty if it printed none."""
        return (lines_of(self.output) or [""])[-1]


def run(arguments: Sequence[str], timeout_s: float) -> Ended:
    """Run a program to its end, or kill it with all that it started when its time is over.

    A daemon that it leaves behind, such as the master connection of ssh, lives on and isn't waited for.

    Raises:
        OSError: it can't be started.
    """
    deadline = time.monotonic() + timeout_s
    process = start(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout
    if output is None:
        raise AssertionError("stdout is a pipe")
    tail = bytearray()
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while process.poll() is None and time.monotonic() < deadline:
                if selector.select(_TICK_S) and not read_tail(output, tail):
                    break  # nobody writes any more
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        code = process.poll()
        read_tail(output, tail)
    finally:
        end(process)
        output.close()
    return Ended(code, bytes(tail))


def start(arguments: Sequence[str], *, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: Ctrl-C isn't for it, and it can be killed with all that it starts.

    Raises:
        OSError: it can't be started.
    """
    process = subprocess.Popen(  # noqa: S603  # a list of arguments that the user configured, and no shell
        arguments, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
    )
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
    return process


def end(process: subprocess.Popen[bytes]) -> bool:
    """Kill a process that `start` started, with its whole group; return whether it is gone."""
    if process.poll() is None:  # not reaped, so its number is its own
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(DEATH_S)
    return process.poll() is not None


def read_tail(pipe: IO[bytes], tail: bytearray) -> bool:
    """Read what a pipe holds, and keep the end of it; return whether somebody may still write."""
    try:
        data = os.read(pipe.fileno(), 1 << 16)
    except BlockingIOError:
        return True
    tail += data
    del tail[:-KEPT]
    return bool(data)


def lines_of(output: bytes | bytearray) -> list[str]:
    """Return the lines of an output that aren't empty, printable and short."""
    lines = [line.strip()[:200] for line in output.decode(errors="replace").splitlines()]
    return ["".join(each if each.isprintable() else "\ufffd" for each in line) for line in lines if line]
