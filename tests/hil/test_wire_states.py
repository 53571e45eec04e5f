"""The states of the wire: who may send what when, and what the driver is told."""

import pytest

from hil.messages import (
    Acknowledgement,
    Available,
    Binary,
    Clear,
    Document,
    FromBoard,
    FromClient,
    GetLive,
    GetProfile,
    GoSend,
    Reboot,
    SendBinaries,
    Start,
    Stop,
    Unknown,
)
from hil.wire import (
    LocalProtocolError,
    RemoteProtocolError,
    Role,
    State,
    encode,
)
from taskgen.dialect.boards import BOARDS
from tests.hil.wires import (
    FROM_CLIENT,
    GENERATIONS,
    GO,
    LIVE,
    LOG,
    board,
    client,
    in_state,
    known,
)

# Who may send what, when.

COMMANDS: list[FromClient] = [entry.message for entry in FROM_CLIENT] + [SendBinaries(2)]
EVERYTHING: list[FromClient | FromBoard] = [*COMMANDS, Binary("hey", b"x"), GoSend(), Acknowledgement()]
ANSWERS: list[FromBoard] = [Document("profile", LOG), Document("live", LIVE)]
STATES = {
    Role.CLIENT: [State.IDLE, State.AWAIT_GO, State.GO, State.REBOOTING, State.CLOSED, State.ERROR],
    Role.BOARD: [State.IDLE, State.AWAIT_GO, State.GO, State.REBOOTING, State.HUNG, State.CLOSED],
}


def may_send(role: Role, state: State, message: object, generation: str) -> bool:
    """Say what the prose of wire-protocol 1.2 and 1.5 says; nobody has asked the board anything."""
    if state in {State.CLOSED, State.ERROR}:
        return False
    if role is Role.BOARD:
        turn = isinstance(message, GoSend) and state is State.AWAIT_GO
        return turn or message in (Acknowledgement(), Document("profile", LOG))
    there = [entry.message for entry in known(FROM_CLIENT, generation)] + [SendBinaries(2)]
    return (state is State.IDLE and message in there) or (state is State.GO and isinstance(message, Binary))


@pytest.mark.parametrize(("role", "state"), [(role, state) for role, states in STATES.items() for state in states])
@pytest.mark.parametrize("generation", ["G3a", "G4"])
def test_every_message_in_every_state(role: Role, state: State, generation: str) -> None:
    for message in [*EVERYTHING, *ANSWERS]:
        machine = in_state(role, state, generation)
        before = repr(machine)
        if may_send(role, state, message, generation):
            assert machine.send(message) == encode(message)
        else:
            with pytest.raises(LocalProtocolError, match="can't be sent"):
                machine.send(message)
            assert repr(machine) == before


@pytest.mark.parametrize("message", COMMANDS, ids=repr)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_client_sends_only_what_the_generation_knows(generation: str, message: FromClient) -> None:
    if message in [SendBinaries(2), *(entry.message for entry in known(FROM_CLIENT, generation))]:
        assert client(generation).send(message)
    else:
        with pytest.raises(LocalProtocolError, match=f"a board of {generation} doesn't know it"):
            client(generation).send(message)
        word = int.from_bytes(encode(message)[:4], "little")
        assert board(generation).receive(encode(message))[0] == Unknown(word)


@pytest.mark.parametrize("message", COMMANDS, ids=repr)
def test_probing_sends_only_what_is_harmless_everywhere(message: FromClient) -> None:
    if isinstance(message, Available | GetProfile | GetLive | Clear | Stop):
        assert client(None).send(message)
    else:
        with pytest.raises(LocalProtocolError, match="generation isn't known yet"):
            client(None).send(message)


def test_a_board_answers_only_what_was_asked() -> None:
    theirs = board("G1p")
    for answer in (*ANSWERS, GoSend()):
        with pytest.raises(LocalProtocolError, match="can't be sent"):
            theirs.send(answer)
    theirs.receive(encode(GetLive()))
    assert theirs.send(Document("live", LIVE))
    with pytest.raises(LocalProtocolError, match="no client asked"):
        theirs.send(Document("live", LIVE))


# What the driver is told.


