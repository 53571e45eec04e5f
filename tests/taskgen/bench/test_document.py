"""Results survive the journey through a document, and documents that are wrong are one clear line."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.bench import document
from taskgen.bench.result import CaseResult, Result, Series, SuiteResult
from taskgen.errors import InputError, UsageError
from tests.taskgen.bench.results import case, of, result, series, suite

NAMES = st.text("abcdefgh-0123456789 é", min_size=1, max_size=8)
NUMBERS = st.integers(-(10**18), 10**18) | st.floats(-1e18, 1e18)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.text(max_size=5), PLAIN, max_size=3)


def tuples(each: st.SearchStrategy[Any], **unique: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(each, max_size=3, **unique).map(tuple)


SERIES = st.builds(
    Series,
    metric=NAMES,
    unit=NAMES,
    better=st.sampled_from(["less", "more"]),
    floor=st.floats(0, 1e18),
    samples=tuples(NUMBERS),
    warmup=tuples(NUMBERS),
    boards=tuples(NAMES),
    predicted=st.none() | NUMBERS,
    host=st.booleans(),
)
CASES = st.builds(
    CaseResult,
    name=NAMES,
    params=st.dictionaries(st.text(max_size=5), NUMBERS | st.text(max_size=5), max_size=3),
    series=tuples(SERIES, unique_by=lambda each: each.metric),
    failures=tuples(st.text(max_size=9)),
    lost=tuples(st.text(max_size=9)),
    taskset=st.none() | st.just({"periodictask": [{"id": 0, "period": Decimal("0.10"), "config": {"arg1": 3}}]}),
)
SUITES = st.builds(
    SuiteResult,
    name=NAMES,
    version=st.integers(0, 9),
    cases=tuples(CASES, unique_by=lambda each: each.name),
    findings=tuples(OBJECTS),
    skipped=st.text(max_size=5),
)
RESULTS = st.builds(
    Result,
    started=st.just("2026-11-22T03:42:14Z"),
    seed=st.integers(-(2**63), 2**63),
    repeat=st.integers(0, 100),
    target=OBJECTS,
    environment=OBJECTS,
    suites=tuples(SUITES, unique_by=lambda each: each.name),
    reference_ns=tuples(st.integers(0, 2**62)),
    canary=tuples(OBJECTS),
    complete=st.booleans(),
    reason=st.text(max_size=5),
    extra=OBJECTS,
)


@given(RESULTS)
def test_a_document_holds_all_of_a_result(before: Result) -> None:
    assert document.from_json(document.to_json(before), "here") == before


def test_the_document_is_written_whole_and_read_again(tmp_path: Path) -> None:
    before = of([1.5, 2, 0.1], [7])
    path = tmp_path / "0001_nogit_lab.json"
    document.write(before, path)
    assert document.read(path) == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with pytest.raises(UsageError, match="can't be written"):
        document.write(before, tmp_path / "no" / "folder.json")


def test_readers_of_the_document_need_not_compute() -> None:
    plain = json.loads(document.to_json(of([4, 1, 2, 3])))
    assert (plain["schema"], plain["taskgen"]) == (1, "0.1.0")
    found = plain["suites"][0]["cases"][0]["series"][0]
    assert found["samples"] == [4, 1, 2, 3]
    assert found["stats"] == pytest.approx(
        {"n": 4, "least": 1, "q1": 1.75, "median": 2.5, "q3": 3.25, "p99": 3.97, "most": 4}
    )


def test_older_and_richer_documents_of_this_schema_are_read() -> None:
    plain = json.loads(document.to_json(of([1, 2])))
    del plain["suites"][0]["cases"][0]["series"][0]["host"]  # a field that came later
    plain["mood"] = "calm"
    assert document.from_json(json.dumps(plain), "here") == of([1, 2])


def test_what_json_can_not_carry_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(InputError, match="no finite number"):
            document.write(of([wrong]), tmp_path / "wrong.json")
    with pytest.raises(InputError, match="can't be carried by JSON"):
        document.to_json(replace(of(), extra={"policies": {"fp"}}))
    assert list(tmp_path.iterdir()) == []


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    plain = json.loads(document.to_json(result(suite(case(series([1, 2]), series([3], "misses")), case(name="u-99")))))
    change(plain)
    return json.dumps(plain)


def first_series(plain: dict[str, Any]) -> dict[str, Any]:
    found = plain["suites"][0]["cases"][0]["series"][0]
    assert isinstance(found, dict)
    return found


AT = r"suites\[0\]\.cases\[0\]\.series\[0\]\."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda all_: all_.pop("schema"), "schema: is null, expected 1: the result of a benchmark"),
        (lambda all_: all_.update(schema=2), r"schema: is 2 \(written by taskgen 0.1.0\), expected at most 1"),
        (lambda all_: all_.update(schema=True), "schema: is True, expected 1"),
        (lambda all_: all_.update(schema=0), "schema: is 0, expected 1"),
        (lambda all_: all_.pop("suites"), "suites: is missing"),
        (lambda all_: all_.update(suites={}), "suites: is an object, expected a list"),
        (lambda all_: all_.update(started="yesterday"), "started: is 'yesterday', expected a time with its zone"),
        (lambda all_: all_.update(started="2026-11-22T03:42:14"), "started: .*expected a time with its zone"),
        (lambda all_: all_.update(seed=2**64), "seed: is 18446744073709551616, expected a whole number of at most 64"),
        (lambda all_: all_.update(repeat=-1), "repeat: is -1, expected a whole number from 0 on"),
        (lambda all_: all_.update(complete=1), "complete: is 1, expected true or false"),
        (lambda all_: all_.update(target=[]), "target: is a list, expected an object"),
        (lambda all_: all_.update(reference_ns=[1.5]), r"reference_ns\[0\]: is 1.5, expected a whole number"),
        (lambda all_: all_["suites"].append(all_["suites"][0]), r"suites\[1\]\.name: is 'latency', expected one"),
        (lambda all_: all_["suites"][0].update(name="a\nb"), r"suites\[0\]\.name: .*1 to 200 printable characters"),
        (lambda all_: all_["suites"][0]["cases"][1].update(name="u-90"), r"cases\[1\]\.name: is 'u-90', expected one"),
        (lambda all_: all_["suites"][0]["cases"][0].update(params={"u": None}), r"params\.u: is null, expected a num"),
        (lambda all_: first_series(all_).pop("metric"), AT + "metric: is missing"),
        (lambda all_: first_series(all_).update(better=["less"]), AT + "better: is a list, expected less or more"),
        (lambda all_: first_series(all_).update(better="most"), AT + "better: is 'most', expected less or more"),
        (lambda all_: first_series(all_).update(floor=-1), AT + "floor: is -1, expected a number from 0 on"),
        (lambda all_: first_series(all_).update(samples=[1, True]), AT + r"samples\[1\]: is True, expected a number"),
        (lambda all_: first_series(all_).update(samples=["1"]), AT + r"samples\[0\]: is '1', expected a number"),
        (lambda all_: first_series(all_).update(samples=[1e19]), AT + r"samples\[0\]: .*expected a number within"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_one_line(change: Callable[[dict[str, Any]], object], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        document.from_json(edited(change), "0007.json")
    assert str(raised.value).startswith("0007.json: ")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[]", "the document: is a list, expected an object: the result of a benchmark"),
        ('{"schema": NaN}', "NaN is no number"),
        ('{"schema": ' + "1" * 500 + "}", "a number has more than 400 digits"),
        ('{"schema": 1.' + "1" * 500 + "}", "a number has more than 400 digits"),
        ('{"schema": 1e99999999999999999999}', "is no JSON"),
        ("[" * 100_000, "nests too deeply"),
        (b"\xff\xfe", "is no JSON"),
    ],
)
def test_what_is_no_result_is_one_line(text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        document.from_json(text, "0007.json")


def test_documents_are_bounded_before_they_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.json"
    with path.open("wb") as file:
        file.truncate(document.MOST_BYTES + 1)
    with pytest.raises(InputError, match=r"long.json: is too long, expected at most 16 MiB"):
        document.read(path)
    with pytest.raises(InputError, match="has 10001 items, expected at most 10000"):
        document.from_json(edited(lambda all_: all_["suites"][0]["cases"][0].update(failures=[""] * 10_001)), "here")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "no.json", tmp_path, Path("\0")):
        with pytest.raises(InputError, match="can't be read"):
            document.read(path)


def test_a_free_field_that_no_float_can_hold_is_named() -> None:
    text = document.to_json(of()).replace('"extra": {}', '"extra": {"drift": 1e999}')
    with pytest.raises(InputError, match=r"extra\.drift: .*expected a number that fits into a float"):
        document.from_json(text, "here")
