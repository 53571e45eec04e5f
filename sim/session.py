"""SimSession: the simulator behind the Session interface."""

import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import simpy
from simpy.core import EmptySchedule

from sim.boards.description import describe
from sim.boards.generation import GENERATIONS, Generation, Switches, generation
from sim.boards.profile import board_capabilities, job_work, refuse_inexpressible
from sim.boards.scheduler import Scheduler
from sim.boards.taskloader import Taskloader
from sim.core import Overheads
from sim.execution import Execution, Work
from sim.lifecycle import Overrun, Tie
from sim.multicore import Multicore
from sim.own import FAILURES, Process, bind, blaming, check_processes, fault, is_ready_made, policy_maker
from sim.partition import Fit, partition, refuse_affinity
from sim.partitioned import Partitioned
from sim.policy import Policy, name_of
from sim.processor import Processor
from sim.recorder import Recorder
from sim.support import check_supported, duration_ns, rows
from sim.workload import PANDABOARD, Workload, load
from taskgen import registry
from taskgen.errors import TaskgenError, UsageError
from taskgen.events import Event
from taskgen.session import Capabilities, Plan, Session, Target
from taskgen.trace import Job, Overhead, Trace
from taskgen.units import Milliseconds

# Event._make without its check of the length, which the processor keeps.
_EVENT = partial(tuple.__new__, Event)
_JOB = partial(tuple.__new__, Job)

if TYPE_CHECKING:
    from sim.job import Row, Rows
    from taskgen.parameters import Parameters
    from taskgen.taskset import TaskSet

#: What simulates the cores: the first that can, from left to right.
Model = Processor | Partitioned | Multicore | Taskloader
#: A plan, the policy that has been bound to it, and the core of each task (None where jobs migrate).
_Bound = tuple[Plan, Policy, dict[int, int] | None]


