"""A thousand variants over twenty boards of which half die, freeze, reset or lie: each has exactly one result."""

import math
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hil import board
from hil.connection import Patience
from hil.session import TaskloaderSession
from taskgen import Target, TaskSet, Trace
from taskgen.dialect import BOARDS
from taskgen.distributor import Distributor
from taskgen.distributor.health import Care
from taskgen.errors import TargetError
from taskgen.monitor import Monitor, Run
from taskgen.power import Switch
from taskgen.units import NS_PER_MS

#: Short time-outs, in ms; on a busy machine a good board may miss one, which is a failure like any other.
PATIENCE_MS = {"connect_timeout_ms": 1000, "reply_ms": 1000, "silence_ms": 1000, "quiet_ms": 50, "stall_ms": 300}
#: No run is longer; two jobs of `hey` are over long before.
HORIZON_MS = 3000
CARE = Care(quarantine_after=4, cycle_after=2, backoff_s=0.01, max_backoff_s=0.1)
RETRIES = 3
#: What a board that was switched may take, and how late the end of a run may be noticed.
SETTLE_NS, LATE_NS = 10**6, 200 * NS_PER_MS
FD = Path("/proc/self/fd")

FAULTS = {
    "die": ["reboot", "reset:once,after=START", "cut:17,once", "cut:9,once"],
    "freeze": ["freeze", "freeze:after=START", "blackhole", "accept-only", "blackhole:after=40B"],
    "reset": ["reset:once", "reset:3,once,at=DOCUMENT", "reset:p=0.05"],
    "lie": [
        *("garbage:32,once", "garbage:p=0.05", "wrong-reply:p=0.2", "stale-events:p=0.3", "stale-tail:p=0.3"),
        *("torn-reply:p=0.2", "duplicate-push:p=0.2", "early-push:p=0.5", "duplicate:p=0.1", "slice:2,once"),
    ],
}


def longest_attempt_s(generation: str) -> float:
    """Return a bound on one attempt, from the time-outs.

    It may connect, CLEAR what an earlier client left, START, run up to its horizon, STOP and CLEAR, ask for a proof of
    life, and close the connection; all but the run is waiting for answers.
    """
    row, answers_ms = BOARDS[generation], 4 * PATIENCE_MS["reply_ms"] + 4 * PATIENCE_MS["quiet_ms"]
    board_ns = 2 * row.clear_ns + row.start_ns + LATE_NS + 2 * Patience().close_ns
    return (PATIENCE_MS["connect_timeout_ms"] + answers_ms + HORIZON_MS) / 1000 + board_ns / 10**9


def bound_s(generation: str, *, variants: int, good: int, bad: int) -> float:
    """Return a bound on the whole work, which holds if `good` boards never fail.

    They could do all of it alone, `variants / good` attempts one after the other. What the bad ones hold meanwhile
    comes back after an attempt, at the front: it waits for the next board that is free, or for one that recovers, once
    per retry.
    """
    attempt_s = longest_attempt_s(generation)
    recovery_s = CARE.longest_recovery_s(
        PATIENCE_MS["connect_timeout_ms"] / 1000, (Outlet.bound_ns + SETTLE_NS) / 10**9
    )
    waits_s = (RETRIES + 1) * (2 * attempt_s + recovery_s + CARE.quarantine_after * attempt_s)
    return math.ceil((variants + bad) / good) * attempt_s + waits_s


class Outlet:
    """Cuts the power of a board in software; it comes back without the faults that it had."""

    bound_ns = 10**9

    def __init__(self, boards: "board.Boards", index: int) -> None:
        self._boards = boards
        self._index = index

    def cycle(self) -> None:
        self._boards.lift(self._index)
        self._boards.reboot(self._index)

    def describe(self) -> str:
        return f"outlet {self._index}"


