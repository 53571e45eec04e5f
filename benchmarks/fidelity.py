"""How close the simulated PandaBoard comes to the real one: `python -m benchmarks.fidelity ../shared/recordings.csv`.

Each recorded run becomes one boot of a board of generation G1: its sets arrive when they arrived, START follows the
last description, and CLEAR comes 744 ms before the first description of the next set arrives (after the last set: as
if the median distance of the run's sets went on). Nothing else is taken from the recording. Index 0, which includes
the upload, is simulated but not judged.

Agreement is the share of equal outcomes (EXIT, EXIT_CRITICAL, EXIT_EXTERNAL) among rows whose outcome is known. The
error of a response is |simulated - measured| of `since_arrival_ms`, over rows whose exit was seen on the console and
whose outcome is the same on both sides; EXIT_EXTERNAL is the client's clock and has none.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import simpy

from sim.boards.board import Board
from sim.boards.description import Demand, Description, program_demand, size_of
from sim.boards.generation import G1, Generation
from sim.workload import PANDABOARD
from taskgen.events import EventType
from taskgen.parameters import parameters_of
from taskgen.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from sim.boards.eventlog import LogEntry

#: From the client's CLEAR to the next set's first description: 500 of the board, 244 of the client.
CLEAR_AHEAD_MS = 744
#: Single outputs of another generation's board, not one run.
FOREIGN_RUNS = frozenset({"eval_2017_12"})
#: A newer kernel image without soft-exit lines: reported, but no target applies.
NEWER_IMAGE = "cond_42_run1"
JUDGED = ("EXIT", "EXIT_CRITICAL")
_ENDINGS = frozenset({EventType.EXIT, EventType.EXIT_CRITICAL, EventType.EXIT_EXTERNAL})

AGREEMENT_TOTAL, AGREEMENT_RUN = 0.98, 0.95
MEDIAN_MS, P90_MS = 4.0, 30.0


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded instance; times in ms since the board's boot."""

    run: str
    index: int
    position: int
    pkg: str
    argument: int
    critical_ms: int
    period_ms: int
    quota: str
    priority: int
    arrival_ms: int
    outcome: str  #: empty where unknown
    response_ms: int | None  #: parse to soft exit, where the console has it

    @classmethod
    def read(cls, row: dict[str, str]) -> Row:
        """Read a line of the CSV."""
        console = row["exit_source"] == "console"
        return cls(
            row["run"], int(row["index"]), int(row["position"]), row["pkg"], int(row["arg1"]), int(row["criticaltime"]),
            int(row["period"]), row["quota"], int(row["priority"]), int(row["arrival_ms"]), row["outcome"],
            int(row["since_arrival_ms"]) if console else None,
        )  # fmt: skip

    def description(self) -> Description:
        """Return what the board reads; the recorded ids are equal within a set, so the position stands in."""
        return Description(
            id=self.position,
            pkg=self.pkg,
            priority=self.priority,
            period_ns=self.period_ms * NS_PER_MS,
            critical_ns=self.critical_ms * NS_PER_MS,
            quota=size_of(self.quota),
            argument=self.argument,
        )


class Simulated(NamedTuple):
    """What became of an instance on the simulated board."""

    outcome: str
    response_ms: float  #: its own description parsed, to its exit


class Pair(NamedTuple):
    """A recorded instance and the simulated one."""

    row: Row
    simulated: Simulated | None  #: None: it never ended

    @property
    def agrees(self) -> bool:
        """Whether both ended alike."""
        return self.simulated is not None and self.simulated.outcome == self.row.outcome

    def error_ms(self, outcome: str) -> float | None:
        """Return simulated minus measured response, of rows that both ended like that and whose exit was seen."""
        row, simulated = self.row, self.simulated
        if simulated is None or row.response_ms is None or not row.outcome == simulated.outcome == outcome:
            return None
        return simulated.response_ms - row.response_ms


