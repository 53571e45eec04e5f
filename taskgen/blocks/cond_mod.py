"""The program `cond_mod`: runs a loop, unless its argument is even."""

from typing import Any

from taskgen.blocks._program import Attributes, Drawing, drawn, program


def Value(arg1: Any) -> Attributes:
    """Give the program `arg1`, the length of the loop; a choice makes variants."""
    return program("cond_mod", arg1)


def Break() -> Attributes:
    """End at once: the argument 42, which is even."""
    return Value(42)


def Variants(n: int) -> Attributes:
    """Make one variant per argument 0..n-1."""
    return Value(range(n))


def Random(n: int) -> Drawing:
    """Draw the argument uniformly from 1..n, once per task."""
    return drawn(Value, n)
