"""Faults as text, and what those of the transport make of the bytes of a connection."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.board.faults import ALIASES, KINDS, After, Fault, parse, parse_for_boards, table
from hil.board.framing import Direction, Framer
from hil.board.hooks import Piece
from hil.board.kinds import BYTES, Kind
from hil.board.line import Lane
from hil.board.streams import MAX_DUPLICATE, Stream
from hil.board.triggers import Plan
from hil.frames import encode
from hil.messages import Available, Binary, Clear, Document, GetProfile, GoSend, SendBinaries, SendDescriptions, Start
from taskgen.errors import UsageError
from tests.hil.wires import EMPTY_LOG, LOG, slices

MS = 1_000_000
TRANSPORT = [kind.name for kind in KINDS.values() if kind.layer == "transport"]

#: What a client and a board of G4 say to each other, message by message.
UP = [
    encode(message)
    for message in (
        *(Clear(), SendDescriptions(b"<taskset/>"), SendBinaries(2), Binary("hey", b"\x7fELF"), Binary("pi", b"12345")),
        *(Start(), Available(), GetProfile()),
    )
]
UP_NAMES = ["CLEAR", "SEND_DESCS", "SEND_BINARIES", "BINARY", "BINARY", "START", "AVAILABLE", "GET_PROFILE"]
PUSH = encode(Document("profile", LOG))
DOWN = [encode(GoSend()), encode(GoSend()), encode(Available()), PUSH, encode(Document("profile", EMPTY_LOG))]
DOWN_NAMES = ["GO_SEND", "GO_SEND", "AVAILABLE", "DOCUMENT", "DOCUMENT"]

# -- text ------------------------------------------------------------------------------------------------------------


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Faults as users and plans write them: a kind, then anything that it takes, in any order."""
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    items = draw(st.sets(st.sampled_from(kind.parameters))) if kind.parameters else set()
    shown = draw(st.permutations([draw(_item(kind, name)) for name in sorted(items)]))
    return f"{kind.name}:{','.join(shown)}" if shown else kind.name


def _item(kind: Kind, name: str) -> st.SearchStrategy[str]:
    ms = st.integers(0, 10**12).map(lambda ns: f"{ns // MS}.{ns % MS:06d}")
    if kind.amount and name == kind.amount.unit:
        numbers = ms if name == "ms" else st.integers(kind.amount.least, kind.amount.most).map(str)
        return numbers | numbers.map(lambda number: f"{name}={number}")
    counts = st.integers(1, 10**6).map(str)
    after = counts | st.just("0") | st.builds("{}{}".format, counts | st.just(""), st.sampled_from(kind.units))
    values: dict[str, st.SearchStrategy[str]] = {
        "jitter": ms,
        "gap": ms | ms.map(lambda number: f"{number}ms"),
        "after": after.filter(lambda text: text != BYTES),
        "p": st.floats(0, 1).map(repr),
        "at": st.sampled_from(kind.at or ("",)),
        "way": st.sampled_from(("up", "down", "both")),
    }
    return st.just(name) if name == "once" else values[name].map(lambda value: f"{name}={value}")


