"""What the blocks of programs share: attributes of a program, and an argument drawn at random."""

import random
from collections.abc import Callable
from typing import Any, TypeAlias

Attributes: TypeAlias = dict[str, Any]
#: A block that draws: called with the keyword `rng` by the task that it becomes part of.
Drawing: TypeAlias = Callable[..., Attributes]


def program(pkg: str, arg1: Any = None) -> Attributes:
    """Return the attributes of a program with 1 MB of RAM, and its argument if it takes one."""
    return {"pkg": pkg, "quota": "1M", "config": {} if arg1 is None else {"arg1": arg1}}


def drawn(value: Callable[[int], Attributes], largest: int) -> Drawing:
    """Return a block that is `value(arg1)` with arg1 uniform in 1..largest."""

    def block(*, rng: random.Random) -> Attributes:
        return value(rng.randint(1, largest))

    return block
