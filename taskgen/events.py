"""What a target reports while a task-set runs: one vocabulary for simulators and boards."""

from enum import StrEnum
from typing import NamedTuple


class EventType(StrEnum):
    """The type of an event: the board's vocabulary, then the scheduler's own where a target traces it."""

    START = "START"  #: a job is born (on a board: its process exists), not its first instruction
    EXIT = "EXIT"  #: the job completed
    EXIT_CRITICAL = "EXIT_CRITICAL"  #: killed: it lived longer than its criticaltime
    EXIT_ERROR = "EXIT_ERROR"  #: it ended by itself with an error
    EXIT_EXTERNAL = "EXIT_EXTERNAL"  #: cut off by the horizon or by a stop
    EXIT_PERIOD = "EXIT_PERIOD"  #: killed: still running at its task's next release
    NOT_SCHEDULED = "NOT_SCHEDULED"  #: refused by admission or dropped at its release
    JOBS_DONE = "JOBS_DONE"  #: the task has had all its jobs
    OUT_OF_QUOTA = "OUT_OF_QUOTA"  #: it asked for more RAM than its quota
    OUT_OF_CAPS = "OUT_OF_CAPS"  #: it asked for more capabilities than its quota
    EXTERNAL = "EXTERNAL"  #: a marker of the earliest boards: somebody polled

    RELEASE = "RELEASE"  #: the job may run from now on
    DISPATCH = "DISPATCH"  #: it runs for the first time
    PREEMPT = "PREEMPT"  #: it was taken off its core, unfinished
    RESUME = "RESUME"  #: it runs again
    MIGRATE = "MIGRATE"  #: it resumes on another core
    DEADLINE_MISS = "DEADLINE_MISS"  #: it isn't completed at its absolute deadline
    IDLE = "IDLE"  #: nothing runs on the core from now on

    # Enum hashes its name in Python; tables keyed by event type are asked for each event.
    __hash__ = str.__hash__


#: The events that end a job.
ENDINGS = frozenset(
    {
        EventType.EXIT,
        EventType.EXIT_CRITICAL,
        EventType.EXIT_ERROR,
        EventType.EXIT_EXTERNAL,
        EventType.EXIT_PERIOD,
        EventType.NOT_SCHEDULED,
        EventType.OUT_OF_QUOTA,
        EventType.OUT_OF_CAPS,
    }
)


class Event(NamedTuple):
    """One event: `time_ns` since the start of the set, and what happened to which job on which core."""

    time_ns: int
    type: EventType
    task_id: int | None  #: None for IDLE
    job: int | None  #: counted from 0 per task; None for IDLE
    core: int | None  #: None where unknown
