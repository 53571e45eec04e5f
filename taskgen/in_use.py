"""Which boards this process is connected to: a board serves one client at a time, so nobody else here may knock.

A board is in use as long as a socket that was registered for it is open; to close the socket is to release the board.
"""

import socket
import threading
import weakref

from taskgen.addresses import Address

_lock = threading.Lock()
_sockets: dict[Address, list["weakref.ref[socket.socket]"]] = {}


def hold(address: Address, connection: socket.socket) -> None:
    """Register a connection to a board; it needs no release but its own close."""
    with _lock:
        _sockets[address] = [*_open(address), weakref.ref(connection)]


def held(address: Address) -> bool:
    """Tell whether this process has an open connection to a board."""
    with _lock:
        still_open = _open(address)
        if still_open:
            _sockets[address] = still_open
        else:
            _sockets.pop(address, None)
        return bool(still_open)


def _open(address: Address) -> list["weakref.ref[socket.socket]"]:
    return [ref for ref in _sockets.get(address, []) if (connection := ref()) is not None and connection.fileno() >= 0]
