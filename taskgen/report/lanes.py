"""The schedule of a short run as text: a lane per task, for a terminal."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from taskgen.trace import Trace
from taskgen.units import format_ms

#: Columns of a lane at most; of what is shorter each unit of time has several.
_WIDTH: Final = 60
_ZOOM: Final = 4
#: More lanes are no picture.
_MOST: Final = 20
_WORDS: Final = {"#": "runs", "-": "waits", "=": "lives"}


class _Stretch(NamedTuple):
    begin_ns: int
    end_ns: int
    symbol: str


def lanes(trace: Trace, until_ns: int | None = None) -> list[str]:
    """Return the lanes of a run from 0 on, a line each, and the line of the axis; none where there is nothing to draw.

    `#`: a job of the task runs; `-`: one waits; `=`: one lives, where the target doesn't tell who runs. What is shorter
    than a column has one, so two tasks may seem to run at once.

    Args:
        trace: the run.
        until_ns: where the picture ends; None: with the run.
    """
    until_ns = min(trace.end_ns, trace.end_ns if until_ns is None else until_ns)
    drawn = {task_id: list(_stretches(trace, task_id, until_ns)) for task_id in trace.tasks}
    stretches = list(chain.from_iterable(drawn.values()))
    if not stretches or until_ns <= 0 or len(drawn) > _MOST:
        return []
    columns = _columns(stretches, until_ns)
    middles = [(2 * column + 1) * until_ns // (2 * columns) for column in range(columns)]
    labels = {task_id: f"task {task_id}" for task_id in drawn}
    margin = max(map(len, labels.values()))
    rows = [f"{labels[task_id]:{margin}} |{_lane(drawn[task_id], middles)}|" for task_id in drawn]
    used = sorted({stretch.symbol for stretch in stretches}, key=list(_WORDS).index)
    legend = ", ".join(f"{symbol} {_WORDS[symbol]}" for symbol in used)
    return [*rows, f"{'':{margin}}  0{f'{format_ms(until_ns)} ms':>{max(columns - 1, 8)}}   {legend}"]


def _stretches(trace: Trace, task_id: int, until_ns: int) -> Iterator[_Stretch]:
    """Yield what happened to a task's jobs, what is drawn over the rest last."""
    traced = trace.capabilities.trace
    for job in trace.jobs_of(task_id):
        begin_ns = job.start_ns if job.release_ns is None else job.release_ns
        if begin_ns is not None and begin_ns < until_ns:
            end_ns = trace.end_ns if job.finish_ns is None else job.finish_ns
            yield _Stretch(begin_ns, min(end_ns, until_ns), "-" if traced else "=")
    for span in trace.gantt:
        if span.task_id == task_id and span.start_ns < until_ns:
            yield _Stretch(span.start_ns, min(span.end_ns, until_ns), "#")


def _columns(stretches: Sequence[_Stretch], until_ns: int) -> int:
    """Return how many columns there are: a whole number per unit of time, if that fits."""
    unit_ns = math.gcd(until_ns, *(time_ns for each in stretches for time_ns in each[:2]))
    units = until_ns // unit_ns
    return units * min(_ZOOM, _WIDTH // units) if units <= _WIDTH else _WIDTH


def _lane(stretches: Sequence[_Stretch], middles: Sequence[int]) -> str:
    row = [" "] * len(middles)
    for begin_ns, end_ns, symbol in stretches:
        first = min(bisect_left(middles, begin_ns), len(middles) - 1)
        last = max(bisect_left(middles, end_ns), first + (end_ns > begin_ns))
        row[first:last] = symbol * (last - first)
    return "".join(row)
