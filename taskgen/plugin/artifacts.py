"""Files that tell what happened in a failed test: the task-sets, jobs and events of its last runs."""

import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from taskgen.errors import TaskgenError
from taskgen.plugin.runner import Record, Runner
from taskgen.trace import Trace

_LONGEST = 100
#: What is written of a run: the end of the file's name, and how.
_FORMS: tuple[tuple[str, Callable[[Record, Path], None]], ...] = (
    ("trace.json", lambda record, path: record.trace.write_json(path)),
    ("perfetto.json", lambda record, path: record.trace.write_chrome(path)),
    ("taskset.json", lambda record, path: record.taskset.dump(path)),
)


def folder_of(root: Path, nodeid: str) -> Path:
    """Return the folder of a test: its id as a name that any file system takes, unlike that of any other test."""
    readable = re.sub(r"[^\w.-]+", "-", nodeid, flags=re.ASCII).strip("-.")[-_LONGEST:]
    return root / f"{readable}-{zlib.crc32(nodeid.encode()):08x}"


def section(runner: Runner, folder: Path) -> str:
    """Write the last runs of a test to its folder; return what a report says about them."""
    runs = "1 execution" if runner.runs == 1 else f"{runner.runs} executions"
    return "\n".join([f"target {runner.target}, {runs}", *_written(runner.records, folder)])


def _written(records: Iterable[Record], folder: Path) -> Iterable[str]:
    for number, record in enumerate(records):
        yield f"run {number}: {_summary(record.trace)}{f'; {record.why}' if record.why else ''}"
        for ending, write in _FORMS:
            path = folder / f"run{number}.{ending}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write(record, path)
            except (TaskgenError, OSError) as error:
                yield f"  {path}: isn't written: {error}"
            else:
                yield f"  {path}"


def _summary(trace: Trace) -> str:
    return f"{len(trace.jobs)} jobs, {len(trace.misses)} missed, {len(trace.events)} events"
