"""The inventory says where boards are and how they are treated; what is wrong in it is found on its line."""

import os
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen import inventory, registry
from taskgen.addresses import Address
from taskgen.errors import UsageError
from taskgen.inventory import Health, Inventory, Power, Quarantine, Settings
from taskgen.inventory.lines import lines_of

FULL = """
schema = 1

[targets.board]
session    = "taskloader"
hosts      = ["10.200.40.0/27", "10.200.41.7:3002", "[::1]:3001", "127.0.0.1-127.0.0.20", "pi4"]
exclude    = ["10.200.40.1"]
port       = 3003
dialect    = "G3a"
binaries   = "programs"
max_run_ms = 2.5
features   = ["arm", "fp"]
parallel   = 8

[targets.board.power]
driver = "command"
cycle  = ["pducycle", "{host}"]
settle = "25s"

[targets.board.health]
probe            = "canary"
every            = "30m"
quarantine_after = 3
backoff          = "0.5s"
max_backoff      = "1 h"

[targets.board.boards."10.200.40.9"]
features   = ["arm"]
dialect    = "G4"
quarantine = { reason = "SD card", until = 2026-12-01 }

[targets.quick]
session = "sim"
"""


def parse(text: str) -> Inventory:
    return inventory.parse(text, Path("/lab/taskgen.toml"))


def test_everything_that_can_be_said() -> None:
    known = parse(FULL)
    assert list(known.entries) == ["board", "quick"]
    board = known.entries["board"]
    assert (board.session, board.parallel) == ("taskloader", 8)
    assert [hosts.text for hosts in board.hosts][2:] == ["[::1]:3001", "127.0.0.1-127.0.0.20", "pi4"]
    assert [hosts.text for hosts in board.exclude] == ["10.200.40.1"]
    assert board.settings == Settings(
        options={"port": 3003, "dialect": "G3a", "binaries": "/lab/programs", "max_run_ms": 2.5},
        features=("arm", "fp"),
        power=Power("command", {"cycle": ("pducycle", "{host}")}, settle_ns=25 * 10**9),
        health=Health("canary", 1800 * 10**9, 3, 5 * 10**8, 3600 * 10**9),
    )
    assert known.entries["quick"].settings == Settings()


def test_what_a_board_says_stands_in_the_place_of_what_its_target_says() -> None:
    board = parse(FULL).entries["board"]
    own = board.settings_of(Address("10.200.40.9", 3003))
    assert own.options == {**board.settings.options, "dialect": "G4"}
    assert (own.features, own.power, own.health) == (("arm",), board.settings.power, board.settings.health)
    assert own.quarantine == Quarantine("SD card", date(2026, 12, 1))
    assert own.rests(date(2026, 11, 30))
    assert not own.rests(date(2026, 12, 1))
    assert board.settings_of(Address("10.200.40.8", 3003)) is board.settings


def test_of_two_boards_at_a_host_the_one_with_the_port_counts() -> None:
    lab = parse(
        '[targets.lab]\nhosts = ["10.0.0.7:1-2"]\n[targets.lab.boards]\n'
        '"10.0.0.7".dialect = "G1"\n"10.0.0.7:2".dialect = "G4"\n'
    ).entries["lab"]
    assert [lab.settings_of(Address("10.0.0.7", port)).options["dialect"] for port in (1, 2)] == ["G1", "G4"]


@pytest.mark.parametrize(
    ("text", "folder"),
    [("bin", "/lab/bin"), ("../bin", "/lab/../bin"), ("/opt/bin", "/opt/bin"), ("none", "none")],
)
def test_the_folder_of_binaries_is_seen_from_the_inventory(text: str, folder: str) -> None:
    lab = parse(f'[targets.lab]\nhosts = ["10.0.0.7"]\nbinaries = "{text}"\n').entries["lab"]
    assert lab.settings.options["binaries"] == folder


