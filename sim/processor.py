"""The model of one core: releases, completions, kills and misses, and one dispatching decision per instant.

SimPy is the clock and the queue. The processor is a callback on an event of its own; when that event comes, it runs
ahead privately through its own instants up to `env.peek()`, because nobody else can act before that, and then arms the
event for its next instant. So a simulation without other processes costs a few SimPy events in all, and one with
probes, faults or loads interleaves exactly: at equal times other processes come first.

One instant, in this order: completions, miss detection, kills, horizon, releases, then one dispatching decision.

Two bounds keep timers out of the event loop. The absolute deadlines of a task's jobs never decrease, nor do their kill
times; so it is enough to know a lower bound over all unfinished jobs (`_watch_ns`, `_timer_ns`), to do nothing until
time passes it, and to compute it anew then.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, Literal

from sim.job import Entry, Job, Row
from sim.policy import DEADLINE_BAND, JobFixedPriority, Policy
from sim.stream import uniform
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import simpy

    from taskgen.parameters import Parameters

_EXIT = EventType.EXIT
_KILLED = EventType.EXIT_CRITICAL
_FAILED = EventType.EXIT_ERROR
_CUT = EventType.EXIT_EXTERNAL
_START = EventType.START
_RELEASE = EventType.RELEASE
_DISPATCH = EventType.DISPATCH
_PREEMPT = EventType.PREEMPT
_RESUME = EventType.RESUME
_IDLE = EventType.IDLE
_MISS = EventType.DEADLINE_MISS
_DROPPED = EventType.NOT_SCHEDULED
_DONE = EventType.JOBS_DONE

#: Instants processed between two looks at the world outside.
_CHUNK = 1000


class Processor:
    """One core under a policy, as a part of a SimPy environment.

    `events` collects `(time_ns, type, task_id, job, core)`, with the scheduler's own events if `traced`; `rows`
    collects finished jobs, if it is given. Whoever steps the environment drains both. `over` tells when all is done.
    """

    def __init__(
        self,
        env: simpy.Environment,
        tasks: Sequence[Parameters],
        policy: Policy,
        work_ns: Callable[[Parameters], int],
        *,
        horizon_ns: int,
        overrun: Literal["continue", "kill", "skip"] = "continue",
        tie: Literal["running", "index"] = "running",
        seed: int = 0,
        traced: bool = True,
        rows: list[Row] | None = None,
    ) -> None:
        self.env = env
        self.policy = policy
        self.horizon_ns = horizon_ns
        self.now_ns = 0  #: the instant that was processed last
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
        self._running_entry: Entry | None = None
        self._finish_ns = NEVER
        self._watch_ns = NEVER
        self._timer_ns = NEVER
        self._quantum_end_ns = NEVER
        self._blocked_ns = 0  # the core serves an interrupt until then
        self._interrupt_ns = 0  # asked for at this instant
        self._failing: list[int] = []
        self._idle = False
        self._wake: simpy.Event | None = None
        # A policy of the user's own is asked for each rank; ranks of the ready-made ones are read off.
        self._general = type(policy).rank is not JobFixedPriority.rank or policy.quantum_ns is not None
        self._bind()
        self._releases = [(self._release_ns(job, 0, 0), job.id, job) for job in self._jobs]
        # A sentinel: there always is a next release.
        self._releases.append((NEVER, NEVER, self._jobs[0]))
        heapify(self._releases)
        if self._traced and self._releases[0][0] > 0:
            self._idle = True
            self.events.append((0, _IDLE, None, None, 0))
        self._arm(0)

    # -- what other SimPy processes may do -----------------------------------------------------------------------

    @property
    def ready(self) -> tuple[Job, ...]:
        """The jobs that wait for the core, most urgent first; late jobs wait behind those of their tasks."""
        return tuple(entry[3] for entry in sorted(self._ready))

    def interrupt(self, duration_ns: int) -> None:
        """Take the core away from all jobs for a while, from now on; several interrupts queue up."""
        if isinstance(duration_ns, bool) or not isinstance(duration_ns, int) or duration_ns < 0:
            raise ValueError(f"interrupt of {duration_ns!r}: expected whole nanoseconds >= 0")
        self._interrupt_ns += duration_ns
        self._poke()

    def fail(self, task_id: int) -> None:
        """Let the current job of a task end with an error, now; nothing happens if it has none."""
        self._failing.append(task_id)
        self._poke()

    def _poke(self) -> None:
        now_ns = self.env.now
        if not isinstance(now_ns, int):
            raise TypeError(
                f"the simulation clock is at {now_ns!r}, expected integer nanoseconds: use env.timeout(int)"
            )
        self._timer_ns = min(self._timer_ns, now_ns)
        self._arm(now_ns)

    # -- SimPy ---------------------------------------------------------------------------------------------------

    def _arm(self, time_ns: float) -> None:
        wake = self._wake = self.env.timeout(time_ns - self.env.now)
        wake.callbacks.append(self._on_wake)

    def _on_wake(self, event: simpy.Event) -> None:
        if event is not self._wake or self.over:  # armed anew since
            return
        limit_ns = self.env.peek()
        if limit_ns <= self.env.now:  # others act at this instant, too: they come first
            self._arm(self.env.now)
            return
        next_ns = self.advance(min(limit_ns, self.horizon_ns))
        if next_ns >= self.horizon_ns and limit_ns > self.horizon_ns:
            self.cut(self.horizon_ns)
        elif not self.over:
            self._arm(min(next_ns, self.horizon_ns))

    # -- the instants --------------------------------------------------------------------------------------------

    def advance(self, limit_ns: float) -> int:  # noqa: C901  # the hot loop: one frame, local names
        """Process the instants before `limit_ns`, at most 1000 of them; return the next one (NEVER if none)."""
        releases, ready, events, rows = self._releases, self._ready, self.events, self.rows
        emits, traced, general, index_tie = self._emits, self._traced, self._general, self._index_tie
        skips = self._overrun == "skip"
        run, entry, finish_ns = self.running, self._running_entry, self._finish_ns
        now = self.now_ns
        for _ in repeat(None, _CHUNK):
            release_ns = releases[0][0]
            next_ns = min(release_ns, finish_ns)
            if self._timer_ns < next_ns:
                next_ns = self._timer_ns
            if next_ns >= limit_ns or self.over:
                break
            now = next_ns
            if self._watch_ns < now:
                self._report_misses(now - 1)

            if finish_ns == now and run is not None:
                if rows is not None:
                    deadline_ns = run.deadline_ns
                    rows.append((
                        run.id, run.index, run.arrival_ns, run.release_ns, run.start_ns, now,
                        deadline_ns if deadline_ns < NEVER else None, _EXIT, 0, run.preemptions, run.work_ns,
                    ))  # fmt: skip
                elif emits:
                    events.append((now, _EXIT, run.id, run.index, 0))
                run.active = False
                if run.late or run.released == run.limit:
                    self._succeed(run, now)
                run = None
                finish_ns = NEVER

            if self._watch_ns <= now:
                self._report_misses(now)
            if self._timer_ns <= now:
                self.running, self._running_entry, self._finish_ns = run, entry, finish_ns
                self._on_timer(now)
                run, entry, finish_ns = self.running, self._running_entry, self._finish_ns

            while release_ns == now:
                job = releases[0][2]
                index = job.released
                job.released = index + 1
                if job.released == job.limit:
                    heappop(releases)
                elif job.period_ns:
                    heapreplace(releases, (now + job.period_ns, job.id, job))
                else:
                    heapreplace(releases, (self._release_ns(job, index + 1, now), job.id, job))
                arrival_ns = now if job.period_ns else job.task.arrival_ns(index)
                release_ns = releases[0][0]
                if skips and job.active:
                    self._drop(job, index, arrival_ns, now)
                    continue
                if emits:
                    if traced:
                        events.append((now, _RELEASE, job.id, index, 0))
                    events.append((now, _START, job.id, index, 0))
                job.last = index
                if job.active:
                    self._queue_behind(job, index, arrival_ns, now)
                else:
                    self._begin(job, index, arrival_ns, now, now)

            if general:
                self.running, self._running_entry, self._finish_ns = run, entry, finish_ns
                self._rank_anew(now)
                entry = self._running_entry
            if now < self._blocked_ns:
                continue
            if ready:
                if run is None or entry is None:
                    entry = heappop(ready)
                elif ready[0] < entry if index_tie else ready[0][0] < entry[0]:
                    run.remaining_ns = finish_ns - now
                    run.preemptions += 1
                    if traced:
                        events.append((now, _PREEMPT, run.id, run.index, 0))
                    entry = heapreplace(ready, self._entry(run, now) if general else entry)
                else:
                    continue
                run = entry[3]
                finish_ns = now + run.remaining_ns
                if run.start_ns is None:
                    run.start_ns = now
                    if traced:
                        events.append((now, _DISPATCH, run.id, run.index, 0))
                elif traced:
                    events.append((now, _RESUME, run.id, run.index, 0))
                if general and self.policy.quantum_ns is not None:
                    self._start_quantum(now)
                self._idle = False
            elif traced and run is None and not self._idle:
                self._idle = True
                events.append((now, _IDLE, None, None, 0))
        self.running, self._running_entry, self._finish_ns, self.now_ns = run, entry, finish_ns, now
        return min(finish_ns, releases[0][0], self._timer_ns)

    def cut(self, time_ns: int) -> None:
        """End the run: completions, misses and kills of this instant count, every other unfinished job is cut off."""
        # Nothing is released or dispatched any more; the loop does the rest of the instant as ever.
        self._releases = [(NEVER, NEVER, self._jobs[0])]
        self._blocked_ns = NEVER
        self.advance(time_ns + 1)
        if self._watch_ns <= time_ns:
            self._report_misses(time_ns)
        for job in self._jobs:
            while job.active:
                self._end(job, time_ns, _CUT)
        self.now_ns = time_ns
        self.over = True

    # -- jobs ----------------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        """Let the policy see the set, and prepare ready-queue entries where they never change."""
        self.policy.bind([job.task for job in self._jobs])
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
        job.late.append((index, arrival_ns, release_ns))
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
            self._begin(job, *job.late.popleft(), now_ns)
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
            self.rows.append((
                job.id, job.index, job.arrival_ns, job.release_ns, job.start_ns, now_ns,
                job.deadline_ns if job.deadline_ns < NEVER else None, outcome,
                None if job.start_ns is None else 0, job.preemptions, job.work_ns - job.remaining_ns,
            ))  # fmt: skip
        elif self._emits:
            # A job that is killed before its deadline is missed at the kill; one that is cut off is not.
            if self._traced and outcome is not _CUT and job.index >= job.missed:
                self.events.append((now_ns, _MISS, job.id, job.index, 0))
            self.events.append((now_ns, outcome, job.id, job.index, 0))
        job.missed = max(job.missed, job.index + 1)
        job.active = False
        self._succeed(job, now_ns)

    # -- what is due ---------------------------------------------------------------------------------------------

    def _report_misses(self, until_ns: int) -> None:
        """Report each unfinished job whose absolute deadline is at or before `until_ns`, and find the next one."""
        missed: list[tuple[int, int, int]] = []
        self._watch_ns = NEVER
        for job in self._jobs:
            if not job.active:
                continue
            index = max(job.missed, job.index)
            while index <= job.last:
                deadline_ns = job.task.arrival_ns(index) + job.relative_ns
                if deadline_ns > until_ns:
                    self._watch_ns = min(self._watch_ns, deadline_ns)
                    break
                missed.append((deadline_ns, job.id, index))
                index += 1
            job.missed = index
        self.events.extend((time_ns, _MISS, task_id, index, 0) for time_ns, task_id, index in sorted(missed))

    def _set_kill(self, job: Job) -> None:
        critical_ns = job.task.critical_ns
        job.kill_ns = NEVER if critical_ns is None else job.release_ns + critical_ns
        if self._overrun == "kill":
            job.kill_ns = min(job.kill_ns, job.deadline_ns)
        self._timer_ns = min(self._timer_ns, job.kill_ns)

    def _on_timer(self, now_ns: int) -> None:
        """Kill what is due, serve interrupts, and find the next timer."""
        for task_id in self._failing:
            for job in self._jobs:
                if job.id == task_id and job.active:
                    self._end(job, now_ns, _FAILED)
        self._failing.clear()
        for job in self._jobs:
            while job.active and job.kill_ns <= now_ns:
                self._end(job, now_ns, _KILLED)
        if self._interrupt_ns:
            self._serve_interrupt(now_ns)
        timers = [job.kill_ns for job in self._jobs if job.active]
        timers += [time_ns for time_ns in (self._blocked_ns, self._quantum_end_ns) if time_ns > now_ns]
        self._timer_ns = min(timers, default=NEVER)

    def _serve_interrupt(self, now_ns: int) -> None:
        self._blocked_ns = max(self._blocked_ns, now_ns) + self._interrupt_ns
        self._interrupt_ns = 0
        run = self.running
        if run is None:
            return
        run.remaining_ns = self._finish_ns - now_ns
        run.preemptions += 1
        if self._traced:
            self.events.append((now_ns, _PREEMPT, run.id, run.index, 0))
        heappush(self._ready, run.entry or self._entry(run, now_ns))
        self.running, self._finish_ns = None, NEVER

    def _start_quantum(self, now_ns: int) -> None:
        self._quantum_end_ns = now_ns + (self.policy.quantum_ns or NEVER)
        self._timer_ns = min(self._timer_ns, self._quantum_end_ns)

    def _rank_anew(self, now_ns: int) -> None:
        """Before a decision: renew ranks that depend on time; at the end of a quantum the running job queues again."""
        run = self.running
        if run is not None:
            run.remaining_ns = self._finish_ns - now_ns
            if self._quantum_end_ns <= now_ns:
                self._running_entry = self._entry(run, now_ns)
                self._start_quantum(now_ns)
        if not self.policy.dynamic:
            return
        if run is not None and self._running_entry is not None:
            self._running_entry = (self.policy.rank(run, now_ns), *self._running_entry[1:])
        self._ready[:] = [(self.policy.rank(entry[3], now_ns), *entry[1:]) for entry in self._ready]
        heapify(self._ready)
