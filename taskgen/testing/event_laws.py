"""What holds for the events of any run, on any target, and more where the scheduler is traced.

Each law is a function of `Observed` that raises AssertionError with one sentence: the law, and where it is broken.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from taskgen.events import ENDINGS, Event, EventType
from taskgen.parameters import Parameters
from taskgen.session import Capabilities
from taskgen.trace import Trace

#: The events of a life that a job can't have any more when it has ended.
_ALIVE = frozenset(
    {
        EventType.RELEASE,
        EventType.START,
        EventType.DISPATCH,
        EventType.PREEMPT,
        EventType.RESUME,
        EventType.MIGRATE,
    }
)


#: The events that end a job which was born.
_ENDS = ENDINGS - {EventType.NOT_SCHEDULED}


def require(holds: object, sentence: str) -> None:
    """Raise an AssertionError with this sentence unless something holds, also under `python -O`."""
    if not holds:
        raise AssertionError(sentence)


@dataclass(frozen=True)
class Observed:
    """A run that is over: its events, its tasks, and what the session said about itself."""

    events: Sequence[Event]
    tasks: tuple[Parameters, ...]
    capabilities: Capabilities
    overheads: bool  #: scheduling itself cost time
    whole: bool  #: neither horizon nor stop cut it off

    def of_task(self, task_id: int) -> Iterator[Event]:
        """Yield the events of one task."""
        return (event for event in self.events if event.task_id == task_id)

    @cached_property
    def jobs(self) -> dict[tuple[int, int], list[Event]]:
        """The events of each job, in the order in which they came; JOBS_DONE belongs to no job."""
        jobs: dict[tuple[int, int], list[Event]] = defaultdict(list)
        for event in self.events:
            if event.task_id is not None and event.job is not None and event.type is not EventType.JOBS_DONE:
                jobs[event.task_id, event.job].append(event)
        return jobs


def well_formed(run: Observed) -> None:
    """Events are Events of tasks of the set on cores of the target, with times since its start."""
    known = {task.id for task in run.tasks}
    cores = range(run.capabilities.cores)
    for event in run.events:
        sentence = _malformed(event, known, cores)
        if sentence:  # a message is made only where it is needed: there are many events
            raise AssertionError(f"{sentence}: {event!r:.200}")


def _malformed(event: Event, known: Collection[int], cores: range) -> str:
    """Return which law a single event breaks, or an empty text."""
    if not isinstance(event, Event):
        return "a session yields Events"
    if not isinstance(event.type, EventType):
        return "the type of an event is an EventType"
    if type(event.time_ns) is not int or event.time_ns < 0:
        return "times are whole nanoseconds since the start of the set"
    if event.core is not None and event.core not in cores:
        return f"cores are numbered from 0, and capabilities.cores is {len(cores)}"
    if event.type is EventType.IDLE:
        return "" if event.task_id is None and event.job is None else "IDLE belongs to no task and no job"
    if event.task_id not in known:
        return "an event belongs to a task of the set"
    numbered = event.type in _NUMBERLESS or (type(event.job) is int and event.job >= 0)
    return "" if numbered else "the event of a job carries its number"


_NUMBERLESS = frozenset({EventType.JOBS_DONE, EventType.EXTERNAL})


def comes_once(run: Observed) -> None:
    """Each event comes once."""
    if len(set(run.events)) == len(run.events):
        return
    # Where STARTs count, two releases that were denied within the resolution of stamps look alike: a busy board serves
    # a late tick and the next one at the same time.
    alike = {EventType.NOT_SCHEDULED} if run.capabilities.job_numbers == "starts" else frozenset()
    seen: set[Event] = set()
    for event in run.events:
        if event.type in alike:
            continue
        require(event not in seen, f"each event comes once, this one came again: {event}")
        seen.add(event)


def in_time_order(run: Observed) -> None:
    """The events of a task come in time order."""
    last_ns: dict[int | None, int] = {}
    for event in run.events:
        if event.task_id is None:
            continue
        if event.time_ns < last_ns.get(event.task_id, 0):
            raise AssertionError(f"the events of a task come in time order, this one is late: {event}")
        last_ns[event.task_id] = event.time_ns


def born_before_end(run: Observed) -> None:
    """A job begins with one START, before its end; a refused one has none."""
    for job, events in run.jobs.items():
        types = [event.type for event in events]
        refused = EventType.NOT_SCHEDULED in types and run.capabilities.job_numbers == "releases"
        if refused:
            require(EventType.START not in types, f"a job that was NOT_SCHEDULED has no START: task, job {job}")
            continue
        starts = types.count(EventType.START)
        if starts != 1:
            require(_unborn(run, types), f"a job has one START, got {starts}: task, job {job}")
            continue
        first = next((position for position, kind in enumerate(types) if kind in _ENDS), len(types))
        if first < types.index(EventType.START):
            raise AssertionError(f"START comes before the job's end: task, job {job}")


def _unborn(run: Observed, types: list[EventType]) -> bool:
    """Whether there is no such job: where STARTs count, the number was meant for one that was never born."""
    before = {EventType.NOT_SCHEDULED}
    if run.capabilities.job_numbers == "starts":
        before.add(EventType.RELEASE)  # the run ended before its START
    return before.issuperset(types)


def ends_once(run: Observed) -> None:
    """When the run is over every job has ended, once, and nothing happens to it afterwards."""
    for job, events in run.jobs.items():
        ends = [position for position, event in enumerate(events) if event.type in _ENDS]
        if len(ends) != 1:
            if _unborn(run, [event.type for event in events]) or not (ends or run.capabilities.outcomes):
                continue  # there is no such job, or how it ended is unknown
            require(ends, f"every job has ended when the run is over, cut off ones with EXIT_EXTERNAL: task, job {job}")
            raise AssertionError(f"a job ends once, got {len(ends)} ends: task, job {job}")
        for event in events[ends[0] + 1 :]:
            require(event.type not in _ALIVE, f"nothing happens to a job after its end: {event}")


def numbers_count_up(run: Observed) -> None:
    """The jobs of a task are numbered 0, 1, 2, ... in the order of their birth."""
    counted = {EventType.START}
    if run.capabilities.job_numbers == "releases":
        counted.add(EventType.NOT_SCHEDULED)
    for task in run.tasks:
        numbers = [event.job for event in run.of_task(task.id) if event.type in counted]
        require(
            numbers == list(range(len(numbers))),
            f"job numbers count up from 0: those of task {task.id} are {numbers!s:.60}",
        )


def all_jobs_done(run: Observed) -> None:
    """A task that has had its `numberofjobs` says JOBS_DONE once, after the end of its last job."""
    for task in run.tasks:
        events = list(run.of_task(task.id))
        done = [position for position, event in enumerate(events) if event.type is EventType.JOBS_DONE]
        require(len(done) <= 1, f"JOBS_DONE comes once, got {len(done)} of task {task.id}")
        if done:
            late = [event for event in events[done[0] + 1 :] if event.type in ENDINGS | _ALIVE]
            require(not late, f"JOBS_DONE comes after the end of the last job, then came {late[:1]}")
            require(task.jobs is not None, f"an endless task is never done, got JOBS_DONE of task {task.id}")
        if run.whole and run.capabilities.job_limits and task.jobs is not None:
            jobs = sum(1 for event in events if event.type in ENDINGS)
            require(jobs == task.jobs, f"a task has its numberofjobs, {task.jobs}; task {task.id} had {jobs}")
            require(done, f"JOBS_DONE comes after the end of the last job, got none of task {task.id}")


def only_completed_exit(run: Observed) -> None:
    """A job that was cut off doesn't EXIT."""
    demand = {task.id: task.wcet_ns or 0 for task in run.tasks}
    for (task_id, job), events in run.jobs.items():
        time_of = {event.type: event.time_ns for event in events}
        if run.capabilities.deterministic and EventType.EXIT in time_of and EventType.START in time_of:
            lived_ns = time_of[EventType.EXIT] - time_of[EventType.START]
            require(
                lived_ns >= demand[task_id],
                f"a job that is cut off ends with EXIT_EXTERNAL: job {job} of task {task_id} lived {lived_ns} ns,"
                f" less than its execution time, and ended with EXIT",
            )


