"""The driver: what arrives is handed out before the end is told, and every wait and every close ends."""

import re
import socket
import struct
import threading
import time

import pytest

from hil.connection import MAX_WAITING, Link, Patience, connect
from hil.errors import LocalProtocolError
from hil.messages import Available, Clear, Document, SendBinaries, SendDescriptions
from hil.wire import encode
from taskgen import in_use
from taskgen.addresses import Address
from taskgen.dialect.boards import BOARDS
from taskgen.errors import ConnectError, TargetLost
from tests import loopback
from tests.hil.links import DOCUMENT, MS, Wired, soon


def test_messages_come_with_their_time_and_the_end_comes_last() -> None:
    with Wired() as wired:
        before_ns = wired.link.now()
        wired.board.sendall(encode(DOCUMENT) * 2)
        wired.board.close()
        arrivals = [soon(wired.link) for _ in range(2)]
        assert all(each is not None and each.message == DOCUMENT and each.time_ns >= before_ns for each in arrivals)
        for _ in range(2):  # and goes on saying so
            with pytest.raises(TargetLost, match=re.escape("127.0.0.1:3001: the board closed the connection")):
                soon(wired.link)


def test_a_wait_ends_at_its_deadline_and_by_wake() -> None:
    with Wired() as wired:
        assert wired.link.receive(wired.link.now() - 1) is None
        assert wired.link.receive(wired.link.now() + MS) is None
        waker = threading.Timer(0.05, wired.link.wake)
        waker.start()
        assert wired.link.receive() is None
        waker.join()


def test_what_broke_the_protocol_is_told_behind_what_was_whole() -> None:
    with Wired() as wired:
        wired.board.sendall(encode(DOCUMENT) + b"garbage!")
        arrival = soon(wired.link)
        assert arrival is not None
        assert arrival.message == DOCUMENT
        with pytest.raises(TargetLost, match="broke the protocol: word 0x62726167"):
            soon(wired.link)


def test_silence_inside_a_message_is_the_end_and_between_messages_it_isnt() -> None:
    with Wired(Patience(stall_ns=30 * MS)) as wired:
        assert wired.link.receive(wired.link.now() + 90 * MS) is None
        wired.board.sendall(encode(DOCUMENT)[:20])
        with pytest.raises(TargetLost, match=r"fell silent inside a message; last byte .*, 20 bytes in, 0 out"):
            soon(wired.link)


def test_a_reset_is_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])
        link = Link(connect(address, 1000 * MS), address, BOARDS["G4"])
        theirs, _ = listener.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        with pytest.raises(TargetLost, match="Connection reset"):
            soon(link)
        assert in_use.held(address)
        link.close()
        assert not in_use.held(address)


def test_a_board_that_takes_nothing_is_lost_and_can_be_closed() -> None:
    with Wired(Patience(write_ns=50 * MS, close_ns=50 * MS)) as wired:
        with pytest.raises(TargetLost, match="doesn't take what is sent: no time left"):
            wired.link.send(SendDescriptions(b" " * 8_000_000))
        with pytest.raises(TargetLost):
            wired.link.send(Clear())


def test_more_than_anybody_looks_at_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_WAITING >= 4 * (16 << 20)
    monkeypatch.setattr("hil.connection.MAX_WAITING", 1000)
    with Wired() as wired:
        wired.board.sendall(encode(DOCUMENT) * 100)
        heard = iter(lambda: soon(wired.link), None)
        with pytest.raises(TargetLost, match="that nobody looked at"):
            list(heard)


def test_documents_count_wholly_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.connection.MAX_WAITING", 300_000)
    large = Document("profile", DOCUMENT.xml.replace(b"<events>", b"<events>" + b" " * 100_000))
    with Wired() as wired:
        for _ in range(4):
            wired.board.sendall(encode(large))
        wired.link._reader.join(5)
        assert not wired.link._reader.is_alive()  # it stopped by itself
        assert [soon(wired.link).message for _ in range(3)] == [large] * 3  # type: ignore[union-attr]
        with pytest.raises(TargetLost, match="that nobody looked at"):
            list(iter(lambda: soon(wired.link), None))


