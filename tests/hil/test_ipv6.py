"""Boards at IPv6 addresses: found, asked for their generation, given their programs, and run on one connection."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import hil.board
from hil import wirelog
from hil.discovery import discover
from hil.session import TaskloaderSession
from sim.session import SimSession
from taskgen import addresses, cli, in_use
from taskgen.addresses import Address
from taskgen.boards import BoardTarget
from taskgen.handover import Handover
from taskgen.session import Target
from tests.hil.agreement import told
from tests.hil.scripted import one_job


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no ::1")


@pytest.fixture
def boards() -> Iterator[hil.board.Boards]:
    with hil.board.serve(generation="G4", speed="max", listen="::1") as boards:
        yield boards


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "hey").write_bytes(b"\x7fELF hey")
    return folder


def sent(log: Path) -> bytes:
    return b"".join(entry.sent or b"" for entry in wirelog.read(log))


def test_from_discovery_to_the_last_event_on_one_connection(
    boards: hil.board.Boards, programs: Path, tmp_path: Path
) -> None:
    address = addresses.split(boards.targets[0].address, 1)
    assert address.host == "::1"
    log = tmp_path / "wire.log"
    (found,) = discover([Address("::1", address.port)])
    options = {"binaries": programs, "wire_log": log, "quiet_ms": 20}  # the generation is asked for
    handover = Handover(found.address, found.connection, found.latency_ns)
    target = BoardTarget("taskloader", f"[::1]:{address.port}", options, connection=handover)
    with TaskloaderSession.open(target) as session:
        assert session.row is not None
        assert session.row.name == "G4"
        assert in_use.held(address)
        assert TaskloaderSession.inspect(Target("taskloader", target.address)) == {"state": "in use"}
        assert told(session.run(one_job())) == told(SimSession(profile="G4").run(one_job()))
    assert not in_use.held(address)
    assert b"\x7fELF hey" in sent(log)
    entries = list(wirelog.read(log))
    assert {entry.address for entry in entries} == {f"[::1]:{address.port}"}
    assert len({entry.connection for entry in entries}) == 1


@pytest.mark.parametrize("form", ["[::1]:{port}", "[::1]:{port}-{port}"])
def test_on_the_command_line(
    boards: hil.board.Boards, programs: Path, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = form.format(port=addresses.split(boards.targets[0].address, 1).port)
    log = tmp_path / "wire.log"
    options = ("--wire-log", str(log), "--horizon", "9000")
    with pytest.raises(SystemExit) as exited:
        cli.main(("run", "-t", "example.Hey3TaskSet", place, "--binaries", str(programs), *options))
    assert exited.value.code == 0, capsys.readouterr().err
    assert b"\x7fELF hey" in sent(log)


@pytest.mark.parametrize("hosts", ["::1", "::1-::2", "::1/127"])
def test_addresses_without_a_port(boards: hil.board.Boards, hosts: str, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(addresses.split(boards.targets[0].address, 1).port)
    with pytest.raises(SystemExit) as exited:
        cli.main(("run", "-t", "example.Hey3TaskSet", hosts, "-p", port, "--binaries", "none", "--horizon", "9000"))
    assert exited.value.code == 0, capsys.readouterr().err
