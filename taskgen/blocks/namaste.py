"""The program `namaste`: prints one line and ends, the smallest program."""

from typing import Any

from taskgen.blocks._program import Attributes, program

HelloWorld = program("namaste")


def Value(arg1: Any = None) -> Attributes:
    """Give `HelloWorld`, with an argument that the program ignores if you like."""
    return program("namaste", arg1)
