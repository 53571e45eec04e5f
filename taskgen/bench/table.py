"""Results and comparisons as calm tables: medians and spreads, each number as precise as its spread allows.

Colour repeats what marks say, and never more; tables are as wide as their numbers need, and nothing is cut.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from taskgen.bench.collect import LEFT_OUT
from taskgen.bench.comparable import DRIFT, ratio_of
from taskgen.bench.compare import FACTOR, FAILURES, LEVEL, Comparison, Row, Verdict, failure_text, runs
from taskgen.bench.result import CaseResult, Result, Series, SuiteResult
from taskgen.bench.statistics import Summary, median, summary
from taskgen.report.export import printable
from taskgen.units import NS_PER_MS

_MOST_PLACES: Final = 6
#: More cases with the same reason are only counted.
_MOST_NAMED: Final = 3
#: Wider than any table.
_WIDE: Final = 100_000
_STYLES: Final[Mapping[str, str]] = {"+": "bold red", "!": "bold red", "-": "green", "~": "yellow"}
_LEGEND: Final[Mapping[str, str]] = {
    "+": "worse",
    "!": "newly failing",
    "-": "better",
    "~": f"not significant (Mann-Whitney, Holm, p >= {LEVEL})",
    "?": "too few samples",
    "x": "not comparable",
}
_OK: Final[Mapping[bool | None, str]] = {True: "ok", False: "NOT OK", None: "-"}

#: What is said of a canary's figures; those that are bad have words of their own.
_CANARY: Final[Mapping[str, str]] = {
    "execution_ms": "its program took {:g} ms",
    "slow_percent": "{:+.1f} % against its reference",
    "drift_ppm": "drift {:+g} ppm",
    "drift_uncertainty_ppm": "give or take {:g}",
}


def show(console: Console, result: Result, comparison: Comparison | None = None, *, baseline: str = "") -> None:
    """Print a result, and how it compares with a baseline where there is a comparison.

    Args:
        console: where to; see `taskgen.monitors.stdout.plain_console`.
        result: the later one.
        comparison: of it with a baseline.
        baseline: what the user calls the baseline.
    """
    rows = {} if comparison is None else {(row.suite, row.case, row.metric): row for row in comparison.rows}
    _say(console, headline(result) + (f"  against {baseline}" if baseline else ""))
    for suite in result.suites:
        _show_suite(console, suite, None if comparison is None else rows)
    _say(console, "")
    for line in [
        reference_line(result.reference_ns),
        *_canary_lines(result),
        *([] if result.complete else [_incomplete(result)]),
    ]:
        _say(console, line)
    if comparison is not None:
        _show_verdicts(console, comparison)


def headline(result: Result) -> str:
    """Return what was measured, on one line."""
    boards = result.target.get("boards")
    count = f" ({len(boards)} boards)" if isinstance(boards, list | tuple) and len(boards) > 1 else ""
    git = result.environment.get("git")
    commit = f"  commit {str(git.get('commit'))[:7]}{' (dirty)' * bool(git.get('dirty'))}" if git else ""
    target = printable(result.target.get("name") or result.target.get("session") or "?")
    return f"taskgen bench  target {target}{count}  repeat {result.repeat}  seed {result.seed}{printable(commit)}"


def summary_line(comparison: Comparison, saved: Path | None = None) -> str:
    """Return how many metrics have which verdict, and where the result is."""
    counts = [f"{comparison.counts[verdict]} {verdict}" for verdict in Verdict if comparison.counts[verdict]]
    return f"{', '.join(counts) or 'nothing to compare'}." + ("" if saved is None else f"  Saved {saved}")


# -- one suite


def _show_suite(console: Console, suite: SuiteResult, rows: Mapping[tuple[str, str, str], Row] | None) -> None:
    _say(console, "")
    if suite.skipped:
        _say(console, f"{printable(suite.name)}: skipped: {printable(suite.skipped)}")
        return
    _say(console, printable(suite.name))
    if any(case.series for case in suite.cases):
        table = suite_table(suite, rows)
        table.width = console.measure(table, options=console.options.update(width=_WIDE)).maximum
        console.print(table, soft_wrap=True)
    told = [row for (name, _, _), row in (rows or {}).items() if name == suite.name]
    for line in [*_suite_lines(suite), *_failures(suite, told), *_reasons(told)]:
        _say(console, f"  {line}")


def suite_table(suite: SuiteResult, rows: Mapping[tuple[str, str, str], Row] | None = None) -> Table:
    """Return the table of a suite, with the columns of a comparison where there are `rows`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    predicted = any(series.predicted is not None for case in suite.cases for series in case.series)
    for title in ("case", "metric", "unit"):
        table.add_column(title, no_wrap=True)
    numbers = ["median", "IQR", "p99", "max", *["predicted"] * predicted]
    numbers += [] if rows is None else ["baseline", "ratio"]
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    if rows is not None:
        table.add_column("", no_wrap=True)
    for case in suite.cases:
        for series in case.series:
            row = None if rows is None else rows.get((suite.name, case.name, series.metric))
            cells = _cells(series, row, predicted=predicted, compared=rows is not None)
            mark = "" if row is None else row.mark
            names = [printable(text) for text in (case.name, series.metric, series.unit)]
            table.add_row(*[Text(cell) for cell in [*names, *cells]], style=_STYLES.get(mark))
    return table


