"""`taskgen calibrate`: measure how long programs compute on a target, and store it as a workload table."""

import random
from contextlib import ExitStack
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taskgen.cli import options
from taskgen.cli.bench_options import Dialect
from taskgen.cli.check_options import Seed
from taskgen.cli.run import open_document
from taskgen.cli.where import session_options, stand_for
from taskgen.errors import UsageError
from taskgen.output import check_writable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskgen.bench.calibration import Fitted

_WHAT, _OUT = "What to measure", "What comes out"


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r:.60} is no list of whole numbers such as 100,1000,10000") from None


def _share(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r:.60} is no share in percent") from None


Target = Annotated[
    str, typer.Option("--target", metavar="NAME", help="sim, sim:PROFILE, a name of the inventory, or an address.")
]
Programs = Annotated[
    list[str],
    typer.Option("--program", metavar="NAME", help="A program: pi, linpack, ...; repeatable.", rich_help_panel=_WHAT),
]
Arguments = Annotated[
    Any,
    typer.Option(
        metavar="N,N,...",
        parser=_numbers,
        help="Values of config.arg1 to measure at; default: found by growing until a job takes --max-ms.",
        rich_help_panel=_WHAT,
    ),
]
Repeat = Annotated[int, typer.Option(metavar="N", min=1, help="Jobs per argument.", rich_help_panel=_WHAT)]
MaxMs = Annotated[int, typer.Option(metavar="MS", min=1, help="No job that takes longer.", rich_help_panel=_WHAT)]
Bound = Annotated[
    Decimal,
    typer.Option(
        metavar="PERCENT",
        parser=_share,
        help="How far a curve may be off at any point; it isn't stored if it is.",
        rich_help_panel=_WHAT,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE.toml",
        help="Write the table here, whole; default: .taskgen/calibrations/TARGET.toml.",
        rich_help_panel=_OUT,
    ),
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE.svg|.png", help="Draw the points and curves.", rich_help_panel=_OUT)
]


def calibrate(  # one parameter per option of the command line
    target: Target,
    program: Programs,
    arguments: Arguments = None,
    repeat: Repeat = 5,
    max_ms: MaxMs = 1000,
    bound: Bound = Decimal(5),
    seed: Seed = None,
    session: options.Session = None,
    profile: options.Profile = None,
    cores: options.Cores = None,
    workload: options.Workload = None,
    execution: options.Execution = None,
    binaries: options.Binaries = None,
    port: options.Port = None,
    dialect: Dialect = None,
    inventory: options.Inventory = None,
    output: Output = None,
    plot: Plot = None,
    as_json: options.AsJson = False,
    debug: options.Debug = False,
) -> int:
    """Measure the execution time of programs on a target as a function of config.arg1, and store a workload table.

    Example: taskgen calibrate --target board --program pi

    Example: taskgen calibrate --target 10.0.0.7 --program linpack --arguments 10,50,100,200 -o pi4.toml

    Exit code 0: every curve fits, and is stored; 1: one doesn't, so it isn't; 75: the target was lost.
    """
    del debug  # main() looks at it
    from taskgen.bench import calibrated, calibration

    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    effort = calibration.Effort(repeat, max_ms, seed, arguments, bound)
    _check_places(output, plot)
    given = session_options(
        profile=profile,
        cores=cores,
        workload=workload,
        execution=execution,
        binaries=binaries,
        port=port,
        dialect=dialect,
    )
    with ExitStack() as stack:
        sink = open_document(stack, None, to_stdout=as_json)
        stand = stack.enter_context(stand_for(target, session, given, seed, inventory))
        path = calibrated.path_of(stand.target) if output is None else output
        typer.echo(f"calibrate {stand.target}: seed {seed}", err=True)
        generation = stand.generation or ("ideal" if stand.target.session == "sim" else "")
        fitted = calibration.calibrate(
            stand, list(dict.fromkeys(program)), effort, notify=lambda line: typer.echo(line, err=True)
        )
        document = calibrated.document(stand.target, generation, fitted, effort)
        stored = calibrated.write(path, document)
        if sink is None:
            _show(fitted)
        else:
            from taskgen.document import encode

            sink.write(encode(document) + "\n")
            sink.flush()
        if plot is not None:
            from taskgen.bench.calibration_plot import write_plot

            write_plot(fitted, plot)
    if stored:
        typer.echo(f"stored {', '.join(stored)} in {path}", err=True)
    misfits = [each for each in fitted if _told_of_misfit(each)]
    return int(bool(misfits))


def _check_places(output: Path | None, plot: Path | None) -> None:
    if output is not None:
        if output.suffix != ".toml":
            raise UsageError(f"{output}: expected FILE.toml, as --workload reads it")
        check_writable(output)
    if plot is not None:
        from taskgen.report.gantt import check_gantt

        check_gantt(plot)


def _told_of_misfit(fitted: "Fitted") -> bool:
    """Say in one line that a curve doesn't fit."""
    worst = fitted.misfit
    if worst is not None:
        typer.echo(
            f"{fitted.program}: no curve through {len(fitted.residuals)} points fits: {worst.percent} % off at argument"
            f" {worst.argument}, expected at most {fitted.bound_percent} %; it isn't stored",
            err=True,
        )
    return worst is not None


def _show(fitted: "Iterable[Fitted]") -> None:
    from rich import box
    from rich.table import Table

    from taskgen.monitors.stdout import plain_console
    from taskgen.units import format_ms

    console = plain_console()
    for each in fitted:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for title in ("arg1", "measured ms", "predicted ms", "residual %", "jobs"):
            table.add_column(title, justify="right")
        for row in each.residuals:
            times = format_ms(row.measured_ns), format_ms(row.predicted_ns)
            table.add_row(str(row.argument), *times, str(row.percent), str(len(row.samples_ns)))
        console.print(f"{each.program}: {each.curve}", soft_wrap=True)
        console.print(table)
        console.print(f"residuals: at most {each.max_percent} %, RMS {each.rms_percent} %\n")
