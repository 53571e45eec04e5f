"""Who judges a task-set on a target: a law on one stand, or the difference between two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from taskgen.errors import TaskgenError, UsageError
from taskgen.parameters import parameters_of
from taskgen.registry import describe
from taskgen.taskset import TaskSet
from taskgen.testing.against import compare
from taskgen.testing.properties import LAWS, Law, Scheduling, Tolerance, Violation
from taskgen.testing.runs import Executed
from taskgen.testing.stand import Stand
from taskgen.trace import Trace
from taskgen.units import MAX_NS, Milliseconds, ms_from_ns

T = TypeVar("T")

#: What the comparison with an oracle is called where laws have names, before the name of the oracle.
AGAINST: Final = "against"
#: Laws by which a job that is completed at its deadline is all right: their margin is what jobs leave before theirs.
_ABOUT_DEADLINES: Final = frozenset({"edf_full_utilization", "edf_demand", "longer_periods", "longer_deadlines"})


_FITS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "job": lambda value: value is None or _is_job(value),
    "time_ns": lambda value: value is None or (type(value) is int and 0 <= value <= MAX_NS),
    "expected": lambda value: isinstance(value, str),
    "seen": lambda value: isinstance(value, str),
}
#: Laws that compare the times of tasks which delay each other: what is closer than the tolerance tells them nothing.
_ABOUT_ORDER: Final = frozenset({"fixed_priority_events", "edf_events"})
#: What a property of the user's own has to say in a violation.
_EXPECTED: Final[Mapping[str, str]] = {
    "job": "a task's id and a job's number, or None",
    "time_ns": "whole ns since the start of the set, or None",
    "expected": "a text",
    "seen": "a text",
}
_ASKING: Final = "asking whether it is about a set"


class Judged(NamedTuple):
    """What is said about one set."""

    violations: tuple[Violation, ...] = ()
    trace: Executed | None = None  #: of the run of the set itself; None: it didn't run
    skipped: str = ""  #: why nothing is said; empty: it is
    remark: str = ""  #: what else is to be counted
    unclaimed: tuple[str, ...] = ()  #: parts of the runs about which nothing is said, and why


class Judge(Protocol):
    """Runs task-sets and says what is wrong with the runs."""

    horizon_ms: Milliseconds | None  #: when runs end; None: the default for each set

    @property
    def name(self) -> str:
        """As the user called it."""

    @property
    def executions(self) -> int:
        """How many runs it had."""

    @property
    def stand(self) -> Stand:
        """Where the sets run."""

    @property
    def about(self) -> str:
        """What is expected, in one line."""

    @property
    def lacks(self) -> str:
        """Why nothing can be judged on this target; empty: it can."""

    def blur_ns(self, siblings: int) -> int:
        """Return how close times of tasks with so many siblings may be that nothing is said about; 0: any are told."""

    def excludes(self, taskset: TaskSet) -> str:
        """Return why nothing is claimed about a set, without running it; empty: something is."""

    def judge(self, taskset: TaskSet) -> Judged:
        """Run a concrete set and judge it.

        Raises:
            TargetLost: the target was lost, also after retries.
            UsageError: what the user brought, a policy or a property, failed.
        """

    def margin_ns(self) -> int | None:
        """Return how far the set that was judged last, and passed, was from failing; None: no time says that."""


class _Refused(Exception):
    """The target doesn't take a set."""


class _Runs:
    """Runs sets on a stand, and counts."""

    def __init__(self, stand: Stand, admission: Mapping[str, Any] | None = None) -> None:
        self.stand = stand
        self.count = 0
        self._admission = admission

    def run(self, taskset: TaskSet, horizon_ms: Milliseconds | None) -> Executed:
        """Run a set.

        Raises:
            _Refused: before it began.
            UsageError: while it ran; so it is the fault of the user's own code.
        """
        begun: list[str] = []
        try:
            return self.stand.execute(
                taskset, seen=lambda _, why: begun.append(why), horizon_ms=horizon_ms, admission=self._admission
            )
        except UsageError as error:
            if begun:
                raise
            raise _Refused(f"{self.stand.name} refuses it: {error}") from None
        finally:
            self.count += bool(begun)

    def refuses(self, taskset: TaskSet, horizon_ms: Milliseconds | None) -> str:
        """Return why the target wouldn't take a set; sends nothing."""
        session = self.stand.session
        try:
            session.check(taskset, horizon_ms=horizon_ms, admission=self._admission)
        except UsageError as error:
            return str(error)
        return ""


