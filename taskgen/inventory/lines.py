"""On which line of a TOML text a key stands: tomllib gives values without positions.

The scanner walks a text that tomllib has accepted, so it need not check anything: it skips values and keeps the paths
of keys. Elements of arrays have their position as key.
"""

import re
import tomllib
from collections.abc import Iterator
from typing import TypeAlias

#: The keys from the root to a value; positions in arrays are ints.
Path: TypeAlias = tuple[str | int, ...]

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(r'[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_STRING = re.compile(
    r"""
      "{3} (?: [^"\\] | \\. | "(?!"") )* "{3,5}
    | '{3} (?: [^'] | '(?!'') )* '{3,5}
    | " (?: [^"\\] | \\. )* "
    | ' [^']* '
    """,
    re.VERBOSE | re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")  # numbers, dates and booleans


def lines_of(text: str) -> dict[Path, int]:
    """Return the line of each key and each element of an array, from 1; a table stands where it is first named."""
    return _Scanner(text).lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0  # up to where lines are counted
        self._arrays: dict[Path, int] = {}  # arrays of tables, and how many elements they have
        self.lines: dict[Path, int] = {(): 1}
        table: Path = ()
        for _ in self._while_text_is_left():
            table = self._header() if self._text[self._at] == "[" else self._pair(table)

    def _while_text_is_left(self) -> Iterator[None]:
        self._skip(_BLANK)
        while self._at < len(self._text):
            yield
            self._skip(_BLANK)

    def _header(self) -> Path:
        """Read `[a.b]` or `[[a.b]]` and return the path of the table that begins."""
        is_array = self._text.startswith("[[", self._at)
        self._at += 1 + is_array
        keys = self._keys()
        self._at += 1 + is_array
        path: Path = ()
        for key in keys[:-1]:
            path = self._element((*path, key))
        path = (*path, keys[-1])
        if is_array:
            self._note(path)
            self._arrays[path] = self._arrays.get(path, -1) + 1
        path = self._element(path)
        self._note(path)
        return path

    def _element(self, path: Path) -> Path:
        """Return the path of the last element of an array of tables; any other path as it is."""
        return (*path, self._arrays[path]) if path in self._arrays else path

    def _pair(self, table: Path) -> Path:
        """Read `key = value`; return the table."""
        path = (*table, *self._keys())
        self._note(path)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)
        return table

    def _keys(self) -> list[str]:
        """Read a key with its dots, and the space around."""
        keys = []
        while True:
            self._skip(_SPACE)
            match = _KEY.match(self._text, self._at)
            if match is None:
                raise AssertionError("tomllib has accepted this text")
            self._at = match.end()
            keys.append(match[0] if match[0][0] not in "\"'" else tomllib.loads(f"key = {match[0]}")["key"])
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        match self._text[self._at]:
            case "[":
                for position, _ in enumerate(self._elements("]")):
                    self._note((*path, position))
                    self._value((*path, position))
            case "{":
                for _ in self._elements("}"):
                    self._pair(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _elements(self, end: str) -> Iterator[None]:
        self._at += 1
        self._skip(_BLANK)
        while self._text[self._at] != end:
            yield
            self._skip(_BLANK)
            if self._text[self._at] == ",":
                self._at += 1
                self._skip(_BLANK)
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()

    def _note(self, path: Path) -> None:
        """Note the current line for a path and whatever leads to it."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                break
            self.lines[path[:length]] = self._line
