"""Policies: the ready-made ones, and a user's own."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import DeadlineMonotonic, FixedPriority, Mixed, Policy, RateMonotonic, SimSession, simulate
from sim.policy import NO_DEADLINE
from taskgen import EventType, TaskSet, Trace
from taskgen.errors import UsageError
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS


class RoundRobin(Policy):
    """Each job in turn."""

    quantum_ns = 4 * NS_PER_MS

    def rank(self, job: Any, now_ns: int) -> Any:
        return job.enqueued


class RoundRobinInLevels(RoundRobin):
    """Fixed priorities, round robin inside each."""

    def rank(self, job: Any, now_ns: int) -> Any:
        return (job.task.priority, job.enqueued)


class LeastLaxity(Policy):
    """The job that can wait least."""

    dynamic = True
    quantum_ns = 10 * NS_PER_MS

    def rank(self, job: Any, now_ns: int) -> Any:
        return job.deadline_ns - now_ns - job.remaining_ns


def spans(trace: Trace) -> list[tuple[int, float, float]]:
    """Return task, start and end of each stretch of execution; a job that goes on makes one stretch."""
    return [(span.task_id, span.start_ns / NS_PER_MS, span.end_ns / NS_PER_MS) for span in trace.gantt]


def single(*wcets: int, **attributes: Any) -> TaskSet:
    """Return tasks of one job each, all released at 0."""
    return TaskSet([{"executiontime": wcet, "period": 0, **attributes} for wcet in wcets])


# -- the ready-made ones ---------------------------------------------------------------------------------------------


def test_rate_monotonic_ranks_by_period_then_id_and_single_jobs_last() -> None:
    tasks = parameters_of(TaskSet([{"period": 9}, {"period": 4}, {"period": 0}, {"period": 9}]))
    assert RateMonotonic().priorities(tasks) == {1: 0, 0: 1, 3: 2, 2: 3}


def test_deadline_monotonic_takes_the_period_where_there_is_no_deadline() -> None:
    tasks = parameters_of(
        TaskSet([{"period": 9}, {"period": 20, "deadline": 9}, {"period": 0}, {"period": 0, "deadline": 5}])
    )
    assert DeadlineMonotonic().priorities(tasks) == {3: 0, 0: 1, 1: 2, 2: 3}


def test_fixed_priorities_are_taken_as_given() -> None:
    tasks = parameters_of(TaskSet([{"period": 9, "priority": 127}, {"period": 9, "priority": 0, "deadline": 3}]))
    assert FixedPriority().priorities(tasks) == {0: 127, 1: 0}


def test_mixed_sorts_tasks_into_two_bands() -> None:
    tasks = TaskSet([{"priority": 3}, {}, {"deadline": 5}, {"priority": 128}, {"priority": 128, "deadline": 4}])
    assert Mixed().priorities(parameters_of(tasks)) == {0: 3, 1: 127, 2: None, 3: NO_DEADLINE, 4: None}


@pytest.mark.parametrize(("tie", "order"), [("running", [0, 1]), ("index", [0, 1])])
def test_jobs_without_deadline_are_equal(tie: str, order: list[int]) -> None:
    """Under EDF: the running one is never preempted by another, and under `index` the smaller id goes first."""
    tasks = TaskSet([{"executiontime": 9, "period": 0, "offset": 2}, {"executiontime": 2, "period": 0, "offset": 3}])
    assert [task for task, _, _ in spans(simulate(tasks, policy="edf", tie=tie, horizon_ms=20))] == order


def test_under_edf_a_job_without_deadline_and_period_comes_last() -> None:
    tasks = TaskSet([{"executiontime": 2, "period": 0}, {"executiontime": 1, "period": 50, "offset": 1}])
    assert spans(simulate(tasks, policy="edf", horizon_ms=10)) == [(0, 0, 1), (1, 1, 2), (0, 2, 3)]


# -- laws ------------------------------------------------------------------------------------------------------------


@st.composite
def constrained(draw: st.DrawFn) -> TaskSet:
    """Synchronous tasks with C <= D <= T, each with a priority of its own."""
    number = draw(st.integers(1, 4))
    priorities = draw(st.permutations(range(number)))
    tasks = []
    for priority in priorities:
        period = draw(st.integers(2, 12))
        wcet = draw(st.integers(1, max(1, period // 2)))
        deadline = draw(st.integers(wcet, period))
        tasks.append({"executiontime": wcet, "period": period, "deadline": deadline, "priority": priority})
    return TaskSet(tasks)


@settings(max_examples=100, deadline=None)
@given(tasks=constrained(), policy=st.sampled_from(["fp", LeastLaxity]))
def test_edf_is_optimal(tasks: TaskSet, policy: Any) -> None:
    """Dertouzos 1974: what any policy schedules without a miss, EDF does."""
    if not simulate(tasks, policy=policy, horizon_ms=200).misses:
        assert not simulate(tasks, policy="edf", horizon_ms=200).misses


@settings(max_examples=100, deadline=None)
@given(tasks=constrained())
def test_dm_is_optimal_among_fixed_priorities(tasks: TaskSet) -> None:
    """Leung & Whitehead 1982, for synchronous tasks with D <= T; the first jobs are the worst."""
    if not simulate(tasks, policy="fp", horizon_ms=200).misses:
        assert not simulate(tasks, policy="dm", horizon_ms=200).misses


# -- a policy of the user's own --------------------------------------------------------------------------------------


def test_round_robin() -> None:
    """Silberschatz et al., Operating System Concepts: bursts 24, 3, 3, quantum 4: waits of 6, 4, 7."""
    trace = simulate(single(24, 3, 3), policy=RoundRobin)
    assert [trace.response_times(i)[0] // NS_PER_MS for i in range(3)] == [30, 7, 10]
    assert [job.preemptions for job in trace.jobs] == [1, 0, 0]  # alone from 10 on, it just goes on
    assert spans(trace) == [(0, 0, 4), (1, 4, 7), (2, 7, 10), (0, 10, 30)]


def test_a_new_job_goes_to_the_tail_and_does_not_restart_the_quantum() -> None:
    tasks = TaskSet([{"executiontime": 6, "period": 0}, {"executiontime": 3, "period": 0, "offset": 3}])
    assert spans(simulate(tasks, policy=RoundRobin)) == [(0, 0, 4), (1, 4, 7), (0, 7, 9)]


def test_a_preempted_job_goes_to_the_tail_of_its_level() -> None:
    tasks = TaskSet(
        [
            {"executiontime": 6, "period": 0, "priority": 5},
            {"executiontime": 6, "period": 0, "priority": 5},
            {"executiontime": 1, "period": 0, "priority": 1, "offset": 2},
        ]
    )
    trace = simulate(tasks, policy=RoundRobinInLevels)
    assert spans(trace) == [(0, 0, 2), (2, 2, 3), (1, 3, 7), (0, 7, 11), (1, 11, 13)]


def test_the_quantum_is_an_option() -> None:
    trace = simulate(single(3, 3), policy=RoundRobin, quantum_ms=2)
    assert spans(trace) == [(0, 0, 2), (1, 2, 4), (0, 4, 5), (1, 5, 6)]
    with pytest.raises(UsageError, match=r"quantum_ms: 0\.0: expected more than 0"):
        SimSession(policy=RoundRobin, quantum_ms=0)


def test_the_option_does_not_change_the_policy_for_others() -> None:
    simulate(single(3, 3), policy=RoundRobin, quantum_ms=2)
    assert spans(simulate(single(6, 1), policy=RoundRobin)) == [(0, 0, 4), (1, 4, 5), (0, 5, 7)]


LAXITY = [
    {"executiontime": 3, "period": 100, "deadline": 5},
    {"executiontime": 20, "period": 100, "deadline": 40},
    {"executiontime": 20, "period": 100, "deadline": 45},
]
#: By hand: laxities 2, 20, 25 at 0; at 3 task 1 (17) is dispatched before task 2 (22). Ten later task 2 (12) goes
#: before task 1 (17), ten later task 1 (7) before task 2 (12), and at 33 task 1 ends, before task 2.
LAXITY_SPANS = [(0, 0, 3), (1, 3, 13), (2, 13, 23), (1, 23, 33), (2, 33, 43)]


def test_least_laxity_looks_again_one_quantum_after_each_dispatch() -> None:
    assert spans(simulate(TaskSet(LAXITY), policy=LeastLaxity, horizon_ms=60)) == LAXITY_SPANS


@pytest.mark.parametrize("attributes", [{"criticaltime": 6}, {"criticaltime": 60}])
def test_a_kill_that_never_comes_changes_no_decision(attributes: dict[str, int]) -> None:
    tasks = TaskSet([task | attributes for task in LAXITY[:1]] + LAXITY[1:])
    assert spans(simulate(tasks, policy=LeastLaxity, horizon_ms=60)) == LAXITY_SPANS


def test_equal_laxity_keeps_the_running_job() -> None:
    tasks = single(6, 6, deadline=20)
    assert spans(simulate(tasks, policy=LeastLaxity, quantum_ms=20)) == [(0, 0, 6), (1, 6, 12)]
    # After a quantum of 2 the waiting job's laxity is smaller by 2, so they take turns.
    assert spans(simulate(tasks, policy=LeastLaxity, quantum_ms=2))[:3] == [(0, 0, 2), (1, 2, 6), (0, 6, 10)]


class Watching(Policy):
    """First come first served; writes down what it is shown."""

    dynamic = True

    ids: ClassVar[list[int]] = []
    seen: ClassVar[list[tuple[int, ...]]] = []

    def bind(self, tasks: Any) -> None:
        self.ids.clear()
        self.seen.clear()
        self.ids.extend(task.id for task in tasks)

    def rank(self, job: Any, now_ns: int) -> Any:
        times = (now_ns, job.release_ns, job.deadline_ns, job.remaining_ns)
        self.seen.append((job.task.id, job.index, *(ns // NS_PER_MS for ns in times), job.preemptions))
        return job.release_ns


def test_a_policy_sees_the_job_as_it_is_at_the_decision() -> None:
    policy = Watching
    simulate(
        TaskSet([{"executiontime": 4, "period": 20, "deadline": 9}, {"executiontime": 1, "period": 20, "offset": 3}]),
        policy=policy,
        horizon_ms=10,
    )
    assert policy.ids == [0, 1]
    assert policy.seen[0] == (0, 0, 0, 0, 9, 4, 0)
    assert (0, 0, 3, 0, 9, 1, 0) in policy.seen  # the running job, 3 of its 4 ms done
    assert (1, 0, 3, 3, 23, 1, 0) in policy.seen


def test_preemptions_of_a_policy_of_ones_own_are_counted() -> None:
    class LastCome(Policy):
        def rank(self, job: Any, now_ns: int) -> Any:
            return -job.release_ns

    urgent = {"executiontime": 1, "period": 3, "offset": 3, "numberofjobs": 3}
    trace = simulate(TaskSet([{"executiontime": 9, "period": 0}, urgent]), policy=LastCome)
    assert next(trace.jobs_of(0)).preemptions == 3
    assert [e.time_ns // NS_PER_MS for e in trace.events if e.type is EventType.PREEMPT] == [3, 6, 9]
    assert spans(trace)[-1] == (0, 10, 12)


def test_a_policy_without_rank_says_so() -> None:
    class Nothing(Policy):
        """Forgot to override rank."""

    with pytest.raises(UsageError, match=r"Nothing has no rank\(\)"):
        simulate(single(1), policy=Nothing)


def test_a_policy_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from sim import Policy\n\n\nclass Shortest(Policy):\n"
        "    def rank(self, job, now_ns):\n        return job.remaining_ns\n"
    )
    assert spans(simulate(single(3, 1, 2), policy=f"{path}:Shortest")) == [(1, 0, 1), (2, 1, 3), (0, 3, 6)]
    with pytest.raises(UsageError, match="Shortes") as caught:
        SimSession(policy=f"{path}:Shortes")
    assert "Shortest" in caught.value.hint
