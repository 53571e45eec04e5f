"""One client can't occupy the thread that all boards share: a board serves a batch, and no more than is read."""

import socket

import pytest

from hil.board.dom0 import BATCH, PARSE_BYTES, WRITE_BYTES
from hil.documents.live import ROWS
from hil.messages import SendDescriptions
from tests.hil.board.benches import AVAILABLE, GET_LIVE, START, Bench, descs, task, word
from tests.hil.board.serving import Client, eventually, serving

MANY = 10_000
CROWD = [task(id=number, pkg="idle", executiontime=10_000, numberofjobs=None) for number in range(40)]


def crowded() -> Bench:
    """Return a board whose list of threads is long."""
    bench = Bench("G4")
    bench.say(descs(*CROWD), START, until_ms=2_000)
    return bench


def test_a_board_writes_no_more_than_its_client_reads() -> None:
    bench = crowded()
    one = bench.say(GET_LIVE, until_ms=0)
    bench.dom0.receive(GET_LIVE * MANY)
    for _ in range(10):
        bench.dom0.progress()
        assert WRITE_BYTES <= bench.dom0.written < WRITE_BYTES + len(one)
        assert not bench.dom0.pending  # time and the client go on
        assert not bench.dom0.reads
    assert bench.dom0.take()
    assert bench.dom0.pending


@pytest.mark.parametrize("command", [AVAILABLE, word(0x12345678), word(0x159D1)])
def test_a_board_serves_a_batch_at_a_time(command: bytes) -> None:
    bench = Bench("G4")
    bench.dom0.receive(command * MANY)
    batches = 1
    while bench.dom0.pending:
        assert not bench.dom0.reads
        assert len(bench.dom0.take()) <= BATCH * len(command)
        bench.dom0.progress()
        batches += 1
    assert batches >= MANY // BATCH
    assert bench.dom0.reads


def test_what_came_is_looked_at_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench("G4")
    assert bench.dom0._link is not None
    looked: list[int] = []
    receive = bench.dom0._link.receive

    def noting(data: bytes) -> object:
        looked.append(len(data))
        return receive(data)

    monkeypatch.setattr(bench.dom0._link, "receive", noting)
    assert bench.say(AVAILABLE * MANY) == AVAILABLE * MANY
    assert max(looked) == PARSE_BYTES


def test_all_is_answered_in_its_order_and_behind_it_the_end() -> None:
    bench = Bench("G4")
    bench.dom0.receive((AVAILABLE + GET_LIVE) * 300)
    said = bench.wait()
    assert said.startswith(AVAILABLE)
    assert said.count(AVAILABLE) == said.count(b"<live>") == 300
    bench.dom0.receive(AVAILABLE * 300)
    bench.dom0.receive(b"")
    assert bench.dom0.serves
    assert bench.wait() == AVAILABLE * 300
    assert bench.dom0.accepts


def test_a_reboot_loses_what_waits() -> None:
    bench = Bench("G4")
    bench.dom0.receive(AVAILABLE * MANY)
    bench.dom0.reboot()
    assert bench.wait() == b""
    assert bench.connect()
    assert bench.say(AVAILABLE) == AVAILABLE


def sent(message: SendDescriptions) -> bytes:
    return word(0xDE5) + len(message.xml).to_bytes(4, "little") + message.xml


def test_while_one_client_floods_and_does_not_read_the_others_are_served() -> None:
    with serving(count=2, speed="1") as server:
        flooded, calm = server.stations
        with Client(flooded.address, SO_RCVBUF=1 << 12) as flood, Client(calm.address) as other:
            flood.say(sent(descs(*CROWD)) + word(0x514DE5) + GET_LIVE)
            assert flood.document().count(b"<task ") <= ROWS
            flood.say(GET_LIVE * MANY)
            eventually(lambda: flooded._line is not None and flooded._line.blocked)
            other.say(AVAILABLE)
            assert other.read(4) == AVAILABLE
            assert flooded._made is not None
            assert flooded._made.written < WRITE_BYTES  # nothing of what nobody reads is made


def test_who_reads_late_gets_everything() -> None:
    with serving() as server, Client(server.stations[0].address, SO_RCVBUF=1 << 12) as client:
        client.say((GET_LIVE + AVAILABLE) * 2_000)
        client.sock.shutdown(socket.SHUT_WR)
        for _ in range(2_000):
            assert client.document().startswith(b"<live>")
            assert client.read(4) == AVAILABLE
