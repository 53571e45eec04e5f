"""Is urgency respected: who ends first, how soon is a running job preempted, and does anything urgent ever wait?

- `levels-A-B`, `levels-A-B-C`: single jobs of the same work on these priorities, released together, the least urgent
  first in the document. They must end in the order of urgency; with any other policy (round robin, first come, the
  reverse) the first of the document ends first. Priorities that mean the same level on a board are left out
  (wire-protocol 7.2), as are all where admission control refuses all but one task with a priority (wire-protocol 5.3).
- `deadlines`: the same with three deadlines instead.
- `preempt`: a long job computes in the background while an urgent task releases job after job.
- `crowd`: several periodic tasks at a high load.

Of each run, as far as it tells:

- `in-order`: 1 if the jobs ended in the order of urgency, else 0.
- `inversions`: pairs of jobs of which the less urgent one completed while the more urgent one was there and not at its
  end (`taskgen.bench.urgency`); on boards there from START on, within the spread of their stamps.
- `latency`: how long the urgent jobs waited at most, from arrival to their first instruction. Boards don't tell these:
  there it is by how much longer than its work a job took from START to EXIT; creation and teardown of other jobs'
  processes are part of it.

Theory: preemptive scheduling has no inversions, and a latency of 0 for the most urgent task. Without preemption the
urgent task waits for what is left of the background job (B in George, Rivierre & Spuri, INRIA RR-2966, 1996).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from taskgen.bench.calibration import before_start_ns
from taskgen.bench.scale import PROCESSES, by_deadline, ms, one_job_per_task, quiet, scale_of, task
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.bench.textbook import on_one_core
from taskgen.bench.urgency import inversions, level_of
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.trace import Job
from taskgen.units import to_ns

_LEVELS: Final = ((0, 127), (0, 1), (63, 64), (126, 127), (0, 64, 127))
_URGENT: Final = 0
_BACKGROUND: Final = 1
#: The background's deadline, where only deadlines rank: behind all of the urgent task's.
_LAST_RANK: Final = 9


class Load(NamedTuple):
    """One task of the crowd, in the order of urgency."""

    period: int  #: in periods of the scale
    work: int  #: in tenths of the scale's period


_TEXTBOOK_CROWD: Final = (Load(1, 2), Load(2, 4), Load(4, 8), Load(5, 15))
_PROCESS_CROWD: Final = (Load(1, 1), Load(2, 3), Load(2, 3))


def _cases(setting: Setting) -> list[Case]:
    return [*_levels(setting), _deadlines(setting), _preempt(setting), _crowd(setting)]


# -- in which order


def _levels(setting: Setting) -> list[Case]:
    reason = _without_levels(setting)
    if reason:
        return [_together("levels", setting, [{}], reason)]
    return [
        _together(
            "-".join(["levels", *map(str, levels)]),
            setting,
            [{"priority": level, "deadline": None} for level in levels],
            _without(setting, levels),
        )
        for levels in _LEVELS
    ]


def _without_levels(setting: Setting) -> str:
    if "fp" not in setting.capabilities.policies:
        return "the target has no priorities"
    return "its admission control refuses all but one task with a priority" if by_deadline(setting) else ""


def _without(setting: Setting, levels: Sequence[int]) -> str:
    if len({level_of(setting, level) for level in levels}) == len(levels):
        return ""
    return f"the board has fewer levels: {', '.join(map(str, levels))} aren't all different there"


def _deadlines(setting: Setting) -> Case:
    period_ms = scale_of(setting).period_ms
    urgencies = [{"priority": None, "deadline": rank * period_ms} for rank in (2, 3, 4)]
    reason = "" if "edf" in setting.capabilities.policies else "the target has no deadlines"
    return _together("deadlines", setting, urgencies, reason)


def _together(name: str, setting: Setting, urgencies: Sequence[Mapping[str, Any]], skipped: str) -> Case:
    """Return single jobs that are released together, the least urgent first: who breaks ties by ids begins with it."""
    scale = scale_of(setting)
    tasks = [
        _task(setting, number, period_ms=0, work_ms=scale.long_ms, **urgency)
        for number, urgency in enumerate(reversed(urgencies))
    ]
    return Case(
        name,
        TaskSet(tasks),
        _order,
        {"n": len(tasks)},
        horizon_ms=2 * scale.period_ms,
        predicted={"in-order": 1, "inversions": 0},
        skipped=skipped,
    )


def _task(setting: Setting, number: int, *, rank: int | None = None, **more: Any) -> Task:
    return task(setting, rank=number if rank is None else rank, id=number, **more, **on_one_core(setting))


def _order(measured: Measured) -> Mapping[str, Sample]:
    ends = {job.task_id: job.finish_ns for job in measured.trace.jobs}
    order = [ends.get(number) for number in sorted(measured.trace.tasks, reverse=True)]
    if None in order:
        return {}  # a board may not tell
    told = [end_ns for end_ns in order if end_ns is not None]
    return {"in-order": int(told == sorted(told)), "inversions": inversions(measured.trace, measured.setting)}


# -- how soon, and at all


def _preempt(setting: Setting) -> Case:
    scale = scale_of(setting)
    jobs = scale.jobs // 2 if scale is not PROCESSES else scale.jobs
    # The background's share of the time up to the last release but one.
    work_ms = jobs * scale.period_ms - scale.period_ms - jobs * scale.long_ms
    tasks = [
        _task(setting, _BACKGROUND, rank=_LAST_RANK, period_ms=0, work_ms=work_ms),
        _task(setting, _URGENT, period_ms=scale.period_ms, work_ms=scale.short_ms, jobs=jobs),
    ]
    return Case(
        "preempt",
        TaskSet(tasks),
        _waiting,
        {"jobs": jobs, "background_ms": work_ms},
        horizon_ms=(jobs + 1) * scale.period_ms,
        predicted={"inversions": 0} | ({"latency": 0} if scale is not PROCESSES else {}),
        skipped="a task has one job on this board, whatever its period" if one_job_per_task(setting) else "",
    )


def _waiting(measured: Measured) -> Mapping[str, Sample]:
    trace = measured.trace
    waited = [waited_ns for job in trace.jobs_of(_URGENT) if (waited_ns := _waited_ns(measured, job)) is not None]
    return quiet({"latency": ms(max(waited)) if waited else None, "inversions": inversions(trace, measured.setting)})


def _waited_ns(measured: Measured, job: Job) -> int | None:
    """Return how long an urgent job waited; None: the target doesn't tell."""
    if job.start_ns is None:
        return None
    if job.arrival_ns is not None:
        return job.start_ns - job.arrival_ns if measured.trace.capabilities.trace else None
    setting = measured.setting
    work_ms = setting.work.wcet_ms(next(each for each in measured.taskset if each.get("id") == job.task_id))
    if job.finish_ns is None or work_ms is None:
        return None
    work_ns = to_ns(work_ms, "work") - before_start_ns(setting.generation)
    return max(0, job.finish_ns - job.start_ns - work_ns)


