"""What becomes of jobs: how many there are, when they are released, how long they live, when all is over."""

from collections.abc import Iterator
from itertools import pairwise

from taskgen.events import EventType
from taskgen.parameters import NO_PRIORITY, Parameters, parameters_of
from taskgen.taskset import TaskSet
from taskgen.testing import event_laws
from taskgen.testing.properties import scope
from taskgen.testing.properties.events import broken, observed
from taskgen.testing.properties.law import Case, Tolerance, Violation, law
from taskgen.testing.runs import Executed
from taskgen.trace import Job, Trace
from taskgen.units import format_ms

_BIRTHS = frozenset({EventType.RELEASE, EventType.START, EventType.DISPATCH, EventType.RESUME, EventType.MIGRATE})


def tasks_of(taskset: TaskSet, trace: Trace) -> tuple[Parameters, ...]:
    """Return the validated tasks of a run."""
    return tuple(trace.tasks.values()) or parameters_of(taskset)


def by_task(trace: Trace) -> dict[int, list[Job]]:
    """Return the jobs of each task, in order."""
    found: dict[int, list[Job]] = {task_id: [] for task_id in trace.tasks}
    for job in trace.jobs:
        found.setdefault(job.task_id, []).append(job)
    return found


def spread_of(trace: Trace, tolerance: Tolerance, siblings: int) -> int:
    """Return by how much an event may be off that so many tasks of the set delay, in ns.

    Tasks on the level of the target's own work slow that down, as far as they share its core, which no board tells.
    """
    peers = sum(_is_top(task, tolerance) for task in trace.tasks.values())
    return tolerance.spread_ns(siblings, peers)


def _is_top(task: Parameters, tolerance: Tolerance) -> bool:
    return task.priority is not None and task.priority < tolerance.top_priorities and not task.deadline_ns


# -- how many


