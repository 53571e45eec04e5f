"""The processes of an emulated board: how they are found, and how they are made to end."""

import os
import selectors
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hil import program
from taskgen.power import PowerError


class Process(Protocol):
    """A process that can be ended."""

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""

    def kill(self) -> bool:
        """Kill it; return whether it is gone."""

    def close(self) -> None:
        """Forget it."""


class Child:
    """A process that this process started, with its group."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self._process.poll() is not None

    def kill(self) -> bool:
        """Kill it; return whether it is gone."""
        return program.end(self._process)

    def close(self) -> None:
        """Forget it; who started it keeps it."""


class Stranger:
    """A process that somebody else started: held by a descriptor, so that its number can't become another's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def kill(self) -> bool:
        """Kill it; return whether it is gone.

        Raises:
            PowerError: we may not.
        """
        if sys.platform == "linux":
            try:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            except ProcessLookupError:
                return True
            except PermissionError:
                raise PowerError("QEMU belongs to another user and can't be killed") from None
        return self.wait(program.DEATH_S)

    def close(self) -> None:
        """Forget it."""
        os.close(self._descriptor)


def stranger(pid: int | None, command: str, where: str) -> Stranger | None:
    """Return the process that listens at a monitor's socket, None if it is unknown or gone.

    Raises:
        PowerError: it is neither a QEMU nor runs the program of the command: it won't be killed.
    """
    if pid is None or sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    except OSError as error:  # a kernel before 5.3, or no descriptors left
        raise PowerError(f"process {pid} at {where} can't be watched: {error.strerror}") from None
    try:
        name = Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)")
    except OSError:
        name = "unknown"
    if name.startswith("qemu") or name == Path(shutil.which(command) or command).resolve().name:
        return Stranger(descriptor)
    os.close(descriptor)
    raise PowerError(
        f"process {pid} ({name}) listens at {where}, and is no QEMU: it isn't killed", hint="look at power.qmp"
    )
