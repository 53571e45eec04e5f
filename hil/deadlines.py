"""How long a board may be silent, or busy with START, and be alive: computed from the set, and applied to a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from taskgen.dialect.boards import BoardRow
from taskgen.parameters import NO_PRIORITY, Parameters
from taskgen.units import NS_PER_MS

#: What a board may take beside the jobs' own work to create and destroy one.
_JOB_NS = 1000 * NS_PER_MS
#: What creating and destroying one takes on the PandaBoard, at the system's level (wire-protocol 6.7).
_INSTANCE_NS = 279 * NS_PER_MS
#: Generations that destroy a job at its task's next release and say nothing (wire-protocol 6.4).
_SILENT_OVERRUN = frozenset({"G3a"})
#: A board's clock and ours may differ by this at the horizon of a run that is silent.
_LATE_NS = 200 * NS_PER_MS


@dataclass(frozen=True, slots=True)
class Settings:
    """How long a run waits for what, in ns."""

    reply_ns: int  #: an answer, beside what the command itself takes
    silence_ns: int  #: any byte while tasks run, or the longest silence that the set can have
    quiet_ns: int  #: what may come late has come
    poll_ns: int  #: between two questions, where boards push nothing


@dataclass(slots=True)
class Deadlines:
    """What a run waits for while its tasks run; instants in ns of the link's clock, None: not for that."""

    started_ns: int
    horizon_ns: int  #: the run is over, by our clock
    answer_ns: int  #: how long an answer may take
    silence_ns: int | None  #: how long the board may be silent
    quiet_ns: int  #: how long a JOBS_DONE may be late
    asked_ns: int | None = None  #: a question is open since then
    poll_ns: int | None = None  #: when to ask next
    ended_ns: int | None = None  #: when the last job had ended

    @classmethod
    def of(
        cls,
        tasks: Sequence[Parameters],
        row: BoardRow,
        settings: Settings,
        *,
        started_ns: int,
        run_ns: int,
        query_ns: int,
    ) -> "Deadlines":
        """Return those of a set that was started and is to run for `run_ns`."""
        busy_ns = start_ns(tasks, row, query_ns)
        silence_ns = longest_silence_ns(tasks, row) if row.pushes else None
        return cls(
            started_ns,
            started_ns + busy_ns + _first_release_ns(tasks, row) + run_ns + _LATE_NS,
            settings.reply_ns + busy_ns,
            None if silence_ns is None else max(settings.silence_ns, silence_ns),
            settings.quiet_ns,
        )

    def extend(self, now_ns: int, rest_ns: int) -> None:
        """Note that the horizon is `rest_ns` away now: a board's first job may begin later than its START.

        It does where releases are denied or come a period late; what was denied is told with the first job's end.
        """
        self.horizon_ns = max(self.horizon_ns, now_ns + rest_ns + _LATE_NS)

    def first(self, heard_ns: int, *, starting: bool) -> tuple[int, str]:
        """Return the next deadline, and what it is for; `starting`: START hasn't returned."""
        instants = [(self.horizon_ns, "horizon")]
        if self.asked_ns is not None:
            instants.append((self.asked_ns + self.answer_ns, "answer"))
        elif self.poll_ns is not None:
            instants.append((self.poll_ns, "poll"))
        if starting:
            instants.append((self.started_ns + self.answer_ns, "start"))
        if self.silence_ns is not None:
            instants.append((max(heard_ns, self.started_ns) + self.silence_ns, "silence"))
        if self.ended_ns is not None:
            instants.append((self.ended_ns + self.quiet_ns, "end"))
        return min(instants)


#: The faults that passed deadlines stand for.
OVERDUE = {
    "answer": "the board doesn't answer while its tasks run",
    "start": "START doesn't return",
    "silence": "the board says nothing, though jobs should have ended",
}


def longest_silence_ns(tasks: Sequence[Parameters], row: BoardRow) -> int | None:
    """Return the longest time in which a board pushes nothing; None: nobody knows.

    That is so where nobody knows how long jobs live, and where the optimiser may deny a task all of its jobs: a denial
    is logged, but never pushed (wire-protocol 3.4), so a board that denies looks like one that is dead. So does G3a
    while it destroys late jobs, one after the other, at the next release of their task.

    Each task has one job at a time, so when a processor has done the work of all, one of them has ended. Before that it
    may wait for offsets, and twice for a period, since there are boards that start at every second tick.
    """
    if any(can_be_denied(task, row) or _can_vanish(task, tasks, row) for task in tasks):
        return None
    lives = [_life_ns(task, row) for task in tasks]
    known = [life for life in lives if life is not None]
    if len(known) < len(lives):
        return None
    period_ns = max(task.period_ns for task in tasks)
    return sum(task.offset_ns for task in tasks) + 2 * period_ns + sum(known) + _JOB_NS * len(tasks)


def can_be_denied(task: Parameters, row: BoardRow) -> bool:
    """Return whether the optimiser decides on each job of a task (wire-protocol 5.4)."""
    is_edf = row.edf != "none" and bool(task.deadline_ns or task.priority == NO_PRIORITY)
    return is_edf and row.optimiser == "job"


def _can_vanish(task: Parameters, tasks: Sequence[Parameters], row: BoardRow) -> bool:
    """Return whether a job may be alive at its task's next release, where that ends it without an event (6.4)."""
    if row.name not in _SILENT_OVERRUN or not task.period_ns or task.jobs == 1:
        return False
    work_ns = 0
    for other in tasks:
        jobs = -(-task.period_ns // other.period_ns) if other.period_ns else 1
        work_ns += jobs * ((other.wcet_ns or 0) + _INSTANCE_NS)
    return work_ns >= task.period_ns


def _life_ns(task: Parameters, row: BoardRow) -> int | None:
    """Return the work of a job, or when it is killed at the latest."""
    bounds = [task.wcet_ns, task.critical_ns]
    if row.destruction == "tick":
        bounds.append(task.period_ns or None)
    return min((bound for bound in bounds if bound is not None), default=None)


def _first_release_ns(tasks: Sequence[Parameters], row: BoardRow) -> int:
    """Return how long after START a first job may be released: G1o releases a limited task a period late."""
    late = row.jobs_limit == "odd"
    return max((task.period_ns for task in tasks if task.jobs), default=0) if late else 0


def start_ns(tasks: Sequence[Parameters], row: BoardRow, query_ns: int = 0) -> int:
    """Return how long SEND_DESCS and START hold the command loop: admission, offsets (G4), the optimiser (G1o)."""
    busy_ns = row.admission_ns + row.start_ns
    if row.offsets != "ignored":
        busy_ns += sum(task.offset_ns for task in tasks)
    if row.optimiser == "start":
        busy_ns += sum((task.jobs or 0) * max(query_ns, task.deadline_ns or 0) for task in tasks)
    return busy_ns
