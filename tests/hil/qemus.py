"""Real QEMUs for tests: an ARM guest that waits for interrupts and for nothing else, and no network but loopback."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hil.power.qmp import Monitor, QmpError

PROGRAM = "qemu-system-arm"
MISSING = f"{PROGRAM} isn't installed (Debian: apt install qemu-system-arm)"
LONG_NS = 60 * 10**9

#: `wfi`, and a branch back to it: the guest sleeps instead of taking a core of ours.
_GUEST = bytes.fromhex("03f020e3 fdffffea")


def present() -> bool:
    return shutil.which(PROGRAM) is not None


def command(folder: Path, qmp: str) -> list[str]:
    """Return how such a QEMU is started; its guest waits for `cont`."""
    image = folder / "guest.bin"
    image.write_bytes(_GUEST)
    loader = f"loader,file={image},addr=0x40800000,cpu-num=0,force-raw=on"
    machine = ["-M", "virt", "-m", "16", "-display", "none", "-nodefaults", "-S", "-device", loader]
    return [PROGRAM, *machine, "-qmp", f"{qmp},server=on,wait=off"]


def ask(where: str, request: str = "query-status") -> Any:
    """Ask a monitor as somebody else would."""
    with Monitor.connect(where, time.monotonic_ns() + LONG_NS) as monitor:
        monitor.greet()
        return monitor.execute(request)


def pid_at(where: str) -> int | None:
    """Return the process that listens at a UNIX socket."""
    with Monitor.connect(where, time.monotonic_ns() + LONG_NS) as monitor:
        return monitor.pid


@contextmanager
def running(arguments: list[str], where: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a QEMU that isn't the driver's own, and let its guest run."""
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            try:
                ask(where, "cont")
                break
            except QmpError:
                time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def freeze(pid: int) -> None:
    """Stop a process as a hung host would; its sockets still accept."""
    os.kill(pid, signal.SIGSTOP)
