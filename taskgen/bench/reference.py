"""The fixed load of this machine, measured between the runs: if it takes longer, so does everything that we measure."""

import threading
import time
from collections.abc import Callable
from typing import Final

#: Steps of the load: a millisecond or so of what simulators and sessions are made of, interpreted code.
STEPS: Final = 20_000
#: More samples tell nothing new.
MOST_SAMPLES: Final = 200

_MULTIPLIER, _INCREMENT, _MODULUS = 1_103_515_245, 12_345, 1 << 31


def load(steps: int = STEPS) -> int:
    """Do the work: numbers of a linear congruential generator; returns the last one, so that nobody skips it."""
    state = 1
    for _ in range(steps):
        state = (state * _MULTIPLIER + _INCREMENT) % _MODULUS
    return state


class Reference:
    """The samples of the load, in ns; several threads may ask for one, of which the first measures.

    Args:
        turns: how often somebody will ask; samples are spread over them evenly.
        clock: in ns.
        work: the load.
    """

    def __init__(
        self, turns: int, *, clock: Callable[[], int] = time.perf_counter_ns, work: Callable[[], object] = load
    ) -> None:
        self._every = max(1, -(-turns // MOST_SAMPLES))
        self._clock = clock
        self._work = work
        self._lock = threading.Lock()
        self._asked = 0
        self._samples: list[int] = []
        work()  # the first time is never like the others

    @property
    def samples(self) -> tuple[int, ...]:
        """How long it took, in the order of time."""
        return tuple(self._samples)

    def sample(self) -> None:
        """Measure it if it is due and nobody does so already."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            if not self._asked % self._every:
                begun_ns = self._clock()
                self._work()
                self._samples.append(self._clock() - begun_ns)
            self._asked += 1
        finally:
            self._lock.release()
