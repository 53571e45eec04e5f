"""What a proxy is in front of: not itself, and somebody whose name is known; many may come at once."""

import contextlib
import socket

import pytest

from hil.board.proxying import BACKLOG, ProxyOptions, proxy
from taskgen.errors import ConnectError, UsageError


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


@pytest.mark.parametrize(
    ("listen", "target"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.3.2.1"), ("localhost", "localhost"), ("::1", "[::1]")],  # noqa: S104  # refused
)
def test_a_proxy_is_no_target_of_its_own(listen: str, target: str) -> None:
    port = free_port("::1" if ":" in listen else "127.0.0.1")
    with pytest.raises(UsageError, match="is the proxy itself, expected a board"):
        ProxyOptions(f"{target}:{port}", listen=listen, port=port).relay()


def test_another_host_may_have_the_same_port() -> None:
    port = free_port()
    with ProxyOptions(f"127.0.0.2:{port}", port=port).relay() as relay:
        assert relay.address.port == port
    with ProxyOptions(f"192.0.2.1:{port}", listen="0.0.0.0", port=port).relay() as relay:  # noqa: S104  # no traffic
        assert relay.address.port == port


def test_a_name_that_nobody_knows_is_one_line_without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectError) as caught:
        ProxyOptions("board.lab:3001").relay()
    assert str(caught.value) == "target board.lab:3001: Name or service not known"


def test_many_clients_may_wait_at_a_proxy_that_is_busy() -> None:
    """A board's backlog of five is protocol; the proxy's isn't: a burst of clients is no fault."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as board, contextlib.ExitStack() as stack:
        relay = stack.enter_context(ProxyOptions(f"127.0.0.1:{board.getsockname()[1]}").relay())
        for _ in range(BACKLOG):  # nobody accepts meanwhile
            stack.enter_context(socket.create_connection(relay.address, 10))


def test_bytes_that_are_no_protocol_come_through_as_they_are() -> None:
    data = bytes(range(256)) * 2_000
    with (
        socket.create_server(("127.0.0.1", 0)) as board,
        proxy(f"127.0.0.1:{board.getsockname()[1]}") as address,
        socket.create_connection(address, 10) as client,
        contextlib.closing(board.accept()[0]) as upstream,
    ):
        for source, sink in ((client, upstream), (upstream, client)):
            seen = b""
            sent = 0
            while len(seen) < len(data):
                sent += source.send(data[sent : sent + 65_536]) if sent < len(data) else 0
                seen += sink.recv(1 << 20)
            assert seen == data
