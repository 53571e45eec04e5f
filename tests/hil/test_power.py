"""Power by command: a list of arguments, no shell, bounded in time and in output; and the seam to those who need it."""

import errno
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil import program
from hil.power.arguments import fill, fill_one
from hil.power.command import CommandPower
from taskgen import inventory
from taskgen.boards import BoardTarget
from taskgen.errors import UsageError
from taskgen.inventory import Power
from taskgen.power import Place, PowerError, Switch, make_switch, place_of, switch_of
from taskgen.session import Target

BOARD = Place("10.0.0.7", 3001, "lab")


def sh(script: str, *arguments: str) -> list[str]:
    return ["sh", "-c", script, "sh", *arguments]


# --- placeholders


def test_each_argument_is_filled_in_by_itself_and_stays_one_argument(tmp_path: Path) -> None:
    """No shell sees what stands in it: blanks, quotes and semicolons are mere text."""
    out = tmp_path / "out"
    place = Place("a b; echo oops", 3001, "$(id)")
    told = sh('printf "%s\\n" "$@" > "$0"', "{host}", "-p{port}", "{name}/{name}", "two words", "", "*")
    told[3] = str(out)
    CommandPower(place, cycle=told).cycle()
    assert out.read_text().split("\n") == ["a b; echo oops", "-p3001", "$(id)/$(id)", "two words", "", "*", ""]


@pytest.mark.parametrize(
    "text", ["{hots}", "{host!r}", "{host:>9}", "{host.real}", "{host[0]}", "{}", "{0}", "{host", "a}"]
)
def test_another_placeholder_is_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        CommandPower(BOARD, cycle=["pducycle", text])
    assert str(caught.value).startswith(f"power.cycle: {text!r}: ")
    assert "{host}, {port}, {name}" in caught.value.hint


def test_a_placeholder_for_what_the_board_has_not_is_refused() -> None:
    with pytest.raises(UsageError, match=r"power.off: '\{port\}': this board has no port"):
        CommandPower(Place("10.0.0.7"), on=["pdu", "on"], off=["pdu", "{port}"])


@given(st.text())
def test_text_without_braces_and_with_doubled_braces_stays(text: str) -> None:
    assert fill_one(text.replace("{", "{{").replace("}", "}}"), BOARD, "power.cycle") == text
    assert fill([f"{{host}}{text.replace('{', '').replace('}', '')}"], BOARD, "power.cycle")[0].startswith("10.0.0.7")


# --- the driver


@pytest.mark.parametrize(
    ("options", "reason"),
    [({}, "cycle is missing"), ({"on": ["pdu"]}, "off is missing"), ({"off": ["pdu"]}, "on is missing")],
)
def test_a_board_that_could_be_left_off_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=f"power command: {reason}"):
        CommandPower(BOARD, **options)


def test_off_then_on_with_a_pause_between(tmp_path: Path) -> None:
    log = tmp_path / "log"
    switch = {each: sh(f'echo {each} >> "$1"', str(log)) for each in ("on", "off")}

    def pause(seconds: float) -> None:
        with log.open("a") as file:
            file.write(f"{seconds}\n")

    CommandPower(BOARD, on=switch["on"], off=switch["off"], pause_ms=1500, sleep=pause).cycle()
    assert log.read_text().split() == ["off", "1.5", "on"]


def test_a_board_is_switched_on_although_switching_it_off_failed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    driver = CommandPower(BOARD, on=sh('echo on >> "$1"', str(log)), off=["false"], pause_ms=0)
    with pytest.raises(PowerError, match=r"power command false: exit code 1$"):
        driver.cycle()
    assert log.read_text().split() == ["on"]


@pytest.mark.parametrize(
    ("script", "end"),
    [
        ("echo all right; exit 3", "exit code 3: all right"),
        ("echo asked >&2; echo; exit 1", "exit code 1: asked"),
        ("printf '\\033[31mno\\000'; exit 1", "exit code 1: \ufffd[31mno\ufffd"),
        ("head -c 100000 /dev/zero | tr '\\0' x; exit 1", f"exit code 1: {'x' * 200}"),
        ("kill -9 $$", "signal 9"),
    ],
)
def test_a_failure_is_one_bounded_line(script: str, end: str) -> None:
    with pytest.raises(PowerError) as caught:
        CommandPower(BOARD, cycle=sh(script)).cycle()
    assert caught.value.exit_code == 75
    assert str(caught.value).startswith("power command sh -c ")
    assert str(caught.value).endswith(f": {end}")
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("argument", "reason"),
    [("/nonexistent/pducycle", "No such file or directory"), ("/", "Permission denied"), ("a\0b", "null byte")],
)
def test_a_program_that_cannot_be_started_is_named(argument: str, reason: str) -> None:
    with pytest.raises(PowerError, match=rf"power command .*: can't be started: .*{reason}") as caught:
        CommandPower(BOARD, cycle=[argument]).cycle()
    assert "installed?" in caught.value.hint


def test_a_program_gets_no_terminal_and_no_input() -> None:
    assert program.run(["cat"], 30) == program.Ended(0, b"")


def test_of_a_flood_of_output_the_end_is_kept() -> None:
    ended = program.run(sh("yes flood | head -n 100000; echo end"), 30)
    assert (ended.code, len(ended.output), ended.said()) == (0, program.KEPT, "end")


