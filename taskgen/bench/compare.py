"""Two results of the same benchmark: what became worse, what better, and what can't be said.

A metric changed if three things hold: the samples differ significantly (Mann-Whitney, p below `LEVEL` after Holm's
correction over the metrics of the run), the medians differ by more than `FACTOR`, and by more than the floor below
which nobody cares. What isn't comparable is never compared, and says why.

Ranks tell whether two samples differ, not why. All samples of a run share the machine that they were measured with: if
others used it more than before, all host times are longer, significantly. So where the reference load took another time
than with the baseline, host times aren't compared; what the target's own clock measured is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

from taskgen.bench.comparable import (
    absent_suites,
    cases_apart,
    drifted,
    machines_apart,
    ratio_of,
    series_apart,
    suites_apart,
    targets_apart,
)
from taskgen.bench.result import CaseResult, Result, Series, SuiteResult
from taskgen.bench.statistics import Summary, enough, holm, least_p, mann_whitney, median, summary

#: The version of the document that `Comparison.plain` returns.
SCHEMA: Final = 1
#: A change is significant where its p is less: of 500 comparisons without any change, one has a false alarm.
LEVEL: Final = 0.002
#: Ratios of medians up to this are no change.
FACTOR: Final = 1.05
#: With fewer samples on each side no p is below `LEVEL`: 2 of the 924 ways to deal out 6 and 6 are 0.0022.
LEAST_SAMPLES: Final = 7
#: The metric of the rows that stand for runs without samples.
FAILURES: Final = "failures"


class Verdict(StrEnum):
    """What is said about one metric of one case."""

    WORSE = "worse"
    FAILING = "newly failing"
    BETTER = "better"
    UNCHANGED = "unchanged"
    UNCLEAR = "not significant"
    FEW = "too few samples"
    APART = "not comparable"


#: The marks of asv, and one for too few samples.
MARKS: Final[Mapping[Verdict, str]] = {
    Verdict.WORSE: "+",
    Verdict.FAILING: "!",
    Verdict.BETTER: "-",
    Verdict.UNCHANGED: "",
    Verdict.UNCLEAR: "~",
    Verdict.FEW: "?",
    Verdict.APART: "x",
}
_AGAINST: Final = frozenset({Verdict.WORSE, Verdict.FAILING})
_SILENT: Final = frozenset({Verdict.FEW, Verdict.APART})


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one case, before and after; the metric `FAILURES` stands for runs without samples."""

    suite: str
    case: str
    metric: str
    unit: str
    verdict: Verdict
    why: str = ""  #: of a verdict that needs it, and what else is to be known about it
    before: Summary | None = None
    after: Summary | None = None
    ratio: float | None = None  #: of the medians, after to before; None: one is 0, or their signs differ
    p: float | None = None  #: after Holm's correction; None: not tested

    @property
    def mark(self) -> str:
        """One character for a table, empty where nothing changed."""
        return MARKS[self.verdict]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows, in the order of the later result, and what is to be known about them together."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()  #: one line each

    @property
    def counts(self) -> Counter[Verdict]:
        """How many rows have each verdict."""
        return Counter(row.verdict for row in self.rows)

    def exit_code(self, *, fail_on_worse: bool) -> int:
        """Return 1 where something is worse or newly failing (if asked), 75 where no row has a verdict, else 0."""
        if fail_on_worse and any(row.verdict in _AGAINST for row in self.rows):
            return 1
        return 75 if all(row.verdict in _SILENT for row in self.rows) else 0

    def plain(self) -> dict[str, Any]:
        """Return it as plain data for a document: schema, counts, notes, rows."""
        rows = [asdict(row) | {"verdict": str(row.verdict), "mark": row.mark} for row in self.rows]
        counts = {str(verdict): self.counts[verdict] for verdict in Verdict}
        return {"schema": SCHEMA, "counts": counts, "notes": list(self.notes), "rows": rows}


@dataclass(frozen=True, slots=True)
class _Pair:
    """A metric that both results have enough samples of: what is left is to judge them."""

    row: Row
    before: Series
    after: Series

    @property
    def varied(self) -> bool:
        """Whether there is anything to test.

        Where all samples of both sides are one value, p is 1 however they are dealt out: such a row can't be rejected
        by mistake, so that it needs no share of the level (Tarone, 1990).
        """
        return len({*self.before.samples, *self.after.samples}) > 1


def compare(before: Result, after: Result) -> Comparison:
    """Compare a result with an earlier one, the baseline."""
    apart = targets_apart(before, after)
    earlier = {suite.name: suite for suite in before.suites}
    suspect = drifted(before, after)
    found: list[Row | _Pair] = []
    for suite in after.suites:
        old = earlier.get(suite.name)
        found += _suite_rows(old, suite, apart or suites_apart(old, suite), complete=after.complete)
    timed_here = any(isinstance(each, _Pair) and each.after.host for each in found)
    found = [_withheld(each, suspect) for each in found]
    pairs = [each for each in found if isinstance(each, _Pair)]
    tested = [pair for pair in pairs if pair.varied]
    notes = [f"the target isn't the baseline's: {apart}"] if apart else []
    notes += [*absent_suites(before, after), *_incomplete(before, after), *_reach(tested)]
    if timed_here:
        notes += _host_notes(machines_apart(before, after), suspect)
    judged = iter(_judged(pairs, tested))
    return Comparison(tuple(next(judged) if isinstance(each, _Pair) else each for each in found), tuple(notes))


# -- what there is to judge


