"""Chrome Trace Event JSON, which opens in Perfetto and chrome://tracing.

One process shows the cores, a thread each, with a slice wherever a job ran (category `run`) or the core was busy with
scheduling (`overhead`). The other shows the tasks: the life of each job, from release to end, as an async pair (lives
overlap, and slices of one thread must nest), and releases, misses and kills as instants. Format: "Trace Event Format"
(Google, 2016). Its `ts` and `dur` are numbers of microseconds that viewers read as doubles, so they count from the
start of the set.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from taskgen.events import EventType
from taskgen.output import whole_file
from taskgen.report.export import task_label, text_json
from taskgen.trace import Job, Overhead, Span, Trace

CORES, TASKS = 1, 2  # pid 0 and tid 0 mean the idle task to some viewers

#: The scheduler's events that are shown as instants.
_INSTANTS = {
    EventType.RELEASE: "release",
    EventType.DEADLINE_MISS: "deadline miss",
    EventType.EXIT_CRITICAL: "killed",
    EventType.EXIT_ERROR: "failed",
    EventType.EXIT_PERIOD: "killed at the next release",
    EventType.NOT_SCHEDULED: "not scheduled",
    EventType.OUT_OF_QUOTA: "out of quota",
    EventType.OUT_OF_CAPS: "out of caps",
}


class _Timed(NamedTuple):
    """An event of the file: when, and its text."""

    time_ns: int
    text: str


def write_chrome(trace: Trace, path: Path) -> None:
    """Write a Chrome trace.

    Raises:
        UsageError: the file can't be written.
    """
    with whole_file(path) as file:
        lanes = _lanes(trace)
        task_ids = list(dict.fromkeys((*trace.tasks, *(job.task_id for job in trace.jobs))))
        tids = {task_id: tid for tid, task_id in enumerate(task_ids, start=1)}
        timed = [*_lives(trace, tids), *_slices(trace, lanes), *_instants(trace, tids)]
        timed.sort(key=lambda event: event.time_ns)  # stable: a life begins before it ends at one instant
        file.write('{"displayTimeUnit": "ns", "traceEvents": [\n')
        file.write(",\n".join([*_names(trace, list(lanes), tids), *(event.text for event in timed)]))
        file.write("\n]}\n")


def _us(ns: int) -> str:
    whole, rest = divmod(ns, 1000)
    return f"{whole}.{rest:03d}"


def _core_order(core: int | None) -> tuple[bool, int]:
    return core is None, core or 0


def _lanes(trace: Trace) -> dict[str, list[Span | Overhead]]:
    """Return runs and overheads by thread name, so that no two spans of one thread overlap.

    A session that contradicts itself (two jobs on one core at once), or doesn't know cores, gets further threads.
    """
    cores: dict[int | None, list[Span | Overhead]] = defaultdict(list)
    spans: list[Span | Overhead] = [*trace.gantt, *trace.overheads]
    for span in spans:
        cores[span.core].append(span)
    lanes: dict[str, list[Span | Overhead]] = {}
    for core in sorted(cores, key=_core_order):
        name = "unknown core" if core is None else f"core {core}"
        own: list[list[Span | Overhead]] = []
        for span in sorted(cores[core], key=lambda span: (span.start_ns, span.end_ns)):
            lane = next((lane for lane in own if lane[-1].end_ns <= span.start_ns), None)
            if lane is None:
                own.append([span])
                lanes[name if len(own) == 1 else f"{name} ({len(own)})"] = own[-1]
            else:
                lane.append(span)
    return lanes


def _names(trace: Trace, lanes: list[str], tids: dict[int, int]) -> Iterator[str]:
    for pid, name in ((CORES, "cores"), (TASKS, "tasks")):
        yield _metadata("process_name", pid, 0, f'"name": "{name}"')
        yield _metadata("process_sort_index", pid, 0, f'"sort_index": {pid}')
    threads = [(CORES, tid, name) for tid, name in enumerate(lanes, start=1)]
    threads += [(TASKS, tid, f"task {task_label(trace, task_id)}") for task_id, tid in tids.items()]
    for pid, tid, name in threads:
        yield _metadata("thread_name", pid, tid, f'"name": {text_json(name)}')
        yield _metadata("thread_sort_index", pid, tid, f'"sort_index": {tid}')


def _metadata(name: str, pid: int, tid: int, args: str) -> str:
    return f'{{"name": "{name}", "ph": "M", "ts": 0, "pid": {pid}, "tid": {tid}, "args": {{{args}}}}}'


def _slices(trace: Trace, lanes: dict[str, list[Span | Overhead]]) -> Iterator[_Timed]:
    for tid, spans in enumerate(lanes.values(), start=1):
        for span in spans:
            if isinstance(span, Overhead):
                head = f'"name": {text_json(span.kind.replace("_", " "))}, "cat": "overhead", "cname": "grey"'
            else:
                head = f'"name": {text_json(f"task {task_label(trace, span.task_id)}")}, "cat": "run"'
            yield _Timed(
                span.start_ns,
                f'{{{head}, "ph": "X", "ts": {_us(span.start_ns)}, "dur": {_us(span.end_ns - span.start_ns)},'
                f' "pid": {CORES}, "tid": {tid},'
                f' "args": {{"task": {_or_null(span.task_id)}, "job": {_or_null(span.job)}}}}}',
            )


def _or_null(number: int | None) -> str:
    return "null" if number is None else str(number)


def _lives(trace: Trace, tids: dict[int, int]) -> Iterator[_Timed]:
    for number, job in enumerate(trace.jobs, start=1):
        begin_ns = next((ns for ns in (job.release_ns, job.start_ns, job.arrival_ns) if ns is not None), None)
        if begin_ns is None:
            continue
        end_ns = max(begin_ns, trace.end_ns if job.finish_ns is None else job.finish_ns)
        name = text_json(f"task {task_label(trace, job.task_id)}")
        common = f'"id": "{number:#x}", "pid": {TASKS}, "tid": {tids[job.task_id]}'
        for phase, time_ns, args in (("b", begin_ns, f'"job": {job.index}'), ("e", end_ns, _ending(job))):
            head = f'"name": {name}, "cat": "job", "ph": "{phase}", "ts": {_us(time_ns)}'
            yield _Timed(time_ns, f'{{{head}, {common}, "args": {{{args}}}}}')


def _ending(job: Job) -> str:
    return f'"outcome": "{job.outcome or "UNFINISHED"}", "missed": {"true" if job.missed else "false"}'


def _instants(trace: Trace, tids: dict[int, int]) -> Iterator[_Timed]:
    for event in trace.events:
        name = _INSTANTS.get(event.type)
        if name is not None and event.task_id in tids:
            yield _Timed(
                event.time_ns,
                f'{{"name": "{name}", "cat": "scheduler", "ph": "i", "s": "t", "ts": {_us(event.time_ns)},'
                f' "pid": {TASKS}, "tid": {tids[event.task_id]},'
                f' "args": {{"job": {_or_null(event.job)}}}}}',
            )
