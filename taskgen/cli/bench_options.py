"""The options of `taskgen bench` that no other command has, with the words of its help."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from taskgen import registry

_WHAT, _HOW, _OUT = "What to measure", "How to measure it", "What comes out"


def _suites(incomplete: str) -> list[str]:
    return [name for name in registry.names("suites") if name.startswith(incomplete)]


def _seconds(text: str) -> Decimal:
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r:.60} is not a number of seconds") from None
    if not seconds.is_finite() or not Decimal("0.001") <= seconds <= 10**7:
        raise typer.BadParameter(f"{text!r:.60} is out of range, expected 0.001..10000000 seconds")
    return seconds


Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="sim (default), sim:PROFILE, board (the inventory's pool), another name of it, or an address.",
        show_default=False,
        rich_help_panel=_WHAT,
    ),
]
Suites = Annotated[
    list[str] | None,
    typer.Option(
        "--suite",
        metavar="NAME",
        help="A suite: see --list; package.module:NAME or path/file.py:NAME; repeatable. Default: all but soak.",
        show_default=False,
        rich_help_panel=_WHAT,
        autocompletion=_suites,
    ),
]
ListSuites = Annotated[
    bool, typer.Option("--list", help="List the suites: what they ask, and their metrics.", rich_help_panel=_WHAT)
]
Repeat = Annotated[int, typer.Option(metavar="N", min=1, help="Runs of each case that count.", rich_help_panel=_HOW)]
WarmUp = Annotated[
    int, typer.Option("--warmup", metavar="N", min=0, help="Runs of each case before those.", rich_help_panel=_HOW)
]
Seed = Annotated[
    int,
    typer.Option(
        metavar="S", help="Of the order of runs, and of a simulator: S for the first repetition.", rich_help_panel=_HOW
    ),
]
Duration = Annotated[
    Decimal,
    typer.Option(metavar="S", parser=_seconds, help="How long soak runs, in seconds.", rich_help_panel=_HOW),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="How long programs compute there (`taskgen calibrate`); default: the calibration of the target, if there "
        "is one.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="sim[:PROFILE]",
        help="Print what the simulator predicts per task beside what was measured.",
        show_default=False,
        rich_help_panel=_OUT,
    ),
]
Dialect = Annotated[
    str | None,
    typer.Option(
        metavar="G",
        help="The generation of the boards, where their answers leave it open: G1, G1o, ...",
        show_default=False,
        rich_help_panel="How to run it",
    ),
]
Compare = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Compare with this result: a file, or one of .taskgen/bench: latest, a number, a name.",
        show_default=False,
        rich_help_panel=_OUT,
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Compare with this baseline.", show_default=False, rich_help_panel=_OUT
    ),
]  # fmt: skip
SaveBaseline = Annotated[
    str | None,
    typer.Option(
        "--save-baseline", metavar="NAME", help="Keep the result as this baseline, too.", show_default=False,
        rich_help_panel=_OUT,
    ),
]  # fmt: skip
