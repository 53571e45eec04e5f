"""Monitors: what people and programs see of each run."""

import csv
import io
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from taskgen import Capabilities, Event, EventType, TaskSet, Trace
from taskgen.errors import UsageError
from taskgen.monitor import Monitor, Run
from taskgen.monitors.csv import CsvMonitor
from taskgen.monitors.jsonl import JsonlMonitor
from taskgen.monitors.progress import INTERVAL_S, ProgressMonitor
from taskgen.monitors.stdout import TABLES, StdOutMonitor
from taskgen.parameters import parameters_of
from taskgen.registry import load

MS = 1_000_000


def finished(variant: int = 0, *, finish_ms: int = 3, target: str = "sim") -> tuple[Run, Trace]:
    """One job of C = 3, T = D = 10 that ends at `finish_ms`."""
    taskset = TaskSet([{"pkg": "hey", "executiontime": 3, "period": 10, "numberofjobs": 1, "priority": variant}])
    trace = Trace(parameters_of(taskset))
    for time_ms, kind in ((0, "RELEASE"), (0, "START"), (finish_ms - 3, "DISPATCH"), (finish_ms, "EXIT")):
        trace.append(Event(time_ms * MS, EventType(kind), 0, 0, 0))
    return Run(variant, taskset, target, status="finished"), trace


def hear(monitor: Monitor, *runs: tuple[Run, Trace]) -> None:
    for run, trace in runs:
        monitor.taskset_started(run)
        for event in trace.events:
            monitor.taskset_event(run, event)
        monitor.taskset_finished(run, trace)


def console(**options: Any) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, width=80, **options), file


def test_stdout_shows_a_table_with_the_response_times() -> None:
    terminal, file = console()
    hear(StdOutMonitor(terminal), finished(finish_ms=7))
    text = file.getvalue()
    assert "variant 0 on sim: finished, 7.0 ms" in text
    row = next(line.split() for line in text.splitlines() if " hey" in line)
    assert row == ["0", "hey", "1", "1", "0", "7.0", "7.0", "7.0", "10.0", "0"]
    assert "MISSED" not in text


def test_stdout_marks_a_missed_deadline_by_a_word_without_colours() -> None:
    terminal, file = console()
    hear(StdOutMonitor(terminal), finished(finish_ms=11))
    assert "1 MISSED" in file.getvalue()
    assert "\x1b" not in file.getvalue()


def test_stdout_respects_no_color_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, file = console(force_terminal=True)
    hear(StdOutMonitor(terminal), finished(finish_ms=11))
    assert "1 MISSED" in file.getvalue()
    assert "\x1b[1;31m" not in file.getvalue()
    monkeypatch.delenv("NO_COLOR")
    terminal, file = console(force_terminal=True, color_system="standard")
    hear(StdOutMonitor(terminal), finished(finish_ms=11))
    assert "\x1b[1;31m1 MISSED" in file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_stdout_never_shortens_a_number_or_a_verdict(width: int) -> None:
    file = io.StringIO()
    monitor = StdOutMonitor(Console(file=file, width=width, force_terminal=True, color_system=None))
    hear(monitor, finished(finish_ms=123_456))
    row = next(line for line in file.getvalue().splitlines() if "1 MISSED" in line)
    assert row.split()[-5:] == ["123456.0", "123456.0", "123456.0", "10.0", "0"]


def test_stdout_gives_many_variants_a_line_each_and_a_summary() -> None:
    terminal, file = console()
    monitor = StdOutMonitor(terminal)
    hear(monitor, *(finished(variant, finish_ms=11 if variant == 5 else 3) for variant in range(10)))
    monitor.close()
    monitor.close()
    lines = file.getvalue().splitlines()
    assert sum(" hey " in line for line in lines) == TABLES
    met = "1 job, no deadline missed; worst response 3.0 of 10.0 ms (task 0)"
    missed = "1 job, 1 deadline MISSED by task 0; worst response 11.0 of 10.0 ms (task 0)"
    assert lines[-8:] == [
        *(f"variant {number} (priority={number}): {missed if number == 5 else met}" for number in range(3, 10)),
        "10 variants: 10 finished; 10 jobs, 1 deadline MISSED in 1 variant",
    ]


