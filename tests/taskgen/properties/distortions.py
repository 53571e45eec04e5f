"""What a session may tell wrongly: functions from a plan and its events to other events."""

from collections.abc import Callable, Iterator

from taskgen.events import Event, EventType
from taskgen.session import Plan
from taskgen.units import NS_PER_MS

Distortion = Callable[[Plan, Iterator[Event]], Iterator[Event]]

START, EXIT, CUT = EventType.START, EventType.EXIT, EventType.EXIT_EXTERNAL


def job_lost(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """Nobody hears of job 1."""
    return (event for event in events if event.job != 1)


def last_job_lost(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """Nobody hears of the last job of the first task."""
    told = list(events)
    first = plan.tasks[0].id
    last = max((event.job or 0 for event in told if event.task_id == first), default=0)
    return (event for event in told if (event.task_id, event.job) != (first, last))


def never_done(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    return (event for event in events if event.type is not EventType.JOBS_DONE)


def double_exit(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        yield event
        if event.type is EXIT:
            yield event._replace(core=None)


def wrong_index(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """Jobs are counted from 1."""
    return (event if event.job is None else event._replace(job=event.job + 1) for event in events)


def alive_after_the_end(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """A job that ended is born once more."""
    for event in events:
        yield event
        if event.type is EXIT:
            yield event._replace(type=START)


def cut_jobs_forgotten(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    return (event for event in events if event.type is not CUT)


def cut_jobs_exit(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    return (event._replace(type=EXIT) if event.type is CUT else event for event in events)


def silent_preemption(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    return (event for event in events if event.type is not EventType.PREEMPT)


def never_idle(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    return (event for event in events if event.type is not EventType.IDLE)


def last_in_first_out(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """Jobs 0 and 1 change places once they are released."""
    for event in events:
        stays = event.job not in {0, 1} or event.type in {EventType.RELEASE, START}
        yield event if stays or event.job is None else event._replace(job=1 - event.job)


def misses_untold(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    return (event for event in events if event.type is not EventType.DEADLINE_MISS)


def misses_from_start(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """Deadlines count from the first dispatch: misses are told a millisecond late."""
    for event in events:
        missed = event.type is EventType.DEADLINE_MISS
        yield event._replace(time_ns=event.time_ns + NS_PER_MS) if missed else event


def alive_after_stop(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """The timer of the first task fires once more."""
    last = 0
    for event in events:
        yield event
        last = event.time_ns
    later = last + 5000 * NS_PER_MS
    task = plan.tasks[0].id
    yield Event(later, START, task, 1000, None)
    yield Event(later, EXIT, task, 1000, None)


def late_end(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """The first job that is cut off goes on for five seconds."""
    first = True
    for event in events:
        if event.type is CUT and first:
            first = False
            yield event
            yield event._replace(time_ns=event.time_ns + 5000 * NS_PER_MS, type=EventType.JOBS_DONE)
        else:
            yield event


# -- what boards may do


def killed_late(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """The kill timer is two seconds late."""
    return _shift(events, EventType.EXIT_CRITICAL, 2000)


def kill_ignored(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """What was to be killed completes two seconds later."""
    return (e._replace(type=EXIT) if e.type is EventType.EXIT_CRITICAL else e for e in killed_late(plan, events))


def killed_early(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """Jobs are killed when they are born."""
    born: dict[int | None, int] = {}
    for event in events:
        if event.type is START:
            born[event.task_id] = event.time_ns
        killed = event.type is EventType.EXIT_CRITICAL
        yield event._replace(time_ns=born[event.task_id]) if killed else event


def cut_early(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """A job is cut off long before its task's next release."""
    return _shift(events, EventType.EXIT_PERIOD, -2000)


def restarted_at_once(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """A job starts at the release at which the one before was cut off."""
    cut: dict[int | None, int] = {}
    for event in events:
        if event.type is EventType.EXIT_PERIOD:
            cut[event.task_id] = event.time_ns
        yield event._replace(time_ns=cut.pop(event.task_id)) if event.type is START and event.task_id in cut else event


def starts_too_soon(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """All jobs of a task begin within its first milliseconds."""
    for event in events:
        yield event._replace(time_ns=event.time_ns % NS_PER_MS + (event.job or 0) * NS_PER_MS)


def two_instances(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """A job ends long after the START of the next one."""
    return _shift(events, EXIT, 5000)


def one_more(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """After its last job a limited task has another one."""
    for event in events:
        if event.type is EventType.JOBS_DONE and event.job is not None:
            yield event._replace(type=START, job=event.job + 1)
            yield event._replace(type=EXIT, job=event.job + 1)
        yield event


def refusal_ignored(plan: Plan, events: Iterator[Event]) -> Iterator[Event]:
    """What is refused runs all the same."""
    for event in events:
        yield event
        if event.type is EventType.NOT_SCHEDULED:
            yield event._replace(type=START)
            yield event._replace(type=EXIT)


def _shift(events: Iterator[Event], kind: EventType, by_ms: int) -> Iterator[Event]:
    for event in events:
        yield event._replace(time_ns=max(0, event.time_ns + by_ms * NS_PER_MS)) if event.type is kind else event
