"""`taskgen list targets` shows the inventory, and with `--probe` which boards are there."""

import json
import resource
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from taskgen import Target, cli, survey
from taskgen.errors import ConnectError
from tests.loopback import listening
from tests.taskgen.toy_board import InspectedBoard, ToyBoard, install

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("TASKGEN_INVENTORY", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            cli.main(arguments)
        captured = capsys.readouterr()
        assert isinstance(exited.value.code, int)
        return exited.value.code, captured.out, captured.err

    return call


def rows(run: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run("list", "targets", "--json", *arguments)
    assert (code, err) == (0, "")
    return {row["name"]: row for row in json.loads(out)["targets"]}


def write(text: str) -> None:
    Path("taskgen.toml").write_text(text)


def test_the_inventory_comes_first_then_the_sessions_that_need_no_address(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    write('[targets.lab]\nhosts = ["10.0.0.0/24", "10.0.1.7"]\nfeatures = ["arm", "smp"]\n')
    found = rows(run)
    assert next(iter(found)) == "lab"
    assert {key: found["lab"][key] for key in ("session", "hosts", "features")} == {
        "session": "taskloader", "hosts": ["10.0.0.0/24", "10.0.1.7"], "features": ["arm", "smp"]
    }  # fmt: skip
    assert {"sim", "stdio"} <= set(found)
    assert "taskloader" not in found
    assert "boards" not in found["lab"]
    code, out, _ = run("list", "targets")
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("lab"))
    assert all(text in line for text in ("taskloader", "10.0.0.0/24, 10.0.1.7", "arm smp"))


def test_without_an_inventory_it_says_what_one_is_for(run: Run) -> None:
    assert "no taskgen.toml here or above" in run("list", "targets")[1]


def test_probing_shows_state_generation_and_latency(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, InspectedBoard)
    with listening("127.7.4.1", "127.7.4.2", "127.7.4.9") as port:
        write(
            f'[targets.lab]\nport = {port}\ndialect = "G4"\nhosts = ["127.7.4.9", "127.7.4.0/29", "127.7.4.10"]\n'
            'boards."127.7.4.2".dialect = "G1"\n'
            'boards."127.7.4.3".quarantine = {reason = "dust", until = 9999-01-01}\n'
            f'[targets.gone]\nport = {port}\nhosts = ["127.7.4.32/30"]\n'
        )
        found = rows(run, "--probe")
        assert [(board["address"], board["state"], board["generation"]) for board in found["lab"]["boards"]] == [
            ("127.7.4.3", "quarantine", None),
            ("127.7.4.9", "idle", "G4"),
            ("127.7.4.1", "idle", "G4"),
            ("127.7.4.2", "idle", "G1"),
            ("127.7.4.10", "absent", None),
        ]
        assert [board["latency_ms"] for board in found["lab"]["boards"]] == [None, 1.5, 1.5, 1.5, None]
        assert "dust" in found["lab"]["boards"][0]["reason"]
        assert found["gone"]["boards"] == []
        code, out, _ = run("list", "targets", "--probe")
    assert code == 0
    assert "nobody accepts a connection" in out
    assert any(line.split()[:5] == ["lab", "127.7.4.2", "idle", "G1", "1.5"] for line in out.splitlines())


def test_a_session_that_can_not_inspect_is_asked_by_its_probe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with listening("127.7.5.1", "127.7.5.2") as port:
        write(f'[targets.lab]\nport = {port}\nhosts = ["127.7.5.1", "127.7.5.2/31", "127.7.5.4"]\n')
        boards = rows(run, "--probe")["lab"]["boards"]
    assert [board["state"] for board in boards] == ["answers", "answers", "absent"]
    assert all(board["latency_ms"] >= 0 for board in boards[:2])


def test_boards_that_this_process_uses_are_left_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, InspectedBoard)
    with listening("127.7.5.9") as port:
        write(f'[targets.lab]\nport = {port}\nhosts = ["127.7.5.9"]\n')
        with ToyBoard.open(Target("taskloader", "127.7.5.9", {"port": port})):
            monkeypatch.setattr(InspectedBoard, "inspect", None)  # nobody may
            assert rows(run, "--probe")["lab"]["boards"][0]["state"] == "in use"


def test_the_inventory_is_named_by_option_or_by_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.toml").write_text('[targets.other]\nsession = "stdio"\n')
    assert "other" in rows(run, "--inventory", "other.toml")
    assert "other" not in rows(run)
    monkeypatch.setenv("TASKGEN_INVENTORY", "other.toml")
    assert "other" in rows(run)
    code, out, _ = run("run", "-t", "example.Hey0TaskSet", "other")
    assert (code, '"pkg": "hey"' in out) == (0, True)
    monkeypatch.delenv("TASKGEN_INVENTORY")
    assert run("run", "-t", "example.Hey0TaskSet", "other", "--inventory", "other.toml")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["run", "-t", "example.Hey0TaskSet", "board"], "error: there is no target 'board': there is no taskgen.toml"),
        (["run", "-t", "example.Hey0TaskSet", "--inventory", "no.toml"], "error: inventory no.toml: No such file"),
        (["list", "targets", "--inventory", "no.toml"], "error: inventory no.toml: No such file"),
        (["list", "monitors", "--probe"], "error: --probe is for targets"),
        (["list", "-m", "--inventory", "no.toml"], "error: --inventory is for targets"),
    ],
)
def test_what_users_get_wrong_is_one_clear_line(run: Run, arguments: list[str], error: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(error)
    assert len(err.splitlines()) <= 2


def test_a_wrong_inventory_is_named_with_its_line(run: Run) -> None:
    write('[targets.lab]\nhosts = ["10.0.0.7"]\nprot = 1\n')
    code, out, err = run("list", "targets")
    assert (code, out) == (2, "")
    assert "taskgen.toml:3: targets.lab.prot: unknown key\nhint: did you mean port?" in err


def test_the_command_line_may_open_as_many_files_as_a_sweep_wants(run: Run) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = before[1] if 0 <= before[1] < 4096 else 4096
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        run("list", "targets")
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# --- the survey by itself


def found_by(monkeypatch: pytest.MonkeyPatch, **methods: Any) -> Callable[..., list[survey.Finding]]:
    kind = type("Asked", (ToyBoard,), {name: classmethod(method) for name, method in methods.items()})
    monkeypatch.setattr(survey, "session_class", lambda _: kind)
    return survey.survey


def test_a_target_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def inspect(kind: type[ToyBoard], target: Target) -> Mapping[str, Any]:
        if target.address == "mute":
            answer.wait()
        return {"state": "idle"}

    ask = found_by(monkeypatch, inspect=inspect)
    found = ask([Target("taskloader", "mute"), Target("taskloader", "well")], patience_s=0.2)
    answer.set()
    assert [finding.state for finding in found] == ["silent", "idle"]
    assert found[0].reason == "no answer within 0.2 s"


def test_one_thread_asks_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(number) for number in range(5)]
    ask = found_by(monkeypatch, inspect=lambda _, target: {"state": target.address})
    found = ask([Target("taskloader", f"board{name}.lab") for name in names], threads=1)
    assert [finding.state for finding in found] == [f"board{name}.lab" for name in names]
    assert ask([]) == []


def test_what_a_board_says_of_itself_is_cut_to_size(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = found_by(monkeypatch, inspect=lambda *_: {"state": "\x1b[31m" + "x" * 1000, "generation": "G\n4"})
    [finding] = ask([Target("taskloader", "10.0.0.7")])
    assert finding.state == "?[31m" + "x" * 72 + "..."
    assert finding.generation == "G?4"


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [(ConnectError("nobody there"), "absent", "nobody there"), (ZeroDivisionError("oh"), "unknown", "ZeroDivision")],
)
def test_an_inspection_that_fails_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, error: Exception, state: str, reason: str
) -> None:
    def inspect(kind: type[ToyBoard], target: Target) -> Mapping[str, Any]:
        raise error

    [finding] = found_by(monkeypatch, inspect=inspect)([Target("taskloader", "10.0.0.7")])
    assert finding.state == state
    assert finding.reason.startswith(reason)
