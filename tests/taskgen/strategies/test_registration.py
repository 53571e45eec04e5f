"""What the package is to its users: names, docstrings, and what Hypothesis knows without being told."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase

from taskgen import Task, TaskSet, strategies
from taskgen.strategies.registration import KnownExamples

PROFILES = {
    "taskgen-dev": 100,
    "taskgen-ci": 200,
    "taskgen-nightly": 5000,
    "taskgen-board": 20,
    "taskgen-replay": 1,
    "taskgen-repro": 100,
}
STRATEGIES = [name for name in strategies.__all__ if name.islower()]


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter that takes warnings for errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, cwd=folder, env={**os.environ, **environment},
    )  # fmt: skip


def test_the_public_names_are_sorted() -> None:
    assert strategies.__all__ == sorted(strategies.__all__)


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_says_what_examples_shrink_towards_and_takes_bounds_by_name(name: str) -> None:
    strategy = getattr(strategies, name)
    assert "Examples from this strategy shrink towards" in (inspect.getdoc(strategy) or "")
    kinds = {parameter.kind for parameter in inspect.signature(strategy).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def test_strategies_are_found_by_type() -> None:
    once = settings(database=None, deadline=None, derandomize=True)
    assert find(st.from_type(TaskSet), lambda _: True, settings=once)[0]["period"] == 1
    assert "id" not in find(st.from_type(Task), lambda _: True, settings=once)


@pytest.mark.parametrize(("name", "examples"), PROFILES.items())
def test_a_profile_exists_and_suppresses_no_health_check(name: str, examples: int) -> None:
    profile = settings.get_profile(name)
    assert profile.max_examples == examples
    assert profile.deadline is None
    assert profile.print_blob
    assert not set(profile.suppress_health_check) & set(HealthCheck)


def test_on_a_board_nothing_is_shrunk_and_a_replay_only_replays() -> None:
    assert set(settings.get_profile("taskgen-board").phases) == {Phase.explicit, Phase.reuse, Phase.generate}
    assert set(settings.get_profile("taskgen-replay").phases) == {Phase.explicit, Phase.reuse}
    assert settings.get_profile("taskgen-repro").derandomize


@pytest.mark.parametrize(("first", "ci"), [("hypothesis", "true"), ("taskgen.strategies", "true"), ("hypothesis", "")])
def test_the_profiles_are_there_whatever_comes_first_also_under_ci(first: str, ci: str, tmp_path: Path) -> None:
    """Under CI, Hypothesis itself is derandomized and keeps no examples."""
    code = (
        f"import {first}; from hypothesis import settings, strategies as st; from taskgen import TaskSet;"
        "[settings.get_profile(name) for name in " + repr(list(PROFILES)) + "];"
        "ci = settings.get_profile('taskgen-ci'); assert ci.database is not None and not ci.derandomize;"
        "st.from_type(TaskSet).validate()"
    )
    assert python(code, tmp_path, CI=ci).stderr == ""
    assert not list(tmp_path.iterdir())


def test_a_replay_finds_what_the_simulator_stored_and_never_deletes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = InMemoryExampleDatabase()
    monkeypatch.setitem(settings._profiles, "default", settings(settings.get_profile("default"), database=stored))
    stored.save(b"key", b"example")
    for name in ("taskgen-replay", "taskgen-board"):
        database = settings.get_profile(name).database
        assert database is not None
        assert list(database.fetch(b"key")) == [b"example"]
    known = KnownExamples()
    known.delete(b"key", b"example")
    known.save(b"key", b"another")
    known.move(b"key", b"elsewhere", b"example")
    assert list(known.fetch(b"key")) == [b"example"]
    assert not list(known.fetch(b"elsewhere"))


def test_without_hypothesis_there_is_one_clear_line(tmp_path: Path) -> None:
    """The core doesn't need it; nothing but this package says so."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import taskgen\n"
        "from taskgen.errors import UsageError\n"
        "try:\n    import taskgen.strategies\n"
        "except UsageError as error:\n    assert isinstance(error, ImportError); print(error, error.hint, sep='; ')"
    )
    shown = python(code, tmp_path)
    assert shown.stdout == (
        "taskgen.strategies needs Hypothesis, which is not installed; pip install 'rt-taskgen[testing]'\n"
    )
    assert not shown.stderr
