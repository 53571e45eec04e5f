"""A TCP proxy in front of a board, with the faults of the transport: one selector loop for all connections.

Without faults nobody notices it: bytes, ends of streams and resets go through in their order, each direction ends by
itself, and who doesn't read stops the other end from writing, as the proxy keeps little.
"""

import contextlib
import errno
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, Self

from hil.board.faults import Fault
from hil.board.framing import Direction
from hil.board.hooks import Piece
from hil.board.line import Lane
from hil.board.listening import abort, address_of
from hil.board.streams import Stream
from hil.board.triggers import Plan
from hil.board.watched import Watched

#: What is read at once.
READ_BYTES: Final = 1 << 16
#: What one direction of one connection keeps before its sender has to wait.
IN_TRANSIT: Final = 1 << 18
#: Connections at the same time; further ones wait in the backlog.
MOST: Final = 512
#: Writes of one connection before the others have their turn: slices are many.
WRITES: Final = 64
#: How often an end that has to wait is asked whether it is still there, in ns.
CHECK_NS: Final = 100_000_000
#: How long the ends of a connection that a fault has closed may take to leave, in ns.
LEAVE_NS: Final = 5_000_000_000

_NS_PER_S: Final = 1_000_000_000
_UNDER_WAY: Final = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}


class Relay:
    """Forwards connections until `stop`; a context manager that closes all sockets.

    Args:
        listener: non-blocking; the relay closes it.
        target: the board: a family of addresses, and an address of it.
        faults: what goes wrong.
        seed: of what is drawn.
        clock: in ns.
    """

    def __init__(
        self,
        listener: socket.socket,
        target: tuple[int, Any],
        faults: Sequence[Fault] = (),
        seed: int = 0,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.address = address_of(listener)
        self.clock = clock
        self._listener = listener
        self._target = target
        self._key = f"{seed}/proxy"
        self._plan = Plan(faults, self._key)
        self._watched = Watched()
        self.watch = self._watched.watch
        self._pairs: set[_Pair] = set()
        self._number = 0
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all sockets."""
        for pair in self._pairs:
            pair.close()
        self._pairs.clear()
        self._listener.close()
        self._watched.close()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped = True

    def follow(self, faults: Sequence[Fault]) -> None:
        """Let this go wrong from now on, also on the connections that are there."""
        self._plan = Plan(faults, self._key, self._plan)
        for pair in self._pairs:
            pair.follow(self._plan)

    def run(self) -> None:
        """Forward until `stop`."""
        while not self._stopped:
            self.turn()

    def turn(self) -> None:
        """Wait until something is ready or due, and do it."""
        listens = selectors.EVENT_READ if len(self._pairs) < MOST else 0
        self.watch(self._listener, listens, self._on_listener)
        for ready, events in self._watched.select(self._timeout_s()):
            ready(events)
        now_ns = self.clock()
        for pair in [*self._pairs]:
            if (due_ns := pair.due_ns()) is not None and due_ns <= now_ns:
                pair.pump()
            if pair.closed:
                self._pairs.discard(pair)

    def _timeout_s(self) -> float | None:
        due_ns = min((due for pair in self._pairs if (due := pair.due_ns()) is not None), default=None)
        return None if due_ns is None else max(due_ns - self.clock(), 0) / _NS_PER_S

    def _on_listener(self, _: int) -> None:
        try:
            client, _address = self._listener.accept()
        except OSError:  # whoever it was has gone
            return
        self._number += 1
        try:
            self._pairs.add(_Pair(self, client, self._target, Stream(self._plan, self._number)))
        except OSError:  # no socket is left
            abort(client)


class _Flow:
    """One direction of a connection: from its source over a lane into its sink."""

    def __init__(self, way: Direction, source: socket.socket, sink: socket.socket) -> None:
        self.way = way
        self.source = source
        self.sink = sink
        self.lane = Lane()
        self.unsent = b""
        self.ended: Literal["", "end", "reset"] = ""  #: how the source's stream ended
        self.vanished = False  #: its end, by a fault
        self.done = False  #: the sink was told of the end

    @property
    def is_full(self) -> bool:
        return self.lane.size + len(self.unsent) >= IN_TRANSIT

    @property
    def reads(self) -> bool:
        return not (self.ended or self.is_full)

    def due_ns(self) -> int | None:
        return None if self.unsent else self.lane.due_ns


class _Pair:
    """A client's connection, and the one to the board that belongs to it."""

    def __init__(self, relay: Relay, client: socket.socket, target: tuple[int, Any], stream: Stream) -> None:
        family, place = target
        self.closed = False
        self._relay = relay
        self._stream = stream
        self._client = client
        self._board = socket.socket(family, socket.SOCK_STREAM)
        self._up = _Flow("up", self._client, self._board)
        self._down = _Flow("down", self._board, self._client)
        self._connected = False
        self._check_ns = 0
        self._leave_ns: int | None = None  # a fault has closed it
        for sock in (self._client, self._board):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._down.lane.put(stream.begin(), relay.clock())
        self._flush(self._down)
        if not self.closed:
            self._connect(place)

    def _connect(self, place: Any) -> None:
        if self._board.connect_ex(place) in _UNDER_WAY:
            self._watch()
        else:
            self._leave(abort)  # nobody listens there: a client that was accepted can't be refused any more

    def follow(self, plan: Plan) -> None:
        """Let this go wrong from now on."""
        if self.closed:
            return
        self._stream.follow(plan)
        self._down.lane.put(self._stream.begin(), self._relay.clock())
        for flow in (self._up, self._down):
            if flow.vanished:
                self._end(flow)
        self.pump()

    def due_ns(self) -> int | None:
        """When there is something to do without anything being ready."""
        if self.closed:
            return None
        flows = (self._up, self._down)
        due = [flow.due_ns() for flow in flows if self._connected or flow.way == "down"]
        waits = self._connected and any(flow.is_full and not flow.ended for flow in flows)
        times = (*due, self._check_ns if waits else None, self._leave_ns)
        return min((each for each in times if each is not None), default=None)

    def pump(self) -> None:
        """Do what is due."""
        now_ns = self._relay.clock()
        for flow in (self._up, self._down):
            if self._connected and flow.is_full and not flow.ended and self._check_ns <= now_ns:
                self._check(flow)
            if not self.closed and (self._connected or flow.way == "down"):
                self._flush(flow)
        if self._check_ns <= now_ns:
            self._check_ns = now_ns + CHECK_NS
        if self._leave_ns is not None and self._leave_ns <= now_ns:
            self.close()
        self._watch()

    def close(self) -> None:
        """Close both ends."""
        self._leave(socket.socket.close)

    # -- sockets -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self.closed:
            return
        flows = (self._up, self._down)
        if self._leave_ns is None and all(flow.done for flow in flows):
            self.close()
            return
        for reads, writes in (flows, flows[::-1]):
            events = selectors.EVENT_READ if self._connected and reads.reads else 0
            is_connecting = reads is self._down and not self._connected
            events |= selectors.EVENT_WRITE if writes.unsent or is_connecting else 0
            self._relay.watch(reads.source, events, self._on_client if reads is self._up else self._on_board)

    def _on_client(self, events: int) -> None:
        self._on_ready(events, self._up, self._down)

    def _on_board(self, events: int) -> None:
        if not self._connected and not self.closed:
            if self._board.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._leave(abort)
                return
            self._connected = True
        self._on_ready(events, self._down, self._up)

    def _on_ready(self, events: int, reads: _Flow, writes: _Flow) -> None:
        if events & selectors.EVENT_READ and reads.reads and not self.closed:
            self._read(reads)
        for flow in (reads, writes):
            if not self.closed and (self._connected or flow.way == "down"):
                self._flush(flow)
        self._watch()

    def _read(self, flow: _Flow) -> None:
        try:
            data = flow.source.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._end(flow, reset=True)
            return
        if data:
            self._put(flow, self._stream.feed(flow.way, data))
        else:
            self._end(flow)

    def _put(self, flow: _Flow, pieces: Iterable[Piece]) -> None:
        flow.lane.put(pieces, self._relay.clock())

    def _end(self, flow: _Flow, *, reset: bool = False) -> None:
        """The source's stream is over, now or, if a fault let that vanish, since long."""
        flow.ended = "reset" if reset or flow.ended == "reset" else "end"
        pieces = self._stream.reset(flow.way) if flow.ended == "reset" else self._stream.feed(flow.way, b"")
        flow.vanished = not pieces
        self._put(flow, pieces)
        if self._leave_ns is not None and self._up.ended and self._down.ended:
            self.close()

    def _check(self, flow: _Flow) -> None:
        """A source that isn't read from can still be seen to have gone."""
        if flow.source.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(flow, reset=True)

    def _flush(self, flow: _Flow) -> None:
        """Write what is due, each piece by itself."""
        for _ in range(WRITES):
            if not flow.unsent:
                due = flow.lane.pop(self._relay.clock())
                if due is None:
                    return
                if due.end:
                    self._finish(due.end)
                    return
                if not due.data:
                    flow.done = True
                    with contextlib.suppress(OSError):
                        flow.sink.shutdown(socket.SHUT_WR)
                    return
                flow.unsent = bytes(due.data)
            if not self._send(flow):
                return

    def _send(self, flow: _Flow) -> bool:
        """Write what the sink has room for; return whether that was all."""
        try:
            sent = flow.sink.send(flow.unsent)
        except BlockingIOError:
            return False
        except OSError:  # the sink has gone
            sent = len(flow.unsent)
            other = self._down if flow is self._up else self._up
            if other.ended != "reset":
                self._end(other, reset=True)
        flow.unsent = flow.unsent[sent:]
        return not flow.unsent

    def _finish(self, end: str) -> None:
        """End the connection: by a fault, or since one of its ends was reset."""
        if end == "reset":
            self._leave(abort)
            return
        self._leave_ns = self._relay.clock() + LEAVE_NS
        for flow in (self._up, self._down):
            flow.lane.clear()
            flow.unsent = b""
            flow.done = True
            with contextlib.suppress(OSError):
                flow.sink.shutdown(socket.SHUT_WR)
        if self._up.ended and self._down.ended:
            self.close()

    def _leave(self, close: Callable[[socket.socket], None]) -> None:
        if self.closed:
            return
        self.closed = True
        for sock in (self._client, self._board):
            self._relay.watch(sock, 0, _ignore)
            close(sock)


def _ignore(_: int) -> None:
    """Nobody listens to this socket any more."""
