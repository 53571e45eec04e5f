"""Boards in software that all draw on their own, as real ones do: `benchmarks.verdicts` measures them.

`hil.board` gives all boards of a process the same seed: what one computes with its k-th set, the others do with theirs.
Statistics needs independent ones. So here the n-th board that somebody connects to has a seed of its own.

`python -m benchmarks.redrawn OPTIONS` serves them; the options are those of `python -m hil.board`.
"""

import copy
import itertools
import sys
from functools import partial
from typing import Final, Self

from hil.board.control import Orders, failure, say
from hil.board.engine import EngineOptions
from hil.board.hooks import faults_by_board, hook_of
from hil.board.listening import listeners, places
from hil.board.options import BoardOptions
from hil.board.pace import speed_of
from hil.board.process import Child
from hil.board.server import Server
from hil.board.simulated import SimulatedBoard
from sim.session import SimSession
from taskgen.errors import TaskgenError
from taskgen.session import Target

#: How long to listen for what comes late, where no message says that nothing does: at `max` nothing takes long.
QUIET_MS: Final = 50
#: So many boards can a process serve before draws come again.
_BOARDS: Final = 1 << 16


def redrawn(session: SimSession, options: EngineOptions, numbers: "itertools.count[int]") -> SimulatedBoard:
    """Return a board with a seed of its own; it draws anew for each set."""
    own = copy.copy(session)
    own.seed = options.seed * _BOARDS + next(numbers)
    return SimulatedBoard(own, options, None)


def server_of(options: BoardOptions) -> Server:
    """Open the sockets and return the server.

    Raises:
        UsageError: an option is wrong.
    """
    engine = EngineOptions(options.generation, options.workload, options.seed, options.cores)
    session = SimSession(profile=options.generation, workload=options.workload, cores=options.cores)
    make = partial(redrawn, session, engine, itertools.count(1))
    plans = faults_by_board(options.faults, options.count)
    hooks = [hook_of(plan, options.seed, number) for number, plan in enumerate(plans)]
    opened = listeners(places(options.listen, options.port, options.count))
    return Server(opened, make, speed=speed_of(options.speed), hooks=hooks)


class Boards:
    """Boards that are being served in a process of their own; a context manager that ends it.

    Attributes:
        targets: of each board, in the order in which they get their numbers if they are used one after another.
    """

    def __init__(self, options: BoardOptions) -> None:
        self._child = Child("benchmarks.redrawn", options.to_json())
        settings = {"dialect": options.generation, "binaries": "none", "quiet_ms": QUIET_MS}
        places = [f"{host}:{port}" for host, port in self._child.ready["addresses"]]
        self.targets = tuple(Target("taskloader", place, settings) for place in places)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()


def _obey(order: str) -> None:
    raise TaskgenError(f"{order:.40}: these boards take no orders")


def main(arguments: list[str]) -> int:
    """Serve until the standard input ends; return the exit code."""
    try:
        options = BoardOptions.from_json(arguments[0])
        server = server_of(options)
    except TaskgenError as error:
        say(failure(error))
        return error.exit_code
    with server:
        Orders(server, sys.stdin.fileno(), _obey)
        say({"addresses": [station.address for station in server.stations]})
        server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
