"""Discovery: which of many addresses accept a TCP connection.

A sweep keeps a bounded number of non-blocking connects under way and draws further addresses as others are decided,
so a /16 of silent addresses takes 65536 / 800 time-outs and no more memory than a /24. That somebody accepts doesn't
mean that a board serves (wire-protocol 8, hazard 13): whoever gets the connection finds that out, over this very
connection, since each one costs a real board a socket and its only serving slot.
"""

import errno
import selectors
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

from taskgen.addresses import Address
from taskgen.errors import TargetError, UsageError

#: Sockets under way where nobody knows how many files may be open (Windows: select takes 512).
_UNKNOWN_LIMIT = 512

_UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", 0)}
#: Our own lack, which says nothing about the address: it is tried again when a socket has come free.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Found(NamedTuple):
    """Somebody accepted: the open connection belongs to whoever gets this, and is blocking."""

    address: Address
    connection: socket.socket
    latency_ns: int


def discover(
    addresses: Iterable[Address],
    *,
    timeout_s: float = 1.0,
    sockets: int = 800,
    clock: Callable[[], int] = time.monotonic_ns,
) -> Generator[Found, None, None]:
    """Yield those of the addresses that accept a TCP connection, in the order in which they answer.

    Addresses are drawn as sockets come free; closing the iterator closes all connections that weren't handed on.

    Args:
        addresses: pairs of a numeric IPv4 or IPv6 address and a port; names aren't looked up.
        timeout_s: how long an address may be silent.
        sockets: how many connects are under way at most, and never more than half of the files that may be open.
        clock: what time it is, in ns.

    Raises:
        UsageError: an address isn't numeric.
        TargetError: not a single socket can be opened.
    """
    if sockets < 1 or timeout_s <= 0:
        raise UsageError(f"discovery with {sockets} sockets and {timeout_s} s: expected at least one, and some time")
    return _sweep(iter(addresses), sockets, round(timeout_s * 1e9), clock)


def socket_limit() -> int:
    """Return half of the number of files that this process may have open."""
    try:
        import resource
    except ImportError:  # Windows
        return _UNKNOWN_LIMIT
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sockets_of(soft, unlimited=resource.RLIM_INFINITY)


def sockets_of(soft: int, *, unlimited: int) -> int:
    """Return half of a limit of open files, at least 1."""
    return 1 << 30 if soft == unlimited else max(1, soft // 2)


def _sweep(
    source: Iterator[Address], sockets: int, timeout_ns: int, clock: Callable[[], int]
) -> Generator[Found, None, None]:
    connects = _Connects(min(sockets, socket_limit()), timeout_ns, clock)
    try:
        while connects.fill(source):
            yield from connects.decide()
    finally:
        connects.close()


class _Attempt(NamedTuple):
    address: Address
    started_ns: int
    deadline_ns: int


class _Connects:
    """The connects that are under way."""

    def __init__(self, limit: int, timeout_ns: int, clock: Callable[[], int]) -> None:
        self._limit = limit
        self._timeout_ns = timeout_ns
        self._clock = clock
        self._selector = _selector()
        self._under_way: dict[socket.socket, _Attempt] = {}  # in the order of their deadlines
        self._put_off: Address | None = None

    def fill(self, source: Iterator[Address]) -> bool:
        """Begin as many connects as may be under way; False: there is nothing left to decide."""
        for _ in range(self._limit - len(self._under_way)):
            address, self._put_off = self._put_off or next(source, None), None
            if address is None:
                return bool(self._under_way)
            error = self._begin(address)
            if error in _EXHAUSTED:
                if not self._under_way:
                    raise _exhausted(error)
                self._put_off = address
                break
        return True

    def _begin(self, address: Address) -> int:
        """Begin a connect and return its error number, 0 if it is under way."""
        family, place = _numeric(address)
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError as refusal:  # of our own system: no file is left, or it doesn't know IPv6
            return refusal.errno or errno.EAFNOSUPPORT
        connection.setblocking(False)
        started_ns = self._clock()
        error = connection.connect_ex(place)
        if error not in _UNDER_WAY:
            connection.close()
            return error
        self._under_way[connection] = _Attempt(address, started_ns, started_ns + self._timeout_ns)
        self._selector.register(connection, selectors.EVENT_WRITE, connection)
        return 0

    def decide(self) -> Iterator[Found]:
        """Wait until something is decided and yield what was found; what is overdue is absent."""
        if not self._under_way:
            return
        looked_ns = self._clock()  # whoever is overdue now, and isn't ready at the look that follows, was silent
        first = next(iter(self._under_way.values()))
        ready = self._selector.select(max(0, first.deadline_ns - looked_ns) / 1e9)
        now_ns = self._clock()
        for key, _ in ready:
            connection = key.data
            attempt = self._take(connection)
            if _is_connected(connection):
                connection.setblocking(True)
                yield Found(attempt.address, connection, now_ns - attempt.started_ns)
            else:
                connection.close()
        for connection in [*takewhile(lambda each: self._under_way[each].deadline_ns <= looked_ns, self._under_way)]:
            self._take(connection)
            connection.close()

    def _take(self, connection: socket.socket) -> _Attempt:
        self._selector.unregister(connection)
        return self._under_way.pop(connection)

    def close(self) -> None:
        for connection in self._under_way:
            connection.close()
        self._under_way.clear()
        self._selector.close()


def _selector() -> selectors.BaseSelector:
    try:
        return selectors.DefaultSelector()  # a file, where the system has epoll or kqueue
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            raise
        raise _exhausted(error.errno) from None


def _exhausted(error: int) -> TargetError:
    name = errno.errorcode[error]
    return TargetError(f"discovery: no socket can be opened: {name}", hint="raise `ulimit -n`")


def _numeric(address: Address) -> tuple[int, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]:
    host, port = address
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)[0]
    except (socket.gaierror, UnicodeError, OverflowError):
        raise UsageError(f"discovery: {host!r:.80} port {port} is no numeric address") from None
    return family, place


def _is_connected(connection: socket.socket) -> bool:
    try:
        if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return False
        # On one's own ports a connect may meet itself, where nobody listens.
        return bool(connection.getsockname() != connection.getpeername())
    except OSError:
        return False
