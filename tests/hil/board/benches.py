"""A board on a bench: dom0 and its engine without sockets, whose time runs as fast as it can."""

import struct
from collections.abc import Mapping
from typing import Any

from hil.board.dom0 import Dom0
from hil.board.engine import EngineOptions
from hil.board.hooks import Hook
from hil.board.simulated import factory
from hil.documents import live, profile, taskset
from hil.frames import encode
from hil.messages import Binary, Clear, FromClient, SendBinaries, SendDescriptions, Start, Stop
from hil.wire import Connection, Role
from taskgen.dialect import BOARDS

GENERATIONS = ("G1", "G1o", "G1p", "G3a", "G3b", "G4")
EARLY = ("G1", "G1o", "G1p")
LATE = ("G3a", "G3b", "G4")
WITH_LOG = ("G1p", *LATE)
MS = 1_000_000

EMPTY_LOG = b"<profile>\n\t<events/>\n</profile>\n"


class Bench:
    """One board with one client; `say` returns what the board has written when nothing is due any more."""

    def __init__(self, generation: str = "G4", hook: Hook | None = None, **options: Any) -> None:
        self.generation = generation
        self.engine = factory(EngineOptions(generation, **options))()
        self.dom0 = Dom0(self.engine, hook or Hook())
        self.client = Connection(Role.CLIENT, BOARDS[generation])
        assert self.connect()

    def connect(self) -> bool:
        """Connect anew, as the next client."""
        self.client = Connection(Role.CLIENT, BOARDS[self.generation])
        return self.dom0.connect()

    def say(self, *messages: bytes | FromClient, until_ms: int = 10_000_000) -> bytes:
        """Send bytes (of hex: `bytes.fromhex`) or messages, each when the board reads again."""
        written = b""
        for message in messages:
            written += self.wait(until_ms)
            self.dom0.receive(message if isinstance(message, bytes) else encode(message))
        return written + self.wait(until_ms)

    def wait(self, until_ms: int = 10_000_000) -> bytes:
        """Let time go by as long as something is to come."""
        engine = self.engine
        written = self._serve()
        while not engine.settled and (due_ns := engine.next_ns) is not None and due_ns <= until_ms * MS:
            engine.advance(until_ms * MS, 1000)
            self.dom0.progress()
            written += self._serve()
        return written

    def _serve(self) -> bytes:
        """Take what is written, and let the board serve what waits for that."""
        written = self.dom0.take()
        while self.dom0.pending:
            self.dom0.progress()
            written += self.dom0.take()
        return written

    def events(self, *messages: bytes | FromClient, until_ms: int = 10_000_000) -> list[profile.Stamped]:
        """Return the events that were pushed, or polled with GET_PROFILE."""
        return events_of(self.say(*messages, until_ms=until_ms))

    def live(self) -> live.Live:
        """Ask for the list of threads, now."""
        return live.parse(self.say(word(0x159D2), until_ms=0)[4:])

    @property
    def answers(self) -> bool:
        """Whether the loop still serves, in step."""
        return b"<live>" in self.say(word(0x159D2))


def events_of(stream: bytes) -> list[profile.Stamped]:
    """Return the events of a stream of profile documents."""
    events: list[profile.Stamped] = []
    while stream:
        (size,) = struct.unpack_from("<i", stream)
        events += profile.parse(stream[4 : 4 + size])
        stream = stream[4 + size :]
    return events


def word(value: int) -> bytes:
    """Return a command word as it stands on the wire."""
    return struct.pack("<I", value)


def document(xml: bytes) -> bytes:
    """Return a document as a board sends it."""
    return struct.pack("<i", len(xml) + 1) + xml + b"\0"


def task(**elements: object) -> dict[str, object]:
    """Return the elements of a task that each generation starts: 10 ms of work, at once and once."""
    defaults: dict[str, object] = {
        "id": 0, "pkg": "hey", "quota": "1M", "priority": 1, "period": 5_000_000 // 3, "numberofjobs": 1,
        "executiontime": 10, "caps": 235, "cores": 2, "coreoffset": 1, "config": {},
    }  # fmt: skip
    return {key: value for key, value in {**defaults, **elements}.items() if value is not None}


def descs(*tasks: Mapping[str, object], goal: Mapping[str, Any] | None = None) -> SendDescriptions:
    """Return SEND_DESCS for tasks as `task` makes them."""
    return SendDescriptions(taskset.write([dict(each) for each in tasks or (task(),)], goal))


def shown(events: list[profile.Stamped]) -> list[tuple[str, int]]:
    """Return type and task of each event."""
    return [(str(event.type), event.task_id) for event in events]


START, STOP, CLEAR = Start(), Stop(), Clear()
GET_PROFILE, GET_LIVE, REBOOT, AVAILABLE = (word(each) for each in (0x159D1, 0x159D2, 0x159D3, 0xAAAAA))
UPLOAD = SendBinaries(1)
HEY = Binary("hey", b"\x7fELF")
