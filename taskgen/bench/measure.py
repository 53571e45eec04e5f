"""Run suites on the boards of a target: one thread and one test stand per board, all from one queue of runs.

Between the runs the reference load of this machine is measured. A run whose board is lost goes back to the queue; a
board that loses several in a row is given up. When none is left, or somebody presses Ctrl-C, what was measured until
then is the result, marked as incomplete. Nothing waits for ever: each run has a bound on this machine's clock.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from taskgen.bench.collect import Sampled, suite_result
from taskgen.bench.environment import environment
from taskgen.bench.prepare import estimated_ns, prepare, setting_of
from taskgen.bench.reference import Reference
from taskgen.bench.result import Result
from taskgen.bench.suite import Measured, Setting, Suite
from taskgen.bench.turns import Turn, Turns, order
from taskgen.bench.watch import Watch
from taskgen.bench.work import Work
from taskgen.bench.worker import Slots, Worker
from taskgen.distributor.health import Care
from taskgen.errors import TargetError, TargetLost, UsageError
from taskgen.session import Target
from taskgen.testing.stand import CLOSE_S, Stand, forget_connection

#: Why a result isn't complete that Ctrl-C ended.
INTERRUPTED: Final = "interrupted"
#: How often the main thread looks at the others.
_LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be measured.

    Args:
        suites: which ones.
        repeat: how often each case counts.
        warmup: how often it runs before that.
        seed: of the order of runs; a simulator gets that of a repetition, seed + its number.
        duration_ms: how long suites run that take any time.
        work: what the target computes; None: see `prepare.work_of`.
        name: what the user calls the target.
        canary: whether each board's health is checked before it works.
    """

    suites: Sequence[Suite]
    repeat: int = 10
    warmup: int = 1
    seed: int = 0
    duration_ms: int = 60_000
    work: Work | None = None
    name: str = ""
    canary: bool = True

    def __post_init__(self) -> None:
        for name, least in (("repeat", 1), ("warmup", 0), ("duration_ms", 1)):
            if (value := getattr(self, name)) < least:
                raise UsageError(f"{name}: {value}, expected at least {least}")


def measure(targets: Sequence[Target], asked: Asked, watch: Watch | None = None, *, care: Care | None = None) -> Result:
    """Run suites on a pool of targets and return what was measured, even if it isn't complete.

    Args:
        targets: the boards, or a simulator.
        asked: what is to be measured.
        watch: is told how far it is.
        care: how boards are looked after that are lost.

    Raises:
        TargetError: no target can be opened.
        UsageError: an option, a target or a suite is wrong.
    """
    return Bench(targets, asked, watch or Watch(), care).run()


