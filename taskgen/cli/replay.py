"""`taskgen replay`: counterexamples once more, on any target; or a recorded run, offline."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from taskgen import registry
from taskgen.cli import options
from taskgen.cli.run import open_document
from taskgen.cli.where import session_options
from taskgen.errors import UsageError


def replay(  # one parameter per option of the command line
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Counterexamples, or folders of them; default: all of .taskgen/counterexamples.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="NAME", help="Where to run, instead of where each was found."),
    ] = None,
    repeat: Annotated[int, typer.Option(metavar="K", min=1, help="Run each K times: agree, disagree, or flaky.")] = 1,
    wire: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A log that `taskgen run --wire-log FILE` has written.")
    ] = None,
    session: options.Session = None,
    horizon: options.Horizon = None,
    policy: options.Policy = None,
    profile: options.Profile = None,
    cores: options.Cores = None,
    migration: options.Migration = None,
    binaries: options.Binaries = None,
    dialect: Annotated[
        str | None, typer.Option(metavar="G", help="The generation of the boards, where they don't tell it.")
    ] = None,
    port: options.Port = None,
    inventory: options.Inventory = None,
    as_json: options.AsJson = False,
    output: options.Output = None,
    debug: options.Debug = False,
) -> int:
    """Run counterexamples of `taskgen check` again, each once, and say whether they still are some.

    Example: taskgen replay

    Example: taskgen replay .taskgen/counterexamples/job_counts-0123456789abcdef.json --target board

    Example: taskgen replay --wire wire.log

    Each runs on the target, and with the options, that it was found with; --target replaces both, and other options
    count more than what was stored. Exit code 1: one is confirmed; 75: one has no verdict; 0: none is confirmed, also
    where nothing is stored. With --wire: print the messages and events of a recorded run, errors included.
    """
    del debug  # main() looks at it
    if wire is not None:
        if files or target is not None:
            raise UsageError("--wire is offline: it takes no counterexamples and no target", hint="leave them out")
        for line in registry.load("replays", "wire")(wire):
            typer.echo(line)
        return 0
    given = session_options(
        policy=policy, profile=profile, cores=cores, migration=migration, binaries=binaries, port=port,
        dialect=dialect,
    )  # fmt: skip
    from taskgen.cli.replays import Again, Replays

    with ExitStack() as stack:
        sink = open_document(stack, output, to_stdout=as_json)
        again = Again(target, session, given, horizon, inventory)
        runs = stack.enter_context(Replays(again))
        code = runs.run(files, repeat)
        if sink is not None:
            sink.write(runs.document())
            sink.flush()
    return code
