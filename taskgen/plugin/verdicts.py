"""How many tests have no verdict, because their target was lost: the summary and the exit code tell."""

from typing import Final

import pytest

from taskgen.errors import TargetError

#: The property of a report that names the target that was lost, and why.
LOST: Final = "taskgen_lost"


class Verdicts:
    """A plugin that counts what became of the tests, in the process that reports."""

    def __init__(self) -> None:
        self._failed = 0
        self._lost: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a report."""
        if not report.failed:
            return
        if LOST in dict(report.user_properties):
            self._lost.add(report.nodeid)
        else:
            self._failed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count what couldn't be collected."""
        self._failed += report.failed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let the exit code say that there is no verdict, where nothing worse is to be said."""
        if self._lost and not self._failed and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = TargetError.exit_code

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        """Say how many tests have no verdict."""
        if self._lost:
            tests = "1 test has" if len(self._lost) == 1 else f"{len(self._lost)} tests have"
            terminalreporter.write_line(f"taskgen: {tests} no verdict, the target was lost", yellow=True)
