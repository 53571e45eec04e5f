"""SimSession: the simulator behind the Session interface."""

import copy
import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import simpy

from sim.lifecycle import Overrun, Tie
from sim.policy import Policy
from sim.processor import Processor
from sim.support import check_supported
from sim.workload import PANDABOARD, Workload, load
from taskgen import registry
from taskgen.errors import TaskgenError, UsageError
from taskgen.events import Event
from taskgen.registry import describe
from taskgen.session import Capabilities, Plan, Session, Target
from taskgen.trace import Trace
from taskgen.units import Milliseconds, format_ms, to_ns

# Event._make without its check of the length, which the processor keeps.
_EVENT = partial(tuple.__new__, Event)

if TYPE_CHECKING:
    from sim.job import Row
    from taskgen.taskset import TaskSet

#: A process of the user's own beside the processor: a SimPy generator function of (env, processor).
Process = Callable[[simpy.Environment, Processor], Generator[simpy.Event, Any, Any]]


class SimSession(Session):
    """Simulates one core under fixed priorities, EDF, a mixture, or a policy of your own, in exact integer time.

    `policy` is auto, fp, rm, dm, edf, module:Class, a `Policy` or a subclass of it. `overrun` says what becomes of a
    late job: continue, kill (at its absolute deadline), skip (the next release). `tie` says what equal ranks mean:
    running (they never preempt) or index (the smaller id wins). With `trace=False` only START and the ends of jobs are
    reported. `processes` are SimPy generator functions of (env, processor) that run beside the processor: probes,
    faults, loads; the clock counts integer nanoseconds.
    """

    capabilities = Capabilities(
        deterministic=True, trace=True, policies=frozenset({"fp", "rm", "dm", "edf", "mixed"}), sporadic=True
    )

    def __init__(
        self,
        *,
        profile: str = "ideal",
        policy: str | Policy | type[Policy] = "auto",
        cores: int = 1,
        migration: str = "partitioned",
        preemptive: bool = True,
        overrun: Overrun = "continue",
        tie: Tie = "running",
        context_switch_ms: Milliseconds = 0,
        migration_ms: Milliseconds = 0,
        scheduler_ms: Milliseconds = 0,
        quantum_ms: Milliseconds | None = None,
        workload: str | Path | Workload | None = None,
        seed: int = 0,
        trace: bool = True,
        engine: str = "simpy",
        processes: tuple[Process, ...] = (),
    ) -> None:
        check_supported(
            profile=profile, cores=cores, migration=migration, preemptive=preemptive, overrun=overrun, tie=tie,
            engine=engine,
        )  # fmt: skip
        for name, value in (
            ("context_switch_ms", context_switch_ms), ("migration_ms", migration_ms), ("scheduler_ms", scheduler_ms),
        ):  # fmt: skip
            if to_ns(value, name):
                raise UsageError(f"{name}: {value}: overheads aren't modelled yet, expected 0", hint="leave it out")
        self.policy = _policy_class(policy, None if quantum_ms is None else to_ns(quantum_ms, "quantum_ms"))
        self.overrun: Overrun = overrun
        self.tie: Tie = tie
        self.workload = _workload(workload)
        self.seed = seed
        self.processes = processes
        self._bound: tuple[Plan | None, Policy] = (None, self.policy())
        if not trace:
            self.capabilities = Capabilities(
                deterministic=True, policies=SimSession.capabilities.policies, sporadic=True
            )

    @classmethod
    def open(cls, target: Target) -> Self:
        """Open a simulator; the address, if any, is the profile (`sim:ideal`)."""
        options = dict(target.options)
        if target.address:
            given = options.setdefault("profile", target.address)
            if given != target.address:
                raise UsageError(f"profile: {target} and {given!r} contradict each other", hint="give the profile once")
        return cls.construct(options)

    def check(self, taskset: "TaskSet", **options: Any) -> Plan:
        """Return the plan of a run, or raise what is wrong with the set under this policy and workload."""
        plan = super().check(taskset, **options)
        for task in plan.tasks:
            self.workload.execution_ns(task)
        self._bound = (plan, self._bind(plan))
        own = self.processes or not _is_ready_made(self._bound[1])
        return replace(plan, exact=plan.exact and not own)

    def _bind(self, plan: Plan) -> Policy:
        """Return a policy of its own for a run: several may go on at the same time."""
        policy = self.policy()
        try:
            policy.bind(plan.tasks)
        except TaskgenError:
            raise
        except Exception as error:
            if _is_ready_made(policy):
                raise
            raise _users_fault(policy, error) from error
        return policy

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        """Simulate the plan, event by event."""
        processor = self._processor(plan)
        for _ in self._steps(plan, processor):
            events, processor.events = processor.events, []
            yield from map(_EVENT, events)

    def jobs(self, taskset: "TaskSet", *, horizon_ms: Milliseconds | None = None) -> Trace:
        """Simulate a concrete task-set and return a trace of its jobs without events: the fastest way to look at jobs.

        Raises:
            What `run` raises.
        """
        plan = self.check(taskset, horizon_ms=horizon_ms)
        rows: list[Row | None] = []
        processor = self._processor(plan, rows)
        with _collector_paused():
            for _ in self._steps(plan, processor):
                pass
        finished = cast("list[Row]", rows)  # each released job has ended, if only by being cut off
        return Trace.of_jobs(plan.tasks, finished, end_ns=processor.now_ns, capabilities=SimSession.capabilities)

    def _processor(self, plan: Plan, rows: "list[Row | None] | None" = None) -> Processor:
        bound_to, policy = self._bound
        same = bound_to is not None and bound_to.tasks is plan.tasks
        return Processor(
            simpy.Environment(),
            plan.tasks,
            policy if same else self._bind(plan),
            self.workload.execution_ns,
            horizon_ns=plan.horizon.time_ns,
            overrun=self.overrun,
            tie=self.tie,
            seed=self.seed,
            traced=self.capabilities.trace,
            rows=rows,
        )

    def _steps(self, plan: Plan, processor: Processor) -> Iterator[None]:
        """Step the environment until the run is over, yielding after each step."""
        env = processor.env
        own = self.processes or not _is_ready_made(processor.policy)
        for process in self.processes:
            env.process(process(env, processor))
        while not processor.over:
            if plan.stopped():
                processor.cut(processor.now_ns)
            else:
                try:
                    env.step()
                except Exception as error:
                    if not own or isinstance(error, TaskgenError):
                        raise
                    raise _users_fault(processor.policy, error) from error
            yield


