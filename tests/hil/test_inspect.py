"""What `list targets --probe` says of boards whose generation is configured, and of those that lie."""

import json
from pathlib import Path

import pytest

import hil.board
from hil.messages import Document, GetLive, Message
from hil.session import TaskloaderSession
from taskgen import cli
from taskgen.dialect.boards import BOARDS
from taskgen.errors import TargetLost
from taskgen.session import Target
from tests.hil.scripted import ScriptedBoard, scripted, session_on


@pytest.mark.parametrize("generation", BOARDS)
def test_a_configured_generation_needs_a_proof_of_service_only(
    generation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGEN_INVENTORY", raising=False)
    with hil.board.serve(generation=generation) as boards:
        address = boards.targets[0].address
        found = TaskloaderSession.inspect(Target("taskloader", address, {"dialect": generation}))
        assert (found["state"], found["generation"]) == ("idle", generation)
        assert found["latency_ns"] > 0
        Path("taskgen.toml").write_text(f'[targets.lab]\nhosts = ["{address}"]\ndialect = "{generation}"\n')
        with pytest.raises(SystemExit):
            cli.main(("list", "targets", "--probe", "--json"))
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["targets"]}
    (board,) = rows["lab"]["boards"]
    assert (board["state"], board["generation"]) == ("idle", generation)


def test_a_configured_board_that_doesnt_serve_is_mute() -> None:
    with scripted("G3a", lambda board, message: True) as board:  # it hears and says nothing
        options = {"dialect": "G3a", "reply_ms": 50}
        found = TaskloaderSession.inspect(Target("taskloader", f"127.0.0.1:{board.port}", options))
        assert found["state"] == "mute"
        assert "doesn't answer GET_LIVE" in found["reason"]
        assert board.names() == ["GetLive"]


def test_an_answer_that_no_board_gives_is_told_with_the_address() -> None:
    def lies(board: ScriptedBoard, message: Message) -> bool:
        if isinstance(message, GetLive):
            rows = b"<task " * 200
            board.say(Document("live", b"<live>" + rows + b"</live>"))
        return isinstance(message, GetLive)

    with (
        scripted("G3b", lies) as board,
        pytest.raises(TargetLost, match=rf"127.0.0.1:{board.port}: the board sent what no board writes"),
        session_on(board, dialect="auto"),
    ):
        pass
