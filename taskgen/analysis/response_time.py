"""Response-time analysis of fixed priorities on one core.

The worst case of a task is searched in its level-i busy period: all tasks of its level and above are released together
with their largest jitter, and each of its own jobs in that period is looked at, not the first alone (Lehoczky, "Fixed
priority scheduling of periodic task sets with arbitrary deadlines", RTSS 1990, section 3; jitter and blocking: Tindell,
Burns & Wellings, Real-Time Systems 6, 1994, section 3). Job q, counted from 0, ends at the smallest

    f(q) = B + (q + 1) C_i + sum over the interfering j of ceil((f(q) + J_j) / T_j) C_j

after the start of the period and arrived at q T_i - J_i; it is the last one if the next arrives at f(q) or later.
Response times count from the arrival, so they contain the task's own jitter. Offsets are ignored: with them the bound
stays a bound.

Where U = 1 the period may never end (blocking, jitter), but f(q + H/T_i) = f(q) + H over a hyperperiod H, so the first
H/T_i jobs are all there are. A bound fails to exist only if U > 1, or if the interfering tasks alone leave nothing.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from taskgen.analysis.utilization import utilization, wcet_ns
from taskgen.errors import InputError
from taskgen.parameters import NO_PRIORITY, Parameters


def response_times(
    tasks: Sequence[Parameters],
    *,
    ranks: Mapping[int, int] | None = None,
    blocking_ns: Mapping[int, int] | None = None,
) -> dict[int, int | None]:
    """Return the largest response time of each task under preemptive fixed priorities, by id, in ns from arrival.

    None: there is no bound. `ranks` gives each task's rank by id, 0 most urgent (missing: the tasks' priorities); tasks
    of one rank delay each other. `blocking_ns` gives B by id, the longest time that less urgent tasks may hold the
    task up. The bound is reached by a synchronous set with distinct ranks, without jitter and blocking.

    Raises:
        InputError: a task has no known execution time, or no priority where `ranks` is missing.
    """
    ranked = _ranks(tasks, ranks)
    return {
        task.id: response_time_ns(
            task, _interfering(task, tasks, ranked), blocking_ns=(blocking_ns or {}).get(task.id, 0)
        )
        for task in tasks
    }


def is_schedulable(
    tasks: Sequence[Parameters],
    *,
    ranks: Mapping[int, int] | None = None,
    blocking_ns: Mapping[int, int] | None = None,
    most_jobs: int | None = None,
) -> bool:
    """Tell whether `response_times` stays within each deadline (missing: D = T; a single job may lack both).

    It ends at the first miss. With `most_jobs` it is a sufficient test in bounded time: a task with more jobs to look
    at than that (its busy period is long, or at U = 1 never ends) doesn't pass.

    Raises:
        InputError: what `response_times` raises.
    """
    ranked = _ranks(tasks, ranks)
    if utilization(tasks) > 1:  # so the least urgent tasks with a period have no bound
        return False
    return all(
        _meets_deadline(task, _interfering(task, tasks, ranked), (blocking_ns or {}).get(task.id, 0), most_jobs)
        for task in tasks
    )


def response_time_ns(task: Parameters, interfering: Sequence[Parameters], *, blocking_ns: int = 0) -> int | None:
    """Return the largest response time of a task below `interfering` tasks, preemptively; None if there is no bound.

    Raises:
        InputError: an execution time is unknown.
    """
    if not _is_bounded(task, interfering):
        return None
    return max(_responses_ns(task, interfering, _preemptive(task, interfering, blocking_ns)))


def busy_period_ns(tasks: Sequence[Parameters], *, blocking_ns: int = 0) -> int | None:
    """Return the length of the busy period of tasks that are released together; None if it never ends.

    Given a task and those that interfere with it, it is the level-i busy period (Lehoczky 1990, definition 1).

    Raises:
        InputError: an execution time is unknown.
    """
    load = utilization(tasks)
    late = blocking_ns or any(task.jitter_ns or not task.period_ns for task in tasks)
    if load > 1 or (load == 1 and late):
        return None
    start_ns = blocking_ns + sum(map(wcet_ns, tasks))
    requests_ns = _requests(tasks)
    return _fixed_point(start_ns, lambda length: blocking_ns + requests_ns(length))


def nonpreemptive_response_times(
    tasks: Sequence[Parameters], *, ranks: Mapping[int, int] | None = None
) -> dict[int, int | None]:
    """Return the largest response time of each task under non-preemptive fixed priorities, by id, in ns from arrival.

    Time is dense: a less urgent job may have begun just before, so B is the longest of their C, not C - 1, and a more
    urgent job that arrives at the very start still goes first (George, Rivierre & Spuri, INRIA RR-2966, 1996, theorem
    15; Davis, Burns, Bril & Lukkien, Real-Time Systems 35, 2007, section 3.2, which corrects Tindell).

    Raises:
        InputError: a task has no known execution time, or no priority where `ranks` is missing.
    """
    ranked = _ranks(tasks, ranks)
    return {task.id: _nonpreemptive_ns(task, tasks, ranked) for task in tasks}


def _nonpreemptive_ns(task: Parameters, tasks: Sequence[Parameters], ranks: Mapping[int, int]) -> int | None:
    interfering = _interfering(task, tasks, ranks)
    blocking_ns = max((wcet_ns(other) for other in tasks if ranks[other.id] > ranks[task.id]), default=0)
    cost_ns = wcet_ns(task)
    requests_ns = _requests(interfering)
    if not _is_bounded(task, interfering):
        return None

    def end_ns(job: int, last_ns: int) -> int:
        # The job starts at the first instant at which nothing else waits, what arrives then included.
        own_ns = blocking_ns + job * cost_ns
        return _fixed_point(last_ns, lambda start: own_ns + requests_ns(start + 1)) + cost_ns

    # What arrives while a job holds the core goes on after it: only the busy period tells which job is the last.
    return max(_responses_ns(task, interfering, end_ns, _jobs(task, interfering, blocking_ns)))


def _meets_deadline(
    task: Parameters, interfering: Sequence[Parameters], blocking_ns: int, most_jobs: int | None
) -> bool:
    """Tell whether no response exceeds the deadline, where all together U <= 1."""
    deadline_ns = task.effective_deadline_ns
    if deadline_ns is None:
        return True
    if not task.period_ns and not _is_bounded(task, interfering):
        return False
    # Ends are of no interest once they are late.
    latest_ns = deadline_ns - task.jitter_ns
    end_ns = _preemptive(task, interfering, blocking_ns, lambda job: latest_ns + job * task.period_ns)
    responses = _responses_ns(task, interfering, end_ns)
    return all(ns <= deadline_ns for ns in islice(responses, most_jobs)) and next(responses, None) is None


def _is_bounded(task: Parameters, interfering: Sequence[Parameters]) -> bool:
    above = utilization(interfering)
    return above < 1 and above + utilization([task]) <= 1


#: When a job of the busy period ends, by its number and a lower bound.
_End = Callable[[int, int], int]


def _preemptive(
    task: Parameters,
    interfering: Sequence[Parameters],
    blocking_ns: int,
    latest_ns: Callable[[int], int] | None = None,
) -> _End:
    """Return f(q) of the analysis, or anything above `latest_ns(q)` if it is above."""
    cost_ns = wcet_ns(task)
    requests_ns = _requests(interfering)

    def end_ns(job: int, last_ns: int) -> int:
        own_ns = blocking_ns + (job + 1) * cost_ns
        most_ns = math.inf if latest_ns is None else latest_ns(job)
        return _fixed_point(last_ns + cost_ns, lambda end: own_ns + requests_ns(end), most_ns)

    return end_ns


def _responses_ns(
    task: Parameters, interfering: Sequence[Parameters], end_ns: _End, jobs: int | None = None
) -> Iterator[int]:
    """Yield the response of so many jobs; None: of those in the preemptive busy period, or before responses repeat."""
    period_ns, last_ns, job = task.period_ns, 0, 0
    searched = jobs is None and period_ns > 0
    if not period_ns:
        jobs = task.jobs or 1
    while jobs is None or job < jobs:
        last_ns = end_ns(job, last_ns)
        yield last_ns - job * period_ns + task.jitter_ns
        job += 1
        if searched and last_ns + task.jitter_ns <= job * period_ns:
            return
        if jobs is None:  # seldom needed
            jobs = _repeats(task, interfering)


def _jobs(task: Parameters, interfering: Sequence[Parameters], blocking_ns: int) -> int:
    """Return how many jobs of the task the busy period holds; where it never ends, those before responses repeat."""
    if not task.period_ns:
        return task.jobs or 1
    length_ns = busy_period_ns([task, *interfering], blocking_ns=blocking_ns)
    return _repeats(task, interfering) if length_ns is None else -(-(length_ns + task.jitter_ns) // task.period_ns)


def _repeats(task: Parameters, interfering: Sequence[Parameters]) -> int:
    """Return how many jobs the hyperperiod holds."""
    periods = (other.period_ns for other in interfering if other.period_ns)
    return math.lcm(task.period_ns, *periods) // task.period_ns


def _requests(tasks: Sequence[Parameters]) -> Callable[[int], int]:
    """Return the work that tasks can release, as a function of the length of an interval that is open at its end."""
    once_ns = sum((task.jobs or 1) * wcet_ns(task) for task in tasks if not task.period_ns)
    periodic = [(wcet_ns(task), task.jitter_ns, task.period_ns) for task in tasks if task.period_ns]
    return lambda length_ns: once_ns - sum([c * (-(length_ns + j) // t) for c, j, t in periodic])


def _fixed_point(start_ns: int, work_ns: Callable[[int], int], most_ns: float = math.inf) -> int:
    """Return the smallest x >= start_ns with work_ns(x) <= x, or one beyond most_ns that is no larger.

    The function grows, and the start lies below the fixed point.
    """
    value = start_ns
    while value <= most_ns and (more := work_ns(value)) > value:
        value = more
    return value


def _interfering(task: Parameters, tasks: Sequence[Parameters], ranks: Mapping[int, int]) -> list[Parameters]:
    return [other for other in tasks if other.id != task.id and ranks[other.id] <= ranks[task.id]]


def _ranks(tasks: Sequence[Parameters], ranks: Mapping[int, int] | None) -> Mapping[int, int]:
    if ranks is not None:
        return ranks
    found: dict[int, int] = {}
    for task in tasks:
        if task.priority is None or task.priority == NO_PRIORITY:
            raise InputError(
                f"task {task.id}: has no priority, response-time analysis of fixed priorities needs one for each task",
                hint="give it a priority 0..127, or ranks by id",
            )
        found[task.id] = task.priority
    return found
