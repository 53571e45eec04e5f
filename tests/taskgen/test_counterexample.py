"""Counterexamples as documents: what goes in comes out again, and nothing else is taken for one."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.errors import InputError, UsageError
from taskgen.testing.counterexample import (
    MOST_BYTES,
    MOST_EVENTS,
    MOST_JOBS,
    Counterexample,
    files,
    portable,
    read,
    stored,
    told,
    versions,
)
from taskgen.testing.properties import Violation
from taskgen.testing.runs import execute

TASKS = TaskSet([{"executiontime": Decimal("0.5"), "period": 4, "priority": 0, "pkg": "hey", "config": {"arg1": 3}}])


def found(**changes: Any) -> Counterexample:
    fields: dict[str, Any] = {
        "law": "job_counts", "taskset": TASKS, "seed": 7, "target": "sim", "session": "sim",
        "options": {"policy": "mine.py:Mine", "cores": 2, "context_switch_ms": Decimal("0.1"), "preemptive": False},
        "horizon_ms": Decimal("12.5"), "admission": {"optimize": {"goal": {}}}, "expected": "as many jobs as arrive",
        "violations": (Violation((0, 3), 12_000_001, "a job", "none"), Violation(None, None, "an end", "no end")),
        "trace": told(execute(SimSession(), TASKS)), "versions": versions(),
        "found": datetime(2026, 11, 22, 3, 42, 14, tzinfo=UTC),
    }  # fmt: skip
    return Counterexample(**{**fields, **changes})


def plain(counterexample: Counterexample) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(counterexample.to_json())
    return document


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(document))
    return path


# -- there and back


@given(
    taskset=ts.tasksets(policy="mixed", max_offset=5, max_jitter=3, max_jobs=3),
    seed=st.integers(0, 2**64),
    horizon_ms=st.none() | st.integers(0, 10**9),
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, taskset: TaskSet, seed: int, horizon_ms: int | None
) -> None:
    one = found(taskset=taskset, seed=seed, horizon_ms=horizon_ms)
    again = read(one.write(tmp_path_factory.getbasetemp() / "there-and-back"))
    assert [dict(task) for task in again.taskset] == [dict(task) for task in taskset]
    assert replace(again, taskset=taskset) == one


def test_times_and_violations_stay_exact(tmp_path: Path) -> None:
    again = read(found().write(tmp_path))
    assert again.taskset[0]["executiontime"] == Decimal("0.5")
    assert again.violations == found().violations
    assert str(again.violations[0]) == "job 3 of task 0 at 12.000001 ms: expected a job; saw none"
    assert again.options["context_switch_ms"] == Decimal("0.1")


def test_equal_findings_are_one_file_which_stays_as_it_is(tmp_path: Path) -> None:
    path = found().write(tmp_path)
    later = found(found=datetime(2027, 1, 1, tzinfo=UTC))
    assert later.write(tmp_path) == path
    assert read(path).found.year == 2026
    other = found(seed=8).write(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, other])


@pytest.mark.parametrize(
    "law", ["../../etc/passwd:law", "/x/y.py:law", "...", "\u00e4:\u00f6", "a" * 500, "C:\\x:y", "a\0b"]
)
def test_a_name_is_never_a_path(tmp_path: Path, law: str) -> None:
    path = found(law=law).write(tmp_path / "here")
    assert path.parent == tmp_path / "here"
    assert path.name.isascii()
    assert len(path.name) < 100
    assert path.is_file()


def test_a_long_trace_is_told_in_part() -> None:
    trace = execute(SimSession(), TASKS, horizon_ms=4 * (MOST_JOBS + 1))
    assert not told(trace)["complete"]
    assert len(told(trace)["jobs"]) == MOST_JOBS
    assert len(told(trace)["events"]) <= MOST_EVENTS
    assert told(execute(SimSession(), TASKS))["complete"]


def test_options_that_say_how_to_reach_a_target_stay_at_home() -> None:
    assert portable({"policy": "edf", "wire_log": "x", "argv": ["rm"]}) == {"policy": "edf"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file: can't be made"):
        found().write(tmp_path / "file")


def test_several_lines_of_a_law_become_one(tmp_path: Path) -> None:
    violations = (Violation(None, None, "one\nline", "two\x1b[0m"),)
    again = read(found(violations=violations, expected="").write(tmp_path))
    assert again.violations == (Violation(None, None, "one?line", "two?[0m"),)


# -- what is no counterexample


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.pop(key)


def with_(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.update(fields)


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another schema": (with_(schema=2), "schema: 2, expected 1"),
    "a schema that is true": (with_(schema=True), "schema: True, expected 1"),
    "no schema": (without("schema"), "schema: is missing"),
    "an unknown property": (with_(property="job_count"), "property: 'job_count', expected one that is known"),
    "no property": (with_(property=""), "property: '', expected the name of a property"),
    "no task-set": (with_(taskset=[]), r"taskset: \[\], expected a task-set"),
    "an empty task-set": (with_(taskset={"periodictask": []}), "taskset: periodictask: the task-set is empty"),
    "a wrong task": (with_(taskset={"periodictask": [{"period": -1}]}), "taskset: task 0: period: -1"),
    "a choice": (with_(taskset={"periodictask": [{"period": [1, 2]}]}), "taskset: task 0: period: .* is a choice"),
    "a seed in words": (with_(seed="one"), "seed: 'one', expected a whole number"),
    "no target": (with_(target=None), "target: None, expected the name of a target"),
    "a target that steers": (with_(target="\x1b[2J"), "target: .* expected the name of a target"),
    "an option that runs things": (
        with_(options={"argv": "rm -rf"}),
        "options: 'argv', expected binaries, context_switch_ms, cores",
    ),
    "an option with a list": (with_(options={"policy": ["x"]}), "options: .* expected an object of texts and numbers"),
    "a horizon before time": (with_(horizon_ms=-1), "horizon_ms: -1, expected a time"),
    "a horizon beyond time": (with_(horizon_ms=10**30), "horizon_ms: .* expected a time"),
    "violations of words": (with_(violations=["no"]), "violations: .* expected at most 100 objects"),
    "too many violations": (
        with_(violations=[{"task": 0, "job": 0, "time_ms": 0, "expected": "x", "seen": "y"}] * 101),
        "violations: .* expected at most 100",
    ),
    "too many jobs": (
        with_(trace={"end_ms": 1, "jobs": [{}] * (MOST_JOBS + 1), "events": [], "complete": True}),
        f"trace: .* at most {MOST_JOBS} jobs",
    ),
    "versions of numbers": (with_(versions={"taskgen": 1}), "versions: .* expected an object of texts"),
    "a time without zone": (with_(found="2026-11-22"), "found: '2026-11-22', expected a time with its zone"),
    "another field": (with_(tasket={}), "'tasket' is no field of a counterexample"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_is_named_with_the_file(tmp_path: Path, case: str) -> None:
    change, message = WRONG[case]
    document = plain(found())
    change(document)
    path = written(tmp_path, document)
    with pytest.raises(InputError, match=rf"^{path}: {message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_near_names_are_proposed(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(written(tmp_path, {**plain(found()), "property": "job_count"}))
    assert "job_counts" in caught.value.hint


_PLAIN = st.none() | st.booleans() | st.integers() | st.text()
_NESTED = st.recursive(_PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "nests too deeply"),
        (b"12", "is int, expected an object"),
        (b'{"seed": Infinity}', "Infinity is no number"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "is no JSON"),
        (b" " * (MOST_BYTES + 1), "is too long"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "one.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read(path)


@given(data=st.binary(max_size=200) | _NESTED.map(lambda value: json.dumps(value).encode()))
def test_whatever_is_read_it_is_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.json"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read(path)


@given(
    key=st.sampled_from(sorted(plain(found()))),
    value=_PLAIN | st.lists(_PLAIN, max_size=3) | st.dictionaries(st.text(max_size=3), _PLAIN, max_size=3),
)
def test_any_other_value_of_a_field_is_fine_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.json"
    path.write_text(json.dumps({**plain(found()), key: value}))
    try:
        assert read(path).digest
    except InputError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017  # both are right


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.json: can't be read: No such file"):
        read(tmp_path / "gone.json")
    with pytest.raises(InputError, match=r"gone: there is no such file or folder"):
        files([tmp_path / "gone"])


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """Whoever opens a pipe waits for its writer."""
    os.mkfifo(tmp_path / "pipe.json")
    for path in (tmp_path / "pipe.json", tmp_path):
        with pytest.raises(InputError, match=r"is no file, expected a counterexample"):
            read(path)


# -- folders


def test_a_folder_yields_what_is_about_a_property(tmp_path: Path) -> None:
    mine = [found(seed=seed).write(tmp_path) for seed in range(3)]
    found(law="event_stream").write(tmp_path)
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "broken.json").write_text("{}")
    told_of: list[str] = []
    assert [path for path, _ in stored("job_counts", tmp_path, told_of.append)] == sorted(mine)
    assert [each.partition(": ")[0] for each in told_of] == [str(tmp_path / "broken.json")]
    assert list(stored("job_counts", tmp_path / "none")) == []


def test_files_and_folders_are_taken_once_in_their_order(tmp_path: Path) -> None:
    paths = sorted(found(seed=seed).write(tmp_path) for seed in range(3))
    assert files([paths[2], tmp_path]) == [paths[2], *paths[:2]]
