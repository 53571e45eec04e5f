"""A calibration as a picture: what was measured, and the curves through it; needs the extra `plot`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from taskgen.bench.calibration import Fitted
from taskgen.output import whole_file
from taskgen.report.gantt import check_gantt
from taskgen.units import NS_PER_MS

#: Okabe & Ito, "Color Universal Design" (2008).
_PALETTE: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
_MARKERS: Final = "os^vDP"
_STEPS: Final = 200


def write_plot(fitted: Sequence[Fitted], path: Path) -> None:
    """Draw programs as SVG or PNG, by suffix: each sample a point, each curve a line, from START to EXIT.

    Raises:
        UsageError: another suffix, no matplotlib, or an unwritable place.
    """
    kind = check_gantt(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for number, each in enumerate(fitted):
        colour, marker = _PALETTE[number % len(_PALETTE)], _MARKERS[number % len(_MARKERS)]
        _draw(axes, each, colour, marker)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("config.arg1")
    axes.set_ylabel("START to EXIT, ms")
    axes.set_ylim(bottom=0)
    axes.legend()
    metadata = {"Date": None, "Creator": "taskgen"} if kind == "svg" else {"Software": "taskgen"}
    with whole_file(path, "wb") as file, mpl.rc_context({"svg.hashsalt": "taskgen", "svg.fonttype": "none"}):
        figure.savefig(file, format=kind, metadata=metadata)


def _draw(axes: Any, fitted: Fitted, colour: str, marker: str) -> None:
    samples = [(each.argument, sample_ns / NS_PER_MS) for each in fitted.residuals for sample_ns in each.samples_ns]
    axes.plot(*zip(*samples, strict=True), marker, color=colour, markersize=4, fillstyle="none", linestyle="none")
    low, high = fitted.residuals[0].argument, fitted.residuals[-1].argument
    # A picture may round: what the table counts before START is the first point's difference.
    before_ns = fitted.curve.execution_ns(low) - fitted.residuals[0].predicted_ns
    ratio = (high + 1) / (low + 1)
    arguments = sorted({round((low + 1) * ratio ** (step / _STEPS)) - 1 for step in range(_STEPS + 1)})
    times_ms = [(fitted.curve.execution_ns(each) - before_ns) / NS_PER_MS for each in arguments]
    axes.plot(arguments, times_ms, "-", color=colour, label=f"{fitted.program}: {fitted.curve}")
