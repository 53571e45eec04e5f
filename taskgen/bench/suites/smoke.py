"""Does each feature work at all?

One case per feature: single jobs, periods, job limits, offsets, sporadic arrivals, kills, priorities, deadlines,
both together, cores, admission, the horizon. Each run samples `pass`: 1 if the run is what the feature promises, 0 if
not; a finding then says what went wrong. A feature that the target doesn't have is left out, with the reason.

What is expected is the life cycle of jobs: design of the simulator for `ideal`, wire-protocol 6 for boards. Times count
within the tolerance of the generation (wire-protocol 6.6, 6.7); which of two jobs runs first, without any.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taskgen.bench.scale import (
    Scale,
    by_deadline,
    one_job_per_task,
    row_of,
    scale_of,
    spread_ns,
    task,
    tests_each_task,
    tolerance_of,
)
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.events import EventType
from taskgen.optimizations.fairness import Fairness
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.trace import Job
from taskgen.units import NS_PER_MS, format_ms

_EXIT, _KILLED, _CUT = EventType.EXIT, EventType.EXIT_CRITICAL, EventType.EXIT_EXTERNAL
_LIMIT: Final = 3

#: What is wrong with a run; empty: nothing; None: the target doesn't tell.
Wrong = str | None


@dataclass(frozen=True, slots=True)
class Feature:
    """One case."""

    name: str
    tasks: Callable[[Setting, Scale], Sequence[Task]]
    wrong: Callable[[Measured, Scale], Wrong]
    lacks: Callable[[Setting], str] = lambda _: ""
    periods: int = _LIMIT  #: how long the run lasts
    admission: Mapping[str, Any] | None = None


# -- the sets; the longest period comes first where the order in the document must not matter


def _alone(setting: Setting, scale: Scale) -> list[Task]:
    return [task(setting, rank=0, period_ms=0, work_ms=scale.short_ms)]


def _periodic(setting: Setting, scale: Scale) -> list[Task]:
    return [task(setting, rank=0, period_ms=scale.period_ms, work_ms=scale.short_ms)]


def _limited(setting: Setting, scale: Scale) -> list[Task]:
    return [task(setting, rank=0, period_ms=scale.period_ms, work_ms=scale.short_ms, numberofjobs=_LIMIT)]


def _delayed(setting: Setting, scale: Scale) -> list[Task]:
    later = {"offset": scale.period_ms // 2}
    return [
        task(setting, rank=rank, period_ms=2 * scale.period_ms, work_ms=scale.short_ms, jobs=1, **more)
        for rank, more in enumerate(({}, later))
    ]


def _sporadic(setting: Setting, scale: Scale) -> list[Task]:
    arrivals = [0, scale.period_ms, scale.period_ms * 5 // 2]
    return [task(setting, rank=0, period_ms=scale.period_ms, work_ms=scale.short_ms, arrivals=tuple(arrivals))]


def _killed(setting: Setting, scale: Scale) -> list[Task]:
    short = {"criticaltime": scale.long_ms * 2 // 3}
    return [task(setting, rank=0, period_ms=4 * scale.period_ms, work_ms=scale.long_ms, jobs=1, **short)]


def _ranked(first: Mapping[str, Any], second: Mapping[str, Any]) -> Callable[[Setting, Scale], list[Task]]:
    """Return what makes two tasks; what the shorter one has of the other's rank would let it end first."""

    def tasks(setting: Setting, scale: Scale) -> list[Task]:
        none = {"priority": None, "deadline": None}
        return [
            task(setting, rank=0, period_ms=2 * scale.period_ms, work_ms=work_ms, jobs=1, **none | _times(more, scale))
            for more, work_ms in ((first, scale.short_ms), (second, scale.long_ms))
        ]

    return tasks


def _times(more: Mapping[str, Any], scale: Scale) -> dict[str, Any]:
    return {key: value * scale.period_ms if key == "deadline" else value for key, value in more.items()}


def _mixed(setting: Setting, scale: Scale) -> list[Task]:
    # The task with a priority comes first: a board that tests it would refuse it behind another one.
    second, first = _ranked({"deadline": 1}, {"priority": 10})(setting, scale)
    return [first, second]


def _apart(setting: Setting, scale: Scale) -> list[Task]:
    row = row_of(setting)
    places = (0, 1) if row is None else (1, 2)  # boards count from 1 (wire-protocol 7.3)
    return [
        task(
            setting, rank=0, period_ms=2 * scale.period_ms, work_ms=2 * scale.long_ms, jobs=1, cores=2, coreoffset=place
        )
        for place in places
    ]


def _endless(setting: Setting, scale: Scale) -> list[Task]:
    longer_ms = scale.period_ms * (_LIMIT + 1)
    return [task(setting, rank=0, period_ms=2 * longer_ms, work_ms=longer_ms, criticaltime=None)]


# -- what is wrong with a run


