"""Placeholders in what the inventory tells a power driver: `{host}`, `{port}` and `{name}`.

Each argument is filled in by itself and stays one argument: nothing is joined, split or given to a shell.
"""

from collections.abc import Iterable

from taskgen.errors import UsageError
from taskgen.inventory.placeholders import HINT, split
from taskgen.power import Place


def fill(arguments: Iterable[str], place: Place, where: str) -> tuple[str, ...]:
    """Return arguments with the placeholders replaced; `{{` and `}}` stand for braces.

    Raises:
        UsageError: a placeholder is unknown, or the board has no such thing; begins with `where`.
    """
    return tuple(fill_one(argument, place, where) for argument in arguments)


def fill_one(text: str, place: Place, where: str) -> str:
    """Return one argument with the placeholders replaced.

    Raises:
        UsageError: what `fill` raises.
    """
    values = {"host": place.host, "port": "" if place.port is None else str(place.port), "name": place.name}
    filled = ""
    try:
        for literal, name in split(text):
            filled += literal
            if name and not values[name]:
                raise UsageError(f"{text!r:.100}: this board has no {name}", hint=HINT)
            filled += values.get(name, "")
    except UsageError as error:
        raise UsageError(f"{where}: {error}", hint=error.hint) from None
    return filled
