"""Events as lines that a test can spell out."""

from collections.abc import Generator

from taskgen import Event
from taskgen.units import NS_PER_MS

#: An event in ms: type, task, job.
Line = tuple[float, str, int | None, int | None]


def lines(events: list[Event] | Generator[Event, None, None]) -> list[Line]:
    return [(e.time_ns / NS_PER_MS, str(e.type), e.task_id, e.job) for e in events]
