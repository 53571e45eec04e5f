"""Addresses: one text is one address, or a range that is walked lazily."""

import ipaddress
import itertools
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import addresses, in_use
from taskgen.addresses import MAX_ADDRESSES, Address, Spans, parse, split
from taskgen.errors import UsageError
from taskgen.handover import Handover

KNOWN = [
    ("10.0.0.7", [("10.0.0.7", 3001)]),
    ("10.0.0.7:3002", [("10.0.0.7", 3002)]),
    ("::1", [("::1", 3001)]),
    ("[::1]", [("::1", 3001)]),
    ("[::1]:3002", [("::1", 3002)]),
    ("fe80::1%eth0", [("fe80::1%eth0", 3001)]),
    ("[fe80::1%eth0]:3002", [("fe80::1%eth0", 3002)]),
    ("localhost", [("localhost", 3001)]),
    ("pi-4.lab:3002", [("pi-4.lab", 3002)]),
    ("10.0.0.0/30", [("10.0.0.1", 3001), ("10.0.0.2", 3001)]),
    ("10.0.0.2/30", [("10.0.0.1", 3001), ("10.0.0.2", 3001)]),
    ("10.0.0.0/31", [("10.0.0.0", 3001), ("10.0.0.1", 3001)]),
    ("10.0.0.5/32", [("10.0.0.5", 3001)]),
    ("fe80::/127", [("fe80::", 3001), ("fe80::1", 3001)]),
    ("[fe80::/127]:7", [("fe80::", 7), ("fe80::1", 7)]),
    ("10.0.0.255-10.0.1.1", [("10.0.0.255", 3001), ("10.0.1.0", 3001), ("10.0.1.1", 3001)]),
    ("::1-::2", [("::1", 3001), ("::2", 3001)]),
    ("10.0.0.1-10.0.0.1:8-9", [("10.0.0.1", 8), ("10.0.0.1", 9)]),
    ("10.0.0.1-10.0.0.2:8-9", [("10.0.0.1", 8), ("10.0.0.1", 9), ("10.0.0.2", 8), ("10.0.0.2", 9)]),
]


@pytest.mark.parametrize(("text", "expected"), KNOWN, ids=[text for text, _ in KNOWN])
def test_what_a_text_stands_for(text: str, expected: list[tuple[str, int]]) -> None:
    hosts = parse(text)
    assert list(hosts.addresses()) == expected
    assert hosts.count == len(expected)


@pytest.mark.parametrize(("text", "expected"), KNOWN, ids=[text for text, _ in KNOWN])
def test_an_address_is_written_so_that_it_can_be_read_again(text: str, expected: list[tuple[str, int]]) -> None:
    hosts = parse(text)
    for address in hosts.addresses():
        assert split(str(address)) == split(hosts.written(address)) == address


BAD = [
    ("10.0.0.300", "is no IP address"),
    ("1.2.3", "is no IP address"),
    ("10.0.0.07", "is no IP address"),
    ("10.0.0.0/40", "is no IP address: '10.0.0.0/40' does not appear to be"),
    ("lab/24", "is no IP address"),
    ("10.0.0.7:", "is no IP address"),
    ("10.0.0.7:port", "is no IP address"),
    ("10.0.0.7:0", "port 0 is out of range, expected 1 to 65535"),
    ("10.0.0.7:65536", "port 65536 is out of range"),
    ("10.0.0.7:9-8", "port 9-8 is out of range"),
    ("10.0.0.1-20", "'20' is no address after 10.0.0.1"),
    ("10.0.0.9-10.0.0.1", "is no range of IP addresses"),
    ("10.0.0.1-::1", "is no range of IP addresses"),
    ("[10.0.0.7]:3001", "brackets are for IPv6 addresses"),
    ("[::1", "is no IP address"),
    ("", "is no IP address"),
    ("pi lab", "is no IP address"),
    ("../etc", "is no IP address"),
    ("a" * 254, "is no IP address"),
    ("1" * 1000, "is longer than 512 characters"),
    ("10.0.0.0/11", "stands for 2097150 addresses, expected at most 1048576"),
    ("::/0", f"stands for {2**128} addresses"),
    ("10.0.0.0/16:1-17", "stands for 1114078 addresses"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[text[:20] for text, _ in BAD])
def test_what_is_no_address_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_largest_range_is_walked_lazily() -> None:
    hosts = parse("10.0.0.0/12")
    assert hosts.count == MAX_ADDRESSES - 2
    assert next(hosts.addresses()) == ("10.0.0.1", 3001)
    assert parse("::/108").count == MAX_ADDRESSES


def test_one_address_is_expected_where_one_is_meant() -> None:
    with pytest.raises(UsageError, match=r"'10.0.0.0/30': stands for 2 addresses, expected one"):
        split("10.0.0.0/30")


NUMBERS = st.integers(0, 40)
RANGES = st.tuples(NUMBERS, NUMBERS, st.none() | st.sampled_from([(7, 7), (8, 9)])).map(
    lambda drawn: addresses.Hosts("", "", 4, min(drawn[:2]), max(drawn[:2]), drawn[2])
)


@given(st.lists(RANGES, max_size=8), st.none() | st.integers(6, 10))
def test_spans_are_the_union_of_what_was_added(ranges: list[addresses.Hosts], port: int | None) -> None:
    spans = Spans(ranges, port)
    for number, asked in itertools.product(range(45), range(6, 11)):
        expected = any(
            each.first <= number <= each.last
            and (each.ports[0] <= asked <= each.ports[1] if each.ports else port in {None, asked})
            for each in ranges
        )
        assert (Address(str(ipaddress.IPv4Address(number)), asked) in spans) == expected


def test_names_and_versions_are_kept_apart() -> None:
    spans = Spans([parse("pi4"), parse("lab:7"), parse("::/120"), parse("fe80::1%eth0")])
    inside = [Address("pi4", 1), Address("lab", 7), Address("::5", 1), Address("fe80::1%eth0", 9)]
    outside = [Address("pi5", 1), Address("lab", 8), Address("0.0.0.5", 1), Address("fe80::1%eth1", 9)]
    assert [each in spans for each in inside + outside] == [True] * 4 + [False] * 4


def test_a_board_is_in_use_as_long_as_one_of_its_connections_is_open() -> None:
    board = Address("127.7.0.1", 1)
    with socket.socket() as first, socket.socket() as second:
        in_use.hold(board, first)
        in_use.hold(board, second)
        first.close()
        assert in_use.held(board)
        assert not in_use.held(Address("127.7.0.1", 2))
    assert not in_use.held(board)


def test_a_connection_is_handed_over_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handover = Handover(Address("127.7.0.2", 1), ours, 5)
        assert in_use.held(handover.address)
        assert handover.take() is ours
        assert handover.closed
        assert handover.take() is None
        handover.close()
        assert ours.fileno() >= 0


def test_a_connection_that_nobody_takes_is_closed_orderly_in_the_end() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        handover = Handover(Address("127.7.0.3", 1), ours, 5)
        del handover
        assert theirs.recv(1) == b""
        assert ours.fileno() == -1
        assert not in_use.held(Address("127.7.0.3", 1))
