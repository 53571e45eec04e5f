"""Admission control of the boards, statement by statement of wire-protocol 5.1 to 5.3."""

import itertools
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sim.boards.admission import (
    RULES,
    Admission,
    Entry,
    Ready,
    Record,
    examine,
    instance_name,
    record_of,
    response_time_test,
    sufficient_test,
)
from taskgen.dialect.boards import BOARDS
from taskgen.errors import UsageError

HUGE = 99_999_999
TESTING = ("G1o", "G1p", "G3a", "G3b")


def entries(*descriptions: dict[str, Any]) -> list[Entry]:
    return [Entry(instance_name(number, "pi"), task) for number, task in enumerate(descriptions)]


def hi(cost: int, period: int, priority: int, **more: int) -> dict[str, Any]:
    return {"executiontime": cost, "period": period, "priority": priority, **more}


def task(cost: int, period: int, deadline: int, priority: int, name: str = "q") -> Record:
    return Record(name, cost, period, deadline, priority)


def accepted(generation: str, *descriptions: dict[str, Any], cores: int = 2) -> list[bool]:
    return [verdict.accepted for verdict in Admission(generation, cores=cores).admit(entries(*descriptions))]


# -- 5.1


@pytest.mark.parametrize("generation", ["G1", "G4"])
def test_no_admission_accepts_everything(generation: str) -> None:
    """5.1: "none" on G0 and G1, "compiled out, everything accepted" on G4, also with one core."""
    assert accepted(generation, *[hi(HUGE, 1, 3)] * 3, cores=1) == [True] * 3


@pytest.mark.parametrize("generation", TESTING)
def test_one_core_refuses_every_task(generation: str) -> None:
    """5.1: "Admission always addresses core 1. A machine with one core refuses every task"."""
    document = [hi(1, 10, 3), hi(1, 10, 128, deadline=5)]
    assert accepted(generation, *document, cores=1) == [False, False]
    assert accepted(generation, *document)[0]


def test_what_a_refusal_looks_like() -> None:
    """5.1: "task silently never starts", on G3 "NOT_SCHEDULED at START"."""
    assert {name: row.admission for name, row in BOARDS.items() if name in RULES} == {
        "G1o": "silent", "G1p": "silent", "G3a": "announced", "G3b": "announced",
    }  # fmt: skip


def test_generations_without_rules_have_no_admission() -> None:
    """5.1: "none" on G0 and G1, "compiled out, everything accepted" on G4."""
    assert {name for name, row in BOARDS.items() if row.admission == "none"} == {"G1", "G4"} == set(BOARDS) - set(RULES)


def test_the_classes_of_g1o() -> None:
    """5.1: `lo` is priority 128, "otherwise" `hi`; a deadline doesn't matter."""
    verdicts = Admission("G1o").admit(entries(hi(1, 10, 128), hi(1, 10, 127, deadline=5), hi(1, 10, 129)))
    assert [verdict.kind for verdict in verdicts] == ["lo", "hi", "hi"]


def test_the_classes_of_g3() -> None:
    """5.1: `lo` is deadline > 0 "after the clamp of 7.2": G3b keeps a deadline for p = 127 exactly, p > 127 is 0."""
    document = entries(*[hi(1, 10, priority, deadline=5) for priority in (126, 127, 128, 3_000_000_000)])
    assert [verdict.kind for verdict in Admission("G3a").admit(document)] == ["lo"] * 4
    verdicts = Admission("G3b").admit(document)
    assert [verdict.kind for verdict in verdicts] == ["hi", "lo", "hi", "hi"]
    assert [verdict.record.deadline for verdict in verdicts] == [0, 5000, 0, 0]
    assert [verdict.record.priority for verdict in verdicts] == [126, 127, 0, 0]


def test_the_units_of_a_record() -> None:
    """5.1: "G1o and G1p as given; G3: D in us (ms x 1000), C and T as given"; 2.2: in 32 bits."""
    description = hi(7, 20, 127, deadline=5)
    for generation, deadline in [("G1o", 5), ("G1p", 5), ("G3a", 5000), ("G3b", 5000)]:
        rule = RULES[generation]
        assert record_of(rule, "q", description)[0] == Record("q", 7, 20, deadline, 127)
        assert record_of(rule, "q", {})[0] == Record("q", 0, 0, 0, 0)
    rule = RULES["G3a"]
    assert record_of(rule, "q", {"deadline": 4_294_968})[0].deadline == 704


