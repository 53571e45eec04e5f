"""Predicted versus measured: what the simulator says of runs, what the target did, and which assumption breaks first.

Each run is simulated with the same set and horizon, by the profile of the target's generation and its calibration if
there is one. `taskgen.bench.assumptions` says how a difference is put down to an assumption of the model.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from statistics import median
from typing import TYPE_CHECKING, Any

from taskgen.bench import calibrated
from taskgen.bench.assumptions import ASSUMPTIONS, KILLED, Break, Comparison
from taskgen.bench.calibration import percent
from taskgen.bench.suite import Measured
from taskgen.errors import InputError, Unsupported
from taskgen.events import EventType
from taskgen.session import Target
from taskgen.testing.against import oracle_for
from taskgen.testing.properties.law import BOARD_TOLERANCES, ZERO
from taskgen.testing.runs import Executed
from taskgen.testing.side_by_side import Both, Pair
from taskgen.testing.stand import Stand
from taskgen.units import NS_PER_MS, ms_from_ns

if TYPE_CHECKING:
    from rich.table import Table


def fidelity(runs: Iterable[tuple[str, Measured]], target: Target, *, against: str = "sim") -> dict[str, Any]:
    """Compare runs with what the simulator predicts for them, as plain data for `Result.extra`.

    Args:
        runs: with the names of their cases, in any order; a case may come several times.
        target: where they ran.
        against: the simulator: sim, or sim:PROFILE.

    Raises:
        UsageError: `against` is no simulator, or the target's generation isn't known.
    """
    report = _Report()
    predictor: _Predictor | None = None
    for name, measured in runs:
        if predictor is None:
            predictor = _Predictor(target, measured, against)
        predicted = predictor.predict(name, measured)
        if predicted is not None:
            report.add(name, measured, predicted)
    if predictor is None:
        return {"oracle": against, "tasks": [], "assumptions": [], "first": None, "unpredicted": {}}
    return {"oracle": predictor.name, "workload": predictor.workload, **report.document(), "unpredicted": predictor.no}


class _Predictor:
    """Simulates runs."""

    def __init__(self, target: Target, first: Measured, against: str) -> None:
        setting = first.setting
        table = calibrated.find(target)
        known = {} if table is None or "workload" in target.options else {"workload": str(table)}
        oracle = oracle_for(target, setting.generation, setting.capabilities, against=against, options=known)
        self.name = f"sim:{oracle.options['profile']}"
        self.workload = str(oracle.options.get("workload") or "pandaboard")
        self.no: dict[str, str] = {}  #: why a case can't be predicted, by its name
        self._oracle = oracle
        self._known: dict[tuple[int, int], tuple[Measured, Executed]] = {}

    def predict(self, name: str, measured: Measured) -> Executed | None:
        """Return the run as it should be."""
        if name in self.no:
            return None
        horizon_ns = measured.trace.plan.horizon.time_ns
        key = (id(measured.taskset), horizon_ns)  # the set is kept, so that no other one gets its number
        if key not in self._known:
            try:
                with closing(Stand(self._oracle)) as stand:
                    trace = stand.execute(
                        measured.taskset,
                        horizon_ms=ms_from_ns(horizon_ns),
                        admission=measured.trace.plan.admission,
                    )
            except (Unsupported, InputError) as error:
                self.no[name] = str(error)
                return None
            self._known[key] = measured, trace
        return self._known[key][1]


# -- all runs ----------------------------------------------------------------------------------------------------------


class _Row:
    """One task of a case, over all runs."""

    def __init__(self) -> None:
        self.jobs = [0, 0]
        self.misses = [0, 0]
        self.kills = [0, 0]
        self.starts_ns: list[int] = []  # measured - predicted
        self.predicted_ns: list[int] = []
        self.measured_ns: list[int] = []

    def document(self) -> dict[str, Any]:
        lasted_ns = [b - a for a, b in zip(self.predicted_ns, self.measured_ns, strict=True)]
        predicted = _middle(self.predicted_ns)
        measured = _middle(self.measured_ns)
        share = None if predicted is None or measured is None else float(percent(measured - predicted, predicted))
        return {
            "jobs": _sides(self.jobs),
            "start_residual_ms": _spread(self.starts_ns),
            "duration_ms": {"predicted": _ms(predicted), "measured": _ms(measured)},
            "duration_residual_ms": _spread(lasted_ns),
            "duration_residual_percent": share,
            "misses": _sides(self.misses),
            "kills": _sides(self.kills),
        }


class _Report:
    """All runs."""

    def __init__(self) -> None:
        self._rows: defaultdict[tuple[str, int], _Row] = defaultdict(_Row)
        self._compared: list[tuple[str, Comparison]] = []

    def add(self, name: str, measured: Measured, predicted: Executed) -> None:
        """Compare one run."""
        tolerance = BOARD_TOLERANCES.get(measured.setting.generation, ZERO)
        comparison = Comparison(measured.trace, predicted, tolerance)
        self._compared.append((name, comparison))
        for task_id, pairs in comparison.runs.pairs.items():
            row = self._rows[name, task_id]
            for pair in pairs:
                _note(row, pair)
            for both in ((ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None):
                _note_both(row, both, comparison)

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        differences: Counter[str] = Counter()
        firsts: defaultdict[str, list[tuple[Break, str]]] = defaultdict(list)
        slowness = [factor for _, comparison in self._compared for factor in comparison.slowness]
        for name, comparison in self._compared:
            found = comparison.breaks(median(slowness) if slowness else 1.0)
            differences.update(each.assumption for each in found)
            if found:
                firsts[found[0].assumption].append((found[0], name))
        ranked = sorted(ASSUMPTIONS, key=lambda each: (-len(firsts[each]), -differences[each]))
        assumptions = [_assumption(each, firsts[each], differences[each]) for each in ranked]
        return {
            "runs": len(self._compared),
            "tasks": [{"case": name, "task": task_id, **row.document()} for (name, task_id), row in self._rows.items()],
            "assumptions": assumptions,
            "first": assumptions[0] if assumptions[0]["first_in_runs"] else None,
        }


def _assumption(name: str, firsts: Sequence[tuple[Break, str]], differences: int) -> dict[str, Any]:
    earliest = min(firsts, default=None)
    return {
        "assumption": name,
        "first_in_runs": len(firsts),
        "differences": differences,
        "case": None if earliest is None else earliest[1],
        "time_ms": None if earliest is None else _ms(earliest[0].time_ns),
        "evidence": "" if earliest is None else earliest[0].evidence,
    }


def _note(row: _Row, pair: Pair) -> None:
    for side, life in enumerate(pair):
        if life is not None:
            row.jobs[side] += life.outcome is not EventType.NOT_SCHEDULED
            row.misses[side] += bool(life.missed)
            row.kills[side] += life.outcome in KILLED


def _note_both(row: _Row, both: Both, comparison: Comparison) -> None:
    ours, theirs = both
    row.starts_ns.append(theirs.birth_ns - ours.birth_ns)
    if ours.outcome is EventType.EXIT and theirs.outcome is EventType.EXIT:
        predicted_ns, measured_ns = comparison.durations_ns(both)
        row.predicted_ns.append(predicted_ns)
        row.measured_ns.append(measured_ns)


def _sides(counts: Sequence[int]) -> dict[str, int]:
    return {"predicted": counts[0], "measured": counts[1]}


def _middle(times_ns: Sequence[int]) -> int | None:
    return round(median(times_ns)) if times_ns else None


def _ms(time_ns: int | None) -> float | None:
    return None if time_ns is None else time_ns / NS_PER_MS


def _spread(times_ns: Sequence[int]) -> dict[str, float | None]:
    return {"median": _ms(_middle(times_ns)), "max": _ms(max(times_ns, key=abs)) if times_ns else None}


def tables(document: Mapping[str, Any]) -> "list[Table]":
    """Return what `fidelity` said as tables for `rich`: the tasks, and the assumptions, the first one on top."""
    from rich import box
    from rich.table import Table

    tasks = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title=f"predicted by {document['oracle']}")
    for title in ("case", "task", "jobs", "START ms off", "took ms", "predicted", "%", "misses", "kills"):
        tasks.add_column(title, justify="left" if title == "case" else "right")
    for row in document["tasks"]:
        start, took = row["start_residual_ms"], row["duration_ms"]
        shown = [f"{_text(start['median'])} (max {_text(start['max'])})", _text(took["measured"])]
        shown += [_text(took["predicted"]), _text(row["duration_residual_percent"])]
        tasks.add_row(
            row["case"], str(row["task"]), _pair(row["jobs"]), *shown, _pair(row["misses"]), _pair(row["kills"])
        )
    broken = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("assumption", "breaks first in", "differences", "case", "at ms", "evidence"):
        broken.add_column(title, overflow="fold")
    for each in document["assumptions"]:
        runs = f"{each['first_in_runs']} of {document['runs']} runs" if each["first_in_runs"] else "-"
        place = each["case"] or "", _text(each["time_ms"]), each["evidence"]
        broken.add_row(each["assumption"], runs, str(each["differences"]), *place)
    return [tasks, broken]


def _pair(counts: Mapping[str, int]) -> str:
    """Return measured counts, with the predicted ones where they differ."""
    measured, predicted = counts["measured"], counts["predicted"]
    return str(measured) if measured == predicted else f"{measured} (not {predicted})"


def _text(number: float | None) -> str:
    return "-" if number is None else f"{number:g}"
