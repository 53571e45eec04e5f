"""What `taskgen check` and `taskgen replay` say: lines for people, and plain data for a document."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from taskgen.report.export import printable
from taskgen.report.lanes import lanes
from taskgen.taskset import TaskSet
from taskgen.testing.counterexample import Counterexample
from taskgen.testing.properties import Violation
from taskgen.testing.replay import Replayed
from taskgen.testing.search import Finding
from taskgen.trace import Job, Trace
from taskgen.units import format_ms, ms_from_ns

if TYPE_CHECKING:
    from collections import Counter

#: Laws that need a trace of the scheduler, and those that do without.
_LESS: Final[Mapping[str, str]] = {"fixed_priority_order": "fixed_priority_events", "edf_order": "edf_events"}
_TRACE: Final = "trace"
#: More violations, or reasons for skipping, are only counted.
_SHOWN: Final = 5


def finding_lines(
    finding: Finding, target: str, file: Path | None, *, seed: int, boards_can: bool = True
) -> Iterator[str]:
    """Yield the lines about one search; `file` holds its counterexample, which boards can or can't be asked about."""
    verdict = {"held": "held", "failed": "FAILED", "none": "no verdict"}[finding.verdict]
    yield f"{finding.name} on {target}: {verdict}{f': {finding.reason}' if finding.verdict == 'none' else ''}"
    yield f"  {_effort(finding)}"
    yield from _counted("skipped", finding.skipped)
    yield from _counted("compared", finding.remarks)
    if finding.verdict == "none" and _TRACE in finding.reason:
        yield from _asks_for_less(finding.name, target)
    if finding.judged is None:
        yield from _unclaimed(finding.unclaimed, "not compared, for instance")
    if finding.unjudged:
        yield f"  passed over, as the budget is spent: {_some(finding.unjudged, 'example')}"
    if finding.stored_passed:
        yield f"  {_some(finding.stored_passed, 'stored counterexample')} passed here (kept)"
    if finding.taskset is None or finding.judged is None:
        return
    if finding.reason:
        yield f"  this may not be the smallest one: {finding.reason}"
    yield from (f"  {line}" for line in taskset_lines(finding.taskset))
    yield from (f"  {line}" for line in violation_lines(finding.judged.violations))
    yield from _unclaimed(finding.judged.unclaimed)
    yield from (f"  {line}" for line in _picture(finding.judged.trace, finding.judged.violations))
    if finding.stored is None:
        yield f"  seed {seed}"
    if file is not None:
        yield f"  {'known from' if finding.stored else 'stored in'} {file}"
        on_board = is_simulated(target) and boards_can
        yield f"  next: taskgen replay {file}" + (" --target board" if on_board else "")
        if is_simulated(target) and not boards_can:
            yield from _asks_for_less(finding.name, "boards")


def is_simulated(target: str) -> bool:
    """Tell whether a target, as it is shown, is the simulator."""
    return target.partition(":")[0] == "sim"


def _asks_for_less(law: str, target: str) -> Iterator[str]:
    """Yield the line that names the law for targets that don't trace their scheduler."""
    if law in _LESS:
        yield f"  on {target}: {_LESS[law]} says the same as far as START and EXIT tell it"


def _effort(finding: Finding) -> str:
    if finding.stored is not None:
        return f"failed before, and fails again: {_some(finding.executions, 'execution')}"
    shrunk = f", {finding.shrinks} more to shrink it" if finding.shrinks else ""
    return f"{_some(finding.examples, 'example')}{shrunk}, {_some(finding.executions, 'execution')}"


def _counted(what: str, counts: "Counter[str]") -> Iterator[str]:
    for text, count in counts.most_common(_SHOWN):
        yield f"  {what} {count}: {printable(text)}"
    if len(counts) > _SHOWN:
        yield f"  {what} for {len(counts) - _SHOWN} more reasons"


