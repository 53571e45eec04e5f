"""The tutorial, and the README's short form of it, as a user walks it: each command in a shell, each output compared.

A page is its blocks, in order. `python` that begins with the comment `# NAME.py` is a file of that name; `sh` is run, a
board that is served meanwhile until the next one, or until the end; `text` behind `sh` is what that printed, where `…`
stands for anything within a line. Boards listen at a free port instead of 3001, the default: 127.0.0.1 means that.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
README = ROOT / "README.md"
TEASER = "## Find a scheduling bug in a minute"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SERVE = "taskgen board serve "
_PORT = re.compile(r"127\.0\.0\.1:(\d+)")
_SECONDS = 60.0  #: longer than any command takes


class Block(NamedTuple):
    """A block of a page, and the line on which it begins."""

    kind: str
    text: str
    line: int


def blocks_of(text: str) -> list[Block]:
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _BLOCK.finditer(text)]


def teaser() -> str:
    """Return the part of the README under its heading."""
    return README.read_text("utf-8").partition(TEASER)[2].partition("\n## ")[0]


class Desk:
    """A folder, a shell in it, and the board in the other terminal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._board = ExitStack()
        self._port = ""
        commands = folder / "commands"
        commands.mkdir()
        (commands / "taskgen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m taskgen "$@"\n')
        (commands / "taskgen").chmod(0o755)
        self._environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "80"}
        self.folder = folder / "work"
        self.folder.mkdir()

    def run(self, script: str) -> str:
        """Run the commands of a block, and return what they print."""
        if script.startswith(_SERVE):
            self._board.close()
            return self._board.enter_context(self._serving(script.strip()))
        shell = subprocess.run(
            ["/bin/sh", "-c", script.replace("127.0.0.1", f"127.0.0.1:{self._port}")],
            cwd=self.folder, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", timeout=_SECONDS, check=False,
        )  # fmt: skip
        return _PORT.sub("127.0.0.1", shell.stdout)

    @contextmanager
    def _serving(self, command: str) -> Iterator[str]:
        """Serve a board at a port that is free, up to Ctrl-C; yield what it says first."""
        board = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command} --port 0"], cwd=self.folder, env=self._environment, text=True,
            encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        with board:
            assert board.stdout is not None
            said = ""
            for line in board.stdout:
                said += line
                found = _PORT.search(line)
                if found:
                    self._port = found[1]
                    break
            try:
                yield _PORT.sub("127.0.0.1:3001", said)
            finally:
                board.send_signal(signal.SIGINT)
                assert board.wait(_SECONDS) in {0, 130}

    def close(self) -> None:
        self._board.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    try:
        yield desk
    finally:
        desk.close()


def pattern_of(expected: str) -> str:
    """Return the regular expression of an output in which … stands for anything within a line."""
    return "".join(r"[^\n]*" if part == "…" else re.escape(part) for part in re.split("(…)", expected))


def walk(desk: Desk, text: str, name: str) -> Iterator[tuple[str, str, str]]:
    """Follow a page; yield where each output belongs, what the page says it is, and what it was."""
    printed, place = "", ""
    for kind, block, line in blocks_of(text):
        if kind == "python" and block.startswith("# "):
            file = block.partition("\n")[0].removeprefix("# ")
            assert re.fullmatch(r"\w+\.py", file)
            (desk.folder / file).write_text(block, encoding="utf-8")
        elif kind == "sh":
            printed, place = desk.run(block), f"{name}, line {line}"
        elif kind == "text":
            yield place, block, printed


@pytest.mark.parametrize("page", ["tutorial", "README"])
def test_a_page_shows_what_its_commands_print(desk: Desk, page: str) -> None:
    text = TUTORIAL.read_text("utf-8") if page == "tutorial" else teaser()
    outputs = 0
    for place, expected, printed in walk(desk, text, page):
        is_shown = re.fullmatch(pattern_of(expected), printed) is not None
        assert is_shown, f"{place} prints:\n{printed}"
        outputs += 1
    assert outputs == sum(block.kind == "text" for block in blocks_of(text)) > 0


def test_each_command_of_the_tutorial_shows_its_output() -> None:
    kinds = [block.kind for block in blocks_of(TUTORIAL.read_text("utf-8"))]
    assert all(after == "text" for before, after in pairwise(kinds) if before == "sh")


def test_an_elision_stands_for_anything_within_a_line() -> None:
    assert re.fullmatch(pattern_of("a … c.\n"), "a bbb c.\n")
    assert not re.fullmatch(pattern_of("a … c.\n"), "a b\nb c.\n")
    assert not re.fullmatch(pattern_of("a … c.\n"), "a b cd\n")
