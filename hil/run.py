"""One run of a task-set on a board, from CLEAR to CLEAR, as a generator of its events.

    CLEAR, if the last client may have left something     and a barrier: until the board is quiet (hazard 19)
    SEND_BINARIES, OPTIMIZE, SEND_DESCS                   only what this board doesn't have, knows, or was asked for;
                                                          the first one last, if a claim of what it has is to be judged
    START                                                 events follow: pushed, or polled for
    STOP if jobs may run, CLEAR                           late events are collected, and a barrier again

What proves that the command loop is idle again is another thing on each generation (`Run._clear`). All waits end.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from hil.binaries import Boot
from hil.boots import told_ms
from hil.chronicle import Chronicle, newest
from hil.connection import Arrival, Link
from hil.deadlines import OVERDUE, Deadlines, Settings
from hil.derive import Derivation
from hil.documents import DocumentError, live, profile
from hil.messages import (
    Available,
    Binary,
    Clear,
    Document,
    FromBoard,
    FromClient,
    GetLive,
    GetProfile,
    GoSend,
    SendBinaries,
    Start,
    Stop,
)
from hil.order import Order
from taskgen.dialect.boards import BoardRow
from taskgen.errors import TargetLost, UsageError
from taskgen.events import Event
from taskgen.units import NS_PER_MS, format_ms

#: What a board without events takes per task until its first job is there.
_BIRTH_NS = 100 * NS_PER_MS
#: How often a board is asked for an empty log.
_QUESTIONS = 4


class Run:
    """One run; `events` is to be used once.

    Args:
        link: the connection, with a generation.
        order: what to send.
        boot: what is known of the board.
        settings: how long to wait.
        clean: nothing is left of earlier sets.
        before: the threads that a board listed before, if it is clean.
    """

    def __init__(
        self, link: Link, order: Order, boot: Boot, settings: Settings, *, clean: bool, before: live.Live | None = None
    ) -> None:
        assert link.row is not None  # noqa: S101  # who opens a session has found out
        self.clean = clean  #: afterwards: nothing is left of this one, either
        self.usable = True  #: afterwards: the connection is at the boundary of an exchange
        self.threads = before  #: the last list of threads that the board gave
        self.owed: Binary | None = None  #: what was announced and isn't sent
        self._link = link
        self._row: BoardRow = link.row
        self._order = order
        self._plan = order.plan
        self._boot = boot
        self._settings = settings
        self._chronicle: Chronicle | None = None
        self._derivation: Derivation | None = None
        self._question = _question(self._row)
        self._deadlines = Deadlines(0, 0, 0, None, 0)
        self._echoes = 0  # of AVAILABLE that are due
        self._served = clean  # the board has answered as one of its generation does
        self._started_ns = 0
        self._log_is_empty = False  # the last document of a log was

    # -- the whole -------------------------------------------------------------------------------------------------

    def events(self) -> Generator[Event, None, None]:
        """Yield the events of the run.

        Raises:
            TargetLost: the board was lost; comes behind the events that arrived.
        """
        if self._plan.stopped():
            return
        self.usable = False
        if not self.clean:
            self._clear()
        self.clean = False
        chronicle = self._begin()
        if self._started_ns:
            try:
                yield from self._follow(chronicle)
            except GeneratorExit:
                with suppress(TargetLost):  # nobody listens any more
                    self._wind_up(chronicle, [])
                raise
            yield from self._rest(chronicle)
        self.usable = True

    def _rest(self, chronicle: Chronicle) -> Iterator[Event]:
        """Wind up, and yield what there is to tell of it."""
        over = chronicle.over
        tail: list[Event] = []
        failure: TargetLost | None = None
        try:
            self._wind_up(chronicle, tail)
        except TargetLost as error:
            failure = error
        yield from tail
        if failure is not None and not over:  # else the set has all that it ran for; the next one will find out
            raise failure

    def _begin(self) -> Chronicle:
        """Send all that the set needs, then START."""
        described = self._judge_claim()
        self._upload()
        while (arrival := self._link.receive(self._link.now())) is not None:
            self._hear(arrival)  # came before START
        self._served = self._served or self._link.bytes_in > 0
        self._chronicle = Chronicle(self._plan.tasks, self._row, self._plan.horizon.time_ns, self._boot.newest)
        if self._question is GetLive:
            self._derivation = Derivation(self._plan.tasks, self._row, self.threads)
        if not self._plan.stopped():
            self._link.send(*(() if described else self._order.description), Start(), *self._echo())
            self._started_ns = self._link.now()
        return self._chronicle

    def _judge_claim(self) -> bool:
        """Let the board's clock tell which programs it has, if that isn't sure; return whether it has the descriptions.

        Raises:
            UsageError: it has other content of a program.
        """
        if self._plan.stopped() or not self._boot.asks(self._order.programs):
            return False
        self._link.send(*self._order.description, GetLive())
        self._await(Document, self._row.admission_ns + self._settings.reply_ns, "SEND_DESCS", root="live")
        self._boot.learn(None if self.threads is None else told_ms(self.threads, self._plan.tasks), self._link.heard_ns)
        try:
            self._boot.missing(self._order.programs)
        except UsageError:
            self._clear()
            self.clean = self.usable = True
            raise
        return True

    def _upload(self) -> None:
        """Send the programs that the board doesn't have, each announced alone: of one that doesn't come boards die."""
        for program in self._boot.missing(self._order.programs):
            if self._plan.stopped():
                return
            self._link.send(SendBinaries(1))
            self.owed = program.binary
            self._await(GoSend, self._settings.reply_ns, "GO_SEND")
            self._link.send(program.binary)
            self.owed = None
            self._boot.note(program)

    # -- while tasks run -------------------------------------------------------------------------------------------

    def _follow(self, chronicle: Chronicle) -> Iterator[Event]:
        """Yield events until the set is over, the horizon has passed, or somebody stops it."""
        deadlines = self._deadlines = Deadlines.of(
            self._plan.tasks,
            self._row,
            self._settings,
            started_ns=self._started_ns,
            run_ns=self._plan.horizon.time_ns,
            query_ns=self._order.query_ns,
        )
        deadlines.poll_ns = self._started_ns if self._question else None
        while not (self._plan.stopped() or chronicle.certain or chronicle.horizon_reached):
            deadline_ns, reason = deadlines.first(self._link.heard_ns, starting=self._echoes > 0)
            arrival = self._link.receive(deadline_ns)
            if arrival is not None:
                begun = chronicle.rest_ns is not None
                yield from self._hear(arrival)
                if not begun and (rest_ns := chronicle.rest_ns) is not None:
                    deadlines.extend(arrival.time_ns, rest_ns)
                if self._is_last(chronicle, arrival):
                    return
            elif self._link.now() < deadline_ns:
                continue  # woken
            elif reason == "poll":
                self._ask()
            elif reason in OVERDUE:
                raise self._silent(OVERDUE[reason])
            else:
                return

    def remember(self, *, lost: bool) -> None:
        """Hand on what was heard of the board's clock, and whether the board was lost; to be called afterwards."""
        chronicle, self._chronicle = self._chronicle, None
        if chronicle is not None and chronicle.heard is not None:
            self._boot.hear(*chronicle.heard, self._order.programs)
        if lost:
            self._boot.doubt(self._order.programs)

    def _is_last(self, chronicle: Chronicle, arrival: Arrival) -> bool:
        """Whether nothing is to be waited for behind this message."""
        if self._question and self._deadlines.asked_ns is None:
            self._give_up_on_unborn(chronicle, arrival.time_ns)
        if chronicle.over:
            if self._question:
                return True  # who is asked tells all that there is
            self._deadlines.ended_ns = arrival.time_ns
        return arrival.time_ns >= self._deadlines.horizon_ns

    def _ask(self) -> None:
        if self._question is not None:
            self._link.send(self._question())
            self._deadlines.asked_ns = self._link.now()

    def _answered(self, time_ns: int) -> None:
        if self._deadlines.asked_ns is not None:
            self._deadlines.asked_ns = None
            self._deadlines.poll_ns = time_ns + self._settings.poll_ns

    def _give_up_on_unborn(self, chronicle: Chronicle, time_ns: int) -> None:
        """Where refusals are silent, take tasks that haven't started in time for refused."""
        busy_ns = self._deadlines.answer_ns - self._settings.reply_ns
        late_ns = self._started_ns + busy_ns + self._settings.quiet_ns + _BIRTH_NS * len(self._plan.tasks)
        if self._row.jobs_limit == "odd":
            late_ns += max(task.period_ns for task in self._plan.tasks)
        if self._row.admission == "silent" and time_ns > late_ns:
            chronicle.refuse_silently()

    def _hear(self, arrival: Arrival) -> list[Event]:
        """Return the events that a message brings."""
        try:
            match arrival.message:
                case Available():
                    self._echoes -= 1
                case Document("profile", xml):
                    return self._hear_log(profile.parse(xml), arrival.time_ns)
                case Document("live", xml):
                    return self._hear_threads(live.parse(xml), arrival.time_ns)
        except DocumentError as error:
            raise self._link.lost(f"the board sent what no board writes: {error}") from None
        return []

    def _hear_log(self, log: Sequence[profile.Stamped], time_ns: int) -> list[Event]:
        self._log_is_empty = not log
        if self._question is GetProfile:
            self._answered(time_ns)
        self._boot.newest = newest(self._boot.newest, log, time_ns)
        if self._chronicle is None:
            return []  # of an earlier set
        return list(self._chronicle.feed(log, time_ns))

    def _hear_threads(self, threads: live.Live, time_ns: int) -> list[Event]:
        if self._question is GetLive:
            self._answered(time_ns)
        self.threads = threads
        if self._derivation is None or self._chronicle is None:
            return []
        events = list(self._chronicle.feed(self._derivation.read(threads), time_ns))
        for task_id in self._derivation.gone:
            self._chronicle.lose(task_id)
        return events

    # -- the end ---------------------------------------------------------------------------------------------------

    def _wind_up(self, chronicle: Chronicle, tail: list[Event]) -> None:
        """Leave the board as the next set needs it; append what is left to tell to `tail`, also if that fails."""
        cut = not chronicle.over
        if cut and self._derivation is not None:
            self._ask()
            tail += self._await(Document, self._settings.reply_ns, "the list of threads")
        self._derivation = None  # what ends from now on was cut off by us
        heard_ns = self._link.heard_ns
        chronicle.stopped, chronicle.cut = True, cut and not self._plan.stopped()
        self._clear(*([Stop()] if cut else []), tail=tail)
        has_barrier = self._knows("AVAILABLE") or not self._row.silent_when_empty
        if cut and (self._link.heard_ns == heard_ns or not has_barrier):  # dead ones and late ones say nothing, too
            tail += self._prove_service()
        tail += chronicle.finish()
        if chronicle.heard is not None and self._boot.hear(*chronicle.heard, self._order.programs):
            raise self._link.lost("the board rebooted before this run, and forgot programs that were sent to it")
        if cut and not self._plan.stopped():
            self._check_born(chronicle)
        self.clean = self.usable = True

    def _check_born(self, chronicle: Chronicle) -> None:
        """A board on which nothing of a set started, as far as one can tell, is none that has run it."""
        tasks, horizon_ns = self._plan.tasks, self._plan.horizon.time_ns
        expected_ns = sum(task.offset_ns for task in tasks) + self._row.start_ns + self._settings.reply_ns
        if chronicle.born or not self._row.pushes or horizon_ns < expected_ns:
            return
        raise self._link.lost(
            f"no task started within {format_ms(horizon_ns)} ms: does the board have the programs"
            f" {', '.join(sorted({str(task.attributes.get('pkg', '')) for task in tasks}))!r:.80}?"
        )

    # -- barriers --------------------------------------------------------------------------------------------------

    def _clear(self, *before: FromClient, tail: list[Event] | None = None) -> None:
        """Send CLEAR, wait until it is over and nothing more comes; append the events that came to `tail`."""
        tail = [] if tail is None else tail
        wait_ns = self._row.clear_ns + self._settings.reply_ns
        if not self._knows("GET_PROFILE"):
            self._link.send(*before, Clear(), GetLive())
            tail += self._await(Document, wait_ns, "CLEAR")
            return
        self._link.send(*before, Clear(), GetProfile(), *self._echo())
        if self._knows("AVAILABLE"):
            tail += self._await(Available, wait_ns, "CLEAR")
        elif self._row.silent_when_empty:
            self._drain(self._row.clear_ns + self._settings.quiet_ns, tail)
        elif self._row.pushes:
            answered = self._await_empty_log(wait_ns, tail)
            self._drain(self._settings.quiet_ns + (0 if answered else self._row.clear_ns), tail)
        else:
            tail += self._await(Document, wait_ns, "CLEAR")
        self._link.give_up(GetProfile())

    def _await_empty_log(self, wait_ns: int, tail: list[Event]) -> bool:
        """Ask for the log until it is empty: pushes never are, so that is an answer, and CLEAR is over.

        Return False if it never is: then nobody knows whether an answer came.
        """
        for _ in range(_QUESTIONS):
            tail += self._await(Document, wait_ns, "CLEAR")
            if self._log_is_empty:
                return True
            self._link.send(GetProfile())
        return False

    def _prove_service(self) -> list[Event]:
        """Ask for what every board answers whose taskloader lives; return the events of what it had to say before."""
        self._link.send(GetLive())
        return self._await(Document, self._settings.reply_ns, "GET_LIVE", root="live")

    def _echo(self) -> Sequence[FromClient]:
        """Return the question that a board echoes when its command loop is idle, if it knows one."""
        if not self._knows("AVAILABLE"):
            return ()
        self._echoes += 1
        return (Available(),)

    def _await(self, kind: type[FromBoard], wait_ns: int, what: str, root: str = "") -> list[Event]:
        """Wait for a message, for as many AVAILABLEs as are due; return the events of those before it.

        Raises:
            TargetLost: it doesn't come.
        """
        events: list[Event] = []
        deadline_ns = self._link.now() + wait_ns
        while self._link.now() < deadline_ns:
            arrival = self._link.receive(deadline_ns)
            if arrival is None:
                continue
            events += self._hear(arrival)
            if root and isinstance(arrival.message, Document) and arrival.message.root != root:
                continue  # late, or pushed
            if isinstance(arrival.message, kind) and (kind is not Available or self._echoes <= 0):
                return events
        raise self._silent(f"{what}: no answer within {format_ms(wait_ns)} ms")

    def _silent(self, reason: str) -> TargetLost:
        """Return the error of a board that doesn't answer, with what else may be the reason of it."""
        never, served = self._link.bytes_in == 0, self._served
        error = self._link.lost(f"{reason}: it may serve another client" if never else reason)
        if not served:  # nothing shows that the board is what we take it for
            error.hint = f"is it a board of generation {self._row.name}? Compare its dialect; else {error.hint}"
        return error

    def _drain(self, wait_ns: int, tail: list[Event]) -> None:
        """Listen for a while, and on until it is quiet, as long as an answer may take; append the events that came."""
        deadline_ns = self._link.now() + wait_ns
        latest_ns = deadline_ns + self._settings.reply_ns
        while self._link.now() < deadline_ns:
            arrival = self._link.receive(deadline_ns)
            if arrival is not None:
                tail += self._hear(arrival)
                deadline_ns = min(max(deadline_ns, arrival.time_ns + self._settings.quiet_ns), latest_ns)

    def _knows(self, message: str) -> bool:
        return message in self._row.messages


def _question(row: BoardRow) -> type[GetProfile | GetLive] | None:
    """Return what a board is to be asked while its tasks run; None: it tells by itself, and must not be asked."""
    if row.pushes:
        return None
    return GetProfile if "GET_PROFILE" in row.messages else GetLive
