"""Who is there? A board that answers a ping: that costs it neither a socket nor its only serving slot.

The program `ping` is used, as it may send ICMP wherever it is installed; libraries (icmplib) need root, or a sysctl
that lets this user open ICMP sockets.
"""

import ipaddress
import sys
from typing import Self

from hil import program
from hil.session import TaskloaderSession
from taskgen import addresses
from taskgen.boards import BoardTarget
from taskgen.errors import ConnectError, UsageError
from taskgen.session import Target

#: How long `ping` may take: it waits a second for the answer, and may look a name up before.
PATIENCE_S = 5.0

#: One request, one second, by system and version of IP; everything else is as Linux.
_COMMANDS = {
    "linux": ("ping", "-q", "-c", "1", "-W", "1"),
    "darwin": ("ping", "-q", "-c", "1", "-t", "1"),
    "darwin IPv6": ("ping6", "-q", "-c", "1"),
    "win32": ("ping", "-n", "1", "-w", "1000"),
}


class PingSession(TaskloaderSession):
    """A `TaskloaderSession` whose boards are there when they answer a ping."""

    @classmethod
    def probe(cls, target: Target) -> bool:
        """Tell whether the board answers a ping; it isn't connected to.

        Raises:
            UsageError: there is no program `ping`.
        """
        try:
            host = _host(target)
        except UsageError:
            return False  # what is no address is nowhere
        return not unanswered(host)

    @classmethod
    def open(cls, target: Target) -> Self:
        """Connect to a board that answers a ping; one that discovery is connected to isn't asked.

        Raises:
            ConnectError: it answers no ping, or nobody accepts.
            UsageError: the target is no address, there is no program `ping`, or an option is wrong.
        """
        connected = isinstance(target, BoardTarget) and target.connection is not None and not target.connection.closed
        if not connected and (reason := unanswered(_host(target))):
            raise ConnectError(
                f"{target}: answers no ping: {reason}",
                hint="is it switched on? boards without ICMP have the session taskloader",
            )
        return super().open(target)


def unanswered(host: str) -> str:
    """Return why a host doesn't answer a ping, or nothing if it does.

    Raises:
        UsageError: there is no program `ping`.
    """
    command = _COMMANDS.get(_system(host), _COMMANDS["linux"])
    try:
        ended = program.run([*command, host], PATIENCE_S)
    except OSError as error:
        raise UsageError(
            f"session ping: the program {command[0]} can't be started: {error.strerror}",
            hint="install it (Debian: apt install iputils-ping), or use the session taskloader",
        ) from None
    if ended.code == 0:
        return ""
    return "no reply" if ended.code in {1, None} else ended.said() or f"exit code {ended.code}"


def _system(host: str) -> str:
    try:
        six = ipaddress.ip_address(host).version == 6
    except ValueError:
        six = False
    return f"{sys.platform} IPv6" if six and sys.platform == "darwin" else sys.platform


def _host(target: Target) -> str:
    """Return the host of a target: an address or a name, which never begins like an option."""
    return addresses.split(target.address).host
