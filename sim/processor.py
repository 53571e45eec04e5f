"""The model of one core: releases, completions, kills and misses, and one dispatching decision per instant.

SimPy is the clock and the queue (see `sim.clock`): a simulation without other processes costs a few SimPy events in
all, and one with probes, faults or loads interleaves exactly.

One instant, in this order: completions, miss detection, kills, horizon, releases, then one dispatching decision.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from itertools import repeat
from typing import TYPE_CHECKING

from sim.clock import INSTANTS, releases_before_a_look
from sim.lifecycle import Lifecycle, Overrun, Tie
from sim.policy import DEADLINE_BAND
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import simpy

    from sim.execution import Work
    from sim.job import Entry, Job, Rows
    from sim.policy import Policy
    from taskgen.parameters import Parameters

_EXIT = EventType.EXIT
_CUT = EventType.EXIT_EXTERNAL
_START = EventType.START
_RELEASE = EventType.RELEASE
_DISPATCH = EventType.DISPATCH
_PREEMPT = EventType.PREEMPT
_RESUME = EventType.RESUME
_IDLE = EventType.IDLE


class Processor(Lifecycle):
    """One core under a policy, as a part of a SimPy environment; whoever steps that drains `events` and `rows`."""

    def __init__(
        self,
        env: simpy.Environment,
        tasks: Sequence[Parameters],
        policy: Policy,
        work: Callable[[Parameters], Work],
        *,
        horizon_ns: int,
        core: int = 0,
        overrun: Overrun = "continue",
        tie: Tie = "running",
        seed: int = 0,
        traced: bool = True,
        rows: Rows | None = None,
    ) -> None:
        self.running: Job | None = None
        self._ready: list[Entry] = []
        self._finish_ns = NEVER  # when the running job completes, if nothing happens before
        super().__init__(
            tasks, policy, work, place=lambda _: (core, self._ready),
            overrun=overrun, tie=tie, seed=seed, traced=traced, rows=rows,
        )  # fmt: skip
        self.core = core
        self.now_ns = 0  #: the instant that was processed last
        self._running_entry: Entry | None = None
        self._quantum_end_ns = NEVER
        self._blocked_ns = 0  # the core serves an interrupt until then
        self._interrupt_ns = 0  # asked for at this instant
        self._idle = False
        self._most = releases_before_a_look(len(tasks))
        self._jittery = any(task.jitter_ns for task in tasks)
        self._releases = [(self._release_ns(job, 0, 0), job.id, job) for job in self._jobs]
        # A sentinel: there always is a next release.
        self._releases.append((NEVER, NEVER, self._jobs[0]))
        heapify(self._releases)
        if self._traced and self._releases[0][0] > 0:
            self._idle = True
            self.events.append((0, _IDLE, None, None, core))
        self._place(env, horizon_ns)

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

    # -- the instants --------------------------------------------------------------------------------------------

    def advance(self, limit_ns: float) -> int:  # noqa: C901  # the hot loop: one frame, local names
        """Process instants before `limit_ns`, at most 100, and 1000 releases; return the next one (NEVER if none)."""
        releases, ready, events, rows = self._releases, self._ready, self.events, self.rows
        emits, traced, general, index_tie = self._emits, self._traced, self._general, self._index_tie
        skips, jittery, core = self._overrun == "skip", self._jittery, self.core
        run, entry, finish_ns = self.running, self._running_entry, self._finish_ns
        now, room = self.now_ns, self._most
        for _ in repeat(None, INSTANTS):
            release_ns = releases[0][0]
            next_ns = finish_ns
            if release_ns < next_ns:  # not min(): a call costs more than the comparison
                next_ns = release_ns
            if self._timer_ns < next_ns:
                next_ns = self._timer_ns
            if next_ns >= limit_ns or room < 0:
                break
            now = next_ns
            happened = finish_ns == now
            if self._watch_ns < now:
                self._report_misses(now - 1)

            if finish_ns == now and run is not None:
                if rows is not None:
                    deadline_ns = run.deadline_ns
                    rows[run.slot] = (
                        run.id, run.index, run.arrival_ns, run.release_ns, run.start_ns, now,
                        deadline_ns if deadline_ns < NEVER else None, _EXIT, core, run.preemptions, run.work_ns,
                    )  # fmt: skip
                elif emits:
                    events.append((now, _EXIT, run.id, run.index, core))
                run.active = False
                if run.late or run.released == run.limit:
                    self._succeed(run, now)
                    if self.over:
                        limit_ns = 0  # the rest of this instant is the last
                run = None
                finish_ns = NEVER

            if self._watch_ns <= now:
                self._report_misses(now)
            if self._timer_ns <= now:
                self.running, self._running_entry, self._finish_ns = run, entry, finish_ns
                happened |= self._on_timer(now)
                run, entry, finish_ns = self.running, self._running_entry, self._finish_ns
                if self.over:
                    limit_ns = 0

            while release_ns == now:
                happened = True
                job = releases[0][2]
                index = job.released
                job.released = index + 1
                room -= 1
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
                        events.append((now, _RELEASE, job.id, index, core))
                    events.append((now, _START, job.id, index, core))
                job.last = index
                if job.active:
                    self._queue_behind(job, index, arrival_ns, now)
                    continue
                if rows is not None:
                    job.slot = self._reserve()
                # As Lifecycle._begin, for the common case that nothing is in the way.
                job.active = True
                job.index = index
                job.arrival_ns = arrival_ns
                job.release_ns = now
                job.deadline_ns = deadline_ns = arrival_ns + job.relative_ns
                job.remaining_ns = job.work_ns
                job.start_ns = None
                job.preemptions = 0
                if traced and deadline_ns < self._watch_ns:
                    self._watch_ns = deadline_ns
                if job.special:
                    self._endow(job)
                if job.entry is not None:
                    heappush(ready, job.entry)
                elif general or job.fixed is not None:
                    heappush(ready, self._entry(job, now))
                else:
                    heappush(ready, (DEADLINE_BAND + deadline_ns, 0 if index_tie else now, job.id, job))

            if jittery:  # what is released after its deadline is late at once, and may be dead
                if self._watch_ns <= now:
                    self._report_misses(now, now)
                if self._timer_ns <= now:
                    self.running, self._running_entry, self._finish_ns = run, entry, finish_ns
                    self._on_timer(now)
                    run, entry, finish_ns = self.running, self._running_entry, self._finish_ns
            if general:
                if not happened:  # a timer that is no more: a rank that depends on time must not notice
                    continue
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
                        events.append((now, _PREEMPT, run.id, run.index, core))
                    entry = heapreplace(ready, self._entry(run, now) if general else entry)
                else:
                    continue
                run = entry[3]
                finish_ns = now + run.remaining_ns
                if run.start_ns is None:
                    run.start_ns = now
                    if traced:
                        events.append((now, _DISPATCH, run.id, run.index, core))
                elif traced:
                    events.append((now, _RESUME, run.id, run.index, core))
                if general and self.policy.quantum_ns is not None:
                    self._start_quantum(now)
                self._idle = False
            elif traced and run is None and not self._idle:
                self._idle = True
                events.append((now, _IDLE, None, None, core))
        self.running, self._running_entry, self._finish_ns, self.now_ns = run, entry, finish_ns, now
        return min(finish_ns, releases[0][0], self._timer_ns)

    def cut(self, time_ns: int) -> None:
        """End the run: completions, misses and kills of this instant count, every other unfinished job is cut off."""
        # Nothing is released or dispatched any more; the loop does the rest of the instant as ever.
        self._releases = [(NEVER, NEVER, self._jobs[0])]
        self._blocked_ns = NEVER
        self._interrupt_ns = 0
        self.advance(time_ns + 1)
        if self._watch_ns <= time_ns:
            self._report_misses(time_ns)
        for job in self._jobs:
            while job.active:
                self._end(job, time_ns, _CUT)
        self.now_ns = time_ns
        self.over = True

    def _withdraw(self, job: Job, now_ns: int) -> None:
        if job is self.running:
            job.remaining_ns = self._finish_ns - now_ns
            self.running, self._finish_ns = None, NEVER
        else:
            super()._withdraw(job, now_ns)

    # -- what is due ---------------------------------------------------------------------------------------------

    def _on_timer(self, now_ns: int) -> bool:
        """Kill what is due, serve interrupts, and find the next timer; return whether anything was due."""
        due = now_ns in {self._blocked_ns, self._quantum_end_ns} or self._interrupt_ns > 0
        due |= self._end_due(now_ns)
        if self._interrupt_ns:
            self._serve_interrupt(now_ns)
        timers = [job.kill_ns for job in self._jobs if job.active]
        timers += [time_ns for time_ns in (self._blocked_ns, self._quantum_end_ns) if time_ns > now_ns]
        self._timer_ns = min(timers, default=NEVER)
        return due

    def _serve_interrupt(self, now_ns: int) -> None:
        self._blocked_ns = max(self._blocked_ns, now_ns) + self._interrupt_ns
        self._interrupt_ns = 0
        run = self.running
        if run is None:
            return
        run.remaining_ns = self._finish_ns - now_ns
        run.preemptions += 1
        if self._traced:
            self.events.append((now_ns, _PREEMPT, run.id, run.index, self.core))
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
