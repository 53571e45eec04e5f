"""How soon is the most urgent task served under growing load?

Each case has one urgent task and n less urgent ones that compute for a utilization of `load` together. Of each run:

- `response-median`, `-p99`, `-max`: how long the urgent task's jobs took, from their arrival; on boards, which don't
  tell arrivals, from their START. A scheduler that preempts keeps them constant, whatever the load.
- `jitter`: by how much the delays from release to the first instruction differ; on boards, by how much their STARTs
  differ from whole multiples of the period.

Theory: the urgent task's worst-case response time is its C, since nothing blocks it: R = C + B with B = 0 (Joseph &
Pandya, "Finding response times in a real-time system", Computer Journal 29(5), 1986; `taskgen.analysis`). What is
measured above it is the target's own: overheads, a scheduler that doesn't preempt, jobs that cost more than their work.
Jitter is 0 in theory. Where arrivals aren't known nothing is predicted.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from taskgen.analysis import response_times
from taskgen.bench.scale import PROCESSES, Scale, by_deadline, lasted_ns, ms, one_job_per_task, quiet, scale_of, task
from taskgen.bench.statistics import quantile
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.parameters import parameters_of
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.trace import Job
from taskgen.units import NS_PER_MS

_URGENT: Final = 0
_MICROSECOND: Final = Decimal("0.001")


class Load(NamedTuple):
    """The less urgent tasks of a case: how many, each period in those of the urgent one, and their utilization."""

    periods: tuple[int, ...]
    utilization: Decimal


#: Where a job costs nothing but its work: 10 % are the urgent task's.
_TEXTBOOK_LOADS: Final = (
    Load((), Decimal(0)),
    Load((2, 4), Decimal("0.2")),
    Load((2, 4, 5), Decimal("0.4")),
    Load((2, 4, 5, 10), Decimal("0.6")),
    Load((2, 4, 5, 10), Decimal("0.8")),
)
#: Where a job costs 280 ms of a period of 2000 besides: more tasks would leave no time for themselves.
_PROCESS_LOADS: Final = (
    Load((), Decimal(0)),
    Load((1,), Decimal("0.1")),
    Load((1, 1), Decimal("0.2")),
    Load((1, 1, 1), Decimal("0.3")),
)


def _cases(setting: Setting) -> list[Case]:
    scale = scale_of(setting)
    loads = _PROCESS_LOADS if scale is PROCESSES else _TEXTBOOK_LOADS
    return [_case(setting, scale, load) for load in loads]


def _case(setting: Setting, scale: Scale, load: Load) -> Case:
    jobs = 1 if one_job_per_task(setting) else scale.jobs
    tasks = [_urgent(setting, scale, jobs)]
    for rank, periods in enumerate(load.periods, 1):
        period_ms = periods * scale.period_ms
        work_ms = (load.utilization / len(load.periods) * period_ms).quantize(_MICROSECOND)
        tasks.append(task(setting, rank=rank, period_ms=period_ms, work_ms=work_ms, jobs=-(-jobs // periods)))
    return Case(
        f"load-{load.utilization}",
        TaskSet(tasks),
        _measure,
        {"n": len(load.periods), "load": float(load.utilization)},
        horizon_ms=(scale.jobs + 1) * scale.period_ms,
        predicted=_predicted(setting, tasks),
    )


def _urgent(setting: Setting, scale: Scale, jobs: int) -> Task:
    return task(setting, rank=0, period_ms=scale.period_ms, work_ms=scale.short_ms, jobs=jobs, id=_URGENT)


def _predicted(setting: Setting, tasks: Sequence[Task]) -> Mapping[str, Sample]:
    if setting.capabilities.job_numbers != "releases" or by_deadline(setting):
        return {}
    worst_ns = response_times(parameters_of(TaskSet(tasks)))[_URGENT]
    return {"jitter": 0} if worst_ns is None else {"response-max": ms(worst_ns), "jitter": 0}


def _measure(measured: Measured) -> Mapping[str, Sample]:
    jobs = [job for job in measured.trace.jobs_of(_URGENT) if job.start_ns is not None]
    took = [took_ns for job in jobs if (took_ns := lasted_ns(job)) is not None]
    samples: dict[str, Sample | None] = {"jitter": _jitter(measured, jobs)}
    if took:
        samples["response-median"] = quantile(took, 1, 2) / NS_PER_MS
        samples["response-p99"] = quantile(took, 99, 100) / NS_PER_MS
        samples["response-max"] = ms(max(took))
    return quiet(samples)


def _jitter(measured: Measured, jobs: Sequence[Job]) -> Sample | None:
    """Return the distance of the latest delay from the shortest, in ms; a single job has none."""
    if len(jobs) < 2:
        return None
    if all(job.arrival_ns is not None for job in jobs):
        delays = [(job.start_ns or 0) - (job.arrival_ns or 0) for job in jobs]
    else:
        period_ns = measured.trace.tasks[_URGENT].period_ns
        since = [(job.start_ns or 0) - (jobs[0].start_ns or 0) for job in jobs]
        # A board skips releases: what counts is the nearest one.
        delays = [elapsed - round(elapsed / period_ns) * period_ns for elapsed in since]
    return ms(max(delays) - min(delays))


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    """Say by how much load prolongs the urgent task's response."""
    worst = {case.name: max(found) for case in cases if (found := samples.get(case.name, {}).get("response-max"))}
    if len(worst) < 2:
        return []
    names = list(worst)
    first, last = worst[names[0]], worst[names[-1]]
    return [
        Finding(
            "interference",
            f"the urgent task's longest response is {first:g} ms alone, {last:g} ms with {names[-1]}",
            values={"alone_ms": first, "loaded_ms": last},
        )
    ]


SUITE = Suite(
    name="latency",
    about="how soon is the most urgent task served under growing load?",
    version=1,
    metrics=(
        Metric("response-median", "ms", "less", 0.05, "half of the urgent task's jobs took at most so long"),
        Metric("response-p99", "ms", "less", 0.05, "99 % of them did"),
        Metric("response-max", "ms", "less", 0.05, "all of them did"),
        Metric("jitter", "ms", "less", 0.05, "by how much their delays from release to start differ"),
    ),
    cases=_cases,
    judge=_judge,
)
