"""What is behind the wire of a board in software: the part that runs tasks.

`hil.board.dom0` serves the protocol in front of it. An engine has a clock of its own, in integer ns; whoever drives it
lets that clock follow the wall, or run ahead (`hil.board.station`). No engine knows sockets or threads.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from hil.messages import Clear, Optimize, SendDescriptions, Start, Stop
from taskgen.dialect import BoardRow, board
from taskgen.dialect.boards import no_such

#: What dom0 hands to the taskloader, and waits for.
Command: TypeAlias = SendDescriptions | Clear | Start | Stop | Optimize


class Engine(Protocol):
    """A board without its wire.

    A board that hangs doesn't say so: it stays `busy` with the command that it hangs in, for ever.
    """

    row: BoardRow  #: its generation
    on_push: Callable[[bytes], None]  #: hears each profile document that the board pushes, without its NUL

    @property
    def busy(self) -> bool:
        """Whether a command holds the command loop, or the board boots."""

    @property
    def now_ns(self) -> int:
        """The engine's clock."""

    @property
    def next_ns(self) -> int | None:
        """When something is due next, on that clock; None: nothing is, time may stand still."""

    @property
    def settled(self) -> bool:
        """Whether nothing is to come that a client could notice unless it does something; timers may tick on.

        Also when more events wait in the log than a client would take: first it has to fetch them.

        Not as long as a command holds the loop, unless it does so for ever.
        """

    def advance(self, until_ns: int, steps: int) -> int:
        """Let what is due up to and with `until_ns` happen; return how many steps that took.

        It returns early after `steps`, a push, the end of a job or its removal, and when a command was served: others
        may have their turn then.
        """

    def skip(self, to_ns: int) -> None:
        """Let time pass in which nothing is due; no effect if that time has passed."""

    def command(self, command: Command) -> None:
        """Begin a command; the engine is `busy` until it is served."""

    def store(self, name: str, size: int) -> bool:
        """Keep a binary of `size` bytes; False: dom0 dies of it."""

    def profile(self) -> bytes | None:
        """Return and clear the event log as a document, without its NUL; None: the board doesn't answer."""

    def live(self) -> bytes | None:
        """Return the list of threads as a document, without its NUL; None: the board doesn't answer."""

    def hang(self) -> None:
        """Let the taskloader die: it logs nothing, and never returns from a command."""

    def reboot(self) -> None:
        """Reset; the engine is `busy` until the board listens again, with an empty memory."""

    def switch(self, name: str, on: bool) -> None:
        """Turn a behaviour on or off that was only inferred, such as `hang_on_kill`.

        Raises:
            UsageError: it has none of that name.
        """


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What an engine is made of."""

    generation: str = "G4"
    workload: str | None = None  #: a workload table: its name, or a TOML file; None: the PandaBoard's
    seed: int = 0  #: of execution times that are drawn
    cores: int | None = None  #: None: two, as all boards had
    uptime_ms: int = 0  #: what the board's clock shows in the beginning
    destroy_at_exit: bool = True  #: False: the later build of G1
    policy: str | None = None  #: orders the jobs instead of the generation's own kernel; None: nobody does

    @property
    def row(self) -> BoardRow:
        """The row of the generation.

        Raises:
            UsageError: there is no such generation, or no such build of it.
        """
        return board(self.generation, destroy_at_exit=self.destroy_at_exit)


#: Makes engines that share what they can; checks the options once.
EngineFactory: TypeAlias = Callable[[], Engine]

#: By name: where to find the function from options to a factory.
ENGINES: Final[Mapping[str, str]] = {"sim": "hil.board.simulated:factory"}


def engine_factory(name: str, options: EngineOptions) -> EngineFactory:
    """Return what makes engines of a kind.

    Raises:
        UsageError: there is no such engine, or the options are wrong.
    """
    if name not in ENGINES:
        raise no_such("engine", name, ENGINES)
    module, _, attribute = ENGINES[name].partition(":")
    make: Callable[[EngineOptions], EngineFactory] = getattr(importlib.import_module(module), attribute)
    return make(options)
