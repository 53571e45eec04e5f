"""What boards promise beside the laws of all targets: kills at the next release, and refusals that are kept."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from taskgen.events import EventType
from taskgen.parameters import NO_PRIORITY, Parameters
from taskgen.taskset import TaskSet
from taskgen.testing.properties import scope
from taskgen.testing.properties.jobs import by_task, first_late_ns, spread_of
from taskgen.testing.properties.law import Tolerance, Violation, law
from taskgen.trace import Job, Trace
from taskgen.units import format_ms


@law(needs=[scope.COUNTS_STARTS, scope.TELLS_OUTCOMES], reads="jobs")
def kill_at_next_release(_taskset: TaskSet, trace: Trace, tolerance: Tolerance) -> Iterator[Violation]:
    """A job is cut with EXIT_PERIOD at a release of its task, one period after its own, and no other starts then.

    wire-protocol 6.4 (G3b) and 6.5 (G4): `meta present: forced exit 20; return`; on G3b a release that the optimiser
    denies, NOT_SCHEDULED, cuts nothing, so that a later one does. Boards; off by at most the tolerance, where the
    teardown of the task's own last job delays its START, too.
    """
    spread_ns = spread_of(trace, tolerance, len(trace.tasks))
    for task_id, jobs in by_task(trace).items():
        task = trace.tasks.get(task_id)
        if task is not None:
            yield from _cut(task, jobs, tolerance.release_delay_ns, spread_ns, first_late_ns(task, trace))


def _cut(task: Parameters, jobs: list[Job], delay_ns: int, spread_ns: int, first_ns: int) -> Iterator[Violation]:
    cut_ns: int | None = None  # when the job before was cut off
    denied_ns = [job.finish_ns for job in jobs if job.outcome is EventType.NOT_SCHEDULED and job.finish_ns is not None]
    for job in jobs:
        if job.start_ns is None or job.finish_ns is None:
            continue
        early_ns = spread_ns if job.index else spread_ns + first_ns
        if cut_ns is not None and job.start_ns < cut_ns + task.period_ns - early_ns:
            expected = f"START one period after the EXIT_PERIOD at {format_ms(cut_ns)} ms"
            yield Violation((task.id, job.index), job.start_ns, expected, f"START at {format_ms(job.start_ns)} ms")
        cut_ns = job.finish_ns if job.outcome is EventType.EXIT_PERIOD else None
        if cut_ns is None:
            continue
        due_ns = job.start_ns - delay_ns + task.period_ns
        denials = bisect_right(denied_ns, cut_ns) - bisect_left(denied_ns, job.start_ns)
        last_ns = due_ns + spread_ns + denials * (task.period_ns + spread_ns)
        if not (task.period_ns and due_ns - early_ns <= cut_ns <= last_ns):
            expected = f"EXIT_PERIOD at {format_ms(due_ns)} ms" if task.period_ns else "no EXIT_PERIOD without a period"
            yield Violation((task.id, job.index), cut_ns, expected, f"EXIT_PERIOD at {format_ms(cut_ns)} ms")


@law(needs=[scope.ADMITS])
def admission_respected(_taskset: TaskSet, trace: Trace, _tolerance: Tolerance) -> Iterator[Violation]:
    """A task that admission refuses never runs; a job that it refuses doesn't start.

    wire-protocol 5.1 and 6.4: NOT_SCHEDULED at once and skipped by START; EDF jobs are asked for one by one. Targets
    with admission control.
    """
    refused: dict[int, int] = {}  # where a task without any start was refused
    started: set[int] = set()
    denied: dict[int, int] = {}  # the instant of a task's last refusal
    for event in trace.events:
        task_id = event.task_id
        if task_id is None or task_id not in trace.tasks:
            continue
        if event.type is EventType.NOT_SCHEDULED:
            denied[task_id] = event.time_ns
            if task_id not in started and not _asked_for_jobs(trace, task_id):
                refused[task_id] = event.time_ns
        elif event.type is EventType.START:
            started.add(task_id)
            job = (task_id, event.job or 0)
            if task_id in refused:
                yield Violation(job, event.time_ns, f"no job, refused at {format_ms(refused[task_id])} ms", "START")
            elif denied.get(task_id) == event.time_ns:
                yield Violation(job, event.time_ns, "no START with its NOT_SCHEDULED", "START")


def _asked_for_jobs(trace: Trace, task_id: int) -> bool:
    task = trace.tasks[task_id]
    return bool(task.deadline_ns) or task.priority == NO_PRIORITY
