"""Gantt charts, as the real-time literature draws them, as SVG or PNG.

One row per task, the most urgent on top; boxes where the task runs, nothing where it doesn't. An arrow up is a
release, an arrow down an absolute deadline (both full height, so with D = T they meet), a circle a completion, a cross
a kill. A missed deadline is red, and what runs after it is red and hatched. What scheduling costs is grey: in a row per
core below the tasks, and, where it serves a job (a switch to it, its migration), in the row of that task as well.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from taskgen.errors import UsageError
from taskgen.events import EventType
from taskgen.output import whole_file
from taskgen.parameters import NO_PRIORITY, Parameters
from taskgen.report.export import task_label
from taskgen.trace import Job, Span, Trace
from taskgen.units import NS_PER_MS, format_ms, to_ns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
#: What is drawn of a long run unless somebody asks for more.
WINDOW_MS = 1000

#: Okabe & Ito, "Color Universal Design" (2008), without the reds, which mean a miss here, and without black.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
#: From the seventh core on the colours repeat, with another texture.
_HATCHES = ("", "...", "xxx", "---", "+++", "ooo")
_RED = "#C8102E"
_INK = "#222222"
_GREY = "#8A8A8A"

#: Heights inside a row: the base line is 0, the arrows end at 1, and there is air above.
_BOX, _TOP, _ROW = 0.62, 1.0, 1.32
#: Rows of cores have no arrows, so they are lower.
_CORE_BOX, _CORE_ROW = 0.4, 0.62

_KILLS = (
    EventType.EXIT_CRITICAL, EventType.EXIT_PERIOD, EventType.EXIT_ERROR, EventType.OUT_OF_QUOTA, EventType.OUT_OF_CAPS,
)  # fmt: skip

#: Kinds of overhead: greys that hatches tell apart, without the one that means late.
_OVERHEADS: dict[str, dict[str, Any]] = {
    "scheduler": {"facecolor": "#6E6E6E", "edgecolor": _INK},
    "context_switch": {"facecolor": "#BDBDBD", "edgecolor": _INK},
    "migration": {"facecolor": "#E6E6E6", "edgecolor": "#5A5A5A", "hatch": "xxxxx"},
}
_OTHER_OVERHEAD: dict[str, Any] = {"facecolor": "#D2D2D2", "edgecolor": _INK, "hatch": "....."}


class _Mark(NamedTuple):
    """Points of one kind: where in the row, which matplotlib marker, what the legend says."""

    points: Callable[[Job], int | None]
    height: float
    marker: str
    colour: str
    fill: str
    label: str
    size: float = 5.0
    stem: bool = False


_MARKS = (
    _Mark(lambda job: job.release_ns, _TOP, "^", _INK, _INK, "release", 6.0, stem=True),
    _Mark(lambda job: None if job.missed else _due(job), 0.0, "v", _INK, _INK, "deadline", 6.0, stem=True),
    _Mark(lambda job: _due(job) if job.missed else None, 0.0, "v", _RED, _RED, "missed deadline", 6.0, stem=True),
    _Mark(lambda job: _ended(job, EventType.EXIT), _BOX, "o", _INK, "white", "completion"),
    _Mark(lambda job: _ended(job, *_KILLS), _BOX / 2, "X", "white", _RED, "killed", 9.0),
    _Mark(lambda job: _ended(job, EventType.EXIT_EXTERNAL), _BOX / 2, "s", _INK, "white", "cut off"),
    _Mark(lambda job: _ended(job, EventType.NOT_SCHEDULED), _BOX / 2, "x", _INK, _INK, "not scheduled", 7.0),
)


def _ended(job: Job, *outcomes: EventType) -> int | None:
    return job.finish_ns if job.outcome in outcomes else None


def _due(job: Job) -> int | None:
    return None if job.outcome is EventType.NOT_SCHEDULED else job.deadline_ns


def check_gantt(path: str | Path) -> str:
    """Return the format that a chart at `path` has, before anything is run.

    Raises:
        UsageError: the suffix is neither .svg nor .png, or matplotlib is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{path}: the suffix {suffix!r} is no picture that can be drawn, expected .svg or .png",
            hint="name the file schedule.svg or schedule.png",
        )
    try:
        import matplotlib.figure  # noqa: F401  # drawing itself comes after the run, when it would be too late
    except ImportError as error:
        raise UsageError(
            f"{path}: drawing needs matplotlib, which can't be imported: {error}",
            hint="pip install 'rt-taskgen[plot]'",
        ) from None
    return suffix[1:]


