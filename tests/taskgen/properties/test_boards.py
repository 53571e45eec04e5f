"""The laws about events through the socket: nothing on a correct board, and something where the stream is wrong."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hil.board
from hil.session import TaskloaderSession
from sim import SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.blocks import hey
from taskgen.dialect.boards import BOARDS
from taskgen.optimizations.fairness import Fairness
from taskgen.session import Capabilities, Target
from taskgen.testing.properties import BOARD_TOLERANCES, LAWS, PROPERTIES, Scheduling, Tolerance
from taskgen.testing.runs import Executed, check, execute
from tests.taskgen.properties import distortions as distort
from tests.taskgen.properties.drawn import nightly
from tests.taskgen.properties.mutants import distorted

HORIZON_MS = 4000

#: The laws that a board's events can break.
EVENT_LAWS = {
    "admission_respected", "event_stream", "job_counts", "jobs_in_order", "kill_at_criticaltime",
    "kill_at_next_release", "nothing_after_stop", "release_separation",
}  # fmt: skip


def drawn(capabilities: Capabilities) -> st.SearchStrategy[TaskSet]:
    """Draw 1 to 4 tasks: some too long for their period, some that are killed, some with few jobs."""
    block = st.fixed_dictionaries(
        {key: st.just(value) for key, value in hey.HelloWorld.items()}, optional={"numberofjobs": st.integers(1, 4)}
    )
    return ts.tasksets(
        n=4, policy="mixed" if "mixed" in capabilities.policies else "FP", max_utilization=None, max_period=20,
        max_offset=8, max_criticaltime=20, single_jobs=True, block=block, capabilities=capabilities,
    )  # fmt: skip


def broken_laws(taskset: TaskSet, trace: Executed, tolerance: Tolerance) -> dict[str, str]:
    """Return the laws that a run breaks, with the first place."""
    judged = {
        law.name: law.judge(taskset, trace, tolerance)
        for law in PROPERTIES.values()
        if not law.skips(taskset, trace.capabilities, Scheduling.of({}))
    }
    return {name: str(violations[0]) for name, violations in judged.items() if violations}


def search(generation: str, depth: settings) -> None:
    """Search for a set with which a simulated life cycle breaks a law; a third of them is run with admission."""
    session = SimSession(profile=generation)
    admissions = [None, None, Fairness()] if session.capabilities.admission else [None]

    @depth
    @given(drawn(session.capabilities), st.sampled_from(admissions), st.sampled_from([HORIZON_MS, None]))
    def no_law_is_broken(taskset: TaskSet, admission: Fairness | None, horizon_ms: int | None) -> None:
        whole = all(task.get("numberofjobs") or not task["period"] for task in taskset)
        trace = execute(session, taskset, horizon_ms=horizon_ms if whole else HORIZON_MS, admission=admission)
        assert broken_laws(taskset, trace, BOARD_TOLERANCES[generation]) == {}

    no_law_is_broken()


@pytest.mark.parametrize("generation", BOARDS)
def test_a_correct_life_cycle_breaks_no_law(generation: str) -> None:
    """Simulated, so that many sets take a second."""
    search(generation, settings(max_examples=60, deadline=None))


@pytest.mark.nightly
@pytest.mark.parametrize("generation", BOARDS)
def test_a_correct_life_cycle_breaks_no_law_however_long_one_looks(
    generation: str, pytestconfig: pytest.Config
) -> None:
    search(generation, nightly(pytestconfig))


def test_a_task_alone_on_a_board_is_punctual() -> None:
    """Without siblings the tolerance is the resolution of the stamps: kills come at release + criticaltime."""
    taskset = TaskSet([{"pkg": "hey", "executiontime": 900, "period": 1000, "criticaltime": 200, "priority": 1}])
    trace = execute(SimSession(profile="G4"), taskset, horizon_ms=HORIZON_MS)
    law = PROPERTIES["kill_at_criticaltime"]
    assert law.judge(taskset, trace, BOARD_TOLERANCES["G4"]) == []
    late = TaskSet([{**taskset[0], "criticaltime": 198}])
    board = SimSession(profile="G4")
    other = Executed(board.check(late), board.capabilities)
    other.extend(trace.events)
    assert len(law.judge(late, other, BOARD_TOLERANCES["G4"])) == 4


# -- through the socket


@pytest.fixture(scope="module", params=BOARDS)
def boards(request: pytest.FixtureRequest) -> Iterator[hil.board.Boards]:
    with hil.board.serve(generation=request.param, speed="max") as boards:
        yield boards


@pytest.fixture(scope="module")
def g3b() -> Iterator[hil.board.Boards]:
    with hil.board.serve(generation="G3b", speed="max") as boards:
        yield boards


def fresh(boards: hil.board.Boards) -> Target:
    """Return a board that has just booted: the optimiser of G3 forgets nothing else (wire-protocol 5.4)."""
    boards.reboot(0)
    target = boards.targets[0]
    while not TaskloaderSession.probe(target):  # it boots
        pass
    return Target(target.session, target.address, {**target.options, "quiet_ms": 20})


def search_through_the_socket(boards: hil.board.Boards, depth: settings, horizon_ms: int) -> None:
    with TaskloaderSession.open(fresh(boards)) as session:
        sets = drawn(session.capabilities)

    @depth
    @given(sets)
    def no_law_is_broken(taskset: TaskSet) -> None:
        board = fresh(boards)
        with TaskloaderSession.open(board) as session:
            trace = execute(session, taskset, horizon_ms=horizon_ms)
        assert broken_laws(taskset, trace, Tolerance.of(board.options)) == {}

    no_law_is_broken()


#: Boards that push each ending, so that a run is over as soon as it is; elsewhere it takes its time, however fast the
#: clock of the board runs.
QUICK = {"G3b", "G4"}


def test_a_correct_board_breaks_no_law(boards: hil.board.Boards) -> None:
    quick = boards.targets[0].options["dialect"] in QUICK
    examples, horizon_ms = (10, HORIZON_MS) if quick else (3, 1500)
    search_through_the_socket(boards, settings(max_examples=examples, deadline=None), horizon_ms)


@pytest.mark.nightly
def test_a_correct_board_breaks_no_law_however_long_one_looks(
    boards: hil.board.Boards, pytestconfig: pytest.Config
) -> None:
    deep = nightly(pytestconfig)
    search_through_the_socket(boards, settings(deep, max_examples=-(-deep.max_examples // 20)), HORIZON_MS)


def program(number: int, **attributes: Any) -> dict[str, Any]:
    return {"id": number, "pkg": "hey", "executiontime": 40, "period": 500, "priority": 1 + number, **attributes}


class Wrong(NamedTuple):
    """What a board tells wrongly, the law that notices, and a set on which it shows."""

    change: distort.Distortion
    law: str
    tasks: list[dict[str, Any]]


SHORT = [program(0, numberofjobs=3)]
ENDLESS = [program(0), program(1, executiontime=300, period=1700)]
KILLED = [program(0, executiontime=400, criticaltime=200, numberofjobs=3)]
TOO_LONG = [program(0, executiontime=900, period=400, numberofjobs=3)]
REFUSED = [
    program(0, executiontime=100, period=400, numberofjobs=2),
    program(1, executiontime=350, period=400, numberofjobs=2),
]

WRONG = (
    Wrong(distort.double_exit, "event_stream", SHORT),
    Wrong(distort.wrong_index, "event_stream", SHORT),
    Wrong(distort.job_lost, "event_stream", SHORT),
    Wrong(distort.alive_after_the_end, "event_stream", SHORT),
    Wrong(distort.cut_jobs_forgotten, "event_stream", [program(0, executiontime=4500, period=5000)]),
    Wrong(distort.last_job_lost, "job_counts", SHORT),
    Wrong(distort.never_done, "job_counts", SHORT),
    Wrong(distort.one_more, "job_counts", SHORT),
    Wrong(distort.starts_too_soon, "release_separation", SHORT),
    Wrong(distort.two_instances, "jobs_in_order", SHORT),
    Wrong(distort.killed_late, "kill_at_criticaltime", KILLED),
    Wrong(distort.killed_early, "kill_at_criticaltime", KILLED),
    Wrong(distort.kill_ignored, "kill_at_criticaltime", KILLED),
    Wrong(distort.cut_early, "kill_at_next_release", TOO_LONG),
    Wrong(distort.restarted_at_once, "kill_at_next_release", TOO_LONG),
    Wrong(distort.alive_after_stop, "nothing_after_stop", ENDLESS),
    Wrong(distort.refusal_ignored, "admission_respected", REFUSED),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.law}-{wrong.change.__name__}")
def test_a_law_notices_what_a_board_tells_wrongly(g3b: hil.board.Boards, wrong: Wrong) -> None:
    board = fresh(g3b)
    taskset = TaskSet(wrong.tasks)
    limits: dict[str, Any] = {"horizon_ms": HORIZON_MS} if wrong.tasks[0].get("numberofjobs") is None else {}
    assert verdict(TaskloaderSession, board, taskset, wrong, limits) == ""
    assert verdict(distorted(TaskloaderSession, wrong.change), fresh(g3b), taskset, wrong, limits)


def verdict(cls: Any, board: Target, taskset: TaskSet, wrong: Wrong, limits: dict[str, Any]) -> str:
    open_session: Callable[[Target], TaskloaderSession] = cls.open
    with open_session(board) as session:
        (found,) = check(session, taskset, [LAWS[wrong.law]], tolerance=Tolerance.of(board.options), **limits)
    assert not found.skipped
    return str(found.violations[0]) if found.violations else ""


def test_each_law_about_events_is_broken_through_the_socket() -> None:
    assert {wrong.law for wrong in WRONG} == EVENT_LAWS
    assert set(LAWS) >= EVENT_LAWS
