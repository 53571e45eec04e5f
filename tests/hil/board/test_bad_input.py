"""What a board does with bad input, row by row (wire-protocol 1.6): it never answers, and never closes."""

import struct

import pytest

from hil.messages import Binary, SendBinaries
from tests.hil.board.benches import (
    CLEAR,
    EARLY,
    GENERATIONS,
    LATE,
    START,
    Bench,
    descs,
    shown,
    task,
    word,
)

SEND_DESCS, UPLOAD, OPTIMIZE = 0xDE5, 0xDE5F11E, 0x6F7074
GOOD = descs(task(period=1000)).xml


def header(command: int, size: int) -> bytes:
    return struct.pack("<Ii", command, size)


def binary(name: bytes, size: int) -> bytes:
    return struct.pack("<16si", name, size)


def is_mute(bench: Bench) -> bool:
    """Whether the board hangs: no answer to the client, none to a later one, and it never hangs up."""
    served = bench.dom0.serves
    mute = bench.say(CLEAR, word(0x159D2), word(0xAAAAA)) == b""
    bench.dom0.receive(b"")
    bench.wait()
    return mute and served and not bench.dom0.accepts


# -- unknown words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("unknown", [0, 0x159D4, 0xFFFFFFFF, 0x90])
def test_an_unknown_word_is_skipped(generation: str, unknown: int) -> None:
    bench = Bench(generation)
    assert bench.say(word(unknown)) == b""
    assert bench.answers


@pytest.mark.parametrize("generation", [each for each in GENERATIONS if each != "G1o"])
def test_an_unknown_variable_message_is_eaten_in_words(generation: str) -> None:
    aligned = Bench(generation)
    aligned.say(header(OPTIMIZE, 8) + b"<goal/> ")
    assert aligned.answers
    shifted = Bench(generation)
    shifted.say(header(OPTIMIZE, 7) + b"<goal/>")
    assert not shifted.answers  # each later command is shifted by a byte, and ignored
    assert shifted.dom0.serves


# -- disconnects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("rest", [b"", b"\xe5", b"\xe5\x0d\x00"])
def test_a_disconnect_at_a_command_goes_back_to_accept(generation: str, rest: bytes) -> None:
    bench = Bench(generation)
    bench.say(rest) if rest else None
    bench.say(b"")
    assert bench.dom0.accepts
    assert bench.connect()
    assert bench.answers


@pytest.mark.parametrize("generation", EARLY)
@pytest.mark.parametrize("cut", [header(SEND_DESCS, 100) + GOOD[:50], header(SEND_DESCS, 100)[:6], word(SEND_DESCS)])
def test_early_boards_discard_what_is_cut(generation: str, cut: bytes) -> None:
    bench = Bench(generation)
    bench.say(cut, b"")
    assert bench.dom0.accepts
    bench.connect()
    assert bench.answers


@pytest.mark.parametrize("generation", LATE)
@pytest.mark.parametrize("cut", [header(SEND_DESCS, 900) + GOOD[:50], header(SEND_DESCS, 900), word(SEND_DESCS)])
def test_a_cut_document_kills_the_taskloader_of_later_boards(generation: str, cut: bytes) -> None:
    bench = Bench(generation)
    bench.say(cut, b"")
    assert not bench.dom0.accepts


@pytest.mark.parametrize("generation", LATE)
def test_later_boards_go_on_with_what_they_have(generation: str) -> None:
    bench = Bench(generation)
    bench.say(header(SEND_DESCS, len(GOOD) + 20) + GOOD, b"")  # all that matters had come
    assert bench.dom0.accepts
    bench.connect()
    assert shown(bench.events(START))[0] == ("START", 0)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_half_a_binary_is_kept(generation: str) -> None:
    bench = Bench(generation)
    bench.say(SendBinaries(1), binary(b"own", 10_000) + b"\x7fELF", b"")
    assert bench.dom0.accepts
    bench.connect()
    # Its size is what was announced: on boards that fill the first one's pages this fits, and 3 pages wouldn't else.
    bench.say(SendBinaries(1), Binary("own", bytes(3 * 4096)))
    assert bench.answers


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("count", "cut"),
    [
        (2, binary(b"own", 100) + b"\x7fELF"),  # of two binaries the first is half
        (1, b""),  # none at all
        (1, b"own\0"),
        (1, binary(b"own", 100)[:18]),
    ],
)
def test_announced_binaries_that_dont_come_kill_dom0_of_later_boards(generation: str, count: int, cut: bytes) -> None:
    bench = Bench(generation)
    bench.say(SendBinaries(count), *([cut] if cut else []), b"")
    assert bench.dom0.accepts is (generation in EARLY)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_cut_count_announces_nothing(generation: str) -> None:
    bench = Bench(generation)
    bench.say(header(UPLOAD, 1)[:6], b"")
    assert bench.dom0.accepts


