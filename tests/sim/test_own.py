"""What users bring: a policy or a process that is wrong is one clear line, and its author's fault, whatever runs it."""

from fractions import Fraction
from typing import Any

import pytest

from sim import NEVER, FixedPriority, JobFixedPriority, LeastLaxity, Policy, RoundRobin, SimSession, simulate
from sim.boards import Switches
from taskgen import TaskSet
from taskgen.errors import TaskgenError, UsageError

TWO = TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 2, "period": 6}])

#: The models: one core, several partitioned ones, global, with overheads, and rows on one core.
MODELS: list[dict[str, Any]] = [
    {}, {"cores": 2}, {"cores": 2, "migration": "global"}, {"preemptive": False}, {"scheduler_ms": 0.1},
]  # fmt: skip


def ranking(priorities: Any) -> type[Policy]:
    """Return a policy whose priorities() gives this."""
    return type("Own", (JobFixedPriority,), {"priorities": lambda self, tasks: priorities})


class Leaves(Policy):
    def rank(self, job: Any, now_ns: int) -> Any:
        raise SystemExit(3)


class LeavesEarly(Policy):
    def bind(self, tasks: Any) -> None:
        raise SystemExit(3)

    def rank(self, job: Any, now_ns: int) -> Any:
        return 0


class Incomparable(Policy):
    def rank(self, job: Any, now_ns: int) -> Any:
        return "a" if job.id else 1


class Forgetful(JobFixedPriority):
    """Its ranks can't be read."""

    @property
    def fixed(self) -> dict[int, int | None]:  # type: ignore[override]  # broken on purpose
        raise KeyError("gone")

    def bind(self, tasks: Any) -> None:
        pass


# -- policies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", MODELS, ids=str)
@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (ranking({0: 1}), "policy Own: priorities() has no rank for task 1"),
        (ranking(None), "policy Own: priorities() gave None, expected a dict"),
        (ranking([2, 1]), "policy Own: priorities() gave [2, 1], expected a dict"),
        (ranking({0: 1, 1: "b"}), "policy Own: priorities() ranks task 1 with 'b', expected a number or None"),
        (ranking({0: 1, 1: float("nan")}), "policy Own: priorities() ranks task 1 with nan"),
        ("sim.policy:Policy", "policy 'sim.policy:Policy': Policy has no rank()"),
        ("sim.policy:JobFixedPriority", "policy 'sim.policy:JobFixedPriority': JobFixedPriority has no priorities()"),
        (Forgetful, "policy Forgetful failed: KeyError"),
        (Leaves, "policy Leaves failed: SystemExit: 3"),
        (LeavesEarly, "policy LeavesEarly failed: SystemExit: 3"),
        (Incomparable, "policy Incomparable failed: TypeError"),
    ],
    ids=str,
)
def test_a_policy_that_is_wrong_is_a_usage_error(policy: Any, message: str, options: dict[str, Any]) -> None:
    if policy is Incomparable and options.get("cores") == 2 and "migration" not in options:
        pytest.skip("each task is alone on its core: nothing is compared")
    for run in (simulate, lambda taskset, **given: SimSession(**given).jobs(taskset)):
        with pytest.raises(UsageError) as caught:
            run(TWO, policy=policy, **options)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.hint


def test_ranks_may_be_any_numbers() -> None:
    trace = simulate(TWO, policy=ranking({0: Fraction(1, 2), 1: 0.25}))
    assert trace.jobs == simulate(TWO, policy=ranking({0: 1, 1: 0})).jobs


def test_a_policy_that_refuses_the_set_is_heard() -> None:
    with pytest.raises(TaskgenError, match="task 0: priority: is missing"):
        simulate(TWO, policy=FixedPriority)