# --- what is wrong: the lines begin with `[targets.lab]` on line 1, `hosts` on line 2

WRONG = [
    ('hots = ["10.0.0.8"]', 3, "targets.lab.hots: unknown key", "did you mean hosts?"),
    ("xyzzy = 1", 3, "targets.lab.xyzzy: unknown key", "known are session, hosts, exclude, parallel, boards, port,"),
    ("\n# comment\npot = 1", 5, "targets.lab.pot: unknown key", "did you mean port?"),
    ('port = "3001"', 3, "targets.lab.port: is the text '3001', expected an integer from 1 to 65535", ""),
    ("port = true", 3, "targets.lab.port: is the boolean true, expected an integer", ""),
    ("port = 0", 3, "targets.lab.port: is the number 0, expected an integer from 1 to 65535", ""),
    ("port = 65536", 3, "targets.lab.port: is the number 65536", ""),
    ("parallel = 0", 3, "targets.lab.parallel: is the number 0, expected an integer from 1", ""),
    ("dialect = 'G5'", 3, "targets.lab.dialect: there is no 'G5'", "did you mean G"),
    ("dialect = 4", 3, "targets.lab.dialect: is the number 4, expected one of auto, G1, G1o, G1p, G3a, G3b, G4", ""),
    ("max_run_ms = 0", 3, "targets.lab.max_run_ms: is the number 0, expected more than 0 ms", ""),
    ("max_run_ms = nan", 3, "targets.lab.max_run_ms: nan is not a finite number of milliseconds", ""),
    ("max_run_ms = -1", 3, "targets.lab.max_run_ms: -1 is negative", ""),
    ("max_run_ms = '1s'", 3, "targets.lab.max_run_ms: is the text '1s', expected a number of milliseconds", ""),
    ("binaries = 1979-05-27", 3, "targets.lab.binaries: is the date or time 1979-05-27, expected a text", ""),
    ("session = ''", 3, "targets.lab.session: is the text '', expected a text", ""),
    ("session = 'smi'", 3, "targets.lab.session: there is no 'smi'", "did you mean sim?"),
    ("features = 'arm'", 3, "targets.lab.features: is the text 'arm', expected a list", "write [...]"),
    ("features = [\n'arm',\n'a b',\n]", 5, "targets.lab.features[1]: is the text 'a b', expected a word", ""),
    ("exclude = ['10.0.0.7',\n 7]", 4, "targets.lab.exclude[1]: is the number 7, expected an address", ""),
    ("exclude = ['10.0.0.300']", 3, "targets.lab.exclude[0]: '10.0.0.300': is no IP address", "write 10.0.0.7,"),
    ("exclude = ['10.0.0.0/8']", 3, "targets.lab.exclude[0]: '10.0.0.0/8': stands for 16777214 addresses", "name the"),
    (f"exclude = ['{'1' * 600}']", 3, "is longer than 512 characters", ""),
    (f"exclude = [{'1,' * 5000}]", 3, "targets.lab.exclude: has 5000 elements, expected 0 to 4096", ""),
    ("power = 'pdu'", 3, "targets.lab.power: is the text 'pdu', expected a table", 'write {driver = "command"'),
    ("power = {cycle = ['pdu']}", 3, "targets.lab.power: driver is missing", "one of command, qemu"),
    ("power.driver = 'comand'", 3, "targets.lab.power.driver: there is no 'comand'", "did you mean command?"),
    ("power = {driver = 'command', cylce = ['pdu']}", 3, "targets.lab.power.cylce: unknown key", "did you mean cycle?"),
    (
        "[targets.lab.power]\ndriver = 'command'\ncycle = 'pdu --port 1'",
        5,
        "targets.lab.power.cycle: is a text, expected a list of arguments: there is no shell",
        'write ["pdu", "--port", "1"]',
    ),
    ("power = {driver = 'command', cycle = []}", 3, "targets.lab.power.cycle: has 0 elements, expected 1", ""),
    ("power = {driver = 'command', cycle = ['']}", 3, "targets.lab.power.cycle[0]: is empty, expected a program", ""),
    (
        "power = {driver = 'command', cycle = ['pdu', 1]}",
        3,
        "targets.lab.power.cycle[1]: is the number 1, expected",
        "",
    ),
    ('power = {driver = "command", cycle = ["a\\u0000"]}', 3, "targets.lab.power.cycle[0]: is the text", ""),
    (
        "power = {driver = 'command', settle = 25}",
        3,
        "targets.lab.power.settle: is the number 25, expected a dur",
        "write",
    ),
    (
        "health.every = '30 parsecs'",
        3,
        "targets.lab.health.every: is the text '30 parsecs', expected a duration",
        "write",
    ),
    ("health = {every = '999999999999h'}", 3, "targets.lab.health.every: ", ""),
    ("health.probe = 'canari'", 3, "targets.lab.health.probe: there is no 'canari'", "did you mean canary?"),
    (
        "health.quarantine_afte = 3",
        3,
        "targets.lab.health.quarantine_afte: unknown key",
        "did you mean quarantine_after?",
    ),
    ("health = []", 3, "targets.lab.health: is the list [], expected a table", "with the keys probe, every"),
    ("boards = 1", 3, "targets.lab.boards: is the number 1, expected tables", 'write [targets.NAME.boards."ADDRESS"]'),
    ("boards.'10.0.0.8' = {}", 3, 'targets.lab.boards."10.0.0.8": isn\'t among the hosts', "add it to hosts"),
    ("boards.'10.0.0.0/24' = {}", 3, 'targets.lab.boards."10.0.0.0/24": stands for 254 addresses', ""),
    ("boards.x.hosts = []", 3, "targets.lab.boards.x: isn't among the hosts", ""),
    ("[targets.lab.boards.'10.0.0.7']\nhosts = []", 4, 'targets.lab.boards."10.0.0.7".hosts: unknown key', "known are"),
    ("quarantine = {until = 2026-12-01}", 3, "targets.lab.quarantine: reason is missing", "add reason = ..."),
    (
        "quarantine = {reason = 'x', until = '2026'}",
        3,
        "targets.lab.quarantine.until: is the text '2026', exp",
        "write 2026",
    ),
    (
        "[targets.sim]\nhosts = ['10.0.0.7']",
        3,
        "targets.sim: 'sim' is a session, and this target would never be",
        "choose",
    ),
    ("[targets.none]", 3, "targets.none: hosts are missing", 'add hosts = ["10.0.0.7"]'),
    ("[targets.big]\nhosts = ['10.0.0.0/12', '11.0.0.1-11.0.0.9']", 4, "targets.big.hosts: stand for 1048583 addr", ""),
    ("[targets.'10.0.0.7']", 3, 'targets."10.0.0.7": is no name for a target', "a letter"),
    ("[targets.localhost]", 3, "targets.localhost: is no name for a target", "a letter"),
    ("[target.lab2]", 3, "target: unknown key", "did you mean targets?"),
]


