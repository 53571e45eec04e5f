"""One board of a benchmark: a thread that takes runs from the queue, and whoever looks whether it comes back."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskgen.bench import canary, timed
from taskgen.bench.collect import Sampled, sample
from taskgen.bench.suite import Case, Measured
from taskgen.bench.turns import Turn
from taskgen.boards import BoardTarget, session_class, takes
from taskgen.errors import TargetError, TaskgenError, UsageError
from taskgen.session import Session, Target
from taskgen.testing.stand import CLOSE_S, Stand, is_board

if TYPE_CHECKING:
    from taskgen.bench.measure import Bench

#: A board that loses so many runs in a row, each tried several times, is given up.
GIVEN_UP: Final = 2
#: How long a run may take on this machine's clock: a time, and its own length on the target's clock so many times.
LONGEST_RUN_S: Final = 300.0
TIMES: Final = 10


class Slots:
    """How many boards of a target of the inventory are used at a time: `parallel`; the others replace lost ones."""

    def __init__(self) -> None:
        self._slots: dict[str, threading.Semaphore] = {}

    def of(self, target: Target) -> threading.Semaphore:
        """Return the slots of a target."""
        entry = target.entry if isinstance(target, BoardTarget) else None
        if entry is None or entry.parallel is None:
            return threading.Semaphore()
        return self._slots.setdefault(entry.name, threading.Semaphore(entry.parallel))


class Worker(threading.Thread):
    """Runs turns on one board until there is none left, or the board is given up."""

    def __init__(self, bench: "Bench", stand: Stand, slots: threading.Semaphore) -> None:
        super().__init__(name=f"taskgen bench {stand.target}", daemon=True)
        self.stand = stand
        self.runs = 0
        self.error: BaseException | None = None  #: what ended it; not a lost board
        self.abandoned = False  #: it doesn't come back from a run
        self._bench = bench
        self._slots = slots
        self._board = stand.target.address or str(stand.target)
        kind = session_class(stand.target.session)
        self._seeded = kind is not None and takes(kind, "seed") and not is_board(stand.target)
        self._running: tuple[Turn, Session, float] | None = None  # with the instant that is too late
        self._stopped_at: float | None = None

    def run(self) -> None:
        """Run turns, as soon as this board may be used."""
        self._slots.acquire()
        try:
            if not self._bench.turns.over and self._fits():
                self._work()
        except BaseException as error:  # noqa: BLE001  # the main thread raises it
            self.error = error
            self._bench.turns.close()
        finally:
            self._bench.turns.leave(self._board)
            if not self.abandoned:  # else the main thread has done so
                self._slots.release()

    def _fits(self) -> bool:
        """Whether this board is like the first one: else their samples say nothing together."""
        setting = self._bench.setting
        try:
            generation = self.stand.generation or setting.generation
            known = self.stand.session.capabilities
            if (generation, known) == (setting.generation, setting.capabilities):
                self._sing()
                return True
        except TargetError as error:
            self._bench.retire(self, str(error))
            return False
        self._bench.retire(
            self,
            f"{self.stand.target} isn't like the other boards of the pool: {generation or 'unknown generation'},"
            f" expected {setting.generation} with the same capabilities",
        )
        return False

    def _sing(self) -> None:
        """Check the board's health, for the record."""
        if self._bench.setting.real and self._bench.asked.canary:
            song = canary.sing(self.stand, self._bench.setting)
            with self._bench.lock:
                self._bench.canaries.append(song)

    def _work(self) -> None:
        bench, losses = self._bench, 0
        while not self.abandoned and (turn := bench.turns.take(self._board)) is not None:
            try:
                sampled = self._sampled(turn)
            except TargetError as error:
                losses += 1
                if losses >= GIVEN_UP:
                    bench.retire(self, str(error))
                bench.turns.back(turn, self._board, str(error))
                if losses >= GIVEN_UP:
                    return
                continue
            losses = 0
            if sampled is not None:
                self.runs += 1
                bench.tell(turn, *sampled)
            bench.reference.sample()

    def _sampled(self, turn: Turn) -> tuple[Sampled, Measured | None] | None:
        """Run a turn and measure it; None: it was interrupted."""
        prepared = self._bench.prepared[turn.suite]
        case = prepared.cases[turn.case]
        limit_s = LONGEST_RUN_S + TIMES * prepared.durations_ns[turn.case] / 1e9
        try:
            run = self._on_stand(turn, case, limit_s)
        except UsageError as error:
            return Sampled(board=self._board, failure=str(error)), None
        if run.trace.stopped and case.stop_after is None:
            if self._stopped_at is None:
                return None
            return Sampled(board=self._board, failure=f"it took longer than {limit_s:.0f} s"), None
        measured = Measured(
            taskset=case.taskset,
            trace=run.trace,
            setting=self._bench.setting,
            start_ns=run.start_ns,
            run_ns=run.run_ns,
            rejected=timed.refused(run.trace),
            stop_ns=run.stop_ns,
            arrived_ns=run.arrived_ns,
        )
        return sample(prepared.suite, case, measured, self._board), measured

    def _on_stand(self, turn: Turn, case: Case, limit_s: float) -> timed.Timed:
        def once(session: Session) -> timed.Timed:
            self._stopped_at = None
            self._running = (turn, session, time.monotonic() + limit_s)
            try:
                return timed.run(session, case)
            finally:
                self._running = None

        with self._stand_of(turn.repetition) as stand:
            return stand.attempt(once)

    @contextmanager
    def _stand_of(self, repetition: int) -> Iterator[Stand]:
        """Yield the stand; of a simulator one with the seed of this repetition."""
        if not self._seeded:
            yield self.stand
            return
        asked, target = self._bench.asked, self.stand.target
        number = repetition if repetition >= 0 else asked.repeat - 1 - repetition  # warm-up has seeds of its own
        with closing(Stand(replace(target, options={**target.options, "seed": asked.seed + number}))) as stand:
            yield stand

    # -- for the main thread

    def look(self) -> None:
        """Stop a run that takes too long; leave it behind if that doesn't help."""
        running, now = self._running, time.monotonic()
        if running is None or self.abandoned:
            return
        turn, session, late = running
        if now >= late and self._stopped_at is None:
            self._stopped_at = now
            _stop(session)
        elif self._stopped_at is not None and now >= self._stopped_at + CLOSE_S:
            self.abandoned = True
            reason = f"{self.stand.target}: a run doesn't end, not even when it is stopped"
            self._bench.retire(self, reason)
            self._bench.turns.back(turn, self._board, reason)
            self._bench.turns.leave(self._board)
            self._slots.release()

    def stop(self) -> None:
        """Stop the run that goes on, if there is one."""
        running = self._running
        if running is not None and not self.abandoned:
            _stop(running[1])


def _stop(session: Session) -> None:
    with suppress(TaskgenError):
        session.stop()
