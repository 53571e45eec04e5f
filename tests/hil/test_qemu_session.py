"""The session `qemu`: a board that is lost in a run, or never answers, is there again after a cycle of its power."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hil import board
from hil.binaries import boot_of
from hil.power.qemu import QemuPower
from hil.qemu import QemuSession
from hil.session import TaskloaderSession
from taskgen import TaskSet, registry
from taskgen.boards import BoardTarget
from taskgen.errors import ConnectError, TargetError, UsageError
from taskgen.events import Event, EventType
from taskgen.inventory import Power, Settings
from taskgen.power import Place, PowerError, switch_of
from taskgen.session import Target
from tests.hil.qemus import MISSING, command, free_port, freeze, pid_at, present, running

#: A board that says nothing for so long is lost.
OPTIONS = {"dialect": "G4", "binaries": "none", "reply_ms": 700, "silence_ms": 700}
ONE_JOB = [{"id": 0, "pkg": "hey", "executiontime": 10, "period": 1000, "priority": 1, "numberofjobs": 1}]


class Reboots:
    """A power driver that switches a board in software."""

    bound_ns = 10**9
    cycles = 0
    cycled = threading.Event()

    def __init__(self, place: Place, *, boards: Any, port: int) -> None:
        assert place.port == port
        self.boards = boards

    def cycle(self) -> None:
        type(self).cycles += 1
        self.boards.lift(0)
        self.boards.reboot(0)
        self.cycled.set()

    def describe(self) -> str:
        return f"{self.boards} {id(self.boards)}"  # ports are used again


class Emulated(QemuPower):
    """A QEMU, and the board in software that stands for its guest."""

    def __init__(self, place: Place, *, boards: Any, **options: Any) -> None:
        super().__init__(place, **options)
        self.boards = boards

    def cycle(self) -> None:
        super().cycle()
        self.boards.reboot(0)


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> Iterator[board.Boards]:
    monkeypatch.setattr(Reboots, "cycles", 0)
    monkeypatch.setattr(Reboots, "cycled", threading.Event())
    with board.serve(generation="G4") as served:
        yield served


def target_of(boards: board.Boards, driver: str = "tests.hil.test_qemu_session:Reboots", **told: Any) -> BoardTarget:
    told = {"boards": boards, **(told or {"port": boards.addresses[0].port})}
    return BoardTarget("qemu", str(boards.addresses[0]), OPTIONS, settings=Settings(power=Power(driver, told)))


def one_run(session: TaskloaderSession) -> list[Event]:
    return list(session.run(TaskSet(ONE_JOB)))


def completes(session: TaskloaderSession) -> bool:
    return EventType.EXIT in {event.type for event in one_run(session)}


def test_a_board_that_answers_is_left_alone(boards: board.Boards) -> None:
    with QemuSession.open(target_of(boards)) as session:
        assert completes(session)
        assert completes(session)
    assert Reboots.cycles == 0


def test_after_a_run_that_lost_the_board_the_next_one_cycles_its_power(boards: board.Boards) -> None:
    with QemuSession.open(target_of(boards)) as session:
        assert completes(session)
        boards.freeze(0)
        with pytest.raises(TargetError):
            one_run(session)
        assert Reboots.cycles == 0  # the run is over, and somebody else may switch the board
        assert completes(session)
        assert completes(session)
    assert Reboots.cycles == 1


def test_so_does_the_next_session(boards: board.Boards) -> None:
    target = target_of(boards)
    with QemuSession.open(target) as session:
        boards.freeze(0)
        with pytest.raises(TargetError):
            one_run(session)
    for _ in range(2):
        with QemuSession.open(target) as session:
            assert completes(session)
    assert Reboots.cycles == 1


def test_what_was_cycled_since_is_not_cycled_again(boards: board.Boards) -> None:
    """A Distributor cycles the power of a target that failed, before it opens another session."""
    target = target_of(boards)
    with QemuSession.open(target) as session:
        boards.freeze(0)
        with pytest.raises(TargetError):
            one_run(session)
    switch = switch_of(target)
    assert switch is not None
    assert switch.cycle(lambda _: True)  # it boots now, and refuses for a moment
    with QemuSession.open(target) as session:
        assert completes(session)
    assert Reboots.cycles == 1


def test_a_board_that_never_answers_is_cycled_when_it_is_opened_and_has_lost_its_programs(boards: board.Boards) -> None:
    target = target_of(boards)
    boards.freeze(0)
    boot_of(boards.addresses[0]).sent["hey"] = "digest of what was sent before"
    with QemuSession.open(replace(target, options={**OPTIONS, "dialect": "auto"})) as session:
        assert boot_of(boards.addresses[0]).sent == {}
        assert completes(session)
    assert Reboots.cycles == 1


def test_to_wait_for_a_board_that_settles_is_interrupted_by_stop(boards: board.Boards) -> None:
    target = target_of(boards)
    assert target.settings.power is not None
    slow = replace(target, settings=Settings(power=replace(target.settings.power, settle_ns=10**15)))
    with QemuSession.open(slow) as session:
        boards.freeze(0)
        with pytest.raises(TargetError):
            one_run(session)
        run = session.run(TaskSet(ONE_JOB))

        def stop() -> None:
            Reboots.cycled.wait(30)
            session.stop()

        stopper = threading.Thread(target=stop)
        stopper.start()
        assert list(run) == []
        stopper.join()


def nobody(driver: str, **told: Any) -> BoardTarget:
    """Return a target where nobody listens."""
    power = Power(driver, told)
    return BoardTarget("qemu", f"127.0.0.1:{free_port()}", OPTIONS, settings=Settings(power=power))


def test_a_guest_that_does_not_boot_is_an_error_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QemuSession, "boot_s", 0.05)
    with pytest.raises(ConnectError, match="nobody accepts a connection"):
        QemuSession.open(nobody("command", cycle=["true"]))


def test_a_power_that_fails_is_the_error() -> None:
    with pytest.raises(PowerError, match="power command false: exit code 1"):
        QemuSession.open(nobody("command", cycle=["false"]))


def test_without_power_the_message_says_what_to_write() -> None:
    with pytest.raises(UsageError, match=r"^qemu:127.0.0.1: the session qemu needs to know") as caught:
        QemuSession.open(Target("qemu", "127.0.0.1"))
    assert 'driver = "qemu"' in caught.value.hint


def test_a_qemu_that_can_be_started_is_there() -> None:
    """Else nobody would ever open it."""
    qmp = "unix:/nonexistent"
    assert QemuSession.probe(nobody("qemu", qmp=qmp, command=["sh"]))
    assert QemuSession.probe(nobody("command", cycle=["start-board"]))
    assert not QemuSession.probe(nobody("qemu", qmp=qmp, command=["/nonexistent/qemu"]))
    assert not QemuSession.probe(nobody("qemu", qmp=qmp))
    assert not QemuSession.probe(Target("qemu", f"127.0.0.1:{free_port()}"))


def test_a_board_that_answers_is_there(boards: board.Boards) -> None:
    assert QemuSession.probe(Target("qemu", str(boards.addresses[0])))


@pytest.mark.parametrize("name", ["qemu", "genode.QemuSession"])
def test_it_has_the_name_of_the_original_tool(name: str) -> None:
    assert registry.load("sessions", name) is QemuSession


@pytest.mark.skipif(not present() or sys.platform != "linux", reason=MISSING)
def test_a_real_qemu_that_is_frozen_is_restarted_and_the_next_run_completes(
    boards: board.Boards, tmp_path: Path
) -> None:
    where = f"unix:{tmp_path / 'qmp'}"
    told = {"qmp": where, "command": command(tmp_path, where), "timeout_ms": 200}
    target = target_of(boards, "tests.hil.test_qemu_session:Emulated", **told)
    with running(command(tmp_path, where), where) as process, QemuSession.open(target) as session:
        assert completes(session)
        freeze(process.pid)
        boards.freeze(0)
        with pytest.raises(TargetError):
            one_run(session)
        try:
            assert completes(session)
            assert process.wait(30) == -9
            assert pid_at(where) != process.pid
        finally:
            QemuPower(Place(), qmp=where).off()