def test_edf_tasks_are_accepted_untested_but_load_the_buffer() -> None:
    """5.1: `lo`: "none, always accepted ...; still enters the buffer and counts as load for later `hi` tests"."""
    edf = hi(9, 10, 127, deadline=10)
    candidate = hi(1, 10, 126)
    assert accepted("G3b", edf, candidate) == [True, False]
    assert accepted("G3b", candidate, edf, edf) == [True, True, True]


def test_g1p_tests_every_task() -> None:
    """5.1: "every task", also with a deadline and priority 128."""
    assert accepted("G1p", hi(6, 10, 128, deadline=10), hi(6, 10, 128, deadline=10)) == [True, False]
    assert accepted("G1o", hi(6, 10, 128, deadline=10), hi(6, 10, 128, deadline=10)) == [True, True]


def test_each_document_begins_with_an_empty_buffer() -> None:
    """5.1: "Tasks accepted by an earlier SEND_DESCS and not currently ready there are therefore forgotten"."""
    admission = Admission("G3b")
    document = entries(hi(HUGE, 3, 5))
    assert [admission.admit(document)[0].accepted for _ in range(3)] == [True] * 3
    assert not admission.admit(entries(hi(HUGE, 3, 5), hi(HUGE, 3, 5)))[1].accepted


def test_the_buffer_is_refilled_from_the_ready_queue() -> None:
    """5.1, 5.3: by name, against descriptions since boot; C, T, D of the first under it, P is the absolute deadline.

    P is a signed 32-bit number of us; unknown names don't enter.
    """
    admission = Admission("G3b")
    admission.admit([Entry("00.pi", hi(9, 10, 127, deadline=8))])
    admission.admit([Entry("00.pi", hi(1, 10, 127, deadline=8))])  # the first registration counts
    ready = [Ready("77.pi", 5), Ready("00.pi", 1_000_000)]
    (verdict,) = admission.admit([Entry("01.pi", hi(1, 10, 5))], ready)
    assert not verdict.accepted  # P = 1 000 000 is above 5, so its own bound counts: (1 + 9 x 0.1) / (1 - 0.9) > 0
    assert verdict.checks[0].iterates[0] == pytest.approx(19)
    (verdict,) = admission.admit([Entry("02.pi", hi(1, 10, 5))], [Ready("77.pi", 5)])
    assert verdict.reason == "the buffer is empty"
    # From 2^31 us on P is negative, so the new task is the more urgent one; its bound of 1 ms exceeds D = 0, the
    # element's (9 + ceil(9/10) 1 = 10) is within its 8000 us.
    (verdict,) = admission.admit([Entry("03.pi", hi(1, 10, 5))], [Ready("00.pi", 2**31)])
    assert verdict.accepted
    assert [check.name for check in verdict.checks] == ["03.pi", "00.pi"]


def test_accepted_tasks_are_appended_in_document_order() -> None:
    """5.1: "appended at the tail in document order"; 5.1: "nothing sorts it": the last element decides P_v < P_n."""
    falling = examine(task(1, 10, 5, 4), [task(1, 10, 10, 9), task(1, 10, 10, 5)])
    rising = examine(task(1, 10, 5, 4), [task(1, 10, 10, 5), task(1, 10, 10, 3)])
    assert falling.accepted
    assert rising.accepted
    assert (
        accepted("G1o", hi(3, 10, 9, deadline=10), hi(3, 10, 8, deadline=10), hi(3, 10, 7, deadline=10)) == [True] * 3
    )


def test_a_refused_task_does_not_enter_the_buffer() -> None:
    assert accepted("G1o", hi(5, 10, 9, deadline=10), hi(9, 10, 8, deadline=10), hi(4, 10, 7, deadline=10)) == [
        True, False, True,
    ]  # fmt: skip


