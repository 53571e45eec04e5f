"""The table of board generations: each column against the numbers of the protocol text."""

from dataclasses import replace
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.boards.description import Description, describe, number_of, read, size_of
from sim.boards.eventlog import WRAP_NS, stamp_ms
from sim.boards.generation import G1, G1O, G1P, G3A, G3B, G4, GENERATIONS, Generation, generation
from sim.boards.taskloader import Taskloader
from sim.boards.timing import Timing
from taskgen.errors import UsageError
from taskgen.events import ENDINGS, EventType
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

ROWS = tuple(GENERATIONS.values())
NAMES = tuple(GENERATIONS)
EACH = pytest.mark.parametrize("row", ROWS, ids=NAMES)


def run(row: Generation, *tasks: dict[str, Any], horizon: int = 10_000, **options: Any) -> Taskloader:
    loader = Taskloader(
        simpy.Environment(),
        parameters_of(tasks),
        row,
        lambda task, _: task.wcet_ns or 1,
        horizon_ns=horizon * NS_PER_MS,
        **options,
    )
    while not loader.over:
        loader.env.step()
    return loader


def test_the_rows_are_named_and_in_order() -> None:
    assert NAMES == ("G1", "G1o", "G1p", "G3a", "G3b", "G4")


@pytest.mark.parametrize(
    ("row", "raw", "level"),
    [
        (G1, 0, 128), (G1, 127, 128), (G1, 128, 127), (G1, 32768, 127),
        (G1O, 0, 128), (G1O, 1, 127), (G1O, 127, 127),
        (G1P, 127, 128), (G1P, 128, 127),
        (G3A, 0, 0), (G3A, 1, 1), (G3A, 128, 128), (G3A, 129, 0),
        (G3B, 0, 128), (G3B, 127, 1), (G3B, 128, 128), (G3B, 5000, 128),
        (G4, 0, 128), (G4, 127, 1), (G4, 128, 128),
    ],
)  # fmt: skip
def test_from_priority_to_kernel_level(row: Generation, raw: int, level: int) -> None:
    """wire-protocol 7.2: the table of levels and the clamp of G3b and G4; 7.4: G3a with p > 128 is level 0."""
    assert row.priorities.level(raw) == level


