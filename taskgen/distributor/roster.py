"""The roster: which target gets the next variant. Only data and decisions; `Handout` calls it under its lock."""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from taskgen.distributor.health import Condition, Health, Sign, State, TargetHealth
from taskgen.distributor.items import Item


@dataclass(eq=False, slots=True)
class Seat:
    """One target as the roster sees it."""

    name: str
    pool: str | None = None  #: the target of the inventory that it belongs to, if that bounds how many work at once
    parallel: int | None = None  #: that bound
    state: State = State.IDLE
    condition: Condition = field(default_factory=Condition)
    used: int = 0  #: when it got something last, as a count
    placed: bool = False  #: it counts as one of the `parallel` ones of its pool: its session may be open


class Roster:
    """The targets, by index; those that wait, and who of them comes first.

    Of the targets that may have a variant, the one with the fewest failures gets it, among equals the one that had
    nothing for the longest time.
    """

    def __init__(self, seats: Iterable[Seat]) -> None:
        self.seats: Sequence[Seat] = tuple(seats)
        self.alive = set(range(len(self.seats)))  #: those that aren't quarantined
        self.waiting: dict[int, None] = {}  #: those that wait for their turn
        self._placed: Counter[str | None] = Counter()
        self._turn = itertools.count(1)
        self._ranked: list[tuple[tuple[int, int], int]] = []  # a heap of those that wait; old ranks stay in it

    def rows(self) -> list[TargetHealth]:
        """Return how the targets are."""
        return [
            TargetHealth(seat.name, seat.state, at.health, at.failures, at.total, at.reason)
            for seat in self.seats
            for at in (seat.condition,)
        ]

    def note(self, target: int, sign: Sign, reason: str = "") -> Condition:
        """Note what happened to a target; return its condition after that."""
        seat = self.seats[target]
        seat.condition = seat.condition.after(sign, reason)
        (self.alive.discard if seat.condition.health is Health.QUARANTINED else self.alive.add)(target)
        if target in self.waiting:
            self._line_up(target)
        return seat.condition

    def wait(self, target: int) -> None:
        """Let a target wait for its turn."""
        self.seats[target].state = State.IDLE
        self.waiting[target] = None
        self._line_up(target)

    def _line_up(self, target: int) -> None:
        if len(self._ranked) > 4 * len(self.seats):
            self._ranked.clear()
            for each in self.waiting:
                heapq.heappush(self._ranked, (self._rank(each), each))
        else:
            heapq.heappush(self._ranked, (self._rank(target), target))

    def leave(self, target: int, state: State = State.LEASED) -> None:
        """Let a target go that waits: it got something, has something else to do, or goes home."""
        self.waiting.pop(target, None)
        self.seats[target].state = state

    def seize(self, target: int) -> None:
        """Give a waiting target something to do."""
        seat = self.seats[target]
        self.leave(target)
        seat.used = next(self._turn)
        if not seat.placed:
            seat.placed = True
            self._placed[seat.pool] += 1

    def vacate(self, target: int) -> None:
        """A target has no session any more: another one of its pool may have one."""
        seat = self.seats[target]
        if seat.placed:
            seat.placed = False
            self._placed[seat.pool] -= 1

    def best(self, item: Item | None = None) -> int | None:
        """Return the waiting target that is to have a variant, a new one or one that was tried; None: nobody can."""
        passed_over = []
        found: int | None = None
        while self._ranked and found is None:
            rank, target = self._ranked[0]
            if target not in self.waiting or rank != self._rank(target):
                heapq.heappop(self._ranked)
            elif self._has_room(target) and self._suits(target, item):
                found = target
            else:
                passed_over.append(heapq.heappop(self._ranked))
        for each in passed_over:
            heapq.heappush(self._ranked, each)
        return found

    def in_the_way(self, items: Iterable[Item]) -> int | None:
        """Return a waiting target that keeps one of its pool from a variant that it can't have itself."""
        for item in items:
            able = {each: self._suits(each, item) for each in self.waiting}
            pools = {self.seats[each].pool for each, suits in able.items() if suits and not self._has_room(each)}
            for each, suits in able.items():
                if not suits and self.seats[each].placed and self.seats[each].pool in pools:
                    return each
        return None

    def can(self, item: Item) -> bool:
        """Tell whether a target is left that hasn't said that it can't do what a variant describes."""
        return bool(self.alive - item.unable)

    def _suits(self, target: int, item: Item | None) -> bool:
        if target not in self.alive:
            return False
        if item is None:
            return True
        # A variant prefers a target that it hasn't failed on, as long as there is one that might work.
        return target not in item.unable and (
            target not in item.failed_on
            or not any(
                self.seats[other].condition.health is not Health.BAD
                for other in self.alive - item.failed_on - item.unable
            )
        )

    def _has_room(self, target: int) -> bool:
        seat = self.seats[target]
        return seat.placed or seat.parallel is None or self._placed[seat.pool] < seat.parallel

    def _rank(self, target: int) -> tuple[int, int]:
        seat = self.seats[target]
        return seat.condition.total, seat.used
