"""What `close` and `stop` promise: they are bounded, and nothing outlives them."""

import socket
import threading
import time
from pathlib import Path

import pytest

from hil.connecting import connect
from hil.messages import Clear, SendBinaries, Stop
from taskgen.addresses import Address
from taskgen.errors import TargetLost, UsageError
from tests.hil.scripted import ScriptedBoard, one_job, runs_one_job, scripted, session_on


def test_a_session_that_was_closed_runs_nothing_and_connects_to_nobody() -> None:
    with scripted("G4", runs_one_job) as board:
        with session_on(board) as session:
            events = session.run(one_job())
        with pytest.raises(UsageError, match="this session was closed"):
            next(events)
        with pytest.raises(UsageError, match="this session was closed"):
            session.run(one_job())
        assert board.connections == 1


def test_a_connection_that_is_made_while_somebody_closes_is_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = threading.active_count()
    with scripted("G4", runs_one_job) as board, session_on(board) as session:
        assert session._link is not None
        session._link.close()
        real = connect

        def slow(address: Address, timeout_ns: int) -> socket.socket:
            connection = real(address, timeout_ns)
            session.close()
            return connection

        monkeypatch.setattr("hil.session.connect", slow)
        with pytest.raises(TargetLost, match="the session was closed"):
            list(session.run(one_job()))
        assert session._link is None
    assert threading.active_count() == threads


def test_close_stops_what_runs() -> None:
    with scripted("G4", runs_one_job) as board, session_on(board) as session:
        events = session.run(one_job(numberofjobs=5))
        next(events)
        session.close()
        while Stop() not in board.heard or board.heard[-1] != Clear():
            time.sleep(0.001)


@pytest.mark.parametrize("end", ["stop", "close"])
def test_an_upload_that_is_stuck_ends(end: str, tmp_path: Path) -> None:
    (tmp_path / "hey").write_bytes(bytes(12 << 20))
    announced, release = threading.Event(), threading.Event()

    def takes_nothing(board: ScriptedBoard, message: object) -> bool:
        if isinstance(message, SendBinaries):
            board.behave(message)
            announced.set()
            release.wait(30)
            return True
        return False

    with scripted("G4", takes_nothing) as board, session_on(board, binaries=tmp_path) as session:
        link = session._link
        assert link is not None
        lost: list[TargetLost] = []

        def run() -> None:
            try:
                list(session.run(one_job()))
            except TargetLost as error:
                lost.append(error)

        runner = threading.Thread(target=run, daemon=True)
        runner.start()
        assert announced.wait(10)
        while link.bytes_out < 1000:
            time.sleep(0.001)
        getattr(session, end)()
        runner.join(9)  # below what a write may take, far above what it takes
        alive = runner.is_alive()
        release.set()
        assert not alive
        assert len(lost) == 1
