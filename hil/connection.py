"""The driver of one connection to a board: a socket, a thread that reads it without a break, and waits with an end.

`hil.wire` knows the protocol; here are the socket and the clock. The reader thread drains the socket whatever its owner
does, since a client that stops reading blocks the board (wire-protocol 8, hazard 16), and keeps messages with the time
of their arrival. `receive` hands them out, and raises `TargetLost` behind the last one when the connection is over.
Whoever leaves an exchange half-done closes the link; nobody uses it again.
"""

import contextlib
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hil.connecting import connect
from hil.errors import LocalProtocolError, RemoteProtocolError
from hil.messages import Binary, Document, FromClient, Message
from hil.wire import Connection, Role, State
from hil.wirelog import WireLog
from taskgen.addresses import Address
from taskgen.dialect.boards import BoardRow
from taskgen.errors import TargetLost

__all__ = ["MAX_WAITING", "NS_PER_S", "Arrival", "Link", "Patience", "connect"]

NS_PER_S = 1_000_000_000
#: How much may wait for its reader; a board that has said more is given up.
MAX_WAITING = 64 << 20
#: What a message takes in memory beside its document, about.
_ENVELOPE = 256
#: What a slow board takes of an upload per second at least.
_SLOWEST_BYTES_S = 50_000
_CHUNK = 1 << 16
#: How long a write that waits doesn't look whether it is to end.
_SLICE_NS = NS_PER_S // 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what; all in nanoseconds."""

    connect_ns: int = 5 * NS_PER_S
    write_ns: int = 10 * NS_PER_S  #: until some of a message is taken, and for all of it beside what its size takes
    stall_ns: int = 2 * NS_PER_S  #: silence inside a message
    close_ns: int = 2 * NS_PER_S  #: to finish what was begun


class Arrival(NamedTuple):
    """A message and when it arrived, in ns of the link's clock."""

    message: Message
    time_ns: int


