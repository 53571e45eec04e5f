"""A task is a dict of attributes; a choice among its values makes variants.

>>> from taskgen import Task
>>> task = Task({"pkg": "pi", "period": [10, 20]}, {"priority": 3})
>>> task
Task({'pkg': 'pi', 'period': [10, 20], 'priority': 3})
>>> [variant["period"] for variant in task.variants()]
[10, 20]
"""

import inspect
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from taskgen.choice import settle
from taskgen.errors import InputError

if TYPE_CHECKING:
    from taskgen.variants import Variants

Block: TypeAlias = Mapping[str, Any] | Callable[..., Mapping[str, Any]]


class Task(dict[str, Any]):
    """One task of a task-set: a dict of attributes, all times in milliseconds.

    `Task(*blocks)` merges blocks from left to right, a later one wins. A block is a dict, or a callable that returns
    one; a callable may accept the keyword `rng`, a `random.Random` made from `seed`.

    Keys: `id`, `executiontime` (WCET), `period`, `deadline` (relative), `priority` (0 most urgent .. 127), `offset`,
    `jitter`, `arrivals`, `numberofjobs`, `criticaltime`, `quota`, `caps`, `pkg`, `config`, `cores`, `coreoffset`;
    any other key is kept. A value that is a list, range, generator or set is a choice and makes `variants()`.
    """

    #: The index of this variant in the `Variants` that it came from, None for a description.
    variant_index: int | None = None

    def __init__(self, *blocks: Block, seed: int = 0, rng: random.Random | None = None) -> None:
        super().__init__()
        if rng is None and any(map(callable, blocks)):  # a generator costs more than all the rest
            rng = random.Random(seed)
        for block in blocks:
            self.update(call_block(block, rng))
        self.settle()

    def settle(self) -> None:
        """Keep iterators as memoised draws and dicts as our own: blocks are shared by many tasks."""
        for key, value in self.items():
            self[key] = settle((key,), value)

    def variants(self) -> "Variants[Task]":
        """Return the variants of this task, lazily; see `Variants`."""
        from taskgen.variants import task_variants

        self.settle()  # attributes may have been assigned since
        return task_variants(self)

    def copy(self) -> Self:
        """Return an independent copy, choices included."""
        new = type(self).__new__(type(self))
        self.settle()
        new.update({key: value if not isinstance(value, dict) else copy_nested(value) for key, value in self.items()})
        vars(new).update(vars(self))
        return new

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__repr__()})"


def copy_nested(value: dict[str, Any]) -> dict[str, Any]:
    """Copy a dict of a description: the dicts inside are copied, choices are shared (nobody changes them)."""
    return {key: copy_nested(inner) if isinstance(inner, dict) else inner for key, inner in value.items()}


def call_block(block: Block, rng: random.Random | None) -> Mapping[str, Any]:
    """Return the attributes of a block: itself, or what it returns when called (with `rng` if it accepts that)."""
    if isinstance(block, Mapping):
        return _text_keys(block)
    if not callable(block):
        raise InputError(f"block: {block!r} is neither a dict nor a callable that returns one")
    result = block(rng=rng) if _accepts_rng(block) else block()
    if not isinstance(result, Mapping):
        name = getattr(block, "__name__", repr(block))
        raise InputError(f"block: {name}() returned {result!r}, expected a dict")
    return _text_keys(result)


def _text_keys(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in attributes:
        if not isinstance(key, str):
            raise InputError(f"block: the key {key!r} is no text")
    return attributes


def _accepts_rng(block: Callable[..., object]) -> bool:
    try:
        parameter = inspect.signature(block).parameters.get("rng")
    except (TypeError, ValueError):  # some built-in callables have no signature
        return False
    return parameter is not None and parameter.kind is not parameter.POSITIONAL_ONLY


__all__ = ["Block", "Task", "call_block", "copy_nested"]
