"""The order of runs, and what becomes of those that are lost."""

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from taskgen.bench.collect import Sampled
from taskgen.bench.prepare import Prepared
from taskgen.bench.turns import MOST_LOSSES, Turn, Turns, order
from tests.taskgen.bench.pooled import case, suite

SHAPES = st.lists(st.lists(st.sampled_from([None, 1, 5]), min_size=1, max_size=4), min_size=1, max_size=3)


def prepared(shape: list[list[int | None]]) -> list[Prepared]:
    return [Prepared(suite(), tuple(case(str(k), repeat=own) for k, own in enumerate(each))) for each in shape]


@given(SHAPES, st.integers(1, 4), st.integers(0, 2), st.integers(0, 99))
def test_each_round_has_each_case_once(shape: list[list[int | None]], repeat: int, warmup: int, seed: int) -> None:
    turns = order(prepared(shape), repeat=repeat, warmup=warmup, seed=seed)
    numbers = [turn.repetition for turn in turns]
    assert numbers == sorted(numbers), "a round is over before the next begins"
    assert len(set(turns)) == len(turns)
    counts = Counter((turn.suite, turn.case) for turn in turns)
    for number, each in enumerate(shape):
        for position, own in enumerate(each):
            assert counts[number, position] == (repeat + warmup if own is None else own)
    assert turns == order(prepared(shape), repeat=repeat, warmup=warmup, seed=seed)


def test_rounds_are_shuffled_differently() -> None:
    turns = order(prepared([[None] * 8]), repeat=5, warmup=0, seed=0)
    rounds = {tuple(turn.case for turn in turns if turn.repetition == number) for number in range(5)}
    assert len(rounds) == 5
    assert turns != order(prepared([[None] * 8]), repeat=5, warmup=0, seed=1)


def test_a_lost_run_is_tried_again_and_given_up_in_the_end() -> None:
    turns = Turns([Turn(0, 0, 0), Turn(0, 0, 1)])
    first = turns.take("a")
    assert first == Turn(0, 0, 0)
    turns.back(first, "a", "lost")
    second = turns.take("a")
    assert second == Turn(0, 0, 1), "the others come first"
    turns.done(second, Sampled())
    for _ in range(MOST_LOSSES - 1):
        assert turns.take("a") == first
        turns.back(first, "a", "lost again")
    assert turns.take("a") is None
    assert (turns.lost, turns.over, len(turns)) == ({first: "lost again"}, True, 2)


def test_what_was_given_back_does_not_count_when_it_comes_late() -> None:
    turns = Turns([Turn(0, 0, 0)])
    turn = turns.take("a")
    assert turn is not None
    turns.back(turn, "a", "it doesn't end")
    turns.done(turn, Sampled({"response": 1}))
    assert not turns.found
    assert turns.take("a") == turn


def test_nothing_is_handed_out_after_the_end() -> None:
    turns = Turns([Turn(0, 0, 0)])
    turns.close()
    assert turns.take("a") is None
    assert turns.over


def test_a_run_that_a_board_has_lost_is_left_to_the_others() -> None:
    turns = Turns([Turn(0, 0, 0), Turn(0, 0, 1)])
    lost, other = turns.take("a"), turns.take("b")
    assert (lost, other) == (Turn(0, 0, 0), Turn(0, 0, 1))
    turns.back(Turn(0, 0, 0), "a", "lost")
    turns.done(Turn(0, 0, 1), Sampled())
    waiting = threading.Thread(target=lambda: taken.append(turns.take("a")))
    taken: list[Turn | None] = []
    waiting.start()
    assert turns.take("b") == Turn(0, 0, 0)
    turns.done(Turn(0, 0, 0), Sampled())
    waiting.join(10)
    assert taken == [None]


def test_without_others_the_board_tries_it_again() -> None:
    turns = Turns([Turn(0, 0, 0), Turn(0, 0, 1)])
    lost, other = turns.take("a"), turns.take("b")
    assert lost is not None
    assert other is not None
    turns.back(lost, "a", "lost")
    turns.done(other, Sampled())
    turns.leave("b")
    assert turns.take("a") == lost
