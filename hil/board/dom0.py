"""dom0, the network server of a board: one client at a time, one command after the other (wire-protocol 1).

Without IO: `receive` takes what came from the client, `take` returns what to write. Commands that block the board block
this loop, so later ones wait in order and nothing is read meanwhile. It does no more than a batch at a time, as many
boards share a thread, and nothing more while much waits to be written: then `pending` says to call `progress` again.
Bad input does what it does on a real board, which is never an answer and never a FIN: at the worst the loop is stuck,
or dom0 dead, and all is silence (1.6).
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Final

from hil.board.engine import Engine
from hil.board.hooks import Action, Heard, Hook, Said
from hil.messages import (
    Available,
    Binary,
    Clear,
    Document,
    Fatal,
    Fault,
    FromBoard,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Optimize,
    Part,
    Reboot,
    SendBinaries,
    SendDescriptions,
    Start,
    Stop,
    Truncated,
    Unknown,
)
from hil.wire import Connection, Role

#: lwIP's sockets, of which each connection costs one until the next boot (wire-protocol 6.8).
SOCKETS: Final = 142
#: Servers that leave their loop when a client fails; later ones go on with what they have (wire-protocol 1.6).
CAREFUL: Final = frozenset({"G1", "G1o", "G1p"})
#: What waits to be written before the loop waits: one document more may follow.
WRITE_BYTES: Final = 1 << 14
#: How much of what came is looked at in one go, and how many commands are served in one: some ms of CPU.
PARSE_BYTES: Final = 1 << 12
BATCH: Final = 64

_UPLOAD: Final = "SEND_BINARIES"


class _End(Enum):
    """The client's stream is over."""

    END = "end"


