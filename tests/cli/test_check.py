"""`taskgen check`: a bug is found without a test file, shrunk, stored, and found at once the next time."""

import json
from pathlib import Path
from typing import Any

import pytest

from sim import SimSession
from taskgen import Target, TaskSet, cli
from taskgen.errors import TargetLost
from taskgen.session import Plan
from taskgen.testing.counterexample import read
from tests.cli.laboratory import FOLDER, RIGHT, Laboratory

ORDER = ("check", "--property", "fixed_priority_order", "--policy", "mine.py:Mine")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Laboratory:
    return Laboratory(tmp_path, monkeypatch, capsys)


def test_a_planted_bug_is_found_and_shrunk_to_two_tasks(lab: Laboratory) -> None:
    code, out, err = lab.run(*ORDER, "--seed", "1")
    (file,) = lab.stored()
    assert (code, err) == (1, "")
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == "fixed_priority_order on sim: FAILED"
    assert lines[2:4] == [
        "task 0: executiontime 1, period 2, priority 1",
        "task 1: executiontime 1, period 2, priority 0",
    ]
    assert lines[4].startswith("job 0 of task 1 at 0.0 ms: expected it to run before job 0 of task 0; saw")
    assert "seed 1" in lines
    assert lines[-2:] == [
        f"next: taskgen replay {file.relative_to(lab.folder)}",
        "on boards: fixed_priority_events says the same as far as START and EXIT tell it",
    ]


def test_the_stored_document_says_all_that_it_takes_to_do_it_again(lab: Laboratory) -> None:
    lab.run(*ORDER, "--seed", "1", "--cores", "1")
    (file,) = lab.stored()
    found = read(file)
    assert (found.law, found.target, found.seed) == ("fixed_priority_order", "sim", 1)
    assert dict(found.options) == {"policy": "mine.py:Mine", "cores": 1}
    assert [dict(task)["priority"] for task in found.taskset] == [1, 0]
    assert found.trace["complete"]
    assert len(found.trace["jobs"]) == 4
    assert set(found.versions) == {"taskgen", "python", "hypothesis"}


def test_a_known_counterexample_comes_first_and_stays_when_the_bug_is_gone(lab: Laboratory) -> None:
    lab.run(*ORDER, "--seed", "1")
    before = lab.stored()
    code, out, _ = lab.run(*ORDER)
    assert code == 1
    assert "failed before, and fails again: 1 execution\n" in out
    assert f"known from {before[0].relative_to(lab.folder)}" in out
    lab.schedule(RIGHT)
    code, out, _ = lab.run(*ORDER, "--max-examples", "20")
    assert code == 0
    assert "1 stored counterexample passed here (kept)" in out
    assert lab.stored() == before


def test_the_same_seed_finds_the_same(lab: Laboratory) -> None:
    (_, first), (_, second) = (
        lab.json(*ORDER, "--seed", "5", "--counterexamples", folder) for folder in ("one", "two")
    )  # fmt: skip
    for document in (first, second):
        for row in document["properties"]:
            del row["file"], row["counterexample"]["found"]
    assert first == second


def test_a_seed_of_its_own_is_shown(lab: Laboratory) -> None:
    shown = [lab.run("check", "--property", "determinism", "--max-examples", "1")[1] for _ in range(2)]
    seeds = [int(line.split()[1]) for out in shown for line in out.splitlines() if line.strip().startswith("seed")]
    assert len(set(seeds)) == 2


def test_one_failure_hides_no_other_one(lab: Laboratory) -> None:
    code, document = lab.json(
        *ORDER, "--property", "work_conservation", "--property", "independence", "--seed", "1", "--max-examples", "40"
    )
    verdicts = {row["property"]: row["verdict"] for row in document["properties"]}
    assert code == 1
    assert verdicts == {"fixed_priority_order": "failed", "work_conservation": "held", "independence": "failed"}
    assert len(lab.stored()) == 2


def test_the_document_holds_the_counterexample_and_goes_to_a_file_whole(lab: Laboratory) -> None:
    code, out, _ = lab.run(*ORDER, "--seed", "1", "-o", "found.json")
    assert (code, out.splitlines()[0]) == (1, "fixed_priority_order on sim: FAILED")
    document = json.loads((lab.folder / "found.json").read_text())
    (row,) = document["properties"]
    assert (document["schema"], document["seed"], row["verdict"]) == (1, 1, "failed")
    assert row["counterexample"] == json.loads((lab.folder / row["file"]).read_text())


