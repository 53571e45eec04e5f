"""The options of `taskgen run`, with the words of its help."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer

from taskgen import registry

_WHAT, _HOW, _OUT = "What to run", "How to run it", "What comes out"


def _milliseconds(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not a number of milliseconds") from None


def _names(group: str) -> Any:
    def complete(incomplete: str) -> list[str]:
        return [name for name in registry.names(group) if name.startswith(incomplete)]

    return complete


Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]...",
        help="sim (default), sim:PROFILE, a session's name, a name of the inventory, or an address.",
        show_default=False,
    ),
]
TaskSets = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        "--taskset",
        metavar="NAME",
        help="A task-set: example.Hey6TaskSet, package.module:Class or file.py:Class; repeatable.",
        rich_help_panel=_WHAT,
        autocompletion=_names("tasksets"),
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Option(
        "-f",
        "--file",
        metavar="FILE",
        help="A task-set file: .xml, .json or .jsonl; repeatable.",
        rich_help_panel=_WHAT,
    ),
]
Dialect = Annotated[
    str | None,
    typer.Option(
        metavar="G",
        help="With -f: the board generation that the files were written for: announced, G1, G1o, ... "
        "With -t: that of the boards.",
        rich_help_panel=_WHAT,
    ),
]
Limit = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Run the first N variants only.", rich_help_panel=_WHAT)
]
Sample = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Run N variants, drawn at random without replacement.", rich_help_panel=_WHAT
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="S", help="Seed of task-sets, samples and the simulator.", rich_help_panel=_WHAT)
]
Session = Annotated[
    str | None,
    typer.Option(
        "-s",
        "--session",
        metavar="NAME",
        help="The session for the targets; see `taskgen list sessions`.",
        rich_help_panel=_HOW,
        autocompletion=_names("sessions"),
    ),
]
Horizon = Annotated[
    Decimal | None,
    typer.Option(
        metavar="MS",
        parser=_milliseconds,
        help="How long each variant runs; default: until nothing new can happen.",
        rich_help_panel=_HOW,
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="auto, fp, rm, dm, edf, fifo, rr, llf or MODULE:CLASS.",
        rich_help_panel=_HOW,
        autocompletion=_names("policies"),
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Life cycle of jobs: ideal (textbook), or a board generation.", rich_help_panel=_HOW
    ),
]
Cores = Annotated[int | None, typer.Option(metavar="N", min=1, help="Number of cores.", rich_help_panel=_HOW)]
Migration = Annotated[str | None, typer.Option(metavar="M", help="partitioned or global.", rich_help_panel=_HOW)]
Partition = Annotated[
    str | None,
    typer.Option(metavar="P", help="Tasks without affinity: first-fit or worst-fit.", rich_help_panel=_HOW),
]
NonPreemptive = Annotated[
    bool, typer.Option("--non-preemptive", help="A job that runs is never preempted.", rich_help_panel=_HOW)
]
Overrun = Annotated[
    str | None,
    typer.Option(metavar="O", help="What becomes of a late job: continue, kill or skip.", rich_help_panel=_HOW),
]
Tie = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="Equal ranks: running (never preempt) or index (smaller id first).", rich_help_panel=_HOW
    ),
]
ContextSwitch = Annotated[
    Decimal | None,
    typer.Option(metavar="MS", parser=_milliseconds, help="Cost of a context switch.", rich_help_panel=_HOW),
]
SchedulerCost = Annotated[
    Decimal | None,
    typer.Option(metavar="MS", parser=_milliseconds, help="Cost of a scheduling decision.", rich_help_panel=_HOW),
]
MigrationCost = Annotated[
    Decimal | None,
    typer.Option(metavar="MS", parser=_milliseconds, help="Cost of resuming on another core.", rich_help_panel=_HOW),
]
Quantum = Annotated[
    Decimal | None,
    typer.Option(metavar="MS", parser=_milliseconds, help="Quantum of the policies rr and llf.", rich_help_panel=_HOW),
]
Engine = Annotated[str | None, typer.Option(metavar="E", help="simpy.", rich_help_panel=_HOW)]
Workload = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.toml", help="How long programs compute; see `taskgen list workloads`.", rich_help_panel=_HOW
    ),
]
Execution = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="How long jobs compute, in shares of C: uniform:LOW,HIGH (uniform:0.5: from C/2 to C), "
        "normal:MEAN,DEVIATION, weibull:SHAPE,SCALE,OFFSET, discrete:VALUE=WEIGHT,...; "
        "or in time: uniform:2ms,5ms, recording:FILE.",
        rich_help_panel=_HOW,
    ),
]
Admission = Annotated[
    str | None,
    typer.Option(
        metavar="GOAL",
        help="fairness, utilization or a JSON file, for targets with admission control.",
        rich_help_panel=_HOW,
    ),
]
Binaries = Annotated[
    str | None, typer.Option(metavar="DIR|none", help="Folder of the programs for a board.", rich_help_panel=_HOW)
]
Port = Annotated[
    int | None,
    typer.Option("-p", "--port", metavar="PORT", min=1, max=65535, help="Port of the boards.", rich_help_panel=_HOW),
]
Inventory = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The inventory of targets; default: TASKGEN_INVENTORY, else the nearest taskgen.toml upward.",
        rich_help_panel=_HOW,
    ),
]
WireLog = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Log every byte from and to a board.", rich_help_panel=_HOW)
]
Monitor = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--monitor",
        metavar="NAME",
        help="Who listens; repeatable; see `taskgen list monitors`.",
        rich_help_panel=_OUT,
        autocompletion=_names("monitors"),
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document on stdout, everything else on stderr.", rich_help_panel=_OUT),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Write the JSON document to a file, whole.", rich_help_panel=_OUT
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Keep each result at once in sqlite:///FILE, so that a run that was cut off can go on.",
        rich_help_panel=_OUT,
    ),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the variants whose result isn't in --store.", rich_help_panel=_OUT),
]
Gantt = Annotated[
    Path | None, typer.Option(metavar="FILE.svg|.png", help="Draw the first variant.", rich_help_panel=_OUT)
]
Trace = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json", help="Write the first variant as a Chrome trace (opens in Perfetto).", rich_help_panel=_OUT
    ),
]
Check = Annotated[
    bool, typer.Option("--check", help="Exit with 1 if a deadline was missed or a set rejected.", rich_help_panel=_OUT)
]
Debug = Annotated[bool, typer.Option("-d", "--debug", help="Show the traceback of an error.", rich_help_panel=_OUT)]
