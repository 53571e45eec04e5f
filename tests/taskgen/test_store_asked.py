"""What makes a run the same run: all that can change a result, and nothing else."""

import itertools
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import Target, TaskSet
from taskgen.errors import InputError, UsageError
from taskgen.store.asked import differences, run_asked

PLAIN = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5)


def tasks(**attributes: object) -> TaskSet:
    return TaskSet([{"executiontime": 1, "period": 10, **attributes}])


@given(st.dictionaries(st.text(max_size=3), PLAIN), st.dictionaries(st.text(max_size=3), PLAIN))
def test_a_run_differs_from_others_and_not_from_itself(one: dict[str, object], other: dict[str, object]) -> None:
    asked = run_asked(**one)  # type: ignore[arg-type]  # names of the user's own
    assert differences(json.loads(json.dumps(asked)), asked) == ""
    said = differences(asked, run_asked(**other))  # type: ignore[arg-type]  # as above
    assert (said == "") == (_told(one) == _told(other))
    assert said.isprintable()


def _told(plain: dict[str, object]) -> str:
    return json.dumps({key: value for key, value in plain.items() if value is not None}, sort_keys=True)


def test_a_difference_names_both_values_and_three_fields_at_most() -> None:
    assert differences({"limit": 3}, {"seed": 1}) == "limit was 3, is not given now; seed was not given, is 1 now"
    many = differences({}, dict.fromkeys("abcde", "x" * 1000))
    assert many.count(";") == 3
    assert many.endswith("...")
    assert len(many) < 500


def test_a_set_counts_by_what_it_describes() -> None:
    def of(taskset: TaskSet, name: str = "folder/mine.py:it") -> object:
        return run_asked(tasksets=[(name, taskset)])["taskset"]

    assert of(tasks(priority=range(3))) == of(tasks(priority=range(3))) == of(tasks(priority=range(3)), "mine.py:it")
    others = [tasks(priority=range(4)), tasks(priority=2), tasks(priority=[0, 1]), tasks() + tasks()]
    assert len({str(of(each)) for each in [tasks(priority=range(3)), *others]}) == 5


def test_an_endless_set_is_looked_at_without_taking_anything_away(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def it():\n    return 1\n")
    taskset = tasks(number=itertools.count(5))
    asked = run_asked(tasksets=[(f"{tmp_path}/mine.py:it", taskset)])
    assert asked["taskset"][0].startswith("mine.py:it ")
    assert [each[0]["number"] for each in taskset.variants()[:3]] == [5, 6, 7]


def test_a_set_that_no_document_can_carry_is_refused() -> None:
    with pytest.raises(InputError, match="blob"):
        run_asked(tasksets=[("example.Hey0TaskSet", tasks(blob=b"abc"))])


def test_where_boards_are_doesnt_count() -> None:
    def of(*found: Target) -> object:
        return run_asked(targets=found)["target"]

    here, there = Target("taskloader", "10.0.0.7"), Target("taskloader", "[::1]:3001", {"port": 1, "wire_log": "x"})
    assert of(here) == of(there) == of(here, there) == ["taskloader"]
    assert of(Target("sim", "G1")) == ["sim:G1"]
    assert of(Target("taskloader", "10.0.0.7", {"dialect": "G1"})) == ['taskloader {"dialect": "G1"}']


def test_options_count_by_value_and_files_by_content(tmp_path: Path) -> None:
    policy = tmp_path / "mine.py"
    policy.write_text("one")
    options = {"policy": f"{policy}:Mine", "workload": str(policy), "quantum_ms": Decimal("10.0"), "wire_log": policy}
    first = run_asked(options=options)
    assert first == run_asked(options={**options, "quantum_ms": Decimal(10), "wire_log": "other"})
    policy.write_text("two")
    second = run_asked(options=options)
    assert first["policy"] != second["policy"]
    assert first["workload"] != second["workload"]


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cant_be_known_again_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        run_asked(files=[tmp_path / name])
