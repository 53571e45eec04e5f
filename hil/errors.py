"""What goes wrong on the wire: our mistake (`LocalProtocolError`) or the peer's (`RemoteProtocolError`)."""

from taskgen.errors import TargetError

#: How many bytes of the offending frame an error shows.
SHOWN = 32


class ProtocolError(TargetError):
    """The taskloader protocol was broken; always one of the two classes below."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        if type(self) is ProtocolError:
            raise TypeError("ProtocolError is abstract: raise LocalProtocolError or RemoteProtocolError")
        super().__init__(message, hint=hint)


class LocalProtocolError(ProtocolError):
    """We asked for what the wire can't carry, the state forbids, or the board's generation doesn't know.

    Nothing was sent, and the state is what it was.
    """


class RemoteProtocolError(ProtocolError):
    """The peer sent what no board and no client sends: drop the connection.

    Attributes:
        offset: where in the stream of received bytes the offending frame begins.
        state: the name of the state that the connection was in.
        data: at most the first 32 bytes of that frame.
        messages: what was complete before it, in the very call that raised: nothing that arrived is lost.
    """

    def __init__(
        self,
        reason: str,
        *,
        offset: int = 0,
        state: str = "",
        data: bytes = b"",
        messages: tuple[object, ...] = (),
        hint: str = "drop the connection: the stream can't be brought back into step",
    ) -> None:
        self.offset = offset
        self.state = state
        self.data = data[:SHOWN]
        self.messages = messages
        where = f" (byte {offset}, state {state}, bytes {self.data.hex(' ') or 'none'})" if state else ""
        super().__init__(f"{reason}{where}", hint=hint)