def released_before_dispatch(run: Observed) -> None:
    """A job is RELEASEd once, before its one DISPATCH."""
    for job, events in run.jobs.items():
        types = [event.type for event in events]
        dispatches = types.count(EventType.DISPATCH)
        if types.count(EventType.RELEASE) > 1:
            raise AssertionError(f"a job is RELEASEd once: task, job {job}")
        if dispatches > 1:
            raise AssertionError(f"a job has one DISPATCH, then RESUMEs: task, job {job}")
        if dispatches and EventType.RELEASE not in types[: types.index(EventType.DISPATCH)]:
            raise AssertionError(f"RELEASE comes before DISPATCH: task, job {job}")


def born_when_released(run: Observed) -> None:
    """START comes at the instant of RELEASE where jobs are counted by releases, elsewhere not before it."""
    for job, events in run.jobs.items():
        time_of = {event.type: event.time_ns for event in events}
        if EventType.START not in time_of:
            continue
        start_ns, release_ns = time_of[EventType.START], time_of.get(EventType.RELEASE)
        if run.capabilities.job_numbers == "releases":
            if start_ns != release_ns:
                at = f"at {start_ns} and {release_ns} ns"
                raise AssertionError(f"START comes with RELEASE, at the same instant: task, job {job} {at}")
        elif release_ns is not None:
            require(release_ns <= start_ns, f"RELEASE comes before START: task, job {job}")


