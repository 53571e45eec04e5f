"""Faults for a generation are those that its boards can have: a board in software refuses none of them."""

from typing import Any

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from hil.board.faults import KINDS, check_works, parse, parse_for_boards
from taskgen import strategies as ts
from taskgen.dialect.boards import BOARDS
from taskgen.errors import UsageError
from taskgen.strategies.fault import ROWS

ONCE = settings(database=None, deadline=None, derandomize=True, max_examples=1000)


@given(st.data(), st.sampled_from(sorted(BOARDS)))
@settings(max_examples=200)
def test_a_board_can_have_each_fault_of_its_generation(data: st.DataObject, generation: str) -> None:
    text = data.draw(ts.faults(generation=generation, boards=3))
    parse_for_boards([text], 3, BOARDS[generation])  # raises what could never strike


@given(ts.faults())
@settings(max_examples=200)
def test_without_a_generation_each_board_can_have_it(text: str) -> None:
    for board in BOARDS.values():
        check_works(parse(text), board)


@given(st.data(), st.sampled_from(sorted(ROWS)))
@settings(max_examples=200)
def test_a_kind_by_name_waits_for_what_all_boards_know_that_can_have_it(data: st.DataObject, kind: str) -> None:
    fault = parse(data.draw(ts.faults(kinds=[kind])))
    for board in BOARDS.values():
        if KINDS[kind].works(board):
            check_works(fault, board)


def test_the_generations_of_a_kind_are_those_of_boards_in_software() -> None:
    for name, kind in KINDS.items():
        assert {board for board, row in BOARDS.items() if ROWS[name].works(row)} == {
            board for board, row in BOARDS.items() if kind.works(row)
        }


@pytest.mark.parametrize(
    ("generation", "kind", "part"),
    [
        ("G4", "freeze", "at=AVAILABLE"),
        ("G3b", "duplicate-push", "after=REBOOT"),
        ("G1o", "reboot", "at=OPTIMIZE"),
        ("G1p", "stale-events", "after=GET_PROFILE"),
        ("G1", "latency", "at=AVAILABLE"),  # the transport's: what a client says travels, whoever understands it
        (None, "freeze", "at=BINARY"),
    ],
)
def test_what_a_generation_has_of_its_own_comes(generation: str | None, kind: str, part: str) -> None:
    assert find(ts.faults(kinds=[kind], generation=generation), lambda text: part in text, settings=ONCE)


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"generation": "g1P"}, "faults: generation: 'g1P', expected G1, G1o, G1p, G3a, G3b, G4", "did you mean G1p?"),
        (
            {"generation": "G1p", "kinds": ["reset", "duplicate-push"]},
            "faults: kinds: 'duplicate-push', expected one that boards of G1p can have",
            "boards of G3a, G3b, G4 can",
        ),
        (
            {"generation": "G4", "kinds": ["hang-on-kill"]},
            "faults: kinds: 'hang-on-kill', expected one that boards of G4 can have",
            "boards of G3a, G3b can",
        ),
    ],
)
def test_what_a_generation_cant_have_is_refused_at_the_call(options: Any, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        ts.faults(**options)
    assert (str(caught.value), caught.value.hint) == (message, hint)