def test_a_link_that_rests_keeps_nothing_and_says_that_something_came() -> None:
    with Wired() as wired:
        wired.link.rest()
        assert not wired.link.attend()
        wired.link.rest()
        wired.board.sendall(encode(DOCUMENT) * 50)
        while wired.link.bytes_in < 50 * len(encode(DOCUMENT)):
            time.sleep(0.001)
        wired.board.sendall(encode(DOCUMENT)[:1])  # what came before is taken when this has come
        while wired.link.bytes_in <= 50 * len(encode(DOCUMENT)):
            time.sleep(0.001)
        assert wired.link._waiting == 0
        assert wired.link.attend()
        wired.board.sendall(encode(DOCUMENT)[1:])
        assert soon(wired.link) is not None


@pytest.mark.parametrize("end", ["wake", "close"])
def test_a_write_that_is_stuck_ends_by_wake_and_by_close(end: str) -> None:
    lost: list[TargetLost] = []

    def upload(link: Link) -> None:
        try:
            link.send(SendDescriptions(b" " * 8_000_000))
        except TargetLost as error:
            lost.append(error)

    with Wired(Patience(write_ns=3600 * 1000 * MS, close_ns=50 * MS)) as wired:
        writer = threading.Thread(target=upload, args=(wired.link,), daemon=True)
        writer.start()
        while not wired.link.bytes_out:
            time.sleep(0.001)
        getattr(wired.link, end)()
        writer.join(10)
        assert not writer.is_alive()
        assert len(lost) == 1


def test_what_the_machine_took_before_a_refusal_is_sent() -> None:
    with Wired() as wired:
        with pytest.raises(LocalProtocolError):
            wired.link.send(Clear(), SendBinaries(1), Available())
        data = encode(Clear()) + encode(SendBinaries(1))
        assert wired.board.recv(100) == data


def test_a_farewell_is_the_last_that_is_sent() -> None:
    with Wired() as wired:
        wired.link.close(farewell=(Clear(),))
        assert wired.board.recv(100) == encode(Clear())
        assert wired.board.recv(100) == b""


def test_what_this_state_forbids_isnt_sent() -> None:
    with Wired() as wired:
        wired.link.send(SendBinaries(1))
        with pytest.raises(LocalProtocolError):
            wired.link.send(Clear())
        assert wired.board.recv(100) == encode(SendBinaries(1))


def test_close_is_idempotent_bounded_and_ends_the_reader() -> None:
    with Wired() as wired:
        started = time.monotonic()
        wired.link.close()
        wired.link.close()
        assert time.monotonic() - started < 10  # far beyond what it takes, far below for ever
        assert not wired.link._reader.is_alive()
        assert wired.board.recv(1) == b""
        with pytest.raises(TargetLost, match="the connection was closed"):
            wired.link.send(Available())
        assert repr(wired.link).startswith("<link to 127.0.0.1:3001, ")


def test_nobody_accepts() -> None:
    with loopback.listening("127.0.0.1", "::1") as port:
        for host in ("127.0.0.1", "::1", "localhost"):
            connect(Address(host, port), 1000 * MS).close()
    with pytest.raises(ConnectError, match=rf"127.0.0.1:{port}: nobody accepts a connection: Connection refused"):
        connect(Address("127.0.0.1", port), 1000 * MS)
    with loopback.silent() as port, pytest.raises(ConnectError, match="no answer"):
        connect(Address("127.0.0.9", port), 50 * MS)
    with pytest.raises(ConnectError, match=r"no\.such\.host\.invalid:1: nobody accepts"):
        connect(Address("no.such.host.invalid", 1), 1000 * MS)
