"""Faults of boards as plain data: what goes wrong, and when, as a frozen `Fault` and as a short text.

A text is a kind (`KINDS`), and behind a colon what it takes, with commas between: `latency:50`, `slice:1`,
`cut:17,once`, `reset:p=0.1`, `blackhole:after=3`, `reboot:after=START`, `latency:50,jitter=20,way=up`. `parse` reads it
and `str` writes it, in one form only. For one of many boards its number stands in front: `3:reset:p=0.1`.

A fault strikes at its opportunities, messages for instance, as far as its trigger lets it:

    after=N       not at the first N opportunities; `after=17B`: not in the first 17 bytes of that direction;
                  `after=START`, `after=2START`: not before the client's first (second) START is through
    at=MESSAGE    only where this message is concerned
    p=0..1        with this probability, drawn at each opportunity
    once          only the first time in the life of the board (or of the proxy); else each time

blackhole and reset, freeze and reboot don't wait for an opportunity unless `p`, `at` or an amount asks for one: without
a trigger they strike at once, else behind the very message or byte that `after` names. Behind each START:
`freeze:after=START,p=0.3`.

Counts begin with each connection, those of accept-only with the board; when a fault is injected, they begin then. What
is drawn depends on the seed, the number of the board, the number of the connection and how many opportunities there
were, never on time or on how TCP sliced a stream: the same dialogue is spoilt in the same way.

`hil.board.streams` interprets the faults of the transport, `hil.board.misbehaviour` those of a board.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple, get_args

from hil.board.kinds import ALIASES, BYTES, KINDS, MAX_MS, Kind, Way, table
from taskgen.dialect.boards import BOARDS, BoardRow, no_such
from taskgen.errors import UsageError
from taskgen.units import NS_PER_MS, ms_from_ns, short, to_ns

__all__ = ["ALIASES", "KINDS", "After", "Fault", "check_works", "parse", "parse_for_boards", "table"]

MAX_TEXT: Final = 200
MAX_COUNT: Final = (1 << 31) - 1

#: Messages that aren't commands by themselves: what command they belong to.
_COMMANDS: Final = {"BINARY": "SEND_BINARIES"}

_AFTER = re.compile(rf"(?P<count>\d{{1,10}})?(?P<unit>{BYTES}|[A-Z_]{{2,20}})?", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,25})?(e-\d{1,3})?", re.ASCII)
_COUNT = re.compile(r"\d{1,10}", re.ASCII)
_BOARD = re.compile(r"(?P<board>\d{1,6}):(?P<fault>.*)", re.ASCII | re.DOTALL)


class After(NamedTuple):
    """What must go by first: so many opportunities, bytes (`B`) or messages of that name."""

    number: int
    unit: str = ""

    def __str__(self) -> str:
        return self.unit if self.number == 1 and self.is_message else f"{self.number}{self.unit}"

    @property
    def is_message(self) -> bool:
        """Whether it counts messages of one name."""
        return self.unit not in ("", BYTES)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `str` of it is its text.

    Args:
        kind: a name of `KINDS`.
        amount: what the kind counts, times in ns; None: its default.
        jitter_ns: of a latency.
        gap_ns: between slices.
        way: where the bytes go that it strikes; "": the kind's own way, or up where `at` names a client's message.
        after: what goes by first.
        at: the message that it waits for.
        p: its probability at each opportunity.
        once: it strikes only once.

    Raises:
        UsageError: there is no such kind, or it doesn't take that.
    """

    kind: str
    amount: int | None = None
    jitter_ns: int = 0
    gap_ns: int = 0
    way: Way | Literal[""] = ""
    after: After | None = None
    at: str = ""
    p: float = 1.0
    once: bool = False

    def __post_init__(self) -> None:
        row = _kind(self.kind)
        if row.amount and self.amount is None:
            object.__setattr__(self, "amount", row.amount.default)
        if not self.way:
            object.__setattr__(self, "way", row.way_at(self.at))
        self._check_taken(row)
        self._check_numbers(row)
        self._check_names(row)

    @property
    def row(self) -> Kind:
        """The row of its kind."""
        return KINDS[self.kind]

    @property
    def number(self) -> int:
        """The amount; 0 of a kind that has none."""
        return self.amount or 0

    @property
    def prompt(self) -> bool:
        """Whether it strikes at once, or behind what `after` names, rather than at an opportunity."""
        is_behind = self.after is not None and self.after.is_message
        return self.row.prompt and not self.at and not self.amount and (self.p == 1 or is_behind)

    def goes(self, way: Way) -> bool:
        """Whether it strikes at what goes that way."""
        return self.way in ("both", way)

    def __str__(self) -> str:
        amount = self.row.amount
        shown = [amount.shown(self.number)] if amount and self.amount != amount.default else []
        shown += [name if value is True else f"{name}={value}" for name, value in self._given().items()]
        return f"{self.kind}:{','.join(shown)}" if shown else self.kind

    def _given(self) -> dict[str, object]:
        """The parameters that aren't at their default, as texts have them."""
        values: dict[str, object] = {
            "jitter": self.jitter_ns and ms_from_ns(self.jitter_ns),
            "gap": self.gap_ns and ms_from_ns(self.gap_ns),
            "way": self.way != self.row.way_at(self.at) and self.way,
            "after": self.after is not None and str(self.after),
            "at": self.at,
            "p": self.p != 1 and (repr(self.p) if self.p else "0"),
            "once": self.once,
        }
        return {name: value for name, value in values.items() if value}

    def _check_taken(self, row: Kind) -> None:
        for name, value in (("jitter", self.jitter_ns), ("gap", self.gap_ns)):
            if type(value) is not int or not 0 <= value <= MAX_MS * NS_PER_MS:
                raise row.wrong(name, short(value), f"0..{MAX_MS} ms, as ns")
        if isinstance(self.p, bool) or not isinstance(self.p, int | float) or not 0 <= self.p <= 1:
            raise row.wrong("p", short(self.p), "0..1")
        object.__setattr__(self, "p", float(self.p))
        for name in self._given():
            if name not in row.takes:
                raise _no_parameter(row, name)

    def _check_numbers(self, row: Kind) -> None:
        if row.amount is None:
            if self.amount is not None:
                raise row.wrong("amount", short(self.amount), "none")
            return
        unit, _, least, most = row.amount
        if type(self.amount) is not int:
            raise row.wrong(unit, short(self.amount), "an integer")
        if not least <= self.amount <= most:
            expected = f"{row.amount.shown(least)}..{row.amount.shown(most)}"
            raise row.wrong(unit, short(self.amount) if unit != "ms" else ms_from_ns(self.amount), expected)

    def _check_names(self, row: Kind) -> None:
        if self.way not in get_args(Way):
            raise row.wrong("way", short(self.way), "up, down or both")
        if self.at and self.at not in row.at:
            raise no_such(f"message for fault {self.kind} at", self.at, row.at)
        if self.after is None:
            return
        number, unit = self.after
        if unit and unit not in row.units:
            raise no_such(f"unit for fault {self.kind} after", unit, row.units)
        if type(number) is not int or not self.after.is_message <= number <= MAX_COUNT:
            raise row.wrong("after", short(number), f"{int(self.after.is_message)}..{MAX_COUNT}")


