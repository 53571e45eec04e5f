"""From addresses to targets: whom a session could run on, and who of them is there.

One address becomes one target, unasked: each connect costs a real board a socket and its only serving slot. Of a range
those become targets that accept a connection, and their targets carry it, so that the session needs no second one.
"""

import inspect
import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from taskgen import in_use, registry
from taskgen.addresses import DEFAULT_PORT, Address, Hosts, Spans
from taskgen.errors import ConnectError, TaskgenError
from taskgen.handover import Handover
from taskgen.inventory.model import Entry, Settings
from taskgen.session import Session, Target

#: How many connections of a sweep are handed on open; a process has other files to open, too.
HANDED_ON = 256
#: A sweep over more addresses than this is announced.
_MANY = 1024


@dataclass(frozen=True, slots=True)
class BoardTarget(Target):
    """A target of which the inventory or discovery knows more than where it is.

    A session class that says `adopts = True` finds the open connection of a discovered board here, takes it in `open`
    and `inspect` (`target.connection.take()`), and connects by itself only where there is none.
    """

    entry: Entry | None = None  #: the target of the inventory that it belongs to
    settings: Settings = field(default_factory=Settings)  #: what holds for this board: features, power, health
    connection: Handover | None = field(default=None, compare=False, repr=False)  #: what discovery opened
    latency_ns: int | None = field(default=None, compare=False)  #: how long it took to accept, if it was discovered


class Wanted:
    """Addresses that a session is to run on, before anybody has looked who is there.

    Args:
        session: the session's name.
        hosts: the addresses.
        options: what the user gives the session; counts more than what the inventory says.
        entry: the target of the inventory that names the addresses.
        without: addresses that aren't to be used.
    """

    def __init__(
        self,
        session: str,
        hosts: Hosts,
        options: Mapping[str, Any],
        entry: Entry | None = None,
        without: Spans | None = None,
    ) -> None:
        self.session = session
        self.hosts = hosts
        self._options = options
        self._entry = entry
        self.port = port_of(session, options if entry is None else {**entry.settings.options, **options})
        self._within = Spans([hosts])
        self._without = without or Spans()
        own_ports = (
            set() if entry is None else {board.settings.options.get("port", self.port) for board in entry.boards}
        )
        self._moved = bool(own_ports - {self.port}) and "port" not in options  # a board has a port of its own

    @classmethod
    def of(cls, entry: Entry, session: str, options: Mapping[str, Any], today: date | None = None) -> list["Wanted"]:
        """Return what a target of the inventory stands for; `today` is the day that may end a quarantine."""
        today = today or datetime.now().astimezone().date()
        without = Spans([*entry.exclude, *(board.hosts for board in entry.boards if board.settings.rests(today))])
        everything = entry.settings.rests(today)
        return [cls(session, hosts, options, entry, Spans([hosts]) if everything else without) for hosts in entry.hosts]

    def addresses(self) -> Iterator[Address]:
        """Yield the addresses, but for those that the inventory excludes or holds in quarantine."""
        for address in self.hosts.addresses(self.port):
            own = self._own(address)
            if own not in self._without:
                yield own

    def covers(self, address: Address) -> bool:
        """Tell whether `addresses` yields this one."""
        if address not in self._within or address in self._without:
            return False
        return self.hosts.ports is not None or self._own(Address(address.host, self.port)) == address

    def _own(self, address: Address) -> Address:
        """Return an address with the port that its board has in the inventory."""
        if not self._moved or self.hosts.ports is not None or self._entry is None:
            return address
        return address._replace(port=self._entry.settings_of(address).options.get("port", address.port))

    def target(self, address: Address, connection: Handover | None = None) -> Target:
        """Return the target for one of the addresses, with the connection that a sweep opened, if one did."""
        written = self.hosts.written(address)
        if self._entry is None and connection is None:
            return Target(self.session, written, self._options)
        settings = Settings() if self._entry is None else self._entry.settings_of(address)
        options = {**accepted(self.session, settings.options), **self._options}
        latency_ns = None if connection is None else connection.latency_ns
        still_open = None if connection is None or connection.closed else connection
        return BoardTarget(self.session, written, options, self._entry, settings, still_open, latency_ns)


