"""Pools of which only so many boards are used at once, and pools whose targets can't all do the same."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taskgen import Event, Session, Target, TaskSet
from taskgen.addresses import Address
from taskgen.boards import BoardTarget
from taskgen.distributor import Distributor
from taskgen.errors import ConnectError, TargetLost, Unsupported, UsageError
from taskgen.handover import Handover
from taskgen.inventory.model import Entry, Power, Settings
from taskgen.monitor import Run
from taskgen.session import Plan
from tests.taskgen.scripted import PATIENCE_S, Make, Recorder, job, recorder, session_of, variants


def distributor_of(boards: list[BoardTarget], kind: type[Session], **options: Any) -> Distributor:
    distributor = Distributor(boards, session=kind, backoff_s=0.001, max_backoff_s=0.002, **options)
    distributor.monitor = Recorder()
    return distributor


class Pool:
    """Counts how many sessions are open at once."""

    def __init__(self, parallel: int, hosts: str) -> None:
        entry = Entry("board", "Scripted", parallel=parallel)
        self.boards = [BoardTarget("Scripted", each, {}, entry) for each in hosts]
        self.lock = threading.Lock()
        self.open = 0
        self.most = 0
        self.lost: dict[int, set[str]] = {}

    def kind(self, loses: Callable[[str, int], bool] = lambda address, number: False) -> type[Session]:
        def opened(cls: type[Any], target: Target) -> Session:
            with self.lock:
                self.open += 1
                self.most = max(self.most, self.open)
            session: Session = cls(target)
            return session

        def closed(session: Session) -> None:
            with self.lock:
                self.open -= 1

        def script(session: Any, plan: Plan) -> Iterator[Event]:
            address, number = session.target.address, plan.taskset[0]["number"]
            if loses(address, number):
                self.lost.setdefault(number, set()).add(address)
                raise TargetLost("lost")
            return job()

        return session_of(script, open=classmethod(opened), close=closed)


@pytest.mark.parametrize("parallel", [1, 2, 3, 6, 9])
def test_of_a_pool_only_so_many_boards_are_in_use_at_once(parallel: int) -> None:
    pool = Pool(parallel, "abcdef")
    lossy = lambda address, number: number % 3 == 0 and len(pool.lost.get(number, ())) < 2  # noqa: E731  # one line
    with distributor_of(pool.boards, pool.kind(lossy), quarantine_after=100) as distributor:
        distributor.start(variants(30))
        results = recorder(distributor).results
        assert sorted(run.variant for run in results) == list(range(30))
        assert {run.status for run in results} == {"finished"}
        assert 1 <= pool.most <= parallel
    assert {len(addresses) for addresses in pool.lost.values()} == {2}  # another target each time
    assert pool.open == 0


def test_a_board_without_work_makes_room_for_one_that_a_variant_needs() -> None:
    pool = Pool(1, "ab")
    with distributor_of(pool.boards, pool.kind(lambda address, number: address == "a" and number == 1)) as distributor:
        for _ in range(5):
            distributor.start(variants(2), wait=False)
            assert distributor.wait_finished(PATIENCE_S)
        assert {run.status for run in recorder(distributor).results} == {"finished"}
        assert pool.most == 1


def mixed(able: str, *, refuses: Callable[[int], bool] = bool) -> type[Session]:
    def check(self: Any, taskset: TaskSet, **options: Any) -> Plan:
        if self.target.address not in able and refuses(taskset[0]["number"]):
            raise Unsupported("no such program", hint="another target")
        return Session.check(self, taskset, **options)

    return session_of(check=check)


@pytest.mark.parametrize("able", ["a", "b", "ac", "abc"])
def test_a_variant_is_run_by_a_target_that_can_do_it(make: Make, able: str) -> None:
    distributor = make(None, *"abc", kind=mixed(able))
    distributor.start(variants(20))
    results = recorder(distributor).results
    assert sorted(run.variant for run in results) == list(range(20))
    assert {(run.status, run.attempt, len(run.history)) for run in results} == {("finished", 1, 0)}
    assert {run.target[-1] for run in results if run.variant} <= set(able)
    assert {row.health for row in distributor.health} <= {"good", "unknown"}
    assert {row.failures for row in distributor.health} == {0}


def test_a_variant_that_no_target_can_do_ends_the_work_with_its_error(make: Make) -> None:
    distributor = make(None, *"abc", kind=mixed("", refuses=lambda number: number == 7))
    with pytest.raises(Unsupported, match=r"^variant 7: no such program$") as caught:
        distributor.start(variants(1000))
    assert caught.value.hint == "another target"
    heard = recorder(distributor)
    assert ("started", 7) not in heard.calls
    assert len({run.variant for run in heard.results}) == len(heard.results) < 1000


def test_a_variant_whose_only_able_target_is_gone_ends_the_work_with_its_error(make: Make) -> None:
    def open_it(cls: type[Any], target: Target) -> Session:
        if target.address == "able":
            raise ConnectError("nobody there")
        session: Session = cls(target)
        return session

    kind = mixed("able")
    kind.open = classmethod(open_it)  # type: ignore[assignment, method-assign]  # a scripted one
    distributor = make(None, "able", "other", kind=kind, quarantine_after=2, retries=99)
    with pytest.raises(Unsupported, match="no such program"):
        distributor.start(variants(5))
    assert {run.status for run in recorder(distributor).results} <= {"finished", "failed", "stopped"}


def test_what_was_withdrawn_from_one_target_is_noted_for_the_next(make: Make) -> None:
    notes: list[tuple[str, int, str, int]] = []

    class Ledger:
        def stored(self, variant: int) -> bool:
            return False

        def earlier(self, variant: int) -> list[str]:
            return []

        def begin(self, run: Run) -> None:
            notes.append(("begin", run.variant, run.target[-1], run.attempt))

        def withdraw(self, run: Run) -> None:
            notes.append(("withdraw", run.variant, run.target[-1], run.attempt))

        def store(self, run: Run, trace: object) -> None:
            notes.append(("store", run.variant, run.target[-1], run.attempt))

    distributor = make(None, *"ab", kind=mixed("b"))
    distributor.start(variants(2), ledger=Ledger())
    told = [note for note in notes if note[1] == 1]
    assert told[-2:] == [("begin", 1, "b", 1), ("store", 1, "b", 1)]
    assert told[:-2] in ([], [("begin", 1, "a", 1), ("withdraw", 1, "a", 1)])


def test_connections_of_discovery_that_no_session_took_are_closed_with_the_distributor() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handover = Handover(Address("127.0.0.1", 3001), ours, 0)
        found = BoardTarget("Scripted", "a", {}, None, Settings(), handover)
        with distributor_of([found], session_of()) as distributor:
            distributor.start(variants(2))
            assert not handover.closed
        assert handover.closed
        assert theirs.recv(1) == b""


def test_the_power_that_the_inventory_names_is_switched(tmp_path: Path) -> None:
    cycled = tmp_path / "cycled"

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        if not cycled.exists():
            raise TargetLost("it hangs")
        return job()

    power = Power("command", {"cycle": (sys.executable, "-c", f"open({str(cycled)!r}, 'w')")})
    target = BoardTarget("Scripted", "a", {}, None, Settings(power=power))
    with distributor_of([target], session_of(script), cycle_after=1) as distributor:
        distributor.start(variants(2))
        assert [(run.status, run.attempt) for run in recorder(distributor).results] == [
            ("finished", 2),
            ("finished", 1),
        ]
    with pytest.raises(UsageError, match="power driver command"):
        distributor_of([replace(target, settings=Settings(power=Power("command", {"cycel": ()})))], session_of())