def test_when_its_time_is_over_a_program_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    """Two grandchildren hold a FIFO open and print for ever; it has no writer left when they are dead."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        told = sh('exec 3>"$1"; echo began >&3; sleep 1000 & yes & wait', str(fifo))
        driver = CommandPower(BOARD, cycle=told, timeout_ms=500)
        with pytest.raises(PowerError, match=r"took more than 500 ms and was killed: y$"):
            driver.cycle()
        assert os.read(reader, 100) == b"began\n"
        assert until_no_writer(reader)
    finally:
        os.close(reader)


def until_no_writer(reader: int) -> bool:
    for _ in range(500):
        try:
            if not os.read(reader, 100):
                return True
        except BlockingIOError:
            time.sleep(0.01)
    return False


def test_a_daemon_that_a_program_leaves_behind_is_neither_waited_for_nor_killed() -> None:
    """As the master connection of ssh: it holds the program's output open."""
    ended = program.run(sh("sleep 1000 & echo $!"), 30)
    pid = int(ended.said())
    assert ended.code == 0
    os.kill(pid, signal.SIGKILL)  # raises where there is no such process


def test_a_program_may_close_its_output_and_go_on() -> None:
    assert program.run(sh("exec >&- 2>&-; sleep 0.1; exit 4"), 30).code == 4


def open_files() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_no_file_stays_open() -> None:
    program.run(["true"], 30)
    before = open_files()
    program.run(["false"], 30)
    with suppress(OSError):
        program.run(["/nonexistent"], 30)
    program.run(["sleep", "1000"], 0.01)
    assert open_files() == before


# --- the seam


class Toy:
    """A driver of somebody else."""

    bound_ns = 7

    def __init__(self, place: Place, *, outlet: int = 0, error: Exception | None = None) -> None:
        self.place = place
        self.outlet = outlet
        self.error = error

    def cycle(self) -> None:
        if self.error:
            raise self.error

    def describe(self) -> str:
        return f"outlet {self.outlet}"


@pytest.mark.parametrize("wanted", [True, False])
def test_a_switch_waits_until_the_board_can_be_asked_unless_nobody_needs_it_any_more(wanted: bool) -> None:
    waits = []

    def rest(seconds: float) -> bool:
        waits.append(seconds)
        return wanted

    switch = Switch(Toy(BOARD), settle_ns=25 * 10**9)
    assert switch.cycle(rest) is wanted
    assert waits == [25.0]
    assert switch.bound_ns == 7 + 25 * 10**9


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), ZeroDivisionError("broken")])
def test_whatever_a_driver_raises_is_a_power_error(error: Exception) -> None:
    with pytest.raises(PowerError, match=r"power of outlet 3: \w+: .*broken"):
        Switch(Toy(BOARD, outlet=3, error=error)).cycle(lambda _: True)


def test_errors_of_the_kind_that_is_expected_pass_unchanged() -> None:
    error = PowerError("it has no power")
    with pytest.raises(PowerError) as caught:
        Switch(Toy(BOARD, error=error)).cycle(lambda _: True)
    assert caught.value is error


@pytest.mark.parametrize(
    ("driver", "options", "reason"),
    [
        ("comand", {"cycle": ["true"]}, "there is no power driver 'comand'"),
        ("command", {"cylce": ["true"]}, "power driver command: got an unexpected keyword argument 'cylce'"),
        ("qemu", {}, "power driver qemu: missing a required argument: 'qmp'"),
        ("tests.hil.test_power:Toy", {"outlets": 3}, "got an unexpected keyword argument 'outlets'"),
    ],
)
def test_what_a_driver_does_not_take_is_refused(driver: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        make_switch(Power(driver, options), BOARD)


INVENTORY = f"""
[targets.lab]
hosts = ["10.0.0.7", "10.0.0.8"]
port = 4001
[targets.lab.power]
driver = "command"
cycle = ["{sys.executable}", "-c", "raise SystemExit('{{name}} {{host}} {{port}}')"]
settle = "2s"
"""


def test_the_inventory_says_how_a_board_is_switched() -> None:
    entry = inventory.parse(INVENTORY).entries["lab"]
    target = BoardTarget("taskloader", "10.0.0.8", {"port": 4001}, entry, entry.settings)
    switch = switch_of(target)
    assert switch is not None
    assert switch.settle_ns == 2 * 10**9
    assert "10.0.0.8" in switch.driver.describe()
    with pytest.raises(PowerError, match=r"exit code 1: lab 10.0.0.8 4001"):
        switch.cycle(lambda _: True)


def test_without_power_in_the_inventory_there_is_no_switch() -> None:
    assert switch_of(Target("taskloader", "10.0.0.8")) is None
    assert switch_of(BoardTarget("taskloader", "10.0.0.8")) is None


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (Target("sim"), Place()),
        (Target("sim", "ideal"), Place("ideal", 3001)),
        (Target("taskloader", "[::1]:4000"), Place("::1", 4000)),
        (Target("taskloader", "pi.lab", {"port": 4000}), Place("pi.lab", 4000)),
        (Target("mine", "no address at all"), Place("no address at all")),
    ],
)
def test_a_place_is_where_the_target_is(target: Target, place: Place) -> None:
    assert place_of(target) == place
