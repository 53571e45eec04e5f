"""How fast task-sets go through boards in software at `--speed max`: `python -m benchmarks.boards throughput`.

`throughput`: sets per second through one board by the sides `session`, `bare` and `polling` (see
`benchmarks.board_clients`), each with a board of its own in the boards' process, in interleaved rounds. Before that,
the bytes that `session` and `bare` write for a set are compared. On G4 AVAILABLE tells when CLEAR is over; on G3 only
time does, and both keep the same quiet time, so the ratio says little there; `polling` never waits, and may take an old
set's events for the new one's. Then a whole batch, from the making of the tool to its end: our Distributor against the
polling tool.

`parallel`: sets per second of one Distributor over 200 boards against one over 8, each crowd in a process of its own.

`memory`: what a board more costs the boards' process, before anybody connects and after runs.

Wall-clock time counts: two processes work for each figure. `--json` prints the raw samples instead of the tables.
"""

import argparse
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import hil.board
from benchmarks.board_clients import QUIET_MS, Bare, Batch, PollingTool, described
from benchmarks.board_crowd import FEW, MANY, example, memory, parallel
from hil import TaskloaderSession
from hil.frames import encode
from hil.wirelog import read as read_wire_log
from taskgen.dialect import BOARDS, BoardRow
from taskgen.distributor import Distributor
from taskgen.session import Target

#: Against `bare` on G4; of 200 boards against 8; KiB of an idle board at most.
TARGETS: Final = {"throughput": 0.5, "parallel": 0.7, "memory": 200}
MIN_ROUNDS: Final = 9
#: Connections that a board accepts until it is rebooted; each round takes one for each tool.
MOST_ROUNDS: Final = 100


class Case(NamedTuple):
    """What is measured of a generation."""

    tasks: int  #: of a set; admission of G3 would refuse the second one
    sets: int  #: per sample


CASES: Final = {"G4": Case(3, 100), "G3b": Case(1, 2), "G3a": Case(1, 2)}


class Sample(NamedTuple):
    """Sets through one board; for a tool the time at work, and the whole."""

    sets: int
    wall_s: float
    cpu_s: float  #: of the client
    whole_s: float | None = None