class LawJudge:
    """Judges by one law of `taskgen.testing.properties`.

    Args:
        name: what the user calls it, a name or a place.
        law: what it is.
        stand: where sets run; its options say how they are scheduled.
        horizon_ms: when runs end; None: the default for each set.
        admission: the goal of an admission control.
    """

    def __init__(
        self,
        name: str,
        law: Law,
        stand: Stand,
        *,
        horizon_ms: Milliseconds | None = None,
        admission: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.law = law
        self._runs = _Runs(stand, admission)
        self.horizon_ms = horizon_ms
        self._scheduling = Scheduling.of(stand.target.options)
        self._again: Callable[[Tolerance], Sequence[Violation]] = lambda _: ()
        self._traces: list[Executed] = []

    @property
    def executions(self) -> int:
        """How many runs there were."""
        return self._runs.count

    @property
    def stand(self) -> Stand:
        """Where the sets run."""
        return self._runs.stand

    @property
    def about(self) -> str:
        """What the law says."""
        return self.law.summary

    @property
    def lacks(self) -> str:
        """Why the law can't be judged on this target.

        Raises:
            TargetLost: it can't be asked.
        """
        capabilities = self.stand.session.capabilities
        return self._says("asking what it needs", lambda: _reason(self.law.lacks(capabilities, self._scheduling)))

    @cached_property
    def tolerance(self) -> Tolerance:
        """Of the target's times."""
        return Tolerance.of({"dialect": self.stand.generation})

    def blur_ns(self, siblings: int) -> int:
        """Return the tolerance, if the law is about the order of tasks."""
        return self.tolerance.spread_ns(siblings) if self.law.name in _ABOUT_ORDER else 0

    def excludes(self, taskset: TaskSet) -> str:
        """Return why the law claims nothing about a set, or the target doesn't take it."""
        capabilities = self.stand.session.capabilities
        try:
            parameters_of(taskset)
        except UsageError as error:
            return str(error)
        reason = self._says(_ASKING, lambda: _reason(self.law.excludes(taskset, capabilities, self._scheduling)))
        return reason or self._runs.refuses(taskset, self.horizon_ms)

    def judge(self, taskset: TaskSet) -> Judged:
        """Run a set, and its variants where the law is a relation."""
        capabilities = self.stand.session.capabilities
        reason = self._says(_ASKING, lambda: _reason(self.law.skips(taskset, capabilities, self._scheduling)))
        if reason:
            return Judged(skipped=reason)
        try:
            trace = self._runs.run(taskset, self.horizon_ms)
            violations = self._violations(taskset, trace)
        except _Refused as error:
            return Judged(skipped=str(error))
        return Judged(tuple(violations), trace)

    def _violations(self, taskset: TaskSet, trace: Executed) -> Sequence[Violation]:
        horizon_ms = ms_from_ns(trace.plan.horizon.time_ns)
        variants: list[Executed] = []

        def run(variant: TaskSet) -> Trace:
            variants.append(self._runs.run(variant, horizon_ms))
            return variants[-1]

        def verdict(runner: Callable[[TaskSet], Trace], tolerance: Tolerance) -> Sequence[Violation]:
            return self._says("judging a run", lambda: _checked(self.law.verdict(taskset, trace, runner, tolerance)))

        def again(tolerance: Tolerance) -> Sequence[Violation]:
            known = iter(variants)
            return verdict(lambda _: next(known), tolerance)

        self._traces, self._again = variants or [trace], again
        return verdict(run, self.tolerance)

    def _says(self, what: str, ask: Callable[[], T]) -> T:
        """Return what the law says; a law of the user's own may fail in any way.

        Raises:
            UsageError: it did.
        """
        try:
            return ask()
        except (TaskgenError, _Refused):
            raise
        except (Exception, SystemExit) as error:
            if self.name in LAWS:
                raise
            raise UsageError(
                f"property {self.name!r}: {what} failed: {describe(error)}", hint="run it with --debug to see where"
            ) from error

    def margin_ns(self) -> int | None:
        """Return how far the set that was judged last, and passed, was from failing; None: no time says that.

        That is the most by which the tolerance for late events could shrink, below zero as well, before the law is
        broken; for laws about deadlines the shortest time that a completed job left before its own.
        """
        if self.law.name in _ABOUT_DEADLINES:
            return _least_slack_ns(self._traces)
        tolerance = self.tolerance
        most = max((trace.end_ns for trace in self._traces), default=0) + tolerance.spread_ns(
            len(self._traces[0].tasks)
        )

        def broken(by_ns: int) -> bool:
            return bool(self._again(replace(tolerance, late_ns=tolerance.late_ns - by_ns)))

        return _last(broken, most)


def _reason(said: str) -> str:
    """Return why a law says nothing, as far as that is a text; conditions of the user's own may return anything."""
    if said and not isinstance(said, str):
        raise TypeError(f"a condition returned {said!r:.60}, expected a text, which is empty where it is met")
    return said or ""


def _checked(violations: Sequence[Violation]) -> Sequence[Violation]:
    """Return violations that can be shown, stored and read again; laws of the user's own may yield anything."""
    for each in violations:
        if not isinstance(each, Violation):
            raise TypeError(f"it yields {each!r:.60}, expected a taskgen.testing.properties.Violation")
        wrong = [name for name, fits in _FITS.items() if not fits(getattr(each, name))]
        if wrong:
            raise TypeError(f"Violation.{wrong[0]} is {getattr(each, wrong[0])!r:.60}, expected {_EXPECTED[wrong[0]]}")
    return violations


def _is_job(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == len(("task", "job")) and all(type(each) is int for each in value)


def _last(broken: Callable[[int], bool], most: int) -> int | None:
    """Return the last number at which nothing is broken yet; None: nothing is, up to `most`."""
    if not broken(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if broken(middle) else (middle, high)
    return low


def _least_slack_ns(traces: Sequence[Trace]) -> int | None:
    slacks = (
        job.deadline_ns - job.finish_ns
        for trace in traces
        for job in trace.jobs
        if job.response_ns is not None and job.deadline_ns is not None and job.finish_ns is not None and not job.missed
    )
    return min(slacks, default=None)


def oracle_in(name: str) -> str:
    """Return the oracle that a property compares with, `sim` or `sim:PROFILE`; empty: it is a law."""
    head, _, oracle = name.partition(":")
    return oracle if head == AGAINST and oracle.partition(":")[0] == "sim" else ""


class DifferenceJudge:
    """Judges by what an oracle makes of the same set (`taskgen.testing.against`).

    Args:
        witness: the stand in question.
        oracle: the stand that knows; it has the generation of the witness.
        against: how the user calls the oracle.
        horizon_ms: when runs end; None: the default of the witness, which counts for the oracle, too.
        admission: the goal of an admission control.
    """

    def __init__(
        self,
        witness: Stand,
        oracle: Stand,
        against: str = "sim",
        *,
        horizon_ms: Milliseconds | None = None,
        admission: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = f"{AGAINST}:{against}"
        self.about = f"{witness.name} does what {oracle.name} does: same order of events, same misses"
        self.lacks = ""
        self._witness, self._oracle = _Runs(witness, admission), _Runs(oracle, admission)
        self.horizon_ms = horizon_ms

    @property
    def executions(self) -> int:
        """How many runs the witness had."""
        return self._witness.count

    @property
    def stand(self) -> Stand:
        """Where the witness is."""
        return self._witness.stand

    @property
    def tolerance(self) -> Tolerance:
        """Of the witness's times."""
        return Tolerance.of({"dialect": self.stand.generation})

    def blur_ns(self, siblings: int) -> int:
        """Return the tolerance, by which both may differ."""
        return self.tolerance.spread_ns(siblings)

    def excludes(self, taskset: TaskSet) -> str:
        """Return why one of both doesn't take a set."""
        runs = (self._witness, self._oracle)
        return next(filter(None, (each.refuses(taskset, self.horizon_ms) for each in runs)), "")

    def judge(self, taskset: TaskSet) -> Judged:
        """Run a set on both."""
        try:
            witness = self._witness.run(taskset, self.horizon_ms)
            oracle = self._oracle.run(taskset, ms_from_ns(witness.plan.horizon.time_ns))
        except _Refused as error:
            return Judged(skipped=str(error))
        difference = compare(taskset, oracle, witness, self.tolerance)
        remark = f"{difference.verdict}{', up to where both may go on otherwise' if difference.unclaimed else ''}"
        return Judged(tuple(difference.violations()), witness, remark=remark, unclaimed=difference.unclaimed)

    def margin_ns(self) -> int | None:
        """Return None: orders and misses agree or they don't."""
        return None