def parse(text: str) -> Fault:
    """Return the fault that a text stands for.

    Raises:
        UsageError: it stands for none; the hint has the nearest kind or parameter.
    """
    if len(text) > MAX_TEXT:
        raise UsageError(f"fault {short(text)}: is longer than {MAX_TEXT} characters")
    kind, _, items = text.partition(":")
    if kind in ALIASES:
        kind, _, known = ALIASES[kind].partition(":")
        items = f"{known},{items}" if items else known
    row = _kind(kind)
    given: dict[str, Any] = {}
    for item in items.split(",") if items else ():
        field, value = _read(row, item.strip())
        if field in given:
            raise UsageError(f"fault {kind}: {item.strip()!r:.40} comes on top of another one, expected it once")
        given[field] = value
    return Fault(kind, **given)


def check_works(fault: Fault, board: BoardRow) -> None:
    """Refuse a fault that could never strike on a board in software; what a client sends is the transport's to spoil.

    Raises:
        UsageError: boards of this generation give it no opportunity, or don't know a message that it waits for.
    """
    if fault.row.layer != "board":
        return
    if not fault.row.works(board):
        others = ", ".join(each.name for each in BOARDS.values() if fault.row.works(each))
        raise UsageError(f"fault {fault.kind}: boards of {board.name} can't have it", hint=f"boards of {others} can")
    for name in (fault.at, fault.after.unit if fault.after else ""):
        if name and _COMMANDS.get(name, name) not in board.messages:
            raise UsageError(f"fault {fault}: boards of {board.name} know no {name}")


