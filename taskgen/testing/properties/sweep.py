"""A walk through the scheduler's events that knows, after each instant, which jobs wait for which cores and which run.

Cores that share their jobs make a `Cluster`: a core by itself, or all of them where jobs migrate (a RELEASE without a
core). A job waits when it was released, isn't over, and no earlier job of its task is unfinished.
"""

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, NamedTuple

from taskgen.events import ENDINGS, EventType
from taskgen.trace import Trace

_RUNS = frozenset({EventType.DISPATCH, EventType.RESUME, EventType.MIGRATE})


class Ranked(NamedTuple):
    """A job that is ready, in the order in which ready jobs are chosen."""

    rank: Any
    release_ns: int
    task_id: int
    index: int  # type: ignore[assignment]  # hides tuple.index, as in `taskgen.trace.Job`

    @property
    def job(self) -> tuple[int, int]:
        """Task and number."""
        return (self.task_id, self.index)


#: The rank of a job, by task id and number; the smallest runs.
Rank = Callable[[int, int], Any]


class Cluster:
    """Cores that share their jobs, as they are after an instant."""

    __slots__ = ("_heap", "_waiting", "capacity", "number", "preempted", "running", "started")

    def __init__(self, number: int | None, capacity: int) -> None:
        self.number = number  #: of the core; None: all cores
        self.capacity = capacity  #: how many jobs can run
        self.running: dict[tuple[int, int], Ranked] = {}
        self.started: list[Ranked] = []  #: what began or resumed in this instant
        self.preempted: list[Ranked] = []  #: what was preempted in this instant
        self._heap: list[Ranked] = []
        self._waiting: set[Ranked] = set()

    @property
    def first(self) -> Ranked | None:
        """The most urgent job that waits."""
        heap, waiting = self._heap, self._waiting
        while heap and heap[0] not in waiting:
            heappop(heap)
        return heap[0] if heap else None

    @property
    def idle(self) -> int:
        """How many cores run nothing."""
        return self.capacity - len(self.running)

    def wait(self, job: Ranked) -> None:
        """Let a job wait."""
        if job not in self._waiting:
            self._waiting.add(job)
            heappush(self._heap, job)

    def start(self, job: Ranked) -> None:
        """Let a job run."""
        self._waiting.discard(job)
        self.running[job.job] = job
        self.started.append(job)

    def preempt(self, job: Ranked) -> None:
        """Let a running job wait again."""
        self.running.pop(job.job, None)
        self.preempted.append(job)
        self.wait(job)

    def end(self, job: Ranked) -> None:
        """Forget a job."""
        self.running.pop(job.job, None)
        self._waiting.discard(job)


class _Line:
    """The jobs of one task that are released and not over, oldest first; the first is ready."""

    __slots__ = ("cluster", "jobs", "ready")

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.jobs: deque[tuple[int, int]] = deque()  # index, release
        self.ready: Ranked | None = None


class _Walk:
    def __init__(self, trace: Trace, rank: Rank) -> None:
        self._cores = trace.capabilities.cores
        self._rank = rank
        self._clusters: dict[int | None, Cluster] = {}
        self._lines: dict[int, _Line] = {}

    def release(self, task_id: int, index: int, time_ns: int, core: int | None) -> Cluster:
        line = self._lines.get(task_id)
        if line is None:
            line = self._lines[task_id] = _Line(self._cluster(core))
        line.jobs.append((index, time_ns))
        self._ready(task_id, line)
        return line.cluster

    def _cluster(self, core: int | None) -> Cluster:
        number = 0 if core is None and self._cores == 1 else core
        if number not in self._clusters:
            self._clusters[number] = Cluster(number, self._cores if number is None else 1)
        return self._clusters[number]

    def _ready(self, task_id: int, line: _Line) -> None:
        if line.ready is None and line.jobs:
            index, release_ns = line.jobs[0]
            line.ready = Ranked(self._rank(task_id, index), release_ns, task_id, index)
            line.cluster.wait(line.ready)

    def change(self, kind: EventType, task_id: int, index: int) -> Cluster | None:
        line = self._lines.get(task_id)
        if line is None:
            return None
        ready, cluster = line.ready, line.cluster
        if ready is None or ready.index != index:
            if kind in ENDINGS:  # of a job behind another one
                line.jobs = deque(job for job in line.jobs if job[0] != index)
        elif kind in _RUNS:
            cluster.start(ready)
        elif kind is EventType.PREEMPT:
            cluster.preempt(ready)
        elif kind in ENDINGS:
            cluster.end(ready)
            line.jobs.popleft()
            line.ready = None
            self._ready(task_id, line)
        return cluster


def walk(trace: Trace, rank: Rank) -> Iterator[tuple[int, Cluster]]:
    """Yield each instant with each cluster to which something happened in it, after all that happened then."""
    state = _Walk(trace, rank)
    touched: dict[Cluster, None] = {}
    now_ns = 0
    for time_ns, kind, task_id, index, core in trace.events:
        if time_ns != now_ns:
            yield from _settled(now_ns, touched)
            now_ns = time_ns
        if task_id is None or index is None:
            continue
        if kind is EventType.RELEASE:
            touched[state.release(task_id, index, time_ns, core)] = None
        elif kind in _RUNS or kind is EventType.PREEMPT or kind in ENDINGS:
            cluster = state.change(kind, task_id, index)
            if cluster is not None:
                touched[cluster] = None
    yield from _settled(now_ns, touched)


def _settled(now_ns: int, touched: dict[Cluster, None]) -> Iterator[tuple[int, Cluster]]:
    for cluster in touched:
        yield now_ns, cluster
        cluster.started.clear()
        cluster.preempted.clear()
    touched.clear()