def load(path: Path) -> dict[str, list[list[Row]]]:
    """Return the recorded sets of each run, in their order, each in document order."""
    sets: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            row = Row.read(line)
            if row.run not in FOREIGN_RUNS:
                sets[row.run][row.index].append(row)
    return {
        run: [sorted(of_run[index], key=lambda row: row.position) for index in sorted(of_run)]
        for run, of_run in sets.items()
    }


def clears_ms(sets: Sequence[Sequence[Row]]) -> list[float]:
    """Return when CLEAR comes for each set of a run."""
    arrivals = [rows[0].arrival_ms for rows in sets]
    cadence = median(later - earlier for earlier, later in pairwise(arrivals)) if len(arrivals) > 1 else 10_000
    return [following - CLEAR_AHEAD_MS for following in [*arrivals[1:], arrivals[-1] + cadence]]


class Rerun:
    """A run, again, on a simulated board of its own."""

    def __init__(self, sets: Sequence[Sequence[Row]], row: Generation = G1) -> None:
        self._sets = sets
        self._row = row
        self._ended: dict[int, float] = {}
        self._outcomes: dict[int, str] = {}
        self.pairs: list[Pair] = []
        self.env = simpy.Environment()
        self.board = Board(self.env, row, self._demand, on_log=self._logged)

    def run(self) -> list[Pair]:
        """Simulate all sets."""
        self.env.run(until=self.env.process(self._client()))
        return self.pairs

    def _client(self) -> Generator[simpy.Event, Any, None]:
        begin_ms = self._sets[0][0].arrival_ms
        for rows, clear_ms in zip(self._sets, clears_ms(self._sets), strict=True):
            yield self._until(rows[0].arrival_ms - begin_ms)
            self._ended.clear()
            self._outcomes.clear()
            self.board.send_descs([row.description() for row in rows])
            self.board.start()
            yield self._until(clear_ms - begin_ms)
            arrivals = [task.service.arrival_ns for task in self.board.loader.tasks if task.service is not None]
            yield self.board.clear()
            self.pairs += [Pair(row, self._simulated(row, arrivals)) for row in rows]

    def _until(self, time_ms: float) -> simpy.Event:
        return self.env.timeout(max(int(time_ms * NS_PER_MS) - int(self.env.now), 0))

    def _simulated(self, row: Row, arrivals_ns: Sequence[int]) -> Simulated | None:
        if row.position not in self._outcomes:
            return None
        response_ns = self._ended[row.position] - arrivals_ns[row.position]
        return Simulated(self._outcomes[row.position], response_ns / NS_PER_MS)

    def _logged(self, entry: LogEntry) -> None:
        if entry.type in _ENDINGS:
            self._outcomes[entry.task_id] = str(entry.type)
            self._ended[entry.task_id] = entry.clock_ns

    def _demand(self, description: Description, _: int) -> Demand:
        task = {"id": description.id, "pkg": description.pkg, "config": {"arg1": description.argument}}
        (parameters,) = parameters_of([task])
        return program_demand(description, PANDABOARD.execution_ns(parameters), self._row.timing)


