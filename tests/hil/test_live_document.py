"""The live document: what the recorded boards sent is read as what the recordings say, and written alike."""

import csv
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import LAST_STAMP_MS
from hil.documents import MAX_BYTES, DocumentError, over
from hil.documents.live import LOADER, Dead, Live, Row, instance_name, parse, render

SHARED = Path(__file__).parents[2].parent / "shared"
BOARD_FILES = SHARED / "board-files"
NAMES = ["cond_42_run1-7", "eval-hey", "eval-idle", "hey_lin_run1-3", "linpack_run2-60", "old-run1-3", "pi_run1-10"]
NAMES += ["pi_run1-80", "tum_pi_lin_run1-2", "tum_pi_run1-0", "tum_pi_run1-40"]

times = st.integers(0, LAST_STAMP_MS)
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"<&'), max_size=20)
rows = st.builds(
    Row,
    *(texts, texts, st.integers(0, 2**32 - 1), times, times, st.integers(0, 128), st.integers(0, 3), st.integers(1, 4)),
    *(st.integers(0, 2**63), st.none() | st.integers(0, 2**63), *([st.integers(0, 2**32 - 1)] * 4)),
)
dead = st.builds(Dead, st.integers(0, 2**32 - 1), times)
CHILD = Row("init -> taskloader -> 07.pi", "07.pi", 1217, 1000, start_time=1025, core=0)
DEAD_SUBJECT = (
    b'\t\t<task id="44" foc_id="2157267280" execution-time="0" priority="2155859980" core="0" policy-id="0" state="5"'
    b' arrival-time="538967" start-time="704913603" exit-time="9259348334350780" session="init -> taskloader"'
    b' thread="05.cond_42" ram_quota="2105332" ram_used="2105332"/>\n'
)


def board_file(name: str) -> bytes:
    path = BOARD_FILES / name
    if not path.exists():
        pytest.skip(f"the files of the real board are not at {BOARD_FILES}")
    return path.read_bytes()


# -- the real board --------------------------------------------------------------------------------------------------


@cache
def recordings() -> list[dict[str, str]]:
    with (SHARED / "recordings.csv").open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def recorded(name: str) -> list[dict[str, str]]:
    """Return the rows of the recordings for a board file; held-back ones are missing."""
    if name.startswith("eval-"):
        return [row for row in recordings() if row["run"] == "eval_2017_12" and row["pkg"] == name[5:]]
    run, _, index = name.replace("old-", "old_").rpartition("-")
    return [row for row in recordings() if (row["run"], row["index"]) == (run, index)]


def shown(value: int | None) -> str:
    return "" if value is None else str(value)


