"""The conditions of the theorems: each is a function of a `Case` that returns why it isn't met, or an empty text.

What looks at the target alone is a need of a law, what looks at the tasks a condition.
"""

from collections.abc import Callable

from taskgen.analysis.utilization import utilization
from taskgen.parameters import NO_PRIORITY, Parameters
from taskgen.testing.properties.law import Case, Condition

#: Policies under which a job's rank never changes; None: one of the user's own, which is said to be such a one.
FIXED_JOB_PRIORITY = frozenset({None, "auto", "fp", "rm", "dm", "edf"})


def target(holds: Callable[[Case], object], otherwise: str) -> Condition:
    """Require something of the target; `otherwise` may refer to the fields of the case."""
    return lambda case: "" if holds(case) else otherwise.format(*case)


def each(holds: Callable[[Parameters], object], otherwise: str) -> Condition:
    """Require something of each task."""

    def condition(case: Case) -> str:
        return next((f"task {task.id} {otherwise}" for task in case.tasks if not holds(task)), "")

    return condition


def both(*conditions: Condition) -> Condition:
    """Require all of several conditions, in their order."""
    return lambda case: next(filter(None, (condition(case) for condition in conditions)), "")


def either(*conditions: Condition) -> Condition:
    """Require one of several conditions."""

    def condition(case: Case) -> str:
        reasons = [each_one(case) for each_one in conditions]
        return "; ".join(reasons) if all(reasons) else ""

    return condition


# -- what targets can do

TRACES = target(lambda case: case.capabilities.trace, "the target doesn't trace its scheduler")
COUNTS_RELEASES = target(
    lambda case: case.capabilities.job_numbers == "releases",
    "the target counts jobs by their starts, so that arrivals and deadlines are unknown",
)
COUNTS_STARTS = target(
    lambda case: case.capabilities.job_numbers == "starts", "the target is no board: it counts jobs by their releases"
)
FOLLOWS_JOBS = target(
    lambda case: case.capabilities.trace or case.capabilities.job_numbers == "starts",
    "the target doesn't tell when jobs begin to run",
)
DETERMINISTIC = target(lambda case: case.capabilities.deterministic, "the target isn't deterministic")
TELLS_OUTCOMES = target(lambda case: case.capabilities.outcomes, "the target doesn't tell how jobs end")
KILLS = target(lambda case: case.capabilities.kill, "the target has no criticaltime")
LIMITS_JOBS = target(lambda case: case.capabilities.job_limits, "the target has no numberofjobs")
ADMITS = target(lambda case: case.capabilities.admission, "the target has no admission control")

# -- how it schedules

PREEMPTIVE = target(lambda case: case.scheduling.preemptive, "the target schedules non-preemptively")
NONPREEMPTIVE = target(lambda case: not case.scheduling.preemptive, "the target schedules preemptively")
NO_OVERHEADS = target(lambda case: not case.scheduling.overheads, "scheduling costs time on the target")
LATE_JOBS_RUN_ON = target(
    lambda case: case.scheduling.overrun == "continue", "overrun is {2.overrun}, the law is about late jobs that run on"
)
NO_KILL_AT_DEADLINE = target(lambda case: case.scheduling.overrun != "kill", "overrun kill ends jobs at deadlines, too")
RUNNING_WINS_TIES = target(
    lambda case: case.scheduling.tie == "running", "tie is {2.tie}, the law is about ties that the running job wins"
)
ONE_CORE = target(lambda case: case.capabilities.cores == 1, "the law is about one core, the target has {1.cores}")
SINGLE_CORES = target(
    lambda case: case.capabilities.cores == 1 or not case.scheduling.migrates,
    "jobs migrate between {1.cores} cores, the law is about each by itself",
)
NO_PLACEMENT = target(
    lambda case: case.capabilities.cores == 1 or case.scheduling.migrates,
    "tasks are placed on {1.cores} cores, and those of another set may be placed otherwise",
)
RANKS_STAY = target(
    lambda case: case.scheduling.policy in FIXED_JOB_PRIORITY, "ranks of jobs change under policy {2.policy}"
)
EXECUTES_C = target(lambda case: case.scheduling.execution == "exact", "jobs don't execute exactly C")
AT_MOST_C = target(lambda case: case.scheduling.execution != "unknown", "jobs may execute more than C")


def by(*names: str) -> Condition:
    """Require one of these policies; one of the user's own is said to be it."""
    expected = " or ".join(names)
    return target(
        lambda case: case.scheduling.policy in {None, *names},
        f"the target schedules by {{2.policy}}, not by {expected}",
    )


def _in_deadline_band(task: Parameters) -> bool:
    return bool(task.deadline_ns) or task.priority == NO_PRIORITY


def _under_auto(condition: Condition) -> Condition:
    return lambda case: condition(case) if case.scheduling.policy == "auto" else ""


# -- what sets are

HAVE_PRIORITIES = each(lambda task: task.priority not in {None, NO_PRIORITY}, "has no priority")
HAVE_DEADLINES = each(lambda task: task.effective_deadline_ns, "has neither deadline nor period")
KNOWN_C = each(lambda task: task.wcet_ns is not None, "has no executiontime")
PERIODIC = each(lambda task: task.period_ns and task.arrivals_ns is None, "isn't periodic")
RECURRENT = each(lambda task: task.period_ns, "has no period")
ENDLESS = each(lambda task: task.jobs is None, "ends after some jobs")
SYNCHRONOUS = each(lambda task: not task.offset_ns, "has an offset")
NO_JITTER = each(lambda task: not task.jitter_ns, "has release jitter")
NO_KILLS = each(lambda task: task.critical_ns is None, "has a criticaltime")
DEADLINES_FROM_T = each(lambda task: (task.effective_deadline_ns or 0) >= task.period_ns, "has a deadline below T")
DISTINCT_PRIORITIES = target(
    lambda case: len({task.priority for task in case.tasks}) == len(case.tasks), "two tasks have the same priority"
)
SOME_KILLS = target(lambda case: any(task.critical_ns for task in case.tasks), "no task has a criticaltime")

#: The policy goes by priorities, and each task has one.
FIXED_PRIORITY = both(
    by("fp", "auto"),
    _under_auto(each(lambda task: not _in_deadline_band(task), "is scheduled by its deadline under policy auto")),
    HAVE_PRIORITIES,
)
#: The policy goes by absolute deadlines, and each task has one.
EARLIEST_DEADLINE = both(
    by("edf", "auto"),
    _under_auto(each(_in_deadline_band, "is scheduled by its priority under policy auto")),
    HAVE_DEADLINES,
)


def LOAD_FITS(case: Case) -> str:  # noqa: N802  # a condition like the others
    """Require U <= 1 on one core; on several, a law looks at each core by itself."""
    if case.capabilities.cores > 1 or KNOWN_C(case) or utilization(case.tasks) <= 1:
        return ""
    return f"the utilization is {float(utilization(case.tasks)):.3f}, more than 1"
