"""The fault-injecting proxy, between a client and a board that are plain sockets of the test."""

import contextlib
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

import hil.board
from hil.board.faults import parse
from hil.board.listening import listeners
from hil.board.relay import CHECK_NS, Relay
from hil.board.streams import Stream
from hil.board.triggers import Plan
from hil.frames import encode
from hil.messages import Available, Clear, Document, Start
from taskgen.addresses import Address
from taskgen.errors import TargetError, UsageError
from tests.hil.board.serving import SECONDS, eventually, serving
from tests.hil.wires import LOG

ECHO, START, CLEAR = (encode(message) for message in (Available(), Start(), Clear()))
PUSH = encode(Document("profile", LOG))


class Bench:
    """A relay in a thread, in front of a listener of the test; `connect` returns both ends of a connection."""

    def __init__(self, faults: Sequence[str], board: socket.socket) -> None:
        self.board = board
        (listener,) = listeners([Address("127.0.0.1", 0)])
        place = (board.family, board.getsockname())
        self.relay = Relay(listener, place, [parse(text) for text in faults])
        self._orders: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._ours, self._theirs = socket.socketpair()
        self._ends = contextlib.ExitStack()
        self.relay.watch(self._theirs, 1, self._obey)
        self._thread = threading.Thread(target=self.relay.run)
        self._thread.start()

    def _obey(self, _: int) -> None:
        self._theirs.recv(1)
        self._orders.get()()
        self._orders.get()()  # which says that it is done

    def order(self, act: Callable[[], None]) -> None:
        """Do something in the relay's thread."""
        done = threading.Event()
        self._orders.put(act)
        self._orders.put(done.set)
        self._ours.sendall(b"!")
        assert done.wait(SECONDS)

    def follow(self, *faults: str) -> None:
        self.order(lambda: self.relay.follow([parse(text) for text in faults]))

    def client(self) -> socket.socket:
        return self._kept(socket.create_connection(self.relay.address, SECONDS))

    def connect(self) -> tuple[socket.socket, socket.socket]:
        client = self.client()
        return client, self._kept(self.board.accept()[0])

    def _kept(self, end: socket.socket) -> socket.socket:
        end.settimeout(SECONDS)
        return self._ends.enter_context(end)

    def close(self) -> None:
        self.order(self.relay.stop)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        for each in (self.relay, self._ours, self._theirs, self._ends):
            each.close()


@contextlib.contextmanager
def relaying(*faults: str) -> Iterator[Bench]:
    with socket.create_server(("127.0.0.1", 0)) as board:
        board.settimeout(SECONDS)
        bench = Bench(faults, board)
        try:
            yield bench
        finally:
            bench.close()


def everything(sock: socket.socket) -> bytes:
    """Return all bytes up to the end; "reset" stands behind them if it was one."""
    data = b""
    try:
        while more := sock.recv(1 << 16):
            data += more
    except ConnectionResetError:
        data += b"reset"
    return data


def refusal(bench: Bench) -> bytes:
    """Return what comes of a connect; a reset may be faster than it."""
    try:
        return everything(bench.client())
    except ConnectionResetError:
        return b"reset"


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        assert more, f"the end, after {data!r}"
        data += more
    return data


def is_silent(sock: socket.socket) -> bool:
    """Whether nothing comes for a moment, neither bytes nor an end."""
    sock.settimeout(0.05)
    try:
        return sock.recv(1) is None
    except TimeoutError:
        return True
    finally:
        sock.settimeout(SECONDS)


def is_gone(sock: socket.socket) -> bool:
    """Whether nobody takes what is written."""
    try:
        sock.sendall(b"who listens?")
    except OSError:
        return True
    return False


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# -- nobody notices it -----------------------------------------------------------------------------------------------


def test_each_direction_ends_by_itself() -> None:
    with relaying() as bench:
        client, board = bench.connect()
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert everything(board) == b"question"
        board.sendall(b"answer")
        assert exactly(client, 6) == b"answer"
        board.close()
        assert everything(client) == b""


