"""Targets that fail are rested, asked, switched and given up, and their variants go to others."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from taskgen import Event, EventType, Session, Target
from taskgen.bench import canary
from taskgen.boards import BoardTarget
from taskgen.distributor import Distributor
from taskgen.distributor.probes import PROBES
from taskgen.errors import TargetError, TargetLost, UsageError
from taskgen.inventory.model import Entry, Health, Settings
from taskgen.power import PowerError, Switch
from taskgen.session import Plan
from taskgen.units import NS_PER_MS
from tests.taskgen.scripted import PATIENCE_S, Make, Recorder, endless_jobs, job, recorder, session_of, variants

Healths = list[tuple[str, str, int, str]]


def healths(distributor: Distributor) -> Healths:
    return [(row.target, row.health, row.total_failures, row.reason) for row in distributor.health]


def test_the_health_of_targets_can_be_looked_at_while_they_work(make: Make) -> None:
    seen: list[list[tuple[str, str]]] = []

    def script(session: Any, plan: Plan) -> Iterator[Event]:
        seen.append([(row.state, row.health) for row in distributor.health])
        return job()

    distributor = make(script)
    assert healths(distributor) == [("Scripted:a", "unknown", 0, "")]
    distributor.start(variants(2))
    assert seen == [[("running", "unknown")], [("running", "good")]]
    assert healths(distributor) == [("Scripted:a", "good", 0, "")]


def test_a_target_in_quarantine_says_why(make: Make) -> None:
    def script(session: Any, plan: Plan) -> Iterator[Event]:
        if session.target.address == "broken":
            raise TargetLost("the cable is out")
        broken.wait(PATIENCE_S)
        return job()

    broken = threading.Event()
    distributor = make(script, "broken", "fine", quarantine_after=2)
    distributor.start(variants(5), wait=False)
    while distributor.health[0].health != "quarantined":
        assert not distributor.wait_finished(0.01)
    broken.set()
    assert distributor.wait_finished(PATIENCE_S)
    assert healths(distributor) == [
        ("Scripted:broken", "quarantined", 2, "the cable is out"),
        ("Scripted:fine", "good", 0, ""),
    ]
    assert {run.target for run in recorder(distributor).results} == {"Scripted:fine"}


def test_a_run_that_was_stopped_is_no_sign_of_health(make: Make) -> None:
    running = threading.Event()

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        running.set()
        return endless_jobs(session, plan)

    distributor = make(script, max_events=10**9)
    distributor.start(variants(1), wait=False)
    assert running.wait(PATIENCE_S)
    distributor.stop()
    assert distributor.wait_finished(PATIENCE_S)
    assert healths(distributor) == [("Scripted:a", "unknown", 0, "")]


def test_a_target_that_was_opened_before_is_at_fault_when_it_cannot_be_any_more(make: Make) -> None:
    opened = itertools.count()

    def open_once(cls: type[Any], target: Target) -> Session:
        if next(opened) == 1:
            raise UsageError("nobody knows what generation it is")
        session: Session = cls(target)
        return session

    def script(session: Session, plan: Plan) -> Iterator[Event]:
        if plan.taskset[0]["number"] == 0 and not lost:
            lost.append(session)
            raise TargetLost("lost")
        return job()

    lost: list[Session] = []
    distributor = make(kind=session_of(script, open=classmethod(open_once)))
    distributor.start(variants(2))
    results = recorder(distributor).results
    assert [(run.status, run.attempt) for run in results] == [("finished", 3), ("finished", 1)]


# --- power


class Outlet:
    """Counts; a board that hangs is well after its power was cycled so often."""

    bound_ns = 0

    def __init__(self, needed: int = 1, broken: bool = False) -> None:
        self.cycles = 0
        self.needed = needed
        self.broken = broken
        self.threads: set[str] = set()

    def cycle(self) -> None:
        self.threads.add(threading.current_thread().name)
        if self.broken:
            raise PowerError("the outlet is gone")
        self.cycles += 1

    def describe(self) -> str:
        return "outlet 3"

    def hang(self, session: Session, plan: Plan) -> Iterator[Event]:
        if self.cycles < self.needed:
            raise TargetLost("it hangs")
        return job()


@pytest.fixture
def switched(make: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that makes a Distributor whose targets hang at an outlet."""

    def switched(outlet: Outlet, settle_ns: int = 0, **options: Any) -> Any:
        monkeypatch.setattr("taskgen.distributor.switch_of", lambda target: Switch(outlet, settle_ns))
        return make(outlet.hang, **options)

    return switched


def test_a_board_that_hangs_is_switched_off_and_on_though_it_answers(switched: Callable[..., Any]) -> None:
    outlet = Outlet()
    distributor = switched(outlet, retries=5, cycle_after=3)
    distributor.start(variants(3))
    results = recorder(distributor).results
    assert [(run.status, run.attempt) for run in results] == [("finished", 4), ("finished", 1), ("finished", 1)]
    assert outlet.cycles == 1
    assert outlet.threads == {"taskgen Scripted:a"}
    assert healths(distributor) == [("Scripted:a", "good", 3, "it hangs")]


def test_a_board_that_no_power_cycle_helps_is_given_up(switched: Callable[..., Any]) -> None:
    outlet = Outlet(needed=99)
    distributor = switched(outlet, quarantine_after=6, cycle_after=2)
    with pytest.raises(TargetError, match=r"failed 6 times in a row: it hangs"):
        distributor.start(variants(9))
    assert outlet.cycles == 2


def test_power_that_cannot_be_switched_is_a_failure_of_the_target(switched: Callable[..., Any]) -> None:
    distributor = switched(Outlet(broken=True), quarantine_after=4, cycle_after=1)
    with pytest.raises(TargetError, match=r"failed 4 times in a row: the outlet is gone"):
        distributor.start(variants(9))
    assert len(recorder(distributor).results) == 1


