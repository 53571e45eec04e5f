"""Addresses of boards as users write them: `10.0.0.7`, `[::1]:3001`, `10.0.0.0/24`, `10.0.0.1-10.0.0.20:3001-3004`.

A text is parsed into `Hosts`, which is one address or a range, and a range is walked lazily: it may stand for a million
addresses. Nothing here looks a name up or opens a socket.
"""

import ipaddress
import re
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from taskgen.errors import UsageError
from taskgen.units import short

#: The port of every taskloader that was ever shipped (wire-protocol 1.1).
DEFAULT_PORT = 3001
#: A larger range is refused: nobody waits for it.
MAX_ADDRESSES = 1 << 20
#: Longer than any address, name or range.
MAX_TEXT = 512

_IP = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}
_PORTS = r"(?::(?P<port>\d{1,5})(?:-(?P<last>\d{1,5}))?)?"
_SIX = r"[^\[\]]*:[^\[\]]*:[^\[\]]*"  # bare, so without a port: where would it begin?
_FORM = re.compile(rf"(?:\[(?P<boxed>[^\[\]]+)\]|(?P<plain>[^:\[\]]+)){_PORTS}|(?P<six>{_SIX})", re.ASCII)
_NAME = re.compile(r"(?=.{1,253}$)\w[\w-]{0,62}(\.\w[\w-]{0,62})*\.?", re.ASCII)
_NUMERIC = re.compile(r"[\d./:-]+|\[.*|.*::.*|[\da-f]*:[\da-f]*:.*", re.ASCII | re.DOTALL | re.IGNORECASE)


class Address(NamedTuple):
    """Where a board listens: an IP address or a name, and a port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Hosts:
    """One address, or a range of addresses; each with the port of its target or with ports of its own."""

    text: str
    name: str = ""  #: a host's name (or an IPv6 address with a scope), which stands for itself
    version: int = 0  #: 4 or 6; 0 for a name
    first: int = 0
    last: int = 0
    ports: tuple[int, int] | None = None  #: first and last; None: the port of the target

    @property
    def count(self) -> int:
        """How many addresses this stands for, ports included."""
        first, last = self.ports or (0, 0)
        return (self.last - self.first + 1) * (last - first + 1)

    def addresses(self, port: int = DEFAULT_PORT) -> Iterator[Address]:
        """Yield the addresses in order; `port` is for those that name none."""
        first, last = self.ports or (port, port)
        for number in range(self.first, self.last + 1):
            host = self.name or str(_IP[self.version](number))
            for each in range(first, last + 1):
                yield Address(host, each)

    def written(self, address: Address) -> str:
        """Return how one of these addresses is written: with its port only if these name it."""
        return str(address) if self.ports else address.host


class Spans:
    """A growing set of addresses, kept as ranges; asking costs a bisection per kind of port."""

    def __init__(self, hosts: Iterable[Hosts] = (), port: int | None = None) -> None:
        # Per version and ports (None: all): the disjoint ranges in order, as (first, last).
        self._ranges: dict[tuple[int, tuple[int, int] | None], list[tuple[int, int]]] = {}
        self._names: set[tuple[str, tuple[int, int] | None]] = set()
        for each in hosts:
            self.add(each, port)

    def add(self, hosts: Hosts, port: int | None = None) -> None:
        """Add addresses; those that name no port mean `port`, or all ports if that is None."""
        ports = hosts.ports or (None if port is None else (port, port))
        if hosts.name:
            self._names.add((hosts.name, ports))
            return
        ranges = self._ranges.setdefault((hosts.version, ports), [])
        first, last = hosts.first, hosts.last
        for other in [each for each in ranges if each[0] <= last + 1 and first <= each[1] + 1]:
            ranges.remove(other)
            first, last = min(first, other[0]), max(last, other[1])
        insort(ranges, (first, last))

    def __contains__(self, address: Address) -> bool:
        ip = _ip(address.host)
        if ip is None or "%" in address.host:
            return any(name == address.host and _has(ports, address.port) for name, ports in self._names)
        number = int(ip)
        for (version, ports), ranges in self._ranges.items():
            if version == ip.version and _has(ports, address.port):
                position = bisect_right(ranges, number, key=lambda each: each[0])
                if position and number <= ranges[position - 1][1]:
                    return True
        return False


def _has(ports: tuple[int, int] | None, port: int) -> bool:
    return ports is None or ports[0] <= port <= ports[1]


def split(text: str, port: int = DEFAULT_PORT) -> Address:
    """Return the one address that a text such as `10.0.0.7`, `pi.lab:3001` or `[::1]:3001` stands for.

    Raises:
        UsageError: the text is no address, or a range.
    """
    hosts = parse(text)
    if hosts.count != 1:
        raise UsageError(f"{short(text)}: stands for {hosts.count} addresses, expected one")
    return next(hosts.addresses(port))


def parse(text: str) -> Hosts:
    """Return the addresses that a text stands for; network and broadcast address of an IPv4 network are left out.

    Raises:
        UsageError: the text is no address, or stands for more than `MAX_ADDRESSES`; the message begins with the text.
    """
    if len(text) > MAX_TEXT:
        raise UsageError(f"{short(text)}: is longer than {MAX_TEXT} characters")
    match = _FORM.fullmatch(text)
    if match is None:
        raise _no_address(text, "")
    host = match["boxed"] or match["plain"] or match["six"]
    if match["boxed"] and ":" not in host:
        raise UsageError(f"{short(text)}: brackets are for IPv6 addresses", hint=f"write {host}")
    ports = _ports(text, match["port"], match["last"])
    hosts = _range(text, host, ports) or _single(text, host, ports)
    if hosts.count > MAX_ADDRESSES:
        raise UsageError(
            f"{short(text)}: stands for {hosts.count} addresses, expected at most {MAX_ADDRESSES}",
            hint="name the boards, or a smaller range",
        )
    return hosts


def looks_numeric(text: str) -> bool:
    """Tell whether a text is meant to be an IP address, right or wrong; it then is nobody's name."""
    return _NUMERIC.fullmatch(text) is not None