# -- no verdict


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--property", "laws.py:about_nothing"], "every example was skipped"),
        (["--property", "fixed_priority_order", "sim:G4"], "the target doesn't trace its scheduler"),
        (["--property", "rate_monotonic_order", "--policy", "fp"], "the target schedules by fp, not by rm"),
    ],
)
def test_a_search_that_judged_nothing_says_so(lab: Laboratory, arguments: list[str], reason: str) -> None:
    code, out, _ = lab.run("check", *arguments, "--max-examples", "3")
    assert code == 75
    assert "no verdict" in out
    assert reason in out
    assert lab.stored() == []


def test_a_failure_counts_more_than_a_missing_verdict(lab: Laboratory) -> None:
    code, document = lab.json(*ORDER, "--property", "laws.py:about_nothing", "--seed", "1")
    assert code == 1
    assert [row["verdict"] for row in document["properties"]] == ["failed", "none"]


def lost_after(runs: int, error: BaseException) -> Any:
    """Return the events of a simulator that is lost, or interrupted, after so many runs."""
    left = iter(range(runs))
    events = SimSession.events

    def lose(self: SimSession, plan: Plan) -> Any:
        if next(left, None) is None:
            raise error
        yield from events(self, plan)

    return lose


def test_a_board_that_dies_ends_the_search_without_a_verdict(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimSession, "events", lost_after(4, TargetLost("the cable is out", hint="plug it in")))
    lab.hasten()
    code, document = lab.json("check", "--property", "event_stream", "--property", "job_counts", "--seed", "1")
    first, second = document["properties"]
    assert code == 75
    assert (first["verdict"], first["examples"], first["complete"]) == ("none", 4, False)
    assert first["reason"] == "sim was lost, tried 3 times: the cable is out; plug it in"
    assert second["reason"] == "sim was lost, tried once: the cable is out; plug it in"


def test_what_was_found_before_the_board_died_is_kept(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimSession, "events", lost_after(12, TargetLost("the cable is out")))
    lab.hasten()
    code, out, _ = lab.run(*ORDER, "--seed", "1")
    assert code == 1
    assert "this may not be the smallest one: sim was lost, tried 3 times: the cable is out" in out
    assert len(lab.stored()) == 1


def test_ctrl_c_keeps_what_was_found(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimSession, "events", lost_after(12, KeyboardInterrupt()))
    code, out, _ = lab.run(*ORDER, "--seed", "1", "--property", "job_counts")
    assert code == 130
    assert "job_counts" not in out
    assert len(lab.stored()) == 1


def test_a_budget_bounds_the_executions_and_finds_what_it_can(lab: Laboratory) -> None:
    code, document = lab.json(*ORDER, "--seed", "1", "--budget", "6")
    (row,) = document["properties"]
    assert code == 1
    assert row["executions"] == 6
    assert row["unjudged"] > 0


# -- which sets


def test_variants_of_a_named_set_are_the_examples(lab: Laboratory) -> None:
    tasks = [{"id": 0, "executiontime": 2, "period": 10, "priority": 0}]
    tasks += [{"id": 1, "executiontime": 1, "period": 10, "priority": 1}]
    choices = [{**tasks[0], "period": {"range": [10, 60]}}, tasks[1]]
    (lab.folder / "set.json").write_text(json.dumps({"taskset": {"periodictask": choices}}))
    code, document = lab.json(*ORDER, "-f", "set.json", "--seed", "1")
    (row,) = document["properties"]
    assert (code, row["examples"], row["shrinks"]) == (1, 1, 0)
    assert row["counterexample"]["taskset"]["periodictask"][1] == tasks[1]
    lab.schedule(RIGHT)
    code, document = lab.json(*ORDER, "-f", "set.json", "--max-examples", "7", "--counterexamples", "none")
    assert (code, document["properties"][0]["examples"]) == (0, 7)


def test_bounds_hold(lab: Laboratory) -> None:
    bounds = ["--tasks", "2", "--max-period", "5", "--max-jobs", "1", "--unit", "100", "--program", "hey.HelloWorld"]
    own = "laws.py:no_second_job"
    assert lab.run("check", "--property", own, *bounds, "--max-examples", "20")[0] == 0
    del bounds[4:6]
    code, document = lab.json("check", "--property", own, *bounds, "--seed", "1")
    assert code == 1
    tasks = document["properties"][0]["counterexample"]["taskset"]["periodictask"]
    assert [(task["pkg"], task["executiontime"], task["period"]) for task in tasks] == [("hey", 100, 200)] * 2


