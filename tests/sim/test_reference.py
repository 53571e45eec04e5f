"""All models of the cores against a reference scheduler that is slow and obvious."""

from itertools import pairwise
from typing import Any

import simpy
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sim import SimSession, simulate
from sim.core import Overheads
from sim.multicore import Multicore
from taskgen import EventType, Job, Trace
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS
from tests.sim.reference import Options, Reference, RefJob, Tasks
from tests.sim.reference_cases import RUNS, cases, described, session_options, warned


def ms(ns: int | None) -> float | None:
    return None if ns is None else ns / NS_PER_MS


def seen(job: Job) -> tuple[Any, ...]:
    times = (ms(job.release_ns), ms(job.start_ns), ms(job.finish_ns))
    executed = ms(job.executed_ns)
    return (job.task_id, job.index, *times, str(job.outcome), job.core, job.preemptions, executed)


def expected(job: RefJob) -> tuple[Any, ...]:
    dropped = job.outcome == "NOT_SCHEDULED"
    times = (None if dropped else job.release, job.start, job.finish)
    executed = 0 if dropped else job.work - job.left
    return (job.task["id"], job.index, *times, job.outcome, job.core, job.preemptions, executed)


@warned
@settings(max_examples=400, deadline=None)
@given(case=cases(), horizon=st.integers(0, 40))
def test_every_job_and_every_overhead_agrees_with_the_reference(case: tuple[Tasks, Options], horizon: int) -> None:
    """Release, start, finish, outcome, core, preemptions, executed time, under every combination that is supported."""
    check(*case, horizon)


@warned
@settings(max_examples=200, deadline=None)
@given(
    case=cases(preemptive=True, overheads={"scheduler": 0, "context_switch": 0, "migration": 0}),
    horizon=st.integers(0, 40),
)
def test_so_it_does_without_overheads(case: tuple[Tasks, Options], horizon: int) -> None:
    """Here the fast models of one core and of several partitioned ones take over."""
    check(*case, horizon)


@warned
@settings(max_examples=150, deadline=None)
@given(case=cases(policy=st.sampled_from(["edf", "llf"])), horizon=st.integers(0, 40), kept=st.sets(st.integers(0, 5)))
def test_so_it_does_where_jobs_have_no_deadline(case: tuple[Tasks, Options], horizon: int, kept: set[int]) -> None:
    """Single jobs, most of them without deadline: they are equal, however long they are and whenever they came."""
    tasks, options = case
    for task in tasks:
        task["period"] = 0
        task.pop("numberofjobs", None)
        if task["id"] not in kept:
            task.pop("deadline", None)
    check(tasks, options, horizon)


def check(tasks: Tasks, options: Options, horizon: int) -> None:
    reference = Reference(tasks, horizon, options).run()
    wanted = sorted(map(expected, reference.jobs), key=lambda job: job[:2])
    taskset, chosen = described(tasks, options), session_options(tasks, options)
    trace = simulate(taskset, horizon_ms=horizon, **chosen)
    assert sorted(map(seen, trace.jobs), key=lambda job: job[:2]) == wanted
    assert SimSession(**chosen).jobs(taskset, horizon_ms=horizon).jobs == trace.jobs
    overheads = sorted((each.core, each.kind, ms(each.start_ns), ms(each.end_ns)) for each in trace.overheads)
    assert overheads == sorted(reference.overheads)
    event(f"jobs {min(len(wanted), 9)}, overheads {min(len(overheads), 9)}")
    check_laws(trace, options)


# -- laws ------------------------------------------------------------------------------------------------------------


def check_laws(trace: Trace, options: Options) -> None:
    """What holds for any scheduler."""
    times = [event.time_ns for event in trace.events]
    assert times == sorted(times)
    busy: dict[int | None, list[tuple[int, int]]] = {core: [] for core in range(options["cores"])}
    for span in trace.gantt + trace.overheads:
        busy[span.core].append((span.start_ns, span.end_ns))
    for spans in busy.values():  # a core does one thing at a time
        spans.sort()
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    for job in trace.jobs:
        mine = [span for span in trace.gantt if (span.task_id, span.job) == (job.task_id, job.index)]
        assert sum(span.end_ns - span.start_ns for span in mine) == job.executed_ns
        mine.sort(key=lambda span: span.start_ns)  # a job runs on one core at a time
        assert all(a.end_ns <= b.start_ns for a, b in pairwise(mine))
    check_preemptions(trace)


def check_preemptions(trace: Trace) -> None:
    """After PREEMPT another job takes the core, or an overhead does: no preemption where the same job goes on."""
    for number, each in enumerate(trace.events):
        if each.type is EventType.PREEMPT:
            later = (e for e in trace.events[number + 1 :] if e.core == each.core and e.type in RUNS)
            follower = next(later, None)
            same = follower is not None and (follower.task_id, follower.job) == (each.task_id, each.job)
            assert not same or follower.time_ns > each.time_ns  # type: ignore[union-attr]  # then it isn't None


# -- the models among themselves -------------------------------------------------------------------------------------


@warned
@settings(max_examples=200, deadline=None)
@given(
    case=cases(cores=1, preemptive=True, overheads={"scheduler": 0, "context_switch": 0, "migration": 0}),
    horizon=st.integers(0, 40),
    jitter=st.sampled_from([0, 0, 7]),
    traced=st.booleans(),
)
def test_on_one_core_the_fast_model_equals_the_general_one_event_by_event(
    case: tuple[Tasks, Options], horizon: int, jitter: int, traced: bool
) -> None:
    tasks, options = case
    taskset = described(tasks, options | {"migration": "global"})
    for task in taskset:
        task["jitter"] = jitter
    session = SimSession(**session_options(tasks, options) | {"migration": "global", "trace": traced})
    fast = list(session.run(taskset, horizon_ms=horizon))
    policy = session.policy()
    parameters = parameters_of(taskset)
    policy.bind(parameters)
    for homes in (None, dict.fromkeys((task.id for task in parameters), 0)):
        general = Multicore(
            simpy.Environment(), parameters, policy, session.work,
            horizon_ns=horizon * NS_PER_MS, homes=homes, overheads=Overheads(),
            overrun=options["overrun"], tie=options["tie"], traced=traced,
        )  # fmt: skip
        while not general.over:
            general.env.step()
        assert general.events == fast
