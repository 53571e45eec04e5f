"""What is remembered of a board between processes is believed in its boot only, and strange files count as none."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hil import boots
from hil.boots import LOADER_NS, MOST_PROGRAMS, Record, Verdict, judge
from hil.clock import LAST_STAMP_MS, WRAP_NS
from taskgen.addresses import Address
from taskgen.units import NS_PER_MS

HERE = Address("127.0.0.1", 3001)
THEN_NS = 1_700_000_000_000_000_000
HEY = {"hey": "a1" * 32}
S = 1000 * NS_PER_MS


def shown(uptime_ns: int) -> int:
    """Return what a board's clock shows."""
    return uptime_ns % WRAP_NS // NS_PER_MS


# --- the same boot?


@pytest.mark.parametrize(
    ("then_s", "now_s", "passed_s", "verdict"),
    [
        (100, 105, 5, Verdict.SAME),
        (100, 101, 5, Verdict.SAME),  # our clock was set forth by 4 s
        (100, 110, 5, Verdict.SAME),  # the clock of G4's loader started 5 s after the board's
        (100, 3, 30, Verdict.OTHER),  # it went back
        (100, 500, 3000, Verdict.OTHER),  # up for longer than then, but not for as long as that
        (100, 1000, 30, Verdict.UNSURE),  # a board in software, as fast as possible
        (100, 1000, 970, Verdict.UNSURE),  # an emulator that was paused for 70 s
        (1, 4000, 4000, Verdict.UNSURE),  # the drift of one hour could be that second
        (100, 2000, 4300, Verdict.OTHER),  # more than a turn: it would show 105
        (100, 4400, 4300, Verdict.UNSURE),  # it does
        (4290, 4300, 10, Verdict.UNSURE),  # behind the turn
        (100, 105, -3600, Verdict.UNSURE),  # our clock was set back
        (100, 5, -3600, Verdict.OTHER),
    ],
)
def test_known_verdicts(then_s: int, now_s: int, passed_s: int, verdict: Verdict) -> None:
    assert judge(Record(then_s * 1000, THEN_NS), shown(now_s * S), THEN_NS + passed_s * S) is verdict


_DAY_NS = 24 * 3600 * S
_drift = st.integers(-300, 300)  # ppm