def test_silence_is_judged_by_two_flags() -> None:
    ours = client()
    assert not ours.expects_reply
    ours.send(Available())
    assert ours.expects_reply
    data = encode(Available())
    assert ours.receive(data[:3]) == []
    assert (ours.mid_frame, ours.expects_reply, ours.trailing_data) == (True, True, data[:3])
    assert ours.receive(data[3:]) == [Available()]
    assert (ours.mid_frame, ours.expects_reply, ours.trailing_data) == (False, False, b"")
    ours.send(SendBinaries(1))
    assert ours.expects_reply
    ours.receive(GO)
    assert not ours.expects_reply


def test_a_board_waits_for_the_binary_that_it_asked_for() -> None:
    theirs = board()
    theirs.receive(encode(SendBinaries(1)))
    assert (theirs.expects_reply, theirs.binaries_left) == (False, 1)
    theirs.send(GoSend())
    assert theirs.expects_reply
    theirs.receive(encode(Binary("hey", b"x")))
    assert (theirs.expects_reply, theirs.binaries_left) == (False, 0)


def test_a_reply_that_never_comes_is_given_up_and_may_come_late() -> None:
    ours = client("G4")
    ours.send(GetProfile())
    assert ours.give_up(GetProfile())
    assert not ours.expects_reply
    assert not ours.give_up(GetProfile())
    assert ours.receive(encode(Document("profile", LOG))) == [Document("profile", LOG)]


def test_a_late_echo_is_no_length() -> None:
    for generation in ("G4", None):
        ours = client(generation)
        ours.send(Available())
        ours.give_up(Available())
        assert ours.receive(encode(Available())) == [Available()]
        assert not ours.mid_frame


def test_a_push_counts_as_the_profile_that_was_asked_for() -> None:
    ours = client("G3a")
    ours.send(GetProfile())
    ours.send(GetLive())
    ours.receive(encode(Document("profile", LOG)))
    assert ours.expects_reply
    ours.receive(encode(Document("live", LIVE)))
    assert not ours.expects_reply


def test_identifying_a_board_opens_its_commands() -> None:
    ours = client(None)
    ours.send(Available())
    ours.identify(BOARDS["G3a"])
    assert not ours.expects_reply
    assert ours.row is BOARDS["G3a"]
    assert ours.send(Reboot()) == bytes.fromhex("d3590100")
    with pytest.raises(LocalProtocolError, match="expected a client"):
        board().identify(BOARDS["G4"])


def test_a_failed_write_ends_the_sending_and_not_the_reading() -> None:
    ours = client()
    ours.send(Start())
    ours.send_failed()
    with pytest.raises(LocalProtocolError, match="a write failed"):
        ours.send(Stop())
    assert ours.receive(encode(Document("profile", LOG))) == [Document("profile", LOG)]


@pytest.mark.parametrize("role", Role)
def test_the_end_of_the_stream_is_heard_once_and_for_all(role: Role) -> None:
    machine = in_state(role, State.IDLE)
    assert not machine.closed
    assert machine.receive(b"") == []
    assert machine.receive(b"") == []
    assert machine.closed
    with pytest.raises(LocalProtocolError, match="after the end"):
        machine.receive(b"x")


def test_nobody_answers_after_the_end() -> None:
    ours = client()
    ours.send(GetLive())
    assert ours.receive(b"") == []
    assert (ours.closed, ours.expects_reply) == (True, False)


def test_a_reset_in_the_middle_of_a_document_is_what_a_reboot_looks_like() -> None:
    ours = client()
    ours.send(Reboot())
    assert ours.receive(encode(Document("profile", LOG))[:50]) == []
    assert ours.receive(b"") == []
    assert (ours.state, ours.mid_frame, len(ours.trailing_data)) == (State.CLOSED, False, 50)


def test_an_error_is_for_ever() -> None:
    ours = client()
    with pytest.raises(RemoteProtocolError) as first:
        ours.receive(encode(Document("profile", LOG)) + bytes(4))
    for data in (encode(Document("profile", LOG)), b""):
        with pytest.raises(RemoteProtocolError) as again:
            ours.receive(data)
        assert (str(again.value), again.value.messages) == (str(first.value), ())
    assert (ours.closed, ours.mid_frame, ours.trailing_data) == (True, False, bytes(4))
