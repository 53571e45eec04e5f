"""Suites run on targets, and what came out by names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from taskgen.bench.measure import Asked, measure
from taskgen.bench.suite import Suite
from taskgen.dialect.boards import BOARDS
from taskgen.session import Target
from tests.hil.board.serving import serving

GENERATIONS = tuple(BOARDS)

INVERTED = '''
from sim.policy import Mixed, Policy


class Inverted(Policy):
    """Whatever is the most urgent goes last."""

    def bind(self, tasks):
        self.mixed = Mixed()
        self.mixed.bind(tasks)

    def rank(self, job, now_ns):
        return -self.mixed.rank(job, now_ns)
'''


class Found(NamedTuple):
    """What a suite said about a target."""

    skipped: str
    samples: Mapping[str, Mapping[str, Sequence[float]]]  #: by case and metric
    predicted: Mapping[str, Mapping[str, float | None]]
    findings: Mapping[str, Mapping[str, Any]]  #: the first of each name

    def values(self, metric: str) -> dict[str, float]:
        """Return the single sample of a metric by case."""
        return {case: found[metric][0] for case, found in self.samples.items() if metric in found}

    def bad(self) -> list[str]:
        """Return the names of the findings that aren't ok."""
        return [name for name, finding in self.findings.items() if finding["ok"] is False]

    def left_out(self) -> set[str]:
        """Return the cases that weren't run."""
        return {name for name, finding in self.findings.items() if str(finding["text"]).startswith("left out")}


def on(target: Target, suite: Suite, *, repeat: int = 1) -> Found:
    """Run a suite on a target, without warm-up."""
    result = measure([target], Asked([suite], repeat=repeat, warmup=0, canary=False))
    assert result.complete, result.reason
    (ran,) = result.suites
    assert not any(case.failures for case in ran.cases)
    findings: dict[str, Mapping[str, Any]] = {}
    for finding in ran.findings:
        findings.setdefault(finding["name"], finding)
    return Found(
        ran.skipped,
        {case.name: {series.metric: series.samples for series in case.series} for case in ran.cases},
        {case.name: {series.metric: series.predicted for series in case.series} for case in ran.cases},
        findings,
    )


def on_sim(suite: Suite, *, repeat: int = 1, **options: Any) -> Found:
    """Run a suite on the simulator."""
    return on(Target("sim", "", options), suite, repeat=repeat)


def on_board(suite: Suite, generation: str, **options: Any) -> Found:
    """Run a suite on a simulated board through its socket, as fast as possible."""
    with serving(generation=generation, **options) as server:
        given = {"dialect": generation, "binaries": "none", "quiet_ms": 20, "poll_ms": 20}
        return on(Target("taskloader", str(server.stations[0].address), given), suite)


def some(suite: Suite, *parts: str) -> Suite:
    """Return a suite with those of its cases alone whose names have one of these parts."""
    return replace(
        suite, cases=lambda setting: [case for case in suite.cases(setting) if any(part in case.name for part in parts)]
    )