@EACH
def test_our_more_urgent_priority_is_never_a_lower_level(row: Generation) -> None:
    """Design 3.1: 'Dialects translate for boards with another direction'."""
    levels = [row.priorities.level(row.board.raw[ours]) for ours in range(128)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 128
    assert levels[-1] >= 1
    assert len(set(levels)) == (128 if row in (G3A, G3B, G4) else 2)


@pytest.mark.parametrize(
    ("row", "raw", "edf"),
    [
        (G1O, 0, True), (G1O, 128, True), (G1P, 32768, True), (G3A, 0, True), (G3A, 129, True),
        (G3B, 127, True), (G3B, 126, False), (G3B, 128, False),
    ],
)  # fmt: skip
def test_a_deadline_makes_an_edf_task(row: Generation, raw: int, edf: bool) -> None:
    """wire-protocol 7.2: '`deadline` survives on G3b only for p = 127 exactly'; G3a, G1o: any deadline > 0."""
    assert row.priorities.edf is not None
    assert row.priorities.edf(raw) is edf


def test_g1_and_g4_have_no_edf() -> None:
    """wire-protocol 2.2: `deadline` 'not read' on G1, 'read, always discarded' on G4."""
    for row in (G1, G4):
        assert row.priorities.edf is None
        events = run(row, {"executiontime": 10, "period": 1000, "deadline": 500, "numberofjobs": 1}).events
        assert [str(event[1]) for event in events][:2] == ["START", "EXIT"]


@pytest.mark.parametrize(
    ("row", "two", "four"), [(G1, 0, 0), (G1O, 1, 2), (G1P, 1, 2), (G3A, 1, 1), (G3B, 0, 1), (G4, 0, 1)]
)
def test_the_core(row: Generation, two: int, four: int) -> None:
    """wire-protocol 7.3: core = floor((X0 w + x) cores / (A w)); on G4 with `cores` 2, `coreoffset` 1."""
    assert row.placement.core(2, 2, 1) == two
    assert row.placement.core(4, 2, 1) == four
    assert row.placement.core(1, 2, 1) == 0


def test_g4_reads_the_core_from_the_description() -> None:
    """wire-protocol 7.3: G4: '2, 2 -> 1'; 2.2: `cores` missing: 'placement unspecified'."""
    assert G4.placement.core(2, 2, 2) == 1
    assert G4.placement.core(2) == 0


@pytest.mark.parametrize("row", [G1O, G1P])
def test_kernels_before_2018_starve_expired_threads(row: Generation) -> None:
    """wire-protocol 7.1: the rule about expired deadlines 'from 2018-01-15'; before, they never run again."""
    assert row.expired == "starve"
    assert {later.expired for later in (G3A, G3B, G4)} == {"yield"}


@pytest.mark.parametrize(("row", "wait"), [(G1, 500), (G1O, 500), (G1P, 500), (G3A, 500), (G3B, 0), (G4, 1000)])
def test_clear_wait(row: Generation, wait: int) -> None:
    """wire-protocol 10: CLEAR wait 500 | 500 | 500 | 500 | 0 | 1000."""
    assert row.timing.clear_wait_ns == wait * NS_PER_MS


@EACH
def test_creation_and_parse_as_measured(row: Generation) -> None:
    """wire-protocol 6.7: creation 26..28, each further description parsed 10..11 later."""
    assert 26 * NS_PER_MS <= row.timing.create_ns <= 28 * NS_PER_MS
    assert 10 * NS_PER_MS <= row.timing.parse_ns <= 11 * NS_PER_MS


@pytest.mark.parametrize("row", [G3A, G3B, G4])
def test_destruction_in_generations_that_were_not_measured(row: Generation) -> None:
    """wire-protocol 6.7: 'soft exit -> thread destroyed …: 217 (`namaste`) .. 252 (libc programs)'."""
    assert row.timing.destruction_ns("namaste") == 217 * NS_PER_MS
    assert row.timing.destruction_ns("pi") == 252 * NS_PER_MS


def test_a_timing_can_be_replaced() -> None:
    other = generation("G1", timing=Timing(create_ns=NS_PER_MS))
    assert run(other, {"executiontime": 10}).events[0][0] == NS_PER_MS


def test_unknown_generations_and_builds_are_refused() -> None:
    with pytest.raises(UsageError, match="no generation 'G5'"):
        generation("G5")
    with pytest.raises(UsageError, match="every build of G3b destroys at exit"):
        generation("G3b", destroy_at_exit=False)
    assert generation("G1o", destroy_at_exit=False) is G1O


_VOCABULARY = {
    "G1": {"START", "EXIT", "EXIT_CRITICAL", "EXIT_EXTERNAL", "EXIT_ERROR"},
    "G1o": {"START", "EXIT", "EXIT_CRITICAL", "EXIT_EXTERNAL", "EXIT_ERROR"},
    "G1p": {"START", "EXIT", "EXIT_CRITICAL", "EXIT_EXTERNAL", "EXIT_ERROR"},
    "G3a": {"START", "EXIT", "EXIT_CRITICAL", "EXIT_EXTERNAL", "EXIT_ERROR", "NOT_SCHEDULED", "JOBS_DONE"},
}
_VOCABULARY["G3b"] = _VOCABULARY["G3a"] | {"EXIT_PERIOD", "OUT_OF_QUOTA"}
_VOCABULARY["G4"] = _VOCABULARY["G3b"] | {"OUT_OF_CAPS"} - {"NOT_SCHEDULED"}

_TASK = st.fixed_dictionaries(
    {
        "executiontime": st.integers(1, 900),
        "period": st.sampled_from([0, 200, 500, 1000]),
        "priority": st.integers(0, 127),
        "offset": st.sampled_from([0, 0, 150]),
        "criticaltime": st.sampled_from([0, 0, 120, 700, 1500]),
    },
    optional={"deadline": st.integers(50, 900), "jobs": st.integers(1, 3)},
)


def task_of(drawn: dict[str, Any]) -> dict[str, Any]:
    jobs = drawn.pop("jobs", None)
    return {**drawn, "numberofjobs": jobs} if jobs and drawn["period"] else drawn


@settings(max_examples=150, deadline=None)
@given(row=st.sampled_from(ROWS), tasks=st.lists(_TASK.map(task_of), min_size=1, max_size=4))
def test_every_generation_keeps_its_vocabulary_and_the_order_of_a_job(
    row: Generation, tasks: list[dict[str, Any]]
) -> None:
    """wire-protocol 3.2 (which event since when), 3.4 ('One START precedes its end event'), design 3.4 (numbers)."""
    events = run(row, *tasks, horizon=4000).events
    assert {str(event[1]) for event in events} <= _VOCABULARY[row.name]
    last: dict[int, int] = {}
    starts: dict[int, int] = {}
    ended: dict[int, set[int]] = {}
    for time_ns, kind, task, job, core in events:
        assert 0 <= time_ns <= 4000 * NS_PER_MS
        assert time_ns >= last.get(task, 0)
        assert core in {0, 1}
        last[task] = time_ns
        if kind is EventType.START:
            assert job == starts.get(task, 0)
            starts[task] = job + 1
        elif kind is EventType.NOT_SCHEDULED:
            assert job == starts.get(task, 0)
        elif kind in ENDINGS:
            assert job == starts[task] - 1
            assert job not in ended.setdefault(task, set())
            ended[task].add(job)


@settings(max_examples=30, deadline=None)
@given(row=st.sampled_from(ROWS), tasks=st.lists(_TASK.map(task_of), min_size=1, max_size=4))
def test_same_set_same_events(row: Generation, tasks: list[dict[str, Any]]) -> None:
    """Design 3.8: 'Same set, same seed: same trace'."""
    assert run(row, *tasks, horizon=3000).events == run(row, *tasks, horizon=3000).events


@settings(max_examples=60, deadline=None)
@given(row=st.sampled_from(ROWS), tasks=st.lists(_TASK.map(task_of), min_size=1, max_size=4))
def test_every_job_ends_by_the_horizon_or_was_destroyed_without_an_event(
    row: Generation, tasks: list[dict[str, Any]]
) -> None:
    """Design 3.4: 'jobs cut off end with EXIT_EXTERNAL on every backend'; wire-protocol 6.4: silence only on G3a."""
    events = run(row, *tasks, horizon=4000).events
    born = {(task, job) for _, kind, task, job, _ in events if kind is EventType.START}
    dead = {(task, job) for _, kind, task, job, _ in events if kind in ENDINGS}
    newest = {(task, max(job for id_, job in born if id_ == task)) for task, _ in born}
    assert born - dead <= (born - newest if row is G3A else set())


@EACH
def test_stamps_have_a_resolution_of_1_ms(row: Generation) -> None:
    """wire-protocol 3.3: 'Milliseconds, unsigned, of the board's clock'; 'Computed from 32-bit microseconds'."""
    task = {"executiontime": 10.4, "period": 1000, "numberofjobs": 1, "priority": 3}
    events = run(row, task, uptime_ns=123_456_789).events
    assert all(event[0] % NS_PER_MS == 0 for event in events)


@EACH
def test_time_zero_does_not_depend_on_the_boards_uptime(row: Generation) -> None:
    """wire-protocol 3.3: stamps 'wrap after 4 294 967 ms'; 8, hazard 22: 'unwrap modulo 4 294 967.296 ms'."""
    task = {"executiontime": 300, "period": 1000, "criticaltime": 600, "priority": 3}
    young = run(row, task, horizon=4500).events
    old = run(row, task, horizon=4500, uptime_ns=WRAP_NS - 2000 * NS_PER_MS).events
    assert [event[1:] for event in old] == [event[1:] for event in young]
    assert all(abs(a[0] - b[0]) <= NS_PER_MS for a, b in zip(old, young, strict=True))


def test_the_stamp_wraps_after_32_bits_of_microseconds() -> None:
    """wire-protocol 3.3: 'wrap after 4 294 967 ms'."""
    assert stamp_ms(WRAP_NS - 1) == 4_294_967
    assert stamp_ms(WRAP_NS) == 0
    assert stamp_ms(WRAP_NS + 5 * NS_PER_MS) == 5


@pytest.mark.parametrize(
    ("text", "size"), [("1M", 1 << 20), ("5K", 5120), ("2G", 2 << 30), ("4k", 4), ("1.5M", 1), ("0x10", 16), ("", 0)]
)
def test_byte_sizes(text: str, size: int) -> None:
    """wire-protocol 2.1: 'one capital suffix K, M, G'; 6.8: '`k` is no suffix (4k = 4), 1.5M = 1'."""
    assert size_of(text) == size


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", 42), (42, 42), ("0x1F", 31), ("0x", 0), ("12ms", 12), ("1.9", 1),
        ("-1", 0), (" 7", 0), ("\n7", 0), ("", 0),
        ("9999999999999999", 1_874_919_423), ("4294967296", 0), ("0x1ffffffff", 0xFFFF_FFFF),
        ("1" * 5000, int("1" * 60) % 2**32),
    ],
)  # fmt: skip
def test_numbers(text: object, number: int) -> None:
    """wire-protocol 2.1: parsing stops at the first other character, no sign, no trimming, modulo 2^32 (measured)."""
    assert number_of(text) == number


