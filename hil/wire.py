"""The taskloader protocol as a state machine without IO: bytes in, messages out, and back.

Theory of operation
===================

A `Connection` is one end of a TCP connection to a board, in the role of the client or of the board. It owns no socket,
no clock and no thread, and reads no XML. Two verbs: `send(message)` returns the bytes to write, `receive(data)` takes
the bytes that were read and returns the messages that they complete; b"" is the end of the stream. The driver does the
rest: it writes the bytes of one `send` with one call, holds a lock around `send` and the write and around `receive`
when two threads share the machine, and judges silence by the clock:

- `mid_frame`: an unfinished frame is here; silence is a fault now, after a second or two.
- `expects_reply`: the peer owes an answer; silence is a fault after the time that this command takes.
- neither: silence is what boards do while tasks compute.

Nothing on this wire says what it is. There is no handshake, version, checksum or end mark (wire-protocol 1.1); a
client's message begins with a command word, a board's is a length word and a text, or a bare word. So both ends keep
account of who said what, and TRANSITIONS is that account: which message may come from which side in which state, and
what the state is then. Both roles read the same table: a client sends what it has under CLIENT and reads what it has
under BOARD, and a board the other way round.

    IDLE        the client may command
    AWAIT_GO    binaries were announced, and GO_SEND is due
    GO          GO_SEND came, and one binary is due: behind it AWAIT_GO, or IDLE when it was the last
    REBOOTING   the board resets: it reads no more, but what it had sent may still arrive
    HUNG        a board in software read a length that kills real ones: it stays connected and mute, for ever
    CLOSED      the stream ended, at the boundary of a message (or the client left a command unfinished)
    ERROR       the board broke the protocol

Documents, echoes and acknowledgements come in any state: a push may arrive at any time, also for the tasks of the
client before us. Three facts aren't states, because any number of them is open at a time: requests that weren't
answered, binaries that weren't sent, and GO_SENDs that weren't said. A board's machine is as patient as a board: a
client that doesn't wait for GO_SEND finds its binaries read all the same (EARLY), since TCP had kept them.

What one word can mean
----------------------

A client sees three words without a length in front, and lengths of documents. 0x90, GO_SEND, is GO_SEND while it
is awaited, else a document of 144 bytes. While it is awaited, any other word from 33 to 16 MiB is a length: read,
deliver, go on waiting (hazard 5 of wire-protocol 8). What if a push of exactly 144 bytes comes in place of GO_SEND?
A profile has 43 + sum(44 + len(type) + len(id) + len(stamp)) bytes (3.1). One event would need 57 characters in three
fields, of which the longest are 13 + 10 + 10; three events have more than 144 bytes. Two leave 13 characters: START
and EXIT of ids below 10 with stamps below 10, or two EXITs with stamps of one and two digits. So it takes a clock in
its first 0.1 s, after boot or after its wrap (3.3), and an upload while tasks run. Then the text, taken for the next
length, is far beyond 16 MiB: an error, never a silent shift.

0xAAAAA, AVAILABLE, would be the length of a document of 699 050 bytes. It is AVAILABLE as long as one of ours has no
echo, given up or not: a late echo must not become a length. Else it is a length on G1 to G3, whose logs may be that
long; a board that knows AVAILABLE pushes 100 000 bytes at most (3.4), so its documents are refused from there on.
1 is the acknowledgement of G2 boards, always: no document is that short.

0x159D3 is REBOOT, CHECKPOINT or unknown, according to the generation. A client that doesn't know the generation (`row`
is None) may send what no board takes amiss: AVAILABLE, GET_PROFILE, GET_LIVE, CLEAR and STOP. `identify` tells it.

When things go wrong
--------------------

`send` raises LocalProtocolError and changes nothing. `receive` raises RemoteProtocolError, never anything else for
bytes from the network, and goes on raising it; messages that were complete before the fault travel in the error's
`messages`. The end of the stream inside a frame is such a fault; at a boundary it is not, even with replies due.
The machine of a board never raises for what a client sent. Boards don't answer bad input: they skip it, hang or die,
each generation in its own way (1.6), so Unknown, Fatal and Truncated report it, and a board in software decides.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from hil.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from hil.frames import (
    COMMANDS,
    GO_SEND,
    SPLIT,
    Frame,
    Limits,
    Malformed,
    decode_binary,
    decode_command,
    decode_end,
    decode_reply,
    encode,
    name_of_type,
    padded,
)
from hil.messages import (
    Available,
    Binary,
    Document,
    Fatal,
    FromBoard,
    FromClient,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Optimize,
    SendBinaries,
    SendDescriptions,
)
from hil.transitions import EARLY, PROBES, TRANSITIONS, BoardRow, Role, State

__all__ = [
    "PROBES",
    "SPLIT",
    "TRANSITIONS",
    "BoardRow",
    "Connection",
    "Limits",
    "LocalProtocolError",
    "ProtocolError",
    "RemoteProtocolError",
    "Role",
    "State",
    "encode",
]


#: The request that a reply answers, by what the reply is.
_ANSWERED: Final[Mapping[object, type]] = {"profile": GetProfile, "live": GetLive, Available: Available}
_QUESTIONS: Final = frozenset(_ANSWERED.values())
_AVAILABLE: Final = COMMANDS[Available]
_ECHO: Final = Available()
_GO_SEND: Final = GoSend()
_DEAF: Final = frozenset({State.REBOOTING, State.HUNG})
_OVER: Final = frozenset({State.CLOSED, State.ERROR})
_DEFAULT_LIMITS: Final = Limits()


class Connection:
    """One end of a connection to a board; the head of this module explains it. Not thread-safe.

    Args:
        role: which end.
        row: the board's generation; None, for a client only, while it isn't known.
        limits: how long the peer's messages may be, and ours.

    Raises:
        LocalProtocolError: a board without a generation.
    """

    def __init__(self, role: Role, row: BoardRow | None = None, *, limits: Limits = _DEFAULT_LIMITS) -> None:
        if role is Role.BOARD and row is None:
            raise LocalProtocolError("row: None, expected the generation that this board has")
        self.role = role
        self.limits = limits
        self._row = row
        self._state = State.IDLE
        self._buffer = bytearray()
        self._offset = 0  # of the buffer's first byte in the stream
        self._due: Counter[type] = Counter()  # requests that somebody waits for
        self._echoes = 0  # AVAILABLEs without an echo, given up or not
        self._binaries_left = 0
        self._go_left = 0
        self._half_sent = False
        self._fault = ("", State.IDLE)  # the reason for ERROR, and the state before it
        known = row.messages if row else frozenset[str]()
        self._known = {command.word: type_ for type_, command in COMMANDS.items() if command.name in known}

    def __repr__(self) -> str:
        row = self._row.name if self._row else None
        return (
            f"Connection(role={self.role.value}, row={row}, state={self._state.value}, mid_frame={self.mid_frame}, "
            f"expects_reply={self.expects_reply}, offset={self._offset})"
        )

    @property
    def row(self) -> BoardRow | None:
        """The board's generation; None while a client doesn't know it."""
        return self._row

    @property
    def state(self) -> State:
        """Where in the conversation we are."""
        return self._state

    @property
    def closed(self) -> bool:
        """Is it over? The stream ended, or the peer broke the protocol."""
        return self._state in _OVER

    @property
    def mid_frame(self) -> bool:
        """Is an unfinished frame here? Then silence is a fault."""
        return bool(self._buffer) and not self.closed

    @property
    def expects_reply(self) -> bool:
        """Does the peer owe something: a client a reply or GO_SEND, a board the binary that it said GO_SEND for?"""
        if self.role is Role.BOARD:
            return self._state is State.GO
        return self._state is State.AWAIT_GO or (self._due.total() > 0 and not self.closed)

    @property
    def binaries_left(self) -> int:
        """How many binaries were announced and aren't through yet."""
        return self._binaries_left

    @property
    def trailing_data(self) -> bytes:
        """What was received and isn't part of a message: an unfinished frame, or what an error or the end left."""
        return bytes(self._buffer)

    def identify(self, row: BoardRow) -> None:
        """Tell a client which generation answers; a board that doesn't know AVAILABLE won't echo it any more."""
        if self.role is Role.BOARD:
            raise LocalProtocolError(
                f"row: {row.name}, expected a client: a board has had its generation from the start"
            )
        self._row = row
        if _AVAILABLE.name not in row.messages:
            self._echoes = self._due[Available] = 0

    def give_up(self, message: FromClient) -> bool:
        """Wait no longer for the reply to one such request; return whether one was due.

        A late reply is a document like any other, or an echo.
        """
        if not self._due[type(message)]:
            return False
        self._due[type(message)] -= 1
        return True

    def send_failed(self) -> None:
        """Say that a write failed, so that a message may be half out: nothing can be sent any more, only received."""
        self._half_sent = True

    def send(self, message: FromClient | FromBoard) -> bytes:
        """Return the bytes of a message, to be written at once; a client's XML gets white space where boards need it.

        Raises:
            LocalProtocolError: this state, generation or these limits forbid it; the state stays.
        """
        self._check_sendable(message)
        if self.role is Role.CLIENT:
            message = padded(message)  # type: ignore[arg-type]  # the table has only a client's messages here
        self._check_size(message)
        self._follow(message, self.role)
        return encode(message)

    def receive(self, data: bytes) -> list[Message]:
        r"""Return the messages that `data` completes; b"" is the end of the stream.

        Raises:
            RemoteProtocolError: the peer broke the protocol, now or before; `messages` has what was complete before.
            LocalProtocolError: data after the end of the stream.
        """
        if self._state is State.ERROR:
            raise self._error([])
        if not data:
            return self._end()
        if self._state is State.CLOSED:
            raise LocalProtocolError(f"{len(data)} bytes after the end of the stream, expected none")
        if self._is_deaf:
            return []
        self._buffer += data
        messages: list[Message] = []
        try:
            while frame := self._next():
                messages.append(self._take(*frame))
        except Malformed as fault:
            raise self._broken(str(fault), messages) from None
        return messages

    @property
    def _is_deaf(self) -> bool:
        return self.role is Role.BOARD and self._state in _DEAF

    def _next(self) -> Frame | None:
        if self.role is Role.CLIENT:
            return decode_reply(self._buffer, self._due_words(), self._longest_document)
        if self._binaries_left:
            return decode_binary(self._buffer, self.limits)
        return decode_command(self._buffer, self._known, self.limits)

    def _due_words(self) -> dict[int, GoSend | Available]:
        due: dict[int, GoSend | Available] = {}
        if GoSend in TRANSITIONS[Role.BOARD][self._state]:
            due[GO_SEND] = _GO_SEND
        if self._echoes:
            due[_AVAILABLE.word] = _ECHO
        return due

    @property
    def _longest_document(self) -> int:
        if self._row and _AVAILABLE.name in self._row.messages:
            return min(self.limits.document, _AVAILABLE.word - 1)
        return self.limits.document

    def _take(self, message: Message, size: int) -> Message:
        del self._buffer[:size]
        self._offset += size
        self._follow(message, self.role.peer)
        if self._is_deaf:
            self._buffer.clear()
        return message

    def _end(self) -> list[Message]:
        if self._state is State.CLOSED:
            return []
        if self.role is Role.CLIENT:
            if self._buffer and self._state is not State.REBOOTING:
                raise self._broken("the board closed the connection inside a message", [])
            cut = None
        else:
            cut = None if self._is_deaf else decode_end(self._buffer, self._known, self._binaries_left)
        self._state = State.CLOSED
        return [cut] if cut else []

    def _broken(self, reason: str, messages: list[Message]) -> RemoteProtocolError:
        self._fault, self._state = (reason, self._state), State.ERROR
        return self._error(messages)

    def _error(self, messages: list[Message]) -> RemoteProtocolError:
        reason, state = self._fault
        return RemoteProtocolError(
            reason, offset=self._offset, state=state.value, data=bytes(self._buffer), messages=tuple(messages)
        )

    def _successor(self, message: Message, sender: Role) -> State | None:
        found = TRANSITIONS[sender].get(self._state, {}).get(type(message))
        if found is None and self.role is Role.BOARD:
            found = EARLY[sender].get(self._state, {}).get(type(message))
        return found

    def _follow(self, message: Message, sender: Role) -> None:
        match message:
            case SendBinaries(count):
                self._binaries_left = count
                self._go_left += count
            case Binary():
                self._binaries_left -= 1
            case GoSend():
                self._go_left -= 1
            case Fatal():
                self._state = State.HUNG
        self._account(message, sender)
        self._state = self._successor(message, sender) or self._state
        if self._state is State.GO and not self._awaits_binary:
            self._state = State.AWAIT_GO
        if self._state is State.AWAIT_GO and not self._binaries_left:
            self._state = State.IDLE

    @property
    def _awaits_binary(self) -> bool:
        """Was GO_SEND said for a binary that isn't through yet?"""
        return self._go_left < self._binaries_left

    def _account(self, message: Message, sender: Role) -> None:
        if sender is Role.CLIENT and type(message) in _QUESTIONS:
            self._due[type(message)] += 1
            self._echoes += isinstance(message, Available)
        elif sender is Role.BOARD and (request := _request_of(message)):
            self._due[request] = max(0, self._due[request] - 1)
            self._echoes -= isinstance(message, Available)

    def _check_sendable(self, message: FromClient | FromBoard) -> None:
        name = name_of_type(type(message))
        if self._half_sent:
            raise LocalProtocolError(f"{name} can't be sent: a write failed before", hint="open a new connection")
        if self._successor(message, self.role) is None:
            legal = sorted(name_of_type(type_) for type_ in TRANSITIONS[self.role].get(self._state, {}))
            raise LocalProtocolError(
                f"{name} can't be sent by a {self.role.value} in state {self._state.value}, "
                f"expected {', '.join(legal) or 'nothing'}"
            )
        if self.role is Role.CLIENT:
            self._check_known(name)
        elif not self._may_reply(message):
            raise LocalProtocolError(f"{name} can't be sent: no client asked for {message!r:.60}")

    def _check_known(self, name: str) -> None:
        if name in (self._row.messages if self._row else PROBES):
            return
        who = f"a board of {self._row.name} doesn't know it" if self._row else "the board's generation isn't known yet"
        raise LocalProtocolError(f"{name} can't be sent: {who}")

    def _may_reply(self, message: FromBoard | FromClient) -> bool:
        if isinstance(message, GoSend):
            return self._go_left > 0 and not self._awaits_binary
        pushed = isinstance(message, Document) and message.root == "profile" and self._row and self._row.pushes
        request = _request_of(message)
        return bool(request is None or pushed or self._due[request])

    def _check_size(self, message: FromClient | FromBoard) -> None:
        match message:
            case SendDescriptions(xml) | Optimize(xml):
                size, most = len(xml), self.limits.descriptions
            case Binary(_, image):
                size, most = len(image), self.limits.image
            case Document(_, xml):
                size, most = len(xml) + 1, self.limits.document
            case _:
                return
        if size > most:
            raise LocalProtocolError(f"{name_of_type(type(message))}: {size} bytes, expected at most {most}")


def _request_of(message: Message) -> type | None:
    return _ANSWERED.get(message.root if isinstance(message, Document) else type(message))
