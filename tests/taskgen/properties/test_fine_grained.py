"""The laws on boards in the small: any unit, several cores, tasks on the loader's level, kills before the first START.

The example tests are the corners in which a law once judged a correct board to be wrong: what a board does there, that
the law allows it, and that it allows no more than that.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.blocks import hey
from taskgen.dialect.boards import BOARDS
from taskgen.events import Event, EventType
from taskgen.optimizations.fairness import Fairness
from taskgen.strategies.bounds import Policy
from taskgen.testing.properties import BOARD_TOLERANCES, LAWS, PROPERTIES, Tolerance
from taskgen.testing.runs import Executed, check, execute
from taskgen.units import NS_PER_MS
from tests.taskgen.properties.drawn import nightly

#: The longest period by unit, in ms; the shorter ones keep the loader busy for longer than their period.
PERIODS = {1: 600, 5: 1500, 20: 2000, 100: 2000}
CORES = (1, 2, 4)
POLICIES: Sequence[Policy] = ("FP", "mixed", "EDF")
#: Where G4 puts a task: beside the loader, and not.
PLACES: tuple[dict[str, int], ...] = ({}, {"cores": 2, "coreoffset": 1}, {"cores": 2, "coreoffset": 2})


class Way(NamedTuple):
    """A set, and how it is run."""

    taskset: TaskSet
    session: SimSession
    options: dict[str, Any]


@st.composite
def ways(draw: st.DrawFn, sessions: list[SimSession]) -> Way:
    """Draw up to 5 tasks of any priorities or deadlines, with criticaltimes, and offsets and limits where they act."""
    session = draw(st.sampled_from(sessions))
    able, unit_ms = session.capabilities, draw(st.sampled_from(list(PERIODS)))
    policy = draw(st.sampled_from(POLICIES if "mixed" in able.policies else POLICIES[:1]))
    limits = {"numberofjobs": st.integers(1, 4)} if able.job_limits else {}
    block = st.builds(
        lambda bare, place: {**bare, **place},
        st.fixed_dictionaries({key: st.just(value) for key, value in hey.HelloWorld.items()}, optional=limits),
        st.sampled_from(PLACES if session.generation is not None and session.generation.name == "G4" else [{}]),
    )
    longest = PERIODS[unit_ms] // unit_ms
    taskset = draw(
        ts.tasksets(
            policy=policy, deadlines="implicit" if policy == "FP" else "arbitrary", max_utilization=None,
            max_period=longest, max_offset=longest // 2, max_criticaltime=longest, single_jobs=True, block=block,
            unit_ms=unit_ms, capabilities=able,
        )
    )  # fmt: skip
    options: dict[str, Any] = {"horizon_ms": draw(st.sampled_from([300, 2000, 4000]))}
    if able.admission:
        options["admission"] = draw(st.sampled_from([None, None, Fairness()]))
    return Way(taskset, session, options)


def judged(generation: str, depth: settings) -> Counter[str]:
    """Search for a set with which a simulated board breaks a law; return how often each law was judged."""
    sessions = [SimSession(profile=generation, cores=cores) for cores in CORES]
    held: Counter[str] = Counter()

    @depth
    @given(ways(sessions))
    def no_law_is_broken(way: Way) -> None:
        tolerance = BOARD_TOLERANCES[generation]
        verdicts = check(way.session, way.taskset, LAWS.values(), tolerance=tolerance, **way.options)
        assert [verdict for verdict in verdicts if verdict.violations] == []
        held.update(verdict.law for verdict in verdicts if verdict.holds)

    no_law_is_broken()
    return held


#: What each generation can be judged by.
OF_ANY = {
    "event_stream", "release_separation", "jobs_in_order", "kill_at_criticaltime", "kill_at_next_release",
    "nothing_after_stop", "determinism",
}  # fmt: skip


@pytest.mark.parametrize("generation", BOARDS)
def test_no_law_is_broken_by_a_correct_board(generation: str) -> None:
    held = judged(generation, settings(max_examples=80, deadline=None))
    assert min(held[law] for law in OF_ANY) >= 40


@pytest.mark.nightly
@pytest.mark.parametrize("generation", BOARDS)
def test_no_law_is_broken_by_a_correct_board_however_long_one_looks(
    generation: str, pytestconfig: pytest.Config
) -> None:
    assert judged(generation, nightly(pytestconfig))["event_stream"]


# -- the corners


def run(generation: str, *tasks: dict[str, Any], horizon_ms: int | None = None, cores: int = 2) -> Executed:
    taskset = TaskSet({"pkg": "hey", "priority": 1, **task} for task in tasks)
    return execute(SimSession(profile=generation, cores=cores), taskset, horizon_ms=horizon_ms)


def told(trace: Executed, change: Callable[[Event], Event | None]) -> Executed:
    """Return what a board would have told wrongly; None: it keeps an event to itself."""
    other = Executed(trace.plan, trace.capabilities)
    other.extend(event for event in map(change, trace.events) if event is not None)
    return other


def moved(kind: EventType, by_ms: int) -> Callable[[Event], Event]:
    return lambda event: event._replace(time_ns=event.time_ns + by_ms * NS_PER_MS) if event.type is kind else event


def times_ms(trace: Executed, kind: EventType) -> list[int]:
    return [event.time_ns // NS_PER_MS for event in trace.events if event.type is kind]


def broken(law: str, trace: Executed, tolerance: Tolerance) -> list[str]:
    return [str(violation) for violation in PROPERTIES[law].judge(TaskSet(), trace, tolerance)]


KILL, START, EXIT, CUT = EventType.EXIT_CRITICAL, EventType.START, EventType.EXIT, EventType.EXIT_PERIOD
#: Computes for longer than it may live.
LONG = {"executiontime": 900, "period": 1000, "numberofjobs": 1}


@pytest.mark.parametrize("generation", BOARDS)
@pytest.mark.parametrize("critical_ms", [1, 25, 26])
def test_nobody_is_killed_before_its_start(generation: str, critical_ms: int) -> None:
    """wire-protocol 6.2: the entry point creates the child, 26 ms, and then serves the kill timer."""
    trace = run(generation, {**LONG, "criticaltime": critical_ms}, horizon_ms=3000)
    tolerance = BOARD_TOLERANCES[generation]
    assert times_ms(trace, KILL) == times_ms(trace, START)
    assert broken("kill_at_criticaltime", trace, tolerance) == []
    # While the program loads a kill may be late by 52 ms (6.7).
    assert broken("kill_at_criticaltime", told(trace, moved(KILL, 52)), tolerance) == []
    assert broken("kill_at_criticaltime", told(trace, moved(KILL, 54)), tolerance)
    assert broken("kill_at_criticaltime", told(trace, moved(START, 2)), tolerance)


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_the_kill_of_a_single_job_that_is_due_before_its_start_is_lost(generation: str) -> None:
    """wire-protocol 6.8: 'A period = 0 release runs on the start thread', so that the entry point kills nobody."""
    tolerance = BOARD_TOLERANCES[generation]
    for critical_ms, ends, harmless in ((10, [126], True), (40, [], False)):
        trace = run(generation, {"executiontime": 100, "period": 0, "criticaltime": critical_ms})
        assert times_ms(trace, EXIT) == ends
        assert broken("kill_at_criticaltime", trace, tolerance) == []
        ignored = told(trace, lambda event: moved(EXIT, 0)(event)._replace(type=EXIT) if event.type is KILL else event)
        assert (broken("kill_at_criticaltime", told(ignored, moved(EXIT, 500)), tolerance) == []) is harmless
    periodic = run(generation, {**LONG, "criticaltime": 10})
    assert times_ms(periodic, KILL) == [26]


@pytest.mark.parametrize(
    ("priorities", "killed_ms"), [((1, 1), 417), ((1, 0), 627), ((0, 1), 627), ((0, 0), 849)], ids=str
)
def test_tasks_on_the_loaders_level_slow_it_down(priorities: tuple[int, int], killed_ms: int) -> None:
    """wire-protocol 7.2: priority 0 is level 128, as the loader's; 7.1: round robin inside a level.

    G4's entry point tears the first job down before it kills the second one, and shares the core with both.
    """
    tasks = [{**LONG, "criticaltime": 200 + 20 * n, "priority": priority} for n, priority in enumerate(priorities)]
    trace = run("G4", *tasks)
    assert times_ms(trace, KILL) == [200, killed_ms]
    tolerance = BOARD_TOLERANCES["G4"]
    assert broken("kill_at_criticaltime", trace, tolerance) == []
    without = replace(tolerance, top_priorities=0)
    assert (broken("kill_at_criticaltime", trace, without) == []) is (0 not in priorities)
    # Each of them adds what the loader does for a sibling, 279, and a slice of 10 for each of three pieces of work.
    assert [tolerance.spread_ns(1, peers) // NS_PER_MS for peers in range(3)] == [280, 589, 898]
    assert broken("kill_at_criticaltime", told(trace, moved(KILL, 1000)), tolerance)


def test_a_task_alone_waits_for_its_own_teardown_on_the_loaders_level() -> None:
    """G4 tears a job down for 217 ms, twice that beside itself: its task's next release is late, not the one behind."""
    task = {"executiontime": 516, "period": 522, "criticaltime": 296, "numberofjobs": 3, "priority": 0}
    trace = run("G4", task, horizon_ms=2000)
    assert times_ms(trace, CUT) == [1566]  # the third release, 522 ms after the second one
    assert broken("kill_at_next_release", trace, BOARD_TOLERANCES["G4"]) == []
    assert broken("kill_at_next_release", trace, replace(BOARD_TOLERANCES["G4"], top_priorities=0))


