"""What may stand in a `taskgen.toml`: one table of readers per TOML table."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from taskgen import addresses, registry
from taskgen.addresses import Hosts
from taskgen.dialect.boards import BOARDS
from taskgen.errors import UsageError
from taskgen.inventory import placeholders
from taskgen.inventory.model import Board, Canary, Entry, Health, Power, Quarantine, Settings
from taskgen.inventory.where import Reader, Where, read_table, shown
from taskgen.units import NS_PER_MS, to_ns

#: The session of targets that name none.
BOARD_SESSION = "taskloader"
#: What may stand after `dialect`: a board generation, or that the session finds it out.
GENERATIONS = tuple(BOARDS)
PROBES = ("ping", "connect", "handshake", "canary")
#: The drivers that taskgen brings along; others come through entry points.
DRIVERS = ("command", "qemu")

_MAX_LIST = 4096
_FIELD = "value"  # for messages, which have the place in front
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FEATURE = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?) ?(ms|s|m|min|h)", re.ASCII)
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000}


def read(where: Where, document: dict[str, Any]) -> dict[str, Entry]:
    """Return the targets of a document.

    Raises:
        UsageError: names file, line, and the nearest valid key.
    """
    found = read_table(where, document, {"schema": _schema, "targets": _targets})
    entries: dict[str, Entry] = found.get("targets", {})
    return entries


def is_name(text: str) -> bool:
    """Tell whether a text can be the name of a target: it is no address, and no host's name with dots."""
    return _NAME.fullmatch(text) is not None and text != "localhost"


def _schema(where: Where, value: Any) -> int:
    if value != 1 or isinstance(value, bool):
        raise where.error(f"is {shown(value)}, expected 1", hint="this version of taskgen reads schema 1")
    return 1


def _targets(where: Where, value: Any) -> dict[str, Entry]:
    if not isinstance(value, dict):
        raise where.error(f"is {shown(value)}, expected tables", hint="write [targets.NAME]")
    entries = {}
    for name, table in value.items():
        if not is_name(name):
            hint = "a letter, then letters, digits, - and _; localhost and addresses need no name"
            raise (where / name).error("is no name for a target", hint=hint)
        entries[name] = _entry(where / name, name, table)
    return entries


# --- values


