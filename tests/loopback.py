"""Addresses of 127.0.0.0/8 on which somebody listens, nobody listens, or nobody answers."""

import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_ATTEMPTS = 20


@contextmanager
def listening(*hosts: str) -> Iterator[int]:
    """Listen on all these hosts, at a port that is the same for all: yields that port."""
    for attempt in range(_ATTEMPTS):
        with contextlib.ExitStack() as stack:
            try:
                port = _listen_on(stack, hosts)
            except OSError as error:  # somebody else has that port on one of the hosts
                if error.errno != errno.EADDRINUSE or attempt + 1 == _ATTEMPTS:
                    raise
                continue
            yield port
            return


def _listen_on(stack: contextlib.ExitStack, hosts: Sequence[str]) -> int:
    port = 0
    for host in hosts:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(64)
        port = listener.getsockname()[1]
    return port


@contextmanager
def silent() -> Iterator[int]:
    """Make all of 127.0.0.0/8 silent at one port, and yield it: the backlog is full, so further SYNs are dropped."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("0.0.0.0", 0))  # noqa: S104  # nobody can connect, from wherever
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        yield port
