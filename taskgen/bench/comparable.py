"""Whether two results can be compared: targets, cases, metrics, and for host times the machine must be the same.

Each function returns why not, in words for one line; empty: nothing is in the way.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from statistics import fmean
from typing import Any, Final

from taskgen.bench.result import CaseResult, Result, Series, SuiteResult
from taskgen.units import short

#: With a reference load that changed by more than this, host times say nothing.
DRIFT: Final = 1.05

#: What of a target's record doesn't say what is measured: how it is called and reached. All else must be the same.
_REACHING: Final = frozenset({"name", "address", "boards", "options"})
_REACHING_OPTIONS: Final = frozenset({
    "address", "port", "binaries", "wire_log", "connection", "connect_timeout_ms", "dialect", "silence_ms", "quiet_ms",
    "seed",
})  # fmt: skip
#: What of a board's record says what it is.
_BOARD_KEYS: Final = ("model", "generation")
_MOST_NAMED: Final = 3


def targets_apart(before: Result, after: Result) -> str:
    """Return why nothing of two results can be compared: the targets differ in more than how they are reached."""
    return "; ".join(_differences(_identity(before.target), _identity(after.target)))


def suites_apart(before: SuiteResult | None, after: SuiteResult) -> str:
    """Return why no case of two suites can be compared."""
    if before is None:
        return "the suite isn't in the baseline"
    if before.version != after.version:
        return f"version {after.version} of the suite, the baseline's is {before.version}"
    return f"skipped in the baseline: {before.skipped}" if before.skipped else ""


def cases_apart(before: CaseResult | None, after: CaseResult) -> str:
    """Return why no metric of two cases can be compared."""
    if before is None:
        return "the case isn't in the baseline"
    if differences := _differences(before.params, after.params):
        return "; ".join(differences)
    if before.taskset is not None and after.taskset is not None and _plain(before.taskset) != _plain(after.taskset):
        return "another task-set than the baseline's"
    return ""


def series_apart(before: Series | None, after: Series) -> str:
    """Return why the samples of two series can't be compared."""
    if before is None:
        return "the metric isn't in the baseline"
    for name in ("unit", "better"):
        if (new := getattr(after, name)) != (old := getattr(before, name)):
            return _difference(name, old, new)
    return ""


def drifted(before: Result, after: Result) -> str:
    """Return by how much this machine itself changed; empty: not beyond the bound, or unknown.

    By the mean, unlike all else: where others compute on this machine, most samples of so short a load are as ever, and
    the few that were interrupted tell. Of 15 false alarms that a changing load had raised the median explains 10, the
    mean all (of 100 pairs of runs of suite churn on the same board).
    """
    if not before.reference_ns or not after.reference_ns:
        return ""
    ratio = ratio_of(fmean(before.reference_ns), fmean(after.reference_ns))
    if ratio is None or 1 / DRIFT <= ratio <= DRIFT:
        return ""
    return f"this machine's reference load took {ratio:.2f} times as long as with the baseline"


def machines_apart(before: Result, after: Result) -> str:
    """Return in what the machines differ that two results are from."""
    return "; ".join(_differences(_machine(before), _machine(after)))


def ratio_of(before: float, after: float) -> float | None:
    """Return the ratio of two medians, after to before; None: one is 0, their signs differ, or it is beyond floats."""
    if not before or not after or (before < 0) != (after < 0):
        return None
    ratio = after / before
    return ratio if 0 < ratio < float("inf") else None


def _identity(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same of two targets, by a name for people."""
    found = {key: value for key, value in target.items() if key not in _REACHING}
    options = target.get("options")
    if isinstance(options, Mapping):
        found |= {f"option {key}": value for key, value in options.items() if key not in _REACHING_OPTIONS}
    boards = target.get("boards")
    described = [each for each in boards if isinstance(each, Mapping)] if isinstance(boards, list | tuple) else []
    for key in _BOARD_KEYS:
        if kinds := sorted({str(board[key]) for board in described if board.get(key)}):
            found[f"{key} of boards"] = ", ".join(kinds)
    return found


def _machine(result: Result) -> dict[str, Any]:
    host = result.environment.get("host")
    found = {f"host {key}": value for key, value in host.items()} if isinstance(host, Mapping) else {"host": host}
    return found | {key: result.environment.get(key) for key in ("kernel", "python")}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return what differs, each in a few words; what is beyond a few is counted."""
    rows = [(key, before.get(key), after.get(key)) for key in dict.fromkeys([*after, *before])]
    found = [_difference(key, old, new) for key, old, new in rows if _plain(old) != _plain(new)]
    more = len(found) - _MOST_NAMED
    return found if more <= 0 else [*found[:_MOST_NAMED], f"and {more} more"]


def _difference(key: str, before: object, after: object) -> str:
    return f"{key:.40} {_shown(after)}, the baseline's is {_shown(before)}"


def _shown(value: object) -> str:
    if value is None or value == "":
        return "unknown"
    return value if isinstance(value, str) and len(value) <= 60 else short(value)


def _plain(value: Any) -> Any:
    """Return a value so that it equals itself after a journey through a document."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return Decimal(repr(value)) if isinstance(value, float) else value


def absent_suites(before: Result, after: Result) -> Iterator[str]:
    """Yield a line for each suite that only one of two results has samples of."""
    now = {suite.name: suite for suite in after.suites}
    for suite in before.suites:
        new = now.get(suite.name)
        if suite.cases and new is None:
            yield f"suite {suite.name}: not in this run"
        elif suite.cases and new is not None and new.skipped:
            yield f"suite {suite.name}: skipped in this run, not in the baseline: {new.skipped}"
