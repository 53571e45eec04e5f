"""Programs are sent once per boot of a board, also by the next process; a new process is one that remembers nothing."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hil.board
from hil import boots, wirelog
from hil.binaries import boot_of
from hil.documents import live
from hil.messages import Document, GetLive, Message, Start
from hil.session import TaskloaderSession
from taskgen.addresses import Address
from taskgen.errors import TargetLost, UsageError
from taskgen.events import EventType
from taskgen.session import Target
from tests.hil.scripted import ScriptedBoard, one_job, runs_one_job, scripted, session_on

SEND_BINARIES = bytes.fromhex("1ef1e50d")
QUICK: dict[str, Any] = {"quiet_ms": 20, "poll_ms": 5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "bin"
    inside.mkdir()
    for name in ("hey", "pi"):
        (inside / name).write_bytes(b"\x7fELF first")
    return inside


@pytest.fixture
def new_process(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forget what a process knows of boards."""
    return lambda: monkeypatch.setattr("hil.binaries._boots", {})


# --- boards in software


@pytest.fixture(scope="module", params=["G1", "G1o", "G1p", "G3a", "G3b", "G4"])
def boards(request: pytest.FixtureRequest) -> Iterator[hil.board.Boards]:
    early = request.param == "G1"  # the build that destroys its jobs: at this speed nobody would see them
    with hil.board.serve(generation=request.param, uptime_ms=100_000, destroy_at_exit=not early) as boards:
        yield boards


class Counted:
    """Runs sets on a board, and counts what was said."""

    def __init__(self, boards: hil.board.Boards, folder: Path) -> None:
        self._log = folder.parent / "wire.log"
        target = boards.targets[0]
        self.target = Target(
            target.session, target.address, {**target.options, **QUICK, "binaries": folder, "wire_log": self._log}
        )

    def run(self, pkg: str = "hey") -> int:
        """Run one job; return how many uploads there were by now."""
        with TaskloaderSession.open(self.target) as session:
            events = list(session.run(one_job(pkg=pkg), horizon_ms=1500))
        assert EventType.START in {event.type for event in events}
        return self.uploads

    @property
    def uploads(self) -> int:
        return sum(entry.sent == SEND_BINARIES + b"\1\0\0\0" for entry in wirelog.read(self._log))


def test_the_next_process_sends_nothing_until_the_board_has_rebooted(
    boards: hil.board.Boards, folder: Path, new_process: Callable[[], None]
) -> None:
    board = Counted(boards, folder)
    assert [board.run(), board.run()] == [1, 1]
    new_process()
    assert [board.run(), board.run("pi"), board.run()] == [1, 2, 2]
    new_process()
    assert [board.run("pi"), board.run()] == [2, 2]
    (folder / "hey").write_bytes(b"\x7fELF other")
    new_process()
    with TaskloaderSession.open(board.target) as session:
        for _ in range(2):
            with pytest.raises(UsageError, match="program hey: its content changed"):
                list(session.run(one_job()))
        assert list(session.run(one_job(pkg="pi"), horizon_ms=1500))
    assert board.uploads == 2
    boards.reboot(0)
    while not TaskloaderSession.probe(board.target):  # it boots
        pass
    new_process()
    assert [board.run(), board.run("pi"), board.run()] == [3, 4, 4]


def test_another_board_at_the_same_address_is_sent_its_programs(folder: Path, new_process: Callable[[], None]) -> None:
    with hil.board.serve(uptime_ms=100_000) as boards:
        first = Counted(boards, folder)
        assert first.run() == 1
        port = boards.addresses[0].port
    new_process()
    (folder / "hey").write_bytes(b"\x7fELF other")
    with hil.board.serve(uptime_ms=3000, port=port) as boards:
        assert Counted(boards, folder).run() == 2


