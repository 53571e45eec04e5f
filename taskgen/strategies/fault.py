"""Faults of boards, as the short texts that boards in software and proxies take: plain data, nothing is interpreted.

A text is a kind, and behind a colon what it takes: `latency:20`, `cut:3,after=2START,once`. Several at once are
`st.lists(faults(), max_size=3)`.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, TypeAlias

from hypothesis import strategies as st

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


class Row(NamedTuple):
    """A kind of fault: who can have it, its amount (default, least, largest that is drawn), what it takes besides."""

    layer: Layer
    amount: tuple[int, int, int] | None = None
    at: tuple[str, ...] = ()
    triggers: bool = True
    way: Literal["up", "down", "both", ""] = ""  #: its own; "": it takes none
    extra: str = ""  #: a time in ms of its own


#: All kinds by name, harmless ones first; the amounts that are drawn stay far below what a text may say.
ROWS: Final[dict[str, Row]] = {
    "latency": Row("transport", (50, 0, 200), _MESSAGES, way="down", extra="jitter"),
    "slice": Row("transport", (1, 1, 64), _MESSAGES, way="down", extra="gap"),
    "duplicate": Row("transport", None, _MESSAGES, way="down"),
    "garbage": Row("transport", (32, 1, 256), _MESSAGES, way="down"),
    "cut": Row("transport", (6, 1, 256), _MESSAGES, way="down"),
    "reset": Row("transport", (0, 0, 256), _MESSAGES, way="down"),
    "blackhole": Row("transport", None, _MESSAGES, way="both"),
    "duplicate-push": Row("board"),
    "early-push": Row("board"),
    "stale-events": Row("board", (2, 1, 100)),
    "stale-tail": Row("board", at=_REPLIES),
    "torn-reply": Row("board", at=_REPLIES),
    "wrong-reply": Row("board", at=("SEND_BINARIES", *_REPLIES, "AVAILABLE")),
    "accept-only": Row("board"),
    "freeze": Row("board", at=_UPWARD),
    "reboot": Row("board", at=_UPWARD),
    "hang-on-kill": Row("board", triggers=False),
}
_LONGEST_EXTRA_MS: Final = 50
#: Inferred, and of one generation: only by name.
_UNCERTAIN: Final = ("hang-on-kill",)


def faults(
    *, kinds: Iterable[str] | None = None, layer: Layer | None = None, boards: int | None = None, max_after: int = 5
) -> st.SearchStrategy[str]:
    """Texts of faults, in the only form that each of them has.

    Args:
        kinds: names of kinds; all but `hang-on-kill`, unless told.
        layer: only those of the transport (also for a proxy), or only those of a board.
        boards: of so many boards, numbered from 0, one has it; None: all have.
        max_after: how many opportunities, or messages of a name, go by at most before it strikes.

    Raises:
        UsageError: there is no such kind, layer or number, or none is left.

    Examples from this strategy shrink towards the first kind (without `kinds`: latency), with its usual amount and
    without conditions.
    """
    if boards is not None:
        check_whole("faults", "boards", boards, 1)
    check_whole("faults", "max_after", max_after, 1, (1 << 31) - 1)
    if layer is not None:
        check_name("faults", "layer", layer, ("transport", "board"))
    usual = [name for name in ROWS if name not in _UNCERTAIN]
    known = names("faults", "kinds", usual if kinds is None else kinds, tuple(ROWS))
    chosen = tuple(name for name in known if layer is None or ROWS[name].layer == layer)
    if not chosen:
        raise wrong("faults", "kinds", ", ".join(known), f"one of layer {layer}")
    return _faults(chosen, boards or 0, max_after)


@st.composite
def _faults(draw: st.DrawFn, kinds: tuple[str, ...], boards: int, max_after: int) -> str:
    # As many draws for each kind: else those that take little would count as smaller.
    row = ROWS[name := kinds[draw(whole(0, len(kinds) - 1))]]
    number = _amount(draw, row)
    extra = draw(whole(0, _LONGEST_EXTRA_MS if row.extra else 0))
    at = ("", *row.at)[draw(whole(0, len(row.at)))]
    usual = "up" if at in _UPWARD and at != "AVAILABLE" else row.way
    way = (usual, "down", "up", "both")[draw(whole(0, 3 if row.way else 0))]
    after = _after(draw, row, max_after if row.triggers else 0)
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


def _after(draw: st.DrawFn, row: Row, most: int) -> str:
    """Draw what goes by first: nothing, opportunities, messages of a name, or bytes."""
    units = ("", *_UPWARD, *(("B",) if row.layer == "transport" else ()))
    number = draw(whole(0, most))
    unit = units[draw(whole(0, len(units) - 1 if most else 0))]
    if not number:
        return ""
    return unit if number == 1 and unit not in {"", "B"} else f"{number}{unit}"
