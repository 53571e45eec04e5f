"""From runs to a result: the samples of each case in the order of its repetitions, and what went wrong."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from taskgen import document, registry
from taskgen.bench.prepare import Prepared
from taskgen.bench.result import CaseResult, Result, Series, SuiteResult
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Suite
from taskgen.errors import UsageError

#: How the finding of a case begins that the target can't run.
LEFT_OUT: Final = "left out: "
#: How failures begin that are the fault of a suite.
_MEASURING: Final = "measuring it failed: "
_JUDGING: Final = "judging the samples failed: "


@dataclass(frozen=True, slots=True)
class Sampled:
    """What one run gave."""

    values: Mapping[str, Sample] = field(default_factory=dict)
    board: str = ""
    failure: str = ""  #: why there are no values; empty: there are
    lost: str = ""  #: why it was given up, as its target was lost: that says nothing about the target
    notes: tuple[str, ...] = ()  #: what the run showed to be wrong


#: Runs of one case, by the number of the repetition; those of the warm-up are negative.
Runs = Mapping[int, Sampled]


def sample(suite: Suite, case: Case, measured: Measured, board: str) -> Sampled:
    """Measure a run.

    Raises:
        UsageError: the suite measures what it doesn't declare, or yields no numbers.
    """
    try:
        values = dict(case.measure(measured))
    except Exception as error:  # noqa: BLE001  # a suite may be anybody's
        return Sampled(board=board, failure=f"{_MEASURING}{registry.describe(error)}")
    declared = {metric.name for metric in suite.metrics}
    for name, value in values.items():
        if name not in declared:
            raise UsageError(
                f"suite {suite.name}: case {case.name} measures {name!r:.40}, which isn't among its metrics"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise UsageError(f"suite {suite.name}: case {case.name}: {name}: {value!r:.40} is no number")
    return Sampled(values, board, notes=tuple(measured.notes))


def suite_result(prepared: Prepared, runs: Sequence[Runs], *, pooled: bool) -> SuiteResult:
    """Return the result of a suite.

    Args:
        prepared: the suite on its target.
        runs: of each of its cases.
        pooled: whether it matters which board a sample is from.
    """
    suite = prepared.suite
    left_out = [_plain(Finding(name, f"{LEFT_OUT}{reason}")) for name, reason in prepared.left_out]
    if prepared.skipped:
        return SuiteResult(suite.name, suite.version, findings=left_out, skipped=prepared.skipped)
    cases = [_case_result(suite, case, found, pooled=pooled) for case, found in zip(prepared.cases, runs, strict=True)]
    noted = [finding for case, found in zip(prepared.cases, runs, strict=True) for finding in _noted(case, found)]
    samples = {case.name: {series.metric: series.samples for series in case.series} for case in cases}
    return SuiteResult(suite.name, suite.version, cases, [*_judged(prepared, samples), *noted, *left_out])


def _case_result(suite: Suite, case: Case, runs: Runs, *, pooled: bool) -> CaseResult:
    series = [each for metric in suite.metrics if (each := _series(case, metric, runs, pooled=pooled)) is not None]
    failures = [f"{_which(number)}: {runs[number].failure}" for number in sorted(runs) if runs[number].failure]
    lost = [f"{_which(number)}: {runs[number].lost}" for number in sorted(runs) if runs[number].lost]
    return CaseResult(case.name, case.params, series, failures, document.to_plain(case.taskset), lost)


def _which(repetition: int) -> str:
    return "warm-up" if repetition < 0 else f"repetition {repetition}"


def _series(case: Case, metric: Metric, runs: Runs, *, pooled: bool) -> Series | None:
    found = [(number, run) for number, run in sorted(runs.items()) if metric.name in run.values]
    if not found:
        return None
    counted = [run for number, run in found if number >= 0]
    return Series(
        metric.name,
        metric.unit,
        metric.better,
        metric.floor,
        samples=[run.values[metric.name] for run in counted],
        warmup=[run.values[metric.name] for number, run in found if number < 0],
        boards=[run.board for run in counted] if pooled else (),
        predicted=case.predicted.get(metric.name),
        host=metric.host,
    )


def _noted(case: Case, runs: Runs) -> list[Mapping[str, Any]]:
    """Return what the runs of a case showed to be wrong: each text once, with how often it came."""
    counted = [run for number, run in sorted(runs.items()) if number >= 0]
    texts = Counter(note for run in counted for note in run.notes)
    return [
        _plain(Finding(case.name, f"{text} ({count} of {len(counted)} runs)", ok=False))
        for text, count in texts.items()
    ]


def _judged(prepared: Prepared, samples: Mapping[str, Samples]) -> list[Mapping[str, Any]]:
    suite = prepared.suite
    try:
        found = [_plain(finding) for finding in suite.judge(prepared.cases, samples)]
        document.encode(found)
    except Exception as error:  # noqa: BLE001  # a suite may be anybody's
        return [_plain(Finding("judge", f"{_JUDGING}{registry.describe(error)}", ok=False))]
    return found


def _plain(finding: Finding) -> Mapping[str, Any]:
    return asdict(finding)


def broken_suite(result: Result) -> str:
    """Return what is wrong with the first suite whose code failed on what was measured; empty: with none."""
    for suite in result.suites:
        for case in suite.cases:
            for failure in case.failures:
                if _MEASURING in failure:
                    return f"suite {suite.name}, case {case.name}: {failure.partition(': ')[2]}"
        for finding in suite.findings:
            text = str(finding.get("text", ""))
            if text.startswith(_JUDGING):
                return f"suite {suite.name}: {text}"
    return ""
