"""What stood in a file before is believed only after a look; and a store has one driver at a time."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from taskgen import TaskSet
from taskgen.errors import UsageError
from taskgen.monitor import Run
from taskgen.store import open_store, path_of
from taskgen.store.content import APPLICATION
from tests.taskgen.stored import ASKED, Open, numbers, result


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()


def damage(path: Path, *statements: str) -> None:
    """Write into a store behind its back."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def torn(path: Path, keep: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda path: path.write_text("results " * 100), "is no SQLite file"),
    "short": (lambda path: path.write_bytes(b"SQLite format 3\0"), "is no SQLite file"),
    "folder": (folder, "is no regular file"),
    "foreign": (foreign, "not from taskgen"),
    "newer": (lambda path: damage(path, "PRAGMA user_version = 2"), "has schema 2, this taskgen knows 1"),
    "torn": (torn, "is damaged"),
    "torn in the first page": (lambda path: torn(path, 0.005), "is damaged"),
    "zeros": (lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(10**4)), "is damaged"),
    "no tables": (lambda path: damage(path, "DROP TABLE results"), "is damaged: no such table"),
    "no JSON": (lambda path: damage(path, "UPDATE results SET document = '{'"), "the result of variant '0' is none"),
    "deep": (lambda path: damage(path, "UPDATE results SET document = '" + "[" * 10**5 + "'"), "is damaged"),
    "a blob": (lambda path: damage(path, "UPDATE results SET document = x'ff00'"), "is damaged"),
    "no text": (lambda path: damage(path, "UPDATE results SET document = CAST(x'ff' AS TEXT)"), "is damaged"),
    "no run": (lambda path: damage(path, """UPDATE results SET document = '{"variant": 0}'"""), "is damaged"),
    "other number": (lambda path: damage(path, "UPDATE results SET variant = 'x' WHERE variant = '7'"), "is damaged"),
    "other status": (lambda path: damage(path, "UPDATE results SET status = 'stopped'"), "is damaged"),
    "other digits": (lambda path: damage(path, "UPDATE results SET digits = digits + 1"), "is damaged"),
    "verdict": (lambda path: damage(path, "UPDATE results SET against = 'x'"), "is damaged"),
    "history": (lambda path: damage(path, "UPDATE handed_out SET history = '[1]'"), "is damaged"),
    "description": (lambda path: damage(path, "UPDATE run SET value = '[]' WHERE key = 'asked'"), "what was asked"),
    "nothing": (lambda path: damage(path, "DELETE FROM run"), "is damaged"),
    "begun": (lambda path: damage(path, "UPDATE run SET value = 'now' WHERE key = 'started'"), "when it was begun"),
}


@pytest.mark.parametrize(("spoil", "said"), DAMAGE.values(), ids=DAMAGE)
def test_no_file_is_believed(store: Open, store_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    opened = store()
    for variant in range(100):
        opened.store(*result(variant))
    opened.begin(Run(100, TaskSet(), "sim"))
    opened.close()
    spoil(store_path)
    before = None if store_path.is_dir() else store_path.read_bytes()
    with pytest.raises(UsageError, match=said) as raised:
        store()
    assert str(store_path) in str(raised.value)
    assert "\n" not in f"{raised.value}{raised.value.hint}"
    assert before is None or store_path.read_bytes() == before


def test_the_mark_of_our_files_can_be_read_without_sqlite(store: Open, store_path: Path) -> None:
    store().store(*result(0))
    assert store_path.read_bytes()[68:72] == b"tgen"
    assert int.from_bytes(b"tgen") == APPLICATION


def test_a_torn_log_costs_the_last_results_and_nothing_else(tmp_path: Path) -> None:
    """As after a power failure: whatever is left of the log, the store has the first so many results."""
    with open_store(f"sqlite:///{tmp_path}/a.db", ASKED) as opened:
        for variant in range(20):
            opened.store(*result(variant))
        data, log = ((tmp_path / name).read_bytes() for name in ("a.db", "a.db-wal"))
    for keep in [0, 1, len(log) - 1, len(log), *random.Random(1).sample(range(len(log)), 12)]:
        (tmp_path / "b.db").write_bytes(data)
        (tmp_path / "b.db-wal").write_bytes(log[:keep])
        with open_store(f"sqlite:///{tmp_path}/b.db", ASKED, resume=True) as torn_store:
            kept = numbers(torn_store)
        assert kept == list(range(len(kept)))
        assert (len(kept) == 20) == (keep == len(log))


@pytest.mark.parametrize("elsewhere", [True, False], ids=["another process", "this process"])
def test_a_store_has_one_driver_at_a_time(store: Open, store_path: Path, elsewhere: bool) -> None:
    opened = store()
    opened.store(*result(0))
    for _ in range(2):  # looking doesn't let go of the lock
        if elsewhere:
            script = (
                "import sys; from taskgen.store import open_store; from taskgen.errors import UsageError\n"
                f"try: open_store('sqlite:///{store_path}', {ASKED!r}, resume=True)\n"
                "except UsageError as error: sys.exit(str(error))"
            )
            error = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr
        else:
            with pytest.raises(UsageError) as raised:
                open_store(f"sqlite:///{store_path}", ASKED, resume=True)
            error = str(raised.value)
        assert "is in use by another taskgen" in error
    opened.store(*result(1))
    assert numbers(store()) == [0, 1]


def test_a_closed_store_says_so(store: Open) -> None:
    opened = store()
    opened.begin(Run(0, TaskSet(), "sim"))
    opened.close()
    opened.close()
    with pytest.raises(UsageError, match="is closed"):
        opened.stored(0)


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///a.db", "a.db"),
        ("sqlite:////runs/a b.db", "/runs/a b.db"),
        ("sqlite:///folder/a.db", "folder/a.db"),
        ("sqlite:///a%20?b.db", "a%20?b.db"),
    ],
)
def test_urls(url: str, file: str) -> None:
    assert path_of(url) == Path(file)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://host/db", "postgresql is not supported"),
        ("https://host/a.db", "https is not supported"),
        ("a.db", "is no URL"),
        ("sqlite://a.db", "is no URL"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("", "is no URL"),
    ],
)
def test_urls_that_name_no_store(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        path_of(url)
    assert "sqlite:///FILE" in raised.value.hint
