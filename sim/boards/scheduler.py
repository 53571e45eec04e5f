"""A policy of the user's own in the place of a board's kernel: it orders the jobs, everything else is as before.

System threads stand above all jobs as ever, tasks stay on the core where the loader puts them, and the loader gives
birth to jobs and lets them die by its generation's rules. Only whose turn it is among the jobs of a core is the
policy's decision, one per instant, by the rules of `sim.policy.Policy`. `hil.board.simulated` puts it into a board.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sim import own
from sim.job import Job
from taskgen.dialect.boards import ENDLESS
from taskgen.parameters import LEAST_URGENT, UNKNOWN_EXECUTION_MS, Parameters
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sim.boards.description import Description
    from sim.boards.kernel import Kernel, Thread
    from sim.policy import Policy
    from taskgen.dialect.boards import BoardRow


def scheduler_maker(policy: str | Policy | type[Policy], row: BoardRow) -> Callable[[], Scheduler]:
    """Return what makes the schedulers of boards of a generation; one is made at once, to see that it can be.

    Raises:
        UsageError: there is no such policy, or it can't be made.
    """
    make = partial(Scheduler, own.policy_maker(policy), row)
    make()
    return make


class Scheduler:
    """What a policy has to do with one board: `make` makes it anew, and it is bound, whenever the task list grows.

    Raises:
        UsageError: `make` does.
    """

    def __init__(self, make: Callable[[], Policy], row: BoardRow) -> None:
        self.policy = make()
        self._make = make
        self._row = row
        self._tasks: Mapping[Description, Parameters] = {}
        self._enqueued = 0

    def bind(self, descriptions: Sequence[Description]) -> None:
        """Show the policy all tasks that the board has.

        Raises:
            InputError: they lack what the policy needs.
            UsageError: a policy of the user's own failed.
        """
        self._tasks = {each: parameters_of(each, self._row) for each in descriptions}
        self.policy = self._make()
        own.bind(self.policy, tuple(self._tasks.values()))

    def job(self, description: Description, index: int, core: int, clock_ns: int) -> Job:
        """Return a job that is released now; policies see its times on the board's clock, as they do `now_ns`."""
        job = Job(self._tasks[description], 0, mortal=False, home=core, queue=[])
        job.index = index
        job.arrival_ns = job.release_ns = clock_ns
        job.deadline_ns = clock_ns + job.relative_ns
        return job

    def queue(self, kernel: Kernel) -> PolicyQueue:
        """Return the ready queue of a core."""
        return PolicyQueue(kernel, self)

    def enqueue(self, job: Job, now_ns: int) -> None:
        """Let a job enter a ready queue behind all others, wherever its rank puts that."""
        self._enqueued += 1
        job.enqueued = self._enqueued
        self.rank(job, now_ns)

    def rank(self, job: Job, now_ns: int) -> None:
        """Rank a job.

        Raises:
            UsageError: a policy of the user's own failed.
        """
        with own.blaming(self.policy):
            job.entry = (self.policy.rank(job, now_ns), job.release_ns, job.id, job)


def parameters_of(description: Description, row: BoardRow) -> Parameters:
    """Return a task as a policy sees it, from what the board has read of it.

    Raw priorities that are one level to the board are one priority here, and the deadline is that of an EDF task.
    """
    one = description
    is_edf = one.deadline_ns > 0 and row.is_edf(one.priority)
    level = row.level(one.priority)
    is_known = 0 < one.executiontime < UNKNOWN_EXECUTION_MS
    return Parameters(
        id=one.id,
        wcet_ns=one.executiontime * NS_PER_MS if is_known else None,
        period_ns=one.period_ns,
        deadline_ns=one.deadline_ns if is_edf else None,
        priority=None if is_edf else LEAST_URGENT if level is None else level,
        offset_ns=one.offset_ns,
        jitter_ns=0,
        jobs=one.jobs if row.jobs_limit == "limit" and one.jobs != ENDLESS else None,
        critical_ns=one.critical_ns or None,
        arrivals_ns=None,
        attributes={"pkg": one.pkg, "config": {} if one.argument is None else {"arg1": one.argument}},
    )


class PolicyQueue:
    """The ready jobs of one core, a `sim.boards.kernel.Queue`: the smallest rank runs, an equal one never preempts.

    Among waiting jobs of equal rank the earlier release goes first, then the smaller id, as with `SimSession`.
    """

    def __init__(self, kernel: Kernel, scheduler: Scheduler) -> None:
        self._kernel = kernel
        self._scheduler = scheduler
        self._jobs: dict[Thread, Job] = {}
        self._closing: Thread | None = None  # it came back with a slice of its own, and goes before its equals
        self._current: Thread | None = None  # whose turn it was; the system may have the core meanwhile
        self._since_ns = 0  # what that one had executed when its turn began

    def add(self, thread: Thread, slice_ns: int | None) -> bool:
        """Let a job wait; who has a slice of its own goes on from where it was."""
        job = thread.job
        if job is None:
            return False
        self._jobs[thread] = job
        if slice_ns is None:
            self._enqueue(thread, job)
        else:
            self._closing, thread.slice_ns = thread, slice_ns
        return True

    def _enqueue(self, thread: Thread, job: Job) -> None:
        job.remaining_ns = thread.remaining_ns
        thread.slice_ns = self._scheduler.policy.quantum_ns or thread.remaining_ns
        self._scheduler.enqueue(job, self._kernel.clock_ns)

    def remove(self, thread: Thread) -> bool:
        """Take a job off."""
        if thread is self._current:
            self._current = None
        if thread is self._closing:
            self._closing = None
        return self._jobs.pop(thread, None) is not None

    def head(self, running: Thread | None) -> Thread | None:  # noqa: ARG002  # it knows whose turn it was
        """Return the job with the smallest rank; who loses its turn, or has used up its quantum, queues again."""
        if not self._jobs:
            return None
        policy, before = self._scheduler.policy, self._current
        if before is not None and policy.quantum_ns and before.slice_ns <= 0:
            self._enqueue(before, self._jobs[before])
        if policy.dynamic:
            for thread, job in self._jobs.items():
                job.remaining_ns = thread.remaining_ns
                self._scheduler.rank(job, self._kernel.clock_ns)
        with own.blaming(policy):  # ranks that can't be compared
            first = min(self._jobs, key=self._key)
        if first is not before:
            if before is not None and before.executed_ns > self._since_ns:  # else its turn ended as it began
                self._jobs[before].preemptions += 1
                self._enqueue(before, self._jobs[before])
            self._current, self._since_ns = first, first.executed_ns
        return first

    def _key(self, thread: Thread) -> tuple[Any, bool, bool, int, int]:
        job = self._jobs[thread]
        rank = None if job.entry is None else job.entry[0]
        return (rank, thread is not self._closing, thread is not self._current, job.release_ns, job.id)

    def turn_ns(self, thread: Thread) -> int:
        """Return what is left of its quantum, if the policy has one."""
        return min(thread.remaining_ns, thread.slice_ns) if self._scheduler.policy.quantum_ns else thread.remaining_ns

    def by_deadline(self, running: Thread | None) -> list[Thread]:  # noqa: ARG002  # a `Queue`
        """Return nobody: the kernel's own deadlines order nothing here."""
        return []
