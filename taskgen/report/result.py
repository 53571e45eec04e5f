"""The result document: one JSON document for all runs of a command, written run by run.

Memory stays flat whatever the number of variants. A run reaches the file in one piece, so the document can be closed,
and is valid, after any of them.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from taskgen import __version__
from taskgen.events import EventType
from taskgen.monitor import Run
from taskgen.report.export import job_json, text_json
from taskgen.trace import Trace
from taskgen.units import format_ms

if TYPE_CHECKING:
    from taskgen.distributor.health import TargetHealth

SCHEMA = 1


class Writable(Protocol):
    """What the document is written to: a text file, or whatever hands the text on."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> object:
        """Hand on what is buffered."""


class ResultWriter:
    """Streams the result document to a text file that stays the caller's.

    Nothing is written before the first run or `close`, so a command that fails before it ran anything leaves no
    document behind. `target` is what the user asked for; each run names the target that it ran on.
    """

    def __init__(self, file: Writable, target: str, seed: int, *, started: datetime | None = None) -> None:
        self._file = file
        moment = (started or datetime.now(UTC)).astimezone(UTC)
        self._pending = (
            f'{{"schema": {SCHEMA}, "taskgen": {text_json(__version__)}, "target": {text_json(target)},'
            f' "started": "{moment:%Y-%m-%dT%H:%M:%SZ}", "seed": {seed}, "runs": [\n'
        )
        self._closed = False

    def add(self, run: Run, trace: Trace | None) -> None:
        """Append a run that is over; `trace` is None where none came to be.

        Raises:
            ValueError: the document is closed.
        """
        self.add_document(run_document(run, trace))

    def add_document(self, document: str) -> None:
        """Append a run as `run_document` told it, now or earlier.

        Raises:
            ValueError: the document is closed.
        """
        if self._closed:
            raise ValueError("the result document is closed")
        # One call of write: whatever interrupts it, there is no half of a run to be closed behind.
        self._file.write(self._pending + document)
        self._pending = ",\n"

    def close(self, complete: bool = True, targets: "Sequence[TargetHealth]" = ()) -> None:
        """End the document; `complete=False` says that there was more to run. Idempotent.

        `targets` are those that failed: what became of them, and why.
        """
        if self._closed:
            return
        self._closed = True
        opening = "" if self._pending == ",\n" else self._pending
        rows = f', "targets": [{", ".join(map(_target_json, targets))}]' if targets else ""
        self._file.write(f'{opening}\n], "complete": {"true" if complete else "false"}{rows}}}\n')
        self._file.flush()


def run_document(run: Run, trace: Trace | None) -> str:
    """Return a run as a JSON object: what was run, its jobs, and a summary; all times in ms.

    `attempt`, `reason`, `history` and `canary` appear where there is something to say.
    """
    return "{" + ", ".join(f'"{key}": {text}' for key, text in _fields(run, trace)) + "}"


def _target_json(row: "TargetHealth") -> str:
    return (
        f'{{"target": {text_json(row.target)}, "health": {text_json(row.health)}, "failures": {row.total_failures},'
        f' "reason": {text_json(row.reason)}}}'
    )


def speaks_against(run: Run, trace: Trace | None) -> bool:
    """Whether a run is a verdict against the system under test: rejected, a job that failed, or a missed deadline."""
    if trace is None:
        return False
    errors = any(job.outcome is EventType.EXIT_ERROR for job in trace.jobs)
    return run.status == "rejected" or errors or bool(trace.misses)


def _fields(run: Run, trace: Trace | None) -> Iterator[tuple[str, str]]:
    from taskgen import document

    yield "variant", str(run.variant)
    yield "target", text_json(run.target)
    yield "status", "null" if run.status is None else text_json(run.status)
    yield "seed", str(run.seed)
    if run.attempt != 1:
        yield "attempt", str(run.attempt)
    if run.reason:
        yield "reason", text_json(run.reason)
    if run.history:
        yield "history", document.encode(list(run.history))
    if run.canary is not None:
        yield "canary", document.encode(run.canary)
    yield "duration_ms", "null" if trace is None else format_ms(trace.end_ns)
    yield "taskset", document.encode(document.to_plain(run.taskset))
    jobs = () if trace is None else trace.jobs
    yield "jobs", "[" + ", ".join(map(job_json, jobs)) + "]"
    yield "summary", "{" + ", ".join(f'"{key}": {text}' for key, text in _summary(run, trace)) + "}"


def _summary(run: Run, trace: Trace | None) -> Iterator[tuple[str, str]]:
    yield "jobs", "0" if trace is None else str(len(trace.jobs))
    yield "misses", "0" if trace is None else str(len(trace.misses))
    worst = {} if trace is None else trace.max_response_ns
    yield "max_response_ms", "{" + ", ".join(f'"{task}": {format_ms(ns)}' for task, ns in sorted(worst.items())) + "}"
    if run.horizon is not None:
        yield "horizon_ms", format_ms(run.horizon.time_ns)
        yield "bound", text_json(run.horizon.bound)
        yield "exactness", '"exact"' if run.exact else '"observed"'
