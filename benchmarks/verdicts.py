"""Whether `taskgen bench compare` can be trusted: `python -m benchmarks.verdicts`.

Two runs of the same benchmark on the same target are to be told "no significant change"; where the second run's jobs
compute for 10 % longer that is to be found. Each of the two is tried in so many pairs of runs, on boards in software
whose jobs draw execution times, at `--speed max`, behind sockets, with late messages. Each run has a board of its own,
that nobody has used and that draws on its own, so that nothing but the distribution of times is the same.

An unchanged pair is right if no row says worse, better or newly failing. A slowed pair is right if at least one row
says worse, and none better. A pair that no row has a verdict of, or whose runs aren't complete, is wrong either way.

All is seeded: the same options give the same boards, sets and draws. Only host times (suite churn) differ: `--busy 1`
lets other processes compute during each second run, which must not be mistaken for a change of the target.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

from benchmarks.redrawn import Boards
from hil.board.options import BoardOptions
from taskgen import registry
from taskgen.bench.compare import Comparison, Row, Verdict, compare
from taskgen.bench.measure import Asked, measure
from taskgen.bench.prepare import load_suite
from taskgen.bench.result import Result
from taskgen.bench.work import Work
from taskgen.blocks._program import program
from taskgen.session import Target
from taskgen.units import Milliseconds, to_ns

#: Of 100 pairs of either kind, so many are right at least.
ENOUGH: Final = 0.95
#: The second run of a slowed pair, in percent of the first one's times.
SLOWED: Final = 110
FAULTS: Final = ("latency:1,jitter=2",)
#: G1 and G1o aren't among them: they don't tell when a job ended.
TARGETS: Final = ("G1p", "G3a", "G3b", "G4", "sim")
#: Between the seeds of two runs: a simulator has one per repetition.
_APART: Final = 1000
_CHANGED: Final = frozenset({Verdict.WORSE, Verdict.BETTER, Verdict.FAILING})
_SILENT: Final = frozenset({Verdict.FEW, Verdict.APART})
#: The worst cases of programs are multiples of that, and there are that many of them: whatever suites ask for.
_STEP_MS: Final = 10
_PROGRAMS: Final = 500
#: The mean in percent of the worst case: so a slowed job rarely exceeds it, which G1p, told the worst case, cuts off.
_MEAN: Final = 75


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs, compared."""

    slowed: bool
    rows: Sequence[Row]
    reason: str = ""  #: why there is no verdict

    @property
    def changes(self) -> list[Row]:
        """Return the rows that say that something changed."""
        return [row for row in self.rows if row.verdict in _CHANGED]

    @property
    def right(self) -> bool:
        """Whether the verdict is what it should be."""
        said = {row.verdict for row in self.changes}
        if self.reason:
            return False
        return said == {Verdict.WORSE} if self.slowed else not said


class Place(Protocol):
    """Where runs happen."""

    work: Work | None  #: what suites ask for; None: the target's own

    def fresh(self, *, slowed: bool) -> Target:
        """Return a target that nobody has used."""


class Programs:
    """Work on boards whose programs are called by the longest time that they compute."""

    source = "table of random times"

    def block(self, work_ms: Milliseconds) -> Mapping[str, Any]:
        """Return the attributes of the program whose worst case is nearest."""
        step = min(max(round(to_ns(work_ms, "work") / to_ns(_STEP_MS, "step")), 1), _PROGRAMS)
        return program(_called(step), 0)

    def wcet_ms(self, task: Mapping[str, Any]) -> Milliseconds | None:
        """Return the worst case of the program of a task."""
        return int(task["pkg"][1:]) if str(task.get("pkg", "")).startswith("w") else task.get("executiontime")


def _called(step: int) -> str:
    return f"w{step * _STEP_MS:05}"


def table(percent: int, spread: int) -> str:
    """Return a workload table.

    Args:
        percent: of the usual times.
        spread: their standard deviation in percent of the mean; three times that is the limit.
    """
    lines = []
    for step in range(1, _PROGRAMS + 1):
        mean_ms = Decimal(step * _STEP_MS * _MEAN * percent) / 10_000
        deviation_ms = mean_ms * spread / 100
        low_ms, high_ms = mean_ms - 3 * deviation_ms, mean_ms + 3 * deviation_ms
        times = f"mean_ms = {mean_ms}, deviation_ms = {deviation_ms}, low_ms = {low_ms}, high_ms = {high_ms}"
        lines += [f"[{_called(step)}]", f'distribution = {{ kind = "normal", {times} }}']
    return "\n".join(lines) + "\n"


