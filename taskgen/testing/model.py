"""The model of one run: what a session may yield, and when it is over."""

from collections.abc import Generator
from dataclasses import replace
from itertools import islice
from typing import Literal, TypeAlias

from taskgen.errors import TargetError
from taskgen.events import Event, EventType
from taskgen.registry import describe
from taskgen.session import Session
from taskgen.testing import event_laws
from taskgen.testing.event_laws import Observed, check_events, require
from taskgen.testing.runs import MOST_EVENTS, Executed
from taskgen.units import NS_PER_MS

#: How a run ended; empty: it goes on.
End: TypeAlias = Literal["", "done", "stopped", "closed", "lost"]

#: A horizon that no test waits for: such a run is to be stopped or closed.
FAR_MS = 600_000
#: More events than a session may have in stock when it is stopped.
MANY = 20_000
#: What holds for the events so far, whatever becomes of the rest.
_LAWS_SO_FAR = (
    event_laws.well_formed,
    event_laws.comes_once,
    event_laws.in_time_order,
    event_laws.numbers_count_up,
)


class Held:
    """A run that was begun, and what has been seen of it.

    Args:
        session: whose run it is.
        events: its generator.
        horizon_ms: the horizon that was asked for.
        may_be_lost: its target has a fault, or had one that the session hasn't noticed yet.
        ends_untold: a job may vanish without an event.
    """

    def __init__(
        self,
        session: Session,
        events: Generator[Event, None, None],
        horizon_ms: int | None,
        *,
        may_be_lost: bool,
        ends_untold: bool,
    ) -> None:
        assert session.plan is not None  # noqa: S101  # run() has set it
        self.session = session
        self.events = events
        self.plan = session.plan
        self.seen: list[Event] = []
        self.end: End = ""
        self.horizon_ms = horizon_ms
        self.may_be_lost = may_be_lost
        self.capabilities = session.capabilities
        if ends_untold:
            self.capabilities = replace(self.capabilities, outcomes=False)
        self.told_to_stop = False
        self._before_stop: int | None = None  # how many events came before it
        self._races = False  # another thread stops it, nobody knows when

    # -- what is done to it ----------------------------------------------------------------------------------------

    def spoil(self) -> None:
        """Something has gone wrong that may cost the run; it may already be over, of course."""
        self.may_be_lost = self.may_be_lost or not self.end

    def stopped(self) -> None:
        """`stop()` was called."""
        if not self.end and self._before_stop is None:
            self._before_stop = len(self.seen)
        self.told_to_stop = self.told_to_stop or not self.end

    def race(self) -> None:
        """`stop()` is being called."""
        self._races = self._races or not self.end

    def take(self, count: int) -> None:
        """Take so many events, or fewer if it is over."""
        for _ in range(count):
            if not self._advance():
                return

    def drain(self) -> None:
        """Take all events."""
        told = self.told_to_stop or self._races
        most = MANY if told else MOST_EVENTS
        for _ in range(most):
            if not self._advance():
                return
        what = "soon after stop()" if told else "when all jobs are done, or at the horizon"
        raise AssertionError(f"the generator returns {what}; it went on for more than {most} events")

    def close(self) -> None:
        """Close the generator."""
        self.events.close()
        self.end = self.end or "closed"

    def _advance(self) -> bool:
        over = bool(self.end)
        try:
            event = next(self.events, None)
        except TargetError as error:
            require(not over, f"nothing comes behind the end of a run; it raised {describe(error)}")
            require(self.may_be_lost, f"a target without faults isn't lost; the run raised {describe(error)}")
            self.end = "lost"
            return False
        if event is None:
            self.end = self.end or ("stopped" if self.plan.stopped() else "done")
            return False
        require(not over, f"nothing comes behind the end of a run, got {event}")
        self.seen.append(event)
        return True

    # -- what is to hold -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at what the session says of this run."""
        require(self.session.plan is self.plan, "`plan` is that of the latest run, also when another one was refused")
        if not self._races:
            told = self._before_stop is not None
            require(self.plan.stopped() == told, f"plan.stopped() is {told} here, got {not told}")

    def judge(self) -> None:
        """Judge the run, which is over."""
        require(next(self.events, None) is None, "nothing comes behind the end of a run")
        require(not self.session.active, "a session is free when its run is over")
        if self._before_stop == 0:
            lives = [event for event in self.seen if event.type is not EventType.IDLE]
            require(not lives, f"a run that was stopped before its first next never starts, got {lives[:1]}")
        observed = self._observed()
        if self.end in {"closed", "lost"}:
            for law in _LAWS_SO_FAR:
                law(observed)
            return
        check_events(observed)
        if observed.whole:
            cut = [event for event in self.seen if event.type is EventType.EXIT_EXTERNAL]
            require(not cut, f"jobs of a limited set complete unless they are cut off, got {cut[:1]}")
        if self.capabilities.deterministic:
            late = [event for event in self.seen if event.time_ns > self.plan.horizon.time_ns]
            at = f"{self.plan.horizon.time_ns / NS_PER_MS:g} ms"
            require(not late, f"nothing happens after the horizon of {at}, got {late[:1]}")

    def _observed(self) -> Observed:
        cut = self.end != "done" or self._races or self.may_be_lost
        whole = not cut and Executed(self.plan, self.capabilities).whole and self.capabilities.outcomes
        return Observed(self.seen, self.plan.tasks, self.capabilities, bool(self.plan.overheads), whole)

    def compare(self, other: Session) -> None:
        """Compare the run with that of a new session of the same, deterministic target."""
        cut = self.end != "done" or self._races
        known = len(self.seen) if self._before_stop is None else self._before_stop
        if self.end == "stopped" and self._before_stop is None:
            return  # which of its events are those of the stop, nobody knows
        events = other.run(self.plan.taskset, horizon_ms=self.horizon_ms)
        expected = list(islice(events, known if cut else known + 1))
        events.close()
        for seen, due in zip(self.seen, expected, strict=False):
            require(seen == due, f"a deterministic session repeats itself: a new one yields {due}, this one {seen}")
        require(
            len(expected) == known,
            f"a deterministic session repeats itself: a new one yields {len(expected)} events, this one {known}",
        )
