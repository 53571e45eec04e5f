"""Boards that misbehave, as a client sees them that keeps to the protocol."""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import pytest

import hil.board
from hil.board.faults import parse
from hil.board.hooks import Hook, hook_of
from hil.board.misbehaviour import FOREIGN_ID, STALE_MS, FaultyBoard
from hil.board.server import Server
from hil.documents import profile
from hil.frames import encode
from hil.messages import (
    Available,
    Binary,
    Clear,
    Document,
    FromClient,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    SendBinaries,
    Start,
)
from hil.wire import Connection, RemoteProtocolError, Role
from taskgen.addresses import Address
from taskgen.dialect.boards import BOARDS
from taskgen.events import EventType
from tests.hil.board.benches import descs, task
from tests.hil.board.serving import SECONDS, eventually, on_loop, serving

ECHO = encode(Available())
ONE = descs(task(id=3))


class Caller:
    """A client with its machine: what comes is what `hil.wire` makes of it."""

    def __init__(self, address: Address, generation: str = "G4") -> None:
        self.wire = Connection(Role.CLIENT, BOARDS[generation])
        self.sock = socket.create_connection(address, SECONDS)
        self._came: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def say(self, *messages: FromClient) -> None:
        self.sock.sendall(b"".join(self.wire.send(message) for message in messages))

    def hear(self, count: int = 1) -> list[Message]:
        """Return the next messages."""
        while len(self._came) < count:
            data = self.sock.recv(1 << 16)
            self._came += self.wire.receive(data)
            if not data:
                raise EOFError(self._came)
        heard, self._came = self._came[:count], self._came[count:]
        return heard

    def ask(self, *messages: FromClient) -> Message:
        self.say(*messages)
        return self.hear()[0]

    @property
    def is_served(self) -> bool:
        """Whether the board answers, in step."""
        self.sock.settimeout(0.1)
        try:
            return self.ask(Available()) == Available()
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(SECONDS)


@contextmanager
def board(*faults: str, generation: str = "G4", **options: Any) -> Iterator[Server]:
    with serving([hook_of(faults)], generation=generation, **options) as server:
        yield server


@contextmanager
def calling(*faults: str, generation: str = "G4", **options: Any) -> Iterator[Caller]:
    with (
        board(*faults, generation=generation, **options) as server,
        Caller(server.stations[0].address, generation) as caller,
    ):
        yield caller


def inject(server: Server, *faults: str) -> None:
    on_loop(server, lambda: server.stations[0].inject(hook_of(faults)))


def events(messages: Sequence[Message]) -> list[tuple[EventType | None, int]]:
    """Return type and task of each event of pushed documents."""
    return [(each.type, each.task_id) for each in stamps(messages)]


def stamps(messages: Sequence[Message]) -> list[profile.Stamped]:
    return [
        event
        for message in messages
        if isinstance(message, Document) and message.root == "profile"
        for event in profile.parse(message.xml)
    ]


STARTED, ENDED = (EventType.START, 3), (EventType.EXIT, 3)


def test_without_faults_a_run_is_two_pushes() -> None:
    """What the tests below differ from."""
    with calling() as caller:
        caller.say(ONE, Start())
        heard = caller.hear(1)
        while (EventType.JOBS_DONE, 3) not in events(heard):
            heard += caller.hear()
        assert events(heard) == [STARTED, ENDED, (EventType.JOBS_DONE, 3)]


# -- pushes and replies ----------------------------------------------------------------------------------------------


def test_a_push_comes_twice() -> None:
    with calling("duplicate-push:once") as caller:
        caller.say(ONE, Start())
        first, second = caller.hear(2)
        assert first == second
        assert events([first])[0] == STARTED


def test_a_push_comes_before_go_send() -> None:
    with calling("early-push") as caller:
        caller.say(SendBinaries(2))
        for _ in range(2):
            push, go = caller.hear(2)
            assert events([push]) == [(EventType.START, FOREIGN_ID), (EventType.EXIT_EXTERNAL, FOREIGN_ID)]
            assert go == GoSend()
            caller.say(Binary("hey", b"\x7fELF"))
        assert caller.ask(Available()) == Available()


