"""The program `linpack`: solves a dense system of linear equations."""

from typing import Any

from taskgen.blocks._program import Attributes, Drawing, drawn, program


def Value(arg1: Any) -> Attributes:
    """Give the program `arg1`, the size of the system; a choice makes variants."""
    return program("linpack", arg1)


def Variants(n: int) -> Attributes:
    """Make one variant per argument 0..n-1."""
    return Value(range(n))


def Random(n: int) -> Drawing:
    """Draw the argument uniformly from 1..n, once per task."""
    return drawn(Value, n)
