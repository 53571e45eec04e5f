"""The canary: a set with known times, as the health check of a board.

One task alone, whose jobs compute the same, released at exact distances; some seconds on a real board. Measured are

* drift: the board's clock against this machine's, between the first and the last EXIT that arrives. Stamps are cut to
  whole ms and messages are late, so over 4 s it is known to some hundred ppm at best; `drift_uncertainty_ppm` says to
  how many. A clock that is off by more than half isn't taken for the wall's, as of a board in software at full speed:
  `clock_rate` tells, and it is bad only where the inventory asks for a bound of drift;
* lost ticks: a release is at an exact multiple of the period behind the one before it (wire-protocol 6.1), and a task
  alone starts punctually to 1 ms (6.7); what its STARTs are off by beyond that, and releases that never came;
* throttling: the median time from START to EXIT against the calibration of the target, or else against the board's
  own first canary, which is remembered (`taskgen.state`).

A verdict is a value: good or bad, with its figures, and a line for each reason.
"""

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations, pairwise
from pathlib import Path
from statistics import median, median_low
from typing import Any, Final, NamedTuple

from taskgen import state
from taskgen.bench import calibrated
from taskgen.bench.calibration import percent
from taskgen.bench.suite import Setting
from taskgen.blocks._program import program
from taskgen.boards import BoardTarget
from taskgen.dialect.boards import BOARDS
from taskgen.errors import UsageError
from taskgen.events import Event, EventType
from taskgen.inventory.model import Canary
from taskgen.output import whole_file
from taskgen.session import Session, Target
from taskgen.taskset import TaskSet
from taskgen.testing.stand import Stand, is_board
from taskgen.trace import Job, Trace
from taskgen.units import NS_PER_MS, format_ms

#: What it runs: 86 of some 163 ms on the PandaBoard depend on the argument.
PROGRAM: Final = "pi"
ARGUMENT: Final = 100_000
JOBS: Final = 5
#: Room for the job, its kill timer (which cleans up on G4, wire-protocol 6.5) and its teardown.
PERIOD_MS: Final = 800
CRITICAL_MS: Final = 500
#: What is good where nobody says another bound.
USUAL: Final = Canary(drift_ppm=10_000, lost_ticks=5, slow_percent=10)

_HORIZON_MS: Final = JOBS * PERIOD_MS + 6000
_TICK_NS: Final = NS_PER_MS
#: A clock between these rates is the wall's.
_WALL: Final = (2 / 3, 3 / 2)
_MOST_BYTES: Final = 1 << 16


class Reference(NamedTuple):
    """What a job is expected to take, from START to EXIT."""

    execution_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class Song:
    """What a canary sang; unknown is None."""

    board: str
    generation: str
    when: str
    jobs: int  #: those that came to their end
    drift_ppm: int | None
    drift_uncertainty_ppm: int | None
    clock_rate: float | None  #: the board's seconds per second of this machine
    lost_ticks: int | None
    lost_releases: int | None
    execution_ns: int | None  #: median
    reference: Reference | None
    why: tuple[str, ...] = ()  #: what is bad, a line each

    @property
    def good(self) -> bool:
        """Whether nothing is bad."""
        return not self.why

    @property
    def slow_percent(self) -> float | None:
        """By how much it is slower than expected."""
        if self.execution_ns is None or self.reference is None:
            return None
        return float(percent(self.execution_ns - self.reference.execution_ns, self.reference.execution_ns))

    def document(self) -> dict[str, Any]:
        """Return it as plain data; times in ms."""
        reference = self.reference
        return {
            "board": self.board,
            "generation": self.generation,
            "when": self.when,
            "good": self.good,
            "why": list(self.why),
            "program": PROGRAM,
            "arg1": ARGUMENT,
            "jobs": self.jobs,
            "drift_ppm": self.drift_ppm,
            "drift_uncertainty_ppm": self.drift_uncertainty_ppm,
            "clock_rate": self.clock_rate,
            "lost_ticks": self.lost_ticks,
            "lost_releases": self.lost_releases,
            "execution_ms": None if self.execution_ns is None else float(format_ms(self.execution_ns)),
            "reference_ms": None if reference is None else float(format_ms(reference.execution_ns)),
            "reference": None if reference is None else reference.source,
            "slow_percent": self.slow_percent,
        }