def test_stdout_names_how_jobs_ended_that_did_not_complete() -> None:
    taskset = TaskSet([{"pkg": "[red]hey\x1b[31m", "period": 10, "criticaltime": 5}])
    trace = Trace(parameters_of(taskset))
    trace.append(Event(0, EventType.RELEASE, 0, 0, None))
    trace.append(Event(5 * MS, EventType.EXIT_CRITICAL, 0, 0, 0))
    trace.append(Event(10 * MS, EventType.RELEASE, 0, 1, None))
    trace.append(Event(12 * MS, EventType.EXIT_EXTERNAL, 0, 1, 0))
    terminal, file = console()
    hear(StdOutMonitor(terminal), (Run(0, taskset, "sim", status="finished"), trace))
    assert "1 killed, 1 cut off" in file.getvalue()
    assert "[red]hey?[31m" in file.getvalue()


def test_stdout_tells_stops_failures_and_rejections() -> None:
    terminal, file = console()
    monitor = StdOutMonitor(terminal)
    run, trace = finished(7)
    monitor.taskset_finished(Run(6, run.taskset, "sim", status="rejected"), Trace(trace.tasks.values()))
    monitor.taskset_stopped(Run(7, run.taskset, "board", attempt=3, status="failed"), "no route")
    monitor.taskset_stopped(Run(8, run.taskset, "board", status="stopped"), "Ctrl-C")
    assert file.getvalue().splitlines() == [
        "variant 6: rejected by admission, nothing ran",
        "variant 7 on board, attempt 3: FAILED: no route",
        "variant 8 on board: stopped: Ctrl-C",
    ]


def test_stdout_is_silent_about_a_session_that_only_describes() -> None:
    terminal, file = console()
    run, _ = finished()
    trace = Trace(parameters_of(run.taskset), capabilities=Capabilities(executes=False))
    hear(StdOutMonitor(terminal), (run, trace))
    assert file.getvalue() == ""


def test_stdout_prints_events_only_if_asked() -> None:
    terminal, file = console()
    hear(StdOutMonitor(terminal, events=True), finished())
    assert "variant 0           3.0 ms  EXIT            task 0 job 0  core 0" in file.getvalue().splitlines()


def test_csv_has_one_header_and_a_row_per_job() -> None:
    file = io.StringIO()
    monitor = CsvMonitor(file)
    hear(monitor, finished(0), finished(1, finish_ms=11, target='10.0.0.7, "lab"'))
    monitor.close()
    first, second = csv.DictReader(io.StringIO(file.getvalue()))
    assert (first["variant"], first["target"], first["task"], first["finish_ms"]) == ("0", "sim", "0", "3.0")
    assert (second["target"], second["missed"], second["response_ms"]) == ('10.0.0.7, "lab"', "true", "11.0")