def test_a_scheduler_for_priorities_alone_is_asked_about_nothing_else(lab: Laboratory) -> None:
    (lab.folder / "dynamic.py").write_text(
        "from sim import Policy\n\nclass Dynamic(Policy):\n"
        "    def rank(self, job, now_ns):\n        return job.task.priority % 32\n"
    )
    search = ("check", "--property", "job_counts", "--policy", "dynamic.py:Dynamic", "--seed", "1")
    assert lab.run(*search)[0] == 2  # it was given a deadline
    code, out, err = lab.run(*search, "--kind", "FP")
    assert (code, err) == (0, "")
    assert out.startswith("job_counts on sim: held")


# -- what is wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to check"),
        (["--property", "fixed_order"], "property 'fixed_order': there is none of this name"),
        (["--property", "laws.py:number"], "is no Property and no Relation"),
        (["--property", "laws.py:missing"], "has no 'missing'"),
        (["--property", "gone.py:law"], "there is no such file"),
        (["--property", "job_counts", "nowhere"], "there is no target 'nowhere'"),
        (["--property", "job_counts", "sim", "--target", "sim:G4"], "one search runs on one target"),
        (["--property", "job_counts", "--policy", "gone"], "there is no policy 'gone'"),
        (["--property", "job_counts", "--against", "board"], "only the simulator is an oracle"),
        (["--property", "job_counts", "--max-examples", "0"], "--max-examples"),
        (["--property", "job_counts", "--kind", "llf"], "policy: 'llf', expected FP, EDF, mixed"),
        (["--property", "job_counts", "--deadlines", "implizit"], "deadlines: 'implizit'"),
        (["--property", "job_counts", "-t", "example.Hey0TaskSet", "--tasks", "2"], "bounds are for random"),
        (["--property", "job_counts", "--dialect", "G1"], "SimSession takes no option 'dialect'"),
        (["--property", "job_counts", "--horizon", "-1"], "--horizon: -1 is negative"),
        (["--property", "job_counts", "--horizon", "nan"], "--horizon: NaN is not a finite number"),
        (["--property", "job_counts", "--max-period", "1" * 30], "--max-period"),
        (["--property", "job_counts", "--unit", "1" * 30], "--unit"),
        (["--property", "job_counts", "--program", "hey"], "--program hey"),
        (["--property", "laws.py:broken"], "property 'laws.py:broken': judging a run failed: KeyError"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(lab: Laboratory, arguments: list[str], message: str) -> None:
    code, out, err = lab.run("check", *arguments)
    assert (code, out) == (2, "")
    assert message in err.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "body", "message"),
    [
        ("", "return ['late']", "judging a run failed: TypeError: it yields 'late', expected a taskgen.testing."),
        ("", "return 3", "judging a run failed: TypeError: 'int' object is not iterable"),
        ("", "yield Violation((0,), 1, '', '')", "judging a run failed: TypeError: Violation.job is (0,), expected"),
        ("", "yield Violation(None, 1.5, '', '')", "judging a run failed: TypeError: Violation.time_ns is 1.5, "),
        ("", "yield Violation(None, -1, '', '')", "judging a run failed: TypeError: Violation.time_ns is -1, "),
        ("", "yield Violation(None, 1, None, '')", "judging a run failed: TypeError: Violation.expected is None, "),
        ("", "raise SystemExit(4)", "judging a run failed: SystemExit: 4"),
        ("needs=[lambda case: 1 / 0]", "return []", "asking what it needs failed: ZeroDivisionError"),
        ("conditions=[lambda case: 1 / 0]", "return []", "asking whether it is about a set failed: ZeroDivisionError"),
        ("conditions=[lambda case: 5]", "return []", "failed: TypeError: a condition returned 5, expected a text"),
    ],
)
def test_a_property_that_makes_no_sense_ends_the_search(
    lab: Laboratory, arguments: str, body: str, message: str
) -> None:
    (lab.folder / "own.py").write_text(
        "from taskgen.testing.properties import law, Violation\n"
        f"@law({arguments})\ndef mine(taskset, trace, tolerance):\n    {body}\n"
    )
    code, out, err = lab.run("check", "--property", "own.py:mine")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: property 'own.py:mine': {'' if message.startswith('failed') else message}")
    assert message in err.splitlines()[0]
    assert not lab.stored()


