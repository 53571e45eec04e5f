"""Who is told how far a benchmark is."""

from collections import Counter

from taskgen.bench.collect import Sampled
from taskgen.bench.suite import Case, Measured, Suite


class Watch:
    """Is told how far a benchmark is; the calls come from several threads, one at a time."""

    def begin(self, runs: Counter[tuple[str, str]], estimate_ns: int | None, boards: int) -> None:
        """So many runs of each case follow, by suite and case; on real boards they take that long at most."""

    def ran(self, done: int, suite: Suite, case: Case, repetition: int, sampled: Sampled) -> None:
        """A run is over; so many are now."""

    def measured(self, suite: Suite, case: Case, measured: Measured) -> None:
        """A run that counts is measured: whoever wants to judge traces keeps them."""

    def lost(self, board: str, reason: str) -> None:
        """A board is given up."""
