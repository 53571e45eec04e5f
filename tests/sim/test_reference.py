"""All models of the cores against a reference scheduler that is slow and obvious: it looks at the world once per tick.

A tick is 1 ms; all times of the random sets are whole ticks. The reference keeps jobs in lists and sorts them at each
decision; it shares nothing with the simulator but the text of the rules.
"""

from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

import pytest
import simpy
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sim import SimSession, simulate
from sim.core import Overheads
from sim.multicore import Multicore
from taskgen import EventType, Job, TaskSet, Trace
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

INFINITE = 10**9
Tasks = list[dict[str, Any]]
Options = dict[str, Any]


@dataclass(eq=False)
class RefJob:
    task: dict[str, Any]
    index: int
    release: int
    left: int
    work: int
    core: int | None = None  # where it ran last
    start: int | None = None
    finish: int | None = None
    outcome: str | None = None
    preemptions: int = 0
    place: int = 0  # in the queue of round robin

    @property
    def deadline(self) -> int:
        relative = self.task.get("deadline") or self.task["period"]
        return self.release + relative if relative else INFINITE


@dataclass(eq=False)
class RefCore:
    number: int
    cluster: list["RefCore"] = field(default_factory=list)
    job: RefJob | None = None
    ran: bool = False  # the job has run since it was selected
    last: RefJob | None = None  # the job that it ran last
    stages: list[list[Any]] = field(default_factory=list)  # kind and ticks left; the first one is going on
    happened: bool = False  # something that a decision must answer
    decide: bool = False
    quantum: int = INFINITE

    @property
    def locked(self) -> bool:
        return bool(self.stages)


