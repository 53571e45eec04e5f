"""Targets are what users write: a session, a profile of it, a name of the inventory, or the addresses of boards."""

import gc
import socket
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from taskgen import Target, boards, in_use, inventory, registry, targets
from taskgen.addresses import Address, parse
from taskgen.boards import BoardTarget, Wanted
from taskgen.errors import ConnectError, UsageError
from taskgen.inventory import Inventory
from tests.loopback import listening
from tests.taskgen.toy_board import OwnConnections, ToyBoard, install

NONE = Inventory()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No inventory of the checkout's surroundings matters."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(inventory.VARIABLE, raising=False)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session for boards, as if it were installed."""
    install(monkeypatch)


@pytest.fixture
def lab(installed: None) -> Callable[[str], Inventory]:
    return inventory.parse


def one(text: str, session: str | None = None) -> Target:
    [target] = targets.expand(text, session=session)
    return target


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
    assert one(text) == target
    assert str(one(text)) == text.strip()


@pytest.mark.parametrize(
    ("text", "session", "address"),
    [
        ("10.0.0.7", "stdio", "10.0.0.7"),
        ("10.0.0.0/24", "stdio", "10.0.0.0/24"),
        ("stdio", "stdio", ""),
        ("sim:G1", "sim", "G1"),
        ("./mine.py:Session", "./mine.py:Session", ""),
        ("[::1]:3001", "./mine.py:Session", "[::1]:3001"),
        ("anything goes", "stdio", "anything goes"),
    ],
)
def test_with_a_session_the_text_is_its_address(text: str, session: str, address: str) -> None:
    assert one(text, session) == Target(session, address)


