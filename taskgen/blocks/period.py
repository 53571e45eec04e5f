"""Periods, the exact distance of arrivals, in milliseconds."""

import random
from typing import Any

from taskgen.blocks._program import Attributes

_HIGH, _MEDIUM, _LOW = range(1000, 5001, 1000), range(5000, 10001, 1000), range(10000, 20001, 1000)
_ALL = range(1000, 20001, 1000)


def Value(period_ms: Any) -> Attributes:
    """Set the period; a choice makes variants."""
    return {"period": period_ms}


Custom = Value


def Variants() -> Attributes:
    """Make one variant per period."""
    return Value(_ALL)


def Random(*, rng: random.Random) -> Attributes:
    """Draw a period of 1, 2 .. 20 seconds."""
    return Value(rng.choice(_ALL))


def HighRandom(*, rng: random.Random) -> Attributes:
    """Draw a short period: 1, 2 .. 5 seconds."""
    return Value(rng.choice(_HIGH))


def MediumRandom(*, rng: random.Random) -> Attributes:
    """Draw a medium period: 5, 6 .. 10 seconds."""
    return Value(rng.choice(_MEDIUM))


def LowRandom(*, rng: random.Random) -> Attributes:
    """Draw a long period: 10, 11 .. 20 seconds."""
    return Value(rng.choice(_LOW))
