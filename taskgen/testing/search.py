"""The search for a counterexample, without a test file: Hypothesis makes task-sets, a judge looks at them.

A set is judged once, and keeps its verdict: shrinking sees what was found, also on a target that is slow or noisy, and
no failure is ever called flaky. What was stored before comes first.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NoReturn

from taskgen.errors import TargetLost
from taskgen.taskset import TaskSet
from taskgen.testing.judge import Judge, Judged
from taskgen.testing.memo import Memo, identity
from taskgen.testing.stand import BoardLost
from taskgen.variants import Variants

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Verdicts that are remembered; those of a search that has more are its own fault.
_REMEMBERED: Final = 100_000
#: Traces are large: those of so many sets that failed are kept.
_TRACES: Final = 32
#: Reasons for skipping a set differ in the task that they name.
_TASK: Final = re.compile(r"task \d+")


class Progress(NamedTuple):
    """How far a search is."""

    examples: int  #: sets that were judged
    executions: int
    skipped: int
    shrinking: bool


@dataclass(slots=True)
class Finding:
    """What a search has found.

    `held`: nothing speaks against the property; `failed`: a counterexample does; `none`: no verdict, `reason` says why.
    """

    name: str
    verdict: Literal["held", "failed", "none"] = "none"
    examples: int = 0  #: sets that were judged before the first failure, that one included
    shrinks: int = 0  #: sets that were judged afterwards
    executions: int = 0
    unjudged: int = 0  #: sets that were passed over because the budget was spent
    skipped: Counter[str] = field(default_factory=Counter)  #: sets by the reason why nothing was said about them
    remarks: Counter[str] = field(default_factory=Counter)  #: sets by what else was said about them
    unclaimed: tuple[str, ...] = ()  #: parts of runs about which nothing is said, and why; of the first set with such
    taskset: TaskSet | None = None  #: the counterexample, as small as it was found
    judged: Judged | None = None  #: what was said about it
    stored: Path | None = None  #: where it was stored before
    stored_passed: int = 0  #: how many stored ones aren't any more, here
    reason: str = ""  #: why there is no verdict, or why the counterexample may not be the smallest
    interrupted: bool = False

    @property
    def whole(self) -> bool:
        """Whether the search came to its own end."""
        return not (self.interrupted or self.reason)


class _Falsified(Exception):  # no error: what was looked for
    """A set breaks the law; Hypothesis shrinks it."""


class _Ended(BaseException):
    """Something that is no verdict; nothing that Hypothesis would examine."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


def search(
    judge: Judge,
    examples: "SearchStrategy[TaskSet] | Iterable[TaskSet]",
    *,
    max_examples: int,
    seed: int = 0,
    budget: int | None = None,
    stored: Iterable[tuple[Path, TaskSet]] = (),
    notify: Callable[[Progress], object] = lambda _: None,
) -> Finding:
    """Look for a set that a judge finds wrong, and for the smallest such set.

    Args:
        judge: runs a set and says what is wrong.
        examples: a strategy; or the sets themselves, which don't shrink.
        max_examples: how many sets are judged at most.
        seed: the same one gives the same sets.
        budget: how many runs there are at most, shrinking included; None: as many as it takes. A set that was judged
            keeps its verdict, one beyond the budget is passed over, one that has begun is finished.
        stored: sets that failed before, by the file that holds them; they come first.
        notify: is told after each set how far it is.

    Returns:
        The finding; a target that was lost, or Ctrl-C, ends the search with what was found so far.

    Raises:
        UsageError: what the user brought, a policy or a property, failed.
    """
    run = _Search(judge, budget, notify)
    try:
        run.look(examples, stored, max_examples=max_examples, seed=seed)
    except (BoardLost, TargetLost) as error:
        run.finding.reason = str(error) + (f"; {error.hint}" if isinstance(error, TargetLost) and error.hint else "")
    except _Ended as error:
        raise error.error from None
    except KeyboardInterrupt:
        run.finding.interrupted = True
        run.finding.reason = "it was interrupted"
    return run.settled()


