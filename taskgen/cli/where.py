"""Where a command runs: targets as the user writes them, with the options of the command line, checked at once."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import typer

from taskgen import registry
from taskgen.boards import session_class, takes
from taskgen.errors import UsageError
from taskgen.inventory import load as inventory_of
from taskgen.session import Target
from taskgen.targets import expand
from taskgen.testing.stand import Stand, equipped, forget_connection

#: What messages of sessions say, and what the user has to write; the other flags are called like their options.
_FLAGS = {
    "preemptive: True": "no --non-preemptive",
    "preemptive False": "--non-preemptive",
    "context_switch_ms": "--context-switch",
    "scheduler_ms": "--scheduler-cost",
    "migration_ms": "--migration-cost",
    "quantum_ms": "--quantum",
    "wire_log": "--wire-log",
}

#: What else there is where a session doesn't take an option.
_HINTS = {
    "policy": "leave it out, or that target; a board in software has its own: taskgen board serve --policy",
}


def find_targets(
    names: Sequence[str], session: str | None, options: Mapping[str, Any], seed: int, file: Path | None
) -> list[Target]:
    """Return the targets; those that draw random numbers get the seed.

    Args:
        names: what the user calls them.
        session: the session for them; None: what each name says.
        options: of the session, as far as the user gave them.
        seed: of whatever draws random numbers.
        file: the inventory; None: the one that is found.

    Raises:
        UsageError: there is no such target, or an option isn't for it; options are named as on the command line.
        ConnectError: nobody is there, of a range.
    """
    known = None if file is None else inventory_of(file)
    found = expand(list(names), session=session, options=options, known=known, notify=partial(typer.echo, err=True))
    result = []
    for target in found:
        kind = registry.load("sessions", target.session)
        seeded = "seed" in inspect.signature(kind).parameters
        result.append(replace(target, options={**target.options, "seed": seed}) if seeded else target)
    for target in result:  # all of them, before anything runs on the first
        _check_options(target)
    return result


def session_options(*, non_preemptive: bool = False, **given: Any) -> dict[str, Any]:
    """Return the options of a session that the user gave, as the session calls them."""
    options = {"preemptive": False} if non_preemptive else {}
    return options | {key: value for key, value in given.items() if value is not None}


def stand_for(name: str, session: str | None, options: Mapping[str, Any], seed: int, file: Path | None) -> Stand:
    """Return the stand of one target, which isn't open yet; of several boards the first.

    Raises:
        What `find_targets` raises.
    """
    first, *others = find_targets([name], session, options, seed, file)
    for target in others:
        forget_connection(target)
    if others:
        typer.echo(f"{name}: {len(others) + 1} boards, this runs on {first.address}", err=True)
    return Stand(equipped(first))


def _check_options(target: Target) -> None:
    """Refuse options that the session of a target doesn't know, or says that it can't honour."""
    kind = session_class(target.session)
    if kind is None:
        return
    try:
        for option in target.options:
            if not takes(kind, option):
                raise UsageError(
                    f"{target}: {kind.__name__} takes no option {option!r}",
                    hint=_HINTS.get(option, "leave it out, or that target"),
                )
        kind.check_target(target)
    except UsageError as error:
        raise type(error)(_in_flags(str(error)), hint=_in_flags(error.hint)) from error


def _in_flags(text: str) -> str:
    """Name options as the command line does, where a session calls them otherwise."""
    for option, flag in _FLAGS.items():
        text = text.replace(option, flag)
    return text