def write_gantt(trace: Trace, path: Path, *, window_ms: object = WINDOW_MS) -> None:
    """Draw the first `window_ms` milliseconds of a trace as SVG or PNG, by suffix. The same trace gives the same SVG.

    Raises:
        UsageError: another suffix, no matplotlib, an unwritable place, or a window that is no time above 0.
    """
    kind = check_gantt(path)
    import matplotlib as mpl

    figure = draw_gantt(trace, window_ms=window_ms)
    metadata = {"Date": None, "Creator": "taskgen"} if kind == "svg" else {"Software": "taskgen"}
    with whole_file(Path(path), "wb") as file, mpl.rc_context({"svg.hashsalt": "taskgen", "svg.fonttype": "none"}):
        figure.savefig(file, format=kind, metadata=metadata)


def draw_gantt(trace: Trace, *, window_ms: object = WINDOW_MS) -> "Figure":
    """Return the chart as a matplotlib figure, for a notebook or a layout of your own.

    Raises:
        UsageError: the window is no time above 0.
    """
    window_ns = to_ns(window_ms, "window")
    if not window_ns:
        raise UsageError("window: 0 shows nothing, expected milliseconds > 0")
    from matplotlib.figure import Figure

    figure = Figure(dpi=150, layout="constrained")
    chart = _Chart(trace, figure, window_ns)
    _draw_marks(chart)
    _draw_runs(chart)
    _draw_overheads(chart)
    _draw_axes(chart)
    lines = _draw_legend(chart)
    height = 1.3 + 0.22 * lines + 0.72 * len(chart.rows) + 0.36 * len(chart.core_base)
    figure.set_size_inches(chart.width, min(height, 380.0))  # Agg draws at most 2^16 pixels
    return figure


def rows_of(trace: Trace) -> list[int]:
    """Return the ids of the tasks in the order of the rows: by priority, then those without by deadline, then by id."""
    return sorted(
        dict.fromkeys((*trace.tasks, *(job.task_id for job in trace.jobs))), key=lambda task: _rank(trace, task)
    )


def _rank(trace: Trace, task_id: int) -> tuple[int, int, int]:
    task = trace.tasks.get(task_id)
    if task is None:
        return (2, 0, task_id)
    if task.priority is not None and task.priority != NO_PRIORITY:
        return (0, task.priority, task_id)
    return (1, task.effective_deadline_ns or 1 << 63, task_id)


class _Chart:
    """One chart: the window, the rows, and what the legend has to explain."""

    def __init__(self, trace: Trace, figure: "Figure", window_ns: int) -> None:
        self.trace = trace
        self.figure = figure
        self.axes = figure.add_subplot()
        self.end_ns = min(max(trace.end_ns, 1), window_ns)
        self.rows = rows_of(trace)
        self.base = {task_id: (len(self.rows) - 1 - row) * _ROW for row, task_id in enumerate(self.rows)}
        overheads = [each for each in trace.overheads if each.start_ns < self.end_ns]
        busy = sorted({each.core for each in overheads})
        self.overheads = overheads
        self.core_base = {core: -(row + 1) * _CORE_ROW for row, core in enumerate(busy)}
        self.jobs = [job for job in trace.jobs if _first_ns(job) <= self.end_ns]
        self.cores = sorted({span.core for span in trace.gantt if span.core is not None})
        self.legend: dict[str, Any] = {}
        busiest = max(Counter(job.task_id for job in self.jobs).values(), default=0)
        self.width = min(max(9.0, 0.22 * busiest), 30.0)
        #: Lines and markers get finer where jobs come closer than a quarter of an inch.
        self.scale = min(1.0, max(0.4, self.width / (0.22 * max(busiest, 1)))) * (0.75 if busiest > 60 else 1.0)

    def shows(self, time_ns: int | None) -> bool:
        return time_ns is not None and 0 <= time_ns <= self.end_ns


def _first_ns(job: Job) -> int:
    return min((ns for ns in (job.release_ns, job.start_ns, job.arrival_ns) if ns is not None), default=0)


def _ms(ns: int) -> float:
    return ns / NS_PER_MS  # a coordinate on paper, not a time to compute with


