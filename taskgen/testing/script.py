"""Programs as text: the steps that somebody took in Python, written down so that `python FILE` takes them again.

A value is written as an expression as far as it has one: numbers, texts, containers, task-sets, fields of dataclasses,
whatever can be imported by its name, and partials and bound methods of that. For all else there is a place to fill in.
"""

import functools
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

import taskgen
from taskgen.taskset import TaskSet

_PLAIN: Final = (bool, int, float, str, bytes, type(None))


class Step(NamedTuple):
    """A call of a method of a program."""

    name: str
    args: tuple[Any, ...]
    options: Mapping[str, Any]


class NoExpressionError(ValueError):
    """A value that no expression stands for."""


class Script:
    """Lines of Python, and the imports that they need; `str` of it is the whole.

    Args:
        about: what it is for, in one line: its docstring.
    """

    def __init__(self, about: str) -> None:
        self._about = about
        self._imports: dict[str, set[str]] = {}
        self._folders: dict[str, None] = {}
        self._lines: list[str] = []

    def __str__(self) -> str:
        folders = [f"sys.path.insert(0, {folder!r})" for folder in self._folders]
        imports = [
            f"from {module} import {', '.join(sorted(names))}" if names else f"import {module}"
            for module, names in sorted(self._imports.items())
        ]
        head = [*(["import sys", ""] if folders else []), *folders, *imports]
        return "\n".join([f'"""{self._about}"""', "", *head, "", *self._lines]) + "\n"

    def add(self, line: str) -> None:
        """Add a line."""
        self._lines.append(line)

    def name(self, variable: str, value: object, about: str) -> None:
        """Let a variable stand for a value, or leave a place to fill in what it is `about`."""
        try:
            self.add(f"{variable} = {self.expression(value)}")
        except NoExpressionError:
            self.add(f"{variable} = None  # fill in: {about}, here {value!r:.80}")

    def expression(self, value: object) -> str:
        """Return what stands for a value, and import what it needs.

        Raises:
            NoExpressionError: nothing does.
        """
        for kinds, write in _WRITERS:
            if isinstance(value, kinds):
                return write(self, value)
        if is_dataclass(value):
            return self._dataclass(value)
        raise NoExpressionError(f"{value!r:.80} has no expression")

    def call(self, function: str, args: Iterable[object], options: Mapping[str, object]) -> str:
        """Return a call with these arguments.

        Raises:
            NoExpressionError: an argument has no expression.
        """
        given = [self.expression(value) for value in args]
        given += [f"{key}={self.expression(value)}" for key, value in options.items()]
        return f"{function}({', '.join(given)})"

    def require(self, module: str, name: str = "") -> str:
        """Import a name of a module, or the module; return what it is called."""
        names = self._imports.setdefault(module, set())
        if name:
            names.add(name)
        return name or module

    # -- values ----------------------------------------------------------------------------------------------------

    def _mapping(self, value: Mapping[Any, Any]) -> str:
        items = (f"{self.expression(key)}: {self.expression(inner)}" for key, inner in value.items())
        return f"{{{', '.join(items)}}}"

    def _sequence(self, value: list[Any] | tuple[Any, ...]) -> str:
        inner = ", ".join(map(self.expression, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"

    def _taskset(self, value: TaskSet) -> str:
        self.require("taskgen", "TaskSet")
        return f"TaskSet([{', '.join(self._mapping(task) for task in value)}])"

    def _number(self, value: Fraction | Decimal) -> str:
        self.require(type(value).__module__, type(value).__name__)
        return repr(value)

    def _partial(self, value: "functools.partial[Any]") -> str:
        self.require("functools", "partial")
        return self.call("partial", (value.func, *value.args), value.keywords)

    def _method(self, value: MethodType) -> str:
        return f"{self.expression(value.__self__)}.{value.__name__}"

    def _dataclass(self, value: Any) -> str:
        given = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        return self.call(self.expression(type(value)), (), given)

    def _named(self, value: Any) -> str:
        """Import a class or a function."""
        module, path = value.__module__, value.__qualname__
        first, _, _ = path.partition(".")
        loaded = sys.modules.get(module)
        if "<" in path or _find(loaded, path) is not value:
            raise NoExpressionError(f"{path} of {module} can't be imported")
        if module == "builtins":
            return str(path)
        file = Path(getattr(loaded, "__file__", None) or "").absolute()
        home = _home(file, module)
        if module == "__main__" or home is None:  # no module that others can import: a file
            load = self.require("taskgen.registry", "load")
            return f"{load}('sessions', {f'{file}:{first}'!r}){path[len(first) :]}"
        if home not in _known_homes():
            self._folders[str(home)] = None
        self.require(module, first)
        return str(path)


_WRITERS: Final[tuple[tuple[Any, Callable[[Script, Any], str]], ...]] = (
    (_PLAIN, lambda _, value: repr(value)),
    (TaskSet, Script._taskset),
    ((Fraction, Decimal), Script._number),
    (Mapping, Script._mapping),
    ((list, tuple), Script._sequence),
    (functools.partial, Script._partial),
    (MethodType, Script._method),
    ((type, FunctionType, BuiltinFunctionType), Script._named),
)


def _find(value: object, path: str) -> object:
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def _home(file: Path, module: str) -> Path | None:
    """Return the folder from which a module is imported by its name; None: its name isn't where its file is."""
    parts = module.split(".")
    place = file.with_suffix("").parts
    place = place[:-1] if place[-1:] == ("__init__",) else place
    return Path(*place[: -len(parts)]) if list(place[-len(parts) :]) == parts else None


@functools.cache
def _known_homes() -> frozenset[Path]:
    """Return the folders from which every Python of this environment imports, that of taskgen itself among them."""
    folders = [*sysconfig.get_paths().values(), *site.getsitepackages(), *site.getusersitepackages().split("\n")]
    return frozenset(map(Path, [*folders, str(Path(taskgen.__path__[0]).parent)]))


def script_of(program: type, opens: object, faults: object, steps: Sequence[Step]) -> str:
    """Return the script of a program.

    Args:
        program: its class, which can be imported by its name.
        opens: what opens its sessions.
        faults: what injects its faults; None: nothing does.
        steps: what was done.
    """
    script = Script("A program that breaks a promise of taskgen.Session: `python FILE` says which.")
    script.require(program.__module__, program.__name__)
    script.name("target", opens, "what opens a session")
    given = ["target"]
    if faults is opens:
        given.append("faults=target")
    elif faults is not None:
        script.name("faults", faults, "the faults of the target")
        given.append("faults=faults")
    script.add(f"with {program.__name__}({', '.join(given)}) as program:")
    for step in steps:
        try:
            script.add(f"    {script.call(f'program.{step.name}', step.args, step.options)}")
        except NoExpressionError as error:
            script.add(f"    ...  # program.{step.name}: {error}")
    if not steps:
        script.add("    pass")
    return str(script)