class Dom0:
    """One board's server; `hook` may be replaced at any time.

    Attributes:
        frozen: nothing happens any more, until a reboot.
        booting: it resets and doesn't listen.
        boots: how often it has booted since it was served.
    """

    def __init__(self, engine: Engine, hook: Hook) -> None:
        self.engine = engine
        self.hook = hook
        self.frozen = False
        self.booting = False
        self.boots = 0
        self._stuck = False  # the loop waits for ever
        self._dead = False  # nobody is left who could push
        self._link: Connection | None = None
        self._leaving = False  # the loop is left when anything comes
        self._arrived = b""  # and not looked at yet
        self._ended = False  # the client's stream, behind that
        self._inbox: deque[Message | _End] = deque()
        self._heard: deque[Heard] = deque()
        self._out = bytearray()
        self._connections = 0
        self._go_left = 0
        engine.on_push = self._push

    # -- the client ----------------------------------------------------------------------------------------------

    @property
    def serves(self) -> bool:
        """Whether a client has the loop; the others wait in the backlog, ungreeted."""
        return self._link is not None

    @property
    def accepts(self) -> bool:
        """Whether it would accept a connection now."""
        return self._link is None and self._acts

    @property
    def reads(self) -> bool:
        """Whether the loop reads from its client now."""
        return self._link is not None and self._idle and not self._waits

    @property
    def pending(self) -> bool:
        """Whether `progress` would serve something that has come already."""
        return self._link is not None and self._idle and self._waits and not self._is_full

    def connect(self) -> bool:
        """Serve a client from now on; False: the sockets are used up, close the connection at once."""
        self._connections += 1
        if self._connections > SOCKETS:
            return False
        self._link = Connection(Role.BOARD, self.engine.row)
        self._leaving = False
        self._go_left = 0
        return True

    def receive(self, data: bytes) -> None:
        """Take what a client sent; b"" is the end of its stream, however it came."""
        if self._link is None:
            return
        self._ended = self._ended or self._leaving or not data
        if not self._leaving:
            self._arrived += data
        self.progress()

    @property
    def written(self) -> int:
        """How many bytes wait to be taken."""
        return len(self._out)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = bytes(self._out)
        self._out.clear()
        return taken

    # -- the loop ------------------------------------------------------------------------------------------------

    @property
    def _acts(self) -> bool:
        return not (self._stuck or self._dead or self.frozen or self.booting)

    @property
    def _idle(self) -> bool:
        return self._acts and not self.engine.busy

    def progress(self) -> None:
        """Go on with what waits, as far as the engine lets the loop."""
        if self.booting and not self.engine.busy:
            self.booting = False
            self.boots += 1
            self._link = None
        for _ in range(BATCH):
            if not self.pending:
                return
            if self._heard:
                self.act(self._heard.popleft())
            elif not self._inbox:
                self._look()
            elif isinstance(message := self._inbox.popleft(), _End):
                self._leave()
            else:
                self._heard.extend(self.hook.heard(message))

    @property
    def _waits(self) -> bool:
        return bool(self._heard or self._inbox or self._arrived or self._ended)

    @property
    def _is_full(self) -> bool:
        return len(self._out) >= WRITE_BYTES

    def _look(self) -> None:
        """Make commands of some of what has come; those before it are through."""
        if self._link is None:
            return
        if self._arrived:
            some, self._arrived = self._arrived[:PARSE_BYTES], self._arrived[PARSE_BYTES:]
            self._inbox.extend(self._link.receive(some))
            return
        self._ended = False
        self._inbox.extend(self._link.receive(b""))
        self._inbox.append(_End.END)

    def reboot(self) -> None:
        """Reset the board: what was written and not sent is lost, the client isn't told."""
        self.frozen = self._stuck = self._dead = False
        self._forget()
        self._out.clear()
        self._connections = 0
        self.booting = True
        self.engine.reboot()

    def _leave(self) -> None:
        self._link = None
        self._forget()

    def _forget(self) -> None:
        """Lose what waits to be served."""
        self._arrived = b""
        self._ended = False
        self._inbox.clear()
        self._heard.clear()

    def act(self, what: Heard) -> None:
        """Do what a message, or a hook, wants."""
        if what is Action.FREEZE:
            self.frozen = True
        elif what is Action.REBOOT:
            self.reboot()
        else:
            _HANDLERS[type(what)](self, what)

    # -- commands ------------------------------------------------------------------------------------------------

    def _command(self, message: SendDescriptions | Clear | Start | Stop | Optimize) -> None:
        self.engine.command(message)

    def _announced(self, message: SendBinaries) -> None:
        self._go_left = message.count
        self._go()

    def _stored(self, binary: Binary) -> None:
        self._store(binary.name, len(binary.image))
        self._go_left -= 1
        if not self._dead:
            self._go()

    def _go(self) -> None:
        if self._go_left > 0:
            self._say(GoSend())

    def _store(self, name: str, size: int) -> None:
        if not self.engine.store(name, size):
            self._die()

    def _profile(self, _: GetProfile) -> None:
        xml = self.engine.profile()
        if xml is not None:
            self._say(Document("profile", xml))

    def _live(self, _: GetLive) -> None:
        xml = self.engine.live()
        if xml is not None:
            self._say(Document("live", xml))

    def _echo(self, message: Available) -> None:
        self._say(message)

    def _rebooted(self, _: Reboot) -> None:
        self.reboot()

    # -- bad input -----------------------------------------------------------------------------------------------

    @property
    def _careful(self) -> bool:
        return self.engine.row.name in CAREFUL

    def _die(self) -> None:
        self._dead = True

    def _kill_loader(self) -> None:
        """The taskloader died in a call of this loop, which never returns."""
        self.engine.hang()
        self._stuck = True

    def _unknown(self, message: Unknown) -> None:
        """A warning on the board's console, which nobody sees."""

    def _fatal(self, message: Fatal) -> None:
        if message.reason is not Fault.EMPTY:
            self._stuck = True  # it waits for memory that nobody has
        elif message.command == _UPLOAD:
            self._die()
        elif self._careful:
            self._leaving = True  # a read of no bytes blocks until the next segment
        else:
            self._kill_loader()

    def _truncated(self, message: Truncated) -> None:
        if message.command == _UPLOAD:
            self._truncated_upload(message)
        elif self._careful:
            return  # the data is discarded
        elif message.part is Part.PAYLOAD and message.data:
            self.engine.command(SendDescriptions(message.data))
        else:
            self._kill_loader()

    def _truncated_upload(self, message: Truncated) -> None:
        image = message.part is Part.IMAGE
        if image:
            self._store(message.name, message.announced)  # half-filled
        if not self._careful and message.part is not Part.LENGTH and not (image and message.binaries_left == 1):
            self._die()  # the loop runs on, with an empty name and size 0

    # -- what it says --------------------------------------------------------------------------------------------

    def _push(self, xml: bytes) -> None:
        """The engine has pushed a document; with nobody there its events are gone."""
        if not (self._dead or self.frozen or self.booting):
            self._write(self.hook.pushes(Document("profile", xml)) if self._hears else ())

    def _say(self, message: FromBoard) -> None:
        if self._hears:
            self._write(self.hook.says(message))

    @property
    def _hears(self) -> bool:
        return self._link is not None and not self._link.closed

    def _write(self, said: Iterable[Said]) -> None:
        for each in said:
            if isinstance(each, bytes):
                self._out += each
            elif self._link is not None:
                self._out += self._link.send(each)


_HANDLERS: Final[Mapping[type, Callable[..., None]]] = {
    **dict.fromkeys((SendDescriptions, Clear, Start, Stop, Optimize), Dom0._command),
    SendBinaries: Dom0._announced,
    Binary: Dom0._stored,
    GetProfile: Dom0._profile,
    GetLive: Dom0._live,
    Available: Dom0._echo,
    Reboot: Dom0._rebooted,
    Unknown: Dom0._unknown,
    Fatal: Dom0._fatal,
    Truncated: Dom0._truncated,
}