def test_csv_streams_to_stdout_and_leaves_it_open(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = CsvMonitor()
    hear(monitor, finished())
    assert len(capsys.readouterr().out.splitlines()) == 2
    monitor.close()
    print("still open")  # noqa: T201  # that is the point
    assert capsys.readouterr().out == "still open\n"


@pytest.mark.parametrize("make", [CsvMonitor, JsonlMonitor])
def test_a_path_is_written_whole_when_the_monitor_is_closed(make: Callable[[Path], Monitor], tmp_path: Path) -> None:
    path = tmp_path / "runs"
    path.write_text("the old one")
    monitor = make(path)
    hear(monitor, finished())
    assert path.read_text() == "the old one"
    monitor.close()
    monitor.close()
    assert len(path.read_text().splitlines()) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["runs"]


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no_such_folder"):
        CsvMonitor(tmp_path / "no_such_folder" / "runs.csv")


def test_a_csv_without_runs_has_its_header(tmp_path: Path) -> None:
    CsvMonitor(tmp_path / "runs.csv").close()
    assert (tmp_path / "runs.csv").read_text().startswith("variant,target,seed,task,job,release_ms,")


def test_jsonl_tells_each_run_on_lines_of_its_own() -> None:
    file = io.StringIO()
    monitor = JsonlMonitor(file)
    run, trace = finished()
    hear(monitor, (run, trace))
    monitor.taskset_stopped(Run(1, run.taskset, "sim", status="stopped"), "Ctrl-C")
    records = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [(record["record"], record["variant"]) for record in records] == [
        ("started", 0), ("finished", 0), ("stopped", 1),
    ]  # fmt: skip
    assert records[1]["run"]["jobs"][0]["finish_ms"] == 3.0
    assert records[2]["reason"] == "Ctrl-C"


def test_jsonl_holds_events_if_asked() -> None:
    file = io.StringIO()
    hear(JsonlMonitor(file, events=True), finished())
    events = [record for record in map(json.loads, file.getvalue().splitlines()) if record["record"] == "event"]
    assert [event["type"] for event in events] == ["RELEASE", "START", "DISPATCH", "EXIT"]
    assert events[-1] == {
        "record": "event", "variant": 0, "target": "sim", "attempt": 1,
        "time_ms": 3.0, "type": "EXIT", "task": 0, "job": 0, "core": 0,
    }  # fmt: skip


@pytest.mark.parametrize("make", [StdOutMonitor, JsonlMonitor])
def test_who_is_not_asked_for_events_does_not_listen_to_them(make: type[Monitor]) -> None:
    assert getattr(make().taskset_event, "__func__", None) is Monitor.taskset_event


def test_progress_without_terminal_speaks_once_per_interval_and_at_the_end() -> None:
    now = [0.0]
    terminal, file = console()
    monitor = ProgressMonitor(25, terminal, clock=lambda: now[0])
    for number in range(25):
        now[0] += INTERVAL_S / 10
        hear(monitor, finished(finish_ms=11 if number == 15 else 3))
    monitor.close()
    monitor.close()
    assert file.getvalue().splitlines() == [
        "10 of 25 variants done",
        "20 of 25 variants done, 1 with missed deadlines",
        "25 of 25 variants done, 1 with missed deadlines",
    ]


@pytest.mark.parametrize("total", [None, math.inf, 3, 10**5000], ids=["unknown", "unbounded", "few", "very many"])
def test_progress_draws_a_bar_on_a_terminal_for_any_total(total: float | None) -> None:
    terminal, file = console(force_terminal=True)
    monitor = ProgressMonitor(total, terminal)
    hear(monitor, finished())
    monitor.taskset_stopped(finished()[0], "lost")
    monitor.close()
    assert "variants" in file.getvalue()
    assert file.getvalue().rstrip().endswith("variants done, 1 stopped or failed")


def test_progress_that_never_began_says_nothing() -> None:
    terminal, file = console()
    ProgressMonitor(10, terminal).close()
    assert file.getvalue() == ""


@pytest.mark.parametrize("name", ["stdout", "csv", "jsonl", "progress", "stdout.StdOutMonitor", "csv.CsvMonitor"])
def test_the_ready_made_monitors_are_found_by_name(name: str) -> None:
    assert isinstance(load("monitors", name)(), Monitor)


@pytest.mark.parametrize("make", ["stdout:StdOutMonitor", "csv:CsvMonitor", "jsonl:JsonlMonitor"])
def test_a_broken_pipe_reaches_the_caller(make: str) -> None:
    module, _, kind = make.partition(":")
    code = f"""
import os, sys
from taskgen import TaskSet, Trace
from taskgen.monitor import Run
from taskgen.monitors.{module} import {kind}
from taskgen.parameters import parameters_of
taskset = TaskSet([{{"period": 10}}])
try:
    {kind}().taskset_finished(Run(0, taskset, "sim", status="finished"), Trace(parameters_of(taskset)))
except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(7)
"""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (7, "")