def sing(stand: Stand, setting: Setting) -> Mapping[str, Any]:
    """Let the canary of a test stand sing, and return its record; one that can't says why, under `skipped`.

    Raises:
        TargetLost: the target was lost for good.
    """
    try:
        song = stand.attempt(lambda session: listen(session, stand.target, generation=setting.generation))
    except UsageError as error:  # the target has no such program
        return {"board": str(stand.target), "generation": setting.generation, "skipped": str(error)}
    return song.document()


def listen(
    session: Session,
    target: Target,
    *,
    generation: str = "",
    bounds: Canary | None = None,
    registered: Callable[[Session], AbstractContextManager[object]] = nullcontext,
    clock: Callable[[], int] = time.monotonic_ns,
) -> Song:
    """Run the canary on an open session, and judge the target; one without reference gets this one, if it is good.

    Args:
        session: on which nothing else runs.
        target: of that session: names it, and says where its reference is.
        generation: of its board; empty: what the session knows.
        bounds: what is good; None: what the inventory says.
        registered: entered while the session runs something that can be stopped.
        clock: of this machine, in ns.

    Raises:
        UsageError: the target can't run it: it has no such program.
        TargetLost: the target was lost.
    """
    generation = generation or generation_of(session)
    asked = bounds or _asked(target)
    trace, arrivals = _run(session, generation, registered, clock)
    stored = _reference_of(target, generation)
    song = _song(target, generation, trace, arrivals, stored)
    song = replace(song, why=tuple(_reasons(song, asked, expected=1 if _single(generation) else JOBS)))
    if stored is None and song.good and song.execution_ns is not None and is_board(target):
        _remember(target, song)
    return song


def generation_of(session: Session) -> str:
    """Return the generation that a session knows its board to be of, or the profile that it simulates."""
    for holder in ("row", "generation"):
        name = getattr(getattr(session, holder, None), "name", "")
        if isinstance(name, str) and name:
            return name
    return ""


def _asked(target: Target) -> Canary | None:
    health = target.settings.health if isinstance(target, BoardTarget) else None
    return None if health is None else health.canary


def _single(generation: str) -> bool:
    """Whether a task has a single instance there (wire-protocol 6.2, 6.3)."""
    row = BOARDS.get(generation)
    return row is not None and row.instances is not None


def taskset(generation: str) -> TaskSet:
    """Return what is run on boards of a generation."""
    task = {**program(PROGRAM, ARGUMENT), "priority": 1, "criticaltime": CRITICAL_MS}
    if not _single(generation):
        task |= {"period": PERIOD_MS, "numberofjobs": JOBS}
    return TaskSet([task])


