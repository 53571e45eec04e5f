"""How jobs are born and die: `ideal`, the life cycle of the textbooks.

A released job becomes the current one of its task, or waits behind it, or is dropped (overrun `skip`); it ends by
completion, by a kill, by a fault, or because the run is over; a late successor then takes its place.

Two bounds keep timers out of the event loop. The absolute deadlines of a task's jobs never decrease, nor do their kill
times; so it is enough to know a lower bound over all unfinished jobs (`_watch_ns`, `_timer_ns`), to do nothing until
time passes it, and to compute it anew then.
"""

from __future__ import annotations

from heapq import heapify, heappush
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, Literal

from sim.clock import Clocked
from sim.job import Entry, Job, Rows
from sim.policy import DEADLINE_BAND, NO_DEADLINE, JobFixedPriority, Policy
from sim.stream import uniform
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim.execution import Work
    from taskgen.parameters import Parameters

Overrun = Literal["continue", "kill", "skip"]
Tie = Literal["running", "index"]

_FAILED = EventType.EXIT_ERROR
_KILLED = EventType.EXIT_CRITICAL
_CUT = EventType.EXIT_EXTERNAL
_MISS = EventType.DEADLINE_MISS
_DROPPED = EventType.NOT_SCHEDULED
_DONE = EventType.JOBS_DONE


