"""How a connection to a board is opened: it is in use from then on (`taskgen.in_use`)."""

import socket

from taskgen import in_use
from taskgen.addresses import Address
from taskgen.errors import ConnectError

_NS_PER_S = 1_000_000_000


def connect(address: Address, timeout_ns: int) -> socket.socket:
    """Return a TCP connection to a board; that somebody accepts doesn't mean that a board serves (hazard 13).

    Raises:
        ConnectError: nobody accepts, or the name is unknown.
    """
    try:
        connection = socket.create_connection((address.host, address.port), timeout_ns / _NS_PER_S)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
        raise ConnectError(
            f"{address}: nobody accepts a connection: {reason}",
            hint="boards need up to a minute to boot; is it switched on, and the port right?",
        ) from None
    try:
        if connection.getsockname() == connection.getpeername():  # TCP's simultaneous open, on a port of this machine
            raise OSError
    except OSError:
        connection.close()
        raise ConnectError(f"{address}: nobody accepts a connection: connection refused") from None
    in_use.hold(address, connection)
    return connection
