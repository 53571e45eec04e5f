"""What becomes of jobs that compute for too long: are they killed, when, and which releases are skipped?

- `critical`: a task whose every job computes for longer than its criticaltime, which is shorter than its period. Each
  is killed at release + criticaltime (EXIT_CRITICAL), and costs nothing else.
- `waiting`: the same, but the jobs that are killed wait for a more urgent task meanwhile, and never compute.
- `period`: a task whose every job computes for 1.25 of its periods and has no criticaltime: the rule of the target.

Of each run:

- `completed`, `killed` (EXIT_CRITICAL), `cut` (EXIT_PERIOD), `untold` (a START without any end): jobs by their ends;
  those that the end of the run cut off don't count.
- `skipped`: releases within the run that had no job, told by NOT_SCHEDULED or by a gap.
- `kill-late`: how long after it was due the latest kill came; due at release + criticaltime, or at the absolute
  deadline under the simulator's overrun rule `kill`; EXIT_PERIOD at release + T. On boards the release attempt is START
  minus the time of creation.

A finding per case compares the counts with the rule. Simulator: `continue` (the default), `kill` or `skip`, whichever
fits. Boards, wire-protocol 6.2 to 6.5: a release that finds the previous job is ignored (G1), destroys it silently
(G3a), cuts it with EXIT_PERIOD (G3b, G4), and in all of these cases starts none itself; G1o and G1p have one job per
task. Predicted is the rule of the generation, or `continue`. A kill that is off by more than the tolerance of the
generation is a finding of its own. Boards of G3 may hang when a job is killed (wire-protocol 6.4, inferred).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from taskgen.bench.arrivals import Clock, born, clock_of, releases
from taskgen.bench.scale import PROCESSES, Scale, ms, quiet, scale_of, spread_ns, task
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.bench.textbook import on_one_core
from taskgen.events import EventType
from taskgen.parameters import Parameters
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.trace import Job
from taskgen.units import Milliseconds, format_ms

_COUNTS: Final = ("completed", "killed", "cut", "untold", "skipped")
_KINDS: Final[Mapping[EventType | None, str]] = {
    EventType.EXIT: "completed",
    EventType.EXIT_CRITICAL: "killed",
    EventType.EXIT_PERIOD: "cut",
    None: "untold",
}
#: Releases of a run: whole pairs of them, since every second one may be skipped; it ends in the middle of the last.
_PAIRS: Final = 10
_BOARD_PAIRS: Final = 2
_OVERRUN: Final = Decimal("1.25")

#: What a rule makes of `period`, from the number of pairs of releases.
Rule = Callable[[int], Mapping[str, int]]


def _continue(pairs: int) -> Mapping[str, int]:
    """Jobs queue: each ends 1.25 periods after the one before, up to half a period after the last release."""
    return {"completed": int((2 * pairs - Decimal("0.5")) / _OVERRUN)}


_RULES: Final[Mapping[str, Rule]] = {
    "continue": _continue,
    "kill": lambda pairs: {"killed": 2 * pairs - 1},  # the end of the run cuts the last one off
    "skip": lambda pairs: {"completed": pairs, "skipped": pairs},
    "ignored": lambda pairs: {"completed": pairs, "skipped": pairs},
    # STOP still takes the last one for alive, and reports EXIT_EXTERNAL.
    "destroyed": lambda pairs: {"untold": pairs - 1, "skipped": pairs},
    "cut": lambda pairs: {"cut": pairs, "skipped": pairs},
    "one job": lambda pairs: {"completed": 1, "skipped": 2 * pairs - 1},
}
#: Which rules a target may follow; of the simulator only its options tell.
_FOLLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "ideal": ("continue", "kill", "skip"),
    "G1": ("ignored",),
    "G1o": ("one job",),
    "G1p": ("one job",),
    "G3a": ("destroyed",),
    "G3b": ("cut",),
    "G4": ("cut",),
}


def _lacks(setting: Setting) -> str:
    return "" if setting.capabilities.outcomes else "the target doesn't tell how jobs end"


def _followed(setting: Setting) -> tuple[str, ...]:
    """Return the rules of which the target follows one; none: nobody knows."""
    return _FOLLOWED.get(setting.generation, ())


def _cases(setting: Setting) -> list[Case]:
    scale = scale_of(setting)
    pairs = _BOARD_PAIRS if scale is PROCESSES else _PAIRS
    rules = _followed(setting)
    number = 1 if "one job" in rules else 2 * pairs
    skipped = 2 * pairs - number
    kills = "" if setting.capabilities.kill else "the target has no criticaltime"
    cases = (
        ("critical", _critical, {"killed": number, "skipped": skipped}, kills),
        ("waiting", _waiting, {"completed": number, "killed": number, "skipped": 2 * skipped}, kills),
        ("period", _late, _RULES[rules[0]](pairs) if rules else None, ""),
    )
    return [
        Case(
            name,
            TaskSet(tasks(setting, scale)),
            _measure,
            {"pairs": pairs, "rules": ",".join(rules) if name == "period" else ""},
            horizon_ms=(4 * pairs - 1) * scale.period_ms // 2,
            predicted={} if counts is None else {**dict.fromkeys(_COUNTS, 0), **counts},
            skipped=lacking,
        )
        for name, tasks, counts, lacking in cases
    ]


def _critical(setting: Setting, scale: Scale) -> list[Task]:
    return [_task(setting, scale, scale.long_ms, criticaltime=scale.long_ms * 2 // 3, **_alone(setting))]


def _waiting(setting: Setting, scale: Scale) -> list[Task]:
    return [
        _task(setting, scale, scale.long_ms),
        _task(setting, scale, scale.short_ms, rank=1, criticaltime=scale.long_ms * 2 // 3),
    ]


def _late(setting: Setting, scale: Scale) -> list[Task]:
    return [_task(setting, scale, _OVERRUN * scale.period_ms, criticaltime=None, **_alone(setting))]


def _task(setting: Setting, scale: Scale, work_ms: Milliseconds, *, rank: int = 0, **more: Any) -> Task:
    return task(setting, rank=rank, period_ms=scale.period_ms, work_ms=work_ms, id=rank, **on_one_core(setting), **more)


def _alone(setting: Setting) -> Mapping[str, Any]:
    """Return the urgency of a task without others: a late one with a deadline would disturb optimisers and kernels."""
    return {"priority": 0, "deadline": None} if "fp" in setting.capabilities.policies else {}


# -- what happened


def _measure(measured: Measured) -> Mapping[str, Sample]:
    trace, clock = measured.trace, clock_of(measured.setting)
    jobs = [job for job in trace.jobs if born(job)]
    ends = Counter(_KINDS.get(job.outcome) for job in jobs)
    due = sum(releases(task, trace.plan.horizon.time_ns) for task in trace.tasks.values())
    late = [late_ns for job in jobs if (late_ns := _late_ns(job, trace.tasks[job.task_id], clock)) is not None]
    for late_ns in late:
        if abs(late_ns) > spread_ns(measured.setting, len(trace.tasks) - 1):
            measured.notes.append(f"a kill came {format_ms(late_ns)} ms after it was due")
    counts = {name: ends[name] for name in _COUNTS} | {"skipped": due - len(jobs)}
    return quiet({**counts, "kill-late": ms(max(late)) if late else None})


def _late_ns(job: Job, task: Parameters, clock: Clock) -> int | None:
    """Return how long after it was due a kill came; None: the job wasn't killed."""
    release_ns = clock.release_ns(job)
    if release_ns is None or job.finish_ns is None:
        return None
    if job.outcome is EventType.EXIT_PERIOD:
        return job.finish_ns - release_ns - task.period_ns
    if job.outcome is not EventType.EXIT_CRITICAL:
        return None
    if task.critical_ns:
        return job.finish_ns - release_ns - task.critical_ns
    return None if job.deadline_ns is None else job.finish_ns - job.deadline_ns


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    return [_found(case, samples[case.name]) for case in cases if samples.get(case.name, {}).get("skipped")]


