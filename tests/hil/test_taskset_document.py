"""The task-set document: what a client may send, and how a board reads it, to its peculiarities."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.documents import DocumentError
from hil.documents.taskset import PAGE, RawValue, read, read_goal, write, write_goal
from taskgen.errors import InputError
from taskgen.optimizations.fairness import Fairness

BOARD_FILES = Path(__file__).parents[2].parent / "shared" / "board-files"
TASK = {"id": 0, "pkg": "pi", "quota": "1M", "period": 0, "config": {"arg1": 42}}
GOAL = {"fairness": {"apply": 1}, "utilization": {"apply": 0}}

names = st.from_regex(r"[a-z][a-z0-9_.-]{0,7}", fullmatch=True)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="&<>"), max_size=12)
values = st.integers(0, 2**32 - 1) | printable.filter(lambda text: text == text.strip(" "))
nested = st.recursive(values, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=6)
configs = st.dictionaries(names, nested, max_size=3)
tasks = st.builds(
    lambda attributes, config: {**attributes, "config": config},
    st.dictionaries(names.filter(lambda name: name != "config"), nested, max_size=5),
    configs,
)


def raw(value: Any) -> Any:
    return {key: raw(inner) for key, inner in value.items()} if isinstance(value, dict) else str(value)


# -- writing ---------------------------------------------------------------------------------------------------------


def test_a_document_byte_by_byte() -> None:
    assert write([TASK], GOAL) == (
        b"<taskset>\n"
        b"  <periodictask>\n"
        b"    <id>0</id>\n"
        b"    <pkg>pi</pkg>\n"
        b"    <quota>1M</quota>\n"
        b"    <period>0</period>\n"
        b"    <config><arg1>42</arg1></config>\n"
        b"  </periodictask>\n"
        b"  <goal><fairness><apply>1</apply></fairness><utilization><apply>0</apply></utilization></goal>\n"
        b"</taskset>\n"
    )


@given(st.lists(tasks, max_size=3), st.booleans())
def test_a_board_reads_what_was_written(some: list[dict[str, Any]], pad: bool) -> None:
    data = write(some, pad=pad)
    assert read(data).tasks == [raw(task) for task in some]
    assert data.isascii()
    assert not pad or len(data) % 4 == 0


@pytest.mark.parametrize("goal", [GOAL, {"goal": GOAL}, {"optimize": {"goal": GOAL}}, Fairness()])
def test_the_goal_is_a_child_of_the_root_whatever_part_of_it_was_given(goal: dict[str, Any]) -> None:
    assert read(write([TASK], goal)).goal == raw(GOAL)
    assert read(write([TASK])).goal is None


def test_the_goal_document_has_its_own_root() -> None:
    data = write_goal(Fairness())
    assert data.startswith(b"<optimize><goal><fairness>")
    assert read_goal(data) == {"goal": raw(GOAL), "query_interval": "1000"}
    assert len(write_goal(Fairness(), pad=True)) % 4 == 0
    with pytest.raises(InputError, match="has 2 roots"):
        write_goal({"goal": GOAL, "query_interval": 1000})


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("short", range(-6, 7))
def test_a_document_never_fills_its_pages_exactly(short: int, *, pad: bool) -> None:
    """The board relies on a NUL behind the text, which the rest of the last page provides."""
    size = len(write([{**TASK, "pkg": "x"}]))
    data = write([{**TASK, "pkg": "x" * (2 * PAGE - size + 1 + short)}], pad=pad)
    assert abs(len(data) - 2 * PAGE) <= 8
    assert len(data) % PAGE != 0
    assert not pad or len(data) % 4 == 0


def test_a_config_never_fills_its_pages_exactly() -> None:
    room = PAGE - len("<config><arg1></arg1></config>")
    with pytest.raises(InputError, match="task 0: config has 4096 bytes, expected no multiple of 4096"):
        write([{"config": {"arg1": "x" * room}}])
    assert read(write([{"config": {"arg1": "x" * (room - 1)}}])).tasks[0]["config"]


def test_config_comes_last_so_that_no_white_space_is_copied_with_it() -> None:
    assert write([{"config": {}, "id": 3}]).endswith(b"<id>3</id>\n    <config/>\n  </periodictask>\n</taskset>\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pkg": "ä"}, "task 0: pkg: 'ä' has a character beyond printable ASCII"),
        ({"pkg": "a\nb"}, "task 0: pkg: .* has a character beyond"),
        ({"pkg": "a<b"}, "task 0: pkg: 'a<b' has markup"),
        ({"pkg": "a&b"}, "task 0: pkg: 'a&b' has markup"),
        ({"pkg": " pi"}, "task 0: pkg: ' pi' has white space at its edge"),
        ({"pkg": "pi "}, "task 0: pkg: 'pi ' has white space at its edge"),
        ({"a b": 1}, "task 0: 'a b' is no XML name"),
        ({"a>": 1}, "task 0: 'a>' is no XML name"),
        ({"config": {"1": 1}}, "task 0: '1' is no XML name"),
        ({"config": {"arg1": "x\0"}}, "task 0: config.arg1: .* has a character"),
        ({"config": 5}, "task 0: config is 5, expected a dict"),
        ({"config": None}, "task 0: config is None, expected a dict"),
        ({"period": -1}, "task 0: period: -1 doesn't fit into a board's 32 bits"),
        ({"executiontime": 2**32}, "task 0: executiontime: 4294967296 doesn't fit"),
        ({"period": 0.5}, "task 0: period: 0.5 can't be carried to a board .it is a float"),
        ({"period": None}, "task 0: period: None can't be carried"),
        ({"period": True}, "task 0: period: True can't be carried"),
        ({"weight": [1, 2]}, "task 0: weight: .* can't be carried"),
        ({"weight": float("nan")}, "task 0: weight: nan is no finite number"),
    ],
)
def test_what_would_not_arrive_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        write([{**TASK, **changes}])


def test_the_depth_is_bounded() -> None:
    config: dict[str, Any] = {}
    for _ in range(50):
        config = {"a": config}
    with pytest.raises(InputError, match="nests too deeply"):
        write([{"config": config}])


def test_wrong_frames_are_refused() -> None:
    with pytest.raises(InputError, match="'a b' is no XML name"):
        write([TASK], name="a b")
    with pytest.raises(InputError, match="goal: has no sub-trees"):
        write([TASK], {"goal": 5})


def test_attributes_that_no_board_reads_may_be_any_number() -> None:
    (task,) = read(write([{**TASK, "weight": 0.1, "share": Decimal("0.250"), "bonus": -(10**12)}])).tasks
    assert (task["weight"], task["share"], task["bonus"]) == ("0.1", "0.250", "-1000000000000")


# -- reading, as a board does ----------------------------------------------------------------------------------------


def one(body: str) -> dict[str, RawValue]:
    (task,) = read(f"<taskset><periodictask>{body}<config/></periodictask></taskset>".encode("latin-1")).tasks
    return task


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<id>1</id><id>2</id>", {"id": "1"}),
        ("<id> 1\n</id>", {"id": " 1\n"}),
        ("<id/><pkg></pkg>", {"id": "", "pkg": ""}),
        ("<pkg>a&lt;b&amp;&amp;c&nonsense;&</pkg>", {"pkg": "a&lt;b&amp;&amp;c&nonsense;&"}),
        ("<id>5<!-- seconds -->7</id>", {"id": "5<!-- seconds -->7"}),
        ('<id unit="x">1</id>', {"id": "1"}),
        ("<uawmean>\n <size>10</size>\n</uawmean>", {"uawmean": {"size": "10"}}),
        ("stray<id>1</id>text", {"id": "1"}),
        ("<pkg>\xe9</pkg>", {"pkg": "\xe9"}),
    ],
)
def test_values_are_raw_and_the_first_wins(body: str, expected: dict[str, Any]) -> None:
    assert one(body) == {**expected, "config": {}}


def test_only_direct_children_with_that_name_are_tasks() -> None:
    data = (
        b'<anything version="1" xmlns="http://example.org"><!-- tasks --><sporadictask><periodictask><id>9</id>'
        b"</periodictask></sporadictask><periodictask><id>1</id><config>text</config></periodictask>"
        b"<PeriodicTask/><mkftask/></anything>"
    )
    assert read(data).tasks == [{"id": "1", "config": {}}]
    assert read(b"<taskset/>").tasks == []


@pytest.mark.parametrize("tail", [b"", b"\n   ", b"\0\0\0", b"\0</taskset>", b"junk <<< & more", b"<periodictask/>"])
def test_the_reader_stops_at_the_closing_tag(tail: bytes) -> None:
    assert read(b"<taskset></taskset>" + tail).tasks == []


@pytest.mark.parametrize("prolog", [b'<?xml version="1.0"?>', b"<!DOCTYPE taskset>", b"\n<!-- a -->\n<?xml ?>\n"])
def test_a_prolog_is_skipped_from_g1p_on_and_kills_older_loaders(prolog: bytes) -> None:
    data = prolog + write([TASK])
    for generation in ("G1p", "G3a", "G3b", "G4"):
        assert read(data, generation).tasks == [raw(TASK)]
    for generation in ("G1", "G1o"):
        with pytest.raises(DocumentError, match=f"a syntax error on {generation}"):
            read(data, generation)
    assert read(b"<!-- harmless -->\n" + write([TASK]), "G1").tasks == [raw(TASK)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"<taskset>",
        b"taskset",
        b"<taskset><periodictask></taskset>",
        b"<taskset><periodictask><id>1</id></periodictask></taskset>",
        b"<taskset><periodictask><config/></periodictask><periodictask/></taskset>",
        b'<!DOCTYPE t [<!ENTITY a "b">]><taskset/>',
        b"<taskset><![CDATA[x]]></taskset>",
        b"<a>" * 100,
        b"<taskset>" + b"<a/>" * 400_000 + b"</taskset>",
        b"<taskset/>" + b" " * (16 << 20),
    ],
)
def test_what_kills_a_taskloader_is_an_error(data: bytes) -> None:
    with pytest.raises(DocumentError) as error:
        read(data)
    assert "\n" not in str(error.value)


def test_a_goal_without_content_is_there_but_empty() -> None:
    assert read(b"<taskset><goal/></taskset>").goal == {}
    assert read(b"<taskset><goal>1</goal><goal><a/></goal></taskset>").goal == {}


@given(st.binary(max_size=40), st.integers(0, 250), st.integers(0, 40))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, cut: int) -> None:
    data = write([TASK], GOAL)
    try:
        found = read(data[:at] + noise + data[at + cut :])
    except DocumentError:
        return
    assert all("config" in task for task in found.tasks)


def test_the_files_that_were_sent_to_the_real_board() -> None:
    if not BOARD_FILES.exists():
        pytest.skip(f"the files of the real board are not at {BOARD_FILES}")
    found = {path.name: path.read_bytes() for path in BOARD_FILES.glob("*.taskset.xml")}
    assert found
    for name, data in found.items():
        # Clients of that time strip everything before the first element.
        document = read(data[data.index(b"<taskset") :], "G1")
        assert document.goal is None
        assert all(isinstance(task["config"], dict) and task["config"]["arg1"] for task in document.tasks), name
    (task,) = read(found["G1o.taskset.xml"], "G4").tasks
    assert (task["priority"], task["ucfirmrt"], task["uawmean"]) == ("128", "", {"size": "10"})
    with pytest.raises(DocumentError, match="syntax error on G1o"):
        read(found["G1o.taskset.xml"], "G1o")
