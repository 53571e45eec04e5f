"""Which task goes to which core."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import FixedPriority, SimSession, simulate
from sim.partition import partition, utilization
from sim.policy import READY_MADE, JobFixedPriority
from taskgen import TaskSet
from taskgen.analysis import is_schedulable
from taskgen.errors import InputError
from taskgen.parameters import Parameters, parameters_of


def placed(descriptions: list[dict[str, Any]], cores: int, policy: str = "edf", fit: Any = "first-fit") -> list[int]:
    """Return the core of each task, in the order of their ids."""
    tasks = parameters_of(TaskSet(descriptions))
    bound = READY_MADE[policy]()
    bound.bind(tasks)
    homes = partition(tasks, cores, bound, fit)
    return [homes[task.id] for task in tasks]


def share(percent: int, **attributes: Any) -> dict[str, Any]:
    return {"executiontime": percent, "period": 100, **attributes}


@pytest.mark.parametrize(
    ("width", "position", "cores", "core"),
    [(2, 1, 4, 2), (2, 0, 4, 0), (4, 3, 4, 3), (4, 3, 2, 1), (3, 1, 2, 0), (3, 2, 2, 1), (2, 1, 1, 0)],
)
def test_affinity_is_a_place_in_a_space(width: int, position: int, cores: int, core: int) -> None:
    """The core is floor(coreoffset * m / cores)."""
    assert placed([share(10, cores=width, coreoffset=position)], cores) == [core]


def test_without_a_width_the_place_is_the_core() -> None:
    assert placed([share(10, coreoffset=1), share(10, coreoffset=0)], 3) == [1, 0]
    assert placed([share(10, coreoffset=1)], 1) == [0]


def test_the_largest_goes_first_to_the_first_core_that_takes_it() -> None:
    """60 and 50 take a core each; 40 fills the first, 30 and 20 the second."""
    assert placed([share(20), share(60), share(30), share(50), share(40)], 2) == [1, 0, 1, 1, 0]


def test_worst_fit_takes_the_least_loaded_core() -> None:
    assert placed([share(60), share(30), share(20), share(10)], 2, fit="worst-fit") == [0, 1, 1, 1]
    assert placed([share(10), share(10)], 3, fit="worst-fit") == [0, 1]


def test_ties_are_broken_by_id() -> None:
    assert placed([share(60, id=2), share(60, id=1)], 2) == [1, 0]


def test_what_is_bound_to_a_core_counts_there() -> None:
    assert placed([share(60, cores=2, coreoffset=0), share(50)], 2) == [0, 1]


def test_what_is_bound_is_not_tested() -> None:
    """The user has said it: an overload is simulated."""
    assert placed([share(60, cores=2, coreoffset=1)] * 2, 2) == [1, 1]


def test_one_core_takes_all() -> None:
    assert placed([share(90), share(90)], 1) == [0, 0]


@pytest.mark.parametrize("nothing", [{"executiontime": 99, "period": 0}, {"pkg": "hey", "period": 100}])
def test_a_single_job_or_an_unknown_one_counts_as_nothing(nothing: dict[str, Any]) -> None:
    assert placed([share(100), nothing], 2) == [0, 0]
    assert utilization(parameters_of(TaskSet([nothing]))) == 0


def test_under_fixed_priorities_the_response_time_analysis_decides() -> None:
    """(1, 2) and (2, 5): U = 0.9, R = 1, 4; and (1, 2), (2.5, 5): U = 1, harmonic no more, R = 6."""
    light: list[dict[str, Any]] = [{"executiontime": 1, "period": 2}, {"executiontime": 2, "period": 5}]
    heavy: list[dict[str, Any]] = [{"executiontime": 1, "period": 2}, {"executiontime": 2.5, "period": 5}]
    assert placed(light, 2, "rm") == [0, 0]
    assert placed(heavy, 2, "rm") == [0, 1]
    assert placed(heavy, 2, "edf") == [0, 0]


@pytest.mark.parametrize(("priorities", "homes"), [((0, 1), [0, 1]), ((1, 0), [0, 0])])
def test_deadlines_beyond_the_period_need_the_whole_busy_period(priorities: tuple[int, int], homes: list[int]) -> None:
    """Lehoczky 1990, example 2: R = 52, 156 > 154 in one order, 52, 108 <= 110 in the other."""
    tasks = [
        {"executiontime": 52, "period": 100, "deadline": 110, "priority": priorities[0]},
        {"executiontime": 52, "period": 140, "deadline": 154, "priority": priorities[1]},
    ]
    assert placed(tasks, 2, "fp") == homes


def test_jitter_counts() -> None:
    tasks = [{"executiontime": 1, "period": 2}, {"executiontime": 2, "period": 5, "deadline": 4}]
    assert placed(tasks, 2, "rm") == [0, 0]
    assert placed([tasks[0], tasks[1] | {"jitter": 1}], 2, "rm") == [0, 1]


def test_mixed_sets_need_both() -> None:
    """The fixed band by its response times, all together by U <= 1."""
    tasks = [share(50, priority=1), share(40, deadline=90), share(20, deadline=100)]
    assert placed(tasks, 2, "auto") == [0, 0, 1]


@settings(max_examples=100, deadline=None)
@given(shares=st.lists(st.integers(1, 100), min_size=1, max_size=8), cores=st.integers(2, 4), data=st.data())
def test_no_core_is_overloaded_and_no_task_was_refused_for_nothing(
    shares: list[int], cores: int, data: st.DataObject
) -> None:
    fit = data.draw(st.sampled_from(["first-fit", "worst-fit"]))
    loads = [0] * cores
    try:
        homes = placed([share(percent) for percent in shares], cores, fit=fit)
    except InputError:
        # Lopez, Diaz & Garcia 2004: every set up to (m + 1) / 2 fits, however large its tasks.
        assert Fraction(sum(shares), 100) > Fraction(cores + 1, 2)
        return
    for percent, home in zip(shares, homes, strict=True):
        loads[home] += percent
    assert max(loads) <= 100


@settings(max_examples=30, deadline=None)
@given(shares=st.lists(st.integers(1, 60), min_size=1, max_size=6))
def test_what_fits_meets_its_deadlines(shares: list[int]) -> None:
    """EDF up to U = 1 on each core, and rate monotonic where the analysis accepts."""
    tasks = TaskSet([{"executiontime": percent, "period": 50 * (1 + percent % 3)} for percent in shares])
    for policy in ("edf", "rm"):
        try:
            trace = simulate(tasks, policy=policy, cores=3)
        except InputError:
            continue
        assert not trace.misses


@settings(max_examples=60, deadline=None)
@given(
    tasks=st.lists(
        st.fixed_dictionaries(
            {"executiontime": st.integers(1, 4), "period": st.sampled_from([0, 4, 6, 8, 12])},
            optional={
                "deadline": st.integers(2, 40),
                "jitter": st.integers(1, 6),
                "priority": st.integers(0, 3),
                "pkg": st.just("hey"),
            },
        ),
        min_size=1,
        max_size=6,
    ),
    policy=st.sampled_from(["rm", "dm"]),
)
def test_a_core_accepts_what_the_analysis_accepts(tasks: list[dict[str, Any]], policy: str) -> None:
    """First-fit, replayed with `is_schedulable`: U = 1 with jitter and deadlines beyond periods included."""
    for description in tasks:
        if "pkg" in description:
            del description["executiontime"]  # unknown: counts as nothing
    parameters = parameters_of(TaskSet(tasks))
    bound = READY_MADE[policy]()
    bound.bind(parameters)
    assert isinstance(bound, JobFixedPriority)
    ranks = {id_: rank for id_, rank in bound.fixed.items() if rank is not None}
    cores: list[list[Parameters]] = [[], []]
    homes: dict[int, int] | None = {}
    for task in sorted(parameters, key=lambda each: (-utilization([each]), each.id)):
        counted = [*cores[0], task], [*cores[1], task]
        fits = [
            is_schedulable([each for each in members if each.wcet_ns and each.period_ns], ranks=ranks)
            for members in counted
        ]
        if homes is None or not any(fits):
            homes = None
            continue
        homes[task.id] = fits.index(True)
        cores[homes[task.id]].append(task)
    try:
        found = partition(parameters, 2, bound)
    except InputError:
        found = None
    assert found == homes


def test_there_is_one_response_time_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of `taskgen.analysis` decides."""
    monkeypatch.setattr("taskgen.analysis.response_time.is_schedulable", lambda tasks, **_: not tasks)
    assert placed([share(10), share(10)], 2, "edf") == [0, 0]
    with pytest.raises(InputError, match="fits on none of 2 cores"):
        placed([share(10)], 2, "rm")


