"""Placeholders in what the inventory tells a power driver: `{host}`, `{port}` and `{name}`.

Each argument is filled in by itself and stays one argument: nothing is joined, split or given to a shell.
"""

from collections.abc import Iterable
from string import Formatter

from taskgen.errors import UsageError
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
    known = ", ".join(f"{{{each}}}" for each in values)
    hint = f"placeholders are {known}; {{{{ and }}}} stand for braces"
    filled = ""
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        raise UsageError(f"{where}: {text!r:.100}: {error}", hint=hint) from None
    for literal, field, spec, conversion in parts:
        filled += literal
        if field is None:
            continue
        if field not in values or spec or conversion:
            whole = f"{{{field}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
            raise UsageError(f"{where}: {text!r:.100}: there is no placeholder {whole:.60}", hint=hint)
        if not values[field]:
            raise UsageError(f"{where}: {text!r:.100}: this board has no {field}", hint=hint)
        filled += values[field]
    return filled
