"""The document of one benchmark run: raw samples and all that is needed to judge whether runs can be compared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: The version of the document.
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one metric in one case."""

    metric: str
    unit: str
    better: str  #: less, more
    floor: float
    samples: Sequence[float]
    warmup: Sequence[float] = ()  #: the samples of the runs before, which don't count
    boards: Sequence[str] = ()  #: where each sample is from, if there were several
    predicted: float | None = None
    host: bool = False  #: as the metric's: depends on this machine, too


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: its series, and the runs that failed."""

    name: str
    params: Mapping[str, int | float | str]
    series: Sequence[Series]
    failures: Sequence[str] = ()  #: one line per run without samples
    taskset: Mapping[str, Any] | None = None  #: the JSON document of the set
    lost: Sequence[str] = ()  #: one line per run that was given up as its target was lost: no verdict


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """One suite: its cases, or why it was skipped."""

    name: str
    version: int
    cases: Sequence[CaseResult] = ()
    findings: Sequence[Mapping[str, Any]] = ()  #: name, text, ok, values
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One run of `taskgen bench`."""

    started: str  #: UTC, ISO 8601
    seed: int
    repeat: int
    target: Mapping[str, Any]  #: name, session, generation, boards, profile and options, work
    environment: Mapping[str, Any]  #: host, kernel, clock, versions, git
    suites: Sequence[SuiteResult]
    reference_ns: Sequence[int] = ()  #: a fixed load on this machine, measured between the runs: its own drift
    canary: Sequence[Mapping[str, Any]] = ()  #: per board
    complete: bool = True
    reason: str = ""  #: why it isn't complete
    extra: Mapping[str, Any] = field(default_factory=dict)  #: what options add: fidelity
