"""`taskgen list targets`: what the inventory names, and with `--probe` what is there."""

import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich import box
from rich.table import Table

from taskgen import inventory
from taskgen.boards import session_class, takes
from taskgen.errors import ConnectError
from taskgen.inventory import Entry, Inventory
from taskgen.monitors.stdout import plain_console
from taskgen.survey import Finding, survey
from taskgen.targets import expand
from taskgen.units import format_ms

_MAX_HOSTS = 60


@dataclass(frozen=True, slots=True)
class _Row:
    """A target: one of the inventory, or a session that needs no address."""

    name: str
    session: str
    summary: str
    hosts: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _BoardRow:
    """One board of a target."""

    address: str
    state: str
    generation: str | None = None
    latency_ms: str | None = None
    reason: str = ""


def list_targets(summaries: dict[str, str], *, file: Path | None, probe: bool, as_json: bool) -> None:
    """Print the targets; `summaries` says what the sessions are, by name."""
    known = inventory.find() if file is None else inventory.load(file)
    rows = [_row(entry, summaries.get(entry.session, "")) for entry in known.entries.values()]
    rows += [_Row(name, name, text) for name, text in summaries.items() if name not in known.entries and _alone(name)]
    found: dict[str, list[_BoardRow]] = {}
    if probe:
        with redirect_stdout(sys.stderr):  # sessions may print
            found = {entry.name: list(_boards(entry, known)) for entry in known.entries.values()}
    if as_json:
        typer.echo(json.dumps({"targets": [_document(row, found.get(row.name)) for row in rows]}))
        return
    console = plain_console()
    console.print(_table(rows))
    if known.path is None:
        console.print(f"\nno {inventory.FILE_NAME} here or above: it gives names to boards", soft_wrap=True)
    if found:
        console.print()
        console.print(_board_table(found))


def _row(entry: Entry, summary: str) -> _Row:
    hosts = tuple(hosts.text for hosts in entry.hosts)
    return _Row(entry.name, entry.session, summary or f"session {entry.session}", hosts, entry.settings.features)


def _alone(session: str) -> bool:
    """Tell whether a session is a target by itself: it runs where no address is needed."""
    kind = session_class(session)
    return kind is None or not takes(kind, "port")


def _boards(entry: Entry, known: Inventory) -> Iterator[_BoardRow]:
    """Yield what is at the boards of a target; those in quarantine are left alone."""
    today = datetime.now().astimezone().date()
    for board in entry.boards:
        if (quarantine := board.settings.quarantine) is not None and board.settings.rests(today):
            yield _BoardRow(board.hosts.text, "quarantine", reason=f"until {quarantine.until}: {quarantine.reason}")
    try:
        targets = expand(entry.name, known=known, notify=lambda line: typer.echo(line, err=True))
    except ConnectError:
        return
    yield from map(_board_row, survey(targets))


def _board_row(finding: Finding) -> _BoardRow:
    latency_ms = None if finding.latency_ns is None else format_ms(finding.latency_ns // 1000 * 1000)
    address = finding.target.address or finding.target.session
    return _BoardRow(address, finding.state, finding.generation, latency_ms, finding.reason)


def _document(row: _Row, boards: list[_BoardRow] | None) -> dict[str, Any]:
    document = asdict(row)
    if boards is not None:
        document["boards"] = [
            {**asdict(board), "latency_ms": None if board.latency_ms is None else float(board.latency_ms)}
            for board in boards
        ]
    return document


def _short(hosts: tuple[str, ...]) -> str:
    text = ", ".join(hosts)
    return text if len(text) <= _MAX_HOSTS else f"{text[: _MAX_HOSTS - 3]}..."


def _table(rows: list[_Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("targets", "session", "hosts", "features", "what it is"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.session, _short(row.hosts), " ".join(row.features), row.summary)
    return table


def _board_table(found: dict[str, list[_BoardRow]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("target", "board", "state", "generation", "ms", "why"):
        table.add_column(title, overflow="fold", justify="right" if title == "ms" else "left")
    for name, boards in found.items():
        for board in boards or [_BoardRow("-", "nobody", reason="nobody accepts a connection")]:
            latency, generation = board.latency_ms or "", board.generation or ""
            table.add_row(name, board.address, board.state, generation, latency, board.reason)
    return table
