"""START and EXIT from thread lists, for boards that tell no events: G1 and G1o answer GET_LIVE only.

A child's initial thread is there from the creation of a job to its destruction (wire-protocol 4.1). Its arrival is the
release, so START is that plus the time of the creation; its soft exit, if a sample shows it before the destruction some
250 ms later, is the end. Nothing else is known, and nothing else is made up. What is lost, against boards with a log:
`LOSSES`.
"""

from collections.abc import Iterable, Sequence

from hil.clock import WRAP_NS
from hil.documents.live import Live, Row, instance_name
from hil.documents.profile import Stamped
from taskgen.dialect.boards import BoardRow
from taskgen.events import EventType
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS

#: What a session on G1 or G1o doesn't know.
LOSSES = (
    "a job that was destroyed between two samples, or has a hundred newer threads, ends without an event: outcome None",
    "a job that may have been killed at its criticaltime ends without an event, too",
    "a job that ended with an error looks like one that completed: EXIT",
    "a job that was born and destroyed between two samples isn't seen, isn't counted, and is no time zero",
    "a creation that other jobs' ends hold up is taken to be as long as any other: its START is told too early",
    "refusals by admission are silent: such a task has no events",
    "OUT_OF_QUOTA and JOBS_DONE aren't told",
)


class Derivation:
    """Compares each thread list with the one before it.

    Args:
        tasks: of the set.
        row: of the board's generation.
        before: the last list from before START: its threads belong to other sets.
    """

    def __init__(self, tasks: Sequence[Parameters], row: BoardRow, before: Live | None = None) -> None:
        self._tasks = tasks
        self._names = {task.id: instance_name(task.id, str(task.attributes.get("pkg", ""))) for task in tasks}
        self._create_ns = row.create_ns
        self._foreign = frozenset(row.foc_id for row in before.threads) if before else frozenset[int]()
        self._alive: dict[int, int] = {}  # task id: the thread of its job
        self._ended: dict[int, int] = {}  # task id: the newest of its threads that ended or is gone
        self.gone: list[int] = []  #: tasks whose job went away since the list before, nobody knows how

    def read(self, live: Live) -> list[Stamped]:
        """Return what has happened since the list before, in the order of time as far as one clock tells."""
        self.gone = []
        found = [event for task in self._tasks for event in self._of(task, live.children(self._names[task.id]))]
        return sorted(found, key=lambda event: event.stamp_ms)

    def _of(self, task: Parameters, threads: Iterable[Row]) -> list[Stamped]:
        jobs = _initial(thread for thread in threads if thread.foc_id not in self._foreign)
        found = []
        for thread in jobs:
            if thread.foc_id <= self._ended.get(task.id, -1) or thread.foc_id < self._alive.get(task.id, -1):
                continue  # told already, or succeeded by another
            if self._alive.get(task.id) != thread.foc_id:
                self._alive[task.id] = thread.foc_id
                found.append(Stamped(EventType.START, task.id, self._start_ms(thread)))
            if thread.exit_ms is not None:
                self._end(task.id, thread.foc_id)
                if _by_itself(thread, thread.exit_ms, task):
                    found.append(Stamped(EventType.EXIT, task.id, max(thread.exit_ms, self._start_ms(thread))))
                else:
                    self.gone.append(task.id)
        if self._alive.get(task.id) not in {None, *(thread.foc_id for thread in jobs)}:
            self._end(task.id, self._alive[task.id])
            self.gone.append(task.id)
        return found

    def _end(self, task_id: int, thread: int) -> None:
        self._ended[task_id] = thread
        self._alive.pop(task_id, None)

    def _start_ms(self, thread: Row) -> int:
        return (thread.arrival_ms * NS_PER_MS + self._create_ns) % WRAP_NS // NS_PER_MS


def _initial(threads: Iterable[Row]) -> list[Row]:
    """Return the initial threads, oldest first: helpers have names of their own, the instance's is its session's."""
    return sorted((each for each in threads if each.session.endswith(each.thread)), key=lambda each: each.foc_id)


def _by_itself(thread: Row, exit_ms: int, task: Parameters) -> bool:
    """Whether a job can't have been killed: it ended before its criticaltime."""
    lived_ns = (exit_ms - thread.arrival_ms) * NS_PER_MS % WRAP_NS
    return not task.critical_ns or lived_ns + NS_PER_MS < task.critical_ns
