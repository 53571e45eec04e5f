"""The processor against a reference scheduler that is slow and obvious: it looks at the world once per tick."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import Policy, SimSession, simulate
from taskgen import EventType, Job, TaskSet, Trace
from taskgen.units import NS_PER_MS

INFINITE = 10**9


@dataclass
class RefJob:
    task: dict[str, Any]
    index: int
    arrival: int
    left: int
    start: int | None = None
    finish: int | None = None
    outcome: str | None = None
    preemptions: int = 0

    @property
    def deadline(self) -> int:
        return self.arrival + (self.task.get("deadline") or self.task["period"] or INFINITE)


def rank(job: RefJob, policy: str, tasks: list[dict[str, Any]]) -> tuple[int, int]:
    """Return band and rank inside it; see design of the policies."""
    task = job.task
    if policy == "fp":
        return (0, task["priority"])
    if policy == "edf":
        return (1, job.deadline)
    if policy in {"rm", "dm"}:  # the shorter, the more urgent; no period (or deadline) ranks last; ties by id

        def length(task: dict[str, Any]) -> int:
            return ((task.get("deadline") if policy == "dm" else None) or task["period"]) or INFINITE

        return (0, sorted((length(t), t["id"]) for t in tasks).index((length(task), task["id"])))
    if task.get("deadline") or task.get("priority") == 128:
        return (1, job.deadline)
    return (0, task.get("priority", 127))


def kill_time(job: RefJob, overrun: str) -> int:
    limit = job.arrival + (job.task.get("criticaltime") or INFINITE)
    return min(limit, job.deadline) if overrun == "kill" else limit


def released(tasks: list[dict[str, Any]], now: int) -> Iterator[RefJob]:
    """Yield the jobs that are released at this tick."""
    for task in tasks:
        since = now - task.get("offset", 0)
        if since < 0 or (since % task["period"] if task["period"] else since):
            continue
        index = since // task["period"] if task["period"] else 0
        if index < (task.get("numberofjobs") or (INFINITE if task["period"] else 1)):
            yield RefJob(task, index, now, task["executiontime"])


def choose(ready: list[RefJob], running: RefJob | None, tasks: list[dict[str, Any]], policy: str, tie: str) -> RefJob:
    """Return the job that runs next."""
    if tie == "index":
        return min(ready, key=lambda job: (rank(job, policy, tasks), job.task["id"]))
    best = min(ready, key=lambda job: (rank(job, policy, tasks), job.arrival, job.task["id"]))
    if running is not None and rank(running, policy, tasks) <= rank(best, policy, tasks):
        return running
    return best


def reference(tasks: list[dict[str, Any]], *, policy: str, tie: str, overrun: str, horizon: int) -> list[RefJob]:
    """Simulate one core in ticks of 1 ms and return all jobs."""
    jobs: list[RefJob] = []
    alive: list[RefJob] = []
    running: RefJob | None = None
    for now in range(horizon + 1):
        ends = [(job, "EXIT") for job in alive if job.left == 0]
        ends += [(job, "EXIT_CRITICAL") for job in alive if job.left and now >= kill_time(job, overrun)]
        for job, outcome in ends:
            job.finish, job.outcome = now, outcome
            alive.remove(job)
            running = None if job is running else running
        if now == horizon:
            break
        for job in released(tasks, now):
            jobs.append(job)
            if overrun == "skip" and any(other.task is job.task for other in alive):
                job.finish, job.outcome = now, "NOT_SCHEDULED"
            else:
                alive.append(job)
        ready = [job for job in alive if not any(o.task is job.task and o.index < job.index for o in alive)]
        if not ready:
            continue
        chosen = choose(ready, running, tasks, policy, tie)
        if running is not None and chosen is not running:
            running.preemptions += 1
        running = chosen
        running.start = now if running.start is None else running.start
        running.left -= 1
    for job in alive:
        job.finish, job.outcome = horizon, "EXIT_EXTERNAL"
    return jobs


def seen(job: Job) -> tuple[object, ...]:
    def ms(ns: int | None) -> float | None:
        return None if ns is None else ns / NS_PER_MS

    return (
        job.task_id,
        job.index,
        ms(job.start_ns),
        ms(job.finish_ns),
        str(job.outcome),
        job.preemptions,
        ms(job.executed_ns),
    )


def expected(job: RefJob) -> tuple[object, ...]:
    executed = job.task["executiontime"] - job.left if job.outcome != "NOT_SCHEDULED" else 0
    return (job.task["id"], job.index, job.start, job.finish, job.outcome, job.preemptions, executed)


@st.composite
def descriptions(draw: st.DrawFn) -> list[dict[str, Any]]:
    tasks = []
    for number in range(draw(st.integers(1, 4))):
        period = draw(st.integers(0, 12))
        task: dict[str, Any] = {"id": number, "executiontime": draw(st.integers(1, 6)), "period": period}
        optional = {
            "deadline": st.integers(1, 14),
            "offset": st.integers(0, 9),
            "criticaltime": st.integers(1, 10),
        }
        if period:
            optional["numberofjobs"] = st.integers(1, 4)
        task |= {key: draw(values) for key, values in optional.items() if draw(st.booleans())}
        task["priority"] = draw(st.integers(0, 3))
        tasks.append(task)
    return tasks


options = {
    "policy": st.sampled_from(["fp", "edf", "rm", "dm", "auto"]),
    "tie": st.sampled_from(["running", "index"]),
    "overrun": st.sampled_from(["continue", "kill", "skip"]),
}


def check_agreement(tasks: list[dict[str, Any]], policy: str, tie: str, overrun: str, horizon: int) -> None:
    wanted = sorted(
        map(expected, reference(tasks, policy=policy, tie=tie, overrun=overrun, horizon=horizon)),
        key=lambda job: job[:2],
    )
    trace = simulate(TaskSet(tasks), policy=policy, tie=tie, overrun=overrun, horizon_ms=horizon)
    assert sorted(map(seen, trace.jobs), key=lambda job: job[:2]) == wanted
    session = SimSession(policy=policy, tie=tie, overrun=overrun)  # type: ignore[arg-type]
    assert session.jobs(TaskSet(tasks), horizon_ms=horizon).jobs == trace.jobs
    check_events(trace, {task["id"]: task for task in tasks})


@pytest.mark.filterwarnings("ignore:task . has a deadline and a priority")
@settings(max_examples=300, deadline=None)
@given(tasks=descriptions(), horizon=st.integers(0, 50), **options)
def test_every_job_agrees_with_the_reference(
    tasks: list[dict[str, Any]], policy: str, tie: str, overrun: str, horizon: int
) -> None:
    """Start, finish, outcome, preemptions and executed time, under every policy, tie rule and overrun policy."""
    check_agreement(tasks, policy, tie, overrun, horizon)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:task . has a deadline and a priority")
@settings(max_examples=30_000, deadline=None)
@given(tasks=descriptions(), horizon=st.integers(0, 200), **options)
def test_every_job_agrees_with_the_reference_deeply(
    tasks: list[dict[str, Any]], policy: str, tie: str, overrun: str, horizon: int
) -> None:
    check_agreement(tasks, policy, tie, overrun, horizon)


def check_events(trace: Trace, tasks: dict[int, dict[str, Any]]) -> None:
    """The order inside a stream, and DEADLINE_MISS exactly for the missed jobs, at the right instant."""
    times = [event.time_ns for event in trace.events]
    assert times == sorted(times)
    misses = {(e.task_id, e.job): e.time_ns for e in trace.events if e.type is EventType.DEADLINE_MISS}
    assert len(misses) == sum(e.type is EventType.DEADLINE_MISS for e in trace.events)
    wanted = {}
    for job in trace.misses:
        deadline_ns = float("inf") if job.deadline_ns is None else job.deadline_ns
        assert job.finish_ns is not None
        wanted[job.task_id, job.index] = min(deadline_ns, job.finish_ns)
    assert misses == wanted
    done = {e.task_id for e in trace.events if e.type is EventType.JOBS_DONE}
    limits = {i: t.get("numberofjobs") or (INFINITE if t["period"] else 1) for i, t in tasks.items()}
    assert done == {i for i, limit in limits.items() if len(list(trace.jobs_of(i))) == limit}


class ReadOff(Policy):
    """EDF as a user would write it: must equal the built-in one, which takes the fast path."""

    def rank(self, job: Any, now_ns: int) -> Any:
        return job.deadline_ns


class Laxity(Policy):
    """Least laxity first."""

    dynamic = True
    quantum_ns = NS_PER_MS

    def rank(self, job: Any, now_ns: int) -> Any:
        return job.deadline_ns - now_ns - job.remaining_ns


@settings(max_examples=100, deadline=None)
@given(tasks=descriptions(), horizon=st.integers(0, 50), tie=options["tie"], overrun=options["overrun"])
def test_a_policy_of_the_users_own_equals_the_built_in_one(
    tasks: list[dict[str, Any]], tie: str, overrun: str, horizon: int
) -> None:
    own, built_in = (
        simulate(TaskSet(tasks), policy=policy, tie=tie, overrun=overrun, horizon_ms=horizon)
        for policy in (ReadOff(), "edf")
    )
    assert own.events == built_in.events


@settings(max_examples=100, deadline=None)
@given(tasks=descriptions(), horizon=st.integers(0, 50))
def test_least_laxity_keeps_the_laws_of_any_preemptive_policy(tasks: list[dict[str, Any]], horizon: int) -> None:
    """Work conserving: the core is busy in the same intervals as under EDF, without kills."""
    for task in tasks:
        task.pop("criticaltime", None)
    busy = [
        sum(span.end_ns - span.start_ns for span in simulate(TaskSet(tasks), policy=policy, horizon_ms=horizon).gantt)
        for policy in (Laxity, "edf")
    ]
    assert busy[0] == busy[1]


@settings(max_examples=50, deadline=None)
@given(tasks=descriptions(), horizon=st.integers(0, 50), seed=st.integers(0, 3), jitter=st.integers(1, 9))
def test_jitter_delays_releases_within_its_bound_and_in_order(
    tasks: list[dict[str, Any]], horizon: int, seed: int, jitter: int
) -> None:
    for task in tasks:
        task["jitter"] = jitter
    trace = simulate(TaskSet(tasks), policy="fp", seed=seed, horizon_ms=horizon)
    assert simulate(TaskSet(tasks), policy="fp", seed=seed, horizon_ms=horizon).events == trace.events
    for task in tasks:
        previous_ns = 0
        for job in trace.jobs_of(task["id"]):
            assert job.release_ns is not None
            assert job.arrival_ns is not None
            assert job.release_ns >= previous_ns
            # A release waits for its predecessor's, which may be later than its own arrival plus jitter: not here,
            # where arrivals come in order, so the bound holds for each.
            assert 0 <= job.release_ns - job.arrival_ns <= jitter * NS_PER_MS
            previous_ns = job.release_ns
