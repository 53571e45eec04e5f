"""The seam: a Session runs one TaskSet at a time on a target and yields Events.

Nothing that describes task-sets knows where they run, and nothing that judges events knows either. A backend derives
from `Session`, says in its `capabilities` what it can do, and implements `events`; `taskgen.sessions.stdio` is the
smallest example, and `taskgen.testing.check_session` the conformance suite that every backend passes.
"""

import difflib
import inspect
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

from taskgen.errors import SessionBusy, Unsupported, UsageError
from taskgen.events import Event
from taskgen.horizon import EXACT_BOUNDS, Horizon, choose_horizon, is_exact
from taskgen.parameters import Parameters, parameters_of
from taskgen.units import Milliseconds, to_ns

if TYPE_CHECKING:
    from taskgen.taskset import TaskSet
    from taskgen.trace import Overhead

Status: TypeAlias = Literal["finished", "stopped", "rejected", "failed"]

#: Attributes that not every target honours, and the capability that they need.
_NEEDS = {"arrivals": "sporadic", "jitter": "sporadic", "criticaltime": "kill", "offset": "offsets"}

# Of two threads that call `run` at once, one gets the session.
_claim = threading.Lock()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a session's target can do."""

    deterministic: bool = False  #: same set, same seed: same events
    trace: bool = False  #: yields the scheduler's own events, RELEASE to IDLE
    executes: bool = True  #: jobs really run; False for a session that only shows descriptions
    cores: int = 1
    policies: frozenset[str] = frozenset({"fp", "edf", "mixed"})
    kill: bool = True  #: honours criticaltime
    admission: bool = False  #: refuses task-sets on request
    sporadic: bool = False  #: honours `arrivals` and `jitter`
    offsets: bool = True  #: honours `offset`
    job_limits: bool = True  #: honours `numberofjobs`, and says JOBS_DONE
    outcomes: bool = True  #: tells how each job ended; else a job may be over without an event
    time_resolution_ns: int = 1
    job_numbers: Literal["releases", "starts"] = "releases"  #: what `Event.job` counts
    max_run_ns: int | None = None  #: bound of the default horizon; None: none


@dataclass(frozen=True, slots=True)
class Target:
    """Where a session runs: its name in the registry, an address, and options of its constructor."""

    session: str
    address: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.session}:{self.address}" if self.address else self.session


@dataclass(frozen=True, slots=True)
class Plan:
    """One run, validated: what `Session.events` needs to know."""

    tasks: tuple[Parameters, ...]
    taskset: "TaskSet"
    horizon: Horizon
    admission: Mapping[str, Any] | None
    exact: bool
    stopped: Callable[[], bool]  #: whether `stop()` was called for this run
    #: What scheduling itself cost, filled in while the run goes on, where the target tells.
    overheads: list["Overhead"] = field(default_factory=list, compare=False)


