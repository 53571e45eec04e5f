"""TaskloaderSession: boards behind the taskloader protocol, as a session.

Opening connects and does nothing else where the generation is known; a connection that discovery opened is used as it
is. One connection serves many runs, since each one costs a real board a socket that it never gives back and its only
serving slot (wire-protocol 6.8). When it was lost, or an exchange broke off, it is closed, and the next run opens one.
"""

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hil.binaries import Boot, Folder, boot_of
from hil.connection import Link, Patience, connect
from hil.deadlines import Settings
from hil.detect import DOUBT_NS, detect, only
from hil.documents import DocumentError
from hil.documents import taskset as documents
from hil.messages import Binary, Clear, Document, FromClient, GetLive, Optimize, SendDescriptions, Stop
from hil.order import Order
from hil.run import Run
from hil.wirelog import WireLog
from taskgen import addresses, in_use
from taskgen.addresses import DEFAULT_PORT, Address
from taskgen.boards import BoardTarget
from taskgen.dialect import BoardRow, board, describe_all
from taskgen.errors import ConnectError, TargetError, TargetLost, UsageError
from taskgen.events import Event
from taskgen.horizon import DEFAULT_RUN_NS
from taskgen.session import Capabilities, Plan, Session, Target
from taskgen.units import NS_PER_MS, Milliseconds, to_ns

if TYPE_CHECKING:
    import socket

    from hil.documents.live import Live
    from taskgen.taskset import TaskSet

#: The generation is found out by asking the board.
AUTO = "auto"


