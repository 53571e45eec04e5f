"""What boards were sent, kept in small files for the next process, and the judgement whether it is still there.

One file per board, in the folder of `folder()`, is written whole through a temporary one; processes that write at once
never mix their records, and the last one wins. A record that is lost costs an upload, and so does a file that is
strange in any way (too long, no JSON, of another board or version, with impossible values): it counts as none, since
it may be half a disk's rubbish or somebody else's, and the board can be sent everything anew. Where nothing can be
written, because there is no home or the disk is full, each process remembers for itself, and nobody is told.

A record is believed only if the board's clock shows the same boot. A board tells no time, but the loader's thread of a
task dates the description (wire-protocol 4.1): descriptions that were just sent tell what time it is there. Two stories
are held against that stamp, see `judge`:

* The same boot: the board's clock has gone on by the wall time that passed, give or take `STEP_NS`, which covers what
  NTP steps a host's clock by. It may show up to `LOADER_NS` more: G1p and G4 stamp events with a clock that starts with
  the loader, later than that of the threads (wire-protocol 3.3), and a stamp is as old as the push that brings it.
* A reboot since then: the clock went back, or shows no more than the wall time that passed. A board that boots stands
  still for seconds (20 to 60 on real ones), so `MARGIN_NS` needs to cover little.

Both clocks drift: quartzes by 100 ppm, a host's clock that NTP slews by 500, so both stories get a thousandth of the
time that passed. As only that is believed which the second story can't explain, the turn of the board's clock can't
deceive: a record that is older than 71.6 minutes, or of a time before the turn, always leaves a reboot possible.
"""

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from hil.clock import LAST_STAMP_MS, unwrap
from hil.documents.live import Live, instance_name
from taskgen import state
from taskgen.addresses import Address
from taskgen.dialect.boards import UPLOAD_NAME
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS

#: How far a host's clock may have been set forth or back, in ns.
STEP_NS: Final = 10_000 * NS_PER_MS
#: How much later than the board the loader's clock may start, and how old a stamp may be when it arrives, in ns.
LOADER_NS: Final = 60_000 * NS_PER_MS
#: What two processes may differ by about when something arrived, in ns.
MARGIN_NS: Final = 100 * NS_PER_MS
#: Drift of two clocks against each other: one part in so many.
_DRIFT: Final = 1000

#: The programs of a board, and the boards, that are remembered; the oldest are forgotten first.
MOST_PROGRAMS: Final = 256
MOST_BOARDS: Final = 1000
_MAX_BYTES: Final = 1 << 16
_VERSION: Final = 1

