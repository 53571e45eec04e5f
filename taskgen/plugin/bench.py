"""The target of one pytest process and its session: opened when it is needed, tried again when it is lost.

A session raises `TargetLost`, an ordinary error, which Hypothesis would take for a failed property: it would run the
example again, and report the property as flaky. So what can't be cured here becomes `BoardLost`, which nobody catches
on its way to pytest, and the test ends with an error instead of a verdict.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from itertools import islice
from typing import Any, Final, TypeVar

from taskgen import registry
from taskgen.distributor.health import Care
from taskgen.errors import TargetError, TaskgenError, UsageError
from taskgen.plugin.pool import is_board
from taskgen.power import switch_of
from taskgen.session import Session, Target
from taskgen.taskset import TaskSet
from taskgen.testing.runs import MOST_EVENTS, Executed
from taskgen.units import Milliseconds

T = TypeVar("T")

#: How often something is tried before the target counts as lost.
ATTEMPTS: Final = 3
#: After so many tests in a row that lost it, the target isn't asked any more.
GIVEN_UP: Final = 3
#: How long closing a session may take.
CLOSE_S: Final = 10.0


class BoardLost(BaseException):
    """No verdict: the target was lost, again after all retries; no `Exception`, so that Hypothesis lets it through."""


class Bench:
    """The target of this process.

    Args:
        target: what runs the task-sets.
        care: how it is looked after between two attempts.
        rest: waits for so many seconds.
    """

    def __init__(
        self, target: Target, *, care: Care | None = None, rest: Callable[[float], object] = time.sleep
    ) -> None:
        self.target = target
        self._care = care or Care()
        self._rest = rest
        self._rng = random.Random(0)
        self._session: Session | None = None
        self._lost = 0  # tests in a row
        self._reason = ""

    @property
    def session(self) -> Session:
        """The session, which stays the same one: after a loss its next run connects again.

        Raises:
            BoardLost: it can't be opened.
            UsageError: an option or address is wrong, or the target's answers leave its generation open.
        """
        return self._persist(self._opened) if self._session is None else self._session

    @property
    def generation(self) -> str:
        """The generation of the board, or the profile of the simulator; the board is asked only where nobody says it.

        Raises:
            BoardLost: it can't be asked.
        """
        options = self.target.options
        named = [
            options.get("profile"),
            options.get("dialect"),
            *([] if is_board(self.target) else [self.target.address]),
        ]
        for name in named:
            if isinstance(name, str) and name not in {"", "auto"}:
                return name
        # Sessions of boards keep the row of a generation that they have asked for.
        name = getattr(getattr(self.session, "row", None), "name", "")
        return name if isinstance(name, str) else ""

    def execute(
        self,
        taskset: TaskSet,
        *,
        seen: Callable[[Executed, str], None],
        horizon_ms: Milliseconds | None = None,
        admission: Mapping[str, Any] | None = None,
    ) -> Executed:
        """Run a task-set to its end, again if its target was lost.

        Args:
            taskset: a concrete one.
            seen: gets the trace of each attempt, and why it ended too early if it did.
            horizon_ms: as in `Session.run`.
            admission: as in `Session.run`.

        Raises:
            BoardLost: each attempt lost the target.
            UsageError: the set, or what else was asked for, isn't for this target.
        """
        __tracebackhide__ = True

        def once() -> Executed:
            __tracebackhide__ = True
            return _run(self._opened(), taskset, seen, horizon_ms=horizon_ms, admission=admission)

        return self._persist(once)

    def close(self) -> None:
        """Close the session, within a bounded time."""
        session, self._session = self._session, None
        if session is None:
            return
        thread = threading.Thread(target=_close, args=(session,), name="taskgen close", daemon=True)
        thread.start()
        thread.join(CLOSE_S)

    def _opened(self) -> Session:
        if self._session is None:
            with _hinting():
                self._session = registry.load("sessions", self.target.session).open(self.target)
        return self._session

    def _persist(self, act: Callable[[], T]) -> T:
        """Do something, as often as it takes; a target that was lost before gets one chance per test, then none."""
        __tracebackhide__ = True
        if self._lost >= GIVEN_UP:
            raise BoardLost(
                f"{self.target} isn't asked any more, it was lost {self._lost} times in a row: {self._reason}"
            )
        attempts = 1 if self._lost else ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                result = act()
            except TargetError as error:
                self._reason = f"{error}; hint: {error.hint}" if error.hint else str(error)
            else:
                self._lost = 0
                return result
            if attempt < attempts:
                self._recover(attempt)
        self._lost += 1
        times = "once" if attempts == 1 else f"{attempts} times"
        # The failures are in the message; a chain of their tracebacks would bury it.
        raise BoardLost(f"{self.target} was lost, tried {times}: {self._reason}") from None

    def _recover(self, failures: int) -> None:
        """Let the target rest, or cycle its power if that is known and resting didn't help."""
        switch = switch_of(self.target)
        if switch is None or failures < self._care.cycle_after:
            self._rest(self._care.rest_s(failures, self._rng))
            return
        with suppress(TargetError):  # the next attempt will tell
            switch.cycle(self._rested)

    def _rested(self, seconds: float) -> bool:
        self._rest(seconds)
        return True


def _run(
    session: Session,
    taskset: TaskSet,
    seen: Callable[[Executed, str], None],
    *,
    horizon_ms: Milliseconds | None,
    admission: Mapping[str, Any] | None,
) -> Executed:
    """Run a task-set once, as `taskgen.testing.runs.execute` does, but let the trace of a run that failed be seen."""
    __tracebackhide__ = True
    with _hinting():
        events = session.run(taskset, horizon_ms=horizon_ms, admission=admission)
    assert session.plan is not None  # noqa: S101  # run() has set it
    trace, why = Executed(session.plan, session.capabilities), "it was interrupted"
    try:
        with closing(events):
            trace.extend(islice(events, MOST_EVENTS))
            if next(events, None) is not None:
                raise UsageError(
                    f"the run has more than {MOST_EVENTS} events", hint="a shorter horizon_ms yields fewer"
                )
        trace.finish(trace.plan)
        why = ""
    except TaskgenError as error:
        why = str(error)
        raise
    finally:
        seen(trace, why)
    return trace


@contextmanager
def _hinting() -> Iterator[None]:
    """Let pytest show the hint of an error."""
    __tracebackhide__ = True
    try:
        yield
    except UsageError as error:
        if error.hint:
            error.add_note(f"hint: {error.hint}")
        raise


def _close(session: Session) -> None:
    with suppress(BaseException):  # the tests are over, and their verdicts stand
        session.close()
