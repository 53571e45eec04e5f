"""The result document: exact, valid at any close, flat in memory."""

import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import taskgen
from taskgen import Event, EventType, TaskSet, Trace
from taskgen.horizon import Horizon
from taskgen.monitor import Run
from taskgen.parameters import parameters_of
from taskgen.report.result import ResultWriter, run_document

MS = 1_000_000
NOW = datetime(2026, 11, 21, 20, 0, 0, tzinfo=UTC)


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def one_job(**attributes: Any) -> tuple[Run, Trace]:
    """One job of C = 3, T = D = 10 from 0 to 3."""
    taskset = TaskSet([{"executiontime": 3, "period": 10, "numberofjobs": 1, **attributes}])
    trace = Trace(parameters_of(taskset))
    for time_ms, kind in ((0, "RELEASE"), (0, "START"), (0, "DISPATCH"), (3, "EXIT")):
        trace.append(Event(time_ms * MS, EventType(kind), 0, 0, 0))
    return Run(0, taskset, "sim", status="finished"), trace


def written(*runs: tuple[Run, Trace | None], complete: bool = True) -> dict[str, Any]:
    file = io.StringIO()
    writer = ResultWriter(file, "sim", 0, started=NOW)
    for run, trace in runs:
        writer.add(run, trace)
    writer.close(complete)
    document: dict[str, Any] = exact(file.getvalue())
    return document


def test_the_document_is_the_one_of_the_contract() -> None:
    document = written(one_job())
    assert document["schema"] == 1
    assert document["taskgen"] == taskgen.__version__
    assert (document["target"], document["started"]) == ("sim", "2026-11-21T20:00:00Z")
    assert document["complete"] is True
    assert document["runs"] == [
        {
            "variant": 0, "target": "sim", "status": "finished", "seed": 0, "duration_ms": 3,
            "taskset": {"periodictask": [{"executiontime": 3, "period": 10, "numberofjobs": 1, "id": 0}]},
            "jobs": [
                {
                    "task": 0, "job": 0, "release_ms": 0, "start_ms": 0, "finish_ms": 3, "deadline_ms": 10,
                    "outcome": "EXIT", "missed": False, "preemptions": 0, "core": 0,
                }
            ],
            "summary": {"jobs": 1, "misses": 0, "max_response_ms": {"0": 3}},
        }
    ]  # fmt: skip


def test_times_have_one_to_six_decimals_and_no_binary_noise() -> None:
    text = run_document(*one_job())
    assert '"duration_ms": 3.0' in text
    assert '"max_response_ms": {"0": 3.0}' in text


@given(
    st.one_of(
        st.decimals("0.000001", 10**6, places=6),
        st.integers(1, 10**9).map(lambda ns: Fraction(ns, MS)),
        st.integers(1, 10**9),
    )
)
def test_a_task_set_keeps_its_exact_numbers(period: Decimal | Fraction | int) -> None:
    run, trace = one_job(executiontime=1, period=period)
    (task,) = exact(run_document(run, trace))["taskset"]["periodictask"]
    assert Fraction(task["period"]) == Fraction(period)


def test_the_summary_names_the_bound_of_the_horizon() -> None:
    run, trace = one_job()
    run.horizon, run.exact = Horizon(20 * MS, "max offset + 2 hyperperiods"), True
    summary = exact(run_document(run, trace))["summary"]
    assert (summary["horizon_ms"], summary["bound"]) == (20, "max offset + 2 hyperperiods")
    assert summary["exactness"] == "exact"
    run.exact = False
    assert exact(run_document(run, trace))["summary"]["exactness"] == "observed"


def test_the_duration_is_that_of_the_trace() -> None:
    run, trace = one_job()
    assert exact(run_document(run, trace))["duration_ms"] == 3
    trace.end_ns = 20 * MS
    assert exact(run_document(run, trace))["duration_ms"] == 20


def test_misses_and_the_worst_response_are_counted_per_task() -> None:
    run, trace = one_job(numberofjobs=3)
    for job, (release_ms, finish_ms, kind) in enumerate(((10, 21, "EXIT"), (20, 25, "EXIT_CRITICAL")), start=1):
        trace.append(Event(release_ms * MS, EventType.RELEASE, 0, job, None))
        trace.append(Event(finish_ms * MS, EventType(kind), 0, job, 0))
    summary = exact(run_document(run, trace))["summary"]
    assert summary == {"jobs": 3, "misses": 2, "max_response_ms": {"0": 11}}


def test_a_failed_run_tells_its_reason_attempt_and_history() -> None:
    run, _ = one_job()
    run.status, run.attempt, run.reason, run.history = "failed", 2, 'lost "10.0.0.7"\n', ["10.0.0.8: silent"]
    (document,) = written((run, None), complete=False)["runs"]
    assert (document["status"], document["attempt"]) == ("failed", 2)
    assert document["reason"] == 'lost "10.0.0.7"\n'
    assert document["history"] == ["10.0.0.8: silent"]
    assert (document["jobs"], document["duration_ms"]) == ([], None)


@given(runs=st.integers(0, 4), complete=st.booleans())
def test_the_document_is_valid_after_any_number_of_runs(runs: int, complete: bool) -> None:
    document = written(*[one_job()] * runs, complete=complete)
    assert len(document["runs"]) == runs
    assert document["complete"] is complete


def test_an_interrupted_run_leaves_the_document_to_be_closed() -> None:
    class Interrupted(TaskSet):
        def __iter__(self) -> Iterator[Any]:
            raise KeyboardInterrupt

    file = io.StringIO()
    writer = ResultWriter(file, "sim", 0)
    writer.add(*one_job())
    with pytest.raises(KeyboardInterrupt):
        writer.add(Run(1, Interrupted(), "sim", status="finished"), Trace())
    writer.close(complete=False)
    assert [run["variant"] for run in exact(file.getvalue())["runs"]] == [0]


def test_nothing_is_written_before_the_first_run_and_nothing_after_close() -> None:
    file = io.StringIO()
    writer = ResultWriter(file, "sim", 0)
    assert file.getvalue() == ""
    writer.close()
    text = file.getvalue()
    writer.close(complete=False)
    assert file.getvalue() == text
    assert exact(text)["runs"] == []
    with pytest.raises(ValueError, match="closed"):
        writer.add(*one_job())


def test_memory_stays_flat_however_many_runs_there_are() -> None:
    class Sink(io.TextIOBase):
        size = 0

        def write(self, text: str) -> int:
            self.size += len(text)
            return len(text)

    sink = Sink()
    writer = ResultWriter(sink, "sim", 0)
    run = one_job()
    writer.add(*run)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            writer.add(*run)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sink.size > 600_000
    assert peak - before < 100_000