class OnBoards:
    """Boards in software, an unused one for each run: see `boards`."""

    work: Work | None = Programs()

    def __init__(self, usual: Boards, slow: Boards) -> None:
        self._targets = {False: iter(usual.targets), True: iter(slow.targets)}

    def fresh(self, *, slowed: bool) -> Target:
        """Return a board that nobody has used."""
        return next(self._targets[slowed])


@contextmanager
def boards(
    pairs: int, *, generation: str = "G4", seed: int = 0, spread: int = 5, faults: Sequence[str] = FAULTS
) -> Iterator[OnBoards]:
    """Serve as many boards as so many pairs of either kind take, and end them.

    Args:
        pairs: of either kind.
        generation: of the boards.
        seed: of what is drawn.
        spread: standard deviation of execution times, in percent.
        faults: of the boards.
    """
    with tempfile.TemporaryDirectory() as folder:

        def served(count: int, percent: int, seed: int) -> Boards:
            path = Path(folder) / f"times-{percent}.toml"
            path.write_text(table(percent, spread), "utf-8")
            options = BoardOptions(
                generation=generation, count=count, workload=str(path), seed=seed, faults=tuple(faults)
            )
            return Boards(options)

        with served(3 * pairs, 100, 2 * seed) as usual, served(pairs, SLOWED, 2 * seed + 1) as slow:
            yield OnBoards(usual, slow)


class OnSimulator:
    """The textbook simulator; its jobs compute for a random share of what they may at most."""

    work: Work | None = None

    def fresh(self, *, slowed: bool) -> Target:
        """Return a simulator."""
        times = [share * (SLOWED if slowed else 100) / 100 for share in (0.72, 0.9)]
        return Target("sim", "", {"execution": f"uniform:{times[0]},{times[1]}"})


def pairs_of(
    place: Place,
    pairs: int,
    *,
    suites: Sequence[str] = ("latency",),
    repeat: int = 10,
    seed: int = 0,
    busy: int = 0,
) -> Iterator[Pair]:
    """Measure and compare pairs, in turn an unchanged and a slowed one; all seeds differ.

    Args:
        place: where.
        pairs: of either kind.
        suites: by name.
        repeat: how often each case counts.
        seed: the first one.
        busy: how many other processes compute during each second run.
    """
    chosen = [load_suite(name) for name in suites]
    seeds = itertools.count(seed * 4 * pairs)

    def run(*, slowed: bool) -> Result:
        # No canary: it would remember each of these boards, by an address that is another board's tomorrow.
        asked = Asked(chosen, repeat, seed=next(seeds) * _APART, work=place.work, canary=False)
        return measure([place.fresh(slowed=slowed)], asked)

    for _ in range(pairs):
        for slowed in (False, True):
            before = run(slowed=False)
            with _busy(busy):
                after = run(slowed=slowed)
            # A board's address doesn't say how fast it is; a simulator's options would.
            alike = replace(after, target={**after.target, "options": before.target["options"]})
            yield _pair(before, alike, slowed=slowed)


@contextmanager
def _busy(processes: int) -> Iterator[None]:
    """Let other processes compute."""
    with ExitStack() as stack:
        for _ in range(processes):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)  # called before the process is waited for
        yield


def _pair(before: Result, after: Result, *, slowed: bool) -> Pair:
    comparison: Comparison = compare(before, after)
    reason = next((result.reason for result in (before, after) if not result.complete), "")
    if not reason and all(row.verdict in _SILENT for row in comparison.rows):
        reason = next((row.why for row in comparison.rows), "there are no rows")
    return Pair(slowed, comparison.rows, reason)


def tally(found: Sequence[Pair], *, slowed: bool) -> dict[str, Any]:
    """Return how many pairs of one kind there are, how many are right, and how many have each kind of row."""
    chosen = [pair for pair in found if pair.slowed is slowed]
    verdicts = [{str(row.verdict) for row in pair.changes} for pair in chosen]
    return {
        "pairs": len(chosen),
        "right": sum(pair.right for pair in chosen),
        "with": dict(Counter(name for names in verdicts for name in names)),
        "without verdict": [pair.reason for pair in chosen if pair.reason],
    }


