"""The 24 hazards of wire-protocol 8, each with the right behaviour of the client; test_wire*.py has more of them."""

import re
import socket
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from hil.chronicle import Chronicle
from hil.connection import Link
from hil.documents import profile
from hil.documents.profile import Stamped
from hil.messages import (
    Acknowledgement,
    Available,
    Binary,
    Clear,
    Document,
    GetProfile,
    GoSend,
    Message,
    Reboot,
    SendBinaries,
    SendDescriptions,
    Start,
)
from hil.session import TaskloaderSession
from hil.wire import encode
from taskgen.addresses import Address
from taskgen.dialect.boards import BOARDS
from taskgen.errors import ConnectError, InputError, TargetLost, Unsupported, UsageError
from taskgen.events import Event, EventType
from taskgen.parameters import parameters_of
from taskgen.session import Target
from taskgen.taskset import TaskSet
from tests.hil.scripted import ScriptedBoard, collect, one_job, runs_one_job, scripted, session_on

START, EXIT, DONE = EventType.START, EventType.EXIT, EventType.JOBS_DONE


def types_of(events: list[Event]) -> list[EventType]:
    return [event.type for event in events]


def pair(**options: object) -> tuple[Link, socket.socket]:
    """Return a link to a G4 board, and the board's end."""
    ours, theirs = socket.socketpair()
    return Link(ours, Address("127.0.0.1", 1), BOARDS["G4"], **options), theirs  # type: ignore[arg-type]


def read_all(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(1 << 16)):
        data += piece
    return data


def test_hazard_1_a_message_that_fills_the_send_buffer_arrives_whole() -> None:
    link, theirs = pair()
    message = SendDescriptions(b"<taskset/>".ljust(3_000_001))
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_all(theirs, len(encode(message)))))
    reader.start()
    link.send(message)
    reader.join(10)
    assert received == [encode(message)]
    link.close()
    theirs.close()


def test_hazard_2_messages_are_found_however_the_stream_is_cut() -> None:
    link, theirs = pair()
    document = Document("profile", profile.render([Stamped(START, 1, 5)]))
    for byte in encode(document) + encode(document):
        theirs.send(bytes([byte]))
    assert [link.receive().message for _ in range(2)] == [document, document]  # type: ignore[union-attr]
    link.close()
    theirs.close()


def test_hazard_3_the_end_of_the_stream_is_the_end_of_the_target() -> None:
    def hang_up(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Start):
            board.log((START, 1, 2000))
            board.hang_up()

    with scripted("G4", hang_up) as board, session_on(board) as session:
        events: list[Event] = []
        with pytest.raises(TargetLost, match=r"closed the connection; last byte .* bytes in, \d+ out"):
            collect(session.run(one_job()), events)
        assert types_of(events) == [START]  # what arrived comes first


def test_hazard_4_pushes_at_any_time_are_told_apart_from_replies() -> None:
    def push_early(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Clear | SendDescriptions | GetProfile):
            board.log((START, 77, 500), (EventType.EXIT_EXTERNAL, 77, 501))
        runs_one_job(board, message)

    with scripted("G4", push_early) as board, session_on(board) as session:
        assert types_of(list(session.run(one_job()))) == [START, EXIT, DONE]


def test_hazard_5_a_push_in_front_of_go_send_is_no_go_send(tmp_path: Path) -> None:
    (tmp_path / "hey").write_bytes(b"\x7fELF")

    def push_first(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, SendBinaries):
            board.log((START, 77, 500), (EXIT, 77, 501))
        runs_one_job(board, message)

    with scripted("G4", push_first) as board, session_on(board, binaries=tmp_path) as session:
        assert types_of(list(session.run(one_job()))) == [START, EXIT, DONE]
        assert board.names().index("Binary") < board.names().index("Start")  # uploads come before START only


@pytest.mark.parametrize("generation", ["G3a", "G3b", "G4"])
def test_hazard_6_nothing_is_asked_while_tasks_run(generation: str) -> None:
    with scripted(generation, runs_one_job) as board:
        with session_on(board) as session:
            list(session.run(one_job()))
        names = board.names()
        behind_start = names[names.index("Start") + 1 :]
        running = behind_start[: behind_start.index("Clear")]
        assert not {"GetLive", "GetProfile", "SendBinaries"} & set(running)


