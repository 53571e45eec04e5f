"""A policy of the user's own in the place of a board's kernel: it orders the jobs, and touches nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.boards.description import Demand, Description
from sim.boards.generation import GENERATIONS
from sim.boards.scheduler import parameters_of, scheduler_maker
from sim.job import Job
from sim.policy import (
    EarliestDeadlineFirst,
    FirstInFirstOut,
    FixedPriority,
    JobFixedPriority,
    LeastLaxity,
    Policy,
    RoundRobin,
)
from taskgen.dialect.boards import BOARDS, ENDLESS
from taskgen.errors import InputError, UsageError
from taskgen.parameters import Parameters
from taskgen.units import NS_PER_MS
from tests.sim.boards.pushing_bench import PushingBench, task, works

#: Without these the loader's own work would stand between the jobs: what is left is the order of the policy.
QUICK = replace(GENERATIONS["G4"].timing, create_ns=0, destroy_ns=0, destroy_by_program={}, parse_ns=0)
ROW = replace(GENERATIONS["G4"], timing=QUICK)


class Inverted(JobFixedPriority):
    """The largest number is the most urgent."""

    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        return {task.id: -(task.priority or 0) for task in tasks}


class ShortestRemaining(Policy):
    dynamic = True

    def rank(self, job: Job, now_ns: int) -> int:
        return job.remaining_ns


class ShortTurns(RoundRobin):
    quantum_ns = 2 * NS_PER_MS


class Equals(JobFixedPriority):
    def priorities(self, tasks: Sequence[Parameters]) -> dict[int, int | None]:
        return {task.id: 0 for task in tasks}


def run(
    policy: Any, *tasks: Description, work: dict[int, float | Demand], row: Any = ROW, until: float = 400
) -> PushingBench:
    scheduler = None if policy is None else scheduler_maker(policy, row.board)()
    bench = PushingBench(row, *tasks, work=works(work), scheduler=scheduler)
    bench.begin(until)
    return bench


def ends(bench: PushingBench) -> dict[int, float]:
    return {number: time for time, kind, number in bench.events if kind == "EXIT"}


THREE = {0: 10.0, 1: 8.0, 2: 6.0}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, {0: 10, 1: 18, 2: 24}),
        (FixedPriority, {0: 10, 1: 18, 2: 24}),
        (Inverted, {2: 6, 1: 14, 0: 24}),
        (EarliestDeadlineFirst, {1: 8, 2: 14, 0: 24}),  # by period, as G4 reads no deadline
        (FirstInFirstOut, {0: 10, 1: 18, 2: 24}),
        (ShortestRemaining, {2: 6, 1: 14, 0: 24}),
        (LeastLaxity, {1: 8, 2: 14, 0: 24}),
        (ShortTurns, {2: 18, 1: 22, 0: 24}),  # 0 1 2 0 1 2 0 1 2 0 1 0
    ],
)
def test_a_policy_orders_the_jobs_of_a_core(policy: Any, expected: dict[int, float]) -> None:
    tasks = [
        task(0, priority=10, period=900), task(1, priority=20, period=500), task(2, priority=30, period=700)
    ]  # fmt: skip
    assert ends(run(policy, *tasks, work=dict(THREE))) == expected


def test_an_equal_rank_never_preempts_and_the_earlier_release_goes_first() -> None:
    assert ends(run(Equals, *(task(number) for number in THREE), work=dict(THREE))) == {0: 10, 1: 18, 2: 24}


def test_a_better_rank_preempts_and_the_other_goes_on_later() -> None:
    tasks = [task(0, priority=10), task(1, priority=20, period=170, jobs=2)]
    bench = run(Inverted, *tasks, work={0: 345, 1: 20}, until=900)
    # The tick at 170 only removes what is left of the first job of task 1 (wire-protocol 6.5).
    assert ends(bench)[0] == 385
    assert [time for time, kind, number in bench.events if (kind, number) == ("EXIT", 1)] == [20, 360]


def test_each_core_has_its_own_order() -> None:
    tasks = [task(0, priority=10), task(1, priority=20), task(2, priority=30, coreoffset=2)]
    assert ends(run(Inverted, *tasks, work=dict(THREE))) == {1: 8, 0: 18, 2: 6}


def test_the_system_comes_before_all_jobs() -> None:
    """wire-protocol 7.1: 'loading, destroying, network and logging pre-empt every task'."""
    row = replace(ROW, timing=replace(QUICK, create_ns=26 * NS_PER_MS))
    tasks = [task(0, priority=10, cores=0), task(1, priority=20, cores=0)]  # on the loader's core
    bench = run(Inverted, *tasks, work={0: 10, 1: 10}, row=row)
    assert ends(bench) == {1: 62, 0: 72}  # both created, then the one that the policy prefers


def test_a_job_that_closes_keeps_its_turn_among_equals() -> None:
    work: dict[int, float | Demand] = {0: Demand(5 * NS_PER_MS, closing_ns=4 * NS_PER_MS), 1: 5}
    assert ends(run(Equals, task(0), task(1), work=work)) == {0: 9, 1: 14}


class Watching(FirstInFirstOut):
    """Notes what a policy is told."""

    seen: list[tuple[int, int, int, int, int]] = []  # noqa: RUF012  # of the class: policies are made per board

    def rank(self, job: Job, now_ns: int) -> int:
        self.seen.append((job.id, job.index, job.remaining_ns, job.deadline_ns - now_ns, now_ns - job.release_ns))
        return super().rank(job, now_ns)


def test_a_policy_is_told_what_there_is_to_know_of_a_job() -> None:
    Watching.seen.clear()
    run(Watching, task(3, period=150, critical=100, jobs=2), work={3: 20})
    assert Watching.seen == [
        (3, 0, 20 * NS_PER_MS, 150 * NS_PER_MS, 0),
        (3, 1, 20 * NS_PER_MS, 150 * NS_PER_MS, 0),
    ]


class Counting(Watching):
    """Of a job that is preempted, and counts it."""

    dynamic = True
    most = 0

    def rank(self, job: Job, now_ns: int) -> int:
        Counting.most = max(Counting.most, job.preemptions)
        return -job.release_ns  # the newest first


def test_a_preempted_job_is_told_so() -> None:
    Counting.most = 0
    run(Counting, task(0, period=1000), task(1, period=100, critical=50, jobs=4), work={0: 250, 1: 10})
    assert Counting.most == 2  # at 100 and 200; it ends at 280


TASKS = st.lists(
    st.fixed_dictionaries(
        {
            "period": st.integers(100, 900),
            "jobs": st.integers(1, 4),
            "priority": st.integers(1, 126),
        },
        optional={"critical": st.integers(50, 900), "offset": st.integers(0, 100)},
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each["priority"],
)


@settings(max_examples=60, deadline=None)
@given(TASKS, st.lists(st.integers(1, 600), min_size=4, max_size=4), st.sampled_from(["G3b", "G4"]))
def test_fixed_priorities_as_a_policy_are_what_the_kernel_does_with_distinct_ones(
    tasks: list[dict[str, Any]], work: list[int], name: str
) -> None:
    described = [task(number, **each) for number, each in enumerate(tasks)]
    times: dict[int, float | Demand] = dict(enumerate(map(float, work)))
    ours, theirs = (
        run(policy, *described, work=times, row=GENERATIONS[name], until=5000) for policy in (FixedPriority, None)
    )
    assert ours.log == theirs.log


# -- what a policy sees of a task


@pytest.mark.parametrize(
    ("generation", "raw", "priority"),
    [("G1", 0, 0), ("G1", 32768, 1), ("G1o", 5, 1), ("G3a", 128, 0), ("G3a", 1, 127), ("G3a", 0, 127), ("G4", 200, 0)],
)
def test_priorities_are_levels_of_the_board_0_the_best(generation: str, raw: int, priority: int) -> None:
    assert parameters_of(Description(priority=raw), BOARDS[generation]).priority == priority


@pytest.mark.parametrize("generation", [name for name, row in BOARDS.items() if row.edf != "none"])
def test_an_edf_task_has_a_deadline_and_no_priority(generation: str) -> None:
    row = BOARDS[generation]
    seen = parameters_of(Description(priority=row.edf_raw or 0, deadline_ns=7), row)
    assert (seen.priority, seen.deadline_ns) == (None, 7)


def test_what_a_board_does_not_know_is_unknown() -> None:
    seen = parameters_of(Description(id=4, pkg="hey", jobs=ENDLESS, argument=3), BOARDS["G4"])
    assert (seen.id, seen.wcet_ns, seen.jobs, seen.critical_ns, seen.deadline_ns) == (4, None, None, None, None)
    assert seen.attributes == {"pkg": "hey", "config": {"arg1": 3}}


# -- what is refused, and what fails


class Unfinished(Policy):
    pass


class Failing(Policy):
    def rank(self, job: Job, now_ns: int) -> int:
        return 1 // 0


class Incomparable(Policy):
    def rank(self, job: Job, now_ns: int) -> Any:
        return job.id or "first"


@pytest.mark.parametrize(
    ("policy", "words"), [("edff", "no policy 'edff'"), (Unfinished, "has no rank"), (int, "no sim.Policy")]
)
def test_what_is_no_policy_is_refused_before_there_is_a_board(policy: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        scheduler_maker(policy, BOARDS["G4"])


@pytest.mark.parametrize(("policy", "words"), [(Failing, "ZeroDivisionError"), (Incomparable, "TypeError")])
def test_a_policy_that_fails_is_named(policy: type[Policy], words: str) -> None:
    with pytest.raises(UsageError, match=rf"{policy.__name__} failed: {words}"):
        run(policy, task(0), task(1), work={0: 5, 1: 5})


def test_a_set_that_lacks_what_a_policy_needs_is_refused_when_the_board_reads_it() -> None:
    row = GENERATIONS["G3b"]
    with pytest.raises(InputError, match="task 0: priority: is missing"):
        run(FixedPriority, task(0, deadline=100), work={0: 5}, row=row)


def test_a_board_carries_its_policy_through_a_reboot() -> None:
    bench = run(Inverted, task(0, priority=10), task(1, priority=20), work={0: 10, 1: 8})
    bench.log.clear()
    bench.served(bench.board.reboot())
    bench.descs(task(0, priority=10), task(1, priority=20))
    bench.start()
    bench.wait(100)
    kinds = [(kind, number) for _, kind, number in bench.log]
    assert kinds[:3] == [("START", 0), ("START", 1), ("EXIT", 1)]
