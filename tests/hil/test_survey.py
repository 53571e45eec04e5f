"""`taskgen list targets --probe` in front of boards in software."""

import json
from pathlib import Path

import pytest

from hil.board.process import serve
from taskgen import cli


def test_the_latency_is_what_the_session_has_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A board that accepts at once and answers late has the latency of its answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TASKGEN_INVENTORY", raising=False)
    with serve(generation="G4", faults=["latency:80"]) as boards:
        (address,) = boards.addresses
        Path("taskgen.toml").write_text(f'[targets.lab]\nhosts = ["{address}"]\n')
        with pytest.raises(SystemExit) as exited:
            cli.main(("list", "targets", "--probe", "--json"))
    assert exited.value.code == 0
    targets = json.loads(capsys.readouterr().out)["targets"]
    (found,) = next(each["boards"] for each in targets if each["name"] == "lab")
    assert (found["state"], found["generation"]) == ("idle", "G4")
    assert found["latency_ms"] >= 80
