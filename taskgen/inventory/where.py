"""Where a value stands in a file, for messages that a user can follow: `taskgen.toml:12: targets.lab.hosts[1]`."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from taskgen.errors import UsageError
from taskgen.inventory import lines
from taskgen.units import short

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a TOML file: the path of keys that leads there."""

    file: Path
    text: str
    path: lines.Path = ()

    def __truediv__(self, key: str | int) -> "Where":
        return Where(self.file, self.text, (*self.path, key))

    def __str__(self) -> str:
        shown = ""
        for key in self.path:
            if isinstance(key, int):
                shown += f"[{key}]"
            else:
                shown += f"{'.' if shown else ''}{key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)}"
        return shown if len(shown) <= 120 else f"{shown[:117]}..."

    @property
    def line(self) -> int:
        """The line, from 1, of this key or of the nearest table around it."""
        try:
            known = lines.lines_of(self.text)
        except RecursionError:  # the parser went deeper than the scanner can
            return 1
        return next(
            known[self.path[:length]] for length in range(len(self.path), -1, -1) if self.path[:length] in known
        )

    def error(self, message: str, *, hint: str = "") -> UsageError:
        """Return an error that says where it is; the caller raises it."""
        return UsageError(f"{self.file}:{self.line}: {self}: {message}", hint=hint)

    def unknown(self, what: str, known: Iterable[str]) -> UsageError:
        """Return the error for a name (the last key, or `what`) that isn't one of the known ones."""
        known = list(known)
        near = difflib.get_close_matches(what, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        named = self.path and self.path[-1] == what
        return self.error("unknown key" if named else f"there is no {what!r:.60}", hint=hint)


#: Turns the value at a place into what the model keeps, or raises the error for it.
Reader: TypeAlias = Callable[[Where, Any], Any]


def read_table(
    where: Where, value: Any, readers: Mapping[str, Reader], *, needed: Iterable[str] = ()
) -> dict[str, Any]:
    """Read the keys of a table, each with its reader; unknown keys are errors with the nearest known one."""
    if not isinstance(value, dict):
        raise where.error(f"is {shown(value)}, expected a table", hint=f"with the keys {', '.join(readers)}")
    for key in value:
        if key not in readers:
            raise (where / key).unknown(key, readers)
    for key in needed:
        if key not in value:
            raise where.error(f"{key} is missing", hint=f"add {key} = ...")
    return {key: readers[key](where / key, each) for key, each in value.items()}


def shown(value: object) -> str:
    """Return a value and its kind as a message shows them."""
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, dict):
        return "a table"
    kinds = {str: "the text", int: "the number", float: "the number", list: "the list"}
    return f"{kinds[type(value)]} {short(value)}" if type(value) in kinds else f"the date or time {value}"
