"""The runs of a benchmark in their order, handed out to the boards of a pool; whatever is lost comes back.

Each round has every case once, in an order of its own: what disturbs a machine for a while disturbs all cases alike.
"""

import random
import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from taskgen.bench.collect import Sampled
from taskgen.bench.prepare import Prepared
from taskgen.errors import UsageError
from taskgen.units import short

#: As many fit into a document that can be read again.
MOST_RUNS: Final = 200_000
#: A run that cost its target so often is given up: it may be the run's fault.
MOST_LOSSES: Final = 2


class Turn(NamedTuple):
    """One run of one case."""

    suite: int
    case: int
    repetition: int  #: from 0; negative: warm-up


def order(prepared: Sequence[Prepared], *, repeat: int, warmup: int, seed: int) -> list[Turn]:
    """Return all runs: the rounds of the warm-up, then those that count; each shuffled, the same for the same seed.

    Raises:
        UsageError: there are more than `MOST_RUNS`.
    """
    rng = random.Random(seed)
    asked = [
        (suite, number, case.repeat)
        for suite, each in enumerate(prepared)
        for number, case in enumerate(each.cases)
    ]  # fmt: skip
    runs = sum(repeat + warmup if own is None else own for _, _, own in asked)
    if runs > MOST_RUNS:
        raise UsageError(
            f"{len(asked)} cases, repeat {short(repeat)}, warmup {short(warmup)}: {short(runs)} runs, expected at most"
            f" {MOST_RUNS}",
            hint="repeat them less often, or name fewer suites",
        )
    last = max([repeat, *(own for _, _, own in asked if own is not None)])
    turns: list[Turn] = []
    for repetition in range(-warmup, last):
        due = [
            Turn(suite, case, repetition)
            for suite, case, own in asked
            if (repetition < repeat if own is None else 0 <= repetition < own)
        ]
        rng.shuffle(due)
        turns += due
    return turns


class Turns:
    """Who runs what, and what came out; for several threads, each of which works for a board."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self.total = len(turns)
        self.found: dict[Turn, Sampled] = {}
        self.lost: dict[Turn, str] = {}  #: given up, and why
        self._pending = deque(turns)
        self._losses: defaultdict[Turn, list[str]] = defaultdict(list)
        self._out: set[Turn] = set()
        self._boards: set[str] = set()
        self._closed = False
        self._changed = threading.Condition()

    def take(self, board: str) -> Turn | None:
        """Return the next run, waiting for what another board may give back; None: there is none any more.

        A run that this board has lost already is left to the others, as long as there are any.
        """
        with self._changed:
            self._boards.add(board)
            while not self._closed:
                if self._pending and (turn := self._next(board)) is not None:
                    self._pending.remove(turn)
                    self._out.add(turn)
                    return turn
                if not self._pending and not self._out:
                    return None
                self._changed.wait()
            return None

    def _next(self, board: str) -> Turn | None:
        first = self._pending[0]
        if board not in self._losses.get(first, ()):
            return first
        fresh = next((turn for turn in self._pending if board not in self._losses.get(turn, ())), None)
        return first if fresh is None and self._boards == {board} else fresh

    def leave(self, board: str) -> None:
        """A board takes nothing any more."""
        with self._changed:
            self._boards.discard(board)
            self._changed.notify_all()

    def done(self, turn: Turn, sampled: Sampled) -> None:
        """Keep what a run gave; one that was given back in the meantime doesn't count."""
        with self._changed:
            if turn in self._out:
                self._out.discard(turn)
                self.found[turn] = sampled
                self._changed.notify_all()

    def back(self, turn: Turn, board: str, reason: str) -> None:
        """Give a run back whose board was lost: another one, or the same later, tries it again; too often: none."""
        with self._changed:
            if turn not in self._out:
                return
            self._out.discard(turn)
            self._losses[turn].append(board)
            if len(self._losses[turn]) < MOST_LOSSES:
                self._pending.append(turn)
            else:
                self.lost[turn] = reason
            self._changed.notify_all()

    def close(self) -> None:
        """Hand nothing out any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        """Whether nothing is to be run any more."""
        with self._changed:
            return self._closed or not (self._pending or self._out)

    def __len__(self) -> int:
        """Return how many runs are over."""
        return len(self.found) + len(self.lost)