def _run(
    session: Session,
    generation: str,
    registered: Callable[[Session], AbstractContextManager[object]],
    clock: Callable[[], int],
) -> tuple[Trace, list[tuple[int, int]]]:
    """Return the trace, and for each EXIT when it was on the board's clock and when it arrived here."""
    arrivals: list[tuple[int, int]] = []

    def stamped(events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if event.type is EventType.EXIT:
                arrivals.append((event.time_ns, clock()))
            yield event

    events = session.run(taskset(generation), horizon_ms=_HORIZON_MS)
    plan = session.plan
    trace = Trace(() if plan is None else plan.tasks, capabilities=session.capabilities)
    with closing(events), registered(session):
        trace.extend(stamped(events))
    return trace, arrivals


def _song(
    target: Target, generation: str, trace: Trace, arrivals: Sequence[tuple[int, int]], reference: Reference | None
) -> Song:
    jobs = [job for job in trace.jobs if job.start_ns is not None]
    took_ns = [each for job in jobs if (each := _took_ns(job)) is not None]
    starts = [job.start_ns for job in jobs if job.start_ns is not None]
    ticks, releases = _lost(starts) if len(starts) > 1 else (None, None)
    rate, uncertainty_ppm = _rate(arrivals, trace.capabilities.time_resolution_ns)
    is_wall = rate is not None and _WALL[0] < rate < _WALL[1] and is_board(target)
    return Song(
        board=str(target),
        generation=generation,
        when=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        jobs=len(took_ns),
        drift_ppm=round((rate - 1) * 1e6) if rate is not None and is_wall else None,
        drift_uncertainty_ppm=uncertainty_ppm if is_wall else None,
        clock_rate=round(rate, 6) if rate is not None and is_board(target) else None,
        lost_ticks=ticks,
        lost_releases=releases,
        execution_ns=median_low(took_ns) if took_ns else None,
        reference=reference,
    )


def _took_ns(job: Job) -> int | None:
    completed = job.outcome is EventType.EXIT and job.start_ns is not None and job.finish_ns is not None
    return (job.finish_ns or 0) - (job.start_ns or 0) if completed else None


def _lost(starts: Sequence[int]) -> tuple[int, int]:
    """Return by how many ticks STARTs are off their grid, one of each being the stamps', and how many are missing."""
    period_ns = PERIOD_MS * NS_PER_MS
    ticks = releases = 0
    for before_ns, after_ns in pairwise(starts):
        periods = max(1, round((after_ns - before_ns) / period_ns))
        releases += periods - 1
        ticks += max(0, abs(after_ns - before_ns - periods * period_ns) // _TICK_NS - 1)
    return ticks, releases


def _rate(arrivals: Sequence[tuple[int, int]], resolution_ns: int) -> tuple[float | None, int | None]:
    """Return the median slope of the board's clock over ours (Theil & Sen), and in ppm how far it may be off."""
    pairs = list(combinations(arrivals, 2))
    if len(arrivals) < 3 or any(after[1] <= before[1] for before, after in pairs):
        return None, None
    rate = median((after[0] - before[0]) / (after[1] - before[1]) for before, after in pairs)
    late = [host_ns - board_ns / rate for board_ns, host_ns in arrivals] if rate else [0.0]
    span_ns = arrivals[-1][1] - arrivals[0][1]
    return rate, round((resolution_ns + max(late) - min(late)) / span_ns * 1e6)


def _reasons(song: Song, asked: Canary | None, *, expected: int) -> Iterator[str]:
    """Yield what is bad about a target."""
    bounds = USUAL if asked is None else asked.over(USUAL)
    if song.jobs < expected:
        yield f"{song.jobs} of {expected} jobs came to their end"
    drift_ppm = song.drift_ppm
    if drift_ppm is None and asked is not None and asked.drift_ppm is not None and song.clock_rate is not None:
        yield f"its clock goes {song.clock_rate:g} times as fast as this machine's"
    if drift_ppm is not None and abs(drift_ppm) - (song.drift_uncertainty_ppm or 0) > (bounds.drift_ppm or 0):
        yield f"its clock drifts by {drift_ppm} ppm, expected at most {bounds.drift_ppm}"
    if song.lost_releases:
        yield f"{song.lost_releases} releases never came"
    if song.lost_ticks is not None and song.lost_ticks > (bounds.lost_ticks or 0):
        yield f"its STARTs are off by {song.lost_ticks} ticks, expected at most {bounds.lost_ticks}"
    slow, reference = song.slow_percent, song.reference
    if slow is None or reference is None or slow <= (bounds.slow_percent or 0):
        return
    if (song.execution_ns or 0) - reference.execution_ns > 2 * _TICK_NS:
        yield (
            f"a job takes {format_ms(song.execution_ns or 0)} ms, {slow:.1f} % more than"
            f" {format_ms(reference.execution_ns)} ms ({reference.source}), expected at most {bounds.slow_percent} %"
        )


# -- references --------------------------------------------------------------------------------------------------------


def _reference_of(target: Target, generation: str) -> Reference | None:
    """Return what the target's calibration predicts, else what the board's first canary took."""
    path = calibrated.find(target)
    if path is not None:
        with contextlib.suppress(UsageError):  # a file that is none: `taskgen bench` says so
            known = calibrated.load(path)
            predicted_ns = known.predicted_ns(PROGRAM, ARGUMENT)
            if predicted_ns is not None and known.about["generation"] == generation:
                return Reference(predicted_ns, known.source)
    return _remembered(target, generation)


def _place(target: Target) -> Path | None:
    folder = state.folder("canaries")
    address = re.sub(r"[^A-Za-z0-9_.-]", "_", str(target))[:100]
    return None if folder is None else folder / f"{address}.json"


def _remembered(target: Target, generation: str) -> Reference | None:
    path = _place(target)
    if path is None or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None  # somebody else's rubbish: the next good one takes its place
    same = isinstance(found, dict) and [found.get(key) for key in ("program", "arg1", "generation")] == [
        PROGRAM,
        ARGUMENT,
        generation,
    ]
    if not same or type(found.get("execution_ns")) is not int or not 0 < found["execution_ns"] < 1 << 62:
        return None
    return Reference(found["execution_ns"], f"its first canary, {found.get('when')!s:.20}")


def _remember(target: Target, song: Song) -> None:
    path = _place(target)
    if path is None:
        return
    about = {"program": PROGRAM, "arg1": ARGUMENT, "generation": song.generation, "when": song.when}
    with contextlib.suppress(OSError, UsageError):  # then the next one is the first again
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            json.dump({**about, "execution_ns": song.execution_ns}, file)
