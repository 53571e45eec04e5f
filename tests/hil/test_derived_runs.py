"""Runs on G1 and G1o, which tell no events: what is derived is what the simulator says, without the declared losses."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.board.server import Server
from hil.session import TaskloaderSession
from sim.session import SimSession
from taskgen.events import Event, EventType
from taskgen.parameters import Parameters, parameters_of
from taskgen.session import Target
from taskgen.taskset import TaskSet
from taskgen.units import NS_PER_MS
from tests.hil.agreement import QUICK
from tests.hil.board.serving import eventually, on_loop, serving

#: A board at `max` waits for a question after so long: shorter than any job is there, so that none goes unseen.
GLANCE_NS = 100 * NS_PER_MS
#: By how much the ends of one sibling may hold a creation up (wire-protocol 6.7: release jitter under load).
HELD_UP_NS = 300 * NS_PER_MS
PERIODS = (400, 1000, 1700)


class Life(NamedTuple):
    """One job: its START, and how it ended, as far as it is known."""

    start_ns: int
    end: EventType | None = None
    end_ns: int | None = None


@pytest.fixture(scope="module", params=["G1", "G1o"])
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Server]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hil.board.station.GLANCE_NS", GLANCE_NS)
        with serving(generation=request.param, speed="max") as server:
            yield request.param, server


def fresh(generation: str, server: Server) -> Target:
    """Return the board when it has just booted: jobs that CLEAR has killed take longer to go than CLEAR does."""
    on_loop(server, server.stations[0].reboot)
    options = {**QUICK, "poll_ms": 1, "dialect": generation, "binaries": "none"}
    target = Target("taskloader", str(server.stations[0].address), options)
    eventually(lambda: TaskloaderSession.probe(target))
    return target


@st.composite
def tasksets(draw: st.DrawFn, generation: str) -> TaskSet:
    """Draw limited sets of one to three tasks, some of whose jobs are killed; shrinks towards one short job.

    What G1 needs to create and destroy jobs, also those beyond `numberofjobs`, leaves time for all of them; on G1o
    admission refuses a second task with a fixed priority, and jobs that miss a deadline never run again
    (wire-protocol 5.3, 7.1): there one task at most has a priority, and jobs are short.
    """
    tasks: list[dict[str, Any]] = []
    edf = generation == "G1o"
    count = draw(st.integers(1, 3))
    for number in range(count):
        task: dict[str, Any] = {"id": number, "pkg": "hey"}
        task["executiontime"] = draw(st.integers(1, 60 if edf else 300 // count))
        task["period"] = draw(st.sampled_from(PERIODS[0 if edf else count - 1 :]))
        task["numberofjobs"] = draw(st.integers(1, 3))
        if edf and (number or draw(st.booleans())):
            task["deadline"] = task["period"]
        else:
            task["priority"] = draw(st.integers(1, 127))
        if draw(st.booleans()):
            task["criticaltime"] = draw(st.sampled_from([60, 100, 300, 2500]))
        tasks.append(task)
    return TaskSet(tasks)


def lives(events: Iterable[Event], task: Parameters) -> list[Life]:
    """Return the jobs of a task, from its events alone."""
    found: list[Life] = []
    for event in events:
        if event.task_id != task.id:
            continue
        if event.type is EventType.START:
            assert event.job == len(found)
            found.append(Life(event.time_ns))
        else:
            assert event.job == len(found) - 1
            found[-1] = Life(found[-1].start_ns, event.type, event.time_ns)
    return found


def without_losses(life: Life, start_ns: int, task: Parameters) -> Life:
    """Return what may be known of a job whose START was told: its end only if nothing can have killed it before.

    The release lies the creation before the START that is told.
    """
    if life.end is None or life.end_ns is None:
        return life
    lived_ns = life.end_ns - (start_ns - 26 * NS_PER_MS)
    if life.end is EventType.EXIT_CRITICAL or (task.critical_ns and lived_ns + NS_PER_MS >= task.critical_ns):
        return Life(start_ns)
    return Life(start_ns, life.end, life.end_ns)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_what_is_derived_is_what_the_simulator_says_without_the_losses(
    served: tuple[str, Server], data: st.DataObject
) -> None:
    generation, server = served
    taskset = data.draw(tasksets(generation))
    with TaskloaderSession.open(fresh(generation, server)) as session:
        seen = list(session.run(taskset))
    expected = list(SimSession(profile=generation).run(taskset))
    for task in parameters_of(taskset):
        told, known = lives(seen, task), lives(expected, task)
        assert len(told) == len(known)
        for mine, theirs in zip(told, known, strict=True):
            assert mine == without_losses(theirs, mine.start_ns, task)
            assert 0 <= theirs.start_ns - mine.start_ns <= HELD_UP_NS * (len(taskset) - 1)
