"""A board that computes faster than its client reads hears the client all the same."""

import time

import pytest

from hil.messages import Clear, GetLive, Start, Stop
from hil.wire import encode
from taskgen.units import NS_PER_MS
from tests.hil.board.benches import descs, task
from tests.hil.board.serving import Client, eventually, serving

BUSY = [task(id=number, executiontime=1, period=300, numberofjobs=(1 << 32) - 1) for number in range(2)]
#: Far more than both ends of the connection keep.
MOST = 1 << 17


@pytest.mark.parametrize("generation", ["G3a", "G3b", "G4"])
def test_a_stop_is_heard_through_a_flood_of_pushes(generation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At `max` tasks without end push all the time: in one slice more than the window holds, as it is here."""
    monkeypatch.setattr("hil.board.line.SEND_BYTES", 1 << 12)
    for name in ("SLICE_NS", "TURN_NS"):
        monkeypatch.setattr(f"hil.board.server.{name}", 100 * NS_PER_MS)
    with (
        serving(generation=generation, speed="max") as server,
        Client(server.stations[0].address, SO_RCVBUF=1 << 12) as client,
    ):
        client.say(encode(descs(*BUSY)) + encode(Start()))
        station = server.stations[0]
        eventually(lambda: station._line is not None and station._line.blocked)
        client.say(encode(Stop()) + encode(Clear()) + encode(GetLive()))
        heard = b""
        for _ in range(MOST // 200):
            heard = heard[-10:] + client.sock.recv(200)
            if b"<live>" in heard:
                break
            time.sleep(0.001)  # slower than the board computes
        else:
            pytest.fail(f"no answer within {MOST} bytes")
