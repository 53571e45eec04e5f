"""Known bugs come down to the smallest set that shows them, whatever the seed.

Each bug is what a wrong scheduler or life cycle does; the law that it breaks is written out in a line.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import find, settings

from sim import SimSession
from taskgen import TaskSet, Trace
from taskgen import strategies as ts
from taskgen.analysis import response_times
from taskgen.events import EventType
from taskgen.parameters import parameters_of

SEEDS = range(2)
HORIZON_MS = 40
SEARCH = settings(database=None, deadline=None, max_examples=2000)
Run = Callable[[TaskSet], Trace]


def seeds(*cases: Any) -> list[Any]:
    """Give each case a seed, the first one all of them."""
    plain = [pytest.param(*case.values, SEEDS[0], id=case.id) for case in cases]
    return [*plain, *(pytest.param(*cases[0].values, seed, id=f"{cases[0].id} ({seed})") for seed in SEEDS[1:])]


def runs(**options: Any) -> Run:
    session = SimSession(**options)
    return lambda taskset: session.jobs(taskset, horizon_ms=HORIZON_MS)


def smallest(strategy: Any, fails: Callable[[TaskSet], bool], seed: int) -> list[dict[str, int]]:
    """Return the tasks of the smallest failing set, without ids, in the order of their attributes."""
    taskset = find(strategy, fails, settings=SEARCH, random=random.Random(seed))
    plain = [{key: value for key, value in task.items() if key != "id"} for task in taskset]
    return sorted(plain, key=lambda task: sorted(task.items()))


def exceeds_its_bound(run: Run) -> Callable[[TaskSet], bool]:
    """The law: no response is longer than response-time analysis of preemptive fixed priorities says."""

    def fails(taskset: TaskSet) -> bool:
        bounds = response_times(parameters_of(taskset))
        return any(
            (bound := bounds[job.task_id]) is not None and job.finish_ns is not None and job.arrival_ns is not None
            and job.finish_ns - job.arrival_ns > bound
            for job in run(taskset).jobs
        )  # fmt: skip

    return fails


def with_changed(key: str, change: Callable[[int], int | None], run: Run) -> Run:
    """Run sets of which one attribute is misread; None: not read at all."""

    def misread(taskset: TaskSet) -> Trace:
        changed = [{**task, **({key: change(task[key])} if key in task else {})} for task in taskset]
        return run(TaskSet([{k: v for k, v in task.items() if v is not None} for task in changed]))

    return misread


TWO_AT_ONCE = [{"executiontime": 1, "period": 2, "priority": 0}, {"executiontime": 1, "period": 2, "priority": 1}]
BLOCKED = [{"executiontime": 1, "period": 2, "priority": 0}, {"executiontime": 2, "period": 4, "priority": 1}]


@pytest.mark.parametrize(
    ("run", "minimum", "seed"),
    seeds(
        pytest.param(runs(policy="fp", preemptive=False), BLOCKED, id="never preempts"),
        pytest.param(runs(policy="fifo"), TWO_AT_ONCE, id="first come, first served"),
        pytest.param(runs(policy="edf"), TWO_AT_ONCE, id="earliest deadline first"),
        pytest.param(with_changed("priority", lambda p: 127 - p, runs(policy="fp")), TWO_AT_ONCE, id="inverted"),
        pytest.param(with_changed("priority", lambda _: 5, runs(policy="fp")), TWO_AT_ONCE, id="one level only"),
    ),
)  # fmt: skip
def test_a_scheduler_that_is_no_preemptive_fp_is_exposed_by_two_small_tasks(
    run: Run, minimum: list[dict[str, int]], seed: int
) -> None:
    assert smallest(ts.tasksets(n=5, policy="FP"), exceeds_its_bound(run), seed) == minimum


def test_so_is_one_among_ten_tasks() -> None:
    never_preempts = exceeds_its_bound(runs(policy="fp", preemptive=False))
    assert smallest(ts.tasksets(n=10, policy="FP"), never_preempts, 0) == BLOCKED


@pytest.mark.parametrize("seed", SEEDS)
def test_a_kill_that_is_ignored_is_exposed_by_one_job(seed: int) -> None:
    run = with_changed("criticaltime", lambda _: None, runs(policy="fp"))

    def lives_too_long(taskset: TaskSet) -> bool:
        longest_ns = {task["id"]: task.get("criticaltime", HORIZON_MS) * 10**6 for task in taskset}
        jobs = [job for job in run(taskset).jobs if job.outcome is EventType.EXIT]
        return any((job.finish_ns or 0) - (job.release_ns or 0) > longest_ns[job.task_id] for job in jobs)

    minimum = [{"executiontime": 2, "period": 2, "priority": 0, "criticaltime": 1}]
    assert smallest(ts.tasksets(n=1, policy="FP", max_criticaltime=20), lives_too_long, seed) == minimum
    # In a set, a second task may keep the job waiting instead.
    shown = smallest(ts.tasksets(n=3, policy="FP", max_criticaltime=20), lives_too_long, seed)
    assert len(shown) <= 2
    assert all(value <= 2 for task in shown for value in task.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_an_offset_that_is_ignored_is_exposed_by_one_job(seed: int) -> None:
    run = with_changed("offset", lambda _: None, runs(policy="edf"))

    def comes_too_early(taskset: TaskSet) -> bool:
        first = {job.task_id: job.release_ns for job in run(taskset).jobs if job.index == 0}
        return any((first[task["id"]] or 0) < task.get("offset", 0) * 10**6 for task in taskset)

    minimum = [{"executiontime": 1, "period": 1, "deadline": 1, "offset": 1}]
    assert smallest(ts.tasksets(policy="EDF", max_offset=10), comes_too_early, seed) == minimum


@pytest.mark.parametrize("seed", SEEDS)
def test_the_theorem_of_liu_and_layland_needs_deadlines_as_long_as_periods(seed: int) -> None:
    run = runs(policy="edf")
    shown = smallest(ts.tasksets(deadlines="constrained", policy="EDF"), lambda each: bool(run(each).misses), seed)
    assert len(shown) == 2
    assert all(value <= 4 for task in shown for value in task.values())


def test_the_effect_of_dhall_needs_three_tasks_on_two_cores() -> None:
    """Global EDF misses a deadline though the cores aren't full (Dhall & Liu, Oper. Res. 26, 1978)."""
    run = runs(policy="edf", cores=2, migration="global")
    strategy = ts.tasksets(n=3, policy="EDF", cores=2, migration="global", max_utilization=2, max_period=20)
    shown = smallest(strategy, lambda each: bool(run(each).misses), 0)
    assert len(shown) == 3
    assert sum(task["period"] for task in shown) <= 8