def facts_of_service(live: Live, row: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield what a live document says of a task's service thread: column, value found, value recorded."""
    service = live.service(row["name"])
    assert service is not None
    yield "arrival_ms", str(service.arrival_ms), row["arrival_ms"]
    yield "ep_execution_ms", str(service.execution_ms), row["ep_execution_ms"]
    yield "rip_size", str(len(live.dead)), row["rip_size"]
    if row["start_source"] == "ep":
        yield "start_ms", shown(service.start_ms), row["start_ms"]
    if row["rip_ms"]:
        yield "rip_ms", str(dict(live.dead)[int(row["foc_id"])]), row["rip_ms"]


def facts_of_child(live: Live, row: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield what a live document says of a task's running program."""
    children = live.children(row["name"])
    yield "child_alive", str(int(bool(children))), row["child_alive"]
    if children:
        first = children[0]
        yield "child_threads", str(len(children)), row["child_threads"]
        yield "execution_time", str(sum(child.execution_ms for child in children)), row["execution_time"]
        yield "child_arrival_ms", str(first.arrival_ms), row["child_arrival_ms"]
        yield "core", str(first.core), row["core"]
        yield "live_priority", str(first.priority), row["live_priority"]
        yield "foc_id", str(first.foc_id), row["foc_id"]
        yield "state", str(first.state), row["state"]
        if row["start_source"] == "child":
            yield "start_ms", shown(first.start_ms), row["start_ms"]
        else:  # it told a start before its arrival
            yield "start_ms", shown(first.start_ms), ""
        if row["exit_source"] == "live":
            yield "exit_ms", shown(first.exit_ms), row["exit_ms"]


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_boards_say_what_the_recordings_list(name: str) -> None:
    live = parse(board_file(f"{name}.live.xml"))
    expected = recorded(name)
    if not expected:
        pytest.skip(f"the rows of {name} are held back")
    for row in expected:
        facts = [*facts_of_service(live, row), *facts_of_child(live, row)]
        assert [fact for fact in facts if fact[1] != fact[2]] == []


@pytest.mark.parametrize("name", NAMES)
def test_only_threads_that_live_are_listed(name: str) -> None:
    """The recordings count every row with an id; dead subjects are among them, rows of zeros aren't."""
    data = board_file(f"{name}.live.xml")
    subjects = re.findall(rb'<task id="[1-9][0-9]*" .* state="([0-9])"', data)
    assert len(parse(data).threads) == len(subjects) - subjects.count(b"5")
    assert {str(len(subjects)) for _ in recorded(name)} == {row["threads_listed"] for row in recorded(name)}


@pytest.mark.parametrize("name", [*(f"{name}.live.xml" for name in NAMES), "live-idle-board.xml"])
def test_rows_are_written_as_the_real_board_writes_them(name: str) -> None:
    data = board_file(name)
    live = parse(data)
    for line in render(live.threads, None, "G4").splitlines(keepends=True)[2:-3]:
        assert line in data
    assert len(live.threads) >= 2


def test_the_table_of_the_recordings_is_written_alike() -> None:
    data = board_file("cond_42_run1-7.live.xml")
    live = parse(data)
    assert len(live.dead) == 14
    assert render(live.threads, live.dead, "G4").endswith(data[data.index(b"</live>") :])


def test_the_three_forms_of_the_table_of_the_dead() -> None:
    """Inside the root with attribute names that aren't XML, behind it in microseconds, behind it in milliseconds."""
    assert parse(board_file("old-run1-3.live.xml")).dead == ((1109, 14808), (1076, 15605), (1229, 16207))
    assert parse(board_file("old-run3-3.live.xml")).dead[:2] == ((1109, 6063), (1076, 7166))
    assert parse(board_file("tum_pi_run1-0.live.xml")).dead == ((1214, 26095), (1181, 26380))


# -- written and read back -------------------------------------------------------------------------------------------


@given(st.lists(rows, max_size=8), st.none() | st.lists(dead, max_size=8), st.sampled_from(["G1", "G1o", "G3b", "G4"]))
def test_what_is_written_is_read_back(some: list[Row], table: list[Dead] | None, generation: str) -> None:
    assert parse(render(some, table, generation)) == (tuple(some), tuple(table or ()))


@given(st.lists(rows, max_size=6), st.lists(rows, max_size=6))
def test_the_tail_of_a_longer_document_is_cut_off(some: list[Row], older: list[Row]) -> None:
    assert parse(over(render(some, None, "G4"), render(older, None, "G4"))) == (tuple(some), ())


def test_a_tail_may_hold_more_roots() -> None:
    data = render([CHILD], [Dead(7, 1)], "G4")
    assert parse(data + b'8"/>\n</RIP_table>\n</live>\n<RIP_table>') == ((CHILD,), (Dead(7, 1),))


@pytest.mark.parametrize(("generation", "listed"), [("G1", 100), ("G1o", 100), ("G1p", 1), ("G3a", 1), ("G4", 1)])
def test_early_boards_fill_their_table_with_zeros(generation: str, listed: int) -> None:
    data = render([CHILD], None, generation)
    assert data.count(b"\t\t<task ") == listed
    assert data.count(b'foc_id="0"') == listed - 1
    assert parse(data).threads == (CHILD,)


def test_a_board_lists_the_newest_100_threads_and_the_last_50_dead() -> None:
    many = [CHILD._replace(foc_id=number) for number in range(130, 0, -1)]
    live = parse(render(many, [Dead(number, number) for number in range(60)], "G4"))
    assert live.threads == tuple(many[:100])
    assert live.dead == tuple(Dead(number, number) for number in range(10, 60))


def test_empty_tables() -> None:
    assert render([], None, "G4") == b"<live>\n\t<task-descriptions/>\n</live>\n"
    assert parse(render([], [], "G4")) == ((), ())
    assert parse(b"<live><task-descriptions/><RIP_table/></live>") == ((), ())


# -- trust -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrival", "told", "believed"),
    [
        (1000, 1025, 1025),
        (1000, 1000, 1000),
        (1000, 999, None),  # stale: another thread's
        (1000, 0, None),  # not yet
        (1000, 9_000_000_000_000_000, None),  # uninitialised
        (4_294_960, 12, 12),  # the clock wrapped in between
        (12, 4_294_960, None),
    ],
)
def test_a_start_or_exit_before_the_arrival_is_stale(arrival: int, told: int, believed: int | None) -> None:
    row = CHILD._replace(arrival_ms=arrival, start_time=told, exit_time=told)
    assert (row.start_ms, row.exit_ms) == (believed, believed)


def test_builds_without_exit_times_know_of_none() -> None:
    data = render([CHILD._replace(exit_time=None)], None, "G1")
    assert b'exit-time="0" session="init' not in data
    assert parse(data).threads[0].exit_ms is None


def test_other_cores_are_not_sampled() -> None:
    assert CHILD.sampled
    assert not CHILD._replace(core=1).sampled


def test_a_task_is_found_by_its_name() -> None:
    service = Row(LOADER, "07.pi", 1200, 963)
    helper = CHILD._replace(thread="ep")
    live = Live((CHILD, helper, service, service._replace(foc_id=9)), ())
    assert live.service("07.pi") == service
    assert live.children("07.pi") == (CHILD, helper)
    assert (live.service("08.pi"), live.children("7.pi")) == (None, ())
    assert [instance_name(number, "pi") for number in (7, 42, 100, 1234)] == ["07.pi", "42.pi", "100pi", "123pi"]


# -- rubbish ---------------------------------------------------------------------------------------------------------


def test_dead_subjects_and_raw_memory_are_left_out() -> None:
    data = render([CHILD], None, "G1").replace(b"\t</task", DEAD_SUBJECT.replace(b"05.", b"\x01\xfe&") + b"\t</task")
    assert parse(data).threads == (CHILD,)
    assert parse(data + b"\0").threads == (CHILD,)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"</live>", b"", "has no end: </live> is missing"),
        (b"<live>", b"<profile>", "no well-formed XML|sent <profile>"),
        (b"<live>", b"<!DOCTYPE live>\n<live>", "DOCTYPE"),
        (b'foc_id="1217"', b"", "row 0: foc_id is '', expected 0 .. 4294967295"),
        (b'state="1"', b"", "row 0: state is ''"),
        (b'state="1"', b'state="6"', "row 0: state is '6', expected 0 .. 4"),
        (b'priority="128"', b'priority="2155859980"', "row 0: priority is '2155859980', expected 0 .. 255"),
        (b'arrival-time="1000"', b'arrival-time="9237889903027551"', "row 0: arrival-time"),
        (b'start-time="1025"', b'start-time="-1"', "row 0: start-time is '-1', expected a number"),
        (b'thread="07.pi"', b"", "row 0: thread is missing"),
        (b"\t\t<task", b"<a/>" * 10_001 + b"<task", "too many elements"),
        (b"<live>", b" " * MAX_BYTES + b"<live>", "expected at most 16777216"),
        (b'time="5"', b'time="9999999999999"', "destroyed thread 7"),
        (b"\t<dead", b'<dead_task foc_id="1" time="1"/>' * 5000 + b"<dead", "destroyed threads, expected at most 4096"),
    ],
)
def test_a_living_thread_with_impossible_numbers_is_an_error(old: bytes, new: bytes, message: str) -> None:
    data = render([CHILD], [Dead(7, 5)], "G4")
    assert old in data
    with pytest.raises(DocumentError, match=message) as error:
        parse(data.replace(old, new, 1))
    assert len(str(error.value)) < 300


@given(st.binary(max_size=60), st.integers(0, 600), st.integers(0, 60))
def test_damage_is_found_or_harmless_never_a_crash(noise: bytes, at: int, cut: int) -> None:
    data = render([CHILD], [Dead(7, 5)], "G4")
    try:
        live = parse(data[:at] + noise + data[at + cut :])
    except DocumentError:
        return
    assert all(row.arrival_ms <= LAST_STAMP_MS for row in live.threads)


@pytest.mark.parametrize(
    ("written", "name"),
    [("&", "01.a&b"), ("&amp;", "01.a&b"), ("&lt;", "01.a<b"), ("&#38;", "01.a&#38;b"), ("&amp;#38;", "01.a&#38;b")],
)
def test_an_ampersand_in_a_name_is_an_ampersand(written: str, name: str) -> None:
    """Boards write names as they are; what looks like an entity of XML itself may be one."""
    document = render([CHILD._replace(thread="01.a?b")], None, "G4").replace(b"?", written.encode())
    assert [row.thread for row in parse(document).threads] == [name]
