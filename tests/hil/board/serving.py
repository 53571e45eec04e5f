"""Boards behind real sockets on loopback, in a thread of the test."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from hil.board.hooks import Hook
from hil.board.listening import listeners, places
from hil.board.options import BoardOptions
from hil.board.pace import speed_of
from hil.board.server import Server
from taskgen.addresses import Address

SECONDS = 10.0  #: longer than anything takes here


@contextmanager
def serving(hooks: Sequence[Hook] | None = None, **options: Any) -> Iterator[Server]:
    """Serve boards in a thread; `options` are those of `BoardOptions`."""
    asked = BoardOptions(**options)
    opened = listeners(places(asked.listen, asked.port, asked.count))
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        Server(
            opened,
            asked.factory(),
            speed=speed_of(asked.speed),
            hooks=hooks or [Hook() for _ in range(asked.count)],
        ) as server,
    ):
        server.watch(theirs, 1, lambda _: server.stop())
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server
        finally:
            ours.close()
            thread.join(SECONDS)
            assert not thread.is_alive()


def on_loop(server: Server, act: Callable[[], object]) -> None:
    """Do something in the server's thread, as orders of a process do."""
    ours, theirs = socket.socketpair()
    done = threading.Event()

    def ready(_: int) -> None:
        server.watch(theirs, 0, ready)
        act()
        done.set()

    with ours, theirs:
        server.watch(theirs, 1, ready)
        ours.sendall(b"!")
        assert done.wait(SECONDS)


class Client:
    """A socket that reads exactly what it asks for; a context manager."""

    def __init__(self, address: Address, timeout_s: float = SECONDS, **options: int) -> None:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        for name, value in options.items():
            self.sock.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        self.sock.settimeout(timeout_s)
        try:
            self.sock.connect(tuple(address))
        except OSError:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, size: int) -> bytes:
        """Return exactly that many bytes."""
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError(data)
            data += more
        return data

    def document(self) -> bytes:
        """Return the text of the next document."""
        return self.read(int.from_bytes(self.read(4), "little"))[:-1]

    def is_silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing comes for a moment, neither bytes nor an end."""
        self.sock.settimeout(seconds)
        try:
            return self.sock.recv(1) is None
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(SECONDS)


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)
