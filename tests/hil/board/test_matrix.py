"""The behaviour matrix for a test double, row by row (wire-protocol 10), with the delays of 6.6, the sockets of 6.8."""

import itertools

import pytest

from hil.board.dom0 import SOCKETS
from hil.documents import taskset
from hil.documents.profile import Stamped
from hil.messages import Optimize
from tests.hil.board.benches import (
    CLEAR,
    GENERATIONS,
    GET_LIVE,
    GET_PROFILE,
    MS,
    REBOOT,
    START,
    STOP,
    Bench,
    descs,
    shown,
    task,
)


def logged(generation: str, *tasks: dict[str, object], until_ms: int = 20_000) -> list[Stamped]:
    """Return what a board logs of tasks from START on."""
    bench = Bench(generation)
    events = bench.events(descs(*tasks), START, until_ms=until_ms)
    return events if generation != "G1p" else bench.events(GET_PROFILE, until_ms=until_ms)


def births(generation: str, *tasks: dict[str, object], until_ms: int = 20_000) -> int:
    """Return how many jobs were born, also without a log: by the threads that are there, or were destroyed."""
    if generation not in ("G1", "G1o"):
        return sum(str(event.type) == "START" for event in logged(generation, *tasks, until_ms=until_ms))
    bench = Bench(generation)
    bench.say(descs(*tasks), START, until_ms=until_ms)
    live = bench.live()
    return len(live.children("00.hey")) + len(live.dead)


def busy_ms(bench: Bench, *messages: object) -> int:
    """Return how long messages block the command loop, in whole ms."""
    began_ns = bench.engine.now_ns
    bench.dom0.receive(b"".join(each if isinstance(each, bytes) else bench.client.send(each) for each in messages))  # type: ignore[arg-type]
    while bench.engine.busy:
        bench.engine.advance(1 << 60, 1)
        bench.dom0.progress()
    return (bench.engine.now_ns - began_ns) // MS


@pytest.mark.parametrize(
    ("generation", "pushes"),
    [("G1", False), ("G1o", False), ("G1p", False), ("G3a", True), ("G3b", True), ("G4", True)],
)
def test_push_on_exit(generation: str, pushes: bool) -> None:
    assert bool(Bench(generation).say(descs(), START, until_ms=10_000)) is pushes


@pytest.mark.parametrize(
    ("generation", "empty", "full"),
    [
        ("G1", False, False),
        ("G1o", False, False),
        ("G1p", True, True),
        ("G3a", True, True),
        ("G3b", False, True),
        ("G4", False, True),
    ],
)
def test_get_profile(generation: str, empty: bool, full: bool) -> None:
    bench = Bench(generation)
    assert bool(bench.say(GET_PROFILE)) is empty
    endless = task(pkg="idle", executiontime=None, period=0 if generation != "G4" else 60_000)
    bench.say(descs(endless), START, until_ms=2_000)  # START alone never pushes
    assert bool(bench.say(GET_PROFILE, until_ms=2_000)) is full


@pytest.mark.parametrize(
    ("generation", "rows"), [("G1", 100), ("G1o", 100), ("G1p", None), ("G3a", None), ("G3b", None), ("G4", None)]
)
def test_get_live_rows(generation: str, rows: int | None) -> None:
    bench = Bench(generation)
    bench.say(descs(task(period=0)))
    assert bench.say(GET_LIVE).count(b"<task ") == (rows or 2)  # the service thread, and a row of zeros


def test_dead_subjects_stay_listed_newest_first() -> None:
    bench = Bench("G3b")
    bench.say(descs(task(id=1), task(id=2)))
    bench.say(GET_LIVE)
    bench.say(CLEAR, descs(task(id=3)))
    text = bench.say(GET_LIVE)
    assert [text.index(name) for name in (b"03.hey", b"02.hey", b"01.hey")] == sorted(
        text.index(name) for name in (b"03.hey", b"02.hey", b"01.hey")
    )
    assert text.count(b'state="5"') == 2
    assert [row.thread for row in bench.live().threads] == ["03.hey"]


def test_times_of_threads_on_another_core_are_stale() -> None:
    bench = Bench("G4")
    lone = task(executiontime=900_000, period=1_000_000, coreoffset=2, numberofjobs=1)
    bench.say(descs(lone, lone | {"id": 1}), START, until_ms=500)
    newer, older = bench.live().threads[:2]
    assert [newer.thread, older.thread, newer.core, older.core] == ["01.hey", "00.hey", 1, 1]
    assert older.arrival_ms < newer.arrival_ms
    assert older.start_time == newer.start_time  # of the row before it