def test_an_unknown_generation() -> None:
    with pytest.raises(UsageError, match="there is no generation 'G9'"):
        Admission("G9")


@pytest.mark.parametrize(("number", "name"), [(7, "07.pi"), (42, "42.pi"), (100, "100pi"), (1234, "123pi")])
def test_instance_names(number: int, name: str) -> None:
    """2.4: "only three characters survive"."""
    assert instance_name(number, "pi") == name


# -- 5.2


def test_an_empty_buffer_accepts() -> None:
    """5.2: "Empty buffer: accept"."""
    assert examine(task(HUGE, 1, 0, 0), []).accepted


def test_the_intended_bound() -> None:
    """5.2: R_i <= (C_i + sum C_j (1 - U_j)) / (1 - sum U_j), by hand for the least urgent of three."""
    buffer = [task(1, 4, 4, 9), task(1, 5, 5, 8)]
    bound = Fraction(3 + 1 * Fraction(3, 4) + 1 * Fraction(4, 5)) / (1 - Fraction(1, 4) - Fraction(1, 5))
    assert math.ceil(bound) == 9
    assert sufficient_test(task(3, 20, 9, 7), buffer) is None
    check = sufficient_test(task(3, 20, 8, 7, "v"), buffer)
    assert check is not None
    assert check.name == "v"
    assert check.iterates[0] == pytest.approx(float(bound))


def test_the_candidate_is_added_once_for_each_less_urgent_element() -> None:
    """5.2, first quirk: its own bound is re-tested with that growing load."""
    # U_v = 1/2: in front of the second element 1 - S_u = 1 - 1/2 - 0 = 1/2, so R_v = (5 + 5/2) / (1/2) = 15 > 10.
    buffer = [task(0, 10, 100, 1), task(0, 10, 100, 1)]
    check = sufficient_test(task(5, 10, 10, 2, "v"), buffer)
    assert check is not None
    assert (check.name, check.iterates) == ("v", (15.0,))
    assert sufficient_test(task(5, 10, 10, 2), buffer[:1]) is None


def test_an_equally_urgent_candidate_is_not_tested_behind_the_last_element() -> None:
    """5.2: the last line is for P_v < P_n; there R_v would be (5 + 2.5 + 1.6) / (1 - 0.7) > 10."""
    assert sufficient_test(task(5, 10, 10, 1), [task(2, 10, 100, 1)]) is None


def test_an_overload_passes() -> None:
    """5.2, second quirk: "S_u > 1 makes the denominator negative, R negative, test passed"."""
    assert sufficient_test(task(3, 2, 0, 1), [task(3, 2, 3, 9)]) is None


def test_full_load_gives_infinity_or_nan() -> None:
    """5.2: "S_u = 1 gives infinity (refuse), or NaN for a zero numerator (pass)"."""
    full = [task(2, 2, 2, 9)]
    refused = sufficient_test(task(1, 10, 1000, 1), full)
    assert refused is not None
    assert refused.iterates == (math.inf,)
    assert sufficient_test(task(0, 10, 1000, 1), full) is None


def test_period_zero_makes_utilisation_infinite() -> None:
    """5.2: "T = 0 gives infinite utilisation; the following comparisons then depend on inf/NaN rules"."""
    # S_u = inf and S_w = 1 (1 - inf) = -inf: R_v = -inf / -inf = NaN, which isn't larger than D.
    assert sufficient_test(task(1, 10, 0, 1), [task(1, 0, 5, 9)]) is None
    # C = 0, T = 0: U = NaN, and so is all that follows.
    assert sufficient_test(task(HUGE, 10, 0, 1), [task(0, 0, 5, 9)]) is None


# -- 5.3


def test_the_measured_refusal() -> None:
    """5.3, measured: "C = 99999999, T = 3, D = 0, second task: bound 99999999, RTA value 3333333366666666, refused"."""
    first, second = Admission("G3b").admit(entries(hi(HUGE, 3, 5), hi(HUGE, 3, 5)))
    assert first.accepted
    assert not second.accepted
    sufficient, analysis = second.checks
    assert sufficient.iterates == (99999999.0,)
    assert analysis.iterates == (99999999, 3333333366666666)
    assert str(second) == (
        "01.pi refused: sufficient test and response-time analysis fail;"
        " sufficient of 01.pi: R = 99999999 beyond D = 0;"
        " response time of 00.pi: R = 99999999, 3333333366666666 beyond D = 0"
    )


