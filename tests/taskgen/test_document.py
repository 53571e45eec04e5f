"""Documents: what XML and JSON carry comes back as it was; what is wrong is refused with one clear line."""

import itertools
import json
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskgen import TaskSet, document
from taskgen.errors import InputError, UsageError
from taskgen.parameters import INTEGERS, TIMES, parameters_of
from taskgen.units import MAX_NS, ms_from_ns, to_ns

BOARD_FILES = Path(__file__).parents[2].parent / "shared" / "board-files"
EXAMPLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<!-- made by hand -->
<t:taskset xmlns:t="http://example.org/tasks" version="3">
  <sporadictask><id>9</id></sporadictask>
  <t:periodictask>
    <t:id>07</t:id> <!-- the second is not read --> <id>8</id>
    <?board ignores this?>
    <period>10.5</period><deadline>0x10</deadline>
    <ucfirmrt/><uawmean><size>10</size></uawmean>
    <pkg>pi</pkg><version>012</version><arg>-3</arg><plus>+5</plus>
    <config><arg1>42</arg1><text> a  b </text></config>
  </t:periodictask>
</t:taskset>
"""


def one_line(error: pytest.ExceptionInfo[UsageError]) -> str:
    """Return the message of an error, which is one line of bounded length."""
    message = str(error.value)
    assert "\n" not in message
    assert 0 < len(message) < 400
    return message


def refused(message: str) -> Any:
    """Expect an InputError whose message has this pattern."""
    return pytest.raises(InputError, match=message)


# -- what comes back -------------------------------------------------------------------------------------------------

names = st.from_regex(r"[a-z][a-z0-9_.-]{0,7}", fullmatch=True)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="&<>"), max_size=12)
words = printable.filter(lambda text: text == text.strip() and not text.lstrip("-").isdigit())
integers = st.integers(-(10**30), 10**30)
times = st.integers(0, MAX_NS // 2).map(ms_from_ns)
numeric = {
    **dict.fromkeys(TIMES, times),
    "executiontime": st.integers(1, 10**15) | st.decimals(1, 1000, places=3),
    "priority": st.integers(0, 128),
    "quota": st.sampled_from(["1M", "100M"]),
    "pkg": words,
}
configs = st.recursive(
    words | integers, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3), max_leaves=6
)
extra = names.filter(lambda name: name not in {*numeric, *INTEGERS, "config", "arrivals"})
json_scalars = integers | st.text(max_size=8) | st.booleans() | st.none() | st.decimals(-1000, 1000)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.dictionaries(st.text(max_size=5).filter(lambda key: key != "range"), inner, max_size=3),
    max_leaves=6,
)
choices = st.lists(json_scalars, min_size=1, max_size=4) | st.builds(
    range, st.integers(-5, 5), st.integers(6, 2**70), st.integers(1, 3)
)


def tasksets(values: st.SearchStrategy[Any]) -> st.SearchStrategy[TaskSet]:
    """Sets of valid tasks with other attributes from `values`; they shrink to one task without attributes."""
    config = st.dictionaries(names, configs, max_size=3)
    tasks = st.builds(
        lambda known, more: {**more, **known},
        st.fixed_dictionaries({}, optional={**numeric, "config": config}),
        st.dictionaries(extra, values, max_size=3),
    )
    return st.lists(tasks, min_size=1, max_size=4).map(TaskSet)


@given(tasksets(configs))
def test_xml_is_identity_for_what_it_carries(taskset: TaskSet) -> None:
    data = document.to_xml(taskset)
    assert document.from_xml(data) == taskset
    assert document.to_xml(document.from_xml(data)) == data
    assert data.isascii()
    assert not data.startswith(b"<?")


@given(tasksets(json_values | choices))
def test_json_is_identity_for_what_it_carries(taskset: TaskSet) -> None:
    text = document.to_json(taskset)
    assert document.from_json(text) == taskset
    assert document.from_json(text.encode()) == taskset
    assert "\n" not in text
    assert text.isascii()


@given(st.floats(0, 1e12) | st.floats(0, 1), st.sampled_from([key for key in TIMES if key != "executiontime"]))
@example(0.1 + 0.2, "period")
@example(1e-7, "offset")
def test_a_float_comes_back_as_the_same_instant(value: float, key: str) -> None:
    taskset = TaskSet([{key: value, "id": 0}])
    expected = to_ns(value, key)
    for loaded in (document.from_xml(document.to_xml(taskset)), document.from_json(document.to_json(taskset))):
        assert to_ns(loaded[0][key], key) == expected


def test_elements_are_read_by_local_name_and_the_first_one_wins() -> None:
    (task,) = document.from_xml(EXAMPLE)
    assert task == {
        "id": 7,
        "period": Decimal("10.5"),
        "deadline": 16,
        "ucfirmrt": "",
        "uawmean": {"size": 10},
        "pkg": "pi",
        "version": "012",
        "arg": -3,
        "plus": "+5",
        "config": {"arg1": 42, "text": " a  b "},
    }


def test_xml_is_written_with_config_on_one_line() -> None:
    taskset = TaskSet([{"id": 0, "period": Fraction(3, 2), "pkg": "pi", "ucfirmrt": "", "config": {"arg1": {"a": 1}}}])
    assert document.to_xml(taskset).decode() == (
        "<taskset>\n  <periodictask>\n    <id>0</id>\n    <period>1.5</period>\n    <pkg>pi</pkg>\n    <ucfirmrt/>\n"
        "    <config><arg1><a>1</a></arg1></config>\n  </periodictask>\n</taskset>\n"
    )


def test_an_empty_config_is_a_dict_and_other_empty_elements_are_text() -> None:
    taskset = TaskSet([{"id": 0, "config": {}, "other": ""}])
    assert document.from_xml(document.to_xml(taskset)) == taskset
    assert document.from_xml(b"<t><periodictask><config>\n </config></periodictask></t>")[0]["config"] == {}


def test_json_holds_choices_and_ranges() -> None:
    text = '{"taskset": {"periodictask": [{"id": 0, "priority": {"range": [0, 128]}, "config": {"a": [1, 2]}}]}}'
    taskset = document.from_json(text)
    assert taskset[0]["priority"] == range(128)
    assert taskset.variants().count == 256
    assert document.to_json(taskset) == text


def test_a_range_is_only_the_sole_key_with_two_or_three_integers() -> None:
    values = [{"range": [1]}, {"range": [1, 2, 3, 4]}, {"range": [1, 2.5]}, {"range": [1, 2], "x": 1}, {"range": True}]
    task = {"id": 0, **{f"k{number}": value for number, value in enumerate(values)}}
    loaded = document.from_json(json.dumps({"taskset": {"periodictask": [task]}}))
    assert loaded[0] == task
    stepped = document.from_json('{"taskset": {"periodictask": [{"period": {"range": [1, 9, 3]}}]}}')
    assert stepped[0]["period"] == range(1, 9, 3)


def test_sets_and_tuples_become_lists_in_the_order_of_their_variants() -> None:
    taskset = TaskSet([{"id": 0, "period": {30, 10, 20}, "priority": (2, 1)}])
    loaded = document.from_json(document.to_json(taskset))
    assert loaded[0] == {"id": 0, "period": [10, 20, 30], "priority": [2, 1]}
    assert [list(variant) for variant in loaded.variants()] == [list(variant) for variant in taskset.variants()]


def test_arrivals_stay_a_list_of_exact_times() -> None:
    taskset = TaskSet([{"id": 0, "period": 1, "arrivals": [0, 1.5, 3]}])
    (task,) = document.from_json(document.to_json(taskset))
    assert task["arrivals"] == [0, Decimal("1.5"), 3]
    assert parameters_of([task])[0].arrivals_ns == (0, 1_500_000, 3_000_000)


def test_numbers_of_json_are_not_rounded() -> None:
    text = '{"taskset": {"periodictask": [{"a": 0.1000000000000000000000001, "b": 1.0, "c": 1e3, "period": 2.5}]}}'
    (task,) = document.from_json(text)
    assert [task[key] for key in "abc"] == [Decimal("0.1000000000000000000000001"), 1, 1000]
    assert type(task["b"]) is Decimal
    assert '"a": 0.1000000000000000000000001' in document.to_json(TaskSet([task]))


def test_plain_data_is_encoded_without_binary_noise() -> None:
    taskset = TaskSet([{"id": 0, "period": 0.1 + 0.2, "offset": Fraction(1, 8), "weight": 0.5, "on": True, "no": None}])
    plain = document.to_plain(taskset)
    assert plain == {"periodictask": [dict(plain["periodictask"][0])]}
    assert document.encode(plain) == (
        '{"periodictask": [{"id": 0, "period": 0.3, "offset": 0.125, "weight": 0.5, "on": true, "no": null}]}'
    )
    assert document.encode([{}, [], "ä\n", Decimal("1E+3"), Decimal("1E-99")]) == '[{}, [], "\\u00e4\\n", 1000, 1E-99]'


@given(st.recursive(json_scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10))
def test_encode_writes_json(value: Any) -> None:
    assert json.loads(document.encode(value), parse_float=Decimal) == value


# -- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".xml", ".json", ".jsonl", ".XML"])
def test_files_go_by_suffix(tmp_path: Path, suffix: str) -> None:
    taskset = TaskSet([{"pkg": "hey", "period": 10}, {"pkg": "pi", "config": {"arg1": 3}}])
    path = tmp_path / f"set{suffix}"
    taskset.dump(path)
    assert TaskSet.load(str(path)) == taskset
    assert list(document.load_all(path)) == [taskset]
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_loaded_lazily_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sets.jsonl"
    good = document.to_json(TaskSet([{"period": 10}]))
    path.write_text(f"{good}\n\n{good}\n{good[:-1]}\n")
    sets = document.load_all(path)
    assert len(next(sets)) == len(next(sets)) == 1
    with refused(r"no JSON at line 1, column \d+: .* \(.*sets.jsonl line 4\)"):
        next(sets)
    with refused("sets.jsonl: holds several task-sets, expected one"):
        document.load(path)


def test_a_file_of_many_lines_is_read_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "sets.jsonl"
    line = document.to_json(TaskSet([{"period": 10, "note": "x" * 10_000}]))
    path.write_text(f"{line}\n" * 500)
    document.load(_first_line(path))  # imports are not the measurement's
    tracemalloc.start()
    try:
        assert sum(1 for _ in document.load_all(path)) == 500
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def _first_line(path: Path) -> Path:
    first = path.with_name("first.jsonl")
    with path.open() as file:
        first.write_text(file.readline())
    return first


def test_a_refused_set_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "set.xml"
    path.write_text("before")
    with refused(r"task 0: period: \[1, 2\] can't be carried by XML .*set.xml"):
        TaskSet([{"period": [1, 2]}]).dump(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_unreadable_places_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "board.xml").write_text("")
    (tmp_path / "folder.xml").mkdir()
    with refused("bord.xml: there is no such file") as missing:
        document.load(tmp_path / "bord.xml")
    assert missing.value.hint.startswith("did you mean board.xml")
    with refused("folder.xml: can't be read: Is a directory"):
        document.load(tmp_path / "folder.xml")
    with refused("can't be read"):
        document.load("a\0b.xml")
    with refused("the document is empty .*board.xml"):
        document.load(tmp_path / "board.xml")
    with refused("set.yaml: the suffix '.yaml' names no format, expected .xml, .json or .jsonl"):
        document.load(tmp_path / "set.yaml")
    with refused("names no format"):
        document.dump(TaskSet([{}]), tmp_path / "set")
    with pytest.raises(UsageError, match="can't be written"):
        document.dump(TaskSet([{}]), tmp_path / "none" / "set.json")
    with pytest.raises(UsageError, match="there is no dialect 'G7'"):
        document.load(tmp_path / "board.xml", "G7")


def board_files() -> list[Path]:
    """The real files, where they exist."""
    return sorted(BOARD_FILES.glob("*.taskset.xml"))


@pytest.mark.skipif(not BOARD_FILES.is_dir(), reason=f"the recorded board files are not in {BOARD_FILES}")
class TestRealFiles:
    @pytest.mark.parametrize("path", board_files(), ids=lambda path: path.name)
    def test_loads_in_its_dialect(self, path: Path, tmp_path: Path) -> None:
        dialect = "G1o" if path.name.startswith("G1o") else "G1"
        taskset = TaskSet.load(path, dialect)
        parameters = parameters_of(taskset)
        assert {task.priority for task in parameters} <= ({128} if dialect == "G1o" else {1})
        assert [task.id for task in parameters] == sorted({task.id for task in parameters})
        for suffix in ("xml", "json"):
            taskset.dump(tmp_path / f"again.{suffix}", dialect)
            assert TaskSet.load(tmp_path / f"again.{suffix}", dialect) == taskset

    @pytest.mark.parametrize("path", [p for p in board_files() if "G1o" not in p.name], ids=lambda path: path.name)
    def test_hints_at_the_dialect_without_one(self, path: Path) -> None:
        with refused("priority: 32768 is out of range") as error:
            TaskSet.load(path)
        assert path.name in one_line(error)
        assert "--dialect" in error.value.hint

    @pytest.mark.parametrize("path", sorted(BOARD_FILES.glob("*.live.xml")), ids=lambda path: path.name)
    def test_a_live_document_is_no_taskset(self, path: Path) -> None:
        with pytest.raises(InputError) as error:
            TaskSet.load(path)
        assert path.name in one_line(error)


def test_a_missing_id_is_the_position_or_the_next_that_is_free() -> None:
    taskset = document.from_json('{"taskset": {"periodictask": [{"id": 5}, {}, {}, {"id": 2}]}}')
    assert [task["id"] for task in taskset] == [5, 1, 3, 2]


def test_a_document_of_many_tasks_loads_in_linear_time() -> None:
    # Quadratic, this would take minutes. More than 10 MB: no limit of the parser's own comes before ours.
    count = 10_000
    tasks = b"<periodictask><pkg>hey</pkg></periodictask><!--" + b" " * 1000 + b"-->"
    taskset = document.from_xml(b"<taskset>" + tasks * count + b"</taskset>")
    assert [task["id"] for task in taskset] == list(range(count))


def test_equal_ids_without_a_dialect_hint_at_it(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_text('{"taskset": {"periodictask": [{"id": 3}, {"id": 3}]}}')
    with refused("id 3 is taken by task 0, expected unique ids .*set.json") as error:
        document.load(path)
    assert "--dialect" in error.value.hint


# -- what XML and JSON can't carry -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"pkg": "a<b"}, "task 0: pkg: 'a<b' has markup"),
        ({"config": {"arg1": "a&b"}}, "config.arg1: 'a&b' has markup"),
        ({"pkg": "a\tb"}, r"pkg: .* has a control character"),
        ({"pkg": "a\x7f"}, r"pkg: .* has a control character"),
        ({"pkg": "prüfung"}, "pkg: 'prüfung' has a character beyond ASCII"),
        ({"pkg": " a"}, "pkg: ' a' has white space at its edge"),
        ({"pkg": "a "}, "white space at its edge"),
        ({"a b": 1}, "the key 'a b' is no XML name"),
        ({"config": {"<x>": 1}}, "the key '<x>' is no XML name"),
        ({"ärger": 1}, "the key 'ärger' is no XML name"),
        ({"period": "12"}, "period: the text '12' would be read as 12"),
        ({"period": "1.5"}, r"period: the text '1.5' would be read as Decimal"),
        ({"version": "-3"}, "version: the text '-3' would be read as -3"),
        ({"weight": 1.5}, r"weight: 1.5 can't be carried by XML \(it is a float\)"),
        ({"weight": Decimal("1.5")}, r"weight: .* can't be carried by XML \(it is a Decimal\)"),
        ({"priority": range(128)}, r"priority: range\(0, 128\) can't be carried by XML"),
        ({"priority": iter([1])}, "priority: .* can't be carried by XML"),
        ({"arrivals": [1, 2]}, r"arrivals: \[1, 2\] can't be carried by XML"),
        ({"config": {"a": [1]}}, r"config.a: \[1\] can't be carried"),
        ({"flag": True}, r"flag: True can't be carried by XML \(it is a bool\)"),
        ({"flag": None}, "flag: None can't be carried"),
        ({"flag": b"x"}, "flag: b'x' can't be carried"),
        ({"other": {}}, "other: {} can't be carried"),
        ({"config": {"arg1": {}}}, "config.arg1: {} can't be carried"),
        ({"config": ""}, "config: the text '' would be read as {}"),
        ({"period": float("nan")}, "period: nan"),
        ({"period": Decimal("Infinity")}, "period: Infinity is no finite number"),
        ({"period": Decimal("1E+5000")}, "period: the number is too long"),
        ({"period": Fraction(1, 3)}, "period: 1/3 has no finite decimal"),
        ({"big": 10**5000}, "big: the number is too long, expected at most 4300 digits"),
    ],
)
def test_what_xml_cannot_carry_is_refused_by_name(attributes: dict[str, Any], message: str) -> None:
    with refused(message) as error:
        document.to_xml(TaskSet([attributes]))
    one_line(error)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"priority": (n for n in range(3))}, "task 0: priority: .* draws from an iterator"),
        ({"config": {"a": itertools.count()}}, "config.a: .* draws from an iterator"),
        ({"config": {"range": [1, 2]}}, r"config: {'range': \[1, 2\]} would be read as a range"),
        ({"period": []}, "period: the choice is empty"),
        ({"period": range(0)}, "period: the choice is empty"),
        ({"a": [range(3)]}, r"a.\[0\]: range\(0, 3\) is a choice inside of a choice"),
        ({"a": b"x"}, r"a: b'x' can't be carried by JSON \(it is a bytes\)"),
        ({"a": object()}, "a: .* can't be carried by JSON"),
        ({"a": float("inf")}, "a: inf is no finite number"),
        ({"a": [float("nan")]}, r"a.\[0\]: nan is no finite number"),
        ({"a": Decimal("NaN")}, "a: NaN is no finite number"),
        ({"a": Fraction(1, 3)}, "a: 1/3 has no finite decimal"),
        ({"config": {3: 1}}, "config: the key 3 is no text"),
        ({"big": -(10**5000)}, "big: the number is too long"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_name(attributes: dict[str, Any], message: str) -> None:
    with refused(message) as error:
        document.to_json(TaskSet([attributes]))
    one_line(error)


def nested(levels: int) -> Any:
    """A dict in a dict in a dict, `levels` deep."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("write", "read", "most"),
    [(document.to_xml, document.from_xml, 29), (document.to_json, document.from_json, 28)],
    ids=["xml", "json"],
)
def test_what_is_written_is_never_too_deep_to_be_read(
    write: Callable[[TaskSet], Any], read: Callable[[Any], TaskSet], most: int
) -> None:
    deepest = TaskSet([{"id": 0, "config": nested(most)}])
    assert read(write(deepest)) == deepest
    for levels in (most + 1, 5000):
        with refused("task 0: config: the document nests too deeply, expected at most 32 levels"):
            write(TaskSet.of_variant([{"id": 0, "config": nested(levels)}], 0))  # type: ignore[list-item]


