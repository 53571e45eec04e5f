"""`taskgen list`: the names that can be used, with what they stand for."""

import inspect
import json
import sys
from contextlib import redirect_stdout
from types import ModuleType
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table

from taskgen import registry
from taskgen.cli import options
from taskgen.cli.target_list import list_targets
from taskgen.errors import UsageError
from taskgen.monitors.stdout import plain_console

#: What can be listed, and the entry-point group that holds it; targets are what sessions run on.
LISTS = {
    "tasksets": "tasksets",
    "blocks": "blocks",
    "monitors": "monitors",
    "sessions": "sessions",
    "targets": "sessions",
    "policies": "policies",
    "workloads": "workloads",
}


def _complete(incomplete: str) -> list[str]:
    return [name for name in LISTS if name.startswith(incomplete)]


def list_names(
    what: Annotated[
        str | None, typer.Argument(help=f"One of: {', '.join(LISTS)}.", show_default=False, autocompletion=_complete)
    ] = None,
    tasksets: Annotated[bool, typer.Option("-t", help="List task-sets.")] = False,
    monitors: Annotated[bool, typer.Option("-m", help="List monitors.")] = False,
    sessions: Annotated[bool, typer.Option("-s", help="List sessions.")] = False,
    probe: Annotated[bool, typer.Option("--probe", help="With targets: look which boards are there.")] = False,
    inventory: options.Inventory = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    debug: Annotated[bool, typer.Option("-d", "--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """List what can be named on the command line.

    Example: taskgen list tasksets
    """
    del debug  # main() looks at it
    flags = {"tasksets": tasksets, "monitors": monitors, "sessions": sessions}
    chosen = ([what] if what else []) + [name for name, given in flags.items() if given]
    if len(chosen) != 1:
        raise UsageError("list what?" if not chosen else "list one thing at a time", hint=f"one of: {', '.join(LISTS)}")
    name = chosen[0]
    if name not in LISTS:
        raise UsageError(f"there is no list of {name!r}", hint=f"one of: {', '.join(LISTS)}")
    if name != "targets" and (probe or inventory is not None):
        raise UsageError(f"{'--probe' if probe else '--inventory'} is for targets", hint="taskgen list targets --probe")
    with redirect_stdout(sys.stderr):  # plug-ins are imported, and may print
        rows = [(entry, _summary(LISTS[name], entry)) for entry in registry.names(LISTS[name])]
        combinations = _combinations() if name == "policies" else []
    if name == "targets":
        list_targets(dict(rows), file=inventory, probe=probe, as_json=as_json)
        return
    if as_json:
        document: dict[str, Any] = {name: [{"name": entry, "summary": text} for entry, text in rows]}
        if combinations:
            document["combinations"] = combinations
        typer.echo(json.dumps(document))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(name, no_wrap=True)
    table.add_column("what it is", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = plain_console()
    console.print(table)
    for number, combination in enumerate(combinations, 1):
        console.print(f"\nthese go together ({number} of {len(combinations)}):")
        for option, values in combination.items():
            console.print(f"  {option:<11} {values}", soft_wrap=True)


def _combinations() -> list[dict[str, str]]:
    """Return which options of the simulator go together, as it says itself; a session without such a table has none."""
    support = getattr(registry.load("sessions", "sim"), "support", None)
    return support() if callable(support) else []


def _summary(group: str, name: str) -> str:
    """Return the first sentence that the thing says of itself."""
    value = registry.load(group, name)
    if isinstance(value, dict):
        return str(value)
    own = inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, ModuleType)
    text = inspect.getdoc(value) if own else _of_instance(value)
    return (text or "").strip().split("\n\n")[0].replace("\n", " ")


def _of_instance(value: Any) -> str:
    programs = getattr(value, "programs", None)
    return f"programs: {', '.join(sorted(programs))}" if programs else (inspect.getdoc(type(value)) or "")
