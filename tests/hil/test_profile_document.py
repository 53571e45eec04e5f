"""The profile document: byte-exact as boards write it, read from whatever stands around it, refused if it can't be."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.clock import LAST_STAMP_MS
from hil.documents import MAX_BYTES, DocumentError, over
from hil.documents.profile import BOARD_TYPES, Stamped, parse, render
from taskgen.errors import TargetError
from taskgen.events import EventType

RECORDED = (
    b"<profile>\n\t<events>\n"
    b'\t\t<event type="START" task-id="0" time-stamp="125309"/>\n'
    b'\t\t<event type="EXIT" task-id="0" time-stamp="125671"/>\n'
    b"\t</events>\n</profile>\n"
)
EVENTS = (Stamped(EventType.START, 0, 125309), Stamped(EventType.EXIT, 0, 125671))

stamps = st.integers(0, LAST_STAMP_MS)
known = st.builds(
    Stamped, st.sampled_from(sorted(BOARD_TYPES.values())), st.integers(0, 2**32 - 1), stamps, st.just("")
)
unknown = st.builds(Stamped, st.none(), st.integers(0, 99), stamps, st.sampled_from(["UNKNOWN", "EXIT_NEW"]))
logs = st.lists(known | unknown, max_size=20).map(tuple)


def event(**changes: str) -> bytes:
    attributes = {"type": "EXIT", "task-id": "1", "time-stamp": "12"} | {
        name.replace("_", "-"): value for name, value in changes.items()
    }
    shown = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<profile><events><event {shown}/></events></profile>".encode()


# -- bytes -----------------------------------------------------------------------------------------------------------


def test_two_events_are_the_154_bytes_that_were_measured() -> None:
    assert render(EVENTS) == RECORDED
    assert len(RECORDED + b"\0") == 154
    assert parse(RECORDED) == EVENTS


def test_no_event_is_33_bytes() -> None:
    assert render([]) == b"<profile>\n\t<events/>\n</profile>\n"
    assert len(render([]) + b"\0") == 33
    assert parse(render([])) == ()


@given(logs)
def test_what_is_written_is_read_back(log: tuple[Stamped, ...]) -> None:
    assert parse(render(log)) == log


texts = st.tuples(
    st.from_regex(r"[A-Z_]{1,33}", fullmatch=True),
    st.from_regex(r"-?[0-9]{1,11}", fullmatch=True),
    st.from_regex(r"[0-9]{1,11}", fullmatch=True),
)


def outcome(document: bytes) -> tuple[Stamped, ...] | str:
    try:
        return parse(document)
    except DocumentError as error:
        return str(error)


@given(logs.map(render) | st.lists(texts).map(lambda log: printed(*log)), st.binary(max_size=3))
def test_what_is_printed_as_boards_do_reads_like_any_other_xml(document: bytes, tail: bytes) -> None:
    other = document.replace(b"<profile>", b"<profile >", 1)
    assert outcome(document + tail) == outcome(other + tail)


def printed(*log: tuple[str, str, str]) -> bytes:
    lines = [f'\t\t<event type="{name}" task-id="{number}" time-stamp="{stamp}"/>\n' for name, number, stamp in log]
    return f"<profile>\n\t<events>\n{''.join(lines)}\t</events>\n</profile>\n".encode()


def test_threads_that_parse_at_once_get_their_own_events() -> None:
    logs = [(Stamped(EventType.START, number, number), Stamped(EventType.EXIT, number, number)) for number in range(99)]
    documents = [render(log).replace(b"<profile>", b"<profile >") for log in logs]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(parse, documents)) == logs


@given(st.lists(known, min_size=1, max_size=20))
def test_the_size_is_that_of_the_formula(log: list[Stamped]) -> None:
    shown = (len(entry.type or "") + len(str(_as_printed(entry.task_id))) + len(str(entry.stamp_ms)) for entry in log)
    assert len(render(log) + b"\0") == 43 + sum(44 + size for size in shown)


def _as_printed(task_id: int) -> int:
    return int.from_bytes(task_id.to_bytes(4, "little"), "little", signed=True)


# -- tolerance -------------------------------------------------------------------------------------------------------


def test_ids_from_2_to_the_31_travel_as_negative_numbers() -> None:
    assert b'task-id="-2147483648"' in render([Stamped(EventType.EXIT, 2**31, 1)])
    assert parse(event(task_id="-1")) == (Stamped(EventType.EXIT, 2**32 - 1, 12),)


def test_an_unknown_type_keeps_its_place_and_its_name() -> None:
    """Builds of G3 print UNKNOWN for NOT_SCHEDULED and JOBS_DONE: what was meant follows from what came before."""
    log = (*EVENTS, Stamped(None, 0, 125671, "UNKNOWN"))
    assert parse(render(log)) == log
    assert parse(event(type="DISPATCH")) == (Stamped(None, 1, 12, "DISPATCH"),)  # a simulator's word, no board's


@given(logs, logs)
def test_the_tail_of_a_longer_document_is_cut_off(log: tuple[Stamped, ...], older: tuple[Stamped, ...]) -> None:
    sent = over(render(log), render(older))
    assert len(sent) == max(len(render(log)), len(render(older)))
    assert parse(sent) == log


def test_what_stands_around_the_events_is_ignored() -> None:
    assert parse(RECORDED + b"\0") == EVENTS
    assert parse(RECORDED.replace(b"\t\t", b"\0\0\x01")) == EVENTS
    assert parse(RECORDED.replace(b" type", b' cpu="1 -> 2 &" type')) == EVENTS
    assert parse(RECORDED + b"\xff<<garbage\0") == EVENTS
    assert parse(b"\n <!-- a board -->" + RECORDED) == EVENTS


def test_the_first_boards_list_tasks_and_threads_beside_the_events() -> None:
    data = (
        b'<profile><task-descriptions><task id="0" execution-time="3"/></task-descriptions><events>'
        b'<event type="EXTERNAL" task-id="-1" time-stamp="5"><task id="7" thread="x -> y"><managed-task id="1"/></task>'
        b"</event></events></profile>"
    )
    assert parse(data) == (Stamped(EventType.EXTERNAL, 2**32 - 1, 5),)


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no end: </profile> is missing"),
        (RECORDED[:100], "has no end"),
        (b"<live></live></profile>", "sent <live>, expected a profile"),
        (b"<profile><events></profile>", "no well-formed XML at line 1"),
        (b"rubbish</profile>", "no well-formed XML"),
        (b'<!DOCTYPE p [<!ENTITY a "b">]>' + RECORDED, "DOCTYPE or other declarations"),
        (b"<profile>" + b"<a>" * 40 + b"</profile>", "nests too deeply"),
        (b"<profile>" + b"<a/>" * 400_000 + b"</profile>", "too many elements"),
        (b" " * MAX_BYTES + RECORDED, "expected at most 16777216"),
        (event(task_id="x"), "event 0: task-id is 'x', expected -2147483648 .. 4294967295"),
        (event(task_id="4294967296"), "event 0: task-id"),
        (event(task_id=""), "event 0: task-id is ''"),
        (event(time_stamp="-1"), "event 0: time-stamp is '-1', expected 0 .. 4294967"),
        (event(time_stamp="4294968"), "event 0: time-stamp"),
        (event(time_stamp="1" * 5000), "event 0: time-stamp is '11111"),
        (event(time_stamp="\N{ARABIC-INDIC DIGIT ONE}"), "event 0: time-stamp"),
        (event(time_stamp=" 5"), "event 0: time-stamp"),
        (event(type=""), "event 0: type is '', expected the name"),
        (event(type="A" * 33), "event 0: type"),
        (b"<profile><events><event/></events></profile>", "event 0: type"),
    ],
)
def test_an_implausible_document_is_an_error_of_the_target(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=re.escape(message)) as error:
        parse(data)
    assert isinstance(error.value, TargetError)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)
    assert error.value.hint


def test_entities_are_not_expanded() -> None:
    """An ampersand is a character; the entities of XML itself are the only ones."""
    assert parse(event(cpu="&laugh; &amp; &#0;")) == (Stamped(EventType.EXIT, 1, 12),)


@given(st.binary(max_size=80), st.integers(0, len(RECORDED)), st.integers(0, 40))
def test_damage_is_found_or_harmless_never_a_crash(noise: bytes, at: int, cut: int) -> None:
    try:
        events = parse(RECORDED[:at] + noise + RECORDED[at + cut :])
    except DocumentError:
        return
    assert all(0 <= found.stamp_ms <= LAST_STAMP_MS and 0 <= found.task_id < 2**32 for found in events)
