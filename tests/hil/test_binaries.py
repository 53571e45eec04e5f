"""Programs come from one folder, under the name that the board looks up, and once per boot."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from hil.binaries import Boot, Folder
from hil.messages import Binary
from taskgen.addresses import Address
from taskgen.errors import UsageError
from taskgen.parameters import Parameters, parameters_of
from taskgen.taskset import TaskSet
from tests.hil.scripted import one_job, scripted, session_on

HERE = Address("127.0.0.1", 3001)


def tasks(*names: Any) -> tuple[Parameters, ...]:
    return parameters_of(TaskSet([{"pkg": name, "period": 10} for name in names]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "bin"
    inside.mkdir()
    (inside / "hey").write_bytes(b"\x7fELF hey")
    (inside / "pi").write_bytes(b"\x7fELF pi")
    (tmp_path / "secret").write_bytes(b"secret")
    return inside


def test_each_program_is_read_once_by_its_name(folder: Path) -> None:
    found = Folder(folder).programs(tasks("hey", "pi", "hey"))
    assert [program.binary for program in found] == [Binary("hey", b"\x7fELF hey"), Binary("pi", b"\x7fELF pi")]
    assert found[0].digest == hashlib.sha256(b"\x7fELF hey").hexdigest()


def test_none_means_that_the_board_has_them() -> None:
    assert Folder("none").programs(tasks("../../etc/passwd")) == []


def test_a_file_that_changes_is_read_again(folder: Path) -> None:
    known = Folder(folder)
    first = known.programs(tasks("hey"))[0]
    assert known.programs(tasks("hey"))[0] is first
    (folder / "hey").write_bytes(b"longer than before")
    assert known.programs(tasks("hey"))[0].digest != first.digest


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", ".", "a/b", "a\\b", "", "hey\0", "x" * 16, None, 7, "é"]
)
def test_a_name_is_never_a_path(folder: Path, name: object) -> None:
    with pytest.raises(UsageError, match="is no name of a program"):
        Folder(folder).programs(tasks(name))


def test_a_link_out_of_the_folder_is_no_program(folder: Path) -> None:
    (folder / "out").symlink_to(folder.parent / "secret")
    with pytest.raises(UsageError, match="is no file inside the folder"):
        Folder(folder).programs(tasks("out"))


@pytest.mark.parametrize("kind", ["folder", "empty", "missing", "no folder at all", "a loop of links"])
def test_what_cant_be_sent_is_an_error_that_names_it(folder: Path, kind: str) -> None:
    if kind == "folder":
        (folder / "odd").mkdir()
    elif kind == "empty":
        (folder / "odd").touch()  # dom0 dies of it
    elif kind == "a loop of links":
        (folder / "odd").symlink_to("odd")
    place = folder if kind != "no folder at all" else folder / "nowhere"
    with pytest.raises(UsageError, match=re.escape(str(place / "odd"))):
        Folder(place).programs(tasks("odd"))


def test_a_missing_program_is_an_error_before_anything_is_sent(folder: Path) -> None:
    with scripted("G4") as board, session_on(board, binaries=folder) as session:
        with pytest.raises(UsageError, match="there is no such file") as raised:
            session.run(one_job(pkg="cond_42"))
        assert "--binaries" in raised.value.hint
        assert board.heard == []


def test_a_board_is_sent_what_it_lacks(folder: Path) -> None:
    boot = Boot(HERE)
    hey, pi = Folder(folder).programs(tasks("hey", "pi"))
    boot.note(hey)
    assert boot.missing([hey, pi]) == [pi]
    boot.forget()
    assert boot.missing([hey, pi]) == [hey, pi]


def test_a_clock_that_went_back_means_that_older_programs_are_gone(folder: Path) -> None:
    boot = Boot(HERE)
    hey, pi = Folder(folder).programs(tasks("hey", "pi"))
    assert not boot.hear(1_000_000, 0, [])
    boot.note(hey)
    boot.connected()
    boot.note(pi)
    assert not boot.hear(1_000_500, 10**9, [hey])
    assert boot.hear(500, 2 * 10**9, [hey])  # it was relied upon
    assert boot.missing([hey, pi]) == [hey]
    assert not boot.hear(900, 3 * 10**9, [pi])


def test_the_turn_of_the_clock_is_no_reboot() -> None:
    boot = Boot(HERE)
    boot.hear(4_294_900, 0, [])
    boot.note((Folder("none").programs(()) and None) or _program())
    assert not boot.hear(20, 10**9, [_program()])


def _program() -> Any:
    from hil.binaries import Program

    return Program(Binary("hey", b"1"), "digest")
