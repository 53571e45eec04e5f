"""Nightly runs go deep, and can be tried out with few examples: the commands of CONTRIBUTING.md."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.taskgen.properties.drawn import nightly

ROOT = Path(__file__).parents[3]
DEEP = "tests/taskgen/properties/test_correct.py"


def test_a_nightly_run_takes_the_nightly_profile_unless_told(pytestconfig: pytest.Config) -> None:
    asked = pytestconfig.getoption("--hypothesis-profile", None)
    assert asked or nightly(pytestconfig).max_examples == 5000


def test_the_documented_command_runs_the_deep_tests_with_few_examples() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    plain, quick = re.findall(r"^\S+ -m pytest -q -n auto (-m nightly.*?) +#", text, re.MULTILINE)
    assert quick.startswith(f"{plain} --hypothesis-profile ")
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *shlex.split(quick), DEEP, "-k", "fifo"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert "1 passed" in shown.stdout, shown.stdout + shown.stderr
