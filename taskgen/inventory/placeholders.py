"""Placeholders in what a power driver is told: `{host}`, `{port}` and `{name}` stand for the board that it switches."""

from collections.abc import Iterator
from string import Formatter
from typing import Final

from taskgen.errors import UsageError

PLACEHOLDERS: Final = ("host", "port", "name")
HINT: Final = f"placeholders are {', '.join(f'{{{each}}}' for each in PLACEHOLDERS)}; {{{{ and }}}} stand for braces"


def split(text: str) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a text: what stands there literally, and the placeholder behind it, "" for none.

    Raises:
        UsageError: a brace is alone, or a placeholder is unknown; attributes, indices and formats are, too.
    """
    try:
        parts = [*Formatter().parse(text)]
    except ValueError as error:
        raise UsageError(f"{text!r:.100}: {error}", hint=HINT) from None
    for literal, field, spec, conversion in parts:
        if field is not None and (field not in PLACEHOLDERS or spec or conversion):
            whole = f"{{{field}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
            raise UsageError(f"{text!r:.100}: there is no placeholder {whole:.60}", hint=HINT)
        yield literal, field or ""