@pytest.mark.parametrize(("text", "line", "message", "hint"), WRONG, ids=[text[:50] for text, *_ in WRONG])
def test_what_is_wrong_is_named_with_file_line_and_the_nearest_key(
    text: str, line: int, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f'[targets.lab]\nhosts = ["10.0.0.7"]\n{text}\n')
    said = str(caught.value)
    assert said.startswith(f"/lab/taskgen.toml:{line}: ")
    assert message in said
    assert caught.value.hint.startswith(hint)
    assert len(said) < 300
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets = 1", "taskgen.toml:1: targets: is the number 1, expected tables"),
        ("\ntargets.lab = 1", "taskgen.toml:2: targets.lab: is the number 1, expected a table"),
        ("schema = 2", "taskgen.toml:1: schema: is the number 2, expected 1"),
        ("a = 1\nb = [", "taskgen.toml:2: is no TOML: Invalid value"),
        ("a = 1\n\nb c", "taskgen.toml:3: is no TOML: Expected '=' after a key"),
        ("a = 1\na = 1", "taskgen.toml:2: is no TOML: Cannot overwrite a value"),
        ("a = " + "[" * 10**5, "taskgen.toml: is nested too deeply"),
        ("a = " + "9" * 5000, "taskgen.toml: is no TOML: Exceeds the limit"),
        ("schema = 0x1" + "0" * 5000, "taskgen.toml:1: schema: is the number a number of more than 4300 digits"),
    ],
    ids=lambda text: text[:20],
)
def test_a_file_that_is_no_inventory(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        inventory.parse(text)
    assert str(caught.value).startswith(message)


def test_drivers_of_others_are_told_what_they_like_but_lists_are_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = registry.entries
    monkeypatch.setattr(registry, "entries", lambda group: {"relay": None} if group == "power" else installed(group))
    text = (
        '[targets.lab]\nhosts = ["10.0.0.7"]\npower = {driver = "relay", line = 4, run = ["a", "b"], settle = "1s"}\n'
    )
    assert parse(text).entries["lab"].settings.power == Power("relay", {"line": 4, "run": ("a", "b")}, 10**9)
    with pytest.raises(UsageError, match=r"power.run\[1\]: is the number 1, expected a text"):
        parse(text.replace('"b"', "1"))


# --- where it is looked for


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "lab" / "inner").mkdir(parents=True)
    (tmp_path / "lab" / "taskgen.toml").write_text('[targets.near]\nhosts = ["10.0.0.7"]\n')
    (tmp_path / "taskgen.toml").write_text('[targets.far]\nhosts = ["10.0.0.7"]\n')
    return tmp_path


