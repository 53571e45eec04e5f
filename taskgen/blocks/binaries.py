"""Lists of programs: a `BlockTaskSet` makes one task per element."""

import random

from taskgen.blocks import cond_42, cond_mod, hey, idle, linpack, pi, tumatmul
from taskgen.blocks._program import Attributes
from taskgen.task import Block, call_block

_WITH_ARGUMENT = (cond_mod, cond_42, pi, linpack, tumatmul)


def Random(par1_max: int) -> list[Block]:
    """List each program once, with arguments drawn uniformly from 1..par1_max."""
    return [hey.HelloWorld, idle.Idle, *(program.Random(par1_max) for program in _WITH_ARGUMENT)]


def RandomList(size: int, par1_max: int) -> list[Block]:
    """List `size` programs drawn uniformly, each with an argument drawn uniformly from 1..par1_max."""
    programs = Random(par1_max)

    def block(*, rng: random.Random) -> Attributes:
        return dict(call_block(rng.choice(programs), rng))

    return [block] * size
