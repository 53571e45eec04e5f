"""The markers `taskgen_requires` and `taskgen_xfail_on`: checked when tests are collected, applied when they begin."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final

import pytest

from taskgen import registry
from taskgen.boards import BoardTarget
from taskgen.plugin.bench import Bench
from taskgen.plugin.campaign import REQUIRES, XFAIL_ON
from taskgen.session import Capabilities
from taskgen.units import short

_XFAIL_OPTIONS: Final = frozenset({"reason", "strict", "raises", "run"})


def check(items: Iterable[pytest.Item]) -> None:
    """Check the arguments of our markers.

    Raises:
        pytest.UsageError: one is wrong; names the test and the nearest value.
    """
    __tracebackhide__ = True
    for item in items:
        for mark in item.iter_markers():
            fault = _FAULTS[mark.name](mark) if mark.name in _FAULTS else ""
            if fault:
                raise pytest.UsageError(f"{item.nodeid}: marker {mark.name}: {fault}")


def apply(item: pytest.Item, bench: Bench, name: str) -> None:
    """Skip a test, or expect it to fail, as its markers say about the target; `name` is how the user called that.

    Raises:
        BoardLost: the target can't be asked what it can.
    """
    lacking = [each for mark in item.iter_markers(REQUIRES) for each in _lacking(mark, bench)]
    if lacking:
        pytest.skip(f"taskgen: {bench.target} lacks {', '.join(dict.fromkeys(lacking))}")
    for mark in item.iter_markers(XFAIL_ON):
        called = next(
            (text for text in _names(bench, name) if any(fnmatchcase(text, each) for each in mark.args)), None
        )
        if called is not None:
            item.add_marker(pytest.mark.xfail(**{"reason": f"on {called}", **mark.kwargs}))


@cache
def capabilities() -> Mapping[str, str]:
    """Return what a test can require by name: the field of `Capabilities` that says so."""
    flags = {field.name: field.name for field in fields(Capabilities) if isinstance(field.default, bool)}
    policies = dict.fromkeys(sorted({"mixed", *registry.entries("policies")} - {"auto"}), "policies")
    return {**flags, **policies}


def _lacking(mark: pytest.Mark, bench: Bench) -> Iterator[str]:
    has = bench.session.capabilities
    for name in mark.args:
        field = capabilities()[name]
        value = getattr(has, field)
        if not (name in value if field == "policies" else value):
            yield name
    if has.cores < (cores := mark.kwargs.get("cores", 1)):
        yield f"{cores} cores"
    settings = bench.target.settings if isinstance(bench.target, BoardTarget) else None
    yield from sorted(set(mark.kwargs.get("features", ())) - set(settings.features if settings else ()))


def _names(bench: Bench, name: str) -> Iterator[str]:
    """Yield all that the target is called; last what only the board itself can say."""
    target = bench.target
    entry = target.entry if isinstance(target, BoardTarget) else None
    yield from (name, str(target), target.session, target.address)
    if entry is not None:
        yield entry.name
    yield bench.generation


def _requires_fault(mark: pytest.Mark) -> str:
    if unknown := set(mark.kwargs) - {"cores", "features"}:
        return f"takes no argument {min(unknown)!r}, expected capabilities, cores=N or features=[...]"
    if not mark.args and not mark.kwargs:
        return "names no capability"
    for name in mark.args:
        if not isinstance(name, str) or name not in capabilities():
            near = difflib.get_close_matches(str(name), capabilities(), n=1)
            expected = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(capabilities())}"
            return f"{short(name)} is no capability, {expected}"
    cores, features = mark.kwargs.get("cores", 1), mark.kwargs.get("features", ())
    if type(cores) is not int or cores < 1:
        return f"cores: {short(cores)}, expected a whole number from 1 on"
    if not isinstance(features, list | tuple) or not all(isinstance(each, str) for each in features):
        return f"features: {short(features)}, expected a list of names"
    return ""


def _xfail_fault(mark: pytest.Mark) -> str:
    if unknown := set(mark.kwargs) - _XFAIL_OPTIONS:
        return f"takes no argument {min(unknown)!r}, expected targets, and {', '.join(sorted(_XFAIL_OPTIONS))}"
    if not mark.args:
        return "names no target"
    wrong: list[Any] = [each for each in mark.args if not isinstance(each, str) or not each]
    return f"{short(wrong[0])} is no name of a target" if wrong else ""


_FAULTS: Final = {REQUIRES: _requires_fault, XFAIL_ON: _xfail_fault}
