"""What a session sends to a board for a task: the board's own numbers, and a refusal of what they can't say."""

import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import dialect
from taskgen.dialect import BOARDS, BoardRow, board, describe, describe_all, inexpressible
from taskgen.errors import Unsupported, UsageError
from taskgen.parameters import parameters_of

NAMES = tuple(BOARDS)
EACH = pytest.mark.parametrize("row", BOARDS.values(), ids=NAMES)
G3 = ("G3a", "G3b")
JOB_LIMIT = (*G3, "G4")


def sent(name: str, **attributes: Any) -> dict[str, Any]:
    """Return the elements of one task for a generation."""
    (task,) = parameters_of([attributes])
    return describe_all([task], BOARDS[name])[0]


def refused(name: str, *tasks: dict[str, Any]) -> str:
    with pytest.raises(Unsupported) as error:
        describe_all(parameters_of(tasks), BOARDS[name])
    assert error.value.hint
    return str(error.value)


# -- the table


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("GET_PROFILE", ["G1p", "G3a", "G3b", "G4"]),
        ("REBOOT", ["G3a", "G3b", "G4"]),
        ("OPTIMIZE", ["G1o"]),
        ("AVAILABLE", ["G4"]),
        *((message, list(NAMES)) for message in ("SEND_DESCS", "CLEAR", "SEND_BINARIES", "START", "STOP", "GET_LIVE")),
    ],
)
def test_which_board_knows_a_message(message: str, names: list[str]) -> None:
    """wire-protocol 1.2: 'Present in'."""
    assert [name for name, row in BOARDS.items() if message in row.messages] == names


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("pushes", [False, False, False, True, True, True]),  # 10: push on exit
        ("silent_when_empty", [False, False, False, False, True, True]),  # 10: GET_PROFILE 'reply or silence'
        ("single", [True, True, True, True, True, False]),  # 10: period 0
        ("jobs_limit", ["none", "odd", "none", "limit", "limit", "limit"]),  # 10: jobs limit
        ("offsets", ["ignored", "ignored", "ignored", "cumulative", "cumulative", "blocking"]),  # 10: offset
        ("admission", ["none", "silent", "silent", "announced", "announced", "none"]),  # 5.1: effect of refusal
        ("optimiser", ["none", "start", "none", "job", "job", "none"]),  # 5.1
        ("jobs_done", [False, False, False, True, True, True]),  # 3.2: JOBS_DONE since G3a
        ("instances", [None, 1, 1, None, None, None]),  # 6.2, 6.3
        ("pkg_length", [31, 20, 31, 20, 20, 31]),  # 2.4
        ("record_tasks", [None, 56, None, 42, 42, None]),  # 5.3
        ("push_bytes", [None, None, None, None, None, 100_000]),  # 3.4
        ("deadline_unit_ns", [10**6, 1000, 1000, 10**6, 10**6, 10**6]),  # 2.2
        ("clear_ns", [500 * 10**6, 500 * 10**6, 500 * 10**6, 500 * 10**6, 0, 1000 * 10**6]),  # 10: CLEAR wait
        ("create_ns", [26 * 10**6] * 6),  # 3.2, 6.7
        ("boot_ns", [(20 * 10**9, 60 * 10**9)] * 6),  # 8, hazard 9
    ],
)
def test_the_table_says_what_the_protocol_says(column: str, cells: list[object]) -> None:
    assert [getattr(row, column) for row in BOARDS.values()] == cells


@EACH
def test_rows_travel_to_other_processes(row: BoardRow) -> None:
    assert pickle.loads(pickle.dumps(row)) == row  # noqa: S301  # our own bytes
    assert hash(row) == hash(pickle.loads(pickle.dumps(row)))  # noqa: S301  # our own bytes


def test_a_row_by_name() -> None:
    assert board("G4") is BOARDS["G4"]
    assert board("G1", destroy_at_exit=False).instances == 1
    assert board("G1o", destroy_at_exit=False) is BOARDS["G1o"]
    with pytest.raises(UsageError, match="every build of G3b destroys at exit"):
        board("G3b", destroy_at_exit=False)
    with pytest.raises(UsageError, match="there is no generation 'g3A'") as error:
        board("g3A")
    assert "G3a" in error.value.hint


