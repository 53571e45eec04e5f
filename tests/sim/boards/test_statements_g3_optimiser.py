"""Sections 5.4 and 6.4 of the protocol text: when a taskloader of G3 calls the optimiser, and who leaves it."""

from typing import Any

import pytest

from sim.boards.generation import G3A, G3B, Generation
from sim.boards.optimiser import Optimiser, Review
from tests.sim.boards.pushing_bench import PushingBench, task, works
from tests.sim.boards.statement_bench import CREATE

BOTH = pytest.mark.parametrize("row", [G3A, G3B], ids=["G3a", "G3b"])
DESTROY = 252


def optimiser_of(bench: PushingBench) -> Optimiser:
    optimiser = bench.board.loader.controller.optimiser
    assert optimiser is not None
    return optimiser


class Answers:
    """Answers of the board's controller: no to some names; who asked, in ms since the first release."""

    def __init__(self, bench: PushingBench, monkeypatch: pytest.MonkeyPatch, *denied: str) -> None:
        self.bench = bench
        self.denied = denied
        self.asked: list[tuple[float, str]] = []
        monkeypatch.setattr(bench.board.loader.controller, "permits", self.permits)

    def permits(self, name: str, *_: object) -> bool:
        self.asked.append((round(self.bench.now - self.bench.zero, 3), name))
        return name not in self.denied