def test_old_events_come_with_the_first_push() -> None:
    with calling("stale-events:4,once", uptime_ms=60_000) as caller:
        caller.say(ONE, Start())
        heard = stamps(caller.hear())
        assert [(each.type, each.task_id) for each in heard[:5]] == [
            *(STARTED, ENDED, (EventType.START, FOREIGN_ID), (EventType.EXIT, FOREIGN_ID)),
            STARTED,
        ]
        assert all(0 < heard[4].stamp_ms - each.stamp_ms <= STALE_MS + 4 for each in heard[:4])
        assert heard == sorted(heard, key=lambda each: each.stamp_ms)


def test_the_tail_of_an_older_document() -> None:
    with calling("stale-tail:at=GET_LIVE") as caller:
        live = caller.ask(GetLive())
        assert isinstance(live, Document)
        _, _, tail = live.xml.partition(b"</live>\n")
        assert b"</live>" in tail


def test_a_push_tears_a_reply() -> None:
    with calling("torn-reply") as caller:
        caller.say(GetLive())
        with pytest.raises(RemoteProtocolError, match=r"begins with b'.*', expected <profile or <live"):
            caller.hear(2)


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        (GetLive(), Document("profile", profile.render(()))),
        (SendBinaries(1), Available()),
        (GetProfile(), "live"),
    ],
    ids=repr,
)
def test_a_reply_to_another_question(message: FromClient, wrong: object) -> None:
    with calling("wrong-reply", generation="G3a") as caller:
        caller.say(message)
        if wrong == Available():  # G3a knows none: it looks like a length
            assert caller.sock.recv(4) == ECHO
            return
        (reply,) = caller.hear()
        assert wrong in (reply, getattr(reply, "root", None))


def test_an_echo_that_is_none() -> None:
    with calling("wrong-reply:once") as caller:
        caller.say(Available())
        assert caller.sock.recv(4) == encode(GoSend())
        caller.say(Available())
        assert caller.sock.recv(4) == ECHO


# -- boards that serve no more ---------------------------------------------------------------------------------------


def test_a_board_that_accepts_and_never_serves() -> None:
    with board("accept-only:after=1") as server:
        address = server.stations[0].address
        with Caller(address) as first:
            assert first.is_served
        for _ in range(2):
            with Caller(address) as caller:
                assert not caller.is_served


def test_a_board_that_freezes_after_start() -> None:
    with board("freeze-after-start") as server:
        address = server.stations[0].address
        with Caller(address) as caller:
            caller.say(Clear(), ONE)
            assert caller.is_served
            caller.say(Start())
            assert not caller.is_served
        with Caller(address) as late:
            assert not late.is_served


def test_a_board_that_freezes_instead_of_a_command() -> None:
    with calling("freeze:at=GET_LIVE,after=1") as caller:
        assert isinstance(caller.ask(GetLive()), Document)
        assert caller.is_served
        caller.say(GetLive())
        assert not caller.is_served


def test_a_board_that_reboots_after_start() -> None:
    with board("reboot:after=START,once") as server:
        address = server.stations[0].address
        with Caller(address) as caller:
            caller.say(ONE, Start())
            with pytest.raises((ConnectionResetError, EOFError)):
                caller.hear()
        with Caller(address) as late:
            assert late.is_served
            late.say(Start())  # it has forgotten the task
            assert late.is_served


KILLED = descs(task(id=3, executiontime=100, criticaltime=10, numberofjobs=3, period=200))


def test_a_board_that_kills_goes_on() -> None:
    """What the next one differs from."""
    with calling(generation="G3b") as caller:
        caller.say(KILLED, Start())
        heard: list[Message] = []
        while [type_ for type_, _ in events(heard)].count(EventType.EXIT_CRITICAL) < 3:
            heard += caller.hear()


def test_a_board_that_hangs_when_it_kills() -> None:
    with calling("hang-on-kill", generation="G3b") as caller:
        caller.say(KILLED, Start())
        heard: list[Message] = []
        caller.sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                heard += caller.hear()
        assert EventType.EXIT_CRITICAL not in [type_ for type_, _ in events(heard)]
        caller.say(Clear(), GetProfile())
        with pytest.raises(TimeoutError):
            caller.hear()