DENIED = (
    {"period": 468, "executiontime": 280, "deadline": 234},
    {"period": 439, "executiontime": 526, "deadline": 878, "numberofjobs": 2},
    {"period": 516, "executiontime": 309, "deadline": 258},
)


def test_a_release_that_the_optimiser_denies_cuts_nothing() -> None:
    """wire-protocol 6.4: 'EDF and optimiser says no -> log NOT_SCHEDULED, return', before it looks for `meta`."""
    trace = run("G3b", *DENIED, horizon_ms=1500)
    second = [(event.time_ns // NS_PER_MS, event.type) for event in trace.events if event.task_id == 1]
    refused = EventType.NOT_SCHEDULED
    assert second[:4] == [(52, START), (439, refused), (878, refused), (1317, CUT)]
    tolerance = BOARD_TOLERANCES["G3b"]
    assert broken("kill_at_next_release", trace, tolerance) == []
    silent = told(trace, lambda event: None if event.type is refused else event)
    assert len(broken("kill_at_next_release", silent, replace(tolerance, sibling_ns=100 * NS_PER_MS))) == 1


def test_the_teardown_of_the_job_before_delays_the_next_start() -> None:
    """wire-protocol 3.2: an exit doesn't cancel the kill timer; its handler waits for the teardown, as the ticks do."""
    task = {"period": 253, "executiontime": 12, "criticaltime": 227}
    trace = run("G1", task, horizon_ms=1500)
    assert times_ms(trace, START)[2:5] == [532, 788, 1038]  # 506, 759 and 1012, and the creation
    tolerance = BOARD_TOLERANCES["G1"]
    assert broken("release_separation", trace, tolerance) == []
    assert broken("release_separation", trace, replace(tolerance, sibling_ns=0))
    # Without a teardown before it a START is punctual.
    rare = run("G1", {**task, "period": 1500}, horizon_ms=4000)
    assert broken("release_separation", rare, tolerance) == []
    hasty = told(rare, lambda event: moved(START, -2)(event) if event.job == 2 else event)
    assert broken("release_separation", hasty, tolerance)


def test_start_of_g1o_holds_up_kills_while_it_asks_for_each_job() -> None:
    """wire-protocol 6.3: 'for priority 128 each turn first blocks in the optimiser'."""
    single = {"executiontime": 900, "period": 0, "criticaltime": 200}
    tasks = [single, {"executiontime": 9, "period": 140, "deadline": 140, "numberofjobs": 6}]
    taskset = TaskSet({"pkg": "hey", **({} if "deadline" in task else {"priority": 1}), **task} for task in tasks)
    session = SimSession(profile="G1o")
    law = PROPERTIES["kill_at_criticaltime"]
    assert law.excludes(taskset, session.capabilities) == (
        "START waits for the optimiser, for each job of task 1, and kills wait for START"
    )
    assert times_ms(execute(session, taskset, horizon_ms=4000), KILL) == [626]
    assert law.excludes(TaskSet([taskset[0]]), session.capabilities) == ""
    assert law.excludes(taskset, SimSession(profile="G3b").capabilities) == ""


def test_releases_that_are_denied_within_a_millisecond_look_alike() -> None:
    """A late tick and the next one are served together; stamps are whole milliseconds (wire-protocol 3.3)."""
    trace = run("G3b", *DENIED, horizon_ms=1500)
    refused = EventType.NOT_SCHEDULED

    def twice(kind: EventType) -> Executed:
        other = Executed(trace.plan, trace.capabilities)
        other.extend(event for each in trace.events for event in [each] * (1 + (each.type is kind)))
        return other

    assert broken("event_stream", twice(refused), BOARD_TOLERANCES["G3b"]) == []
    assert broken("event_stream", twice(CUT), BOARD_TOLERANCES["G3b"])
