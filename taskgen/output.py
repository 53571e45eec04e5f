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

    A symbolic link keeps pointing where it points; a device or pipe (/dev/null, /dev/stdout) is written directly.

    Raises:
        UsageError: the place can't be written; raised before the block runs, so nothing is computed in vain.
    """
    if path.exists() and not path.is_file():
        if path.is_dir():
            raise UsageError(f"{path}: is a directory, expected a file to write")
        with _open(path, mode) as file:
            yield file
        return
    path = path.resolve()
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as error:
        raise _unwritable(path, error) from None
    temporary = Path(name)
    try:
        os.close(descriptor)
        with _open(temporary, mode) as file:
            yield file
        _take_mode(path, temporary)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def check_writable(path: Path) -> None:
    """Find out early whether a file can be written.

    Raises:
        UsageError: it can't.
    """
    if path.is_dir():
        raise UsageError(f"{path}: is a directory, expected a file to write")
    try:
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from None


def _open(path: Path, mode: str) -> IO[Any]:
    text = "b" not in mode
    try:
        return path.open(mode, encoding="utf-8" if text else None, newline="" if text else None)
    except OSError as error:
        raise _unwritable(path, error) from None


def _take_mode(path: Path, temporary: Path) -> None:
    # mkstemp makes private files; an output gets what a plain open() would have given it.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask)


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path}: can't be written: {error.strerror or error}", hint="choose a folder that exists and is yours"
    )