def _suite_rows(old: SuiteResult | None, new: SuiteResult, apart: str, *, complete: bool) -> Iterator[Row | _Pair]:
    earlier = {} if old is None else {case.name: case for case in old.cases}
    for case in new.cases:
        was = earlier.pop(case.name, None)
        for each in _case_rows(was, case, apart or cases_apart(was, case), complete=complete):
            row = each.row if isinstance(each, _Pair) else each
            named = replace(row, suite=new.name, case=case.name)
            yield replace(each, row=named) if isinstance(each, _Pair) else named
    for case in [] if new.skipped else earlier.values():
        yield Row(new.name, case.name, "-", "-", Verdict.APART, apart or "the case isn't in this run")


def _case_rows(was: CaseResult | None, case: CaseResult, apart: str, *, complete: bool) -> Iterator[Row | _Pair]:
    """Yield what becomes of the metrics of a case; the names of suite and case are for the caller to fill in."""
    failed = _failures(was, case, apart)
    if failed is not None:
        yield failed
    earlier = {} if was is None else {series.metric: series for series in was.series}
    accountable = complete and not case.failures and not case.lost  # a metric without samples has no other excuse
    for series in case.series:
        yield _series_row(earlier.pop(series.metric, None), series, apart, accountable=accountable)
    for old in earlier.values():
        yield _series_row(old, replace(old, samples=()), apart, accountable=accountable)


def _failures(was: CaseResult | None, case: CaseResult, apart: str) -> Row | None:
    """Return the row of a case that has runs without samples, which it had not before."""
    if not case.failures:
        return None
    text = failure_text(case)
    if apart:
        return Row("", "", FAILURES, "1", Verdict.APART, f"{text}; {apart}")
    if was is not None and was.failures and (_measured(case) or not _measured(was)):
        return None
    return Row("", "", FAILURES, "1", Verdict.FAILING, text)


def failure_text(case: CaseResult) -> str:
    """Return how many runs of a case failed, and why the first did."""
    return f"{runs(len(case.failures))} without samples: {case.failures[0]}"


def runs(count: int) -> str:
    """Return a number of runs in words."""
    return "1 run" if count == 1 else f"{count} runs"


def _measured(case: CaseResult) -> bool:
    return any(series.samples for series in case.series)


def _series_row(before: Series | None, after: Series, apart: str, *, accountable: bool) -> Row | _Pair:
    apart = apart or series_apart(before, after)
    row = Row("", "", after.metric, after.unit, Verdict.APART, apart, None, summary(after.samples))
    if before is None or apart:
        return row
    old, new = len(before.samples), len(after.samples)
    row = replace(row, before=summary(before.samples))
    if not new and old >= LEAST_SAMPLES and accountable:
        return replace(row, verdict=Verdict.FAILING, why=f"no run has samples, {old} of the baseline have")
    if min(old, new) < LEAST_SAMPLES:
        why = f"{new} samples, the baseline has {old}, expected at least {LEAST_SAMPLES}"
        return replace(row, verdict=Verdict.FEW, why=why)
    return _Pair(replace(row, ratio=ratio_of(median(before.samples), median(after.samples))), before, after)


# -- verdicts


def _withheld(found: Row | _Pair, suspect: str) -> Row | _Pair:
    """Return a row instead of host times that aren't to be judged; a test that isn't made needs no share of p."""
    if not suspect or not isinstance(found, _Pair) or not found.after.host:
        return found
    return replace(found.row, verdict=Verdict.APART, why=suspect)


def _judged(pairs: Sequence[_Pair], tested: Sequence[_Pair]) -> Iterator[Row]:
    """Yield the row of each pair; those that aren't tested have p = 1."""
    adjusted = iter(holm([mann_whitney(pair.before.samples, pair.after.samples) for pair in tested]))
    for pair in pairs:
        p = next(adjusted) if pair.varied else None
        yield replace(pair.row, verdict=_verdict(pair, 1.0 if p is None else p), p=p)


def _verdict(pair: _Pair, p: float) -> Verdict:
    was, now, ratio = median(pair.before.samples), median(pair.after.samples), pair.row.ratio
    floor = max(pair.before.floor, pair.after.floor) * (1 + 1e-9)  # as 0.4 - 0.3 is more than 0.1
    if abs(now - was) <= floor or (ratio is not None and 1 / FACTOR <= ratio <= FACTOR):
        return Verdict.UNCHANGED
    if p >= LEVEL:
        return Verdict.UNCLEAR
    return Verdict.WORSE if (now > was) == (pair.after.better == "less") else Verdict.BETTER


# -- what is to be known about all rows together


def _incomplete(before: Result, after: Result) -> Iterator[str]:
    for result, name in ((before, "the baseline"), (after, "this run")):
        if not result.complete:
            yield f"{name} isn't complete: {result.reason or 'it does not say why'}"


def _reach(tested: Sequence[_Pair]) -> Iterator[str]:
    """Say it where no difference, however large, could be significant."""
    sizes = [(len(pair.before.samples), len(pair.after.samples)) for pair in tested]
    if sizes and min(least_p(*size) for size in sizes) * len(sizes) >= LEVEL:
        needed = enough(len(sizes), LEVEL)
        yield (
            f"no change of any of {len(sizes)} metrics can be significant with so few samples:"
            f" measure both with --repeat {needed} or more, or fewer suites"
        )


def _host_notes(machines: str, suspect: str) -> Iterator[str]:
    """Yield what is in the way of host times; other metrics don't depend on it."""
    if machines:
        yield f"host times are from different machines: {machines}"
    if suspect:
        yield f"host times aren't compared: {suspect}"
