"""The board's clock: stamps become instants again, over wraps, small disorder, and reboots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import DISORDER_NS, LAST_STAMP_MS, WRAP_NS, Clock, Rebooted, nearest, unwrap
from taskgen.errors import TargetLost
from taskgen.units import NS_PER_MS

MINUTE_NS = 60 * 10**9
instants = st.integers(0, 5 * WRAP_NS)
stamps = st.integers(0, LAST_STAMP_MS)


def stamp_of(instant_ns: int) -> int:
    """Return what a board prints at an instant: ms of a 32-bit number of microseconds."""
    return instant_ns // 1000 % (1 << 32) // 1000


def shown(instant_ns: int) -> int:
    """Return the beginning of the millisecond that the board shows at an instant."""
    return instant_ns // WRAP_NS * WRAP_NS + stamp_of(instant_ns) * NS_PER_MS


def test_a_turn_is_no_whole_number_of_milliseconds() -> None:
    assert WRAP_NS == 4_294_967_296_000
    assert LAST_STAMP_MS == 4_294_967
    assert unwrap(0, 1) == WRAP_NS
    assert unwrap(5, WRAP_NS) == WRAP_NS + 5 * NS_PER_MS
    assert unwrap(LAST_STAMP_MS, 0) == LAST_STAMP_MS * NS_PER_MS


@given(stamps, instants)
def test_unwrap_gives_the_first_instant_with_that_stamp(stamp_ms: int, after_ns: int) -> None:
    instant_ns = unwrap(stamp_ms, after_ns)
    assert after_ns <= instant_ns < after_ns + WRAP_NS
    assert stamp_of(instant_ns) == stamp_ms


@given(stamps, instants)
def test_nearest_is_at_most_half_a_turn_away(stamp_ms: int, instant_ns: int) -> None:
    found_ns = nearest(stamp_ms, instant_ns)
    assert abs(found_ns - instant_ns) <= WRAP_NS // 2
    assert (found_ns - stamp_ms * NS_PER_MS) % WRAP_NS == 0


@given(
    st.integers(0, WRAP_NS - 1),
    st.lists(st.tuples(st.integers(-DISORDER_NS + NS_PER_MS, 60 * MINUTE_NS), st.integers(0, 5 * MINUTE_NS))),
)
def test_a_clock_follows_wraps_and_small_disorder(boot_ns: int, steps: list[tuple[int, int]]) -> None:
    """Events come up to a second out of order and up to five minutes late: each is read as what it was."""
    clock = Clock()
    latest_ns = boot_ns
    assert clock.read(stamp_of(boot_ns), boot_ns) == shown(boot_ns)
    for step_ns, late_ns in steps:
        instant_ns = latest_ns + step_ns
        latest_ns = max(latest_ns, instant_ns)
        assert clock.read(stamp_of(instant_ns), latest_ns + late_ns) == shown(instant_ns)


@given(st.integers(2000, 30 * 60_000), st.data())
def test_a_clock_that_went_back_is_a_reboot(before_ms: int, data: st.DataObject) -> None:
    after_ms = data.draw(st.integers(0, before_ms - 1001))
    clock = Clock()
    clock.read(before_ms, 0)
    with pytest.raises(Rebooted, match=f"from {before_ms} ms to {after_ms} ms") as error:
        clock.read(after_ms, MINUTE_NS)
    assert isinstance(error.value, TargetLost)


def test_a_reboot_changes_nothing_that_was_read() -> None:
    clock = Clock()
    clock.read(300_000, 0)
    with pytest.raises(Rebooted):
        clock.read(20_000, MINUTE_NS)
    assert clock.latest_ns == 300_000 * NS_PER_MS


def test_after_a_wrap_the_clock_goes_on() -> None:
    clock = Clock()
    assert clock.read(4_294_000, 0) == 4_294_000 * NS_PER_MS
    assert clock.read(33, 2 * 10**9) == WRAP_NS + 33 * NS_PER_MS
    assert clock.read(4_294_960, 3 * 10**9) == 4_294_960 * NS_PER_MS  # logged before, heard after
    assert clock.read(34, 4 * 10**9) == WRAP_NS + 34 * NS_PER_MS
