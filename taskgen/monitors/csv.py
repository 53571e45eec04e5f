"""Jobs as CSV: one row per job of each finished run."""

from pathlib import Path
from typing import IO

from taskgen.monitor import Run
from taskgen.monitors import FileMonitor
from taskgen.report.export import CSV_COLUMNS, job_csv
from taskgen.trace import Trace


class CsvMonitor(FileMonitor):
    """Writes one row per job, times in ms, unknown values empty; the header comes once.

    `variant,target,seed` come first, then the columns `taskgen.report.export.CSV_COLUMNS`.
    """

    def __init__(self, out: str | Path | IO[str] | None = None) -> None:
        super().__init__(out)
        self._header = ",".join(("variant", "target", "seed", *CSV_COLUMNS)) + "\n"

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        """Write the jobs of the run."""
        self._write_header()
        prefix = f"{run.variant},{_quoted(run.target)},{run.seed},"
        self.file.writelines(f"{prefix}{job_csv(job)}\n" for job in trace.jobs)
        self.flush()

    def close(self) -> None:
        """End the file; a file without jobs has a header, too. Idempotent."""
        self._write_header()
        super().close()

    def _write_header(self) -> None:
        if self._header:
            self.file.write(self._header)
            self._header = ""
            self.flush()


def _quoted(text: str) -> str:
    """Quote a cell where RFC 4180 asks for it."""
    if any(char in text for char in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