def test_the_least_urgent_candidate_alone_is_checked() -> None:
    """5.3: "If P_v < P_n: check v with m = n only"; the textbook iterates of (1, 4) (1, 5) above C = 3."""
    (check,) = response_time_test(task(3, 9, 9, 1, "v"), [task(1, 4, 0, 3), task(1, 5, 0, 2)])
    assert check.name == "v"
    assert check.iterates == (3, 5, 6, 7, 7)
    assert check.passed


def test_more_urgent_candidates_are_not_checked_in_front() -> None:
    """5.3, quirk: "v is not checked when it belongs in front of everything or directly behind the first element"."""
    late = task(50, 100, 1, 9, "v")
    (only,) = response_time_test(late, [task(1, 100, 60, 5)])
    assert (only.name, only.iterates, only.passed) == ("q", (1, 51, 51), True)
    behind = task(50, 100, 1, 5, "v")
    (only,) = response_time_test(behind, [task(1, 100, 60, 9, "first"), task(1, 100, 60, 4, "second")])
    assert (only.name, only.passed) == ("second", True)


def test_a_candidate_behind_the_second_element_is_checked() -> None:
    """5.3: "if P_i > P_v >= P_(i+1) and i > 0 check v with m = i+1"."""
    buffer = [task(1, 100, 60, 9, "a"), task(1, 100, 60, 8, "b"), task(1, 100, 60, 4, "c")]
    checks = response_time_test(task(50, 100, 60, 5, "v"), buffer)
    assert [(check.name, check.iterates) for check in checks] == [("v", (50, 52, 52)), ("c", (1, 53, 53))]
    (failed,) = response_time_test(task(50, 100, 1, 5, "v"), buffer)
    assert (failed.name, failed.passed) == ("v", False)


def test_equal_priorities_interfere_with_the_old_task() -> None:
    """5.3, quirk: "Equal priorities count as interference for the old task"."""
    (check,) = response_time_test(task(6, 10, 100, 5, "v"), [task(5, 10, 10, 5, "old")])
    assert (check.name, check.iterates, check.passed) == ("old", (5, 11), False)


def test_period_zero_saturates() -> None:
    """5.3, measured: "T = 0 with R > 0 and C_j > 0: the sum saturates to 2^64 - 1 and is refused"."""
    (check,) = response_time_test(task(3, 9, 9, 1), [task(1, 0, 0, 3)])
    assert check.iterates == (3, 2**64 - 1)
    assert not check.passed
    # Any sum beyond 64 bits does: 2^64 - 2^33 + 1 each.
    (check,) = response_time_test(task(2**32 - 1, 9, 9, 1), [task(2**32 - 1, 1, 0, 3)] * 3)
    assert check.iterates == (2**32 - 1, 2**64 - 1)


def test_period_zero_without_work_clears_the_sum() -> None:
    """5.3: "with R = 0 or C_j = 0 the term is NaN and the whole partial sum becomes 0"."""
    (check,) = response_time_test(task(7, 9, 9, 1), [task(1, 10, 0, 3), task(0, 0, 0, 3), task(2, 10, 0, 3)])
    assert check.iterates == (7, 2)  # (7 + 1) becomes 0, then + 2; accepted since R(1) <= R(0)
    assert check.passed
    (check,) = response_time_test(task(0, 9, 9, 1), [task(1, 10, 0, 3), task(5, 0, 0, 3)])
    assert check.iterates == (0, 0)
    assert check.passed


def test_each_term_is_added_in_double() -> None:
    """5.3: "each term added in double and truncated": beyond 2^53 a small term is lost."""
    big = 2**32 - 1
    (check,) = response_time_test(task(big, 9, 0, 1), [task(big, 1, 0, 3), task(1, big, 0, 3)])
    exact = big + big * big + 1
    assert check.iterates[1] != exact
    assert check.iterates[1] == int(float(int(float(big) + float(big * big))) + 1.0)


