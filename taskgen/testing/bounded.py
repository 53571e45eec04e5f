"""Calls whose time is bounded, so that a session that hangs breaks a promise, too."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue

from taskgen.testing.event_laws import require


class Bounded:
    """A thread that makes calls, one after the other, while the caller waits for so many seconds at most."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._orders: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="taskgen program", daemon=True)
        self._hangs = ""
        self._thread.start()

    def __call__(self, act: Callable[[], None], name: str) -> None:
        """Make a call; what it raises is raised here.

        Raises:
            AssertionError: it takes too long, or one before it still does.
        """
        require(not self._hangs, f"{name} comes behind {self._hangs}, which still hangs")
        future: Future[None] = Future()
        self._orders.put((future, act))
        try:
            future.result(self._patience_s)
        except TimeoutError:
            if future.done():
                raise
            self._hangs = name
        require(not self._hangs, f"a session never hangs: {name} took longer than {self._patience_s:g} s")

    def close(self) -> None:
        """End the thread, unless a call hangs."""
        self._orders.put(None)
        if not self._hangs:
            self._thread.join(self._patience_s)

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            future, act = order
            try:
                act()
            except BaseException as error:  # noqa: BLE001  # handed over to the caller's thread
                future.set_exception(error)
            else:
                future.set_result(None)
            del order, future, act  # else what it holds lives until the next one


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Make a call in another thread; in the end it has returned, and what it raised is raised."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001  # handed over to the caller's thread
            raised.append(error)

    thread = threading.Thread(target=call, name="taskgen program, meanwhile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if raised:
        raise raised[0]