def test_the_nearest_file_upward_counts(tree: Path) -> None:
    for folder, name in ((tree / "lab" / "inner", "near"), (tree / "lab", "near"), (tree, "far")):
        assert list(inventory.find(folder, {}).entries) == [name]
    found = inventory.find(tree / "lab" / "inner", {})
    assert found.path == tree / "lab" / "taskgen.toml"


def test_the_environment_names_another_one(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = {inventory.VARIABLE: str(tree / "taskgen.toml")}
    assert list(inventory.find(tree / "lab", named).entries) == ["far"]
    monkeypatch.setenv(inventory.VARIABLE, named[inventory.VARIABLE])
    assert list(inventory.find(tree / "lab").entries) == ["far"]
    with pytest.raises(UsageError, match=r"TASKGEN_INVENTORY: missing.toml: there is no such file"):
        inventory.find(tree, {inventory.VARIABLE: "missing.toml"})


def test_without_a_file_the_inventory_is_empty(tmp_path: Path) -> None:
    if any((folder / inventory.FILE_NAME).exists() for folder in tmp_path.parents):
        pytest.skip("there is an inventory above the temporary folder")
    assert inventory.find(tmp_path, {}) == Inventory()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"# \xff", r":1: is no UTF-8 text"),
        (b"a = 1\n# \xff", r":2: is no UTF-8 text"),
        (b"#" * (1 << 20) + b"#", "is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "taskgen.toml").write_bytes(data)
    with pytest.raises(UsageError, match=message):
        inventory.load(tmp_path / "taskgen.toml")


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"inventory .*missing.toml: No such file"):
        inventory.load(tmp_path / "missing.toml")
    with pytest.raises(UsageError, match=r"inventory .*: (Is a directory|Permission denied)"):
        inventory.load(tmp_path)