class SimSession(Session):
    """Simulates cores under fixed priorities, EDF, a mixture, or a policy of your own, in exact integer time.

    `policy` is auto, fp, rm, dm, edf, fifo, rr, llf, module:Class, a `Policy` or a subclass of it; `quantum_ms` is that
    of rr and llf (10 if not given). With `migration="partitioned"` a task belongs to a core, by its affinity or placed
    by `partition` (first-fit or worst-fit); with `global` its jobs run wherever a core is free. `scheduler_ms`,
    `context_switch_ms` and `migration_ms` are what decisions cost. `execution` says how long jobs compute where they
    differ: a distribution (`uniform:0.5`, or a table, see `sim.execution`) for all tasks, or a dict by task id or pkg.

    `overrun` says what becomes of a late job: continue, kill (at its absolute deadline), skip (the next release). `tie`
    says what equal ranks mean: running (they never preempt) or index (the smaller id wins). With `trace=False` only
    START and the ends of jobs are reported. `processes` are SimPy generator functions of (env, processor) that run
    beside the processor: probes, faults, loads; the clock counts integer nanoseconds. The processor is a `Processor`,
    or a `Multicore` where there are several cores or overheads, or nothing preempts. With a board's `profile`, auto is
    what its kernel does; any other policy orders the jobs in the kernel's place, as `taskgen board serve --policy`.
    """

    capabilities = Capabilities(
        deterministic=True,
        trace=True,
        policies=frozenset({"fp", "rm", "dm", "edf", "mixed", "fifo", "rr", "llf"}),
        sporadic=True,
    )
    #: The combinations of options that work: a dict per row, for people.
    support = staticmethod(rows)

    def __init__(
        self,
        *,
        profile: str = "ideal",
        policy: str | Policy | type[Policy] = "auto",
        cores: int | None = None,
        migration: str = "partitioned",
        partition: Fit = "first-fit",
        preemptive: bool = True,
        overrun: Overrun = "continue",
        tie: Tie = "running",
        context_switch_ms: Milliseconds = 0,
        migration_ms: Milliseconds = 0,
        scheduler_ms: Milliseconds = 0,
        quantum_ms: Milliseconds | None = None,
        workload: str | Path | Workload | None = None,
        execution: Any = None,
        seed: int = 0,
        trace: bool = True,
        engine: str = "simpy",
        processes: tuple[Process, ...] = (),
        destroy_at_exit: bool = True,
        switches: Switches | None = None,
    ) -> None:
        boards = isinstance(profile, str) and profile in GENERATIONS
        if cores is None:
            cores = 2 if boards else 1  # admission addresses the second core of a board
        self.policy = policy_maker(policy, quantum_ms)
        self.overheads = Overheads(
            duration_ns(scheduler_ms, "scheduler_ms"),
            duration_ns(context_switch_ms, "context_switch_ms"),
            duration_ns(migration_ms, "migration_ms"),
        )
        sample = self.policy()
        check_supported(
            profile=profile, engine=engine, policy=name_of(sample), cores=cores, migration=migration,
            partition=partition, preemptive=preemptive, overrun=overrun, tie=tie, overheads=any(self.overheads),
        )  # fmt: skip
        self.fit = partition
        if not preemptive:
            _refuse_quantum(sample, quantum_ms)
        self.partitioned = migration == "partitioned"
        self.preemptive = preemptive
        self.overrun: Overrun = overrun
        self.tie: Tie = tie
        self.workload = _workload(workload)
        self.execution = Execution(execution)
        self.seed = seed
        self.processes = check_processes(processes)
        self._bound: _Bound | None = None
        self.capabilities = replace(SimSession.capabilities, trace=trace, cores=cores)
        if switches is not None and not isinstance(switches, Switches):
            raise UsageError(f"switches: {switches!r:.60} is no sim.boards.Switches", hint="leave it out")
        self.switches = switches
        #: The generation of a board profile; None: `ideal`.
        self.generation: Generation | None = None
        self._scheduler: Callable[[], Scheduler] | None = None  # in the place of its kernel
        if boards:
            self.generation = generation(profile, destroy_at_exit=destroy_at_exit)
            self.capabilities = board_capabilities(self.generation, cores)
            if name_of(sample) != "auto":
                self._scheduler = partial(Scheduler, self.policy, self.generation.board)
        elif switches is not None or not destroy_at_exit:
            raise UsageError(f"profile {profile} has no switches: they are those of boards", hint="leave them out")

    @classmethod
    def open(cls, target: Target) -> Self:
        """Open a simulator; the address, if any, is the profile (`sim:ideal`)."""
        options = dict(target.options)
        if target.address:
            given = options.setdefault("profile", target.address)
            if given != target.address:
                raise UsageError(f"profile: {target} and {given!r} contradict each other", hint="give the profile once")
        return cls.construct(options)

    @classmethod
    def check_target(cls, target: Target) -> None:
        """Refuse a target whose options can't be honoured, before anything runs.

        Raises:
            UsageError: what `open` raises.
        """
        cls.open(target).close()

    def check(self, taskset: "TaskSet", **options: Any) -> Plan:
        """Return the plan of a run, or raise what is wrong with the set under this policy and workload."""
        plan = super().check(taskset, **options)
        if self.generation is not None:
            refuse_inexpressible(plan.tasks, self.generation)
            self._works(plan)
            if self._scheduler is not None:
                self._scheduler().bind([describe(task, self.generation) for task in plan.tasks])
            return replace(plan, exact=False)
        works = self._works(plan).values()
        policy = self._bind(plan)
        self._bound = (plan, policy, self._homes(plan, policy))
        own = self.processes or not is_ready_made(policy)
        fixed = all(isinstance(work, int) for work in works)
        return replace(plan, exact=plan.exact and fixed and not own and not any(self.overheads))

    def work(self, task: "Parameters") -> Work:
        """Return the execution times of a task's jobs: a constant, or a function of the job's index.

        Raises:
            InputError: nothing says how long it computes.
        """
        drawn = self.execution.work(task, self.seed)
        return self.workload.work(task, self.seed) if drawn is None else drawn

    def _works(self, plan: Plan) -> "dict[int, Work]":
        self.execution.check(plan.tasks)
        return {task.id: self.work(task) for task in plan.tasks}

    def _homes(self, plan: Plan, policy: Policy) -> dict[int, int] | None:
        """Return the core of each task; None where jobs migrate."""
        if self.partitioned:
            with blaming(policy):
                return partition(plan.tasks, self.capabilities.cores, policy, self.fit)
        refuse_affinity(plan.tasks)
        return None

    def _bind(self, plan: Plan) -> Policy:
        """Return a policy of its own for a run: several may go on at the same time."""
        policy = self.policy()
        bind(policy, plan.tasks)
        return policy

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        """Simulate the plan, event by event."""
        model = self._model(plan)
        for _ in self._steps(plan, model):
            if isinstance(model, Multicore) and model.spans:
                plan.overheads.extend(map(Overhead._make, model.spans))
                model.spans.clear()
            events, model.events = model.events, []
            yield from map(_EVENT, events)

    def trace(self, taskset: "TaskSet", horizon_ms: Milliseconds | None = None) -> Trace:
        """Simulate a concrete task-set and return the trace of its events.

        Raises:
            What `run` raises.
        """
        events = self.run(taskset, horizon_ms=horizon_ms)
        assert self.plan is not None  # noqa: S101  # run() has set it
        trace = Trace(self.plan.tasks, capabilities=self.capabilities)
        trace.extend(events)
        trace.finish(self.plan)
        return trace

    def jobs(self, taskset: "TaskSet", *, horizon_ms: Milliseconds | None = None) -> Trace:
        """Simulate a concrete task-set and return a trace of its jobs without events: the fastest way to look at jobs.

        Raises:
            What `run` raises.
        """
        if self.generation is not None:
            return self.trace(taskset, horizon_ms)  # a board logs events, no jobs
        plan, flag = self._plan(taskset, horizon_ms=horizon_ms)
        rows: list[Row | None] = []
        model = self._model(plan, rows)
        steps = self._steps(plan, model)
        self._occupy(plan, flag, steps)
        with _collector_paused(), closing(steps):
            for _ in steps:
                pass
        finished = cast("list[Row]", rows)  # each released job has ended, if only by being cut off
        return Trace.of_jobs(
            plan.tasks, finished, end_ns=model.now_ns, capabilities=replace(self.capabilities, trace=True)
        )

    def stream_jobs(self, taskset: "TaskSet", *, horizon_ms: Milliseconds | None = None) -> Generator[Job, None, None]:
        """Simulate a concrete task-set and yield its jobs in the order of their ends.

        Memory doesn't grow with simulated time, except on a board, which logs events: its jobs come in the end. It is
        a run as any other: `stop()` cuts it short, closing the generator ends it.

        Raises:
            What `run` raises.
        """
        plan, flag = self._plan(taskset, horizon_ms=horizon_ms)
        jobs = self._stream(plan)
        self._occupy(plan, flag, jobs)
        return jobs

    def _stream(self, plan: Plan) -> Generator[Job, None, None]:
        if self.generation is not None:
            trace = Trace(plan.tasks, capabilities=self.capabilities)
            trace.extend(self.events(plan))
            yield from sorted(trace.jobs, key=_by_end)
            return
        rows: dict[int, Row] = {}
        for _ in self._steps(plan, self._model(plan, rows)):
            yield from map(_JOB, rows.values())
            rows.clear()

    def _model(self, plan: Plan, rows: "Rows | None" = None) -> Model:
        """Return the fastest model that knows the rules of this session."""
        if self.generation is not None:
            works = self._works(plan)
            return Taskloader(
                simpy.Environment(), plan.tasks, self.generation, lambda task, job: job_work(works[task.id], job),
                horizon_ns=plan.horizon.time_ns, cores=self.capabilities.cores, goal=plan.admission,
                switches=self.switches, scheduler=None if self._scheduler is None else self._scheduler(),
            )  # fmt: skip
        bound = self._bound
        if bound is None or bound[0].tasks is not plan.tasks:
            policy = self._bind(plan)
            bound = (plan, policy, self._homes(plan, policy))
        _, policy, homes = bound
        options: dict[str, Any] = {
            "horizon_ns": plan.horizon.time_ns, "overrun": self.overrun, "tie": self.tie, "seed": self.seed,
            "traced": self.capabilities.trace, "rows": rows,
        }  # fmt: skip
        with blaming(policy):
            return self._ideal(plan, policy, homes, **options)

    def _ideal(self, plan: Plan, policy: Policy, homes: dict[int, int] | None, **options: Any) -> Model:
        cores = self.capabilities.cores
        env = simpy.Environment()
        if self.preemptive and not any(self.overheads):
            if cores == 1:
                make = Processor if options["rows"] is None else Recorder
                return make(env, plan.tasks, policy, self.work, **options)
            if homes is not None and not self.processes and is_ready_made(policy):
                return Partitioned(env, plan.tasks, policy, self.work, cores=cores, homes=homes, **options)
        return Multicore(
            env, plan.tasks, policy, self.work, cores=cores, homes=homes,
            preemptive=self.preemptive, overheads=self.overheads, **options,
        )  # fmt: skip

    def _steps(self, plan: Plan, model: Model) -> Generator[None, None, None]:
        """Step the environment until the run is over, yielding after each step."""
        env = model.env
        with blaming(self.policy(), self.processes):
            for process in self.processes:
                env.process(process(env, model))
        while not model.over:
            if plan.stopped():
                model.cut(model.now_ns)
            else:
                self._step(model)
            yield

    def _step(self, model: Model) -> None:
        try:
            model.env.step()
        except EmptySchedule:  # a board that hangs before it started anything
            model.cut(model.now_ns)
        except FAILURES as error:
            policy = self.policy()
            if isinstance(error, TaskgenError) or (is_ready_made(policy) and not self.processes):
                raise
            raise fault(policy, self.processes, error) from error


