"""Boards and workers: one worker per board, also when workers crash."""

import re
from pathlib import Path
from typing import Any

import pytest

from taskgen import Target
from taskgen.errors import UsageError
from taskgen.inventory import parse
from taskgen.plugin import pool
from taskgen.plugin.choices import Choices
from taskgen.plugin.pool import Leases
from taskgen.targets import expand
from tests.loopback import listening
from tests.taskgen.plugged import HOSTS, plug_in, run, runs

BOARDS = [Target("taskloader", f"10.0.0.{number}") for number in (1, 2, 3)]


def chosen(target: str = "sim", **given: Any) -> Choices:
    return Choices(
        **{
            "target": target, "inventory": None, "patterns": (), "budget": None, "replay": False,
            "artifacts": Path("kept"), "binaries": None, **given,
        }
    )  # fmt: skip


def test_each_worker_has_a_board_until_it_is_gone() -> None:
    leases = Leases(BOARDS)
    assert [leases.take(worker) for worker in ("gw0", "gw1", "gw0")] == [BOARDS[0], BOARDS[1], BOARDS[0]]
    leases.give_back("gw0")
    leases.give_back("gw0")
    assert leases.take("gw2") == BOARDS[2]  # the spare one, before that of a crashed worker
    assert leases.take("gw3") == BOARDS[0]
    with pytest.raises(UsageError, match="worker gw4: no board is free"):
        leases.take("gw4")


def test_more_workers_than_boards_are_refused() -> None:
    Leases(BOARDS).check(3)
    with pytest.raises(UsageError, match="4 workers want a board each, but there are 3") as caught:
        Leases(BOARDS).check(4)
    assert caught.value.hint == "use -n auto, or -n 3"


@pytest.mark.parametrize("target", [Target("sim"), Target("sim", "G4"), Target("stdio")])
def test_what_is_no_board_is_shared(target: Target) -> None:
    leases = Leases([target])
    leases.check(64)
    assert [leases.take(f"gw{number}") for number in range(4)] == [target] * 4


def test_a_target_travels_to_its_worker_without_its_connection() -> None:
    with listening("127.0.0.1", "127.0.0.2") as port:
        found = expand(f"127.0.0.1-127.0.0.2:{port}")
        assert [pool.unpacked(pool.packed(target)) for target in found] == found
        assert all(target.connection.closed for target in found)  # type: ignore[attr-defined]  # as discovered


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["10.0.0.2"], [2]),
        (["10.0.0.[13]"], [1, 3]),
        (["10.0.0.0/31", "10.0.0.3"], [1, 3]),
        (["*:3001"], [1, 2, 3]),
        (["10.0.0.2-10.0.0.9:3001"], [2, 3]),
    ],
)
def test_patterns_choose_boards(tmp_path: Path, patterns: list[str], left: list[int]) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[targets.lab]\nhosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]\n')
    found = pool.find(chosen("lab", inventory=file, patterns=tuple(patterns)))
    assert [target.address for target in found] == [f"10.0.0.{number}" for number in left]


def test_a_pattern_that_matches_nothing_names_the_boards(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[targets.lab]\nhosts = ["10.0.0.1", "10.0.0.2"]\n')
    with pytest.raises(UsageError, match=r"^--taskgen-board 10.1.\*: none of the boards of lab matches$") as caught:
        pool.find(chosen("lab", inventory=file, patterns=("10.1.*",)))
    assert caught.value.hint == "they are 10.0.0.1, 10.0.0.2"


@pytest.mark.parametrize(
    ("target", "binaries", "option"),
    [
        ("127.0.0.1", None, "none"),  # a board in software has its programs
        ("[::1]:3002", None, "none"),
        ("localhost", None, "none"),
        ("10.0.0.7", None, None),
        ("127.0.0.1", "programs", "programs"),
        ("10.0.0.7", "none", "none"),
        ("sim", "none", None),
        ("sim:G4", None, None),
    ],
)
def test_programs_come_from_a_folder_or_are_there(target: str, binaries: str | None, option: str | None) -> None:
    (found,) = pool.find(chosen(target, binaries=binaries))
    assert found.options.get("binaries") == option


def test_what_the_inventory_says_of_programs_counts_unless_the_user_says_more(tmp_path: Path) -> None:
    text = '[targets.lab]\nhosts = ["127.0.0.1"]\nbinaries = "here"\n'
    known = parse(text, tmp_path / "taskgen.toml")
    assert known.entries
    (tmp_path / "taskgen.toml").write_text(text)
    for binaries, option in ((None, str(tmp_path / "here")), ("none", "none")):
        (found,) = pool.find(chosen("lab", inventory=tmp_path / "taskgen.toml", binaries=binaries))
        assert str(found.options["binaries"]) == option


def test_one_worker_per_board_and_a_new_one_for_one_that_crashed(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    plug_in(pytester)
    pytester.makepyfile(
        """
        import os, time
        from pathlib import Path
        import pytest
        from taskgen import TaskSet

        @pytest.mark.parametrize("number", range(16))
        def test_runs(taskgen_run, number):
            taskgen_run(TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1}]))
            worker, crashed, replaced = os.environ["PYTEST_XDIST_WORKER"], Path("crashed"), Path("replaced")
            if worker == "gw1" and not crashed.exists():
                crashed.touch()
                os._exit(1)
            if worker == "gw3":
                replaced.touch()
            patience = time.monotonic() + 30
            while not replaced.exists() and time.monotonic() < patience:  # else there is nothing left to do
                time.sleep(0.01)
        """
    )
    result = run(pytester, "--taskgen-target=lab", "-n", "auto", "--maxschedchunk=1")
    result.assert_outcomes(passed=15, failed=1)
    result.stdout.fnmatch_lines([f"taskgen: target lab ({', '.join(HOSTS)})", "created: 3/3 workers"])
    used = {tuple(line.split()[:2]) for line in runs(pytester)}
    assert used == {("gw0", HOSTS[0]), ("gw1", HOSTS[1]), ("gw2", HOSTS[2]), ("gw3", HOSTS[1])}


def test_workers_get_the_error_of_a_lost_board_and_share_the_folder(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    plug_in(pytester)
    (pytester.path / "unplugged").touch()
    pytester.makepyfile(
        """
        import pytest
        from taskgen import TaskSet

        @pytest.mark.parametrize("number", range(2))
        def test_runs(taskgen_run, number):
            taskgen_run(TaskSet([{"executiontime": 1, "period": 10, "numberofjobs": 1}]))

        @pytest.mark.taskgen_requires("edff")
        def test_wrong():
            pass
        """
    )
    result = run(pytester, "--taskgen-target=lab", "-n", "2")
    result.assert_outcomes(errors=3)
    folders = {
        match.group(1) for line in result.outlines if (match := re.match(r"  (.*)/[^/]+/run0.trace.json$", line))
    }
    assert len(folders) == 1
    result.stdout.fnmatch_lines(["*'edff' is no capability, did you mean edf?"])  # as well as a worker can tell
    result.stdout.fnmatch_lines(["taskgen: 2 tests have no verdict, the target was lost"])


def test_more_workers_than_boards_end_the_run(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    plug_in(pytester)
    pytester.makepyfile("def test_nothing(): pass")
    result = run(pytester, "--taskgen-target=lab", "-n", "4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: taskgen: 4 workers want a board each, but there are 3: *", "hint: use -n auto*"]
    )
