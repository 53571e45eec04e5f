"""Faults of boards: what a board in software does wrong, and how the transport fails it, as a `Hook` of its server."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from hil.board.faults import Fault, check_works, parse
from hil.board.hooks import Action, Heard, Hook, Piece, Said
from hil.board.streams import Stream
from hil.board.triggers import Plan, Trigger
from hil.documents import profile
from hil.documents.profile import Stamped
from hil.frames import COMMANDS, WORD, encode
from hil.messages import Available, Binary, Document, FromBoard, GoSend, Message, SendBinaries, Start
from taskgen.dialect import BoardRow
from taskgen.events import EventType

#: The id of the task that old events are of, beside those of ours; ids go up to 99 (wire-protocol 2).
FOREIGN_ID: Final = 99
#: How long before the first event of a set the events of the set before it were, in ms; a board's log may be as
#: much out of order.
STALE_MS: Final = 500

#: What an older document leaves behind the end of a shorter one (wire-protocol 1.3).
_TAIL: Final = {
    "profile": b'="0" time-stamp="1234"/>\n\t</events>\n</profile>\n',
    "live": b"/>\n\t</task-descriptions>\n</live>\n",
}
_EMPTY_LIVE: Final = Document("live", b"<live>\n\t<task-descriptions/>\n</live>\n")
_ACTIONS: Final = {"freeze": Action.FREEZE, "reboot": Action.REBOOT}
#: The fault of the board's connections; it counts for the board, others on each connection anew.
_ONLY: Final = "accept-only"
_ACCEPT: Final = "accept"
#: Faults that need the events of documents.
_READERS: Final = frozenset({"stale-events", "early-push", "torn-reply"})


def hook_of(faults: Sequence[str], seed: int, board: int, row: BoardRow | None) -> Hook:
    """Return the hook of one board; see `hil.board.hooks.hook_of`."""
    parsed = [parse(text) for text in faults]
    if row is not None:
        for fault in parsed:
            check_works(fault, row)
    return FaultyBoard(parsed, seed, board)


class FaultyBoard(Hook):
    """One board with its faults, for all its clients.

    Args:
        faults: what goes wrong.
        seed: of the draws.
        board: the number of the board.
    """

    def __init__(self, faults: Sequence[Fault], seed: int = 0, board: int = 0) -> None:
        kinds = {fault.kind for fault in faults}
        self.switches = ("hang_on_kill",) if "hang-on-kill" in kinds else ()
        self._faults = faults
        self._reads = bool(kinds & _READERS)
        self._log = _Log()
        self._plan = Plan(faults, f"{seed}/{board}")
        self._accepting = self._go_on((), _ACCEPT)
        self._stream = Stream(self._plan, 0)
        self._triggers = self._go_on((), "0")
        self._is_new = False  # the connection

    # -- connections ---------------------------------------------------------------------------------------------

    def follows(self, hook: Hook) -> None:
        """Go on where the hook before this one was, as far as they have faults in common."""
        if not isinstance(hook, FaultyBoard):
            return
        self._plan = Plan(self._faults, self._plan.key, hook._plan)
        self._log = hook._log
        self._stream = hook._stream
        self._stream.follow(self._plan)
        self._accepting = self._go_on(hook._accepting, _ACCEPT)
        self._triggers = self._go_on(hook._triggers, str(self._stream.number))

    def accepts(self) -> bool:
        """Whether a connection is served."""
        struck = [trigger.strikes() for trigger in self._accepting]
        self._is_new = not any(struck)
        return self._is_new

    def begins(self, *, connected: bool) -> Iterable[Piece | Action]:
        """Return what happens at once; with a new connection, counts begin anew."""
        if self._is_new:
            self._is_new = False
            self._stream = Stream(self._plan, self._stream.number + 1)
            self._triggers = self._go_on((), str(self._stream.number))
        return [*(self._stream.begin() if connected else ()), *self._at_once()]

    def _go_on(self, known: Sequence[Trigger], place: str) -> list[Trigger]:
        return [
            next((each for each in known if each.shares(once)), None) or self._plan.trigger(index, place)
            for index, (fault, once) in enumerate(self._plan.faults)
            if fault.row.layer == "board" and (fault.kind == _ONLY) is (place == _ACCEPT)
        ]

    def _at_once(self) -> Iterator[Action]:
        for trigger in self._of(*_ACTIONS):
            if trigger.at_once and trigger.spend():
                yield _ACTIONS[trigger.fault.kind]

    def _of(self, *kinds: str) -> Iterator[Trigger]:
        return (trigger for trigger in self._triggers if trigger.fault.kind in kinds)

    # -- bytes ---------------------------------------------------------------------------------------------------

    def incoming(self, data: bytes) -> Iterable[Piece]:
        """Return what the board gets."""
        return self._stream.feed("up", data)

    def outgoing(self, data: bytes) -> Iterable[Piece]:
        """Return what the client gets."""
        return self._stream.feed("down", data)

    # -- messages ------------------------------------------------------------------------------------------------

    def heard(self, message: Message) -> Iterable[Heard]:
        """Return what the board makes of a command: it may freeze or reboot instead of it, or behind it."""
        name = _name(message)
        if isinstance(message, Start):
            self._log.restart()
        behind: list[Heard] = []
        for trigger in self._of(*_ACTIONS):
            action = _ACTIONS[trigger.fault.kind]
            if not trigger.fault.prompt:
                if trigger.strikes(name):
                    return [action]
            elif trigger.passed() and trigger.spend():
                behind.append(action)
        for trigger in self._accepting:
            trigger.heard(name)
        behind += [_ACTIONS[each.fault.kind] for each in self._triggers if each.heard(name) and each.spend()]
        return [message, *behind[:1]]

    def says(self, message: FromBoard) -> Iterable[Said]:
        """Return what the board says instead of GO_SEND, a reply or an echo."""
        request = _request(message)
        said: list[Said] = [message]
        if isinstance(message, Document):
            said = self._document(message, request)
        if isinstance(message, GoSend):
            for trigger in self._of("early-push"):
                if trigger.strikes():
                    said = [encode(self._log.old()), *said]
        for trigger in self._of("torn-reply"):
            if isinstance(said[0], Document) and trigger.strikes(request):
                whole = encode(said[0])
                said = [whole[:WORD] + encode(self._log.old()) + whole[WORD:]]
        for trigger in self._of("wrong-reply"):
            if trigger.strikes(request):
                said = [encode(_WRONG[request])]
        return said

    def pushes(self, document: Document) -> Iterable[Said]:
        """Return what the board says instead of a push."""
        said = self._document(document, "")
        for trigger in self._of("duplicate-push"):
            if trigger.strikes():
                said = [*said, *said]
        return said

    def _document(self, document: Document, request: str) -> list[Said]:
        """Return a document with what doesn't belong into it."""
        xml = document.xml
        if self._reads and document.root == "profile":
            events = profile.parse(xml)
            self._log.read(events)
            stale = [
                event
                for trigger in self._of("stale-events")
                if trigger.strikes()
                for event in self._log.stale(trigger.fault.number)
            ]
            xml = profile.render([*stale, *events]) if stale else xml
        for trigger in self._of("stale-tail"):
            if trigger.strikes(request):
                xml += _TAIL[document.root]
        return [Document(document.root, xml)]


