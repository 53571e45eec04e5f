"""The shelf: numbers that nobody else gets, names that any file system takes, and what users may call a result."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from taskgen.bench import document, shelf
from taskgen.errors import UsageError
from tests.taskgen.bench.results import of, with_target


def test_results_are_numbered_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "bench"
    first = shelf.store(of([1]), folder)
    second = shelf.store(replace(with_target(of([2]), name="../10.0.0.0/24 é"), environment={}), folder)
    third = shelf.store(replace(with_target(of([3]), name=""), environment={"git": None}), folder)
    assert [path.name for path in (first, second, third)] == [
        "0001_9f3c1e2_lab.json", "0002_nogit_10.0.0.0-24.json", "0003_nogit_target.json"
    ]  # fmt: skip
    assert shelf.stored(folder) == [first, second, third]
    assert document.read(second).suites == of([2]).suites
    assert len(list(folder.iterdir())) == 3, "no claim is left"


def test_numbers_go_on_after_the_highest_and_beyond_four_digits(tmp_path: Path) -> None:
    (tmp_path / "9999_abc_lab.json").write_text("{}")
    (tmp_path / "0042_abc_lab.json").write_text("{}")
    (tmp_path / "20000.json").write_text("no result")
    assert shelf.store(of(), tmp_path).name == "10000_9f3c1e2_lab.json"
    assert [path.name[:5] for path in shelf.stored(tmp_path)] == ["0042_", "9999_", "10000"]


def test_a_number_that_another_process_claims_or_has_used_meanwhile_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".0001.claim").touch()  # it writes right now, or was killed
    (tmp_path / "0002_abc_lab.json").write_text("{}")
    stale: list[list[Path]] = [[]]  # the first look was before that
    look = shelf.stored
    monkeypatch.setattr(shelf, "stored", lambda folder: stale.pop() if stale else look(folder))
    assert shelf.store(of(), tmp_path).name.startswith("0003_")
    assert not (tmp_path / ".0002.claim").exists()


def test_processes_that_store_at_once_get_different_numbers(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dataclasses import replace; from taskgen.bench import shelf;"
        "from tests.taskgen.bench.results import of, with_target\n"
        "sys.stdin.readline()\n"
        "for _ in range(20): shelf.store(with_target(of([1]), name=sys.argv[2]), Path(sys.argv[1]))"
    )
    root = Path(__file__).parents[3]
    started = [
        subprocess.Popen([sys.executable, "-c", program, tmp_path, name], cwd=root, stdin=subprocess.PIPE)
        for name in ("a", "b", "c")
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait(60) for process in started] == [0, 0, 0]
    numbers = [path.name[:4] for path in shelf.stored(tmp_path)]
    assert len(numbers) == len(set(numbers)) == 60


def test_a_result_that_can_not_be_stored_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no finite number"):
        shelf.store(of([float("nan")]), tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be made"):
        shelf.store(of(), tmp_path / "file" / "bench")


def test_a_result_is_found_by_what_users_call_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = shelf.store(of([1])), shelf.store(of([2]))
    main = shelf.save_baseline(of([3]), "main")
    Path("elsewhere.json").write_text("{}")
    calls = {
        "latest": second, "latest~0": second, "latest~1": first, "1": first, "0002": second, str(first): first,
        first.name: first, first.stem: first, "main": main, "elsewhere.json": Path("elsewhere.json"),
    }  # fmt: skip
    assert {call: shelf.find(call) for call in calls} == calls
    assert main == Path(".taskgen/bench/baselines/main.json") == shelf.baseline("main")


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("latest~2", "latest~2: there are 2 results in", ""),
        ("7", "7: there is no result of this number in .*, expected 1 to 2", ""),
        ("mian", "'mian': there is no such file, nor a result", "did you mean main?"),
        ("0001_9f3c1e2_lib", "there is no such file", "did you mean 0001_9f3c1e2_lab"),
        ("", "there is no such file", "latest"),
        ("\0", "there is no such file", "latest"),
        ("x" * 5000, "there is no such file", "latest"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path: Path, reference: str, message: str, hint: str) -> None:
    shelf.store(of(), tmp_path)
    shelf.store(of(), tmp_path)
    shelf.save_baseline(of(), "main", tmp_path)
    with pytest.raises(UsageError, match=message) as raised:
        shelf.find(reference, tmp_path)
    assert hint in raised.value.hint
    assert len(str(raised.value)) < 500


def test_an_empty_shelf_says_so(tmp_path: Path) -> None:
    for reference, message in (
        ("latest", "there are no results"),
        ("1", "there is none yet"),
        ("main", "no such file"),
    ):
        with pytest.raises(UsageError, match=message):
            shelf.find(reference, tmp_path / "none")
    with pytest.raises(UsageError, match="there is no baseline 'main'"):
        shelf.baseline("main", tmp_path)


def test_a_baseline_is_replaced_whole(tmp_path: Path) -> None:
    shelf.save_baseline(of([1]), "main", tmp_path)
    path = shelf.save_baseline(of([2]), "main", tmp_path)
    assert document.read(path) == of([2])
    assert [each.name for each in path.parent.iterdir()] == ["main.json"]
    assert json.loads(path.read_text())["schema"] == 1


@pytest.mark.parametrize(
    "name", ["", "../main", "a/b", ".hidden", "-x", "7", "latest", "latest~1", "a\n", "é", "x" * 61]
)
def test_names_that_could_be_mistaken_are_no_names_of_baselines(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="expected a name"):
        shelf.save_baseline(of(), name, tmp_path)
    assert list(tmp_path.iterdir()) == []