class Bench:
    """All sides for one generation."""

    def __init__(self, generation: str, case: Case, stack: ExitStack) -> None:
        self.row: BoardRow = BOARDS[generation]
        self.tasks = case.tasks
        variants = example(case.tasks).variants()
        self.sets = [variants[index] for index in range(case.sets)]
        self._bytes = [encode(described(taskset, self.row)) for taskset in self.sets]
        boards = stack.enter_context(hil.board.serve(generation=generation, count=4))
        self._targets = [self._patient(target) for target in boards.targets]
        self._session = stack.enter_context(closing(TaskloaderSession.open(self._targets[0])))
        self._bare = stack.enter_context(closing(Bare(boards.addresses[1], self.row)))
        self._tool_address = boards.addresses[2]
        self._bare.clear()
        self.sides: dict[str, Callable[[], Batch | None]] = {
            "session": self.run_session,
            "bare": self.run_bare,
            "polling": self.run_polling,
        }
        if "AVAILABLE" in self.row.messages:
            self.sides["distributor"] = self.run_distributor

    @staticmethod
    def _patient(target: Target, **more: object) -> Target:
        return Target(target.session, target.address, {**target.options, "quiet_ms": QUIET_MS, **more})

    def check_agreement(self) -> None:
        """Compare what `session` and `bare` write for the same set, else exit."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "wire"
            with TaskloaderSession.open(self._patient(self._targets[3], wire_log=log)) as session:
                deque(session.run(self.sets[0]), maxlen=0)  # after the CLEAR of a new connection
                before = sum(entry.sent is not None for entry in read_wire_log(log))
                deque(session.run(self.sets[0]), maxlen=0)
            ours = b"".join([e.sent for e in read_wire_log(log) if e.sent is not None][before:])
        self._bare.sent.clear()
        self._bare.run(self._bytes[0], self.tasks)
        if ours != self._bare.sent:
            sys.exit(f"error: {self.row.name}: the session writes {ours!r}, the bare client {bytes(self._bare.sent)!r}")

    def run_session(self) -> None:
        for taskset in self.sets:
            deque(self._session.run(taskset), maxlen=0)

    def run_bare(self) -> None:
        for data in self._bytes:
            self._bare.run(data, self.tasks)

    def run_polling(self) -> Batch:
        return PollingTool([self._tool_address], self.row).run(self.sets)

    def run_distributor(self) -> Batch:
        made_s = time.perf_counter()
        with Distributor(self._targets[3]) as distributor:
            began_s = time.perf_counter()
            distributor.start(self.sets)
            ended_s = time.perf_counter()
        return Batch(ended_s - began_s, time.perf_counter() - made_s)

    def sample(self, side: str) -> Sample:
        """Time one side."""
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        batch = self.sides[side]()
        wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        if batch is None:
            return Sample(len(self.sets), wall_s, cpu_s)
        return Sample(len(self.sets), batch.busy_s, cpu_s, batch.whole_s)


def measure(generations: Sequence[str], rounds: int) -> dict[str, dict[str, list[Sample]]]:
    """Let all sides work in turn, round by round; return the samples by generation and side."""
    samples: dict[str, dict[str, list[Sample]]] = {}
    for generation in generations:
        with ExitStack() as stack:
            bench = Bench(generation, CASES[generation], stack)
            bench.check_agreement()
            sides = samples[generation] = {side: [] for side in bench.sides}
            for side in sides:
                bench.sample(side)  # warm
            for _ in range(rounds):
                for side, values in sides.items():
                    values.append(bench.sample(side))
    return samples


def named(samples: Any) -> Any:
    """Return samples with the names of their fields."""
    if isinstance(samples, dict):
        return {key: named(value) for key, value in samples.items()}
    if hasattr(samples, "_asdict"):
        return samples._asdict()
    return [named(each) for each in samples] if isinstance(samples, list) else samples


def ratios(one: list[Sample], other: list[Sample]) -> list[float]:
    """Return how many times the sets per second, per round."""
    return [a.sets / a.wall_s * b.wall_s / b.sets for a, b in zip(one, other, strict=True)]


def spread(values: list[float]) -> str:
    """Return median and extremes."""
    return f"{statistics.median(values):9.2f}{f'{min(values):.2f}..{max(values):.2f}':>16}"


def verdict(reached: bool, target: float) -> str:
    """Return what to print beside a figure that has a target."""
    return f"  target {target:g}: {'reached' if reached else 'MISSED'}"


def show_throughput(samples: dict[str, dict[str, list[Sample]]]) -> None:
    """Print medians of rates, and of the ratios of each round."""
    print(f"{'board':7}{'side':12}{'sets/s':>10}{'client CPU ms':>15}{'session is':>14}{'min..max':>16}")
    for generation, sides in samples.items():
        for side, values in sides.items():
            rate = statistics.median(each.sets / each.wall_s for each in values)
            cpu_ms = statistics.median(each.cpu_s / each.sets for each in values) * 1000
            times = ratios(sides["session"], values)
            gauged = side == "bare" and generation == "G4"
            ratio = TARGETS["throughput"]
            said = verdict(statistics.median(times) >= ratio, ratio) if gauged else ""
            print(f"{generation:7}{side:12}{rate:10,.1f}{cpu_ms:15.2f}{spread(times):>25} x{said}")
    whole = [(generation, sides) for generation, sides in samples.items() if "distributor" in sides]
    for generation, sides in whole:
        seconds = {side: [each.whole_s or 0.0 for each in sides[side]] for side in ("distributor", "polling")}
        times = [theirs / ours for ours, theirs in zip(seconds["distributor"], seconds["polling"], strict=True)]
        medians = ", ".join(f"{side} {statistics.median(values):.2f} s" for side, values in seconds.items())
        sets = sides["distributor"][0].sets
        print(f"\n{generation}: a batch of {sets} sets as a whole: {medians}; ratio {spread(times).strip()}")


def show_parallel(samples: Any) -> None:
    """Print rates and CPU of both crowds."""
    print(f"{'boards':>6}{'sets/s':>10}{'client CPU ms':>15}{'boards CPU ms':>15}   per set")
    for count, values in samples.items():
        rate = statistics.median(each.sets / each.wall_s for each in values)
        client, served = (statistics.median(each[index] / each.sets for each in values) * 1000 for index in (2, 3))
        print(f"{count:6}{rate:10,.1f}{client:15.2f}{served:15.2f}")
    times, ratio = ratios(samples[MANY], samples[FEW]), TARGETS["parallel"]
    print(f"{MANY} boards against {FEW}: {spread(times).strip()}{verdict(statistics.median(times) >= ratio, ratio)}")


def show_memory(samples: dict[str, list[dict[str, Any]]]) -> None:
    """Print what a board costs."""
    print(f"{'KiB':20}{'1 board':>10}{f'{MANY} boards':>14}{'per board':>12}")
    for name, values in samples.items():
        one, many = (statistics.median(each["kib"][count] for each in values) for count in (1, MANY))
        each = statistics.median(each["per_board_kib"] for each in values)
        print(f"{name:20}{one:10,.0f}{many:14,.0f}{each:12.1f}{verdict(each < TARGETS['memory'], TARGETS['memory'])}")


def main() -> None:
    """Run one of the measurements as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boards", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=TARGETS)
    parser.add_argument("--rounds", type=int, default=MIN_ROUNDS, help=f"interleaved rounds ({MIN_ROUNDS})")
    parser.add_argument("--sets", type=int, default=2000, help="parallel: sets per sample (2000)")
    parser.add_argument(
        "--generation", action="append", choices=CASES, help="throughput: of this one only; repeatable (all)"
    )
    parser.add_argument("--json", action="store_true", help="print the raw samples as JSON instead of the tables")
    options = parser.parse_args()
    if not MIN_ROUNDS <= options.rounds <= MOST_ROUNDS:
        parser.error(f"--rounds {options.rounds}: expected {MIN_ROUNDS}..{MOST_ROUNDS}")
    measured: Any
    show: Callable[[Any], None]
    if options.what == "throughput":
        measured, show = measure(options.generation or list(CASES), options.rounds), show_throughput
    elif options.what == "parallel":
        measured, show = parallel(options.rounds, options.sets), show_parallel
    else:
        measured, show = memory(options.rounds), show_memory
    if options.json:
        machine = {"python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({**machine, options.what: named(measured)}, indent=1))
    else:
        show(measured)


if __name__ == "__main__":
    main()
