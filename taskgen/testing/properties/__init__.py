"""The laws of real-time scheduling as functions that judge a run: `(taskset, trace, tolerance)` to violations.

A law names its theorem or its line in the protocol, and where it holds: what the target must be able to do (`lacks`
tells what it can't) and what the set must be like (`excludes` tells why it isn't). A `Property` judges one run, a
`Relation` compares runs of a set and of variants of it; `taskgen.testing.runs.check` does both:

>>> from sim.session import SimSession
>>> from taskgen import TaskSet
>>> from taskgen.testing.properties import PROPERTIES
>>> from taskgen.testing.runs import check
>>> tasks = [{"executiontime": 2, "period": 4, "priority": 0}, {"executiontime": 2, "period": 5, "priority": 1}]
>>> check(SimSession(policy="edf"), TaskSet(tasks), [PROPERTIES["job_counts"]])
[Verdict(law='job_counts', violations=(), skipped='')]

Laws of your own: a `Property` or `Relation` (decorators `law` and `relation`) as an entry point of the group
`taskgen.properties`, or by its place, `package.module:name` or `path/file.py:name`.
"""

import difflib
from collections.abc import Mapping
from types import MappingProxyType

from taskgen import registry
from taskgen.errors import UsageError
from taskgen.testing.properties import board, demand, events, jobs, order, order_events, response, sustainability
from taskgen.testing.properties.law import (
    BOARD_TOLERANCES,
    SIMULATED,
    WIDEST,
    ZERO,
    Case,
    Condition,
    Law,
    Property,
    Relation,
    Scheduling,
    Tolerance,
    Violation,
    law,
    relation,
)

_LAWS: tuple[Law, ...] = (
    events.event_stream, events.scheduler_stream, events.exit_means_completed, events.misses_told, events.determinism,
    jobs.job_counts, jobs.release_separation, jobs.jobs_in_order, jobs.kill_at_criticaltime, jobs.executes_wcet,
    jobs.nothing_after_stop,
    order.work_conservation, *order.ORDERS, order.independence, order.mixed_band,
    order_events.fixed_priority_events, order_events.edf_events,
    *response.RESPONSES, response.critical_instant,
    demand.edf_full_utilization, demand.edf_demand, demand.edf_overload,
    sustainability.less_execution, sustainability.longer_periods, sustainability.longer_deadlines,
    board.kill_at_next_release, board.admission_respected,
)  # fmt: skip

#: Our laws by name; those about one run, and those about several.
LAWS: Mapping[str, Law] = MappingProxyType({each.name: each for each in _LAWS})
PROPERTIES: Mapping[str, Property] = MappingProxyType({each.name: each for each in _LAWS if isinstance(each, Property)})
RELATIONS: Mapping[str, Relation] = MappingProxyType({each.name: each for each in _LAWS if isinstance(each, Relation)})


def names() -> list[str]:
    """Return the names of all laws, ours and those of other packages, in order."""
    return sorted({*LAWS, *registry.entries("properties")})


#: Laws have a list of their own.
_LISTS = ("taskgen list properties", "taskgen check --list")


def load(name: str) -> Law:
    """Return a law by its name, or by its place (`package.module:name`, `path/file.py:name`).

    Raises:
        UsageError: there is no such law (with the nearest names), or it can't be loaded.
    """
    if name in LAWS:
        return LAWS[name]
    if ":" not in name and name not in registry.entries("properties"):
        near = difflib.get_close_matches(name, names(), n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(names())}"
        raise UsageError(f"property {name!r:.60}: there is none of this name", hint=hint)
    try:
        found = registry.load("properties", name)
    except UsageError as error:
        raise type(error)(str(error), hint=error.hint.replace(*_LISTS)) from error
    if not isinstance(found, Property | Relation):
        raise UsageError(
            f"property {name!r:.60}: {found!r:.60} is no Property and no Relation",
            hint="make one with the decorators of taskgen.testing.properties: @law(), @relation(variants=...)",
        )
    return found


__all__ = [
    "BOARD_TOLERANCES",
    "LAWS",
    "PROPERTIES",
    "RELATIONS",
    "SIMULATED",
    "WIDEST",
    "ZERO",
    "Case",
    "Condition",
    "Law",
    "Property",
    "Relation",
    "Scheduling",
    "Tolerance",
    "Violation",
    "law",
    "load",
    "names",
    "relation",
]
