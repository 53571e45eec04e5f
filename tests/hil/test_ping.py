"""The session `ping`: a board is there when it answers an ICMP echo, and isn't connected to before that."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hil import ping, program
from hil.ping import PingSession, unanswered
from hil.session import TaskloaderSession
from taskgen import registry
from taskgen.addresses import Address
from taskgen.boards import BoardTarget
from taskgen.errors import ConnectError, UsageError
from taskgen.handover import Handover
from taskgen.session import Target


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a `ping` of our own first on PATH; returns the file with its arguments, line by line."""

    def install(script: str = "exit 0") -> Path:
        log = tmp_path / "asked"
        program = tmp_path / "ping"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {log}\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return log

    return install


@pytest.fixture
def board() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def target_of(board: socket.socket) -> Target:
    return Target("ping", f"127.0.0.1:{board.getsockname()[1]}", {"dialect": "G4"})


def nobody_came(board: socket.socket) -> bool:
    try:
        board.accept()[0].close()
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_answers(host: str) -> None:
    try:
        reason = unanswered(host)
    except UsageError as error:
        pytest.skip(str(error))
    if "ermi" in reason:
        pytest.skip(f"ping may not ping here: {reason}")
    assert reason == ""


def test_one_echo_is_sent_to_the_host_without_its_port(
    fake: Callable[[str], Path], board: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    log = fake("exit 0")
    assert PingSession.probe(target_of(board))
    assert log.read_text().split() == ["-q", "-c", "1", "-W", "1", "127.0.0.1"]
    assert nobody_came(board)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 1", "no reply"),
        ("echo '--- statistics ---'; exit 1", "no reply"),
        ("echo 'ping: nosuch: Name or service not known' >&2; exit 2", "ping: nosuch: Name or service not known"),
        ("exit 2", "exit code 2"),
    ],
)
def test_a_board_that_does_not_answer_is_not_connected_to(
    fake: Callable[[str], Path], board: socket.socket, script: str, reason: str
) -> None:
    fake(script)
    assert not PingSession.probe(target_of(board))
    with pytest.raises(ConnectError, match=f"answers no ping: {reason}$"):
        PingSession.open(target_of(board))
    assert nobody_came(board)


def test_a_ping_that_hangs_is_ended(fake: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping, "PATIENCE_S", 0.05)
    fake("exec sleep 1000")
    assert unanswered("127.0.0.1") == "no reply"


def test_without_the_program_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: socket.socket
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for ask in (PingSession.probe, PingSession.open):
        with pytest.raises(UsageError, match=r"program ping can't be started: No such file") as caught:
            ask(target_of(board))
        assert "apt install iputils-ping" in caught.value.hint


def test_a_board_that_answers_is_connected_to(fake: Callable[[str], Path], board: socket.socket) -> None:
    fake("exit 0")
    with PingSession.open(target_of(board)) as session:
        assert not nobody_came(board)
        assert isinstance(session, TaskloaderSession)


def test_a_host_that_answers_while_nobody_listens_is_a_board_that_boots(
    fake: Callable[[str], Path], board: socket.socket
) -> None:
    fake("exit 0")
    target = target_of(board)
    board.close()
    assert PingSession.probe(target)
    with pytest.raises(ConnectError, match="nobody accepts a connection"):
        PingSession.open(target)


def test_a_board_that_discovery_is_connected_to_is_not_asked(fake: Callable[[str], Path], board: socket.socket) -> None:
    log = fake("exit 1")
    address = Address(*board.getsockname())
    with closing(Handover(address, socket.create_connection(address), 0)) as connection:
        target = BoardTarget("ping", str(address), {"dialect": "G4"}, connection=connection)
        PingSession.open(target).close()
        assert connection.closed
        assert not log.exists()
        with pytest.raises(ConnectError, match="answers no ping"):  # it has been handed on: the next time it is
            PingSession.open(target)


@pytest.mark.parametrize("address", ["-f", "--help", "10.0.0.0/24", "a b", ""])
def test_what_is_no_address_never_reaches_the_program(fake: Callable[[str], Path], address: str) -> None:
    log = fake("exit 0")
    assert not PingSession.probe(Target("ping", address))
    with pytest.raises(UsageError):
        PingSession.open(Target("ping", address))
    assert not log.exists()


@pytest.mark.parametrize(
    ("system", "host", "command"),
    [
        ("linux", "::1", ["ping", "-q", "-c", "1", "-W", "1"]),
        ("freebsd14", "10.0.0.1", ["ping", "-q", "-c", "1", "-W", "1"]),
        ("darwin", "10.0.0.1", ["ping", "-q", "-c", "1", "-t", "1"]),
        ("darwin", "::1", ["ping6", "-q", "-c", "1"]),
        ("win32", "::1", ["ping", "-n", "1", "-w", "1000"]),
    ],
)
def test_each_system_has_its_own_options(
    monkeypatch: pytest.MonkeyPatch, system: str, host: str, command: list[str]
) -> None:
    """The programs agree on the name and on little else."""
    seen: list[list[str]] = []

    def run(arguments: list[str], _: float) -> program.Ended:
        seen.append(arguments)
        return program.Ended(0)

    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(program, "run", run)
    assert unanswered(host) == ""
    assert seen == [[*command, host]]


@pytest.mark.parametrize("name", ["ping", "genode.PingSession"])
def test_it_has_the_name_of_the_original_tool(name: str) -> None:
    assert registry.load("sessions", name) is PingSession
