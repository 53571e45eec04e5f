"""Boards behind real sockets: who is served, how time goes by, and that nobody waits for somebody else's board."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest

from hil.board.dom0 import SOCKETS
from hil.board.hooks import Action, Hook, Piece
from hil.board.pace import Pace, speed_of
from hil.board.station import GLANCE_NS
from hil.messages import Message, Start
from taskgen.addresses import Address
from taskgen.errors import UsageError
from tests.hil.board.benches import AVAILABLE, GET_LIVE, REBOOT, descs, task, word
from tests.hil.board.serving import Client, eventually, on_loop, serving

START, CLEAR, STOP = (bytes.fromhex(each) for each in ("e54d5100", "e60d0000", "e64d5100"))


def sent(*tasks: dict[str, object]) -> bytes:
    xml = descs(*tasks).xml
    return word(0xDE5) + len(xml).to_bytes(4, "little") + xml


ENDLESS = task(executiontime=1, period=10, criticaltime=5, numberofjobs=2**32 - 1)


def test_a_board_serves_one_client_after_the_other() -> None:
    with serving() as server:
        (station,) = server.stations
        with Client(station.address) as first, Client(station.address) as second:
            first.say(AVAILABLE)
            assert first.read(4) == AVAILABLE
            second.say(AVAILABLE)
            assert second.is_silent()  # it sits in the backlog, ungreeted
            first.sock.close()
            assert second.read(4) == AVAILABLE


def test_a_later_client_inherits_what_runs() -> None:
    with serving() as server:
        (station,) = server.stations
        with Client(station.address) as first:
            first.say(sent(ENDLESS) + START)
            assert b"START" in first.document()
        with Client(station.address) as second:
            assert b"START" in second.document()


def test_the_board_never_hangs_up() -> None:
    with serving() as server, Client(server.stations[0].address) as client:
        client.say(AVAILABLE)
        assert client.read(4) == AVAILABLE
        client.sock.shutdown(socket.SHUT_WR)
        assert client.is_silent()


def test_a_command_is_answered_even_if_nobody_will_ask_again() -> None:
    with serving() as server, Client(server.stations[0].address) as client:
        client.say(CLEAR + GET_LIVE)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.document().startswith(b"<live>")


def test_when_its_sockets_are_used_up_a_board_closes_each_connection_at_once() -> None:
    with serving() as server:
        (station,) = server.stations
        for _ in range(SOCKETS):
            with Client(station.address) as client:
                client.say(AVAILABLE)
                assert client.read(4) == AVAILABLE
        with Client(station.address) as client, pytest.raises((EOFError, ConnectionError)):
            client.read(1)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1"])
def test_any_loopback_address(host: str) -> None:
    with serving(listen=host) as server, Client(server.stations[0].address) as client:
        client.say(AVAILABLE)
        assert client.read(4) == AVAILABLE


def test_a_board_that_is_dead_stays_connected_and_mute() -> None:
    with serving() as server:
        (station,) = server.stations
        with Client(station.address) as client, Client(station.address) as other:
            client.say(word(0xDE5) + word(0) + GET_LIVE)
            assert client.is_silent()
            other.say(AVAILABLE)
            client.sock.close()
            assert other.is_silent()  # its handshake went through, and that is all


# -- reboots ---------------------------------------------------------------------------------------------------------


def test_a_reboot_comes_without_fin_and_ends_with_a_reset() -> None:
    with serving() as server:
        (station,) = server.stations
        with Client(station.address) as client:
            client.say(sent(task()) + REBOOT)
            with pytest.raises(ConnectionResetError):
                client.read(1)
        with Client(station.address) as client:
            client.say(GET_LIVE)
            assert b"00.hey" not in client.document()


def test_while_it_boots_a_board_refuses() -> None:
    with serving(speed="1") as server:
        (station,) = server.stations
        with Client(station.address) as client:
            client.say(REBOOT)
            assert client.is_silent()
            with pytest.raises(ConnectionRefusedError):
                Client(station.address)
            with pytest.raises(OSError, match="in use"), socket.socket() as thief:
                thief.bind(tuple(station.address))  # the port stays the board's


def test_power_brings_a_frozen_board_back() -> None:
    with serving() as server:
        (station,) = server.stations
        with Client(station.address) as client:
            client.say(AVAILABLE)
            assert client.read(4) == AVAILABLE
            on_loop(server, station.freeze)
            client.say(AVAILABLE)
            assert client.is_silent()
            on_loop(server, station.reboot)
            with pytest.raises(ConnectionResetError):
                client.read(1)
        with Client(station.address) as client:
            client.say(AVAILABLE)
            assert client.read(4) == AVAILABLE


# -- time ------------------------------------------------------------------------------------------------------------


def test_a_factor_of_the_wall_clock_is_kept() -> None:
    # CLEAR takes 1000 ms of the board's time: at 20 times the wall's that can't come before 50 ms.
    with serving(speed="20") as server, Client(server.stations[0].address) as client:
        client.say(AVAILABLE)
        assert client.read(4) == AVAILABLE
        began = time.monotonic()
        client.say(CLEAR + AVAILABLE)
        assert client.read(4) == AVAILABLE
        assert time.monotonic() - began >= 0.05


def test_stamps_follow_the_factor() -> None:
    with serving(speed="50") as server, Client(server.stations[0].address) as client:
        client.say(sent(task(executiontime=10, period=500, criticaltime=200, numberofjobs=3)) + START)
        stamps = [int(client.document().split(b'time-stamp="')[1].split(b'"')[0]) for _ in range(3)]
        assert [later - stamps[0] for later in stamps] == [0, 500, 1000]


def test_a_client_that_doesnt_read_stops_its_own_board_only() -> None:
    with serving(count=2) as server:
        slow, other = server.stations
        with Client(slow.address, SO_RCVBUF=4096) as lazy, Client(other.address) as client:
            lazy.say(sent(*({**ENDLESS, "id": number} for number in range(20))) + START)
            eventually(lambda: stands_still(slow))
            for _ in range(20):
                client.say(AVAILABLE)
                assert client.read(4) == AVAILABLE
            before = clock_ns(slow)
            while clock_ns(slow) == before:
                assert lazy.document().startswith(b"<profile>")


def stands_still(station: Any) -> bool:
    before = clock_ns(station)
    time.sleep(0.02)
    return station._line.blocked and clock_ns(station) == before


def clock_ns(station: Any) -> int:
    return int(station._dom0.engine.now_ns)


def test_a_board_without_a_log_runs_no_further_than_its_client_can_see() -> None:
    with serving(generation="G1") as server, Client(server.stations[0].address) as client:
        client.say(sent(task(period=1000, numberofjobs=None)) + START)
        client.say(GET_LIVE)
        assert client.document()
        began = clock_ns(server.stations[0])
        for _ in range(8):
            client.say(GET_LIVE)
            assert client.document()
        assert 2_000_000_000 < clock_ns(server.stations[0]) - began <= 9 * GLANCE_NS


def test_nobody_waits_for_a_board_that_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.board.station.LONELY_STEPS", 1 << 60)
    # Round robin without an end and without a push: the engine always has something to do.
    endless = task(pkg="idle", executiontime=None, period=2_000_000, coreoffset=1)
    with serving(count=2) as server:
        busy, idle = server.stations
        with Client(busy.address) as other, Client(idle.address) as client:
            other.say(sent(endless, endless | {"id": 1}) + START)
            eventually(lambda: clock_ns(busy) > 10_000_000_000)
            before = clock_ns(busy)
            for _ in range(50):
                client.say(AVAILABLE)
                assert client.read(4) == AVAILABLE
            eventually(lambda: clock_ns(busy) > before)


def test_a_board_that_its_client_lost_sight_of_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hil.board.station.LONELY_STEPS", 2_000)
    endless = task(pkg="idle", executiontime=None, period=2_000_000)
    with serving() as server, Client(server.stations[0].address) as client:
        client.say(sent(endless, endless | {"id": 1}) + START)
        (station,) = server.stations
        for _ in range(3):
            eventually(lambda: station.alarm_ns is None and station._lonely >= 2_000)
            before = clock_ns(station)
            client.say(AVAILABLE)
            assert client.read(4) == AVAILABLE
            eventually(lambda before=before: clock_ns(station) > before)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "speed"), [("max", None), ("1.0", 1), (1.0, 1), (2, 2), ("0.25", 1 / 4), ("1/3", 1 / 3), ("1e3", 1000)]
)
def test_speeds(text: str | float, speed: float | None) -> None:
    found = speed_of(text)
    assert found == speed if speed is None or found is None else float(found) == speed


@pytest.mark.parametrize("text", ["0", "-1", "fast", "", "1/0", "nan", "inf", "1e9", "1e-9", "9" * 30, "MAX"])
def test_no_speeds(text: str) -> None:
    with pytest.raises(UsageError, match="speed"):
        speed_of(text)


def test_a_pace_maps_both_ways() -> None:
    speed = speed_of("1.5")
    assert speed is not None
    pace = Pace(speed, 1_000, 50)
    for wall_ns in range(1_000, 1_100):
        board_ns = pace.board_ns(wall_ns)
        assert pace.wall_ns(board_ns) <= wall_ns
        assert pace.board_ns(pace.wall_ns(board_ns)) >= board_ns
    assert (pace.board_ns(1_100), pace.wall_ns(200)) == (200, 1_100)


# -- many ------------------------------------------------------------------------------------------------------------


def test_two_hundred_boards() -> None:
    with serving(count=200, listen="127.0.7.0/24") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(station.address)) for station in server.stations]
        assert len({station.address.host for station in server.stations}) == 200
        for client in clients:
            client.say(sent(task(numberofjobs=2, period=1000, criticaltime=500)) + START)
        for client in clients:
            assert b"JOBS_DONE" not in client.document()
            assert b"JOBS_DONE" in client.document()


# -- where faults take hold ------------------------------------------------------------------------------------------


class Faulty(Hook):
    """What a test wants."""

    def __init__(self, **places: Any) -> None:
        for name, place in places.items():
            setattr(self, name, place)


@contextlib.contextmanager
def spoilt(**places: Any) -> Any:
    with serving([Faulty(**places)]) as server, Client(server.stations[0].address) as client:
        yield client


def test_a_hook_delays_and_slices_what_is_written() -> None:
    def outgoing(data: bytes) -> Iterable[Piece]:
        return [Piece(data, 20_000_000, "", 1, 1_000_000)]

    with spoilt(outgoing=outgoing) as client:
        client.say(AVAILABLE)
        assert [client.sock.recv(4) for _ in range(4)] == [bytes([each]) for each in AVAILABLE]


def test_a_hook_delays_and_slices_what_is_read() -> None:
    with spoilt(incoming=lambda data: [Piece(data, 1_000_000, "", 3, 1_000_000)]) as client:
        client.say(AVAILABLE + GET_LIVE)
        assert client.read(4) == AVAILABLE
        assert client.document().startswith(b"<live>")


def test_a_hook_swallows() -> None:
    with spoilt(incoming=lambda _: ()) as client:
        client.say(AVAILABLE)
        assert client.is_silent()


@pytest.mark.parametrize(("end", "error"), [("close", EOFError), ("reset", ConnectionResetError)])
@pytest.mark.parametrize("way", ["incoming", "outgoing"])
def test_a_hook_ends_the_connection(end: Any, error: type[Exception], way: str) -> None:
    with serving([Faulty(**{way: lambda data: [Piece(data[:2], 0, end)]})]) as server:
        (station,) = server.stations
        with Client(station.address) as client:
            client.say(AVAILABLE)
            with pytest.raises(error):
                client.read(4)
        on_loop(server, lambda: station.inject(Hook()))
        with Client(station.address) as client:
            client.say(AVAILABLE)
            assert client.read(4) == AVAILABLE


def test_a_hook_accepts_and_never_serves() -> None:
    with spoilt(accepts=lambda: False) as client:
        client.say(AVAILABLE)
        assert client.is_silent()


def test_a_hook_freezes_behind_a_command() -> None:
    def heard(message: Message) -> Iterable[Message | Action]:
        return [message, Action.FREEZE] if isinstance(message, Start) else [message]

    with spoilt(heard=heard) as client:
        client.say(sent(task()) + START + AVAILABLE)
        assert client.is_silent()


def test_a_hook_reboots_at_once() -> None:
    with serving() as server, Client(server.stations[0].address) as client:
        client.say(AVAILABLE)
        assert client.read(4) == AVAILABLE
        on_loop(server, lambda: server.stations[0].inject(Faulty(begins=lambda **_: [Action.REBOOT])))
        with pytest.raises(ConnectionResetError):
            client.read(1)


def test_a_hook_says_something_else() -> None:
    with spoilt(says=lambda message: [b"rubbish", message]) as client:
        client.say(AVAILABLE)
        assert client.read(11) == b"rubbish" + AVAILABLE


def test_a_fault_of_ours_hangs_one_board_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    hooks = [Faulty(heard=lambda _: 1 // 0), Hook()]
    with serving(hooks, count=2) as server:
        broken, whole = server.stations
        with Client(broken.address) as client, Client(whole.address) as other:
            client.say(AVAILABLE)
            assert client.is_silent()
            other.say(AVAILABLE)
            assert other.read(4) == AVAILABLE
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_nothing_is_left_behind() -> None:
    threads = threading.active_count()
    with serving(count=3) as server:
        addresses = [station.address for station in server.stations]
        with Client(addresses[0]):
            pass
    assert threading.active_count() == threads
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            Client(Address(*address))
