"""Bytes that are no protocol: no fault tells them apart where it needn't, and without faults nobody looks at them."""

import itertools
import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.board.faults import parse
from hil.board.framing import UNKNOWN, Direction, Framer, Segment
from hil.board.hooks import Piece
from hil.board.streams import Stream
from hil.board.triggers import Plan
from hil.frames import encode
from hil.messages import Available, Binary, GoSend, SendBinaries, SendDescriptions, Start
from tests.hil.board.test_faults import joined, stream
from tests.hil.wires import slices

RUBBISH = struct.pack("<I", 0x78787878)
MANY = 10_000
ECHO, START = encode(Available()), encode(Start())
WORDS = st.sampled_from(
    [RUBBISH, bytes(4), ECHO, START, encode(GoSend()), encode(SendDescriptions(b"<t/>")), struct.pack("<I", 7), b"\xff"]
)
STREAMS = st.lists(WORDS, max_size=20).map(b"".join)
FAULTS = [
    *("latency:5", "latency:5,jitter=3", "slice:1", "slice:1,p=0.5", "duplicate", "garbage:3", "reset:p=0.2"),
    *("cut:2,after=3", "reset:after=9B", "blackhole:after=4", "blackhole:after=START", "latency:5,at=START"),
    *("duplicate:way=up,at=START", "reset:after=START,way=both"),
]
CUTS = st.lists(st.integers(0, 80), max_size=8)


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("data", [RUBBISH * MANY, bytes(4) * MANY])
def test_words_without_meaning_come_in_one_piece(way: Direction, data: bytes) -> None:
    segments = [*Framer(way).split(data, join="unknown")]
    assert segments == [Segment(data, UNKNOWN, begins=True, ends=True)]
    assert len([*Framer(way).split(data)]) == MANY


def test_commands_of_one_word_come_so_where_nobody_listens() -> None:
    data = ECHO * MANY + START * MANY
    assert len([*Framer("up").split(data, join="alone")]) == 1
    assert len([*Framer("up").split(data, join="unknown")]) == 2 * MANY


@pytest.mark.parametrize("faults", [[], ["latency:50"], ["slice:3"], ["blackhole"], ["reset:after=START,way=up"]])
def test_a_fault_that_needs_no_messages_sees_no_words(faults: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    split = Framer.split

    def noting(self: Framer, *arguments: bytes, **options: bool) -> Iterable[Segment]:
        for segment in split(self, *arguments, **options):  # type: ignore[arg-type]  # as it was called
            seen.append(segment.data)
            yield segment

    monkeypatch.setattr(Framer, "split", noting)
    stream(*faults).feed("up", RUBBISH * MANY)
    assert seen == [RUBBISH * MANY]


@given(STREAMS, CUTS, st.sampled_from(["up", "down"]), st.sampled_from(["unknown", "alone"]))
def test_joined_or_not_the_bytes_and_what_follows_are_the_same(
    data: bytes, cuts: list[int], way: Direction, join: str
) -> None:
    """Whatever went through together, the next message is found where it begins."""
    one, other = Framer(way), Framer(way)
    chunks = [*filter(None, slices(data, cuts))]
    together = [
        segment
        for chunk in chunks
        for segment in one.split(chunk, hold=False, join=join)  # type: ignore[arg-type]  # one of two words
    ]
    assert b"".join(segment.data for segment in together) == data
    apart = [segment for chunk in chunks for segment in other.split(chunk, hold=False)]
    assert len(together) <= len(apart)
    assert [*one.split(RUBBISH + START)] == [*other.split(RUBBISH + START)]
    assert one.binaries == other.binaries


@given(
    STREAMS,
    CUTS,
    st.sampled_from(["up", "down"]),
    st.lists(
        st.sampled_from(FAULTS),
        max_size=3,
    ),
)
def test_faults_spoil_such_bytes_alike_however_tcp_slices_them(
    data: bytes, cuts: list[int], way: Direction, faults: list[str]
) -> None:
    def spoilt(chunks: Iterable[bytes]) -> bytes:
        it = stream(*faults)
        return joined([*it.begin(), *itertools.chain.from_iterable(it.feed(way, chunk) for chunk in chunks)])

    assert spoilt([*filter(None, slices(data, cuts)), b""]) == spoilt([*filter(None, [data]), b""])


def test_a_fault_that_comes_later_finds_the_messages() -> None:
    """Without faults nobody looks at messages, but where they begin is known all the same."""
    it = Stream(Plan([], "0"), 1)
    upload = encode(SendBinaries(1)) + encode(Binary("hey", START * 100))
    assert it.feed("up", RUBBISH * 3 + upload[:50]) == [Piece(RUBBISH * 3 + upload[:50])]
    it.follow(_plan("reset:after=START"))
    assert joined(it.feed("up", upload[50:])) == upload[50:]
    assert joined(it.feed("up", START)) == START + b"reset"


def _plan(*faults: str) -> Plan:
    return Plan([parse(text) for text in faults], "0")
