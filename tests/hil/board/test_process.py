"""Boards in a process of their own: how they start, what they are told, and that they end."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import hil.board
from hil.board import Boards
from hil.board.listening import describe, places
from hil.board.options import BoardOptions
from hil.board.process import Child, serve
from taskgen.addresses import Address
from taskgen.errors import TargetError, UsageError
from taskgen.session import Target
from tests.hil.board.benches import AVAILABLE, GET_LIVE
from tests.hil.board.serving import Client, eventually


@pytest.fixture(scope="module")
def boards() -> Iterator[Boards]:
    with serve(count=3) as boards:
        yield boards


def answers(address: Address) -> bool:
    with Client(address) as client:
        client.say(AVAILABLE)
        return client.read(4) == AVAILABLE


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_each_board_has_an_address_and_is_a_target(boards: Boards) -> None:
    assert len(set(boards.addresses)) == 3
    assert all(map(answers, boards.addresses))
    host, port = boards.addresses[1]
    assert boards.targets[1] == Target("taskloader", f"{host}:{port}", {"dialect": "G4", "binaries": "none"})
    assert "3 boards of generation G4" in repr(boards)


def test_a_frozen_board_comes_back_with_a_reboot(boards: Boards) -> None:
    with Client(boards.addresses[0]) as client:
        client.say(GET_LIVE)
        assert client.document()
        boards.freeze(0)
        client.say(GET_LIVE)
        assert client.is_silent()
        boards.reboot(0)
        with pytest.raises(ConnectionResetError):
            client.read(1)
    assert answers(boards.addresses[0])


def test_faults_come_and_go(boards: Boards) -> None:
    with Client(boards.addresses[1]) as client:
        client.say(AVAILABLE)
        assert client.read(4) == AVAILABLE
        boards.inject(1, "blackhole")
        client.say(AVAILABLE)
        assert client.is_silent()
    boards.lift(1)
    assert answers(boards.addresses[1])


@pytest.mark.parametrize(
    ("board", "fault", "words"),
    [(3, "latency:50", "board: '3', expected 0..2"), (-1, "latency:50", "board"), (0, "latncy:50", "latncy")],
)
def test_wrong_orders_are_refused_and_change_nothing(boards: Boards, board: int, fault: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        boards.inject(board, fault)
    assert answers(boards.addresses[0])


def test_a_fault_isnt_two_lines(boards: Boards) -> None:
    with pytest.raises(UsageError, match="more than one line"):
        boards.inject(0, "latency:50\nfreeze 1")
    assert answers(boards.addresses[1])


def test_threads_may_order_at_the_same_time(boards: Boards) -> None:
    threads = [threading.Thread(target=boards.lift, args=(number % 3,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(map(answers, boards.addresses))


def test_closing_ends_the_process_and_its_sockets() -> None:
    boards = serve(generation="G1")
    process = boards._child._process
    boards.close()
    boards.close()
    assert process.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        Client(boards.addresses[0])
    with pytest.raises(TargetError, match="closed"):
        boards.lift(0)


def test_a_process_that_was_killed_is_reported() -> None:
    with serve() as boards:
        process = boards._child._process
        process.kill()
        process.wait()
        with pytest.raises(TargetError, match="ended with exit code -9"):
            boards.lift(0)


def test_boards_that_nobody_holds_any_more_end() -> None:
    boards = serve()
    process = boards._child._process
    del boards
    assert process.wait(10) == 0


PARENT = """
import sys, time, hil.board
boards = hil.board.serve()
print(boards._child._process.pid, *boards.addresses[0], flush=True)
time.sleep(100)
"""


def test_boards_die_with_their_parent(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        child, host, port = parent.stdout.readline().split()
        assert answers(Address(host, int(port)))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        eventually(lambda: not is_there(int(child)))


def test_a_folder_with_other_modules_of_our_names_doesnt_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sim.py").write_text("raise SystemExit('not ours')")
    (tmp_path / "hil.py").write_text("raise SystemExit('not ours')")
    monkeypatch.chdir(tmp_path)
    with serve() as boards:
        assert answers(boards.addresses[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generation": "G5"}, "no generation 'G5'"),
        ({"count": 0}, "count: 0"),
        ({"count": True}, "count: True is no whole number"),
        ({"count": 5000}, "count: 5000"),
        ({"speed": "fast"}, "speed: 'fast'"),
        ({"port": 70_000}, "port: 70000"),
        ({"port": 65_530, "count": 10}, "end beyond 65535"),
        ({"listen": "board.lab"}, "no IP address"),
        ({"listen": "127.0.0.1:3001"}, "without port"),
        ({"listen": "127.0.0.0/30", "count": 3}, "2 addresses for 3 boards"),
        ({"listen": "192.0.2.1"}, "can't listen on 192.0.2.1"),
        ({"workload": "nowhere.toml"}, "nowhere.toml"),
        ({"engine": "linux"}, "no engine 'linux'"),
        ({"faults": ["latncy:5"]}, "latncy"),
        ({"faults": ["7:latency:5"]}, "no board 7"),
        ({"seed": 1.5}, "seed: 1.5"),
        ({"cores": "two"}, "cores: 'two'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        serve(**options)  # type: ignore[arg-type]


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"can't listen on 127.0.0.1:{port}: Address already in use"):
            serve(port=port)


def test_a_child_that_doesnt_start_is_reported() -> None:
    with pytest.raises(TargetError, match="ended with exit code 1"):
        Child("hil.board.nothing", "{}")


def test_options_travel_as_text() -> None:
    options = BoardOptions(count=3, speed=2.5, faults=("1:latency:50",), workload="x.toml", seed=7, uptime_ms=9)
    assert BoardOptions.from_json(options.to_json()) == BoardOptions(
        count=3, speed="2.5", faults=("1:latency:50",), workload="x.toml", seed=7, uptime_ms=9
    )


def test_the_names_of_the_room() -> None:
    assert hil.board.serve is serve
    with pytest.raises(AttributeError, match="nothing"):
        hil.board.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("listen", "port", "count", "where"),
    [
        ("127.0.0.1", 3001, 1, "127.0.0.1:3001"),
        ("localhost", 3001, 3, "127.0.0.1:3001 - 127.0.0.1:3003"),
        ("127.0.1.0/24", 3001, 200, "127.0.1.1:3001 - 127.0.1.200:3001"),
        ("127.0.0.5-127.0.0.6", 9, 2, "127.0.0.5:9 - 127.0.0.6:9"),
        ("127.0.0.1", 0, 2, "127.0.0.1:0, 127.0.0.1:0"),
        ("::1", 3001, 2, "[::1]:3001 - [::1]:3002"),
    ],
)
def test_places(listen: str, port: int, count: int, where: str) -> None:
    found = places(listen, port, count)
    assert len(found) == count
    assert ", ".join(describe(found)) == where
