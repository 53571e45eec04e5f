"""A session for tests of the pytest plugin: a simulator that says it is a board, and is lost on request.

It is installed beside the test files, as a package of its own with an entry point. Each run adds a line to the file
`runs`: the worker, the address, and how it ended. As long as the file `unplugged` exists, runs are lost after their
third event; as long as `absent` does, nobody answers, and as long as `vague` does, nobody knows what it is.
"""

from pathlib import Path

import pytest

_MODULE = """
import os
from dataclasses import replace
from itertools import islice
from pathlib import Path

from sim.session import SimSession
from taskgen.errors import ConnectError, TargetLost, UsageError


class Flaky(SimSession):
    capabilities = replace(SimSession.capabilities, deterministic=False)

    def __init__(self, *, port: int = 3001, dialect: str = "auto") -> None:
        super().__init__()
        self.capabilities = type(self).capabilities

    @classmethod
    def open(cls, target):
        if Path("absent").exists():
            raise ConnectError(f"{target.address}: nobody is there", hint="plug it in")
        if Path("vague").exists():
            raise UsageError("it may be a G1 or a G1o", hint="say which")
        self = cls.construct(target.options)
        self.address = target.address
        return self

    def events(self, plan):
        lost = Path("unplugged").exists()
        with Path("runs").open("a") as file:
            worker = os.environ.get("PYTEST_XDIST_WORKER", "-")
            file.write(f"{worker} {self.address} {'lost' if lost else 'ok'}\\n")
        if not lost:
            yield from super().events(plan)
            return
        yield from islice(super().events(plan), 3)
        raise TargetLost("the cable is out", hint="plug it in")
"""

HOSTS = ("127.0.0.1:3001", "127.0.0.1:3002", "127.0.0.1:3003")


def plug_in(pytester: pytest.Pytester) -> None:
    """Install the session `flaky` where tests of `pytester` run, and an inventory with three boards: `lab`."""
    pytester.makepyfile(flaky=_MODULE)
    info = pytester.mkdir("flaky-1.0.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flaky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[taskgen.sessions]\nflaky = flaky:Flaky\n")
    (pytester.path / "taskgen.toml").write_text(
        f'[targets.lab]\nsession = "flaky"\nhosts = {list(HOSTS)}\nfeatures = ["arm"]\n'
    )


def runs(pytester: pytest.Pytester) -> list[str]:
    """Return the lines of the file `runs`, and forget them."""
    path = pytester.path / "runs"
    lines = path.read_text().splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own, in which the environment chooses no target.

    Other plugins are there only where a test needs them: their imports would be most of the time.
    """
    asked = {
        "hypothesispytest": any("hypothesis" in path.read_text() for path in pytester.path.glob("test_*.py")),
        "xdist": "-n" in arguments,
        "pytest_cov": False,
    }
    without = [option for name, needed in asked.items() if not needed for option in ("-p", f"no:{name}")]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TARGET", "INVENTORY", "BUDGET", "ARTIFACTS", "BINARIES"):
            patch.delenv(f"TASKGEN_{name}", raising=False)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        patch.delenv("PYTEST_XDIST_WORKER", raising=False)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *without, *arguments)
