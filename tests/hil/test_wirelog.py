"""The wire log: every byte of a connection is kept and can be replayed; a log that fails is no fault of a board."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import hil.board
from hil import wirelog
from hil.messages import Available, Clear
from hil.replay import replay
from hil.wire import encode
from hil.wirelog import WireLog
from taskgen import cli
from taskgen.errors import InputError, TargetLost, UsageError
from tests.hil.links import DOCUMENT, HERE, Wired, soon
from tests.hil.scripted import one_job, runs_one_job, scripted, session_on


def disk(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Leave wire logs, and nothing else, only so many bytes of the disk."""
    left = [room]

    def write(file: int, data: bytes) -> int:
        taken = os.write(file, data[: left[0]])
        left[0] -= taken
        return taken

    monkeypatch.setattr("hil.wirelog.os", SimpleNamespace(**{**vars(os), "write": write}))


def test_every_byte_is_logged_and_can_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "wire.log"
    for _ in range(2):  # connections share a file
        with Wired(wire_log=WireLog(path, HERE, "G4")) as wired:
            wired.link.send(Clear())
            wired.link.send(Available())
            wired.board.sendall(encode(Available()) + encode(DOCUMENT) + b"garbage!")
            assert soon(wired.link) is not None
            assert soon(wired.link) is not None
            with pytest.raises(TargetLost):
                soon(wired.link)
    entries = list(wirelog.read(path))
    sent = b"".join(entry.sent or b"" for entry in entries)
    assert sent == (encode(Clear()) + encode(Available())) * 2
    assert b"".join(entry.received or b"" for entry in entries).count(encode(DOCUMENT)) == 2
    assert {(entry.address, entry.generation) for entry in entries} == {("127.0.0.1:3001", "G4")}
    lines = [line.split("  ", 2)[-1].strip() for line in replay(path)]
    half = [
        "= 127.0.0.1:3001, generation G4",
        "> CLEAR",
        "> AVAILABLE",
        "< AVAILABLE",
        f"< profile document, {len(DOCUMENT.xml) + 1} bytes",
        "START task 1 at 5 ms",
    ]
    assert [each.split("  ")[-1].strip() for each in lines[:6]] == half
    assert "! word 0x62726167 isn't what a board sends" in lines[6]


def test_long_messages_are_cut_into_lines(tmp_path: Path) -> None:
    path = tmp_path / "wire.log"
    log = WireLog(path, HERE)
    log.sent(0, bytes(100_000))
    log.close()
    log.close()
    assert max(map(len, path.read_bytes().splitlines())) < 70_000
    assert b"".join(entry.sent or b"" for entry in wirelog.read(path)) == bytes(100_000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"hello\n", "expected CONNECTION TIME < or > HEX"),
        (b"012345 1 < 00\n", "was never opened"),
        (b'{"wire": 2, "connection": "012345"}\n', "opens no connection of a wire log of version 1"),
        (b"{}\n", "opens no connection"),
        (b"{" * 1000 + b"\n", "opens no connection"),
        (b'{"wire": 1, "connection": "012345"}\n012345 1 < 0\n', "line 2"),
        (b"0" * 1_000_000, "is longer than"),
    ],
)
def test_what_is_no_wire_log_is_refused_with_its_line(tmp_path: Path, text: bytes, reason: str) -> None:
    path = tmp_path / "wire.log"
    path.write_bytes(text)
    with pytest.raises(InputError, match=re.escape(reason)):
        list(replay(path))


def test_a_wire_log_that_cant_be_written_or_read_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be written"):
        WireLog(tmp_path, HERE)
    with pytest.raises(UsageError, match="can't be read"):
        list(wirelog.read(tmp_path / "nothing"))


def test_an_empty_file_is_no_wire_log(tmp_path: Path) -> None:
    path = tmp_path / "wire.log"
    path.touch()
    with pytest.raises(InputError, match=r"wire\.log: is empty, expected a wire log") as raised:
        list(replay(path))
    assert raised.value.exit_code == 2


def test_a_line_that_a_full_disk_has_cut_off_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wire.log"
    log = WireLog(path, HERE, "G4")
    log.sent(0, encode(Clear()))
    log.sent(1, encode(Clear()))
    log.close()
    whole = path.read_bytes()
    for cut in range(1, whole.splitlines(keepends=True)[-1].find(b"\n") + 1):
        path.write_bytes(whole[:-cut])
        assert [entry.sent for entry in wirelog.read(path)] == [None, encode(Clear())]
        assert capsys.readouterr().err == f"note: {path}: line 3: is cut off, the log ends there\n"
    path.write_bytes(whole[:20])
    with pytest.raises(InputError, match="line 1"):  # nothing but a part of a line may be anything
        list(wirelog.read(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the file of a full disk")
def test_a_full_disk_is_told_before_a_board_is_touched() -> None:
    with scripted("G4") as board:
        with (
            pytest.raises(UsageError, match="wire log /dev/full: can't be written"),
            session_on(board, wire_log="/dev/full"),
        ):
            pass
        assert board.connections == 0


def test_a_disk_that_fills_up_ends_the_log_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wire.log"
    with scripted("G4", runs_one_job) as board, session_on(board, wire_log=path) as session:
        disk(monkeypatch, 10)
        assert len(list(session.run(one_job()))) == 3
        assert len(list(session.run(one_job()))) == 3
        assert board.connections == 1
    assert capsys.readouterr().err == f"note: wire log {path}: ends here: No space left on device\n"


def test_a_disk_that_is_full_for_a_later_connection_fails_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wire.log"
    with scripted("G4", runs_one_job) as board, session_on(board, wire_log=path) as session:
        assert len(list(session.run(one_job()))) == 3
        disk(monkeypatch, 0)
        for connections in (1, 2, 3):
            assert len(list(session.run(one_job()))) == 3
            assert board.connections == connections
            board.hang_up()
            link = session._link
            assert link is not None
            with pytest.raises(TargetLost):
                soon(link)
    assert capsys.readouterr().err == f"note: wire log {path}: ends here: No space left on device\n"  # once


# --- the command line


@pytest.fixture(scope="module")
def board() -> Iterator[str]:
    with hil.board.serve(generation="G4", speed="max") as boards:
        yield boards.targets[0].address


def run(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as exited:
        cli.main(("run", "-t", "example.Hey3TaskSet", "--binaries", "none", "--json", "--horizon", "9000", *arguments))
    return exited.value.code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the file of a full disk")
def test_a_log_on_a_full_disk_is_a_usage_error(board: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(board, "--wire-log", "/dev/full") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "error: wire log /dev/full: can't be written: No space left on device",
        "hint: name a file that can be written, on a disk with room",
    ]


def test_a_disk_that_fills_up_costs_no_result(
    board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wire.log"
    disk(monkeypatch, 1000)
    assert run(board, "--wire-log", str(path)) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["complete"]
    assert [each["status"] for each in document["runs"]] == ["finished"]
    assert document["runs"][0]["summary"]["jobs"] == 2
    assert told.err.splitlines()[0] == f"note: wire log {path}: ends here: No space left on device"
    assert len(list(wirelog.read(path))) > 2  # what there was room for can be replayed
