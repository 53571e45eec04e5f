"""Gantt charts: the literature's conventions, deterministic, one clear line where they can't be drawn."""

import struct
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from taskgen import Capabilities, Event, EventType, TaskSet, Trace
from taskgen.errors import InputError, UsageError
from taskgen.horizon import Horizon
from taskgen.parameters import parameters_of
from taskgen.report.gantt import check_gantt, draw_gantt, rows_of, write_gantt
from taskgen.session import Plan
from taskgen.trace import Overhead

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")

MS = 1_000_000
PAIR = TaskSet([{"pkg": "hey", "period": 10, "executiontime": 4}, {"pkg": "pi", "period": 20, "executiontime": 8}])


def trace_of(taskset: TaskSet, *rows: tuple[int, str, int, int, int | None], cores: int = 1) -> Trace:
    trace = Trace(parameters_of(taskset), capabilities=Capabilities(trace=True, cores=cores))
    trace.extend(Event(time_ms * MS, EventType(kind), task, job, core) for time_ms, kind, task, job, core in rows)
    return trace


def met() -> Trace:
    """Two tasks by rate: 0 runs 0..4 and 10..14, 1 runs 4..10 and 14..16."""
    return trace_of(
        PAIR,
        (0, "RELEASE", 0, 0, None), (0, "RELEASE", 1, 0, None), (0, "DISPATCH", 0, 0, 0), (4, "EXIT", 0, 0, 0),
        (4, "DISPATCH", 1, 0, 0), (10, "RELEASE", 0, 1, None), (10, "PREEMPT", 1, 0, 0), (10, "DISPATCH", 0, 1, 0),
        (14, "EXIT", 0, 1, 0), (14, "RESUME", 1, 0, 0), (16, "EXIT", 1, 0, 0),
    )  # fmt: skip


def missed() -> Trace:
    """Task 0 is late: it runs 8..12 with its deadline at 10; job 1 is killed."""
    return trace_of(
        PAIR,
        (0, "RELEASE", 0, 0, None), (8, "DISPATCH", 0, 0, 0), (10, "DEADLINE_MISS", 0, 0, 0), (12, "EXIT", 0, 0, 0),
        (12, "RELEASE", 0, 1, None), (12, "DISPATCH", 0, 1, 0), (13, "EXIT_CRITICAL", 0, 1, 0),
    )  # fmt: skip


def switching() -> Trace:
    """As `met`, but at 10 the scheduler runs for 1 ms, and the switch to task 0 takes 2 ms."""
    trace = met()
    paid = [
        Overhead(0, None, None, 10 * MS, 11 * MS, "scheduler"),
        Overhead(0, 0, 1, 11 * MS, 13 * MS, "context_switch"),
    ]
    trace.finish(Plan(tuple(trace.tasks.values()), PAIR, Horizon(16 * MS, "requested"), None, False, bool, paid))
    return trace


def svg(trace: Trace, path: Path, window_ms: object = 1000) -> str:
    write_gantt(trace, path, window_ms=window_ms)
    return path.read_text(encoding="utf-8")


def boxes(trace: Trace, window_ms: object = 1000) -> dict[float, list[tuple[float, float]]]:
    """Return the (start, end) in ms of all boxes by the height of their row."""
    (axes,) = draw_gantt(trace, window_ms=window_ms).axes
    found: dict[float, list[tuple[float, float]]] = {}
    for collection in axes.collections:
        for path in collection.get_paths():
            (left, low), (right, high) = path.get_extents().get_points()
            if right > left and high > low:
                found.setdefault(round(low, 6), []).append((left, right))
    return {height: sorted(spans) for height, spans in sorted(found.items(), reverse=True)}


def test_boxes_stand_where_tasks_ran_and_idle_is_empty() -> None:
    first, second = boxes(met()).values()
    assert first == [(0, 4), (10, 14)]
    assert second == [(4, 10), (14, 16)]


def test_what_runs_after_a_deadline_is_a_part_of_its_own() -> None:
    (spans,) = boxes(missed()).values()
    assert spans == [(8, 10), (10, 12), (12, 13)]


def test_overheads_have_a_row_per_core_and_a_switch_stands_before_its_job_too(tmp_path: Path) -> None:
    first, second, core = boxes(switching()).values()
    assert first == [(0, 4), (11, 13), (13, 14)]
    assert second == [(4, 10), (14, 16)]
    assert core == [(10, 11), (11, 13)]
    text = svg(switching(), tmp_path / "paid.svg")
    for label in ("scheduler", "context switch", "core 0"):
        assert f">{label}<" in text
        assert f">{label}<" not in svg(met(), tmp_path / "free.svg")
    assert ">migration<" not in text