def _ports(text: str, first: str | None, last: str | None) -> tuple[int, int] | None:
    if first is None:
        return None
    ports = int(first), int(last or first)
    if not 1 <= ports[0] <= ports[1] <= 65535:
        port = f"{first}-{last}" if last else first
        raise UsageError(f"{short(text)}: port {port} is out of range, expected 1 to 65535")
    return ports


def _range(text: str, host: str, ports: tuple[int, int] | None) -> Hosts | None:
    """Return the range that a host stands for, None if it is none."""
    if "/" in host:
        try:
            network = ipaddress.ip_network(host, strict=False)
        except ValueError as error:
            raise _no_address(text, str(error)) from None
        first, last = int(network.network_address), int(network.broadcast_address)
        edge = network.version == 4 and network.prefixlen < 31
        return Hosts(text, "", network.version, first + edge, last - edge, ports)
    start, dash, end = host.partition("-")
    ip = _ip(start)
    if not dash or ip is None:
        return None
    last_ip = _ip(end)
    if last_ip is None or last_ip.version != ip.version or int(last_ip) < int(ip):
        hint = f"write a range as FIRST-LAST with two whole addresses, such as {ip}-{ip + 3}"
        raise UsageError(f"{short(text)}: is no range of IP addresses: {end!r} is no address after {start}", hint=hint)
    return Hosts(text, "", ip.version, int(ip), int(last_ip), ports)


def _single(text: str, host: str, ports: tuple[int, int] | None) -> Hosts:
    ip = _ip(host)
    if ip is not None and "%" not in host:
        return Hosts(text, "", ip.version, int(ip), int(ip), ports)
    if ip is not None:
        return Hosts(text, host, ports=ports)
    if looks_numeric(host) or ":" in host or not _NAME.fullmatch(host):
        raise _no_address(text, "")
    return Hosts(text, host, ports=ports)


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _no_address(text: str, reason: str) -> UsageError:
    return UsageError(
        f"{short(text)}: is no IP address{f': {reason}' if reason else ''}",
        hint="write 10.0.0.7, 10.0.0.7:3001, [::1]:3001, 10.0.0.0/24, 10.0.0.1-10.0.0.20 or a host's name",
    )
