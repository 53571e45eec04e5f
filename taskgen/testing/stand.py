"""The test stand: one target and its session, opened when it is needed, tried again when it is lost.

Whoever judges many runs on one target goes through it: `taskgen check`, `taskgen replay`, the pytest plugin. What can't
be cured here is `TargetLost`, an ordinary error. Hypothesis would take one for a failed property: it would run the
example again, and report the property as flaky. So where it listens, `TargetLost` becomes `BoardLost` first.
"""

import ipaddress
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from itertools import islice
from typing import Any, Final, Self, TypeVar

from taskgen import addresses, registry
from taskgen.addresses import Address
from taskgen.boards import BoardTarget, port_of, session_class, takes
from taskgen.distributor.health import Care
from taskgen.errors import TargetError, TargetLost, TaskgenError, UsageError
from taskgen.inventory import BOARD_SESSION
from taskgen.power import switch_of
from taskgen.session import Session, Target
from taskgen.taskset import TaskSet
from taskgen.testing.runs import MOST_EVENTS, Executed
from taskgen.units import Milliseconds

T = TypeVar("T")

#: How often something is tried before the target counts as lost.
ATTEMPTS: Final = 3
#: After so many losses in a row the target isn't asked any more.
GIVEN_UP: Final = 3
#: How long closing a session may take.
CLOSE_S: Final = 10.0
#: What stands for no folder of programs: the boards have them.
_NONE: Final = "none"


class BoardLost(BaseException):
    """No verdict: the target was lost, again after all retries; no `Exception`, so that Hypothesis lets it through."""


class Stand:
    """A target with its session; a context manager that closes it.

    Args:
        target: what runs the task-sets.
        care: how it is looked after between two attempts.
        rest: waits for so many seconds.
    """

    def __init__(
        self, target: Target, *, care: Care | None = None, rest: Callable[[float], object] = time.sleep
    ) -> None:
        self.target = target
        self._care = care or Care()
        self._rest = rest
        self._rng = random.Random(0)
        self._session: Session | None = None
        self._lost = 0  # times in a row
        self._reason = ""
        self._hint = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def session(self) -> Session:
        """The session, which stays the same one: after a loss its next run connects again.

        Raises:
            TargetLost: it can't be opened.
            UsageError: an option or address is wrong, or the target's answers leave its generation open.
        """
        return self._persist(self._opened) if self._session is None else self._session

    @property
    def name(self) -> str:
        """The target as it is shown; a profile counts as its address, however it was chosen."""
        profile = "" if self.target.address else self.target.options.get("profile", "")
        return f"{self.target}:{profile}" if isinstance(profile, str) and profile else str(self.target)

    @property
    def generation(self) -> str:
        """The generation of the board, or the profile of the simulator; the board is asked only where nobody says it.

        Raises:
            TargetLost: it can't be asked.
        """
        options = self.target.options
        named = [
            options.get("profile"),
            options.get("dialect"),
            *([] if is_board(self.target) else [self.target.address]),
        ]
        for name in named:
            if isinstance(name, str) and name not in {"", "auto"}:
                return name
        # Sessions of boards keep the row of a generation that they have asked for.
        name = getattr(getattr(self.session, "row", None), "name", "")
        return name if isinstance(name, str) else ""

    def execute(
        self,
        taskset: TaskSet,
        *,
        seen: Callable[[Executed, str], None] = lambda *_: None,
        horizon_ms: Milliseconds | None = None,
        admission: Mapping[str, Any] | None = None,
    ) -> Executed:
        """Run a task-set to its end, again if its target was lost.

        Args:
            taskset: a concrete one.
            seen: gets the trace of each attempt that began, and why it ended too early if it did.
            horizon_ms: as in `Session.run`.
            admission: as in `Session.run`.

        Raises:
            TargetLost: each attempt lost the target.
            UsageError: the set, or what else was asked for, isn't for this target.
        """
        __tracebackhide__ = True

        def once(session: Session) -> Executed:
            __tracebackhide__ = True
            return _run(session, taskset, seen, horizon_ms=horizon_ms, admission=admission)

        return self.attempt(once)

    def attempt(self, act: Callable[[Session], T]) -> T:
        """Do something with the session, again if the target was lost.

        Raises:
            TargetLost: each attempt lost the target.
        """
        __tracebackhide__ = True
        return self._persist(lambda: act(self._opened()))

    def close(self) -> None:
        """Close the session, within a bounded time."""
        session, self._session = self._session, None
        if session is None:
            return
        thread = threading.Thread(target=_close, args=(session,), name="taskgen close", daemon=True)
        thread.start()
        thread.join(CLOSE_S)

    def _opened(self) -> Session:
        if self._session is None:
            self._session = registry.load("sessions", self.target.session).open(self.target)
        return self._session

    def _persist(self, act: Callable[[], T]) -> T:
        """Do something, as often as it takes; a target that was lost before gets one chance, after some more none."""
        __tracebackhide__ = True
        if self._lost >= GIVEN_UP:
            raise TargetLost(
                f"{self.target} isn't asked any more, it was lost {self._lost} times in a row: {self._reason}",
                hint=self._hint,
            )
        attempts = 1 if self._lost else ATTEMPTS
        for attempt in range(1, attempts + 1):
            try:
                result = act()
            except TargetError as error:
                self._reason, self._hint = str(error), error.hint
            else:
                self._lost = 0
                return result
            if attempt < attempts:
                self._recover(attempt)
        self._lost += 1
        times = "once" if attempts == 1 else f"{attempts} times"
        # The failures are in the message; a chain of their tracebacks would bury it.
        raise TargetLost(f"{self.target} was lost, tried {times}: {self._reason}", hint=self._hint) from None

    def _recover(self, failures: int) -> None:
        """Let the target rest, or cycle its power if that is known and resting didn't help."""
        switch = switch_of(self.target)
        if switch is None or failures < self._care.cycle_after:
            self._rest(self._care.rest_s(failures, self._rng))
            return
        with suppress(TargetError):  # the next attempt will tell
            switch.cycle(self._rested)

    def _rested(self, seconds: float) -> bool:
        self._rest(seconds)
        return True