def _text(where: Where, value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value or len(value) > 4096:
        raise where.error(f"is {shown(value)}, expected a text")
    return value


def _integer(low: int, high: int) -> Reader:
    def read_integer(where: Where, value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise where.error(f"is {shown(value)}, expected an integer from {low} to {high}")
        return value

    return read_integer


def _one_of(known: tuple[str, ...]) -> Reader:
    def read_choice(where: Where, value: Any) -> str:
        if not isinstance(value, str):
            raise where.error(f"is {shown(value)}, expected one of {', '.join(known)}")
        if value not in known:
            raise where.unknown(value, known)
        return value

    return read_choice


def _list_of(reader: Reader, *, least: int = 0) -> Reader:
    def read_list(where: Where, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise where.error(f"is {shown(value)}, expected a list", hint="write [...]")
        if not least <= len(value) <= _MAX_LIST:
            raise where.error(f"has {len(value)} elements, expected {least} to {_MAX_LIST}")
        return tuple(reader(where / position, each) for position, each in enumerate(value))

    return read_list


def _max_run_ms(where: Where, value: Any) -> int | float:
    if type(value) not in {int, float}:
        raise where.error(f"is {shown(value)}, expected a number of milliseconds")
    if not _ns(where, value):
        raise where.error(f"is {shown(value)}, expected more than 0 ms")
    return value  # type: ignore[no-any-return]  # its type was looked at


def _duration_ns(where: Where, value: Any) -> int:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise where.error(
            f"is {shown(value)}, expected a duration", hint='write a text with a unit: "500ms", "25s", "30m"'
        )
    return _ns(where, Decimal(match[1]) * _UNIT_MS[match[2]])


def _ns(where: Where, milliseconds: Decimal | float) -> int:
    try:
        return to_ns(milliseconds, _FIELD)
    except UsageError as error:
        raise where.error(str(error).removeprefix(f"{_FIELD}: "), hint=error.hint) from None


def _duration_ms(least: int) -> Reader:
    """Return the reader of a duration that a driver takes in whole milliseconds, at least so many."""

    def read_duration(where: Where, value: Any) -> int:
        duration_ms, rest_ns = divmod(_duration_ns(where, value), NS_PER_MS)
        if rest_ns or duration_ms < least:
            raise where.error(f"is {shown(value)}, expected whole milliseconds, at least {least}")
        return duration_ms

    return read_duration


def _hosts(where: Where, value: Any) -> Hosts:
    if not isinstance(value, str):
        raise where.error(f"is {shown(value)}, expected an address")
    try:
        return addresses.parse(value)
    except UsageError as error:
        raise where.error(str(error), hint=error.hint) from None


def _feature(where: Where, value: Any) -> str:
    if not isinstance(value, str) or not _FEATURE.fullmatch(value):
        raise where.error(f"is {shown(value)}, expected a word of letters, digits and _ . + -")
    return value


def _argument(where: Where, value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > 4096:
        raise where.error(f"is {shown(value)}, expected a text")
    return value


def _command(where: Where, value: Any) -> tuple[str, ...]:
    """Read an argument list; a text would need a shell, which there is none of."""
    if isinstance(value, str):
        words = ", ".join(f'"{word}"' for word in value.split()[:8])
        raise where.error("is a text, expected a list of arguments: there is no shell", hint=f"write [{words}]")
    arguments: tuple[str, ...] = _list_of(_argument, least=1)(where, value)
    if not arguments[0]:
        raise (where / 0).error("is empty, expected a program")
    return arguments


def _pattern(where: Where, value: Any) -> str:
    """Read a text with placeholders."""
    text = _text(where, value)
    _check_placeholders(where, text)
    return text


def _pattern_command(where: Where, value: Any) -> tuple[str, ...]:
    """Read an argument list with placeholders."""
    arguments = _command(where, value)
    for position, argument in enumerate(arguments):
        _check_placeholders(where / position, argument)
    return arguments


def _check_placeholders(where: Where, text: str) -> None:
    try:
        deque(placeholders.split(text), maxlen=0)
    except UsageError as error:
        raise where.error(str(error), hint=error.hint) from None


def _binaries(where: Where, value: Any) -> str:
    """Read a folder, as seen from the inventory's; `none` says that the board has its programs."""
    text = _text(where, value)
    return text if text == "none" else str(where.file.parent / Path(text).expanduser())


def _day(where: Where, value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise where.error(f"is {shown(value)}, expected a day", hint="write 2026-12-01, without quotes")
    return value


# --- tables


def _power(where: Where, value: Any) -> Power:
    if not isinstance(value, dict):
        raise where.error(
            f"is {shown(value)}, expected a table", hint='write {driver = "command", cycle = ["pdu", "{host}"]}'
        )
    drivers = (*DRIVERS, *(name for name in registry.entries("power") if name not in DRIVERS))
    if "driver" not in value:
        raise where.error("driver is missing", hint=f"one of {', '.join(drivers)}")
    driver = _one_of(drivers)(where / "driver", value["driver"])
    common: dict[str, Reader] = {"driver": _text, "settle": _duration_ns}
    told = _TOLD[driver] if driver in _TOLD else dict.fromkeys(value.keys() - common.keys(), _anything)
    found = read_table(where, value, {**common, **told}, needed=("qmp",) if driver == "qemu" else ())
    settle_ns = found.pop("settle", 0)
    del found["driver"]
    _check_needed(where, found, _NEEDED.get(driver, ()))
    arguments = {_POWER_ARGUMENTS.get(key, key) if driver in _TOLD else key: each for key, each in found.items()}
    return Power(driver, arguments, settle_ns)


def _check_needed(where: Where, found: Mapping[str, Any], alternatives: tuple[tuple[str, ...], ...]) -> None:
    """Refuse a table that has none of the alternatives whole; the one that was begun is the one that is meant."""
    if not alternatives or any(all(key in found for key in keys) for keys in alternatives):
        return
    meant = max(alternatives, key=lambda keys: sum(key in found for key in keys))
    missing = next(key for key in meant if key not in found)
    hint = f"it needs {', or '.join(' and '.join(keys) for keys in alternatives)}: lists of arguments"
    raise where.error(f"{missing} is missing", hint=hint)


def _anything(where: Where, value: Any) -> Any:
    """Read what a driver of somebody else is told: a list is a command, anything else is the driver's to judge."""
    return _command(where, value) if isinstance(value, list) else value


#: What the drivers that we know are told.
_TOLD: Mapping[str, Mapping[str, Reader]] = {
    "command": {
        "cycle": _pattern_command,
        "on": _pattern_command,
        "off": _pattern_command,
        "timeout": _duration_ms(1),
        "pause": _duration_ms(0),
    },
    "qemu": {"command": _pattern_command, "qmp": _pattern, "timeout": _duration_ms(1), "start": _duration_ms(1)},
}
#: What of that they can't do without: one of these.
_NEEDED: Mapping[str, tuple[tuple[str, ...], ...]] = {"command": (("cycle",), ("off", "on"))}
#: What their arguments are called where the key is another word.
_POWER_ARGUMENTS = {"timeout": "timeout_ms", "pause": "pause_ms", "start": "start_ms"}


def _canary(where: Where, value: Any) -> Canary:
    if not isinstance(value, dict):
        raise where.error(f"is {shown(value)}, expected a table", hint="write {drift_ppm = 500, slow_percent = 5}")
    return Canary(**read_table(where, value, _CANARY))


_CANARY: Mapping[str, Reader] = {each.name: _integer(0, 10**6) for each in fields(Canary)}


def _health(where: Where, value: Any) -> Health:
    found = read_table(where, value, _HEALTH)
    return Health(**{_HEALTH_FIELDS.get(key, key): each for key, each in found.items()})


_HEALTH: Mapping[str, Reader] = {
    "probe": _one_of(PROBES),
    "every": _duration_ns,
    "quarantine_after": _integer(1, 10**6),
    "backoff": _duration_ns,
    "max_backoff": _duration_ns,
    "canary": _canary,
}
_HEALTH_FIELDS = {"every": "every_ns", "backoff": "backoff_ns", "max_backoff": "max_backoff_ns"}


def _quarantine(where: Where, value: Any) -> Quarantine:
    return Quarantine(**read_table(where, value, {"reason": _text, "until": _day}, needed=("reason", "until")))


#: Keyword arguments of the session.
_OPTIONS: Mapping[str, Reader] = {
    "port": _integer(1, 65535),
    "dialect": _one_of(("auto", *GENERATIONS)),
    "binaries": _binaries,
    "max_run_ms": _max_run_ms,
}
_SETTINGS: Mapping[str, Reader] = {
    **_OPTIONS,
    "features": _list_of(_feature),
    "power": _power,
    "health": _health,
    "quarantine": _quarantine,
}
_ENTRY: Mapping[str, Reader] = {
    "session": _text,
    "hosts": _list_of(_hosts),
    "exclude": _list_of(_hosts),
    "parallel": _integer(1, 10**6),
    "boards": lambda _, value: value,
    **_SETTINGS,
}


def _entry(where: Where, name: str, value: Any) -> Entry:
    found = read_table(where, value, _ENTRY)
    session = found.get("session", BOARD_SESSION)
    _check_session(where, name, session, named="session" in found)
    hosts: tuple[Hosts, ...] = found.get("hosts", ())
    total = sum(each.count for each in hosts)
    if total > addresses.MAX_ADDRESSES:
        raise (where / "hosts").error(f"stand for {total} addresses, expected at most {addresses.MAX_ADDRESSES}")
    if not hosts and session == BOARD_SESSION:
        raise where.error("hosts are missing: where are the boards?", hint='add hosts = ["10.0.0.7"]')
    settings = _merge(Settings(), found)
    boards = _boards(where / "boards", found.get("boards", {}), hosts, settings)
    return Entry(name, session, hosts, found.get("exclude", ()), found.get("parallel"), settings, boards)


def _merge(settings: Settings, found: Mapping[str, Any]) -> Settings:
    """Return settings with what was found in their place, key by key."""
    options = {key: found[key] for key in _OPTIONS if key in found}
    others = {each.name: found[each.name] for each in fields(Settings) if each.name in found}
    return replace(settings, options={**settings.options, **options}, **others)


def _boards(where: Where, value: Any, hosts: tuple[Hosts, ...], settings: Settings) -> tuple[Board, ...]:
    if not isinstance(value, dict):
        raise where.error(f"is {shown(value)}, expected tables", hint='write [targets.NAME.boards."ADDRESS"]')
    boards = []
    for text, table in value.items():
        place = where / text
        board = _hosts(place, text)
        if board.count != 1:
            raise place.error(f"stands for {board.count} addresses, expected one board")
        if not any(_covers(each, board) for each in hosts):
            raise place.error("isn't among the hosts of this target", hint="add it to hosts")
        boards.append(Board(board, _merge(settings, read_table(place, table, _SETTINGS))))
    return tuple(boards)


def _covers(hosts: Hosts, board: Hosts) -> bool:
    same = (hosts.name, hosts.version) == (board.name, board.version)
    ports = hosts.ports is None or board.ports is None or hosts.ports[0] <= board.ports[0] <= hosts.ports[1]
    return same and ports and hosts.first <= board.first <= hosts.last


def _check_session(where: Where, name: str, session: str, *, named: bool) -> None:
    known = registry.entries("sessions")
    if name in known and name != session:
        hint = "choose another name for the target"
        raise where.error(f"{name!r} is a session, and this target would never be reached", hint=hint)
    if named and session not in known and session != BOARD_SESSION and not re.search(r"[:.]", session):
        raise (where / "session").unknown(session, known)