def test_g1_lists_what_was_destroyed_as_its_recordings_do() -> None:
    bench = Bench("G1")
    bench.say(descs(task(period=0)), START, until_ms=5_000)
    (dead,) = bench.live().dead
    assert 250 <= dead.time_ms <= 350


def test_a_live_document_keeps_the_tail_of_a_longer_one() -> None:
    bench = Bench("G4")
    bench.say(descs(*(task(id=number) for number in range(5))))
    longer = bench.say(GET_LIVE)
    shorter = bench.say(CLEAR, GET_LIVE)
    assert shorter[:4] == longer[:4]  # up to its NUL
    assert shorter.count(b"</live>") == 2
    bench.dom0.reboot()
    bench.wait()
    bench.connect()
    assert bench.say(GET_LIVE).count(b"</live>") == 1


@pytest.mark.parametrize("generation", GENERATIONS)
def test_0x159d3(generation: str) -> None:
    bench = Bench(generation)
    bench.dom0.receive(REBOOT)
    assert bench.dom0.booting is (generation in ("G3a", "G3b", "G4"))


def test_optimize_is_g1os() -> None:
    goal = {"optimize": {"goal": {"fairness": {"apply": 1}, "utilization": {"apply": 0}}, "query_interval": 100}}
    xml = taskset.write_goal(goal, pad=True)
    bench = Bench("G1o")
    bench.say(Optimize(xml))
    assert bench.answers
    assert bench.live().threads == ()


@pytest.mark.parametrize("generation", GENERATIONS)
def test_admission_refuses_what_it_can_say(generation: str) -> None:
    """Two tasks with one priority of which the first has a C > 0: the second isn't admitted where there is a test."""
    first, second = (task(id=number, executiontime=99_999_999, period=3) for number in range(2))
    told = logged(generation, *({**each, "period": 3000} for each in (first, second)), until_ms=3_000)
    refused = [event for event in told if str(event.type) == "NOT_SCHEDULED"]
    ran = {event.task_id for event in told}
    match generation:
        case "G3a" | "G3b":
            assert [event.task_id for event in refused] == [1]
        case "G1p":
            assert ran == {0}  # silence
        case "G4":
            assert ran == {0, 1}


@pytest.mark.parametrize("generation", GENERATIONS)
def test_period_0(generation: str) -> None:
    assert births(generation, task(period=0, numberofjobs=1)) == (0 if generation == "G4" else 1)


@pytest.mark.parametrize(("generation", "jobs"), [("G1", 9), ("G1o", 1), ("G1p", 1), ("G3a", 3), ("G3b", 3), ("G4", 3)])
def test_jobs_limit(generation: str, jobs: int) -> None:
    # Destruction takes 252 ms: with 1 s nobody overruns; G1 goes on for ever, G1p and G1o have one instance.
    limited = task(period=1000, numberofjobs=3, criticaltime=500)
    assert births(generation, limited, until_ms=8_900) == jobs


@pytest.mark.parametrize(("generation", "jobs"), [("G1", 9), ("G1o", 1), ("G1p", 1), ("G3a", 0), ("G3b", 0), ("G4", 0)])
def test_numberofjobs_absent(generation: str, jobs: int) -> None:
    assert births(generation, task(period=1000, numberofjobs=None, criticaltime=500), until_ms=8_900) == jobs


@pytest.mark.parametrize(
    ("generation", "types"),
    [
        ("G1p", ["START", "EXIT"]),
        ("G3a", ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]),
        ("G3b", ["START", "EXIT_PERIOD", "START", "EXIT", "JOBS_DONE"]),
        ("G4", ["START", "EXIT_PERIOD", "START", "EXIT_PERIOD", "JOBS_DONE"]),
    ],
)
def test_overrun_at_release(generation: str, types: list[str]) -> None:
    told = logged(generation, task(period=1000, executiontime=1500, numberofjobs=2))
    if generation == "G3a":  # destroyed, no event
        types = ["START", "START", "EXIT", "JOBS_DONE"]
    assert [str(event.type) for event in told] == types


@pytest.mark.parametrize(
    ("generation", "criticaltime", "distance"),
    [("G3a", 0, 1000), ("G3b", 0, 1000), ("G4", 0, 2000), ("G4", 1000, 2000), ("G4", 500, 1000)],
)
def test_the_job_after_an_exit(generation: str, criticaltime: int, distance: int) -> None:
    told = logged(generation, task(period=1000, executiontime=20, numberofjobs=3, criticaltime=criticaltime))
    starts = [event.stamp_ms for event in told if str(event.type) == "START"]
    assert [later - earlier for earlier, later in itertools.pairwise(starts)] == [distance, distance]


