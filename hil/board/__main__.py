"""`python -m hil.board OPTIONS`: boards in a process of their own; `hil.board.serve` starts it.

The options are JSON. The first line of output says where the boards listen, or what is wrong; then orders come in by
the standard input (`hil.board.control`), whose end ends the process.
"""

import sys

from hil.board.control import Control, Orders, failure, say
from hil.board.hooks import faults_by_board
from hil.board.options import BoardOptions
from taskgen.errors import TaskgenError


def main(arguments: list[str]) -> int:
    """Serve until the standard input ends; return the exit code."""
    try:
        options = BoardOptions.from_json(arguments[0])
        server = options.server()
    except TaskgenError as error:
        say(failure(error))
        return error.exit_code
    with server:
        control = Control(server, options, faults_by_board(options.faults, options.count))
        Orders(server, sys.stdin.fileno(), control.obey)
        say({"addresses": [station.address for station in server.stations]})
        server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
