"""The suite `overrun`: late jobs fare as the simulator's options or the generation's rule say."""

from typing import Any

import pytest

from sim import SimSession
from taskgen.bench.suites import overrun
from taskgen.session import Plan, Target
from tests.taskgen.bench.suited import GENERATIONS, on, on_board, on_sim, some

COUNTS = ("completed", "killed", "cut", "untold", "skipped")
UNTOLD = "the target doesn't tell how jobs end"


def counts(found: Any, case: str) -> dict[str, float]:
    return {name: found.samples[case][name][0] for name in COUNTS if found.samples[case][name][0]}


@pytest.mark.parametrize(
    ("rule", "period"),
    [
        # C = 1.25 T, 20 releases, the run ends at 19.5 T. They queue, one ends each 1.25 T: 19.5/1.25 = 15.6.
        ("continue", {"completed": 15}),
        # Each is killed at its deadline, T after its release: the last deadline within the run is 19 T.
        ("kill", {"killed": 19}),
        # Every second release finds its predecessor, which ends 0.25 T later.
        ("skip", {"completed": 10, "skipped": 10}),
    ],
)
def test_the_simulator_follows_its_option(rule: str, period: dict[str, int]) -> None:
    found = on_sim(overrun.SUITE, overrun=rule)
    assert counts(found, "period") == period
    assert found.findings["period"]["values"]["rule"] == rule
    assert found.bad() == []


def test_exactly_every_job_is_killed_at_its_criticaltime() -> None:
    found = on_sim(overrun.SUITE)
    assert counts(found, "critical") == {"killed": 20}
    assert counts(found, "waiting") == {"completed": 20, "killed": 20}
    assert {case: samples.get("kill-late") for case, samples in found.samples.items()} == {
        "critical": [0],
        "waiting": [0],
        "period": None,
    }
    assert found.findings["waiting"]["text"] == "20 completed, 20 killed, as criticaltime says"


def test_the_simulator_is_what_it_predicts() -> None:
    found = on_sim(overrun.SUITE)
    for case, predicted in found.predicted.items():
        assert {name: predicted[name] for name in COUNTS} == {name: found.samples[case][name][0] for name in COUNTS}


def test_kills_wait_for_nothing_even_where_nothing_is_preempted() -> None:
    assert on_sim(some(overrun.SUITE, "waiting"), preemptive=False).samples["waiting"]["kill-late"] == [0]


class Merciless(SimSession):
    """Knows no criticaltime, and doesn't say so."""

    def check(self, taskset: Any, **options: Any) -> Plan:
        return super().check([{**task, "criticaltime": 0} for task in taskset], **options)  # type: ignore[arg-type]  # it is iterated only


class Late(SimSession):
    """Kills 1 ms too late."""

    def check(self, taskset: Any, **options: Any) -> Plan:
        late = [{**task, "criticaltime": task["criticaltime"] + 1} for task in taskset if "criticaltime" in task]
        return super().check(late or taskset, **options)  # type: ignore[arg-type]  # it is iterated only


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (Merciless, "20 completed, which isn't what criticaltime says"),
        (Late, "20 completed, which isn't what criticaltime says"),  # C is 3 ms: what isn't killed at 2 completes
    ],
)
def test_a_target_that_does_not_kill_in_time_is_exposed(broken: type[SimSession], text: str) -> None:
    found = on(Target(f"{__name__}:{broken.__name__}", "", {"profile": "ideal"}), some(overrun.SUITE, "critical"))
    assert (found.findings["critical"]["ok"], found.findings["critical"]["text"]) == (False, text)


# -- boards: a run has four releases

#: wire-protocol 6.2 to 6.5.
PERIOD = {
    "G1": {"completed": 2, "skipped": 2},
    "G1o": {"completed": 1, "skipped": 3},
    "G1p": {"completed": 1, "skipped": 3},
    "G3a": {"untold": 1, "skipped": 2},
    "G3b": {"cut": 2, "skipped": 2},
    "G4": {"cut": 2, "skipped": 2},
}
#: How many jobs a task has.
JOBS = {"G1o": 1, "G1p": 1}


def check(found: Any, generation: str) -> None:
    jobs = JOBS.get(generation, 4)
    lost = {} if jobs == 4 else {"skipped": 4 - jobs}
    assert counts(found, "critical") == {"killed": jobs, **lost}
    assert counts(found, "waiting") == {"completed": jobs, "killed": jobs, **{name: 2 * n for name, n in lost.items()}}
    if "period" in found.samples:
        assert counts(found, "period") == PERIOD[generation]
    assert found.bad() == []
    # Alone, a kill is precise to the stamps' 1 ms (wire-protocol 6.7).
    assert abs(found.samples["critical"]["kill-late"][0]) <= 1


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_generation_follows_its_rule(generation: str) -> None:
    check(on_sim(overrun.SUITE, profile=generation), generation)


@pytest.mark.parametrize("generation", ["G1p", "G3a", "G3b", "G4"])
def test_through_a_socket_as_well(generation: str) -> None:
    # Where nothing is told of `period` the session waits for its horizon on this machine's clock.
    suite = some(overrun.SUITE, "critical", "waiting") if generation == "G3a" else overrun.SUITE
    check(on_board(suite, generation), generation)


@pytest.mark.nightly
def test_through_a_socket_where_nobody_tells_of_the_late_ones() -> None:
    check(on_board(overrun.SUITE, "G3a"), "G3a")


@pytest.mark.parametrize("generation", ["G1", "G1o"])
def test_boards_without_a_log_are_left_alone(generation: str) -> None:
    assert on_board(overrun.SUITE, generation).skipped == UNTOLD
