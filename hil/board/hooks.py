"""Where a fault can take hold of a board in software: one object per board hears and changes everything that passes.

`Hook` lets everything pass. Bytes become `Piece`s, which may be late, split, or the end of the connection; messages
become other messages, raw bytes, or an `Action`. The empty answer swallows what came.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Literal, NamedTuple, TypeAlias

from hil.messages import Document, FromBoard, Message
from taskgen.dialect import BoardRow


class Action(Enum):
    """What a hook may do to its board instead of, or beside, handing a message on."""

    FREEZE = "freeze"  #: nothing happens any more until it is rebooted by its power, or by force
    REBOOT = "reboot"


class Piece(NamedTuple):
    """Bytes of one direction of the connection, never before those that went before them.

    `b""` of a client is the end of its stream. `end` closes or resets the connection behind the bytes.
    """

    data: bytes = b""
    delay_ns: int = 0  #: of the wall clock, from now on
    end: Literal["", "close", "reset"] = ""
    slice: int = 0  #: the bytes go in slices of at most so many; 0: in one
    gap_ns: int = 0  #: between two slices


#: What a board makes of a message from its client.
Heard: TypeAlias = Message | Action
#: What a board says: a message, or bytes as they are.
Said: TypeAlias = FromBoard | bytes


class Hook:
    """Lets everything pass; a fault overrides the places where it acts. One object per board, for all its clients."""

    #: Behaviours of the engine that are on as long as this hook is there (`Engine.switch`).
    switches: Sequence[str] = ()

    def follows(self, hook: "Hook") -> None:
        """Take over what is worth keeping of the hook that acted before, in the middle of a connection perhaps."""

    def accepts(self) -> bool:
        """Whether a connection that was accepted is served, too; asked once for each."""
        return True

    def begins(self, *, connected: bool) -> Iterable[Piece | Action]:  # noqa: ARG002  # for hooks with faults
        """Return what happens at once, to a connection that is served from now on, or when the hook is injected.

        Args:
            connected: whether there is a client, to whom the pieces go.
        """
        return ()

    def incoming(self, data: bytes) -> Iterable[Piece]:
        """Return what the board gets of bytes that its client sent."""
        return (Piece(data),)

    def outgoing(self, data: bytes) -> Iterable[Piece]:
        """Return what the client gets of bytes that its board wrote, each piece by a write of its own."""
        return (Piece(data),)

    def heard(self, message: Message) -> Iterable[Heard]:
        """Return what the board makes of a message, before it acts."""
        return (message,)

    def says(self, message: FromBoard) -> Iterable[Said]:
        """Return what the board says instead of GO_SEND, a reply or an echo."""
        return (message,)

    def pushes(self, document: Document) -> Iterable[Said]:
        """Return what the board says instead of a push."""
        return (document,)


def hook_of(faults: Sequence[str], seed: int = 0, board: int = 0, row: BoardRow | None = None) -> Hook:
    """Return the hook of one board for faults given as text (`latency:50`); without any, everything passes.

    Args:
        faults: as texts, without the number of a board.
        seed: of what is drawn; each board draws its own.
        board: its number.
        row: its generation, None for any.

    Raises:
        UsageError: one of them is no fault, with the nearest kinds, or that generation can't have it.
    """
    if not faults:
        return Hook()
    import importlib

    made: Hook = importlib.import_module("hil.board.misbehaviour").hook_of(faults, seed, board, row)
    return made


def faults_by_board(faults: Sequence[str], count: int, row: BoardRow | None = None) -> list[list[str]]:
    """Return the faults of each of `count` boards; a text such as `3:latency:50` is for that board alone.

    Raises:
        UsageError: one of them is no fault, there is no such board, or its generation `row` can't have it.
    """
    if not faults:
        return [[] for _ in range(count)]
    from hil.board.faults import parse_for_boards

    return [[str(fault) for fault in plan] for plan in parse_for_boards(faults, count, row)]