def _picture(trace: Trace | None, violations: Sequence[Violation]) -> list[str]:
    """Return the schedule up to the end of the jobs that live when the first violation is seen."""
    if trace is None:
        return []
    times = [each.time_ns for each in violations if each.time_ns is not None]
    first_ns = min(times, default=trace.end_ns)
    ends = (trace.end_ns if job.finish_ns is None else job.finish_ns for job in trace.jobs if _begun(job) <= first_ns)
    return lanes(trace, max(ends, default=first_ns))


def _begun(job: Job) -> int:
    return (job.start_ns if job.release_ns is None else job.release_ns) or 0


def _unclaimed(parts: Sequence[str], what: str = "not compared") -> Iterator[str]:
    yield from (f"  {what}: {printable(each)}" for each in parts)


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def taskset_lines(taskset: TaskSet) -> Iterator[str]:
    """Yield a line for each task."""
    for task in taskset:
        rest = ", ".join(f"{key} {_value(value)}" for key, value in task.items() if key != "id")
        yield f"task {task.get('id')}: {rest}"


def _value(value: object) -> str:
    return printable(value)


def violation_lines(violations: Sequence[Violation]) -> Iterator[str]:
    """Yield a line for each of the first violations."""
    yield from (printable(each) for each in violations[:_SHOWN])
    if len(violations) > _SHOWN:
        yield f"and {len(violations) - _SHOWN} more"


def replay_lines(file: Path, counterexample: Counterexample, target: str, replayed: Replayed) -> Iterator[str]:
    """Yield the lines about one counterexample that was run again."""
    runs = replayed.failed + replayed.passed
    line = f"{file}: {replayed.verdict} on {target}"
    if runs > 1:
        line += f", {replayed.agreement}: {counterexample.law} failed in {replayed.failed} of {runs} runs"
    if replayed.verdict == "not confirmed":
        line += f", margin {'-' if replayed.margin_ns is None else f'{format_ms(replayed.margin_ns)} ms'}"
    yield line + (f": {printable(replayed.reason)}" if replayed.reason else "")
    if replayed.verdict == "confirmed":
        yield from (f"  {line}" for line in violation_lines(replayed.violations))
        yield from (f"  {line}" for line in _picture(replayed.trace, replayed.violations))
    elif replayed.verdict == "no verdict" and _TRACE in replayed.reason:
        yield from _asks_for_less(counterexample.law, target)
    yield from _unclaimed(replayed.unclaimed)


def finding_plain(finding: Finding, target: str, file: Path | None, found: Counterexample | None) -> dict[str, Any]:
    """Return a search as plain data."""
    return {
        "property": finding.name,
        "target": target,
        "verdict": finding.verdict,
        "examples": finding.examples,
        "shrinks": finding.shrinks,
        "executions": finding.executions,
        "unjudged": finding.unjudged,
        "skipped": dict(finding.skipped.most_common()),
        "compared": dict(finding.remarks.most_common()),
        "unclaimed": list(finding.unclaimed if finding.judged is None else finding.judged.unclaimed),
        "stored_passed": finding.stored_passed,
        "complete": finding.whole,
        "reason": finding.reason,
        "file": None if file is None else str(file),
        "counterexample": None if found is None else json.loads(found.to_json(), parse_float=Decimal),
    }


def replay_plain(file: Path, counterexample: Counterexample, target: str, replayed: Replayed) -> dict[str, Any]:
    """Return a counterexample that was run again as plain data."""
    return {
        "file": str(file),
        "property": counterexample.law,
        "target": target,
        "verdict": replayed.verdict,
        "agreement": replayed.agreement,
        "runs": replayed.failed + replayed.passed,
        "failed": replayed.failed,
        "margin_ms": None if replayed.margin_ns is None else ms_from_ns(replayed.margin_ns),
        "reason": replayed.reason,
        "unclaimed": list(replayed.unclaimed),
        "violations": [str(each) for each in replayed.violations],
    }


def exit_code(verdicts: Mapping[str, int], *, failed: str, none: str) -> int:
    """Return 1 where one verdict speaks against the system under test, else 75 where one is missing, else 0."""
    return 1 if verdicts.get(failed) else 75 if verdicts.get(none) else 0
