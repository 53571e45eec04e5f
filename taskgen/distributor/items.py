"""What is handed out: the order that holds for all variants of a `start`, and the variants with their attempts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from taskgen.distributor.ledger import Ledger
from taskgen.distributor.source import Source
from taskgen.errors import InputError, TargetError, TaskgenError, Unsupported, UsageError
from taskgen.monitor import Run
from taskgen.registry import describe
from taskgen.units import Milliseconds


@dataclass(frozen=True, slots=True)
class Order:
    """What holds for all variants of one `start`."""

    source: Source
    admission: Mapping[str, Any] | None = None
    horizon_ms: Milliseconds | None = None
    seed: int = 0
    ledger: Ledger | None = None


@dataclass(eq=False, slots=True)
class Item:
    """A variant that was handed out; `run` is its current attempt."""

    run: Run
    failed_on: set[int] = field(default_factory=set)  #: the targets on which an attempt failed
    unable: set[int] = field(default_factory=set)  #: the targets that can't do what it describes
    refusal: UsageError | None = None  #: what the last of those said
    reason: str = ""  #: why the last attempt failed
    failures: int = 0  #: how many attempts failed; those of an earlier driver don't count
    settled: bool = False  #: it has its one result
    announced: bool = False  #: the monitors heard of an attempt
    refused: bool = False  #: it never began: a session refused the description
    lasting: bool = True  #: its result is one for the ledger, not just a part of the end of all work

    def begin_again(self, target: str) -> None:
        """Make a new attempt, on a target of this name; one that no target began has no number of its own."""
        last = self.run
        history = list(last.history)
        self.run = Run(last.variant, last.taskset, target, last.seed, attempt=len(history) + 1, history=history)

    def fail(self, target: int, reason: str) -> None:
        """Note that the attempt failed on a target."""
        self.run.history.append(f"{self.run.target}, attempt {self.run.attempt}: {reason}")
        self.reason = reason
        self.failed_on.add(target)
        self.failures += 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is; `total` is None while nobody knows how many variants there are."""

    total: int | None
    handed_out: int
    finished: int
    rejected: int
    stopped: int
    failed: int
    failed_attempts: int
    skipped: int = 0  #: variants whose result was stored before

    @property
    def done(self) -> int:
        """How many variants have their result."""
        return self.finished + self.rejected + self.stopped + self.failed

    @property
    def running(self) -> int:
        """How many variants are on a target, or wait for another attempt."""
        return self.handed_out - self.done


def reason_of(error: BaseException) -> str:
    """Return why something failed, in one line; our own errors need no type to be understood."""
    line = describe(error)
    return line.removeprefix(f"{type(error).__name__}: ") if isinstance(error, TaskgenError) else line


def naming(run: Run, error: UsageError) -> UsageError:
    """Return the same error with the number of the variant; the only variant of a set needs none."""
    if not run.variant:
        return error
    kind = type(error) if type(error) in {InputError, Unsupported} else UsageError
    named = kind(f"variant {run.variant}: {reason_of(error)}", hint=error.hint)
    named.__cause__ = error
    return named


def no_target(left: int | None, name: str, failures: int, reason: str) -> TargetError:
    """Return what is to be said when no target is left, but variants are; `left`: how many weren't tried."""
    untried = "further variants" if left is None else "1 variant" if left == 1 else f"{left} variants"
    return TargetError(
        f"no target left, {untried} not tried: {name} failed {failures} times in a row: {reason}",
        hint="see what is wrong with the target, then start again",
    )