@given(texts())
def test_a_fault_is_its_text(text: str) -> None:
    fault = parse(text)
    assert parse(str(fault)) == fault
    assert str(parse(str(fault))) == str(fault)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("latency:50ms", Fault("latency", 50 * MS)),
        ("latency", Fault("latency", 50 * MS)),
        ("latency:0.5,jitter=2.25", Fault("latency", MS // 2, jitter_ns=9 * MS // 4)),
        ("slice:1", Fault("slice", 1)),
        ("slice:8,gap=1", Fault("slice", 8, gap_ns=MS)),
        ("blackhole:after=3", Fault("blackhole", way="both", after=After(3))),
        ("reset:p=0.1", Fault("reset", 0, p=0.1)),
        ("reset:after=17B", Fault("reset", after=After(17, "B"))),
        ("cut:bytes=17", Fault("cut", 17)),
        ("cut: 17, once", Fault("cut", 17, once=True)),
        ("garbage:32", Fault("garbage", 32)),
        ("duplicate:at=GO_SEND", Fault("duplicate", at="GO_SEND", way="down")),
        ("duplicate:at=START", Fault("duplicate", at="START", way="up")),
        ("freeze-after-start", Fault("freeze", after=After(1, "START"))),
        ("freeze-after-start:once", Fault("freeze", after=After(1, "START"), once=True)),
        ("reboot:after=2START", Fault("reboot", after=After(2, "START"))),
        ("stale-events:4", Fault("stale-events", 4)),
        ("hang-on-kill", Fault("hang-on-kill")),
    ],
)
def test_what_texts_mean(text: str, fault: Fault) -> None:
    assert parse(text) == fault


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("latncy:50", "there is no kind of fault 'latncy'", "did you mean latency?"),
        ("freeze-after-strt", "there is no kind of fault", "freeze-after-start"),
        ("", "there is no kind of fault ''", "known: latency, slice"),
        ("latency:50,jiter=3", "no parameter of fault latency 'jiter'", "did you mean jitter"),
        ("slice:onc", "no parameter of fault slice 'onc'", "did you mean once"),
        ("latency:-1", "fault latency: ms: '-1', expected milliseconds", "write latency:50, with jitter"),
        ("latency:9999999", "fault latency: ms: 9999999, expected 0..3600000", "latency:50"),
        ("latency:0.0000001", "fault latency: ms: 1E-7 ms is no whole number of nanoseconds", "float"),
        ("slice:0", "fault slice: bytes: 0, expected 1..1048576", "slice:1"),
        ("slice:1.5", "fault slice: bytes: '1.5', expected a whole number", "slice:1"),
        ("reset:p=1.5", "fault reset: p: 1.5, expected 0..1", "reset:0"),
        ("reset:p=nan", "fault reset: p: 'nan', expected 0..1", "reset:0"),
        ("reset:at=STRT", "no message for fault reset at 'STRT'", "START"),
        ("reset:way=left", "fault reset: way: 'left', expected up, down or both", "reset:0"),
        ("reset:after=3X4", "fault reset: after: '3X4', expected a number such as 3, or 17B", "reset:0"),
        ("reset:after=BOOT", "no unit for fault reset after 'BOOT'", "REBOOT"),
        ("reset:after=0START", "fault reset: after: 0, expected 1..", "reset:0"),
        ("freeze:after=17B", "no unit for fault freeze after 'B'", "START"),
        ("freeze:at=", "fault freeze: at: nothing, expected a name", "freeze"),
        ("duplicate-push:way=up", "no parameter of fault duplicate-push 'way'", "after, p, once"),
        ("hang-on-kill:p=0.5", "fault hang-on-kill: 'p', expected nothing", ""),
        ("reset:once=1", "'once=1', expected once without a value", "reset:0"),
        ("reset:p", "fault reset: 'p', expected p=...", "reset:0"),
        ("reset:5,6", "fault reset: '6' comes on top of another one", ""),
        ("reset:" + "5" * 300, "is longer than 200 characters", ""),
    ],
)
def test_a_wrong_text_is_refused_with_what_is_near(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert hint in caught.value.hint
    assert "\n" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "slice", "amount": 1.0},
        {"kind": "duplicate", "amount": 1},
        {"kind": "latency", "jitter_ns": -1},
        {"kind": "slice", "jitter_ns": 1},
        {"kind": "reset", "p": True},
        {"kind": "reset", "after": After(-1)},
        {"kind": "reset", "way": "left"},
    ],
)
def test_a_fault_is_checked_without_text_too(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Fault(**fields)


def test_faults_of_one_of_many_boards_carry_its_number() -> None:
    plans = parse_for_boards(["latency:5", "2:reset:p=0.1", "0:cut"], 3)
    assert [[str(fault) for fault in plan] for plan in plans] == [
        ["latency:5", "cut"],
        ["latency:5"],
        ["latency:5", "reset:p=0.1"],
    ]
    with pytest.raises(UsageError, match=r"there is no board 3, expected 0\.\.2"):
        parse_for_boards(["3:cut"], 3)


def test_the_table_shows_each_kind_in_a_form_that_parses() -> None:
    lines = table().splitlines()
    assert [parse(line.split()[0]).kind for line in lines] == list(KINDS)
    assert {parse(alias).kind for alias in ALIASES} <= set(KINDS)
    assert table("transport").splitlines() == lines[: len(TRANSPORT)]
    assert max(map(len, lines)) <= 120


# -- streams ---------------------------------------------------------------------------------------------------------


def stream(*faults: str, seed: int = 0, number: int = 1) -> Stream:
    return Stream(Plan([parse(text) for text in faults], f"{seed}/0"), number)


def joined(pieces: Iterable[Piece]) -> bytes:
    """The bytes, and the end of the connection as a word behind them."""
    return b"".join(piece.data + piece.end.encode() for piece in pieces)


def down(*faults: str, **options: Any) -> bytes:
    """What a client gets of a board's messages, after it has sent its own."""
    it = stream(*faults, **options)
    return joined([*it.begin(), *it.feed("up", b"".join(UP)), *it.feed("down", b"".join(DOWN))])[len(b"".join(UP)) :]


def test_messages_are_found_in_both_directions() -> None:
    up, beneath = Framer("up"), Framer("down")
    assert [each.message for each in up.split(b"".join(UP)) if each.begins] == UP_NAMES
    beneath.binaries = up.take_binaries()
    assert [each.message for each in beneath.split(b"".join(DOWN)) if each.begins] == DOWN_NAMES


def test_a_document_of_144_bytes_is_no_go_send() -> None:
    document = encode(Document("profile", EMPTY_LOG[:-1].ljust(142) + b"\n"))
    assert document[:4] == encode(GoSend())
    assert [each.message for each in Framer("down").split(document + DOWN[2]) if each.begins] == [
        "DOCUMENT",
        "AVAILABLE",
    ]


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=8), st.sampled_from(["up", "down"]))
def test_any_bytes_pass_a_framer_as_they_are(data: bytes, cuts: list[int], way: Direction) -> None:
    framer = Framer(way)
    framer.binaries = 1
    chunks = [*filter(None, slices(data, cuts)), b""]
    assert b"".join(segment.data for chunk in chunks for segment in framer.split(chunk)) == data


