"""The searches of `taskgen check`: one for each property, on one target, told as they end."""

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from taskgen import __version__, document, registry, tasksets
from taskgen.boards import session_class, takes
from taskgen.cli.findings import exit_code, finding_lines, finding_plain
from taskgen.cli.where import stand_for
from taskgen.errors import TargetError, UsageError
from taskgen.monitors.stdout import plain_console
from taskgen.session import Capabilities
from taskgen.testing.against import oracle_for
from taskgen.testing.counterexample import Counterexample, portable, stored, told, versions
from taskgen.testing.judge import DifferenceJudge, Judge, LawJudge
from taskgen.testing.memo import identity
from taskgen.testing.properties import load
from taskgen.testing.search import Finding, Progress, sampled, search
from taskgen.testing.stand import Stand

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from taskgen.taskset import TaskSet
    from taskgen.units import Milliseconds

#: How many task-sets are judged, and executed, where nobody says: on the simulator, and on what takes its time.
_EXAMPLES: Final = 200
_EXAMPLES_ON_BOARDS: Final = 20
_BUDGET_ON_BOARDS: Final = 30
_INTERRUPTED: Final = 130
#: What boards are able to do.
_A_BOARD: Final = Capabilities(cores=2, admission=True, job_numbers="starts")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a search runs, as a counterexample tells it, and where that is stored."""

    target: str  #: as the user wrote it
    session: str | None
    options: Mapping[str, Any]  #: of the session, as far as the user gave them
    horizon_ms: "Milliseconds | None"
    admission: Mapping[str, Any] | None
    folder: Path
    seed: int

    def counterexample(self, judge: Judge, finding: Finding) -> Counterexample | None:
        """Return the document of what a search has found."""
        if finding.taskset is None or finding.judged is None:
            return None
        return Counterexample(
            law=finding.name, taskset=finding.taskset, seed=self.seed, target=self.target, session=self.session,
            options=portable(self.options), horizon_ms=judge.horizon_ms, admission=self.admission, expected=judge.about,
            violations=finding.judged.violations, trace=told(finding.judged.trace), versions=versions(),
            found=datetime.now(UTC),
        )  # fmt: skip


class Sets:
    """The task-sets that are looked at: variants of those that the user names, or of a strategy for the judge.

    Raises:
        UsageError: the user says both, or names none that is there.
    """

    def __init__(self, names: list[str], files: list[Path], dialect: str | None, bounds: Mapping[str, Any]) -> None:
        self._named = bool(names or files)
        if self._named and bounds:
            raise UsageError(
                f"{', '.join(bounds)}: bounds are for random task-sets, -t and -f name theirs",
                hint="leave the bounds out, or -t and -f",
            )
        self._names, self._files, self._dialect, self._bounds = names, files, dialect, bounds

    def of(self, judge: Judge, seed: int, most: int) -> "SearchStrategy[TaskSet] | Iterable[TaskSet]":
        """Return the sets for a judge."""
        if self._named:
            made = [tasksets.named(name, seed) for name in self._names]
            made += [each for path in self._files for each in document.load_all(path, self._dialect)]
            return sampled(made, most, seed)
        importlib.import_module("taskgen.strategies")  # which says what is missing where Hypothesis isn't installed
        from taskgen.testing.aim import aimed, enough_ms

        if judge.horizon_ms is None:
            judge.horizon_ms = enough_ms(judge, self._bounds)
        return aimed(judge, migration=judge.stand.target.options.get("migration"), given=self._bounds)


class Searches:
    """The searches of one command, one after the other.

    Args:
        here: where they run.
        stand: the same, to run on.
        sets: what is looked at.
        max_examples: how many sets are judged per property; None: what suits the target.
        budget: how many are executed; None: what suits the target.
    """

    def __init__(
        self, here: Place, stand: Stand, sets: Sets, *, max_examples: int | None = None, budget: int | None = None
    ) -> None:
        self._here = here
        self._stand = stand
        self._sets = sets
        self._max_examples = max_examples
        self._budget = budget
        self._rows: list[dict[str, Any]] = []

    def laws(self, names: Iterable[str]) -> list[Judge]:
        """Return the judges of properties.

        Raises:
            UsageError: there is no such property.
        """
        here = self._here
        return [
            LawJudge(name, load(name), self._stand, horizon_ms=here.horizon_ms, admission=here.admission)
            for name in names
        ]

    def difference(self, oracle: Stand, against: str) -> Judge:
        """Return the judge that compares with an oracle, which the user calls so."""
        here = self._here
        return DifferenceJudge(self._stand, oracle, against, horizon_ms=here.horizon_ms, admission=here.admission)

    def run(self, judges: Iterable[Judge]) -> int:
        """Search for each, tell what was found, and return the exit code."""
        verdicts: Counter[str] = Counter()
        for judge in judges:
            finding = self._search(judge)
            self._tell(judge, finding)
            verdicts[finding.verdict] += 1
            if finding.interrupted:
                return _INTERRUPTED
        return exit_code(verdicts, failed="failed", none="none")

    def document(self) -> str:
        """Return what was found as one JSON document."""
        found = {
            "schema": 1, "taskgen": __version__, "target": self._here.target, "seed": self._here.seed,
            "properties": self._rows,
        }  # fmt: skip
        return document.encode(found) + "\n"

    def _search(self, judge: Judge) -> Finding:
        here = self._here
        try:
            if judge.lacks:
                return Finding(judge.name, reason=judge.lacks)
            most, budget = self._limits(judge.stand)
            examples = self._sets.of(judge, here.seed, most)
        except TargetError as error:
            return Finding(judge.name, reason=f"{error}; {error.hint}" if error.hint else str(error))
        before = stored(judge.name, here.folder, lambda line: typer.echo(f"warning: {line}", err=True))
        known = ((path, each.taskset) for path, each in before)
        if isinstance(examples, list):  # who names sets asks about no others
            asked = {identity(each) for each in examples}
            known = ((path, taskset) for path, taskset in known if identity(taskset) in asked)
        with _progress(judge.name) as notify:
            return search(
                judge, examples, max_examples=most, seed=here.seed, budget=budget, stored=known, notify=notify
            )  # fmt: skip

    def _limits(self, stand: Stand) -> tuple[int, int | None]:
        """Return how many examples and executions there are at most."""
        if stand.session.capabilities.deterministic:
            return self._max_examples or _EXAMPLES, self._budget
        # Who asks for more examples asks for their executions, too, and for some to shrink what is found.
        budget = max(_BUDGET_ON_BOARDS, (self._max_examples or 0) + _BUDGET_ON_BOARDS - _EXAMPLES_ON_BOARDS)
        return self._max_examples or _EXAMPLES_ON_BOARDS, self._budget or budget

    def _tell(self, judge: Judge, finding: Finding) -> None:
        found = self._here.counterexample(judge, finding)
        path = finding.stored
        if found is not None and path is None:
            path = found.write(self._here.folder)
        target = judge.stand.name
        for line in finding_lines(finding, target, path, seed=self._here.seed, boards_can=_boards_can(judge)):
            typer.echo(line)
        if finding.verdict != "failed":
            typer.echo(f"  seed {self._here.seed}")
        self._rows.append(finding_plain(finding, target, path, found))


def _boards_can(judge: Judge) -> bool:
    """Tell whether boards can be asked about what a judge looks at."""
    return not (isinstance(judge, LawJudge) and judge.law.lacks(_A_BOARD))


@contextmanager
def _progress(name: str) -> Iterator[Callable[[Progress], object]]:
    """Show how far a search is, on a terminal."""
    console = plain_console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    with Bar(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        row = bar.add_task(name)

        def show(progress: Progress) -> None:
            what = "shrinking" if progress.shrinking else "searching"
            counts = f"{progress.examples} examples, {progress.executions} executions, {progress.skipped} skipped"
            bar.update(row, description=f"{name}: {what}, {counts}")

        yield show


def stand_of(
    name: str,
    session: str | None,
    options: Mapping[str, Any],
    seed: int,
    file: Path | None,
    *,
    against: str | None = None,
) -> tuple[Stand, Mapping[str, Any]]:
    """Return the stand of a target, and what the oracle has to be told if it is compared with one.

    A board takes no policy: the one that is named then is what it is said to run, so the oracle runs it.

    Raises:
        What `stand_for` raises.
    """
    policy = {key: value for key, value in options.items() if key == "policy"}
    if not policy or against is None:
        return stand_for(name, session, options, seed, file), {}
    bare = stand_for(name, session, {key: options[key] for key in options if key not in policy}, seed, file)
    kind = session_class(bare.target.session)
    if kind is None or not takes(kind, "policy"):
        return bare, policy
    return stand_for(name, session, options, seed, file), {}


def oracle_of(witness: Stand, against: str = "sim", options: Mapping[str, Any] | None = None) -> Stand:
    """Return the stand of the simulator that knows what a board does; `options` are what it has to be told besides.

    Raises:
        UsageError: `against` is no simulator.
        TargetLost: the board can't be asked what it is.
    """
    capabilities = witness.session.capabilities
    oracle = oracle_for(witness.target, witness.generation, capabilities, against=against, options=options)
    registry.load("sessions", oracle.session).check_target(oracle)
    return Stand(oracle)
