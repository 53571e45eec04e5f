"""Targets as users write them: `sim`, `sim:PROFILE`, any registered session, a name of the inventory, an address.

`expand` makes targets of whatever a Distributor is given; `taskgen.boards` says what becomes of addresses and ranges.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from taskgen import addresses, inventory, registry
from taskgen.addresses import Hosts
from taskgen.boards import BoardTarget, Wanted, accepted, find_boards, session_class, takes
from taskgen.errors import UsageError
from taskgen.inventory import BOARD_SESSION, Inventory
from taskgen.session import Target

__all__ = ["BOARD_SESSION", "POOL", "BoardTarget", "expand", "is_address"]

#: The conventional name of the pool of real boards.
POOL = "board"

# Hosts that are targets as they stand; other names need a port to be told from a misspelt target.
_HOST_NAME = re.compile(r"(localhost|[\w-]+(\.[\w-]+)+\.?|[\w.-]+(?=:\d))(:[\d-]+)?", re.ASCII)


def expand(
    target: str | Target | Iterable[str | Target],
    *,
    session: str | None = None,
    options: Mapping[str, Any] | None = None,
    known: Inventory | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> list[Target]:
    """Return the targets that a Distributor is given, each board once, in the order in which they are named.

    Args:
        target: one or several, as text or as they are.
        session: the session of those given as text; the text then is an address for it, or a name of the inventory.
        options: keyword arguments of the session, for those given as text; they count more than the inventory.
        known: the inventory; None: the one that `inventory.find` finds, as soon as a name needs it.
        notify: is told, in a line, before a search that takes some time.

    Raises:
        UsageError: there is no target, or one of them is unknown, with the nearest names.
        ConnectError: nobody is there, at any address.
    """
    given = [target] if isinstance(target, str | Target) else list(target)
    if not given:
        raise UsageError("there is no target to run on", hint="use sim")
    reader = _Reader(session, dict(options or {}), known)
    return find_boards(
        [each for text in given for each in ([text] if isinstance(text, Target) else reader.read(text))], notify
    )


class _Reader:
    """Reads targets as text."""

    def __init__(self, session: str | None, options: dict[str, Any], known: Inventory | None) -> None:
        self._session = session
        self._options = options
        self._known = known

    def read(self, text: str) -> Iterator[Target | Wanted]:
        """Yield what one text stands for."""
        text = text.strip()
        if self._session is not None:
            address = "" if text == self._session else text.removeprefix(f"{self._session}:")
            yield from self._named(address, self._session) or [self._at(self._session, address)]
            return
        sessions = registry.entries("sessions")
        name, colon, address = text.partition(":")
        if text in sessions:
            yield Target(text, "", self._options)
        elif name in sessions:
            if not address:
                raise UsageError(f"target {text!r}: nothing follows the colon", hint=f"leave the colon out: {name}")
            yield self._at(name, address)
        elif named := self._named(text, None):
            yield from named
        elif is_address(text):
            if BOARD_SESSION not in sessions:
                raise UsageError(
                    f"target {text!r}: boards come with the session {BOARD_SESSION}, which isn't installed",
                    hint="run it on the simulator: the target is sim",
                )
            yield self._at(BOARD_SESSION, text)
        else:
            raise self._unknown(text, name, colon + address)

    def _at(self, session: str, address: str) -> Target | Wanted:
        """Return what an address stands for; to a session that takes no port, an address is mere text."""
        kind = session_class(session)
        if kind is not None and not takes(kind, "port"):
            return Target(session, address, self._options)
        hosts = _hosts(address)
        if hosts is None or (kind is None and hosts.count == 1):  # nobody knows what that session makes of it
            return Target(session, address, self._options)
        return Wanted(session, hosts, self._options)

    def _named(self, name: str, session: str | None) -> list[Target | Wanted]:
        """Return what a name of the inventory stands for; nothing if it isn't one."""
        entry = self._inventory().entries.get(name) if inventory.is_name(name) else None
        if entry is None:
            return []
        chosen = session or entry.session
        kind = session_class(chosen)
        options = {**accepted(chosen, entry.settings.options), **self._options}
        if not entry.hosts:
            return [BoardTarget(chosen, "", options, entry, entry.settings)]
        if kind is not None and not takes(kind, "port"):
            return [BoardTarget(chosen, hosts.text, options, entry, entry.settings) for hosts in entry.hosts]
        return list(Wanted.of(entry, chosen, self._options))

    def _inventory(self) -> Inventory:
        if self._known is None:
            self._known = inventory.find()
        return self._known

    def _unknown(self, text: str, name: str, rest: str) -> UsageError:
        known = self._inventory()
        file = known.path or inventory.FILE_NAME
        if text == POOL:
            missing = f"{file} has no [targets.{POOL}]" if known.path else f"there is no {inventory.FILE_NAME}"
            return UsageError(
                f"there is no target {text!r}: {missing}",
                hint=f'add [targets.{POOL}] with hosts = ["10.0.0.7"] to {file}, '
                "or start a board in software with `taskgen board serve` and use the target 127.0.0.1",
            )
        near = difflib.get_close_matches(name, [*registry.entries("sessions"), *known.entries], n=1, cutoff=0.5)
        hint = f"use sim, a name of {inventory.FILE_NAME}, or a board's address with the session {BOARD_SESSION}"
        return UsageError(f"there is no target {text!r}", hint=f"did you mean {near[0]}{rest}?" if near else hint)


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address, a range of them or a host's name, with or without port.

    Raises:
        UsageError: it looks like an IP address, but is none.
    """
    return bool(addresses.looks_numeric(text) or _HOST_NAME.fullmatch(text)) and _hosts(text) is not None


def _hosts(text: str) -> Hosts | None:
    """Return the addresses that a text stands for, None if it isn't meant to be one."""
    try:
        return addresses.parse(text)
    except UsageError as error:
        if addresses.looks_numeric(text):
            raise UsageError(f"target {error}", hint=error.hint) from None
        return None