class Reference:
    """One run in ticks; `jobs` and `overheads` (core, kind, start, end) are the result."""

    def __init__(self, tasks: Tasks, horizon: int, options: Options) -> None:
        self.tasks, self.horizon = tasks, horizon
        self.policy, self.tie, self.overrun = options["policy"], options["tie"], options["overrun"]
        self.preemptive, self.quantum = options["preemptive"], options["quantum"]
        self.costs = options["overheads"]
        self.cores = [RefCore(number) for number in range(options["cores"])]
        for core in self.cores:
            core.cluster = self.cores if options["migration"] == "global" else [core]
        self.partitioned = options["migration"] != "global"
        self.jobs: list[RefJob] = []
        self.alive: list[RefJob] = []
        self.overheads: list[tuple[int, str, int, int]] = []
        self.places = count()
        self.released = dict.fromkeys((task["id"] for task in tasks), 0)

    def run(self) -> "Reference":
        for now in range(self.horizon + 1):
            self.now = now
            self.deaths()
            if now == self.horizon or self.done():
                break
            self.births()
            for core in self.cores:
                self.look(core)
            for cluster in [self.cores] if not self.partitioned else [[core] for core in self.cores]:
                self.dispatch(cluster)
            self.tick()
        for core in self.cores:
            if core.locked:
                self.close(core)
        for job in self.alive:
            job.finish, job.outcome = self.horizon, "EXIT_EXTERNAL"
        return self

    def limit(self, task: dict[str, Any]) -> int:
        return int(task.get("numberofjobs") or (INFINITE if task["period"] else 1))

    def done(self) -> bool:
        return not self.alive and all(self.released[task["id"]] == self.limit(task) for task in self.tasks)

    # -- jobs

    def core_of(self, job: RefJob) -> RefCore | None:
        return next((core for core in self.cores if core.job is job), None)

    def may_run_on(self, task: dict[str, Any]) -> list[RefCore]:
        return [self.cores[task["coreoffset"]]] if self.partitioned else self.cores

    def concern(self, job: RefJob) -> None:
        core = self.core_of(job)
        for each in [core] if core else self.may_run_on(job.task):
            each.happened = True

    def deaths(self) -> None:
        for core in self.cores:
            if core.job and core.job.left == 0:
                self.end(core.job, "EXIT")
        for job in sorted(self.alive, key=lambda job: (job.task["id"], job.index)):
            limit = job.release + (job.task.get("criticaltime") or INFINITE)
            if (min(limit, job.deadline) if self.overrun == "kill" else limit) <= self.now:
                self.end(job, "EXIT_CRITICAL")

    def end(self, job: RefJob, outcome: str) -> None:
        self.concern(job)
        job.finish, job.outcome = self.now, outcome
        self.alive.remove(job)
        core = self.core_of(job)
        if core:
            core.job, core.quantum = None, INFINITE
        following = [other for other in self.alive if other.task is job.task]
        if following:
            following[0].place = next(self.places)
            self.concern(following[0])

    def births(self) -> None:
        for task in self.tasks:
            since = self.now - task.get("offset", 0)
            index = self.released[task["id"]]
            if since != index * task["period"] or index == self.limit(task):
                continue
            self.released[task["id"]] += 1
            work = task["times"][index % len(task["times"])]
            job = RefJob(task, index, self.now, work, work)
            self.jobs.append(job)
            self.concern(job)
            if self.overrun == "skip" and any(other.task is task for other in self.alive):
                job.finish, job.outcome = self.now, "NOT_SCHEDULED"
            else:
                self.alive.append(job)
                job.place = next(self.places)

    def ready(self, job: RefJob) -> bool:
        return not any(other.task is job.task and other.index < job.index for other in self.alive)

    # -- decisions

    def rank(self, job: RefJob) -> tuple[int, int]:
        task = job.task
        if self.policy == "auto":
            by_deadline = task.get("deadline") or task.get("priority") == 128
            return (1, job.deadline) if by_deadline else (0, task.get("priority", 127))
        if self.policy == "rm":
            order = sorted((other["period"] or INFINITE, other["id"]) for other in self.tasks)
            return (0, order.index((task["period"] or INFINITE, task["id"])))
        return {
            "fp": (0, task["priority"]),
            "edf": (0, job.deadline),
            "fifo": (0, job.release),
            "rr": (0, job.place),
            "llf": (0, INFINITE if job.deadline == INFINITE else job.deadline - self.now - job.left),
        }[self.policy]

    def look(self, core: RefCore) -> None:
        """Is an overhead over, does one begin, is a decision due?"""
        core.decide = False
        if core.locked and core.stages[0][1] == 0:
            kind = core.stages[0][0]
            self.close(core)
            if kind == "scheduler":
                core.decide, core.happened = True, False
        if core.locked:
            return
        if core.happened:
            core.happened = False
            if core.job and not self.preemptive:
                return
            if self.costs["scheduler"]:
                core.stages = [["scheduler", self.costs["scheduler"], self.now]]
            else:
                core.decide = True
        elif core.quantum <= self.now:
            core.decide = True

    def close(self, core: RefCore) -> None:
        kind, _, since = core.stages.pop(0)
        if since < self.now:
            self.overheads.append((core.number, kind, since, self.now))
        if core.stages:
            core.stages[0].append(self.now)

    def dispatch(self, cluster: list[RefCore]) -> None:
        free = [core for core in cluster if not core.locked]
        if not any(core.decide for core in free):
            return
        for core in free:
            if core.job and core.quantum <= self.now:
                core.job.place = next(self.places)
                core.quantum = self.now + self.quantum
        on_core = [core.job for core in free if core.job]
        waiting = [
            job
            for job in self.alive
            if self.ready(job) and not self.core_of(job) and self.may_run_on(job.task)[0] in cluster
        ]
        chosen = sorted(on_core + waiting, key=lambda job: self.order(job, job in on_core))[: len(free)]
        losers = [core for core in free if core.job and core.job not in chosen]
        for core in sorted(losers, key=lambda core: self.order(core.job, True)):  # type: ignore[arg-type]  # has a job
            assert core.job is not None
            if core.ran:
                core.job.preemptions += 1
                core.job.place = next(self.places)
            core.job, core.quantum = None, INFINITE
        for job in chosen:
            if job not in on_core:
                empty = [core for core in free if not core.job]
                self.give(next((core for core in empty if core.number == job.core), empty[0]), job)

    def order(self, job: RefJob, on_core: bool) -> tuple[Any, ...]:
        keeps = on_core and not self.preemptive
        if self.tie == "index":
            return (not keeps, self.rank(job), job.task["id"])
        return (not keeps, self.rank(job), not on_core, job.release, job.task["id"])

    def give(self, core: RefCore, job: RefJob) -> None:
        core.job, core.ran = job, False
        if core.last is not job and self.costs["context_switch"]:
            core.stages.append(["context_switch", self.costs["context_switch"]])
        if job.start is not None and job.core != core.number and self.costs["migration"]:
            core.stages.append(["migration", self.costs["migration"]])
        if core.stages:
            core.stages[0].append(self.now)

    def tick(self) -> None:
        for core in self.cores:
            if core.locked:
                core.stages[0][1] -= 1
            elif core.job:
                if not core.ran:
                    core.ran, core.last = True, core.job
                    core.job.core = core.number
                    core.job.start = self.now if core.job.start is None else core.job.start
                    if self.policy in {"rr", "llf"} and self.preemptive:
                        core.quantum = self.now + self.quantum
                core.job.left -= 1


