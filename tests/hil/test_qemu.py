"""An emulated board that is frozen, in each of the ways in which one freezes, runs again after its power was cycled."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hil.power.qemu import TRUST_NS, QemuPower
from taskgen.power import Place, PowerError
from tests.hil.qemus import MISSING, ask, command, free_port, freeze, pid_at, present, running

pytestmark = pytest.mark.skipif(not present(), reason=MISSING)
linux = pytest.mark.skipif(sys.platform != "linux", reason="who listens at a socket is only known on Linux")

#: For monitors that answer, and for those that are silent.
PATIENT_MS, IMPATIENT_MS = 60_000, 200
BOARD = Place("127.0.0.1", 3001, "emulated")


@pytest.fixture
def where(tmp_path: Path) -> str:
    return f"unix:{tmp_path / 'qmp'}"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Callable[..., QemuPower]]:
    """Make drivers, and end what they started."""
    made: list[QemuPower] = []

    def make(where: str, *, restarts: bool = True, timeout_ms: int = PATIENT_MS, **options: object) -> QemuPower:
        start = {"command": command(tmp_path, where)} if restarts else {}
        made.append(QemuPower(BOARD, qmp=where, timeout_ms=timeout_ms, **{**start, **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        if each.board.process is not None:
            each.board.process.kill()
            each.board.process.wait(30)


def runs(where: str) -> bool:
    return ask(where)["running"] is True


def test_a_guest_that_was_stopped_is_reset_and_runs_in_the_same_process(
    tmp_path: Path, where: str, driver: Callable[..., QemuPower]
) -> None:
    with running(command(tmp_path, where), where) as process:
        ask(where, "stop")
        assert not runs(where)
        driver(where).cycle()
        assert runs(where)
        assert process.poll() is None


def test_without_a_command_a_guest_is_reset_again_and_again(
    tmp_path: Path, where: str, driver: Callable[..., QemuPower]
) -> None:
    with running(command(tmp_path, where), where) as process:
        board = driver(where, restarts=False)
        for _ in range(2):
            ask(where, "stop")
            board.cycle()
            assert runs(where)
        assert process.poll() is None


@linux
def test_a_frozen_qemu_of_somebody_else_is_killed_and_another_one_started(
    tmp_path: Path, where: str, driver: Callable[..., QemuPower]
) -> None:
    with running(command(tmp_path, where), where) as process:
        freeze(process.pid)
        driver(where, timeout_ms=IMPATIENT_MS).cycle()
        assert process.wait(30) == -9
        assert runs(where)
        assert pid_at(where) != process.pid


def test_a_qemu_that_was_started_here_is_killed_even_where_nobody_can_tell_who_listens(
    driver: Callable[..., QemuPower],
) -> None:
    where = f"tcp:127.0.0.1:{free_port()}"
    first = driver(where, timeout_ms=IMPATIENT_MS)
    first.cycle()
    old = first.board.process
    assert old is not None
    freeze(old.pid)
    driver(where, timeout_ms=IMPATIENT_MS).cycle()  # another driver of the same board
    assert old.poll() == -9
    assert runs(where)
    first.off()
    assert first.board.process is not old
    assert first.board.process is not None
    assert first.board.process.poll() is not None


def test_where_nobody_runs_one_is_started(where: str, driver: Callable[..., QemuPower]) -> None:
    """Its command says -S: the guest wouldn't run by itself."""
    board = driver(where)
    board.cycle()
    assert runs(where)
    assert board.describe() == f"QEMU at {where}"


@linux
def test_a_reset_that_did_not_help_is_followed_by_a_restart(where: str, driver: Callable[..., QemuPower]) -> None:
    now = [0]
    board = driver(where, clock=lambda: now[0])
    pids = []
    for now[0] in (0, 1, TRUST_NS, TRUST_NS + 1, 3 * TRUST_NS):
        board.cycle()
        assert runs(where)
        pids.append(pid_at(where))
    started, reset, restarted, reset_again, trusted = pids
    assert started == reset != restarted == reset_again == trusted


def test_off_ends_it_and_nobody_there_is_off_already(where: str, driver: Callable[..., QemuPower]) -> None:
    board = driver(where)
    board.off()
    board.cycle()
    board.off()
    assert board.board.process is not None
    assert board.board.process.poll() == 0  # it quit, and wasn't killed
    board.off()


def test_one_that_nobody_could_start_again_is_left_alone(
    tmp_path: Path, where: str, driver: Callable[..., QemuPower]
) -> None:
    with running(command(tmp_path, where), where) as process:
        freeze(process.pid)
        with pytest.raises(PowerError, match=r"doesn't answer in time$") as caught:
            driver(where, restarts=False, timeout_ms=IMPATIENT_MS).cycle()
        assert "command" in caught.value.hint
        assert process.poll() is None


def test_a_frozen_one_that_nobody_knows_is_an_error_and_no_second_one_is_started(
    tmp_path: Path, driver: Callable[..., QemuPower]
) -> None:
    where = f"tcp:127.0.0.1:{free_port()}"
    with running(command(tmp_path, where), where) as process:
        freeze(process.pid)
        board = driver(where, timeout_ms=IMPATIENT_MS)
        with pytest.raises(PowerError, match="nobody knows which process it is") as caught:
            board.cycle()
        assert "UNIX socket" in caught.value.hint
        assert board.board.process is None
        assert process.poll() is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["qemu-system-arm", "-M", "nonsense"], r"exit code 1: .*unsupported machine type"),
        (["qemu-system-nonsense"], "can't be started: No such file"),
        (["sh", "-c", "echo port {port} is taken >&2; exit 3"], "exit code 3: port 3001 is taken"),
        (["sh", "-c", "echo waiting >&2; sleep 1000"], "doesn't run within 300 ms: .*No such file.*: waiting"),
    ],
)
def test_one_that_does_not_start_is_an_error_and_nothing_is_left(
    where: str, driver: Callable[..., QemuPower], arguments: list[str], reason: str
) -> None:
    board = driver(where, command=arguments, start_ms=300 if "sleep 1000" in arguments[-1] else PATIENT_MS)
    with pytest.raises(PowerError, match=reason) as caught:
        board.cycle()
    assert str(caught.value).startswith(f"QEMU at {where}: {arguments[0]}")
    assert board.board.process is None or board.board.process.poll() is not None