def _cells(series: Series, row: Row | None, *, predicted: bool, compared: bool) -> list[str]:
    stats = summary(series.samples)
    before = None if row is None else row.before
    decimals = places([each for each in (stats, before) if each is not None], series.predicted)
    values: list[float | None] = [None] * 4 if stats is None else [stats.median, stats.iqr, stats.p99, stats.most]
    values += [series.predicted] if predicted else []
    cells = [_number(value, decimals) for value in values]
    if not compared:
        return cells
    ratio = None if row is None else row.ratio
    baseline = _number(None if before is None else before.median, decimals)
    return [*cells, baseline, "-" if ratio is None else f"{ratio:.2f}", "" if row is None else row.mark]


def places(summaries: Sequence[Summary], exact: float | None = None) -> int:
    """Return how many decimals numbers deserve: their spread gets two digits.

    Without any spread it is what median, maximum and `exact`, which has none, need to be told.
    """
    spreads = [each.iqr for each in summaries if each.iqr > 0]
    if spreads:
        needed = 1 - math.floor(math.log10(min(spreads) * (1 + 1e-9)))  # 10.2 - 10.1 is a tenth
    else:
        values = [value for each in summaries for value in (each.median, each.most)]
        needed = max(map(_places_of, [*values, 0.0 if exact is None else exact]))
    return min(max(needed, 0), _MOST_PLACES)


def _places_of(value: float) -> int:
    return -int(Decimal(repr(float(value))).normalize().as_tuple().exponent)


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


# -- below the table


def _suite_lines(suite: SuiteResult) -> Iterator[str]:
    if suite.cases:
        yield warmup_line(suite.cases)
    alike: dict[tuple[str, str, int], list[str]] = {}
    for number, finding in enumerate(suite.findings):
        ok, text = finding.get("ok"), str(finding.get("text", ""))
        own = 0 if text.startswith(LEFT_OUT) else 1 + number  # what is left out for one reason is told together
        verdict = str(_OK.get(ok if isinstance(ok, bool) else None))
        alike.setdefault((verdict, text, own), []).append(str(finding.get("name", "?")))
    for (verdict, text, _), names in alike.items():
        yield f"{verdict:<6}  {_named(names)}: {printable(text)}"


