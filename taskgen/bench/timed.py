"""One run of a case: its trace, and how long it took on this machine's clock."""

import time
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from taskgen.bench.suite import Case
from taskgen.errors import UsageError
from taskgen.events import Event, EventType
from taskgen.session import Session
from taskgen.testing.runs import MOST_EVENTS, Executed


class Timed(NamedTuple):
    """A run; times in ns, counted from the order to run."""

    trace: Executed
    start_ns: int  #: until the first event, or the end if there was none
    run_ns: int  #: until the target was free again
    stop_ns: int | None  #: from `stop()` until the target was free again; None: it wasn't called, or too late
    arrived_ns: tuple[int, ...]  #: until each event came, where the case asks for it


def run(session: Session, case: Case) -> Timed:
    """Run a case once.

    Raises:
        What `Session.run` raises.
        UsageError: it has more than `MOST_EVENTS` events.
    """
    clock = time.perf_counter_ns
    ordered_ns = clock()
    events = session.run(case.taskset, horizon_ms=case.horizon_ms, admission=case.admission)
    assert session.plan is not None  # noqa: S101  # run() has set it
    trace = Executed(session.plan, session.capabilities)
    arrived: list[int] = []
    stopped_ns = None
    with closing(events):
        first = next(events, None)
        start_ns = clock() - ordered_ns
        if first is not None:
            trace.append(first)
            arrived.append(start_ns)
        if case.stop_after is not None:
            trace.extend(islice(events, case.stop_after - 1))
            stopped_ns = clock()
            session.stop()
        following = _stamped(events, arrived, ordered_ns) if case.stamped else events
        trace.extend(islice(following, MOST_EVENTS))
        if next(events, None) is not None:
            raise UsageError(f"the run has more than {MOST_EVENTS} events", hint="a shorter horizon yields fewer")
    over_ns = clock()
    trace.finish(trace.plan)
    return Timed(
        trace,
        start_ns,
        over_ns - ordered_ns,
        over_ns - stopped_ns if stopped_ns is not None and trace.stopped else None,
        tuple(arrived) if case.stamped else (),
    )


def _stamped(events: Generator[Event, None, None], arrived: list[int], ordered_ns: int) -> Generator[Event, None, None]:
    clock = time.perf_counter_ns
    for event in events:
        arrived.append(clock() - ordered_ns)
        yield event


def refused(trace: Executed) -> bool:
    """Whether admission refused the set: no job was born, and some were refused."""
    kinds = {event.type for event in trace.events}
    return EventType.START not in kinds and EventType.NOT_SCHEDULED in kinds
