"""Who gets the next variant: of those that wait and may, the one with the fewest failures, then the longest without."""

from hypothesis import given
from hypothesis import strategies as st

from taskgen.distributor.health import Health, Sign
from taskgen.distributor.roster import Roster, Seat

TARGETS = range(4)
Step = tuple[str, int]

steps = st.lists(
    st.tuples(st.sampled_from(["wait", "leave", "seize", "vacate", "fail", "wear", "begin"]), st.sampled_from(TARGETS))
)


def do(roster: Roster, step: Step) -> None:
    what, target = step
    quarantined = roster.seats[target].condition.health is Health.QUARANTINED
    if what == "wait":
        roster.wait(target)
    elif what == "leave":
        roster.leave(target)
    elif what == "seize" and target in roster.waiting:
        roster.seize(target)
    elif what == "vacate":
        roster.vacate(target)
    elif what == "begin":
        roster.note(target, Sign.BEGUN)
    elif not quarantined:
        roster.note(target, Sign.FAILED if what == "fail" else Sign.WORN, "why not")


def expected(roster: Roster) -> tuple[int, int] | None:
    """Return the rank of the best one, by its definition."""
    placed = [seat.pool for seat in roster.seats if seat.placed]
    ranks = [
        (seat.condition.total, seat.used)
        for target, seat in enumerate(roster.seats)
        if target in roster.waiting and target in roster.alive
        if seat.placed or seat.parallel is None or placed.count(seat.pool) < seat.parallel
    ]
    return min(ranks, default=None)


@given(steps)
def test_the_best_of_those_that_wait_is_found_whatever_happened_before(history: list[Step]) -> None:
    roster = Roster([Seat("a"), Seat("b"), Seat("c", "pool", 1), Seat("d", "pool", 1)])
    for step in history:
        do(roster, step)
        best = roster.best()
        seat = None if best is None else roster.seats[best]
        assert (None if seat is None else (seat.condition.total, seat.used)) == expected(roster)
