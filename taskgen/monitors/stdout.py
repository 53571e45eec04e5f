"""What became of each variant, for people: a table for the first ones, then a line each, and a summary at the end."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

from rich import box
from rich.console import Console
from rich.file_proxy import FileProxy
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from taskgen.events import Event, EventType
from taskgen.monitor import Monitor, Run
from taskgen.report.export import printable
from taskgen.taskset import TaskSet
from taskgen.trace import Job, Trace
from taskgen.units import format_ms

#: So many variants get a table of their own.
TABLES = 3
#: So many differing attributes are named on a line.
_DIFFERENCES = 3
#: Wider than any line.
_ENDLESS = 100_000

#: The columns of a table; texts are left out where all are empty, and folded where the terminal is narrow.
_COLUMNS = (
    "task", "pkg", "jobs", "done", "missed", "response\nmin", "\nmedian", "\nmax ms", "deadline\nms", "pre-\nempted",
    "other ends",
)  # fmt: skip
_TEXTS = ("pkg", "other ends")

#: How the jobs that didn't complete are counted, in words.
_OTHER_ENDS: dict[EventType | None, str] = {
    EventType.EXIT_CRITICAL: "killed",
    EventType.EXIT_PERIOD: "killed at next release",
    EventType.EXIT_ERROR: "failed",
    EventType.EXIT_EXTERNAL: "cut off",
    EventType.NOT_SCHEDULED: "not scheduled",
    EventType.OUT_OF_QUOTA: "out of quota",
    EventType.OUT_OF_CAPS: "out of caps",
    None: "unfinished",
}


class _PlainConsole(Console):
    """A console that gets on with pipes and with a progress bar on the same terminal."""

    @property
    def file(self) -> IO[str]:
        """Where it writes: above the bar of a `ProgressMonitor` that has taken stdout over."""
        if not self.stderr and isinstance(sys.stdout, FileProxy):
            return cast("IO[str]", sys.stdout)
        return super().file

    @file.setter
    def file(self, file: IO[str]) -> None:
        self._file = file

    def on_broken_pipe(self) -> None:
        """Leave a broken pipe to the caller; rich would end the thread with SystemExit."""
        raise  # noqa: PLE0704  # rich calls this while it handles the BrokenPipeError


def plain_console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is: no markup, no guessed colours; NO_COLOR and pipes are respected."""
    return _PlainConsole(stderr=stderr, markup=False, highlight=False, emoji=False)


class _Tally:
    """What became of the jobs of one task."""

    __slots__ = ("completed", "ends", "jobs", "misses", "preemptions", "relative_ns", "responses_ns")

    def __init__(self) -> None:
        self.jobs = self.completed = self.misses = 0
        self.preemptions: int | None = None
        self.responses_ns: list[int] = []
        self.relative_ns: int | None = None
        self.ends: Counter[EventType | None] = Counter()

    def add(self, job: Job) -> None:
        self.jobs += 1
        self.misses += job.missed
        if job.preemptions is not None:
            self.preemptions = (self.preemptions or 0) + job.preemptions
        if job.outcome is EventType.EXIT:
            self.completed += 1
        else:
            self.ends[job.outcome] += 1
        response_ns = job.response_ns
        if response_ns is not None:
            self.responses_ns.append(response_ns)


