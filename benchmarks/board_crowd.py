"""Many boards at once: the throughput of one client with 200 boards, and what an idle board costs in memory."""

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import hil.board
from hil import TaskloaderSession
from hil.board import Boards
from taskgen import TaskSet
from taskgen.distributor import Distributor

FEW, MANY = 8, 200
_TICKS = os.sysconf("SC_CLK_TCK")


class Sample(NamedTuple):
    """One batch: sets, and seconds of the wall, of the client's CPU and of the boards'."""

    sets: int
    wall_s: float
    client_s: float
    boards_s: float


def example(tasks: int) -> TaskSet:
    """Return a description whose variants are sets of so many tasks with one short job each."""
    return TaskSet(
        {
            "id": number, "pkg": "hey", "priority": range(10 + number, 128), "period": [1000, 2000, 4000],
            "executiontime": 10, "numberofjobs": 1, "quota": "1M",
        }
        for number in range(tasks)
    )  # fmt: skip


@contextmanager
def _at_work(boards: Boards) -> Iterator[Distributor]:
    """Yield a Distributor whose sessions are open: each board has run two sets."""
    with Distributor(boards.targets) as distributor:
        distributor.start(example(1), limit=2 * len(boards.targets))
        yield distributor


def _batch(distributor: Distributor, boards: Boards, sets: int, tasks: int) -> Sample:
    wall, client, served = time.perf_counter(), time.process_time(), cpu_s(boards.pid)
    distributor.start(example(tasks), limit=sets)
    sample = Sample(sets, time.perf_counter() - wall, time.process_time() - client, cpu_s(boards.pid) - served)
    if distributor.progress.finished != sets:
        raise RuntimeError(f"{distributor.progress}, expected {sets} finished variants")
    return sample


def parallel(rounds: int, sets: int, *, generation: str = "G4", tasks: int = 3) -> dict[int, list[Sample]]:
    """Return the samples of both crowds, taken in turn, by number of boards."""
    with ExitStack() as stack:
        crowds = {}
        for count in (FEW, MANY):
            boards = stack.enter_context(hil.board.serve(generation=generation, count=count))
            crowds[count] = (stack.enter_context(_at_work(boards)), boards)
        samples: dict[int, list[Sample]] = {count: [] for count in crowds}
        for _ in range(rounds):
            for count, (distributor, boards) in crowds.items():
                samples[count].append(_batch(distributor, boards, sets, tasks))
        return samples


def memory(rounds: int, *, generation: str = "G4", tasks: int = 3) -> dict[str, list[dict[str, Any]]]:
    """Return the resident KiB of the boards' process with one board and with many, fresh and after a run of each."""
    taskset = example(tasks).variants()[0]
    samples: dict[str, list[dict[str, Any]]] = {"fresh": [], "after a run each": []}
    for _ in range(rounds):
        fresh, used = {}, {}
        for count in (1, MANY):
            with hil.board.serve(generation=generation, count=count) as boards:
                fresh[count] = resident_kib(boards.pid)
                for target in boards.targets:
                    with TaskloaderSession.open(target) as session:
                        deque(session.run(taskset), maxlen=0)
                used[count] = resident_kib(boards.pid)
        for name, kib in zip(samples, (fresh, used), strict=True):
            samples[name].append({"kib": kib, "per_board_kib": (kib[MANY] - kib[1]) / (MANY - 1)})
    return samples


def resident_kib(pid: int) -> int:
    """Return how much of a process is in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} has no memory")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
