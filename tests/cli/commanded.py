"""What tests of the command line share: a file of task-sets, and processes that run commands."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., tuple[int, str, str]]

SETS = """
import itertools
from taskgen import TaskSet

def rm():
    return TaskSet([{"executiontime": 1, "period": 4}, {"executiontime": 2, "period": 6}])

def late():
    return TaskSet([{"executiontime": 3, "period": 4}, {"executiontime": 3, "period": 6}])

def always_late():
    return TaskSet([{"executiontime": 11, "period": 10, "priority": range(50)}])

class Huge(TaskSet):
    '''A billion variants.'''
    def __init__(self):
        super().__init__([{"executiontime": 1, "period": range(10, 10 + 10**9)}])

def endless():
    return TaskSet([{"executiontime": 1, "period": 10, "priority": 1, "offset": itertools.count()}])

class Seeded(TaskSet):
    def __init__(self, seed=0):
        super().__init__([{"executiontime": 1, "period": 10 + seed}])

def fifth_is_wrong():
    return TaskSet([{"executiontime": 1, "period": 10, "priority": [1, 2, 3, 4, 300, 5]}])

def breaks():
    raise RuntimeError("broken on purpose")

number = 42
"""


def start(tmp_path: Path, *arguments: str) -> "subprocess.Popen[str]":
    (tmp_path / "sets.py").write_text(SETS)
    return subprocess.Popen(
        [sys.executable, "-m", "taskgen", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        preexec_fn=_hear_signals,  # noqa: PLW1509  # it starts no thread and takes no lock
    )  # fmt: skip


def _hear_signals() -> None:
    """A shell lets background jobs ignore SIGINT, and their children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
