"""How a process of boards is told what to do while it serves: one line in, one line out.

    inject 3 latency:50     lift 3     freeze 3     reboot 3

An answer is a JSON object: `{}`, or `{"error": …, "hint": …}`. The end of the input ends the process, so that nobody
outlives its parent.
"""

import json
import os
import selectors
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from hil.board.hooks import hook_of
from hil.board.options import BoardOptions
from hil.board.server import Server
from hil.board.watched import Ready
from taskgen.errors import TaskgenError, UsageError

_LONGEST: Final = 1 << 16


class Loop(Protocol):
    """What orders need of the loop that they come into."""

    def watch(self, file: Any, events: int, ready: Ready) -> None:
        """Call `ready` when a file is; see `hil.board.watched`."""

    def stop(self) -> None:
        """Let the loop end."""


class Orders:
    """Reads orders from a file descriptor, and answers them.

    Args:
        loop: is ended with the input.
        orders: the file descriptor.
        obey: carries one order out; TaskgenErrors are answers, too.
    """

    def __init__(self, loop: Loop, orders: int, obey: Callable[[str], None]) -> None:
        self._loop = loop
        self._orders = orders
        self._obey = obey
        self._buffer = b""
        loop.watch(orders, selectors.EVENT_READ, self._ready)

    def _ready(self, _: int) -> None:
        data = os.read(self._orders, _LONGEST)
        self._buffer += data
        if not data or len(self._buffer) > _LONGEST:
            self._loop.watch(self._orders, 0, self._ready)
            self._loop.stop()
            return
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            say(self.answer(line.decode("utf-8", "replace")))

    def answer(self, line: str) -> dict[str, Any]:
        """Carry out an order; return the answer."""
        try:
            self._obey(line)
        except TaskgenError as error:
            return failure(error)
        return {}


class Control:
    """What orders do to the boards of a server."""

    def __init__(self, server: Server, options: BoardOptions, faults: list[list[str]]) -> None:
        self._server = server
        self._seed = options.seed
        self._row = options.row
        self._faults = faults

    def obey(self, line: str) -> None:
        """Carry out an order.

        Raises:
            UsageError: there is no such order, board or fault.
        """
        order, _, rest = line.partition(" ")
        number, _, argument = rest.partition(" ")
        if order not in _ORDERS:
            raise UsageError(f"order {order!r:.40}, expected one of {', '.join(_ORDERS)}")
        if not (number.isdecimal() and int(number) < len(self._server.stations)):
            raise UsageError(f"board: {number!r:.40}, expected 0..{len(self._server.stations) - 1}")
        _ORDERS[order](self, int(number), argument)

    def _inject(self, number: int, fault: str) -> None:
        self._set(number, [*self._faults[number], fault])

    def _lift(self, number: int, _: str) -> None:
        self._set(number, [])

    def _set(self, number: int, faults: list[str]) -> None:
        self._server.stations[number].inject(hook_of(faults, self._seed, number, self._row))
        self._faults[number] = faults

    def _freeze(self, number: int, _: str) -> None:
        self._server.stations[number].freeze()

    def _reboot(self, number: int, _: str) -> None:
        self._server.stations[number].reboot()


_ORDERS: Final[Mapping[str, Callable[[Control, int, str], None]]] = {
    "inject": Control._inject,
    "lift": Control._lift,
    "freeze": Control._freeze,
    "reboot": Control._reboot,
}


def failure(error: TaskgenError) -> dict[str, str]:
    """Return an error as an answer."""
    return {"error": str(error), "hint": error.hint}


def say(answer: Mapping[str, Any]) -> None:
    """Write one line to the parent."""
    os.write(1, json.dumps(answer).encode() + b"\n")
