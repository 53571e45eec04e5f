"""The wire log: every byte of connections to boards, as lines of text that `taskgen replay --wire` reads.

A line of JSON opens each connection (and tells its generation when that is known); data lines follow:

    {"wire": 1, "connection": "5f3a9c", "address": "10.0.0.7:3001", "generation": "G4", "opened": "2026-..."}
    5f3a9c 1203441 > e60d0000
    5f3a9c 9203441 < aaaa0a00

The number is the time in ns since the connection opened, `>` went to the board, `<` came from it. Lines are appended
whole, so that several connections, also of several processes, can share a file.
"""

import errno
import json
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from taskgen.addresses import Address
from taskgen.errors import InputError, UsageError

VERSION = 1
#: Bytes per line.
_PIECE = 1 << 15
#: The files that this process has begun to write, and those of which it has told that they end.
_begun: set[Path] = set()
_ended: set[Path] = set()
#: Longer lines aren't ours.
_MAX_LINE = 2 * _PIECE + 100
_DATA = re.compile(r"([0-9a-f]{6}) ([0-9]{1,20}) ([<>]) ((?:[0-9a-f]{2})*)")


class WireLog:
    """Appends what travels on one connection to a file, from any thread.

    A file that can't be written later on (the disk is full), also by later connections, is told once on stderr and the
    log ends there: that is neither the board's fault nor a reason to break off a run.

    Raises:
        UsageError: the file can't be written from the start.
    """

    def __init__(self, path: Path, address: Address, generation: str | None = None) -> None:
        self._connection = secrets.token_hex(3)
        self._opened_ns = time.monotonic_ns()
        self._path = path
        self._key = path.absolute()
        self._lock = threading.Lock()
        self._file = -1
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            opened = datetime.now(UTC).isoformat()
            self._write(
                json.dumps(
                    {
                        "wire": VERSION,
                        "connection": self._connection,
                        "address": str(address),
                        "generation": generation,
                        "opened": opened,
                    }
                )
            )
            _begun.add(self._key)
        except OSError as error:
            if self._key in _begun:
                self._end(error)
                return
            self.close()
            raise UsageError(
                f"wire log {path}: can't be written: {error.strerror or error}",
                hint="name a file that can be written, on a disk with room",
            ) from None

    def identify(self, generation: str) -> None:
        """Note the board's generation."""
        self._append(json.dumps({"wire": VERSION, "connection": self._connection, "generation": generation}))

    def sent(self, time_ns: int, data: bytes) -> None:
        """Note what goes to the board."""
        self._data(time_ns, ">", data)

    def received(self, time_ns: int, data: bytes) -> None:
        """Note what came from the board; nothing means the end of its stream."""
        self._data(time_ns, "<", data)

    def _data(self, time_ns: int, direction: str, data: bytes) -> None:
        begin = f"{self._connection} {max(0, time_ns - self._opened_ns)} {direction}"
        for start in range(0, max(1, len(data)), _PIECE):
            self._append(f"{begin} {data[start : start + _PIECE].hex()}")

    def _append(self, line: str) -> None:
        try:
            self._write(line)
        except OSError as error:
            self._end(error)

    def _end(self, error: OSError) -> None:
        self.close()
        if self._key not in _ended:
            _ended.add(self._key)
            sys.stderr.write(f"note: wire log {self._path}: ends here: {error.strerror or error}\n")

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode("ascii", "backslashreplace")
        with self._lock:
            if self._file >= 0 and os.write(self._file, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


class Logged(NamedTuple):
    """One line: bytes in one direction, or (both None) what is known of the connection."""

    connection: str
    address: str
    generation: str | None
    time_ns: int = 0
    sent: bytes | None = None
    received: bytes | None = None


def read(path: Path) -> Iterator[Logged]:
    """Yield the lines of a wire log in their order; memory doesn't grow with the file.

    A last line that a full disk has cut off is left out, and told on stderr.

    Raises:
        UsageError: the file can't be read.
        InputError: it is empty, or a line is none of a wire log; names the line.
    """
    known: dict[str, Logged] = {}
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(_MAX_LINE + 1):
                number += 1
                if number > 1 and not line.endswith(b"\n") and len(line) <= _MAX_LINE:
                    sys.stderr.write(f"note: {path}: line {number}: is cut off, the log ends there\n")
                    return
                entry = _entry(line, known, f"{path}: line {number}")
                known[entry.connection] = entry._replace(time_ns=0, sent=None, received=None)
                yield entry
    except OSError as error:
        raise UsageError(f"wire log {path}: can't be read: {error.strerror or error}") from None
    if not number:
        raise InputError(f"{path}: is empty, expected a wire log", hint="taskgen run --wire-log FILE writes one")


def _entry(line: bytes, known: dict[str, Logged], where: str) -> Logged:
    text = line.decode("ascii", "replace").rstrip("\n")
    if len(line) > _MAX_LINE:
        raise InputError(f"{where}: is longer than {_MAX_LINE} characters, expected a line of a wire log")
    if text.startswith("{"):
        return _header_of(text, known, where)
    match = _DATA.fullmatch(text)
    if match is None:
        raise InputError(f"{where}: {text[:40]!r}, expected CONNECTION TIME < or > HEX")
    connection, time_ns, direction, data = match.groups()
    if connection not in known:
        raise InputError(f"{where}: connection {connection} was never opened, expected its line of JSON first")
    entry, content = known[connection]._replace(time_ns=int(time_ns)), bytes.fromhex(data)
    return entry._replace(sent=content) if direction == ">" else entry._replace(received=content)


def _header_of(text: str, known: dict[str, Logged], where: str) -> Logged:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = {}
    connection, generation = values.get("connection"), values.get("generation")
    if values.get("wire") != VERSION or not isinstance(connection, str) or not re.fullmatch("[0-9a-f]{6}", connection):
        raise InputError(f"{where}: {text[:40]!r} opens no connection of a wire log of version {VERSION}")
    if connection not in known and len(known) >= 1 << 16:
        raise InputError(f"{where}: more than {1 << 16} connections")
    before = known.get(connection) or Logged(connection, str(values.get("address", "?")), None)
    return before._replace(generation=generation if isinstance(generation, str) else before.generation)
