"""A store has exactly one result per variant, whatever happens to its driver, and believes no file."""

import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import Event, EventType, Session, TaskSet, Trace
from taskgen.distributor import Distributor
from taskgen.errors import TargetError, UsageError
from taskgen.monitor import Run
from taskgen.parameters import parameters_of
from taskgen.report.result import ResultWriter
from taskgen.session import Plan
from taskgen.store import ResultStore, open_store
from tests.taskgen.scripted import Recorder, endless_jobs, job, recorder, session_of, targets, variants
from tests.taskgen.stored import ASKED, Open, documents, numbers, result

# -- what is kept ----------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.sets(st.integers(0, 10**40) | st.integers(0, 20), max_size=8).flatmap(lambda s: st.permutations(sorted(s))))
def test_results_come_back_in_the_order_of_the_variants_at_any_size(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    path = tmp_path_factory.mktemp("store") / "a.db"
    with open_store(f"sqlite:///{path}", ASKED) as store:
        for variant in order:
            assert not store.stored(variant)
            store.store(*result(variant))
            assert store.stored(variant)
        assert numbers(store) == sorted(order)
        assert store.tally().runs == len(order)


def test_a_result_is_the_run_of_the_result_document(store: Open) -> None:
    run, trace = result(3)
    opened = store()
    opened.store(run, trace)
    [(variant, text)] = store().results()
    file = io.StringIO()
    writer = ResultWriter(file, "sim", 0)
    writer.add(run, trace)
    writer.add_document(text)
    writer.close()
    one, other = json.loads(file.getvalue())["runs"]
    assert (variant, one) == (3, other)


def test_an_attempt_counts_from_its_hand_out_on(store: Open) -> None:
    for attempt in range(3):
        opened = store()
        history = opened.earlier(7)
        assert len(history) == attempt
        opened.begin(Run(7, TaskSet(), f"board{attempt}", attempt=attempt + 1, history=history))
    assert [line.split(":")[0] for line in store().earlier(7)] == [f"board{i}, attempt {i + 1}" for i in range(3)]
    assert store().earlier(8) == []


def test_what_was_stored_or_never_began_has_no_earlier_attempts(store: Open) -> None:
    opened = store()
    opened.begin(Run(7, TaskSet(), "board"))
    opened.store(*result(7))
    opened.begin(Run(8, TaskSet(), "board"))
    opened.withdraw(Run(8, TaskSet(), "board"))
    assert opened.earlier(7) == opened.earlier(8) == []


def test_a_second_result_of_a_variant_is_refused(store: Open) -> None:
    opened = store()
    opened.store(*result(1))
    with pytest.raises(UsageError, match="has a result of this variant already"):
        opened.store(*result(1, "failed"))
    assert [run["status"] for run in documents(opened)] == ["finished"]


def test_the_tally_counts_verdicts_against_the_system(store: Open) -> None:
    opened = store()
    opened.store(*result(0))
    opened.store(*result(1, "rejected"))
    opened.store(*result(2, "failed"))
    late = Trace(parameters_of(TaskSet([{"executiontime": 1, "period": 10}])))
    late.append(Event(0, EventType.START, 0, 0, 0))
    late.append(Event(11_000_000, EventType.EXIT, 0, 0, 0))
    opened.store(result(3)[0], late)
    tally = store().tally()
    assert (tally.finished, tally.rejected, tally.failed, tally.runs, tally.against) == (2, 1, 1, 4, 2)
    assert documents(store())[2]["jobs"] == []


def test_memory_stays_flat_however_many_results_there_are(store: Open) -> None:
    opened = store()
    with opened._transaction():  # one for all: writing them is not the point here
        rest = {"target": "x" * 1000, "status": "finished", "seed": 0, "taskset": {}, "jobs": [], "summary": {}}
        for variant in range(20_000):
            row = (len(str(variant)), str(variant), json.dumps({"variant": variant, **rest}))
            opened._connection.execute("INSERT INTO results VALUES (?, ?, 'finished', 0, ?)", row)
    opened.close()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        opened = store()
        size = sum(len(text) for _, text in opened.results())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 20_000_000
    assert peak - before < 200_000


# -- with a Distributor ----------------------------------------------------------------------------------------------


def begun_of(script: Callable[[int, int], None]) -> tuple[type[Session], list[int]]:
    """Return a session whose runs do `script(variant, how often it began)`, and the list of what began."""
    begun: list[int] = []

    def run(session: Session, plan: Plan) -> Iterator[Event]:
        number = plan.taskset[0]["number"]
        begun.append(number)
        script(number, begun.count(number))
        return job()

    return session_of(run), begun


def swept(kind: type[Session], store: ResultStore, count: int = 10, **options: Any) -> Recorder:
    options = {"backoff_s": 0.001, "max_backoff_s": 0.002, **options}
    with Distributor(targets("a"), session=kind, **options) as distributor:
        distributor.monitor = Recorder()
        distributor.start(variants(count), ledger=store)
        assert distributor.progress.skipped + distributor.progress.done == count
        return recorder(distributor)


def test_what_has_its_result_is_not_run_again(store: Open) -> None:
    kind, begun = begun_of(lambda number, times: None)
    opened = store()
    for variant in (0, 3, 9):
        opened.store(*result(variant))
    heard = swept(kind, opened)
    assert begun == [1, 2, 4, 5, 6, 7, 8]
    assert [run.variant for run in heard.results] == begun
    assert numbers(opened) == list(range(10))
    assert swept(kind, store()).results == []
    assert len(begun) == 7


def test_a_result_is_stored_before_a_monitor_hears_of_it(store: Open) -> None:
    opened = store()
    seen: list[bool] = []

    class Looks(Recorder):
        def taskset_started(self, run: Run) -> None:
            seen.append(not opened.stored(run.variant))

        def taskset_finished(self, run: Run, trace: Trace) -> None:
            seen.append(opened.stored(run.variant))

    with Distributor(targets("a"), session=session_of()) as distributor:
        distributor.monitor = Looks()
        distributor.start(variants(3), ledger=opened)
    assert len(seen) == 6
    assert all(seen)


def test_a_variant_that_failed_for_good_is_stored_with_its_history(store: Open) -> None:
    def breaks(number: int, times: int) -> None:
        if number == 1:
            raise OSError("the cable is out")

    kind, begun = begun_of(breaks)
    opened = store()
    swept(kind, opened, 3)
    runs = documents(opened)
    assert [run["status"] for run in runs] == ["finished", "failed", "finished"]
    assert runs[1]["attempt"] == len(runs[1]["history"]) == begun.count(1) == 3
    swept(kind, store(), 3)
    assert begun.count(1) == 3


def test_attempts_of_an_earlier_driver_count_but_leave_all_retries(store: Open) -> None:
    """Its failures are in the history; only those of this driver make the variant fail."""

    def breaks(number: int, times: int) -> None:
        raise OSError("the cable is out")

    kind, _ = begun_of(breaks)
    opened = store()
    opened.begin(Run(0, TaskSet(), "b", history=["b, attempt 1: silent"]))
    swept(kind, opened, 1)
    [run] = documents(opened)
    assert (run["status"], run["attempt"]) == ("failed", 5)
    places = ("b", "b", "Scripted:a", "Scripted:a", "Scripted:a")
    assert [line.split(": ")[0] for line in run["history"]] == [
        f"{place}, attempt {number}" for number, place in enumerate(places, start=1)
    ]


def test_a_variant_that_lost_its_last_target_goes_on_later(store: Open) -> None:
    """That it failed is part of the end of all work, and no verdict on it."""
    broken = [True]

    def breaks(number: int, times: int) -> None:
        if number == 1 and broken[0]:
            raise OSError("the cable is out")

    kind, begun = begun_of(breaks)
    opened = store()
    with pytest.raises(TargetError, match=r"no target left, further variants not tried"):
        swept(kind, opened, 4, quarantine_after=1)
    assert numbers(opened) == [0]
    broken[0] = False
    opened = store()
    swept(kind, opened, 4)
    assert begun == [0, 1, 1, 2, 3]
    assert [run.get("attempt", 1) for run in documents(opened)] == [1, 2, 1, 1]


def test_what_was_stopped_runs_again(store: Open) -> None:
    opened = store()
    with Distributor(targets("a"), session=session_of(endless_jobs)) as distributor:
        distributor.start(variants(3), wait=False, ledger=opened)
        assert not distributor.wait_finished(0.05)
    assert opened.tally().runs == 0
    swept(session_of(), opened := store(), 3)
    assert [run.get("attempt", 1) for run in documents(opened)] == [2, 1, 1]


def test_a_refused_description_never_began(store: Open) -> None:
    wrong = TaskSet([{"executiontime": 1, "period": 10, "priority": [1, 300]}])
    opened = store()
    with Distributor(targets("a"), session=session_of()) as distributor, pytest.raises(UsageError, match="300"):
        distributor.start(wrong, ledger=opened)
    assert numbers(opened) == [0]
    assert opened.earlier(1) == []
    opened = store()
    with (
        Distributor(targets("a"), session=session_of()) as again,
        pytest.raises(UsageError, match=r"^variant 1: .*300"),
    ):
        again.start(wrong, ledger=opened)


def test_a_store_that_is_full_ends_the_work_with_one_error(store: Open) -> None:
    opened = store()
    pages = opened._connection.execute("PRAGMA page_count").fetchone()[0]
    opened._connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    kind, begun = begun_of(lambda number, times: None)
    with pytest.raises(UsageError, match=r"a\.db: can't be written: the disk is full"):
        swept(kind, opened, 10**6)
    kept = numbers(opened)
    assert kept == list(range(len(kept)))
    assert 10 < len(kept) <= len(begun) < 10**4
    swept(kind, opened := store(), len(kept) + 10)
    assert numbers(opened) == list(range(len(kept) + 10))


def test_a_store_that_fails_in_between_loses_nothing_and_blocks_nobody(store: Open) -> None:
    opened = store()
    done = iter(range(5))

    class Fails(ResultStore):
        def __init__(self) -> None:
            pass

        def stored(self, variant: int) -> bool:
            return False

        def earlier(self, variant: int) -> list[str]:
            return []

        def begin(self, run: Run) -> None:
            opened.begin(run)

        def withdraw(self, run: Run) -> None:
            opened.withdraw(run)

        def store(self, run: Run, trace: Trace | None) -> None:
            if next(done, None) is None:
                raise UsageError("no more")
            opened.store(run, trace)

    with pytest.raises(UsageError, match="no more"):
        swept(session_of(), Fails())
    assert numbers(opened) == [0, 1, 2, 3, 4]
    assert len(opened.earlier(5)) == 1


# -- the same run, or another ----------------------------------------------------------------------------------------


def test_a_store_with_this_run_wants_resume(store: Open) -> None:
    store().store(*result(1))
    with pytest.raises(UsageError, match=r"has this run already, with 1 results$") as raised:
        store(resume=False)
    assert "--resume" in raised.value.hint


def test_another_run_is_refused_and_says_what_differs(store: Open) -> None:
    store().store(*result(1))
    for resume in (True, False):
        with pytest.raises(UsageError, match="has another run: limit was 10, is 20 now; policy was not given, is edf"):
            store({**ASKED, "limit": 20, "policy": "edf"}, resume=resume)
    assert numbers(store()) == [1]


def test_a_run_that_never_began_leaves_no_file_and_is_no_obstacle(store: Open, store_path: Path) -> None:
    store(resume=False).close()
    assert not store_path.exists()
    store_path.touch()
    store({"limit": 1}, resume=False).close()
    assert store_path.exists()
    store(ASKED, resume=False).begin(Run(0, TaskSet(), "sim"))
    with pytest.raises(UsageError, match="has this run already, with 0 results"):
        store(resume=False)
