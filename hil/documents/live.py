"""The live document: the threads that a board's kernel lists, and the table of destroyed ones (wire-protocol 4).

Most rows are rubbish: unused ones are all zero, dead subjects are uninitialised memory. Times are stamps in ms of a
clock that wraps (`hil.clock`). Numbers stay as the board told them; what of them deserves trust, the properties say.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from hil.clock import LAST_STAMP_MS, WRAP_NS
from hil.documents import CONTROL, DocumentError, Target, cut, feed
from taskgen.units import NS_PER_MS

LOADER = "init -> taskloader"
#: Rows of a document: the fixed table of early boards, the most that later ones list.
ROWS = 100
FIXED_ROWS = frozenset({"G0", "G1", "G1o"})

_TASK = ["live", "task-descriptions", "task"]
_MAX_ELEMENTS = 10_000
_MAX_DEAD = 4096
#: States whose numbers mean nothing: invalid and dead.
_RUBBISH = frozenset({"0", "5"})
_U32 = (1 << 32) - 1
_DIGITS = re.compile(r"[0-9]{1,20}")

# Three builds write three forms, and one of them isn't XML: attribute names with a colon and a space.
_RIP = re.compile(rb"<RIP_table([^<>]*)(?:/>|(?<!/)>(.*?)(?:</RIP_table>|\Z))", re.DOTALL)
_DEAD = re.compile(rb'<(?:dead_task|task)\b[^"<>]*"([0-9]{1,10})"[^"<>]*"([0-9]{1,20})"[^"<>]*/>')


class Row(NamedTuple):
    """One thread, as a board lists it."""

    session: str  #: label path, `init -> taskloader -> 07.pi`
    thread: str
    foc_id: int  #: unique per thread, ascending with creation; key of the table of destroyed threads
    arrival_ms: int  #: handed to the scheduler
    execution_ms: int = 0  #: CPU time so far
    priority: int = 128  #: kernel level, 128 most urgent, 0 when EDF
    core: int = 0
    state: int = 1  #: 1 untraced (alive), 2 traced, 3 foreign, 4 error
    start_time: int = 0  #: as told: first CPU time; 0: not yet
    exit_time: int | None = 0  #: as told: soft exit; 0: none; None: the build has no such attribute
    id: int = 0  #: kernel capability index
    policy: int = 0
    ram_quota: int = 0  #: KiB
    ram_used: int = 0  #: KiB

    @property
    def start_ms(self) -> int | None:
        """The first CPU time; None: not yet, or a stale number that lies before the arrival."""
        return self._since_arrival(self.start_time)

    @property
    def exit_ms(self) -> int | None:
        """The soft exit of a thread that isn't destroyed yet; None: none, not told, or before the arrival."""
        return self._since_arrival(self.exit_time)

    @property
    def sampled(self) -> bool:
        """Whether start and exit were read on the thread's own core; elsewhere they may be an older row's."""
        return self.core == 0

    def _since_arrival(self, stamp_ms: int | None) -> int | None:
        if not stamp_ms or stamp_ms > LAST_STAMP_MS:
            return None
        elapsed_ns = (stamp_ms - self.arrival_ms) * NS_PER_MS % WRAP_NS
        return stamp_ms if elapsed_ns < WRAP_NS // 2 else None


class Dead(NamedTuple):
    """One of the last threads that were destroyed: about 250 ms after their soft exit."""

    foc_id: int
    time_ms: int


class Live(NamedTuple):
    """What a live document says: threads that are there, newest first, and the table of destroyed ones."""

    threads: tuple[Row, ...]
    dead: tuple[Dead, ...]  #: empty also where the build has no such table

    def service(self, instance: str) -> Row | None:
        """Return the loader's thread for a task, there from SEND_DESCS to CLEAR; its arrival dates the description."""
        return next((row for row in self.threads if row.session == LOADER and row.thread == instance), None)

    def children(self, instance: str) -> tuple[Row, ...]:
        """Return the threads of a running task, there from creation to destruction: the initial one and its helpers."""
        return tuple(row for row in self.threads if row.session == f"{LOADER} -> {instance}")


def instance_name(task_id: int, pkg: str) -> str:
    """Return the name of a task's instance: three characters of its id and a dot, then `pkg` (wire-protocol 2.4)."""
    return f"{task_id:02d}."[:3] + pkg


def parse(data: bytes) -> Live:
    """Return the rows of a live document that mean something.

    Left out are rows that are all zero or of dead subjects. Ignored are NULs, what stands behind the first `</live>`
    but for a table of destroyed threads, unknown attributes and other elements.

    Raises:
        DocumentError: too long, truncated, no live document, or a row of a living thread lacks an attribute or has an
            impossible number.
    """
    rows = _Rows()
    feed(_RIP.sub(b"", cut(data, "live", rows.kind)), rows)
    return Live(tuple(rows.found), _dead(data.translate(None, CONTROL)))


