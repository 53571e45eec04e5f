"""The program `tumatmul`: counts primes with a linked list."""

from typing import Any

from taskgen.blocks._program import Attributes, Drawing, drawn, program


def Value(arg1: Any) -> Attributes:
    """Give the program `arg1`, where it stops; a choice makes variants."""
    return program("tumatmul", arg1)


def Variants(n: int) -> Attributes:
    """Make one variant per argument 0..n-1."""
    return Value(range(n))


def Random(n: int) -> Drawing:
    """Draw the argument uniformly from 1..n, once per task."""
    return drawn(Value, n)
