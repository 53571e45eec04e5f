"""Results in a SQLite file: one transaction per hand-out and one per result.

- A SIGKILL at any moment leaves a file that opens again, with every transaction that had returned. The log (WAL) is
  written with `synchronous=NORMAL`: a killed process loses nothing, the kernel has the pages. A power failure may cost
  the last transactions, never the consistency of the file: those variants run again. FULL would buy them with a flush
  of the disk per variant, which is more than many a simulation costs; the log is flushed when it is copied into the
  file, and so when the store is closed.
- Whoever has the store open has it alone (`locking_mode=EXCLUSIVE`): the operating system drops such a lock with the
  process that held it, however that died, and no shared memory is needed, so a network drive will do.
- Everything is suspect that stood in the file before: its header is looked at before SQLite may touch it, then its
  pages are checked, what was asked is compared, and each result has to be one.

A number of a variant has as many digits as it needs, more than SQLite's integers have: it is a text, ordered by its
length first.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from taskgen.errors import UsageError
from taskgen.monitor import Run
from taskgen.output import check_writable
from taskgen.report.result import run_document, speaks_against
from taskgen.store.asked import differences
from taskgen.store.content import APPLICATION, SCHEMA, check_content, check_header, damaged, history_of
from taskgen.trace import Trace

_MAX_BYTES = 1 << 29  # of one row: the events of a run are bounded, and so is its document

_TABLES = (
    "CREATE TABLE run (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE handed_out (variant TEXT NOT NULL PRIMARY KEY, target TEXT NOT NULL, history TEXT NOT NULL)",
    """CREATE TABLE results (digits INTEGER NOT NULL, variant TEXT NOT NULL, status TEXT NOT NULL,
    against INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (digits, variant))""",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
)

# A process that closes a file loses all locks that it has on it, those of SQLite, too: nobody may look into a file that
# this process has open as a store.
_open_here: set[Path] = set()

#: What SQLite complains about, by the beginning of its name for it: our words, and a hint.
_TROUBLE = {
    "SQLITE_BUSY": ("is in use by another taskgen", "wait until that one ends, or give another file"),
    "SQLITE_FULL": ("can't be written: the disk is full", "make room, then go on with --resume"),
    "SQLITE_READONLY": ("can't be written: it is read-only", "choose a file that is yours"),
    "SQLITE_CANTOPEN": ("can't be opened", "choose a folder that exists and is yours"),
    "SQLITE_IOERR": ("can't be written or read: the disk or a limit refuses", "make room, then go on with --resume"),
    "SQLITE_CONSTRAINT": ("has a result of this variant already", "number the variants so that no two are alike"),
}


class Tally(NamedTuple):
    """How many results a store has."""

    finished: int
    rejected: int
    failed: int
    against: int  #: those with a verdict against the system under test

    @property
    def runs(self) -> int:
        """How many there are."""
        return self.finished + self.rejected + self.failed


class ResultStore:
    """The results of one run and what was handed out without one; a `Ledger` and a context manager.

    `asked` is plain data that identifies the run. Any thread may call any method.

    Raises:
        UsageError: see `taskgen.store.open_store`; later on: the file can't be written or read any more.
    """

    def __init__(self, path: Path, asked: Mapping[str, Any], *, resume: bool = False) -> None:
        self.path = path
        self.started = datetime.now(UTC)  #: when the run was begun, in the first of its processes
        self._lock = threading.RLock()
        self._file = path.resolve()
        self._created = not path.exists()
        self._closed = False
        if self._file in _open_here:
            raise self._trouble("SQLITE_BUSY")
        if self._created:
            check_writable(path)
        check_header(path)
        with self._told():
            self._connection = sqlite3.connect(self._file, timeout=0, isolation_level=None, check_same_thread=False)
        _open_here.add(self._file)
        try:
            with self._told():
                self._enter(asked, resume=resume)
        except BaseException:
            self._leave()
            raise

    def _enter(self, asked: Mapping[str, Any], *, resume: bool) -> None:
        connection = self._connection
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_BYTES)
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        with self._transaction("EXCLUSIVE"):
            if not self._file.exists():  # its last driver has just taken it away
                raise self._trouble("SQLITE_BUSY")
            # The tables come before the log: what SQLite leaves behind, if it is killed here, is an empty file.
            fresh = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if fresh:
                for statement in _TABLES:
                    connection.execute(statement)
                self._describe(asked)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if not fresh:
            self._look_at(asked, resume=resume)

    def _describe(self, asked: Mapping[str, Any]) -> None:
        rows = {"asked": json.dumps(asked), "started": self.started.isoformat()}
        self._connection.execute("DELETE FROM run")
        self._connection.executemany("INSERT INTO run VALUES (?, ?)", rows.items())

    def _look_at(self, asked: Mapping[str, Any], *, resume: bool) -> None:
        """Find out what is there, and whether it is what was asked for."""
        there, started = check_content(self._connection, self.path)
        if self._empty():
            with self._transaction():
                self._describe(asked)  # that run never began
            return
        other = differences(there, asked)
        if other:
            hint = "give another --store, or ask for the same"
            raise UsageError(f"store {self.path}: has another run: {other}", hint=hint)
        if not resume:
            raise UsageError(
                f"store {self.path}: has this run already, with {self.tally().runs} results",
                hint="go on with --resume, or give another --store",
            )
        self.started = started

    def _empty(self) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM handed_out) OR EXISTS (SELECT 1 FROM results)"
        return not self._connection.execute(sql).fetchone()[0]

    def stored(self, variant: int) -> bool:
        """Whether a variant has its result."""
        with self._told():
            sql = "SELECT 1 FROM results WHERE digits = ? AND variant = ?"
            return self._connection.execute(sql, _key(variant)).fetchone() is not None

    def earlier(self, variant: int) -> list[str]:
        """Return one line per attempt that came to no result, oldest first."""
        with self._told():
            sql = "SELECT target, history FROM handed_out WHERE variant = ?"
            row = self._connection.execute(sql, (str(variant),)).fetchone()
        if row is None:
            return []
        history = history_of(row[1], self.path)
        return [*history, f"{row[0]}, attempt {len(history) + 1}: the driver ended before its result was stored"]

    def begin(self, run: Run) -> None:
        """Note that an attempt begins."""
        row = (str(run.variant), run.target, json.dumps(run.history))
        with self._told():
            self._connection.execute("INSERT OR REPLACE INTO handed_out VALUES (?, ?, ?)", row)

    def withdraw(self, run: Run) -> None:
        """Forget an attempt that never began."""
        if not run.history:  # else it is one of several, and the number of the next one grows
            with self._told():
                self._connection.execute("DELETE FROM handed_out WHERE variant = ?", (str(run.variant),))

    def store(self, run: Run, trace: Trace | None) -> None:
        """Keep the result of a variant: a run that finished, was rejected, or failed for good (without a trace)."""
        trace = None if run.status == "failed" else trace
        row = (*_key(run.variant), run.status, speaks_against(run, trace), run_document(run, trace))
        with self._told(), self._transaction():
            self._connection.execute("INSERT INTO results VALUES (?, ?, ?, ?, ?)", row)
            self._connection.execute("DELETE FROM handed_out WHERE variant = ?", (str(run.variant),))

    def tally(self) -> Tally:
        """Count the results."""
        with self._told():
            sql = "SELECT status, count(*), sum(against) FROM results GROUP BY status"
            rows = self._connection.execute(sql).fetchall()
        counts = {status: count for status, count, _ in rows}
        against = sum(each for _, _, each in rows)
        return Tally(counts.get("finished", 0), counts.get("rejected", 0), counts.get("failed", 0), against)

    def results(self) -> Iterator[tuple[int, str]]:
        """Yield each variant with its run as in the result document, by growing number; one at a time in memory."""
        with self._told():
            rows = self._connection.execute("SELECT variant, document FROM results ORDER BY digits, variant")
        try:
            while True:
                with self._told():
                    row = rows.fetchone()
                if row is None:
                    return
                yield int(row[0]), row[1]
        finally:
            rows.close()

    def close(self) -> None:
        """Flush everything to the one file, and let go of it; a store in which nothing ever began goes away."""
        with self._lock:
            if self._closed:
                return
            unused = False
            with suppress(sqlite3.Error):  # it is damaged
                unused = self._created and self._empty()
            if unused:
                with suppress(OSError, sqlite3.Error):  # while it is still locked: nobody else can have begun
                    self._connection.execute("PRAGMA journal_mode = DELETE")
                    self._file.unlink()
            self._leave()

    def _leave(self) -> None:
        self._closed = True
        self._connection.close()
        _open_here.discard(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Let one thread at a time in, and turn what SQLite raises into one line."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                if self._closed:
                    raise UsageError(f"store {self.path}: is closed", hint="open it again") from error
                raise self._trouble(getattr(error, "sqlite_errorname", ""), error) from error

    def _trouble(self, name: str, error: sqlite3.Error | None = None) -> UsageError:
        for begin, (what, hint) in _TROUBLE.items():
            if name.startswith(begin):
                return UsageError(f"store {self.path}: {what}", hint=hint)
        return damaged(self.path, error)

    @contextmanager
    def _transaction(self, kind: str = "IMMEDIATE") -> Iterator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled back already
                self._connection.execute("ROLLBACK")
            raise


def _key(variant: int) -> tuple[int, str]:
    text = str(variant)
    return len(text), text
