"""Building blocks of tasks: `from taskgen.blocks import *` gives all of them, one module per program or attribute.

A block is a dict of attributes, or a callable that returns one. Names that say Random draw from the `rng` that the
task-set passes on, never from the global random state.

>>> from taskgen import Task
>>> Task(pi.Value(1000), period.Value(20), priority.Random, seed=1)
Task({'pkg': 'pi', 'quota': '1M', 'config': {'arg1': 1000}, 'period': 20, 'priority': 34})
"""

from taskgen.blocks import (
    binaries,
    cond_42,
    cond_mod,
    critical,
    deadline,
    hey,
    idle,
    linpack,
    namaste,
    period,
    pi,
    priority,
    tumatmul,
)

__all__ = [
    "binaries",
    "cond_42",
    "cond_mod",
    "critical",
    "deadline",
    "hey",
    "idle",
    "linpack",
    "namaste",
    "period",
    "pi",
    "priority",
    "tumatmul",
]
