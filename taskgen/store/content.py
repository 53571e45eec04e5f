"""What a file has to hold to be a store: looked at before anything in it is believed."""

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from taskgen.errors import UsageError
from taskgen.report.export import printable

SCHEMA = 1
#: SQLite has a place in its header where an application says that a file is its own.
APPLICATION = int.from_bytes(b"tgen")

_MAGIC = b"SQLite format 3\0"
_HEADER = 100  #: bytes, https://www.sqlite.org/fileformat.html 1.3
_STATUSES = frozenset({"finished", "rejected", "failed"})
#: The keys of a run in the result document, and what they hold.
_RUN = {
    "variant": int,
    "target": str,
    "status": str,
    "seed": int,
    "taskset": dict,
    "jobs": list,
    "summary": dict,
}


def check_header(path: Path) -> None:
    """Find out whether a file is a store of this or an older taskgen, without SQLite, which might change it.

    Raises:
        UsageError: it isn't.
    """
    if path.exists() and not path.is_file():
        raise UsageError(f"store {path}: is no regular file", hint="give the name of a file")
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"store {path}: can't be read: {error.strerror}") from None
    if not header:
        return
    hint = "give another --store"
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        raise UsageError(f"store {path}: is no SQLite file", hint=hint)
    version, application = (int.from_bytes(header[start : start + 4]) for start in (60, 68))
    if application != APPLICATION:
        raise UsageError(f"store {path}: is a SQLite file, but not from taskgen", hint=hint)
    if version > SCHEMA:
        hint = "use the taskgen that wrote it, or give another --store"
        raise UsageError(f"store {path}: has schema {version}, this taskgen knows {SCHEMA}", hint=hint)


def check_content(connection: sqlite3.Connection, path: Path) -> tuple[Mapping[str, Any], datetime]:
    """Check all that a store holds; return what was asked for and when that was begun. One row at a time in memory.

    Raises:
        UsageError: the file is damaged, or somebody else wrote into it.
        sqlite3.Error: SQLite can't read it.
    """
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise damaged(path, verdict)
    for digits, variant, status, against, document in connection.execute(
        "SELECT digits, variant, status, against, document FROM results"
    ):
        if digits != len(variant) or against not in {0, 1} or not _is_run(document, variant, status):
            raise damaged(path, f"the result of variant {variant!r:.60} is none")
    for (history,) in connection.execute("SELECT history FROM handed_out"):
        history_of(history, path)
    return _run_of(dict(connection.execute("SELECT key, value FROM run").fetchall()), path)


def _is_run(document: object, variant: object, status: object) -> bool:
    run = _parsed(document)
    if not isinstance(run, dict) or status not in _STATUSES:
        return False
    if not all(type(run.get(key)) is kind for key, kind in _RUN.items()):
        return False
    return str(run["variant"]) == variant and run["variant"] >= 0 and run["status"] == status


def _run_of(rows: Mapping[str, Any], path: Path) -> tuple[Mapping[str, Any], datetime]:
    asked = _parsed(rows.get("asked"))
    try:
        started = datetime.fromisoformat(rows.get("started", ""))
    except (TypeError, ValueError):
        raise damaged(path, "nobody knows when it was begun") from None
    if not isinstance(asked, dict) or started.tzinfo is None:
        raise damaged(path, "nobody knows what was asked for")
    return asked, started


def history_of(text: object, path: Path) -> list[str]:
    """Return the failures of earlier attempts.

    Raises:
        UsageError: the text holds something else.
    """
    history = _parsed(text)
    if not isinstance(history, list) or not all(isinstance(line, str) for line in history):
        raise damaged(path, "the history of an attempt is none")
    return history


def _parsed(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def damaged(path: Path, reason: object) -> UsageError:
    """Return the error that says so."""
    line = printable(" ".join(str(reason).split()))
    return UsageError(f"store {path}: is damaged: {line:.200}", hint="give another --store, or a copy from before")
