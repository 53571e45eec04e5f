"""One board in software and sessions on it: what `taskgen.testing.run_session_machine` and its programs need.

board = SoftwareBoard("G4")
run_session_machine(board, faults=board)
"""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from hil.board.faults import check_works, parse
from hil.board.process import Boards, serve
from hil.connecting import connect
from hil.session import TaskloaderSession
from taskgen.dialect.boards import board
from taskgen.errors import ConnectError, TargetError, UsageError
from taskgen.session import Target
from taskgen.testing.properties.law import BOARD_TOLERANCES
from taskgen.units import NS_PER_MS

#: Little patience, since a board on this machine answers at once; runs may last as long as the set takes.
OPTIONS: Final = {
    "quiet_ms": 20, "poll_ms": 5, "reply_ms": 1000, "silence_ms": 500, "stall_ms": 500, "connect_timeout_ms": 2000,
    "max_run_ms": 600_000,
}  # fmt: skip
#: Faults that a session isn't to notice.
HARMLESS: Final = ("latency:5", "slice:1", "duplicate-push", "early-push", "stale-events:2", "stale-tail")
#: Faults that may cost a run; what takes long until it is noticed comes last.
HARMFUL: Final = (
    "reset", "reset:after=3", "reset:20", "reset:after=START", "cut:17", "cut:after=2", "cut:1,way=up,after=CLEAR",
    "reboot", "reboot:after=CLEAR", "reboot:after=START", "garbage", "garbage:7,after=1", "torn-reply", "wrong-reply",
    "duplicate", "accept-only", "hang-on-kill", "freeze", "freeze:after=CLEAR", "freeze-after-start",
    "blackhole", "blackhole:after=2", "blackhole:after=START,way=down",
)  # fmt: skip
#: A boot serves some 142 connections (wire-protocol 6.8); after so many calls the next session gets another boot.
_CALLS: Final = 50
#: How long a board may take until it serves again.
_BOOT_S: Final = 30.0


@dataclass(eq=False)
class SoftwareBoard:
    """A board in a process of its own that is started when it is first needed; a context manager that ends it.

    Called, it opens a session on the board. It is also what can go wrong with the board (`harmless`, `harmful`,
    `inject`, `mend`), and tells whether it is there (`probe`) and how much a session has sent (`sent`).

    Args:
        generation: of the board.
        speed: of its time, as in `hil.board.serve`.
        options: of the sessions, beside `OPTIONS`.
    """

    session: ClassVar[type[TaskloaderSession]] = TaskloaderSession  #: what is opened; subclasses may know better

    generation: str = "G4"
    speed: str | float = "max"
    options: dict[str, object] = field(default_factory=dict)
    _boards: Boards | None = field(default=None, init=False, repr=False)
    _calls: int = field(default=0, init=False, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self) -> TaskloaderSession:
        """Open a session on the board.

        Raises:
            TargetError: the board's process doesn't start, or the board isn't reached.
        """
        if self._calls >= _CALLS:
            self._cycle()
        self._calls += 1
        return self.session.open(self.target)

    @property
    def boards(self) -> Boards:
        """The process of the board."""
        if self._boards is None:
            self._boards = serve(generation=self.generation, speed=self.speed)
        return self._boards

    @property
    def target(self) -> Target:
        """The board as a target."""
        target = self.boards.targets[0]
        return Target(target.session, target.address, {**target.options, **OPTIONS, **self.options})

    @property
    def harmless(self) -> tuple[str, ...]:
        """Faults that boards of this generation can have, and that a session isn't to notice."""
        return self._possible(HARMLESS)

    @property
    def harmful(self) -> tuple[str, ...]:
        """Faults that boards of this generation can have, and that may cost a run."""
        return self._possible(HARMFUL)

    def _possible(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(text for text in texts if self.can_have(text))

    def can_have(self, fault: str) -> bool:
        """Whether boards of this generation can have a fault."""
        try:
            check_works(parse(fault), board(self.generation))
        except UsageError:
            return False
        return True

    @property
    def ends_untold(self) -> bool:
        """Whether a job may vanish without an event (wire-protocol 6.4)."""
        return BOARD_TOLERANCES[self.generation].ends_untold

    def probe(self) -> bool:
        """Tell whether somebody accepts connections."""
        self._calls += 1
        return TaskloaderSession.probe(self.target)

    @staticmethod
    def sent(session: TaskloaderSession) -> int:
        """Return how many bytes the connection of a session has sent."""
        return 0 if session._link is None else session._link.bytes_out

    def inject(self, fault: str) -> None:
        """Add a fault to those of the board."""
        self.boards.inject(0, fault)

    def mend(self) -> None:
        """Take all faults away and cut the power for a moment; when this returns, the board serves.

        Raises:
            TargetError: it doesn't.
        """
        self.boards.lift(0)
        self._cycle()

    def _cycle(self) -> None:
        self.boards.reboot(0)
        self._calls = 1
        deadline = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline:
            # Not `probe`, which leaves a board alone that this process is connected with.
            with suppress(ConnectError):
                connect(self.boards.addresses[0], OPTIONS["connect_timeout_ms"] * NS_PER_MS).close()
                return
        raise TargetError(f"{self.target}: doesn't serve {_BOOT_S:g} s after a reboot")

    def close(self) -> None:
        """End the process of the board; idempotent."""
        boards, self._boards = self._boards, None
        if boards is not None:
            boards.close()