def simulate(taskset: "TaskSet", *, horizon_ms: Milliseconds | None = None, **options: Any) -> Trace:
    """Simulate a concrete task-set and return its trace; `options` are those of `SimSession`.

    >>> from sim import simulate
    >>> from taskgen import TaskSet
    >>> trace = simulate(TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 2, "period": 6}]), policy="rm")
    >>> trace.max_response_ns
    {0: 1000000, 1: 3000000}
    """
    with SimSession(**options) as session:
        return (
            session.trace(taskset, horizon_ms)
            if session.capabilities.trace
            else session.jobs(taskset, horizon_ms=horizon_ms)
        )


def _by_end(job: Job) -> tuple[bool, int]:
    return (job.finish_ns is None, job.finish_ns or 0)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the cyclic garbage collector: rows make no cycles, and to look for some doubles the time of a long run."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _refuse_quantum(policy: Policy, quantum_ms: Milliseconds | None) -> None:
    """Refuse a quantum where nothing preempts; `llf` has one, but does without."""
    nothing = "nothing ends with a quantum where nothing preempts"
    if quantum_ms is not None:
        raise UsageError(f"quantum_ms: {nothing}", hint="leave it out")
    if policy.quantum_ns is not None and not is_ready_made(policy):
        raise UsageError(
            f"policy {type(policy).__name__} has a quantum and preemptive False doesn't go with it: {nothing}",
            hint="choose preemptive: True; or a policy with quantum_ns = None",
        )


def _workload(workload: str | Path | Workload | None) -> Workload:
    if workload is None:
        return PANDABOARD
    if isinstance(workload, Workload):
        return workload
    if str(workload).endswith(".toml"):
        return load(workload)
    found = registry.load("workloads", str(workload))
    if not isinstance(found, Workload):
        raise UsageError(
            f"workload {workload!r}: {found!r} is no sim.Workload",
            hint="see `taskgen list workloads`, or give a TOML file",
        )
    return found