def released_at_arrival(run: Observed) -> None:
    """Where time is exact, and without jitter, a job is released at its arrival: offset + job x period."""
    if not run.capabilities.deterministic:
        return
    for task in run.tasks:
        released = [event for event in run.of_task(task.id) if event.type is EventType.RELEASE and not task.jitter_ns]
        if run.capabilities.job_numbers == "starts":
            released = released[:1]  # of the later ones, the number of the release is unknown
        for event in released:
            if not task.arrives(event.job or 0):
                raise AssertionError(f"a job is RELEASEd that the task doesn't have: {event}")
            arrival_ns = task.arrival_ns(event.job or 0)
            if event.time_ns != arrival_ns:
                raise AssertionError(f"a job is RELEASEd at its arrival, {arrival_ns} ns: {event}")


def misses_told(run: Observed) -> None:
    """DEADLINE_MISS comes once for a job that isn't completed at its absolute deadline: then, or when it is killed."""
    if run.capabilities.job_numbers == "starts":
        return  # which arrival a job belongs to, and so its deadline, is unknown
    told: dict[tuple[int | None, int | None], list[int]] = defaultdict(list)
    for event in run.events:
        if event.type is EventType.DEADLINE_MISS:
            told[event.task_id, event.job].append(event.time_ns)
    trace = Trace(run.tasks, capabilities=run.capabilities)
    trace.extend(run.events)
    for job in trace.jobs:
        instants = [time_ns for time_ns in (job.deadline_ns, job.finish_ns) if time_ns is not None]
        # A job that jitter releases after its deadline is missed when it is there.
        expected = [max(min(instants), job.release_ns or 0)] if job.missed else []
        got = told.get((job.task_id, job.index), [])
        if got != expected:
            raise AssertionError(
                f"DEADLINE_MISS comes iff a job isn't completed at its absolute deadline: job {job.index} of task"
                f" {job.task_id} ended with {job.outcome} at {job.finish_ns} ns, its deadline was {job.deadline_ns} ns,"
                f" it was missed at {got}"
            )


