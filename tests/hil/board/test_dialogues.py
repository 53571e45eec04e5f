"""What is said on the wire, byte by byte, with boards of each generation (wire-protocol 1.2, 1.3, 3.1)."""

import pytest

from hil.messages import Binary, SendBinaries
from tests.hil.board.benches import (
    CLEAR,
    EARLY,
    EMPTY_LOG,
    GENERATIONS,
    LATE,
    WITH_LOG,
    Bench,
    descs,
    document,
    task,
)

H = bytes.fromhex
GO_SEND = H("90000000")
SILENCE = b""

#: SEND_DESCS of one job of 10 ms: E5 0D 00 00, n, n bytes of XML.
DESCS = (
    H("e50d0000 ed000000") + b"<taskset><periodictask><id>7</id><pkg>hey</pkg><config/><quota>1M</quota>"
    b"<priority>1</priority><period>2000</period><numberofjobs>1</numberofjobs><executiontime>10</executiontime>"
    b"<caps>235</caps><cores>2</cores></periodictask></taskset>\n"
)


def log(*events: str) -> bytes:
    """Return an event log as a board sends it; an event is `TYPE ID STAMP`."""
    lines = "".join('\t\t<event type="{}" task-id="{}" time-stamp="{}"/>\n'.format(*each.split(" ")) for each in events)
    return document(f"<profile>\n\t<events>\n{lines}\t</events>\n</profile>\n".encode())


@pytest.mark.parametrize(
    ("generation", "reply"),
    [
        ("G1", SILENCE),  # an unknown word
        ("G1o", SILENCE),
        ("G1p", document(EMPTY_LOG)),
        ("G3a", document(EMPTY_LOG)),
        ("G3b", SILENCE),  # nothing at all, not even a length
        ("G4", SILENCE),
    ],
)
def test_an_empty_log(generation: str, reply: bytes) -> None:
    assert Bench(generation).say(H("d1590100")) == reply


def test_an_empty_log_byte_by_byte() -> None:
    assert document(EMPTY_LOG) == H("21000000 3c70726f66696c653e0a 093c6576656e74732f3e0a 3c2f70726f66696c653e0a 00")


@pytest.mark.parametrize("generation", GENERATIONS)
def test_only_g4_echoes_available(generation: str) -> None:
    assert Bench(generation).say(H("aaaa0a00")) == (H("aaaa0a00") if generation == "G4" else SILENCE)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_no_command_is_acknowledged(generation: str) -> None:
    bench = Bench(generation)
    assert bench.say(CLEAR, H("e64d5100"), descs(task(numberofjobs=0, period=0))) == SILENCE
    assert bench.answers


@pytest.mark.parametrize(("generation", "stamps"), [("G3a", (964, 974)), ("G3b", (464, 474)), ("G4", (1064, 1074))])
def test_a_job_is_pushed_when_it_has_ended(generation: str, stamps: tuple[int, int]) -> None:
    # CLEAR blocks 500, 0 and 1000 ms, the parse takes 11, admission 400 (G3), START 27 and the creation 26.
    start, end = stamps
    pushed = Bench(generation).say(H("e60d0000"), DESCS, H("e54d5100"))
    assert pushed == log(f"START 7 {start}", f"EXIT 7 {end}", f"JOBS_DONE 7 {end}")


def test_a_push_byte_by_byte() -> None:
    assert Bench("G4").say(DESCS, H("e54d5100")) == H(
        "ca000000 3c70726f66696c653e0a 093c6576656e74733e0a"
        "09093c6576656e7420747970653d22535441525422207461736b2d69643d2237222074696d652d7374616d703d223634222f3e0a"
        "09093c6576656e7420747970653d224558495422207461736b2d69643d2237222074696d652d7374616d703d223734222f3e0a"
        "09093c6576656e7420747970653d224a4f42535f444f4e4522207461736b2d69643d2237222074696d652d7374616d703d223734222f3e0a"
        "093c2f6576656e74733e0a 3c2f70726f66696c653e0a 00"
    )


def test_the_log_of_g1p_waits_to_be_asked() -> None:
    bench = Bench("G1p")
    assert bench.say(DESCS, H("e54d5100")) == SILENCE
    assert bench.say(H("d1590100")) == log("START 7 464", "EXIT 7 474")


