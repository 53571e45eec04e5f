"""The model of one core where only job records are asked for: `sim.processor`, with a fast way through plain stretches.

In a plain stretch of time nothing can happen but periodic releases and completions, under ranks that don't change
while a job waits. All its releases are known in advance: sorted once, they need no queue, and one that doesn't preempt
costs no decision. What is not plain, and what is too short to sort, is left to the processor.
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from itertools import count, repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sim.clock import JOBS
from sim.policy import DEADLINE_BAND
from sim.processor import Processor
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from sim.job import Job

    #: Time, job, index.
    Release = tuple[int, Job, int]

_EXIT = EventType.EXIT

_TIME: Any = itemgetter(0)
_ID: Any = itemgetter(1)


class Recorder(Processor):
    """A `Processor` with `rows`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        #: How long a plain stretch may be, and from which length on it pays; 0: the rules allow none.
        self._stretch_ns = self._worth_ns = 0
        mortal = self._overrun != "continue" or any(job.task.critical_ns is not None for job in self._jobs)
        moody = self.policy.dynamic or self.policy.quantum_ns is not None
        frequency = sum((1 << 64) // job.period_ns for job in self._jobs if job.period_ns)
        if frequency and not (mortal or moody or self._index_tie):
            self._stretch_ns = (max(0, JOBS - len(self._jobs)) << 64) // frequency
            self._worth_ns = (len(self._jobs) << 64) // frequency

    def advance(self, limit_ns: float) -> int:
        """Process some instants before `limit_ns`, with up to 1000 releases; return the next one (NEVER if none)."""
        if self._stretch_ns and self._timer_ns == NEVER:
            begin_ns = min(self._finish_ns, self._releases[0][0])
            end_ns = min(begin_ns + self._stretch_ns, limit_ns)
            if end_ns - begin_ns >= self._worth_ns:
                releases = self._take_releases(int(end_ns))
                if releases:
                    self._run_plainly(releases)
                    return min(self._finish_ns, self._releases[0][0])
        return super().advance(limit_ns)

    def _take_releases(self, end_ns: int) -> list[Release]:
        """Take all releases before `end_ns`, in order, and a sentinel at it; nothing if the stretch isn't plain."""
        due = [
            (job, range(first_ns, end_ns, job.period_ns or NEVER))
            for first_ns, _, job in sorted(self._releases, key=_ID)
            if first_ns < end_ns
        ]
        if any(not job.period_ns or 0 <= job.limit <= job.released + len(times) for job, times in due):
            return []
        releases: list[Release] = []
        for job, times in due:
            releases += zip(times, repeat(job), count(job.released))
            job.released += len(times)
        releases.sort(key=_TIME)  # stable: at one instant by id
        releases.append((end_ns, self._jobs[0], -1))
        after = [(times[-1] + job.period_ns, job.id, job) for job, times in due]
        # A sorted list is a heap.
        self._releases[:] = sorted(after + [entry for entry in self._releases if entry[0] >= end_ns])
        return releases

    def _run_plainly(self, releases: list[Release]) -> None:  # noqa: C901  # the hot loop: one frame, local names
        """Process the instants up to the sentinel; the decision of an instant is taken when time passes it."""
        ready, rows, core, general = self._ready, self.rows, self.core, self._general
        run, entry, finish_ns = self.running, self._running_entry, self._finish_ns
        if rows is None:
            raise TypeError("a recorder needs rows")
        now = self.now_ns
        for slot, (release_ns, job, index) in enumerate(releases, self._reserve(len(releases) - 1)):
            if release_ns != now:
                if ready and (run is None or entry is None or ready[0][0] < entry[0]):
                    if run is None or entry is None:
                        entry = heappop(ready)
                    else:
                        run.remaining_ns = finish_ns - now
                        run.preemptions += 1
                        entry = heapreplace(ready, self._entry(run, now) if general else entry)
                    run = entry[3]
                    if run.start_ns is None:
                        run.start_ns = now
                    finish_ns = now + run.remaining_ns
                while finish_ns <= release_ns and run is not None:
                    if index < 0 and finish_ns == release_ns:  # the instant of the sentinel is none of the stretch
                        break
                    now = finish_ns
                    deadline_ns = run.deadline_ns
                    rows[run.slot] = (
                        run.id, run.index, run.arrival_ns, run.release_ns, run.start_ns, now,
                        deadline_ns if deadline_ns < NEVER else None, _EXIT, core, run.preemptions, run.work_ns,
                    )  # fmt: skip
                    run.active = False
                    if run.late or run.released == run.limit:
                        self._succeed(run, now)
                    if ready and now < release_ns:
                        entry = heappop(ready)
                        run = entry[3]
                        if run.start_ns is None:
                            run.start_ns = now
                        finish_ns = now + run.remaining_ns
                    else:
                        run, finish_ns = None, NEVER
                if index < 0:
                    break
                now = release_ns
            job.last = index
            if job.active:
                job.late.append((index, now, now, slot))
                continue
            # As Lifecycle._begin, for the common case that nothing is in the way.
            job.active = True
            job.index = index
            job.slot = slot
            job.arrival_ns = job.release_ns = now
            job.deadline_ns = deadline_ns = now + job.relative_ns
            job.remaining_ns = job.work_ns
            job.start_ns = None
            job.preemptions = 0
            if job.special:
                self._endow(job)
            if job.entry is not None:
                heappush(ready, job.entry)
            elif general or job.fixed is not None:
                heappush(ready, self._entry(job, now))
            else:
                heappush(ready, (DEADLINE_BAND + deadline_ns, now, job.id, job))
        self.running, self._running_entry, self._finish_ns, self.now_ns = run, entry, finish_ns, now
