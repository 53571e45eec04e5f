"""Two machines back to back: whatever one may say, in any order and slices, the other hears."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hil import messages as wire
from hil.wire import Connection, LocalProtocolError, State
from tests.hil.wires import EMPTY_LOG, GENERATIONS, LIVE, LOG, STALE, board, client, document

TEXTS = st.binary(min_size=1, max_size=60)
NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=1, max_size=15)
PLAIN: list[wire.FromClient] = [
    wire.Clear(),
    wire.Start(),
    wire.Stop(),
    wire.GetProfile(),
    wire.GetLive(),
    wire.Available(),
]
FROM_CLIENT: st.SearchStrategy[wire.FromClient] = st.one_of(
    st.sampled_from(PLAIN),
    TEXTS.map(wire.SendDescriptions),
    TEXTS.map(wire.Optimize),
    st.just(wire.SendBinaries(0)),
)
# Not 144: see test_wire_limits.
SIZES = st.integers(33, 5000).filter(lambda n: n != 144)
FROM_BOARD: st.SearchStrategy[wire.FromBoard] = st.one_of(
    st.sampled_from([wire.Document("profile", text) for text in (EMPTY_LOG, LOG, STALE)]),
    SIZES.map(document),
    st.sampled_from([wire.Document("live", LIVE), wire.Available(), wire.Acknowledgement(), wire.GoSend()]),
)


class End:
    """A machine, the bytes under way to it, what it was sent, and what it has read."""

    def __init__(self, machine: Connection) -> None:
        self.machine = machine
        self.under_way = b""
        self.sent: list[wire.Message] = []
        self.read: list[wire.Message] = []

    def deliver(self, size: int) -> None:
        data, self.under_way = self.under_way[:size], self.under_way[size:]
        if data:
            self.read += self.machine.receive(data)


class Pair(RuleBasedStateMachine):
    """A client, a board, and the wire between them, which delivers when it likes."""

    @initialize(generation=st.sampled_from(GENERATIONS))
    def connect(self, generation: str) -> None:
        self.client, self.board = End(client(generation)), End(board(generation))

    @rule(message=FROM_CLIENT)
    def command(self, message: wire.FromClient) -> None:
        self.say(self.client, self.board, message)

    @rule(name=NAMES, image=TEXTS)
    @precondition(lambda self: self.client.machine.state is State.GO)
    def upload(self, name: str, image: bytes) -> None:
        assert self.say(self.client, self.board, wire.Binary(name, image))

    @rule(message=FROM_BOARD)
    def reply(self, message: wire.FromBoard) -> None:
        self.say(self.board, self.client, message)

    @rule()
    @precondition(lambda self: self.board.machine.state is State.AWAIT_GO)
    def go(self) -> None:
        assert self.say(self.board, self.client, wire.GoSend())

    @rule(to_board=st.booleans(), size=st.integers(1, 6000))
    def deliver(self, to_board: bool, size: int) -> None:
        (self.board if to_board else self.client).deliver(size)

    @rule()
    def settle(self) -> None:
        for end in (self.client, self.board):
            end.deliver(len(end.under_way))

    @rule(count=st.integers(1, 3))
    def announce(self, count: int) -> None:
        self.say(self.client, self.board, wire.SendBinaries(count))

    @rule(message=st.sampled_from([wire.GetProfile(), wire.GetLive(), wire.Available()]))
    def give_up(self, message: wire.FromClient) -> None:
        self.client.machine.give_up(message)

    @rule()
    @precondition(lambda self: self.client.machine.state is State.IDLE)
    def reboot(self) -> None:
        self.say(self.client, self.board, wire.Reboot())

    def say(self, sender: End, receiver: End, message: wire.FromClient | wire.FromBoard) -> bool:
        was = repr(sender.machine)
        try:
            data = sender.machine.send(message)
        except LocalProtocolError:
            assert repr(sender.machine) == was
            return False
        receiver.under_way += data
        receiver.sent.append(message)
        return True

    @invariant()
    def what_is_read_was_sent_in_that_order(self) -> None:
        for end in (self.client, self.board):
            assert list(map(stripped, end.read)) == list(map(stripped, end.sent[: len(end.read)]))
            assert end.machine.mid_frame <= bool(end.under_way)

    @invariant()
    def nobody_breaks_the_protocol(self) -> None:
        assert not self.client.machine.closed
        assert self.board.machine.state is not State.HUNG

    def teardown(self) -> None:
        """When all has arrived, both ends agree."""
        for end in (self.client, self.board):
            end.deliver(len(end.under_way))
            assert len(end.read) == len(end.sent)
            assert not end.machine.mid_frame
        assert self.client.machine.state is self.board.machine.state
        assert self.client.machine.binaries_left == self.board.machine.binaries_left
        for end in (self.client, self.board):
            assert end.machine.receive(b"") == [] or self.board.machine.binaries_left


def stripped(message: wire.Message) -> wire.Message:
    """Return a message without the white space that a client may have added."""
    if isinstance(message, wire.SendDescriptions | wire.Optimize):
        return type(message)(message.xml.rstrip(b"\n") or b"nothing else")
    return message


TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
