"""The program `hey`: prints one line and ends."""

from typing import Any

from taskgen.blocks._program import Attributes, program

HelloWorld = program("hey")


def Value(arg1: Any = None) -> Attributes:
    """Give `HelloWorld`, with an argument that the program ignores if you like."""
    return program("hey", arg1)
