"""What a benchmark is: a suite of cases, each a task-set whose runs yield samples of metrics.

A suite is a module with a `SUITE`; copy one, change it, and name it with `--suite path/file.py:SUITE`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from taskgen.session import Capabilities
from taskgen.taskset import TaskSet
from taskgen.units import Milliseconds

if TYPE_CHECKING:
    from taskgen.bench.work import Work
    from taskgen.testing.runs import Executed

Better: TypeAlias = Literal["less", "more"]
Sample: TypeAlias = int | float


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity that runs are measured by."""

    name: str  #: as in tables: `response-max`
    unit: str  #: `ms`, `us`, `%`, `1`, `sets/s`
    better: Better  #: which direction is good
    floor: float  #: differences of medians up to this, in the unit, don't matter to anybody
    about: str  #: one line for the documentation
    host: bool = False  #: measured by this machine's clock: depends on this machine, too


@dataclass(frozen=True, slots=True)
class Setting:
    """What a suite knows about the target while it makes its cases; the same setting makes the same cases."""

    capabilities: Capabilities
    generation: str  #: of the board or its profile, `ideal` for the textbook simulator, "" if unknown
    seed: int
    duration_ms: int  #: how long suites run that take any time, such as soak
    work: "Work"  #: turns "10 ms of work" into attributes of a task on this target
    real: bool = False  #: a target whose clock is the wall's: a board
    tags: frozenset[str] = frozenset()  #: features that the inventory says the target has


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a case."""

    taskset: TaskSet
    trace: "Executed"
    setting: Setting
    start_ns: int  #: host time from the order to run until the first event (or the end, if there was none)
    run_ns: int  #: host time from the order to run until the run was over, the target free again
    rejected: bool = False  #: admission refused it
    stop_ns: int | None = None  #: host time from `stop()` until the target was free again, where the case asks for it
    arrived_ns: Sequence[int] = ()  #: host time from the order to run until each event came, where the case asks for it
    notes: list[str] = field(default_factory=list)  #: what went wrong, a line each: `measure` adds to it


@dataclass(frozen=True, slots=True)
class Case:
    """One task-set of a suite, run once per repetition."""

    name: str
    taskset: TaskSet
    measure: Callable[[Measured], Mapping[str, Sample]]  #: samples by metric; one that is left out: unknown
    params: Mapping[str, int | float | str] = field(default_factory=dict)  #: what makes the case: utilization, n, ...
    horizon_ms: Milliseconds | None = None
    admission: Mapping[str, Any] | None = None
    #: What theory or the simulator predicts for a metric, in its unit, for the table beside the measured one.
    predicted: Mapping[str, Sample] = field(default_factory=dict)
    skipped: str = ""  #: why the target can't run it; empty: it can
    repeat: int | None = None  #: how often it runs, without warm-up; None: as often as the user asks for
    stop_after: int | None = None  #: call `stop()` after so many events; None: never
    stamped: bool = False  #: note when each event came


@dataclass(frozen=True, slots=True)
class Finding:
    """What a suite says about all its cases together: a verdict, a figure, a row of a matrix."""

    name: str
    text: str  #: one line for people
    ok: bool | None = None  #: None: neither good nor bad
    values: Mapping[str, Any] = field(default_factory=dict)  #: for machines; JSON


#: Samples of one case by name of metric, in the order of its repetitions.
Samples: TypeAlias = Mapping[str, Sequence[Sample]]


def _anything(setting: Setting) -> str:  # noqa: ARG001  # one of several
    return ""


def _nothing(cases: Sequence[Case], samples: Mapping[str, Samples]) -> Sequence[Finding]:  # noqa: ARG001
    return ()


@dataclass(frozen=True, slots=True)
class Suite:
    """A benchmark.

    Args:
        name: what `--suite` calls it.
        about: one line: the question that it answers.
        version: grows whenever its numbers can't be compared with older ones any more.
        metrics: all that its cases measure.
        cases: makes the cases for a target.
        lacks: why a target can't run it; empty: it can.
        judge: what all samples together say; they are given by name of case.
    """

    name: str
    about: str
    version: int
    metrics: tuple[Metric, ...]
    cases: Callable[[Setting], Sequence[Case]]
    lacks: Callable[[Setting], str] = _anything
    judge: Callable[[Sequence[Case], Mapping[str, Samples]], Sequence[Finding]] = _nothing
