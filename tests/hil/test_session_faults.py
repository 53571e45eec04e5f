"""Boards that misbehave: a run ends in time, with its events or with one error, and leaves nothing behind."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

import hil.board
from hil.session import TaskloaderSession
from sim.session import SimSession
from taskgen.dialect.boards import BOARDS
from taskgen.errors import TargetError
from taskgen.events import Event
from taskgen.session import Target
from taskgen.taskset import TaskSet
from tests.hil.scripted import collect, one_job

#: Little patience, so that a run is over in a second or two whatever happens.
HASTY = {"quiet_ms": 20, "poll_ms": 5, "reply_ms": 400, "silence_ms": 300, "stall_ms": 200, "connect_timeout_ms": 1000}
#: What a board may do while the events stay those of the simulator.
HARMLESS = ("latency:5ms", "slice:1", "duplicate-push", "early-push", "stale-events:2", "stale-tail")
#: What it may do to a run; which of them strikes when is for its boards' tests.
HARMFUL = (
    "blackhole:after=2",
    "blackhole:after=40",
    "reset:after=3",
    "reset:after=60",
    "cut:bytes=17",
    "cut:bytes=80",
    "garbage:32",
    "accept-only",
    "freeze-after-start",
    "freeze:after=CLEAR",
    "reboot:after=START",
    "wrong-reply",
    "torn-reply",
)


def options_of(target: Target) -> Target:
    return Target(target.session, target.address, {**target.options, **HASTY})


def two_jobs() -> TaskSet:
    return one_job(numberofjobs=2, executiontime=5, period=300)


def expected(generation: str) -> list[tuple[object, ...]]:
    return [event[:4] for event in SimSession(profile=generation).run(two_jobs(), horizon_ms=1500)]


@pytest.mark.parametrize("generation", ["G1p", "G3a", "G3b", "G4"])
def test_what_is_harmless_changes_no_event(generation: str) -> None:
    with hil.board.serve(generation=generation, speed="max", count=len(HARMLESS)) as boards:
        for number, fault in enumerate(HARMLESS):
            if fault == "duplicate-push" and not BOARDS[generation].pushes:
                continue
            boards.inject(number, fault)
            with TaskloaderSession.open(options_of(boards.targets[number])) as session:
                seen = [event[:4] for event in session.run(two_jobs(), horizon_ms=1500)]
            assert seen == expected(generation), fault


def outcome_on(target: Target) -> tuple[list[Event], TargetError | None]:
    events: list[Event] = []
    try:
        with TaskloaderSession.open(options_of(target)) as session:
            collect(session.run(two_jobs(), horizon_ms=1500), events)
    except TargetError as error:
        return events, error
    return events, None


@pytest.mark.parametrize("generation", ["G1o", "G1p", "G3a", "G3b", "G4"])
def test_what_is_harmful_ends_a_run_in_time_and_leaves_nothing(generation: str) -> None:
    threads = threading.active_count()
    with hil.board.serve(generation=generation, speed="max", count=len(HARMFUL)) as boards:
        for number, fault in enumerate(HARMFUL):
            boards.inject(number, fault)
        with ThreadPoolExecutor(len(HARMFUL)) as pool:
            runs = [pool.submit(outcome_on, target) for target in boards.targets]
            _, late = wait(runs, timeout=20)  # far above the sum of all that a run may wait for
            assert not late
    for fault, run in zip(HARMFUL, runs, strict=True):
        events, failure = run.result()
        seen = [event[:4] for event in events]
        if failure is None:
            assert generation == "G1o" or seen == expected(generation), fault  # G1o tells only what a sample shows
        else:
            assert "\n" not in str(failure)
    assert threading.active_count() == threads