# -- what is sent


@EACH
def test_our_priorities_keep_their_order(row: BoardRow) -> None:
    """Design 3.1: 0 most urgent; wire-protocol 7.2: which raw numbers mean which level."""
    levels = [row.level(sent(row.name, period=9, priority=ours)["priority"]) for ours in range(128)]
    assert None not in levels
    assert levels == sorted(levels, key=lambda level: level or 0)
    assert len(set(levels)) == (2 if row.name in {"G1", "G1o", "G1p"} else 128)
    assert sent(row.name, period=9)["priority"] == row.raw[127]  # neither priority nor deadline: 127


@pytest.mark.parametrize(
    ("name", "priority", "deadline"), [("G1o", 128, 5000), ("G1p", 32768, 5000), ("G3a", 1, 5), ("G3b", 127, 5)]
)
def test_edf(name: str, priority: int, deadline: int) -> None:
    """Design 3.1: a deadline makes EDF, and so does priority 128, with D = T; wire-protocol 2.2, 7.2."""
    row = BOARDS[name]
    for attributes in ({"deadline": 5, "period": 9, "priority": 3}, {"priority": 128, "period": 5}):
        made = sent(name, **attributes)
        assert (made["priority"], made["deadline"]) == (priority, deadline)
        assert row.is_edf(made["priority"])
    assert "deadline" not in sent(name, priority=3, period=9)


@pytest.mark.parametrize("name", JOB_LIMIT)
def test_jobs_where_none_never_starts(name: str) -> None:
    """Design 3.1: endless becomes 4294967295 jobs; period 0 becomes one job, on G4 with the longest period."""
    assert sent(name, period=9)["numberofjobs"] == sent(name, period=9, numberofjobs=0)["numberofjobs"] == 2**32 - 1
    assert sent(name, period=9, numberofjobs=4)["numberofjobs"] == 4
    single = sent(name, period=0)
    assert single["numberofjobs"] == 1
    assert single["period"] == (2_147_483 if name == "G4" else 0)
    assert sent(name).get("period", 0) == single["period"]


def test_jobs_where_they_mean_nothing_or_something_else() -> None:
    """wire-protocol 2.2: 'not read' on G1 and G1p, so it does no harm; 6.3: G1o has a mode for 0."""
    assert sent("G1o", period=9)["numberofjobs"] == 0
    assert [sent("G1o", period=9, numberofjobs=jobs)["numberofjobs"] for jobs in (1, 4)] == [0, 4]


@pytest.mark.parametrize(("period", "jobs"), [(0, 0), (0, 1), (9, 0), (9, 1), (9, 2), (9, 7)])
def test_on_g1o_a_file_says_what_a_session_sends(period: int, jobs: int) -> None:
    """wire-protocol 6.3: 0 is one release at once; any other number is one release, a period later."""
    g1o = dialect.get("G1o")
    (written,) = g1o.write([{"id": 0, "priority": 1, "period": period, "numberofjobs": jobs}])
    assert written["numberofjobs"] == sent("G1o", priority=1, period=period, numberofjobs=jobs)["numberofjobs"]


@pytest.mark.parametrize(
    ("period", "raw", "late"), [(0, 0, False), (0, 1, False), (9, 0, False), (9, 1, True), (9, 7, True)]
)
def test_on_g1o_what_a_file_says_is_what_is_sent(period: int, raw: int, late: bool) -> None:
    """A late release of the file is late on the board; with period 0 a period later is at once."""
    (read,), notes = dialect.get("G1o").read([{"id": 0, "priority": 1, "period": period, "numberofjobs": raw}])
    assert (sent("G1o", **read)["numberofjobs"] > 0) == late
    told = ["G1o boards release a task with numberofjobs 1 a period late: read as 2, which does the same there"]
    assert notes == (told if (period, raw) == (9, 1) else [])


