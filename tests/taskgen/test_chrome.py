"""Chrome traces: slices of a thread nest, lives are pairs, times are exact numbers."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen import Capabilities, Event, EventType, TaskSet, Trace
from taskgen.horizon import Horizon
from taskgen.parameters import parameters_of
from taskgen.report.chrome import CORES, TASKS, write_chrome
from taskgen.session import Plan
from taskgen.trace import Overhead

MS = 1_000_000
TASKSET = TaskSet([{"pkg": 'he"y', "period": 8, "executiontime": 2}, {"period": 12}, {"period": 20}])

#: Any events in the order of time: also from a board that contradicts itself.
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5_000),
        st.sampled_from(EventType),
        st.integers(0, 3),
        st.integers(0, 3),
        st.none() | st.integers(0, 1),
    ),
    max_size=60,
).map(lambda rows: [Event(*row) for row in sorted(rows, key=lambda row: row[0])])
#: Any overheads: also such that overlap each other and what ran.
OVERHEADS = st.lists(
    st.builds(
        lambda core, task_id, start, length, kind: Overhead(core, task_id, 0, start, start + length, kind),
        st.integers(0, 1),
        st.none() | st.integers(0, 3),
        st.integers(0, 5_000),
        st.integers(0, 500),
        st.sampled_from(["scheduler", "context_switch", "migration"]),
    ),
    max_size=20,
)


def chrome(trace: Trace) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        write_chrome(trace, path)
        events: list[dict[str, Any]] = json.loads(path.read_text(), parse_float=Decimal)["traceEvents"]
    return events


def trace_of(events: list[Event], overheads: Sequence[Overhead] = ()) -> Trace:
    tasks = parameters_of(TASKSET)
    trace = Trace(tasks)
    trace.extend(events)
    trace.finish(Plan(tasks, TASKSET, Horizon(0, "requested"), None, False, bool, list(overheads)))
    return trace


def preempted() -> Trace:
    """Task 1 runs 0..1 and 3..5, task 0 preempts it 1..3; both on core 0."""
    rows = [
        (0, "RELEASE", 1), (0, "START", 1), (0, "DISPATCH", 1), (1, "RELEASE", 0), (1, "START", 0), (1, "PREEMPT", 1),
        (1, "DISPATCH", 0), (3, "EXIT", 0), (3, "RESUME", 1), (5, "EXIT", 1),
    ]  # fmt: skip
    return trace_of([Event(time * MS, EventType(kind), task, 0, 0) for time, kind, task in rows])


def test_slices_show_who_ran_when_on_which_core() -> None:
    events = chrome(preempted())
    slices = [(e["args"]["task"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"]
    assert slices == [(1, 0, 1000), (0, 1000, 2000), (1, 3000, 2000)]
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names[CORES, 1] == "core 0"
    assert names[TASKS, 1] == 'task 0 he"y'


def test_overheads_are_slices_of_their_own_on_the_thread_of_the_core() -> None:
    """The scheduler runs for nobody, the switch for the job that comes; the job that went on is in two pieces."""
    rows = [(0, "RELEASE"), (0, "DISPATCH"), (9, "EXIT")]
    paid = [Overhead(0, None, None, 2, 3, "scheduler"), Overhead(0, 1, 4, 9, 11, "context_switch")]
    events = chrome(trace_of([Event(ns, EventType(kind), 0, 0, 0) for ns, kind in rows], paid))
    slices = [e for e in events if e["ph"] == "X"]
    assert [(e["cat"], e["name"], e["ts"] * 1000, e["dur"] * 1000) for e in slices] == [
        ("run", 'task 0 he"y', 0, 2), ("overhead", "scheduler", 2, 1), ("run", 'task 0 he"y', 3, 6),
        ("overhead", "context switch", 9, 2),
    ]  # fmt: skip
    assert {(e["pid"], e["tid"]) for e in slices} == {(CORES, 1)}
    assert [e["args"] for e in slices if e["cat"] == "overhead"] == [{"task": None, "job": None}, {"task": 1, "job": 4}]


def test_a_life_is_a_pair_from_release_to_end() -> None:
    lives = [(e["ph"], e["tid"], e["ts"]) for e in chrome(preempted()) if e.get("cat") == "job"]
    assert lives == [("b", 2, 0), ("b", 1, 1000), ("e", 1, 3000), ("e", 2, 5000)]


def test_releases_misses_and_kills_are_instants() -> None:
    rows = [(0, "RELEASE"), (0, "DISPATCH"), (8 * MS, "DEADLINE_MISS"), (8 * MS + 1, "EXIT_CRITICAL")]
    events = chrome(trace_of([Event(ns, EventType(kind), 0, 0, 0) for ns, kind in rows]))
    instants = [(e["name"], e["ts"]) for e in events if e["ph"] == "i"]
    assert instants == [("release", 0), ("deadline miss", 8000), ("killed", Decimal("8000.001"))]


def test_a_target_that_does_not_trace_shows_lives_only() -> None:
    trace = Trace(parameters_of(TASKSET), capabilities=Capabilities(trace=False, job_numbers="starts"))
    trace.extend([Event(5, EventType.START, 0, 0, None), Event(9, EventType.EXIT, 0, 0, None)])
    phases = [event["ph"] for event in chrome(trace) if event["ph"] != "M"]
    assert phases == ["b", "e"]


def test_two_jobs_on_one_core_at_once_get_two_threads() -> None:
    rows = [(0, "DISPATCH", 0), (1, "DISPATCH", 1), (3, "EXIT", 0), (4, "EXIT", 1)]
    events = chrome(trace_of([Event(ns, EventType(kind), task, 0, 0) for ns, kind, task in rows]))
    names = [e["args"]["name"] for e in events if e["name"] == "thread_name" and e["pid"] == CORES]
    assert names == ["core 0", "core 0 (2)"]


@settings(deadline=None)
@given(EVENTS, OVERHEADS)
def test_slices_of_one_thread_never_overlap_and_none_is_lost(events: list[Event], overheads: list[Overhead]) -> None:
    trace = trace_of(events, overheads)
    threads: dict[tuple[int, int], list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for event in chrome(trace):
        if event["ph"] == "X":
            threads[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for spans in threads.values():
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    shown_us = sum(end - start for spans in threads.values() for start, end in spans)
    spans_ns = sum(span.end_ns - span.start_ns for span in trace.gantt)
    assert shown_us * 1000 == spans_ns + sum(each.end_ns - each.start_ns for each in trace.overheads)


@settings(deadline=None)
@given(EVENTS, OVERHEADS)
def test_events_are_sorted_named_numbers_and_lives_are_pairs(events: list[Event], overheads: list[Overhead]) -> None:
    trace = trace_of(events, overheads)
    shown = chrome(trace)
    times = [event["ts"] for event in shown]
    assert times == sorted(times)
    numbers = [event[key] for event in shown for key in ("ts", "dur", "pid", "tid") if key in event]
    assert all(isinstance(number, int | Decimal) for number in numbers)
    named = {(event["pid"], event["tid"]) for event in shown if event["name"] == "thread_name"}
    assert {(event["pid"], event["tid"]) for event in shown if event["ph"] != "M"} <= named
    open_ids: set[str] = set()
    for event in shown:
        if event["ph"] == "b":
            assert event["id"] not in open_ids
            open_ids.add(event["id"])
        elif event["ph"] == "e":
            open_ids.remove(event["id"])
    assert not open_ids
