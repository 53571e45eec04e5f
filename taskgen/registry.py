"""Names: what a user calls a session, monitor, task-set, block, policy or workload, and what that is.

A NAME is an entry-point name (`sim`), ENTRYPOINT.ATTRIBUTE where the entry point is a module (`example.Hey0TaskSet`),
`package.module:Class`, or `path/file.py:Class`. Third-party packages add names through the same entry points.
"""

import difflib
import importlib
import importlib.util
import inspect
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from taskgen.errors import UsageError

#: The kinds of names, in the singular, by entry-point group.
KINDS = {
    "sessions": "session",
    "monitors": "monitor",
    "tasksets": "task-set",
    "blocks": "block",
    "policies": "policy",
    "workloads": "workload",
    "commands": "command",
    "discovery": "discovery",
    "replays": "replay",
    "power": "power driver",
    "properties": "property",
    "suites": "suite",
}

_MISSING = object()


@cache
def entries(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; of equal names the first on the path counts, as with modules."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=f"taskgen.{group}"):
        found.setdefault(entry.name, entry)
    return found


def load(group: str, name: str) -> Any:
    """Return what a NAME of this group stands for.

    Raises:
        UsageError: there is no such name (with the nearest ones), or loading it failed (with the reason).
    """
    found = entries(group)
    if name in found:
        return _load_entry(found[name], group)
    place, _, attribute = name.rpartition(":")
    if place:
        module = _load_file(place) if place.endswith(".py") else _load_module(place)
        return _attribute(module, attribute, name, group)
    if name.endswith(".py"):
        raise _which_of(_load_file(name), name, group)
    head, _, attribute = name.rpartition(".")
    if head in found:
        module = _load_entry(found[head], group)
        if isinstance(module, ModuleType):
            return _attribute(module, attribute, name, group)
    raise _unknown(group, name)


def _load_entry(entry: EntryPoint, group: str) -> Any:
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        package = f" of the package {entry.dist.name}" if entry.dist is not None else ""
        raise UsageError(
            f"{KINDS[group]} {entry.name!r}: loading {entry.value}{package} failed: {describe(error)}"
        ) from error


def _load_module(name: str) -> ModuleType:
    try:
        with _importable(Path.cwd()):
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name in {name, name.partition(".")[0]}
        raise UsageError(
            f"module {name!r}: importing it failed: {describe(error)}",
            hint="install it, or name its file: path/file.py:Class" if missing else "",
        ) from error


def _load_file(place: str) -> ModuleType:
    path = Path(place)
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.py")], n=3)
        raise UsageError(f"{place}: there is no such file", hint=f"did you mean {', '.join(near)}?" if near else "")
    # One module per file, however often it is named: its classes keep their identity.
    name = f"taskgen_file_{path.stem}_{zlib.crc32(bytes(path.resolve())):08x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{place}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look their module up
    try:
        with _importable(path.resolve().parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(
            f"{place}: running it failed: {describe(error)}", hint="run it with python to see where"
        ) from error
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let imports find modules of this folder, after all others."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def describe(error: BaseException) -> str:
    """Return an exception as one line: its type and the first line of its message."""
    try:
        lines = str(error).splitlines()
    except BaseException:  # noqa: BLE001  # the exception may be a plug-in's own, and its __str__ broken
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _attribute(module: ModuleType, attribute: str, name: str, group: str) -> Any:
    found = getattr(module, attribute, _MISSING)
    if found is not _MISSING:
        return found
    near = difflib.get_close_matches(attribute, public_names(module, group), n=3, cutoff=0.4)
    prefix = name[: len(name) - len(attribute)]
    raise UsageError(
        f"{KINDS[group]} {name!r}: {prefix.rstrip('.:')} has no {attribute!r}",
        hint=f"did you mean {', '.join(prefix + other for other in near)}?" if near else f"see `taskgen list {group}`",
    )


def _which_of(module: ModuleType, name: str, group: str) -> UsageError:
    classes = public_names(module, group)[:5]
    hint = f"name one of {', '.join(f'{name}:{each}' for each in classes)}" if classes else ""
    return UsageError(f"{KINDS[group]} {name!r}: is a file, expected {name}:CLASS", hint=hint)


def public_names(module: ModuleType, group: str) -> list[str]:
    """Return the names that a module contributes to a group: what it defines itself, task-set classes for task-sets."""
    names = []
    for name, value in vars(module).items():
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        own = getattr(value, "__module__", module.__name__) == module.__name__
        if own and (group != "tasksets" or _makes_taskset(value)):
            names.append(name)
    return names


def _makes_taskset(value: object) -> bool:
    from taskgen.taskset import TaskSet

    return isinstance(value, TaskSet) or (inspect.isclass(value) and issubclass(value, TaskSet))


def names(group: str) -> list[str]:
    """Return all names of a group that can be given to `load`, without aliases; broken plug-ins are left out."""
    result: list[str] = []
    for name, entry in sorted(entries(group).items()):
        if entry.value.count(":") and "." in name:
            continue  # an alias such as stdout.StdOutMonitor
        try:
            value = entry.load()
        except (Exception, SystemExit):  # noqa: BLE001  # a listing shows what works
            continue
        if isinstance(value, ModuleType):
            result += [f"{name}.{attribute}" for attribute in public_names(value, group)]
        else:
            result.append(name)
    return result


def _unknown(group: str, name: str) -> UsageError:
    known = names(group)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = (
        f"did you mean {', '.join(near)}?" if near else f"see `taskgen list {group}`, or name it package.module:Class"
    )
    return UsageError(f"there is no {KINDS[group]} {name!r}", hint=hint)