# -- the transport ---------------------------------------------------------------------------------------------------


def test_slices_of_one_byte_make_the_same_messages() -> None:
    with calling("slice:1", "latency:1,jitter=1") as caller:
        assert isinstance(caller.ask(GetLive()), Document)
        caller.say(ONE, Start())
        assert events(caller.hear())[0] == STARTED


def test_a_document_that_ends_in_the_middle() -> None:
    with calling("cut:20") as caller:
        caller.say(GetLive())
        with pytest.raises(RemoteProtocolError, match="closed the connection inside a message"):
            caller.hear()


def test_a_reset_in_the_middle_of_a_document() -> None:
    with board("reset:20,once") as server:
        address = server.stations[0].address
        with Caller(address) as caller, pytest.raises(ConnectionResetError):
            caller.ask(GetLive())
        with Caller(address) as late:
            assert late.is_served


def test_a_black_hole_outlasts_its_client_and_ends_when_it_is_lifted() -> None:
    with board("blackhole:after=1,way=down") as server:
        address = server.stations[0].address
        with Caller(address) as caller:
            assert caller.is_served
            assert not caller.is_served
    with board("blackhole") as server:
        address = server.stations[0].address
        with Caller(address) as first:
            assert not first.is_served
        with Caller(address) as second:
            assert not second.is_served  # the board has not heard that the first one left
            inject(server)
            assert second.hear() == [Available()]


# -- injected --------------------------------------------------------------------------------------------------------


def test_faults_come_and_go_in_the_middle_of_a_connection() -> None:
    with board() as server, Caller(server.stations[0].address) as caller:
        assert caller.is_served
        inject(server, "wrong-reply")
        assert caller.ask(GetLive()) == Document("profile", profile.render(()))
        inject(server)
        assert caller.is_served


def test_an_injected_fault_strikes_at_once() -> None:
    with board() as server:
        address = server.stations[0].address
        with Caller(address) as caller:
            assert caller.is_served
            inject(server, "reset")
            with pytest.raises(ConnectionResetError):
                caller.hear()
        inject(server)
        with Caller(address) as caller:
            assert caller.is_served
            inject(server, "freeze")
            assert not caller.is_served


def test_what_a_plan_has_done_is_kept_when_another_fault_is_added() -> None:
    with board("cut:2,once") as server:
        address = server.stations[0].address
        with Caller(address) as caller, pytest.raises(RemoteProtocolError):
            caller.ask(Available())
        inject(server, "cut:2,once", "latency:1")
        eventually(lambda: not server.stations[0]._line)
        with Caller(address) as caller:
            assert caller.is_served


@pytest.mark.parametrize("fault", ["freeze:p=0.5", "reset:p=0.5", "reboot:after=START,p=0.5", "accept-only:p=0.5"])
def test_draws_depend_on_seed_and_board_alone(fault: str) -> None:
    def struck(seed: int, number: int) -> list[object]:
        it = FaultyBoard([parse(fault)], seed, number)
        found: list[object] = []
        for _ in range(16):
            found.append(it.accepts())
            found += [repr(each) for each in it.begins(connected=True)]
            found += [[*map(repr, it.heard(message))] for message in (Clear(), Start())]
            found += [repr(piece) for piece in it.outgoing(ECHO)]
        return found

    assert struck(0, 0) == struck(0, 0)
    assert struck(0, 0) != struck(0, 1)
    assert struck(0, 0) != struck(1, 0)


def test_without_faults_there_is_no_hook_of_its_own() -> None:
    assert type(hook_of([])) is Hook


def test_faults_of_boards_in_a_process_of_their_own() -> None:
    with hil.board.serve(count=2, faults=["1:wrong-reply:once"]) as boards:
        with Caller(boards.addresses[0]) as caller:
            assert caller.is_served
            boards.inject(0, parse("freeze"))
            assert not caller.is_served
        with Caller(boards.addresses[1]) as caller:
            caller.say(Available())
            assert caller.sock.recv(4) == encode(GoSend())
            boards.lift(1)
            caller.say(Available())
            assert caller.sock.recv(4) == ECHO
