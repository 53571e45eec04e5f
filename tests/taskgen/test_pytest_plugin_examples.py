"""Counterexamples go from the simulator to a board: found under the same key, run once, and never lost on the way."""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase, InMemoryExampleDatabase

from taskgen.plugin.examples import adapt, is_property
from taskgen.strategies.registration import BOARD_EXAMPLES, PROFILES
from tests.taskgen.plugged import plug_in, run, runs

SUITE = """
    from pathlib import Path
    from hypothesis import given, strategies as st
    from taskgen import TaskSet

    def tasksets():
        return st.integers(0, 1000).map(lambda n: TaskSet([{"executiontime": 1, "period": 10 + n, "numberofjobs": 1}]))

    @given(tasksets())
    def test_short(taskgen_run, taskset):
        period = taskgen_run(taskset).tasks[0].period_ns // 10**6
        with Path("periods").open("a") as file:
            file.write(f"{period} ")
        assert period < 42 or not Path("bug").exists()

    @given(tasksets())
    def test_sound(taskgen_run, taskset):
        taskgen_run(taskset)

    def test_plain(taskgen_run):
        taskgen_run(TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1}]))
"""


def stored(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in (folder / ".hypothesis" / "examples").rglob("*") if path.is_file()}


def periods(folder: Path) -> list[int]:
    path = folder / "periods"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return [int(word) for word in text.split()]


def test_from_the_simulator_to_the_board_and_back(pytester: pytest.Pytester) -> None:
    plug_in(pytester)
    pytester.makepyfile(SUITE)
    bug = pytester.path / "bug"
    profile = "--hypothesis-profile=taskgen-dev"  # under CI, Hypothesis stores nothing by itself

    bug.touch()
    run(pytester, profile, "-k", "short").assert_outcomes(failed=1, deselected=2)
    assert periods(pytester.path)[-1] == 42
    known = stored(pytester.path)
    assert known

    bug.unlink()  # which the board hasn't
    result = run(pytester, profile, "--taskgen-target=lab", "--taskgen-replay", "-rs")
    result.assert_outcomes(passed=1, skipped=2)
    assert periods(pytester.path) == [42]
    assert len(runs(pytester)) == 1
    result.stdout.fnmatch_lines(
        [
            "taskgen: target lab, stored counterexamples only",
            "SKIPPED*: taskgen: --taskgen-replay runs stored counterexamples only",
        ]
    )
    assert stored(pytester.path) == known

    run(pytester, profile, "--taskgen-target=lab", "-k", "short", "--taskgen-budget=30").assert_outcomes(passed=1)
    assert 42 in periods(pytester.path)
    assert len(runs(pytester)) <= 30
    assert stored(pytester.path) >= known

    bug.touch()
    run(pytester, profile, "-k", "short").assert_outcomes(failed=1, deselected=2)
    assert periods(pytester.path)[0] == 42


# -- the settings of a test --------------------------------------------------------------------------------------------


@dataclass
class Item:
    """As much of a test item as is looked at."""

    obj: Any
    fixturenames: list[str] = field(default_factory=lambda: ["taskgen_run"])


def adapted(given_settings: settings, **how: Any) -> settings:
    """Return what becomes of the settings of a test that is collected twice."""

    @given_settings
    @given(st.integers())
    def test(number: int) -> None:
        pass

    how = {"on_board": False, "replay": False, "budget": None, "chosen": False, **how}
    items = [Item(test), Item(test), Item(lambda: None)]
    adapt(cast("list[pytest.Item]", items), **how)
    assert [is_property(cast("pytest.Item", item)) for item in items] == [True, True, False]
    result = test._hypothesis_internal_use_settings  # type: ignore[attr-defined]  # where Hypothesis keeps them
    assert isinstance(result, settings)
    return result


def plain(**options: Any) -> settings:
    return settings(settings.get_profile("default"), **{"database": InMemoryExampleDatabase(), **options})


def test_on_the_simulator_a_test_is_as_it_was() -> None:
    assert adapted(before := plain(max_examples=7, deadline=9)) is before


def test_on_a_board_examples_are_few_and_take_their_time() -> None:
    after = adapted(plain(max_examples=500, deadline=9), on_board=True)
    assert after.deadline is None
    assert HealthCheck.too_slow in after.suppress_health_check
    assert after.max_examples == PROFILES["taskgen-board"]["max_examples"]
    assert Phase.shrink not in after.phases
    assert adapted(plain(max_examples=3), on_board=True).max_examples == 3


def test_a_profile_that_the_user_chose_says_how_many() -> None:
    after = adapted(plain(max_examples=500), on_board=True, chosen=True)
    assert (after.max_examples, after.phases, after.deadline) == (500, plain().phases, None)


@pytest.mark.parametrize("on_board", [False, True])
def test_a_budget_says_how_many_and_leaves_shrinking_to_the_runs(on_board: bool) -> None:
    after = adapted(plain(deadline=9), on_board=on_board, budget=30)
    assert (after.max_examples, after.phases) == (30, plain().phases)
    assert HealthCheck.filter_too_much in after.suppress_health_check
    assert after.deadline == (None if on_board else timedelta(milliseconds=9))


def test_replaying_runs_one_stored_example_even_under_ci() -> None:
    after = adapted(settings(plain(), derandomize=True, database=None), replay=True, on_board=True)
    assert (after.max_examples, after.phases) == (1, (Phase.explicit, Phase.reuse))
    assert (after.derandomize, after.deadline) == (False, None)
    assert after.database is not None


@pytest.mark.parametrize("replay", [False, True])
def test_what_passes_elsewhere_stays_known(replay: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    simulated = InMemoryExampleDatabase()
    simulated.save(b"key", b"from the simulator")
    database = adapted(plain(database=simulated), replay=replay, on_board=True).database
    assert isinstance(database, ExampleDatabase)
    assert list(database.fetch(b"key")) == [b"from the simulator"]
    database.save(b"key", b"from the board")
    database.delete(b"key", b"from the simulator")
    assert list(simulated.fetch(b"key")) == [b"from the simulator"]
    on_board = list(DirectoryBasedExampleDatabase(BOARD_EXAMPLES).fetch(b"key"))
    assert on_board == ([] if replay else [b"from the board"])
    assert os.listdir() == ([] if replay else [".taskgen"])  # noqa: PTH208  # of the working directory


def test_a_test_without_database_and_one_of_ours_keep_it() -> None:
    assert adapted(plain(database=None), on_board=True).database is None
    ours = settings.get_profile("taskgen-board")
    assert adapted(ours, on_board=True).database is ours.database
