"""Boards in software for programs: `serve` starts them in a process of their own, and ends it.

A process of their own, so that what they compute never slows down the client that is under test: its time-outs would
lie. `Child` is that process for whoever has an own module to run in one.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import hil
from hil.board.options import BoardOptions
from taskgen.addresses import Address
from taskgen.errors import TargetError, UsageError
from taskgen.session import Target

#: How long starting may take, and answering an order, and ending without force.
START_S: Final = 60.0
ANSWER_S: Final = 20.0
END_S: Final = 5.0


class Child:
    """A Python process that runs `python -m MODULE ARGUMENT`, answers lines with lines of JSON, and dies with us.

    Attributes:
        pid: of the process.
        ready: what it said first.

    Raises:
        UsageError: it says that the argument is wrong.
        TargetError: it didn't start.
    """

    def __init__(self, module: str, argument: str) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-P", "-m", module, argument],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for us
        )
        self.pid = self._process.pid
        self._rest = b""
        self._finalizer = weakref.finalize(self, _end, self._process)
        try:
            self.ready = self._answer(START_S)
        except BaseException:
            self.close()
            raise

    def ask(self, line: str) -> Mapping[str, Any]:
        """Send one line; return the answer.

        Raises:
            UsageError: the answer is an error.
            TargetError: the process has ended, or doesn't answer.
        """
        if "\n" in line:
            raise UsageError(f"order {line!r:.60} has more than one line")
        with self._lock:
            stdin = self._process.stdin
            if stdin is None or stdin.closed:
                raise TargetError("the boards are closed")
            try:
                stdin.write(line.encode() + b"\n")
            except OSError:
                raise self._gone() from None
            return self._answer(ANSWER_S)

    def close(self) -> None:
        """End the process, by force after 5 s."""
        self._finalizer()

    def _answer(self, timeout_s: float) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = json.loads(self._read_line(timeout_s))
        if "error" in answer:
            raise UsageError(answer["error"], hint=answer.get("hint", ""))
        return answer

    def _read_line(self, timeout_s: float) -> bytes:
        deadline = time.monotonic() + timeout_s
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  # asked for
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(deadline - time.monotonic(), 0)):
                    raise TargetError(f"the boards' process didn't answer within {timeout_s} s")
                data = os.read(stdout.fileno(), 1 << 16)
                if not data:
                    raise self._gone()
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _gone(self) -> TargetError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        return TargetError(f"the boards' process has ended with exit code {self._process.returncode}")


class Boards:
    """Boards that are being served; a context manager that ends them.

    Attributes:
        options: what was asked for.
        pid: of their process.
        addresses: where each board listens.
        targets: each as the target of a Distributor, with its generation, and the programs that come with it.
    """

    def __init__(self, options: BoardOptions) -> None:
        self.options = options
        self._child = Child("hil.board", options.to_json())
        self.pid = self._child.pid
        self.addresses = tuple(Address(host, port) for host, port in self._child.ready["addresses"])
        settings = {"dialect": options.generation, "binaries": "none"}
        self.targets = tuple(Target("taskloader", str(address), settings) for address in self.addresses)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{len(self.addresses)} boards of generation {self.options.generation} from {self.addresses[0]} on>"

    def inject(self, board: int, fault: object) -> None:
        """Add a fault to those of a board, as text or as a `hil.board.faults.Fault`.

        Raises:
            UsageError: there is no such board or fault.
            TargetError: the process has ended.
        """
        self._child.ask(f"inject {board} {fault}")

    def lift(self, board: int) -> None:
        """Take all faults from a board; what they have done stays done."""
        self._child.ask(f"lift {board}")

    def freeze(self, board: int) -> None:
        """Let nothing happen on a board any more; its connections stay, and new ones are never served."""
        self._child.ask(f"freeze {board}")

    def reboot(self, board: int) -> None:
        """Cut the power of a board for a moment: for 20 s of its time it refuses, then it knows nothing any more."""
        self._child.ask(f"reboot {board}")

    def close(self) -> None:
        """End the boards; bounded, and again without effect."""
        self._child.close()


def serve(
    *,
    generation: str = "G4",
    count: int = 1,
    speed: str | float = "max",
    listen: str = "127.0.0.1",
    port: int = 0,
    faults: Sequence[object] = (),
    workload: str | Path | None = None,
    seed: int = 0,
    cores: int | None = None,
    engine: str = "sim",
    uptime_ms: int = 0,
    destroy_at_exit: bool = True,
    policy: str | None = None,
) -> Boards:
    """Serve boards in a process of their own; the options are those of `hil.board.options.BoardOptions`.

        with hil.board.serve(generation="G3b", count=20) as boards:
            distributor = Distributor(boards.targets)

    Raises:
        UsageError: an option is wrong, or a port is in use.
        TargetError: the process doesn't start.
    """
    return Boards(
        BoardOptions(
            generation=generation,
            count=count,
            speed=speed,
            listen=listen,
            port=port,
            faults=tuple(map(str, [faults] if isinstance(faults, str) else faults)),
            workload=None if workload is None else str(workload),
            seed=seed,
            cores=cores,
            engine=engine,
            uptime_ms=uptime_ms,
            destroy_at_exit=destroy_at_exit,
            policy=policy,
        )
    )


def _environment() -> dict[str, str]:
    """Let the child find this very package where it isn't installed: in a checkout."""
    root = Path(hil.__path__[0]).parent
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if root.name not in {"site-packages", "dist-packages"} and str(root) not in paths:
        paths.append(str(root))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)} if paths else dict(os.environ)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process: ask it by closing its input, then use force."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
