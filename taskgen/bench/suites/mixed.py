"""Do tasks with priorities run undisturbed by EDF tasks, and do these get the rest?

The band of fixed priorities goes first, plain EDF gets the time that is left (wire-protocol 7.1: the EDF queue runs
only when no fixed-priority thread is ready). Each case has the same tasks with priorities, and EDF tasks of a growing
load, from none (`alone`) up to more than what is left; on boards, where an overload may hang the optimiser, to less.
Of each run:

- `fp-response`: how long a job with a priority took at most, from arrival; on boards, which don't tell arrivals, from
  START. Predicted is response-time analysis of the tasks with priorities alone (Joseph & Pandya, 1986).
- `edf-share`: the share of time in which EDF tasks computed, where the target tells. Theory: their utilization, and no
  more than what the others leave, 1 - U.
- `edf-met`: the share of EDF releases that were served by their deadline (`taskgen.bench.arrivals`).
- `inversions`: EDF jobs that completed while a job with a priority was there and not at its end.

`isolation` says whether the longest response under any EDF load is that of `alone`; on boards within the time that
creation and teardown of so many siblings take, which preempt everybody (wire-protocol 6.7). The task with a priority
comes first in the document, since admission control would refuse it behind others (wire-protocol 5.3).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from taskgen.analysis import response_times
from taskgen.bench.arrivals import Clock, clock_of, served, together
from taskgen.bench.scale import (
    PROCESSES,
    lasted_ns,
    ms,
    one_job_per_task,
    quiet,
    scale_of,
    spread_ns,
    task,
    tests_each_task,
)
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.bench.textbook import on_one_core, simulate, textbook
from taskgen.bench.urgency import by_edf, inversions
from taskgen.parameters import parameters_of
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing.runs import Executed


class Fixed(NamedTuple):
    """A task with a priority, in periods and tenths of a period of the scale."""

    period: int
    work: Decimal


class Plan(NamedTuple):
    """What runs on a kind of target."""

    fixed: tuple[Fixed, ...]
    loads: tuple[Decimal, ...]  #: utilization of the EDF tasks together
    most: int  #: EDF tasks
    periods: int  #: how long a run lasts


#: U = 0.4 with priorities; their worst-case responses are 2 and 6 ms.
_TEXTBOOK: Final = Plan(
    (Fixed(1, Decimal("0.2")), Fixed(2, Decimal("0.4"))), tuple(map(Decimal, ("0", "0.3", "0.6", "0.9"))), 2, 20
)
#: One task with a priority: a second one would be refused. No overload: it may hang the optimiser (wire-protocol 5.4).
_BOARD: Final = Plan((Fixed(1, Decimal("0.06")),), tuple(map(Decimal, ("0", "0.2", "0.4"))), 2, 3)
_METRICS: Final = (
    Metric("fp-response", "ms", "less", 0.05, "the longest response of a job with a priority"),
    Metric("edf-share", "%", "more", 1, "the share of time in which EDF tasks computed"),
    Metric("edf-met", "%", "more", 1, "the share of EDF releases that were served by their deadline"),
    Metric("inversions", "1", "less", 0, "EDF jobs that completed while a job with a priority waited"),
)


def _lacks(setting: Setting) -> str:
    if "mixed" not in setting.capabilities.policies:
        return "the target doesn't mix priorities and deadlines"
    return "its admission control refuses all else beside a task with a priority" if tests_each_task(setting) else ""


def _cases(setting: Setting) -> list[Case]:
    plan = _BOARD if scale_of(setting) is PROCESSES else _TEXTBOOK
    return [_case(setting, plan, load) for load in plan.loads]


def _case(setting: Setting, plan: Plan, load: Decimal) -> Case:
    scale = scale_of(setting)
    fixed = [
        _task(setting, number, each.period, each.work, plan, priority=number, deadline=None)
        for number, each in enumerate(plan.fixed)
    ]
    number = plan.most if load else 0
    banded = [
        _task(
            setting, len(fixed) + place, 2 * (place + 1), load / number * 2 * (place + 1), plan,
            priority=None, deadline=2 * (place + 1) * scale.period_ms,
        )
        for place in range(number)
    ]  # fmt: skip
    tasks = [*fixed, *banded]
    horizon_ms = plan.periods * scale.period_ms
    slack_ns = spread_ns(setting, len(banded))
    return Case(
        f"edf-{load}" if load else "alone",
        TaskSet(tasks),
        _measure,
        {"load": float(load), "n": len(banded), "slack_ms": ms(slack_ns)},
        horizon_ms=horizon_ms,
        predicted=_predicted(setting, fixed, tasks, horizon_ms),
    )


def _task(setting: Setting, number: int, periods: int, work: Decimal, plan: Plan, **urgency: int | None) -> Task:
    """Return a task; its period and its work are given in periods of the scale."""
    scale = scale_of(setting)
    jobs = None if plan is _TEXTBOOK else 1 if one_job_per_task(setting) else -(-plan.periods // periods)
    return task(
        setting, rank=0, period_ms=periods * scale.period_ms, work_ms=work * scale.period_ms, jobs=jobs, id=number,
        **urgency, **on_one_core(setting),
    )  # fmt: skip


def _predicted(setting: Setting, fixed: Sequence[Task], tasks: Sequence[Task], horizon_ms: int) -> Mapping[str, Sample]:
    """Return what theory says; on boards only that there are no inversions, since a job costs more than its work."""
    described = textbook(setting, tasks)
    if described is None or scale_of(setting) is PROCESSES:
        return {"inversions": 0}
    worst = response_times(parameters_of(TaskSet(fixed))).values()
    trace = simulate(described, horizon_ms)
    bound = {} if None in worst else {"fp-response": ms(max(each for each in worst if each is not None))}
    return {**bound, **_edf(trace, Clock.of("ideal", trace.capabilities)), "inversions": 0}


# -- what happened


def _measure(measured: Measured) -> Mapping[str, Sample]:
    trace = measured.trace
    took = [
        took_ns
        for job in trace.jobs
        if not by_edf(trace.tasks[job.task_id]) and (took_ns := lasted_ns(job)) is not None
    ]
    return quiet(
        {
            "fp-response": ms(max(took)) if took else None,
            **_edf(trace, clock_of(measured.setting)),
            "inversions": inversions(trace, measured.setting) if _tells(measured) else None,
        }
    )


def _tells(measured: Measured) -> bool:
    return measured.setting.capabilities.outcomes or any(job.finish_ns is not None for job in measured.trace.jobs)


def _edf(trace: Executed, clock: Clock) -> Mapping[str, Sample]:
    """Return what the EDF tasks got."""
    tasks = [task for task in trace.tasks.values() if by_edf(task)]
    found: dict[str, Sample] = {}
    if tasks and trace.capabilities.outcomes:
        found["edf-met"] = round(100 - together([served(trace, each, clock) for each in tasks]).missed_percent, 2)
    executed = [job.executed_ns for job in trace.jobs if by_edf(trace.tasks[job.task_id])]
    if trace.capabilities.trace and None not in executed:
        found["edf-share"] = round(100 * sum(each or 0 for each in executed) / trace.plan.horizon.time_ns, 2)
    return found


# -- the findings


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    worst = {
        case.name: (case, max(found)) for case in cases if (found := samples.get(case.name, {}).get("fp-response"))
    }
    findings = []
    if "alone" in worst and len(worst) > 1:
        findings.append(_isolation(worst))
    inverted = [case.name for case in cases if any(samples.get(case.name, {}).get("inversions", ()))]
    if any(samples.get(case.name, {}).get("inversions") for case in cases):
        text = f"EDF jobs went first in {', '.join(inverted)}" if inverted else "no EDF job went first"
        findings.append(Finding("band", text, ok=not inverted, values={"bad": inverted}))
    return findings


def _isolation(worst: Mapping[str, tuple[Case, Sample]]) -> Finding:
    """Compare the longest response under load with that of the tasks alone."""
    _, alone_ms = worst["alone"]
    loaded = {name: each for name, each in worst.items() if name != "alone"}
    name, (case, loaded_ms) = max(loaded.items(), key=lambda each: each[1][1])
    bad = [name for name, (case, took_ms) in loaded.items() if took_ms > alone_ms + float(case.params["slack_ms"])]
    return Finding(
        "isolation",
        f"the longest response of tasks with priorities is {alone_ms:g} ms alone, {loaded_ms:g} ms in {name}",
        ok=not bad,
        values={"alone_ms": alone_ms, "loaded_ms": loaded_ms, "slack_ms": case.params["slack_ms"], "bad": bad},
    )


SUITE = Suite(
    name="mixed",
    about="do tasks with priorities run undisturbed by EDF tasks, and do these get the rest?",
    version=1,
    metrics=_METRICS,
    cases=_cases,
    lacks=_lacks,
    judge=_judge,
)