def test_close_does_not_wait_for_a_board_to_settle(switched: Callable[..., Any]) -> None:
    outlet = Outlet()
    distributor = switched(outlet, settle_ns=3600 * 10**9, cycle_after=1)
    distributor.start(variants(2), wait=False)
    while not outlet.cycles:
        assert not distributor.wait_finished(0.01)
    distributor.close(PATIENCE_S)
    assert [(run.status, run.history) for run in recorder(distributor).results] == [
        ("stopped", ["Scripted:a, attempt 1: it hangs"])
    ]


# --- probes


def board(address: str = "a", entry: Entry | None = None, **health: Any) -> BoardTarget:
    return BoardTarget("Scripted", address, {}, entry, Settings(health=Health(**health)))


def distributor_of(boards: list[BoardTarget], kind: type[Session], **options: Any) -> Distributor:
    distributor = Distributor(boards, session=kind, backoff_s=0.001, max_backoff_s=0.002, **options)
    distributor.monitor = Recorder()
    return distributor


def test_the_inventory_says_how_a_target_is_looked_after() -> None:
    def script(session: Any, plan: Plan) -> Iterator[Event]:
        raise TargetLost("lost")

    weak, strong = board("weak", quarantine_after=1), board("strong", quarantine_after=3)
    with distributor_of([weak, strong], session_of(script), retries=99) as distributor:
        with pytest.raises(TargetError):
            distributor.start(variants(9))
        assert [row.failures for row in distributor.health] == [1, 3]


def test_a_target_with_nothing_to_do_is_asked_now_and_then(make: Make) -> None:
    asked = threading.Semaphore(0)
    release = threading.Event()

    def probe(cls: type[Session], target: Target) -> bool:
        asked.release()
        return True

    def script(session: Any, plan: Plan) -> Iterator[Event]:
        release.wait(PATIENCE_S)
        return job()

    kind = session_of(script, probe=classmethod(probe))
    boards = [board(each, every_ns=10**6) for each in "ab"]
    with distributor_of(boards, kind) as distributor:
        distributor.start(variants(1), wait=False)  # for one of them; the other waits
        assert asked.acquire(timeout=PATIENCE_S)
        assert asked.acquire(timeout=PATIENCE_S)
        idle = next(row for row in distributor.health if row.state != "running")
        assert (idle.health, idle.failures) == ("good", 0)
        release.set()
        assert distributor.wait_finished(PATIENCE_S)


@pytest.mark.parametrize(
    ("name", "here", "attributes"),
    [
        ("connect", True, {"probe": classmethod(lambda cls, target: target.address == "a")}),
        ("connect", False, {"probe": classmethod(lambda cls, target: target.address == "b")}),
        ("handshake", True, {"inspect": classmethod(lambda cls, target: {"state": "idle"})}),
        ("handshake", False, {"inspect": classmethod(lambda cls, target: {"state": "absent"})}),
        ("handshake", False, {"probe": classmethod(lambda cls, target: False)}),
        ("canary", True, {"events": lambda self, plan: punctual_jobs()}),
        ("canary", True, {"run": lambda self, taskset, **_: unknown_program()}),
        ("canary", False, {"events": lambda self, plan: no_events()}),
    ],
)
def test_probes_from_cheap_to_thorough(name: str, here: bool, attributes: dict[str, Any]) -> None:
    registered: list[Session] = []

    class Registered:
        def __init__(self, session: Session) -> None:
            registered.append(session)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    assert bool(PROBES[name](session_of(**attributes), Target("Scripted", "a"), Registered)) is here
    assert len(registered) == (name == "canary" and "run" not in attributes)


def no_events() -> Iterator[Event]:
    yield from ()


def punctual_jobs() -> Iterator[Event]:
    for number in range(canary.JOBS):
        start_ns = number * canary.PERIOD_MS * NS_PER_MS
        yield Event(start_ns, EventType.START, 0, number, None)
        yield Event(start_ns + NS_PER_MS, EventType.EXIT, 0, number, None)


def unknown_program() -> None:
    raise UsageError("there is no program hey")


def test_a_probe_that_runs_something_is_stopped_with_everything_else() -> None:
    class Hanging:
        def __init__(self) -> None:
            self.in_canary, self.woken = threading.Event(), threading.Event()

        def script(self, session: Session, plan: Plan) -> Iterator[Event]:
            if "number" in plan.taskset[0]:
                raise TargetLost("lost")
            self.in_canary.set()
            self.woken.wait(PATIENCE_S)
            yield from ()

    hanging = Hanging()
    kind = session_of(hanging.script, wake=lambda session: hanging.woken.set())
    with distributor_of([board(probe="canary")], kind) as distributor:
        distributor.start(variants(2), wait=False)
        assert hanging.in_canary.wait(PATIENCE_S)
        distributor.stop()
        assert distributor.wait_finished(PATIENCE_S)
        assert hanging.woken.wait(PATIENCE_S)
        distributor.close(PATIENCE_S)
        assert [(row.health, row.failures) for row in distributor.health] == [("unknown", 1)]


def test_ping_asks_the_session_of_that_name_for_the_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Target] = []

    def probe(cls: type[Session], target: Target) -> bool:
        asked.append(target)
        return True

    pinging = session_of(probe=classmethod(probe))
    monkeypatch.setattr("taskgen.registry.load", lambda group, name: {"ping": pinging}.get(name))
    assert PROBES["ping"](session_of(), Target("Scripted", "10.0.0.7:3002"), lambda _: nullcontext())
    assert asked == [Target("ping", "10.0.0.7")]
