"""What holds at any instant of a run on several cores, with overheads, looked at from outside."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim import simulate
from taskgen import EventType, Job, Trace
from taskgen.units import NS_PER_MS
from tests.sim.reference import Options, Tasks
from tests.sim.reference_cases import RUNS, cases, described, session_options, warned


@warned
@settings(max_examples=150, deadline=None)
@given(case=cases(overrun="continue"), horizon=st.integers(1, 40))
def test_no_core_idles_while_a_job_waits_that_may_run_on_it(case: tuple[Tasks, Options], horizon: int) -> None:
    """Overhead counts as busy; looked at in the middle of each tick."""
    tasks, options = case
    trace = simulate(described(tasks, options), horizon_ms=horizon, **session_options(tasks, options))
    homes = {task["id"]: task["coreoffset"] for task in tasks}
    for tick in range(horizon):
        at_ns = tick * NS_PER_MS + NS_PER_MS // 2
        going = [s for s in trace.gantt + trace.overheads if s.start_ns < at_ns < s.end_ns]
        assert len({span.core for span in going}) == len(going) <= options["cores"]
        idle = set(range(options["cores"])) - {span.core for span in going}
        first = first_alive(trace, at_ns)
        held = {holder(trace, core, at_ns) for core in range(options["cores"])}
        for job in first:
            if (job.task_id, job.index) not in held:
                assert not idle & ({homes[job.task_id]} if options["migration"] == "partitioned" else idle)


@warned
@settings(max_examples=100, deadline=None)
@given(
    case=cases(policy="fp", preemptive=True, overheads={"scheduler": 0, "context_switch": 1, "migration": 1}),
    horizon=st.integers(1, 40),
)
def test_outside_of_overheads_no_waiting_job_ranks_above_a_running_one(
    case: tuple[Tasks, Options], horizon: int
) -> None:
    """For fixed priorities, preemptively; an equal rank is no violation."""
    tasks, options = case
    trace = simulate(described(tasks, options), horizon_ms=horizon, **session_options(tasks, options))
    by_id = {task["id"]: task for task in tasks}
    for tick in range(horizon):
        at_ns = tick * NS_PER_MS + NS_PER_MS // 2
        running = [span for span in trace.gantt if span.start_ns < at_ns < span.end_ns]
        locked = {span.job_key for span in map(Locked, trace.overheads) if span.covers(at_ns)}
        for job in first_alive(trace, at_ns):
            key = (job.task_id, job.index)
            if key in locked or key in {(span.task_id, span.job) for span in running}:
                continue
            rivals = [
                by_id[span.task_id]["priority"]
                for span in running
                if options["migration"] == "global" or span.core == by_id[job.task_id]["coreoffset"]
            ]
            assert all(rival <= by_id[job.task_id]["priority"] for rival in rivals)


def holder(trace: Trace, core: int, at_ns: int) -> tuple[int | None, int | None] | None:
    """Return the job that a core was given last: it runs, or waits there for the end of an overhead."""
    given = [(e.time_ns, e.task_id, e.job) for e in trace.events if e.core == core and e.type in RUNS]
    given += [
        (each.start_ns, each.task_id, each.job)
        for each in trace.overheads
        if each.core == core and each.job is not None
    ]
    given = [each for each in given if each[0] < at_ns]
    if not given:
        return None
    since_ns, task_id, job = max(given, key=lambda each: each[0])
    gone = EventType.PREEMPT
    lost = any(e[:4] == (e.time_ns, gone, task_id, job) and since_ns < e.time_ns < at_ns for e in trace.events)
    return None if lost else (task_id, job)


def first_alive(trace: Trace, at_ns: int) -> list[Job]:
    """Return the first unfinished job of each task; its later ones wait for it."""
    alive = [job for job in trace.jobs if job.release_ns is not None and job.release_ns < at_ns < (job.finish_ns or 0)]
    return list({job.task_id: job for job in reversed(alive)}.values())


class Locked:
    """An overhead, seen as what it holds back."""

    def __init__(self, overhead: Any) -> None:
        self.overhead = overhead
        self.job_key = (overhead.task_id, overhead.job)

    def covers(self, time_ns: int) -> bool:
        return bool(self.overhead.start_ns < time_ns < self.overhead.end_ns)
