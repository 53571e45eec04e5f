"""`taskgen replay`: look at a recorded run again, offline."""

from pathlib import Path
from typing import Annotated

import typer

from taskgen import registry
from taskgen.errors import UsageError


def replay(
    wire: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A log that `taskgen run --wire-log FILE` has written.")
    ] = None,
) -> None:
    """Print the messages and events of a recorded run, errors included; nothing is connected to.

    Example: taskgen replay --wire wire.log
    """
    if wire is None:
        raise UsageError("nothing to replay", hint="name a wire log with --wire FILE")
    for line in registry.load("replays", "wire")(wire):
        typer.echo(line)