class Learning(Policy):
    """Ranks by what it has seen, so a run that knows of an earlier one differs."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def rank(self, job: Any, now_ns: int) -> Any:
        self.seen.append(job.task.id)
        return -len(self.seen) if len(self.seen) % 3 else 0


@pytest.mark.parametrize("policy", [Learning, Learning()], ids=["class", "object"])
def test_each_run_has_a_policy_with_a_state_of_its_own(policy: Any) -> None:
    """An object is a template: what a run adds to its lists is unknown to the next one."""
    tasks = TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 2, "period": 5}])
    with SimSession(policy=policy) as session:
        first, second = (session.jobs(tasks, horizon_ms=100).jobs for _ in range(2))
    assert first == second == simulate(tasks, policy=Learning(), horizon_ms=100).jobs
    assert isinstance(policy, type) or policy.seen == []


def test_an_object_that_cannot_be_copied_is_refused_by_name() -> None:
    class Locked(Learning):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("cannot pickle a lock")

    with pytest.raises(UsageError, match="making it failed: TypeError: cannot pickle a lock") as caught:
        SimSession(policy=Locked())
    assert "copied" in caught.value.hint


def test_a_policy_takes_no_argument() -> None:
    class Needs(Policy):
        def __init__(self, weight: int) -> None:
            self.weight = weight

        def rank(self, job: Any, now_ns: int) -> Any:
            return self.weight

    with pytest.raises(UsageError, match="making it failed: TypeError") as caught:
        SimSession(policy=Needs)
    assert "without arguments" in caught.value.hint
    assert SimSession(policy=Needs(3)).jobs(TWO).jobs


@pytest.mark.parametrize(
    "policy",
    [
        type("Quantum", (Policy,), {"quantum_ns": 10**6, "rank": lambda self, job, now_ns: job.enqueued}),
        type("Turns", (RoundRobin,), {}),
        type("Laxity", (LeastLaxity,), {}),
    ],
    ids=lambda cls: cls.__name__,
)
def test_a_quantum_of_ones_own_ends_nothing_without_preemption(policy: type[Policy]) -> None:
    """As round robin, which is refused there by the table; a subclass of it is a policy of one's own."""
    with pytest.raises(UsageError, match=f"policy {policy.__name__} has a quantum and preemptive False") as caught:
        SimSession(policy=policy, preemptive=False)
    assert "quantum_ns = None" in caught.value.hint
    assert simulate(TWO, policy=policy).jobs


def test_what_has_no_deadline_says_never() -> None:
    """Whenever it arrives: a policy of one's own may compare."""
    seen: set[tuple[int, int, bool]] = set()

    class Looks(Policy):
        def rank(self, job: Any, now_ns: int) -> Any:
            seen.add((job.id, job.index, job.deadline_ns == NEVER))
            return 0

    tasks = TaskSet(
        [
            {"executiontime": 1, "period": 0, "offset": 3},
            {"executiontime": 1, "period": 0},
            {"executiontime": 1, "period": 9},
        ]
    )
    for options in ({}, {"cores": 2, "migration": "global"}):
        seen.clear()
        simulate(tasks, policy=Looks, horizon_ms=9, **options)
        assert seen == {(0, 0, True), (1, 0, True), (2, 0, False)}


def test_none_ranks_jobs_without_deadline_alike() -> None:
    """Behind all others, and the running one is never preempted: under `index` the smaller id goes first."""
    tasks = TaskSet([{"executiontime": 2, "period": 0, "offset": 1}, {"executiontime": 3, "period": 0}])
    policy = ranking(dict.fromkeys(range(2)))
    for options in ({}, {"cores": 2, "migration": "global", "scheduler_ms": 0}, {"preemptive": False}):
        assert [job.preemptions for job in simulate(tasks, policy=policy, **options).jobs] == [0, 0]
    by_index = simulate(tasks, policy=policy, tie="index")
    assert {job.task_id: job.preemptions for job in by_index.jobs} == {0: 0, 1: 1}
    assert by_index.jobs == SimSession(policy=policy, tie="index").jobs(tasks).jobs


# -- processes and switches ------------------------------------------------------------------------------------------


def raises(env: Any, processor: Any) -> Any:
    yield env.timeout(1)
    raise RuntimeError("broken on purpose")


@pytest.mark.parametrize(
    ("processes", "message"),
    [
        ((5,), "processes: 5 is no generator function"),
        (raises, "is no tuple"),
        (None, "processes: None is no tuple"),
        ((lambda: iter(()),), "a process beside the processor failed: TypeError"),
        ((lambda env, processor: 3,), "a process beside the processor failed: ValueError"),
        ((raises,), "a process beside the processor failed: RuntimeError: broken on purpose"),
    ],
    ids=["a number", "no tuple", "nothing", "no arguments", "no generator", "it raises"],
)
def test_a_process_that_is_wrong_is_a_usage_error(processes: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        simulate(TWO, processes=processes)
    assert message in str(caught.value)
    assert caught.value.hint


def test_switches_are_those_of_boards() -> None:
    assert SimSession(profile="G3a", switches=Switches(hang_on_kill=True)).switches
    with pytest.raises(UsageError, match=r"switches: 1 is no sim\.boards\.Switches"):
        SimSession(profile="G1", switches=1)  # type: ignore[arg-type]  # that is the point