class StdOutMonitor(Monitor):
    """Prints a table per finished variant, shorter lines from the fourth on, and a summary when it is closed.

    A missed deadline is marked by a word, never by colour alone. `events=True` prints each event, too.
    """

    def __init__(self, console: Console | None = None, events: bool = False) -> None:
        self._console = console or plain_console()
        if events:
            # Events are told one by one, which costs: nobody overrides this who doesn't listen.
            self.taskset_event = self._print_event  # type: ignore[method-assign]  # by choice of the instance
        self._first: dict[str, str] | None = None
        self._statuses: Counter[str] = Counter()
        self._shown = self._jobs = self._misses = self._missed_variants = 0
        self._closed = False

    def taskset_finished(self, run: Run, trace: Trace) -> None:
        """Print what became of the variant."""
        self._statuses[run.status or "finished"] += 1
        tallies = _tallies(trace)
        misses = sum(tally.misses for tally in tallies.values())
        self._jobs += len(trace.jobs)
        self._misses += misses
        self._missed_variants += bool(misses)
        if not trace.capabilities.executes:
            return  # such a session shows the description itself
        differences = self._differences(run.taskset)
        if run.status == "rejected":
            self._print(Text(f"variant {run.variant}{differences}: rejected by admission, nothing ran"))
        elif self._shown < TABLES:
            self._shown += 1
            self._print_table(run, trace, tallies, differences)
        else:
            self._print(_line(run, tallies, differences))

    def taskset_stopped(self, run: Run, reason: str) -> None:
        """Print that the variant was stopped or failed, and why."""
        status = run.status or "stopped"
        self._statuses[status] += 1
        attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
        line = Text(f"variant {run.variant} on {printable(run.target)}{attempt}: ")
        line.append(status.upper() if status == "failed" else status, "bold red" if status == "failed" else "bold")
        line.append(f": {printable(reason)}" if reason else "")
        self._print(line)

    def close(self) -> None:
        """Print the summary of all variants if there were several; idempotent."""
        if self._closed or sum(self._statuses.values()) < 2:
            return
        self._closed = True
        count = sum(self._statuses.values())
        statuses = ", ".join(f"{number} {status}" for status, number in self._statuses.items())
        line = Text(f"{count} variants: {statuses}; {self._jobs} jobs, ", "bold")
        line.append_text(_misses(self._misses))
        if self._misses:
            line.append(f" in {self._missed_variants} {_plural(self._missed_variants, 'variant')}")
        self._print(line)

    def _print_event(self, run: Run, event: Event) -> None:
        core = "" if event.core is None else f"  core {event.core}"
        job = "" if event.task_id is None else f"  task {event.task_id}{_job_number(event.job)}"
        self._print(Text(f"variant {run.variant}  {format_ms(event.time_ns):>12} ms  {event.type:<14}{job}{core}"))

    def _differences(self, taskset: TaskSet) -> str:
        """Name what this variant has other than the first one: ` (task 0 priority=3)`."""
        flat = dict(_flat(taskset))
        if self._first is None:
            self._first = flat
            return ""
        changed = [f"{key}={value}" for key, value in flat.items() if self._first.get(key) != value]
        if not changed:
            return ""
        more = [f"{len(changed) - _DIFFERENCES} more"] if len(changed) > _DIFFERENCES else []
        return f" ({', '.join(changed[:_DIFFERENCES] + more)})"

    def _print_table(self, run: Run, trace: Trace, tallies: Mapping[int, _Tally], differences: str) -> None:
        duration = format_ms(trace.end_ns)
        status = run.status or "finished"
        self._print(
            Text(f"variant {run.variant}{differences} on {printable(run.target)}: {status}, {duration} ms", "bold")
        )
        table = _table(trace, tallies)
        natural = Measurement.get(self._console, self._console.options.update(width=_ENDLESS), table)
        fitting = min(natural.maximum, self._console.width) if self._console.is_terminal else natural.maximum
        table.width = max(natural.minimum, fitting)
        self._console.print(table, crop=False)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def _job_number(job: int | None) -> str:
    return "" if job is None else f" job {job}"


def _tallies(trace: Trace) -> dict[int, _Tally]:
    """Count the jobs by task: the tasks of the set in its order, then others that a target reported."""
    tallies = {task_id: _Tally() for task_id in trace.tasks}
    for job in trace.jobs:
        tally = tallies.get(job.task_id)
        if tally is None:
            tally = tallies[job.task_id] = _Tally()
        tally.add(job)
    for task_id, tally in tallies.items():
        if task_id in trace.tasks:
            tally.relative_ns = trace.tasks[task_id].effective_deadline_ns
    return tallies


