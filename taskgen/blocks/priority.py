"""Fixed priorities, 0 most urgent .. 127 least."""

import random
from typing import Any

from taskgen.blocks._program import Attributes

_HIGH, _MEDIUM, _LOW = range(42), range(42, 84), range(84, 128)
_ALL = range(128)


def Value(priority: Any) -> Attributes:
    """Set the priority; a choice makes variants."""
    return {"priority": priority}


Custom = Value


def Variants() -> Attributes:
    """Make one variant per priority."""
    return Value(_ALL)


def Random(*, rng: random.Random) -> Attributes:
    """Draw any priority, 0..127."""
    return Value(rng.choice(_ALL))


def HighRandom(*, rng: random.Random) -> Attributes:
    """Draw one of the urgent priorities, 0..41."""
    return Value(rng.choice(_HIGH))


def MediumRandom(*, rng: random.Random) -> Attributes:
    """Draw one of the priorities in the middle, 42..83."""
    return Value(rng.choice(_MEDIUM))


def LowRandom(*, rng: random.Random) -> Attributes:
    """Draw one of the least urgent priorities, 84..127."""
    return Value(rng.choice(_LOW))
