"""No law reports anything on the simulator as it is: every policy, several numbers of cores, all overrun rules."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sim import SimSession
from taskgen.errors import InputError
from taskgen.testing.properties import LAWS, Scheduling
from taskgen.testing.runs import check, execute
from tests.taskgen.properties.drawn import EXTRAS, HORIZON_MS, sets

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
BARE: tuple[str, ...] = ()
SHIFTED = ("offset", "jitter")
MORTAL = ("criticaltime", "numberofjobs", "single")

OF_ANY = {
    "event_stream", "scheduler_stream", "misses_told", "job_counts", "release_separation", "jobs_in_order",
    "nothing_after_stop", "exit_means_completed", "executes_wcet", "determinism", "work_conservation",
}  # fmt: skip
OF_SOME = {
    ("fp", "fp"): {
        "fixed_priority_order", "fixed_priority_ties", "fixed_priority_response", "independence", "less_execution",
        "kill_at_criticaltime",
    },
    ("auto", "fp"): {"fixed_priority_order", "mixed_order", "mixed_ties", "mixed_band", "longer_periods"},
    ("auto", "edf"): {"edf_order", "edf_ties", "edf_demand", "longer_deadlines", "mixed_order"},
    ("auto", "mixed"): {"mixed_order", "mixed_ties", "mixed_band", "less_execution"},
    ("edf", "edf"): {"edf_order", "edf_ties", "edf_full_utilization", "edf_demand", "edf_overload", "longer_periods"},
    ("rm", "fp"): {"rate_monotonic_order", "rate_monotonic_response", "less_execution"},
    ("dm", "edf"): {"deadline_monotonic_order", "deadline_monotonic_response", "less_execution"},
    ("fifo", "fp"): set(),
    ("llf", "edf"): set(),
}  # fmt: skip
EXAMPLES = 3


def judge(policy: str, kind: str, ways: Any, examples: int) -> Counter[str]:
    """Run random sets in each way, and return how often each law was judged."""
    judged: Counter[str] = Counter()
    for options, load in ways:
        session = SimSession(policy=policy, **options)
        scheduling = Scheduling.of({"policy": policy, **options})
        for taskset in drawn(kind, load, examples):
            try:
                verdicts = check(session, taskset, LAWS.values(), scheduling=scheduling, horizon_ms=HORIZON_MS)
            except InputError:
                continue  # it fits on no core
            broken = {verdict.law: str(verdict.violations[0]) for verdict in verdicts if verdict.violations}
            assert broken == {}, (options, list(taskset))
            judged.update(verdict.law for verdict in verdicts if verdict.holds)
    return judged


def drawn(kind: str, load: float, examples: int) -> Iterator[Any]:
    for extras in (BARE, SHIFTED, MORTAL, EXTRAS):
        yield from sets(5, examples, kind, extras=extras, load=load)


@pytest.mark.filterwarnings("ignore:task .* has a deadline and a priority:UserWarning")
@pytest.mark.parametrize(("policy", "kind"), OF_SOME, ids=str)
def test_no_law_is_broken(policy: str, kind: str) -> None:
    judged = judge(policy, kind, WAYS, EXAMPLES)
    assert min(judged[law] for law in OF_ANY) >= 80
    assert all(judged[law] for law in OF_SOME[policy, kind])


@pytest.mark.filterwarnings("ignore:task .* has a deadline and a priority:UserWarning")
@pytest.mark.parametrize(("policy", "kind"), OF_SOME, ids=str)
def test_no_law_is_broken_without_preemption_and_with_overheads(policy: str, kind: str) -> None:
    judge(policy, kind, OTHER_WAYS, 2)


#: Laws with a narrow scope, and where it lies.
NARROW: dict[str, tuple[str, dict[str, Any], float]] = {
    "fixed_priority_response": ("fp", {"policy": "fp"}, 0.9),
    "rate_monotonic_response": ("fp", {"policy": "rm"}, 0.9),
    "deadline_monotonic_response": ("edf", {"policy": "dm"}, 0.9),
    "nonpreemptive_fixed_priority_response": ("fp", {"policy": "fp", "preemptive": False}, 0.9),
    "nonpreemptive_rate_monotonic_response": ("fp", {"policy": "rm", "preemptive": False}, 0.9),
    "nonpreemptive_deadline_monotonic_response": ("edf", {"policy": "dm", "preemptive": False}, 0.9),
    "nonpreemptive_fixed_priority_order": ("fp", {"policy": "fp", "preemptive": False}, 1.2),
    "nonpreemptive_edf_order": ("edf", {"policy": "edf", "preemptive": False}, 1.2),
    "nonpreemptive_mixed_order": ("mixed", {"policy": "auto", "preemptive": False}, 1.2),
    "critical_instant": ("fp", {"policy": "fp"}, 0.8),
    "edf_full_utilization": ("edf", {"policy": "edf"}, 0.8),
    "edf_demand": ("edf", {"policy": "edf"}, 0.8),
    "edf_overload": ("edf", {"policy": "edf"}, 1.3),
    "longer_periods": ("edf", {"policy": "edf"}, 0.7),
    "longer_deadlines": ("edf", {"policy": "edf"}, 0.8),
    "less_execution": ("fp", {"policy": "fp", "cores": 2, "migration": "global"}, 1.6),
    "mixed_band": ("mixed", {"policy": "auto", "cores": 2, "migration": "global"}, 2.0),
}


@pytest.mark.parametrize("name", NARROW)
def test_a_law_with_a_narrow_scope_holds_in_it(name: str) -> None:
    kind, options, load = NARROW[name]
    session, scheduling, law = SimSession(**options), Scheduling.of(options), LAWS[name]
    judged = 0
    for taskset in sets(6, 200, kind, load=load):
        if not law.skips(taskset, session.capabilities, scheduling):
            (verdict,) = check(session, taskset, [law], scheduling=scheduling, horizon_ms=4 * HORIZON_MS)
            assert verdict.holds, (verdict, list(taskset))
            judged += 1
    assert judged >= 50


def test_a_run_that_was_stopped_breaks_no_law() -> None:
    scheduling = Scheduling(policy="edf")
    for options in ({}, {"cores": 2}, {"cores": 2, "migration": "global"}):
        session = SimSession(policy="edf", **options)
        for number, taskset in enumerate(sets(8, 20, "edf", extras=SHIFTED, load=0.5)):
            trace = execute(session, taskset, horizon_ms=10_000, stop_after=3 + 5 * number)
            assert trace.stopped
            for law in LAWS.values():
                if hasattr(law, "variants") or law.skips(taskset, session.capabilities, scheduling):
                    continue
                assert law.judge(taskset, trace) == [], law.name
