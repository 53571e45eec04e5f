"""`taskgen board proxy` as its users see it."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hil.board.kinds import KINDS
from taskgen.addresses import Address
from tests.hil.board.benches import AVAILABLE
from tests.hil.board.serving import Client, serving


def command(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "taskgen", "board", "proxy", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )


def test_it_says_where_it_listens_forwards_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with serving() as server:
        target = str(server.stations[0].address)
        with command(target, "--port", "0", "--json", "--fault", "slice:1", cwd=tmp_path) as process:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            assert (said["target"], said["host"]) == (target, "127.0.0.1")
            with Client(Address(said["host"], said["port"])) as client:
                client.say(AVAILABLE)
                assert client.read(4) == AVAILABLE
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=20) == ("", "")
            assert process.returncode == 130


def test_it_warns_of_who_can_come(tmp_path: Path) -> None:
    with command("10.0.0.7", "--port", "0", cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("proxy for 10.0.0.7 at 127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == "loopback only: nobody beyond this machine can connect\n"


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with command("10.0.0.7", "--port", port, cwd=tmp_path) as process:
            stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (2, "")
    assert stderr.startswith(f"error: can't listen on 127.0.0.1:{port}: Address already in use\nhint: ")


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        ("latncy:5", "error: there is no kind of fault 'latncy'\nhint: did you mean latency?\n"),
        ("freeze", "error: fault freeze: only boards in software have it, a proxy doesn't\nhint: a proxy has latency"),
    ],
)
def test_a_wrong_fault_is_two_lines(fault: str, lines: str, tmp_path: Path) -> None:
    with command("10.0.0.7", "--fault", fault, cwd=tmp_path) as process:
        assert process.communicate(timeout=20)[1].startswith(lines)
        assert process.returncode == 2


def test_help_names_all_faults_of_the_transport(tmp_path: Path) -> None:
    with command("--help", cwd=tmp_path) as process:
        shown = process.communicate(timeout=20)[0]
    assert {kind.name for kind in KINDS.values() if f" {kind.form} " in shown} == {
        kind.name for kind in KINDS.values() if kind.layer == "transport"
    }
