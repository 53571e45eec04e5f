"""Several independent cores, preemptive and without overheads: a fast `Processor` for each.

The cores run ahead one after the other through a window of time, and what they report is merged; so their events come
in the order of time, and at one instant in the order of cores.
"""

from __future__ import annotations

from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import simpy

from sim.clock import INSTANTS, JOBS, Clocked
from sim.processor import Processor
from sim.recorder import Recorder
from sim.workload import NEVER
from taskgen.events import EventType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim.job import Row, Rows
    from sim.policy import Policy
    from taskgen.parameters import Parameters

_TIME = itemgetter(0)
_FINISH = itemgetter(5)


class Partitioned(Clocked):
    """Cores that share nothing, as a part of a SimPy environment; takes the options of a `Processor` for all of them.

    `homes` gives the core of each task by id. `rows`, if given, is complete, and in order, when the run is `over`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        tasks: Sequence[Parameters],
        policy: Policy,
        work: Any,
        *,
        horizon_ns: int,
        cores: int,
        homes: Mapping[int, int],
        traced: bool = True,
        rows: Rows | None = None,
        **options: Any,
    ) -> None:
        self.policy = policy
        self.over = False
        self.now_ns = 0
        self.rows = rows
        self.events: list[tuple[int, EventType, int | None, int | None, int | None]] = []
        self._homes = homes
        self._timer_ns = NEVER
        self._window_ns = 1
        self._longest_ns = _longest_window_ns(tasks)
        self._processors: list[Processor] = []
        make: type[Processor] = Processor if rows is None else Recorder
        for core in range(cores):
            mine = [task for task in tasks if homes[task.id] == core]
            if mine:
                self._processors.append(
                    # Nobody steps this environment: the window does.
                    make(
                        simpy.Environment(),
                        mine,
                        policy,
                        work,
                        horizon_ns=horizon_ns,
                        core=core,
                        traced=traced,
                        rows=None if rows is None else {},
                        **options,
                    )
                )
            elif traced and rows is None:
                self.events.append((0, EventType.IDLE, None, None, core))
        self._next_ns = [0] * len(self._processors)
        self._place(env, horizon_ns)

    def advance(self, limit_ns: float) -> int:
        """Process a window of instants before `limit_ns`; return the next one (NEVER if none)."""
        begin_ns = min(self._next_ns)
        window_end_ns = begin_ns + self._window_ns
        if limit_ns < window_end_ns:
            window_end_ns = int(limit_ns)
        calls = 0
        for number, processor in enumerate(self._processors):
            while self._next_ns[number] < window_end_ns and not processor.over:
                self._next_ns[number] = processor.advance(window_end_ns)
                calls += 1
            if processor.over:
                self._next_ns[number] = NEVER
            else:  # the order of the merged events is at stake
                processor.report_misses_before(window_end_ns)
        self._collect()
        # A window should take one call per core, of up to 100 instants; it may take twice as many.
        short = calls <= len(self._processors)
        self._window_ns = min(self._window_ns * 2, self._longest_ns) if short else max(1, self._window_ns // 2)
        return min(self._next_ns)

    def cut(self, time_ns: int) -> None:
        """End the run: completions, misses and kills of this instant count, every other unfinished job is cut off."""
        for processor in self._processors:
            if not processor.over:
                processor.cut(time_ns)
        self._collect()

    def _collect(self) -> None:
        """Merge what the cores report."""
        events = [event for processor in self._processors for event in processor.events]
        for processor in self._processors:
            processor.events.clear()
        events.sort(key=_TIME)  # stable, and the parts are in order
        self.events += events
        told_ns = events[-1][0] if events else 0  # a miss that is told may lie behind the instants of all cores
        self.now_ns = max(told_ns, *(processor.now_ns for processor in self._processors))
        self.over = all(processor.over for processor in self._processors)
        if self.rows is not None:
            self._collect_rows(self.rows)

    def _collect_rows(self, rows: Rows) -> None:
        """Merge the rows of the cores, by their ends in the window; a list, when it is complete, by releases."""
        done: list[Row] = []
        for processor in self._processors:
            if isinstance(processor.rows, dict):
                done += processor.rows.values()
                processor.rows.clear()
        if isinstance(rows, list):
            rows += done
            if self.over:
                rows.sort(key=self._released)
        else:
            done.sort(key=_FINISH)
            rows.update(zip(count(len(rows)), done, strict=False))

    def _released(self, row: Row | None) -> tuple[int, int, int, int]:
        """Return what orders the rows: release, then core, then task, as the events."""
        assert row is not None  # noqa: S101  # each released job has ended
        release_ns = row[5] if row[3] is None else row[3]  # one that was dropped ended at its release
        return (release_ns, self._homes[row[0]], row[0], row[1])


def _longest_window_ns(tasks: Sequence[Parameters]) -> int:
    """Return a length of time in which the tasks release 1000 jobs at most; 100 more than tasks if they are many."""
    frequency = sum(-(-(1 << 64) // task.period_ns) for task in tasks if task.period_ns)
    # A window that begins anywhere holds this many more than its length says.
    more = sum(1 - (-task.jitter_ns // task.period_ns) if task.period_ns else task.jobs or 1 for task in tasks)
    return max(1, (max(JOBS - more, INSTANTS) << 64) // frequency) if frequency else NEVER
