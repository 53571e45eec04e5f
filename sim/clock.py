"""A model's place in a SimPy environment: it runs ahead through its own instants while nobody else can act.

The model is a callback on an event of its own. When that event comes, it advances privately up to `env.peek()`,
because nobody else can act before that, and then arms the event for its next instant. At equal times other processes
come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy

#: What a model does between two looks at the world outside, at most: instants, and jobs that it releases in them.
INSTANTS, JOBS = 100, 1000


def releases_before_a_look(tasks: int) -> int:
    """Return how many releases may lie behind a model that begins one more instant, which may release each task.

    So a call never exceeds `JOBS`, but with more than 900 tasks by those of one instant: that is never divided.
    """
    return max(JOBS - tasks, INSTANTS)


class Clocked:
    """Drives `advance` from a SimPy environment until `over`; the end is `cut` at the horizon."""

    over: bool
    _timer_ns: int  #: look again at this instant

    def _place(self, env: simpy.Environment, horizon_ns: int) -> None:
        """Take a place in the environment, and act from time 0 on."""
        self.env = env
        self.horizon_ns = horizon_ns
        self._wake: simpy.Event | None = None
        self._arm(0)

    def advance(self, limit_ns: float) -> int:
        """Process instants before `limit_ns`; return the next one."""
        raise NotImplementedError

    def cut(self, time_ns: int) -> None:
        """End the run at this instant."""
        raise NotImplementedError

    def _poke(self) -> None:
        """Let the model look at the world again, now."""
        now_ns = self.env.now
        if not isinstance(now_ns, int):
            raise TypeError(
                f"the simulation clock is at {now_ns!r}, expected integer nanoseconds: use env.timeout(int)"
            )
        self._timer_ns = min(self._timer_ns, now_ns)
        self._arm(now_ns)

    def _arm(self, time_ns: float) -> None:
        wake = self._wake = self.env.timeout(time_ns - self.env.now)
        wake.callbacks.append(self._on_wake)

    def _on_wake(self, event: simpy.Event) -> None:
        if event is not self._wake or self.over:  # armed anew since
            return
        limit_ns = self.env.peek()
        if limit_ns <= self.env.now:  # others act at this instant, too: they come first
            self._arm(self.env.now)
            return
        next_ns = self.advance(min(limit_ns, self.horizon_ns))
        if self.over:
            return
        if next_ns >= self.horizon_ns and limit_ns > self.horizon_ns:
            self.cut(self.horizon_ns)
        else:
            self._arm(min(next_ns, self.horizon_ns))
