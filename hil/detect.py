"""Which generation is this board? Asked with messages that no board takes amiss, on a board where nothing runs.

AVAILABLE, GET_PROFILE and GET_LIVE are sent at once. A board serves them in this order, skips the words that it doesn't
know, and answers the last one whatever it is: so the thread list says that all other answers have come (hazards 7 and
8 of wire-protocol 8). 0x159D3 is never sent: it reboots boards, or makes them checkpoint.

What the answers leave open stays open: units and the direction of priorities are never guessed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hil.connection import NS_PER_S, Link
from hil.documents import live, profile
from hil.messages import Available, Document, GetLive, GetProfile
from taskgen.dialect.boards import BOARDS, BoardRow
from taskgen.errors import ConnectError, UsageError

#: How long a board may take for all answers; it may be at the end of a CLEAR or START of another client.
PATIENCE_NS = 10 * NS_PER_S
#: How long an answer may take that needn't come.
DOUBT_NS = 2 * NS_PER_S
#: Rows of a thread list that is filled up: 100 of published builds, 150 of the recordings' (wire-protocol 4.2).
_FULL = 100
#: More empty rows than init can have threads: they fill up a table.
_OF_INIT = 10


@dataclass(slots=True)
class Answers:
    """What a board answered."""

    available: bool = False
    events: bool = False  #: a log with events came, which tells nothing: an empty one might not be answered
    empty: bool = False  #: an empty log came
    live: bytes | None = None


def detect(link: Link, *, patience_ns: int = PATIENCE_NS, doubt_ns: int = DOUBT_NS) -> tuple[BoardRow, ...]:
    """Return the generations that a board may be of, at least one.

    Raises:
        ConnectError: it accepts connections and doesn't serve them.
        TargetLost: the connection was lost.
        DocumentError: an answer is none that a board gives.
    """
    answers = _ask(link, patience_ns)
    if answers.available:
        return (BOARDS["G4"],)
    if answers.events and not answers.empty:
        return _rows("G1p", "G3a") if _answers_empty(link, doubt_ns) else _rows("G3b")
    if answers.empty:
        return _rows("G1p", "G3a")
    if answers.live is None:
        raise ConnectError(
            f"{link.address}: accepts connections, but answers nothing",
            hint="it may hang or serve another client, or it is no taskloader: reset it, or look at its console",
        )
    return _by_threads(answers.live)


def only(rows: tuple[BoardRow, ...], where: str) -> BoardRow:
    """Return the one generation.

    Raises:
        UsageError: there are several; names them and the line of the inventory that decides.
    """
    if len(rows) == 1:
        return rows[0]
    names = [row.name for row in rows]
    lines = " or ".join(f'dialect = "{name}"' for name in names)
    raise UsageError(
        f"{where}: the board is of generation {' or '.join(names)}: its answers don't tell which",
        hint=f"write {lines} for this target into taskgen.toml; beside -t, --dialect says it, too",
    )


def _rows(*names: str) -> tuple[BoardRow, ...]:
    return tuple(BOARDS[name] for name in names)


def _ask(link: Link, patience_ns: int) -> Answers:
    answers = Answers()
    questions = (Available(), GetProfile(), GetLive())
    for question in questions:
        link.send(question)

    def take(message: object) -> bool:
        match message:
            case Available():
                answers.available = True
            case Document("profile", xml):
                answers.events |= (found := bool(profile.parse(xml)))
                answers.empty |= not found
            case Document("live", xml):
                answers.live = xml
        return answers.live is not None

    _collect(link, link.now() + patience_ns, take)
    for question in questions:
        link.give_up(question)
    return answers


def _answers_empty(link: Link, patience_ns: int) -> bool:
    """Ask for a log that was just emptied; return whether an answer came."""
    link.send(GetProfile())
    answered = _collect(link, link.now() + patience_ns, lambda message: isinstance(message, Document))
    link.give_up(GetProfile())
    return answered


def _collect(link: Link, deadline_ns: int, take: Callable[[object], bool]) -> bool:
    """Hand messages on until one is the last, or to the deadline."""
    while (arrival := link.receive(deadline_ns)) is not None:
        if take(arrival.message):
            return True
    return False


def _by_threads(xml: bytes) -> tuple[BoardRow, ...]:
    """Tell boards apart that know no GET_PROFILE from those that don't answer it with an empty log."""
    text = xml.partition(b"</live>")[0]
    if text.count(b"<task ") < _FULL:
        return _rows("G3b")  # the others fill their lists up
    threads = live.parse(xml).threads
    if threads and all(thread.exit_time is None for thread in threads):
        return _rows("G1")  # builds before 2017-08-16 tell no exit-time (wire-protocol 4.1)
    return _rows("G1", "G1o") if text.count(b'session=""') > _OF_INIT else _rows("G1", "G1o", "G3b")
