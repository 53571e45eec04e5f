"""A scripted monitor on a real socket: what a QEMU, a broken QEMU, or somebody else says to a QMP client."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GREETING = {"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": ["oob"]}}
EVENT = {"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": False}}

#: What a monitor answers to a request: any number of messages, raw where they are bytes.
Answer = Callable[[dict[str, Any]], list[Any]]


def nothing_happens(request: dict[str, Any]) -> list[Any]:
    """Answer each command as a QEMU whose guest runs."""
    value = {"status": "running", "running": True} if request["execute"] == "query-status" else {}
    return [{"return": value, "id": request["id"]}]


@contextmanager
def monitor(path: Path, answer: Answer = nothing_happens, greeting: Any = GREETING) -> Iterator[list[str]]:
    """Serve one connection after the other at a UNIX socket; yields the commands that came, as they come."""
    commands: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        thread = threading.Thread(target=_serve, args=(listener, answer, greeting, commands))
        thread.start()
        try:
            yield commands
        finally:
            path.unlink()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _serve(listener: socket.socket, answer: Answer, greeting: Any, commands: list[str]) -> None:
    while True:
        try:
            connection = listener.accept()[0]
        except OSError:
            return
        try:
            with connection, connection.makefile("rb") as lines:
                connection.sendall(_encoded(greeting))
                for line in lines:
                    request = json.loads(line)
                    commands.append(request["execute"])
                    for message in answer(request):
                        connection.sendall(_encoded(message))
        except OSError:
            pass  # the client had enough


def _encoded(message: Any) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode() + b"\r\n"