class Bench:
    """One benchmark."""

    def __init__(self, targets: Sequence[Target], asked: Asked, watch: Watch, care: Care | None) -> None:
        self.asked = asked
        self.watch = watch
        self.lock = threading.Lock()  # of the watch
        self._targets = targets
        self._care = care
        self._notes: list[str] = []
        self.canaries: list[Mapping[str, Any]] = []

    def run(self) -> Result:
        """Measure."""
        started = datetime.now(UTC)
        with self._stands() as stands:
            first, setting = self._first(stands)
            self.setting = setting
            self.prepared = [prepare(suite, setting, first.session) for suite in self.asked.suites]
            turns = order(
                self.prepared, repeat=self.asked.repeat, warmup=self.asked.warmup, seed=self.asked.seed
            )  # fmt: skip
            self.turns = Turns(turns)
            self.reference = Reference(len(turns))
            runs = Counter(map(self._name, turns))
            slots = Slots()
            workers = [Worker(self, stand, slots.of(stand.target)) for stand in stands]
            reason = self._wait(workers, runs)
        return self._result(started, reason, workers)

    @contextmanager
    def _stands(self) -> Iterator[list[Stand]]:
        stands = [Stand(target, care=self._care) for target in self._targets]
        try:
            yield stands
        finally:
            for stand in stands:
                stand.close()
                forget_connection(stand.target)

    def _first(self, stands: list[Stand]) -> tuple[Stand, Setting]:
        """Return the first stand whose target can be opened; those before it are out."""
        asked, error = self.asked, None
        for stand in list(stands):
            try:
                return stand, setting_of(stand, seed=asked.seed, duration_ms=asked.duration_ms, work=asked.work)
            except TargetError as lost:
                error = error or lost
                stands.remove(stand)
                if stands:
                    self._give_up(stand, str(lost))
                stand.close()
        raise error or TargetLost("there is no target")

    def _name(self, turn: Turn) -> tuple[str, str]:
        suite = self.prepared[turn.suite]
        return suite.suite.name, suite.cases[turn.case].name

    def _estimate_ns(self, boards: int) -> int | None:
        if not self.setting.real:
            return None
        return estimated_ns(self.prepared, repeat=self.asked.repeat, warmup=self.asked.warmup, boards=boards)

    def _wait(self, workers: Sequence[Worker], runs: Counter[tuple[str, str]]) -> str:
        """Let the workers work; return why the result isn't complete, or nothing."""
        try:
            self.watch.begin(runs, self._estimate_ns(len(workers)), len(workers))
            for worker in workers:
                worker.start()
            while busy := [worker for worker in workers if worker.is_alive() and not worker.abandoned]:
                for worker in busy:
                    worker.look()
                busy[0].join(_LOOK_S)
            error = next((worker.error for worker in workers if worker.error is not None), None)
            if error is not None:
                raise error
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            self.turns.close()
            self._end(workers)
        return self._missing()

    def _end(self, workers: Sequence[Worker]) -> None:
        """Stop what still runs, within a bounded time."""
        deadline = time.monotonic() + CLOSE_S
        while time.monotonic() < deadline:
            busy = [worker for worker in workers if worker.is_alive() and not worker.abandoned]
            if not busy:
                return
            for worker in busy:
                worker.stop()  # again and again: one that comes before its run has begun is lost
            busy[0].join(_LOOK_S)

    def _missing(self) -> str:
        turns = self.turns
        failed = sum(bool(sampled.failure) for sampled in turns.found.values())
        missing = turns.total - len(turns.found)
        if missing:
            return f"{missing} of {turns.total} runs are missing: {'; '.join(self._notes) or 'their board was lost'}"
        return f"{failed} of {turns.total} runs failed" if failed else ""

    def _give_up(self, stand: Stand, reason: str) -> None:
        with self.lock:
            self._notes.append(reason)
            self.watch.lost(str(stand.target), reason)

    def retire(self, worker: Worker, reason: str) -> None:
        """Give a board up."""
        self._give_up(worker.stand, reason)

    def tell(self, turn: Turn, sampled: Sampled, measured: Measured | None) -> None:
        """Keep what a run gave, and tell how far it is."""
        with self.lock:
            self.turns.done(turn, sampled)
            suite, case = self.prepared[turn.suite].suite, self.prepared[turn.suite].cases[turn.case]
            if measured is not None and turn.repetition >= 0:
                self.watch.measured(suite, case, measured)
            self.watch.ran(len(self.turns), suite, case, turn.repetition, sampled)

    # -- the result

    def _result(self, started: datetime, reason: str, workers: Sequence[Worker]) -> Result:
        turns = self.turns
        found = turns.found | {turn: Sampled(lost=lost) for turn, lost in turns.lost.items()}
        runs: dict[tuple[int, int], dict[int, Sampled]] = {}
        for turn, sampled in found.items():
            runs.setdefault((turn.suite, turn.case), {})[turn.repetition] = sampled
        return Result(
            started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            seed=self.asked.seed,
            repeat=self.asked.repeat,
            target=self._target(workers),
            environment=environment(),
            suites=[
                suite_result(
                    each, [runs.get((suite, case), {}) for case in range(len(each.cases))], pooled=len(workers) > 1
                )
                for suite, each in enumerate(self.prepared)
            ],
            reference_ns=self.reference.samples,
            canary=self.canaries,
            complete=not reason,
            reason=reason,
        )

    def _target(self, workers: Sequence[Worker]) -> Mapping[str, Any]:
        first = self._targets[0]
        boards = [
            {"address": worker.stand.target.address, "generation": self.setting.generation, "runs": worker.runs}
            for worker in workers
        ]
        return {
            "name": self.asked.name or str(first),
            "session": first.session,
            "generation": self.setting.generation,
            "work": self.setting.work.source,
            "options": {key: _plain(value) for key, value in first.options.items()},
            "boards": boards if self.setting.real else [],
        }


def _plain(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