class Lifecycle(Clocked):
    """The jobs of a task-set under a policy that has been bound to it, and what has become of them.

    `place` gives, by task id, the only core of a task (None: it may run on any) and the ready queue that it waits in.
    `events` collects `(time_ns, type, task_id, job, core)`, with the scheduler's own events if `traced`; `rows`
    collects finished jobs instead, if it is given. `over` tells when all is done.
    """

    def __init__(
        self,
        tasks: Sequence[Parameters],
        policy: Policy,
        work: Callable[[Parameters], Work],
        *,
        place: Callable[[int], tuple[int | None, list[Entry]]],
        overrun: Overrun,
        tie: Tie,
        seed: int,
        traced: bool,
        rows: Rows | None,
    ) -> None:
        self.policy = policy
        self.over = False
        self.events: list[tuple[int, EventType, int | None, int | None, int | None]] = []
        self.rows = rows
        self._reserved = 0  # slots of the rows
        self._emits = rows is None
        self._traced = traced and self._emits
        self._overrun = overrun
        self._index_tie = tie == "index"
        self._seed = seed
        self._sequence = count(1)
        self._failing: list[int] = []
        self._jobs = [
            Job(task, work(task), task.critical_ns is not None or overrun == "kill", *place(task.id))
            for task in sorted(tasks, key=lambda task: task.id)
        ]
        self._left = len(self._jobs)  # tasks that have jobs to come or to end
        self._watch_ns = NEVER  # no unreported deadline of an unfinished job lies before this
        self._timer_ns = NEVER  # no kill, end of a quantum or of an interrupt lies before this
        # A policy of the user's own is asked for each rank; ranks of the ready-made ones are read off.
        self._general = type(policy).rank is not JobFixedPriority.rank or policy.quantum_ns is not None
        self._bind()

    def fail(self, task_id: int) -> None:
        """Let the current job of a task end with an error, now; nothing happens if it has none.

        Raises:
            ValueError: there is no such task.
        """
        if all(job.id != task_id for job in self._jobs):
            raise ValueError(f"there is no task {task_id!r} to fail")
        self._failing.append(task_id)
        self._poke()

    def _bind(self) -> None:
        """Prepare ready-queue entries where they never change."""
        if self._general or not isinstance(self.policy, JobFixedPriority):
            return
        ranks = [self.policy.fixed[job.id] for job in self._jobs]
        for number, job in enumerate(self._jobs):
            if ranks[number] is None and job.relative_ns == NEVER:
                ranks[number] = NO_DEADLINE
        for job, rank in zip(self._jobs, ranks, strict=True):
            job.fixed = rank
            if rank is not None and ranks.count(rank) == 1:  # no ties: the order never depends on the release
                job.entry = (rank, 0, job.id, job)

    def _release_ns(self, job: Job, index: int, previous_ns: int) -> int:
        """Return r_k = a_k + j_k, never before the previous release."""
        release_ns = job.task.arrival_ns(index)
        if job.task.jitter_ns:
            release_ns += uniform(self._seed, job.id, index, "jitter", job.task.jitter_ns)
        return max(release_ns, previous_ns)

    def _reserve(self, slots: int = 1) -> int:
        """Reserve slots for the rows of jobs that are released now; return the first."""
        first = self._reserved
        self._reserved += slots
        if isinstance(self.rows, list):
            self.rows.extend(repeat(None, slots))
        return first

    def _begin(self, job: Job, index: int, arrival_ns: int, release_ns: int, now_ns: int) -> None:
        """Make a released job the current one of its task, and ready."""
        job.active = True
        job.index = index
        job.arrival_ns = arrival_ns
        job.release_ns = release_ns
        job.deadline_ns = deadline_ns = arrival_ns + job.relative_ns
        job.remaining_ns = job.work_ns
        job.start_ns = None
        job.preemptions = 0
        if self._traced and deadline_ns < self._watch_ns and index >= job.missed:
            self._watch_ns = deadline_ns
        job.core = job.home
        if job.special:
            self._endow(job)
        heappush(job.queue, job.entry or self._entry(job, now_ns))

    def _entry(self, job: Job, now_ns: int) -> Entry:
        """Return the ready-queue entry of a job: rank, then the tie rule."""
        rank: Any
        if self._general:
            job.enqueued = next(self._sequence)
            rank = self.policy.rank(job, now_ns)
        else:
            rank = DEADLINE_BAND + job.deadline_ns if job.fixed is None else job.fixed
        return (rank, 0 if self._index_tie else job.release_ns, job.id, job)

    def _queue_behind(self, job: Job, index: int, arrival_ns: int, release_ns: int) -> None:
        """Let a released job wait until its predecessors are over."""
        job.late.append((index, arrival_ns, release_ns, self._reserve()))
        if self._traced:
            self._watch_ns = min(self._watch_ns, arrival_ns + job.relative_ns)

    def _drop(self, job: Job, index: int, arrival_ns: int, release_ns: int) -> None:
        """Drop a job at its release, under overrun `skip`: its predecessor is unfinished."""
        if self.rows is not None:
            deadline_ns = arrival_ns + job.relative_ns
            self.rows[self._reserve()] = (
                job.id, index, arrival_ns, None, None, release_ns,
                deadline_ns if deadline_ns < NEVER else None, _DROPPED, None, 0, 0,
            )  # fmt: skip
        elif self._emits:
            self.events.append((release_ns, _DROPPED, job.id, index, job.home))

    def _succeed(self, job: Job, now_ns: int) -> None:
        """After the end of a job: its late successor becomes ready, or the task is done."""
        if job.late:
            index, arrival_ns, release_ns, job.slot = job.late.popleft()
            self._begin(job, index, arrival_ns, release_ns, now_ns)
        elif job.released == job.limit:
            if self._emits:
                self.events.append((now_ns, _DONE, job.id, job.index, job.core))
            self._left -= 1
            self.over = self._left == 0

    def _end(self, job: Job, now_ns: int, outcome: EventType) -> None:
        """End the current job of a task before its completion."""
        self._withdraw(job, now_ns)
        if self.rows is not None:
            self.rows[job.slot] = (
                job.id, job.index, job.arrival_ns, job.release_ns, job.start_ns, now_ns,
                job.deadline_ns if job.deadline_ns < NEVER else None, outcome,
                None if job.start_ns is None else job.core, job.preemptions, job.work_ns - job.remaining_ns,
            )  # fmt: skip
        elif self._emits:
            # A job that is killed before its deadline is missed at the kill; one that is cut off is not.
            if self._traced and outcome is not _CUT and job.index >= job.missed:
                self.events.append((now_ns, _MISS, job.id, job.index, job.core))
            self.events.append((now_ns, outcome, job.id, job.index, job.core))
        job.missed = max(job.missed, job.index + 1)
        job.active = False
        self._succeed(job, now_ns)

    def _end_due(self, now_ns: int) -> bool:
        """End the jobs that fail now or are to be killed; return whether there was any."""
        due = False
        for task_id in self._failing:
            for job in self._jobs:
                if job.id == task_id and job.active:
                    self._end(job, now_ns, _FAILED)
                    due = True
        self._failing.clear()
        for job in self._jobs:
            while job.active and job.kill_ns <= now_ns:
                self._end(job, now_ns, _KILLED)
                due = True
        return due

    def _withdraw(self, job: Job, now_ns: int) -> None:  # noqa: ARG002  # a waiting job has nothing to stop
        """Take a job off its core (subclasses know how), or out of the ready queue."""
        job.queue[:] = [entry for entry in job.queue if entry[3] is not job]
        heapify(job.queue)

    def report_misses_before(self, time_ns: int) -> None:
        """Report what was missed before an instant up to which all else has been processed."""
        if self._watch_ns < time_ns:
            self._report_misses(time_ns - 1)

    def _report_misses(self, until_ns: int, since_ns: int = 0) -> None:
        """Report each unfinished job whose absolute deadline is at or before `until_ns`, and find the next one.

        A job that jitter released after its deadline was missed before anybody heard of it: reported at `since_ns`.
        """
        missed: list[tuple[int, int, int, int | None]] = []
        self._watch_ns = NEVER
        for job in self._jobs:
            if not job.active:
                continue
            index = max(job.index, job.missed)
            while index <= job.last:
                deadline_ns = job.deadline_ns if index == job.index else job.task.arrival_ns(index) + job.relative_ns
                if deadline_ns > until_ns:
                    if deadline_ns < self._watch_ns:
                        self._watch_ns = deadline_ns
                    break
                missed.append((max(deadline_ns, since_ns), job.id, index, job.core if index == job.index else job.home))
                index += 1
            job.missed = index
        if not missed:
            return
        missed.sort(key=_time_and_task)
        self.events.extend((time_ns, _MISS, task_id, index, core) for time_ns, task_id, index, core in missed)

    def _endow(self, job: Job) -> None:
        """Give a job that is born its execution time, where that varies, the time of its kill, and NEVER to be late."""
        if job.relative_ns == NEVER:
            job.deadline_ns = NEVER
        if job.draw is not None:
            job.work_ns = job.remaining_ns = job.draw(job.index)
        critical_ns = job.task.critical_ns
        job.kill_ns = NEVER if critical_ns is None else job.release_ns + critical_ns
        if self._overrun == "kill":  # jitter may carry a release past the deadline: then it dies at once
            job.kill_ns = min(job.kill_ns, max(job.deadline_ns, job.release_ns))
        self._timer_ns = min(self._timer_ns, job.kill_ns)


def _time_and_task(miss: tuple[int, int, int, int | None]) -> tuple[int, int, int]:
    return miss[:3]