@EACH
def test_only_what_a_board_needs_is_filled_in(row: BoardRow) -> None:
    """Design 3.5; wire-protocol 2.2: `config` is required, `caps`, `cores`, `coreoffset` are read on G4 only."""
    made = sent(row.name, period=9)
    assert (made["config"], made["quota"]) == ({}, "5M")
    g4 = {"caps": 235, "cores": 2, "coreoffset": 1}
    assert {key: made[key] for key in g4 if key in made} == (g4 if row.name == "G4" else {})
    given_by_hand = {"quota": "1M", "caps": 50, "cores": 1, "coreoffset": 2, "config": {"arg1": 3}}
    assert given_by_hand.items() <= sent(row.name, period=9, **given_by_hand).items()


@EACH
def test_other_keys_are_kept_as_they_are_and_in_their_place(row: BoardRow) -> None:
    """Design 3.1: 'any other key: kept, sent to the board unchanged'."""
    attributes = {"ucfirmrt": "x", "period": 9, "group": "a b", "jobs": 7, "id": 3, "priority": 2}
    made = sent(row.name, **attributes)
    assert [key for key in made if key in attributes] == list(attributes)
    assert (made["ucfirmrt"], made["group"], made["jobs"], made["id"]) == ("x", "a b", 7, 3)


def test_the_task_stays_as_it_was() -> None:
    attributes = {"period": 9, "config": {"inner": {"arg1": 1}}}
    sent("G4", **attributes)["config"]["inner"]["arg1"] = 2
    assert attributes == {"period": 9, "config": {"inner": {"arg1": 1}}}
    assert sent("G4", period=9)["config"] is not sent("G4", period=9)["config"]


@pytest.mark.parametrize(
    ("executiontime", "number"),
    [(7, 7), (0.1, 1), (Decimal("2.000001"), 3), (10**12, 99_999_999), (99_999_999, 99_999_999)],
)
def test_execution_times_are_bounds_rounded_up(executiontime: Any, number: int) -> None:
    assert {sent(name, period=9, executiontime=executiontime)["executiontime"] for name in NAMES} == {number}


def test_an_unknown_execution_time_is_sent_where_admission_reads_it() -> None:
    """wire-protocol 2.2: 'WCET for admission', missing means 0, which would be accepted anywhere."""
    assert [name for name in NAMES if sent(name, period=9).get("executiontime") == 99_999_999] == [
        "G1o", "G1p", "G3a", "G3b",
    ]  # fmt: skip


whole = st.integers(0, 2_147_483)
spelt = st.sampled_from([int, float, Fraction, Decimal])


@given(st.sampled_from(NAMES), whole.filter(bool), whole, spelt)
def test_times_are_exact_numbers_of_the_board(name: str, period: int, critical: int, kind: type) -> None:
    made = sent(name, period=kind(period), criticaltime=kind(critical), offset=kind(0))
    assert (made["period"], made["criticaltime"]) == (period, critical)
    assert all(type(made[key]) is int for key in ("period", "criticaltime", "numberofjobs", "id") if key in made)


# -- what is refused


@EACH
@pytest.mark.parametrize("key", ["period", "criticaltime"])
def test_fractions_of_a_millisecond_are_refused(row: BoardRow, key: str) -> None:
    """wire-protocol 2.1: 'Numbers: decimal'; nothing is rounded."""
    message = refused(row.name, {"period": 9}, {"period": 9, key: Decimal("1.5")})
    assert message == f"task 1: {key}: 1.5: boards of generation {row.name} read whole multiples of 1.0 ms"


def test_the_resolution_of_deadlines_and_offsets() -> None:
    assert sent("G1o", deadline=Decimal("0.005"), period=9)["deadline"] == 5
    assert "task 0: deadline: 0.0005: boards of generation G1p read whole multiples of 0.001 ms" in refused(
        "G1p", {"deadline": Decimal("0.0005"), "period": 9}
    )
    for name in G3:
        assert "task 0: deadline: 1.5" in refused(name, {"deadline": 1.5, "period": 9})
        assert "task 0: offset: 0.25" in refused(name, {"offset": 0.25, "period": 9})