# -- lengths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", EARLY)
def test_an_empty_document_ends_the_loop_of_early_boards(generation: str) -> None:
    bench = Bench(generation)
    bench.say(header(SEND_DESCS, 0))
    assert bench.dom0.serves  # the read of no bytes blocks until the next segment
    assert bench.say(word(0x159D2)) == b""  # then the client is never answered
    assert bench.dom0.accepts
    bench.connect()
    assert bench.answers


@pytest.mark.parametrize("generation", LATE)
def test_an_empty_document_kills_the_taskloader_of_later_boards(generation: str) -> None:
    bench = Bench(generation)
    bench.say(header(SEND_DESCS, 0))
    assert is_mute(bench)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("size", [-1, -(1 << 31), (10 << 20) + 1, (1 << 31) - 1])
def test_a_board_waits_for_ever_for_memory_that_nobody_has(generation: str, size: int) -> None:
    bench = Bench(generation)
    bench.say(header(SEND_DESCS, size))
    assert is_mute(bench)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("size", [0, -1, (40 << 20) + 1])
def test_an_impossible_binary_ends_everything(generation: str, size: int) -> None:
    bench = Bench(generation)
    bench.say(SendBinaries(1), binary(b"own", size))
    assert is_mute(bench)


# -- XML -------------------------------------------------------------------------------------------------------------

NO_CONFIG = b"<taskset><periodictask><id>0</id></periodictask></taskset>"


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("xml", [b"<taskset>", b"no xml", NO_CONFIG, b"<a></b>"])
def test_malformed_documents_kill_the_taskloader(generation: str, xml: bytes) -> None:
    bench = Bench(generation)
    bench.say(header(SEND_DESCS, len(xml)) + xml)
    assert is_mute(bench)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_declaration_kills_early_parsers_only(generation: str) -> None:
    bench = Bench(generation)
    xml = b'<?xml version="1.0"?>' + GOOD
    bench.say(header(SEND_DESCS, len(xml)) + xml)
    assert bench.answers is (generation not in ("G1", "G1o"))


@pytest.mark.parametrize("xml", [b"<optimize>", b"<optimize><goal/></optimize>", b"<optimize/>"])
def test_a_bad_goal_kills_sched_controller(xml: bytes) -> None:
    bench = Bench("G1o")
    bench.say(header(OPTIMIZE, len(xml)) + xml)
    assert is_mute(bench)


# -- what goes on ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", LATE)
def test_tasks_run_on_when_the_loop_waits_for_memory(generation: str) -> None:
    bench = Bench(generation)
    bench.say(descs(task(period=1000, numberofjobs=3, criticaltime=500)))
    bench.dom0.receive(word(0x514DE5))
    while bench.engine.busy:
        bench.engine.advance(1 << 60, 1)
        bench.dom0.progress()
    assert shown(bench.events(header(SEND_DESCS, -1)))[-1] == ("JOBS_DONE", 0)


@pytest.mark.parametrize("generation", LATE)
def test_only_a_reboot_brings_it_back(generation: str) -> None:
    bench = Bench(generation)
    bench.say(header(SEND_DESCS, 0))
    bench.dom0.reboot()
    bench.wait()
    bench.connect()
    assert bench.answers
    assert shown(bench.events(descs(), START))[0] == ("START", 0)
