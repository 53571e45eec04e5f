"""A board that does as it is told: the server's end of the wire on a thread, and a script for what it says."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hil.documents import profile
from hil.documents.profile import Stamped
from hil.messages import Available, Document, FromBoard, GetLive, GetProfile, GoSend, Message, SendBinaries, Start
from hil.session import TaskloaderSession
from hil.wire import Connection, Role, encode
from taskgen.dialect.boards import BOARDS
from taskgen.events import Event, EventType
from taskgen.session import Target
from taskgen.taskset import TaskSet
from tests.hil.wires import LIVE

#: What a scripted board does of itself when a message comes; a script replaces it by returning True.
Script = Callable[["ScriptedBoard", Message], object]


class ScriptedBoard:
    """Serves one connection after the other; `heard` are all messages, `writes` the sizes of what came at once."""

    def __init__(self, generation: str, script: Script | None = None) -> None:
        self.row = BOARDS[generation]
        self.heard: list[Message] = []
        self.connections = 0
        self.now_ms = 1000  #: what the board's clock shows
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._socket: socket.socket | None = None
        self._machine = Connection(Role.BOARD, self.row)
        self._open = True
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._open:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):
                self._socket = connection
                self._machine = Connection(Role.BOARD, self.row)
                while data := connection.recv(1 << 16):
                    for message in self._machine.receive(data):
                        self.heard.append(message)
                        if self._script is None or self._script(self, message) is not True:
                            self.behave(message)

    def behave(self, message: Message) -> None:
        """Answer as an idle board without tasks does."""
        match message:
            case Available():
                self.say(Available())
            case GetLive():
                self.say(Document("live", LIVE))
            case GetProfile() if not self.row.silent_when_empty:
                self.say(Document("profile", profile.render([])))
            case SendBinaries(count) if count:
                self.say(GoSend())

    def say(self, message: FromBoard) -> None:
        """Send a message as it is, legal or not."""
        self.write(encode(message))

    def log(self, *events: tuple[EventType, int, int]) -> None:
        """Push a log: type, task and stamp of each event."""
        self.say(Document("profile", profile.render([Stamped(*event) for event in events])))

    def write(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.sendall(data)

    def hang_up(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)

    def names(self) -> list[str]:
        """Return what was heard, by class."""
        return [type(message).__name__ for message in self.heard]

    def close(self) -> None:
        self._open = False
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with contextlib.suppress(OSError):
            self.hang_up()
        self._thread.join(5)


@contextmanager
def scripted(generation: str = "G4", script: Script | None = None) -> Iterator[ScriptedBoard]:
    board = ScriptedBoard(generation, script)
    try:
        yield board
    finally:
        board.close()


@contextmanager
def session_on(board: ScriptedBoard, **options: Any) -> Iterator[TaskloaderSession]:
    """Open a session with little patience."""
    known: dict[str, Any] = {
        "dialect": board.row.name, "binaries": "none", "quiet_ms": 20, "poll_ms": 5, "reply_ms": 2000, **options
    }  # fmt: skip
    with TaskloaderSession.open(Target("taskloader", f"127.0.0.1:{board.port}", known)) as session:
        yield session


def collect(run: Iterator[Event], events: list[Event]) -> None:
    """Append the events of a run, also of one that fails."""
    for event in run:
        events.append(event)  # noqa: PERF402  # `extend` keeps none of them when the run fails


def one_job(**attributes: Any) -> TaskSet:
    return TaskSet(
        [{"id": 1, "pkg": "hey", "executiontime": 30, "period": 500, "numberofjobs": 1, "priority": 5, **attributes}]
    )


def runs_one_job(board: ScriptedBoard, message: Message) -> None:
    """Script: each START makes one job of task 1."""
    if isinstance(message, Start):
        now = board.now_ms = board.now_ms + 1000
        board.log((EventType.START, 1, now), (EventType.EXIT, 1, now + 43), (EventType.JOBS_DONE, 1, now + 43))
