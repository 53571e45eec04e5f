"""The order of jobs as births and ends tell it: held by every correct board, broken by one that is inverted."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from hil.session import TaskloaderSession
from sim import Policy, SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.blocks import hey
from taskgen.dialect.boards import BOARDS
from taskgen.session import Capabilities, Session, Target
from taskgen.testing.properties import BOARD_TOLERANCES, PROPERTIES, Scheduling, Tolerance, Violation
from taskgen.testing.runs import check, execute
from tests.hil.board.serving import serving
from tests.taskgen.board_runs import CRITICAL, TOLERANCE, Ran, ran, tasks
from tests.taskgen.properties.mutants import Inverted, LongestDeadlineFirst

FP, EDF = "fixed_priority_events", "edf_events"
HORIZON_MS = 6000

# -- what is claimed

LESS, MORE = 0, 1  # task ids
TWO = tasks({"priority": 9}, {"priority": 3})
THREE = tasks({"priority": 9}, {"priority": 3}, {"priority": 4})


def violations(law: str, taskset: TaskSet, *jobs: Ran, tolerance: Tolerance = TOLERANCE) -> list[Violation]:
    return PROPERTIES[law].judge(taskset, ran(taskset, *jobs), tolerance)


@pytest.mark.parametrize(
    ("born", "over", "known"),
    [
        (10, 489, True),  # S is 10 ms, of which stamps take 1
        (9, 489, False),  # it may have been born before
        (10, 491, False),  # the other one may have been over
        (400, 700, False),
    ],
)
def test_a_job_gets_no_time_while_a_more_urgent_one_lives(born: int, over: int, known: bool) -> None:
    found = violations(FP, TWO, Ran(MORE, 0, 500), Ran(LESS, born, over))
    assert bool(found) is known
    assert violations(FP, TWO, Ran(LESS, 0, 500), Ran(MORE, born, over)) == []


def test_a_violation_says_who_was_in_the_way() -> None:
    (found,) = violations(FP, THREE, Ran(1, 0, 300), Ran(2, 250, 600), Ran(LESS, 50, 400))
    assert str(found) == (
        "job 0 of task 0 at 400.0 ms: expected no EXIT while job 0 of task 1 and job 0 of task 2 live, more urgent;"
        " saw START at 76.0 ms, EXIT at 400.0 ms"
    )


def test_a_gap_between_more_urgent_jobs_is_time() -> None:
    """Here of 20 ms: the first one is over by 240 at the latest, the second is born at 276."""
    assert violations(FP, THREE, Ran(1, 0, 250), Ran(2, 250, 600), Ran(LESS, 50, 400)) == []


def test_equal_priorities_are_in_nobodys_way() -> None:
    equals = tasks({"priority": 3}, {"priority": 3})
    assert violations(FP, equals, Ran(1, 0, 500), Ran(0, 50, 200)) == []


def test_priorities_that_are_one_level_to_a_board_are_equal() -> None:
    """wire-protocol 7.2: on G1 all but 0 are."""
    assert violations(FP, TWO, Ran(MORE, 0, 900), Ran(LESS, 100, 200), tolerance=BOARD_TOLERANCES["G1"]) == []
    assert violations(FP, TWO, Ran(MORE, 0, 900), Ran(LESS, 100, 200), tolerance=BOARD_TOLERANCES["G4"])


def test_a_job_that_was_cut_off_is_in_the_way_only_if_its_task_can_run() -> None:
    """Boards start jobs that never run: those of a child without capabilities, for instance."""
    cut = [Ran(MORE, 0, 500, CRITICAL), Ran(LESS, 100, 300)]
    assert violations(FP, TWO, *cut) == []
    assert violations(FP, TWO, *cut, Ran(MORE, 1000, 1100))


DEADLINES = tasks({"deadline": 900}, {"deadline": 400})


@pytest.mark.parametrize(
    ("born", "over", "known"),
    [
        (20, 300, True),
        (20, 380, False),  # the other deadline may have passed by then: an expired one yields
    ],
)
def test_a_job_gets_no_time_while_one_with_an_earlier_deadline_lives(born: int, over: int, known: bool) -> None:
    assert bool(violations(EDF, DEADLINES, Ran(1, 0, 500), Ran(0, born, over))) is known


def test_deadlines_that_may_be_swapped_tell_nothing() -> None:
    close = tasks({"deadline": 450}, {"deadline": 500})
    assert violations(EDF, close, Ran(1, 0, 500), Ran(0, 20, 300)) == []


@pytest.mark.parametrize(
    ("cores", "places", "reason"),
    [(1, [{}, {}], ""), (2, [{}, {}], ""), (2, [{"cores": 2, "coreoffset": 1}, {}], "tasks are on several cores")],
)
def test_it_is_about_one_core_of_a_board(cores: int, places: list[dict[str, int]], reason: str) -> None:
    board = Capabilities(cores=cores, job_numbers="starts")
    taskset = tasks(*({"priority": 1, **place} for place in places))
    assert PROPERTIES[FP].skips(taskset, board, Scheduling.of({})) == reason
    assert "about one core" in PROPERTIES[FP].lacks(Capabilities(cores=2))


# -- correct targets


def sets(kind: Any, capabilities: Capabilities | None = None, load: float | None = None) -> st.SearchStrategy[TaskSet]:
    """Draw 1 to 3 tasks, some too long for their period, some that are killed; on boards none at the loader's level."""
    bounds: dict[str, Any] = {"max_utilization": load, "max_period": 20, "max_offset": 8, "max_criticaltime": 20}
    if capabilities is None:
        return ts.tasksets(n=4, policy=kind, migration="global", **bounds)
    drawn = ts.tasksets(
        n=3, policy=kind, block=hey.HelloWorld, max_jobs=4, capabilities=capabilities, single_jobs=True, **bounds
    )
    return drawn.map(_below_the_loader)


