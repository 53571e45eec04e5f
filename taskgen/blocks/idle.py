"""The program `idle`: never ends."""

from typing import Any

from taskgen.blocks._program import Attributes, program

Idle = program("idle")


def Value(arg1: Any = None) -> Attributes:
    """Give `Idle`, with an argument that the program ignores if you like."""
    return program("idle", arg1)
