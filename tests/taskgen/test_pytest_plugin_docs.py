"""The test file of the documentation runs, unchanged, where the documentation says that it does."""

import re
from pathlib import Path

import pytest

import hil.board
from tests.taskgen.plugged import run

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.fixture(autouse=True)
def _documented(pytester: pytest.Pytester) -> None:
    ten_lines, more = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(ten_lines.splitlines()) == 10
    pytester.makepyfile(test_mine=ten_lines, test_more=more)


def test_on_the_simulator(pytester: pytest.Pytester) -> None:
    run(pytester, "--taskgen-target", "sim").assert_outcomes(passed=2, skipped=1)


def test_on_a_board_in_software(pytester: pytest.Pytester) -> None:
    with hil.board.serve(generation="G4", speed="max") as boards:
        result = run(pytester, "--taskgen-target", str(boards.addresses[0]), "-rs")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*taskgen: taskloader:127.0.0.1:* lacks trace"])
