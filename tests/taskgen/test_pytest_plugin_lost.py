"""A target that is lost: the test ends with an error, and nothing is said about the scheduler under test."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace
from typing import Literal, cast

import pytest

from taskgen.plugin.artifacts import folder_of
from taskgen.plugin.verdicts import LOST, Verdicts
from tests.taskgen.plugged import HOSTS, plug_in, run, runs

NO_VERDICT = 75

PROPERTY = """
    from hypothesis import given, strategies as st
    from taskgen import TaskSet

    @given(st.integers(1, 9))
    def test_property(taskgen_run, executiontime):
        trace = taskgen_run(TaskSet([{"executiontime": executiontime, "period": 10, "numberofjobs": 1}]))
        assert not trace.misses
"""


@pytest.fixture
def _plugged_in(pytester: pytest.Pytester) -> None:
    plug_in(pytester)


@pytest.mark.usefixtures("_plugged_in")
def test_a_property_is_not_failed_by_a_lost_board(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PROPERTY)
    (pytester.path / "unplugged").touch()
    result = run(pytester, "--taskgen-target=lab", "--junitxml=report.xml", "--taskgen-artifacts=kept")
    result.assert_outcomes(errors=1)
    assert result.ret == NO_VERDICT
    assert runs(pytester) == [f"- {HOSTS[0]} lost"] * 3  # one example, with its retries
    result.stdout.fnmatch_lines(
        [
            "flaky:127.0.0.1:3001 was lost, tried 3 times: the cable is out; hint: plug it in",
            "run 0: *; the cable is out",
            "taskgen: 1 test has no verdict, the target was lost",
        ]
    )
    result.stdout.no_fnmatch_line("*FlakyFailure*")
    result.stdout.no_fnmatch_line("*Failing test case*")
    case = ET.parse(pytester.path / "report.xml").find(".//testcase")  # noqa: S314  # written by the line before
    assert case is not None
    assert (case.find("error") is not None, case.find("failure")) == (True, None)
    properties = {element.get("name"): str(element.get("value")) for element in case.iter("property")}
    assert "the cable is out" in properties["taskgen_lost"]
    folder = folder_of(pytester.path / "kept", f"{pytester.path.name[:-1]}.py::test_property")
    assert (folder / "run2.trace.json").exists()


@pytest.mark.usefixtures("_plugged_in")
def test_neither_expected_failures_nor_direct_runs_hide_the_loss(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from taskgen import TaskSet

        ONE = TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1}])

        @pytest.mark.xfail(reason="a known bug")
        def test_expected_to_fail(taskgen_run):
            taskgen_run(ONE)

        @pytest.mark.taskgen_xfail_on("lab", strict=True)
        def test_expected_to_fail_there(taskgen_run):
            taskgen_run(ONE)

        def test_directly(taskgen_session):
            list(taskgen_session.run(ONE))

        def test_on_its_way(request):
            request.getfixturevalue("taskgen_run")(ONE)

        def test_something_else():
            pass
        """
    )
    (pytester.path / "unplugged").touch()
    result = run(pytester, "--taskgen-target=lab")
    result.assert_outcomes(errors=4, passed=1)
    assert result.ret == NO_VERDICT
    result.stdout.fnmatch_lines(["taskgen: 4 tests have no verdict, the target was lost"])


@pytest.mark.parametrize(
    ("reports", "before", "after"),
    [
        ("", pytest.ExitCode.OK, pytest.ExitCode.OK),
        ("L", pytest.ExitCode.TESTS_FAILED, NO_VERDICT),
        ("PLLP", pytest.ExitCode.TESTS_FAILED, NO_VERDICT),
        ("LF", pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.TESTS_FAILED),  # a failure is a verdict
        ("F", pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.TESTS_FAILED),
        ("LC", pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERRUPTED),
        ("L", pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERRUPTED),
    ],
)
def test_the_exit_code_says_no_verdict_where_nothing_worse_is_to_be_said(
    reports: str, before: pytest.ExitCode, after: int
) -> None:
    verdicts = Verdicts()
    session = SimpleNamespace(exitstatus=before)
    for kind in reports:
        if kind == "C":
            verdicts.pytest_collectreport(pytest.CollectReport("test_a.py", "failed", "it is broken", []))
        else:
            properties = [(LOST, "the board")] if kind == "L" else []
            outcome: Literal["passed", "failed"] = "passed" if kind == "P" else "failed"
            verdicts.pytest_runtest_logreport(
                pytest.TestReport(kind, ("", 0, ""), {}, outcome, None, "setup", user_properties=properties)
            )
    verdicts.pytest_sessionfinish(cast("pytest.Session", session))
    assert session.exitstatus == after


@pytest.mark.usefixtures("_plugged_in")
def test_a_target_that_cannot_be_used_is_an_error_before_the_test_begins(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_run(taskgen_run): pass")
    (pytester.path / "vague").touch()
    result = run(pytester, "--taskgen-target=lab")
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["E * it may be a G1 or a G1o", "E * hint: say which"])
