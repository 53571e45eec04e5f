"""The suite `mixed`: the band of priorities is undisturbed, EDF gets the rest, and an inverted band is exposed."""

from pathlib import Path

import pytest

from taskgen.bench.suites import mixed
from tests.taskgen.bench.suited import GENERATIONS, INVERTED, on_board, on_sim, some

LOADS = ("alone", "edf-0.3", "edf-0.6", "edf-0.9")
BOARD_LOADS = {"alone", "edf-0.2", "edf-0.4"}
REASONS = {
    "G1": "the target doesn't mix priorities and deadlines",
    "G1p": "its admission control refuses all else beside a task with a priority",
    "G4": "the target doesn't mix priorities and deadlines",
}


@pytest.fixture
def inverted(tmp_path: Path) -> str:
    path = tmp_path / "own.py"
    path.write_text(INVERTED, encoding="utf-8")
    return f"{path}:Inverted"


def test_edf_load_does_not_show_and_gets_the_rest() -> None:
    """Response-time analysis: C = 4, 2 of each 10 ms are gone: R = 4 + 2 = 6. The two tasks leave 60 % of the time."""
    found = on_sim(mixed.SUITE)
    assert found.values("fp-response") == dict.fromkeys(LOADS, 6)
    assert found.values("edf-share") == dict(zip(LOADS, (0, 30, 60, 60), strict=True))
    met = found.values("edf-met")
    assert met.pop("edf-0.9") < 10  # overload
    assert met == {"edf-0.3": 100, "edf-0.6": 100}  # U = 1 together
    assert found.values("inversions") == dict.fromkeys(LOADS, 0)
    assert found.bad() == []
    assert found.findings["isolation"]["text"].endswith("is 6 ms alone, 6 ms in edf-0.3")


def test_the_simulator_is_what_it_predicts() -> None:
    found = on_sim(mixed.SUITE)
    for case, predicted in found.predicted.items():
        assert predicted == {name: samples[0] for name, samples in found.samples[case].items()}


def test_an_inverted_band_is_exposed(inverted: str) -> None:
    found = on_sim(mixed.SUITE, policy=inverted)
    assert set(found.bad()) == {"isolation", "band"}
    assert found.findings["isolation"]["values"]["bad"]
    assert found.values("fp-response")["edf-0.6"] > 6


def test_plain_edf_is_no_mixture() -> None:
    """A priority means D = T there: what EDF tasks take of an overload, the others lack."""
    found = on_sim(mixed.SUITE, policy="edf")
    assert "isolation" in found.bad()


def test_without_preemption_edf_jobs_block() -> None:
    found = on_sim(some(mixed.SUITE, "alone", "edf-0.6"), preemptive=False)
    assert found.values("fp-response")["edf-0.6"] > 6
    assert set(found.bad()) == {"isolation", "band"}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_boards_keep_the_band_undisturbed(generation: str) -> None:
    found = on_sim(mixed.SUITE, profile=generation)
    assert found.skipped == REASONS.get(generation, "")
    if not found.skipped:
        assert set(found.values("fp-response")) == BOARD_LOADS
        assert found.values("edf-met") == dict.fromkeys(BOARD_LOADS - {"alone"}, 100)
        assert found.bad() == []


@pytest.mark.parametrize("generation", GENERATIONS)
def test_through_a_socket_as_well(generation: str) -> None:
    found = on_board(mixed.SUITE, generation)
    assert found.skipped == REASONS.get(generation, "")
    assert set(found.samples) == (set() if found.skipped else BOARD_LOADS)
    assert found.bad() == []
    if generation in {"G3a", "G3b"}:
        assert set(found.values("fp-response")) == BOARD_LOADS


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_a_board_with_an_inverted_band_is_exposed(generation: str, inverted: str) -> None:
    found = on_board(mixed.SUITE, generation, policy=inverted)
    assert set(found.bad()) == {"isolation", "band"}
