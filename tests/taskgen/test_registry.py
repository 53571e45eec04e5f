"""Names of users: entry points, their attributes, modules and files, from us and from other packages."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from taskgen import registry
from taskgen.errors import UsageError

MODULE = '''
"""A third-party package."""
from collections.abc import Generator
from typing import Self

from taskgen import Event, Session, Target, TaskSet
from taskgen.monitor import Monitor
from taskgen.session import Plan


class EchoSession(Session):
    @classmethod
    def open(cls, target: Target) -> Self:
        return cls.construct(target.options)

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        yield from ()


class Counter(Monitor):
    runs = 0

    def taskset_finished(self, run, trace):
        self.runs += 1


class Harmonic(TaskSet):
    def __init__(self, *, seed=0):
        super().__init__([{"period": [10, 20, 40]}], seed=seed)
'''

BLOCKS = '''
"""Blocks of a third-party package."""
Slow = {"period": 1000}

def Fast():
    return {"period": 1}
'''

ENTRY_POINTS = """
[taskgen.sessions]
echo = echo_plugin:EchoSession
broken = echo_plugin.missing:Session
[taskgen.monitors]
counter = echo_plugin:Counter
[taskgen.tasksets]
echo = echo_plugin
harmonic = echo_plugin:Harmonic
[taskgen.blocks]
speed = echo_plugin.speed
"""

METADATA = "Metadata-Version: 2.1\nName: echo-plugin\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

PROGRAM = """
import json
from taskgen import registry
from taskgen.distributor import Distributor
from taskgen.errors import UsageError

with Distributor("echo") as distributor:
    distributor.monitor = registry.load("monitors", "counter")()
    distributor.start(registry.load("tasksets", "echo.Harmonic")())
try:
    registry.load("sessions", "broken")
except UsageError as error:
    broken = str(error)
print(json.dumps({
    "runs": distributor.monitor.runs,
    "target": str(distributor.targets[0]),
    "alias": registry.load("tasksets", "harmonic") is registry.load("tasksets", "echo_plugin:Harmonic"),
    "blocks": [registry.load("blocks", "speed.Slow"), registry.load("blocks", "speed.Fast")()],
    "sessions": registry.names("sessions"),
    "tasksets": [name for name in registry.names("tasksets") if "armonic" in name],
    "listed": sorted(name for name in registry.names("blocks") if name.startswith("speed.")),
    "broken": broken,
}))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of a third-party package and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("plugin")
    wheel = folder / "echo_plugin-1.0-py3-none-any.whl"
    info = "echo_plugin-1.0.dist-info"
    files = {
        "echo_plugin/__init__.py": MODULE,
        "echo_plugin/speed.py": BLOCKS,
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    site = folder / "site"
    if importlib.util.find_spec("pip") is None:  # an environment made --without-pip: a pure wheel is just unpacked
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        return site
    options = [
        "--no-index",
        "--no-deps",
        "--no-compile",
        "--quiet",
        "--disable-pip-version-check",
        "--target",
        str(site),
    ]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True, timeout=120)
    return site


