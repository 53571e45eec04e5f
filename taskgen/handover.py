"""A connection on its way from discovery to the session that will use it."""

import contextlib
import socket
import threading
import weakref

from taskgen import in_use
from taskgen.addresses import Address


class Handover:
    """An open connection that belongs to whoever takes it first; one that nobody takes is closed with this."""

    def __init__(self, address: Address, connection: socket.socket, latency_ns: int) -> None:
        self.address = address
        self.latency_ns = latency_ns  #: how long the board took to accept
        self._connection: socket.socket | None = connection
        self._lock = threading.Lock()
        self._finalizer = weakref.finalize(self, close, connection)
        in_use.hold(address, connection)

    def take(self) -> socket.socket | None:
        """Return the connection, blocking and without time-out, to the first who asks; None to everybody after."""
        with self._lock:
            connection, self._connection = self._connection, None
            self._finalizer.detach()
        return connection

    @property
    def closed(self) -> bool:
        """Whether it was taken or closed."""
        return self._connection is None

    def close(self) -> None:
        """Close the connection if nobody took it."""
        connection = self.take()
        if connection is not None:
            close(connection)


def close(connection: socket.socket) -> None:
    """Close a connection so that the board sees its end: with a FIN."""
    with contextlib.suppress(OSError):  # the board may have closed it first
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
