"""Ctrl-C for loops that compute: it ends them between two turns.

Raised in the middle of a simulation, a KeyboardInterrupt would be taken for the end of whatever process ran there.
"""

import selectors
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Loop(Protocol):
    """What can be stopped."""

    @property
    def watch(self) -> Callable[[Any, int, Callable[[int], None]], None]:
        """Call a function with what of some events a file is ready for."""

    def stop(self) -> None:
        """Let the loop end with this turn."""


@contextmanager
def ctrl_c(loop: Loop) -> Iterator[None]:
    """Let Ctrl-C stop a loop; raises KeyboardInterrupt behind it.

    Outside of the main thread, where nobody hears of it, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed = False

    def stop(_: int) -> None:
        nonlocal pressed
        pressed = bool(theirs.recv(64))
        loop.stop()

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        loop.watch(theirs, selectors.EVENT_READ, stop)
        wakeup = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
        handler = signal.signal(signal.SIGINT, _note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
            signal.set_wakeup_fd(wakeup)
    if pressed:
        raise KeyboardInterrupt


def _note(*_: object) -> None:
    """The wake-up tells the loop."""
