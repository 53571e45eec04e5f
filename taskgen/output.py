"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from taskgen.errors import UsageError


@contextmanager
def whole_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that takes its place when the block ends without an error.

    Raises:
        UsageError: the place can't be written; raised before the block runs, so nothing is computed in vain.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise _unwritable(path, error) from None
    if path.is_dir():
        os.close(descriptor)
        Path(name).unlink()
        raise UsageError(f"{path}: is a directory, expected a file to write")
    try:
        with open(
            descriptor, mode, encoding=None if "b" in mode else "utf-8", newline=None if "b" in mode else ""
        ) as file:  # a descriptor
            yield file
        _take_mode(path, Path(name))
        Path(name).replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _take_mode(path: Path, temporary: Path) -> None:
    # mkstemp makes private files; an output gets what a plain open() would have given it.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask)


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: can't be written: {error.strerror or error}", hint="choose a folder that exists and is yours"
    )
