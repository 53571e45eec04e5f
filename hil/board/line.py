"""The connection of a board's client: a socket, and what is on its way in both directions."""

import contextlib
import selectors
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Literal, NamedTuple

from hil.board.hooks import Hook, Piece
from hil.board.listening import abort

#: What is read at once; the rest waits in TCP's windows while the board is busy.
READ_BYTES: Final = 1 << 16
#: What the system may keep of what the board wrote; a board's own TCP stack keeps little, so that it soon blocks.
SEND_BYTES: Final = 1 << 16
#: What may be on its way to the client, since a fault delays it, before the board waits.
_IN_TRANSIT: Final = 1 << 20
#: Writes at once, each of a piece or slice.
_WRITES: Final = 256


class _Due(NamedTuple):
    """One thing that arrives: bytes, or an end."""

    at_ns: int
    data: bytes | memoryview
    end: Literal["", "close", "reset"] = ""
    slice: int = 0
    gap_ns: int = 0


class Lane:
    """One direction: pieces on their way, in order."""

    def __init__(self) -> None:
        self._pieces: deque[_Due] = deque()
        self.size = 0  #: bytes on their way

    def put(self, pieces: Iterable[Piece], now_ns: int) -> None:
        """Send pieces on their way; none overtakes an earlier one."""
        for data, delay_ns, end, size, gap_ns in pieces:
            at_ns = max(now_ns + delay_ns, self._pieces[-1].at_ns if self._pieces else 0)
            if data or not end:
                self._pieces.append(_Due(at_ns, memoryview(data) if size else data, "", size, gap_ns))
            if end:
                self._pieces.append(_Due(at_ns, b"", end))
            self.size += len(data)

    @property
    def due_ns(self) -> int | None:
        """When the next one arrives."""
        return self._pieces[0].at_ns if self._pieces else None

    def pop(self, now_ns: int) -> _Due | None:
        """Return the next one if it has arrived."""
        if not self._pieces or self._pieces[0].at_ns > now_ns:
            return None
        due = self._pieces.popleft()
        if 0 < due.slice < len(due.data):
            self._pieces.appendleft(due._replace(at_ns=now_ns + due.gap_ns, data=due.data[due.slice :]))
            due = due._replace(data=due.data[: due.slice])
        self.size -= len(due.data)
        return due

    def clear(self) -> None:
        """Lose what is on its way."""
        self._pieces.clear()
        self.size = 0


class Line:
    """A client's connection, as the board has it."""

    def __init__(self, sock: socket.socket, clock: Callable[[], int]) -> None:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        self.sock = sock
        self.closed = False  #: by a fault; the socket isn't yet, see `shut`
        self.ended = False  #: the client's stream, seen from the socket
        self._end: Literal["", "close", "reset"] = ""  # that a fault makes
        self._end_vanished = False  # by a fault
        self._clock = clock
        self._inward = Lane()
        self._outward = Lane()
        self._unsent = b""  # what the client's window had no room for

    @property
    def blocked(self) -> bool:
        """Whether a write would block: the client doesn't read."""
        return bool(self._unsent) or self._outward.size > _IN_TRANSIT

    def events(self, *, reads: bool) -> int:
        """Return what to watch the socket for; `reads`: the board would read."""
        if self.closed:
            return 0
        if self._unsent:  # whoever can't write doesn't read
            return selectors.EVENT_WRITE
        return selectors.EVENT_READ if reads and not self.ended and self._inward.due_ns is None else 0

    def due_ns(self, *, reads: bool) -> int | None:
        """Return when something arrives; `reads`: the board would read."""
        lanes = (self._inward.due_ns if reads else None, None if self._unsent else self._outward.due_ns)
        return min((each for each in lanes if each is not None), default=None)

    def read(self, hook: Hook) -> None:
        """Take from the socket what is there."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.ended = not data
        self._hear(data, hook)

    def repeat_end(self, hook: Hook) -> None:
        """Tell another hook of the end of the client's stream, if the one before it let it vanish."""
        if self._end_vanished:
            self._hear(b"", hook)

    def _hear(self, data: bytes, hook: Hook) -> None:
        pieces = [*hook.incoming(data)]
        self._end_vanished = not (data or pieces)
        self._inward.put(pieces, self._clock())

    def arrived(self) -> bytes | None:
        """Return what has arrived at the board, b"" for the end; None: nothing yet."""
        due = self._inward.pop(self._clock())
        if due is None:
            return None
        if due.end:
            self._hang_up(due.end)
        return bytes(due.data)

    def write(self, pieces: Iterable[Piece]) -> None:
        """Send what the board wrote on its way."""
        self._outward.put(pieces, self._clock())

    def flush(self) -> int:
        """Write what is due, each piece by itself, as far as the client's window lets us; return how much went out.

        Of very many slices only some, so that other boards have their turn.
        """
        total = 0
        for _ in range(_WRITES):
            if self.closed:
                break
            if not self._unsent:
                due = self._outward.pop(self._clock())
                if due is None:
                    break
                if due.end:
                    self._hang_up(due.end)
                    break
                self._unsent = bytes(due.data)
            sent = self._send()
            total += sent
            if self._unsent:
                break
        return total

    def _send(self) -> int:
        try:
            sent = self.sock.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            return 0
        except OSError:  # nobody is there: into the void; the board notices when it reads
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        return sent

    def _hang_up(self, end: Literal["close", "reset"]) -> None:
        """A fault ends the connection, for both sides."""
        self.closed = self.ended = True
        self._end = end
        self._unsent = b""
        self._outward.clear()
        self._inward.clear()
        self._inward.put((Piece(b""),), self._clock())

    def shut(self) -> None:
        """Let the client see what the fault did; nobody may watch the socket any more.

        After a close in good order the socket stays open: closing it would reset what the client goes on to send.
        """
        if self._end == "reset":
            abort(self.sock)
        elif self._end:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
        self._end = ""
