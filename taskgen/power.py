"""The seam to power: what switches a board off and on again, and how long the board then takes.

A driver comes through the entry-point group `taskgen.power` (`hil.power` brings `command` and `qemu`) and is made per
board: `Driver(place, **options)`, with the options of the inventory's `power` table. It implements `PowerDriver`,
nothing else; whoever cycles boards holds a `Switch`.

>>> class Pdu:
...     bound_ns = 10**9
...     def __init__(self, place: Place, *, outlet: int) -> None:
...         self.outlet = outlet
...     def cycle(self) -> None:
...         print(f"outlet {self.outlet}: off, on")
...     def describe(self) -> str:
...         return f"outlet {self.outlet}"
>>> Switch(Pdu(Place("10.0.0.7"), outlet=3), settle_ns=25 * 10**9).cycle(lambda seconds: seconds == 25)
outlet 3: off, on
True
"""

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from taskgen import addresses, registry
from taskgen.boards import BoardTarget, port_of
from taskgen.errors import TargetError, TaskgenError, UsageError
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from taskgen.inventory.model import Power
    from taskgen.session import Target

# When what was last cycled, by the description of its driver.
_cycled_ns: dict[str, int] = {}


class PowerError(TargetError):
    """A board couldn't be switched: nobody knows whether it is on."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which board a driver is for."""

    host: str = ""  #: IP address or name, without port
    port: int | None = None
    name: str = ""  #: of its target in the inventory


class PowerDriver(Protocol):
    """What switches one board; called by one thread at a time."""

    @property
    def bound_ns(self) -> int:
        """How long `cycle` takes at most."""

    def cycle(self) -> None:
        """Switch the board off and on again; what was begun is finished, so that no board is left off.

        Raises:
            PowerError: it can't be done, with the reason in one line.
        """

    def describe(self) -> str:
        """Return what is switched, by what, for messages: `pducycle 10.0.0.7`."""


@dataclass(frozen=True, slots=True)
class Switch:
    """The power of one board."""

    driver: PowerDriver
    settle_ns: int = 0  #: how long the board takes until it can be asked again

    @property
    def bound_ns(self) -> int:
        """How long `cycle` takes at most."""
        return self.driver.bound_ns + self.settle_ns

    @property
    def cycled_ns(self) -> int | None:
        """When this process last cycled it, with this switch or another one, on the monotonic clock; None: never."""
        return _cycled_ns.get(self.driver.describe())

    def cycle(self, rest: Callable[[float], bool]) -> bool:
        """Switch the board off and on again, and wait until it can be asked.

        Args:
            rest: waits for so many seconds and returns True, or returns False as soon as nobody needs the board any
                more. Only this wait is interrupted.

        Returns:
            What `rest` returned.

        Raises:
            PowerError: it can't be done, whatever the driver raised.
        """
        try:
            self.driver.cycle()
        except TaskgenError:
            raise
        except Exception as error:  # a driver of somebody else
            raise PowerError(f"power of {self.driver.describe()}: {registry.describe(error)}") from error
        _cycled_ns[self.driver.describe()] = time.monotonic_ns()
        return rest(self.settle_ns / (1000 * NS_PER_MS))


def make_switch(power: "Power", place: Place) -> Switch:
    """Return the switch that the inventory describes, for the board at a place.

    Raises:
        UsageError: there is no such driver, or it doesn't take these options.
    """
    driver = registry.load("power", power.driver)
    try:
        inspect.signature(driver).bind(place, **power.options)
    except TypeError as error:
        raise UsageError(f"power driver {power.driver}: {error}", hint="see its options in docs/boards.md") from None
    return Switch(driver(place, **power.options), power.settle_ns)


def switch_of(target: "Target") -> Switch | None:
    """Return the switch of a target's board, None where the inventory names none.

    Raises:
        UsageError: what `make_switch` raises.
    """
    if not isinstance(target, BoardTarget) or target.settings.power is None:
        return None
    return make_switch(target.settings.power, place_of(target))


def place_of(target: "Target") -> Place:
    """Return where the board of a target is; an address that only its session understands stands for the host."""
    entry = target.entry if isinstance(target, BoardTarget) else None
    name = "" if entry is None else entry.name
    if not target.address:
        return Place(name=name)
    try:
        host, port = addresses.split(target.address, port_of(target.session, target.options))
    except UsageError:
        return Place(target.address, None, name)
    return Place(host, port, name)
