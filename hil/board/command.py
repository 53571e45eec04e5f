"""`taskgen board`: boards in software, on the command line."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from hil.board.engine import ENGINES
from hil.board.interrupt import ctrl_c
from hil.board.kinds import Layer, table
from hil.board.listening import LOOPBACK, describe, is_loopback
from hil.board.options import BoardOptions
from hil.board.proxying import ProxyOptions
from taskgen.addresses import DEFAULT_PORT, Address
from taskgen.dialect.boards import BOARDS

app = typer.Typer(
    help="Boards in software: the taskloader protocol, the life cycle of a generation, and whatever can go wrong.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _board() -> None:
    """Boards in software: the taskloader protocol, the life cycle of a generation, and whatever can go wrong."""


_TRIGGERS = (
    "after=3: not the first 3 times; after=17B: not in the first 17 bytes; after=START: not before the client's START. "
    "at=MESSAGE: only there. p=0.1: with that probability each time. once: only the first time. way=up, down or both. "
    "Commas between them: reset:17,p=0.1,after=START"
)


def _table(layer: Layer | None = None) -> str:
    """Return the faults as paragraphs, as help wants them."""
    head = "Faults, what they strike at, and what they take besides:"
    return "\n\n".join([head, *table(layer).splitlines(), _TRIGGERS])


@app.command("serve", epilog=_table())
def serve(  # one parameter per option of the command line
    generation: Annotated[
        str, typer.Option("--generation", metavar="G", help=f"Of the boards: {', '.join(BOARDS)}.")
    ] = "G4",
    count: Annotated[int, typer.Option("--count", metavar="N", help="How many boards.")] = 1,
    port: Annotated[
        int,
        typer.Option("--port", "-p", help="The first board's; the next ones follow. 0: any that is free."),
    ] = DEFAULT_PORT,
    listen: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Where to listen; with a range, such as 127.0.1.0/24, each board at an own address."
        ),
    ] = LOOPBACK,
    speed: Annotated[
        str,
        typer.Option(metavar="FACTOR", help="Of the boards' time, against the wall clock; max: as fast as possible."),
    ] = "1.0",
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="[BOARD:]FAULT", help="What goes wrong, such as latency:50 or 3:reset:p=0.1; repeatable."),
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option(metavar="FILE.toml", help="How long programs compute; default: as on the PandaBoard."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of faults, and of execution times that are drawn.")] = 0,
    cores: Annotated[
        int | None, typer.Option(metavar="N", help="Of each board; default: 2.", show_default=False)
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:CLASS",
            help="A scheduler of your own (sim.Policy) that orders the jobs, or a ready-made one such as edf; "
            "default: as the generation's kernel does.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help=f"What computes the tasks' life: {', '.join(ENGINES)}.")] = "sim",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document when all boards listen.")] = False,
    debug: Annotated[bool, typer.Option("-d", "--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Serve boards until Ctrl-C.

    Example: taskgen board serve --generation G4, and elsewhere: taskgen run -t example.Hey3TaskSet 127.0.0.1
    --binaries none
    """
    del debug  # main() looks at it
    options = BoardOptions(
        generation=generation, count=count, speed=speed, listen=listen, port=port, faults=tuple(fault or ()),
        workload=workload, seed=seed, cores=cores, engine=engine, policy=policy,
    )  # fmt: skip
    with options.server() as server, ctrl_c(server):
        addresses = [station.address for station in server.stations]
        if as_json:
            typer.echo(json.dumps(document(options, addresses)))
        else:
            announce(options, addresses)
        server.run()


@app.command("proxy", epilog=_table("transport"))
def proxy(
    target: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where the board listens; default port: 3001.")],
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help="What goes wrong, such as latency:50 or reset:p=0.1; repeatable."),
    ] = None,
    port: Annotated[int, typer.Option("--port", "-p", help="Of the proxy; 0: any that is free.")] = DEFAULT_PORT + 1,
    listen: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = LOOPBACK,
    seed: Annotated[int, typer.Option(help="Of the faults.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document when it listens.")] = False,
    debug: Annotated[bool, typer.Option("-d", "--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Forward connections to a board, and let some of it go wrong, until Ctrl-C.

    Example: taskgen board proxy 10.0.0.7:3001 --fault latency:50,jitter=20 --fault reset:p=0.01
    """
    del debug  # main() looks at it
    options = ProxyOptions(target, tuple(fault or ()), seed, listen, port)
    with options.relay() as relay, ctrl_c(relay):
        if as_json:
            host, number = relay.address
            typer.echo(json.dumps({"target": target, "host": host, "port": number}))
        else:
            _warn([relay.address])
            typer.echo(f"proxy for {target} at {relay.address}; Ctrl-C ends")
        relay.run()


def document(options: BoardOptions, addresses: Sequence[Address]) -> dict[str, Any]:
    """Return what `--json` prints."""
    return {
        "generation": options.generation,
        "speed": str(options.speed),
        "policy": options.policy,
        "boards": [{"host": host, "port": port} for host, port in addresses],
    }


def announce(options: BoardOptions, addresses: Sequence[Address]) -> None:
    """Say where the boards listen, and who can come."""
    boards = "board" if len(addresses) == 1 else f"{len(addresses)} boards"
    where = ", ".join(describe(list(addresses)))
    _warn(addresses)
    policy = "" if options.policy is None else f", policy {options.policy}"
    typer.echo(f"{boards} of generation {options.generation} at {where}, speed {options.speed}{policy}; Ctrl-C ends")


def _warn(addresses: Sequence[Address]) -> None:
    """Say who can connect."""
    if all(map(is_loopback, addresses)):
        typer.echo("loopback only: nobody beyond this machine can connect", err=True)
    else:
        typer.echo(
            "not only loopback: whoever reaches this machine can connect, the protocol knows no password", err=True
        )