class _Rows(Target):
    def __init__(self) -> None:
        super().__init__("live document", _MAX_ELEMENTS)
        self.found: list[Row] = []

    def opened(self, attributes: Mapping[str, str]) -> None:
        if self.path[0] != "live":
            raise DocumentError(f"the board sent <{self.path[0]:.40}>, expected a live document")
        if self.path == _TASK and attributes.get("state") not in _RUBBISH:
            self.found.append(_row(attributes, f"{self.kind}: row {len(self.found)}"))


#: Attribute, field, largest value; start and exit may be anything.
_NUMBERS = (
    ("foc_id", "foc_id", _U32),
    ("arrival-time", "arrival_ms", LAST_STAMP_MS),
    ("execution-time", "execution_ms", LAST_STAMP_MS),
    ("priority", "priority", 255),
    ("core", "core", 255),
    ("state", "state", 4),
    ("start-time", "start_time", None),
)
#: Those that not every build writes.
_OPTIONAL = (
    ("exit-time", "exit_time", None),
    ("id", "id", _U32),
    ("policy-id", "policy", _U32),
    ("ram_quota", "ram_quota", _U32),
    ("ram_used", "ram_used", _U32),
)


def _row(attributes: Mapping[str, str], where: str) -> Row:
    numbers: dict[str, int | None] = {"exit_time": None}
    for name, field, most in (*_NUMBERS, *(row for row in _OPTIONAL if row[0] in attributes)):
        text = attributes.get(name, "")
        if not _DIGITS.fullmatch(text) or (most is not None and int(text) > most):
            expected = "a number" if most is None else f"0 .. {most}"
            raise DocumentError(f"{where}: {name} is {text!r:.40}, expected {expected}")
        numbers[field] = int(text)
    for name in ("session", "thread"):
        if name not in attributes:
            raise DocumentError(f"{where}: {name} is missing")
    return Row(attributes["session"], attributes["thread"], **numbers)  # type: ignore[arg-type]  # only exit may be None


def _dead(text: bytes) -> tuple[Dead, ...]:
    """Return the table of destroyed threads, in ms also where the build writes microseconds."""
    table = _RIP.search(text)
    if table is None:
        return ()
    pairs = [(int(foc_id), int(time)) for foc_id, time in _DEAD.findall(table[2] or b"")]
    in_us = table[1].startswith(b" RIP_table size") or any(time > LAST_STAMP_MS for _, time in pairs)
    dead = tuple(Dead(foc_id, time // 1000 if in_us else time) for foc_id, time in pairs)
    if len(dead) > _MAX_DEAD:
        raise DocumentError(f"live document: {len(dead)} destroyed threads, expected at most {_MAX_DEAD}")
    for foc_id, time_ms in dead:
        if foc_id > _U32 or time_ms > LAST_STAMP_MS:
            raise DocumentError(f"live document: destroyed thread {foc_id}: time is {time_ms} ms, beyond the clock")
    return dead


_UNUSED = Row("", "", 0, 0, priority=0, state=0)


def render(rows: Sequence[Row], dead: Iterable[Dead] | None, generation: str) -> bytes:
    """Return the live document of a board, byte by byte as its generator lays it out, without the final NUL.

    `rows` come newest first; a board lists at most 100, and G1 and G1o fill up to 100 with rows of zeros. `dead` is the
    table of the build behind the recordings, newest 50; None: a published build, which doesn't print it.
    """
    listed = list(rows[:ROWS])
    if generation in FIXED_ROWS:
        listed += [_UNUSED] * (ROWS - len(listed))
    table = "" if dead is None else _table(list(dead)[-50:])
    lines = "".join(map(_line, listed))
    tasks = f"\t<task-descriptions>\n{lines}\t</task-descriptions>\n" if lines else "\t<task-descriptions/>\n"
    return f"<live>\n{tasks}</live>\n{table}".encode("latin-1", "replace")


def _line(row: Row) -> str:
    ended = "" if row.exit_time is None else f' exit-time="{row.exit_time}"'
    return (
        f'\t\t<task id="{row.id}" foc_id="{row.foc_id}" execution-time="{row.execution_ms}" priority="{row.priority}"'
        f' core="{row.core}" policy-id="{row.policy}" state="{row.state}" arrival-time="{row.arrival_ms}"'
        f' start-time="{row.start_time}"{ended} session="{row.session}" thread="{row.thread}"'
        f' ram_quota="{row.ram_quota}" ram_used="{row.ram_used}"/>\n'
    )


def _table(dead: list[Dead]) -> str:
    if not dead:
        return '<RIP_table RIP_table_size="0"/>'
    lines = "".join(f'\t<dead_task foc_id="{foc_id}" time="{time_ms}"/>\n' for foc_id, time_ms in dead)
    return f'<RIP_table RIP_table_size="{len(dead)}">\n{lines}</RIP_table>'
