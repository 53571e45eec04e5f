"""`taskgen_run`: runs a task-set and returns its Trace, within the test's budget, and remembers the last runs."""

import sys
from collections import Counter, deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from taskgen.plugin.bench import Bench
from taskgen.session import Capabilities, Target
from taskgen.taskset import TaskSet
from taskgen.testing.memo import Memo, identity
from taskgen.testing.runs import Executed
from taskgen.units import Milliseconds, ms_from_ns

if TYPE_CHECKING:
    from taskgen.testing.properties import Law, Violation

#: So many runs of a test are kept for its report: the last ones.
KEPT: Final = 4
#: So many traces are remembered for the examples of one test, where no budget says more.
_REMEMBERED: Final = 256


class Record(NamedTuple):
    """A run that a report may show."""

    taskset: TaskSet
    trace: Executed
    why: str  #: why it ended too early; empty: it didn't


class Runner:
    """Runs task-sets on the target of this process; what a test gets as `taskgen_run`.

    Under Hypothesis a task-set that was run before isn't run again, where the target isn't deterministic or runs are
    counted: shrinking and the final report see the verdict that was found. What one example runs twice is run twice.

    Attributes:
        runs: how many runs the test has had.
        records: its last runs; under Hypothesis those of the last example.
    """

    def __init__(self, bench: Bench, budget: int | None = None) -> None:
        self._bench = bench
        self._budget = budget
        self.begin()

    def __repr__(self) -> str:
        return f"<taskgen_run on {self.target}>"

    def begin(self) -> None:
        """Begin with another test."""
        self.runs = 0
        self.records: deque[Record] = deque(maxlen=KEPT)
        self._known: Memo[Executed] = Memo(max(_REMEMBERED, self._budget or 0))
        self._example: object | None = None
        self._repeats: Counter[str] = Counter()
        self._paying = False  # the current example has begun to run something

    @property
    def target(self) -> Target:
        """Where task-sets run."""
        return self._bench.target

    @property
    def capabilities(self) -> Capabilities:
        """What the target can do.

        Raises:
            BoardLost: the target can't be asked.
        """
        return self._bench.session.capabilities

    def __call__(
        self,
        taskset: TaskSet,
        *,
        horizon_ms: Milliseconds | None = None,
        admission: Mapping[str, Any] | None = None,
    ) -> Executed:
        """Run a concrete task-set to its end, or up to the horizon.

        Args:
            taskset: the set; each run begins from a clean target.
            horizon_ms: how long; None: the default of the target.
            admission: the goal of an admission control.

        Returns:
            What happened, jobs and events.

        Raises:
            BoardLost: the target was lost, also after retries.
            Unsupported: the target can't run this.
            InputError: a value of the set is wrong.
        """
        __tracebackhide__ = True
        example = _current_example()
        if example is not self._example:
            self._example, self._paying = example, False
            self._repeats.clear()
            self.records.clear()
        key = None
        if example is not None and (self._budget is not None or not self.capabilities.deterministic):
            text = identity(taskset, horizon_ms, admission)
            key = text, self._repeats[text]
            self._repeats[text] += 1
            if (known := self._known.get(key)) is not None:
                self.records.append(Record(taskset, known, ""))
                return known
        self._pay()
        trace = self._bench.execute(
            taskset,
            seen=lambda trace, why: self.records.append(Record(taskset, trace, why)),
            horizon_ms=horizon_ms,
            admission=admission,
        )
        return trace if key is None else self._known.keep(key, trace)

    def violations(
        self, taskset: TaskSet, *laws: "str | Law", horizon_ms: Milliseconds | None = None
    ) -> "list[Violation]":
        """Run a task-set and return where that breaks laws; exact on the simulator, with the tolerance of a board.

        A test that the target can't answer is skipped. About a set that a law doesn't apply to it claims nothing.

        Args:
            taskset: a concrete set.
            laws: names of `taskgen.testing.properties`, or laws of your own; relations run variants of the set, too.
            horizon_ms: as for a run.

        Raises:
            UsageError: there is no such law.
            BoardLost, Unsupported, InputError: as for a run.
        """
        from taskgen.testing.properties import Scheduling, Tolerance, load

        chosen = [load(each) if isinstance(each, str) else each for each in laws]
        scheduling = Scheduling.of(self.target.options)
        lacks = [law.lacks(self.capabilities, scheduling) for law in chosen]
        if all(lacks):
            pytest.skip(f"taskgen: {self.target}: {'; '.join(lacks) or 'there is no law to check'}")
        tolerance = Tolerance.of({"dialect": self._bench.generation})
        due = [law for law in chosen if not law.skips(taskset, self.capabilities, scheduling)]
        if not due:
            return []
        trace = self(taskset, horizon_ms=horizon_ms)
        horizon = ms_from_ns(trace.plan.horizon.time_ns)

        def again(variant: TaskSet) -> Executed:
            return self(variant, horizon_ms=horizon)

        return [violation for law in due for violation in law.verdict(taskset, trace, again, tolerance)]

    def _pay(self) -> None:
        """Count a run; an example that has begun is finished, so that there is always a first one."""
        if self._budget is not None and self.runs >= self._budget and not self._paying:
            if self._example is None:
                pytest.skip(f"taskgen: the budget of {self._budget} executions is spent, no verdict")
            from hypothesis import reject

            reject()
        self.runs += 1
        self._paying = self._example is not None


def _current_example() -> object | None:
    """Return what stands for the example that Hypothesis runs, another object for each; None: it runs none."""
    control = sys.modules.get("hypothesis.control")
    if control is None or not control.currently_in_test_context():
        return None
    context: object = control.current_build_context()
    return context
