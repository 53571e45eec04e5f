"""The pytest plugin as a user sees it: options, fixtures, markers, and what a failure leaves behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from taskgen.plugin import marks
from taskgen.plugin.artifacts import folder_of
from taskgen.plugin.choices import choices_of
from tests.taskgen.plugged import plug_in, run, runs

requires, xfail_on = pytest.mark.taskgen_requires, pytest.mark.taskgen_xfail_on
HEAVY = ("hypothesis", "lxml", "matplotlib", "numpy", "rich", "simpy", "typer")


def test_loading_the_plugin_imports_pytest_alone(tmp_path: Path) -> None:
    look = f"import sys, taskgen.pytest_plugin; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", look], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout.split() == []


def test_a_suite_that_needs_no_target_pays_for_none(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        import sys

        def test_the_plugin_is_there_and_nothing_else(pytestconfig):
            assert pytestconfig.getoption("--taskgen-target") == "nowhere"
            assert not {{*{HEAVY!r}, "taskgen.plugin.bench", "taskgen.plugin.pool"}} & set(sys.modules)
        """
    )
    result = run(pytester, "--taskgen-target=nowhere")
    result.assert_outcomes(passed=1)
    headers = [line for line in result.outlines if line.startswith("taskgen:")]
    assert headers == ["taskgen: target nowhere"]


def test_on_the_simulator(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\ntaskgen_target = sim:G4\nfilterwarnings = error\naddopts = --strict-markers")
    pytester.makepyfile(
        """
        import pytest
        from taskgen import Target, TaskSet, Trace

        HEY = {"pkg": "hey", "executiontime": 5, "period": 500, "numberofjobs": 3}

        def test_runs(taskgen_run, taskgen_target, taskgen_session, taskgen_artifacts):
            assert taskgen_target == Target("sim", "G4")
            assert taskgen_run.capabilities is taskgen_session.capabilities
            trace = taskgen_run(TaskSet([HEY]), horizon_ms=800)
            assert isinstance(trace, Trace) and len(trace.jobs) == 1
            assert list(taskgen_session.run(TaskSet([HEY])))
            (taskgen_artifacts / "mine").touch()

        def test_fails(taskgen_run):
            for jobs in range(1, 7):
                assert len(taskgen_run(TaskSet([{**HEY, "numberofjobs": jobs}])).jobs) < 6

        @pytest.mark.taskgen_requires("kill", "trace", "edf", cores=4, features=["arm"])
        def test_needs_more(taskgen_run):
            raise AssertionError("it is skipped")

        @pytest.mark.taskgen_requires("kill", "fp", cores=2)
        def test_needs_this(taskgen_run):
            pass

        @pytest.mark.taskgen_xfail_on("G?", reason="a known bug", strict=True)
        def test_known(taskgen_run):
            raise AssertionError("as it is known")

        @pytest.mark.taskgen_xfail_on("G3b", "lab")
        def test_known_elsewhere(taskgen_run):
            pass
        """
    )
    result = run(pytester, "-rsx", "--taskgen-artifacts=kept")
    result.assert_outcomes(passed=3, failed=1, skipped=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "taskgen: target sim:G4",
            "*--- taskgen ---*",
            "target sim:G4, 6 executions",
            "run 3: 6 jobs, 0 missed, *",
            "SKIPPED*: taskgen: sim:G4 lacks trace, edf, 4 cores, arm",
            "XFAIL*test_known - a known bug",
        ]
    )
    failed = folder_of(pytester.path / "kept", "test_on_the_simulator.py::test_fails")
    traces = [json.loads((failed / f"run{number}.trace.json").read_text()) for number in range(4)]
    assert [len(trace["jobs"]) for trace in traces] == [3, 4, 5, 6]  # the last ones
    assert json.loads((failed / "run3.taskset.json").read_text())["taskset"]["periodictask"][0]["numberofjobs"] == 6
    assert str(failed / "run3.perfetto.json") in result.stdout.str()
    assert (folder_of(pytester.path / "kept", "test_on_the_simulator.py::test_runs") / "mine").exists()
    assert len(list((pytester.path / "kept").iterdir())) == 2  # those who passed without files have no folder