class Link:
    """An open connection to a board, in the role of its client.

    Args:
        connection: an open socket, which this owns from now on.
        address: of the board.
        row: its generation; None: not known yet.
        patience: how long to wait for what.
        wire_log: where every byte goes, too.
        clock: what time it is, in ns.
    """

    def __init__(
        self,
        connection: socket.socket,
        address: Address,
        row: BoardRow | None = None,
        *,
        patience: Patience | None = None,
        wire_log: WireLog | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.address = address
        self.patience = patience or Patience()
        self.bytes_in = 0
        self.bytes_out = 0
        self.heard_ns = clock()  #: when the last byte came
        self._clock = clock
        self._log = wire_log
        self._machine = Connection(Role.CLIENT, row)
        self._machine_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._unsent = b""
        self._hurry_ns: int | None = None  # when a write gives up, whatever its size allows
        self._arrivals: deque[Arrival] = deque()
        self._waiting = 0  # bytes in it
        self._resting = False
        self._ignored = False  # something came while nobody listened
        self._news = threading.Condition()
        self._end: TargetLost | None = None
        self._woken = False
        self._closing = False
        self._closed = False
        self._socket = connection
        self._prepare_socket()
        self._reader = threading.Thread(target=self._read, name=f"taskgen reader of {address}", daemon=True)
        self._reader.start()

    def _prepare_socket(self) -> None:
        self._socket.setblocking(False)
        with contextlib.suppress(OSError):  # of a connection that is gone already: the reader finds out
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __repr__(self) -> str:
        age_s = (self._clock() - self.heard_ns) / NS_PER_S
        return (
            f"<link to {self.address}, {self._machine.state.value}, last byte {age_s:.1f} s ago,"
            f" {self.bytes_in} bytes in, {self.bytes_out} out>"
        )

    @property
    def row(self) -> BoardRow | None:
        """The board's generation; None: not known yet."""
        row = self._machine.row
        return row if isinstance(row, BoardRow) else None

    @property
    def over(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._closing or self._end is not None

    def now(self) -> int:
        """Return the time in ns."""
        return self._clock()

    def identify(self, row: BoardRow) -> None:
        """Say which generation the board is."""
        with self._machine_lock:
            self._machine.identify(row)
        if self._log is not None:
            self._log.identify(row.name)

    def give_up(self, message: FromClient) -> None:
        """Wait no longer for the reply to a request; a late one is a document like any other (hazard 7)."""
        with self._machine_lock:
            self._machine.give_up(message)

    def lost(self, reason: str) -> TargetLost:
        """Return the error that says how this connection failed."""
        age_s = max(0, self._clock() - self.heard_ns) / NS_PER_S
        return TargetLost(
            f"{self.address}: {reason}; last byte {age_s:.1f} s ago, {self.bytes_in} bytes in, {self.bytes_out} out",
            hint="reset the board; --wire-log FILE keeps every byte for `taskgen replay --wire FILE`",
        )

    # -- sending ---------------------------------------------------------------------------------------------------

    def send(self, *messages: FromClient) -> None:
        """Write messages with one call: a board that is awake has all that it needs.

        Raises:
            LocalProtocolError: one can't be sent now, or not to this generation; those before it were sent.
            TargetLost: the connection is over, or doesn't take it in time.
        """
        with self._write_lock:
            self._check_open()
            data = bytearray()
            try:
                with self._machine_lock:
                    for message in messages:
                        data += self._machine.send(message)
            finally:  # what the machine took is on its way, or the two would be out of step
                if data:
                    self._write(bytes(data))

    def _check_open(self) -> None:
        if self._end is not None:
            raise self._end
        if self._closing:
            raise self.lost("the connection was closed")

    def _write(self, data: bytes) -> None:
        if self._log is not None:
            self._log.sent(self._clock(), data)
        allowed_ns = self.patience.write_ns + len(data) * NS_PER_S // _SLOWEST_BYTES_S
        failure = self._push_out(data, self._clock() + allowed_ns)
        if failure is None:
            return
        with self._machine_lock:
            self._machine.send_failed()
        error = self.lost(f"the board doesn't take what is sent: {failure}")
        self._finish(error)
        raise error

    def _push_out(self, data: bytes, deadline_ns: int) -> str | None:
        """Write all of it, or keep the rest and return why."""
        view = memoryview(data)
        self._unsent = data  # until it is out: an interrupt leaves a message half-sent
        try:
            while view:
                try:
                    count = self._socket.send(view)
                except BlockingIOError:
                    count = 0
                self.bytes_out += count
                view = view[count:]
                self._unsent = data[len(data) - len(view) :]
                if view and not self._writable(deadline_ns):
                    return "no time left"
        except (OSError, ValueError) as error:  # ValueError: the socket was closed under us
            return getattr(error, "strerror", None) or str(error)
        return None

    def _writable(self, deadline_ns: int) -> bool:
        """Wait until the socket takes more; return False if it doesn't in time."""
        deadline_ns = min(deadline_ns, self._clock() + self.patience.write_ns)
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_WRITE)
            while not self._closed:
                left_ns = min(deadline_ns, self._hurry_ns or deadline_ns) - self._clock()
                if left_ns <= 0:
                    return False
                if selector.select(min(left_ns, _SLICE_NS) / NS_PER_S):
                    return True
        return False

    # -- receiving -------------------------------------------------------------------------------------------------

    def receive(self, deadline_ns: int | None = None) -> Arrival | None:
        """Return the next message, or None at the deadline or after `wake`.

        Raises:
            TargetLost: the connection is over, and everything that had arrived was handed out.
        """
        with self._news:
            while True:
                if self._arrivals:
                    arrival = self._arrivals.popleft()
                    self._waiting -= _size(arrival.message)
                    return arrival
                if self._end is not None:
                    raise self._end
                if self._woken:
                    self._woken = False
                    return None
                left_ns = None if deadline_ns is None else deadline_ns - self._clock()
                if left_ns is not None and left_ns <= 0:
                    return None
                self._news.wait(None if left_ns is None else left_ns / NS_PER_S)

    def wake(self) -> None:
        """Let a `receive` that waits return, and a write end soon: finished, or given up; from any thread."""
        with self._news:
            self._woken = True
            self._hurry_ns = self._clock() + self.patience.close_ns
            self._news.notify_all()

    def rest(self) -> None:
        """From now on nobody listens: messages are read and not kept, so that an idle link doesn't grow."""
        with self._news:
            self._resting = True
            self._ignored = bool(self._arrivals)
            self._arrivals.clear()
            self._waiting = 0

    def attend(self) -> bool:
        """Keep messages again, and forget a `wake` of before; return whether something came that nobody looked at."""
        with self._news:
            self._resting = self._woken = False
            self._hurry_ns = None
            ignored, self._ignored = self._ignored, False
            return ignored

    def _read(self) -> None:
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(self._socket, selectors.EVENT_READ)
                while self._read_once(selector):
                    pass
            except RemoteProtocolError as error:
                self._take(error.messages)  # type: ignore[arg-type]  # messages are all that it carries
                self._finish(self.lost(f"the board broke the protocol: {error}"))
            except (OSError, ValueError) as error:  # ValueError: the socket was closed under us
                self._finish(self.lost(getattr(error, "strerror", None) or "the connection is gone"))

    def _read_once(self, selector: selectors.BaseSelector) -> bool:
        mid_frame = self._machine.mid_frame
        if not selector.select((self.patience.stall_ns if mid_frame else self.patience.write_ns) / NS_PER_S):
            if mid_frame:  # between messages silence is ordinary
                self._finish(self.lost("the board fell silent inside a message"))
            return not mid_frame and not self._closed
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:  # a false alarm
            return True
        self.heard_ns = self._clock()
        self.bytes_in += len(data)
        if self._log is not None and not (self._closed and not data):  # the end that we made ourselves
            self._log.received(self.heard_ns, data)
        with self._machine_lock:
            messages = self._machine.receive(data)
        self._take(messages)
        if not data:
            self._finish(self.lost("the connection was closed" if self._closed else "the board closed the connection"))
        return bool(data) and self._end is None

    def _take(self, messages: "list[Message] | tuple[Message, ...]") -> None:
        if not messages:
            return
        with self._news:
            if self._resting:
                self._ignored = True
                return
            self._arrivals.extend(Arrival(message, self.heard_ns) for message in messages)
            self._waiting += sum(map(_size, messages))
            self._news.notify_all()
        if self._waiting > MAX_WAITING:
            self._finish(self.lost(f"the board has sent more than {MAX_WAITING >> 20} MiB that nobody looked at"))

    def _finish(self, error: TargetLost) -> None:
        with self._news:
            if self._end is None:
                self._end = error
            self._news.notify_all()

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self, owed: Binary | None = None, farewell: Sequence[FromClient] = ()) -> None:
        """Close the connection, at the boundary of a message if the board lets us (hazard 15).

        Idempotent, from any thread, and over after twice `Patience.close_ns`: a write of another thread is aborted.

        Args:
            owed: the binary that was announced and isn't sent, if there is one: a board dies without it.
            farewell: what is sent at the end, if there is time and the board may be told it.
        """
        deadline_ns = self._clock() + self.patience.close_ns
        with self._news:
            if self._closing:
                return
            self._closing = True  # nobody else begins to write
            self._hurry_ns = deadline_ns
        whole = self._complete(owed, farewell, deadline_ns)
        with self._news:
            self._closed = True
        with contextlib.suppress(OSError):  # a peer that is gone needs none of this
            if not whole:  # a reset: the board must not take half a message for a whole one
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Either wakes the reader; a write end that stays open until `close` makes the reset.
            self._socket.shutdown(socket.SHUT_RDWR if whole else socket.SHUT_RD)
        self._finish(self.lost("the connection was closed"))
        self._reader.join(self.patience.close_ns / NS_PER_S)
        self._socket.close()
        if self._log is not None:
            self._log.close()

    def _complete(self, owed: Binary | None, farewell: Sequence[FromClient], deadline_ns: int) -> bool:
        """Finish what was begun; return whether the board has whole messages only."""
        if not self._write_lock.acquire(timeout=self.patience.close_ns / NS_PER_S):
            return False
        try:
            if self._end is not None:
                return not self._unsent and self._machine.state is not State.GO
            if self._unsent and self._push_out(self._unsent, deadline_ns) is not None:
                return False
            if owed is not None and self._machine.binaries_left and not self._pay(owed, deadline_ns):
                return False
            return self._machine.state is not State.GO and self._say_farewell(farewell, deadline_ns)
        finally:
            self._write_lock.release()

    def _pay(self, owed: Binary, deadline_ns: int) -> bool:
        with contextlib.suppress(TargetLost):
            while self._machine.state is State.AWAIT_GO and self._clock() < deadline_ns:
                self.receive(deadline_ns)
        if self._machine.state is not State.GO:
            return False
        with self._machine_lock:
            data = self._machine.send(owed)
        return self._push_out(data, deadline_ns) is None

    def _say_farewell(self, messages: Sequence[FromClient], deadline_ns: int) -> bool:
        data = b""
        with (
            contextlib.suppress(LocalProtocolError),
            self._machine_lock,
        ):  # it announced a binary: nothing else may come
            data = b"".join(map(self._machine.send, messages))
        if data and self._log is not None:
            self._log.sent(self._clock(), data)
        return self._push_out(data, deadline_ns) is None


def _size(message: Message) -> int:
    """Return about what a message takes in memory."""
    return _ENVELOPE + (len(message.xml) if isinstance(message, Document) else 0)
