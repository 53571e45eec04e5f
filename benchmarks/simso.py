"""Jobs per second of the simulator against SimSo, a widely used simulator in Python: 10 periodic tasks at U = 0.7.

SimSo 0.8.5 pins an old SimPy, so it gets an environment of its own under `benchmarks/.environments` and is asked as a
process. Each round draws another task-set (log-uniform periods, UUniFast utilisations, C to the microsecond) and lets
all sides simulate it in turn over the same horizon. Before anything is timed, the finish of each job must agree.

The sides: `simso`; `events`, the full event trace, each event consumed; `records`, a record per job; `jobs`, the same
with each record made an object and sorted, as somebody does who reads them.

Times are those of the simulation alone: no imports, no task-sets, no models. CPU time counts, because machines are
shared; wall-clock time is shown beside it. `--json` prints the raw samples instead of the table.
"""

import argparse
import gc
import json
import math
import platform
import random
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sim import SimSession
from taskgen import EventType, TaskSet

SIMSO = "simso==0.8.5"
ENVIRONMENT = Path(__file__).parent / ".environments" / SIMSO.replace("==", "-")
POLICIES = {"fp": "rm", "edf": "edf"}
TARGETS = {"events": 25, "records": 60}  #: times SimSo's jobs per second
TASKS, UTILIZATION, PERIODS_MS = 10, 0.7, (10, 1000)
US_PER_MS = 1000
NS_PER_US = 1000
MIN_ROUNDS = 9
REPEATS = 8  #: simulations per sample on our side: one alone takes some ten milliseconds, too little to time

#: One task: C and T in microseconds.
Pair = tuple[int, int]


class Sample(NamedTuple):
    """One timed simulation."""

    jobs: int
    cpu_s: float
    wall_s: float


def draw(seed: int) -> list[Pair]:
    """Draw a task-set: log-uniform periods, UUniFast (Bini & Buttazzo, Real-Time Systems 30, 2005)."""
    rng = random.Random(seed)
    low, high = map(math.log, PERIODS_MS)
    pairs, left = [], UTILIZATION
    for place in range(TASKS):
        after = left * rng.random() ** (1 / (TASKS - 1 - place)) if place < TASKS - 1 else 0.0
        period = round(math.exp(rng.uniform(low, high)) * US_PER_MS)
        pairs.append((max(1, round((left - after) * period)), period))
        left = after
    return pairs


def describe(pairs: list[Pair]) -> TaskSet:
    """Return the same as a TaskSet, in milliseconds."""
    return TaskSet([{"executiontime": wcet / US_PER_MS, "period": period / US_PER_MS} for wcet, period in pairs])


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Time a block: the list holds its CPU and wall-clock seconds afterwards."""
    gc.collect()
    times: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield times
    times += [time.process_time() - cpu, time.perf_counter() - wall]


def with_events(pairs: list[Pair], policy: str, horizon_us: int) -> Sample:
    """Simulate with the full event trace, each event consumed."""
    session, taskset, horizon_ms = SimSession(policy=POLICIES[policy]), describe(pairs), horizon_us / US_PER_MS
    with stopwatch() as times:
        for _ in range(REPEATS):
            deque(session.run(taskset, horizon_ms=horizon_ms), maxlen=0)
    jobs = sum(event.type is EventType.EXIT for event in session.run(taskset, horizon_ms=horizon_ms))
    return Sample(jobs * REPEATS, *times)


def with_records(pairs: list[Pair], policy: str, horizon_us: int) -> Sample:
    """Simulate with job records only."""
    session, taskset, horizon_ms = SimSession(policy=POLICIES[policy]), describe(pairs), horizon_us / US_PER_MS
    with stopwatch() as times:
        for _ in range(REPEATS):
            trace = session.jobs(taskset, horizon_ms=horizon_ms)
    return Sample(REPEATS * sum(job.outcome is EventType.EXIT for job in trace.jobs), *times)


def with_jobs(pairs: list[Pair], policy: str, horizon_us: int) -> Sample:
    """Simulate with job records only, and make a sorted tuple of `Job` objects of them."""
    session, taskset, horizon_ms = SimSession(policy=POLICIES[policy]), describe(pairs), horizon_us / US_PER_MS
    with stopwatch() as times:
        for _ in range(REPEATS):
            jobs = session.jobs(taskset, horizon_ms=horizon_ms).jobs
    return Sample(REPEATS * sum(job.outcome is EventType.EXIT for job in jobs), *times)


class Peer:
    """SimSo in a process of its own."""

    def __init__(self, python: Path) -> None:
        script = Path(__file__).with_name("simso_peer.py")
        # -P: the folder of the script holds a simso.py, this one, which would hide SimSo.
        self._process = subprocess.Popen(
            [python, "-P", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, pairs: list[Pair], policy: str, horizon_us: int, *, jobs: bool = False) -> dict[str, Any]:
        """Let SimSo simulate a set; see `simso_peer` for the answer."""
        request = {"policy": policy, "tasks": pairs, "horizon": horizon_us, "jobs": jobs}
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise RuntimeError("the peer has no pipes")
        print(json.dumps(request), file=pipes[0], flush=True)
        line = pipes[1].readline()
        if not line:
            sys.exit(f"error: SimSo ended with code {self._process.wait()}, its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __call__(self, pairs: list[Pair], policy: str, horizon_us: int) -> Sample:
        answer = self.ask(pairs, policy, horizon_us)
        return Sample(answer["jobs"], answer["cpu_s"], answer["wall_s"])

    def close(self) -> None:
        """Hang up and wait for the end of the process."""
        self._process.communicate()


def environment() -> Path:
    """Return the Python of SimSo's environment; make the environment if there is none."""
    if sys.version_info >= (3, 12):
        sys.exit(
            f"error: {SIMSO} needs Python < 3.12 (it imports `imp`), this is {platform.python_version()}\n"
            "hint: run this benchmark with python3.11"
        )
    python = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / "complete"
    if not done.exists():
        print(f"making an environment for {SIMSO} in {ENVIRONMENT} ...", file=sys.stderr)
        # This interpreter's own environment may have no pip: that of the Python below it does.
        base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        try:
            subprocess.run([base, "-m", "venv", "--without-pip", "--clear", ENVIRONMENT], check=True)
            subprocess.run([base, "-m", "pip", "--python", python, "install", "--quiet", SIMSO], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"error: no environment for {SIMSO}: {error}\nhint: {base} needs venv, pip and PyPI")
        done.touch()
    return python