class _Log:
    """What is known of a board's events, so that old ones can be made up."""

    def __init__(self) -> None:
        self._first: Stamped | None = None  # since the last START
        self._latest_ms = 0

    def restart(self) -> None:
        """A set begins."""
        self._first = None

    def read(self, events: Sequence[Stamped]) -> None:
        """Note what the board logged."""
        if events:
            self._first = self._first or events[0]
            self._latest_ms = events[-1].stamp_ms

    def stale(self, number: int) -> list[Stamped]:
        """Return events from before the START: of one of its tasks, of a foreign one, and so on."""
        first_ms = self._first.stamp_ms if self._first else self._latest_ms
        ids = (self._first.task_id if self._first else FOREIGN_ID, FOREIGN_ID)
        types = (EventType.START, EventType.EXIT)
        return [
            Stamped(types[index % 2], ids[index // 2 % 2], max(0, first_ms - STALE_MS - number + index))
            for index in range(number)
        ]

    def old(self) -> Document:
        """Return a push with what a task of an earlier client did."""
        events = [Stamped(event, FOREIGN_ID, self._latest_ms) for event in (EventType.START, EventType.EXIT_EXTERNAL)]
        return Document("profile", profile.render(events))


_WRONG: Final[dict[str, FromBoard]] = {
    "SEND_BINARIES": Available(),
    "AVAILABLE": GoSend(),
    "GET_PROFILE": _EMPTY_LIVE,
    "GET_LIVE": Document("profile", profile.render(())),
}


def _name(message: Message) -> str:
    command = COMMANDS.get(type(message))
    return "BINARY" if isinstance(message, Binary) else command.name if command else ""


def _request(message: FromBoard) -> str:
    """Return what the board answers with this message."""
    if isinstance(message, Document):
        return "GET_PROFILE" if message.root == "profile" else "GET_LIVE"
    return COMMANDS[SendBinaries if isinstance(message, GoSend) else Available].name