def _found(case: Case, samples: Samples) -> Finding:
    """Say which rule all runs of a case followed."""
    seen = [dict(zip(_COUNTS, run, strict=True)) for run in zip(*(samples[name] for name in _COUNTS), strict=True)]
    rules = _rules_of(case)
    followed = [name for name, counts in rules.items() if all(run == counts for run in seen)]
    told = ", ".join(f"{count} {name}" for name, count in seen[0].items() if count) or "no job"
    if followed:
        text = f"{told}, as {followed[0]} says"
    elif rules:
        wrong = next(run for run in seen if run not in rules.values())
        told = ", ".join(f"{count} {name}" for name, count in wrong.items() if count) or "no job"
        text = f"{told}, which isn't what {' or '.join(rules)} says"
    else:
        text = f"{told}; no rule is known"
    ok = bool(followed) if rules else None
    return Finding(case.name, text, ok=ok, values={"rule": followed[0] if followed else None, **seen[0]})


def _rules_of(case: Case) -> Mapping[str, Mapping[str, Sample]]:
    """Return what each rule makes of a case, by its name."""
    none = dict.fromkeys(_COUNTS, 0)
    if case.name != "period":
        return {"criticaltime": case.predicted}
    names = str(case.params["rules"]).split(",")
    return {name: {**none, **_RULES[name](int(case.params["pairs"]))} for name in names if name}


_PER_RUN: Final = "jobs of a run that "
SUITE = Suite(
    name="overrun",
    about="what becomes of jobs that compute for too long: are they killed, when, and what is skipped?",
    version=1,
    metrics=(
        Metric("completed", "1", "more", 0, f"{_PER_RUN}ended by themselves"),
        Metric("killed", "1", "less", 0, f"{_PER_RUN}ended with EXIT_CRITICAL"),
        Metric("cut", "1", "less", 0, f"{_PER_RUN}ended with EXIT_PERIOD"),
        Metric("untold", "1", "less", 0, f"{_PER_RUN}began, and nothing tells how they ended"),
        Metric("skipped", "1", "less", 0, "releases of a run without a job"),
        Metric("kill-late", "ms", "less", 1, "how long after it was due the latest kill came"),
    ),
    cases=_cases,
    lacks=_lacks,
    judge=_judge,
)