def test_the_board_may_end_first() -> None:
    with relaying() as bench:
        client, board = bench.connect()
        board.sendall(b"last words")
        board.shutdown(socket.SHUT_WR)
        assert everything(client) == b"last words"
        client.sendall(b"still here")
        client.close()
        assert everything(board) == b"still here"


@pytest.mark.parametrize("resetting", ["client", "board"])
def test_a_reset_goes_through(resetting: str) -> None:
    with relaying() as bench:
        client, board = bench.connect()
        gone, other = (client, board) if resetting == "client" else (board, client)
        gone.sendall(b"x")
        assert exactly(other, 1) == b"x"
        reset(gone)
        assert everything(other) == b"reset"


def test_a_reset_comes_through_behind_an_end() -> None:
    with relaying() as bench:
        client, board = bench.connect()
        client.shutdown(socket.SHUT_WR)
        assert everything(board) == b""
        reset(client)
        eventually(lambda: is_gone(board))


def test_who_is_refused_sees_a_reset() -> None:
    with relaying() as bench:
        bench.board.close()
        assert refusal(bench) == b"reset"


def fill(sock: socket.socket) -> int:
    """Write until nobody takes more, and return how many bytes that were."""
    sock.settimeout(0.1)
    total = 0
    try:
        while total < 1 << 28:
            total += sock.send(b"x" * (1 << 16))
    except TimeoutError:
        pass
    sock.settimeout(SECONDS)
    return total


@pytest.mark.parametrize("writing", ["client", "board"])
def test_who_does_not_read_stops_who_writes_and_nothing_is_lost(writing: str) -> None:
    with relaying() as bench:
        client, board = bench.connect()
        source, sink = (client, board) if writing == "client" else (board, client)
        for sock in (source, sink):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 15)
        total = fill(source)
        assert total < 1 << 28
        sink.sendall(b"the other direction goes on")
        assert exactly(source, 27) == b"the other direction goes on"
        source.shutdown(socket.SHUT_WR)
        assert len(everything(sink)) == total


def test_a_reset_is_seen_while_nobody_reads() -> None:
    with relaying() as bench:
        client, board = bench.connect()
        fill(client)
        reset(client)
        bench.relay.clock = lambda clock=bench.relay.clock: clock() + 2 * CHECK_NS  # type: ignore[misc]
        assert everything(board).endswith(b"reset")


def test_many_connections_at_once() -> None:
    with relaying() as bench:
        pairs = [bench.connect() for _ in range(20)]
        for number, (client, _) in enumerate(pairs):
            client.sendall(bytes([number]))
        assert [exactly(board, 1)[0] for _, board in pairs] == [*range(20)]


# -- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["latency:5,jitter=5", "slice:1", "slice:40,gap=1", "latency:1,way=both"])
def test_slow_bytes_are_the_same_bytes(fault: str) -> None:
    with relaying(fault) as bench:
        client, board = bench.connect()
        board.sendall(PUSH * 3)
        client.sendall(START)
        client.shutdown(socket.SHUT_WR)
        board.shutdown(socket.SHUT_WR)
        assert everything(client) == PUSH * 3
        assert everything(board) == START


def test_latency_holds_bytes_back() -> None:
    with relaying("latency:3600000,at=DOCUMENT") as bench:
        client, board = bench.connect()
        board.sendall(ECHO + PUSH)
        assert exactly(client, 4) == ECHO
        assert is_silent(client)


def test_a_black_hole_swallows_both_ways_and_the_end() -> None:
    with relaying("blackhole:after=START") as bench:
        client, board = bench.connect()
        client.sendall(CLEAR + START + CLEAR)
        assert exactly(board, 8) == CLEAR + START
        board.sendall(PUSH)
        assert is_silent(client)
        client.close()
        assert is_silent(board)
        bench.follow()  # the hole is gone, and what it swallowed too, but for the end
        assert everything(board) == b""


