"""The sessions that run something right now, and the stops that are sent to them."""

import threading
from contextlib import suppress

from taskgen.session import Session

#: How long the next run on a session waits for a `stop()` that was meant for the last one.
STOP_S = 1.0


class Running:
    """Which session runs on which target; `enter`, `leave` and `stops` are called under the lock of the hand-out."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session] = {}
        self._stops: dict[int, threading.Event] = {}  # set when the `stop()` of a target's session has returned

    def enter(self, target: int, session: Session) -> None:
        """A session is about to run something."""
        self._sessions[target] = session
        self._stops.pop(target, None)

    def leave(self, target: int) -> None:
        """The run is over: there is nothing to stop on this target."""
        self._sessions.pop(target, None)

    def may_enter(self, target: int) -> bool:
        """Wait a little for a `stop()` of the target's last run; False: it may yet hit the next run of the session."""
        stop = self._stops.get(target)
        return stop is None or stop.wait(STOP_S)

    def stops(self) -> list[tuple[Session, threading.Event]]:
        """Return whom to stop: those that run and aren't being stopped; for `send`."""
        due = []
        for target, session in self._sessions.items():
            if target not in self._stops or self._stops[target].is_set():
                self._stops[target] = threading.Event()
                due.append((session, self._stops[target]))
        return due


def send(stops: list[tuple[Session, threading.Event]]) -> None:
    """Stop sessions without waiting for them."""
    for stop in stops:
        try:
            threading.Thread(target=_stop, args=stop, name="taskgen stop", daemon=True).start()
        except RuntimeError:  # the program is about to end: no thread starts any more
            _stop(*stop)


def _stop(session: Session, over: threading.Event) -> None:
    with suppress(BaseException):  # a session that can't be stopped is left behind when the Distributor closes
        session.stop()
    over.set()
