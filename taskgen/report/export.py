"""Jobs and events as text: the one place that turns a `Job` into a row of a CSV or an object of a document.

Times are formatted from integer nanoseconds, never through a float, and a document can hold millions of jobs, so the
rows are made by templates instead of an encoder.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from taskgen.events import Event, EventType
from taskgen.output import whole_file
from taskgen.trace import Job, Trace
from taskgen.units import format_ms

#: The keys of a job in a document, in order; a CSV has `response_ms` after them.
JOB_KEYS = (
    "task", "job", "release_ms", "start_ms", "finish_ms", "deadline_ms", "outcome", "missed", "preemptions", "core",
)  # fmt: skip
CSV_COLUMNS = (*JOB_KEYS, "response_ms")

_JSON_JOB = "{" + ", ".join(f'"{key}": %s' for key in JOB_KEYS) + "}"
_JSON_EVENT = '{"time_ms": %s, "type": "%s", "task": %s, "job": %s, "core": %s}'
_JSON_OUTCOMES: dict[EventType | None, str] = {None: "null", **{kind: f'"{kind}"' for kind in EventType}}
_CSV_OUTCOMES: dict[EventType | None, str] = {None: "", **{kind: str(kind) for kind in EventType}}


def job_json(job: Job) -> str:
    """Return a job as a JSON object with the keys `JOB_KEYS`; unknown values are null."""
    return _JSON_JOB % _cells(job, "null", _JSON_OUTCOMES)


def job_csv(job: Job) -> str:
    """Return a job as a CSV row in the order of `CSV_COLUMNS`, without line end; unknown values are empty."""
    response_ns = job.response_ns
    return ",".join(_cells(job, "", _CSV_OUTCOMES)) + ("," if response_ns is None else f",{format_ms(response_ns)}")


def _cells(job: Job, none: str, outcomes: Mapping[EventType | None, str]) -> tuple[str, ...]:
    task_id, index, _, release_ns, start_ns, finish_ns, deadline_ns, outcome, core, preemptions, _ = job
    return (
        str(task_id),
        str(index),
        none if release_ns is None else format_ms(release_ns),
        none if start_ns is None else format_ms(start_ns),
        none if finish_ns is None else format_ms(finish_ns),
        none if deadline_ns is None else format_ms(deadline_ns),
        outcomes[outcome],
        "true" if job.missed else "false",
        none if preemptions is None else str(preemptions),
        none if core is None else str(core),
    )


def event_json(event: Event) -> str:
    """Return an event as a JSON object: time_ms, type, task, job, core."""
    time_ns, kind, *rest = event
    return _JSON_EVENT % (format_ms(time_ns), kind, *("null" if value is None else value for value in rest))


def task_label(trace: Trace, task_id: int) -> str:
    """Return how a task is called in a picture: its id and program, on one line."""
    task = trace.tasks.get(task_id)
    program = "" if task is None else printable(task.attributes.get("pkg", ""))
    return f"{task_id} {program}".rstrip()


def printable(value: object) -> str:
    """Return a value of a description as text that can't steer a terminal: control characters become `?`."""
    text = str(value)
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def write_json(trace: Trace, path: Path) -> None:
    """Write jobs and events as one JSON document: {"schema", "end_ms", "jobs", "events"}, times in ms.

    Raises:
        UsageError: the file can't be written.
    """
    with whole_file(path) as file:
        file.write(f'{{"schema": 1, "end_ms": {format_ms(trace.end_ns)}, "jobs": [')
        file.writelines(_separated(map(job_json, trace.jobs)))
        file.write('\n], "events": [')
        file.writelines(_separated(map(event_json, trace.events)))
        file.write("\n]}\n")


def _separated(items: Iterable[str]) -> Iterator[str]:
    separator = "\n"
    for item in items:
        yield separator
        yield item
        separator = ",\n"


def write_csv(trace: Trace, path: Path) -> None:
    """Write the jobs as CSV with the columns `CSV_COLUMNS`, times in ms.

    Raises:
        UsageError: the file can't be written.
    """
    with whole_file(path) as file:
        file.write(",".join(CSV_COLUMNS) + "\n")
        file.writelines(f"{job_csv(job)}\n" for job in trace.jobs)


def text_json(text: str) -> str:
    """Return a text as a JSON string in ASCII, which any output can carry."""
    return json.dumps(text)