def test_targets_are_called_by_their_names(pytester: pytest.Pytester) -> None:
    plug_in(pytester)
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.taskgen_requires(features=["arm"])
        @pytest.mark.parametrize("name", [
            pytest.param(name, marks=pytest.mark.taskgen_xfail_on(name)) for name in ["lab", "flaky", "127.0.0.1:*"]
        ])
        def test_known(taskgen_run, name):
            raise AssertionError(name)
        """
    )
    run(pytester, "--taskgen-target=lab").assert_outcomes(xfailed=3)
    assert runs(pytester) == []


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (requires("edff"), "'edff' is no capability, did you mean edf?"),
        (requires(3), "3 is no capability, expected one of *"),
        (requires(), "names no capability"),
        (requires("edf", core=2), "takes no argument 'core', *"),
        (requires(cores=0), "cores: 0, expected a whole number from 1 on"),
        (requires(features="arm"), "features: 'arm', expected a list of names"),
        (xfail_on(), "names no target"),
        (xfail_on(4), "4 is no name of a target"),
        (xfail_on("sim", why="so"), "takes no argument 'why', *"),
    ],
)
def test_a_wrong_marker_is_named(request: pytest.FixtureRequest, mark: pytest.MarkDecorator, said: str) -> None:
    item = request.node
    marks.check([item])
    item.add_marker(mark)
    with pytest.raises(pytest.UsageError) as caught:
        marks.check([item])
    item.own_markers.remove(mark.mark)
    pytest.LineMatcher([str(caught.value)]).fnmatch_lines(
        [f"{item.nodeid.partition('[')[0]}*: marker {mark.name}: {said}"]
    )


def test_a_wrong_marker_or_target_ends_the_run_before_it_begins(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import pytest\n@pytest.mark.taskgen_requires('edff')\ndef test_func(): pass")
    result = run(pytester, "-q")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *test_func: marker taskgen_requires: 'edff' is no capability*"])


def test_the_command_line_counts_more_than_the_environment_and_that_more_than_the_file(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makeini(
        "[pytest]\ntaskgen_target = lab\ntaskgen_budget = 7\ntaskgen_artifacts = out\ntaskgen_binaries = none\n"
        "taskgen_inventory = here/lab.toml"
    )
    monkeypatch.setenv("TASKGEN_TARGET", "sim:G1")
    monkeypatch.setenv("TASKGEN_BUDGET", "8")
    for name in ("INVENTORY", "ARTIFACTS", "BINARIES"):
        monkeypatch.delenv(f"TASKGEN_{name}", raising=False)
    choices = choices_of(pytester.parseconfig("--taskgen-target", "10.0.0.7", "--taskgen-board", "10.*"))
    assert (choices.target, choices.budget, choices.patterns) == ("10.0.0.7", 8, ("10.*",))
    assert (choices.artifacts, choices.inventory) == (pytester.path / "out", pytester.path / "here" / "lab.toml")
    assert (choices.binaries, choices.replay) == ("none", False)


@pytest.mark.parametrize("budget", ["0", "-1", "many", "1.5", "", "9" * 5000])
def test_a_budget_is_a_whole_number_from_one_on(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    monkeypatch.delenv("TASKGEN_BUDGET", raising=False)
    config = pytester.parseconfig(f"--taskgen-budget={budget}")
    if not budget:
        assert choices_of(config).budget is None
        return
    with pytest.raises(pytest.UsageError, match=r"^--taskgen-budget: .* is no number of executions"):
        choices_of(config)


def test_each_test_has_a_folder_of_its_own(tmp_path: Path) -> None:
    names = ["a.py::test[x/..]", "a.py::test[x-..]", "a.py::test[" + "y" * 300 + "]", "a.py::test[\0é]"]
    folders = {folder_of(tmp_path, name) for name in names}
    assert len(folders) == len(names)
    for folder in folders:
        assert folder.parent == tmp_path
        folder.mkdir()
