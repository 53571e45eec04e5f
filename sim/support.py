"""What the simulator can do: one table of supported combinations; what it lacks is refused with a clear line."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from taskgen.errors import UsageError


@dataclass(frozen=True, slots=True)
class Combination:
    """Values of each option that work together, each with each."""

    profile: tuple[str, ...]
    engine: tuple[str, ...]
    cores: tuple[int, ...]
    migration: tuple[str, ...]
    preemptive: tuple[bool, ...]
    overrun: tuple[str, ...]
    tie: tuple[str, ...]


SUPPORTED: tuple[Combination, ...] = (
    Combination(
        profile=("ideal",),
        engine=("simpy",),
        cores=(1,),
        migration=("partitioned", "global"),
        preemptive=(True,),
        overrun=("continue", "kill", "skip"),
        tie=("running", "index"),
    ),
)


def check_supported(**options: object) -> None:
    """Refuse a combination of options that no row of the table holds.

    Raises:
        UsageError: names the first option that no row supports, its value, and what is supported.
    """
    for name, value in options.items():
        supported = list(dict.fromkeys(known for row in SUPPORTED for known in getattr(row, name)))
        if value not in supported:
            near = difflib.get_close_matches(str(value), map(str, supported), n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            raise UsageError(f"{name}: {value!r} isn't supported, expected {_one_of(supported)}", hint=hint)
    if not any(_holds(row, options) for row in SUPPORTED):
        given = ", ".join(f"{name}={value}" for name, value in options.items())
        raise UsageError(f"this combination isn't supported: {given}", hint="see `taskgen list policies`")


def _holds(row: Combination, options: Mapping[str, object]) -> bool:
    return all(value in getattr(row, name) for name, value in options.items())


def _one_of(values: list[object]) -> str:
    return " or ".join(str(value) for value in values)
