"""Faults of boards, as the short texts that boards in software and proxies take: plain data, nothing is interpreted.

A text is a kind, and behind a colon what it takes: `latency:20`, `cut:3,after=2START,once`. Several at once are
`st.lists(faults(), max_size=3)`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from hypothesis import strategies as st

from taskgen.dialect.boards import BOARDS, BoardRow
from taskgen.strategies.draws import check_name, check_whole, names, whole, wrong

Layer: TypeAlias = Literal["transport", "board"]

#: What a client sends, what a board sends, and what has no way of its own because both do.
_UPWARD: Final = (
    *("SEND_DESCS", "CLEAR", "SEND_BINARIES", "BINARY", "START", "STOP"),
    *("GET_PROFILE", "GET_LIVE", "REBOOT", "OPTIMIZE", "AVAILABLE"),
)
_MESSAGES: Final = (*_UPWARD, "GO_SEND", "DOCUMENT")
_REPLIES: Final = ("GET_PROFILE", "GET_LIVE")
_PROBABILITIES: Final = ("", "0.5", "0.1", "0.9")
#: Messages that are no commands: what they belong to.
_COMMANDS: Final = {"BINARY": "SEND_BINARIES"}


def _anywhere(_: BoardRow) -> bool:
    return True


class Row(NamedTuple):
    """A kind of fault: who can have it, its amount (default, least, largest that is drawn), what it takes besides."""

    layer: Layer
    amount: tuple[int, int, int] | None = None
    at: tuple[str, ...] = ()
    triggers: bool = True
    way: Literal["up", "down", "both", ""] = ""  #: its own; "": it takes none
    extra: str = ""  #: a time in ms of its own
    works: Callable[[BoardRow], bool] = _anywhere  #: whether boards of a generation can have it


#: All kinds by name, harmless ones first; the amounts that are drawn stay far below what a text may say.
ROWS: Final[dict[str, Row]] = {
    "latency": Row("transport", (50, 0, 200), _MESSAGES, way="down", extra="jitter"),
    "slice": Row("transport", (1, 1, 64), _MESSAGES, way="down", extra="gap"),
    "duplicate": Row("transport", None, _MESSAGES, way="down"),
    "garbage": Row("transport", (32, 1, 256), _MESSAGES, way="down"),
    "cut": Row("transport", (6, 1, 256), _MESSAGES, way="down"),
    "reset": Row("transport", (0, 0, 256), _MESSAGES, way="down"),
    "blackhole": Row("transport", None, _MESSAGES, way="both"),
    "duplicate-push": Row("board", works=lambda board: board.pushes),
    "early-push": Row("board"),
    "stale-events": Row("board", (2, 1, 100), works=lambda board: "GET_PROFILE" in board.messages),
    "stale-tail": Row("board", at=_REPLIES),
    "torn-reply": Row("board", at=_REPLIES),
    "wrong-reply": Row("board", at=("SEND_BINARIES", *_REPLIES, "AVAILABLE")),
    "accept-only": Row("board"),
    "freeze": Row("board", at=_UPWARD),
    "reboot": Row("board", at=_UPWARD),
    "hang-on-kill": Row("board", triggers=False, works=lambda board: board.name in {"G3a", "G3b"}),
}
_LONGEST_EXTRA_MS: Final = 50
#: Inferred, and of one generation: only by name.
_UNCERTAIN: Final = ("hang-on-kill",)


class _Kind(NamedTuple):
    """A kind as it is drawn: its row, and the messages that `at` and units that `after` may name."""

    name: str
    row: Row
    at: tuple[str, ...]
    units: tuple[str, ...]


def faults(
    *,
    kinds: Iterable[str] | None = None,
    layer: Layer | None = None,
    generation: str | None = None,
    boards: int | None = None,
    max_after: int = 5,
) -> st.SearchStrategy[str]:
    """Texts of faults, in the only form that each of them has.

    Args:
        kinds: names of kinds; all that the generation can have but `hang-on-kill`, unless told.
        layer: only those of the transport (also for a proxy), or only those of a board.
        generation: of the boards in software that have them, which refuse what could never strike there; None: any, so
            only what boards of each generation can have. A kind that only some have comes by name; it waits for what
            all of these know. Those of the transport are the same for all.
        boards: of so many boards, numbered from 0, one has it; None: all have.
        max_after: how many opportunities, or messages of a name, go by at most before it strikes.

    Raises:
        UsageError: there is no such kind, layer, generation or number, boards of the generation can't have a kind, or
            none is left.

    Examples from this strategy shrink towards the first kind (without `kinds`: latency), with its usual amount and
    without conditions.
    """
    if boards is not None:
        check_whole("faults", "boards", boards, 1)
    check_whole("faults", "max_after", max_after, 1, (1 << 31) - 1)
    if layer is not None:
        check_name("faults", "layer", layer, ("transport", "board"))
    if generation is not None:
        check_name("faults", "generation", generation, tuple(BOARDS))
    rows = tuple(BOARDS.values()) if generation is None else (BOARDS[generation],)
    usual = [name for name, row in ROWS.items() if name not in _UNCERTAIN and all(map(row.works, rows))]
    known = names("faults", "kinds", usual if kinds is None else kinds, tuple(ROWS))
    chosen = [_kind(name, rows) for name in known if layer is None or ROWS[name].layer == layer]
    if not chosen:
        raise wrong("faults", "kinds", ", ".join(known), f"one of layer {layer}")
    return _faults(tuple(chosen), boards or 0, max_after)


def _kind(name: str, boards: Sequence[BoardRow]) -> _Kind:
    """Return a kind with the messages that those of the boards know that can have it."""
    row = ROWS[name]
    if row.layer == "transport":  # spoils whatever a client says
        return _Kind(name, row, row.at, ("", *_UPWARD, "B"))
    able = [board for board in boards if row.works(board)]
    if not able:
        others = ", ".join(board.name for board in BOARDS.values() if row.works(board))
        raise wrong(
            "faults", "kinds", name, f"one that boards of {boards[0].name} can have", hint=f"boards of {others} can"
        )
    known = [each for each in _UPWARD if all(_COMMANDS.get(each, each) in board.messages for board in able)]
    return _Kind(name, row, tuple(each for each in row.at if each in known), ("", *known))


@st.composite
def _faults(draw: st.DrawFn, kinds: tuple[_Kind, ...], boards: int, max_after: int) -> str:
    # As many draws for each kind: else those that take little would count as smaller.
    name, row, messages, units = kinds[draw(whole(0, len(kinds) - 1))]
    number = _amount(draw, row)
    extra = draw(whole(0, _LONGEST_EXTRA_MS if row.extra else 0))
    at = ("", *messages)[draw(whole(0, len(messages)))]
    usual = "up" if at in _UPWARD and at != "AVAILABLE" else row.way
    way = (usual, "down", "up", "both")[draw(whole(0, 3 if row.way else 0))]
    after = _after(draw, units, max_after if row.triggers else 0)
    p = _PROBABILITIES[draw(whole(0, len(_PROBABILITIES) - 1 if row.triggers else 0))]
    once = draw(whole(0, int(row.triggers)))
    given = {row.extra: extra, "way": way if way != usual else "", "after": after, "at": at, "p": p}
    items = [*number, *(f"{key}={value}" for key, value in given.items() if value), *["once"] * once]
    text = f"{name}:{','.join(items)}" if items else name
    return f"{draw(whole(0, boards - 1))}:{text}" if boards else text


def _amount(draw: st.DrawFn, row: Row) -> list[str]:
    """Draw an amount; nothing stands for the default."""
    default, least, most = row.amount or (0, 0, -1)
    drawn = least + draw(whole(0, most - least + 1)) - 1
    return [] if drawn in {least - 1, default} else [str(drawn)]


def _after(draw: st.DrawFn, units: tuple[str, ...], most: int) -> str:
    """Draw what goes by first: nothing, opportunities, messages of a name, or bytes."""
    number = draw(whole(0, most))
    unit = units[draw(whole(0, len(units) - 1 if most else 0))]
    if not number:
        return ""
    return unit if number == 1 and unit not in {"", "B"} else f"{number}{unit}"
