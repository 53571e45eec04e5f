"""Who may send what, in which state of a connection: the table that both roles of `hil.wire` read.

Everything that changes the state stands here, and nothing here knows which role we play. The head of `hil.wire` tells
what the states mean.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from hil.messages import (
    Acknowledgement,
    Available,
    Binary,
    Clear,
    Document,
    GetLive,
    GetProfile,
    GoSend,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescriptions,
    Start,
    Stop,
)


class Role(Enum):
    """Which end of the connection."""

    CLIENT = "client"
    BOARD = "board"

    __hash__ = object.__hash__  # each byte is judged by tables; that of Enum is slow

    @property
    def peer(self) -> "Role":
        """The other end."""
        return Role.BOARD if self is Role.CLIENT else Role.CLIENT


class State(Enum):
    """Where in the conversation; see the head of `hil.wire`."""

    IDLE = "idle"
    AWAIT_GO = "await go"
    GO = "go"
    REBOOTING = "rebooting"
    HUNG = "hung"
    CLOSED = "closed"
    ERROR = "error"

    __hash__ = object.__hash__


class BoardRow(Protocol):
    """What the machine needs to know of a generation; rows of `taskgen.dialect.boards` have it."""

    @property
    def name(self) -> str:
        """Of the generation: G1, ..., G4."""

    @property
    def messages(self) -> frozenset[str]:
        """The names of wire-protocol 1.2 that its boards know."""

    @property
    def pushes(self) -> bool:
        """Do event logs come unasked?"""

    @property
    def silent_when_empty(self) -> bool:
        """Is GET_PROFILE left unanswered when the log is empty?"""


_PLAIN = (SendDescriptions, Clear, Start, Stop, GetProfile, GetLive, Optimize, Available)
_ANY_TIME = (Document, Available, Acknowledgement)

#: Who sends what in which state, and the state behind it; AWAIT_GO with no binary left is IDLE, and GO_SEND for a
#: binary that is here already leaves AWAIT_GO.
TRANSITIONS: Final[Mapping[Role, Mapping[State, Mapping[type, State]]]] = MappingProxyType(
    {
        Role.CLIENT: {
            State.IDLE: {
                **dict.fromkeys(_PLAIN, State.IDLE),
                SendBinaries: State.AWAIT_GO,
                Reboot: State.REBOOTING,
            },
            State.GO: {Binary: State.AWAIT_GO},
        },
        Role.BOARD: {
            State.IDLE: dict.fromkeys(_ANY_TIME, State.IDLE),
            State.AWAIT_GO: {GoSend: State.GO, **dict.fromkeys(_ANY_TIME, State.AWAIT_GO)},
            State.GO: dict.fromkeys(_ANY_TIME, State.GO),
            State.REBOOTING: dict.fromkeys(_ANY_TIME, State.REBOOTING),
            State.HUNG: dict.fromkeys(_ANY_TIME, State.HUNG),
        },
    }
)
#: Legal besides, for the machine of a board: its client sent binaries before their GO_SENDs, which are late then.
EARLY: Final[Mapping[Role, Mapping[State, Mapping[type, State]]]] = MappingProxyType(
    {
        Role.CLIENT: {State.AWAIT_GO: {Binary: State.AWAIT_GO}},
        Role.BOARD: {state: {GoSend: state} for state in (State.IDLE, State.REBOOTING, State.HUNG)},
    }
)
#: The only commands for a board of unknown generation.
PROBES: Final = frozenset({"AVAILABLE", "GET_PROFILE", "GET_LIVE", "CLEAR", "STOP"})