def _draw_runs(chart: _Chart) -> None:
    """Draw the boxes: what ran in time in its colour, what ran after its job's deadline in red."""
    deadlines = {(job.task_id, job.index): job.deadline_ns for job in chart.jobs if job.missed}
    boxes: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    late: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for span in chart.trace.gantt:
        begin_ns, end_ns = span.start_ns, min(span.end_ns, chart.end_ns)
        deadline_ns = deadlines.get((span.task_id, span.job))
        border_ns = end_ns if deadline_ns is None else min(max(deadline_ns, begin_ns), end_ns)
        if begin_ns < border_ns:
            boxes[span.task_id, _colour(chart, span)].append((begin_ns, border_ns))
        if border_ns < end_ns:
            late[span.task_id].append((border_ns, end_ns))
    for (task_id, colour), spans in boxes.items():
        _boxes(chart, chart.base[task_id], spans, **_style(colour, chart))
    for task_id, spans in late.items():
        _boxes(chart, chart.base[task_id], spans, facecolor="#FBD9DD", edgecolor=_RED, hatch="/////")
    if late:
        _explain(chart, "after its deadline", facecolor="#FBD9DD", edgecolor=_RED, hatch="/////")
    if len(chart.cores) > 1:
        for number, core in enumerate(chart.cores):
            _explain(chart, f"core {core}", **_style(number, chart))
        _name_cores(chart)
    if not chart.trace.gantt:
        _draw_lives(chart)


def _colour(chart: _Chart, span: Span) -> int:
    """Colour by core where there are several, else by task."""
    if len(chart.cores) > 1 and span.core is not None:
        return chart.cores.index(span.core)
    return chart.rows.index(span.task_id)


def _style(number: int, chart: _Chart) -> dict[str, Any]:
    texture, colour = divmod(number, len(_PALETTE))
    hatch = _HATCHES[texture % len(_HATCHES)] if len(chart.cores) > 1 else ""
    return {"facecolor": _PALETTE[colour], "edgecolor": _INK, "hatch": hatch}


def _draw_lives(chart: _Chart) -> None:
    """Draw jobs from start to end where nobody knows when they ran in between."""
    lives: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for job in chart.jobs:
        if job.start_ns is not None and job.finish_ns is not None:
            lives[job.task_id].append((job.start_ns, min(job.finish_ns, chart.end_ns)))
    for task_id, spans in lives.items():
        _boxes(chart, chart.base[task_id], spans, facecolor="#F2F2F2", edgecolor=_GREY, hatch="....")
    if lives:
        _explain(chart, "alive (running is not traced)", facecolor="#F2F2F2", edgecolor=_GREY, hatch="....")


