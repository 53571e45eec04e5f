"""Runs as JSON lines: one object per line, `record` says what it is."""

from pathlib import Path
from typing import IO

from taskgen.events import Event
from taskgen.monitor import Run
from taskgen.monitors import FileMonitor
from taskgen.report.export import event_json, text_json
from taskgen.report.result import run_document
from taskgen.trace import Trace


class JsonlMonitor(FileMonitor):
    """Writes an object for each start, finish and stop of a run, and with `events=True` for each event.

    `finished` and `stopped` hold the run as in the result document; all of them name variant, target and attempt.
    """

    def __init__(self, out: str | Path | IO[str] | None = None, *, events: bool = False) -> None:
        super().__init__(out)
        if events:
            # Events are told one by one, which costs: nobody overrides this who doesn't listen.
            self.taskset_event = self._write_event  # type: ignore[method-assign]  # by choice of the instance

    def taskset_started(self, run: Run) -> None:
        """Write a `started` line."""
        self._write("started", run, f', "seed": {run.seed}')
        self.flush()

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        """Write a `finished` line with the run's jobs and summary."""
        self._write("finished", run, f', "run": {run_document(run, trace)}')
        self.flush()

    def taskset_stopped(self, run: Run, reason: str) -> None:
        """Write a `stopped` line with the reason."""
        self._write("stopped", run, f', "reason": {text_json(reason)}, "run": {run_document(run, None)}')
        self.flush()

    def _write_event(self, run: Run, event: Event) -> None:
        self._write("event", run, f", {event_json(event)[1:-1]}")

    def _write(self, record: str, run: Run, rest: str) -> None:
        target = text_json(run.target)
        self.file.write(
            f'{{"record": "{record}", "variant": {run.variant}, "target": {target}, "attempt": {run.attempt}{rest}}}\n'
        )