def _flat(taskset: TaskSet) -> Iterator[tuple[str, str]]:
    for task in taskset:
        prefix = f"task {task.get('id')} " if len(taskset) > 1 else ""
        yield from _flat_values(prefix, task)


def _flat_values(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat_values(f"{prefix}{printable(key)}.", value)
        else:
            yield f"{prefix}{printable(key)}", printable(value)[:40]


def _table(trace: Trace, tallies: Mapping[int, _Tally]) -> Table:
    rows = [_row(trace, task_id, tally) for task_id, tally in tallies.items()]
    columns = [(header, cells) for header, *cells in zip(_COLUMNS, *rows, strict=True)]
    columns = [(header, cells) for header, cells in columns if header not in _TEXTS or any(cells)]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for header, cells in columns:
        if header in _TEXTS:
            table.add_column(header, overflow="fold", min_width=len("pkg"), vertical="bottom")
        else:
            # What is to be compared is never shortened, however narrow the terminal.
            width = max(len(line) for line in (*header.split("\n"), *map(str, cells)))
            table.add_column(header, justify="right", no_wrap=True, min_width=width, vertical="bottom")
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _row(trace: Trace, task_id: int, tally: _Tally) -> list[Text]:
    task = trace.tasks.get(task_id)
    program = "" if task is None else printable(task.attributes.get("pkg", ""))
    times = (*_spread(tally), tally.relative_ns)
    ends = ", ".join(f"{count} {_OTHER_ENDS.get(end, str(end))}" for end, count in tally.ends.items())
    return [
        Text(str(task_id)), Text(program), Text(str(tally.jobs)), Text(str(tally.completed)), _marked(tally),
        *(Text("-" if ns is None else format_ms(ns)) for ns in times),
        Text("-" if tally.preemptions is None else str(tally.preemptions)), Text(ends),
    ]  # fmt: skip


def _marked(tally: _Tally) -> Text:
    return Text(f"{tally.misses} MISSED", "bold red") if tally.misses else Text("0")


def _spread(tally: _Tally) -> tuple[int | None, int | None, int | None]:
    """Return the smallest, the (lower) median and the largest response time."""
    ordered = sorted(tally.responses_ns)
    return (ordered[0], ordered[(len(ordered) - 1) // 2], ordered[-1]) if ordered else (None, None, None)


def _line(run: Run, tallies: Mapping[int, _Tally], differences: str) -> Text:
    jobs = sum(tally.jobs for tally in tallies.values())
    line = Text(f"variant {run.variant}{differences}: {jobs} {_plural(jobs, 'job')}, ")
    line.append_text(_misses(sum(tally.misses for tally in tallies.values())))
    missed = [str(task_id) for task_id, tally in tallies.items() if tally.misses]
    if missed:
        line.append(f" by {_plural(len(missed), 'task')} {', '.join(missed[:8])}{', ...' if len(missed) > 8 else ''}")
    worst = _worst(tallies)
    if worst is not None:
        task_id, response_ns, relative_ns = worst
        line.append(f"; worst response {format_ms(response_ns)} of {format_ms(relative_ns)} ms (task {task_id})")
    return line


def _worst(tallies: Mapping[int, _Tally]) -> tuple[int, int, int] | None:
    """Return task, response time and relative deadline where a response came nearest to its deadline, or beyond."""
    found = [
        (task_id, max(tally.responses_ns), tally.relative_ns)
        for task_id, tally in tallies.items()
        if tally.responses_ns and tally.relative_ns
    ]
    return max(found, key=lambda worst: worst[1] * 1_000_000 // worst[2], default=None)


def _misses(count: int) -> Text:
    if not count:
        return Text("no deadline missed")
    return Text(f"{count} {_plural(count, 'deadline')} MISSED", "bold red")


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