class Figures(NamedTuple):
    """The judgement on some rows."""

    known: int
    agreement: float  #: nan without known outcomes
    errors_ms: dict[str, list[float]]  #: |simulated - measured|, ascending, by outcome

    def quantile(self, outcome: str, share: Decimal) -> float:
        """Return the smallest error that at least this share of the rows doesn't exceed; nan without rows."""
        errors = self.errors_ms[outcome]
        return errors[max(-int(-len(errors) * share // 1), 1) - 1] if errors else float("nan")


def judge(pairs: Iterable[Pair]) -> Figures:
    """Judge rows with index > 0."""
    pairs = [pair for pair in pairs if pair.row.index > 0]
    known = [pair for pair in pairs if pair.row.outcome]
    errors = {
        outcome: sorted(abs(error) for pair in pairs if (error := pair.error_ms(outcome)) is not None)
        for outcome in JUDGED
    }
    agreeing = sum(pair.agrees for pair in known)
    return Figures(len(known), agreeing / len(known) if known else float("nan"), errors)


MEDIAN, P90 = Decimal("0.5"), Decimal("0.9")

_HEADER = f"{'':24}{'rows':>6}{'agree':>9}   " + "   ".join(
    f"{outcome:>14}{'n':>6}{'median':>8}{'p90':>8}" for outcome in JUDGED
)


def _line(name: str, figures: Figures) -> str:
    agreement = f"{100 * figures.agreement:8.2f}%" if figures.known else f"{'-':>9}"
    parts = []
    for outcome in JUDGED:
        number = len(figures.errors_ms[outcome])
        values = "".join(
            f"{figures.quantile(outcome, share):8.1f}" if number else f"{'-':>8}" for share in (MEDIAN, P90)
        )
        parts.append(f"{'':14}{number:6}{values}")
    return f"{name:24}{figures.known:6}{agreement}   " + "   ".join(parts)


def tables(pairs: Sequence[Pair]) -> Generator[str, None, None]:
    """Yield the printed lines: in total, by parity of the index, per run and per package."""
    groups: list[tuple[str, list[tuple[str, Callable[[Row], bool]]]]] = [
        ("in total", [("all", lambda _: True), ("even index", _parity(0)), ("odd index", _parity(1))]),
        ("per run", [(run, _of("run", run)) for run in dict.fromkeys(pair.row.run for pair in pairs)]),
        ("per package", [(pkg, _of("pkg", pkg)) for pkg in sorted({pair.row.pkg for pair in pairs})]),
    ]
    for title, lines in groups:
        yield f"\n{title}; errors of responses in ms\n{_HEADER}"
        for name, chosen in lines:
            yield _line(name, judge(pair for pair in pairs if chosen(pair.row)))


def _parity(parity: int) -> Callable[[Row], bool]:
    return lambda row: row.index % 2 == parity


def _of(key: str, value: str) -> Callable[[Row], bool]:
    return lambda row: getattr(row, key) == value


def shortfalls(pairs: Sequence[Pair]) -> list[str]:
    """Return the targets that are missed, as sentences."""
    total, missed = judge(pairs), []
    if not total.known:
        missed.append("agreement in total: there is no row with a known outcome and an index above 0")
    elif total.agreement < AGREEMENT_TOTAL:
        missed.append(f"agreement in total: {100 * total.agreement:.2f} %, expected {100 * AGREEMENT_TOTAL:.0f} %")
    for run in dict.fromkeys(pair.row.run for pair in pairs if pair.row.run != NEWER_IMAGE):
        figures = judge(pair for pair in pairs if pair.row.run == run)
        if figures.known and figures.agreement < AGREEMENT_RUN:
            missed.append(f"agreement in {run}: {100 * figures.agreement:.2f} %, expected {100 * AGREEMENT_RUN:.0f} %")
    for outcome in JUDGED:
        for name, share, limit_ms in (("median", MEDIAN, MEDIAN_MS), ("p90", P90, P90_MS)):
            value = total.quantile(outcome, share)
            if value > limit_ms:
                missed.append(f"{name} of {outcome}: {value:.1f} ms, expected at most {limit_ms:.0f} ms")
    return missed


def main(arguments: Sequence[str]) -> int:
    """Print the tables; the exit status is 1 if a target is missed."""
    if len(arguments) != 1:
        print("usage: python -m benchmarks.fidelity RECORDINGS.csv", file=sys.stderr)
        return 2
    try:
        runs = load(Path(arguments[0]))
    except OSError as error:
        print(f"{arguments[0]}: can't be read: {error.strerror or error}", file=sys.stderr)
        return 2
    except (KeyError, ValueError) as error:
        print(f"{arguments[0]}: no recordings: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    if not runs:
        print(f"{arguments[0]}: no recordings: it has no rows", file=sys.stderr)
        return 2
    pairs = [pair for sets in runs.values() for pair in Rerun(sets).run()]
    for line in tables(pairs):
        print(line)
    missed = shortfalls(pairs)
    print("\n" + ("\n".join(f"missed: {each}" for each in missed) or "all targets are met"))
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
