"""Dialects: units and priorities of a board generation, to milliseconds and 0..127, and back."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskgen import TaskSet, dialect, document
from taskgen.errors import InputError, UsageError


def read(name: str, **attributes: Any) -> dict[str, Any]:
    """Return what one task means in a dialect."""
    (task,), _ = dialect.get(name).read([{"id": 0, **attributes}])
    return task


def write(name: str, **attributes: Any) -> dict[str, Any]:
    """Return one task as a dialect writes it."""
    (task,) = dialect.get(name).write([{"id": 0, **attributes}])
    return task


def test_the_default_changes_nothing() -> None:
    task = {"id": 0, "period": 0.5, "deadline": 3, "priority": [1, 300], "numberofjobs": 3, "offset": 2}
    assert read("now", **task) == task
    assert write("now", **task) == task
    assert dialect.get(None) is dialect.get("now")
    assert dialect.names()[0] == "now"


def test_the_announcement_had_seconds_and_microseconds() -> None:
    task = read("announced", period=5, deadline=2500, executiontime=7, criticaltime=9, priority=40)
    assert task == {
        "id": 0,
        "period": 5000,
        "deadline": Decimal("2.5"),
        "executiontime": 7,
        "criticaltime": 9,
        "priority": 40,
    }
    assert read("announced", period=Decimal("0.5"), deadline=1) == {
        "id": 0,
        "period": 500,
        "deadline": Decimal("0.001"),
    }
    assert write("announced", period=1.5, deadline=Fraction(5, 2)) == {
        "id": 0,
        "period": Decimal("0.0015"),
        "deadline": 2500,
    }


def test_choices_are_translated_value_by_value() -> None:
    assert read("announced", period=range(1, 4))["period"] == [1000, 2000, 3000]
    assert read("announced", deadline=[500, 1000])["deadline"] == [Decimal("0.5"), 1]
    assert read("G1", priority=range(127, 129))["priority"] == [0, 1]
    with pytest.raises(InputError, match=r"task 0: period: range\(1, 10000000000\) is too long to translate"):
        read("announced", period=range(1, 10**10))


@pytest.mark.parametrize(
    ("name", "priority", "level"),
    [
        *(("G1", priority, 0) for priority in (0, 1, 127)),
        *(("G1", priority, 1) for priority in (128, 32768, 65535, 70000)),
        ("G1o", 0, 0),
        *(("G1o", priority, 1) for priority in (1, 127, 128, 511)),
        *(("G1p", priority, priority // 128) for priority in (0, 127, 128, 255)),
        *(("G3a", priority, 128 - priority) for priority in (1, 2, 127, 128)),
        *((name, priority, priority) for name in ("G3b", "G4") for priority in (0, 1, 126, 127)),
        *((name, priority, 0) for name in ("G3b", "G4") for priority in (128, 5000, 2**32 - 1)),
    ],
)
def test_a_priority_becomes_its_kernel_level(name: str, priority: int, level: int) -> None:
    assert read(name, priority=priority)["priority"] == level


def test_a_board_reads_a_missing_priority_as_its_best() -> None:
    for name in ("G1", "G1o", "G1p", "G3b", "G4"):
        assert read(name)["priority"] == 0
    assert "priority" not in read("announced")


@pytest.mark.parametrize("priority", [{}, {"priority": 0}, {"priority": 129}])
def test_priorities_that_never_run_on_g3a_are_refused_but_beside_a_deadline(priority: dict[str, int]) -> None:
    """wire-protocol 7.2: 'p = 0 cannot run', 7.4: 'G3a with p > 128: level 0, runs only with a deadline'."""
    with pytest.raises(InputError, match=r"task 0: priority: (0|129) is out of range, expected 1..128 in dialect G3a"):
        read("G3a", **priority)
    assert read("G3a", **priority, deadline=5).get("priority", 128) == 128


def test_a_deadline_makes_edf_on_g1o_and_nothing_on_g1() -> None:
    assert read("G1o", priority=128, deadline=5000) == {"id": 0, "priority": 128, "deadline": 5}
    assert read("G1o", deadline=5000) == {"id": 0, "deadline": 5}
    assert read("G1o", priority=128, deadline=0) == {"id": 0, "priority": 1, "deadline": 0}
    assert read("G1o", priority=128, deadline=[5000, 8000])["priority"] == 128
    assert read("G1", priority=200, deadline=5000) == {"id": 0, "priority": 1}


def test_a_deadline_counts_on_g3b_at_priority_127_only() -> None:
    """wire-protocol 7.2: '`deadline` survives on G3b only for p = 127 exactly'; on G3a 'any' makes EDF, in ms."""
    assert read("G3b", priority=127, deadline=5, numberofjobs=1) == {
        "id": 0, "priority": 128, "deadline": 5, "numberofjobs": 1,
    }  # fmt: skip
    tasks, notes = dialect.get("G3b").read([{"id": 0, "priority": 126, "deadline": 5, "numberofjobs": 1, "period": 9}])
    assert tasks == [{"id": 0, "priority": 126, "numberofjobs": 1, "period": 9}]
    assert notes == ["G3b boards don't act on deadline beside another priority than that of EDF: left out"]
    assert "deadline" not in read("G3b", deadline=5)
    assert read("G3b", priority=127, deadline=0)["priority"] == 127
    assert read("G3b", priority=[127, 127], deadline=5)["priority"] == [128, 128]
    with pytest.raises(InputError, match=r"deadline: counts beside priority 127 only"):
        read("G3b", priority=[126, 127], deadline=5)
    assert (read("G3a", priority=9, deadline=5)["deadline"], read("G1p", deadline=5)["deadline"]) == (
        5, Decimal("0.005"),
    )  # fmt: skip
    assert "deadline" not in read("G4", priority=127, deadline=5)


def test_edf_is_written_as_each_board_reads_it() -> None:
    """wire-protocol 2.2: us on G1p, ms on G3; 7.2: any priority but for G3b, where missing (0) would discard it."""
    assert write("G1p", priority=128, deadline=5) == {"id": 0, "priority": 32768, "deadline": 5000}
    assert write("G3a", priority=128, deadline=5, period=9, numberofjobs=2)["priority"] == 1
    assert write("G3b", deadline=5, period=9, numberofjobs=2) == {
        "id": 0, "deadline": 5, "period": 9, "numberofjobs": 2, "priority": 127,
    }  # fmt: skip
    assert write("G3b", priority=127, deadline=[0, 5])["priority"] == 127
    assert write("G3b", priority=3, deadline=0)["priority"] == 3


@pytest.mark.parametrize("name", ["G3a", "G3b", "G4"])
def test_endless_is_a_number_where_none_never_starts(name: str) -> None:
    """wire-protocol 2.2: numberofjobs: '0: task never starts'; endless is 2^32 - 1 jobs."""
    assert write(name, priority=3, period=9)["numberofjobs"] == 4_294_967_295
    assert write(name, priority=3, period=9, numberofjobs=[0, 5])["numberofjobs"] == [4_294_967_295, 5]
    assert read(name, priority=3, period=9, numberofjobs=4_294_967_295)["numberofjobs"] == 0
    for jobs in ({}, {"numberofjobs": 0}):
        tasks, notes = dialect.get(name).read([{"id": 0, "priority": 3, "period": 9, **jobs}])
        assert tasks[0]["numberofjobs"] == 0
        assert notes == [f"{name} boards never start a task without numberofjobs: read as endless"]


def test_a_single_job_is_period_0_but_on_g4() -> None:
    """wire-protocol 6.4: 'period = 0: one start, whatever numberofjobs >= 1 says'; 6.5: 'period = 0 never fires'."""
    assert read("G3b", priority=3, period=0, numberofjobs=7)["numberofjobs"] == 1
    assert write("G3b", priority=3) == {"id": 0, "priority": 3, "numberofjobs": 1}
    written = write("G4", priority=3, period=0)
    assert written == {"id": 0, "priority": 3, "period": 2_147_483, "numberofjobs": 1}
    assert read("G4", **written) == {"id": 0, "priority": 3, "period": 0, "numberofjobs": 1}
    _, notes = dialect.get("G4").read([{"id": 0, "priority": 3, "numberofjobs": 1}])
    assert notes == ["G4 boards never start a task with period 0: read as a single job"]
    assert write("G4", priority=3, period=0, numberofjobs=4)["period"] == 0  # whoever validates the set names it


def test_what_a_board_does_not_act_on_is_left_out_with_a_note() -> None:
    tasks, notes = dialect.get("G1").read([{"id": 0, "priority": 0, "numberofjobs": 10, "offset": 5, "deadline": 0}])
    assert tasks == [{"id": 0, "priority": 0, "deadline": 0}]
    assert notes == ["G1 boards don't act on numberofjobs, offset: left out"]
    assert read("G1o", priority=0, numberofjobs=10, offset=0) == {
        "id": 0,
        "priority": 0,
        "numberofjobs": 10,
        "offset": 0,
    }
    assert "executiontime" not in read("G1", executiontime=0)


def test_equal_ids_are_numbered_by_position_with_one_note(capsys: pytest.CaptureFixture[str]) -> None:
    text = b"<t><periodictask><id>3</id></periodictask><periodictask><id>3</id></periodictask></t>"
    taskset = document.from_xml(text, "G1", "old.xml")
    assert [task["id"] for task in taskset] == [0, 1]
    assert capsys.readouterr().err == "note: equal ids: the tasks are numbered by position (old.xml)\n"
    with pytest.raises(InputError, match="id 3 is taken by task 0"):
        document.from_xml(text, "now")


def test_a_file_of_lines_notes_equal_ids_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sets.jsonl"
    path.write_text('{"taskset": {"periodictask": [{"id": 3}, {"id": 3}]}}\n' * 3)
    assert len(list(document.load_all(path, "announced"))) == 3
    assert capsys.readouterr().err.count("note:") == 1


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("G1", {"priority": 50}, "task 0: priority: 50 can't be expressed in dialect G1, which knows 0..1"),
        ("G1", {"priority": 128}, "priority: 128 can't be expressed"),
        ("G1", {}, r"priority: none \(least urgent\) can't be expressed"),
        ("G1", {"priority": [0, 2]}, "priority: 2 can't be expressed"),
        ("G1", {"priority": "high"}, "priority: 'high' can't be expressed"),
        ("G1", {"priority": 0, "deadline": 5}, "deadline: 5 can't be expressed in dialect G1"),
        ("G1", {"priority": 0, "offset": 5}, "offset: 5 can't be expressed"),
        ("G1", {"priority": 0, "period": 9, "numberofjobs": 5}, "numberofjobs: 5 can't be expressed"),
        ("G1", {"priority": 0, "period": 1.5}, r"period: 1.5 can't be expressed .* boards read whole numbers"),
        ("G1o", {"priority": 0, "deadline": Decimal("0.0005")}, r"deadline: 0.5 can't be expressed"),
        ("G1o", {"priority": 128}, "priority: 128 can't be expressed"),
        ("G1p", {"priority": 0, "period": 9, "numberofjobs": 5}, "numberofjobs: 5 can't be expressed"),
        ("G3a", {"period": 9}, r"priority: none \(least urgent\) can't be expressed in dialect G3a"),
        ("G3b", {"priority": 5, "deadline": 9}, "priority: 5 beside a deadline can't be expressed in dialect G3b"),
        ("G3b", {"priority": 5, "deadline": [0, 9]}, "priority: 5 beside a deadline can't be expressed"),
        ("G3b", {"priority": 128}, "priority: 128 can't be expressed"),
        ("G3b", {"priority": 1, "offset": 0.5}, r"offset: 0.5 can't be expressed .* boards read whole numbers"),
        ("G4", {"priority": 5, "deadline": 9}, "deadline: 9 can't be expressed in dialect G4"),
        ("G4", {"priority": 5, "period": [0, 9]}, "period: a choice between 0 and more can't be expressed"),
        ("G1o", {"priority": 128, "deadline": [0, 5]}, "priority: 128 can't be expressed"),
    ],
)
def test_what_a_dialect_cannot_express_is_refused(name: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write(name, **attributes)


def test_a_single_job_is_what_period_0_means_on_g1() -> None:
    assert write("G1", priority=1, period=0, numberofjobs=1) == {"id": 0, "priority": 128, "period": 0}


@pytest.mark.parametrize("priority", [-1, 2**32])
def test_a_priority_that_no_board_could_have_read_is_refused(priority: int) -> None:
    with pytest.raises(InputError, match=f"task 0: priority: {priority} is out of range, expected 0..4294967295"):
        read("G1", priority=priority)


def test_wrong_types_are_left_for_the_validation() -> None:
    for value in ("abc", None, True, Decimal("Infinity"), Decimal("1E+999999999999999999")):
        assert read("announced", period=value)["period"] is value
    with pytest.raises(InputError, match="period: 'abc' is not a finite number"):
        document.from_json('{"taskset": {"periodictask": [{"period": "abc"}]}}', "announced")


files = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(0, 129) | st.integers(0, 65535),
        "period": st.integers(0, 2**31),
        "deadline": st.integers(0, 2**31),
        "executiontime": st.integers(0, 10**12),
        "criticaltime": st.integers(0, 2**31),
        "numberofjobs": st.integers(0, 9),
        "offset": st.integers(0, 9),
    },
)


@given(st.sampled_from(dialect.names()), st.lists(files, min_size=1, max_size=4))
@example("G3b", [{"priority": 127, "deadline": 9}])
@example("G4", [{"period": 2_147_483, "numberofjobs": 1}])
def test_one_dump_later_loading_is_identity(name: str, tasks: list[dict[str, Any]]) -> None:
    row = dialect.get(name)
    if name == "G3a":  # where others never run
        tasks = [{**task, "priority": task.get("priority", 0) % 128 + 1} for task in tasks]
    loaded, _ = row.read(tasks)
    written = row.write(loaded)
    assert row.read(written) == (loaded, [])
    assert row.write(row.read(written)[0]) == written


@given(st.integers(0, 10**18) | st.decimals(0, 10**9, places=9))
def test_units_are_exact(value: int | Decimal) -> None:
    task = read("announced", period=value, deadline=value)
    assert Fraction(task["period"]) == Fraction(value) * 1000
    assert Fraction(task["deadline"]) == Fraction(value) / 1000
    assert write("announced", **task) == {"id": 0, "period": value, "deadline": value}


def test_an_unknown_dialect_has_near_names() -> None:
    with pytest.raises(UsageError, match="there is no dialect 'g1O'") as error:
        dialect.get("g1O")
    assert "G1o" in error.value.hint
    with pytest.raises(UsageError) as error:
        dialect.get("martian")
    assert error.value.hint == "known: now, announced, G1, G1o, G1p, G3a, G3b, G4"


def test_a_set_is_dumped_in_the_words_of_a_board() -> None:
    taskset = TaskSet([{"priority": 128, "deadline": 5, "period": 10}, {"priority": 1, "period": 20}])
    data = document.to_xml(taskset, "G1o")
    assert b"<deadline>5000</deadline>" in data
    assert b"<priority>128</priority>" in data
    assert document.from_xml(data, "G1o") == taskset
    assert document.from_json(document.to_json(taskset, "G1o"), "G1o") == taskset
