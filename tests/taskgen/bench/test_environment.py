"""What is recorded about this machine: all that can be known, and never an error."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from taskgen import __version__
from taskgen.bench import environment as environments
from taskgen.bench.environment import environment, git, host, load
from taskgen.document import encode

GIT = shutil.which("git") or ""
needs_git = pytest.mark.skipif(not GIT, reason="git isn't installed")


def run_git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    done = subprocess.run([GIT, *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_all_of_it_fits_into_a_document() -> None:
    found = environment()
    assert {"host", "kernel", "python", "clock", "versions", "git", "load"} == set(found)
    assert json.loads(encode(found)) == found
    assert found["versions"]["taskgen"] == __version__
    assert found["clock"]["resolution_ns"] > 0
    assert platform.python_version() in found["python"]


def test_the_name_of_this_machine_is_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "anna-laptop")
    first = host()
    assert "anna" not in encode(first)
    assert host() == first
    monkeypatch.setattr(platform, "node", lambda: "berta-laptop")
    assert host()["id"] != first["id"]


@needs_git
def test_git_tells_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    file = tmp_path / "kernel.c"
    file.write_text("1")
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "-q", "-m", "first")
    head = run_git(tmp_path, "rev-parse", "HEAD")
    assert git(tmp_path) == {"commit": head, "dirty": False}
    (tmp_path / "new.log").touch()
    assert git(tmp_path) == {"commit": head, "dirty": False}, "a file that git doesn't know"
    file.write_text("22")
    assert git(tmp_path) == {"commit": head, "dirty": True}
    run_git(tmp_path, "tag", "-a", "v1", "-m", "v1")
    assert git(tmp_path) == {"commit": head, "dirty": True}, "tags don't matter"


@needs_git
def test_no_repository_and_no_commit_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git(tmp_path) is None
    run_git(tmp_path, "init", "-q")
    assert git(tmp_path) is None
    assert git(tmp_path / "missing") is None


def test_a_missing_program_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git(tmp_path) is None


@pytest.mark.parametrize("text", ["", "garbage", "f" * 39, "g" * 40])
def test_a_program_that_prints_something_else_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho {text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git(tmp_path) is None


def test_a_program_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "git"
    program.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(30)\nprint('f' * 40)\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environments, "_GIT_SECONDS", 0.05)
    assert git(tmp_path) is None


def test_what_can_not_be_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError

    monkeypatch.setattr(environments, "_CPUINFO", tmp_path / "no")
    monkeypatch.setattr(environments, "_CPU", tmp_path / "no")
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(os, "getloadavg", fail)
    monkeypatch.setattr(os, "sched_getaffinity", fail)
    found = host()
    assert (found["cpu"], found["governor"], found["usable"], load()) == (None, None, None, None)


def test_the_processor_is_told_as_the_kernel_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo, governor = tmp_path / "cpuinfo", tmp_path / "governor"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Cortex-A9\nprocessor\t: 1\nmodel name\t: other\n")
    governor.write_text("powersave\n")
    monkeypatch.setattr(environments, "_CPUINFO", cpuinfo)
    monkeypatch.setattr(environments, "_CPU", governor)
    assert (host()["cpu"], host()["governor"]) == ("Cortex-A9", "powersave")
    cpuinfo.write_text("Model : Board 4\nHardware : BCM\n")
    assert host()["cpu"] == "Board 4"