def test_hazard_6_a_document_inside_another_one_drops_the_connection() -> None:
    def torn(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Start):
            whole = encode(Document("profile", profile.render([Stamped(START, 1, 2000)])))
            board.write(whole[:4] + whole + whole[4:])

    with scripted("G4", torn) as board, session_on(board) as session:
        with pytest.raises(TargetLost, match="broke the protocol"):
            list(session.run(one_job()))
        assert session._link is not None
        assert session._link.over


@pytest.mark.parametrize("generation", ["G3b", "G4"])
def test_hazard_7_an_unanswered_get_profile_is_no_events_and_shifts_nothing(generation: str) -> None:
    with scripted(generation, runs_one_job) as board, session_on(board) as session:
        for _ in range(2):
            assert types_of(list(session.run(one_job()))) == [START, EXIT, DONE]
        assert "GetProfile" in board.names()


def test_hazard_8_only_messages_that_a_generation_knows_are_sent_to_it() -> None:
    with scripted("G3b", runs_one_job) as board, session_on(board) as session:
        list(session.run(one_job()))
        assert not {"Available", "Optimize", "Unknown"} & set(board.names())


def test_hazard_9_no_probe_and_no_run_sends_0x159d3() -> None:
    with scripted("G4", runs_one_job) as board, session_on(board, dialect="auto") as session:
        list(session.run(one_job()))
        TaskloaderSession.probe(Target("taskloader", f"127.0.0.1:{board.port}"))
        assert not any(isinstance(message, Reboot) for message in board.heard)


def test_hazard_10_a_board_that_starts_nothing_is_none_that_has_run_the_set() -> None:
    expected = "no task started within 300.0 ms: does the board have the programs 'hey'"
    with scripted("G4") as board, session_on(board, reply_ms=100) as session:
        run = session.run(one_job(), horizon_ms=300)
        with pytest.raises(TargetLost, match=re.escape(expected)):
            list(run)


def test_hazard_10_available_is_the_barrier_behind_start() -> None:
    def deaf(board: ScriptedBoard, message: Message) -> bool:
        return isinstance(message, Available) and "Start" in board.names()

    with scripted("G4", deaf) as board, session_on(board, reply_ms=150) as session:
        run = session.run(one_job())
        with pytest.raises(TargetLost, match="START doesn't return"):
            list(run)


def test_hazard_11_acknowledgements_are_dropped() -> None:
    def acknowledge(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Clear | Start):
            board.say(Acknowledgement())
        runs_one_job(board, message)

    with scripted("G3a", acknowledge) as board, session_on(board) as session:
        assert types_of(list(session.run(one_job()))) == [START, EXIT, DONE]


def test_hazard_12_a_busy_command_loop_is_waited_for_as_long_as_the_command_takes() -> None:
    def slow_start(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Start):
            time.sleep(0.3)  # all offsets, which is more than reply_ms
        runs_one_job(board, message)

    with scripted("G4", slow_start) as board, session_on(board, reply_ms=150) as session:
        assert types_of(list(session.run(one_job(offset=400)))) == [START, EXIT, DONE]


def test_hazard_13_accepting_is_not_serving() -> None:
    with scripted("G4", lambda *_: True) as board:
        assert TaskloaderSession.probe(Target("taskloader", f"127.0.0.1:{board.port}"))
        sentence = "accepts connections, but answers nothing"
        with pytest.raises(ConnectError, match=sentence), session_on(board, dialect="auto", reply_ms=50):
            pass
        found = TaskloaderSession.inspect(Target("taskloader", f"127.0.0.1:{board.port}", {"reply_ms": 50}))
        assert found["state"] == "mute"


def test_hazard_14_a_board_that_says_nothing_though_jobs_should_have_ended_is_lost() -> None:
    def freeze(board: ScriptedBoard, message: Message) -> bool:
        return "Start" in board.names() and not (isinstance(message, Available) and board.heard[-2] == Start())

    short = one_job(period=10, executiontime=1, criticaltime=5)
    with scripted("G4", freeze) as board, session_on(board, silence_ms=50) as session:
        began_ns = time.monotonic_ns()
        with pytest.raises(TargetLost, match="says nothing, though jobs should have ended"):
            list(session.run(short))
        assert time.monotonic_ns() - began_ns >= 1_000_000_000  # the longest silence that the set can have


