"""A wire log read offline: what was said on each connection, as messages and events, mistakes included.

The bytes go through the machine of a client, as they did when they were logged, so a protocol bug on a board can be
looked at, and made a test, where there is no board.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hil import wirelog
from hil.documents import DocumentError, live, profile
from hil.errors import LocalProtocolError, RemoteProtocolError
from hil.frames import COMMANDS, name_of_type
from hil.messages import Binary, Document, Message, Optimize, SendBinaries, SendDescriptions
from hil.wire import Connection, Role
from hil.wirelog import Logged
from taskgen.dialect.boards import BOARDS

#: Understands whatever a client may have sent.
_ALL: Final = replace(BOARDS["G4"], messages=frozenset[Any](command.name for command in COMMANDS.values()))


def replay(path: Path) -> Iterator[str]:
    """Yield lines of text that tell what a wire log holds.

    Raises:
        UsageError: the file can't be read.
        InputError: it is no wire log.
    """
    conversations: dict[str, _Conversation] = {}
    for entry in wirelog.read(path):
        if entry.connection not in conversations:
            conversations[entry.connection] = _Conversation()
        for text in conversations[entry.connection].read(entry):
            whole_ms, us = divmod(entry.time_ns // 1000, 1000)
            yield f"{whole_ms:>8}.{us:03} ms  {entry.connection}  {text}"


class _Conversation:
    """One connection."""

    def __init__(self) -> None:
        self._client = Connection(Role.CLIENT)
        self._board = Connection(Role.BOARD, _ALL)
        self._generation: str | None = None

    def read(self, entry: Logged) -> Iterator[str]:
        if entry.sent is not None:
            yield from self._sent(entry.sent)
        elif entry.received is not None:
            yield from self._received(entry.received)
        else:
            known = entry.generation if entry.generation in BOARDS else None
            if known is not None and known != self._generation:
                self._client.identify(BOARDS[known])
            self._generation = known
            yield f"= {entry.address}, generation {entry.generation or 'unknown'}"

    def _sent(self, data: bytes) -> Iterator[str]:
        for message in self._board.receive(data):
            yield f"> {_text(message)}"
            try:
                self._client.send(message)  # type: ignore[arg-type]  # what none may send is refused
            except LocalProtocolError as error:
                yield f"! {error}"

    def _received(self, data: bytes) -> Iterator[str]:
        messages: list[Message] = []
        fault = ""
        try:
            messages = self._client.receive(data)
        except RemoteProtocolError as error:
            messages, fault = list(error.messages), f"! {error}"  # type: ignore[arg-type]  # messages are all it has
        except LocalProtocolError as error:
            fault = f"! {error}"
        for message in messages:
            yield f"< {_text(message)}"
            yield from _content(message)
        if fault:
            yield fault
        if not data:
            yield "< end of the stream"


def _text(message: Message) -> str:
    match message:
        case Document(root, xml):
            return f"{root} document, {len(xml) + 1} bytes"
        case SendDescriptions(xml) | Optimize(xml):
            return f"{name_of_type(type(message))} {xml.decode('ascii', 'backslashreplace')!r}"
        case Binary(name, image):
            return f"binary {name!r}, {len(image)} bytes"
        case SendBinaries(count):
            return f"SEND_BINARIES {count}"
    return name_of_type(type(message)) if type(message) in COMMANDS else repr(message)


def _content(message: Message) -> Iterator[str]:
    try:
        match message:
            case Document("profile", xml):
                for event in profile.parse(xml):
                    yield f"    {event.type or event.name} task {event.task_id} at {event.stamp_ms} ms"
            case Document("live", xml):
                for row in live.parse(xml).threads:
                    ended = "" if row.exit_ms is None else f", exit {row.exit_ms} ms"
                    where = f"{row.session} / {row.thread}".encode("ascii", "backslashreplace").decode()
                    yield f"    {where}: arrival {row.arrival_ms} ms, ran {row.execution_ms} ms{ended}"
    except DocumentError as error:
        yield f"    ! {error}"
