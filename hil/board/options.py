"""What a user may say about boards in software, checked in one place for the command line, the API and the process."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from hil.board.engine import EngineFactory, EngineOptions, engine_factory
from hil.board.hooks import faults_by_board, hook_of
from hil.board.listening import LOOPBACK, listeners, places
from hil.board.pace import MAX, speed_of
from hil.board.server import Server
from taskgen.dialect import BoardRow, board
from taskgen.errors import UsageError

#: More boards don't fit into one process: each needs sockets.
MOST: Final = 4096
_WHOLE: Final = ("count", "port", "seed", "cores", "uptime_ms")


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """Which boards to serve, and where.

    Args:
        generation: G1, G1o, G1p, G3a, G3b or G4.
        count: how many.
        speed: a factor of the wall clock, or `max`: as fast as possible. There, time stands still when nothing is due
            that a client could notice, and when some 10 000 events wait in the log that nobody has fetched.
        listen: an IP address, or a range of them, one for each board.
        port: of the first board; the next ones follow, unless each has an address of its own. 0: any.
        faults: what goes wrong, as texts; `3:latency:50` is for board 3 alone.
        workload: a workload table by name, or a TOML file; None: the PandaBoard's.
        seed: of faults, and of execution times that are drawn.
        cores: of each board; None: two.
        engine: what computes the tasks' life.
        uptime_ms: what the boards' clocks show in the beginning.
        destroy_at_exit: False: the later build of G1.
        policy: a scheduler that orders the jobs in the place of the boards' kernel, by name: `path/file.py:Class`,
            `package.module:Class`, or a ready-made one; None: the generation's own rules.

    Raises:
        UsageError: a value is wrong; names it.
    """

    generation: str = "G4"
    count: int = 1
    speed: str | float = MAX
    listen: str = LOOPBACK
    port: int = 0
    faults: tuple[str, ...] = ()
    workload: str | None = None
    seed: int = 0
    cores: int | None = None
    engine: str = "sim"
    uptime_ms: int = 0
    destroy_at_exit: bool = True
    policy: str | None = None

    def __post_init__(self) -> None:
        for name in _WHOLE:
            value = getattr(self, name)
            if value is not None and type(value) is not int:
                raise UsageError(f"{name}: {value!r:.40} is no whole number")
        if not 1 <= self.count <= MOST:
            raise UsageError(f"count: {self.count} is out of range, expected 1..{MOST} boards")
        if isinstance(self.faults, str):
            raise UsageError(f"faults: {self.faults!r:.60} is one text, expected a list of them")
        object.__setattr__(self, "faults", tuple(map(str, self.faults)))
        object.__setattr__(self, "workload", None if self.workload is None else str(self.workload))
        if self.policy is not None and not isinstance(self.policy, str):
            raise UsageError(
                f"policy: {self.policy!r:.60} is no name",
                hint="the boards run in a process of their own: say where the class is, path/file.py:Class",
            )
        speed_of(self.speed)
        places(self.listen, self.port, self.count)
        faults_by_board(self.faults, self.count, self.row)

    @property
    def row(self) -> BoardRow:
        """The row of the generation."""
        return board(self.generation, destroy_at_exit=self.destroy_at_exit)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def to_json(self) -> str:
        """Return this as one line."""
        return json.dumps(asdict(self) | {"speed": str(self.speed)})

    def factory(self) -> EngineFactory:
        """Return what makes the boards' engines."""
        options = EngineOptions(
            self.generation, self.workload, self.seed, self.cores, self.uptime_ms, self.destroy_at_exit, self.policy
        )
        return engine_factory(self.engine, options)

    def server(self) -> Server:
        """Open the sockets and return the server.

        Raises:
            UsageError: a port is in use, an address isn't this machine's, or an option is wrong.
        """
        factory = self.factory()
        plans = faults_by_board(self.faults, self.count)
        hooks = [hook_of(plan, self.seed, number) for number, plan in enumerate(plans)]
        opened = listeners(places(self.listen, self.port, self.count))
        return Server(opened, factory, speed=speed_of(self.speed), hooks=hooks)
