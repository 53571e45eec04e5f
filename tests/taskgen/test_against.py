"""The differential mode: what two runs of one set may differ in, and what is claimed about them."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim import SimSession
from taskgen import TaskSet
from taskgen.dialect.boards import BOARDS
from taskgen.errors import UsageError
from taskgen.events import Event, EventType
from taskgen.session import Capabilities, Target
from taskgen.strategies import tasksets
from taskgen.testing.against import DIFFERENCES, Difference, compare, oracle_for
from taskgen.testing.properties import BOARD_TOLERANCES, ZERO
from taskgen.testing.runs import Executed, execute
from tests.taskgen.board_runs import (
    CRITICAL,
    CUT,
    ERROR,
    MS,
    ONE,
    REFUSED,
    TOLERANCE,
    TWO,
    Ran,
    S,
    compared,
    ran,
    tasks,
    verdict,
)

# -- the laws of the comparison


def limited(generation: str) -> st.SearchStrategy[TaskSet]:
    """Sets for boards of a generation whose jobs are killed, too long, or neither."""
    capabilities = SimSession(profile=generation).capabilities
    return tasksets(
        n=4, capabilities=capabilities, max_utilization=None,
        max_period=15, max_jobs=3, max_criticaltime=12, max_offset=3,
    )  # fmt: skip


@pytest.mark.parametrize("generation", BOARDS)
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_run_agrees_with_itself(generation: str, data: st.DataObject) -> None:
    taskset = data.draw(limited(generation))
    trace = execute(SimSession(profile=generation), taskset, horizon_ms=5000)
    for tolerance in (ZERO, TOLERANCE, BOARD_TOLERANCES[generation]):
        assert compare(taskset, trace, trace, tolerance) == Difference("agree", ())


@settings(max_examples=30, deadline=None)
@given(tasksets(n=4, max_utilization=None, max_period=15, max_criticaltime=12, max_offset=3, max_jitter=3))
def test_so_it_does_where_releases_are_known(taskset: TaskSet) -> None:
    trace = execute(SimSession(), taskset, horizon_ms=60)
    assert compare(taskset, trace, trace, ZERO) == Difference("agree", ())


def late(oracle: Executed, by: Iterable[int], horizon_ns: int) -> Executed:
    """Return a run whose events are late by so many ns each, as a board would tell it."""
    shift = iter(by)
    trace = Executed(oracle.plan, oracle.capabilities)
    free: dict[int, int] = {}  # when the task's job before is over
    events = []
    for place, job in enumerate(oracle.jobs):
        if job.finish_ns is None or job.outcome is None:
            continue
        start_ns = max((job.start_ns or job.finish_ns) + next(shift), free.get(job.task_id, 0))
        finish_ns = max(job.finish_ns + next(shift), start_ns)
        if start_ns >= horizon_ns:
            continue
        is_cut = job.outcome is CUT or finish_ns > horizon_ns
        free[job.task_id] = finish_ns = horizon_ns if is_cut else finish_ns
        if job.outcome is REFUSED:
            events.append((start_ns, place, 0, Event(start_ns, REFUSED, job.task_id, job.index, None)))
            continue
        events += [
            (start_ns, place, 0, Event(start_ns, EventType.START, job.task_id, job.index, None)),
            (finish_ns, place, 1, Event(finish_ns, CUT if is_cut else job.outcome, job.task_id, job.index, None)),
        ]
    trace.extend(event for *_, event in sorted(events, key=lambda each: each[:3]))
    return trace


@pytest.mark.parametrize("generation", ["G3b", "G4"])
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_to_be_late_by_the_tolerance_is_never_another_order_nor_a_miss(generation: str, data: st.DataObject) -> None:
    taskset = data.draw(limited(generation))
    oracle = execute(SimSession(profile=generation), taskset, horizon_ms=4000)
    tolerance = data.draw(st.sampled_from([BOARD_TOLERANCES[generation], TOLERANCE]))
    spread_ns = tolerance.spread_ns(len(taskset) - 1)
    number = 2 * len(oracle.jobs)
    shifts = data.draw(st.lists(st.integers(0, spread_ns), min_size=number, max_size=number))
    witness = late(oracle, shifts, 4000 * MS)
    difference = compare(taskset, oracle, witness, tolerance)
    assert difference.verdict in {"agree", "slower"}, difference.details


@given(gap=st.integers(0, 400), first=st.integers(50, 400))
@example(gap=S, first=100)
@example(gap=S + 1, first=100)
def test_two_ends_may_swap_if_they_are_closer_than_the_tolerance(gap: int, first: int) -> None:
    oracle = [Ran(0, 0, first), Ran(1, 0, first + gap)]
    witness = [Ran(0, 0, first + gap), Ran(1, 0, first)]
    assert (verdict(TWO, oracle, witness) == "order") is (gap > S)


@given(late=st.integers(-50, 50))
def test_a_later_end_is_slower_up_to_the_tolerance(late: int) -> None:
    found = verdict(ONE, [Ran(0, 0, 100)], [Ran(0, 0, 100 + late)])
    assert found == ("agree" if late <= 1 else "slower" if late <= S else "order")


@given(shift=st.integers(-500, 500))
def test_the_zero_of_the_witness_is_all_the_same(shift: int) -> None:
    """It is the first START, which may be late; nothing but distances counts."""
    oracle = [Ran(0, 600, 700), Ran(1, 650, 900), Ran(0, 1600, 1700)]
    witness = [job._replace(birth=job.birth + shift, end=(job.end or 0) + shift) for job in oracle]
    assert verdict(TWO, oracle, witness) == "agree"


@given(ours=st.integers(1, 2000), theirs=st.integers(1, 2000))
def test_only_one_misses_if_both_are_sure(ours: int, theirs: int) -> None:
    claims = [None if abs(end - 1000) <= S else end > 1000 for end in (ours, theirs)]
    found = verdict(ONE, [Ran(0, 0, ours)], [Ran(0, 0, theirs)])
    assert (found == "misses") is (set(claims) == {False, True})


# -- births, ends, outcomes


@pytest.mark.parametrize(
    ("oracle", "witness", "expected"),
    [
        ([Ran(0, 0, 100)], [Ran(0, 0, 100, ERROR)], "order"),
        ([Ran(0, 0, 900)], [Ran(0, 0, 500, CRITICAL)], "misses"),
        ([Ran(0, 0, 500, CRITICAL)], [Ran(0, 0, 900)], "misses"),
        ([Ran(0, 0, 500, CRITICAL)], [Ran(0, 0, 1400)], "order"),  # both miss, each in its own way
        ([Ran(0, 0, 500, CRITICAL)], [Ran(0, 0, 505, CRITICAL)], "slower"),
        ([Ran(0, 0, 500, CRITICAL)], [Ran(0, 0, 600, CRITICAL)], "order"),
        ([Ran(0, 0, 100)], [Ran(0, 0, None, REFUSED)], "order"),
        ([Ran(0, 0, None, REFUSED)], [Ran(0, 0, 100)], "order"),
        ([Ran(0, 0, None, REFUSED)], [Ran(0, 0, None, REFUSED)], "agree"),
        ([Ran(0, 0, 100)], [Ran(0, 0, None)], "order"),
        ([Ran(0, 0, 100)], [], "order"),
        ([], [Ran(0, 0, 100)], "order"),
        ([Ran(0, 0, 100), Ran(0, 1000, 1100)], [Ran(0, 0, 100)], "order"),
        ([Ran(0, 0, 100)], [Ran(0, 0, 100), Ran(0, 100, 200)], "order"),
    ],
)
def test_jobs_and_their_ends(oracle: list[Ran], witness: list[Ran], expected: str) -> None:
    if ERROR in {job.outcome for job in witness}:
        expected = "misses"  # a job that failed has missed, the other one is in time
    assert verdict(ONE, oracle, witness) == expected


def test_births_have_an_order_too() -> None:
    oracle = [Ran(0, 0, 100), Ran(1, 200, 300)]
    assert verdict(TWO, oracle, [Ran(0, 250, 350), Ran(1, 200, 300)]) == "order"
    assert verdict(TWO, oracle, [Ran(0, 160, 195), Ran(1, 200, 300)]) == "agree"


def test_a_difference_names_job_time_and_both_sides() -> None:
    found = compared(TWO, [Ran(0, 0, 100), Ran(1, 0, 200)], [Ran(0, 0, 2200), Ran(1, 0, 150)])
    assert found.verdict == "misses"
    assert found.details[0] == (
        "job 0 of task 0 at 2200.0 ms: the oracle has EXIT after 100.0 ms, in time; "
        "the witness has EXIT after 2200.0 ms, missed"
    )
    assert found.details[1] == (
        "job 0 of task 1 at 150.0 ms: the oracle has its end at 200.0 ms, behind the end of job 0 of task 0 at 100.0 ms"
        "; the witness has it at 150.0 ms, before that one at 2200.0 ms"
    )
    violation = found.violations()[0]
    assert (violation.job, violation.time_ns) == ((0, 0), 2200 * MS)
    assert str(violation) == (
        "job 0 of task 0 at 2200.0 ms: expected EXIT after 100.0 ms, in time (oracle); saw EXIT after 2200.0 ms, missed"
    )


def test_to_be_slower_is_no_violation_but_told() -> None:
    found = compared(ONE, [Ran(0, 0, 100)], [Ran(0, 0, 105)])
    assert (found.verdict, found.violations(), len(found.details)) == ("slower", [], 1)


def test_of_many_differences_some_are_told() -> None:
    jobs = [Ran(0, 1000 * number, 1000 * number + 100) for number in range(100)]
    slow = [job._replace(end=(job.end or 0) + 200) for job in jobs]
    found = compare(ONE, ran(ONE, *jobs, horizon=100_000), ran(ONE, *slow, horizon=100_000), TOLERANCE)
    assert (found.verdict, len(found.details), len(found.violations())) == ("order", 20, 20)


def test_the_verdicts_are_ordered() -> None:
    assert DIFFERENCES == ("agree", "slower", "order", "misses")


# -- the end of a run


@pytest.mark.parametrize(
    ("oracle", "witness", "expected"),
    [
        ([Ran(0, 4500, 4990)], [Ran(0, 4500, 5000, CUT)], "agree"),
        ([Ran(0, 4500, 4600)], [Ran(0, 4500, 5000, CUT)], "order"),
        ([Ran(0, 4500, 5000, CUT)], [Ran(0, 4500, 4600)], "agree"),  # earlier
        ([Ran(0, 3000, 3500)], [Ran(0, 3000, 5000, CUT)], "misses"),
        ([Ran(0, 4500, 5000, CUT)], [Ran(0, 4500, 5000, CUT)], "agree"),
        ([Ran(0, 4995, 5000, CUT)], [], "agree"),
        ([], [Ran(0, 4995, 5000, CUT)], "agree"),
        ([Ran(0, 4900, 5000, CUT)], [], "order"),
    ],
)
def test_what_the_horizon_cuts_off_lasted_at_least_that_long(
    oracle: list[Ran], witness: list[Ran], expected: str
) -> None:
    assert verdict(ONE, oracle, witness) == expected


def test_behind_a_stop_nothing_is_claimed() -> None:
    oracle = [Ran(0, 0, 100), Ran(0, 1000, 1100)]
    found = compared(ONE, oracle, [Ran(0, 0, 100)], stopped=True)
    assert (found.verdict, found.unclaimed) == ("agree", ("whatever is behind 100.0 ms: a run was stopped there",))


# -- another kind of oracle


def test_the_theory_is_an_oracle_for_a_board() -> None:
    """Where the life cycle lets each job run, a board is the theory with delays."""
    taskset = tasks(
        {"executiontime": 400, "period": 2000, "numberofjobs": 2, "criticaltime": 1700, "priority": 1},
        {"executiontime": 300, "period": 4000, "numberofjobs": 1, "criticaltime": 3700, "priority": 2},
    )
    oracle = execute(SimSession(), taskset)
    witness = execute(SimSession(profile="G4"), taskset)
    found = compare(taskset, oracle, witness, BOARD_TOLERANCES["G4"])
    assert (found.verdict, found.unclaimed) == ("slower", ())


def test_a_board_that_starts_every_other_job_differs_from_the_theory() -> None:
    """wire-protocol 6.5: without a criticaltime the effective period of G4 is 2 T."""
    taskset = tasks({"numberofjobs": 4})
    oracle = execute(SimSession(), taskset, horizon_ms=4000)
    witness = execute(SimSession(profile="G4"), taskset, horizon_ms=4000)
    found = compare(taskset, oracle, witness, BOARD_TOLERANCES["G4"])
    assert (found.verdict, found.unclaimed) == ("order", ())
    assert "the oracle has START; the witness has no such job" in found.details[0]


def test_a_deadline_of_the_theory_is_exact() -> None:
    """There a job that completes at its deadline has met it; one ms later on a board nothing is claimed."""
    taskset = tasks({"executiontime": 1000, "priority": 1, "numberofjobs": 1})
    oracle = execute(SimSession(), taskset, horizon_ms=1500)
    assert [job.missed for job in oracle.jobs] == [False]
    on_time, late_end = (ran(taskset, Ran(0, 0, end), horizon=1500) for end in (1001, 1050))
    assert compare(taskset, oracle, on_time, TOLERANCE).verdict == "agree"
    assert compare(taskset, oracle, late_end, TOLERANCE).verdict == "misses"


# -- which simulator is the oracle

BOARD = Target("taskloader", "10.0.0.7", {"dialect": "G4", "binaries": "none"})
TWO_CORES = Capabilities(cores=2)


@pytest.mark.parametrize(
    ("against", "options"),
    [
        ("sim", {"profile": "G4", "cores": 2}),
        ("sim:G4", {"profile": "G4", "cores": 2}),
        ("sim:G3b", {"profile": "G3b", "cores": 2}),
        ("sim:ideal", {"profile": "ideal", "cores": 1}),  # boards put all tasks on one
    ],
)
def test_the_oracle_of_a_board_is_the_profile_of_its_generation(against: str, options: dict[str, Any]) -> None:
    target = oracle_for(BOARD, "G4", TWO_CORES, against=against)
    assert target == Target("sim", "", options)
    with SimSession.open(target) as session:
        assert session.capabilities.cores == options["cores"]


def test_a_simulator_has_an_oracle_too() -> None:
    """That shows in what a policy of one's own differs from the usual one."""
    witness = Target("sim", "", {"policy": "own.py:Own", "seed": 4, "execution": "uniform:0.5"})
    oracle = oracle_for(witness, "", Capabilities(cores=3), options={"policy": "edf"})
    options = {"profile": "ideal", "cores": 3, "seed": 4, "execution": "uniform:0.5", "policy": "edf"}
    assert oracle == Target("sim", "", options)


@pytest.mark.parametrize("against", ["board", "sim:", "", "simG4", "10.0.0.7"])
def test_only_a_simulator_is_an_oracle(against: str) -> None:
    with pytest.raises(UsageError, match=r"is no oracle, expected sim or sim:PROFILE"):
        oracle_for(BOARD, "G4", TWO_CORES, against=against)


@pytest.mark.parametrize("generation", ["", "auto"])
def test_without_a_generation_there_is_no_oracle_unless_named(generation: str) -> None:
    with pytest.raises(UsageError, match=r"10\.0\.0\.7: its generation isn't known"):
        oracle_for(BOARD, generation, TWO_CORES)
    assert oracle_for(BOARD, generation, TWO_CORES, against="sim:G1").options["profile"] == "G1"
