"""How jobs are born and die: `ideal`, the life cycle of the textbooks.

A released job becomes the current one of its task, or waits behind it, or is dropped (overrun `skip`); it ends by
completion, by a kill, by a fault, or because the run is over; a late successor then takes its place.

Two bounds keep timers out of the event loop. The absolute deadlines of a task's jobs never decrease, nor do their kill
times; so it is enough to know a lower bound over all unfinished jobs (`_watch_ns`, `_timer_ns`), to do nothing until
time passes it, and to compute it anew then.
"""

from __future__ import annotations

from heapq import heapify, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from sim.job import Entry, Job, Row
from sim.policy import DEADLINE_BAND, JobFixedPriority, Policy
from sim.stream import uniform
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskgen.parameters import Parameters

Overrun = Literal["continue", "kill", "skip"]
Tie = Literal["running", "index"]

_KILLED = EventType.EXIT_CRITICAL
_CUT = EventType.EXIT_EXTERNAL
_MISS = EventType.DEADLINE_MISS
_DROPPED = EventType.NOT_SCHEDULED
_DONE = EventType.JOBS_DONE


class Lifecycle:
    """The jobs of a task-set on one core, under a policy that has been bound to it, and what has become of them.

    `events` collects `(time_ns, type, task_id, job, core)`, with the scheduler's own events if `traced`; `rows`
    collects finished jobs instead, if it is given. `over` tells when all is done.
    """

    def __init__(
        self,
        tasks: Sequence[Parameters],
        policy: Policy,
        work_ns: Callable[[Parameters], int],
        *,
        overrun: Overrun,
        tie: Tie,
        seed: int,
        traced: bool,
        rows: list[Row | None] | None,
    ) -> None:
        self.policy = policy
        self.over = False
        self.running: Job | None = None
        self.events: list[tuple[int, EventType, int | None, int | None, int]] = []
        self.rows = rows
        self._emits = rows is None
        self._traced = traced and self._emits
        self._overrun = overrun
        self._index_tie = tie == "index"
        self._seed = seed
        self._sequence = count(1)
        self._jobs = [
            Job(task, work_ns(task), mortal=task.critical_ns is not None or overrun == "kill")
            for task in sorted(tasks, key=lambda task: task.id)
        ]
        self._left = len(self._jobs)  # tasks that have jobs to come or to end
        self._ready: list[Entry] = []
        self._finish_ns = NEVER  # when the running job completes, if nothing happens before
        self._watch_ns = NEVER  # no unreported deadline of an unfinished job lies before this
        self._timer_ns = NEVER  # no kill, end of a quantum or of an interrupt lies before this
        # A policy of the user's own is asked for each rank; ranks of the ready-made ones are read off.
        self._general = type(policy).rank is not JobFixedPriority.rank or policy.quantum_ns is not None
        self._bind()

    def _bind(self) -> None:
        """Prepare ready-queue entries where they never change."""
        if self._general or not isinstance(self.policy, JobFixedPriority):
            return
        ranks = [self.policy.fixed[job.id] for job in self._jobs]
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
        if job.mortal:
            self._set_kill(job)
        heappush(self._ready, job.entry or self._entry(job, now_ns))

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
        slot = 0
        if self.rows is not None:
            slot = len(self.rows)
            self.rows.append(None)
        job.late.append((index, arrival_ns, release_ns, slot))
        if self._traced:
            self._watch_ns = min(self._watch_ns, arrival_ns + job.relative_ns)

    def _drop(self, job: Job, index: int, arrival_ns: int, release_ns: int) -> None:
        """Drop a job at its release, under overrun `skip`: its predecessor is unfinished."""
        if self.rows is not None:
            deadline_ns = arrival_ns + job.relative_ns
            self.rows.append((
                job.id, index, arrival_ns, None, None, release_ns,
                deadline_ns if deadline_ns < NEVER else None, _DROPPED, None, 0, 0,
            ))  # fmt: skip
        elif self._emits:
            self.events.append((release_ns, _DROPPED, job.id, index, 0))

    def _succeed(self, job: Job, now_ns: int) -> None:
        """After the end of a job: its late successor becomes ready, or the task is done."""
        if job.late:
            index, arrival_ns, release_ns, job.slot = job.late.popleft()
            self._begin(job, index, arrival_ns, release_ns, now_ns)
        elif job.released == job.limit:
            if self._emits:
                self.events.append((now_ns, _DONE, job.id, job.index, 0))
            self._left -= 1
            self.over = self._left == 0

    def _end(self, job: Job, now_ns: int, outcome: EventType) -> None:
        """End the current job of a task before its completion."""
        if job is self.running:
            job.remaining_ns = self._finish_ns - now_ns
            self.running, self._finish_ns = None, NEVER
        else:
            self._ready[:] = [entry for entry in self._ready if entry[3] is not job]
            heapify(self._ready)
        if self.rows is not None:
            self.rows[job.slot] = (
                job.id, job.index, job.arrival_ns, job.release_ns, job.start_ns, now_ns,
                job.deadline_ns if job.deadline_ns < NEVER else None, outcome,
                None if job.start_ns is None else 0, job.preemptions, job.work_ns - job.remaining_ns,
            )  # fmt: skip
        elif self._emits:
            # A job that is killed before its deadline is missed at the kill; one that is cut off is not.
            if self._traced and outcome is not _CUT and job.index >= job.missed:
                self.events.append((now_ns, _MISS, job.id, job.index, 0))
            self.events.append((now_ns, outcome, job.id, job.index, 0))
        job.missed = max(job.missed, job.index + 1)
        job.active = False
        self._succeed(job, now_ns)

    def _report_misses(self, until_ns: int, since_ns: int = 0) -> None:
        """Report each unfinished job whose absolute deadline is at or before `until_ns`, and find the next one.

        A job that jitter released after its deadline was missed before anybody heard of it: reported at `since_ns`.
        """
        missed: list[tuple[int, int, int]] = []
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
                missed.append((max(deadline_ns, since_ns), job.id, index))
                index += 1
            job.missed = index
        if not missed:
            return
        self.events.extend((time_ns, _MISS, task_id, index, 0) for time_ns, task_id, index in sorted(missed))

    def _set_kill(self, job: Job) -> None:
        critical_ns = job.task.critical_ns
        job.kill_ns = NEVER if critical_ns is None else job.release_ns + critical_ns
        if self._overrun == "kill":  # jitter may carry a release past the deadline: then it dies at once
            job.kill_ns = min(job.kill_ns, max(job.deadline_ns, job.release_ns))
        self._timer_ns = min(self._timer_ns, job.kill_ns)
