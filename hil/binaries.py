"""The programs of a set: read from a folder, sent once per boot of a board, never found by a path.

A program is the file in the folder whose name is the task's `pkg`; that name is what the board looks it up by, too
(wire-protocol 1.3). A board keeps the first content of a name until it reboots, so what was sent is remembered, per
address and with its hash (hazard 21): here while this process lives, and in a file for the next one (`hil.boots`).

What this process sent is believed until a run shows that the board's clock went back. What a file says, and what was
sent to a board that was lost since, is a claim: it counts when the board's clock has been asked (`Boot.learn`). If that
leaves open whether the board has rebooted, a program is sent again, which does no harm, and one whose content changed
is refused, as on a board that has it: boards may keep the old content and never say so.
"""

import hashlib
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hil import boots
from hil.boots import NAME, Record, Verdict
from hil.clock import Clock, Rebooted
from hil.messages import MAX_IMAGE, Binary
from taskgen.addresses import Address
from taskgen.dialect.boards import UPLOAD_NAME
from taskgen.errors import UsageError
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS

#: The folder, unless somebody names another one.
FOLDER = Path("bin")
#: What stands for no folder: the board has its programs.
NONE = "none"

#: How old what the file says of the board's clock may become while this process runs sets, in ns.
_SAVE_NS = 60_000 * NS_PER_MS
_NOT_SENT = f"give the folder with --binaries DIR, or --binaries {NONE} if the board has its programs"


@dataclass(frozen=True, slots=True)
class Program:
    """A program, ready to be sent."""

    binary: Binary
    digest: str  #: SHA-256 of its content

    @property
    def name(self) -> str:
        """Its name on the board."""
        return self.binary.name


class Folder:
    """Where programs are found; None: nowhere, the board has them."""

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = None if path == NONE else Path(FOLDER if path is None else path)
        self._read: dict[tuple[str, int, int, int], Program] = {}

    def programs(self, tasks: Iterable[Parameters]) -> list[Program]:
        """Return the programs of tasks, each once.

        Raises:
            UsageError: one is missing, isn't a file inside the folder, is empty or too large, or a name is none.
        """
        if self.path is None:
            return []
        names: dict[str, int] = {}
        for task in tasks:
            name = task.attributes.get("pkg")
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise UsageError(
                    f"task {task.id}: pkg: {name!r:.60} is no name of a program, expected 1..{UPLOAD_NAME} letters,"
                    " digits or any of _ . + -",
                    hint=_NOT_SENT,
                )
            names.setdefault(name, task.id)
        return [self._program(self.path, name, task_id) for name, task_id in names.items()]

    def _program(self, folder: Path, name: str, task_id: int) -> Program:
        path = folder / name
        try:
            inside = path.resolve(strict=True).is_relative_to(folder.resolve())
            if not inside or not path.is_file():
                raise UsageError(f"task {task_id}: pkg: {path} is no file inside the folder {folder}", hint=_NOT_SENT)
            status = path.stat()
            key = (name, status.st_ino, status.st_mtime_ns, status.st_size)
            if key not in self._read:
                self._read[key] = _load(path, status.st_size)
            return self._read[key]
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            reason = getattr(error, "strerror", None) or error
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else reason
            raise UsageError(f"task {task_id}: pkg: {path} can't be sent: {reason}", hint=_NOT_SENT) from None


def _load(path: Path, size: int) -> Program:
    if not 0 < size <= MAX_IMAGE:
        raise UsageError(f"program {path}: {size} bytes can't be sent, expected 1..{MAX_IMAGE}")
    with path.open("rb") as file:
        image = file.read(MAX_IMAGE + 1)
    return Program(Binary(path.name, image), hashlib.sha256(image).hexdigest())