@BOTH
def test_a_denial_is_no_reason_for_a_push(row: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 6.4: 'EDF and optimiser says no -> log NOT_SCHEDULED, return [no push]'; 3.4: never alone."""
    bench = PushingBench(row, task(1, deadline=500, jobs=3))
    Answers(bench, monkeypatch, "01.pi")
    bench.begin(3500)
    assert bench.events == [(tick, "NOT_SCHEDULED", 1) for tick in (0, 1000, 2000, 3000)]
    assert bench.pushes == []


@BOTH
def test_the_optimiser_is_asked_before_the_pause_is_seen(row: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 6.4: 'optimiser says no -> log NOT_SCHEDULED' stands above 'paused -> return'."""
    bench = PushingBench(row, task(1, jobs=9), task(2, deadline=500, jobs=9, offset=10))
    answers = Answers(bench, monkeypatch, "02.pi")
    bench.begin(1005)  # the first task's second creation
    stopped = bench.board.stop()
    bench.run(5000)  # the second task's tick at 1010 was served behind the STOP
    assert stopped.processed
    assert bench.events[-3:] == [(1026, "START", 1), (1026, "EXIT_EXTERNAL", 1), (1026, "NOT_SCHEDULED", 2)]
    assert [time for time, _ in answers.asked] == [CREATE, 1026]


@BOTH
def test_only_edf_tasks_need_a_permission(row: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 6.4: 'EDF and optimiser says no'; 5.4: 'Before each job of an EDF task the loader asks'."""
    bench = PushingBench(row, task(1, jobs=3))
    answers = Answers(bench, monkeypatch, "01.pi")
    bench.begin(2900)
    assert bench.of(1) == ["START", "EXIT"] * 3 + ["JOBS_DONE"]
    assert answers.asked == []


@pytest.mark.parametrize(("row", "asks"), [(G3A, [2000, 3000, 4000, 5000]), (G3B, [2000])], ids=["G3a", "G3b"])
def test_after_the_last_job_the_optimiser_is_asked(
    row: Generation, asks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """wire-protocol 6.8: 'the optimiser is called first, also for non-EDF tasks'; 5.4: 'still asks … at each release'.

    6.4: G3b disarms the timer then; and what the optimiser says makes no event.
    """
    bench = PushingBench(row, task(1, jobs=2))
    answers = Answers(bench, monkeypatch, "01.pi")
    bench.begin(5500)
    assert answers.asked == [(time, "01.pi") for time in asks]
    assert bench.of(1) == ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]


@BOTH
def test_stop_disarms_both_timers(row: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 6.4: 'STOP: each accepted task: paused, timers off': no tick asks the optimiser any more."""
    bench = PushingBench(row, task(1, jobs=9, deadline=500, critical=1500), work=3000)
    answers = Answers(bench, monkeypatch)
    bench.begin(100)
    bench.stop()
    managed = bench.managed(1)
    assert (managed.timer.armed, managed.kill_timer.armed) == (False, False)
    bench.run(5000)
    assert answers.asked == [(0, "01.pi")]


# -- reviews -----------------------------------------------------------------------------------------------------------


class Reviews:
    """Notes the board's reviews: when, in ms since the first release, of whom, and what came out."""

    def __init__(self, bench: PushingBench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.noted: list[tuple[float, str, str]] = []
        self._review = bench.board.loader.controller.review
        monkeypatch.setattr(bench.board.loader.controller, "review", self.review)

    def review(self, name: str, *args: Any, **options: Any) -> Review | None:
        found = self._review(name, *args, **options)
        assert found is not None
        self.noted.append((round(self.bench.now - self.bench.zero, 3), name, found.outcome))
        return found


@pytest.mark.parametrize(("row", "second"), [(G3A, False), (G3B, True)], ids=["G3a", "G3b"])
def test_g3b_reviews_at_the_exit_and_at_the_destruction(
    row: Generation, second: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wire-protocol 5.4, rule 10: 'G3b reviews twice, at exit and at destruction'; rule 2: 'After a job's exit'.

    The destruction thread is busy with the first task until then.
    """
    demands = works({1: 50, 2: 80})
    bench = PushingBench(row, task(1, period=5000, priority=9), task(2, deadline=500, period=5000), work=demands)
    reviews = Reviews(bench, monkeypatch)
    bench.begin(2000)
    (taken,) = [time for time, kind, number in bench.events if (kind, number) == ("EXIT", 1)]
    (exited,) = [time for time, kind, number in bench.events if (kind, number) == ("EXIT", 2)]
    assert taken < exited < taken + DESTROY
    at_destruction = [(taken + DESTROY, "02.pi", "too early")] if second else []
    assert reviews.noted == [(exited, "02.pi", "met"), *at_destruction]


def test_the_second_review_sees_the_exit_time_of_a_job_that_its_period_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 5.4, rules 2 and 4: 'look up threads of that name with an exit time'; 'own `value` += 1'.

    EXIT_PERIOD is no exit of a child (6.4), so the review at the destruction is its only one; the destruction itself
    takes the exit time away (4.1: 'soft exit … and not destroyed yet').
    """
    bench = PushingBench(G3B, task(1, deadline=500, jobs=9), work=3000)
    reviews = Reviews(bench, monkeypatch)
    bench.begin(1999)
    assert bench.events[-1] == (1000, "EXIT_PERIOD", 1)
    assert reviews.noted == [(1000, "01.pi", "missed")]
    assert optimiser_of(bench).values() == {"01.pi": 1}


@BOTH
def test_one_exited_job_is_scored_before_its_deadline(row: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 5.4, rule 10: 'exactly one exited thread scores it even before its deadline'."""
    bench = PushingBench(row, task(1, deadline=900))
    reviews = Reviews(bench, monkeypatch)
    bench.begin(100)
    assert reviews.noted[0] == (CREATE + 10, "01.pi", "met")


@BOTH
def test_a_task_that_is_done_stopped_or_cleared_stays_with_the_optimiser(row: Generation) -> None:
    """wire-protocol 5.4, rule 9: 'G3: a task leaves only when killed'; 'kept for ever (CLEAR does not reset it)'."""
    tasks = [task(1, deadline=500), task(2, deadline=900, jobs=9), task(3)]
    bench = PushingBench(row, *tasks, work=works({1: 10, 2: 3000, 3: 10}))
    bench.begin(900)
    assert "JOBS_DONE" in bench.of(1)
    bench.stop()
    assert bench.of(2) == ["START", "EXIT_EXTERNAL"]
    bench.clear()
    assert optimiser_of(bench).flags() == {"01.pi": True, "02.pi": True}


@BOTH
def test_a_killed_task_leaves_the_optimiser(row: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """wire-protocol 5.4, rule 9: 'G3: a task leaves only when killed'; rule 1: 'Unknown names … permission'."""
    bench = PushingBench(row, task(1, deadline=500, critical=700, jobs=2), work=3000)
    bench.begin(650)
    optimiser = optimiser_of(bench)
    assert optimiser.flags() == {"01.pi": True}
    optimiser._tasks["01.pi"].allowed = False  # which doesn't matter any more
    bench.run(5000)
    assert optimiser.flags() == {}
    assert bench.of(1) == ["START", "EXIT_CRITICAL", "START", "EXIT_CRITICAL", "JOBS_DONE"]


@BOTH
def test_clear_resets_no_counter_and_no_flag(row: Generation) -> None:
    """wire-protocol 6.6: 'CLEAR resets event log / optimiser / binaries: no / no / no'; 5.4: 'kept for ever'."""
    late, rival = task(1, deadline=200, jobs=99), task(2, deadline=150, jobs=99)
    bench = PushingBench(row, late, rival, work=works({1: 300, 2: 100}))
    bench.begin(900)
    optimiser = optimiser_of(bench)
    while all(optimiser.flags().values()):
        bench.wait(1000)
    flags, values = optimiser.flags(), optimiser.values()
    (denied,) = [int(name[:2]) for name, allowed in flags.items() if not allowed]
    assert max(values.values()) > 0
    bench.clear()
    bench.descs(late, rival)
    assert (optimiser.flags(), optimiser.values()) == (flags, values)
    before = len(bench.log)
    bench.begin(100)
    assert [kind for _, kind, number in bench.log[before:] if number == denied] == ["NOT_SCHEDULED"]
