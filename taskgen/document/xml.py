"""Task-sets as the XML of the boards: `<taskset><periodictask>...`, parameters as elements, plain ASCII.

Boards neither decode entities nor trim text, and the bytes of `config` go to the program as they are. So writing is
concatenation of checked text, and a text that wouldn't come back as what it was is refused.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from taskgen.dialect import label_of
from taskgen.document.limits import MAX_DEPTH, MAX_DIGITS, check_count, check_size, decode, too_deep
from taskgen.document.number import decimal_of, text_of, time_of, too_long
from taskgen.errors import InputError
from taskgen.parameters import INTEGERS, TIMES

_NUMERIC = frozenset(TIMES) | frozenset(INTEGERS)

_PIECE = 1 << 16
# What libxml2 says beside the reason: the place once more, an option of its own.
_ASIDE = re.compile(r", (line [0-9]|try XML_PARSE_HUGE).*")

_CANONICAL = re.compile(r"0|-?[1-9][0-9]*")
_WHOLE = re.compile(r"-?[0-9]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,8}")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_DECLARED = re.compile(r"<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([^\"']*)[\"']")
# A comment that isn't closed reaches to the end: the scan stays linear whatever the text is.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
# What a character of a text is called when XML for a board can't carry it.
_REFUSED = (
    (re.compile(r"[&<>]"), "markup"),
    (re.compile(r"[\x00-\x1f\x7f]"), "a control character"),
    (re.compile(r"[^\x00-\x7f]"), "a character beyond ASCII"),
    (re.compile(r"\A | \Z"), "white space at its edge"),
)


def parse(data: bytes) -> list[dict[str, Any]]:
    """Return the tasks of an XML document as plain dicts.

    Raises:
        InputError: it isn't well-formed, is too long or too deep, is in another encoding than ASCII or UTF-8, has a
            DOCTYPE, entities, or no task.
    """
    from lxml import etree

    _scan(decode(data))
    tasks = _Tasks()
    # The encoding is ours to say: whatever the document declares, what was scanned is what is parsed.
    parser = etree.XMLParser(
        target=tasks,  # type: ignore[arg-type]  # its stubs ask for methods that lxml treats as optional
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        # In pieces: libxml2 refuses to hold more than 10 MB at once.
        for start in range(0, len(data), _PIECE):
            parser.feed(data[start : start + _PIECE])
        parser.close()
    except etree.XMLSyntaxError as error:
        reason = _ASIDE.sub("", " ".join(str(error.msg).split()))
        raise InputError(f"no well-formed XML at line {error.lineno}: {reason:.120}") from None
    if not tasks.found:
        raise InputError(f"the task-set is empty: <{tasks.root:.40}> has no periodictask, expected at least one task")
    return tasks.found


def _scan(text: str) -> None:
    """Refuse what must not even reach a parser."""
    declared = _DECLARED.match(text[:1000])
    if declared and declared[1].lower() not in {"utf-8", "us-ascii", "ascii"}:
        raise InputError(f"the document is in {declared[1]!r:.40}, expected ASCII or UTF-8")
    for sign, name in (("<!doctype", "a DOCTYPE"), ("<!entity", "an entity declaration")):
        if sign in text.lower():
            raise InputError(f"the document has {name}, which task-sets have no use for", hint="remove it")
    without_comments = _COMMENT.sub("", text)
    at = without_comments.find("&")
    if at >= 0:
        raise InputError(
            f"the document has the entity {without_comments[at : at + 20].split(';')[0].split()[0]!r},"
            " which no board would decode",
            hint="task-sets have no use for & and markup in texts",
        )


class _Element:
    """An element that is still open."""

    __slots__ = ("children", "name", "texts")

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: dict[str, Any] = {}
        self.texts: list[str] = []


class _Tasks:
    """The target of the parser: builds the tasks while elements come, so that a bomb is never built."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.root = ""
        self._open: list[_Element] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        element = _Element(tag.rpartition("}")[2])
        self._open.append(element)
        if len(self._open) > MAX_DEPTH:
            raise too_deep()
        if len(self._open) == 1:
            self.root = element.name
        elif attributes and self._in_task() and len(self._open) > 2 and self._open[2].name == "config":
            name = next(iter(attributes))
            raise InputError(
                f"{self._field()}: the attribute {name!r:.40} can't be carried, expected elements only",
            )

    def data(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def end(self, _tag: str) -> None:
        element = self._open[-1]
        if self._in_task():
            text = "".join(element.texts)
            path = tuple(outer.name for outer in self._open[2:])
            if (element.children or not path) and text.strip():
                raise InputError(f"{self._field()}: {text.strip()!r:.40} stands between elements")
            if path:
                # The first occurrence wins, as on a board.
                self._open[-2].children.setdefault(element.name, element.children or _value(path, text))
            else:
                self.found.append(element.children)
                check_count(len(self.found))
        self._open.pop()

    def close(self) -> None:
        """Nothing is left to do at the end of the document."""

    def _in_task(self) -> bool:
        return len(self._open) >= 2 and self._open[1].name == "periodictask"

    def _field(self) -> str:
        path = ".".join(element.name for element in self._open[2:])
        return f"task {len(self.found)}: {path}" if path else f"task {len(self.found)}"


def _value(path: tuple[str, ...], text: str) -> Any:
    """Return what the text of an element without children means."""
    if path == ("config",) and not text.strip():
        return {}
    if len(text.lstrip("-")) > MAX_DIGITS:
        return text
    if len(path) == 1 and path[0] in _NUMERIC:
        if _WHOLE.fullmatch(text):
            return int(text)
        if _HEXADECIMAL.fullmatch(text):
            return int(text, 16)
        return Decimal(text) if _DECIMAL.fullmatch(text) else text
    return int(text) if _CANONICAL.fullmatch(text) else text


def render(tasks: Iterable[Mapping[str, Any]]) -> bytes:
    """Return the XML document of a task-set: ASCII, without declaration, one parameter per line.

    Raises:
        InputError: the set is empty or too long, or XML can't carry a value; names the task and the key.
    """
    lines = []
    for position, task in enumerate(tasks):
        label = label_of(task, position)
        parameters = [f"    {_element((key,), value, label)}" for key, value in task.items()]
        lines += ["  <periodictask>", *parameters, "  </periodictask>"]
    if not lines:
        raise InputError("the task-set is empty, expected at least one task")
    data = "\n".join(["<taskset>", *lines, "</taskset>", ""]).encode("ascii")
    check_size(len(data))
    return data


def _element(path: tuple[Any, ...], value: Any, label: str) -> str:
    name = path[-1]
    field = f"{label}: {'.'.join(map(str, path))}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"{label}: the key {name!r:.60} is no XML name that a board could read")
    if len(path) > MAX_DEPTH - 2:
        raise too_deep(f"{label}: {path[0]}: ")
    if isinstance(value, dict) and value:
        inner = "".join(_element((*path, key), nested, label) for key, nested in value.items())
    elif value == {} and path == ("config",):
        inner = ""
    else:
        inner = _text(path, value, field)
    return f"<{name}>{inner}</{name}>" if inner else f"<{name}/>"


def _text(path: tuple[str, ...], value: Any, field: str) -> str:
    numeric = len(path) == 1 and path[0] in _NUMERIC
    if isinstance(value, str):
        return _checked(path, str.__str__(value), field)
    if isinstance(value, int) and not isinstance(value, bool):
        return text_of(value, field)
    if isinstance(value, float | Decimal | Fraction) and numeric:
        return _fractional(time_of(value, field) if path[0] in TIMES else value, field)
    raise InputError(
        f"{field}: {value!r:.60} can't be carried by XML (it is a {type(value).__name__})",
        hint="a file for choices and other values is JSON",
    )


def _fractional(value: Any, field: str) -> str:
    if isinstance(value, Fraction):
        value = decimal_of(value, field)
    if isinstance(value, float):
        value = Decimal(text_of(value, field))
    if isinstance(value, Decimal) and value.is_finite():
        if abs(value.adjusted()) > 60 or int(value.as_tuple().exponent) < -60:
            raise too_long(field)
        return format(value, "f")
    return text_of(value, field)


def _checked(path: tuple[str, ...], text: str, field: str) -> str:
    for pattern, name in _REFUSED:
        if pattern.search(text):
            raise InputError(f"{field}: {text!r:.60} has {name}, which XML for a board can't carry")
    back = _value(path, text)
    if type(back) is not str:
        raise InputError(f"{field}: the text {text!r:.60} would be read as {back!r:.60}", hint="give the number itself")
    return text