GO, PAIR, ECHO, EMPTY = DOWN[0], DOWN[0] + DOWN[1], DOWN[2], DOWN[4]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("latency:50", b"".join(DOWN)),
        ("slice:3", b"".join(DOWN)),
        ("blackhole:after=3,way=down", PAIR + ECHO),
        ("blackhole:after=START,way=down", b""),
        ("blackhole:at=DOCUMENT", PAIR + ECHO),
        ("blackhole:after=5B,way=down", PAIR[:5]),
        ("reset:after=2", PAIR + b"reset"),
        ("reset:after=9B", PAIR + ECHO[:1] + b"reset"),
        ("reset:at=DOCUMENT", PAIR + ECHO + b"reset"),
        ("reset:20", PAIR + ECHO + PUSH[:20] + b"reset"),
        ("cut", PAIR + ECHO + PUSH[:6] + b"close"),
        ("cut:4", PAIR + ECHO + PUSH[:4] + b"close"),
        ("cut:2", GO[:2] + b"close"),
        ("cut:2,after=1", GO + GO[:2] + b"close"),
        ("cut:100", PAIR + ECHO + PUSH[:100] + b"close"),
        ("cut:1000", b"".join(DOWN)),
        ("duplicate", b"".join(message * 2 for message in DOWN)),
        ("duplicate:once", GO + b"".join(DOWN)),
        ("duplicate:at=DOCUMENT,after=1", b"".join(DOWN) + EMPTY),
        ("duplicate:p=0", b"".join(DOWN)),
    ],
)
def test_what_a_fault_makes_of_a_board_s_bytes(fault: str, expected: bytes) -> None:
    assert down(fault) == expected


def test_garbage_stands_in_front_of_messages_and_depends_on_the_seed() -> None:
    spoilt = down("garbage:8")
    assert [spoilt[start + 8 : start + 12] for start in (0, 12, 24)] == [GO, GO, ECHO]
    assert len(spoilt) == len(b"".join(DOWN)) + 8 * len(DOWN)
    assert spoilt == down("garbage:8") != down("garbage:8", seed=1)
    assert spoilt != down("garbage:8", number=2)


def test_what_strikes_at_once_needs_no_byte() -> None:
    assert stream("reset").begin() == [Piece(end="reset")]
    assert stream("reset:after=1").begin() == []
    hole = stream("blackhole")
    assert [*hole.begin(), *hole.feed("up", UP[0]), *hole.feed("down", GO), *hole.feed("up", b"")] == []


def test_a_reset_behind_a_command_comes_with_it() -> None:
    it = stream("reset:after=START")
    pieces = [*it.feed("up", b"".join(UP[:5])), *it.feed("up", UP[5][:3]), *it.feed("up", UP[5][3:])]
    assert joined(pieces) == b"".join(UP[:6]) + b"reset"
    assert it.feed("up", UP[6]) == it.feed("down", GO) == []