@pytest.mark.parametrize(
    ("generation", "wait"), [("G1", 500), ("G1o", 500), ("G1p", 500), ("G3a", 500), ("G3b", 0), ("G4", 1000)]
)
def test_clear_wait(generation: str, wait: int) -> None:
    bench = Bench(generation)
    assert busy_ms(bench, CLEAR) == wait
    assert busy_ms(bench, CLEAR, CLEAR) == 2 * wait


@pytest.mark.parametrize(
    ("generation", "blocked", "born"), [("G3a", 27, (26, 426)), ("G3b", 27, (26, 426)), ("G4", 527, (426, 452))]
)
def test_offsets(generation: str, blocked: int, born: tuple[int, int]) -> None:
    """Offsets of 100 and 400: each after the one before it in the background, or all before the first job."""
    bench = Bench(generation)
    bench.say(descs(*(task(id=number, offset=offset, executiontime=None) for number, offset in enumerate((100, 400)))))
    began_ms = bench.engine.now_ns // MS
    assert busy_ms(bench, START) == blocked
    events = bench.events()
    starts = [event.stamp_ms - began_ms - 27 for event in events if str(event.type) == "START"]
    assert starts == [100 + each for each in born]


@pytest.mark.parametrize("generation", ["G3a", "G3b", "G4"])
def test_stop_ends_what_runs_and_clear_forgets_it(generation: str) -> None:
    bench = Bench(generation)
    endless = task(pkg="idle", executiontime=None, period=10_000, numberofjobs=2)
    bench.say(descs(endless), START, until_ms=2_000)
    job = [("START", 0), ("EXIT_EXTERNAL", 0)]  # START alone is never pushed
    assert shown(bench.events(STOP, until_ms=3_000)) == job
    assert shown(bench.events(START, until_ms=5_000)) == []
    assert shown(bench.events(CLEAR, until_ms=8_000)) == [*job, ("JOBS_DONE", 0)]
    assert bench.events(START) == []


@pytest.mark.parametrize("generation", ["G3a", "G3b"])
def test_the_inferred_hang_on_kill_is_a_switch(generation: str) -> None:
    bench = Bench(generation)
    bench.engine.switch("hang_on_kill", on=True)
    killed = task(pkg="idle", executiontime=None, criticaltime=100)
    assert bench.say(descs(killed), START) == b""
    assert bench.say(STOP, GET_LIVE) == b""
    bench.dom0.reboot()
    bench.wait()
    bench.connect()
    assert bench.say(descs(killed), START) == b""  # as long as the switch is on
    assert bench.say(STOP, GET_LIVE) == b""


# -- who is connected ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_disconnect_stops_nothing_and_a_later_client_inherits(generation: str) -> None:
    bench = Bench(generation)
    bench.say(descs(task(id=5, period=0)), b"")
    bench.connect()
    assert bench.live().service("05.hey") is not None


def test_pushes_with_nobody_there_are_lost() -> None:
    bench = Bench("G4")
    bench.say(descs(task(numberofjobs=2, period=1000, criticaltime=500)))
    bench.dom0.receive(bytes.fromhex("e54d5100"))
    bench.wait(until_ms=50)
    bench.dom0.receive(b"")
    assert bench.wait(until_ms=500) == b""
    bench.connect()
    assert shown(bench.events()) == [("START", 0), ("EXIT", 0), ("JOBS_DONE", 0)]  # the second job's alone
    assert bench.say(GET_PROFILE) == b""


def test_left_over_events_come_with_the_next_set() -> None:
    bench = Bench("G3b")
    late, refused = (task(id=number, executiontime=99_999_999, offset=60_000) for number in range(2))
    assert bench.say(descs(late, refused), until_ms=1_000) == b""
    assert bench.say(START, CLEAR, until_ms=1_000) == b""
    assert shown(bench.events(descs(task(id=7)), START))[:2] == [("NOT_SCHEDULED", 1), ("START", 7)]


def test_sockets_run_out_until_the_next_boot() -> None:
    bench = Bench("G4")
    for _ in range(SOCKETS - 1):
        bench.dom0.receive(b"")
        assert bench.connect()
    bench.dom0.receive(b"")
    assert not bench.connect()
    bench.dom0.reboot()
    bench.wait()
    assert bench.connect()


def test_the_board_hears_nobody_while_it_boots() -> None:
    bench = Bench("G4")
    bench.dom0.receive(REBOOT + CLEAR_WORD)
    assert not bench.dom0.reads
    assert not bench.dom0.accepts
    bench.wait()
    assert bench.engine.now_ns == 20_000 * MS
    assert bench.dom0.accepts


CLEAR_WORD = bytes.fromhex("e60d0000")
