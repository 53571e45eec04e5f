"""How long the jobs of a simulated board compute: by the description, or by the program and its argument.

Where that is drawn, the first set takes the same times as on a simulator with the same seed, and each later one others:
a real board never does the same thing twice, and whoever measures it needs independent runs.
"""

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING

from sim.execution import Work
from taskgen.errors import InputError
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from sim.session import SimSession

#: No board has more different tasks at a time.
_KEPT = 1024


class Draws:
    """The execution times of one board, of which each set draws its own.

    Args:
        session: knows the programs, and the seed of the first set.
    """

    def __init__(self, session: "SimSession") -> None:
        self._session = session
        self._seed = session.seed
        self._sets = 0  # begun so far
        self.of = lru_cache(_KEPT)(self._of)

    def anew(self) -> None:
        """Begin with another set."""
        if self._sets:
            self._session = copy(self._session)
            self._session.seed = (self._seed << 32) + self._sets
            self.of.cache_clear()
        self._sets += 1

    def _of(self, task_id: int, pkg: str, argument: int | None, executiontime: int | None) -> Work | None:
        """Return the times of a task's jobs; None: the program is unknown, or lacks its argument."""
        task = Parameters(
            id=task_id,
            wcet_ns=None if executiontime is None else executiontime * NS_PER_MS,
            period_ns=0,
            deadline_ns=None,
            priority=None,
            offset_ns=0,
            jitter_ns=0,
            jobs=None,
            critical_ns=None,
            arrivals_ns=None,
            attributes={"pkg": pkg, "config": {} if argument is None else {"arg1": argument}},
        )
        try:
            return self._session.work(task)
        except InputError:
            return None