# -- random sets -----------------------------------------------------------------------------------------------------


@st.composite
def descriptions(draw: st.DrawFn, cores: int) -> Tasks:
    tasks = []
    for number in range(draw(st.integers(1, 3 + cores))):
        period = draw(st.integers(0, 12))
        times = draw(st.lists(st.integers(1, 6), min_size=1, max_size=2))
        task: dict[str, Any] = {"id": number, "times": times, "period": period, "priority": draw(st.integers(0, 3))}
        optional = {
            "deadline": st.integers(1, 14),
            "offset": st.integers(0, 9),
            "criticaltime": st.integers(1, 10),
        }
        if period:
            optional["numberofjobs"] = st.integers(1, 4)
        task |= {key: draw(values) for key, values in optional.items() if draw(st.booleans())}
        task["coreoffset"] = draw(st.integers(0, cores - 1))
        tasks.append(task)
    return tasks


@st.composite
def cases(draw: st.DrawFn, /, **fixed: Any) -> tuple[Tasks, Options]:
    cost = st.integers(0, 2)
    options: Options = {
        "cores": draw(st.integers(1, 3)),
        "policy": draw(st.sampled_from(["fp", "edf", "rm", "auto", "fifo", "rr", "llf"])),
        "migration": draw(st.sampled_from(["partitioned", "global"])),
        "preemptive": draw(st.booleans()),
        "tie": draw(st.sampled_from(["running", "index"])),
        "overrun": draw(st.sampled_from(["continue", "kill", "skip"])),
        "quantum": draw(st.integers(1, 5)),
        "overheads": {kind: draw(cost) for kind in ("scheduler", "context_switch", "migration")},
    } | {key: draw(value) if isinstance(value, st.SearchStrategy) else value for key, value in fixed.items()}
    if options["policy"] == "rr":
        options["preemptive"] = True
    return draw(descriptions(options["cores"])), options


def described(tasks: Tasks, options: Options) -> TaskSet:
    """Return the set as the simulator reads it."""
    result = []
    for task in tasks:
        attributes = {key: value for key, value in task.items() if key not in {"times", "coreoffset"}}
        if options["migration"] == "partitioned":
            attributes |= {"cores": options["cores"], "coreoffset": task["coreoffset"]}
        result.append(attributes | {"executiontime": max(task["times"])})
    return TaskSet(result)


def session_options(tasks: Tasks, options: Options) -> Options:
    result = {key: value for key, value in options.items() if key not in {"quantum", "overheads"}}
    result |= {f"{kind}_ms": cost for kind, cost in options["overheads"].items()}
    if options["policy"] in {"rr", "llf"} and options["preemptive"]:
        result["quantum_ms"] = options["quantum"]
    varying = {task["id"]: task["times"] for task in tasks if len(task["times"]) > 1}
    if varying:
        result["execution"] = {
            number: {"kind": "recording", "values_ms": times, "order": "sequence"} for number, times in varying.items()
        }
    return result


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


warned = pytest.mark.filterwarnings("ignore:task . has a deadline and a priority")


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
            later = (e for e in trace.events[number + 1 :] if e.core == each.core and e.type in _RUNS)
            follower = next(later, None)
            same = follower is not None and (follower.task_id, follower.job) == (each.task_id, each.job)
            assert not same or follower.time_ns > each.time_ns  # type: ignore[union-attr]  # then it isn't None


_RUNS = {EventType.DISPATCH, EventType.RESUME, EventType.MIGRATE}


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
    given = [(e.time_ns, e.task_id, e.job) for e in trace.events if e.core == core and e.type in _RUNS]
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
