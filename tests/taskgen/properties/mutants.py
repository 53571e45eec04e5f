"""Broken schedulers and life cycles, each a few lines, and the law that has to notice."""

import random
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from sim import Job, Policy, SimSession
from sim.policy import JobFixedPriority, Mixed
from taskgen.events import Event
from taskgen.parameters import NO_PRIORITY, Parameters
from taskgen.session import Plan, Session
from taskgen.units import NS_PER_MS
from tests.taskgen.properties import distortions as distort

# -- policies


class Inverted(JobFixedPriority):
    """The largest number is the most urgent."""

    def priorities(self, tasks: Any) -> dict[int, int | None]:
        return {task.id: -(task.priority or 0) for task in tasks}


class NewestOfEquals(Policy):
    """An equal priority preempts."""

    def rank(self, job: Job, now_ns: int) -> Any:
        return (job.task.priority, -job.release_ns)


class NewestOfEqualDeadlines(Policy):
    def rank(self, job: Job, now_ns: int) -> Any:
        return (job.deadline_ns, -job.release_ns)


class NewestOfEqualsInBand(Mixed):
    def rank(self, job: Job, now_ns: int) -> Any:
        return (super().rank(job, now_ns), -job.release_ns)


class LongestPeriodFirst(JobFixedPriority):
    def priorities(self, tasks: Any) -> dict[int, int | None]:
        return {task.id: -task.period_ns for task in tasks}


class LongestDeadlineFirst(JobFixedPriority):
    def priorities(self, tasks: Any) -> dict[int, int | None]:
        return {task.id: -(task.effective_deadline_ns or 0) for task in tasks}


class RelativeDeadline(JobFixedPriority):
    """EDF that forgets to add the arrival."""

    def priorities(self, tasks: Any) -> dict[int, int | None]:
        return {task.id: task.effective_deadline_ns for task in tasks}


class DeadlineFromStart(Policy):
    """EDF whose deadlines count from the first dispatch."""

    dynamic = True

    def rank(self, job: Job, now_ns: int) -> int:
        return (now_ns if job.start_ns is None else job.start_ns) + job.relative_ns


class ShortCounter(Policy):
    """EDF whose relative deadlines are kept in a counter that overflows at 20 ms."""

    def rank(self, job: Job, now_ns: int) -> int:
        return job.arrival_ns + job.relative_ns % (20 * NS_PER_MS + 1)


class RareFirst(Policy):
    """EDF that prefers whatever comes less often than every 20 ms."""

    def rank(self, job: Job, now_ns: int) -> int:
        return 0 if job.task.period_ns > 20 * NS_PER_MS else job.deadline_ns


class OneBand(Policy):
    """Mixed sets without bands: everything by deadline."""

    def rank(self, job: Job, now_ns: int) -> int:
        return job.deadline_ns


class StubbornBackground(Mixed):
    """A background job that has begun isn't preempted."""

    dynamic = True

    def rank(self, job: Job, now_ns: int) -> int:
        background = job.task.deadline_ns or job.task.priority == NO_PRIORITY
        return -1 if background and job.start_ns is not None else super().rank(job, now_ns)


class Aging(Policy):
    """Who has waited for 5 ms goes first, whatever its priority."""

    dynamic = True

    def rank(self, job: Job, now_ns: int) -> int:
        return -1 if now_ns - job.release_ns >= 5 * NS_PER_MS else job.task.priority or 0


class Moody(Policy):
    """Ranks by a generator that nobody seeded."""

    def rank(self, job: Job, now_ns: int) -> float:
        return random.random()


def thief(env: Any, processor: Any) -> Generator[Any, None, None]:
    """Take the core away for a millisecond every 3 ms, whoever waits."""
    while True:
        yield env.timeout(3 * NS_PER_MS)
        processor.interrupt(NS_PER_MS)


def robbed(**options: Any) -> SimSession:
    return SimSession(**options, processes=(thief,))


# -- sessions


class Executes(SimSession):
    """Jobs execute a millisecond more than C, or less."""

    def __init__(self, by_ms: int, **options: Any) -> None:
        super().__init__(**options)
        self._by_ns = by_ms * NS_PER_MS

    def work(self, task: Parameters) -> int:
        return max(1, (task.wcet_ns or 0) + self._by_ns)


def planned(change: Callable[[Parameters], dict[str, Any]]) -> type[SimSession]:
    """Return a simulator that runs another plan than the one that it was given."""

    class Planned(SimSession):
        def events(self, plan: Plan) -> Generator[Event, None, None]:
            other = tuple(replace(task, **change(task)) for task in plan.tasks)
            return super().events(replace(plan, tasks=other))

    return Planned