@given(then_ns=st.integers(0, _DAY_NS), off_ns=st.integers(0, _DAY_NS), up_ns=st.integers(0, _DAY_NS), ppm=_drift)
@example(then_ns=0, off_ns=0, up_ns=0, ppm=0)
@example(then_ns=50 * S, off_ns=WRAP_NS - 50 * S, up_ns=50 * S, ppm=0)  # it shows what it would have shown
def test_a_board_that_has_rebooted_is_never_believed(then_ns: int, off_ns: int, up_ns: int, ppm: int) -> None:
    now_ms = shown(up_ns + up_ns * ppm // 1_000_000)
    assert judge(Record(shown(then_ns), THEN_NS), now_ms, THEN_NS + off_ns + up_ns) is not Verdict.SAME


@given(
    then_ns=st.integers(0, _DAY_NS), passed_ns=st.integers(0, _DAY_NS), late_ns=st.integers(0, LOADER_NS), ppm=_drift
)
def test_a_board_that_has_not_rebooted_is_never_taken_for_another(
    then_ns: int, passed_ns: int, late_ns: int, ppm: int
) -> None:
    now_ms = shown(then_ns + late_ns + passed_ns + passed_ns * ppm // 1_000_000)
    assert judge(Record(shown(then_ns), THEN_NS), now_ms, THEN_NS + passed_ns) is not Verdict.OTHER


@given(data=st.data(), then_ns=st.integers(10 * S, WRAP_NS // 2), late_ns=st.integers(0, LOADER_NS), ppm=_drift)
def test_a_board_in_its_first_turn_is_believed(data: st.DataObject, then_ns: int, late_ns: int, ppm: int) -> None:
    passed_ns = data.draw(st.integers(0, WRAP_NS - then_ns - late_ns - 5 * S))
    now_ms = shown(then_ns + late_ns + passed_ns + passed_ns * ppm // 1_000_000)
    assert judge(Record(shown(then_ns), THEN_NS), now_ms, THEN_NS + passed_ns) is Verdict.SAME


# --- files


def content(**changes: Any) -> dict[str, Any]:
    record = {"version": 1, "address": str(HERE), "stamp_ms": 5, "heard_ns": THEN_NS, "sent": HEY, "maybe": {}}
    return record | changes


def write(data: bytes) -> None:
    boots.save(HERE, Record(1, 1))  # makes the file, whatever its name is
    (path,) = found()
    path.write_bytes(data)


def found() -> list[Path]:
    base = boots.folder()
    assert base is not None
    return sorted(base.iterdir()) if base.exists() else []


def test_what_was_saved_is_loaded_and_other_boards_have_files_of_their_own() -> None:
    record = Record(5, THEN_NS, HEY, {"pi": "b2" * 32})
    assert boots.load(HERE) is None
    boots.save(HERE, Record(4, 1))
    boots.save(HERE, record)
    boots.save(Address("fe80::1%eth0", 3001), Record(6, 7))
    assert boots.load(HERE) == record
    assert len(found()) == 2
    assert boots.load(Address("127.0.0.1", 3002)) is None


def test_a_file_is_read_as_it_is_written_here() -> None:
    write(json.dumps(content()).encode())
    assert boots.load(HERE) == Record(5, THEN_NS, HEY, {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00garbage",
        b"[" * 60_000,
        b"null",
        b"[]",
        json.dumps(content(version=2)).encode(),
        json.dumps(content(address="10.0.0.7:3001")).encode(),
        json.dumps(content(stamp_ms=True)).encode(),
        json.dumps(content(stamp_ms=LAST_STAMP_MS + 1)).encode(),
        json.dumps(content(stamp_ms=5.0)).encode(),
        json.dumps(content(heard_ns=-1)).encode(),
        json.dumps(content(heard_ns=1 << 63)).encode(),
        json.dumps(content(sent=["hey"])).encode(),
        json.dumps(content(maybe=None)).encode(),
        json.dumps(content(sent={"../hey": "a1" * 32})).encode(),
        json.dumps(content(sent={"hey": "a1"})).encode(),
        json.dumps(content(sent={"hey": 7})).encode(),
        json.dumps(content(sent={f"p{number}": "a1" * 32 for number in range(MOST_PROGRAMS + 1)})).encode(),
        json.dumps(content()).encode() + b" " * (1 << 16),
    ],
)
def test_a_strange_file_counts_as_none(data: bytes) -> None:
    write(data)
    assert boots.load(HERE) is None
    boots.save(HERE, Record(5, THEN_NS, HEY))
    assert boots.load(HERE) == Record(5, THEN_NS, HEY, {})


@given(data=st.binary(max_size=200))
def test_no_rubbish_is_a_record_or_an_error(data: bytes) -> None:
    write(data)
    assert boots.load(HERE) is None


@pytest.mark.parametrize(
    "make", [Path.mkdir, pytest.param(os.mkfifo, marks=pytest.mark.skipif(os.name == "nt", reason="no pipes"))]
)
def test_what_is_no_file_is_never_opened(make: Any) -> None:
    write(b"")
    (path,) = found()
    path.unlink()
    make(path)
    assert boots.load(HERE) is None
    boots.save(HERE, Record(5, THEN_NS, HEY))  # a folder in its place: no effect


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TASKGEN_STATE", str(tmp_path / "file"))
    boots.save(HERE, Record(5, THEN_NS, HEY))
    assert boots.load(HERE) is None


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps it elsewhere")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"TASKGEN_STATE": "/s", "XDG_STATE_HOME": "/x", "HOME": "/h"}, "/s/boards"),
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/taskgen/boards"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/taskgen/boards"),  # to be ignored, says XDG
        ({"TASKGEN_STATE": "", "HOME": "/h"}, "/h/.local/state/taskgen/boards"),
        ({"HOME": ""}, None),
        ({}, None),
    ],
)
def test_where_the_files_are(variables: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TASKGEN_STATE", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert boots.folder() == (None if expected is None else Path(expected))


def test_without_a_home_nothing_is_kept_or_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boots, "folder", lambda: None)
    boots.save(HERE, Record(5, THEN_NS, HEY))
    assert boots.load(HERE) is None


def test_the_boards_heard_of_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boots, "MOST_BOARDS", 3)
    boards = [Address("127.0.0.1", 1000 + number) for number in range(6)]
    boots.save(boards[0], Record(0, 0))
    strange = found()[0].with_name("of_somebody_else.json")
    strange.touch()
    for number, board in enumerate(boards):
        boots.save(board, Record(number, number))
        for path in found():  # older than whatever comes next
            os.utime(path, ns=(path.stat().st_mtime_ns - S,) * 2)
    assert [boots.load(board) is not None for board in boards] == [False] * 3 + [True] * 3
    assert strange.exists()


def test_of_too_many_programs_the_last_ones_are_remembered() -> None:
    names = [f"p{number}" for number in range(MOST_PROGRAMS + 10)]
    boots.save(HERE, Record(5, THEN_NS, dict.fromkeys(names, "a1" * 32), HEY))
    record = boots.load(HERE)
    assert record is not None
    assert list(record.sent) == names[10:]
    assert not record.maybe


WRITER = """
    import sys
    from hil import boots
    from taskgen.addresses import Address
    who = sys.argv[1]
    for number in range(200):
        boots.save(Address("127.0.0.1", 3001), boots.Record(number, 1, {who: 64 * who[0]}))
    boots.save(Address("127.0.0.1", int(who[1:])), boots.Record(7, 7))
"""


def test_processes_that_write_at_once_never_mix_their_records() -> None:
    boots.save(HERE, Record(0, 1, {"a1": "a" * 64}))
    arguments = [sys.executable, "-c", textwrap.dedent(WRITER)]
    writers = [subprocess.Popen([*arguments, who]) for who in ("a1", "b2")]
    while any(writer.poll() is None for writer in writers):
        record = boots.load(HERE)
        assert record is not None
        assert dict(record.sent) in ({"a1": "a" * 64}, {"b2": "b" * 64})
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [boots.load(Address("127.0.0.1", port)) for port in (1, 2)] == [Record(7, 7), Record(7, 7)]
    assert len(found()) == 3  # nothing temporary is left
