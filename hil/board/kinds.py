"""The kinds of faults, one row each: what a text of the kind may give, what it strikes at, and what happens then."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from taskgen.dialect.boards import BoardRow
from taskgen.errors import UsageError
from taskgen.units import NS_PER_MS, ms_from_ns

#: Which way bytes go: up to the board, or down to its client.
Way: TypeAlias = Literal["up", "down", "both"]
#: Who can have a fault: the transport, so also a proxy; or only a board in software.
Layer: TypeAlias = Literal["transport", "board"]
#: What an amount counts.
Unit: TypeAlias = Literal["ms", "bytes", "events"]

MAX_MS: Final = 3_600_000
MAX_BYTES: Final = 1 << 20
#: What `after` calls bytes.
BYTES: Final = "B"
#: What a client sends, by name; a binary is a message of its own.
UPWARD: Final = (
    *("SEND_DESCS", "CLEAR", "SEND_BINARIES", "BINARY", "START", "STOP"),
    *("GET_PROFILE", "GET_LIVE", "REBOOT", "OPTIMIZE", "AVAILABLE"),
)
#: What a board sends; the acknowledgement of G2 is a document.
DOWNWARD: Final = ("GO_SEND", "DOCUMENT", "AVAILABLE")

_TRIGGER: Final = ("after", "p", "once")
_ON_WIRE: Final = (*_TRIGGER, "at", "way")
_LONGEST_LOG: Final = 1000
_G3: Final = frozenset({"G3a", "G3b"})


def _anywhere(_: BoardRow) -> bool:
    return True


class Amount(NamedTuple):
    """The number that stands first in a text, or under the name of its unit; a time is in ms there, in ns here."""

    unit: Unit
    default: int
    least: int
    most: int

    def shown(self, number: int) -> str:
        """Return a number as a text has it."""
        return str(ms_from_ns(number)) if self.unit == "ms" else str(number)


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of `KINDS`."""

    name: str
    layer: Layer
    opportunity: str  #: what it strikes at
    effect: str  #: what happens there, in one line
    takes: tuple[str, ...] = _TRIGGER  #: parameters, besides the amount
    amount: Amount | None = None
    at: tuple[str, ...] = ()  #: the messages that `at` may name
    way: Way = "down"
    prompt: bool = False  #: doesn't wait for an opportunity, as long as no other parameter asks for one
    works: Callable[[BoardRow], bool] = _anywhere  #: whether boards of a generation give it opportunities

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all that a text of this kind may give."""
        return (*((self.amount.unit,) if self.amount else ()), *self.takes)

    @property
    def form(self) -> str:
        """How it is written, with its default: `latency:50`."""
        return f"{self.name}:{self.amount.shown(self.amount.default)}" if self.amount else self.name

    @property
    def usage(self) -> str:
        """How it is written, and what it takes besides."""
        return f"write {self.form}" + (f", with {', '.join(self.takes)}" if self.takes else "")

    @property
    def units(self) -> tuple[str, ...]:
        """What `after` may count, besides opportunities."""
        return (*UPWARD, BYTES) if self.layer == "transport" else UPWARD

    def way_at(self, message: str) -> Way:
        """Return which way it strikes unless told: at a client's message on the way up."""
        is_upward = message in UPWARD and message not in DOWNWARD
        return "up" if is_upward and "way" in self.takes else self.way

    def wrong(self, name: str, value: object, expected: str) -> UsageError:
        """Return the error for the value of a parameter."""
        return UsageError(f"fault {self.name}: {name}: {value}, expected {expected}", hint=self.usage)


_MS: Final = Amount("ms", 50 * NS_PER_MS, 0, MAX_MS * NS_PER_MS)
_transport = partial(Kind, layer="transport", takes=_ON_WIRE, at=tuple(dict.fromkeys((*UPWARD, *DOWNWARD))))
_board = partial(Kind, layer="board")
_command = partial(_board, opportunity="command", takes=(*_TRIGGER, "at"), at=UPWARD, prompt=True)
_reply = partial(_board, opportunity="reply", takes=(*_TRIGGER, "at"), at=("GET_PROFILE", "GET_LIVE"))


def _bytes(default: int, least: int = 1) -> Amount:
    return Amount("bytes", default, least, MAX_BYTES)


#: All kinds of faults by name; `table` shows them.
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            _transport(
                "latency",
                opportunity="message",
                effect="is so many ms late, and up to jitter ms more at random",
                takes=("jitter", *_ON_WIRE),
                amount=_MS,
            ),
            _transport(
                "slice",
                opportunity="message",
                effect="is written in pieces of at most so many bytes, gap ms apart",
                takes=("gap", *_ON_WIRE),
                amount=_bytes(1),
            ),
            _transport(
                "blackhole",
                opportunity="message",
                effect="it vanishes, and whatever comes later on this connection, its end too",
                way="both",
                prompt=True,
            ),
            _transport(
                "reset",
                opportunity="message",
                effect="the connection is reset so many bytes into it",
                amount=_bytes(0, 0),
                prompt=True,
            ),
            _transport(
                "cut",
                opportunity="message",
                effect="the connection ends in good order so many bytes into it",
                amount=_bytes(6),
            ),
            _transport("garbage", opportunity="message", effect="random bytes stand in front", amount=_bytes(32)),
            _transport("duplicate", opportunity="message", effect="comes twice, unless longer than 1 MiB"),
            _board("accept-only", opportunity="connection", effect="is accepted and never served"),
            _command("freeze", effect="nothing happens on the board any more; it stays connected"),
            _command("reboot", effect="the board resets, its client isn't told"),
            _board(
                "hang-on-kill",
                opportunity="kill",
                effect="the taskloader hangs (inferred, G3 only)",
                takes=(),
                works=lambda row: row.name in _G3,
            ),
            _board("duplicate-push", opportunity="push", effect="comes twice", works=lambda row: row.pushes),
            _board("early-push", opportunity="GO_SEND", effect="a push of an old task's events comes first"),
            _board(
                "stale-events",
                opportunity="event log",
                effect="so many events of an earlier set stand in front",
                amount=Amount("events", 2, 1, _LONGEST_LOG),
                works=lambda row: "GET_PROFILE" in row.messages,
            ),
            _reply("stale-tail", effect="the tail of an older, longer document stands behind its end"),
            _reply("torn-reply", effect="a push comes between its length and its text"),
            _reply(
                "wrong-reply",
                effect="is another one than the one that was asked for",
                at=("SEND_BINARIES", "GET_PROFILE", "GET_LIVE", "AVAILABLE"),
            ),
        )
    }
)
#: Other names: what they are short for.
ALIASES: Final[Mapping[str, str]] = MappingProxyType({"freeze-after-start": "freeze:after=START"})


def table(layer: Layer | None = None) -> str:
    """Return the kinds as lines of text: how each is written, what it strikes at, what happens, what it takes besides.

    Args:
        layer: only these.
    """
    return "\n".join(
        f"{kind.form:<14}  {kind.opportunity}: {kind.effect}" + (f" ({' '.join(kind.takes)})" if kind.takes else "")
        for kind in KINDS.values()
        if layer in (None, kind.layer)
    )