def test_a_package_of_somebody_else_adds_sessions_monitors_tasksets_and_blocks(site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    sessions = found.pop("sessions")
    assert {"echo", "sim", "stdio"} <= set(sessions)
    assert "broken" not in sessions
    assert found == {
        "runs": 3,
        "target": "echo",
        "alias": True,
        "blocks": [{"period": 1000}, {"period": 1}],
        "tasksets": ["echo.Harmonic", "harmonic"],
        "listed": ["speed.Fast", "speed.Slow"],
        "broken": "session 'broken': loading echo_plugin.missing:Session of the package echo-plugin failed:"
        " ModuleNotFoundError: No module named 'echo_plugin.missing'",
    }


def test_a_name_is_an_entry_point_an_attribute_of_one_or_a_module_with_class() -> None:
    from taskgen.sessions.stdio import StdIOSession

    assert registry.load("sessions", "stdio") is StdIOSession
    assert registry.load("sessions", "stdio.StdIOSession") is StdIOSession
    assert registry.load("sessions", "taskgen.sessions.stdio:StdIOSession") is StdIOSession
    assert registry.load("blocks", "period.Value")(10) == {"period": 10}
    assert registry.load("tasksets", "hey.Hey1TaskSet").__name__ == "Hey1TaskSet"


def test_aliases_are_not_listed() -> None:
    assert "stdio" in registry.names("sessions")
    assert "stdio.StdIOSession" not in registry.names("sessions")


def test_a_class_is_picked_from_a_file_whose_module_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "my_sets.py"
    file.write_text("from taskgen import TaskSet\nclass MySet(TaskSet): ...\nclass Other(MySet): ...\n")
    found = registry.load("tasksets", f"{file}:MySet")
    assert found.__name__ == "MySet"
    assert issubclass(registry.load("tasksets", f"{file}:Other"), found)
    same_name = tmp_path / "elsewhere" / "my_sets.py"
    same_name.parent.mkdir()
    same_name.write_text("MySet = 42\n")
    assert registry.load("tasksets", f"{same_name}:MySet") == 42
    assert registry.load("tasksets", f"{file}:MySet") is found


def test_a_module_may_resolve_its_names_lazily() -> None:
    from taskgen.testing.conformance import check_session

    assert registry.load("tasksets", "taskgen.testing:check_session") is check_session


def failure(group: str, name: str) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        registry.load(group, name)
    assert "\n" not in str(caught.value)
    return str(caught.value), caught.value.hint


@pytest.mark.parametrize(
    ("group", "name", "message", "hint"),
    [
        ("sessions", "smi", "there is no session 'smi'", "did you mean sim"),
        ("tasksets", "example.Hey66TaskSet", "task-set 'example.Hey66TaskSet': example has no 'Hey66TaskSet'",
         "did you mean example.Hey6TaskSet"),
        ("tasksets", "Hey1TaskSet", "there is no task-set 'Hey1TaskSet'", "did you mean hey.Hey1TaskSet"),
        ("tasksets", "qqq", "there is no task-set 'qqq'", "see `taskgen list tasksets`"),
        ("tasksets", "", "there is no task-set ''", "see `taskgen list tasksets`"),
        ("tasksets", "taskgen.taskset:BlockTaskset",
         "task-set 'taskgen.taskset:BlockTaskset': taskgen.taskset has no 'BlockTaskset'",
         "did you mean taskgen.taskset:BlockTaskSet"),
        ("sessions", "no_such_module:Session",
         "module 'no_such_module': importing it failed: ModuleNotFoundError: No module named 'no_such_module'",
         "install it, or name its file: path/file.py:Class"),
        ("sessions", "..relative:Session", "module '..relative': importing it failed: TypeError", ""),
    ],
)  # fmt: skip
def test_an_unknown_name_is_one_line_with_the_nearest_names(group: str, name: str, message: str, hint: str) -> None:
    said, proposed = failure(group, name)
    assert said.startswith(message)
    assert proposed.startswith(hint)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("raise SystemExit\n", "SystemExit"),
        ("class Set(\n", "SyntaxError: '(' was never closed (my_set.py, line 1)"),
        ("raise ValueError('two\\nlines')\n", "ValueError: two"),
        ("\0", "source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_fails_is_one_line_and_leaves_no_module(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "my_set.py"
    file.write_text(text)
    before = set(sys.modules)
    for _ in range(2):
        said, hint = failure("tasksets", f"{file}:Set")
        assert said.startswith(f"{file}: running it failed: ")
        assert reason in said
        assert hint == "run it with python to see where"
    assert not {name for name in set(sys.modules) - before if "my_set" in name}


def test_a_file_that_is_not_there_is_one_line_with_the_nearest_names(tmp_path: Path) -> None:
    (tmp_path / "my_set.py").write_text("class MySet: ...\nclass Your: ...\n")
    assert failure("tasksets", f"{tmp_path}/my_sets.py:MySet") == (
        f"{tmp_path}/my_sets.py: there is no such file",
        "did you mean my_set.py?",
    )
    assert failure("tasksets", f"{tmp_path}/nowhere/x.py:MySet")[0].endswith("there is no such file")
    assert failure("monitors", f"{tmp_path}/my_set.py:MySets")[1] == f"did you mean {tmp_path}/my_set.py:MySet?"
    assert failure("monitors", f"{tmp_path}/my_set.py") == (
        f"monitor '{tmp_path}/my_set.py': is a file, expected {tmp_path}/my_set.py:CLASS",
        f"name one of {tmp_path}/my_set.py:MySet, {tmp_path}/my_set.py:Your",
    )


def test_a_plug_in_that_raises_is_one_line_and_left_out_of_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ModuleType("broken")
    known = {
        "gone": EntryPoint("gone", "no_such_module:Session", "taskgen.sessions"),
        "part": EntryPoint("part", "broken:Session", "taskgen.sessions"),
    }
    monkeypatch.setitem(sys.modules, "broken", broken)
    monkeypatch.setattr(registry, "entries", lambda group: known)
    assert failure("sessions", "part")[0].startswith("session 'part': loading broken:Session failed: AttributeError")
    assert registry.names("sessions") == []


def test_of_equal_names_the_first_on_the_path_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [EntryPoint("twin", place, "taskgen.sessions") for place in ("first:Session", "second:Session")]
    monkeypatch.setattr(registry, "entry_points", lambda group: both)
    assert registry.entries.__wrapped__("sessions") == {"twin": both[0]}
