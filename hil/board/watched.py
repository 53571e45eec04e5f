"""The files that a loop waits for, and who wants to know when they are ready."""

import selectors
from collections.abc import Callable
from typing import Any, TypeAlias

#: Told what a file is ready for: selectors' EVENT_READ, EVENT_WRITE or both.
Ready: TypeAlias = Callable[[int], None]


class Watched:
    """Files with the events that they are watched for."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._events: dict[Any, int] = {}

    def watch(self, file: Any, events: int, ready: Ready) -> None:
        """Call `ready` with what of `events` a file is ready for; 0: forget the file."""
        before = self._events.get(file, 0)
        if events == before:
            return
        if not events:
            self._selector.unregister(file)
            del self._events[file]
            return
        (self._selector.modify if before else self._selector.register)(file, events, ready)
        self._events[file] = events

    def select(self, timeout_s: float | None) -> list[tuple[Ready, int]]:
        """Wait until files are ready, None: for ever; return who is to be told, and what."""
        return [(key.data, events) for key, events in self._selector.select(timeout_s)]

    def close(self) -> None:
        """Forget all files."""
        self._selector.close()
