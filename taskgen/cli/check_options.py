"""The options of `taskgen check` that no other command has, with the words of its help."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

#: Where counterexamples are stored: `taskgen.testing.counterexample.FOLDER`, which isn't imported for a default.
FOLDER = Path(".taskgen") / "counterexamples"

#: Of the strategies; and of ms in a unit: all times that follow stay far below 2^62 ns.
_MOST_PERIODS = 10_000
_LONGEST = 1_000_000

_WHAT, _SETS, _HOW, _OUT = "What to check", "Which task-sets", "How to run it", "What comes out"


def _laws(incomplete: str) -> list[str]:
    from taskgen.testing.properties import names

    return [name for name in names() if name.startswith(incomplete)]


def _number(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not a number") from None


Properties = Annotated[
    list[str] | None,
    typer.Option(
        "--property",
        metavar="NAME",
        help="A property: see --list; package.module:name or path/file.py:name; repeatable, each by itself.",
        rich_help_panel=_WHAT,
        autocompletion=_laws,
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="sim",
        help="Compare each run with the simulator's (sim, sim:PROFILE): order of events, and missed deadlines.",
        rich_help_panel=_WHAT,
    ),
]
ListLaws = Annotated[
    bool, typer.Option("--list", help="List the properties: what they say, need and come from.", rich_help_panel=_WHAT)
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="NAME", help="As TARGET: where to run.", rich_help_panel=_HOW)
]
MaxExamples = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Judge at most N task-sets per property; default: 200, on boards 20.",
        rich_help_panel=_HOW,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="S", help="The same seed gives the same task-sets; default: a new one, which is shown.",
        rich_help_panel=_HOW,
    ),
]  # fmt: skip
Budget = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Execute at most N task-sets per property, shrinking included; default: no bound, on boards 30.",
        rich_help_panel=_HOW,
    ),
]
Tasks = Annotated[int | None, typer.Option(metavar="N", min=1, help="Sets of at most N tasks.", rich_help_panel=_SETS)]
MaxUtilization = Annotated[
    Decimal | None,
    typer.Option(metavar="U", parser=_number, help="Sets of at most this utilization.", rich_help_panel=_SETS),
]
MaxPeriod = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=_MOST_PERIODS, help="Periods of at most N units.", rich_help_panel=_SETS),
]
MaxJobs = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Tasks of at most N jobs each.", rich_help_panel=_SETS)
]
Deadlines = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="implicit, constrained or arbitrary deadlines.", rich_help_panel=_SETS),
]
Kind = Annotated[
    str | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="Tasks with priorities (FP), with deadlines (EDF), or mixed; default: whatever the target schedules.",
        rich_help_panel=_SETS,
    ),
]
Unit = Annotated[
    int | None,
    typer.Option(
        metavar="MS",
        min=1,
        max=_LONGEST,
        help="All times are whole multiples of this; default: 1, on boards 100 or more.",
        rich_help_panel=_SETS,
    ),
]  # fmt: skip
Program = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A block that each task has, such as hey.HelloWorld: the set then runs on boards, too.",
        rich_help_panel=_SETS,
    ),
]
Counterexamples = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="Where counterexamples are stored, and looked for first.", rich_help_panel=_OUT
    ),
]  # fmt: skip