ADDRESSES = ["10.0.0.7", "10.0.0.7:3001", "::1", "[::1]:3001", "localhost", "pi.lab:3001", "pi:3001"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("text", ADDRESSES)
def test_one_address_is_a_board_and_nobody_knocks(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)  # nobody can
    assert targets.expand(text, options={"port": 1}) == [Target("taskloader", text, {"port": 1})]
    assert targets.expand(f"taskloader:{text}") == [Target("taskloader", text)]


@pytest.mark.parametrize("text", [*ADDRESSES, "10.0.0.0/24", "fe80::/120", "10.0.0.1-10.0.0.20:3001-3002"])
def test_an_address_needs_the_session_for_boards(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = {name: entry for name, entry in registry.entries("sessions").items() if name != "taskloader"}
    monkeypatch.setattr(registry, "entries", lambda _: sessions)
    with pytest.raises(UsageError, match="boards come with the session taskloader, which isn't installed") as caught:
        targets.expand(text)
    assert caught.value.hint == "run it on the simulator: the target is sim"


@pytest.mark.parametrize("text", ["10.0.0.300", "1.2.3", "10.0.0.0/40", "10.0.0.7:", "[::1", "fe80::zz", "1:2:3"])
def test_half_an_ip_address_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no IP address"):
        targets.expand(text)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("text", ["10.0.0.0/11", "taskloader:10.0.0.0/11", "fe80::/64"])
def test_a_range_too_large_to_wait_for_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="addresses, expected at most 1048576") as caught:
        targets.expand(text)
    assert caught.value.hint == "name the boards, or a smaller range"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("smi", "there is no target 'smi'", "did you mean sim?"),
        ("smi:G1", "there is no target 'smi:G1'", "did you mean sim:G1?"),
        ("bord", "there is no target 'bord'", "use sim, a name of taskgen.toml, or a board's address with the session"),
        ("", "there is no target ''", "use sim"),
        ("sim:", "target 'sim:': nothing follows the colon", "leave the colon out: sim"),
    ],
)
def test_an_unknown_target_is_one_line_with_a_proposal(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        targets.expand(text)
    assert caught.value.hint.startswith(hint)


def test_a_missing_pool_of_boards_says_how_to_get_one() -> None:
    with pytest.raises(UsageError, match=r"there is no target 'board': there is no taskgen.toml") as caught:
        targets.expand("board")
    assert caught.value.exit_code == 2
    assert "add [targets.board]" in caught.value.hint
    assert "taskgen board serve" in caught.value.hint
    Path("taskgen.toml").write_text('[targets.bord]\nhosts = ["10.0.0.7"]\n')
    with pytest.raises(UsageError, match=r"there is no target 'board': \S+taskgen.toml has no \[targets.board\]"):
        targets.expand("board")
    with pytest.raises(UsageError) as caught:
        targets.expand("bored")
    assert caught.value.hint == "did you mean bord?"


def test_targets_are_one_or_several_and_options_are_for_those_given_as_text() -> None:
    own = Target("sim", options={"seed": 1})
    assert targets.expand("sim") == targets.expand(["sim"]) == [Target("sim")]
    assert targets.expand(own, options={"seed": 2}) == [own]
    assert targets.expand(["sim", own], options={"seed": 2}) == [Target("sim", "", {"seed": 2}), own]
    with pytest.raises(UsageError, match="there is no target to run on"):
        targets.expand([])


# --- the inventory


def test_a_name_of_the_inventory_is_one_target_per_host_with_its_options(lab: Callable[[str], Inventory]) -> None:
    known = lab(
        """
        [targets.lab]
        hosts = ["10.0.0.8:3002", "10.0.0.7", "10.0.0.9", "pi4"]
        exclude = ["10.0.0.9"]
        dialect = "G4"
        max_run_ms = 1000
        binaries = "none"
        features = ["arm"]
        power = {driver = "command", cycle = ["pdu", "{host}"]}
        boards."10.0.0.7" = {dialect = "G1", port = 4000}
        """
    )
    found = targets.expand("lab", options={"wire_log": "w"}, known=known)
    assert [(target.session, target.address) for target in found] == [
        ("taskloader", "10.0.0.8:3002"), ("taskloader", "10.0.0.7"), ("taskloader", "pi4")
    ]  # fmt: skip
    common = {"dialect": "G4", "max_run_ms": 1000, "binaries": "none", "wire_log": "w"}
    assert [target.options for target in found] == [common, {**common, "dialect": "G1", "port": 4000}, common]
    for target in found:
        assert isinstance(target, BoardTarget)
        ToyBoard.construct(target.options)
        assert target.entry is known.entries["lab"]
        assert target.settings.features == ("arm",)
        assert target.settings.power is not None


def test_what_the_command_line_says_counts_more_than_the_inventory(lab: Callable[[str], Inventory]) -> None:
    known = lab('[targets.lab]\nhosts = ["10.0.0.7"]\nport = 1\nboards."10.0.0.7" = {port = 2}\n')
    assert targets.expand("lab", known=known)[0].options == {"port": 2}
    assert targets.expand("lab", options={"port": 3}, known=known)[0].options == {"port": 3}


def test_another_session_is_given_those_options_that_it_takes(lab: Callable[[str], Inventory]) -> None:
    known = lab('[targets.lab]\nhosts = ["10.0.0.0/24", "10.0.1.7"]\nport = 1\n')
    found = targets.expand("lab", session="stdio", known=known)
    assert [(each.session, each.address, each.options) for each in found] == [
        ("stdio", "10.0.0.0/24", {}), ("stdio", "10.0.1.7", {})
    ]  # fmt: skip


def test_a_target_without_hosts_is_its_session(lab: Callable[[str], Inventory]) -> None:
    [target] = targets.expand("quiet", known=lab('[targets.quiet]\nsession = "stdio"\n'))
    assert (target.session, target.address, target.options) == ("stdio", "", {})


@pytest.mark.usefixtures("installed")
def test_the_inventory_is_found_when_a_name_needs_it() -> None:
    Path("taskgen.toml").write_text('[targets.board]\nhosts = ["10.0.0.7"]\n')
    assert [target.address for target in targets.expand("board")] == ["10.0.0.7"]
    Path("taskgen.toml").write_text("nonsense")
    assert targets.expand(["sim", "10.0.0.7"])
    with pytest.raises(UsageError, match=r"taskgen.toml:1: is no TOML"):
        targets.expand("board")


def test_each_board_is_one_target_however_often_it_is_named(lab: Callable[[str], Inventory]) -> None:
    known = lab('[targets.lab]\nhosts = ["10.0.0.7", "10.0.0.8:3001"]\ndialect = "G4"\n')
    found = targets.expand(["10.0.0.8", "lab", "10.0.0.7", "10.0.0.7:3002"], known=known)
    assert [target.address for target in found] == ["10.0.0.8", "10.0.0.7", "10.0.0.7:3002"]


def test_a_board_in_quarantine_is_left_alone_until_its_day(lab: Callable[[str], Inventory]) -> None:
    entry = lab(
        '[targets.lab]\nhosts = ["10.0.0.1-10.0.0.3"]\n'
        'boards."10.0.0.2".quarantine = {reason = "SD card", until = 2030-01-02}\n'
    ).entries["lab"]

    def hosts(today: date) -> list[str]:
        [wanted] = Wanted.of(entry, "taskloader", {}, today)
        return [address.host for address in wanted.addresses()]

    assert hosts(date(2030, 1, 1)) == ["10.0.0.1", "10.0.0.3"]
    assert hosts(date(2030, 1, 2)) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_if_all_boards_are_left_out_there_is_no_target(lab: Callable[[str], Inventory]) -> None:
    known = lab(
        '[targets.out]\nhosts = ["10.0.0.1"]\nexclude = ["10.0.0.0/24"]\n'
        '[targets.ill]\nhosts = ["10.0.0.2"]\nquarantine = {reason = "dust", until = 9999-01-01}\n'
    )
    with pytest.raises(ConnectError, match=r"10.0.0.1, 10.0.0.2: all boards are excluded or in quarantine"):
        targets.expand(["out", "ill"], known=known)


# --- ranges


@pytest.mark.usefixtures("installed")
def test_a_range_becomes_those_who_accept_with_their_connections() -> None:
    with listening("127.7.2.1", "127.7.2.9", "127.7.2.30") as port:
        found = targets.expand("127.7.2.0/27", options={"port": port})
        assert [target.address for target in found] == ["127.7.2.1", "127.7.2.9", "127.7.2.30"]
        for target in found:
            assert isinstance(target, BoardTarget)
            assert target.connection is not None
            assert target.latency_ns is not None
            with ToyBoard.open(target) as session:
                assert session.connection is not None
                assert session.connection.getpeername() == (target.address, port)
            assert target.connection.closed


@pytest.mark.usefixtures("installed")
def test_connections_that_no_session_took_are_closed_with_their_targets() -> None:
    with listening("127.7.2.40") as port:
        found = targets.expand("127.7.2.40-127.7.2.41", options={"port": port})
        assert in_use.held(Address("127.7.2.40", port))
        del found
        gc.collect()
        assert not in_use.held(Address("127.7.2.40", port))


def test_a_session_that_adopts_nothing_finds_the_board_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board serves one connection: an open one that nobody uses would lock the session out."""
    install(monkeypatch, OwnConnections)
    with listening("127.7.2.50") as port:
        [target] = targets.expand("127.7.2.50/31", options={"port": port})
        assert not in_use.held(Address("127.7.2.50", port))
        OwnConnections.open(target).close()


@pytest.mark.usefixtures("installed")
def test_further_connections_than_can_be_kept_open_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "HANDED_ON", 1)
    with listening("127.7.2.60", "127.7.2.61") as port:
        found = targets.expand("127.7.2.60/31", options={"port": port})
        assert sorted(isinstance(each, BoardTarget) and each.connection is None for each in found) == [False, True]
        for target in found:
            ToyBoard.open(target).close()


def test_overlapping_ranges_exclusions_and_single_boards(lab: Callable[[str], Inventory]) -> None:
    with listening(*(f"127.7.3.{number}" for number in range(1, 7))) as port:
        known = lab(
            f'[targets.few]\nport = {port}\nhosts = ["127.7.3.0/29"]\nexclude = ["127.7.3.4", "127.7.3.6"]\n'
            f'[targets.all]\nport = {port}\nhosts = ["127.7.3.1-127.7.3.5"]\n'
            f'[targets.last]\nport = {port}\nhosts = ["127.7.3.5"]\n'
        )
        found = targets.expand(["few", "all", "last"], known=known)
        pools = [(each.entry.name, each.address[-1]) for each in found if isinstance(each, BoardTarget) and each.entry]
        assert pools == [("few", "1"), ("few", "2"), ("few", "3"), ("all", "4"), ("last", "5")]


def test_boards_of_a_range_may_have_ports_of_their_own(lab: Callable[[str], Inventory]) -> None:
    with listening("127.7.3.20") as port, listening("127.7.3.21") as other:
        known = lab(
            f'[targets.lab]\nport = {port}\nhosts = ["127.7.3.20/31"]\nboards."127.7.3.21" = {{port = {other}}}\n'
        )
        found = targets.expand("lab", known=known)
        assert [(each.address, each.options["port"]) for each in found] == [("127.7.3.20", port), ("127.7.3.21", other)]
        for target in found:
            ToyBoard.open(target).close()


@pytest.mark.usefixtures("installed")
def test_ports_may_be_a_range_too() -> None:
    with listening("127.7.3.30") as port:
        [target] = targets.expand(f"127.7.3.30:{port}-{port + 1}")
        assert target.address == f"127.7.3.30:{port}"


@pytest.mark.usefixtures("installed")
def test_a_board_that_this_process_uses_is_not_knocked_at() -> None:
    with listening("127.7.3.40", "127.7.3.41") as port:
        with ToyBoard.open(Target("taskloader", "127.7.3.40", {"port": port})):
            assert [each.address for each in targets.expand("127.7.3.40/31", options={"port": port})] == ["127.7.3.41"]
        assert len(targets.expand("127.7.3.40/31", options={"port": port})) == 2


@pytest.mark.usefixtures("installed")
def test_where_nobody_is_there_is_no_verdict() -> None:
    said: list[str] = []
    with pytest.raises(ConnectError, match=r"127.7.4.0/21: nobody accepts a connection at port 9") as caught:
        targets.expand("127.7.4.0/21", options={"port": 9}, notify=said.append)
    assert caught.value.exit_code == 75
    assert said == ["looking for boards at 2046 addresses"]


def test_a_wanted_range_covers_what_it_yields(lab: Callable[[str], Inventory]) -> None:
    entry = lab(
        '[targets.lab]\nhosts = ["10.0.0.0/28"]\nexclude = ["10.0.0.3-10.0.0.5"]\nboards."10.0.0.7" = {port = 7}\n'
    ).entries["lab"]
    [wanted] = Wanted.of(entry, "taskloader", {})
    yielded = set(wanted.addresses())
    for port in (7, 3001):
        for address in parse("10.0.0.0-10.0.0.20").addresses(port):
            assert wanted.covers(address) == (address in yielded)