def test_hazard_14_keep_alive_is_on() -> None:
    with scripted("G4") as board, session_on(board) as session:
        assert session._link is not None
        assert session._link._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_hazard_15_an_upload_that_is_broken_off_is_finished_before_the_connection_is_closed(tmp_path: Path) -> None:
    (tmp_path / "hey").write_bytes(b"\x7fELF" * 10)
    released = threading.Event()

    def late_go(board: ScriptedBoard, message: Message) -> bool:
        if isinstance(message, SendBinaries):
            threading.Timer(0.2, go, [board]).start()
        return isinstance(message, SendBinaries)

    def go(board: ScriptedBoard) -> None:
        board.say(GoSend())
        released.set()

    with scripted("G4", late_go) as board:
        with session_on(board, binaries=tmp_path, reply_ms=50) as session:
            run = session.run(one_job())
            with pytest.raises(TargetLost, match="GO_SEND: no answer"):
                list(run)
        assert released.wait(5)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not isinstance(board.heard[-1], Binary):
            time.sleep(0.01)
        assert board.heard[-1] == Binary("hey", b"\x7fELF" * 10)


def test_hazard_16_a_consumer_that_pauses_doesnt_stop_the_reading() -> None:
    link, theirs = pair()
    document = Document("profile", profile.render([Stamped(START, 1, 5)] * 10_000))
    theirs.settimeout(10)
    for _ in range(5):
        theirs.sendall(encode(document))  # far beyond the socket's buffers, and nobody has called receive
    assert [link.receive().message for _ in range(5)] == [document] * 5  # type: ignore[union-attr]
    link.close()
    theirs.close()


def test_hazard_17_one_connection_serves_many_runs() -> None:
    with scripted("G4", runs_one_job) as board, session_on(board) as session:
        for _ in range(5):
            list(session.run(one_job()))
        assert board.connections == 1


def test_hazard_18_the_tail_of_an_older_document_is_cut_off() -> None:
    def stale_tail(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Start):
            log = [Stamped(START, 1, 2000), Stamped(EXIT, 1, 2043), Stamped(DONE, 1, 2043)]
            tail = b'"EXIT" task-id="1" time-stamp="9"/>\n\t</events>\n</profile>\n'
            board.say(Document("profile", profile.render(log) + tail))

    with scripted("G3a", stale_tail) as board, session_on(board) as session:
        assert types_of(list(session.run(one_job()))) == [START, EXIT, DONE]


def test_hazard_19_a_run_clears_before_the_first_set_and_drops_what_is_left() -> None:
    def leftovers(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, GetProfile) and "Start" not in board.names():
            board.log((START, 1, 100), (EXIT, 1, 200))  # of the last client, in the log still
        if isinstance(message, Start):
            stale = ((EventType.EXIT_EXTERNAL, 1, 900), (START, 77, 901), (DONE, 1, 902))
            board.log(*stale, (START, 1, 2000), (EXIT, 1, 2043), (DONE, 1, 2043))

    with scripted("G4", leftovers) as board, session_on(board) as session:
        assert types_of(list(session.run(one_job()))) == [START, EXIT, DONE]
        assert board.names()[:3] == ["Clear", "GetProfile", "Available"]


def test_hazard_19_a_job_from_before_our_start_is_known_by_its_end() -> None:
    log = [Stamped(START, 1, 1000), Stamped(EXIT, 1, 1001), Stamped(START, 1, 1500), Stamped(EXIT, 1, 1530)]
    chronicle = Chronicle(parameters_of(one_job()), BOARDS["G4"], 10**12)
    events = list(chronicle.feed(log, 0))
    assert [(event.type, event.time_ns) for event in events] == [(START, 26_000_000), (EXIT, 56_000_000)]


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"id": 100}, "know the ids 0..99"),
        ({"pkg": "sixteen_letters_"}, "names of at most 15 characters"),
        ({"pkg": " hey"}, "white space at its edge"),
        ({"config": {"arg1": "a<b"}}, "markup"),
        ({"period": 5_000_000}, "at most 2147483 ms"),
    ],
)
def test_hazard_20_what_a_board_chokes_on_is_refused_before_anything_is_sent(
    attributes: dict[str, object], what: str
) -> None:
    with scripted("G4") as board, session_on(board) as session:
        with pytest.raises((Unsupported, InputError), match=what):
            session.run(one_job(**attributes))
        with pytest.raises(Unsupported, match="at most 40"):
            session.run(TaskSet([{**one_job()[0], "id": number} for number in range(41)]))
        assert board.heard == []