def test_overheads_end_with_the_window() -> None:
    *_, core = boxes(switching(), window_ms=12).values()
    assert core == [(10, 11), (11, 12)]
    assert len(boxes(switching(), window_ms=10)) == 2  # no overhead, no row for it


def test_rows_go_by_priority_then_by_deadline_then_by_id() -> None:
    taskset = TaskSet(
        [{"period": 9, "deadline": 9}, {"period": 5, "priority": 7}, {"period": 7, "priority": 128}, {"priority": 2}]
    )
    assert rows_of(Trace(parameters_of(taskset))) == [3, 1, 2, 0]


def test_the_legend_explains_what_occurs_and_nothing_else(tmp_path: Path) -> None:
    met_text, missed_text = svg(met(), tmp_path / "met.svg"), svg(missed(), tmp_path / "missed.svg")
    for label in ("release", "deadline", "completion", "time in ms", "task 0 hey", "task 1 pi"):
        assert f">{label}<" in met_text
    for label in ("missed deadline", "after its deadline", "killed"):
        assert f">{label}<" in missed_text
        assert f">{label}<" not in met_text


def test_several_cores_are_told_apart_by_colour_and_number(tmp_path: Path) -> None:
    rows = [(0, "DISPATCH", 0, 0, 0), (0, "DISPATCH", 1, 0, 1), (4, "EXIT", 0, 0, 0), (8, "EXIT", 1, 0, 1)]
    text = svg(trace_of(PAIR, *rows, cores=2), tmp_path / "cores.svg")
    assert ">core 0<" in text
    assert ">core 1<" in text
    assert text.count(">1<") >= 1


def test_jobs_of_a_target_that_does_not_trace_are_drawn_as_lives(tmp_path: Path) -> None:
    trace = Trace(parameters_of(PAIR), capabilities=Capabilities(trace=False, job_numbers="starts"))
    trace.extend([Event(2 * MS, EventType.START, 0, 0, None), Event(5 * MS, EventType.EXIT, 0, 0, None)])
    assert list(boxes(trace).values()) == [[(2, 5)]]
    assert "alive (running is not traced)" in svg(trace, tmp_path / "board.svg")


def test_the_same_trace_gives_the_same_svg(tmp_path: Path) -> None:
    assert svg(missed(), tmp_path / "one.svg") == svg(missed(), tmp_path / "two.svg")
    assert "dc:date" not in (tmp_path / "one.svg").read_text(encoding="utf-8")


def test_a_long_run_is_cut_to_the_window(tmp_path: Path) -> None:
    text = svg(met(), tmp_path / "cut.svg", window_ms=Decimal("12.5"))
    assert "the first 12.5 of 16.0 ms" in text
    assert list(boxes(met(), window_ms=Decimal("12.5")).values()) == [[(0, 4), (10, 12.5)], [(4, 10)]]


def test_a_png_is_a_picture_of_some_size(tmp_path: Path) -> None:
    write_gantt(met(), tmp_path / "chart.PNG")
    data = (tmp_path / "chart.PNG").read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 1000
    assert height > 200


def test_an_empty_trace_and_a_program_with_dollars_are_drawn(tmp_path: Path) -> None:
    svg(Trace(), tmp_path / "empty.svg")
    text = svg(Trace(parameters_of(TaskSet([{"pkg": "a$\\frac$ <b>", "period": 5}]))), tmp_path / "dollars.svg")
    assert "a$\\frac$ &lt;b&gt;" in text


@pytest.mark.parametrize("name", ["chart.pdf", "chart", "chart.svg.gz"])
def test_another_suffix_is_refused_before_anything_is_drawn(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected \.svg or \.png"):
        write_gantt(met(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("window_ms", [0, -1, "soon"])
def test_a_window_that_shows_nothing_is_refused(window_ms: object, tmp_path: Path) -> None:
    with pytest.raises((UsageError, InputError), match="window"):
        write_gantt(met(), tmp_path / "chart.svg", window_ms=window_ms)
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match="needs matplotlib") as caught:
        check_gantt("chart.svg")
    assert caught.value.hint == "pip install 'rt-taskgen[plot]'"


def test_drawing_leaves_pyplot_and_its_global_state_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from taskgen import Trace; assert 'matplotlib' not in sys.modules;"
        f"Trace().write_gantt({str(tmp_path / 'chart.svg')!r}); sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "error", "-c", code]).returncode == 0
