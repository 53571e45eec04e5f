"""The simulator that anybody writes first: one SimPy process per task, which asks for the core as a PreemptiveResource.

A peer of `benchmarks.simso`, in the same process as ours and with the same SimPy. It knows nothing but periodic tasks
with implicit deadlines under fixed priorities by period or EDF, and records each job.
"""

from collections.abc import Generator, Sequence
from itertools import count
from typing import Any, NamedTuple

import simpy
from simpy.resources.resource import Preempted

Running = Generator[simpy.Event, Any, None]


class Record(NamedTuple):
    """What became of a job; times in microseconds."""

    task: int
    job: int
    release_us: int
    start_us: int
    finish_us: int
    preemptions: int


def simulate(pairs: Sequence[tuple[int, int]], policy: str, horizon_us: int) -> list[Record]:
    """Simulate tasks of (C, T) in microseconds under `fp` (rate monotonic) or `edf`; return the jobs that completed."""
    env = simpy.Environment()
    core = simpy.PreemptiveResource(env)
    records: list[Record] = []
    order = sorted(range(len(pairs)), key=lambda task: (pairs[task][1], task))
    for rank, task in enumerate(order):
        env.process(_run(env, core, records, task, *pairs[task], rank if policy == "fp" else None))
    env.run(until=horizon_us)
    return records


def _run(
    env: simpy.Environment, core: simpy.PreemptiveResource, records: list[Record],
    task: int, wcet_us: int, period_us: int, rank: int | None,
) -> Running:  # fmt: skip
    """Release the jobs of one task and compute them, one after the other; no rank: the absolute deadline is it."""
    for job in count():
        release_us = job * period_us
        if env.now < release_us:
            yield env.timeout(release_us - env.now)
        priority = release_us + period_us if rank is None else rank
        start_us, left_us, preemptions = -1, wcet_us, 0
        while left_us:
            with core.request(priority=priority) as request:
                try:
                    yield request
                    if start_us < 0:
                        start_us = int(env.now)
                    yield env.timeout(left_us)
                    left_us = 0
                except simpy.Interrupt as interrupt:  # it may come before the request was seen to be granted
                    left_us -= int(env.now) - _since_us(interrupt)
                    preemptions += 1
        records.append(Record(task, job, release_us, start_us, int(env.now), preemptions))


def _since_us(interrupt: simpy.Interrupt) -> int:
    """Return since when the interrupted process had the core."""
    cause = interrupt.cause
    if not isinstance(cause, Preempted) or cause.usage_since is None:
        raise TypeError(f"interrupted by {cause!r}, expected a preemption")
    return int(cause.usage_since)
