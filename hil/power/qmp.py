"""A client of the QEMU Monitor Protocol: one line of JSON per message, over a UNIX or TCP socket.

The QEMU project's own library (qemu.qmp) is asyncio; its synchronous wrapper is GPL-2 only, called legacy, and connects
without a time-out. Five commands from a thread that blocks need none of its event loop.
Source: QEMU, docs/interop/qmp-spec.
"""

import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from taskgen import addresses
from taskgen.errors import UsageError
from taskgen.power import PowerError
from taskgen.units import short

#: The longest line that is read; what we ask for is answered in a hundred bytes.
MAX_LINE = 1 << 16


class QmpError(PowerError):
    """There is no monitor, or it doesn't speak the protocol, or it is silent."""


class QmpAbsent(QmpError):
    """Nobody listens there."""


class QmpRefused(QmpError):
    """The monitor is alive and refused a command, or the command didn't help."""


def parse(text: str) -> str | tuple[str, int]:
    """Return where a monitor listens: the path of a UNIX socket, or a host and a port.

    Raises:
        UsageError: the text is neither `unix:PATH` nor `HOST:PORT`.
    """
    kind, colon, rest = text.partition(":")
    if kind == "unix" and rest:
        return rest
    hint = 'write qmp = "unix:/run/board0.sock" or qmp = "127.0.0.1:4444"'
    try:
        hosts = addresses.parse(rest if kind == "tcp" and colon else text)
    except UsageError as error:
        raise UsageError(f"power.qmp: {error}", hint=hint) from None
    if hosts.count != 1 or hosts.ports is None:
        raise UsageError(f"power.qmp: {short(text)}: expected one address with a port", hint=hint)
    return next(hosts.addresses())


class Monitor:
    """One connection to a QEMU's monitor; also a context manager.

    Args:
        connection: an open socket, which then belongs to this.
        where: where that monitor listens, for messages.
        deadline_ns: when all of it must be over, on the clock; can be moved later on.
        clock: what time it is, in ns.
    """

    def __init__(
        self, connection: socket.socket, where: str, deadline_ns: int, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.deadline_ns = deadline_ns
        self._connection = connection
        self._where = where
        self._clock = clock
        self._buffer = bytearray()
        self._last_id = 0

    @classmethod
    def connect(cls, where: str, deadline_ns: int, clock: Callable[[], int] = time.monotonic_ns) -> Self:
        """Connect to the monitor at a place that `parse` takes.

        Raises:
            QmpAbsent: nobody listens there.
            QmpError: nobody accepts in time.
        """
        seconds = max(0.001, (deadline_ns - clock()) / 1e9)
        try:
            return cls(_connect(parse(where), seconds), where, deadline_ns, clock)
        except (ConnectionRefusedError, FileNotFoundError) as error:
            raise QmpAbsent(f"QMP at {where}: {_reason(error)}") from None
        except OSError as error:
            raise QmpError(f"QMP at {where}: {_reason(error)}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._connection.close()

    @property
    def pid(self) -> int | None:
        """The process that listens, None where that can't be known: over TCP, and on other systems than Linux."""
        if sys.platform != "linux" or self._connection.family != socket.AF_UNIX:
            return None
        layout = struct.Struct("3i")  # struct ucred
        data = self._connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size)
        return layout.unpack(data)[0] or None  # 0: it lives in another namespace

    def greet(self) -> None:
        """Await the greeting and negotiate capabilities: before that no command is taken.

        Raises:
            QmpError: the monitor is silent, or it is none.
        """
        greeting = self._message().get("QMP")
        if not isinstance(greeting, dict) or not isinstance(greeting.get("version"), dict):
            raise self._error("expected a greeting of QMP: it is no monitor")
        self.execute("qmp_capabilities")

    def execute(self, command: str) -> Any:
        """Execute a command and return what it returned; events in between are skipped.

        Raises:
            QmpRefused: the monitor answered with an error.
            QmpError: it didn't answer in time, or not in the protocol.
        """
        self._last_id += 1
        self._send({"execute": command, "id": self._last_id})
        while True:
            message = self._message()
            if "event" in message:
                continue
            if message.get("id") != self._last_id:
                raise self._error(f"{command}: the reply belongs to another command")
            if isinstance(error := message.get("error"), dict):
                said = short(str(error.get("desc")))
                raise QmpRefused(f"QMP at {self._where}: {command}: {said}")
            if "return" not in message:
                raise self._error(f"{command}: the reply has neither return nor error")
            return message["return"]

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._connection.settimeout(self._remaining_s("read"))
            self._connection.sendall(json.dumps(message).encode() + b"\r\n")
        except OSError as error:
            raise self._error(_reason(error)) from None

    def _message(self) -> dict[str, Any]:
        line = self._line()
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            raise self._error(f"is no JSON: {short(line[:60])}") from None
        if not isinstance(message, dict):
            raise self._error(f"expected a JSON object, got {short(line[:60])}")
        return message

    def _line(self) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_LINE:
                raise self._error(f"a line is longer than {MAX_LINE} bytes")
            self._buffer += self._receive()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _receive(self) -> bytes:
        try:
            self._connection.settimeout(self._remaining_s("answer"))
            data = self._connection.recv(1 << 14)
        except OSError as error:
            raise self._error(_reason(error)) from None
        if not data:
            raise self._error("closed the connection")
        return data

    def _remaining_s(self, what: str) -> float:
        remaining_ns = self.deadline_ns - self._clock()
        if remaining_ns <= 0:
            raise self._error(f"doesn't {what} in time")
        return remaining_ns / 1e9

    def _error(self, reason: str) -> QmpError:
        return QmpError(f"QMP at {self._where}: {reason}")


def _connect(place: str | tuple[str, int], seconds: float) -> socket.socket:
    if isinstance(place, tuple):
        return socket.create_connection(place, seconds)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds)
        connection.connect(place)
    except BaseException:
        connection.close()
        raise
    return connection


def _reason(error: OSError) -> str:
    return "doesn't answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
