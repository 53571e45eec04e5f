"""QMP: whatever a monitor says, the client comes to an end, with a reply or with one line."""

import json
import socket
import time
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.power.qemu import QemuPower
from hil.power.qmp import MAX_LINE, Monitor, QmpAbsent, QmpError, QmpRefused, parse
from taskgen.errors import UsageError
from taskgen.power import Place, PowerError
from tests.hil.monitors import EVENT, GREETING, Answer, monitor, nothing_happens

LONG_NS = 30 * 10**9
SHORT_NS = 50_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "qmp"


def ask(path: Path, command: str = "query-status", *, timeout_ns: int = LONG_NS) -> Any:
    with Monitor.connect(f"unix:{path}", time.monotonic_ns() + timeout_ns) as client:
        client.greet()
        return client.execute(command)


def test_capabilities_are_negotiated_before_anything_is_asked(path: Path) -> None:
    with monitor(path) as commands:
        assert ask(path) == {"status": "running", "running": True}
    assert commands == ["qmp_capabilities", "query-status"]


def test_events_in_between_are_skipped(path: Path) -> None:
    def answer(request: dict[str, Any]) -> list[Any]:
        return [EVENT, *nothing_happens(request), EVENT]

    with monitor(path, answer), Monitor.connect(f"unix:{path}", time.monotonic_ns() + LONG_NS) as client:
        client.greet()
        assert client.execute("system_reset") == {}
        assert client.execute("query-status") == {"status": "running", "running": True}


def test_messages_may_arrive_in_any_pieces_and_several_at_once(path: Path) -> None:
    """The greeting comes together with what was never asked for: an event."""
    greeting = json.dumps(GREETING).encode() + b"\r\n" + json.dumps(EVENT).encode() + b"\n"

    def answer(request: dict[str, Any]) -> list[Any]:
        text = json.dumps(nothing_happens(request)[0]).encode() + b"\n"
        return [bytes([byte]) for byte in text]

    with monitor(path, answer, greeting):
        assert ask(path, "cont") == {}


def test_a_refusal_says_why_and_the_monitor_is_alive(path: Path) -> None:
    def answer(request: dict[str, Any]) -> list[Any]:
        if request["execute"] == "cont":
            return [{"id": request["id"], "error": {"class": "GenericError", "desc": "Resetting is required"}}]
        return nothing_happens(request)

    with monitor(path, answer), pytest.raises(QmpRefused, match=r"cont: 'Resetting is required'$"):
        ask(path, "cont")


def replies(*messages: Any) -> Answer:
    return lambda _: list(messages)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (replies(b"\x16\x03\x01 garbage\n"), "is no JSON: b"),
        (replies(b"[" * 60_000 + b"\n"), "is no JSON: b"),
        (replies(b"[]\n"), "expected a JSON object"),
        (replies(b'"id"\n'), "expected a JSON object"),
        (replies({"return": {}}), "the reply belongs to another command"),
        (replies({"return": {}, "id": 99}), "the reply belongs to another command"),
        (replies({"id": 1}), "has neither return nor error"),
        (replies({"id": 1, "error": "text"}), "has neither return nor error"),
        (replies(b"x" * (MAX_LINE + 20_000)), f"a line is longer than {MAX_LINE} bytes"),
        (replies({"error": {"class": "GenericError", "desc": "JSON parse error"}}), "belongs to another command"),
    ],
)
def test_what_is_no_reply_ends_the_exchange(path: Path, answer: Answer, reason: str) -> None:
    with monitor(path, answer), pytest.raises(QmpError, match=reason) as caught:
        ask(path)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", {"QMP": {}}, {"QMP": "7.2"}, {"return": {}}, EVENT, b"{}\n", b"1\n"]
)
def test_who_greets_otherwise_is_no_monitor(path: Path, greeting: Any) -> None:
    with (
        monitor(path, greeting=greeting) as commands,
        pytest.raises(QmpError, match=r"is no monitor|is no JSON|object"),
    ):
        ask(path)
    assert commands == []


@pytest.mark.parametrize(
    ("answer", "greeting"),
    [
        pytest.param(replies(), b"", id="no greeting"),
        pytest.param(replies(), GREETING, id="no reply"),
        pytest.param(replies(b'{"return": '), GREETING, id="half a reply"),
        pytest.param(lambda _: repeat(EVENT), GREETING, id="a flood of events"),
    ],
)
def test_silence_has_an_end(path: Path, answer: Answer, greeting: Any) -> None:
    with monitor(path, answer, greeting), pytest.raises(QmpError, match=r"doesn't (answer|read) in time"):
        ask(path, timeout_ns=SHORT_NS)