def _below_the_loader(taskset: TaskSet) -> TaskSet:
    return TaskSet({**task, **({"priority": 1} if task.get("priority") == 0 else {})} for task in taskset)


def judged(
    session: Session, taskset: TaskSet, law: str, tolerance: Tolerance, horizon_ms: int = HORIZON_MS
) -> list[Violation]:
    (verdict,) = check(session, taskset, [PROPERTIES[law]], tolerance=tolerance, horizon_ms=horizon_ms)
    assert not verdict.skipped
    return list(verdict.violations)


def kinds(generation: str) -> list[tuple[str, str]]:
    known = SimSession(profile=generation).capabilities.policies
    return [(law, kind) for law, kind in ((FP, "FP"), (EDF, "EDF")) if kind.lower() in known]


BOARDS_AND_KINDS = [(name, law, kind) for name in BOARDS for law, kind in kinds(name)]


@pytest.mark.parametrize(("generation", "law", "kind"), BOARDS_AND_KINDS)
def test_a_correct_life_cycle_keeps_the_order(generation: str, law: str, kind: str) -> None:
    session = SimSession(profile=generation)

    @settings(max_examples=60, deadline=None)
    @given(sets(kind, session.capabilities))
    def holds(taskset: TaskSet) -> None:
        assert judged(session, taskset, law, BOARD_TOLERANCES[generation]) == []

    holds()


@pytest.mark.parametrize(("law", "kind"), [(FP, "FP"), (EDF, "EDF")])
@pytest.mark.parametrize("overrun", ["continue", "kill", "skip"])
def test_the_simulator_keeps_the_order_exactly(law: str, kind: str, overrun: Any) -> None:
    session = SimSession(policy=kind.lower(), overrun=overrun)

    @settings(max_examples=40, deadline=None)
    @given(sets(kind))
    def holds(taskset: TaskSet) -> None:
        assert judged(session, taskset, law, Tolerance(), 200) == []

    holds()


