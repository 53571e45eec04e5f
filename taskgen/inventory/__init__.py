"""The inventory: `taskgen.toml` gives names to boards, and says how they are reached, switched and watched.

```toml
[targets.board]                   # `board` is the conventional name of the pool of real boards
hosts   = ["10.0.0.0/27", "10.0.1.7:3002"]
exclude = ["10.0.0.1"]
dialect = "G4"

[targets.board.boards."10.0.1.7:3002"]
dialect = "G3b"
```

`find` searches it upward from the working directory; `--inventory FILE` and TASKGEN_INVENTORY name another one.
Tables are descriptions only: sessions and drivers do what they say.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from taskgen.errors import UsageError
from taskgen.inventory import schema
from taskgen.inventory.model import Board, Entry, Health, Inventory, Power, Quarantine, Settings
from taskgen.inventory.schema import BOARD_SESSION, is_name
from taskgen.inventory.where import Where

__all__ = [
    "BOARD_SESSION",
    "FILE_NAME",
    "VARIABLE",
    "Board",
    "Entry",
    "Health",
    "Inventory",
    "Power",
    "Quarantine",
    "Settings",
    "find",
    "is_name",
    "load",
    "parse",
]

FILE_NAME = "taskgen.toml"
VARIABLE = "TASKGEN_INVENTORY"

_MAX_BYTES = 1 << 20
_POSITION = re.compile(r" \(at line (\d+), column \d+\)")


def find(start: Path | None = None, environ: Mapping[str, str] = os.environ) -> Inventory:
    """Return the inventory that TASKGEN_INVENTORY names, else the nearest one upward; without any, an empty one.

    Raises:
        UsageError: the file that is named isn't there, or what it says is wrong.
    """
    if named := environ.get(VARIABLE):
        path = Path(named)
        if not path.is_file():
            raise UsageError(f"{VARIABLE}: {named}: there is no such file")
        return load(path)
    folder = (start or Path.cwd()).resolve()
    for each in (folder, *folder.parents):
        if (each / FILE_NAME).is_file():
            return load(each / FILE_NAME)
    return Inventory()


def load(path: Path) -> Inventory:
    """Return the inventory in a file.

    Raises:
        UsageError: it can't be read, is no TOML, or says something wrong; names file, line and the nearest valid key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"inventory {path}: {error.strerror or error}") from None
    if len(data) > _MAX_BYTES:
        raise UsageError(f"inventory {path}: is larger than {_MAX_BYTES} bytes")
    try:
        return parse(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: is no UTF-8 text") from None


def parse(text: str, path: Path = Path(FILE_NAME)) -> Inventory:
    """Return the inventory that a text describes; `path` is its file in messages, and the base of relative folders.

    Raises:
        UsageError: what `load` raises.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _POSITION.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise UsageError(f"{path}:{line}: is no TOML: {_POSITION.sub('', str(error))}") from None
    except ValueError as error:  # a number of more digits than Python reads
        raise UsageError(f"{path}: is no TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: is nested too deeply") from None
    return Inventory(path, schema.read(Where(path, text.replace("\r\n", "\n")), document))
