"""Scheduling policies: which ready job runs.

A policy gives each ready job a rank; the smallest rank runs. A user's own scheduler is a class of a few lines:

    class ShortestRemaining(Policy):
        dynamic = True                       # ranks change while jobs wait

        def rank(self, job, now_ns):
            return job.remaining_ns

It is loaded with `--policy module:ShortestRemaining`, or given to `SimSession(policy=ShortestRemaining())`. On several
cores the same class makes the partitioned and the global form of a policy.
"""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sim.workload import NEVER
from taskgen.errors import InputError
from taskgen.parameters import LEAST_URGENT, NO_PRIORITY, Parameters
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from sim.job import Job

#: Ranks by deadline begin behind all fixed ones (which may be times, so below 2^63): one scale holds both bands.
DEADLINE_BAND = 1 << 64
#: The rank of a job without deadline among deadlines: behind all of them, equal among themselves.
NO_DEADLINE = DEADLINE_BAND + NEVER


class Policy:
    """Base class of all policies: override `rank`, and `bind` to look at the task-set first."""

    #: Ranks depend on time: they are computed anew at each decision. Otherwise once, when the job becomes ready.
    dynamic: bool = False
    #: Decide again this long after each dispatch; the running job then counts as just enqueued. None: never.
    quantum_ns: int | None = None

    def bind(self, tasks: Sequence[Parameters]) -> None:
        """Look at the task-set before it runs.

        Raises:
            InputError: the set lacks what the policy needs.
        """

    def rank(self, job: "Job", now_ns: int) -> Any:
        """Return the rank of a ready job; the smallest runs, equal ranks are broken by the tie rule.

        `job` has `task` (its `Parameters`), `index`, `arrival_ns`, `release_ns`, `deadline_ns` (absolute; `NEVER` if
        it has none), `remaining_ns`, `preemptions`, and `enqueued`, which grows with each entry into the ready queue.
        """
        raise NotImplementedError(f"{type(self).__name__} has no rank()")


class JobFixedPriority(Policy):
    """Policies whose ranks never change during a job: a fixed number per task, or the absolute deadline.

    Subclasses implement `priorities`; the processor reads `fixed` itself, which is faster than calling `rank`.
    """

    #: Per task id: its fixed rank, or None: the rank is the job's absolute deadline.
    fixed: dict[int, int | None]

    def bind(self, tasks: Sequence[Parameters]) -> None:
        """Compute the rank of each task."""
        self.fixed = self.priorities(tasks)

    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        """Return the fixed rank of each task by id; None: ranked by absolute deadline, behind all fixed ones."""
        raise NotImplementedError(f"{type(self).__name__} has no priorities()")

    def rank(self, job: "Job", now_ns: int) -> int:  # noqa: ARG002  # a fixed rank doesn't look at the clock
        """Return the fixed rank, or the absolute deadline behind all fixed ranks."""
        fixed = self.fixed[job.task.id]
        return DEADLINE_BAND + job.deadline_ns if fixed is None else fixed


class FixedPriority(JobFixedPriority):
    """Fixed priorities as given: 0 most urgent .. 127 least."""

    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        """Return the tasks' priorities; each task needs one."""
        for task in tasks:
            if task.priority is None or task.priority == NO_PRIORITY:
                given = "is missing" if task.priority is None else f"{NO_PRIORITY} means none"
                raise InputError(
                    f"task {task.id}: priority: {given}, policy fp needs 0..{LEAST_URGENT} for each task",
                    hint="give it one, or choose --policy rm, dm, edf or auto",
                )
        return {task.id: task.priority for task in tasks}


class RateMonotonic(JobFixedPriority):
    """Rate monotonic: the shorter the period, the more urgent (Liu & Layland, JACM 20(1), 1973); T = 0 ranks last."""

    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        """Rank by period, ties by id."""
        order = sorted(tasks, key=lambda task: (task.period_ns == 0, task.period_ns, task.id))
        return {task.id: rank for rank, task in enumerate(order)}


class DeadlineMonotonic(JobFixedPriority):
    """Deadline monotonic: the shorter D, the more urgent (Leung & Whitehead, Perf. Eval. 2, 1982); missing: D = T."""

    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        """Rank by relative deadline, ties by id; a task with neither D nor T ranks last."""
        order = sorted(
            tasks, key=lambda task: (not task.effective_deadline_ns, task.effective_deadline_ns or 0, task.id)
        )
        return {task.id: rank for rank, task in enumerate(order)}


class EarliestDeadlineFirst(JobFixedPriority):
    """Earliest deadline first (Liu & Layland, JACM 20(1), 1973); missing: D = T."""

    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        """Rank each job by its absolute deadline."""
        return {task.id: None if task.effective_deadline_ns else NO_DEADLINE for task in tasks}


class FirstInFirstOut(Policy):
    """First in, first out: the job that was released first runs, up to its end."""

    def rank(self, job: "Job", now_ns: int) -> int:  # noqa: ARG002  # the order of releases is all that counts
        """Return the release."""
        return job.release_ns


class RoundRobin(Policy):
    """Round robin: each ready job in turn, for a quantum (`quantum_ms`); new and preempted jobs go to the tail."""

    quantum_ns = 10 * NS_PER_MS

    def rank(self, job: "Job", now_ns: int) -> int:  # noqa: ARG002  # a place in a queue doesn't look at the clock
        """Return the place in the queue."""
        return job.enqueued


class LeastLaxity(Policy):
    """Least laxity first (Mok, MIT/LCS/TR-297, 1983): the job that can wait the shortest, looked at anew each quantum.

    Laxity is what remains up to the deadline minus what remains to compute; missing deadline: D = T.
    """

    dynamic = True
    quantum_ns = 10 * NS_PER_MS

    def rank(self, job: "Job", now_ns: int) -> int:
        """Return the laxity; the longest of all, and the same, for each job without a deadline."""
        return NO_DEADLINE if job.deadline_ns == NEVER else job.deadline_ns - now_ns - job.remaining_ns


class Mixed(JobFixedPriority):
    """By what the set says: fixed priorities first, EDF in the time left (the policy `auto`).

    A task with a deadline, or with priority 128, is scheduled by EDF; all others by priority, 127 if they have none.
    """

    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        """Sort the tasks into the two bands."""
        both = [task for task in tasks if task.deadline_ns and task.priority not in {None, NO_PRIORITY}]
        if both:
            warnings.warn(
                f"task {both[0].id} has a deadline and a priority: it is scheduled by EDF, its priority is ignored;"
                " --policy fp schedules by priority",
                stacklevel=2,
            )
        return {task.id: self._priority(task) for task in tasks}

    @staticmethod
    def _priority(task: Parameters) -> int | None:
        if task.deadline_ns or task.priority == NO_PRIORITY:
            return None if task.effective_deadline_ns else NO_DEADLINE
        return LEAST_URGENT if task.priority is None else task.priority


#: The ready-made policies by their names; see the entry points `taskgen.policies`.
READY_MADE: dict[str, type[Policy]] = {
    "auto": Mixed,
    "fp": FixedPriority,
    "rm": RateMonotonic,
    "dm": DeadlineMonotonic,
    "edf": EarliestDeadlineFirst,
    "fifo": FirstInFirstOut,
    "llf": LeastLaxity,
    "rr": RoundRobin,
}


def name_of(policy: Policy) -> str:
    """Return the name of a ready-made policy, or `own`."""
    return next((name for name, cls in READY_MADE.items() if type(policy) is cls), "own")