def find_boards(wanted: Sequence[Target | Wanted], notify: Callable[[str], None]) -> list[Target]:
    """Return the targets, each board once: ranges as who is there, in the order in which they are wanted.

    Raises:
        ConnectError: there is no target left, or nobody is there.
    """
    single = [each for each in wanted if isinstance(each, Wanted) and each.hosts.count == 1]
    ranges = [each for each in wanted if isinstance(each, Wanted) and each.hosts.count > 1]
    named = {address for each in single for address in each.addresses()}
    found = _sweep(ranges, named, notify) if ranges else {}
    targets: list[Target] = []
    for each in wanted:
        if isinstance(each, Target):
            targets.append(each)
        elif each in found:
            targets += found[each]
        elif each.hosts.count == 1:
            for address in named.intersection(each.addresses()):
                named.remove(address)
                targets.append(each.target(address))
    if not targets:
        raise _nobody([each for each in wanted if isinstance(each, Wanted)])
    return targets


def _sweep(ranges: Sequence[Wanted], named: set[Address], notify: Callable[[str], None]) -> dict[Wanted, list[Target]]:
    """Return the targets of each range: those who accept a connection, in the order of their addresses."""
    total = sum(each.hosts.count for each in ranges)
    if total > _MANY:
        notify(f"looking for boards at {total} addresses")
    discover = registry.load("discovery", "tcp")
    found: dict[Wanted, list[Handover]] = {each: [] for each in ranges}
    adopters = {each for each in ranges if getattr(session_class(each.session), "adopts", False)}
    kept = 0
    with closing(discover(_free(ranges, named))) as sweep:
        for address, connection, latency_ns in sweep:
            handover = Handover(address, connection, latency_ns)
            each = next(each for each in ranges if each.covers(address))
            found[each].append(handover)
            if each in adopters and kept < HANDED_ON:
                kept += 1
            else:
                handover.close()
    return {each: [each.target(one.address, one) for one in sorted(some, key=_place)] for each, some in found.items()}


def _place(found: Handover) -> tuple[int, int]:
    return int(ipaddress.ip_address(found.address.host)), found.address.port


def _free(ranges: Sequence[Wanted], named: set[Address]) -> Iterator[Address]:
    """Yield the addresses of all ranges once, without those that are targets anyway or that this process uses."""
    for position, each in enumerate(ranges):
        for address in each.addresses():
            known = address in named or any(earlier.covers(address) for earlier in ranges[:position])
            if not known and not in_use.held(address):
                yield address


def _nobody(wanted: Sequence[Wanted]) -> ConnectError:
    texts = ", ".join(dict.fromkeys(each.hosts.text for each in wanted))
    texts = texts if len(texts) <= 200 else f"{texts[:197]}..."
    if all(next(each.addresses(), None) is None for each in wanted):
        return ConnectError(f"{texts}: all boards are excluded or in quarantine", hint="see `taskgen list targets`")
    ports = ", ".join(sorted({str(each.port) for each in wanted if each.hosts.ports is None}))
    return ConnectError(
        f"{texts}: nobody accepts a connection{f' at port {ports}' if ports else ''}",
        hint="boards need up to a minute to boot; a board that is named by its own address isn't looked for first",
    )


# --- what sessions take


def session_class(name: str) -> type[Session] | None:
    """Return the class of a session, None where the name alone doesn't tell; whoever opens it says what is wrong."""
    try:
        found = registry.load("sessions", name)
    except TaskgenError:
        return None
    return found if inspect.isclass(found) and issubclass(found, Session) else None


def takes(kind: type[Session], option: str) -> bool:
    """Tell whether the constructor of a session takes an option."""
    parameters = inspect.signature(kind).parameters
    return option in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def accepted(session: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of an inventory that a session takes: its targets can be asked with another session, too."""
    kind = session_class(session)
    return {key: value for key, value in options.items() if kind is None or takes(kind, key)}


def port_of(session: str, options: Mapping[str, Any]) -> int:
    """Return the port at which a session expects its boards."""
    if "port" in options:
        return int(options["port"])
    kind = session_class(session)
    parameter = None if kind is None else inspect.signature(kind).parameters.get("port")
    return parameter.default if parameter is not None and isinstance(parameter.default, int) else DEFAULT_PORT
