"""What the simulator can do: one table of supported combinations; what it lacks is refused with a clear line."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sim.boards.generation import GENERATIONS
from sim.partition import FITS
from sim.policy import READY_MADE
from taskgen.errors import InputError, UsageError
from taskgen.units import Milliseconds, to_ns

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
    partition: tuple[str, ...]  #: how tasks without affinity are placed
    preemptive: tuple[bool, ...]
    overrun: tuple[str, ...]
    tie: tuple[str, ...]
    overheads: tuple[bool, ...]  #: whether a cost of scheduling may be more than 0


def _ideal(policy: tuple[str, ...], *, migration: str, preemptive: bool) -> Combination:
    return Combination(
        profile=("ideal",),
        engine=("simpy",),
        policy=policy,
        cores=range(1, MAX_CORES + 1),
        migration=(migration,),
        partition=FITS if migration == "partitioned" else FITS[:1],  # the default, where nothing is placed
        preemptive=(preemptive,),
        overrun=("continue", "kill", "skip"),
        tie=("running", "index"),
        overheads=(False, True),
    )


#: The board generations: loader and life cycle are their own; a policy may order the jobs in the kernel's place.
_BOARDS = Combination(
    profile=tuple(GENERATIONS),
    engine=("simpy",),
    policy=POLICIES,  # auto: as the generation's kernel does
    cores=range(1, MAX_BOARD_CORES + 1),
    migration=("partitioned",),
    partition=FITS[:1],
    preemptive=(True,),
    overrun=("continue",),  # not looked at: each generation has a rule of its own
    tie=("running",),
    overheads=(False,),
)

SUPPORTED: tuple[Combination, ...] = (
    _ideal(POLICIES, migration="partitioned", preemptive=True),
    _ideal(POLICIES, migration="global", preemptive=True),
    _ideal(_NO_QUANTUM_NEEDED, migration="partitioned", preemptive=False),
    _ideal(_NO_QUANTUM_NEEDED, migration="global", preemptive=False),
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
        if not any(_in(value, getattr(row, name)) for row in SUPPORTED):
            raise _unsupported(name, value, options)
    if not any(_holds(row, options) for row in SUPPORTED):
        raise _contradiction(options)


def _unsupported(name: str, value: object, options: Mapping[str, object]) -> UsageError:
    """Return the error for a value that no row holds, with what the rows of the same profile hold."""
    same = [row for row in SUPPORTED if name != "profile" and _in(options.get("profile"), row.profile)]
    supported = [getattr(row, name) for row in same or SUPPORTED]
    known = list(dict.fromkeys(str(each) for values in supported if not _is_range(values) for each in values))
    near = difflib.get_close_matches(str(value), known, n=1)
    expected = " or ".join(known or dict.fromkeys(map(_show, supported)))
    where = f" with profile {options['profile']}" if same and not known else ""
    return UsageError(
        f"{name}: {value!r:.60} isn't supported, expected {expected}{where}",
        hint=f"did you mean {near[0]}?" if near else "see `taskgen list policies` for what goes together",
    )


def duration_ns(given_ms: Milliseconds, option: str) -> int:
    """Return a time that an option gives, in ns.

    Raises:
        UsageError: it is none, or can't be; the fault is the option's, not a task-set's.
    """
    try:
        return to_ns(given_ms, option)
    except InputError as error:
        raise UsageError(str(error), hint=error.hint or f"give {option} in milliseconds, 0 or more") from None


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