def _named(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return ", ".join(map(printable, names[:_MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _failures(suite: SuiteResult, told: Sequence[Row]) -> Iterator[str]:
    """Yield a line for each case with runs that failed, unless a row of the comparison tells it, or were lost."""
    known = {row.case for row in told if row.metric == FAILURES}
    for case in suite.cases:
        if case.failures and case.name not in known:
            yield f"{printable(case.name)} {FAILURES}: {printable(failure_text(case))}"
        if case.lost:
            yield f"{printable(case.name)}: {runs(len(case.lost))} lost: {printable(case.lost[0])}"


def warmup_line(cases: Sequence[CaseResult]) -> str:
    """Return what became of the runs that don't count: how many, and the median of them that is farthest off."""
    found = [(case, series) for case in cases for series in case.series if series.warmup]
    if not found:
        return "warm-up: none"
    line = f"warm-up: {runs(max(len(series.warmup) for _, series in found))} of each case, not counted"
    offs = [(_off(series), case, series) for case, series in found if series.samples]
    factor, case, series = max(offs, key=lambda each: each[0], default=(1.0, cases[0], None))
    if series is None or factor <= FACTOR:
        return f"{line}, none of them far off"
    stats = summary(series.samples)
    warm = median(series.warmup)
    decimals = places([] if stats is None else [stats], warm)
    seen, usual = (_number(value, decimals) for value in (warm, median(series.samples)))
    names = printable(f"{case.name} {series.metric}")
    return f"{line}; farthest off: {names} {seen} {printable(series.unit)}, the median is {usual}"


def _off(series: Series) -> float:
    """Return the factor between warm-up and the rest; 1 where the difference matters to nobody."""
    warm, usual = median(series.warmup), median(series.samples)
    if abs(warm - usual) <= series.floor:
        return 1.0
    ratio = ratio_of(usual, warm)
    return 1.0 if ratio is None else max(ratio, 1 / ratio)


def reference_line(reference_ns: Sequence[int]) -> str:
    """Return whether this machine was the same all the time, as its reference load tells."""
    stats = summary([each / NS_PER_MS for each in reference_ns])
    if stats is None:
        return "this machine: no reference load was measured"
    median_ms, iqr, most = (_number(value, places([stats])) for value in (stats.median, stats.iqr, stats.most))
    line = f"this machine: its reference load took {median_ms} ms (IQR {iqr}, max {most}, n {stats.n})"
    third = stats.n // 3
    ratio = ratio_of(median(reference_ns[:third]), median(reference_ns[-third:])) if third else None
    if ratio is None:
        return line
    line += f", at the end {ratio:.2f} times as long as at the beginning"
    return line if 1 / DRIFT <= ratio <= DRIFT else f"{line}: host times drifted with it (another load, heat?)"


def _canary_lines(result: Result) -> Iterator[str]:
    for row in result.canary:
        yield f"canary: {printable(', '.join(_canary_words(row)))}"


def _canary_words(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a canary found, in words; what is unknown is left out."""
    yield f"{row.get('board', '?')} {_OK[row['good']] if isinstance(row.get('good'), bool) else ''}".rstrip()
    if row.get("skipped"):
        yield f"skipped: {row['skipped']}"
    if why := row.get("why"):  # it names the figures that are bad
        yield from map(str, why if isinstance(why, list | tuple) else [why])
        return
    for key, words in _CANARY.items():
        value = row.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield words.format(value)
    rate = row.get("clock_rate")
    if row.get("drift_ppm") is None and isinstance(rate, int | float) and not isinstance(rate, bool):
        yield f"its clock runs {rate:.2f} times as fast as ours"


def _incomplete(result: Result) -> str:
    return f"this run isn't complete: {printable(result.reason)}"


# -- verdicts


def _show_verdicts(console: Console, comparison: Comparison) -> None:
    for note in comparison.notes:
        _say(console, f"note: {printable(note)}")
    marks = {row.mark for row in comparison.rows}
    legend = "   ".join(f"{mark} {text}" for mark, text in _LEGEND.items() if mark in marks)
    if legend:
        _say(console, legend)


def _reasons(rows: Iterable[Row]) -> Iterator[str]:
    """Yield why rows have the verdict that they have, those with the same reason together."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.why:
            groups.setdefault((row.mark, row.why), []).append(row)
    for (mark, why), group in groups.items():
        yield f"{mark or ' '} {_named([f'{row.case} {row.metric}' for row in group])}: {printable(why)}"


def _say(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)