def _crowd(setting: Setting) -> Case:
    scale = scale_of(setting)
    crowd = _PROCESS_CROWD if scale is PROCESSES else _TEXTBOOK_CROWD
    periods = 2 * max(load.period for load in crowd)
    tasks = [
        _task(
            setting,
            number,
            period_ms=load.period * scale.period_ms,
            work_ms=load.work * scale.period_ms // 10,
            jobs=periods // load.period,
        )
        for number, load in reversed(list(enumerate(crowd)))
    ]
    return Case(
        "crowd",
        TaskSet(tasks),
        lambda measured: {"inversions": inversions(measured.trace, measured.setting)},
        {"n": len(tasks)},
        horizon_ms=periods * scale.period_ms,
        predicted={"inversions": 0},
    )


# -- the findings


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    findings = [
        _verdict("order", cases, samples, "in-order", lambda value: value == 1, "end in the order of urgency"),
        _verdict("inversions", cases, samples, "inversions", lambda value: value == 0, "are without inversions"),
    ]
    waited = samples.get("preempt", {}).get("latency")
    if waited:
        text = f"an urgent job waited for {max(waited):g} ms at most while another one computed"
        findings.append(Finding("latency", text, values={"latency_ms": max(waited)}))
    return [finding for finding in findings if finding is not None]


def _verdict(
    name: str,
    cases: Sequence[Case],
    samples: Mapping[str, Samples],
    metric: str,
    good: Callable[[Sample], bool],
    says: str,
) -> Finding | None:
    known = {case.name: found for case in cases if (found := samples.get(case.name, {}).get(metric))}
    if not known:
        return None
    bad = [case for case, found in known.items() if not all(map(good, found))]
    text = f"{len(known) - len(bad)} of {len(known)} cases {says}"
    if bad:
        text += f"; not {', '.join(bad)}"
    return Finding(name, text, ok=not bad, values={"cases": len(known), "bad": bad})


SUITE = Suite(
    name="priority",
    about="is urgency respected: order of ends, preemption, inversions?",
    version=1,
    metrics=(
        Metric("in-order", "1", "more", 0, "1: jobs ended in the order of urgency; 0: they didn't"),
        Metric("inversions", "1", "less", 0, "pairs of which the less urgent job completed while the other one waited"),
        Metric("latency", "ms", "less", 0.05, "the longest wait of an urgent job while a less urgent one computes"),
    ),
    cases=_cases,
    judge=_judge,
)