# -- refusals --------------------------------------------------------------------------------------------------------


def test_what_fits_nowhere_is_refused_with_one_line() -> None:
    with pytest.raises(InputError) as caught:
        simulate(TaskSet([share(60), share(60), share(60)]), policy="edf", cores=2)
    assert str(caught.value) == (
        "task 2: fits on none of 2 cores (first-fit; its utilization is 0.600, the set's 1.800)"
    )
    assert "more cores" in caught.value.hint


def test_where_the_analysis_refuses_what_has_room_it_says_so() -> None:
    """Utilization is no reason then: D is too short beside the longer job of higher rank."""
    urgent = [share(50, priority=0, cores=2, coreoffset=core) for core in range(2)]
    with pytest.raises(InputError) as caught:
        simulate(TaskSet([*urgent, share(1, priority=1, deadline=20)]), policy="fp", cores=2)
    assert "its utilization is 0.010" in str(caught.value)
    assert "on 2 of them the response-time analysis finds a miss" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "attributes", "message", "hint"),
    [
        ({"migration": "global"}, {"cores": 2, "coreoffset": 1}, "coreoffset: 1 binds it to a core", "partitioned"),
        ({"migration": "global"}, {"cores": 2}, "cores: 2 binds it to a core", "leave cores and coreoffset out"),
        ({"migration": "global"}, {"coreoffset": 1}, "coreoffset: 1 binds it to a core", "partitioned"),
        ({}, {"coreoffset": 2}, "task 0: coreoffset: 2 is out of range, expected 0..1", "the 2 of this target"),
        ({}, {"cores": 3, "coreoffset": 3}, "task 0: coreoffset: 3 is out of range, expected 0..2", "a space of 3"),
    ],
)
def test_contradictions_are_refused_before_anything_runs(
    options: dict[str, Any], attributes: dict[str, int], message: str, hint: str
) -> None:
    session = SimSession(cores=2, **options)
    with pytest.raises(InputError) as caught:
        session.run(TaskSet([share(10, **attributes)]))
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_cores_zero_means_anywhere() -> None:
    """As on the boards: width 0 leaves the placement open."""
    tasks = TaskSet([share(10, cores=0, coreoffset=0)])
    assert simulate(tasks, cores=2, migration="global", horizon_ms=50).jobs[0].core == 0