def test_a_black_hole_swallows_a_reset() -> None:
    with relaying("blackhole") as bench:
        client, board = bench.connect()
        reset(client)
        assert is_silent(board)
        bench.follow()
        assert everything(board) == b"reset"


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("reset:30", PUSH[:30] + b"reset"),
        ("reset:after=17B", PUSH[:17] + b"reset"),
        ("reset:after=1", PUSH + b"reset"),
        ("cut", PUSH[:6]),
        ("cut:20,after=1", PUSH + PUSH[:20]),
        ("duplicate:once", PUSH * 3),
    ],
)
def test_a_connection_that_breaks_in_the_middle(fault: str, seen: bytes) -> None:
    with relaying(fault) as bench:
        client, board = bench.connect()
        board.sendall(PUSH + PUSH)
        with contextlib.suppress(OSError):  # it may be over already
            board.shutdown(socket.SHUT_WR)
        got = everything(client)
        assert got.endswith(b"reset") == seen.endswith(b"reset")
        assert seen.startswith(got.removesuffix(b"reset"))  # a reset may overtake bytes
        assert got == seen or got.endswith(b"reset")


def test_the_board_sees_the_cut_too() -> None:
    with relaying("cut:2") as bench:
        client, board = bench.connect()
        board.sendall(ECHO)
        assert everything(client) == ECHO[:2]
        assert everything(board) == b""


def test_garbage_is_the_same_each_time() -> None:
    expected = b"".join(piece.data for piece in Stream(Plan([parse("garbage:9")], "0/proxy"), 1).feed("down", PUSH))
    for _ in range(2):
        with relaying("garbage:9") as bench:
            client, board = bench.connect()
            board.sendall(PUSH)
            board.shutdown(socket.SHUT_WR)
            assert everything(client) == expected


def test_a_connection_that_is_reset_at_once_never_reaches_the_board() -> None:
    with relaying("reset:once") as bench:
        assert refusal(bench) == b"reset"
        client, board = bench.connect()
        client.sendall(b"second")
        assert exactly(board, 6) == b"second"


def test_a_fault_is_injected_into_an_open_connection() -> None:
    with relaying() as bench:
        client, board = bench.connect()
        client.sendall(START)
        assert exactly(board, 4) == START
        bench.follow("cut:1,once")
        board.sendall(ECHO)
        assert everything(client) == ECHO[:1]
        client.close()
        assert everything(board) == b""
        board.close()
        client, board = bench.connect()
        bench.follow("reset")
        assert everything(client) == everything(board) == b"reset"


# -- in a process of its own -----------------------------------------------------------------------------------------


def test_a_proxy_in_a_process_of_its_own() -> None:
    with serving() as server:
        (station,) = server.stations
        it = hil.board.proxy(station.address, ["slice:1"])
        with it as address, socket.create_connection(address, SECONDS) as client:
            client.sendall(ECHO)
            assert exactly(client, 4) == ECHO
            it.inject("cut:2")
            client.sendall(ECHO)
            assert everything(client) == ECHO[:2]
            with pytest.raises(UsageError, match="no kind of fault 'ct'"):
                it.inject("ct:2")
            it.lift()
        with socket.socket() as late, pytest.raises(ConnectionRefusedError):
            late.connect(address)
        with pytest.raises(TargetError):
            it.inject("cut")
        it.close()


@pytest.mark.parametrize(
    ("target", "fault", "message"),
    [
        ("127.0.0.1:3001", "freeze", "fault freeze: only boards in software have it"),
        ("127.0.0.1:3001", "latncy", "no kind of fault 'latncy'"),
        ("10.0.0.0/24", "cut", "expected one"),
        ("127.0.0.1:99999", "cut", "port 99999 is out of range"),
    ],
)
def test_what_a_proxy_cannot_do(target: str, fault: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hil.board.proxy(target, [fault])
