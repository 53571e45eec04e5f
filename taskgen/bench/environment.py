"""What a measurement depends on besides the target: this machine, its clock, versions, and the state of the sources.

All of it is best effort: what can't be known is None, and nothing here fails or takes longer than a few seconds.
"""

import hashlib
import os
import platform
import subprocess
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from taskgen import __version__

_PACKAGES: Final = ("simpy", "lxml", "rich", "typer", "hypothesis", "numpy")
_GIT_SECONDS: Final = 5
_CPU: Final = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_CPUINFO: Final = Path("/proc/cpuinfo")
#: Names of a processor in /proc/cpuinfo, in the order of preference.
_CPU_KEYS: Final = ("model name", "Model", "Hardware", "cpu model", "Processor")
_LONGEST: Final = 200


def environment(folder: Path | None = None) -> dict[str, Any]:
    """Return what is known, as plain data; `folder` is where the sources are, by default the working directory."""
    return {
        "host": host(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "clock": clock(),
        "versions": versions(),
        "git": git(folder),
        "load": load(),
    }


def host() -> dict[str, Any]:
    """Return what this machine is: `id`, `machine`, `cpu`, `cores`, `usable` (of the cores, for us), `governor`.

    The id is a hash of the name: it tells machines apart, and results can be shown to others.
    """
    return {
        "id": hashlib.sha256(platform.node().encode("utf-8", "replace")).hexdigest()[:12],
        "machine": platform.machine(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "usable": _usable(),
        "governor": _first_line(_CPU),
    }


def clock() -> dict[str, Any]:
    """Return the clock that host times are from: its name, and its resolution in ns."""
    info = time.get_clock_info("perf_counter")
    return {"name": info.implementation, "resolution_ns": round(info.resolution * 1e9)}


def versions() -> dict[str, str | None]:
    """Return the versions of taskgen and of what it builds upon; None: not installed."""
    return {"taskgen": __version__, **{name: _version(name) for name in _PACKAGES}}


def git(folder: Path | None = None) -> dict[str, Any] | None:
    """Return the commit of a working directory, and whether tracked files differ from it; None: unknown."""
    # One command for both; without a matching tag it shows the commit.
    words = ["git", "-c", "core.fsmonitor=false", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    text = _output(words, folder)
    if text is None:
        return None
    commit, _, dirty = text.partition("-")
    if len(commit) < 40 or not all(digit in "0123456789abcdef" for digit in commit):
        return None
    return {"commit": commit, "dirty": bool(dirty)}


def load() -> list[float] | None:
    """Return how many processes wanted to run, on average over 1, 5 and 15 minutes; None: unknown."""
    with suppress(OSError, AttributeError):  # Windows
        return [round(average, 2) for average in os.getloadavg()]
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu() -> str | None:
    found: dict[str, str] = {}
    with suppress(OSError), _CPUINFO.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            key, colon, value = line.partition(":")
            if colon and value.strip():
                found.setdefault(key.strip(), value.strip()[:_LONGEST])
    return next((found[key] for key in _CPU_KEYS if key in found), platform.processor()[:_LONGEST] or None)


def _usable() -> int | None:
    with suppress(OSError, AttributeError):  # no such call beyond Linux
        return len(os.sched_getaffinity(0))
    return None


def _first_line(path: Path) -> str | None:
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(_LONGEST).strip() or None
    return None


def _output(words: list[str], folder: Path | None) -> str | None:
    """Return what a program prints; None: it is missing, fails, or takes too long."""
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603  # fixed words
            words,
            cwd=folder,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            check=True,
        )
        return done.stdout.decode("utf-8", "replace").strip()
    return None
