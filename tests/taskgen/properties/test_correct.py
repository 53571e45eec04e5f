"""No law reports anything on the simulator as it is: every policy, several numbers of cores, all overrun rules."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sim import SimSession
from taskgen import TaskSet
from taskgen.errors import InputError
from taskgen.testing.properties import LAWS, PROPERTIES, Scheduling
from taskgen.testing.runs import check, execute
from tests.taskgen.properties.drawn import BARE, EXTRAS, HORIZON_MS, MORTAL, SHIFTED, nightly, sets

#: Options beside the policy, and the load of a set.
WAYS: tuple[tuple[dict[str, Any], float], ...] = (
    ({}, 0.7),
    ({}, 1.0),
    ({}, 1.3),
    ({"tie": "index"}, 1.0),
    ({"overrun": "skip"}, 1.2),
    ({"overrun": "kill"}, 1.2),
    ({"execution": "uniform:0.2"}, 1.2),
    ({"cores": 2, "migration": "global"}, 2.0),
    ({"cores": 3, "migration": "global"}, 2.0),
    ({"cores": 2}, 1.0),
    ({"cores": 4}, 1.5),
)
OTHER_WAYS: tuple[tuple[dict[str, Any], float], ...] = (
    ({"preemptive": False}, 0.8),
    ({"preemptive": False}, 1.2),
    ({"preemptive": False, "cores": 2, "migration": "global"}, 2.0),
    ({"context_switch_ms": 1, "scheduler_ms": 0.5}, 0.7),
)

OF_ANY = {
    "event_stream", "scheduler_stream", "misses_told", "job_counts", "release_separation", "jobs_in_order",
    "nothing_after_stop", "exit_means_completed", "executes_wcet", "determinism", "work_conservation",
}  # fmt: skip
OF_SOME = {
    ("fp", "FP"): {
        "fixed_priority_order", "fixed_priority_ties", "fixed_priority_response", "independence", "less_execution",
        "kill_at_criticaltime",
    },
    ("auto", "FP"): {"fixed_priority_order", "mixed_order", "mixed_ties", "mixed_band"},
    ("auto", "EDF"): {"edf_order", "edf_ties", "edf_demand", "longer_deadlines", "mixed_order"},
    ("auto", "mixed"): {"mixed_order", "mixed_ties", "mixed_band", "less_execution"},
    ("edf", "EDF"): {"edf_order", "edf_ties", "edf_full_utilization", "edf_demand"},
    ("rm", "FP"): {"rate_monotonic_order", "rate_monotonic_response", "less_execution"},
    ("dm", "EDF"): {"deadline_monotonic_order", "deadline_monotonic_response", "less_execution"},
    ("fifo", "FP"): set(),
    ("llf", "EDF"): set(),
}  # fmt: skip


def judged(policy: str, kind: str, way: tuple[dict[str, Any], float], depth: settings) -> Counter[str]:
    """Search for a set on which a law is broken; return how often each law was judged."""
    options, load = way
    session = SimSession(policy=policy, **options)
    scheduling = Scheduling.of({"policy": policy, **options})
    held: Counter[str] = Counter()

    @depth
    @given(st.one_of([sets(kind, load, **extras) for extras in (BARE, SHIFTED, MORTAL, EXTRAS)]))
    def no_law_is_broken(taskset: TaskSet) -> None:
        try:
            verdicts = check(session, taskset, LAWS.values(), scheduling=scheduling, horizon_ms=HORIZON_MS)
        except InputError:
            return  # it fits on no core
        assert [verdict for verdict in verdicts if verdict.violations] == []
        held.update(verdict.law for verdict in verdicts if verdict.holds)

    no_law_is_broken()
    return held


QUICK = settings(max_examples=8, deadline=None)


@pytest.mark.parametrize(("policy", "kind"), OF_SOME, ids=str)
def test_no_law_is_broken(policy: str, kind: str) -> None:
    held = sum((judged(policy, kind, way, QUICK) for way in WAYS), Counter[str]())
    assert min(held[law] for law in OF_ANY) >= 50
    assert all(held[law] for law in OF_SOME[policy, kind])


@pytest.mark.parametrize(("policy", "kind"), OF_SOME, ids=str)
def test_no_law_is_broken_without_preemption_and_with_overheads(policy: str, kind: str) -> None:
    held = sum((judged(policy, kind, way, QUICK) for way in OTHER_WAYS), Counter[str]())
    assert held["event_stream"] >= 25


@pytest.mark.nightly
@pytest.mark.parametrize(("policy", "kind"), OF_SOME, ids=str)
def test_no_law_is_broken_however_long_one_looks(policy: str, kind: str, pytestconfig: pytest.Config) -> None:
    deep = nightly(pytestconfig)
    ways = [*WAYS, *OTHER_WAYS]
    share = settings(deep, max_examples=-(-deep.max_examples // len(ways)))
    assert all(judged(policy, kind, way, share)["event_stream"] for way in ways)


@pytest.mark.parametrize("options", [{}, {"cores": 2}, {"cores": 2, "migration": "global"}], ids=str)
@given(taskset=sets("EDF", 0.5, **SHIFTED), events=st.integers(1, 100))
@example(taskset=TaskSet([{"executiontime": 1, "period": 4, "deadline": 1, "jitter": 1}]), events=57)
@settings(max_examples=20)
def test_a_run_that_was_stopped_breaks_no_law(options: dict[str, Any], taskset: TaskSet, events: int) -> None:
    session = SimSession(policy="edf", **options)
    scheduling = Scheduling(policy="edf", migrates="migration" in options)
    trace = execute(session, taskset, horizon_ms=10_000, stop_after=events)
    assert trace.stopped
    broken = {
        law.name: law.judge(taskset, trace)
        for law in PROPERTIES.values()
        if not law.skips(taskset, session.capabilities, scheduling)
    }
    assert not any(broken.values())