def idle_where_nothing_runs(run: Observed) -> None:
    """A core that a job leaves, with no other to run, says IDLE before anything else is released.

    Not where scheduling itself costs time: a core that decides isn't idle.
    """
    if run.overheads:
        return
    waiting: set[tuple[int | None, int | None]] = set()
    core_of: dict[tuple[int | None, int | None], int | None] = {}
    left_ns: dict[int | None, int] = {}  # when a job left the core, which has said nothing since
    for event in run.events:
        job = (event.task_id, event.job)
        if event.type is EventType.RELEASE:
            silent = [core for core, time_ns in left_ns.items() if time_ns < event.time_ns and not waiting]
            if silent:
                raise AssertionError(f"IDLE comes when nothing runs on a core, got none of {silent[:1]} before {event}")
            waiting.add(job)
        elif event.type in _RUNS:
            waiting.discard(job)
            core_of[job] = event.core
            left_ns.pop(event.core, None)
        elif event.type is EventType.IDLE:
            left_ns.pop(event.core, None)
        elif event.type is EventType.PREEMPT or event.type in ENDINGS:
            waiting.discard(job)
            if job in core_of:
                left_ns[core_of.pop(job)] = event.time_ns
            if event.type is EventType.PREEMPT:
                waiting.add(job)


_RUNS = frozenset({EventType.DISPATCH, EventType.RESUME, EventType.MIGRATE})

#: What each scheduler event asks of a job that runs (True) or doesn't.
_ASKS = {
    EventType.DISPATCH: (False, "only a job that isn't running is dispatched"),
    EventType.RESUME: (False, "only a job that isn't running resumes"),
    EventType.MIGRATE: (False, "only a job that isn't running resumes"),
    EventType.PREEMPT: (True, "only a running job is preempted"),
    EventType.EXIT: (True, "only a running job completes"),
}


def cores_run_one_job(run: Observed) -> None:
    """A core runs at most one job, a job runs on at most one core, and IDLE means that nothing runs."""
    running: dict[int | None, tuple[int | None, int | None]] = {}
    place: dict[tuple[int | None, int | None], int | None] = {}  # the inverse: where a job runs
    dispatched: set[tuple[int | None, int | None]] = set()
    for event in run.events:
        job = (event.task_id, event.job)
        kind = event.type
        if kind is EventType.IDLE:
            if event.core in running:
                raise AssertionError(f"IDLE means that nothing runs on the core: {event}")
            continue
        if kind in _ASKS:
            runs, sentence = _ASKS[kind]
            if (job in place) is not runs:
                raise AssertionError(f"{sentence}: {event}")
        if kind in _RUNS:
            if kind is not EventType.DISPATCH and job not in dispatched:
                raise AssertionError(f"only a job that was dispatched resumes: {event}")
            if event.core in running:
                raise AssertionError(f"a core runs one job at a time: {event}")
            running[event.core], place[job] = job, event.core
            dispatched.add(job)
        elif job in place and (kind is EventType.PREEMPT or kind in ENDINGS):
            del running[place.pop(job)]


LAWS: tuple[Callable[[Observed], None], ...] = (
    well_formed,
    comes_once,
    in_time_order,
    born_before_end,
    ends_once,
    numbers_count_up,
    all_jobs_done,
    only_completed_exit,
)
TRACED_LAWS: tuple[Callable[[Observed], None], ...] = (
    released_before_dispatch,
    born_when_released,
    released_at_arrival,
    cores_run_one_job,
    idle_where_nothing_runs,
    misses_told,
)


def check_events(run: Observed) -> None:
    """Raise an AssertionError that names the law which the events of a run break, if they break one."""
    for law in LAWS:
        law(run)
    if run.capabilities.trace:
        for law in TRACED_LAWS:
            law(run)
