"""How long a set is run when nobody says: one rule for every backend."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from taskgen.parameters import Parameters
from taskgen.units import MAX_NS, format_ms

#: A task's releases are followed up to this many jobs.
MAX_JOBS = 10_000
#: The bound for boards, and for single jobs without period, deadline and known end: one minute.
DEFAULT_RUN_NS = 60_000_000_000


#: The bounds at which everything has been seen, if `is_exact` holds, too.
EXACT_BOUNDS = frozenset({"max offset + 2 hyperperiods", "end of the last job"})


class Horizon(NamedTuple):
    """The instant at which a run ends, and which bound it is."""

    time_ns: int
    bound: str


def hyperperiod_ns(tasks: Sequence[Parameters]) -> int:
    """Return the least common multiple of the periods; 0 if no task is periodic."""
    return math.lcm(*(task.period_ns for task in tasks if task.period_ns)) if any(t.period_ns for t in tasks) else 0


def choose_horizon(
    tasks: Sequence[Parameters], horizon_ns: int | None = None, max_run_ns: int | None = None
) -> Horizon:
    """Choose the horizon of a run.

    All tasks limited: the end of the last job, at most last release + 10 000 x the largest period or deadline.
    Otherwise the smallest of max offset + 2 hyperperiods (Leung & Merrill, "A note on preemptive scheduling of
    periodic, real-time tasks", IPL 11(3), 1980), the release of some task's 10 001st job, and `max_run_ns` (boards).
    """
    if horizon_ns is not None:
        return Horizon(horizon_ns, "requested")
    bounds = []
    if all(task.jobs is not None for task in tasks):
        bounds.append(_end_of_jobs(tasks))
    else:
        offset_ns = max(task.offset_ns for task in tasks)
        bounds.append(Horizon(offset_ns + 2 * hyperperiod_ns(tasks), "max offset + 2 hyperperiods"))
        long = [task for task in tasks if task.jobs is None or task.jobs > MAX_JOBS]
        bounds.append(
            Horizon(min(task.arrival_ns(MAX_JOBS) for task in long), f"release of a task's job {MAX_JOBS + 1}")
        )
    if max_run_ns is not None:
        bounds.append(Horizon(max_run_ns, "target's max_run_ms"))
    bounds.append(Horizon(MAX_NS, "largest instant of the clock, 2^62 ns"))
    return min(bounds, key=lambda horizon: horizon.time_ns)


def _end_of_jobs(tasks: Sequence[Parameters]) -> Horizon:
    last_ns = max(task.arrival_ns((task.jobs or 1) - 1) + task.jitter_ns for task in tasks)
    longest_ns = max(max(task.period_ns, task.deadline_ns or 0) for task in tasks)
    known = all(task.wcet_ns is not None for task in tasks)
    work_ns = sum((task.wcet_ns or 0) * (task.jobs or 1) for task in tasks)
    # Neither period nor deadline anywhere: nothing in the set sets a scale, so the work or a board's minute does.
    slack_ns = MAX_JOBS * longest_ns or max(DEFAULT_RUN_NS, work_ns)
    within = known and work_ns <= slack_ns
    bound = (
        "end of the last job" if within else f"end of the last job, at most {format_ms(slack_ns)} ms after its release"
    )
    return Horizon(last_ns + slack_ns, bound)


def is_exact(tasks: Sequence[Parameters], *, cores: int = 1) -> bool:
    """Whether an exact bound shows all that can happen: one core, U <= 1, D <= T, no jitter, fixed C."""
    if cores != 1 or any(task.jitter_ns or task.wcet_ns is None or task.arrivals_ns for task in tasks):
        return False
    if any(task.deadline_ns and task.period_ns and task.deadline_ns > task.period_ns for task in tasks):
        return False
    single = [not task.period_ns for task in tasks]
    if any(single) and not all(single):
        return False  # the period of a single job is nowhere in U: it may end after two hyperperiods of the others
    period_ns = hyperperiod_ns(tasks)
    demand_ns = sum((task.wcet_ns or 0) * (period_ns // task.period_ns) for task in tasks if task.period_ns)
    return demand_ns <= period_ns