def test_a_monitor_that_hangs_up_is_told_from_a_silent_one(path: Path) -> None:
    def hang_up(_: object) -> list[Any]:
        raise ConnectionResetError

    with monitor(path, hang_up), pytest.raises(QmpError, match="closed the connection"):
        ask(path)


def test_nobody_there_is_an_error_of_its_own(path: Path) -> None:
    with pytest.raises(QmpAbsent, match="No such file"):
        ask(path)
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(path))
    with pytest.raises(QmpAbsent, match="refused"):
        ask(path)


def test_a_path_that_no_socket_can_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="too long"):
        ask(tmp_path / ("x" * 200))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_one_line(data: bytes) -> None:
    """A socket pair stands in for a monitor."""
    near, far = socket.socketpair()
    with near, far:
        client = Monitor(near, "unix:/x", time.monotonic_ns() + LONG_NS)
        far.sendall(data)
        far.shutdown(socket.SHUT_WR)
        with suppress(QmpError):
            client.greet()
            raise AssertionError("such bytes are no greeting and no reply")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("unix:/run/board0.sock", "/run/board0.sock"),
        ("unix:a:b", "a:b"),
        ("127.0.0.1:4444", ("127.0.0.1", 4444)),
        ("tcp:127.0.0.1:4444", ("127.0.0.1", 4444)),
        ("[::1]:4444", ("::1", 4444)),
        ("localhost:4444", ("localhost", 4444)),
    ],
)
def test_where_a_monitor_listens(text: str, place: Any) -> None:
    assert parse(text) == place


@pytest.mark.parametrize(
    "text", ["", "unix:", "/run/board0.sock", "127.0.0.1", "127.0.0.1:99999", "10.0.0.0/24:4444", "10.0.0.1:1-2", "::1"]
)
def test_anything_else_is_refused_with_two_examples(text: str) -> None:
    with pytest.raises(UsageError, match=r"^power\.qmp: ") as caught:
        QemuPower(Place("10.0.0.7"), qmp=text)
    assert "unix:/run/board0.sock" in caught.value.hint


# --- the driver, before a monitor that plays along


def test_a_reset_lets_the_guest_run_again(path: Path) -> None:
    """A guest that was stopped is in prelaunch after the reset, and refuses to go on until the reset is through."""
    tries: list[str] = []

    def answer(request: dict[str, Any]) -> list[Any]:
        tries.append(request["execute"])
        continued = tries.count("cont")
        if request["execute"] == "cont" and continued == 1:
            return [{"id": request["id"], "error": {"class": "GenericError", "desc": "Resetting is required"}}]
        if request["execute"] == "query-status" and continued < 2:
            return [{"id": request["id"], "return": {"status": "prelaunch", "running": False}}]
        return [EVENT, *nothing_happens(request)]

    with monitor(path, answer) as commands:
        QemuPower(Place("10.0.0.7"), qmp=f"unix:{path}", timeout_ms=30_000).cycle()
    query = ["query-status", "cont"]
    assert commands == ["qmp_capabilities", "system_reset", *query, *query, "query-status"]


def test_a_guest_that_never_runs_is_an_error(path: Path) -> None:
    def answer(request: dict[str, Any]) -> list[Any]:
        return [{"id": request["id"], "return": {"status": "io-error", "running": False}}]

    driver = QemuPower(Place("10.0.0.7"), qmp=f"unix:{path}", timeout_ms=30_000, sleep=lambda _: None)
    with monitor(path, answer), pytest.raises(PowerError, match=r"the guest doesn't run: .*io-error") as caught:
        driver.cycle()
    assert "command" in caught.value.hint


def test_who_is_no_qemu_is_never_killed(path: Path) -> None:
    """The process that listens at this socket is the test itself: it lives to say so."""
    driver = QemuPower(Place("10.0.0.7"), qmp=f"unix:{path}", command=["qemu-system-arm"], timeout_ms=50)
    with monitor(path, greeting=b""), pytest.raises(PowerError, match=r"and is no QEMU: it isn't killed") as caught:
        driver.cycle()
    assert "power.qmp" in caught.value.hint
