"""Boards in software: the real protocol, the life cycle of a generation, and whatever can go wrong with boards.

`taskgen board serve` serves them on the command line, `hil.board.serve` for programs; `taskgen board proxy` and
`hil.board.proxy` put the faults of the transport in front of any board.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.board.process import Boards, serve
    from hil.board.proxying import Proxy, proxy

__all__ = ["Boards", "Proxy", "proxy", "serve"]

_HOMES = {
    "Boards": "hil.board.process",
    "Proxy": "hil.board.proxying",
    "proxy": "hil.board.proxying",
    "serve": "hil.board.process",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