def test_only_a_word_is_held_back_and_only_where_its_name_counts() -> None:
    assert stream("latency:1").feed("down", PUSH[:1]) == [Piece(PUSH[:1], delay_ns=MS)]
    it = stream("latency:1,at=DOCUMENT")
    assert it.feed("down", PUSH[:3]) == []
    assert it.feed("down", PUSH[3:4]) == [Piece(PUSH[:4], delay_ns=MS)]
    assert it.feed("down", PUSH[4:9]) == [Piece(PUSH[4:9], delay_ns=MS)]
    assert it.feed("down", PUSH[9:] + b"abc") == [Piece(PUSH[9:], delay_ns=MS)]
    assert it.feed("down", b"") == [Piece(b"abc"), Piece(b"")]


def test_latency_has_a_jitter_that_the_seed_decides() -> None:
    def delays(seed: int) -> list[int]:
        it = stream("latency:5,jitter=10", seed=seed)
        return [piece.delay_ns for message in DOWN for piece in it.feed("down", message)]

    assert delays(0) == delays(0) != delays(1)
    assert all(5 * MS <= delay_ns <= 15 * MS for delay_ns in delays(0))


def test_faults_work_on_what_the_ones_before_them_made() -> None:
    (piece,) = stream("garbage:5", "latency:7", "slice:2,gap=1").feed("down", ECHO)
    assert (len(piece.data), piece.delay_ns, piece.slice, piece.gap_ns) == (9, 7 * MS, 2, MS)
    assert joined(stream("cut:1", "duplicate").feed("down", ECHO)) == ECHO[:1] + b"close"
    assert joined(stream("duplicate", "cut:3,after=1").feed("down", ECHO)) == ECHO + ECHO[:3] + b"close"


def test_slices_travel_one_after_the_other() -> None:
    lane = Lane()
    lane.put([Piece(b"abcde", slice=2, gap_ns=10), Piece(b"f")], now_ns=100)
    arrived = []
    while (due_ns := lane.due_ns) is not None:
        due = lane.pop(due_ns)
        assert due is not None
        arrived.append((due_ns, bytes(due.data)))
    assert [data for _, data in arrived] == [b"ab", b"cd", b"e", b"f"]
    assert [at_ns for at_ns, _ in arrived][:3] == [100, 110, 120]
    assert lane.size == 0


def test_what_is_too_long_comes_once() -> None:
    long = encode(Document("profile", b"<profile>".ljust(MAX_DUPLICATE)))
    assert joined(stream("duplicate").feed("down", long)) == long


def test_once_holds_for_all_connections_of_a_board() -> None:
    plan = Plan([parse("duplicate:once")], "0")
    first, second = Stream(plan, 1), Stream(plan, 2)
    assert joined(second.feed("down", ECHO)) == ECHO * 2
    assert joined(first.feed("down", ECHO)) == ECHO


def test_a_fault_that_stays_in_the_plan_goes_on_where_it_was() -> None:
    plan = Plan([parse("duplicate:after=2")], "0")
    it = Stream(plan, 1)
    it.feed("down", ECHO)
    it.follow(Plan([parse("duplicate:after=2"), parse("latency:1")], "0", plan))
    assert joined(it.feed("down", ECHO + ECHO)) == ECHO * 3
    it.follow(Plan([], "0"))
    assert it.feed("down", ECHO) == [Piece(ECHO)]


@given(
    st.lists(texts().filter(lambda text: text.split(":")[0] in TRANSPORT), max_size=3),
    st.integers(0, 3),
    st.lists(st.integers(0, 400), max_size=10),
)
def test_how_tcp_slices_a_stream_changes_no_byte_of_it(faults: list[str], seed: int, cuts: list[int]) -> None:
    def spoilt(chunk_up: Iterable[bytes], chunk_down: Iterable[bytes]) -> tuple[bytes, bytes]:
        it = stream(*faults, seed=seed)
        begun = it.begin()
        upward = [piece for chunk in chunk_up for piece in it.feed("up", chunk)]
        downward = [piece for chunk in chunk_down for piece in it.feed("down", chunk)]
        return joined([*begun, *upward]), joined(downward)

    whole = [b"".join(UP)], [b"".join(DOWN), b""]
    sliced = [*filter(None, slices(whole[0][0], cuts))], [*filter(None, slices(whole[1][0], cuts)), b""]
    assert spoilt(*sliced) == spoilt(*whole)
