"""Task-set and goal documents: how a client writes them, and how a board reads them (wire-protocol 2 and 5.4).

Boards decode no entities, trim no text and read no signs, so writing refuses what wouldn't arrive as what it was.
Values are raw text on the board's side: what they mean is for those who know the generation.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from hil.documents import MAX_DEPTH, DocumentError, Target, check_size, feed
from taskgen.document import limits
from taskgen.document.number import text_of
from taskgen.errors import InputError

#: Elements that a board reads as unsigned 32-bit numbers (wire-protocol 2.2).
NUMBERS = frozenset(
    {"id", "priority", "period", "criticaltime", "offset", "deadline"}
    | {"numberofjobs", "executiontime", "caps", "cores", "coreoffset"}
)
#: A document or config that fills pages exactly has no terminator behind it on the board.
PAGE = 4096
#: Their reader takes a leading declaration or DOCTYPE for a syntax error.
STRICT = frozenset({"G0", "G1", "G1o"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
#: Text in which nothing is to be refused; for the reason of other text see `_REFUSED`.
_CLEAN = re.compile(r"(?! )[ -%'-;=?-~]*(?<! )")
_REFUSED = (
    (re.compile(r"[&<>]"), "markup, which a board doesn't decode"),
    (re.compile(r"[^\x20-\x7e]"), "a character beyond printable ASCII"),
    (re.compile(r"\A | \Z"), "white space at its edge, which a board doesn't trim"),
)


def write(
    elements: Sequence[Mapping[str, Any]],
    goal: Mapping[str, Any] | None = None,
    name: str = "taskset",
    *,
    pad: bool = False,
) -> bytes:
    """Return the task-set document of tasks whose values are already in the board's units and numbers.

    ASCII without declaration; parameters are elements, nested dicts nested elements, `config` comes last. `goal` (the
    content of a goal element, or a whole goal document) becomes a child of the root, where G3 looks for it. The size is
    never a multiple of 4096; with `pad` it is one of 4, which keeps the stream of a board aligned that doesn't know the
    message.

    Raises:
        InputError: something can't travel, or a task has no `config`, which kills the loader; names task and key.
    """
    lines = [f"<{_name(name, 'the root')}>"]
    for position, task in enumerate(elements):
        label = f"task {task.get('id', position)!s:.20}"
        values = {key: value for key, value in task.items() if key != "config"}
        lines.append("  <periodictask>")
        for key, value in values.items():
            plain = type(value) is int and type(key) is str
            lines.append(f"    {(plain and _number(key, value)) or _element((key,), value, label)}")
        lines += [f"    {_config(task, label)}", "  </periodictask>"]
    if goal is not None:
        lines.append(f"  {_element(('goal',), _goal_of(goal), 'goal')}")
    return _sized("\n".join([*lines, f"</{name}>", ""]), pad=pad)


def write_goal(document: Mapping[str, Any], *, pad: bool = False) -> bytes:
    """Return the goal document that OPTIMIZE carries: `{"optimize": {"goal": {...}, "query_interval": ...}}`.

    Raises:
        InputError: there isn't exactly one root, or something can't travel.
    """
    if len(document) != 1:
        raise InputError(f"the goal document has {len(document)} roots, expected one, such as 'optimize'")
    ((root, content),) = document.items()
    return _sized(_element((root,), content, "goal document") + "\n", pad=pad)


def _goal_of(goal: Mapping[str, Any]) -> Any:
    """Return the content of the goal element of what may be a whole document."""
    while "fairness" not in goal and "utilization" not in goal:
        inner = goal.get("goal", next(iter(goal.values())) if len(goal) == 1 else None)
        if not isinstance(inner, Mapping):
            raise InputError("goal: has no sub-trees, expected fairness and utilization")
        goal = inner
    return goal


def _sized(text: str, *, pad: bool) -> bytes:
    if pad:
        text += " " * (-len(text) % 4)
    if len(text) % PAGE == 0:
        text += " " * 4 if pad else "\n"
    limits.check_size(len(text))
    return text.encode("ascii")


def _config(task: Mapping[str, Any], label: str) -> str:
    config = task.get("config")
    if not isinstance(config, Mapping):
        raise InputError(f"{label}: config is {config!r:.40}, expected a dict", hint="a board dies of a missing config")
    text = _element(("config",), config, label)
    if len(text) % PAGE == 0:
        raise InputError(
            f"{label}: config has {len(text)} bytes, expected no multiple of {PAGE}: it would have no end on a board",
            hint="add an element to it, or make a value longer",
        )
    return text


def _name(name: object, field: str) -> str:
    if not isinstance(name, str) or not _is_name(name):
        raise InputError(f"{field}: {name!r:.60} is no XML name that a board could read")
    return name


@lru_cache(1024)
def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


@lru_cache(4096)
def _number(name: str, value: int) -> str:
    """Return the element of a number, nothing unless all is well with both: most numbers of variants are the same."""
    return f"<{name}>{value}</{name}>" if _is_name(name) and 0 <= value < 1 << 32 else ""


def _element(path: tuple[str, ...], value: Any, label: str) -> str:
    name = _name(path[-1], label)
    if len(path) > MAX_DEPTH - 2:
        raise limits.too_deep(f"{label}: {path[0]}: ")
    if not isinstance(value, str | int) and isinstance(value, Mapping):  # few are, and it takes a while to tell
        inner = "".join(_element((*path, key), nested, label) for key, nested in value.items())
    else:
        inner = _text(path, value, label)
    return f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"


def _text(path: tuple[str, ...], value: Any, label: str) -> str:
    if (type(value) is int and 0 <= value < 1 << 32) or (type(value) is str and _CLEAN.fullmatch(value)):
        return str(value)
    field = f"{label}: {'.'.join(path)}"
    if isinstance(value, str):
        for pattern, what in _REFUSED:
            if pattern.search(value):
                raise InputError(f"{field}: {value!r:.60} has {what}")
        return str.__str__(value)
    number = len(path) == 1 and path[0] in NUMBERS
    if isinstance(value, int) and not isinstance(value, bool):
        if number and not 0 <= value < 1 << 32:
            raise InputError(f"{field}: {value!s:.40} doesn't fit into a board's 32 bits, expected 0 .. 4294967295")
        return text_of(value, field)
    if isinstance(value, float | Decimal | Fraction) and not number:
        return text_of(value, field)
    raise InputError(f"{field}: {value!r:.60} can't be carried to a board (it is a {type(value).__name__})")


RawValue: TypeAlias = "str | dict[str, RawValue]"


class TasksetDocument(NamedTuple):
    """A task-set as a board reads it: raw text, nested elements as dicts, the first of equal names."""

    tasks: list[dict[str, RawValue]]
    goal: dict[str, RawValue] | None  #: content of the goal element; None: there is none


def read(data: bytes, generation: str = "G4") -> TasksetDocument:
    """Read a task-set document as a board of a generation does (wire-protocol 2.1).

    Raises:
        DocumentError: malformed, a declaration or DOCTYPE where the generation takes none, a task without `config`:
            the board's taskloader dies.
    """
    content = _content(data, generation, "task-set document")
    for position, task in enumerate(content.tasks):
        if "config" not in task:
            raise DocumentError(f"task {position} has no config, of which a taskloader dies", hint="")
        if not isinstance(task["config"], dict):
            task["config"] = {}
    goal = content.root.get("goal")
    return TasksetDocument(content.tasks, {} if isinstance(goal, str) else goal)


def read_goal(data: bytes, generation: str = "G1o") -> dict[str, RawValue]:
    """Read a goal document as a board does: the content of its root, whatever the root's name.

    Raises:
        DocumentError: malformed, or a declaration or DOCTYPE where the generation takes none.
    """
    return _content(data, generation, "goal document").root


class _Content(Target):
    def __init__(self, kind: str) -> None:
        super().__init__(kind, limits.MAX_TASKS * limits.OBJECTS_PER_TASK)
        self.tasks: list[dict[str, RawValue]] = []
        self.root: dict[str, RawValue] = {}
        self._open: list[tuple[dict[str, RawValue], list[str]]] = []

    def opened(self, _attributes: Mapping[str, str]) -> None:
        self._open.append((self.root if not self._open else {}, []))

    def data(self, text: str) -> None:
        """Hear of text from the parser."""
        if not self.closed:
            self._open[-1][1].append(text)

    def comment(self, text: str) -> None:
        """Hear of a comment from the parser: inside a value it's part of the raw text."""
        if self._open:
            self._open[-1][1].append(f"<!--{text}-->")

    def ended(self) -> None:
        children, texts = self._open.pop()
        if len(self._open) == 1 and self.path[-1] == "periodictask":
            self.tasks.append(children)
        elif self._open:
            self._open[-1][0].setdefault(self.path[-1], children or "".join(texts))


