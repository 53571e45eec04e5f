"""What the simulator can do: one table of supported combinations; what it lacks is refused with a clear line."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sim.boards.generation import GENERATIONS
from sim.policy import READY_MADE
from taskgen.errors import UsageError

#: More cores than any board has; decisions look at each of them.
MAX_CORES = 1024
#: The affinity spaces of the boards end here.
MAX_BOARD_CORES = 8
#: Policies by their names; `own` is one that isn't ready-made.
POLICIES = (*READY_MADE, "own")
_NO_QUANTUM_NEEDED = tuple(name for name in POLICIES if name != "rr")  # round robin is its preemptions


@dataclass(frozen=True, slots=True)
class Combination:
    """Values of each option that work together, each with each."""

    profile: tuple[str, ...]  #: the life cycle of jobs
    engine: tuple[str, ...]
    policy: tuple[str, ...]
    cores: range
    migration: tuple[str, ...]
    preemptive: tuple[bool, ...]
    overrun: tuple[str, ...]
    tie: tuple[str, ...]
    overheads: tuple[bool, ...]  #: whether a cost of scheduling may be more than 0


def _ideal(policy: tuple[str, ...], *, preemptive: bool) -> Combination:
    return Combination(
        profile=("ideal",),
        engine=("simpy",),
        policy=policy,
        cores=range(1, MAX_CORES + 1),
        migration=("partitioned", "global"),
        preemptive=(preemptive,),
        overrun=("continue", "kill", "skip"),
        tie=("running", "index"),
        overheads=(False, True),
    )


#: The board generations: kernel, loader and life cycle are their own, so little is left to choose.
_BOARDS = Combination(
    profile=tuple(GENERATIONS),
    engine=("simpy",),
    policy=("auto",),
    cores=range(1, MAX_BOARD_CORES + 1),
    migration=("partitioned",),
    preemptive=(True,),
    overrun=("continue",),  # not looked at: each generation has a rule of its own
    tie=("running",),
    overheads=(False,),
)

SUPPORTED: tuple[Combination, ...] = (
    _ideal(POLICIES, preemptive=True),
    _ideal(_NO_QUANTUM_NEEDED, preemptive=False),
    _BOARDS,
)


def rows() -> list[dict[str, str]]:
    """Return the table for people: a dict per row, by option, of the values that work together."""
    return [{each.name: _show(getattr(row, each.name)) for each in fields(row)} for row in SUPPORTED]


def check_supported(**options: object) -> None:
    """Refuse a combination of options that no row of the table holds; the names are the fields of `Combination`.

    Raises:
        UsageError: names the first option that no row supports, its value, and what is supported; or those that don't
            go together.
    """
    for name, value in options.items():
        supported = [getattr(row, name) for row in SUPPORTED]
        if not any(_in(value, values) for values in supported):
            known = list(dict.fromkeys(str(each) for values in supported if not _is_range(values) for each in values))
            near = difflib.get_close_matches(str(value), known, n=1)
            expected = " or ".join(dict.fromkeys(map(_show, supported))) if not known else " or ".join(known)
            raise UsageError(
                f"{name}: {value!r} isn't supported, expected {expected}",
                hint=f"did you mean {near[0]}?" if near else "",
            )
    if not any(_holds(row, options) for row in SUPPORTED):
        raise _contradiction(options)


def _contradiction(options: Mapping[str, object]) -> UsageError:
    """Name the options of which each, if it were another, would make the combination supported."""
    guilty: dict[str, str] = {}
    for name in options:
        rest = {other: value for other, value in options.items() if other != name}
        ways_out = dict.fromkeys(_show(getattr(row, name)) for row in SUPPORTED if _holds(row, rest))
        if ways_out:
            guilty[name] = " or ".join(ways_out)
    given = " and ".join(f"{name} {options[name]}" for name in guilty or options)
    hint = "; or ".join(f"{name}: {ways}" for name, ways in guilty.items())
    return UsageError(f"{given} don't go together", hint=f"choose {hint}" if hint else "see `taskgen list policies`")


def _holds(row: Combination, options: Mapping[str, object]) -> bool:
    return all(_in(value, getattr(row, name)) for name, value in options.items())


def _in(value: object, values: Sequence[object]) -> bool:
    # True is no number of cores, nor 1 an answer to yes or no.
    return type(value) is type(values[0]) and value in values


def _is_range(values: object) -> bool:
    return isinstance(values, range)


def _show(values: Sequence[object]) -> str:
    if isinstance(values, range):
        return str(values[0]) if len(values) == 1 else f"{values[0]}..{values[-1]}"
    return ", ".join(str(value) for value in values)
