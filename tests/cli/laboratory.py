"""A folder with a scheduler and properties of the user's own, and the command line to check them."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from taskgen import cli
from taskgen.distributor.health import Care
from taskgen.testing import stand

#: A copy of a scheduler with fixed priorities, right and with a planted bug.
RIGHT, INVERTED = "task.priority", "-task.priority"
_SCHEDULER = """
from sim import JobFixedPriority

class Mine(JobFixedPriority):
    def priorities(self, tasks):
        return {{task.id: {rank} for task in tasks}}
"""
_LAWS = '''
from pathlib import Path

from taskgen.testing.properties import law, relation, Violation

@law()
def no_second_job(taskset, trace, tolerance):
    """No set of two tasks has a second job.

    Nobody says so. Any target.
    """
    if len(trace.tasks) > 1:
        for job in trace.jobs:
            if job.index:
                yield Violation((job.task_id, job.index), job.start_ns, "no job", "one")

@law(conditions=[lambda case: "it is about nothing"])
def about_nothing(taskset, trace, tolerance):
    """Nothing."""
    return []

@law()
def broken(taskset, trace, tolerance):
    """This one can't judge."""
    raise KeyError("no such thing")

@law()
def moody(taskset, trace, tolerance):
    """Every second run is wrong."""
    counter = Path("counter")
    runs = int(counter.read_text()) if counter.exists() else 0
    counter.write_text(str(runs + 1))
    return [Violation(None, None, "an even run", "an odd one")] * (runs % 2)

number = 42
'''
FOLDER = Path(".taskgen") / "counterexamples"


class Laboratory:
    """Runs command lines in a folder of its own."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:  # fmt: skip
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "200")
        self.folder = folder
        (folder / "laws.py").write_text(_LAWS)
        self.schedule(INVERTED)

    def schedule(self, rank: str) -> None:
        """Write the scheduler, as a user who edits his file."""
        (self.folder / "mine.py").write_text(_SCHEDULER.format(rank=rank))
        for name in [each for each in sys.modules if each.startswith("taskgen_file_")]:
            self._monkeypatch.delitem(sys.modules, name)

    def hasten(self) -> None:
        """Let lost targets rest for no time to speak of."""
        self._monkeypatch.setattr(stand, "Care", partial(Care, backoff_s=0.001))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr of a command line."""
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
        captured = self._capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, captured.out, captured.err

    def json(self, *arguments: str) -> tuple[int, Any]:
        """Return exit code and the JSON document of a command line."""
        code, out, _ = self.run(*arguments, "--json")
        return code, json.loads(out)

    def stored(self) -> list[Path]:
        """Return the stored counterexamples."""
        return sorted((self.folder / FOLDER).glob("*"))