def test_two_commands_upload_once(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "wire.log"
    with hil.board.serve(uptime_ms=100_000) as boards:
        command = [sys.executable, "-m", "taskgen", "run", "-t", "example.Hey3TaskSet", str(boards.addresses[0])]
        options = ["--binaries", str(folder), "--wire-log", str(log)]
        for _ in range(2):
            subprocess.run([*command, *options], check=True, timeout=60, capture_output=True)
    sent = [entry.sent for entry in wirelog.read(log) if entry.sent]
    assert sum(data.startswith(SEND_BINARIES) for data in sent) == 1
    assert sum(b"<periodictask" in data for data in sent) == 2


# --- what is asked, and what is believed, word by word


class Clocked:
    """Script: a board that dates descriptions by its clock, and runs one job."""

    def __init__(self, step_ms: int = 100, dies_at: int = 0) -> None:
        self._step_ms = step_ms  # how far its clock goes on until it is asked
        self._dies_at = dies_at  # the START that kills it

    def __call__(self, board: ScriptedBoard, message: Message) -> bool:
        if isinstance(message, Start) and board.names().count("Start") == self._dies_at:
            board.hang_up()
            return True
        runs_one_job(board, message)
        if not isinstance(message, GetLive):
            return False
        board.now_ms += self._step_ms
        old = live.Row(live.LOADER, "01.hey", 7, 5)
        rows = [live.Row(live.LOADER, "01.hey", 9, board.now_ms), old, live.Row("init", "dom0", 3, 4)]
        board.say(Document("live", live.render(rows, None, board.row.name)))
        return True


FIRST = ["Clear", "GetProfile", "Available", "SendBinaries", "Binary", "SendDescriptions", "Start", "Available"]
ASKED = ["Clear", "GetProfile", "Available", "SendDescriptions", "GetLive"]
UPLOAD, BEGIN, END = ["SendBinaries", "Binary"], ["Start", "Available"], ["Clear", "GetProfile", "Available"]


def said(board: ScriptedBoard, folder: Path | str, runs: int = 1) -> list[str]:
    """Run one job over a new connection; return what was said."""
    board.heard.clear()
    with session_on(board, binaries=folder) as session:
        for _ in range(runs):
            assert len(list(session.run(one_job()))) == 3
    return board.names()


def test_the_clock_is_asked_once_and_only_where_something_is_remembered(
    folder: Path, new_process: Callable[[], None]
) -> None:
    with scripted("G4", Clocked()) as board:
        assert said(board, folder) == FIRST + END
        assert said(board, folder).count("GetLive") == 0  # the same process
        new_process()
        assert said(board, folder) == ASKED + BEGIN + END
        assert said(board, folder, 2).count("GetLive") == 0
        assert board.names().count("SendDescriptions") == 2


def test_who_cant_tell_is_sent_the_same_again_and_never_another(folder: Path, new_process: Callable[[], None]) -> None:
    with scripted("G4", Clocked(step_ms=1_000_000)) as board:  # its clock runs away
        said(board, folder)
        new_process()
        assert said(board, folder) == ASKED + UPLOAD + BEGIN + END
        new_process()
        (folder / "hey").write_bytes(b"\x7fELF other")
        board.heard.clear()
        with session_on(board, binaries=folder) as session:
            with pytest.raises(UsageError, match=f"sent to 127.0.0.1:{board.port}"):
                list(session.run(one_job()))
            assert board.names() == ASKED + END  # nothing of it is left
            with pytest.raises(UsageError, match="its content changed"):
                session.run(one_job())
            (folder / "hey").write_bytes(b"\x7fELF first")
            assert len(list(session.run(one_job()))) == 3
            assert board.names() == ASKED + END + FIRST[3:] + END


def test_a_list_that_doesnt_tell_the_time_leaves_it_open(folder: Path, new_process: Callable[[], None]) -> None:
    with scripted("G4", runs_one_job) as board:
        said(board, folder)
        new_process()
        assert said(board, folder) == ASKED + UPLOAD + BEGIN + END


def test_a_clock_that_went_back_means_that_all_is_forgotten(folder: Path, new_process: Callable[[], None]) -> None:
    with scripted("G4", Clocked()) as board:
        board.now_ms = 100_000
        said(board, folder)
        board.now_ms = 500
        new_process()
        (folder / "hey").write_bytes(b"\x7fELF other")
        assert said(board, folder) == ASKED + UPLOAD + BEGIN + END


# --- boards that are lost


def record_of(board: ScriptedBoard) -> boots.Record | None:
    return boots.load(Address("127.0.0.1", board.port))


def test_a_lost_board_may_have_rebooted_and_is_asked(folder: Path) -> None:
    with scripted("G4", Clocked(dies_at=2)) as board:
        with session_on(board, binaries=folder) as session:
            list(session.run(one_job()))
            with pytest.raises(TargetLost):
                list(session.run(one_job()))
        record = record_of(board)
        assert record is not None
        assert (dict(record.sent), set(record.maybe)) == ({}, {"hey"})
        (folder / "hey").write_bytes(b"\x7fELF other")
        with session_on(board, binaries=folder) as session, pytest.raises(UsageError, match="its content changed"):
            list(session.run(one_job()))
        (folder / "hey").write_bytes(b"\x7fELF first")
        assert UPLOAD[0] in said(board, folder)
        record = record_of(board)
        assert record is not None
        assert (set(record.sent), dict(record.maybe)) == ({"hey"}, {})


def test_who_closes_the_session_has_lost_no_board(folder: Path, new_process: Callable[[], None]) -> None:
    clocked = Clocked()

    def runs_the_first_of_five(board: ScriptedBoard, message: Message) -> bool:
        if not isinstance(message, Start) or board.connections > 1:
            return clocked(board, message)
        board.log((EventType.START, 1, 1100), (EventType.EXIT, 1, 1143))
        board.now_ms = 1143
        return True

    with scripted("G4", runs_the_first_of_five) as board:
        with session_on(board, binaries=folder) as session:
            run = session.run(one_job(numberofjobs=5))
            next(run)
            session.close()
            with pytest.raises(TargetLost, match="closed"):
                list(run)
        assert boot_of(Address("127.0.0.1", board.port)).sent.keys() == {"hey"}
        new_process()
        assert said(board, folder) == ASKED + BEGIN + END


# --- where nothing is kept


def test_boards_that_have_their_programs_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    def touched(*_: object) -> None:
        raise AssertionError

    for name in ("load", "save", "folder"):
        monkeypatch.setattr(boots, name, touched)
    with scripted("G4", Clocked(dies_at=2)) as board, session_on(board) as session:
        list(session.run(one_job()))
        with pytest.raises(TargetLost):
            list(session.run(one_job()))
        list(session.run(one_job()))
    assert not Path(os.environ["TASKGEN_STATE"]).exists()


@pytest.mark.parametrize("strange", [b"", b"{}", b"\0" * 100_000])
def test_a_strange_file_is_none(strange: bytes, folder: Path, new_process: Callable[[], None]) -> None:
    with scripted("G4", Clocked()) as board:
        said(board, folder)
        base = boots.folder()
        assert base is not None
        for path in base.iterdir():
            path.write_bytes(strange)
        new_process()
        assert said(board, folder) == FIRST + END


def test_where_nothing_can_be_written_each_process_remembers_for_itself(
    folder: Path, new_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boots, "folder", lambda: None)
    with scripted("G4", Clocked()) as board:
        assert said(board, folder, 2).count("Binary") == 1
        assert said(board, folder).count("Binary") == 0
        new_process()
        assert said(board, folder) == FIRST + END