def _jobs(measured: Measured, task_id: int) -> list[Job]:
    return [job for job in measured.trace.jobs_of(task_id) if job.start_ns is not None]


def _one_job(measured: Measured, _: Scale) -> Wrong:
    return _counted(measured, 1)


def _counted(measured: Measured, expected: int) -> Wrong:
    jobs = _jobs(measured, 0)
    if len(jobs) != expected:
        return f"expected {expected} jobs, saw {len(jobs)}"
    strange = next((job for job in jobs if job.outcome not in {_EXIT, None}), None)
    return "" if strange is None else f"job {strange.index} ended with {strange.outcome}, expected EXIT"


def _each_period(measured: Measured, scale: Scale) -> Wrong:
    expected = [number * scale.period_ms * NS_PER_MS for number in range(_LIMIT)]
    return _counted(measured, len(expected)) or _at(measured, expected)


def _as_arrived(measured: Measured, scale: Scale) -> Wrong:
    period_ns = scale.period_ms * NS_PER_MS
    expected = [0, period_ns, period_ns * 5 // 2]
    return _counted(measured, len(expected)) or _at(measured, expected)


def _at(measured: Measured, expected_ns: Sequence[int]) -> Wrong:
    """Compare when jobs began with when they should have, after the first one."""
    began = [job.start_ns or 0 for job in _jobs(measured, 0)]
    for number, (start_ns, due_ns) in enumerate(zip(began, expected_ns, strict=True)):
        if abs(start_ns - began[0] - due_ns) > spread_ns(measured.setting, 0):
            late = format_ms(start_ns - began[0])
            return f"job {number} began {late} ms after the first, expected {format_ms(due_ns)}"
    return ""


def _limit_kept(measured: Measured, _: Scale) -> Wrong:
    return _counted(measured, _LIMIT)


def _offset_kept(measured: Measured, scale: Scale) -> Wrong:
    pair = [next(iter(_jobs(measured, number)), None) for number in (0, 1)]
    if None in pair:
        return f"task {pair.index(None)} had no job"
    row = row_of(measured.setting)
    # Where offsets are slept through before any task begins, both begin together (wire-protocol 6.5).
    together = row is not None and row.offsets == "blocking"
    due_ns = 0 if together else scale.period_ms // 2 * NS_PER_MS
    apart_ns = (pair[1].start_ns or 0) - (pair[0].start_ns or 0)  # type: ignore[union-attr]  # None was returned
    if abs(apart_ns - due_ns) > spread_ns(measured.setting, 1):
        return f"task 1 began {format_ms(apart_ns)} ms after task 0, expected {format_ms(due_ns)}"
    return ""


def _kill_done(measured: Measured, scale: Scale) -> Wrong:
    jobs = _jobs(measured, 0)
    if not jobs:
        return "expected a job, saw none"
    if jobs[0].outcome is not _KILLED:
        return f"the job ended with {jobs[0].outcome}, expected EXIT_CRITICAL"
    due_ns = scale.long_ms * 2 // 3 * NS_PER_MS
    if abs((jobs[0].finish_ns or 0) - due_ns) > spread_ns(measured.setting, 0):
        return f"the job was killed at {format_ms(jobs[0].finish_ns or 0)} ms, expected {format_ms(due_ns)}"
    return ""


def _second_first(measured: Measured, _: Scale) -> Wrong:
    return _in_order(measured, earlier=1, later=0)


def _first_first(measured: Measured, _: Scale) -> Wrong:
    return _in_order(measured, earlier=0, later=1)


def _in_order(measured: Measured, *, earlier: int, later: int) -> Wrong:
    ends: list[int] = []
    for number in (earlier, later):
        job = next(iter(_jobs(measured, number)), None)
        if job is None:
            return f"task {number} had no job"
        if job.finish_ns is None:
            return None
        ends.append(job.finish_ns)
    if ends[0] > ends[1]:
        times = " and ".join(f"{format_ms(end)} ms" for end in ends)
        return f"tasks {earlier} and {later} ended at {times}, expected the more urgent one first"
    return ""


def _parallel(measured: Measured, scale: Scale) -> Wrong:
    pair = [next(iter(_jobs(measured, number)), None) for number in (0, 1)]
    if None in pair:
        return f"task {pair.index(None)} had no job"
    ends = [job.finish_ns for job in pair if job is not None]
    if None in ends:
        return None
    took_ns = max(end or 0 for end in ends) - min(job.start_ns or 0 for job in pair if job is not None)
    if took_ns >= 4 * scale.long_ms * NS_PER_MS:
        return f"two jobs of {2 * scale.long_ms} ms took {format_ms(took_ns)} ms together: not on two cores"
    return ""


def _admitted(measured: Measured, _: Scale) -> Wrong:
    return "a single light task was refused" if measured.rejected else _counted(measured, 1)


def _cut_off(measured: Measured, scale: Scale) -> Wrong:
    jobs = _jobs(measured, 0)
    if len(jobs) != 1:
        return f"expected 1 job, saw {len(jobs)}"
    if jobs[0].outcome is not _CUT:
        return f"the job ended with {jobs[0].outcome}, expected EXIT_EXTERNAL"
    horizon_ns = _LIMIT * scale.period_ms * NS_PER_MS
    latest_ns = max(event.time_ns for event in measured.trace.events)
    spread = spread_ns(measured.setting, 0)
    if not horizon_ns - spread <= latest_ns <= horizon_ns + spread + tolerance_of(measured.setting).stop_ns:
        return f"the last event came at {format_ms(latest_ns)} ms, the horizon was at {format_ms(horizon_ns)}"
    return ""


# -- what a target may lack


def _no(capability: str, reason: str) -> Callable[[Setting], str]:
    return lambda setting: "" if getattr(setting.capabilities, capability) else reason


def _no_policy(name: str, reason: str) -> Callable[[Setting], str]:
    return lambda setting: "" if name in setting.capabilities.policies else reason


def _first_of(*conditions: Callable[[Setting], str]) -> Callable[[Setting], str]:
    return lambda setting: next(filter(None, (condition(setting) for condition in conditions)), "")


def _one_job_only(setting: Setting) -> str:
    return "a task has one job on this board, whatever its period" if one_job_per_task(setting) else ""


def _refuses_priorities(setting: Setting) -> str:
    refuses = by_deadline(setting) and "fp" in setting.capabilities.policies
    return "its admission control refuses all but one task with a priority" if refuses else ""


def _tests_all(setting: Setting) -> str:
    return "its admission control refuses all else beside a task with a priority" if tests_each_task(setting) else ""


def _one_core(setting: Setting) -> str:
    if setting.capabilities.cores < 2:
        return "the target has one core"
    row = row_of(setting)
    return "" if row is None or "cores" in row.needs else "the board puts all tasks on one core"


_UNTOLD = _no("outcomes", "the target doesn't tell how jobs end")

FEATURES: Final = (
    Feature("single-job", _alone, _one_job),
    Feature("periodic", _periodic, _each_period, _one_job_only),
    Feature("numberofjobs", _limited, _limit_kept, _no("job_limits", "the target has no numberofjobs"), 2 * _LIMIT),
    Feature("offset", _delayed, _offset_kept, _no("offsets", "the target has no offsets")),
    Feature("sporadic", _sporadic, _as_arrived, _no("sporadic", "the target has no sporadic arrivals")),
    Feature(
        "criticaltime", _killed, _kill_done, _first_of(_no("kill", "the target has no criticaltime"), _UNTOLD)
    ),
    Feature(
        "two-priorities", _ranked({"priority": 127}, {"priority": 0}), _second_first,
        _first_of(_no_policy("fp", "the target has no priorities"), _refuses_priorities),
    ),
    Feature(
        "edf", _ranked({"deadline": 2}, {"deadline": 1}), _second_first,
        _no_policy("edf", "the target has no deadlines"),
    ),
    Feature(
        "mixed", _mixed, _first_first,
        _first_of(_no_policy("mixed", "the target doesn't mix priorities and deadlines"), _tests_all),
    ),
    Feature("cores", _apart, _parallel, _one_core),
    Feature(
        "admission", _alone, _admitted, _no("admission", "the target has no admission control"), admission=Fairness()
    ),
    Feature("stop-at-horizon", _endless, _cut_off, _UNTOLD),
)  # fmt: skip


def _cases(setting: Setting) -> list[Case]:
    return [_case(feature, setting, scale_of(setting)) for feature in FEATURES]


def _case(feature: Feature, setting: Setting, scale: Scale) -> Case:
    def measure(measured: Measured) -> Mapping[str, Sample]:
        wrong = feature.wrong(measured, scale)
        if wrong is None:
            return {}
        if wrong:
            measured.notes.append(wrong)
        return {"pass": 0 if wrong else 1}

    return Case(
        feature.name,
        TaskSet(feature.tasks(setting, scale)),
        measure,
        horizon_ms=feature.periods * scale.period_ms,
        admission=feature.admission,
        skipped=feature.lacks(setting),
    )


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    """Count the features that work; where nothing was measured, or the target doesn't tell, nothing is claimed."""
    passed = {case.name: all(found) for case in cases if (found := samples.get(case.name, {}).get("pass"))}
    works, unknown = sum(passed.values()), len(cases) - len(passed)
    text = f"{works} of {len(passed)} features work" + (f", of {unknown} nothing is known" if unknown else "")
    return [Finding("features", text, ok=False if works < len(passed) else None if unknown else True)]


SUITE = Suite(
    name="smoke",
    about="does each feature work?",
    version=1,
    metrics=(Metric("pass", "1", "more", 0, "1: the run was what the feature promises; 0: it wasn't"),),
    cases=_cases,
    judge=_judge,
)