@law(needs=[scope.LIMITS_JOBS])
def job_counts(taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """A task has the jobs that arrive up to the end of the run, never more than its numberofjobs, then JOBS_DONE once.

    wire-protocol 6.4 and 6.5 (`iter == numberofjobs`). Boards count starts, of which some may be missing; elsewhere job
    k is there iff a_k + J lies before the end. Any policy.
    """
    yield from broken(observed(taskset, trace, tolerance), [event_laws.all_jobs_done])
    jobs = by_task(trace)
    for task in tasks_of(taskset, trace):
        if trace.capabilities.job_numbers == "releases":
            yield from _counted(task, jobs.get(task.id, []), trace)
        else:
            yield from _limited(task, jobs.get(task.id, []))


def _counted(task: Parameters, jobs: list[Job], trace: Trace) -> Iterator[Violation]:
    due = _arrived(task, trace.end_ns - task.jitter_ns)
    there = {job.index for job in jobs}
    for index in range(due):
        if index not in there:
            arrival_ns = task.arrival_ns(index)
            yield Violation((task.id, index), arrival_ns, f"a job by {format_ms(trace.end_ns)} ms", "none")
    last = _arrived(task, trace.end_ns + 1)
    for job in jobs:
        if job.index >= last:
            yield Violation((task.id, job.index), job.release_ns, f"{last} jobs", "one more")
    if task.jobs is not None and len(jobs) >= task.jobs and trace.events:
        yield from _done(task, jobs[-1], trace)


def _done(task: Parameters, last: Job, trace: Trace) -> Iterator[Violation]:
    if last.outcome in {None, EventType.EXIT_EXTERNAL}:
        return
    if not any(event.type is EventType.JOBS_DONE and event.task_id == task.id for event in trace.events):
        yield Violation((task.id, last.index), last.finish_ns, "JOBS_DONE after the last job", "none")


def _arrived(task: Parameters, before_ns: int) -> int:
    """Return how many jobs arrive before an instant."""
    if task.arrivals_ns is not None:
        number = sum(arrival_ns + task.offset_ns < before_ns for arrival_ns in task.arrivals_ns)
    elif before_ns <= task.offset_ns:
        number = 0
    else:
        number = -((task.offset_ns - before_ns) // task.period_ns) if task.period_ns else 1
    return number if task.jobs is None else min(number, task.jobs)


def _limited(task: Parameters, jobs: list[Job]) -> Iterator[Violation]:
    for job in jobs:
        if task.jobs is not None and job.index >= task.jobs and job.outcome is not EventType.NOT_SCHEDULED:
            yield Violation((task.id, job.index), job.start_ns, f"numberofjobs {task.jobs}", "one more START")


# -- when they begin


@law(reads="jobs")
def release_separation(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """Job k is released at its arrival a_k, at most its jitter J later, so two jobs lie T - J apart at least.

    Liu & Layland, JACM 20(1), 1973, assumption A1; jitter: Audsley et al., Software Engineering Journal 8(5), 1993.
    On boards STARTs of a task lie T apart at least, up to the tolerance: their timer is drift-free, a tick may be
    skipped (wire-protocol 6.1), the teardown of the job before delays one (6.7). Any policy.
    """
    spread_ns = spread_of(trace, tolerance, len(trace.tasks) - 1)
    for task_id, jobs in by_task(trace).items():
        task = trace.tasks.get(task_id)
        if task is None:
            continue
        if trace.capabilities.job_numbers == "releases":
            yield from _at_arrivals(task, jobs, tolerance.resolution_ns, spread_ns)
        else:
            yield from _apart(task, trace, jobs, tolerance)


def first_late_ns(task: Parameters, trace: Trace) -> int:
    """Return how late the first job of a board's task may be: G4 sleeps all offsets before it (wire-protocol 6.5)."""
    return sum(other.offset_ns for other in trace.tasks.values()) - task.offset_ns


def _at_arrivals(task: Parameters, jobs: list[Job], early_ns: int, late_ns: int) -> Iterator[Violation]:
    for job in jobs:
        time_ns, arrival_ns = job.release_ns, job.arrival_ns
        if time_ns is None or arrival_ns is None:
            continue
        if not arrival_ns - early_ns <= time_ns <= arrival_ns + task.jitter_ns + late_ns:
            expected = f"release at {format_ms(arrival_ns)} ms"
            if task.jitter_ns:
                expected += f", at most {format_ms(task.jitter_ns)} ms later"
            yield Violation((task.id, job.index), time_ns, expected, f"release at {format_ms(time_ns)} ms")


def _apart(task: Parameters, trace: Trace, jobs: list[Job], tolerance: Tolerance) -> Iterator[Violation]:
    siblings = len(trace.tasks) - 1
    spread_ns, torn_ns = (spread_of(trace, tolerance, number) for number in (siblings, siblings + 1))
    first_ns = first_late_ns(task, trace)
    born = [job for job in jobs if job.start_ns is not None]
    for before, earlier, later in zip([None, *born], born, born[1:], strict=False):
        born_ns, later_ns = earlier.start_ns or 0, later.start_ns or 0
        late_ns = spread_ns + (0 if earlier.index else first_ns)
        # The teardown of its predecessor may have delayed the earlier one, as a sibling's does.
        if before is not None and born_ns - tolerance.release_delay_ns <= (before.finish_ns or born_ns) + torn_ns:
            late_ns = torn_ns
        least_ns = task.period_ns - late_ns
        if later_ns - born_ns < least_ns:
            expected = f"START {format_ms(least_ns)} ms after the one before at the earliest"
            yield Violation((task.id, later.index), later_ns, expected, f"{format_ms(later_ns - born_ns)} ms after it")


@law(needs=[scope.FOLLOWS_JOBS], reads="jobs")
def jobs_in_order(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """A job begins to run after the end of its predecessor: late jobs delay those behind them.

    Lehoczky, RTSS 1990 (jobs of a task run in the order of their arrivals); a board has one instance of a
    task at a time (`meta present`, wire-protocol 6.2 to 6.5). Any policy, any number of cores.
    """
    ends_untold = tolerance.ends_untold or not trace.capabilities.outcomes
    for task_id, jobs in by_task(trace).items():
        ordered = sorted((job for job in jobs if job.outcome is not EventType.NOT_SCHEDULED), key=lambda job: job.index)
        for earlier, later in pairwise(ordered):
            if later.start_ns is None or (earlier.finish_ns is None and ends_untold):
                continue
            if earlier.finish_ns is None or later.start_ns < earlier.finish_ns - tolerance.resolution_ns:
                end = "never" if earlier.finish_ns is None else f"at {format_ms(earlier.finish_ns)} ms"
                yield Violation(
                    (task_id, later.index), later.start_ns, f"job {earlier.index} to be over", f"it ended {end}"
                )


# -- how they end


def _start_waits(case: Case) -> str:
    """Require that START doesn't hold up kills: G1o's asks its optimiser for each job of a deadline (6.3)."""
    can = case.capabilities
    if can.job_numbers == "releases" or can.job_limits or not can.admission:
        return ""
    waits = (
        task.id for task in case.tasks if (task.jobs or 0) > 1 and (task.deadline_ns or task.priority == NO_PRIORITY)
    )
    return next(
        (
            f"START waits for the optimiser, for each job of task {task_id}, and kills wait for START"
            for task_id in waits
        ),
        "",
    )


@law(
    needs=[scope.KILLS, scope.TELLS_OUTCOMES, scope.NO_KILL_AT_DEADLINE],
    conditions=[scope.SOME_KILLS, _start_waits],
    reads="jobs",
)
def kill_at_criticaltime(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """A job that lives for its criticaltime is killed, EXIT_CRITICAL, then and at no other time.

    wire-protocol 6.2 to 6.5: the kill timer is armed at the release attempt, which on boards lies before START by the
    creation of the process; nobody is killed before START, and a single job of G3, whose kill is due by then, may never
    be (6.8). Exact in exact time; on boards, where siblings delay START and kill, off by at most the tolerance, and
    later while the program loads (6.7). Tasks on the loader's level (7.2) slow its work down. A job that completes at
    that very instant, completes. Any policy.
    """
    spread_ns = spread_of(trace, tolerance, len(trace.tasks) - 1)
    for job in trace.jobs:
        task = trace.tasks.get(job.task_id)
        if task is None or job.finish_ns is None or job.outcome is EventType.NOT_SCHEDULED:
            continue
        killed = job.outcome is EventType.EXIT_CRITICAL
        seen = f"{job.outcome} at {format_ms(job.finish_ns)} ms"
        if task.critical_ns is None:
            if killed:
                yield Violation((task.id, job.index), job.finish_ns, "no kill, it has no criticaltime", seen)
            continue
        due_ns, last_ns = _kill(task.critical_ns, task, job, tolerance, spread_ns)
        early = killed and job.finish_ns < due_ns - spread_ns
        if early or (last_ns is not None and job.finish_ns > last_ns):
            yield Violation((task.id, job.index), job.finish_ns, f"EXIT_CRITICAL at {format_ms(due_ns)} ms", seen)


def _kill(critical_ns: int, task: Parameters, job: Job, tolerance: Tolerance, spread_ns: int) -> tuple[int, int | None]:
    """Return when a job is to be killed, and by when at the latest; None: perhaps never."""
    if job.release_ns is not None:
        due_ns = job.release_ns + critical_ns
        return due_ns, due_ns + spread_ns
    due_ns = (job.start_ns or 0) + max(0, critical_ns - tolerance.release_delay_ns)
    if tolerance.kills_untold and not task.period_ns and critical_ns <= tolerance.release_delay_ns + spread_ns:
        return due_ns, None
    return due_ns, due_ns + spread_ns + (tolerance.load_late_ns if critical_ns <= tolerance.load_ns else 0)


@law(needs=[scope.TRACES, scope.EXECUTES_C], conditions=[scope.KNOWN_C], reads="jobs")
def executes_wcet(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """A completed job has executed exactly C, any other less.

    Liu & Layland, JACM 20(1), 1973, assumption A4. Traced; each job executes exactly C; any policy, any number of
    cores, overheads are no part of C.
    """
    for job in trace.jobs:
        task = trace.tasks.get(job.task_id)
        if task is None or task.wcet_ns is None or job.executed_ns is None:
            continue
        surplus_ns = job.executed_ns - task.wcet_ns
        completed = job.outcome is EventType.EXIT
        if surplus_ns > tolerance.resolution_ns or (completed and surplus_ns < -tolerance.resolution_ns):
            what = f"{format_ms(task.wcet_ns)} ms of execution"
            seen = f"{format_ms(job.executed_ns)} ms up to its {job.outcome}"
            yield Violation((task.id, job.index), job.finish_ns, what if completed else f"less than {what}", seen)
        elif not completed and surplus_ns == 0 and not tolerance.resolution_ns:
            what = f"EXIT after {format_ms(task.wcet_ns)} ms of execution"
            yield Violation((task.id, job.index), job.finish_ns, what, str(job.outcome))


@law()
def nothing_after_stop(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """When a run is stopped or reaches its horizon its jobs are cut off, and nothing begins or happens any more.

    wire-protocol 6.4 and 6.5 (STOP: paused, timers off, forced exit 19). Any target, any set.
    """
    cut_ns = min((e.time_ns for e in trace.events if e.type is EventType.EXIT_EXTERNAL), default=None)
    end_ns = trace.plan.horizon.time_ns if isinstance(trace, Executed) else None
    late_ns = tolerance.resolution_ns + tolerance.stop_ns
    for event in trace.events:
        job = None if event.task_id is None or event.job is None else (event.task_id, event.job)
        if cut_ns is not None and event.time_ns > cut_ns + late_ns:
            yield Violation(job, event.time_ns, f"nothing after the stop at {format_ms(cut_ns)} ms", str(event.type))
        elif end_ns is not None and event.time_ns >= end_ns + late_ns and event.type in _BIRTHS:
            yield Violation(job, event.time_ns, f"no {event.type} from {format_ms(end_ns)} ms on", str(event.type))