def test_hazard_20_what_a_board_needs_is_filled_in() -> None:
    with scripted("G4", runs_one_job) as board, session_on(board) as session:
        list(session.run(one_job(id=1)))
        sent = next(message for message in board.heard if isinstance(message, SendDescriptions))
        assert all(f"<{key}" in sent.xml.decode() for key in ("config", "quota", "caps", "cores", "coreoffset"))
        assert not sent.xml.startswith(b"<?")


def test_hazard_21_a_program_is_sent_once_and_other_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hey").write_bytes(b"first")
    with scripted("G4", runs_one_job) as board:
        for _ in range(2):  # also over a second connection
            with session_on(board, binaries=tmp_path) as session:
                list(session.run(one_job()))
                list(session.run(one_job()))
        assert board.names().count("Binary") == 1
        (tmp_path / "hey").write_bytes(b"other content")
        with session_on(board, binaries=tmp_path) as session, pytest.raises(UsageError, match="its content changed"):
            session.run(one_job())


def test_hazard_22_stamps_go_on_behind_the_wrap() -> None:
    wrap_ms = 4_294_967
    log = [Stamped(START, 1, wrap_ms - 10), Stamped(EXIT, 1, 20)]
    chronicle = Chronicle(parameters_of(one_job()), BOARDS["G4"], 10**12)
    started, ended = chronicle.feed(log, 0)
    assert ended.time_ns - started.time_ns == 30_296_000  # 10 + 20 ms, and what a turn is beyond whole ms


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ([(EXIT, 5)], []),  # never STARTed
        ([(START, 5), (START, 505), (EXIT, 535)], [START, START, EXIT]),  # the first has no end
        ([(START, 5), (EXIT, 35)], [START, EXIT]),  # JOBS_DONE missing
        ([(START, 5), (EXIT, 35), (EXIT, 36)], [START, EXIT]),
        ([(START, 5), (START, 5), (EXIT, 35), (EXIT, 35)], [START, EXIT]),  # pushed twice
    ],
)
def test_hazard_23_lives_with_gaps_are_borne(log: list[tuple[EventType, int]], expected: list[EventType]) -> None:
    tasks = parameters_of(one_job(numberofjobs=2))
    chronicle = Chronicle(tasks, BOARDS["G3b"], 10**12)
    events = list(chronicle.feed([Stamped(kind, 1, stamp) for kind, stamp in log], 10**9))
    assert types_of(events) == expected
    assert chronicle.over is (expected.count(START) == 2)


def test_hazard_23_a_set_ends_without_jobs_done() -> None:
    def quiet(board: ScriptedBoard, message: Message) -> None:
        if isinstance(message, Start):
            board.log((START, 1, 2000), (EventType.OUT_OF_QUOTA, 1, 2043))

    with scripted("G3b", quiet) as board, session_on(board) as session:
        assert types_of(list(session.run(one_job()))) == [START, EventType.OUT_OF_QUOTA]


def test_hazard_24_nagle_is_off_and_a_message_is_one_segment() -> None:
    with scripted("G4") as board, session_on(board) as session:
        assert session._link is not None
        assert session._link._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    link, theirs = pair()
    message = SendDescriptions(b"<taskset/>")
    link.send(message)
    assert theirs.recv(1 << 16) == encode(message)
    link.close()
    theirs.close()


def test_every_hazard_has_a_test() -> None:
    numbers = sorted({int(name.split("_")[2]) for name in globals() if name.startswith("test_hazard_")})
    assert all(later - earlier == 1 for earlier, later in pairwise(numbers))
    assert (numbers[0], numbers[-1]) == (1, 24)
