"""What an inventory says, as values: targets, what holds for one board only, power and health."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from taskgen.addresses import Address, Hosts, Spans


@dataclass(frozen=True, slots=True)
class Power:
    """How a board is switched: a driver of the entry-point group `taskgen.power`, and what it is told."""

    driver: str
    options: Mapping[str, Any] = field(
        default_factory=dict
    )  #: keyword arguments of the driver; commands are tuples of arguments
    settle_ns: int = 0  #: how long a board takes until it can be asked again


@dataclass(frozen=True, slots=True)
class Canary:
    """What the canary of a board (`taskgen.bench.canary`) may show at most; None: the usual."""

    drift_ppm: int | None = None  #: of the board's clock against this machine's
    lost_ticks: int | None = None  #: by which STARTs are off their grid
    slow_percent: int | None = None  #: by which a job is slower than expected

    def over(self, usual: "Canary") -> "Canary":
        """Return this one, with what is usual where it says nothing."""
        said = {each.name: getattr(self, each.name) for each in fields(self)}
        return replace(usual, **{name: value for name, value in said.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Health:
    """How a board is watched; None: what the Distributor does by default."""

    probe: str | None = None  #: ping < connect < handshake < canary
    every_ns: int | None = None
    quarantine_after: int | None = None  #: failures in a row
    backoff_ns: int | None = None  #: the first rest after a failure
    max_backoff_ns: int | None = None
    canary: Canary | None = None  #: bounds for the probe of that name


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A board that isn't used until a day has come, and why."""

    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for a target, or for one of its boards."""

    options: Mapping[str, Any] = field(
        default_factory=dict
    )  #: keyword arguments of the session: port, dialect, binaries, max_run_ms
    features: tuple[str, ...] = ()
    power: Power | None = None
    health: Health | None = None
    quarantine: Quarantine | None = None

    def rests(self, today: date) -> bool:
        """Tell whether the quarantine isn't over."""
        return self.quarantine is not None and today < self.quarantine.until


@dataclass(frozen=True, slots=True)
class Board:
    """One address of a target, with what holds for it in the place of what holds for the target."""

    hosts: Hosts
    settings: Settings


@dataclass(frozen=True, slots=True)
class Entry:
    """A target of the inventory: a session, and the boards that it runs on."""

    name: str
    session: str
    hosts: tuple[Hosts, ...] = ()  #: in the order of preference; empty: the session needs no address
    exclude: tuple[Hosts, ...] = ()
    parallel: int | None = None  #: how many of the boards are used at a time; None: all
    settings: Settings = field(default_factory=Settings)
    boards: tuple[Board, ...] = ()  #: those that differ

    def settings_of(self, address: Address) -> Settings:
        """Return what holds for the board at an address; of two that name it, the one with its port."""
        matching = [board for board in self.boards if address in Spans([board.hosts])]
        return min(matching, key=lambda board: board.hosts.ports is None).settings if matching else self.settings


@dataclass(frozen=True, slots=True)
class Inventory:
    """The targets of a `taskgen.toml`, by name; without a file there are none."""

    path: Path | None = None
    entries: Mapping[str, Entry] = field(default_factory=dict)