def by_metric(found: Sequence[Pair]) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return of each metric what was said of it, by kind of pair.

    `alarms` in unchanged pairs, slow-downs `found` in slowed ones, how often it was `compared` in both, median ratios.
    """
    rows: dict[tuple[str, str, str], dict[bool, list[Row]]] = {}
    for pair in found:
        for row in pair.rows:
            rows.setdefault((row.suite, row.case, row.metric), {False: [], True: []})[pair.slowed].append(row)
    return {
        key: {
            "compared": sum(row.verdict not in _SILENT for each in kinds.values() for row in each),
            "alarms": sum(row.verdict in _CHANGED for row in kinds[False]),
            "found": sum(row.verdict is Verdict.WORSE for row in kinds[True]),
            "ratio unchanged": _ratio(kinds[False]),
            "ratio slowed": _ratio(kinds[True]),
        }
        for key, kinds in rows.items()
    }


def _ratio(rows: Sequence[Row]) -> float | None:
    ratios = [row.ratio for row in rows if row.ratio is not None]
    return median(ratios) if ratios else None


def show(found: Sequence[Pair], took_s: float) -> None:
    """Print the tables."""
    print(f"{'pairs':12}{'number':>7}{'right':>7}{'share':>8}   changes that were reported, by pairs")
    for slowed, name in ((False, "unchanged"), (True, f"{SLOWED - 100} % slower")):
        figures = tally(found, slowed=slowed)
        share = figures["right"] / figures["pairs"]
        said = ", ".join(f"{kind} {count}" for kind, count in figures["with"].items()) or "none"
        verdict = "reached" if share >= ENOUGH else "MISSED"
        print(f"{name:12}{figures['pairs']:7}{figures['right']:7}{share:8.0%}   {said}; target {ENOUGH:.0%}: {verdict}")
        for reason in dict.fromkeys(figures["without verdict"]):
            print(f"  without verdict: {reason}")
    names = f"{'suite':10}{'case':22}{'metric':18}"
    print(f"\n{names}{'compared':>9}{'false alarms':>14}{'found':>7}{'ratio':>8}{'slowed':>8}")
    for (suite, case, metric), each in by_metric(found).items():
        ratios = ["-" if each[name] is None else f"{each[name]:.3f}" for name in ("ratio unchanged", "ratio slowed")]
        said = f"{each['compared']:9}{each['alarms']:14}{each['found']:7}"
        print(f"{suite:10}{case:22}{metric:18}{said}{ratios[0]:>8}{ratios[1]:>8}")
    print(f"\n{len(found)} pairs in {took_s:.0f} s")


def main() -> int:
    """Run it as a command; the exit status is 1 if a target is missed."""
    options = _options()
    begun_s = time.perf_counter()
    found = _found(options)
    took_s = time.perf_counter() - begun_s
    tallies = [tally(found, slowed=slowed) for slowed in (False, True)]
    if options.json:
        metrics = [{"metric": "/".join(key), **each} for key, each in by_metric(found).items()]
        print(json.dumps({"unchanged": tallies[0], "slowed": tallies[1], "metrics": metrics, "s": took_s}, indent=1))
    else:
        print(f"{options.target}, seed {options.seed}, {options.repeat} repeats, spread {options.spread} %\n")
        show(found, took_s)
    return int(any(each["right"] < ENOUGH * each["pairs"] for each in tallies))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100, help="of either kind (100)")
    parser.add_argument("--suite", action="append", help="repeatable; all: those of taskgen bench (latency)")
    parser.add_argument("--repeat", type=int, default=10, help="how often each case counts (10)")
    parser.add_argument("--target", choices=TARGETS, default="G4", help="generation of the boards, or sim (G4)")
    parser.add_argument("--spread", type=int, default=5, help="deviation of boards' execution times, in percent (5)")
    parser.add_argument("--fault", action="append", help=f"of boards, repeatable ({', '.join(FAULTS)})")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute during second runs (0)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print figures as JSON instead of the tables")
    options = parser.parse_args()
    for name, least, most in (("pairs", 1, 1000), ("spread", 1, 30), ("busy", 0, 16)):
        if not least <= (value := getattr(options, name)) <= most:
            parser.error(f"--{name} {value}: expected {least}..{most}")
    return options


def _found(options: argparse.Namespace) -> list[Pair]:
    suites = options.suite or ["latency"]
    if "all" in suites:
        suites = [name for name in registry.names("suites") if name != "soak"]  # by name only
    how: dict[str, Any] = {
        "suites": suites, "repeat": options.repeat, "seed": options.seed, "busy": options.busy,
    }  # fmt: skip
    if options.target == "sim":
        return list(pairs_of(OnSimulator(), options.pairs, **how))
    served = boards(
        options.pairs,
        generation=options.target,
        seed=options.seed,
        spread=options.spread,
        faults=options.fault or FAULTS,
    )
    with served as place:
        return list(pairs_of(place, options.pairs, **how))


if __name__ == "__main__":
    sys.exit(main())