class TaskloaderSession(Session):
    """Runs task-sets on a board of any generation, over TCP.

    Args:
        port: where the board listens, unless its address says so.
        dialect: the board's generation, or auto: ask it when the session is opened; the board must be idle then.
        binaries: the folder of the programs, ./bin if not given; none: the board has them.
        wire_log: a file to which every byte in both directions is appended; see `taskgen replay --wire`.
        cores: how many the board has.
        max_run_ms: the horizon of sets that don't end by themselves.
        connect_timeout_ms: how long a connect may take.
        reply_ms: how long an answer may take, beside what the command itself takes.
        silence_ms: how long a board may say nothing while tasks run, or as long as the set itself may be silent.
        quiet_ms: how long to listen for what comes late, where no barrier says that nothing does.
        stall_ms: how long a board may say nothing inside a message.
        poll_ms: between two questions, where boards don't push events.
    """

    capabilities = Capabilities(time_resolution_ns=NS_PER_MS, job_numbers="starts", cores=2, max_run_ns=DEFAULT_RUN_NS)
    #: Takes the connection that discovery opened (`taskgen.boards.BoardTarget`).
    adopts = True

    def __init__(
        self,
        *,
        port: int = DEFAULT_PORT,
        dialect: str = AUTO,
        binaries: str | Path | None = None,
        wire_log: str | Path | None = None,
        cores: int = 2,
        max_run_ms: Milliseconds = 60_000,
        connect_timeout_ms: Milliseconds = 5000,
        reply_ms: Milliseconds = 5000,
        silence_ms: Milliseconds = 30_000,
        quiet_ms: Milliseconds = 500,
        stall_ms: Milliseconds = 2000,
        poll_ms: Milliseconds = 200,
    ) -> None:
        if type(port) is not int or not 1 <= port <= 65535:
            raise UsageError(f"port: {port!r:.40} is no port, expected 1..65535")
        if type(cores) is not int or cores < 1:
            raise UsageError(f"cores: {cores!r:.40}, expected at least 1")
        self.port = port
        self.row: BoardRow | None = None if dialect == AUTO else board(dialect)
        self._folder = Folder(binaries)
        self._wire_log = None if wire_log is None else Path(wire_log)
        self._cores = cores
        self._max_run_ns = _some(max_run_ms, "max_run_ms")
        self._patience = Patience(
            connect_ns=_some(connect_timeout_ms, "connect_timeout_ms"), stall_ns=_some(stall_ms, "stall_ms")
        )
        self._settings = Settings(
            reply_ns=_some(reply_ms, "reply_ms"),
            silence_ns=_some(silence_ms, "silence_ms"),
            quiet_ns=to_ns(quiet_ms, "quiet_ms"),
            poll_ns=_some(poll_ms, "poll_ms"),
        )
        self._address = Address("", port)
        self._boot: Boot = Boot(self._address)
        self._link: Link | None = None
        self._link_lock = threading.Lock()
        self._closed = False  # under the lock
        self._run: Run | None = None
        self._clean = False
        self._threads: Live | None = None
        self._checked: tuple[Plan, Order] | None = None  # the last one, which is about to be run
        if self.row is not None:
            self.capabilities = capabilities_of(self.row, cores, self._max_run_ns)

    def __repr__(self) -> str:
        row = AUTO if self.row is None else self.row.name
        return f"<{type(self).__name__} {self._address} {row} {self._link or 'not connected'}>"

    # -- opening ---------------------------------------------------------------------------------------------------

    @classmethod
    def open(cls, target: Target) -> Self:
        """Connect to a board, and ask for its generation where that is `auto`.

        Raises:
            ConnectError: nobody accepts a connection, or nobody serves it.
            UsageError: the address or an option is wrong, or the board's answers leave its generation open.
        """
        self = cls.construct(target.options)
        self._address = addresses.split(target.address, self.port)
        self._boot = boot_of(self._address)
        link = self._connect(_handed_on(target))
        try:
            if self.row is None:
                self._identify(only(_detect(link, 2 * self._settings.reply_ns), str(self._address)), link)
        except BaseException:
            self._drop()
            raise
        link.rest()
        return self

    def _connect(self, connection: "socket.socket | None" = None) -> Link:
        self._check_open()
        with ExitStack() as undo:
            if connection is not None:
                undo.callback(connection.close)
            log = None
            if self._wire_log is not None:  # first: a board's sockets are too few for a log that can't be written
                log = WireLog(self._wire_log, self._address, None if self.row is None else self.row.name)
                undo.callback(log.close)
            if connection is None:
                connection = connect(self._address, self._patience.connect_ns)
                undo.callback(connection.close)
            link = Link(connection, self._address, self.row, patience=self._patience, wire_log=log)
            undo.pop_all()
        with self._link_lock:
            closed = self._closed
            if not closed:
                self._boot.connected()
                self._clean, self._threads = False, None
                self._link = link
        if closed:
            link.close()
            raise link.lost("the session was closed")
        return link

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"{self._address}: this session was closed", hint="open a new one")

    def _identify(self, row: BoardRow, link: Link) -> None:
        link.identify(row)
        self.row = row
        self.capabilities = capabilities_of(row, self._cores, self._max_run_ns)

    @classmethod
    def check_target(cls, target: Target) -> None:
        """Refuse a wrong address or option without connecting.

        Raises:
            UsageError: says which.
        """
        addresses.split(target.address, cls.construct(target.options).port)

    @classmethod
    def probe(cls, target: Target) -> bool:
        """Tell whether somebody accepts a connection; a board that this process uses isn't touched, and is there."""
        try:
            options = cls.construct(target.options)
            address = addresses.split(target.address, options.port)
            if in_use.held(address):
                return True
            connect(address, options._patience.connect_ns).close()
        except (TargetError, UsageError):
            return False
        return True

    @classmethod
    def inspect(cls, target: Target) -> Mapping[str, Any]:
        """Return what an idle board says of itself: state, generation and, in ns, how long it took to answer.

        Raises:
            ConnectError: nobody accepts a connection.
            UsageError: the address or an option is wrong.
        """
        session = cls.construct(target.options)
        session._address = addresses.split(target.address, session.port)
        if (connection := _handed_on(target)) is None and in_use.held(session._address):
            return {"state": "in use"}
        link = session._connect(connection)
        try:
            asked_ns = link.now()
            rows = session._recognize(link)
        except TargetError as error:
            return {"state": "mute", "reason": str(error)}
        finally:
            session._drop()
        names = " or ".join(row.name for row in rows)
        return {"state": "idle", "generation": names, "latency_ns": link.heard_ns - asked_ns}

    def _recognize(self, link: Link) -> tuple[BoardRow, ...]:
        """Return the generations that a board may be of: of the one that was configured it only proves that it serves.

        Raises:
            ConnectError: it doesn't serve.
            TargetLost: the connection was lost.
        """
        if self.row is None:
            return _detect(link, self._settings.reply_ns)
        link.send(GetLive())
        deadline_ns = link.now() + self._settings.reply_ns
        while (arrival := link.receive(deadline_ns)) is not None:
            if isinstance(arrival.message, Document) and arrival.message.root == "live":
                return (self.row,)
        raise ConnectError(
            f"{self._address}: accepts connections, but doesn't answer GET_LIVE",
            hint="it may hang or serve another client, or it is no taskloader: reset it, or look at its console",
        )

    # -- runs ------------------------------------------------------------------------------------------------------

    def check(self, taskset: "TaskSet", **options: Any) -> Plan:
        """Return the plan of a run, or raise what is wrong with the set on this board; sends nothing.

        Raises:
            UsageError: the session was closed, or a program can't be sent.
        """
        self._check_open()
        plan = replace(super().check(taskset, **options), exact=False)
        self._checked = plan, self._order(plan)
        return plan

    def _order(self, plan: Plan) -> Order:
        if self.row is None:
            raise TargetLost(f"{self._address}: the board's generation isn't known", hint="open the session anew")
        row, goal = self.row, plan.admission
        elements = describe_all(plan.tasks, row)
        inner = goal if goal is not None and row.optimiser == "job" else None
        outer = goal if goal is not None and row.optimiser == "start" else None
        programs = tuple(self._folder.programs(plan.tasks))
        self._boot.missing(programs)
        return Order(
            plan,
            SendDescriptions(documents.write(elements, inner)),
            None if outer is None else Optimize(documents.write_goal(outer, pad=True)),
            programs,
            0 if outer is None else _query_ns(outer),
        )

    def events(self, plan: Plan) -> Generator[Event, None, None]:
        """Run the plan on the board, event by event."""
        checked, order = self._checked or (None, None)
        if order is None or checked is not plan:
            order = self._order(plan)
        link = self._attend(plan)
        if link is None:
            return
        run = self._run = Run(link, order, self._boot, self._settings, clean=self._clean, before=self._threads)
        self._clean = lost = False
        try:
            yield from run.events()
        except TargetLost:
            lost = not self._closed  # else the board is well
            raise
        finally:
            run.remember(lost=lost)
            self._clean, self._threads = run.clean, run.threads
            if run.usable:
                link.rest()
            else:
                link.close(run.owed)
            self._run = None

    def _attend(self, plan: Plan) -> Link | None:
        """Return the connection for a run, a new one if need be; None: the run was stopped meanwhile."""
        link = self._link
        try:
            if not plan.stopped() and (link is None or link.over):
                self._drop()
                link = self._connect()
        except TargetError:
            if not plan.stopped():
                raise
        if link is None or plan.stopped():
            return None
        if link.attend():
            self._clean = False  # something came late: who knows what else does
        return link

    def wake(self) -> None:
        """Interrupt whatever the run waits for."""
        link = self._link
        if link is not None:
            link.wake()

    def close(self) -> None:
        """Close the connection for good, from any thread; tasks that run are stopped first; idempotent, bounded.

        A run of another thread ends with `TargetLost`; `run` raises `UsageError` from now on.
        """
        with self._link_lock:
            self._closed = True
        run = self._run
        self._drop(None if run is None else run.owed, (Stop(), Clear()) if self.active else ())

    def _drop(self, owed: Binary | None = None, farewell: Sequence[FromClient] = ()) -> None:
        with self._link_lock:
            link, self._link = self._link, None
        self._clean = False
        if link is not None:
            link.close(owed, farewell)


