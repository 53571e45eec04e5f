"""The wire log: every byte of a connection is kept and can be replayed; a log that fails is no fault of a board."""

import re
import socket
from pathlib import Path
from typing import Self

import pytest

from hil import wirelog
from hil.connection import Arrival, Link, Patience
from hil.documents import profile
from hil.documents.profile import Stamped
from hil.messages import Available, Clear, Document
from hil.replay import replay
from hil.wire import encode
from hil.wirelog import WireLog
from taskgen.addresses import Address
from taskgen.dialect.boards import BOARDS
from taskgen.errors import InputError, TargetLost, UsageError
from taskgen.events import EventType
from tests.hil.scripted import one_job, runs_one_job, scripted, session_on

HERE = Address("127.0.0.1", 3001)
DOCUMENT = Document("profile", profile.render([Stamped(EventType.START, 1, 5)]))
MS = 1_000_000


class Wired:
    """A link, and the board's end of its socket."""

    def __init__(self, patience: Patience | None = None, wire_log: WireLog | None = None) -> None:
        ours, self.board = socket.socketpair()
        self.link = Link(ours, HERE, BOARDS["G4"], patience=patience or Patience(), wire_log=wire_log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()
        self.board.close()


def soon(link: Link) -> Arrival | None:
    return link.receive(link.now() + 5000 * MS)


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
        monkeypatch.setattr("hil.wirelog.os.write", lambda _, data: len(data) - 1)
        assert len(list(session.run(one_job()))) == 3
        assert len(list(session.run(one_job()))) == 3
        assert board.connections == 1
    assert capsys.readouterr().err == f"note: wire log {path}: ends here: No space left on device\n"