@EACH
def test_a_board_reads_elements_raw(row: Generation) -> None:
    """wire-protocol 2.1: 'First occurrence wins', 'Empty element = 0'; 2.2: `pkg` has at most 31 characters."""
    made = read([("id", "7"), ("id", "8"), ("period", ""), ("criticaltime", " 5"), ("pkg", "p" * 40)], row.board)
    assert (made.id, made.period_ns, made.critical_ns, made.pkg) == (7, 0, 0, "p" * 31)
    assert not made.config
    made = read({"config": {"arg1": "0x10"}, "quota": "4G"}, row.board)
    assert (made.config, made.argument, made.quota) == (True, 16, 0)


@pytest.mark.parametrize(("row", "deadline_ns"), [(G1, 0), (G1O, 5000), (G1P, 5000), (G3A, 5 * 10**6), (G4, 0)])
def test_the_unit_of_a_deadline(row: Generation, deadline_ns: int) -> None:
    """wire-protocol 2.2: `deadline` in us on G1o and G1p, ms on G3; not read on G1, discarded on G4."""
    assert read({"deadline": "5", "offset": "3"}, row.board).deadline_ns == deadline_ns
    assert read({"offset": "3"}, row.board).offset_ns == (0 if row in (G1, G1O, G1P) else 3 * NS_PER_MS)


