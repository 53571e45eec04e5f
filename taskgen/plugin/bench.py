"""The stand of one pytest process: what can't be cured there becomes `BoardLost`.

Nobody catches it on its way to pytest, and the test ends with an error instead of a verdict.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from taskgen.errors import TargetLost, UsageError
from taskgen.session import Session
from taskgen.taskset import TaskSet
from taskgen.testing.runs import Executed
from taskgen.testing.stand import ATTEMPTS, GIVEN_UP, BoardLost, Stand
from taskgen.units import Milliseconds

__all__ = ["ATTEMPTS", "GIVEN_UP", "Bench", "BoardLost"]


class Bench(Stand):
    """The target of this process."""

    @property
    def session(self) -> Session:
        """The session, as the stand's.

        Raises:
            BoardLost: it can't be opened.
            UsageError: an option or address is wrong, or the target's answers leave its generation open.
        """
        __tracebackhide__ = True
        with _for_pytest():
            return super().session

    def execute(
        self,
        taskset: TaskSet,
        *,
        seen: Callable[[Executed, str], None] = lambda *_: None,
        horizon_ms: Milliseconds | None = None,
        admission: Mapping[str, Any] | None = None,
    ) -> Executed:
        """Run a task-set to its end, as the stand does.

        Raises:
            BoardLost: each attempt lost the target.
            UsageError: the set, or what else was asked for, isn't for this target.
        """
        __tracebackhide__ = True
        with _for_pytest():
            return super().execute(taskset, seen=seen, horizon_ms=horizon_ms, admission=admission)


@contextmanager
def _for_pytest() -> Iterator[None]:
    """Let no lost target count as a failure, and let pytest show the hint of an error."""
    __tracebackhide__ = True
    try:
        yield
    except TargetLost as error:
        raise BoardLost(f"{error}; hint: {error.hint}" if error.hint else str(error)) from None
    except UsageError as error:
        if error.hint:
            error.add_note(f"hint: {error.hint}")
        raise
