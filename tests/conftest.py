"""Our plugin is loaded here and not by its entry point (`-p no:taskgen` in pyproject.toml): coverage sees it then."""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Whoever runs pytest without our addopts has it already.
pytest_plugins = ["pytester"] + (["taskgen.pytest_plugin"] if "taskgen.pytest_plugin" not in sys.modules else [])


@pytest.fixture(scope="session", autouse=True)
def _states(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what programs remember of boards out of the user's home."""
    with pytest.MonkeyPatch.context() as patch:
        states = tmp_path_factory.mktemp("states")
        patch.setenv("TASKGEN_STATE", str(states))
        yield states


_tests = itertools.count()


@pytest.fixture(autouse=True)
def _state(_states: Path) -> None:
    """Give each test a state of its own; the folder is made when something is written."""
    os.environ["TASKGEN_STATE"] = str(_states / str(next(_tests)))