def check_agreement(peer: Peer, pairs: list[Pair], policy: str, horizon_us: int) -> int:
    """Compare the finish of each job on all sides, else exit; return the number of jobs compared."""
    session, taskset, horizon_ms = SimSession(policy=POLICIES[policy]), describe(pairs), horizon_us / US_PER_MS
    events = session.run(taskset, horizon_ms=horizon_ms)
    jobs = session.jobs(taskset, horizon_ms=horizon_ms).jobs
    theirs = peer.ask(pairs, policy, horizon_us, jobs=True)["finished"]
    sides: dict[str, dict[Any, float]] = {
        "SimSo's": {(task, job): finish for task, job, finish in theirs},
        "ours": {(e.task_id, e.job): e.time_ns / NS_PER_US for e in events if e.type is EventType.EXIT},
        "our record": {
            (j.task_id, j.index): (j.finish_ns or 0) / NS_PER_US for j in jobs if j.outcome is EventType.EXIT
        },
    }
    # At the horizon itself SimSo stops first.
    ends = {side: {key: us for key, us in end.items() if us < horizon_us} for side, end in sides.items()}
    for side, end in ends.items():
        odd = [key for key in end.keys() | ends["ours"].keys() if end.get(key) != ends["ours"].get(key)]
        if odd:
            first = min(odd)
            ours = ends["ours"].get(first)
            sys.exit(f"error: {policy}: task, job {first} ends at {ours} us, {side} at {end.get(first)} us")
    return len(ends["ours"])


def measure(peer: Peer, rounds: int, horizon_us: int) -> dict[str, dict[str, list[Sample]]]:
    """Return the samples by policy and side, one per round, measured in turn."""
    sides: dict[str, Callable[[list[Pair], str, int], Sample]] = {
        "simso": peer,
        "events": with_events,
        "records": with_records,
        "jobs": with_jobs,
    }
    samples: dict[str, dict[str, list[Sample]]] = {policy: {side: [] for side in sides} for policy in POLICIES}
    for number in range(rounds):
        pairs = draw(number)
        for policy, ways in samples.items():
            jobs = check_agreement(peer, pairs, policy, horizon_us)
            print(f"round {number + 1}/{rounds} {policy}: {jobs} jobs end at the same times", file=sys.stderr)
            for side, way in sides.items():
                ways[side].append(way(pairs, policy, horizon_us))
    return samples


def show(samples: dict[str, dict[str, list[Sample]]]) -> None:
    """Print medians of jobs per second, and of the ratios of each round."""
    print(f"{'policy':8}{'side':10}{'jobs/s (CPU)':>14}{'(wall)':>10}{'ratio (CPU)':>13}{'min..max':>14}{'(wall)':>8}")
    for policy, sides in samples.items():
        peer = sides["simso"]
        for side, values in sides.items():
            cpu, wall = [s.jobs / s.cpu_s for s in values], [s.jobs / s.wall_s for s in values]
            line = f"{policy:8}{side:10}{statistics.median(cpu):14,.0f}{statistics.median(wall):10,.0f}"
            if values is not peer:
                ratios = [rate * s.cpu_s / s.jobs for rate, s in zip(cpu, peer, strict=True)]
                walls = [rate * s.wall_s / s.jobs for rate, s in zip(wall, peer, strict=True)]
                span = f"{min(ratios):.1f}..{max(ratios):.1f}"
                line += f"{statistics.median(ratios):13.1f}{span:>14}{statistics.median(walls):8.1f}"
            if side in TARGETS:
                reached = "reached" if statistics.median(ratios) >= TARGETS[side] else "MISSED"
                line += f"  target {TARGETS[side]}: {reached}"
            print(line)


def main() -> None:
    """Run the comparison as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simso", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=MIN_ROUNDS, help=f"rounds, one task-set each ({MIN_ROUNDS})")
    parser.add_argument("--horizon", type=int, default=20, help="simulated seconds (default 20)")
    parser.add_argument("--json", action="store_true", help="print the raw samples as JSON instead of the table")
    options = parser.parse_args()
    if options.rounds < MIN_ROUNDS:
        parser.error(f"--rounds {options.rounds}: a median needs at least {MIN_ROUNDS}")
    if options.horizon < 1:
        parser.error(f"--horizon {options.horizon}: expected at least one second")
    peer = Peer(environment())
    try:
        samples = measure(peer, options.rounds, options.horizon * 1_000_000)
    finally:
        peer.close()
    if options.json:
        named = {
            p: {side: [s._asdict() for s in values] for side, values in sides.items()} for p, sides in samples.items()
        }
        print(json.dumps({"python": platform.python_version(), "machine": platform.machine(), **named}, indent=1))
    else:
        show(samples)


if __name__ == "__main__":
    main()