class _Search:
    def __init__(self, judge: Judge, budget: int | None, notify: Callable[[Progress], object]) -> None:
        self.finding = Finding(judge.name)
        self._judge = judge
        self._budget = budget
        self._notify = notify
        self._known: Memo[Judged] = Memo(_REMEMBERED)
        self._failed: Memo[Judged] = Memo(_TRACES)

    def look(
        self,
        examples: "SearchStrategy[TaskSet] | Iterable[TaskSet]",
        stored: Iterable[tuple[Path, TaskSet]],
        *,
        max_examples: int,
        seed: int,
    ) -> None:
        lacks = self._judge.lacks
        if lacks:
            self.finding.reason = lacks
            return
        for path, taskset in stored:
            if self._broken(taskset):
                self.finding.stored = path
                return
            self.finding.stored_passed += not self._known_of(taskset).skipped
        # Of these there is no more to say; some may be for other targets.
        self.finding.examples = 0
        self.finding.skipped.clear()
        self.finding.remarks.clear()
        self.finding.unclaimed = ()
        if isinstance(examples, Iterable):
            self._walk(examples, max_examples)
        else:
            self._generate(examples, max_examples, seed)

    def settled(self) -> Finding:
        """Return the finding with its verdict."""
        found = self.finding
        found.executions = self._judge.executions
        if found.judged is not None:
            found.verdict = "failed"
        elif found.reason:
            found.verdict = "none"
        elif found.examples or found.stored_passed:
            found.verdict = "held"
        else:
            found.reason = "every example was skipped" if found.skipped else "there was no example"
        return found

    def _walk(self, tasksets: Iterable[TaskSet], most: int) -> None:
        for number, taskset in enumerate(tasksets):
            if number == most or self._broken(taskset):
                return

    def _generate(self, strategy: "SearchStrategy[TaskSet]", most: int, seed: int) -> None:
        import hypothesis
        from hypothesis.errors import Unsatisfiable

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=most if self._budget is None else min(most, self._budget),
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
            database=None,
            deadline=None,
            derandomize=False,
            report_multiple_bugs=False,
            verbosity=hypothesis.Verbosity.quiet,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(strategy)
        def example(taskset: TaskSet) -> None:
            if self._guarded(taskset):
                raise _Falsified
            if self._known_of(taskset).skipped:
                hypothesis.reject()

        with suppress(_Falsified, Unsatisfiable):  # the finding tells
            example()

    def _guarded(self, taskset: TaskSet) -> bool:
        """Judge a set under Hypothesis, which takes any Exception for a failed property."""
        try:
            return self._broken(taskset)
        except TargetLost as error:
            raise BoardLost(f"{error}; {error.hint}" if error.hint else str(error)) from None
        except Exception as error:  # noqa: BLE001  # whatever it is, it ends the search
            _end(error)

    def _known_of(self, taskset: TaskSet) -> Judged:
        return self._known.get(identity(taskset)) or Judged()

    def _broken(self, taskset: TaskSet) -> bool:
        """Judge a set, if nobody has, and if the budget allows it; tell whether it breaks the law."""
        found = self.finding
        key = identity(taskset)
        judged = self._known.get(key)
        if judged is None:
            if self._budget is not None and self._judge.executions >= self._budget:
                found.unjudged += 1
                return False
            judged = self._judge.judge(taskset)
            self._count(judged)
            self._known.keep(key, judged._replace(trace=None))
            if judged.violations:
                self._failed.keep(key, judged)
        if not judged.violations:
            return False
        # Shrinking ends with the smallest set, once more.
        found.taskset, found.judged = taskset, self._failed.get(key) or judged
        return True

    def _count(self, judged: Judged) -> None:
        found = self.finding
        if judged.skipped:
            found.skipped[_TASK.sub("a task", judged.skipped)] += 1
        elif found.judged is None:
            found.examples += 1
        else:
            found.shrinks += 1
        if judged.remark:
            found.remarks[judged.remark] += 1
        found.unclaimed = found.unclaimed or judged.unclaimed
        skipped = sum(found.skipped.values())
        executions = self._judge.executions
        self._notify(Progress(found.examples + found.shrinks, executions, skipped, found.judged is not None))


def _end(error: Exception) -> NoReturn:
    raise _Ended(error) from error


def sampled(tasksets: Iterable[TaskSet], size: int, seed: int) -> list[TaskSet]:
    """Return variants of task-sets, in their order: all of them, or as many of each as asked, drawn at random.

    Of a set with unbounded choices these are the first ones.
    """
    return [variant for taskset in tasksets for variant in _sample(taskset.variants(), size, seed)]


def _sample(variants: Variants[TaskSet], size: int, seed: int) -> Iterable[TaskSet]:
    if variants.count == math.inf:
        return islice(variants, size)
    return variants if variants.count <= size else variants.sample(size, seed)