class Boot:
    """What is known of the current boot of a board; one per address, shared by all sessions of this process."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.sent: dict[str, str] = {}  #: SHA-256 by name, of what the board has
        self.maybe: dict[str, str] = {}  #: the same of what it may have
        self.fresh: set[str] = set()  #: those that were sent over the connection that is open now
        self.heard: tuple[int, int] | None = None  #: the last stamp in ms, and when it arrived here
        self.newest: tuple[int, int] | None = None  #: the same of the connection that is open now, whatever it was of
        self._claim: Record | None = None  # to be believed if the board's clock shows the same boot
        self._saved: Record | None = None  # what this process wrote last
        self._looked = False  # for what other processes wrote, since the connection was opened

    def connected(self) -> None:
        """Note that a connection was opened."""
        self.fresh.clear()
        self.newest = None
        self._looked = False

    def missing(self, programs: Iterable[Program]) -> list[Program]:
        """Return the programs that the board doesn't have, or perhaps doesn't.

        Raises:
            UsageError: it has another content of one, or may have, and keeps it until it reboots.
        """
        programs = list(programs)
        known = {**self.maybe, **self.sent}
        for program in programs:
            if known.get(program.name, program.digest) != program.digest:
                raise UsageError(
                    f"program {program.name}: its content changed since it was sent to {self.address},"
                    " and a board keeps the first one until it reboots",
                    hint="reboot the board and start anew, or give the program another name",
                )
        return [program for program in programs if program.name not in self.sent]

    def note(self, program: Program) -> None:
        """Note that a program was sent."""
        self.sent[program.name] = program.digest
        self.maybe.pop(program.name, None)
        self.fresh.add(program.name)

    # -- what the board's clock says -------------------------------------------------------------------------------

    def asks(self, programs: Iterable[Program]) -> bool:
        """Return whether the board's clock is to be asked: some of these must be sent, unless a claim is true.

        Raises:
            UsageError: as `missing`.
        """
        if not self.missing(programs):
            return False
        if not self._looked:
            self._looked = True
            record = boots.load(self.address)
            if record is not None and record != self._saved:  # of another process
                self._claim = record
        return self._claim is not None

    def learn(self, stamp_ms: int | None, arrived_ns: int) -> None:
        """Judge the claim by what the board's clock shows now; None: it couldn't be found out.

        Args:
            stamp_ms: of the clock that dates threads.
            arrived_ns: when it was told, on our monotonic clock.
        """
        claim, self._claim = self._claim, None
        if claim is None:
            return
        verdict = Verdict.UNSURE if stamp_ms is None else boots.judge(claim, stamp_ms, boots.wall_ns(arrived_ns))
        known = {} if verdict is Verdict.OTHER else {**self.sent, **self.maybe, **claim.maybe, **claim.sent}
        fresh = {name: digest for name, digest in self.sent.items() if name in self.fresh}
        self.sent = {**(claim.sent if verdict is Verdict.SAME else {}), **fresh}
        self.maybe = {name: digest for name, digest in known.items() if name not in self.sent}

    def hear(self, stamp_ms: int, arrived_ns: int, used: Collection[Program]) -> bool:
        """Note the last stamp of a run; return whether the board has rebooted and forgotten programs that it `used`."""
        rebooted = self.heard is not None and _went_back(self.heard, (stamp_ms, arrived_ns))
        self.heard = (stamp_ms, arrived_ns)
        if rebooted:
            self.sent = {name: digest for name, digest in self.sent.items() if name in self.fresh}
            self.maybe.clear()
        if used and self._is_old(record := _record(self.heard, self.sent, self.maybe)):
            self._save(record)
        return rebooted and any(program.name not in self.fresh for program in used)

    def doubt(self, used: Collection[Program]) -> None:
        """The board was lost and may have rebooted, or doesn't have what a run `used`: nothing is sure."""
        claim = self._claim
        if claim is None and self.heard is not None:
            claim = _record(self.heard, {}, {**self.maybe, **self.sent})
            if used:
                self._save(claim)
        self.forget()
        self._claim = claim

    def forget(self) -> None:
        """The board has rebooted."""
        self.sent.clear()
        self.maybe.clear()
        self.fresh.clear()
        self.heard = self._claim = None

    def _save(self, record: Record) -> None:
        boots.save(self.address, record)
        self._saved = record

    def _is_old(self, record: Record) -> bool:
        """Whether the file says something else, or has an old stamp."""
        last = self._saved
        if last is None or (last.sent, last.maybe) != (record.sent, record.maybe):
            return True
        return not 0 <= record.heard_ns - last.heard_ns < _SAVE_NS


def _record(heard: tuple[int, int], sent: Mapping[str, str], maybe: Mapping[str, str]) -> Record:
    return Record(heard[0], boots.wall_ns(heard[1]), dict(sent), dict(maybe))


def _went_back(before: tuple[int, int], now: tuple[int, int]) -> bool:
    """Whether a clock shows less than before, and too little time went by for its turn."""
    clock = Clock()
    clock.read(*before)
    try:
        clock.read(*now)
    except Rebooted:
        return now[0] < before[0]
    return False


_lock = threading.Lock()
_boots: dict[Address, Boot] = {}


def boot_of(address: Address) -> Boot:
    """Return what this process knows of a board's current boot."""
    with _lock:
        return _boots.setdefault(address, Boot(address))