def distorted(base: type[Session], change: distort.Distortion) -> type[Any]:
    """Return a session that tells something else than what happened."""

    class Distorted(base):  # type: ignore[misc, valid-type]  # a class of any session
        def events(self, plan: Plan) -> Iterator[Event]:
            yield from change(plan, super().events(plan))

    return Distorted


class Mutant(NamedTuple):
    """A broken session, the law that notices, and sets on which it does."""

    name: str
    law: str
    broken: Callable[[], Session]
    claims: dict[str, Any]  #: what it says of itself: the options of the simulator that it pretends to be
    kind: str = "FP"
    extras: Mapping[str, int] = MappingProxyType({})
    load: float = 1.0


def by_policy(law: str, policy: type[Policy], claims: dict[str, Any], kind: str = "FP", **how: Any) -> Mutant:
    options = {**claims, "policy": policy}
    return Mutant(policy.__name__, law, lambda: SimSession(**options), claims, kind, **how)


def by_session(law: str, name: str, cls: Callable[..., Session], claims: dict[str, Any], **how: Any) -> Mutant:
    return Mutant(name, law, lambda: cls(**claims), claims, **how)


def by_plan(law: str, name: str, change: Callable[[Parameters], dict[str, Any]], **how: Any) -> Mutant:
    return by_session(law, name, planned(change), FP, **how)


def limited_by(more: int) -> Callable[[Parameters], dict[str, Any]]:
    """Change numberofjobs by so many, where there is one."""
    return lambda task: {"jobs": None if task.jobs is None else max(1, task.jobs + more)}


def killed_by(later_ns: int) -> Callable[[Parameters], dict[str, Any]]:
    """Change criticaltime by so much, where there is one."""
    return lambda task: {"critical_ns": None if task.critical_ns is None else task.critical_ns + later_ns}


def by_stream(law: str, change: distort.Distortion, **how: Any) -> Mutant:
    return by_session(law, change.__name__, distorted(SimSession, change), how.pop("claims", FP), **how)


FP: dict[str, Any] = {"policy": "fp"}
EDF: dict[str, Any] = {"policy": "edf"}
MIXED: dict[str, Any] = {"policy": "auto"}
GLOBAL: dict[str, Any] = {"cores": 2, "migration": "global"}
STUBBORN: dict[str, Any] = {"preemptive": False}

