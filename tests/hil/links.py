"""A link to a board that is the other end of a socket pair: the test says what the board says."""

import socket
from typing import Self

from hil.connection import Arrival, Link, Patience
from hil.documents import profile
from hil.documents.profile import Stamped
from hil.messages import Document
from hil.wirelog import WireLog
from taskgen.addresses import Address
from taskgen.dialect.boards import BOARDS
from taskgen.events import EventType

HERE = Address("127.0.0.1", 3001)
DOCUMENT = Document("profile", profile.render([Stamped(EventType.START, 1, 5)]))
MS = 1_000_000


class Wired:
    """A link, and the board's end of its socket."""

    def __init__(self, patience: Patience | None = None, wire_log: WireLog | None = None) -> None:
        ours, self.board = socket.socketpair()
        self.link = Link(ours, HERE, BOARDS["G4"], patience=patience or Patience(), wire_log=wire_log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()
        self.board.close()


def soon(link: Link) -> Arrival | None:
    return link.receive(link.now() + 5000 * MS)