def simulate(taskset: "TaskSet", *, horizon_ms: Milliseconds | None = None, **options: Any) -> Trace:
    """Simulate a concrete task-set and return its trace; `options` are those of `SimSession`.

    >>> from sim import simulate
    >>> from taskgen import TaskSet
    >>> trace = simulate(TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 2, "period": 6}]), policy="rm")
    >>> trace.max_response_ns
    {0: 1000000, 1: 3000000}
    """
    with SimSession(**options) as session:
        if not session.capabilities.trace:
            return session.jobs(taskset, horizon_ms=horizon_ms)
        events = session.run(taskset, horizon_ms=horizon_ms)
        assert session.plan is not None  # noqa: S101  # run() has set it
        trace = Trace(session.plan.tasks, capabilities=session.capabilities)
        trace.extend(events)
        trace.finish(session.plan)
        return trace


def _is_ready_made(policy: Policy) -> bool:
    return type(policy).__module__.startswith("sim.")


def _users_fault(policy: Policy, error: Exception) -> UsageError:
    """Return the error for a policy, or a process beside it, that raised: not the target's fault."""
    return UsageError(
        f"policy {type(policy).__name__} or a process beside it failed: {describe(error)}",
        hint="run it with --debug to see where",
    )


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


def _policy_class(policy: str | Policy | type[Policy], quantum_ns: int | None) -> Callable[[], Policy]:
    """Return what makes the policy of one run."""
    found = registry.load("policies", policy) if isinstance(policy, str) else policy
    if not isinstance(found, Policy) and not (isinstance(found, type) and issubclass(found, Policy)):
        raise UsageError(f"policy {policy!r}: {found!r} is no sim.Policy", hint="derive the class from sim.Policy")
    own_ns = found.quantum_ns
    if own_ns is not None and (isinstance(own_ns, bool) or not isinstance(own_ns, int) or own_ns <= 0):
        raise UsageError(f"policy {policy!r}: quantum_ns: {own_ns!r:.40}, expected whole nanoseconds > 0, or None")
    if quantum_ns is not None and not (quantum_ns and own_ns):
        what = "expected more than 0" if own_ns else f"policy {policy!r} has no quantum"
        raise UsageError(f"quantum_ms: {format_ms(quantum_ns)}: {what}", hint="leave it out")

    def make() -> Policy:
        # An object given is a template: runs may go on in several threads, each with a policy of its own.
        try:
            made: Policy = found() if isinstance(found, type) else copy.copy(found)
        except Exception as error:
            raise UsageError(f"policy {policy!r}: making it failed: {describe(error)}") from error
        if quantum_ns is not None:
            made.quantum_ns = quantum_ns
        return made

    return make


def _workload(workload: str | Path | Workload | None) -> Workload:
    if workload is None:
        return PANDABOARD
    if isinstance(workload, Workload):
        return workload
    if str(workload).endswith(".toml"):
        return load(workload)
    found = registry.load("workloads", str(workload))
    if not isinstance(found, Workload):
        raise UsageError(f"workload {workload!r}: {found!r} is no sim.Workload")
    return found
