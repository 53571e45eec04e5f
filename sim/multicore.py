"""The model of 1..m cores: partitioned or global, preemptive or not, with overheads.

`sim.processor` is the fast model of one core that never pays for a decision; this one knows all the rules, and agrees
with it event by event where both apply.

Cores that share a ready queue form a cluster: a partitioned system is m clusters of one core, a global one is one
cluster of m. One instant, in this order: completions, miss detection, kills, horizon, releases, then one decision per
cluster. Before a decision that answers a release, completion or kill a core runs the scheduler (`scheduler_ms`);
after it, it switches (`context_switch_ms`) and fetches (`migration_ms`). In these stages a core is locked: what happens
in the meantime is decided when it is free again, together with all else that is due then.

What concerns a core: all that happens to the job on it, and all that happens to a job that waits and may run on it
(its release, also behind an unfinished predecessor; the end of that predecessor; its kill).
What the contract leaves open is decided so: a job that was selected and never began (its switch was overtaken by a more
urgent one) counts no preemption; the core has switched to it all the same. Without preemption a core that has a job
decides nothing, so it runs no scheduler either.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace
from itertools import repeat
from typing import TYPE_CHECKING

from sim.clock import INSTANTS, releases_before_a_look
from sim.core import CONTEXT_SWITCH, INTERRUPT, MIGRATION, SCHEDULER, Cluster, Core, Overheads, OverheadSpan
from sim.lifecycle import Lifecycle, Overrun, Tie
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import simpy

    from sim.execution import Work
    from sim.job import Entry, Job, Rows
    from sim.policy import Policy
    from taskgen.parameters import Parameters

_EXIT = EventType.EXIT
_CUT = EventType.EXIT_EXTERNAL


class Multicore(Lifecycle):
    """Cores under one policy, as a part of a SimPy environment; whoever steps that drains `events` and `spans`.

    `homes` gives the core of each task by id; None: global migration. `spans` collects what overheads took.
    """

    def __init__(
        self,
        env: simpy.Environment,
        tasks: Sequence[Parameters],
        policy: Policy,
        work: Callable[[Parameters], Work],
        *,
        horizon_ns: int,
        cores: int = 1,
        homes: Mapping[int, int] | None = None,
        preemptive: bool = True,
        overheads: Overheads = Overheads(),  # noqa: B008  # immutable
        overrun: Overrun = "continue",
        tie: Tie = "running",
        seed: int = 0,
        traced: bool = True,
        rows: Rows | None = None,
    ) -> None:
        self.cores = tuple(map(Core, range(cores)))
        groups = [self.cores] if homes is None else [(core,) for core in self.cores]
        self._clusters = [Cluster(group, []) for group in groups]
        self._homes = dict.fromkeys((task.id for task in tasks), 0) if homes is None else homes
        fixed = homes is not None or cores == 1
        super().__init__(
            tasks, policy, work, place=lambda task: (self._homes[task] if fixed else None, self._cluster(task).ready),
            overrun=overrun, tie=tie, seed=seed, traced=traced, rows=rows,
        )  # fmt: skip
        self._preemptive = preemptive
        self._overheads = overheads
        self._interrupts: list[tuple[Core, int]] = []
        self._most = releases_before_a_look(len(tasks))
        self._jittery = any(task.jitter_ns for task in tasks)
        self.spans: list[OverheadSpan] = []
        self.now_ns = 0  #: the instant that was processed last
        self._releases = [(self._release_ns(job, 0, 0), job.id, job) for job in self._jobs]
        self._releases.append((NEVER, NEVER, self._jobs[0]))  # a sentinel: there always is a next release
        heapify(self._releases)
        if self._releases[0][0] > 0:
            self._report_idle(self.cores, 0)
        self._place(env, horizon_ns)

    def _cluster(self, task_id: int) -> Cluster:
        return self._clusters[self._homes[task_id]]

    # -- what other SimPy processes may do -----------------------------------------------------------------------

    @property
    def running(self) -> tuple[Job | None, ...]:
        """The job on each core; it doesn't compute while an overhead lasts."""
        return tuple(core.job for core in self.cores)

    @property
    def ready(self) -> tuple[Job, ...]:
        """The jobs that wait for a core, most urgent first; late jobs wait behind those of their tasks."""
        return tuple(entry[3] for entry in sorted(entry for cluster in self._clusters for entry in cluster.ready))

    def interrupt(self, duration_ns: int, core: int = 0) -> None:
        """Take a core away from all jobs for a while, from now on; overheads end first, interrupts queue up."""
        if isinstance(duration_ns, bool) or not isinstance(duration_ns, int) or duration_ns < 0:
            raise ValueError(f"interrupt of {duration_ns!r}: expected whole nanoseconds >= 0")
        self._interrupts.append((self.cores[core], duration_ns))
        self._poke()

    # -- the instants --------------------------------------------------------------------------------------------

    def advance(self, limit_ns: float) -> int:
        """Process instants before `limit_ns`, at most 100, and 1000 releases; return the next one (NEVER if none)."""
        room = self._most
        for _ in repeat(None, INSTANTS):
            now_ns = self._next_ns()
            if now_ns >= limit_ns or self.over or room < 0:
                return now_ns
            self.now_ns = now_ns
            self._end_jobs(now_ns)
            while self._releases[0][0] == now_ns:
                self._release(now_ns)
                room -= 1
            if self._jittery:  # what is released after its deadline is late at once, and may be dead
                self._end_due_now(now_ns)
            if self.over:
                self._leave(now_ns)
                self._report_idle(self.cores, now_ns)
                return NEVER
            for core in self.cores:
                self._settle(core, now_ns)
            for cluster in self._clusters:
                self._decide(cluster, now_ns)
        return self._next_ns()

    def cut(self, time_ns: int) -> None:
        """End the run: completions, misses and kills of this instant count, every other unfinished job is cut off."""
        self._releases = [(NEVER, NEVER, self._jobs[0])]
        self._end_jobs(time_ns)
        if self._watch_ns <= time_ns:
            self._report_misses(time_ns)
        for job in self._jobs:
            while job.active:
                self._end(job, time_ns, _CUT)
        self._leave(time_ns)
        self.now_ns = time_ns
        self.over = True

    def _next_ns(self) -> int:
        next_ns = min(self._releases[0][0], self._timer_ns)
        for core in self.cores:
            next_ns = min(next_ns, core.next_ns)
        return next_ns

    def _leave(self, now_ns: int) -> None:
        """At the end of the run: overheads are cut short."""
        for core in self.cores:
            self._unlock(core, now_ns)

    def _report_idle(self, cores: Sequence[Core], now_ns: int) -> None:
        for core in cores:
            if core.job is None and core.stage is None and not core.idle:
                core.idle = True
                if self._traced:
                    self.events.append((now_ns, EventType.IDLE, None, None, core.number))

    # -- deaths and births ---------------------------------------------------------------------------------------

    def _end_jobs(self, now_ns: int) -> None:
        """Complete, report and kill what is due."""
        if self._watch_ns < now_ns:
            self._report_misses(now_ns - 1)
        for core in self.cores:
            if core.finish_ns == now_ns and core.job is not None:
                self._complete(core, core.job, now_ns)
        self._end_due_now(now_ns)

    def _end_due_now(self, now_ns: int) -> None:
        if self._watch_ns <= now_ns:
            self._report_misses(now_ns, now_ns)
        if self._timer_ns <= now_ns:
            self._end_due(now_ns)
            for core, duration_ns in self._interrupts:
                core.blocked_ns = max(core.blocked_ns, now_ns) + duration_ns
            self._interrupts.clear()
            self._timer_ns = min((job.kill_ns for job in self._jobs if job.active), default=NEVER)

    def _complete(self, core: Core, job: Job, now_ns: int) -> None:
        if self.rows is not None:
            self.rows[job.slot] = (
                job.id, job.index, job.arrival_ns, job.release_ns, job.start_ns, now_ns,
                job.deadline_ns if job.deadline_ns < NEVER else None, _EXIT, core.number, job.preemptions, job.work_ns,
            )  # fmt: skip
        elif self._emits:
            self.events.append((now_ns, _EXIT, job.id, job.index, core.number))
        job.active = False
        core.clear()
        core.concerned = True
        self._succeed(job, now_ns)

    def _withdraw(self, job: Job, now_ns: int) -> None:
        for core in self.cores:
            if core.job is job:
                core.pause(now_ns)
                core.clear()
                core.concerned = True
                return
        super()._withdraw(job, now_ns)
        self._cluster(job.id).concern()

    def _begin(self, job: Job, index: int, arrival_ns: int, release_ns: int, now_ns: int) -> None:
        super()._begin(job, index, arrival_ns, release_ns, now_ns)
        self._cluster(job.id).concern()

    def _release(self, now_ns: int) -> None:
        job = self._releases[0][2]
        index = job.released
        job.released = index + 1
        if job.released == job.limit:
            heappop(self._releases)
        else:
            next_ns = now_ns + job.period_ns if job.period_ns else self._release_ns(job, index + 1, now_ns)
            heapreplace(self._releases, (next_ns, job.id, job))
        arrival_ns = now_ns if job.period_ns else job.task.arrival_ns(index)
        self._cluster(job.id).concern()
        if self._overrun == "skip" and job.active:
            self._drop(job, index, arrival_ns, now_ns)
            return
        if self._traced:
            self.events.append((now_ns, EventType.RELEASE, job.id, index, job.home))
        if self._emits:
            self.events.append((now_ns, EventType.START, job.id, index, job.home))
        job.last = index
        if job.active:
            self._queue_behind(job, index, arrival_ns, now_ns)
            return
        job.slot = self._reserve()
        self._begin(job, index, arrival_ns, now_ns, now_ns)

    # -- what a core does ----------------------------------------------------------------------------------------

    def _settle(self, core: Core, now_ns: int) -> None:
        """Bring a core to this instant: it is locked afterwards, or has something to decide, or just goes on."""
        if core.stage == INTERRUPT:
            core.lock_ns = max(core.lock_ns, core.blocked_ns)
        if core.lock_ns == now_ns:
            self._end_stage(core, now_ns)
        if core.stage is not None:
            return
        if core.blocked_ns > now_ns:
            self._give_away(core, now_ns)
        elif core.concerned:
            core.concerned = False
            if core.job is not None and not self._preemptive:
                return
            core.deciding = not self._overheads.scheduler_ns
            if not core.deciding:
                core.pause(now_ns)
                core.lock(SCHEDULER, now_ns, now_ns + self._overheads.scheduler_ns)
        elif core.quantum_ns <= now_ns:
            core.deciding = True

    def _end_stage(self, core: Core, now_ns: int) -> None:
        ended = core.stage
        self._unlock(core, now_ns)
        if core.proceed(now_ns):
            return
        if ended == SCHEDULER:
            core.concerned, core.deciding = False, True
        elif ended == INTERRUPT:
            core.deciding = True

    def _unlock(self, core: Core, now_ns: int) -> None:
        span = core.unlock(now_ns)
        if span is not None and self._traced:
            self.spans.append(span)

    def _give_away(self, core: Core, now_ns: int) -> None:
        """Serve an interrupt: the job leaves the core, or waits on it where nothing preempts."""
        job = core.job
        if job is not None and self._preemptive:
            cluster = self._cluster(job.id)
            self._dismiss(core, cluster, now_ns)
            for other in cluster.cores:
                other.deciding = True
        elif job is not None:
            self._stop(core, job, now_ns)
        core.lock(INTERRUPT, now_ns, core.blocked_ns)

    def _stop(self, core: Core, job: Job, now_ns: int) -> None:
        """Take the core from its job: a preemption, if the job had begun."""
        core.pause(now_ns)
        if core.begun:
            core.begun = False
            job.preemptions += 1
            if self._traced:
                self.events.append((now_ns, EventType.PREEMPT, job.id, job.index, core.number))

    def _start(self, core: Core, job: Job, now_ns: int) -> None:
        """Let the selected job compute; after a mere pause it just goes on."""
        core.execute(now_ns)
        if core.begun:
            return
        core.loaded = (job.id, job.index)
        kind = EventType.RESUME if core.number == job.core else EventType.MIGRATE
        if job.start_ns is None:
            kind, job.start_ns = EventType.DISPATCH, now_ns
        if self._traced:
            self.events.append((now_ns, kind, job.id, job.index, core.number))
        job.core = core.number
        core.begun, core.idle = True, False
        self._start_quantum(core, now_ns)

    def _start_quantum(self, core: Core, now_ns: int) -> None:
        if self.policy.quantum_ns is not None and self._preemptive:
            core.quantum_ns = now_ns + self.policy.quantum_ns

    # -- decisions -----------------------------------------------------------------------------------------------

    def _decide(self, cluster: Cluster, now_ns: int) -> None:
        """Decide for all cores of a cluster that are not locked, if one of them has to; then let the jobs run."""
        free = [core for core in cluster.cores if core.stage is None]
        if any(core.deciding for core in free):
            if self._general:
                self._rank_anew(cluster, free, now_ns)
            for entry in self._select(cluster, free, now_ns):
                self._assign(free, entry, now_ns)
        for core in free:
            core.deciding = False
            if core.stage is None and core.job is not None and not core.executing:
                self._start(core, core.job, now_ns)
        if any(core.job is None and not core.idle for core in free):
            self._report_idle(free, now_ns)

    def _select(self, cluster: Cluster, free: list[Core], now_ns: int) -> list[Entry]:
        """Return the jobs that are newly selected, most urgent first; those that aren't selected any more go back."""
        ready = cluster.ready
        selected = [heappop(ready) for core in free if core.job is None and ready]
        if not self._preemptive or not ready:
            return selected
        busy = [(core.entry[:3], core.number, core) for core in free if core.entry is not None]
        busy.sort()
        losers = []
        while busy and ready and self._outranks(ready[0], busy[-1][2].entry):
            selected.append(heappop(ready))
            losers.append(busy.pop()[2])
        for core in reversed(losers):  # the most urgent first: so they queue again
            self._dismiss(core, cluster, now_ns)
        return selected

    def _dismiss(self, core: Core, cluster: Cluster, now_ns: int) -> None:
        """Let a job that isn't selected any more wait again."""
        job, entry, begun = core.job, core.entry, core.begun
        if job is None or entry is None:
            return
        self._stop(core, job, now_ns)
        core.clear()
        heappush(cluster.ready, self._entry(job, now_ns) if self._general and begun else entry)

    def _outranks(self, waiting: Entry, running: Entry | None) -> bool:
        if running is None:
            return True
        return waiting < running if self._index_tie else bool(waiting[0] < running[0])

    def _assign(self, free: list[Core], entry: Entry, now_ns: int) -> None:
        """Put a job on the core that it last ran on, if that has none, else on the lowest-numbered one without."""
        job = entry[3]
        empty = [core for core in free if core.job is None]
        core = next((core for core in empty if core.number == job.core), empty[0])
        core.select(entry)
        stages = []
        core.loading = (job.id, job.index)
        if core.loaded != core.loading:
            stages.append((CONTEXT_SWITCH, self._overheads.context_switch_ns))
        if job.start_ns is not None and job.core != core.number:
            stages.append((MIGRATION, self._overheads.migration_ns))
        core.stages = [(kind, duration_ns) for kind, duration_ns in stages if duration_ns]
        core.proceed(now_ns)

    def _rank_anew(self, cluster: Cluster, free: list[Core], now_ns: int) -> None:
        """Before a decision: renew ranks that depend on time; at the end of a quantum the running job queues again."""
        rank = self.policy.rank
        for core in free:
            job, entry = core.job, core.entry
            if job is None or entry is None:
                continue
            if core.executing:
                job.remaining_ns = core.finish_ns - now_ns
            if core.quantum_ns <= now_ns:
                core.entry = entry = self._entry(job, now_ns)
                self._start_quantum(core, now_ns)
            if self.policy.dynamic:
                core.entry = (rank(job, now_ns), *entry[1:])
        if self.policy.dynamic:
            cluster.ready[:] = [(rank(entry[3], now_ns), *entry[1:]) for entry in cluster.ready]
            heapify(cluster.ready)
