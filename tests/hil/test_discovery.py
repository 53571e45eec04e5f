"""Discovery finds whoever accepts, in bounded time and with bounded sockets, and leaves none of them open."""

import errno
import itertools
import json
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import discovery
from hil.discovery import discover
from taskgen.addresses import Address, parse
from taskgen.errors import TargetError, UsageError
from tests.loopback import listening, silent

ROOT = Path(__file__).parents[2]


def found(addresses: Iterator[Address], **options: float) -> list[Address]:
    """Discover, close what was found, and return where it was."""
    hosts = []
    for address, connection, latency_ns in discover(addresses, **options):  # type: ignore[arg-type]  # sockets is an int
        assert latency_ns >= 0
        connection.close()
        hosts.append(address)
    return hosts


def open_files() -> int:
    """Return how many files this process has open."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("open files can only be counted where there is a /proc")
    return sum(1 for _ in folder.iterdir())


@contextmanager
def open_files_limited_to(soft: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_whoever_listens_is_found_among_those_who_refuse() -> None:
    there = {"127.7.0.1", "127.7.1.200", "127.7.3.254"}
    with listening(*there) as port:
        assert {address.host for address in found(parse("127.7.0.0/22").addresses(port))} == there


def test_a_found_connection_is_open_and_blocking() -> None:
    with socket.create_server(("127.7.0.9", 0)) as server:
        address = Address(*server.getsockname())
        [(where, connection, _)] = discover([address])
        with connection, server.accept()[0] as board:
            assert where == address
            board.sendall(b"hello")
            assert connection.gettimeout() is None
            assert connection.recv(5) == b"hello"


def test_ipv6_is_discovered_too() -> None:
    try:
        with listening("::1") as port:
            assert found(parse("::1-::3").addresses(port), timeout_s=0.1) == [Address("::1", port)]
    except OSError as error:
        pytest.skip(f"there is no IPv6 here: {error}")


def test_silent_addresses_are_given_up_after_the_time_out() -> None:
    with silent() as port, listening("127.7.0.1"):
        started_ns = time.monotonic_ns()
        assert found(parse("127.8.0.1-127.8.0.40").addresses(port), timeout_s=0.05, sockets=20) == []
        assert time.monotonic_ns() - started_ns >= 2 * 50_000_000


LISTENING = [f"127.7.9.{number}" for number in range(1, 7)]
REFUSING = [f"127.7.10.{number}" for number in range(1, 7)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(LISTENING + REFUSING), max_size=30), st.integers(1, 12))
def test_each_address_is_decided_once_whatever_the_window(hosts: list[str], sockets: int) -> None:
    with listening(*LISTENING) as port:
        addresses = [Address(host, port) for host in hosts]
        expected = Counter(address for address in addresses if address.host in LISTENING)
        assert Counter(found(iter(addresses), sockets=sockets)) == expected


@pytest.mark.parametrize(("limit", "sockets", "most"), [(None, 30, 30), (120, 800, 60)])
def test_sockets_are_bounded_by_what_is_asked_and_by_half_of_the_open_files(
    limit: int | None, sockets: int, most: int
) -> None:
    peak = 0
    with silent() as port, open_files_limited_to(limit or resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        before = open_files()

        def drawn() -> Iterator[Address]:
            nonlocal peak
            for address in parse("127.8.0.1-127.8.0.200").addresses(port):
                peak = max(peak, open_files() - before)
                yield address

        assert found(drawn(), timeout_s=0.02, sockets=sockets) == []
        assert open_files() == before
    # The selector is a file, too, and at the moment of a draw one socket is still about to be opened.
    assert peak == most


def test_addresses_are_drawn_only_as_sockets_come_free() -> None:
    drawn = 0

    def endless() -> Iterator[Address]:
        nonlocal drawn
        while True:
            drawn += 1
            yield Address("127.7.0.1", port)

    with listening("127.7.0.1") as port, closing(discover(endless(), sockets=5)) as sweep:
        for one in itertools.islice(sweep, 20):
            one.connection.close()
        assert 20 <= drawn <= 30


def test_cancelling_closes_all_but_what_was_handed_on() -> None:
    with silent() as silent_port, listening("127.7.0.1") as port:
        before = open_files()
        addresses = [Address("127.7.0.1", port), *parse("127.8.0.1-127.8.0.50").addresses(silent_port)]
        sweep = discover(addresses, timeout_s=30)
        with next(sweep).connection as connection:
            assert open_files() > before + 1
            sweep.close()
            assert open_files() == before + 1
            assert connection.getpeername() == ("127.7.0.1", port)


def test_nothing_is_opened_before_the_first_draw() -> None:
    before = open_files()
    sweep = discover([Address("127.7.0.1", 1)])
    assert open_files() == before
    del sweep


def test_a_slow_reader_loses_nobody() -> None:
    """While the reader of the first one takes its time, the others come to be overdue: but they did answer."""
    clock = itertools.count(0, 1)
    overdue = 0

    def late() -> int:
        return next(clock) + overdue

    with listening(*LISTENING) as port:
        addresses = [Address(host, port) for host in LISTENING]
        hosts = []
        for one in discover(addresses, clock=late):
            overdue += 10**10
            one.connection.close()
            hosts.append(one.address.host)
        assert sorted(hosts) == LISTENING


class Exhausted:
    """Opens sockets until there are too many, or now and then."""

    def __init__(self, refuse: "itertools.cycle[bool]") -> None:
        self.refuse = refuse
        self.open = socket.socket

    def __call__(self, *arguments: int) -> socket.socket:
        if next(self.refuse):
            raise OSError(errno.EMFILE, "Too many open files")
        return self.open(*arguments)


def test_without_a_free_file_an_address_waits_and_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(*LISTENING) as port:
        monkeypatch.setattr(socket, "socket", Exhausted(itertools.cycle([False, True])))
        assert {each.host for each in found(iter(Address(host, port) for host in LISTENING))} == set(LISTENING)


def test_without_any_file_discovery_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", Exhausted(itertools.cycle([True])))
    with pytest.raises(TargetError, match="no socket can be opened: EMFILE") as caught:
        found(iter([Address("127.7.0.1", 1)]))
    assert caught.value.hint == "raise `ulimit -n`"


def test_without_a_file_for_the_selector_discovery_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(selectors, "DefaultSelector", refuse)
    with pytest.raises(TargetError, match="no socket can be opened: EMFILE") as caught:
        found(iter([Address("127.7.0.1", 1)]))
    assert caught.value.hint == "raise `ulimit -n`"


@pytest.mark.parametrize("address", [Address("localhost", 1), Address("10.0.0.0/24", 1), Address("127.0.0.1x", 1)])
def test_names_are_not_looked_up(address: Address) -> None:
    with pytest.raises(UsageError, match="is no numeric address"):
        found(iter([address]))


@pytest.mark.parametrize(("sockets", "timeout_s"), [(0, 1.0), (1, 0.0)])
def test_a_sweep_needs_a_socket_and_some_time(sockets: int, timeout_s: float) -> None:
    with pytest.raises(UsageError, match="expected at least one, and some time"):
        discover([], sockets=sockets, timeout_s=timeout_s)


def test_who_meets_only_itself_found_nobody() -> None:
    with socket.socket() as lonely:
        lonely.bind(("127.0.0.1", 0))
        lonely.connect(lonely.getsockname())
        assert not discovery._is_connected(lonely)


@pytest.mark.parametrize(("soft", "half"), [(1024, 512), (1, 1), (-1, 1 << 30)])
def test_half_of_the_open_files(soft: int, half: int) -> None:
    assert discovery.sockets_of(soft, unlimited=-1) == half


def test_in_a_network_that_drops_packets_the_boards_are_found() -> None:
    """A namespace of its own, in which all packets to 127.9.0.0/22 are dropped but for those to three boards."""
    command = [sys.executable, "-m", "benchmarks.discovery", "--prefix", "22", "--timeout", "0.2", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode == 77:
        pytest.skip(f"no network namespace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["addresses"] == 1022
    assert result["found"] == result["boards"]
    assert len(result["boards"]) == 3
    assert result["peak_sockets"] <= 800
