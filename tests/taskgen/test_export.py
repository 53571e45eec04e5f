"""Jobs and events as text: exact times, one row per job, whole files or none."""

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import Event, EventType, Job, TaskSet, Trace
from taskgen.errors import UsageError
from taskgen.parameters import parameters_of
from taskgen.report.export import CSV_COLUMNS, JOB_KEYS, event_json, job_csv, job_json, printable, task_label

MS = 1_000_000
TIMES = st.none() | st.integers(0, 2**62)
COUNTS = st.none() | st.integers(0, 1000)
JOBS = st.builds(
    Job,
    task_id=st.integers(0, 2**31 - 1),
    index=st.integers(0, 2**32),
    arrival_ns=TIMES,
    release_ns=TIMES,
    start_ns=TIMES,
    finish_ns=TIMES,
    deadline_ns=TIMES,
    outcome=st.none() | st.sampled_from(EventType),
    core=COUNTS,
    preemptions=COUNTS,
    executed_ns=TIMES,
)
TIME_KEYS = {"release_ms": "release_ns", "start_ms": "start_ns", "finish_ms": "finish_ns", "deadline_ms": "deadline_ns"}


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def one_job() -> Trace:
    """One job of C = 3, T = D = 10 from 0 to 3."""
    trace = Trace(parameters_of(TaskSet([{"pkg": "hey", "period": 10, "executiontime": 3}])))
    for time_ms, kind in ((0, "RELEASE"), (0, "START"), (0, "DISPATCH"), (3, "EXIT")):
        trace.append(Event(time_ms * MS, EventType(kind), 0, 0, 0))
    trace.append(Event(3 * MS, EventType.IDLE, None, None, 0))
    return trace


def test_a_job_is_the_object_of_the_result_document() -> None:
    assert job_json(one_job().jobs[0]) == (
        '{"task": 0, "job": 0, "release_ms": 0.0, "start_ms": 0.0, "finish_ms": 3.0, "deadline_ms": 10.0,'
        ' "outcome": "EXIT", "missed": false, "preemptions": 0, "core": 0}'
    )


def test_an_event_without_job_has_nulls() -> None:
    event = Event(1, EventType.IDLE, None, None, 1)
    assert event_json(event) == '{"time_ms": 0.000001, "type": "IDLE", "task": null, "job": null, "core": 1}'


@given(JOBS)
def test_json_holds_each_time_to_the_nanosecond_and_null_where_unknown(job: Job) -> None:
    row = exact(job_json(job))
    assert tuple(row) == JOB_KEYS
    for key, attribute in TIME_KEYS.items():
        ns = getattr(job, attribute)
        assert row[key] == (None if ns is None else Decimal(ns) / MS)
    assert (row["task"], row["job"], row["core"], row["preemptions"]) == (
        job.task_id, job.index, job.core, job.preemptions,
    )  # fmt: skip
    assert row["missed"] is job.missed
    assert row["outcome"] == job.outcome


@given(JOBS)
def test_csv_says_what_json_says(job: Job) -> None:
    (cells,) = csv.reader([job_csv(job)])
    row = dict(zip(CSV_COLUMNS, cells, strict=True))
    response = row.pop("response_ms")
    assert response == ("" if job.response_ns is None else str(Decimal(job.response_ns) / MS)) or (
        Decimal(response) * MS == job.response_ns
    )
    words = {"": None, "true": True, "false": False}
    document = exact(job_json(job))
    for key, text in row.items():
        if text in words:
            assert document[key] is words[text]
        else:
            assert str(document[key]) == text


def test_a_trace_writes_itself_as_json_and_csv(tmp_path: Path) -> None:
    trace = one_job()
    trace.write_json(tmp_path / "trace.json")
    document = json.loads((tmp_path / "trace.json").read_text())
    assert document["end_ms"] == 3.0
    assert [job["finish_ms"] for job in document["jobs"]] == [3.0]
    assert [event["type"] for event in document["events"]] == ["RELEASE", "START", "DISPATCH", "EXIT", "IDLE"]
    trace.write_csv(tmp_path / "trace.csv")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "trace.csv").read_text()))
    assert (row["start_ms"], row["finish_ms"], row["response_ms"], row["outcome"]) == ("0.0", "3.0", "3.0", "EXIT")


def test_an_empty_trace_is_a_valid_document(tmp_path: Path) -> None:
    Trace().write_json(tmp_path / "trace.json")
    assert json.loads((tmp_path / "trace.json").read_text()) == {"schema": 1, "end_ms": 0.0, "jobs": [], "events": []}


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no_such_folder"):
        one_job().write_csv(tmp_path / "no_such_folder" / "trace.csv")


def test_labels_cannot_steer_a_terminal() -> None:
    assert task_label(one_job(), 0) == "0 hey"
    assert task_label(Trace(), 7) == "7"
    assert printable("a\x1b[31m\nb") == "a?[31m?b"
