"""`taskgen board serve` as its users see it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskgen.addresses import Address
from tests.hil.board.benches import AVAILABLE
from tests.hil.board.serving import Client


@contextmanager
def command(*arguments: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "taskgen", "board", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    stdout, stderr = process.communicate(timeout=20)
    return process.returncode, stdout, stderr


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def answers(address: Address) -> bool:
    with Client(address) as client:
        client.say(AVAILABLE)
        return client.read(4) == AVAILABLE


def test_it_says_where_it_listens_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with command("--port", "0", "--speed", "max", cwd=tmp_path) as process:
        line = first_line(process)
        assert line.startswith("board of generation G4 at 127.0.0.1:")
        assert answers(Address("127.0.0.1", int(line.split(":")[1].split(",")[0])))
        process.send_signal(signal.SIGINT)
        code, stdout, stderr = ended(process)
        assert (code, stdout) == (130, "")
        assert stderr == "loopback only: nobody beyond this machine can connect\n"


def test_many_boards_as_one_document(tmp_path: Path) -> None:
    arguments = ["--json", "--count", "3", "--listen", "127.0.5.0/24", "--port", "0", "--generation", "G3b"]
    with command(*arguments, "--speed", "10", "--fault", "1:latency:1", cwd=tmp_path) as process:
        document = json.loads(first_line(process))
        assert (document["generation"], document["speed"]) == ("G3b", "10")
        assert [board["host"] for board in document["boards"]] == ["127.0.5.1", "127.0.5.2", "127.0.5.3"]
        process.send_signal(signal.SIGINT)
        assert ended(process) == (130, "", "")


def test_it_says_when_others_can_connect(tmp_path: Path) -> None:
    with command("--listen", "0.0.0.0", "--port", "0", cwd=tmp_path) as process:  # noqa: S104  # what it warns of
        assert "0.0.0.0:" in first_line(process)
        process.send_signal(signal.SIGINT)
        assert ended(process)[2].startswith("not only loopback: whoever reaches this machine can connect")


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with command("--port", port, cwd=tmp_path) as process:
            code, stdout, stderr = ended(process)
    assert (code, stdout) == (2, "")
    assert stderr.splitlines() == [
        f"error: can't listen on 127.0.0.1:{port}: Address already in use",
        "hint: choose another port with --port, or another --listen",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--generation", "G5"], "error: there is no generation 'G5'\nhint: did you mean"),
        (["--speed", "0"], "error: speed: '0', expected max"),
        (["--fault", "latncy"], "latncy"),
        (["--count", "many"], "error: Invalid value for '--count'"),
        (["--workload", "nowhere.toml"], "nowhere.toml: can't be read"),
    ],
)
def test_wrong_options_are_one_line(arguments: Sequence[str], words: str, tmp_path: Path) -> None:
    with command(*arguments, cwd=tmp_path) as process:
        code, stdout, stderr = ended(process)
    assert (code, stdout) == (2, "")
    assert words in stderr
    assert len(stderr.splitlines()) <= 2
