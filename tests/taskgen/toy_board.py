"""A session for boards at TCP addresses that speaks no protocol: it connects, or takes the connection of discovery."""

import socket
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any, Self

import pytest

from taskgen import Target, addresses, in_use, registry
from taskgen.boards import BoardTarget
from taskgen.errors import ConnectError
from tests.taskgen.toy import Toy


class ToyBoard(Toy):
    adopts = True

    def __init__(
        self,
        port: int = 3001,
        dialect: str = "auto",
        binaries: str | None = None,
        max_run_ms: float | None = None,
        wire_log: str | None = None,
    ) -> None:
        self.port = port
        self.dialect = dialect
        self.connection: socket.socket | None = None

    @classmethod
    def open(cls, target: Target) -> Self:
        session = cls.construct(target.options)
        address = addresses.split(target.address, session.port)
        handed_on = target.connection.take() if isinstance(target, BoardTarget) and target.connection else None
        try:
            session.connection = handed_on or socket.create_connection(address, timeout=1)
        except OSError as error:
            raise ConnectError(f"{address}: {error}") from None
        in_use.hold(address, session.connection)
        return session

    @classmethod
    def probe(cls, target: Target) -> bool:
        try:
            cls.open(target).close()
        except ConnectError:
            return False
        return True

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()


class InspectedBoard(ToyBoard):
    """Tells what it is: what it was told."""

    @classmethod
    def inspect(cls, target: Target) -> Mapping[str, Any]:
        with cls.open(target) as session:
            return {"state": "idle", "generation": session.dialect, "latency_ns": 1_500_000}


class OwnConnections(ToyBoard):
    """Knows nothing of connections that others open."""

    adopts = False

    @classmethod
    def open(cls, target: Target) -> Self:
        assert not isinstance(target, BoardTarget) or target.connection is None
        return super().open(target)


def install(monkeypatch: pytest.MonkeyPatch, kind: type[ToyBoard] = ToyBoard, name: str = "taskloader") -> None:
    """Let a toy be an installed session."""
    installed = registry.entries
    entry = EntryPoint(name, f"{kind.__module__}:{kind.__qualname__}", "taskgen.sessions")

    def entries(group: str) -> dict[str, EntryPoint]:
        return {**installed(group), name: entry} if group == "sessions" else installed(group)

    monkeypatch.setattr(registry, "entries", entries)