def test_an_analysis_that_never_ends_is_a_refusal() -> None:
    """Not on the board, which computes on: growth by 1 up to D = 2^32 - 1 would take minutes."""
    (check,) = response_time_test(task(1, 9, 2**32 - 1, 1), [task(1, 1, 0, 3)])
    assert not check.passed
    assert len(check.iterates) < 20


# -- Consequences on G3, where D is 0 everywhere

costs = st.one_of(st.just(0), st.integers(1, 20), st.just(HUGE))
tasks = st.builds(task, costs, st.integers(1, 30), st.just(0), st.integers(0, 6))
buffers = st.lists(tasks, min_size=1, max_size=5)


@given(costs, st.integers(1, 100), st.integers(0, 127))
def test_the_first_task_of_a_document_is_accepted(cost: int, period: int, priority: int) -> None:
    """5.3: "the first `hi` task of a document is accepted (empty buffer)"."""
    assert accepted("G3b", hi(cost, period, priority)) == [True]


@given(tasks, buffers)
def test_a_further_task(candidate: Record, buffer: list[Record]) -> None:
    """5.3: "A further one v is accepted when the sufficient test passes", and otherwise in two cases.

    "if P_v < P_n, iff C_v = 0; else iff every buffered task with P_i <= P_v has C_i = 0, and C_v = 0 if v falls between
    two elements beyond the first".
    """
    verdict = examine(candidate, buffer)
    urgency = candidate.priority
    if sufficient_test(candidate, buffer) is None:
        expected = True
    elif urgency < buffer[-1].priority:
        expected = candidate.cost == 0
    else:
        between = any(earlier.priority > urgency >= later.priority for earlier, later in itertools.pairwise(buffer[1:]))
        expected = not any(other.cost for other in buffer if other.priority <= urgency)
        expected = expected and not (between and candidate.cost)
    assert verdict.accepted == expected


@given(costs, st.lists(costs, min_size=1, max_size=6), st.integers(0, 127), st.integers(1, 50))
@example(HUGE, [0], 3, 5)
def test_all_priorities_equal(cost: int, buffered: list[int], priority: int, period: int) -> None:
    """5.3: "With all priorities equal: refused iff some buffered task has C > 0, whatever C_v is"."""
    buffer = [task(other, period, 0, priority) for other in buffered]
    assert examine(task(cost, period, 0, priority), buffer).accepted == (not any(buffered))


@given(st.lists(st.integers(0, 127), min_size=1, max_size=8), st.integers(1, 100))
def test_the_usual_placeholder_refuses_all_but_the_first(priorities: list[int], period: int) -> None:
    """5.3: "with the usual huge constant in every task all but the first are refused"."""
    document = [hi(HUGE, period, priority) for priority in priorities]
    assert accepted("G3b", *document) == [True] + [False] * (len(document) - 1)


# -- the tests against exact arithmetic, where no quirk is in play

sound = st.builds(task, st.integers(1, 9), st.integers(10, 60), st.just(10**6), st.integers(0, 3))


def fits(cost: int, deadline: int, above: list[Record]) -> bool:
    """Tell whether the least urgent task ends by its deadline: each instant tried (Joseph & Pandya 1986)."""
    return any(
        t >= cost + sum(math.ceil(Fraction(t, other.period)) * other.cost for other in above)
        for t in range(1, deadline + 1)
    )


@given(st.lists(sound, min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 90))
def test_the_analysis_is_the_textbook_for_the_least_urgent(buffer: list[Record], cost: int, deadline: int) -> None:
    (check,) = response_time_test(task(cost, 10, deadline, -1), buffer)
    assert check.passed == fits(cost, deadline, buffer)


@given(st.lists(sound, min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 90))
def test_the_sufficient_test_is_sufficient_without_overload(buffer: list[Record], cost: int, deadline: int) -> None:
    assume(sum(Fraction(other.cost, other.period) for other in buffer) < 1)
    if sufficient_test(task(cost, 10, deadline, -1), buffer) is None:
        assert fits(cost, deadline, buffer)
