"""Ready-made monitors: `stdout`, `csv`, `jsonl`, `progress`; see `taskgen.monitor.Monitor` for the interface."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from taskgen.monitor import Monitor
from taskgen.output import whole_file


class FileMonitor(Monitor):
    """The base of monitors that write text, to a path or to an open file; default: stdout.

    A path is written whole, when the monitor is closed; an open file stays the caller's and is flushed after each run.

    Raises:
        UsageError: the path can't be written; raised at once, before anything has run.
    """

    def __init__(self, out: str | Path | IO[str] | None = None) -> None:
        self._stack = ExitStack()
        self._streams = not isinstance(out, str | Path)
        if isinstance(out, str | Path):
            self.file: IO[str] = self._stack.enter_context(whole_file(Path(out)))
        else:
            self.file = sys.stdout if out is None else out

    def flush(self) -> None:
        """Show what is written so far to whoever reads along."""
        if self._streams:
            self.file.flush()

    def close(self) -> None:
        """Put a path in place; idempotent."""
        self._stack.close()