def test_reading_clears_the_log() -> None:
    bench = Bench("G1p")
    bench.say(DESCS, H("e54d5100"), H("d1590100"))
    # The next document is generated over the one before, whose tail remains up to its NUL.
    tail = log("START 7 464", "EXIT 7 474")[4 + len(EMPTY_LOG) :]
    again = bench.say(H("d1590100"))
    assert again == H("94000000") + EMPTY_LOG + tail
    assert again.count(b"\0") == 1 + 3  # and of the length


@pytest.mark.parametrize("generation", EARLY)
def test_g1_pushes_nothing(generation: str) -> None:
    assert Bench(generation).say(DESCS, H("e54d5100"), until_ms=60_000) == SILENCE


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_live_document(generation: str) -> None:
    bench = Bench(generation)
    bench.say(descs(task(id=42, period=0, numberofjobs=1)))
    reply = bench.say(H("d2590100"))
    size, text = int.from_bytes(reply[:4], "little"), reply[4:]
    assert size == len(text)
    assert text.startswith(b'<live>\n\t<task-descriptions>\n\t\t<task id="')
    assert b'session="init -> taskloader" thread="42.hey"' in text
    assert text.index(b"\0") == len(text) - 1


def test_an_upload_byte_by_byte() -> None:
    bench = Bench("G4")
    assert bench.say(H("1ef1e50d 02000000")) == GO_SEND
    assert bench.say(H("6f776e00 00000000 00000000 00000000 04000000 7f454c46")) == GO_SEND
    assert bench.say(H("6669667465656e2d6c65747465727300 01000000 00")) == SILENCE  # no confirmation
    assert bench.answers


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_upload_of_nothing(generation: str) -> None:
    bench = Bench(generation)
    assert bench.say(H("1ef1e50d 00000000")) == SILENCE
    assert bench.say(H("1ef1e50d ffffffff")) == SILENCE  # a negative count is harmless, too
    assert bench.answers


@pytest.mark.parametrize("generation", LATE)
def test_0x159d3_reboots_without_a_word(generation: str) -> None:
    bench = Bench(generation)
    bench.say(descs())
    bench.dom0.receive(H("d3590100"))
    assert bench.dom0.booting
    assert bench.wait() == SILENCE
    assert not bench.dom0.booting
    assert not bench.dom0.serves
    bench.connect()
    assert bench.say(H("e54d5100"), until_ms=60_000) == SILENCE  # the tasks are gone


@pytest.mark.parametrize("generation", EARLY)
def test_0x159d3_is_unknown_to_early_boards(generation: str) -> None:
    bench = Bench(generation)
    bench.say(H("d3590100"))
    assert bench.answers


@pytest.mark.parametrize("generation", GENERATIONS)
def test_messages_may_come_in_any_slices(generation: str) -> None:
    stream = H("1ef1e50d 01000000") + H("68657900 00000000 00000000 00000000 01000000 00") + DESCS + H("e54d5100")
    whole, sliced = Bench(generation), Bench(generation)
    expected = whole.say(stream, until_ms=30_000)
    assert sliced.say(*(bytes([each]) for each in stream), until_ms=30_000) == expected
    assert expected.startswith(GO_SEND)


@pytest.mark.parametrize("generation", WITH_LOG)
def test_commands_that_block_hold_up_later_ones(generation: str) -> None:
    bench = Bench(generation)
    bench.dom0.receive(DESCS)
    bench.dom0.receive(H("d2590100"))
    assert not bench.dom0.reads
    assert bench.dom0.take() == SILENCE  # the parse goes on
    assert b"07.hey" in bench.wait()  # and was over before


def test_a_larger_second_upload_faults_dom0_but_not_on_g4() -> None:
    for generation in GENERATIONS:
        bench = Bench(generation)
        bench.say(SendBinaries(1), Binary("hey", bytes(100)))
        bench.say(SendBinaries(1), Binary("hey", bytes(4096)))  # fits into the pages of the first
        assert bench.answers
        bench.say(SendBinaries(1), Binary("hey", bytes(4097)))
        assert bench.answers is (generation == "G4")