def capabilities_of(row: BoardRow, cores: int, max_run_ns: int) -> Capabilities:
    """Return what boards of a generation can do; `hil.derive.LOSSES` says what G1 and G1o don't tell."""
    return Capabilities(
        cores=cores,
        policies=frozenset({"fp"} if row.edf == "none" else {"fp", "edf", "mixed"}),
        admission=row.optimiser != "none",
        offsets=row.offsets != "ignored",
        job_limits=row.jobs_limit == "limit",
        outcomes="GET_PROFILE" in row.messages,
        time_resolution_ns=NS_PER_MS,
        job_numbers="starts",
        max_run_ns=max_run_ns,
    )


def _handed_on(target: Target) -> "socket.socket | None":
    if isinstance(target, BoardTarget) and target.connection is not None:
        return target.connection.take()
    return None


def _detect(link: Link, patience_ns: int) -> tuple[BoardRow, ...]:
    try:
        return detect(link, patience_ns=patience_ns, doubt_ns=DOUBT_NS)
    except DocumentError as error:
        raise link.lost(f"the board sent what no board writes: {error}") from None


def _some(value: Milliseconds, name: str) -> int:
    time_ns = to_ns(value, name)
    if not time_ns:
        raise UsageError(f"{name}: 0 is no time to wait, expected more")
    return time_ns


def _query_ns(goal: Mapping[str, Any]) -> int:
    """Return one turn of G1o's optimiser."""
    for content in goal.values():
        if isinstance(content, Mapping) and isinstance(interval := content.get("query_interval"), int):
            return interval * NS_PER_MS
    return 0
