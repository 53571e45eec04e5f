"""The reports of tests that ran something: traces for failures, and errors in the place of lost targets."""

from typing import Final

import pytest

from taskgen.errors import TargetError
from taskgen.plugin.artifacts import section
from taskgen.plugin.bench import BoardLost
from taskgen.plugin.campaign import Campaign
from taskgen.plugin.verdicts import LOST

_TITLE: Final = "taskgen"


def complete(report: pytest.TestReport, item: pytest.Item, call: "pytest.CallInfo[None]", campaign: Campaign) -> None:
    """Complete the report of one phase of a test."""
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, BoardLost | TargetError):
        _make_error(report, item, call, error)
    runner = campaign.runner
    if report.failed and runner.records:
        report.sections.append((_TITLE, section(runner, campaign.folder(item.nodeid))))


def _make_error(
    report: pytest.TestReport, item: pytest.Item, call: "pytest.CallInfo[None]", error: BaseException
) -> None:
    """Let a report say error in the place of failed, or of expected to fail."""
    report.outcome = "failed"
    report.__dict__.pop("wasxfail", None)
    if report.when == "call":
        # An error is what fails outside of the call: for pytest's summary, for JUnit, and for whoever counts.
        report.when = "setup"
    if isinstance(error, BoardLost) and call.excinfo is not None:
        # The message says it all; a traceback through Hypothesis would bury it.
        report.longrepr = call.excinfo.getrepr(style="value", chain=False)
    lost = (LOST, str(error))
    item.user_properties.append(lost)
    report.user_properties.append(lost)