class Saboteur(Monitor):
    """Breaks boards at moments that a seed decides, as counts of results; keeps what it is told."""

    def __init__(self, boards: "board.Boards | None", victims: Sequence[int], variants: int, seed: int) -> None:
        rng = random.Random(seed)
        self._boards = boards
        self.plan = sorted(
            (rng.randrange(variants * 3 // 4), victim, rng.choice(FAULTS[rng.choice(sorted(FAULTS))]))
            for victim in victims
            for _ in range(3)
        )
        self.results: list[Run] = []
        self.outcomes: Counter[tuple[str, ...]] = Counter()

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        self.outcomes[tuple(str(job.outcome) for job in trace.jobs)] += 1
        self._note(run)

    def taskset_stopped(self, run: Run, reason: str) -> None:
        assert reason == run.reason
        self._note(run)

    def _note(self, run: Run) -> None:
        self.results.append(run)
        while self.plan and self.plan[0][0] < len(self.results):
            _, victim, fault = self.plan.pop(0)
            assert self._boards is not None
            self._boards.inject(victim, fault)


def jobs(variants: int) -> TaskSet:
    return TaskSet(
        [
            {
                "pkg": "hey",
                "executiontime": 1,
                "period": 500,
                "priority": 10,
                "numberofjobs": 2,
                "number": range(variants),
            }
        ]
    )


@contextmanager
def nothing_left() -> Iterator[None]:
    """See to it that no thread and no file is left open."""
    threads, files = set(threading.enumerate()), open_files()
    yield
    assert set(threading.enumerate()) <= threads
    assert open_files() == files


def open_files() -> int:
    """Return how many, 0 where nobody tells."""
    return len(list(FD.iterdir())) if FD.is_dir() else 0


def distributor_of(
    boards: "board.Boards", quarantine_after: int = CARE.quarantine_after, **options: Any
) -> Distributor:
    settings = {"dialect": boards.options.generation, "binaries": "none", **PATIENCE_MS, **options}
    return Distributor(
        [Target("TaskloaderSession", str(address), settings) for address in boards.addresses],
        session=TaskloaderSession,
        retries=RETRIES,
        quarantine_after=quarantine_after,
        cycle_after=CARE.cycle_after,
        backoff_s=CARE.backoff_s,
        max_backoff_s=CARE.max_backoff_s,
    )


def outlets(monkeypatch: pytest.MonkeyPatch, boards: "board.Boards", count: int) -> None:
    """Let the power of the first boards be switched."""
    index_of = {str(address): index for index, address in enumerate(boards.addresses[:count])}

    def switch_of(target: Target) -> Switch | None:
        index = index_of.get(target.address)
        return None if index is None else Switch(Outlet(boards, index), SETTLE_NS)

    monkeypatch.setattr("taskgen.distributor.switch_of", switch_of)


def sabotage(
    monkeypatch: pytest.MonkeyPatch, generation: str, *, variants: int, boards: int, seed: int
) -> tuple[Distributor, Saboteur]:
    """Run variants over boards of which the first half fails, and half of those can be switched."""
    bad = boards // 2
    with nothing_left(), board.serve(generation=generation, count=boards, seed=seed) as served:
        outlets(monkeypatch, served, bad // 2)
        with distributor_of(served) as distributor:
            distributor.monitor = saboteur = Saboteur(served, range(bad), variants, seed)
            distributor.start(jobs(variants), wait=False, horizon_ms=HORIZON_MS)
            assert distributor.wait_finished(bound_s(generation, variants=variants, good=boards - bad, bad=bad))
    return distributor, saboteur


def undisturbed(generation: str) -> tuple[str, ...]:
    """Return how the jobs of a variant end where nothing goes wrong."""
    with Distributor(f"sim:{generation}") as distributor:
        distributor.monitor = heard = Saboteur(None, (), 1, 0)
        distributor.start(jobs(1), horizon_ms=HORIZON_MS)
    return next(iter(heard.outcomes))


def check(distributor: Distributor, saboteur: Saboteur, generation: str, variants: int) -> None:
    """Check that each variant has one result, and one that is accounted for."""
    results, progress = saboteur.results, distributor.progress
    assert sorted(run.variant for run in results) == list(range(variants))
    assert distributor.detached == []
    assert saboteur.plan == []
    for run in results:
        assert run.status in {"finished", "failed"}
        assert run.attempt == len(run.history) + (run.status == "finished")
        assert [f"attempt {number}: " in line for number, line in enumerate(run.history, 1)] == [True] * len(
            run.history
        )
        if run.status == "failed":
            assert len(run.history) == RETRIES + 1
            assert run.history[-1].endswith(run.reason)
    assert (progress.finished + progress.failed, progress.running) == (variants, 0)
    assert sum(len(run.history) for run in results) == progress.failed_attempts > 0
    assert progress.failed_attempts <= sum(row.total_failures for row in distributor.health)
    assert {row.state for row in distributor.health} == {"idle"}
    # What lies can't change: whoever finished has seen its jobs, each once.
    assert saboteur.outcomes == {undisturbed(generation): progress.finished}
    assert progress.finished > variants // 2


def test_each_variant_has_one_result_though_half_of_the_boards_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    distributor, saboteur = sabotage(monkeypatch, "G4", variants=1000, boards=20, seed=4)
    check(distributor, saboteur, "G4", 1000)


@pytest.mark.nightly
@pytest.mark.parametrize(("generation", "variants"), [("G4", 10_000), ("G3b", 1000), ("G3a", 1000), ("G1p", 1000)])
@pytest.mark.parametrize("seed", range(5))
def test_each_variant_has_one_result_night(
    monkeypatch: pytest.MonkeyPatch, generation: str, variants: int, seed: int
) -> None:
    distributor, saboteur = sabotage(monkeypatch, generation, variants=variants, boards=20, seed=seed)
    check(distributor, saboteur, generation, variants)


def test_a_board_that_freezes_goes_on_after_its_power_was_cycled(monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_left(), board.serve(faults=["freeze:after=3START"]) as boards:
        outlets(monkeypatch, boards, 1)
        with distributor_of(boards) as distributor:
            distributor.monitor = heard = Saboteur(None, (), 5, 0)
            distributor.start(jobs(5), wait=False, horizon_ms=HORIZON_MS)
            assert distributor.wait_finished(bound_s("G4", variants=5, good=1, bad=0))
    assert [(run.variant, run.status, len(run.history)) for run in heard.results] == [
        *((variant, "finished", 0) for variant in (0, 1)),
        (2, "finished", CARE.cycle_after),
        *((variant, "finished", 0) for variant in (3, 4)),
    ]
    assert [(row.health, row.total_failures) for row in distributor.health] == [("good", CARE.cycle_after)]


def test_without_boards_that_work_the_work_ends_and_each_variant_that_was_begun_has_its_result() -> None:
    with (
        nothing_left(),
        board.serve(count=2, faults=["accept-only"]) as boards,
        distributor_of(boards, quarantine_after=2, reply_ms=300) as distributor,
    ):
        distributor.monitor = heard = Saboteur(None, (), 9, 0)
        distributor.start(jobs(9), wait=False, horizon_ms=HORIZON_MS)
        with pytest.raises(TargetError, match=r"no target left, \d variants not tried: .* failed 2 times in a row"):
            distributor.wait_finished(bound_s("G4", variants=9, good=1, bad=1))
        assert {run.status for run in heard.results} == {"failed"}
        assert len(heard.results) == distributor.progress.handed_out < 9
        assert {row.health for row in distributor.health} == {"quarantined"}


@pytest.mark.parametrize("fault", ["freeze:after=START", "blackhole:after=START", "accept-only"])
def test_close_joins_within_its_time_out_though_a_board_is_silent(
    fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hour_ms = 3_600_000
    with nothing_left(), board.serve(count=3, faults=[f"0:{fault}"]) as boards:
        distributor = distributor_of(boards, silence_ms=hour_ms, reply_ms=300)
        distributor.monitor = heard = Saboteur(None, (), 50, 0)
        distributor.start(jobs(50), wait=False, horizon_ms=hour_ms)
        while distributor.progress.finished < 40 and not distributor.wait_finished(0.01):
            pass
        distributor.close(2 * longest_attempt_s("G4"))
        assert Counter(run.status for run in heard.results).keys() <= {"finished", "stopped"}
        assert len(heard.results) == distributor.progress.handed_out
    assert capsys.readouterr().err == ""  # nobody was left behind