MUTANTS = (
    # priority inverted
    by_policy("fixed_priority_order", Inverted, FP),
    by_policy("fixed_priority_order", Inverted, {**FP, **GLOBAL}, load=2.0),
    by_policy("fixed_priority_response", Inverted, FP),
    by_policy("critical_instant", Inverted, FP, load=0.7),
    by_policy("nonpreemptive_fixed_priority_order", Inverted, {**FP, **STUBBORN}),
    by_policy("nonpreemptive_fixed_priority_response", Inverted, {**FP, **STUBBORN}),
    by_policy("fixed_priority_events", Inverted, FP),
    by_policy("edf_events", LongestDeadlineFirst, EDF, "EDF"),
    by_policy("rate_monotonic_order", LongestPeriodFirst, {"policy": "rm"}),
    by_policy("rate_monotonic_response", LongestPeriodFirst, {"policy": "rm"}),
    by_policy("nonpreemptive_rate_monotonic_order", LongestPeriodFirst, {"policy": "rm", **STUBBORN}),
    by_policy("nonpreemptive_rate_monotonic_response", LongestPeriodFirst, {"policy": "rm", **STUBBORN}),
    by_policy("deadline_monotonic_order", LongestDeadlineFirst, {"policy": "dm"}, "EDF"),
    by_policy("deadline_monotonic_response", LongestDeadlineFirst, {"policy": "dm"}, "EDF"),
    by_policy("nonpreemptive_deadline_monotonic_order", LongestDeadlineFirst, {"policy": "dm", **STUBBORN}, "EDF"),
    by_policy("nonpreemptive_deadline_monotonic_response", LongestDeadlineFirst, {"policy": "dm", **STUBBORN}, "EDF"),
    # tie unstable
    by_policy("fixed_priority_ties", NewestOfEquals, FP),
    by_policy("edf_ties", NewestOfEqualDeadlines, EDF, "EDF"),
    by_policy("mixed_ties", NewestOfEqualsInBand, MIXED, "mixed"),
    # non-preemptive
    Mutant("NonPreemptive", "fixed_priority_order", lambda: SimSession(policy="fp", preemptive=False), FP),
    Mutant("NonPreemptive", "fixed_priority_response", lambda: SimSession(policy="fp", preemptive=False), FP),
    Mutant("NonPreemptive", "less_execution", lambda: SimSession(policy="fp", preemptive=False), FP),
    Mutant("NonPreemptive", "edf_demand", lambda: SimSession(policy="edf", preemptive=False), EDF, "EDF", load=0.8),
    Mutant("Preemptive", "nonpreemptive_fixed_priority_order", lambda: SimSession(policy="fp"), {**FP, **STUBBORN}),
    # EDF by other deadlines
    by_policy("edf_order", RelativeDeadline, EDF, "EDF"),
    by_policy("edf_order", DeadlineFromStart, EDF, "EDF"),
    by_policy("edf_order", RelativeDeadline, {**EDF, **GLOBAL}, "EDF", load=2.0),
    by_policy("nonpreemptive_edf_order", DeadlineFromStart, {**EDF, **STUBBORN}, "EDF"),
    by_policy("edf_full_utilization", LongestDeadlineFirst, EDF, "EDF", load=0.8),
    by_policy("edf_demand", RelativeDeadline, EDF, "EDF", load=0.9),
    by_policy("edf_overload", RelativeDeadline, EDF, "EDF", load=1.3),
    # bands
    by_policy("mixed_order", OneBand, MIXED, "mixed"),
    by_policy("mixed_order", StubbornBackground, MIXED, "mixed"),
    by_policy("nonpreemptive_mixed_order", OneBand, {**MIXED, **STUBBORN}, "mixed"),
    by_policy("mixed_band", StubbornBackground, MIXED, "mixed"),
    # what less urgent tasks do, and what gets better
    by_policy("independence", Aging, FP),
    by_policy("less_execution", Aging, FP),
    by_policy("longer_periods", RareFirst, EDF, "EDF", load=0.8),
    by_policy("longer_deadlines", ShortCounter, EDF, "EDF", load=0.8),
    by_policy("determinism", Moody, FP),
    # idle while a job is ready
    by_session("work_conservation", "thief", robbed, FP),
    by_session("work_conservation", "thief", robbed, {**FP, **GLOBAL}),
    by_session("fixed_priority_response", "thief", robbed, FP),
    # executes something else
    by_session("executes_wcet", "C + 1", lambda **options: Executes(1, **options), FP),
    by_session("executes_wcet", "C - 1", lambda **options: Executes(-1, **options), FP, load=2.0),
    by_session("critical_instant", "C - 1", lambda **options: Executes(-1, **options), FP, load=0.7),
    by_session("exit_means_completed", "C - 1", lambda **options: Executes(-1, **options), FP, load=2.0),
    by_session("edf_overload", "C - 1", lambda **options: Executes(-1, **options), EDF, kind="EDF", load=1.3),
    by_session("edf_full_utilization", "C + 1", lambda **options: Executes(1, **options), EDF, kind="EDF"),
    # timers
    by_plan("release_separation", "late timer", lambda task: {"period_ns": task.period_ns + NS_PER_MS}),
    by_plan("release_separation", "early timer", lambda task: {"period_ns": task.period_ns - NS_PER_MS}),
    by_plan("release_separation", "no offset", lambda task: {"offset_ns": 0}, extras={"max_offset": 12}),
    by_plan("release_separation", "late by jitter", lambda task: {"jitter_ns": 1}),
    # jobs
    by_plan("job_counts", "one job too many", limited_by(1), extras={"max_jobs": 5}),
    by_plan("job_counts", "one job too few", limited_by(-1), extras={"max_jobs": 5}),
    by_stream("job_counts", distort.last_job_lost),
    by_stream("job_counts", distort.never_done, extras={"max_jobs": 5}),
    by_stream("event_stream", distort.job_lost),
    by_stream("event_stream", distort.double_exit),
    by_stream("event_stream", distort.wrong_index),
    by_stream("event_stream", distort.alive_after_the_end),
    by_stream("event_stream", distort.cut_jobs_forgotten),
    by_stream("scheduler_stream", distort.silent_preemption),
    by_stream("scheduler_stream", distort.silent_preemption, claims={**FP, **GLOBAL}, load=2.0),
    by_stream("scheduler_stream", distort.never_idle, load=0.6),
    by_stream("jobs_in_order", distort.last_in_first_out),
    by_stream("exit_means_completed", distort.cut_jobs_exit),
    # kills
    by_plan("kill_at_criticaltime", "kill ignored", lambda _: {"critical_ns": None}, extras={"max_criticaltime": 20}),
    by_plan("kill_at_criticaltime", "kill late", killed_by(1), extras={"max_criticaltime": 20}),
    by_plan("kill_at_criticaltime", "kill early", killed_by(-1), extras={"max_criticaltime": 20}),
    # misses
    by_stream("misses_told", distort.misses_untold, load=1.3),
    by_stream("misses_told", distort.misses_from_start, load=1.3),
    # the end
    by_stream("nothing_after_stop", distort.alive_after_stop),
    by_stream("nothing_after_stop", distort.late_end),
)  # fmt: skip
