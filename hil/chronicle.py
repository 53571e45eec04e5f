"""From what a board logs to the events of a run: stamps become set time, STARTs get numbers, rubbish is dropped.

Boards tell neither which job an event belongs to nor when the set began, they deliver what is left of earlier sets
(hazard 19 of wire-protocol 8), and leave out what one would wait for (hazard 23): a START may have no end, an end no
START, a last job no JOBS_DONE. A `Chronicle` is the one place that knows; it has no socket and no clock of its own.

What is older than our START is known by the board's clock, where an earlier document of the same connection told it,
and by what no run can have; see `Chronicle.feed`.

Time zero is the first START stamp minus the time from release to START and that task's offset; until it is known events
wait. If nothing starts, as where an optimiser denies each job, it is the stamp of the first refusal, minus the task's
offset if that was a denied job (admission refuses at START): from there the horizon counts then. At the horizon nothing
is born any more, and what lives ends there with EXIT_EXTERNAL, whenever the board noticed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hil.clock import WRAP_NS, unwrap
from hil.deadlines import can_be_denied
from hil.documents.profile import Stamped
from taskgen.dialect.boards import BoardRow
from taskgen.events import ENDINGS, Event, EventType
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS

#: A stamp that lies this far back is late, not one of the clock's next turn; a board that reboots is lost anyway.
_BACK_NS = 20 * 60_000 * NS_PER_MS
#: A stamp that is older than this tells nothing of later ones: they may be of the clock's next turn.
_OLD_NS = WRAP_NS - _BACK_NS

_REFUSED = EventType.NOT_SCHEDULED
_ENDS = ENDINGS - {_REFUSED}


@dataclass(slots=True)
class Life:
    """What is known of one task of the set."""

    task: Parameters
    jobs: int | None  #: how many STARTs it can have; None: any number
    can_be_denied: bool  #: by the optimiser, job by job; else NOT_SCHEDULED is the end of it
    starts: int = 0
    alive: bool = False  #: its last job has started and not ended
    endless: bool = False  #: the job before that one never ended
    done: bool = False  #: JOBS_DONE came, or admission refused it, or the horizon was before its next job
    latest_ns: int | None = None  #: of its last event, on the board's clock
    seen: dict[EventType, int] = field(default_factory=dict)  #: when an event of a type came last

    @property
    def exhausted(self) -> bool:
        """Whether it will have no further event, but for a JOBS_DONE."""
        return self.done or (self.jobs is not None and self.starts >= self.jobs and not self.alive)


class Chronicle:
    """Turns the log of one run into its events.

    Args:
        tasks: of the set.
        row: of the board's generation.
        horizon_ns: when the run ends, in set time.
        newest: the newest stamp in ms that the connection brought before START, and when it arrived, if there is one.
    """

    def __init__(
        self, tasks: Sequence[Parameters], row: BoardRow, horizon_ns: int, newest: tuple[int, int] | None = None
    ) -> None:
        self.horizon_reached = False  #: a stamp lies at the horizon or behind it
        self.cut = False  #: to be set when the horizon has passed: what is stopped from then on ends there
        self.stopped = False  #: to be set before STOP or CLEAR: what is killed by these before isn't of this run
        self.heard: tuple[int, int] | None = None  #: the last stamp in ms, and when it arrived
        self._row = row
        self._horizon_ns = horizon_ns
        self._lives = {task.id: _life(task, row) for task in tasks}
        self._latest_ns: int | None = None  # the latest instant on the board's clock
        self._newest = newest
        self._floor_ns: int | None = None  # what was logged up to then is older than our START
        self._first_ns: int | None = None  # when the first job was released
        # Releases that wait for START to return are off the grid of their period.
        self._on_grid = row.offsets != "blocking" or not any(task.offset_ns for task in tasks)
        self._zero_ns: int | None = None
        self._held: list[tuple[int, EventType, int, int]] = []
        self._now_ns = 0

    # -- what is over ----------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether no task will have another job; a JOBS_DONE may be missing, see `certain`."""
        return all(life.exhausted for life in self._lives.values())

    @property
    def certain(self) -> bool:
        """Whether nothing will follow: where boards say JOBS_DONE, each task has."""
        return all(life.done for life in self._lives.values()) if self._row.jobs_done else self.over

    @property
    def alive(self) -> tuple[int, ...]:
        """The ids of tasks whose last job hasn't ended."""
        return tuple(each.task.id for each in self._lives.values() if each.alive)

    @property
    def born(self) -> bool:
        """Whether the board has said anything of this set: a START, or a refusal."""
        return any(life.latest_ns is not None or life.done for life in self._lives.values())

    @property
    def rest_ns(self) -> int | None:
        """How long the run goes on behind the latest stamp; None: time zero isn't known."""
        if self._zero_ns is None or self._latest_ns is None:
            return None
        return self._zero_ns + self._horizon_ns - self._latest_ns

    @property
    def unborn(self) -> tuple[int, ...]:
        """The ids of tasks that have had no event at all."""
        return tuple(each.task.id for each in self._lives.values() if each.latest_ns is None and not each.done)

    def refuse_silently(self) -> None:
        """Take tasks that have had no event for refused: there are boards that don't say so (wire-protocol 5.1)."""
        for task_id in self.unborn:
            self._lives[task_id].done = True

    def lose(self, task_id: int) -> None:
        """Note that a task's job is gone, and nobody knows how it ended."""
        self._lives[task_id].alive = False

    # -- events ----------------------------------------------------------------------------------------------------

    def feed(self, log: Iterable[Stamped], arrived_ns: int) -> Iterator[Event]:
        """Yield the events that a document of the log adds, in the order in which the board logged them.

        Left out is what is older than our START (wire-protocol 8, hazard 19): stamps up to the newest one of before, in
        front of the first START what no run can have (`_begin`), and behind it what is older than that START.

        Args:
            log: what the document says.
            arrived_ns: when it arrived, on our clock.
        """
        log = [entry for entry in log if entry.task_id in self._lives]
        if log and self._latest_ns is None and self._newest and arrived_ns - self._newest[1] < _OLD_NS:
            self._latest_ns = self._floor_ns = self._newest[0] * NS_PER_MS
        entries = self._fresh([(entry, self._instant_ns(entry)) for entry in log])
        if entries:
            self.heard = (entries[-1][0].stamp_ms, arrived_ns)
        for entry, instant_ns in entries:
            life = self._lives[entry.task_id]
            kind = entry.type or self._meaning(life)
            job = None if kind is None else self._take(life, kind, instant_ns)
            if kind is not None and job is not None:
                yield from self._tell(instant_ns, kind, life, job)

    def _instant_ns(self, entry: Stamped) -> int:
        """Return when it was logged, in ns since the boot, up to turns of the clock before the first entry."""
        if self._latest_ns is None:
            self._latest_ns = entry.stamp_ms * NS_PER_MS
        instant_ns = unwrap(entry.stamp_ms, self._latest_ns - _BACK_NS)
        self._latest_ns = max(self._latest_ns, instant_ns)
        return instant_ns

    def _fresh(self, entries: list[tuple[Stamped, int]]) -> list[tuple[Stamped, int]]:
        """Return the part of a document that isn't known to be older than our START."""
        if self._zero_ns is None and (self._row.pushes or self._row.instances):
            begin = self._begin(entries)
            if begin:
                self._floor_ns = max(self._floor_ns or 0, entries[begin - 1][1])
            entries = entries[begin:]
        return [
            (entry, instant_ns)
            for entry, instant_ns in entries
            if instant_ns > (-1 if self._floor_ns is None else self._floor_ns)
            and (instant_ns >= (self._first_ns or 0) or entry.type in {None, _REFUSED})
        ]

    def _begin(self, entries: list[tuple[Stamped, int]]) -> int:
        """Return where our run may begin at the earliest, in a document that may have its first START.

        That is behind jobs that were stopped before we stopped any, behind JOBS_DONEs of tasks that start again, behind
        as many jobs as a task has too many, and behind a job that is too far before its successor, or no multiple of
        the period. Several jobs of a task are no reason: a board may push many at once.
        """
        begin = 0
        behind: dict[int, int] = {}  # task id: the position behind its last ending
        done: dict[int, int] = {}  # the same of its JOBS_DONE
        latest: dict[int, int] = {}  # when its entry before was logged
        starts: dict[int, list[tuple[int, int]]] = {}  # its STARTs: when, and what is `behind` then
        for position, (entry, instant_ns) in enumerate(entries):
            task_id = entry.task_id
            if entry.type is EventType.START:
                seen = starts.setdefault(task_id, [])
                begin = max(begin, done.get(task_id, 0))
                task = self._lives[task_id].task
                if seen and self._is_foreign(task, instant_ns - seen[-1][0], instant_ns - latest[task_id]):
                    begin = max(begin, behind.get(task_id, 0))
                if not seen or seen[-1][0] != instant_ns:
                    seen.append((instant_ns, behind.get(task_id, 0)))
            elif entry.type is EventType.JOBS_DONE:
                done[task_id] = position + 1
            elif entry.type in _ENDS:
                behind[task_id] = position + 1
                if entry.type is EventType.EXIT_EXTERNAL and not self.stopped:
                    begin = position + 1
            latest[task_id] = instant_ns
        for task_id, seen in starts.items():
            limit = self._lives[task_id].jobs
            if limit is not None and len(seen) > limit:
                begin = max(begin, seen[-limit][1])
        return begin

    def _is_foreign(self, task: Parameters, distance_ns: int, silence_ns: int) -> bool:
        """Whether two STARTs of a task can't be of one run, give or take a quarter of its period.

        Args:
            task: which.
            distance_ns: between the two.
            silence_ns: before the second; no board passes over more than the release that finds the job before.
        """
        if not self._on_grid or not task.period_ns:
            return False
        if silence_ns > 2 * task.period_ns + task.period_ns // 4:
            return True
        rest_ns = distance_ns % task.period_ns
        return min(rest_ns, task.period_ns - rest_ns) > task.period_ns // 4

    def _meaning(self, life: Life) -> EventType | None:
        """Return what `UNKNOWN` means: builds of G3 print it for types that were new then (wire-protocol 3.2)."""
        if life.alive:
            return EventType.EXIT_PERIOD
        if not life.starts:
            return _REFUSED
        return EventType.JOBS_DONE if life.exhausted else None

    def _take(self, life: Life, kind: EventType, instant_ns: int) -> int | None:
        """Follow a task's life; return the job that an event belongs to, None if it is stale, a duplicate or no event.

        A task's events are logged in their order, so whatever lies before its latest one has come already.
        """
        if life.done or instant_ns == life.seen.get(kind) or instant_ns < (life.latest_ns or 0):
            return None
        if kind is EventType.START:
            if life.jobs is not None and life.starts >= life.jobs:
                life.alive = False  # a board without a limit: the job before is over, whatever became of it
                return None
            life.starts += 1
            life.alive, life.endless = True, life.alive
        elif kind is _REFUSED:
            life.done = not (life.can_be_denied or life.starts)
        elif kind is EventType.JOBS_DONE:
            if not life.starts or life.alive:
                return None
            life.done = True
        elif kind in _ENDS and life.alive:
            life.alive = False
        else:
            return None
        life.latest_ns = life.seen[kind] = instant_ns
        return life.starts if kind is _REFUSED else life.starts - 1

    def _tell(self, instant_ns: int, kind: EventType, life: Life, job: int) -> Iterator[Event]:
        self._held.append((instant_ns, kind, life.task.id, job))
        if self._zero_ns is None:
            if kind is EventType.START:
                self._first_ns = instant_ns - self._row.create_ns
                self._zero_ns = self._first_ns - life.task.offset_ns
            elif instant_ns - self._stand_in_ns >= self._horizon_ns:
                self._zero_ns = self._stand_in_ns
            else:
                return
        yield from self._release()

    @property
    def _stand_in_ns(self) -> int:
        """Time zero of a set that hasn't started: its first stamp, minus the offset if that is a denied release."""
        instant_ns, _, task_id, _ = self._held[0]
        life = self._lives[task_id]
        return instant_ns - (life.task.offset_ns if life.can_be_denied else 0)

    def _release(self) -> Iterator[Event]:
        if self._held and self._zero_ns is None:
            self._zero_ns = self._stand_in_ns
        held, self._held = self._held, []
        for instant_ns, kind, task_id, job in held:
            time_ns = max(0, instant_ns - (self._zero_ns or 0))
            yield from self._until_horizon(time_ns, kind, task_id, job)

    def _until_horizon(self, time_ns: int, kind: EventType, task_id: int, job: int) -> Iterator[Event]:
        life = self._lives[task_id]
        if kind in {EventType.START, _REFUSED} and time_ns >= self._horizon_ns:
            self.horizon_reached = True
            if kind is EventType.START:  # it never was
                life.starts -= 1
                life.alive = life.endless
                life.done = True
            return
        if time_ns > self._horizon_ns or (self.cut and kind is EventType.EXIT_EXTERNAL):
            self.horizon_reached = True
            kind = EventType.EXIT_EXTERNAL if kind in _ENDS else kind
            time_ns = self._last_ns
        self._now_ns = max(self._now_ns, time_ns)
        yield Event(time_ns, kind, task_id, job, None)

    @property
    def _last_ns(self) -> int:
        """The instant of a board's clock at which the horizon cuts jobs off."""
        return max(self._now_ns, self._horizon_ns // NS_PER_MS * NS_PER_MS)

    def finish(self) -> Iterator[Event]:
        """Yield what the board hasn't said when the run is over: EXIT_EXTERNAL of jobs that it has cut off."""
        yield from self._release()
        time_ns = self._last_ns if self.cut or self.horizon_reached else self._now_ns
        for life in self._lives.values():
            if not life.alive:
                continue
            life.alive = False
            yield Event(time_ns, EventType.EXIT_EXTERNAL, life.task.id, life.starts - 1, None)
            if self._row.jobs_done and life.exhausted and life.task.jobs == life.starts:
                life.done = True
                yield Event(time_ns, EventType.JOBS_DONE, life.task.id, life.starts - 1, None)


def newest(before: tuple[int, int] | None, log: Iterable[Stamped], arrived_ns: int) -> tuple[int, int] | None:
    """Return the newest stamp in ms of all that a connection brought, and when it arrived.

    Args:
        before: the one so far.
        log: what a document says, of any task.
        arrived_ns: when it arrived, on our clock.
    """
    if before is not None and arrived_ns - before[1] >= _OLD_NS:
        before = None
    for entry in log:
        if before is None or unwrap(entry.stamp_ms, before[0] * NS_PER_MS - _BACK_NS) >= before[0] * NS_PER_MS:
            before = (entry.stamp_ms, arrived_ns)
    return before


def _life(task: Parameters, row: BoardRow) -> Life:
    limits = [limit for limit in (task.jobs, row.instances) if limit is not None]
    return Life(task, min(limits, default=None), can_be_denied(task, row))
