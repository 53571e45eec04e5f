"""What an inventory says of power is looked at when it is read, not when a board has failed."""

import inspect

import pytest

from hil.power.command import CommandPower
from hil.power.qemu import QemuPower
from taskgen import inventory
from taskgen.errors import UsageError
from taskgen.inventory import Power
from taskgen.power import Place, make_switch

HEAD = '[targets.lab]\nhosts = ["10.0.0.7"]\n[targets.lab.power]\n'


def power_of(text: str) -> Power:
    power = inventory.parse(HEAD + text).entries["lab"].settings.power
    assert power is not None
    return power


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('driver = "command"', "3: targets.lab.power: cycle is missing", "cycle, or off and on"),
        ('driver = "command"\non = ["a"]', "3: targets.lab.power: off is missing", "cycle, or off and on"),
        ('driver = "command"\noff = ["a"]', "3: targets.lab.power: on is missing", "cycle, or off and on"),
        ('driver = "qemu"\ncommand = ["qemu"]', "3: targets.lab.power: qmp is missing", "add qmp = ..."),
        (
            'driver = "command"\ncycle = ["pdu", "{host.__class__}"]',
            "5: targets.lab.power.cycle[1]: '{host.__class__}': there is no placeholder {host.__class__}",
            "placeholders are {host}, {port}, {name}",
        ),
        ('driver = "command"\ncycle = ["pdu",\n"{"]', "6: targets.lab.power.cycle[1]: '{': Single '{'", "braces"),
        ('driver = "command"\ncycle = ["{host!r}"]', "5: targets.lab.power.cycle[0]: '{host!r}': there is", "{host}"),
        ('driver = "qemu"\nqmp = "unix:/{nam}"', "5: targets.lab.power.qmp: 'unix:/{nam}': there is no", "{name}"),
        ('driver = "qemu"\nqmp = "unix:/a"\npause = "1s"', "6: targets.lab.power.pause: unknown key", "known are"),
        ('driver = "command"\ncycle = ["a"]\ntimeout = "0s"', "6: targets.lab.power.timeout: is the text '0s'", ""),
        ('driver = "qemu"\nqmp = "unix:/a"\nstart = "1.5ms"', "6: targets.lab.power.start: is the text '1.5ms', ", ""),
        ('driver = "qemu"\nqmp = "unix:/a"\nstart = 20', "6: targets.lab.power.start: is the number 20", "unit"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_on_its_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        power_of(text)
    assert str(caught.value).startswith(f"taskgen.toml:{message}")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "power"),
    [
        (
            'driver = "command"\ncycle = ["pdu", "{host}", "{{}}"]\ntimeout = "5s"\npause = "0s"',
            Power("command", {"cycle": ("pdu", "{host}", "{{}}"), "timeout_ms": 5000, "pause_ms": 0}),
        ),
        (
            'driver = "qemu"\nqmp = "unix:/run/{port}"\ntimeout = "250ms"\nstart = "1m"\nsettle = "1ms"',
            Power("qemu", {"qmp": "unix:/run/{port}", "timeout_ms": 250, "start_ms": 60_000}, 1_000_000),
        ),
    ],
)
def test_durations_are_the_drivers_milliseconds(text: str, power: Power) -> None:
    assert power_of(text) == power
    assert make_switch(power_of(text), Place("10.0.0.7", 3001, "lab")).bound_ns > 0


@pytest.mark.parametrize(("driver", "kind"), [("command", CommandPower), ("qemu", QemuPower)])
def test_whatever_a_driver_takes_an_inventory_can_say(driver: str, kind: type) -> None:
    told = {inventory.schema._POWER_ARGUMENTS.get(key, key) for key in inventory.schema._TOLD[driver]}
    assert told == set(inspect.signature(kind).parameters) - {"place", "clock", "sleep"}


def test_a_number_that_is_none_is_said_so_once() -> None:
    with pytest.raises(UsageError) as caught:
        inventory.parse('[targets.lab]\nhosts = ["10.0.0.7"]\nmax_run_ms = nan\n')
    assert str(caught.value) == "taskgen.toml:3: targets.lab.max_run_ms: nan is not a finite number of milliseconds"
