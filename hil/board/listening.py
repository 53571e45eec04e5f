"""Where boards in software listen: addresses and ports for many, and sockets that a reboot can silence."""

import contextlib
import ipaddress
import itertools
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from taskgen import addresses
from taskgen.addresses import Address
from taskgen.errors import UsageError

#: What the boards ask of their TCP stack (wire-protocol 1.1).
BACKLOG: Final = 5
LOOPBACK: Final = "127.0.0.1"
_LAST_PORT: Final = 65535
_NAMES: Final = {"localhost": LOOPBACK}


def places(listen: str, port: int, count: int) -> list[Address]:
    """Return where `count` boards listen: on as many addresses of a range, or on consecutive ports of one address.

    With port 0 the system chooses each port.

    Raises:
        UsageError: no IP address, or neither addresses nor ports are enough.
    """
    hosts = addresses.parse(_NAMES.get(listen, listen))
    if hosts.name or hosts.ports:
        raise UsageError(
            f"listen: {listen!r:.60} is no IP address without port, expected one such as {LOOPBACK} or a range of them",
            hint="the port has an option of its own",
        )
    if not 0 <= port <= _LAST_PORT:
        raise UsageError(f"port: {port} is out of range, expected 0..{_LAST_PORT}, 0 for any that is free")
    if hosts.count > 1:
        if hosts.count < count:
            raise UsageError(f"listen: {listen} has {hosts.count} addresses for {count} boards")
        return list(itertools.islice(hosts.addresses(port), count))
    if port and port + count - 1 > _LAST_PORT:
        raise UsageError(f"port: {count} boards from {port} on end beyond {_LAST_PORT}", hint="begin lower")
    (host, _) = next(hosts.addresses(port))
    return [Address(host, port + number if port else 0) for number in range(count)]


def is_loopback(address: Address) -> bool:
    """Whether only this machine can connect there."""
    return ipaddress.ip_address(address.host).is_loopback


def listeners(where: list[Address], backlog: int = BACKLOG) -> list[socket.socket]:
    """Open non-blocking listening sockets, all or none; `backlog` connections may wait at each.

    Raises:
        UsageError: a port is in use, or an address isn't this machine's.
    """
    _allow_files(16 * len(where) + 64)
    opened: list[socket.socket] = []
    try:
        for address in where:
            opened.append(_listener(address, backlog))
    except OSError as error:
        for each in opened:
            each.close()
        reason = error.strerror or str(error)
        raise UsageError(
            f"can't listen on {address}: {reason}", hint="choose another port with --port, or another --listen"
        ) from None
    return opened


def _listener(address: Address, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with contextlib.ExitStack() as stack:
        chosen = address.port
        if not chosen:
            # A port that was asked for by number stays ours while nobody listens on it; one that the system chose
            # for us doesn't. So a first socket holds the system's choice until the second has asked for it.
            guard = stack.enter_context(_bound(family, address.host, 0))
            chosen = guard.getsockname()[1]
        listener = _bound(family, address.host, chosen)
    try:
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _bound(family: int, host: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def address_of(listener: socket.socket) -> Address:
    """Return where a socket listens."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def silence(listener: socket.socket) -> None:
    """Refuse connections from now on, also those in the backlog; the port stays ours."""
    with contextlib.suppress(OSError):  # where a listening socket can't be shut down, its backlog is left unserved
        listener.shutdown(socket.SHUT_RDWR)


def resume(listener: socket.socket) -> None:
    """Listen again."""
    listener.listen(BACKLOG)


def abort(sock: socket.socket) -> None:
    """Close a connection with a reset."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _allow_files(wanted: int) -> None:
    """Raise the soft limit of open files, as far as that is allowed."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < wanted != resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def describe(where: list[Address]) -> Iterator[str]:
    """Yield addresses as few words: consecutive ones as FIRST - LAST."""
    runs: list[list[Address]] = []
    for address in where:
        if runs and _follows(runs[-1][-1], address):
            runs[-1].append(address)
        else:
            runs.append([address])
    for run in runs:
        yield str(run[0]) if len(run) == 1 else f"{run[0]} - {run[-1]}"


def _follows(one: Address, other: Address) -> bool:
    if one.host == other.host:
        return other.port == one.port + 1
    return one.port == other.port and int(ipaddress.ip_address(other.host)) == int(ipaddress.ip_address(one.host)) + 1
