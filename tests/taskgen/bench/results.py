"""Results of benchmarks, built by hand."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from taskgen.bench.result import CaseResult, Result, Series, SuiteResult

TARGET = {
    "name": "lab",
    "session": "taskloader",
    "generation": "G4",
    "work": "table pandaboard",
    "options": {"port": 1},
}
ENVIRONMENT = {
    "host": {"id": "3f2a", "cpu": "A9", "cores": 2},
    "kernel": "Linux 6",
    "python": "CPython 3.11",
    "git": {"commit": "9f3c1e2" + "0" * 33, "dirty": True},
}


def series(samples: Iterable[float], metric: str = "response-max", **fields: Any) -> Series:
    given = {"unit": "ms", "better": "less", "floor": 0.0, **fields}
    return Series(metric, samples=tuple(samples), **given)


def case(*found: Series, name: str = "u-90", **fields: Any) -> CaseResult:
    return CaseResult(name, fields.pop("params", {"utilization": 0.9}), found, **fields)


def suite(*cases: CaseResult, name: str = "latency", version: int = 1, **fields: Any) -> SuiteResult:
    return SuiteResult(name, version, cases, **fields)


def result(*suites: SuiteResult, **fields: Any) -> Result:
    given = {"started": "2026-11-22T03:42:14Z", "seed": 7, "repeat": 10, "target": TARGET, "environment": ENVIRONMENT}
    return Result(**{**given, "suites": suites, **fields})


def of(*metrics: Sequence[float], **fields: Any) -> Result:
    """Return a result of one case with a metric for each list of samples."""
    rows = [series(samples, f"m{index}", **fields) for index, samples in enumerate(metrics)]
    return result(suite(case(*rows)))


def with_target(base: Result, **fields: Any) -> Result:
    return replace(base, target={**base.target, **fields})