@pytest.mark.parametrize(("generation", "law", "kind"), BOARDS_AND_KINDS)
def test_a_correct_board_keeps_the_order_through_the_socket(generation: str, law: str, kind: str) -> None:
    quick = generation in {"G3b", "G4"}  # they push each end
    drawn = sets(kind, SimSession(profile=generation).capabilities)

    @settings(max_examples=4 if quick else 1, deadline=None)
    @given(drawn)
    def holds(taskset: TaskSet) -> None:
        assert through_the_socket(generation, None, taskset, law, 4000 if quick else 1500) == []

    holds()


def through_the_socket(
    generation: str, policy: str | None, taskset: TaskSet, law: str, horizon_ms: int
) -> list[Violation]:
    """Judge a run on a board that has just booted."""
    with serving(generation=generation, policy=policy, speed="max") as server:
        options = {"dialect": generation, "binaries": "none", "quiet_ms": 20, "poll_ms": 5}
        with TaskloaderSession.open(Target("taskloader", str(server.stations[0].address), options)) as session:
            trace = execute(session, taskset, horizon_ms=horizon_ms)
    if PROPERTIES[law].skips(taskset, trace.capabilities):
        return []  # G1 and G1o don't tell how jobs end
    return PROPERTIES[law].judge(taskset, trace, Tolerance.of(options))


# -- inverted ones

#: Deadlines: the admission control of G3 refuses all but one task with a priority (wire-protocol 5.3).
INVERTED: list[tuple[str, str, type[Policy], list[dict[str, int]]]] = [
    ("G4", FP, Inverted, [{"priority": 3}, {"priority": 9}]),
    ("G3a", EDF, LongestDeadlineFirst, [{"deadline": 2000}, {"deadline": 3000}]),
    ("G3b", EDF, LongestDeadlineFirst, [{"deadline": 2000}, {"deadline": 3000}]),
]


@pytest.mark.parametrize(("generation", "law", "policy", "urgency"), INVERTED, ids=str)
def test_an_inverted_board_breaks_it(
    generation: str, law: str, policy: type[Policy], urgency: list[dict[str, int]]
) -> None:
    """The same on the simulated life cycle and through the socket; the kernel's own order breaks nothing."""
    taskset = TaskSet(
        {"id": number, "pkg": "hey", "executiontime": 700, "period": 4000, "numberofjobs": 1, **each}
        for number, each in enumerate(urgency)
    )
    place = f"{policy.__module__}:{policy.__name__}"
    tolerance = BOARD_TOLERANCES[generation]
    for given_policy, broken in (("auto", False), (policy, True)):
        session = SimSession(profile=generation, policy=given_policy)
        assert bool(judged(session, taskset, law, tolerance)) is broken
    assert through_the_socket(generation, None, taskset, law, HORIZON_MS) == []
    (found,) = through_the_socket(generation, place, taskset, law, HORIZON_MS)
    assert (found.job, "job 0 of task 0 lives" in found.expected) == ((1, 0), True)


@pytest.mark.parametrize(
    ("law", "kind", "session"),
    [
        (FP, "FP", lambda: SimSession(policy=Inverted)),
        (FP, "FP", lambda: SimSession(profile="G4", policy=Inverted)),
        (EDF, "EDF", lambda: SimSession(policy=LongestDeadlineFirst)),
        (EDF, "EDF", lambda: SimSession(profile="G3a", policy=LongestDeadlineFirst)),
        (EDF, "EDF", lambda: SimSession(profile="G3b", policy=LongestDeadlineFirst)),
    ],
)
def test_a_search_finds_a_set_on_which_it_is_broken(law: str, kind: str, session: Callable[[], SimSession]) -> None:
    broken = session()
    board = broken.generation is not None
    tolerance = BOARD_TOLERANCES[broken.generation.name] if broken.generation is not None else Tolerance()
    found = find(
        sets(kind, broken.capabilities if board else None, 1),
        lambda taskset: bool(judged(broken, taskset, law, tolerance)),
        settings=settings(max_examples=500, phases=[Phase.generate], derandomize=True, database=None, deadline=None),
    )
    assert len(found) >= 2
