"""The canary: a set with known times tells drift, lost ticks and throttling of a board."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.board import serve
from hil.session import TaskloaderSession
from taskgen import Event, EventType, Session, Target, TaskSet, inventory, state
from taskgen.bench import calibrated, canary
from taskgen.bench.prepare import setting_of
from taskgen.boards import BoardTarget
from taskgen.distributor import Distributor
from taskgen.errors import UsageError
from taskgen.inventory.model import Canary, Entry, Health, Settings
from taskgen.monitor import Run
from taskgen.report.result import run_document
from taskgen.session import Plan
from taskgen.testing.stand import Stand
from taskgen.units import NS_PER_MS
from tests.taskgen.scripted import Recorder, session_of

SLOW = "[pi]\nconstant_ms = 112\nterms = [{ coefficient_ms = 0.0012, exponent = 1 }]\n"
SOON_MS = {"quiet_ms": 10}


@contextmanager
def board(generation: str, workload: Path | None = None, **options: Any) -> Iterator[Target]:
    with serve(generation=generation, workload=workload) as boards:
        target = boards.targets[0]
        yield replace(target, options={**target.options, "dialect": generation, **SOON_MS, **options})


def sung(target: Target) -> Mapping[str, Any]:
    with Stand(target) as stand:
        return canary.sing(stand, setting_of(stand, seed=0, duration_ms=1))


def inherit(target: Target, heir: Target) -> None:
    """Let a board have the reference of another one, as if its program had become slower since."""
    (path,) = Path(str(state.folder("canaries"))).glob(f"*{port_of(target)}.json")
    path.rename(path.with_name(path.name.replace(port_of(target), port_of(heir))))


def port_of(target: Target) -> str:
    return target.address.rpartition(":")[2]


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.toml"
    path.write_text(SLOW)
    return path


# -- boards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["G4", "G3a", "G1p"])
def test_a_board_is_measured_against_its_first_canary(generation: str, slow: Path) -> None:
    with board(generation) as target:
        first, second = sung(target), sung(target)
    assert (first["good"], first["reference"], first["execution_ms"]) == (True, None, 163.0)
    assert (second["good"], second["slow_percent"]) == (True, 0.0)
    assert second["reference"] == f"its first canary, {first['when']}"
    with board(generation, slow) as heir:
        inherit(target, heir)
        third = sung(heir)
    assert not third["good"]
    assert third["slow_percent"] == pytest.approx(26.994)
    (why,) = third["why"]
    assert why.startswith("a job takes 207.0 ms, 27.0 % more than 163.0 ms (its first canary,")


def test_a_board_is_measured_against_its_calibration(
    slow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / calibrated.FOLDER
    folder.mkdir(parents=True)
    table = (
        "[pi]\nconstant_ms = 102\nterms = [{ coefficient_ms = 0.000861, exponent = 1 }]\n[calibration]\nschema = 1\n"
    )
    table += (
        'target = "x"\ngeneration = "G4"\nwhen = "then"\n[calibration.programs.pi]\npoints = [{ arg1 = 1000000 }]\n'
    )
    with board("G4", workload=slow) as target:
        (folder / f"{calibrated.name_of(target)}.toml").write_text(table)
        song = sung(target)
    assert (song["good"], song["reference_ms"]) == (False, 163.1)
    assert song["reference"].startswith("calibration .taskgen/calibrations/")


def test_a_board_at_full_speed_has_no_clock_to_be_compared() -> None:
    with board("G4") as target:
        song = sung(target)
    assert song["drift_ppm"] is None
    assert song["clock_rate"] > 2
    assert (song["lost_ticks"], song["lost_releases"], song["jobs"]) == (0, 0, 5)


def test_the_simulator_sings_and_has_no_clock_at_all() -> None:
    song = sung(Target("sim"))
    assert (song["good"], song["execution_ms"], song["clock_rate"]) == (True, 188.1, None)
    assert state.folder("canaries") is not None
    assert not list(Path(str(state.folder("canaries"))).glob("*"))


def test_a_target_without_the_program_is_skipped(tmp_path: Path) -> None:
    with board("G4", binaries=str(tmp_path)) as target:
        song = sung(target)
    assert "there is no such file" in song["skipped"]


# -- figures -----------------------------------------------------------------------------------------------------------


class Clocks:
    """A board and this machine, in ns; jobs begin at given distances and take a given time."""

    def __init__(self, distances_ms: Sequence[int], took_ms: int = 163, rate: float = 1.0, late_ns: int = 0) -> None:
        self.starts_ms = [26, *itertools.accumulate(distances_ms, initial=26)][1:]
        self.took_ms = took_ms
        self.rate = rate
        self.late_ns = itertools.cycle([0, late_ns])
        self.now_ns = 0

    def events(self, session: Session, plan: Plan) -> Iterator[Event]:
        for number, start_ms in enumerate(self.starts_ms):
            end_ns = (start_ms + self.took_ms) * NS_PER_MS
            self.now_ns = round(end_ns / self.rate) + next(self.late_ns)
            yield Event(start_ms * NS_PER_MS, EventType.START, 0, number, None)
            yield Event(end_ns, EventType.EXIT, 0, number, None)

    def song(self, bounds: Canary | None = None) -> canary.Song:
        kind = session_of(self.events)
        kind.capabilities = TaskloaderSession.capabilities
        target = Target("taskloader", "10.0.0.7")  # nobody connects to it
        return canary.listen(kind.open(target), target, bounds=bounds, clock=lambda: self.now_ns)


EVEN = [canary.PERIOD_MS] * (canary.JOBS - 1)


@given(st.integers(-200_000, 200_000))
def test_drift_is_the_rate_of_the_boards_clock(drift_ppm: int) -> None:
    song = Clocks(EVEN, rate=1 + drift_ppm / 1e6).song()
    assert song.drift_ppm == drift_ppm
    assert song.drift_uncertainty_ppm is not None
    assert 200 < song.drift_uncertainty_ppm < 450
    assert song.good is (abs(drift_ppm) <= 10_000 + song.drift_uncertainty_ppm)


def test_messages_that_are_late_make_drift_uncertain_and_are_no_reason() -> None:
    song = Clocks(EVEN, rate=1.012, late_ns=40 * NS_PER_MS).song()
    assert song.drift_uncertainty_ppm is not None
    assert song.drift_uncertainty_ppm > 10_000
    assert song.good


@pytest.mark.parametrize(
    ("distances_ms", "ticks", "releases"),
    [
        ([800, 800, 800, 800], 0, 0),
        ([801, 799, 801, 799], 0, 0),  # stamps
        ([803, 800, 797, 800], 4, 0),
        ([800, 810, 800, 800], 9, 0),
        ([1600, 800, 800, 800], 0, 1),
        ([2402, 800, 800, 800], 1, 2),
    ],
)
def test_lost_ticks_are_what_starts_are_off_their_grid_by(distances_ms: list[int], ticks: int, releases: int) -> None:
    song = Clocks(distances_ms).song()
    assert (song.lost_ticks, song.lost_releases) == (ticks, releases)
    assert song.good is (ticks <= 5 and not releases)


def test_jobs_that_are_missing_are_bad() -> None:
    song = Clocks(EVEN[:2]).song()
    assert song.why == ("3 of 5 jobs came to their end",)
    assert Clocks(EVEN).song().reference is None  # a bad one is no reference


def test_bounds_of_the_inventory_count_more() -> None:
    assert Clocks(EVEN, rate=1.002).song().good
    assert not Clocks(EVEN, rate=1.002).song(Canary(drift_ppm=500)).good
    assert Clocks(EVEN, took_ms=180).song().slow_percent == 10.429
    assert Clocks(EVEN, took_ms=180).song(Canary(slow_percent=15)).good
    assert Clocks([820, *EVEN[1:]]).song(Canary(lost_ticks=50)).good


def test_a_clock_that_is_not_the_walls_is_bad_only_where_a_bound_is_asked_for() -> None:
    assert Clocks(EVEN, rate=3.0).song().good
    assert Clocks(EVEN, rate=3.0).song(Canary(drift_ppm=500)).why == (
        "its clock goes 3 times as fast as this machine's",
    )


@pytest.mark.parametrize("rubbish", ["", "[]", "{}", '{"execution_ns": 1}', "[" * 10_000, "\0"])
def test_a_reference_that_is_rubbish_counts_as_none_and_is_replaced(rubbish: str) -> None:
    Clocks(EVEN).song()
    (path,) = Path(str(state.folder("canaries"))).glob("*.json")
    path.write_text(rubbish)
    assert Clocks(EVEN, took_ms=300).song().reference is None
    assert json.loads(path.read_text())["execution_ns"] == 300 * NS_PER_MS


# -- the Distributor ---------------------------------------------------------------------------------------------------

TASKS = TaskSet([{"pkg": "hey", "period": 600, "priority": [1, 2, 3], "numberofjobs": 1}])


def watched(target: Target, **bounds: int) -> Target:
    health = Health("canary", quarantine_after=2, backoff_ns=1, max_backoff_ns=1, canary=Canary(**bounds))
    entry = Entry("lab", target.session)
    return BoardTarget(target.session, target.address, target.options, entry, Settings(health=health))


def results(*targets: Target) -> tuple[list[Run], Distributor]:
    recorder = Recorder()
    with Distributor(targets) as distributor:
        distributor.monitor = recorder
        distributor.start(TASKS, horizon_ms=3000)
    return recorder.results, distributor


def test_each_run_has_the_canary_of_its_board_where_the_inventory_asks_for_it() -> None:
    with board("G4") as target:
        runs, _ = results(watched(target))
        plain, _ = results(target)
    assert len(runs) == len(plain) == 3
    for run in runs:
        assert run.canary is not None
        assert (run.canary["good"], run.canary["execution_ms"]) == (True, 163.0)
        assert json.loads(run_document(run, None))["canary"] == run.canary
    assert [run.canary for run in plain] == [None] * 3
    assert "canary" not in json.loads(run_document(plain[0], None))


def test_a_board_that_is_slow_gets_nothing_and_another_one_does_the_work(slow: Path) -> None:
    with board("G4") as good, board("G4", slow) as worn:
        sung(good)
        inherit(good, worn)
        runs, distributor = results(watched(worn), watched(good))
    assert {(run.status, run.target) for run in runs} == {("finished", f"taskloader:{good.address}")}
    bad = distributor.health[0]
    assert (bad.total_failures > 0, "27.0 % more" in bad.reason) == (True, True)


def test_a_board_without_the_program_runs_a_job_of_hey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "listen", unknown)
    with board("G4") as target:
        runs, _ = results(watched(target))
    assert [(run.status, run.canary) for run in runs] == [("finished", None)] * 3


def unknown(*_: object, **__: object) -> None:
    raise UsageError("there is no pi")


# -- the inventory -----------------------------------------------------------------------------------------------------

Load = Callable[[str], Canary | None]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(health: str) -> Canary | None:
        path = tmp_path / "taskgen.toml"
        path.write_text(f'[targets.lab]\nhosts = ["10.0.0.7"]\n[targets.lab.health]\n{health}\n')
        found = inventory.load(path).entries["lab"].settings.health
        return None if found is None else found.canary

    return load


def test_the_inventory_says_what_is_good(load: Load) -> None:
    assert load('probe = "canary"') is None
    assert load("canary = { drift_ppm = 500, slow_percent = 5 }") == Canary(drift_ppm=500, slow_percent=5)
    assert load("canary = { lost_ticks = 0 }") == Canary(lost_ticks=0)


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ("canary = true", "health.canary: is the boolean true, expected a table"),
        ("canary = { drift = 1 }", "health.canary.drift: unknown key"),
        ("canary = { drift_ppm = -1 }", "health.canary.drift_ppm: is the number -1, expected an integer from 0"),
        ('canary = { slow_percent = "5" }', "health.canary.slow_percent: is the text '5', expected an integer"),
    ],
)
def test_a_bound_that_is_none_is_refused_with_its_line(load: Load, health: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(health)
    assert "taskgen.toml:4: targets.lab." in str(caught.value)
