"""How the cases of a suite fit a target: what is short and what is long there, and what its tasks need to be told.

A job of the textbook simulator costs nothing but its work. A job on a board is a process that takes 26 ms to create,
and 250 ms to destroy at the system's level (wire-protocol 6.7), and the shortest program computes for 100 ms. So suites
count in the units of a `Scale`, and make their tasks with `task`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from taskgen.bench.suite import Setting
from taskgen.dialect.boards import BOARDS, BoardRow
from taskgen.task import Task
from taskgen.testing.properties.law import BOARD_TOLERANCES, ZERO, Tolerance
from taskgen.trace import Job
from taskgen.units import NS_PER_MS, Milliseconds


@dataclass(frozen=True, slots=True)
class Scale:
    """The times of a kind of target, in ms."""

    period_ms: int  #: of the most urgent task
    short_ms: int  #: the work of a job that is hardly noticed
    long_ms: int  #: the work of a job that is noticed: three times as much
    jobs: int  #: how many periods of the most urgent task a run lasts
    margin_ms: int  #: how far events may be off besides the tolerance of the generation


TEXTBOOK: Final = Scale(period_ms=10, short_ms=1, long_ms=3, jobs=20, margin_ms=0)
PROCESSES: Final = Scale(period_ms=2000, short_ms=110, long_ms=330, jobs=3, margin_ms=10)

#: Generations that test each task at SEND_DESCS, against whatever its description says of its execution time.
_TESTS_EACH_TASK: Final = frozenset({"G1p"})
#: Where an instance stays until the kill timer removes it, that takes so long before the next release.
_TEARDOWN_MS: Final = 500


def scale_of(setting: Setting) -> Scale:
    """Return the scale of a target."""
    return PROCESSES if setting.capabilities.job_numbers == "starts" else TEXTBOOK


def row_of(setting: Setting) -> BoardRow | None:
    """Return the row of the board's generation; None: it is no board, or an unknown one."""
    return BOARDS.get(setting.generation)


def one_job_per_task(setting: Setting) -> bool:
    """Whether a task has one job in all, since nothing removes it (wire-protocol 6.2, 6.3)."""
    row = row_of(setting)
    return row is not None and row.instances == 1


def tests_each_task(setting: Setting) -> bool:
    """Whether admission control tests every task, even where nobody asked for it (wire-protocol 5.1)."""
    return setting.generation in _TESTS_EACH_TASK


def by_deadline(setting: Setting) -> bool:
    """Whether tasks are ranked by EDF.

    The admission control of boards that know it refuses all but one task with a priority (wire-protocol 5.3).
    """
    known = setting.capabilities
    return "fp" not in known.policies or (known.job_numbers == "starts" and "edf" in known.policies)


def task(
    setting: Setting, *, rank: int, period_ms: Milliseconds, work_ms: Milliseconds, jobs: int | None = None, **more: Any
) -> Task:
    """Return a task for this target.

    Args:
        setting: the target.
        rank: 0 is the most urgent one; a priority, or where only deadlines rank, that many periods more to go.
        period_ms: 0 is a single job.
        work_ms: what a job computes.
        jobs: how many, where the target can be told; None: it is ended by the horizon.
        more: further attributes, which count more; None takes one away.

    Raises:
        UsageError: the target can't compute for so long, or so shortly.
    """
    known: dict[str, Any] = {"period": period_ms, **setting.work.block(work_ms)}
    if by_deadline(setting):
        known["deadline"] = (rank + 1) * (period_ms or scale_of(setting).period_ms)
    else:
        known["priority"] = rank
    if jobs is not None and period_ms and setting.capabilities.job_limits:
        known["numberofjobs"] = jobs
    row = row_of(setting)
    if row is not None and row.destruction == "tick" and period_ms > _TEARDOWN_MS:
        known["criticaltime"] = period_ms - _TEARDOWN_MS
    if tests_each_task(setting):
        known["executiontime"] = ceil(work_ms)
    return Task({key: value for key, value in (known | more).items() if value is not None})


def tolerance_of(setting: Setting) -> Tolerance:
    """Return how far the times of a target may be off."""
    return BOARD_TOLERANCES.get(setting.generation, ZERO)


def spread_ns(setting: Setting, siblings: int) -> int:
    """Return by how much an event of a task with so many siblings may be off."""
    return tolerance_of(setting).spread_ns(siblings) + scale_of(setting).margin_ms * NS_PER_MS


def lasted_ns(job: Job) -> int | None:
    """Return how long a completed job took: from its arrival, on boards from its START; None: unknown."""
    if job.response_ns is not None or job.arrival_ns is not None:
        return job.response_ns
    completed = job.outcome is not None and job.outcome.name == "EXIT"
    return job.finish_ns - job.start_ns if completed and None not in {job.start_ns, job.finish_ns} else None  # type: ignore[operator]  # it was looked at


def ms(time_ns: int) -> int | float:
    """Return a sample in ms; whole numbers stay whole."""
    whole, rest = divmod(time_ns, NS_PER_MS)
    return time_ns / NS_PER_MS if rest else whole


def quiet(values: Mapping[str, int | float | None]) -> dict[str, int | float]:
    """Leave out what is unknown."""
    return {name: value for name, value in values.items() if value is not None}