def test_descriptions_of_a_board_have_nothing_that_was_not_sent() -> None:
    """wire-protocol 2.2: what is missing means 0."""
    bare = Description()
    assert (bare.priority, bare.period_ns, bare.jobs, bare.quota, bare.caps) == (0, 0, 0, 0, 0)


@EACH
def test_a_session_fills_in_what_the_board_needs(row: Generation) -> None:
    """Design 3.5: 'The session fills in what a generation needs' (config, caps, cores, coreoffset, quota)."""
    (task,) = parameters_of([{"period": 10}])
    made = describe(task, row)
    assert made.config
    assert made.quota == 5 << 20
    assert (made.caps, made.cores, made.coreoffset) == ((235, 2, 1) if row is G4 else (0, 0, 0))


@EACH
def test_a_simulated_board_has_the_delays_that_its_clients_expect(row: Generation) -> None:
    """One table: what a session waits for is what a board in software does."""
    timing, board = row.timing, row.board
    assert timing.clear_wait_ns == board.clear_ns
    assert timing.create_ns == board.create_ns
    assert timing.start_ns == board.start_ns
    assert timing.admission_ns == board.admission_ns
    assert board.boot_ns[0] <= timing.boot_ns <= board.boot_ns[1]


def test_a_level_0_task_starts_and_never_ends() -> None:
    """wire-protocol 7.2: 'A thread with level 0 and deadline 0 … never runs (START is logged, no exit follows)'."""
    row = replace(G3A, board=replace(G3A.board, raw=[0] * 128))
    events = run(row, {"executiontime": 5, "period": 1000, "numberofjobs": 1}, horizon=3000).events
    assert [str(kind) for _, kind, _, _, _ in events] == ["START", "EXIT_EXTERNAL", "JOBS_DONE"]


def test_stop_ends_the_run_now() -> None:
    loader = Taskloader(simpy.Environment(), parameters_of([{"period": 100}]), G1, lambda *_: 10**12, horizon_ns=10**12)
    while not loader.events:
        loader.env.step()
    loader.cut(loader.now_ns)
    assert loader.over
    assert [str(kind) for _, kind, _, _, _ in loader.events] == ["START", "EXIT_EXTERNAL"]


def test_other_processes_share_the_environment() -> None:
    """A probe sees set time through `zero_ns`."""
    env = simpy.Environment()
    loader = Taskloader(env, parameters_of([{"executiontime": 100}]), G1, lambda *_: 10**8, horizon_ns=10**10)
    seen = []

    def probe() -> Any:
        while not loader.over:
            if loader.zero_ns is not None:
                seen.append((env.now - loader.zero_ns) // NS_PER_MS)
            yield env.timeout(50 * NS_PER_MS)

    env.process(probe())
    while not loader.over:
        env.step()
    assert seen == [62, 112]
