"""Targets are what users write: a session, a profile of it, or the address of a board."""

from importlib.metadata import EntryPoint

import pytest

from taskgen import Target, registry, targets
from taskgen.errors import UsageError


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session for boards, as if it were installed."""
    known = {**registry.entries("sessions"), "taskloader": EntryPoint("taskloader", "boards:Session", "")}
    monkeypatch.setattr(registry, "entries", lambda group: known)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("sim", Target("sim")),
        (" sim ", Target("sim")),
        ("sim:G1", Target("sim", "G1")),
        ("stdio", Target("stdio")),
        ("stdio.StdIOSession", Target("stdio.StdIOSession")),
    ],
)
def test_a_session_is_a_target_and_what_follows_the_colon_its_address(text: str, target: Target) -> None:
    assert targets.parse(text) == target
    assert str(targets.parse(text)) == text.strip()


@pytest.mark.parametrize(
    ("text", "session", "address"),
    [
        ("10.0.0.7", "stdio", "10.0.0.7"),
        ("stdio", "stdio", ""),
        ("sim:G1", "sim", "G1"),
        ("./mine.py:Session", "./mine.py:Session", ""),
        ("[::1]:3001", "./mine.py:Session", "[::1]:3001"),
    ],
)
def test_with_a_session_the_text_is_its_address(text: str, session: str, address: str) -> None:
    assert targets.parse(text, session) == Target(session, address)


ADDRESSES = ["10.0.0.7", "10.0.0.7:3001", "10.0.0.0/24", "::1", "[::1]:3001", "fe80::/64", "localhost", "pi.lab:3001"]


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_needs_the_session_for_boards(text: str) -> None:
    with pytest.raises(UsageError, match="boards come with the session taskloader, which isn't installed") as caught:
        targets.parse(text)
    assert caught.value.hint == "run it on the simulator: the target is sim"


@pytest.mark.usefixtures("boards")
@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_is_a_board(text: str) -> None:
    assert targets.parse(text, options={"port": 1}) == Target("taskloader", text, {"port": 1})


@pytest.mark.parametrize("text", ["10.0.0.300", "1.2.3", "10.0.0.0/40", "10.0.0.7:"])
def test_half_an_ip_address_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no IP address"):
        targets.parse(text)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("smi", "there is no target 'smi'", "did you mean sim?"),
        ("smi:G1", "there is no target 'smi:G1'", "did you mean sim:G1?"),
        ("board", "there is no target 'board'", "use sim, or a board's address with the session taskloader"),
        ("", "there is no target ''", "use sim"),
        ("sim:", "target 'sim:': nothing follows the colon", "leave the colon out: sim"),
    ],
)
def test_an_unknown_target_is_one_line_with_a_proposal(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        targets.parse(text)
    assert caught.value.hint.startswith(hint)


def test_targets_are_one_or_several_and_options_are_for_those_given_as_text() -> None:
    own = Target("sim", options={"seed": 1})
    assert targets.expand("sim") == targets.expand(["sim"]) == [Target("sim")]
    assert targets.expand(own, options={"seed": 2}) == [own]
    assert targets.expand(["sim", own], options={"seed": 2}) == [Target("sim", "", {"seed": 2}), own]
    with pytest.raises(UsageError, match="there is no target to run on"):
        targets.expand([])
