"""What sessions leave behind that they shouldn't: threads and sockets of this process."""

import os
import stat
import threading
import time
from contextlib import suppress
from typing import NamedTuple, Self

from taskgen.testing.event_laws import require

#: Where a system lists the files that a process has open; elsewhere nobody counts sockets.
_OPEN_FILES = "/dev/fd"
_GLANCE_S = 0.002


class Leftovers(NamedTuple):
    """The threads and sockets that there are."""

    threads: frozenset[threading.Thread]
    sockets: frozenset[int]

    @classmethod
    def now(cls) -> Self:
        """Return those of this instant."""
        return cls(frozenset(threading.enumerate()), frozenset(_sockets()))

    def check(self, patience_s: float) -> None:
        """Raise AssertionError if some are there that weren't, and don't go away in time."""
        deadline = time.monotonic() + patience_s
        while (more := self._more()) and time.monotonic() < deadline:
            time.sleep(_GLANCE_S)
        require(not more, f"nothing is left in the end, found {more}")

    def _more(self) -> str:
        now = self.now()
        threads = sorted(thread.name for thread in now.threads - self.threads)
        sockets = len(now.sockets - self.sockets)
        return ", ".join([*(f"the thread {name!r}" for name in threads), *([f"{sockets} sockets"] if sockets else [])])


def _sockets() -> set[int]:
    """Return the inodes of the sockets that are open."""
    found: set[int] = set()
    with suppress(FileNotFoundError):
        for name in os.listdir(_OPEN_FILES):  # noqa: PTH208  # mere names: Path would look at each
            with suppress(OSError, ValueError):  # closed meanwhile, like that of the listing itself
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode):
                    found.add(status.st_ino)
    return found