def test_an_empty_set_is_refused_both_ways() -> None:
    for write in (document.to_xml, document.to_json):
        with refused("the task-set is empty"):
            write(TaskSet())
    with refused("the task-set is empty: <live> has no periodictask"):
        document.from_xml(b"<live><x/></live>")
    with refused("the task-set is empty"):
        document.from_json('{"taskset": {"periodictask": []}}')


# -- bad input -------------------------------------------------------------------------------------------------------

LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<taskset><periodictask><pkg>&lol2;</pkg></periodictask></taskset>"""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(LAUGHS, "the document has a DOCTYPE", id="billion laughs"),
        pytest.param(LAUGHS.decode().encode("utf-16"), "in UTF-16, expected ASCII or UTF-8", id="laughs in utf-16"),
        pytest.param(LAUGHS.decode().encode("utf-16-le"), "holds NUL bytes", id="laughs in utf-16 without mark"),
        pytest.param(LAUGHS.decode().encode("utf-32"), "in UTF-32, expected ASCII or UTF-8", id="laughs in utf-32"),
        pytest.param(LAUGHS.decode().encode("cp037"), "neither ASCII nor UTF-8", id="laughs in ebcdic"),
        pytest.param(b"<?xml version='1.0' encoding='UTF-7'?>+ADw-a/>", "in 'UTF-7'", id="utf-7"),
        pytest.param(b"<t><periodictask><pkg>\xe4</pkg></periodictask></t>", "line 1 is neither", id="latin-1"),
        pytest.param(b"<t>&xxe;</t>", "has the entity '&xxe', which no board would decode", id="entity"),
        pytest.param(b"<t>&#65;</t>", "has the entity '&#65'", id="character reference"),
        pytest.param(b"<a>" * 10**6, "nests too deeply, expected at most 32 levels", id="depth bomb"),
        pytest.param(b"<a>" * 33, "nests too deeply", id="depth 33"),
        pytest.param(b"<a>" * 32, "no well-formed XML", id="depth 32 is only truncated"),
        pytest.param(b"<t>" + b" " * (17 << 20) + b"</t>", "too long, expected at most 16 MiB", id="17 MiB"),
        pytest.param(b"<!--" * 10**6, "no well-formed XML at line 1", id="a million open comments"),
        pytest.param(EXAMPLE[:-30], "no well-formed XML at line 12: ", id="truncated"),
        pytest.param(EXAMPLE + b"<more/>", "no well-formed XML at line 14", id="two roots"),
        pytest.param(b"", "the document is empty", id="empty"),
        pytest.param(b" \n", "the document is empty", id="blank"),
        pytest.param(b"\x00\x01\x02", "NUL bytes", id="noise"),
        pytest.param(b"hello", "no well-formed XML", id="text"),
        pytest.param(
            b"<t><periodictask><config>a<b/></config></periodictask></t>",
            "task 0: config: 'a' stands between elements",
            id="mixed",
        ),
        pytest.param(
            b"<t><periodictask><config><a x='1'/></config></periodictask></t>",
            "task 0: config.a: the attribute 'x' can't be carried",
            id="attribute in config",
        ),
        pytest.param(
            b"<t><periodictask><period>abc</period></periodictask></t>", "period: 'abc' is not", id="text time"
        ),
        pytest.param(b"<t><periodictask><period/></periodictask></t>", "period: '' is not", id="empty time"),
        pytest.param(
            b"<t><periodictask><period>-1</period></periodictask></t>", "period: -1 is negative", id="negative"
        ),
        pytest.param(b"<t><periodictask><period>NaN</period></periodictask></t>", "period: 'NaN' is not", id="nan"),
        pytest.param(
            b"<t><periodictask><period>%s</period></periodictask></t>" % (b"9" * 5000), "period: '9", id="long number"
        ),
        pytest.param(b"<t><periodictask><priority>300</priority></periodictask></t>", "priority: 300 is", id="300"),
    ],
)
def test_bad_xml_is_one_clear_line(data: bytes, message: str) -> None:
    with refused(message) as error:
        document.from_xml(data, source="bad.xml")
    assert one_line(error).endswith("(bad.xml)")


def in_task(attributes: str) -> str:
    """A JSON document around the attributes of one task."""
    return f'{{"taskset": {{"periodictask": [{{{attributes}}}]}}}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[" * 10**6, "nests too deeply", id="depth bomb"),
        pytest.param('{"a":' * 10**6, "nests too deeply", id="depth bomb of objects"),
        pytest.param('"\\"' * 10**6, "no JSON", id="a million escaped quotes"),
        pytest.param(" " * (17 << 20), "too long, expected at most 16 MiB", id="17 MiB"),
        pytest.param(in_task(f'"a": {"9" * 5000}'), "too long, expected at most 4300 digits", id="long integer"),
        pytest.param(in_task(f'"a": 0.{"9" * 5000}'), "too long, expected at most 4300 digits", id="long decimal"),
        pytest.param(in_task('"a": 1e99999999999999999999'), "1e99999999999999999999 is beyond", id="far exponent"),
        pytest.param(in_task('"period": 1e999999999'), "period: 1E.999999999 ms is out of range", id="long period"),
        pytest.param(in_task('"a": NaN'), "NaN is no number of JSON", id="nan"),
        pytest.param(in_task('"a": -Infinity'), "-Infinity is no number of JSON", id="infinity"),
        pytest.param(in_task('"a": 1, "a": 2'), "the key 'a' comes twice in one object", id="duplicate key"),
        pytest.param(in_task('"a": {"range": [1, 2, 0]}'), "task 0: a: range: the step is 0", id="step 0"),
        pytest.param(in_task('"a": {"range": [5, 5]}'), "a: the choice is empty", id="empty range"),
        pytest.param(in_task('"config": {"a": []}'), "config.a: the choice is empty", id="empty choice"),
        pytest.param(in_task('"period": "abc"'), "period: 'abc' is not a finite number", id="text time"),
        pytest.param(in_task('"period": null'), "period: None is not a finite number", id="null"),
        pytest.param(in_task('"config": 3'), "config: 3 is no dict", id="config"),
        pytest.param('{"taskset": {"periodictask": [3]}}', "task 0: 3 is no object", id="no task"),
        pytest.param('{"taskset": {"periodictask": {}}}', "periodictask: {} is no list of tasks", id="no list"),
        pytest.param('{"taskset": {"periodic": []}}', "periodictask: missing, expected", id="typo"),
        pytest.param("[]", "taskset: missing, expected", id="list"),
        pytest.param("", "the document is empty", id="empty"),
        pytest.param("{", "no JSON at line 1, column 2", id="truncated"),
        pytest.param("\udcff", "no JSON", id="surrogate"),
    ],
)
def test_bad_json_is_one_clear_line(text: str, message: str) -> None:
    with refused(message) as error:
        document.from_json(text, source="bad.json")
    assert one_line(error).endswith("(bad.json)")


def test_a_byte_order_mark_of_utf_8_is_tolerated() -> None:
    assert document.from_xml(b"\xef\xbb\xbf" + EXAMPLE) == document.from_xml(EXAMPLE)
    text = in_task('"pkg": "ä"')
    assert document.from_json("\ufeff" + text) == document.from_json(text.encode("utf-8-sig"))


def test_no_bomb_is_ever_built() -> None:
    document.from_xml(EXAMPLE)
    bomb = b"<a>" * 10**6
    tracemalloc.start()
    try:
        with refused("nests too deeply"):
            document.from_xml(bomb)
        # The text of the document, its lower-case and comment-free copies; no million elements.
        assert tracemalloc.get_traced_memory()[1] < 5 * len(bomb)
    finally:
        tracemalloc.stop()


def test_a_name_that_promises_a_file_or_network_is_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    data = f'<!DOCTYPE a SYSTEM "{secret.as_uri()}"><a><periodictask/></a>'.encode()
    with refused("the document has a DOCTYPE"):
        document.from_xml(data)


VALID_JSON = in_task('"id": 3, "period": {"range": [1, 5]}, "config": {"arg1": [1, "two", 3.5]}, "x": null').encode()


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """A document with some bytes replaced, removed, doubled or inserted."""
    data = bytearray(original)
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 12)))
        junk = st.binary(max_size=4) | st.sampled_from([b"<", b">", b"&", b'"', b"]", b"{", b"9" * 30, b"-1", b"1e99"])
        data[start:end] = draw(junk | st.just(bytes(data[start:end]) * 2))
    return bytes(data)


@given(st.binary(max_size=200) | mutated(EXAMPLE))
def test_only_input_errors_escape_from_xml(data: bytes) -> None:
    _loads_or_says_why(document.from_xml, data)


@given(st.binary(max_size=200) | mutated(VALID_JSON))
def test_only_input_errors_escape_from_json(data: bytes) -> None:
    _loads_or_says_why(document.from_json, data)
    _loads_or_says_why(document.from_json, data.decode("utf-8", "surrogateescape"))


def _loads_or_says_why(load: Callable[..., TaskSet], data: bytes | str) -> None:
    for dialect in ("now", "announced", "G1o"):
        try:
            taskset = load(data, dialect, "fuzz")
        except InputError as error:
            reason = str(error)
        else:
            reason = f"{len(taskset)} tasks (fuzz)"
        assert reason.endswith("(fuzz)")
        assert "\n" not in reason


@pytest.mark.parametrize("count", [10_001, 5_000_000])
def test_a_document_of_too_many_tasks_is_refused_before_it_is_built(count: int) -> None:
    with refused("too many tasks, expected at most 10000"):
        document.from_json('{"taskset":{"periodictask":[{}' + ",{}" * (count - 1) + "]}}")
    with refused("too many tasks, expected at most 10000"):
        document.from_xml(b"<t>" + b"<periodictask/>" * min(count, 1_000_000) + b"</t>")