def parse_for_boards(texts: Iterable[str], count: int, board: BoardRow | None = None) -> list[list[Fault]]:
    """Return the faults of each of `count` boards: those for all boards, and those with its number in front.

    Raises:
        UsageError: a text is no fault, there is no board of that number, or a `board` can't have it.
    """
    plans: list[list[Fault]] = [[] for _ in range(count)]
    for text in texts:
        match = _BOARD.fullmatch(text)
        if match and int(match["board"]) >= count:
            raise UsageError(
                f"fault {short(text)}: there is no board {match['board']}, expected 0..{count - 1}",
                hint="boards are counted from 0; without a number a fault is for all of them",
            )
        fault = parse(match["fault"] if match else text)
        if board is not None:
            check_works(fault, board)
        for plan in [plans[int(match["board"])]] if match else plans:
            plan.append(fault)
    return plans


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise no_such("kind of fault", name, [*KINDS, *ALIASES])
    return KINDS[name]


def _read(row: Kind, item: str) -> tuple[str, Any]:
    """Return the field of `Fault` that one item of a text gives, and its value."""
    name, equals, value = item.partition("=")
    if row.amount and not equals and not item[:1].isalpha():
        name, equals, value = row.amount.unit, "=", item
    if name not in row.parameters:
        raise _no_parameter(row, name)
    if bool(equals) is (name == "once"):
        expected = "once without a value" if equals else f"{name}=..."
        raise UsageError(f"fault {row.name}: {item!r:.40}, expected {expected}", hint=row.usage)
    if name == "once":
        return name, True
    if row.amount and name == row.amount.unit:
        return "amount", (_ms if name == "ms" else _count)(row, name, value)
    field, read = _FIELDS.get(name, (name, _text))
    return field, read(row, name, value)


def _ms(row: Kind, name: str, text: str) -> int:
    number = text.removesuffix("ms")
    if not _NUMBER.fullmatch(number):
        raise row.wrong(name, repr(text[:40]), "milliseconds")
    return to_ns(Decimal(number), f"fault {row.name}: {name}")


def _count(row: Kind, name: str, text: str) -> int:
    number = text.removesuffix(BYTES) if name == "bytes" else text
    if not _COUNT.fullmatch(number):
        raise row.wrong(name, repr(text[:40]), "a whole number")
    return int(number)


def _probability(row: Kind, name: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise row.wrong(name, repr(text[:40]), "0..1")
    return float(text)


def _after(row: Kind, name: str, text: str) -> After:
    match = _AFTER.fullmatch(text)
    if match is None or not text or text == BYTES:
        raise row.wrong(name, repr(text[:40]), "a number such as 3, or 17B, START, 2START")
    return After(int(match["count"] or 1), match["unit"] or "")


def _text(row: Kind, name: str, text: str) -> str:
    if not text:
        raise row.wrong(name, "nothing", "a name")
    return text


_FIELDS: Final = {
    "jitter": ("jitter_ns", _ms),
    "gap": ("gap_ns", _ms),
    "p": ("p", _probability),
    "after": ("after", _after),
}


def _no_parameter(row: Kind, name: str) -> UsageError:
    if not row.parameters:
        return UsageError(f"fault {row.name}: {name!r:.40}, expected nothing: it takes no parameters")
    return no_such(f"parameter of fault {row.name}", name, row.parameters)
