"""A counterexample once more, on any target: whether it still is one there, and if not, by how much."""

from typing import Final, Literal, NamedTuple

from taskgen.errors import TargetError
from taskgen.taskset import TaskSet
from taskgen.testing.judge import Judge, Judged
from taskgen.testing.properties import Violation
from taskgen.testing.runs import Executed

#: What several runs of a set say.
_AGREEMENT: Final = {(True, True): "flaky", (True, False): "agree", (False, True): "disagree"}


class Replayed(NamedTuple):
    """What became of a counterexample on a target."""

    failed: int = 0  #: in how many runs the property was broken
    passed: int = 0  #: in how many it wasn't
    violations: tuple[Violation, ...] = ()  #: of the first run that broke it
    margin_ns: int | None = None  #: how far from failing the run was that came nearest to it; None: no time says that
    reason: str = ""  #: why a run has no verdict
    trace: Executed | None = None  #: of the first run that broke it
    unclaimed: tuple[str, ...] = ()  #: parts of the first run that passed about which nothing is said, and why

    @property
    def verdict(self) -> Literal["confirmed", "not confirmed", "no verdict"]:
        """Whether the property is broken there, in any run."""
        if self.failed:
            return "confirmed"
        return "not confirmed" if self.passed and not self.reason else "no verdict"

    @property
    def agreement(self) -> str:
        """Whether the runs agree with the counterexample, disagree with it, or with each other (flaky)."""
        return _AGREEMENT.get((bool(self.failed), bool(self.passed)), "")


def replay(judge: Judge, taskset: TaskSet, *, repeat: int = 1) -> Replayed:
    """Run a counterexample so many times.

    Args:
        judge: of its property, on the target in question.
        taskset: the counterexample.
        repeat: how often.

    Raises:
        UsageError: what the user brought, a policy or a property, failed; or the target's options are wrong.
    """
    failed = passed = 0
    first = Judged()
    margins: list[int] = []
    unclaimed: tuple[str, ...] = ()

    def told(reason: str = "") -> Replayed:
        least_ns = min(margins, default=None)
        return Replayed(failed, passed, first.violations, least_ns, reason, first.trace, unclaimed)

    try:
        if judge.lacks:
            return Replayed(reason=judge.lacks)
        for _ in range(repeat):
            judged = judge.judge(taskset)
            if judged.skipped:
                return told(judged.skipped)
            failed += bool(judged.violations)
            passed += not judged.violations
            first = judged if judged.violations and not first.violations else first
            unclaimed = unclaimed or (() if judged.violations else judged.unclaimed)
            margin_ns = None if judged.violations else judge.margin_ns()
            margins += [] if margin_ns is None else [margin_ns]
    except TargetError as error:
        reason = f"{error}; {error.hint}" if error.hint else str(error)
        return told(reason)
    return told()