def test_a_forced_policy_says_first_what_it_lacks() -> None:
    with pytest.raises(InputError, match="policy fp needs"):
        simulate(TaskSet([share(10)]), policy=FixedPriority, cores=2)


def test_a_core_that_is_full_to_the_brim_with_jitter_is_decided_at_once() -> None:
    """At U = 1 with jitter the busy period never ends; responses repeat with the hyperperiod."""
    full = TaskSet([{"executiontime": 10, "period": 10, "jitter": 1, "deadline": 100}])
    assert simulate(full, cores=2, policy="rm", horizon_ms=100).jobs[0].core == 0
    two = TaskSet([
        {"executiontime": 1, "period": 3, "deadline": 9, "jitter": 1},
        {"executiontime": 2, "period": 3, "deadline": 30, "jitter": 1},
    ])  # fmt: skip
    assert {job.core for job in simulate(two, cores=2, policy="rm", horizon_ms=100).jobs} - {None} == {0}


def test_place_zero_is_a_place() -> None:
    """`coreoffset` 0 without `cores` is core 0, and no less a binding than any other."""
    tasks = TaskSet([{"executiontime": 6, "period": 10, "coreoffset": 0} for _ in range(2)])
    assert {job.core for job in simulate(tasks, cores=2, horizon_ms=50).jobs} - {None} == {0}
    with pytest.raises(InputError, match="coreoffset: 0 binds it to a core"):
        simulate(tasks, cores=2, migration="global", horizon_ms=50)