def test_line_ends_and_marks_of_other_systems_are_understood(tmp_path: Path) -> None:
    (tmp_path / "taskgen.toml").write_bytes(b'\xef\xbb\xbf[targets.lab]\r\nhosts = ["10.0.0.7"]\r\n\r\nhots = 1\r\n')
    with pytest.raises(UsageError, match=r"taskgen.toml:4: targets.lab.hots: unknown key"):
        inventory.load(tmp_path / "taskgen.toml")
    assert os.linesep  # and of this one, in all other tests


# --- lines

DOCUMENT = '''\
top = 1  # comment with [brackets] = "and more"
"quoted key" = "a # no comment"
'literal.key'.inner = """
[not.a.table]
x = 1 \\""" ""
"""
a.b . "c.d" = 2
[ table . "sub.table" ]
list = [
  1,
  # [comment]
  "two, ]", [3, 4],
  { x = 1, y.z = [5] },
]
date = 1979-05-27 07:32:00
raw = \'\'\'
]'}''x\'\'\'
empty = ""
[[items]]
name = 1
[items.sub]
k = 1
[[items]]
name = 2
[[items.deep]]
"\\u00e9" = true
[[items.deep]]
last = -1.5e3'''

EXPECTED = {
    ("top",): 1, ("quoted key",): 2, ("literal.key", "inner"): 3, ("a", "b", "c.d"): 7,
    ("table", "sub.table"): 8, ("table", "sub.table", "list", 0): 10, ("table", "sub.table", "list", 1): 12,
    ("table", "sub.table", "list", 2, 1): 12, ("table", "sub.table", "list", 3, "x"): 13,
    ("table", "sub.table", "list", 3, "y", "z", 0): 13, ("table", "sub.table", "date"): 15,
    ("table", "sub.table", "raw"): 16, ("table", "sub.table", "empty"): 18, ("items",): 19, ("items", 0): 19,
    ("items", 0, "name"): 20, ("items", 0, "sub"): 21, ("items", 0, "sub", "k"): 22, ("items", 1): 23,
    ("items", 1, "name"): 24, ("items", 1, "deep", 0, "é"): 26, ("items", 1, "deep", 1): 27,
    ("items", 1, "deep", 1, "last"): 28,
}  # fmt: skip


@pytest.mark.parametrize(("path", "line"), EXPECTED.items(), ids=str)
def test_the_line_of_a_key(path: tuple[str | int, ...], line: int) -> None:
    assert lines_of(DOCUMENT)[path] == line


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """Return the paths of a document and of all that is in it."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(paths(each, (*path, key)) for key, each in inner))


@pytest.mark.parametrize("text", [DOCUMENT, FULL, ""], ids=["all forms", "an inventory", "nothing"])
def test_the_scanner_finds_exactly_what_the_parser_finds(text: str) -> None:
    assert set(lines_of(text)) == paths(tomllib.loads(text))


KEYS = st.sampled_from(["a", "b-1", '"c d"', "'e.f'", '"g\\"h"', "a . b", '"#"', "'['"])
SCALARS = st.sampled_from(["1", "true", '"x"', "'y'", '"""\nz\n"""', "'''\n[q]\n'''", "1979-05-27", '"]"', "-inf"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: "[\n" + ", # ,\n".join(each) + "\n]")
        | st.lists(st.tuples(st.sampled_from("pqrs"), inner), max_size=3, unique_by=lambda pair: pair[0]).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=6,
)
LINES = st.lists(
    st.tuples(KEYS, VALUES).map(" = ".join)
    | KEYS.map("[{}]".format)
    | KEYS.map("[[ {} ]]".format)
    | st.just("# x = ["),
    max_size=8,
)


@given(LINES)
def test_whatever_the_parser_accepts_the_scanner_understands(written: list[str]) -> None:
    text = "\n".join(written)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return  # keys twice
    found = lines_of(text)
    assert set(found) == paths(document)
    starts = [1 + sum(line.count("\n") + 1 for line in written[:number]) for number in range(len(written))]
    assert {found[path] for path in found if len(path) == 1} <= set(starts)
