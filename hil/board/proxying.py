"""The fault-injecting proxy for programs, in a process of its own: `hil.board.proxy`.

`python -m hil.board.proxying OPTIONS` is that process: options as JSON, then orders by the standard input, one a line:

    inject latency:50       lift
"""

import ipaddress
import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final

from hil.board.control import Orders, failure, say
from hil.board.faults import Fault, parse
from hil.board.kinds import KINDS
from hil.board.listening import LOOPBACK, address_of, listeners, places
from hil.board.process import Child
from hil.board.relay import Relay
from taskgen import addresses
from taskgen.addresses import Address
from taskgen.errors import ConnectError, TaskgenError, UsageError

#: Clients that may wait to be accepted: a board's own few places are protocol, a proxy's aren't.
BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """What to forward, and what goes wrong with it.

    Args:
        target: the board, as HOST:PORT.
        faults: what goes wrong, as texts; only faults of the transport.
        seed: of what is drawn.
        listen: an IP address.
        port: 0: any that is free.

    Raises:
        UsageError: a value is wrong; names it.
    """

    target: str
    faults: tuple[str, ...] = ()
    seed: int = 0
    listen: str = LOOPBACK
    port: int = 0

    def __post_init__(self) -> None:
        addresses.split(self.target)
        if type(self.seed) is not int:
            raise UsageError(f"seed: {self.seed!r:.40} is no whole number")
        object.__setattr__(self, "faults", tuple(str(transport_fault(text)) for text in self.faults))
        places(self.listen, self.port, 1)

    def relay(self) -> Relay:
        """Open the socket and return the proxy.

        Raises:
            UsageError: the port is in use, the address isn't this machine's, or the target is the proxy itself.
            ConnectError: the target's name is unknown.
        """
        place = _resolved(addresses.split(self.target))
        (listener,) = listeners(places(self.listen, self.port, 1), BACKLOG)
        if _leads_to(address_of(listener), *place):
            listener.close()
            raise UsageError(
                f"target {self.target}: is the proxy itself, expected a board", hint="give the proxy another --port"
            )
        return Relay(listener, place, [parse(text) for text in self.faults], self.seed)


class Proxy:
    """A proxy that runs in a process of its own; a context manager that says where it listens, and ends it.

    Attributes:
        options: what was asked for.
        address: where it listens.
    """

    def __init__(self, options: ProxyOptions) -> None:
        self.options = options
        self._child = Child("hil.board.proxying", json.dumps(asdict(options)))
        host, port = self._child.ready["address"]
        self.address = Address(host, port)

    def __enter__(self) -> Address:
        return self.address

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<proxy at {self.address} for {self.options.target}>"

    def inject(self, fault: object) -> None:
        """Add a fault, as text or as a `hil.board.faults.Fault`; it begins now, also on open connections.

        Raises:
            UsageError: there is no such fault of the transport.
            TargetError: the process has ended.
        """
        self._child.ask(f"inject {fault}")

    def lift(self) -> None:
        """Take all faults away; ends of streams that had vanished in a black hole come through."""
        self._child.ask("lift")

    def close(self) -> None:
        """End the proxy, and with it all connections; bounded, and again without effect."""
        self._child.close()


def proxy(
    target: object,
    faults: Sequence[object] = (),
    *,
    seed: int = 0,
    listen: str = LOOPBACK,
    port: int = 0,
) -> Proxy:
    """Start a proxy in front of a board; the options are those of `ProxyOptions`.

        with hil.board.proxy("10.0.0.7:3001", ["latency:50,jitter=20", "reset:p=0.01"]) as address:
            session = TaskloaderSession.open(Target("taskloader", str(address)))

    Args:
        target: the board's address, as text or as an `Address`.
        faults: texts or `hil.board.faults.Fault`s.
        seed: of what is drawn.
        listen: where to listen.
        port: 0: any that is free.

    Raises:
        UsageError: an option is wrong, or the port is in use.
        TargetError: the process doesn't start.
    """
    texts = tuple(map(str, [faults] if isinstance(faults, str) else faults))
    return Proxy(ProxyOptions(str(target), texts, seed, listen, port))


def transport_fault(text: str) -> Fault:
    """Return a fault that a proxy can have.

    Raises:
        UsageError: it is none.
    """
    fault = parse(text)
    if fault.row.layer != "transport":
        known = ", ".join(kind.name for kind in KINDS.values() if kind.layer == "transport")
        raise UsageError(
            f"fault {fault.kind}: only boards in software have it, a proxy doesn't", hint=f"a proxy has {known}"
        )
    return fault


def main(arguments: list[str]) -> int:
    """Forward until the standard input ends; return the exit code."""
    try:
        options = ProxyOptions(**json.loads(arguments[0]))
        relay = options.relay()
    except TaskgenError as error:
        say(failure(error))
        return error.exit_code
    with relay:
        Orders(relay, sys.stdin.fileno(), _Control(relay, options.faults).obey)
        say({"address": relay.address})
        relay.run()
    return 0


class _Control:
    """What orders do to a proxy."""

    def __init__(self, relay: Relay, faults: Sequence[str]) -> None:
        self._relay = relay
        self._faults = [parse(text) for text in faults]

    def obey(self, line: str) -> None:
        order, _, text = line.partition(" ")
        if order not in _ORDERS:
            raise UsageError(f"order {order!r:.40}, expected one of {', '.join(_ORDERS)}")
        self._faults = [*self._faults, transport_fault(text)] if order == "inject" else []
        self._relay.follow(self._faults)


_ORDERS: Final = ("inject", "lift")


def _resolved(address: Address) -> tuple[int, Any]:
    """Return the family of an address, and the address as that family has it."""
    try:
        found = socket.getaddrinfo(address.host, address.port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "is no name of a host"
        raise ConnectError(f"target {address}: {reason}", hint="name a board by its address") from None
    family, _, _, _, place = found[0]
    return family, place


def _leads_to(listens: Address, family: int, place: Any) -> bool:
    """Whether connections to a place come to whoever listens at an address, or at all of this machine's."""
    host, port = place[:2]
    if port != listens.port:
        return False
    return host == listens.host or (ipaddress.ip_address(listens.host).is_unspecified and _is_ours(family, host))


def _is_ours(family: int, host: str) -> bool:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