#: A program's name: no path, whoever wrote it.
NAME: Final = re.compile(rf"(?!\.)[A-Za-z0-9_.+-]{{1,{UPLOAD_NAME}}}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FILE: Final = re.compile(r"[0-9a-f]{32}(\.json|\..{1,20}\.new)")


class Verdict(Enum):
    """Whether a board is in the boot that a record is of."""

    SAME = "same"
    OTHER = "other"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Record:
    """What a board was sent in one boot."""

    stamp_ms: int  #: what its clock showed
    heard_ns: int  #: when that arrived here, in ns since 1970
    sent: Mapping[str, str] = field(default_factory=dict)  #: SHA-256 by name of the programs that it has
    maybe: Mapping[str, str] = field(default_factory=dict)  #: the same of those that it may have


def judge(record: Record, stamp_ms: int, now_ns: int) -> Verdict:
    """Return whether a board whose clock shows `stamp_ms` at `now_ns`, in ns since 1970, is in the boot of a record.

    UNSURE where both stories of this module's head explain the stamp, or neither does: the clock of a board in
    software that runs as fast as possible, or of an emulator that was paused, tells nothing.
    """
    then_ns, passed_ns = record.stamp_ms * NS_PER_MS, now_ns - record.heard_ns
    elapsed_ns = max(0, passed_ns)
    drift_ns = elapsed_ns // _DRIFT
    instant_ns = unwrap(stamp_ms, then_ns + max(0, elapsed_ns - drift_ns - STEP_NS))
    same = instant_ns - then_ns <= elapsed_ns + drift_ns + STEP_NS + LOADER_NS
    went_back = passed_ns < 0 or stamp_ms < record.stamp_ms  # in the first case who knows how much time passed
    rebooted = went_back or stamp_ms * NS_PER_MS <= elapsed_ns + drift_ns + MARGIN_NS
    if same is rebooted:
        return Verdict.UNSURE
    return Verdict.SAME if same else Verdict.OTHER


def told_ms(threads: Live, tasks: Iterable[Parameters]) -> int | None:
    """Return what time it was on a board when it read descriptions that were just sent; None: nothing tells."""
    names = [instance_name(task.id, str(task.attributes.get("pkg", ""))) for task in tasks]
    services = [service for name in names if (service := threads.service(name)) is not None]
    return max(services, key=lambda row: row.foc_id).arrival_ms if services else None


def wall_ns(arrived_ns: int) -> int:
    """Return when something arrived, in ns since 1970, from when that was on the monotonic clock."""
    return time.time_ns() - (time.monotonic_ns() - arrived_ns)


# -- files -------------------------------------------------------------------------------------------------------------


def folder() -> Path | None:
    """Return where records are kept; None: nowhere."""
    return state.folder("boards")


def load(address: Address) -> Record | None:
    """Return what is remembered of a board; None: nothing, or nothing that can be trusted."""
    path = _path(address)
    try:
        if path is None or not path.is_file():  # nothing else is ever opened: a pipe would block
            return None
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        return None if len(data) > _MAX_BYTES else _record(json.loads(data), address)
    except (OSError, ValueError, RecursionError):
        return None


def save(address: Address, record: Record) -> None:
    """Keep what is known of a board instead of what was; no effect where nothing can be written."""
    path = _path(address)
    if path is None:
        return
    sent = _newest(record.sent, MOST_PROGRAMS)
    content = {
        "version": _VERSION,
        "address": str(address),
        "stamp_ms": record.stamp_ms,
        "heard_ns": record.heard_ns,
        "sent": sent,
        "maybe": _newest(record.maybe, MOST_PROGRAMS - len(sent)),
    }
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = not path.exists()
        _replace(path, json.dumps(content).encode())
        if new:
            _prune(path.parent)


def _path(address: Address) -> Path | None:
    """Return the file of a board: its name is a hash, since an address isn't a file name everywhere."""
    base = folder()
    return None if base is None else base / f"{hashlib.sha256(str(address).encode()).hexdigest()[:32]}.json"


def _record(content: Any, address: Address) -> Record | None:
    if not isinstance(content, dict) or (content.get("version"), content.get("address")) != (_VERSION, str(address)):
        return None
    stamp_ms, heard_ns = content.get("stamp_ms"), content.get("heard_ns")
    sent, maybe = _programs(content.get("sent")), _programs(content.get("maybe"))
    if type(stamp_ms) is not int or not 0 <= stamp_ms <= LAST_STAMP_MS:
        return None
    if type(heard_ns) is not int or not 0 <= heard_ns < 1 << 63:
        return None
    return None if len(sent) + len(maybe) > MOST_PROGRAMS else Record(stamp_ms, heard_ns, sent, maybe)


def _programs(content: Any) -> dict[str, str]:
    """Return digests by name.

    Raises:
        ValueError: these are none.
    """
    if not isinstance(content, dict):
        raise ValueError(content)
    for name, digest in content.items():
        if not (NAME.fullmatch(name) and isinstance(digest, str) and _DIGEST.fullmatch(digest)):
            raise ValueError(name)
    return content


def _newest(programs: Mapping[str, str], most: int) -> dict[str, str]:
    return dict(list(programs.items())[max(0, len(programs) - most) :])


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole, or not at all."""
    number, name = tempfile.mkstemp(prefix=f"{path.stem}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _prune(place: Path) -> None:
    """Forget the boards that were heard of longest ago, and what killed processes have left, if there are too many."""
    files = sorted(_ours(place))
    for _, path in files[: max(0, len(files) - MOST_BOARDS)]:
        path.unlink(missing_ok=True)


def _ours(place: Path) -> Iterator[tuple[int, Path]]:
    """Yield the files of this module, each behind the time when it was written."""
    with os.scandir(place) as entries:
        for entry in entries:
            if _FILE.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    yield entry.stat().st_mtime_ns, Path(entry.path)
