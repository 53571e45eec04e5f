"""Dialects: in which units and priorities a description was written, and what a board of a generation is.

`DIALECTS` translates files from and to our words (milliseconds, 0 most urgent .. 127), `BOARDS` has one row per board
generation for whoever talks to one, and `describe` gives the elements that such a board reads of a task.
"""

from taskgen.dialect.boards import BOARDS, BoardRow, board
from taskgen.dialect.describe import describe, describe_all, inexpressible
from taskgen.dialect.table import DIALECTS, get, names
from taskgen.dialect.translation import Dialect, label_of

__all__ = [
    "BOARDS",
    "DIALECTS",
    "BoardRow",
    "Dialect",
    "board",
    "describe",
    "describe_all",
    "get",
    "inexpressible",
    "label_of",
    "names",
]
