"""What users bring: policies and SimPy processes of their own; how they are made, checked, and blamed if they fail."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

from sim.policy import READY_MADE, JobFixedPriority, Policy
from sim.support import duration_ns
from taskgen import registry
from taskgen.errors import TaskgenError, UsageError
from taskgen.registry import describe
from taskgen.units import Milliseconds, format_ms

if TYPE_CHECKING:
    from collections.abc import Generator

    import simpy

    from taskgen.parameters import Parameters

#: A process of the user's own beside the cores: a SimPy generator function of (env, processor).
Process: TypeAlias = "Callable[[simpy.Environment, Any], Generator[simpy.Event, Any, Any]]"

#: What a user's code may raise: a `sys.exit()` in it ends nothing but itself.
FAILURES = (Exception, SystemExit)


def is_ready_made(policy: Policy) -> bool:
    """Tell whether a policy is one of ours, whose failure is our bug."""
    return type(policy) in READY_MADE.values()


def fault(policy: Policy, processes: Sequence[Process], error: BaseException) -> UsageError:
    """Return the error for a policy, or a process beside it, that raised: not the target's fault."""
    guilty = [] if is_ready_made(policy) else [f"policy {type(policy).__name__}"]
    guilty += ["a process beside it" if guilty else "a process beside the processor"] if processes else []
    return UsageError(f"{' or '.join(guilty)} failed: {describe(error)}", hint="run it with --debug to see where")


@contextmanager
def blaming(policy: Policy, processes: Sequence[Process] = ()) -> Iterator[None]:
    """Make whatever a user's own code raises in the block the user's fault; a bug of ours stays what it is.

    Raises:
        UsageError: names the policy and what it raised.
    """
    try:
        yield
    except TaskgenError:
        raise
    except FAILURES as error:
        if is_ready_made(policy) and not processes:
            raise
        raise fault(policy, processes, error) from error


def bind(policy: Policy, tasks: "Sequence[Parameters]") -> None:
    """Bind a policy to the tasks of a run, and look whether it ranks them all.

    Raises:
        InputError: the set lacks what the policy needs.
        UsageError: a policy of the user's own failed, or ranks a task with nothing that is a rank.
    """
    with blaming(policy):
        policy.bind(tasks)
        if isinstance(policy, JobFixedPriority):
            _check_ranks(policy, tasks)


def _check_ranks(policy: JobFixedPriority, tasks: "Sequence[Parameters]") -> None:
    fixed: Any = getattr(policy, "fixed", None)
    fault = None
    if not isinstance(fixed, Mapping):
        fault = f"gave {fixed!r:.60}, expected a dict"
    else:
        for task in tasks:
            rank = fixed.get(task.id)
            if task.id not in fixed:
                fault = f"has no rank for task {task.id}"
            elif rank is not None and (not isinstance(rank, Real) or rank != rank):
                fault = f"ranks task {task.id} with {rank!r:.60}, expected a number or None"
    if fault:
        raise UsageError(
            f"policy {type(policy).__name__}: priorities() {fault}",
            hint="it returns a dict: a number for each task id, or None for the absolute deadline",
        )


def check_processes(processes: Any) -> tuple[Process, ...]:
    """Return the processes as a tuple.

    Raises:
        UsageError: they are none, or one of them can't be called.
    """
    hint = "give a tuple of SimPy generator functions of (env, processor): processes=(probe,)"
    if not isinstance(processes, tuple | list):
        raise UsageError(f"processes: {processes!r:.60} is no tuple", hint=hint)
    for process in processes:
        if not callable(process):
            raise UsageError(f"processes: {process!r:.60} is no generator function", hint=hint)
    return tuple(processes)


def policy_maker(policy: str | Policy | type[Policy], quantum_ms: Milliseconds | None = None) -> Callable[[], Policy]:
    """Return what makes the policy of one run, by name, class or object.

    Raises:
        UsageError: it is no policy, has nothing to rank with, or a quantum that can't be.
    """
    found = registry.load("policies", policy) if isinstance(policy, str) else policy
    if not isinstance(found, Policy) and not (isinstance(found, type) and issubclass(found, Policy)):
        raise UsageError(f"policy {policy!r}: {found!r} is no sim.Policy", hint="derive the class from sim.Policy")
    _check_quantum(found.quantum_ns, policy)
    quantum_ns = None if quantum_ms is None else duration_ns(quantum_ms, "quantum_ms")
    if quantum_ns is not None and not (quantum_ns and found.quantum_ns):
        what = "expected more than 0" if found.quantum_ns else f"policy {policy!r} has no quantum"
        raise UsageError(f"quantum_ms: {format_ms(quantum_ns)}: {what}", hint="leave it out")

    def make() -> Policy:
        # An object given is a template: each run, also one in another thread, has a policy with a state of its own.
        try:
            made: Policy = found() if isinstance(found, type) else copy.deepcopy(found)
        except FAILURES as error:
            raise UsageError(
                f"policy {policy!r}: making it failed: {describe(error)}",
                hint="a class is made without arguments, an object is copied with all that it holds, once per run",
            ) from error
        _check_complete(made, policy)
        if quantum_ns is not None:
            made.quantum_ns = quantum_ns
        return made

    return make


def _check_complete(made: Policy, policy: object) -> None:
    """Refuse a policy that overrides nothing that ranks; of the names one is enough."""
    base: type[Policy] = JobFixedPriority if isinstance(made, JobFixedPriority) else Policy
    names = ("priorities", "bind") if base is JobFixedPriority else ("rank",)
    if all(getattr(getattr(made, name), "__func__", None) is getattr(base, name) for name in names):
        raise UsageError(
            f"policy {policy!r}: {type(made).__name__} has no {names[0]}()",
            hint=f"override {names[0]} in a class of yours",
        )


def _check_quantum(quantum_ns: object, policy: object) -> None:
    if quantum_ns is not None and (isinstance(quantum_ns, bool) or not isinstance(quantum_ns, int) or quantum_ns <= 0):
        raise UsageError(
            f"policy {policy!r}: quantum_ns: {quantum_ns!r:.40}, expected whole nanoseconds > 0, or None",
            hint="2 ms are 2_000_000",
        )