_COMMENTS = re.compile(rb"(?:\s|<!--.*?-->)*+", re.DOTALL)
_PROLOG = re.compile(rb"<\?.*?\?>|<!DOCTYPE[^<>\[\]]*>", re.DOTALL)
_DECLARATION = re.compile(rb"<!(?!--)|<\?")


def _content(data: bytes, generation: str, kind: str) -> _Content:
    check_size(data, kind)
    text = _without_prolog(data.partition(b"\0")[0], generation, kind)
    # A board decodes no entities: what looks like one is text.
    content = _Content(kind)
    feed(text.replace(b"&", b"&amp;"), content)
    return content


def _without_prolog(text: bytes, generation: str, kind: str) -> bytes:
    """Return a document from its root on; what may stand before it depends on the generation."""
    at = 0
    while True:
        blank = _COMMENTS.match(text, at)
        at = blank.end() if blank else at
        prolog = _PROLOG.match(text, at)
        if prolog is None:
            break
        if generation in STRICT:
            raise DocumentError(f"the {kind} begins with {prolog[0]!r:.40}, a syntax error on {generation}", hint="")
        at = prolog.end()
    if _DECLARATION.search(text, at):
        raise DocumentError(f"the {kind} has declarations or instructions, which no board reads", hint="")
    return text[at:]