@EACH
def test_what_32_bits_of_microseconds_cannot_hold_is_refused(row: BoardRow) -> None:
    """wire-protocol 2.2: 'the usable limit of `period` and `criticaltime` is 2 147 483 ms (35.8 min)'."""
    for key in ("period", "criticaltime"):
        assert sent(row.name, **{"period": 9, key: 2_147_483})[key] == 2_147_483
        message = refused(row.name, {"period": 9, key: 2_147_484})
        assert message.startswith(f"task 0: {key}: 2147484: boards of generation {row.name} ")
        assert "at most 2147483 ms" in message


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("G1", ["deadline", "offset"]),
        ("G1o", ["offset"]),
        ("G1p", ["offset"]),
        ("G3a", []),
        ("G3b", []),
        ("G4", ["deadline"]),
    ],
)
def test_what_a_generation_does_not_act_on_is_refused(name: str, keys: list[str]) -> None:
    """wire-protocol 2.2: which elements a generation reads; a limit of jobs that nobody reads does no harm."""
    task = {"period": 10, "deadline": 5, "offset": 3, "numberofjobs": 2}
    (parameters,) = parameters_of([task])
    assert inexpressible(parameters, BOARDS[name]) == keys
    if keys:
        assert refused(name, task).startswith(f"task 0: {keys[0]}: ")


def test_priority_128_is_a_deadline_too() -> None:
    """Design 3.1: '128 means none: EDF with D = T'."""
    assert refused("G4", {"priority": 128, "period": 9}) == "task 0: priority: 128: boards of generation G4 have no EDF"


@EACH
@pytest.mark.parametrize(
    ("key", "fine", "wrong"),
    [("id", 99, 100), ("pkg", "p" * 15, "p" * 16), ("jitter", 0, 1), ("arrivals", None, [0, 9])],
)
def test_what_no_board_can_take(row: BoardRow, key: str, fine: object, wrong: object) -> None:
    """wire-protocol 2.4 (ids), 1.3 (a name is 15 characters and a NUL); jitter and arrivals have no element."""
    if fine is not None:
        assert sent(row.name, **{"period": 9, key: fine})[key] == fine
    assert f": {key}: " in refused(row.name, {"period": 9, key: wrong})


@EACH
def test_more_than_40_tasks_are_refused(row: BoardRow) -> None:
    """wire-protocol 8, hazard 20: '> 40 tasks: refuse locally'."""
    tasks = parameters_of([{"period": 9}] * 40)
    assert len(describe_all(tasks, row)) == 40
    assert refused(row.name, *[{"period": 9}] * 41).startswith("the set has 41 tasks")


def test_describe_alone_lets_pass_what_boards_pass_over() -> None:
    """A board in software may be told what a session would refuse, as long as it is a number of 32 bits."""
    (task,) = parameters_of([{"period": 9, "deadline": 5, "offset": 3, "criticaltime": 2_147_484}])
    made = describe(task, BOARDS["G1"])
    assert (made["deadline"], made["offset"], made["criticaltime"]) == (5, 3, 2_147_484)
    (task,) = parameters_of([{"period": 2**32}])
    with pytest.raises(Unsupported, match="read numbers of 32 bits"):
        describe(task, BOARDS["G1"])


@pytest.mark.parametrize("quota", ["100X", "4k", "1.5M", "0x10", "", " 1M", "1M ", "-1", "MM", "5G", "4G", 1.5, True])
def test_a_quota_that_boards_read_otherwise_is_refused(quota: object) -> None:
    """wire-protocol 8, hazard 20: 'validate before sending; refuse locally'."""
    with pytest.raises(Unsupported, match=r"task 0: quota: .* read digits with K, M or G, below 4G"):
        describe_all(parameters_of([{"pkg": "hey", "period": 500, "quota": quota}]), BOARDS["G4"])


@pytest.mark.parametrize("quota", ["100M", "3G", "512K", "1048576", 1048576, "4294967295"])
def test_a_quota_that_boards_read_as_it_is_meant_is_kept(quota: object) -> None:
    (made,) = describe_all(parameters_of([{"pkg": "hey", "period": 500, "quota": quota}]), BOARDS["G4"])
    assert made["quota"] == quota