def test_who_names_sets_is_told_about_no_others(lab: Laboratory) -> None:
    """A file is judged although another set is known to fail; known to fail itself, it comes first as ever."""
    lab.run(*ORDER, "--seed", "1")
    task = {"executiontime": 1, "period": 4, "priority": 1}
    for name, tasks in (("one", [task]), ("two", [task, {**task, "priority": 0}])):
        TaskSet(tasks).dump(lab.folder / f"{name}.json")
    code, out, _ = lab.run(*ORDER, "-f", "one.json")
    assert (code, out.splitlines()[:2]) == (0, ["fixed_priority_order on sim: held", "  1 example, 1 execution"])
    assert "1 example, 1 execution\n" in lab.run(*ORDER, "-f", "two.json")[1]
    assert "failed before, and fails again: 1 execution\n" in lab.run(*ORDER, "-f", "two.json")[1]
    assert len(lab.stored()) == 2


def test_a_profile_is_part_of_what_the_target_is_called(lab: Laboratory) -> None:
    code, out, _ = lab.run("check", "--property", "event_stream", "--profile", "G4", "--max-examples", "2")
    assert (code, out.splitlines()[0]) == (0, "event_stream on sim:G4: held")


def test_a_policy_that_fails_while_it_runs_ends_the_search(lab: Laboratory) -> None:
    (lab.folder / "mine.py").write_text(
        "from sim import Policy\nclass Mine(Policy):\n    def rank(self, job, now_ns):\n        return 1 // job.index\n"
    )
    code, _, err = lab.run("check", "--property", "event_stream", "--policy", "mine.py:Mine")
    assert code == 2
    assert "policy Mine failed: ZeroDivisionError" in err


def test_a_file_that_is_no_counterexample_hinders_nobody(lab: Laboratory) -> None:
    lab.run(*ORDER, "--seed", "1")
    lab.stored()[0].with_name("a.json").write_text("{}")
    code, out, err = lab.run(*ORDER)
    assert code == 1
    assert "failed before" in out
    assert err == f"warning: {FOLDER / 'a.json'}: schema: is missing, expected 1, which this taskgen reads\n"


# -- listings


def test_the_list_names_each_law_with_its_needs_and_its_source(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = lab.run("check", "--list")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    paragraph = next(each for each in out.split("\n\n") if each.startswith("fixed_priority_order\n"))
    assert "\n  needs: trace, preemptive, no overheads, counts releases\n" in paragraph
    assert paragraph.endswith("\n  source: Liu & Layland, JACM 20(1), 1973, section 4")
    _, document = lab.json("check", "--list")
    laws = {row["name"]: row for row in document["properties"]}
    assert laws["fixed_priority_order"]["needs"] == ["trace", "preemptive", "no overheads", "counts releases"]
    assert laws["fixed_priority_order"]["source"] == "Liu & Layland, JACM 20(1), 1973, section 4"
    assert laws["kill_at_next_release"]["needs"] == ["outcomes", "counts starts (boards)"]
    assert "non-preemptive" in laws["nonpreemptive_edf_order"]["needs"]
    assert "policy auto" in laws["mixed_band"]["needs"]
    assert "one core" in laws["critical_instant"]["needs"]
    assert laws["critical_instant"]["about"].startswith(laws["critical_instant"]["summary"])
    assert lab.run("check", "--list", "-o", "laws.json")[0] == 0
    assert json.loads(Path("laws.json").read_text()) == document


def test_names_of_properties_are_completed(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TASKGEN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "taskgen check --property edf_")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        cli.make_app()(prog_name="taskgen", args=[])
    assert "edf_demand" in lab._capsys.readouterr().out.split()


def test_the_help_begins_with_an_example(lab: Laboratory) -> None:
    code, out, _ = lab.run("check", "--help")
    assert code == 0
    assert out.index("Example: taskgen check --property") < out.index("--max-examples")


def test_the_first_of_several_boards_is_used(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Target("sim", "ideal"), Target("sim", "G4")]
    monkeypatch.setattr("taskgen.cli.where.expand", lambda *_, **__: found)
    code, out, err = lab.run("check", "--property", "determinism", "--max-examples", "2", "lab")
    assert (code, err) == (0, "lab: 2 boards, this runs on ideal\n")
    assert out.startswith("determinism on sim:ideal: held")


def test_a_terminal_sees_how_far_it_is(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    _, _, err = lab.run("check", "--property", "determinism", "--max-examples", "2")
    assert "determinism: searching, 2 examples, 4 executions, 0 skipped" in err
