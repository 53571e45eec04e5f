"""What any stream of events obeys, whatever schedules: the laws of `taskgen.testing.event_laws`, as properties.

Those laws raise an AssertionError at the first break; only then it is worth looking for the job and the instant.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import zip_longest

from taskgen.events import Event, EventType
from taskgen.parameters import parameters_of
from taskgen.taskset import TaskSet
from taskgen.testing import event_laws
from taskgen.testing.event_laws import Observed
from taskgen.testing.properties import scope
from taskgen.testing.properties.law import ZERO, Tolerance, Violation, law, relation
from taskgen.testing.runs import Executed
from taskgen.trace import Job, Trace

EventLaw = Callable[[Observed], None]

#: Laws about each job by itself, and about each task; all others read the events in order and break at one of them.
_OF_JOBS = {
    event_laws.born_before_end,
    event_laws.ends_once,
    event_laws.only_completed_exit,
    event_laws.released_before_dispatch,
    event_laws.born_when_released,
    event_laws.misses_told,
}
_OF_TASKS = {event_laws.all_jobs_done}

#: What ends a job of a board without being one of its jobs, or without being told to be the last.
_UNCOUNTED = frozenset({EventType.NOT_SCHEDULED, EventType.OUT_OF_QUOTA, EventType.OUT_OF_CAPS})


def observed(taskset: TaskSet, trace: Trace, tolerance: Tolerance = ZERO) -> Observed:
    """Return a run as the laws of events look at it."""
    tasks = tuple(trace.tasks.values()) or parameters_of(taskset)
    capabilities = trace.capabilities
    if tolerance.ends_untold:
        capabilities = replace(capabilities, outcomes=False)
    return Observed(
        trace.events, tasks, capabilities, bool(trace.overheads), _is_whole(trace) and capabilities.outcomes
    )


def _is_whole(trace: Trace) -> bool:
    if not isinstance(trace, Executed) or not trace.whole:
        return False
    counted = trace.capabilities.job_numbers == "releases"
    return counted or not any(event.type in _UNCOUNTED for event in trace.events)


def broken(run: Observed, laws: Iterable[EventLaw]) -> Iterator[Violation]:
    """Yield where a run breaks laws of events."""
    for each in laws:
        sentence = _fault(each, run)
        if sentence:
            yield from list(_located(each, run)) or [Violation(None, None, _statement(each), sentence)]


def _fault(each: EventLaw, run: Observed) -> str:
    try:
        each(run)
    except AssertionError as error:
        return str(error)
    return ""


def _statement(each: EventLaw) -> str:
    text = (each.__doc__ or "").partition("\n")[0].rstrip(".")
    return text[:1].lower() + text[1:]


def _located(each: EventLaw, run: Observed) -> Iterator[Violation]:
    for part in _parts(each, run):
        sentence = _fault(each, part)
        if sentence and part.events:
            last = part.events[-1]
            yield Violation(_job(last), last.time_ns, _statement(each), sentence)


def _parts(each: EventLaw, run: Observed) -> Iterable[Observed]:
    """Return the parts of a run that break a law by themselves, each up to where it does, among others that don't."""
    if each in _OF_JOBS:
        return [replace(run, events=events) for events in run.jobs.values()]
    if each in _OF_TASKS:
        return [replace(run, events=list(run.of_task(task.id)), tasks=(task,)) for task in run.tasks]

    def breaks(length: int) -> bool:
        return bool(_fault(each, replace(run, events=run.events[:length])))

    lengths = range(1, len(run.events) + 1)
    number = bisect_left(lengths, True, key=breaks)
    return [replace(run, events=run.events[: number + 1])]


def _job(event: Event) -> tuple[int, int] | None:
    return None if event.task_id is None or event.job is None else (event.task_id, event.job)


_STREAM = (
    event_laws.well_formed,
    event_laws.comes_once,
    event_laws.in_time_order,
    event_laws.born_before_end,
    event_laws.ends_once,
    event_laws.numbers_count_up,
)
_SCHEDULER = (
    event_laws.released_before_dispatch,
    event_laws.born_when_released,
    event_laws.cores_run_one_job,
    event_laws.idle_where_nothing_runs,
)


@law()
def event_stream(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """Each job is born once, ends once, and nothing happens to it afterwards; jobs are numbered 0, 1, 2, ...

    The vocabulary and the life of a job: wire-protocol 3.2, 6.2 to 6.5. Any target, any set.
    """
    return broken(observed(taskset, trace, tolerance), _STREAM)


@law(needs=[scope.TRACES])
def scheduler_stream(taskset: TaskSet, trace: Trace, _tolerance: Tolerance) -> Iterator[Violation]:
    """A core runs one job at a time, a job one core; RELEASE, DISPATCH, PREEMPT, RESUME and IDLE come in their order.

    The meaning of `taskgen.events.EventType`. Any traced target; IDLE is not asked for where scheduling costs time.
    """
    return broken(observed(taskset, trace), _SCHEDULER)


@law(needs=[scope.TRACES, scope.COUNTS_RELEASES])
def misses_told(taskset: TaskSet, trace: Trace, _tolerance: Tolerance) -> Iterator[Violation]:
    """DEADLINE_MISS comes once for each job that isn't completed at its absolute deadline a_k + D, at that instant.

    Liu & Layland, JACM 20(1), 1973 (overflow); a killed job is missed at its kill. Any traced target.
    """
    return broken(observed(taskset, trace), [event_laws.misses_told])


@law(needs=[scope.DETERMINISTIC, scope.EXECUTES_C])
def exit_means_completed(taskset: TaskSet, trace: Trace, _tolerance: Tolerance) -> Iterator[Violation]:
    """A job that ends with EXIT lived at least its execution time.

    wire-protocol 3.2. Exact time; each job executes exactly C.
    """
    return broken(observed(taskset, trace), [event_laws.only_completed_exit])


def _twice(taskset: TaskSet) -> list[TaskSet]:
    return [taskset]


@relation(variants=_twice, needs=[scope.DETERMINISTIC])
def determinism(_taskset: TaskSet, traces: Iterator[Trace], _tolerance: Tolerance) -> Iterator[Violation]:
    """The same set gives the same events, byte for byte.

    `taskgen.Capabilities.deterministic`. Any target that says so, any set.
    """
    first = next(traces)
    for other in traces:
        pairs: Iterable[tuple[Event | Job | None, Event | Job | None]] = zip_longest(first.events, other.events)
        if not first.events:
            pairs = zip_longest(first.jobs, other.jobs)
        difference = next(((a, b) for a, b in pairs if a != b), None)
        if difference is not None:
            expected, seen = difference
            place = next((each for each in difference if isinstance(each, Event)), None)
            yield Violation(
                place and _job(place), place and place.time_ns, f"the same as before, {_show(expected)}", _show(seen)
            )


def _show(what: Event | Job | None) -> str:
    if what is None:
        return "nothing more"
    if isinstance(what, Event):
        return f"{what.type} of job {what.job} of task {what.task_id} at {what.time_ns} ns"
    return str(what)