def _run(
    session: Session,
    taskset: TaskSet,
    seen: Callable[[Executed, str], None],
    *,
    horizon_ms: Milliseconds | None,
    admission: Mapping[str, Any] | None,
) -> Executed:
    """Run a task-set once, as `taskgen.testing.runs.execute` does, but let the trace of a run that failed be seen."""
    __tracebackhide__ = True
    events = session.run(taskset, horizon_ms=horizon_ms, admission=admission)
    assert session.plan is not None  # noqa: S101  # run() has set it
    trace, why = Executed(session.plan, session.capabilities), "it was interrupted"
    try:
        with closing(events):
            trace.extend(islice(events, MOST_EVENTS))
            if next(events, None) is not None:
                raise UsageError(
                    f"the run has more than {MOST_EVENTS} events", hint="a shorter horizon_ms yields fewer"
                )
        trace.finish(trace.plan)
        why = ""
    except TaskgenError as error:
        why = str(error)
        raise
    finally:
        seen(trace, why)
    return trace


def _close(session: Session) -> None:
    with suppress(BaseException):  # the work is over, and its verdicts stand
        session.close()


# -- which targets there are


def is_board(target: Target) -> bool:
    """Tell whether a target serves one session at a time; to a session that takes no port, an address is mere text."""
    kind = session_class(target.session)
    return bool(target.address) and kind is not None and takes(kind, "port")


def address_of(target: Target) -> Address | None:
    """Return where a board is; None: the target is none, or only its session understands the address."""
    if not is_board(target):
        return None
    try:
        return addresses.split(target.address, port_of(target.session, target.options))
    except UsageError:
        return None


def equipped(target: Target, binaries: str | None = None) -> Target:
    """Return the target with the programs for it: a folder of them, `none`, or what nobody has to say.

    A board of this machine is one in software, which has its programs; a folder of them would be for real boards.
    """
    kind = session_class(target.session)
    if kind is None or not takes(kind, "binaries"):
        return target
    if binaries is not None:
        return replace(target, options={**target.options, "binaries": binaries})
    address = address_of(target)
    plain = target.session == BOARD_SESSION and "binaries" not in target.options
    if plain and address is not None and _is_loopback(address.host):
        return replace(target, options={**target.options, "binaries": _NONE})
    return target


def forget_connection(target: Target) -> None:
    """Close what discovery opened: somebody else will use this board, or nobody."""
    if isinstance(target, BoardTarget) and target.connection is not None:
        target.connection.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