def _name_cores(chart: _Chart) -> None:
    """Write the core into the boxes that have room for it."""
    room_ns = chart.end_ns * 0.2 / chart.width
    for span in chart.trace.gantt:
        end_ns = min(span.end_ns, chart.end_ns)
        if span.core is not None and end_ns - span.start_ns > room_ns:
            chart.axes.text(
                _ms((span.start_ns + end_ns) // 2), chart.base[span.task_id] + _BOX / 2, str(span.core),
                ha="center", va="center", fontsize="x-small", zorder=4,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
            )  # fmt: skip


def _draw_overheads(chart: _Chart) -> None:
    rows: dict[tuple[str, float, float], list[tuple[int, int]]] = defaultdict(list)
    for each in chart.overheads:
        stretch = (each.start_ns, min(each.end_ns, chart.end_ns))
        rows[each.kind, chart.core_base[each.core], _CORE_BOX].append(stretch)
        if each.task_id in chart.base:
            rows[each.kind, chart.base[each.task_id], _BOX].append(stretch)
    kinds = [*_OVERHEADS, *sorted({each.kind for each in chart.overheads} - _OVERHEADS.keys())]
    for (kind, base, height), stretches in sorted(rows.items(), key=lambda row: kinds.index(row[0][0])):
        style = _OVERHEADS.get(kind, _OTHER_OVERHEAD)
        _boxes(chart, base, stretches, height, **style)
        _explain(chart, kind.replace("_", " "), **style)


def _boxes(chart: _Chart, base: float, spans: Iterable[tuple[int, int]], height: float = _BOX, **style: Any) -> None:
    ranges = [(_ms(begin), _ms(end - begin)) for begin, end in spans]
    chart.axes.broken_barh(ranges, (base, height), linewidth=0.6 * chart.scale, zorder=2, **style)


def _explain(chart: _Chart, label: str, **style: Any) -> None:
    from matplotlib.patches import Patch

    chart.legend[label] = Patch(linewidth=0.6, label=label, **style)


def _draw_marks(chart: _Chart) -> None:
    for mark in _MARKS:
        points = [
            (ns, chart.base[job.task_id])
            for job in chart.jobs
            if (ns := mark.points(job)) is not None and chart.shows(ns)
        ]
        if points:
            _draw_mark(chart, mark, points)


def _draw_mark(chart: _Chart, mark: _Mark, points: list[tuple[int, float]]) -> None:
    from matplotlib.lines import Line2D

    xs = [_ms(ns) for ns, _ in points]
    red = mark.colour == _RED
    style: dict[str, Any] = {
        "marker": mark.marker,
        "markersize": mark.size * chart.scale,
        "markerfacecolor": mark.fill,
        "markeredgecolor": mark.colour,
        "markeredgewidth": 0.0 if mark.stem else 0.9 * chart.scale,
    }
    if mark.stem:
        bases = [base for _, base in points]
        tops = [base + _TOP for _, base in points]
        width = (1.8 if red else 1.0) * chart.scale
        chart.axes.vlines(xs, bases, tops, colors=mark.colour, linewidth=width, zorder=4 if red else 3)
    # The head of an arrow ends where the arrow does, so it is moved inwards by half its size.
    inwards = {"^": -0.06, "v": 0.06}.get(mark.marker, 0.0) * chart.scale
    ys = [base + mark.height + inwards for _, base in points]
    chart.axes.plot(xs, ys, linestyle="none", zorder=6 if red else 5, clip_on=False, **style)
    chart.legend[mark.label] = Line2D([], [], linestyle="none", label=mark.label, **style)


def _draw_axes(chart: _Chart) -> None:
    from matplotlib.ticker import AutoMinorLocator

    axes = chart.axes
    end = _ms(chart.end_ns)
    axes.set_xlim(-0.008 * end, 1.008 * end)
    axes.set_ylim(min(chart.core_base.values(), default=0.0) - 0.22, len(chart.rows) * _ROW)
    for base in (*chart.base.values(), *chart.core_base.values()):
        axes.axhline(base, color=_GREY, linewidth=0.6, zorder=1)
    _label_rows(chart)
    axes.tick_params(axis="x", colors=_INK)
    axes.xaxis.set_minor_locator(AutoMinorLocator())
    axes.grid(visible=True, axis="x", color="#E4E4E4", linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    whole = chart.end_ns == max(chart.trace.end_ns, 1)
    window = "" if whole else f": the first {format_ms(chart.end_ns)} of {format_ms(chart.trace.end_ns)} ms"
    axes.set_xlabel(f"time in ms{window}", color=_INK)


def _label_rows(chart: _Chart) -> None:
    """Name each row: id and program, and below them, small, P, C, T and D in ms as far as they are given."""
    axes = chart.axes
    tasks = chart.trace.tasks
    bases = [chart.base[task_id] for task_id in chart.rows]
    labels = [
        (base + 0.42, f"task {task_label(chart.trace, row)}") for base, row in zip(bases, chart.rows, strict=True)
    ]
    labels += [(base + _CORE_BOX / 2, f"core {core}") for core, base in chart.core_base.items()]
    axes.set_yticks([y for y, _ in labels], [label for _, label in labels])
    parameters = ["" if row not in tasks else _parameters(tasks[row]) for row in chart.rows]
    axes.set_yticks([base + 0.13 for base in bases], parameters, minor=True)
    axes.tick_params(axis="y", which="major", length=0, colors=_INK)
    axes.tick_params(axis="y", which="minor", length=0, colors="#5A5A5A", labelsize="x-small", pad=3.5)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # a program may have a $ in its name


def _parameters(task: Parameters) -> str:
    times = {"C": task.wcet_ns, "T": task.period_ns or None, "D": task.effective_deadline_ns}
    parts = [] if task.priority in {None, NO_PRIORITY} else [f"P {task.priority}"]
    parts += [f"{name} {format_ms(ns).removesuffix('.0')}" for name, ns in times.items() if ns is not None]
    return "  ".join(parts)


def _draw_legend(chart: _Chart) -> int:
    """Explain what occurs in this chart; return how many lines that takes."""
    columns = int(chart.width / 1.5)
    if chart.legend:
        chart.figure.legend(
            handles=list(chart.legend.values()),
            loc="outside upper left",
            ncols=columns,
            frameon=False,
            fontsize="small",
        )
    return -(-len(chart.legend) // columns)
