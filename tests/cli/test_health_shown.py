"""What became of targets that failed: on stderr, in the result document, and beside the progress."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from taskgen import TaskSet, cli
from taskgen.distributor.health import Health, State, TargetHealth
from taskgen.monitor import Run
from taskgen.monitors.progress import ProgressMonitor

SESSIONS = """
import threading
from taskgen import Event, EventType, Session
from taskgen.errors import TargetLost

lost = threading.Semaphore(0)
once = []

class Half(Session):
    def __init__(self, target):
        self.target = target

    @classmethod
    def open(cls, target):
        return cls(target)

    def events(self, plan):
        if self.target.address == "flaky" and len(once) < 1:
            once.append(self)
            raise TargetLost("the cable is out")
        yield Event(0, EventType.START, 0, 0, 0)
        yield Event(1, EventType.EXIT, 0, 0, 0)

class Gone(Half):
    def events(self, plan):
        if self.target.address == "gone":
            lost.release()
            raise TargetLost("the cable is out")
        for _ in range(5 - len(once)):
            assert lost.acquire(timeout=20)
            once.append(self)
        yield from super().events(plan)
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[dict[str, Any], str]:
    with pytest.raises(SystemExit) as exited:
        cli.main(["run", "-t", "example.Hey6TaskSet", "--json", *arguments])
    captured = capsys.readouterr()
    assert exited.value.code == 0, captured.err
    document: dict[str, Any] = json.loads(captured.out)
    return document, captured.err


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sessions.py").write_text(SESSIONS)


def test_a_target_that_was_given_up_is_named_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    document, err = run(capsys, "gone", "fine", "-s", "sessions.py:Gone")
    reason = "the cable is out"
    name = "sessions.py:Gone:gone"
    assert document["targets"] == [{"target": name, "health": "quarantined", "failures": 5, "reason": reason}]
    assert f"{name}: quarantined, failed 5 times in a row: {reason}\n" in err


def test_a_target_that_failed_once_stands_in_the_document_only(capsys: pytest.CaptureFixture[str]) -> None:
    document, err = run(capsys, "flaky", "-s", "sessions.py:Half")
    assert document["targets"] == [
        {"target": "sessions.py:Half:flaky", "health": "good", "failures": 1, "reason": "the cable is out"}
    ]
    assert "cable" not in err


def test_without_failures_the_document_says_nothing_of_targets(capsys: pytest.CaptureFixture[str]) -> None:
    document, err = run(capsys, "sim")
    assert "targets" not in document
    assert "failed" not in err


def test_progress_counts_the_targets_in_trouble() -> None:
    def row(name: str, health: Health) -> TargetHealth:
        return TargetHealth(name, State.IDLE, health, 0, 0, "")

    rows = [row("a", Health.GOOD), row("b", Health.BAD), row("c", Health.QUARANTINED), row("d", Health.QUARANTINED)]
    file = io.StringIO()
    monitor = ProgressMonitor(2, Console(file=file, width=200), health=lambda: rows)
    monitor.taskset_stopped(Run(0, TaskSet([{"period": 1}]), "a"), "lost")
    monitor.close()
    assert file.getvalue() == (
        "1 of 2 variants done, 1 stopped or failed, 1 of 4 targets bad, 2 of 4 targets quarantined\n"
    )
