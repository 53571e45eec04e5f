"""Which release of its task a job belongs to, and which releases were served in time.

A simulator tells arrivals. A board tells START, which comes after the creation of a process: its release attempt is
START minus that delay (wire-protocol 6.7), and belongs to the period that it lies in, since the timer is drift-free and
the first tick comes with START of the set (wire-protocol 6.1). A release that finds the previous job alive has no job
of its own on any board (wire-protocol 6.2 to 6.5): nothing tells of it but the gap.
"""

from typing import NamedTuple

from taskgen.bench.suite import Setting
from taskgen.events import EventType
from taskgen.parameters import Parameters
from taskgen.session import Capabilities
from taskgen.testing.properties.law import BOARD_TOLERANCES, ZERO, Tolerance
from taskgen.testing.runs import Executed
from taskgen.trace import Job
from taskgen.units import NS_PER_MS

#: By how much an attempt may seem to come before its tick: stamps are cut to ms, on both sides of a difference.
_EARLY_NS = 2 * NS_PER_MS


class Served(NamedTuple):
    """What became of the releases of a task."""

    due: int  #: those whose deadline lies within the run
    met: int  #: those of them whose job completed by its deadline

    @property
    def missed_percent(self) -> float:
        """The share of releases that weren't served in time."""
        return round(100 * (self.due - self.met) / self.due, 2) if self.due else 0.0


class Clock(NamedTuple):
    """How the times of a target are to be read."""

    told: bool  #: arrivals are
    tolerance: Tolerance

    @classmethod
    def of(cls, generation: str, capabilities: Capabilities) -> "Clock":
        """Return the clock of a target."""
        return cls(capabilities.job_numbers == "releases", BOARD_TOLERANCES.get(generation, ZERO))

    def release_ns(self, job: Job) -> int | None:
        """Return when a job was released, on boards the attempt; None: it never started."""
        if job.release_ns is not None or job.arrival_ns is not None:
            return job.release_ns if job.release_ns is not None else job.arrival_ns
        return None if job.start_ns is None else job.start_ns - self.tolerance.release_delay_ns

    def release(self, job: Job, task: Parameters) -> int | None:
        """Return the number of a job's release, from 0; None: it never started."""
        if self.told:
            return job.index
        release_ns = self.release_ns(job)
        if release_ns is None or not task.period_ns:
            return None if release_ns is None else 0
        return max(0, release_ns + _EARLY_NS - task.offset_ns) // task.period_ns

    def met(self, job: Job, task: Parameters) -> bool:
        """Whether a job completed by the deadline of its release; stamps are forgiven what they cut off."""
        number, relative_ns = self.release(job, task), task.effective_deadline_ns
        if job.outcome is not EventType.EXIT or job.finish_ns is None or number is None:
            return False
        late_ns = self.tolerance.resolution_ns
        return relative_ns is None or job.finish_ns <= _arrival_ns(task, number) + relative_ns + late_ns


def clock_of(setting: Setting) -> Clock:
    """Return the clock of a target."""
    return Clock.of(setting.generation, setting.capabilities)


def _arrival_ns(task: Parameters, number: int) -> int:
    return task.offset_ns + number * task.period_ns


def releases(task: Parameters, until_ns: int) -> int:
    """Return how many releases of a periodic task lie before an instant, or how many jobs it is limited to."""
    if not task.period_ns:
        return int(task.offset_ns < until_ns)
    number = max(0, -((task.offset_ns - until_ns) // task.period_ns))
    return number if task.jobs is None else min(number, task.jobs)


def served(trace: Executed, task: Parameters, clock: Clock) -> Served:
    """Return how many releases of a periodic task were due within a run, and how many were served in time."""
    last_ns = trace.plan.horizon.time_ns - (task.effective_deadline_ns or 0) + 1
    due = releases(task, last_ns)
    met = {clock.release(job, task) for job in trace.jobs_of(task.id) if clock.met(job, task)}
    return Served(due, len(met & set(range(due))))


def together(found: list[Served]) -> Served:
    """Return the sum over tasks."""
    return Served(sum(each.due for each in found), sum(each.met for each in found))


def born(job: Job) -> bool:
    """Whether a job came to life, whatever became of it."""
    return job.outcome is not EventType.NOT_SCHEDULED and not (job.start_ns is None and job.release_ns is None)
