"""`taskgen run` that is interrupted, or that nobody reads any more."""

import itertools
import json
import signal
import time
from pathlib import Path

from tests.cli.commanded import start


def test_ctrl_c_prints_what_was_done_and_exits_130(tmp_path: Path) -> None:
    with start(tmp_path, "run", "-t", "sets.py:Huge", "--json", "--horizon", "20") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        head = list(itertools.islice(process.stdout, 5))  # it is at work
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
        process.wait(timeout=30)
    document = json.loads("".join(head) + out)
    assert process.returncode == 130
    assert document["complete"] is False
    assert len(document["runs"]) >= 4
    assert "interrupted: " in err
    assert "Traceback" not in err


def test_a_broken_pipe_is_quiet(tmp_path: Path) -> None:
    with start(tmp_path, "run", "-t", "sets.py:Huge", "--horizon", "20") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() == 0
        assert process.stderr.read() == ""


def test_a_lost_reader_loses_neither_the_file_nor_the_verdict(tmp_path: Path) -> None:
    command = ["run", "-t", "sets.py:always_late", "--check", "-o", "x.json", "--horizon", "20"]
    with start(tmp_path, *command) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(timeout=30) == 1
        assert process.stderr.read() == ""
    assert json.loads((tmp_path / "x.json").read_text())["complete"] is True


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    with start(tmp_path, "run", "-t", "sets.py:Huge", "-o", "x.json", "--horizon", "20") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert [path.name for path in tmp_path.iterdir() if "json" in path.name] == []
