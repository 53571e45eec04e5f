"""The folder where results are kept: `.taskgen/bench/NNNN_<commit>_<target>.json`, and baselines by name beside them.

Numbers grow, and no two results have the same, however many processes store theirs at once.
"""

import contextlib
import difflib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from taskgen.bench import document
from taskgen.bench.result import Result
from taskgen.errors import UsageError

FOLDER: Final = Path(".taskgen") / "bench"
_BASELINES: Final = "baselines"
_STORED: Final = re.compile(r"(\d{4,9})_[\w.-]+\.json", re.ASCII)
_LATEST: Final = re.compile(r"latest(?:~(\d{1,9}))?", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_BASELINE: Final = re.compile(r"[A-Za-z0-9_][\w.-]{0,59}", re.ASCII)
_LONGEST: Final = 60
_HINT: Final = "`taskgen bench` stores its results there; `latest`, numbers and names of files and baselines are known"


def store(result: Result, folder: Path = FOLDER) -> Path:
    """Write a result into the folder under the next number, whole, and return its file.

    Raises:
        InputError: something in it can't be carried by JSON.
        UsageError: the place can't be written.
    """
    with _next_number(folder) as number:
        path = folder / f"{number:04}_{_commit(result)}_{_target(result)}.json"
        document.write(result, path)
    return path


def save_baseline(result: Result, name: str, folder: Path = FOLDER) -> Path:
    """Write a result as the baseline of this name, in place of an older one, and return its file.

    Raises:
        InputError, UsageError: as `store`, or no baseline can have this name.
    """
    path = baseline_path(name, folder)
    _make(path.parent)
    document.write(result, path)
    return path


def baseline_path(name: str, folder: Path = FOLDER) -> Path:
    """Return the file of a baseline, whether there is one or not.

    Raises:
        UsageError: no baseline can have this name.
    """
    if not _BASELINE.fullmatch(name) or _NUMBER.fullmatch(name) or _LATEST.fullmatch(name):
        raise UsageError(
            f"baseline {name!r:.80}: expected a name of up to {_LONGEST} letters, digits and `_.-`, no number and"
            " not `latest`"
        )
    return folder / _BASELINES / f"{name}.json"


def baseline(name: str, folder: Path = FOLDER) -> Path:
    """Return the file of a baseline.

    Raises:
        UsageError: there is none of this name.
    """
    path = baseline_path(name, folder)
    if path.is_file():
        return path
    names = sorted(each.stem for each in path.parent.glob("*.json"))
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"save one with `taskgen bench --save-baseline {name}`"
    raise UsageError(f"there is no baseline {name!r} ({path})", hint=hint)


def stored(folder: Path = FOLDER) -> list[Path]:
    """Return the results that are kept, in the order of their numbers."""
    with contextlib.suppress(FileNotFoundError):
        return sorted((path for path in folder.iterdir() if _STORED.fullmatch(path.name)), key=_number)
    return []


def find(reference: str, folder: Path = FOLDER) -> Path:
    """Return the file that is meant by what a user writes.

    It is `latest`, `latest~2` (the second before it), a number on the shelf, the path of a file, the name of a file
    on the shelf with or without its suffix, or the name of a baseline; the first that fits.

    Raises:
        UsageError: it is none of them.
    """
    if latest := _LATEST.fullmatch(reference):
        return _nth_last(int(latest[1] or 0), reference, folder)
    if _NUMBER.fullmatch(reference):
        return _numbered(int(reference), folder)
    names = (Path(reference), folder / reference, folder / f"{reference}.json")
    for path in (*names, folder / _BASELINES / f"{reference}.json"):
        with contextlib.suppress(OSError, ValueError):  # too long, or a NUL in it
            if path.is_file():
                return path
    known = [path.stem for path in [*stored(folder), *(folder / _BASELINES).glob("*.json")]]
    near = difflib.get_close_matches(reference, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else _HINT
    raise UsageError(f"{reference!r:.200}: there is no such file, nor a result of this name in {folder}", hint=hint)


def _nth_last(back: int, reference: str, folder: Path) -> Path:
    paths = stored(folder)
    if back >= len(paths):
        raise UsageError(f"{reference}: there are {len(paths) or 'no'} results in {folder}", hint=_HINT)
    return paths[-1 - back]


def _numbered(number: int, folder: Path) -> Path:
    paths = stored(folder)
    for path in paths:
        if _number(path) == number:
            return path
    known = f"expected {_number(paths[0])} to {_number(paths[-1])}" if paths else "there is none yet"
    raise UsageError(f"{number}: there is no result of this number in {folder}, {known}", hint=_HINT)


def _number(path: Path) -> int:
    return int(path.name.partition("_")[0])


def _commit(result: Result) -> str:
    git = result.environment.get("git")
    commit = git.get("commit") if isinstance(git, dict) else None
    return re.sub(r"[^0-9a-z]", "", str(commit or ""))[:7] or "nogit"


def _target(result: Result) -> str:
    readable = re.sub(r"[^\w.-]+", "-", str(result.target.get("name", "")), flags=re.ASCII)
    return readable.strip("-.")[:_LONGEST] or "target"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: can't be made: {error.strerror or error}", hint="choose another place") from None


@contextmanager
def _next_number(folder: Path) -> Iterator[int]:
    """Claim the next number for this process while the block runs.

    The claim is a file that only one process can create. Who gets it looks again whether the number was used in the
    meantime, by one that has given its claim back. What a killed process leaves is a gap in the numbers.
    """
    _make(folder)
    number = max(map(_number, stored(folder)), default=0)
    while True:
        number += 1
        claim = folder / f".{number:04}.claim"
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            raise UsageError(
                f"{claim}: can't be written: {error.strerror or error}", hint="choose another place"
            ) from None
        try:
            if any(_number(path) == number for path in stored(folder)):
                continue
            yield number
            return
        finally:
            claim.unlink(missing_ok=True)