class Session(ABC):
    """Runs task-sets on one target, one at a time; also a context manager.

    Derive from it, set `capabilities`, and implement `open`, `events` and, where there is something to do, `probe`,
    `wake` and `close`.
    """

    capabilities: Capabilities = Capabilities()

    _active: "weakref.ref[Generator[Any, None, None]] | None" = None
    _stop_flag: threading.Event | None = None
    #: The run that was planned last: its horizon and whether that horizon is exact.
    plan: Plan | None = None

    @classmethod
    def probe(cls, target: Target) -> bool:  # noqa: ARG003  # backends look at their target
        """Tell whether anybody is there, cheaply; never raises for an absent target."""
        return True

    @classmethod  # noqa: B027  # most backends learn it when they open
    def check_target(cls, target: Target) -> None:
        """Refuse a target whose options can't be honoured, before anything runs; touches nobody.

        Raises:
            UsageError: what `open` would raise.
        """

    @classmethod
    @abstractmethod
    def open(cls, target: Target) -> Self:
        """Open a session on the target.

        Raises:
            ConnectError: nobody answers there.
            UsageError: the address or an option is not for this session.
        """

    @classmethod
    def construct(cls, options: Mapping[str, Any]) -> Self:
        """Make a session with the options of a target, the keyword arguments of the constructor.

        Raises:
            UsageError: an option is unknown (with the nearest ones) or missing, or the constructor refuses it.
        """
        parameters = inspect.signature(cls).parameters.values()
        named = [p for p in parameters if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}]
        known = [p.name for p in named]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            for name in options:
                if name not in known:
                    raise _unknown_option(cls.__name__, name, known)
        for parameter in named:
            if parameter.default is parameter.empty and parameter.name not in options:
                raise UsageError(f"{cls.__name__} needs the option {parameter.name!r}")
        return cls(**options)

    def run(
        self,
        taskset: "TaskSet",
        *,
        admission: Mapping[str, Any] | None = None,
        horizon_ms: Milliseconds | None = None,
    ) -> Generator[Event, None, None]:
        """Validate a concrete task-set now, start it at the first `next`, and yield its events until it is over.

        It is over when all tasks with `numberofjobs` are done, when the horizon has passed, or after `stop()`.
        Closing the generator (in the consuming thread) stops the set.

        Raises:
            SessionBusy: another run of this session is active.
            Unsupported: the set has choices, or needs what the target can't do.
            InputError: a value of the set is wrong.
            TargetLost: the target was lost; comes after the events that arrived.
        """
        plan, flag = self._plan(taskset, admission=admission, horizon_ms=horizon_ms)
        events = self.events(plan)
        self._occupy(plan, flag, events)
        return events

    def _plan(self, taskset: "TaskSet", **options: Any) -> tuple[Plan, threading.Event]:
        """Return the plan of a run that is about to begin, and the flag that `stop()` is to set: for `_occupy`."""
        self._check_free()
        flag = threading.Event()
        return self.check(taskset, **options, stopped=flag.is_set), flag

    def _occupy(self, plan: Plan, flag: threading.Event, run: Generator[Any, None, None]) -> None:
        """Let a run, of events or of whatever else a backend yields, have the session until its generator is closed.

        Raises:
            SessionBusy: another run of this session is active.
        """
        with _claim:
            self._check_free()
            self.plan = plan
            self._stop_flag = flag
            self._active = weakref.ref(run)

    def _check_free(self) -> None:
        if self.active:
            raise SessionBusy("this session runs a task-set already", hint="exhaust or close the earlier run first")

    def check(
        self,
        taskset: "TaskSet",
        *,
        admission: Mapping[str, Any] | None = None,
        horizon_ms: Milliseconds | None = None,
        stopped: Callable[[], bool] = bool,
    ) -> Plan:
        """Return the plan of a run, or raise what `run` would raise; sends nothing."""
        if admission is not None and not self.capabilities.admission:
            raise Unsupported(
                f"{type(self).__name__} has no admission control, admission {admission!r:.60} can't be honoured",
                hint="leave --admission out, or choose a target with admission control",
            )
        tasks = parameters_of(taskset)
        for key, capability in _NEEDS.items():
            if not getattr(self.capabilities, capability):
                self._refuse(key, tasks)
        requested_ns = None if horizon_ms is None else to_ns(horizon_ms, "horizon")
        horizon = choose_horizon(tasks, requested_ns, self.capabilities.max_run_ns)
        exact = horizon.bound in EXACT_BOUNDS and is_exact(tasks, cores=self.capabilities.cores)
        return Plan(tasks, taskset, horizon, admission, exact, stopped)

    def _refuse(self, key: str, tasks: tuple[Parameters, ...]) -> None:
        for task in tasks:
            if task.attributes.get(key):
                raise Unsupported(
                    f"task {task.id}: {key}: {type(self).__name__} can't do this", hint=f"leave {key} out"
                )

    @abstractmethod
    def events(self, plan: Plan) -> Generator[Event, None, None]:
        """Run the plan: the generator that `run` returns. It looks at `plan.stopped()` often enough."""

    @property
    def active(self) -> bool:
        """Whether a run was started (or is about to be) and isn't over."""
        events = None if self._active is None else self._active()
        return events is not None and inspect.getgeneratorstate(events) != inspect.GEN_CLOSED

    def stop(self) -> None:
        """Stop the current run, from any thread: idempotent, sticky for that run, a no-op when none is active."""
        if self.active and self._stop_flag is not None:
            self._stop_flag.set()
            self.wake()

    def wake(self) -> None:  # noqa: B027  # most backends have nothing to wake
        """Called after `stop()`, from any thread: interrupt whatever the run waits for."""

    def close(self) -> None:  # noqa: B027  # or to release
        """Release the target; idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _unknown_option(session: str, name: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {', '.join(near)}?"
    else:
        hint = f"its options are {', '.join(known)}" if known else "it takes no options"
    return UsageError(f"{session} takes no option {name!r}", hint=hint)
