"""Jobs per second of the simulator against SimSo, a widely used simulator in Python: periodic tasks at U = 0.7.

SimSo 0.8.5 pins an old SimPy, so it gets an environment of its own under `benchmarks/.environments` and is asked as a
process. Each round draws another task-set of each size (log-uniform periods, UUniFast utilisations, C to the
microsecond) and lets all sides simulate it in turn over the same horizon, under rate-monotonic fixed priorities and
EDF. In each round the finish of each job must agree.

The sides: `simso`; `naive`, a SimPy process per task (see `benchmarks.naive`); `events`, the full event trace, each
event consumed; `records`, a record per job; `jobs`, the same with each record made an object, as somebody does who
reads them; `stream`, the objects one by one in bounded memory; `own`, records under EDF as a user writes it.

Times are those of the simulation alone on SimSo's side; ours and the naive one include the making of their models. CPU
time counts, because machines are shared; wall-clock time is shown beside it. Then comes what a simulation costs
besides its jobs, see `benchmarks.simso_costs`. `--json` prints the raw samples instead of the tables.
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

from benchmarks import naive, simso_costs
from sim import Job, Policy, SimSession
from taskgen import EventType, TaskSet

SIMSO = "simso==0.8.5"
ENVIRONMENT = Path(__file__).parent / ".environments" / SIMSO.replace("==", "-")
POLICIES = {"fp": "rm", "edf": "edf"}
#: Times SimSo's jobs per second, by side, policy and number of tasks.
TARGETS = {
    ("records", "fp"): {5: 120, 10: 120, 50: 75},
    ("records", "edf"): {5: 90, 10: 90, 50: 75},
    ("own", "edf"): {5: 30, 10: 30, 50: 30},
}
TRACE_TARGET = 1.5  #: how much faster records are than the full trace
SIZES, UTILIZATION, PERIODS_MS = (5, 10, 50), 0.7, (10, 1000)
US_PER_MS = 1000
NS_PER_US = 1000
MIN_ROUNDS = 9
MIN_JOBS = 30_000  #: per sample on our side: a simulation of some milliseconds alone is too short to time

#: One task: C and T in microseconds.
Pair = tuple[int, int]


class OwnEDF(Policy):
    """EDF, as the documentation shows it to somebody who writes a policy."""

    def rank(self, job: Job, now_ns: int) -> int:  # noqa: ARG002  # a deadline doesn't look at the clock
        """Return the absolute deadline."""
        return job.deadline_ns


class Sample(NamedTuple):
    """One timed simulation, or several in a row."""

    jobs: int
    cpu_s: float
    wall_s: float


class Case(NamedTuple):
    """What all sides simulate in turn."""

    pairs: list[Pair]
    policy: str
    horizon_us: int

    @property
    def taskset(self) -> TaskSet:
        """The same as a TaskSet, in milliseconds."""
        return TaskSet([{"executiontime": c / US_PER_MS, "period": t / US_PER_MS} for c, t in self.pairs])

    @property
    def repeats(self) -> int:
        """How often our sides simulate it for a sample."""
        jobs = sum(self.horizon_us / period for _, period in self.pairs)
        return max(1, math.ceil(MIN_JOBS / jobs))


#: The samples by number of tasks, policy and side, one per round.
Samples = dict[int, dict[str, dict[str, list[Sample]]]]


def draw(tasks: int, seed: int) -> list[Pair]:
    """Draw a task-set: log-uniform periods, UUniFast (Bini & Buttazzo, Real-Time Systems 30, 2005)."""
    rng = random.Random(seed)
    low, high = map(math.log, PERIODS_MS)
    pairs, left = [], UTILIZATION
    for place in range(tasks):
        after = left * rng.random() ** (1 / (tasks - 1 - place)) if place < tasks - 1 else 0.0
        period = round(math.exp(rng.uniform(low, high)) * US_PER_MS)
        pairs.append((max(1, round((left - after) * period)), period))
        left = after
    return pairs


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Time a block: the list holds its CPU and wall-clock seconds afterwards."""
    gc.collect()
    times: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield times
    times += [time.process_time() - cpu, time.perf_counter() - wall]


def run_naive(case: Case) -> int:
    """Simulate with a process per task."""
    return len(naive.simulate(*case))


def run_events(case: Case, session: SimSession, taskset: TaskSet) -> None:
    """Simulate with the full event trace, each event consumed."""
    deque(session.run(taskset, horizon_ms=case.horizon_us / US_PER_MS), maxlen=0)


def run_records(case: Case, session: SimSession, taskset: TaskSet) -> None:
    """Simulate with job records only."""
    session.jobs(taskset, horizon_ms=case.horizon_us / US_PER_MS)


def run_jobs(case: Case, session: SimSession, taskset: TaskSet) -> None:
    """Simulate with job records only, and make `Job` objects of them."""
    _ = session.jobs(taskset, horizon_ms=case.horizon_us / US_PER_MS).jobs


def run_stream(case: Case, session: SimSession, taskset: TaskSet) -> None:
    """Simulate with job records only, and look at each `Job` once."""
    deque(session.stream_jobs(taskset, horizon_ms=case.horizon_us / US_PER_MS), maxlen=0)


#: Our sides: how to run them, and the policy if it isn't the one that the case names.
OURS: dict[str, tuple[Callable[[Case, SimSession, TaskSet], None], type[Policy] | None]] = {
    "events": (run_events, None),
    "records": (run_records, None),
    "jobs": (run_jobs, None),
    "stream": (run_stream, None),
    "own": (run_records, OwnEDF),
}


def sample(side: str, case: Case, jobs: int) -> Sample:
    """Time one of the sides in this process; `jobs` of the case complete."""
    if side == "naive":
        with stopwatch() as times:
            jobs = run_naive(case)
        return Sample(jobs, *times)
    run, policy = OURS[side]
    session, taskset = SimSession(policy=policy or POLICIES[case.policy]), case.taskset
    with stopwatch() as times:
        for _ in range(case.repeats):
            run(case, session, taskset)
    return Sample(jobs * case.repeats, *times)


class Peer:
    """SimSo in a process of its own."""

    def __init__(self, python: Path) -> None:
        script = Path(__file__).with_name("simso_peer.py")
        # -P: the folder of the script holds a simso.py, this one, which would hide SimSo.
        self._process = subprocess.Popen(
            [python, "-P", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, case: Case) -> dict[str, Any]:
        """Let SimSo simulate a set; see `simso_peer` for the answer."""
        request = {"policy": case.policy, "tasks": case.pairs, "horizon": case.horizon_us, "jobs": True}
        pipes = self._process.stdin, self._process.stdout
        if pipes[0] is None or pipes[1] is None:
            raise RuntimeError("the peer has no pipes")
        print(json.dumps(request), file=pipes[0], flush=True)
        line = pipes[1].readline()
        if not line:
            sys.exit(f"error: SimSo ended with code {self._process.wait()}, its message is above")
        answer: dict[str, Any] = json.loads(line)
        return answer

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


def finishes(case: Case, theirs: list[tuple[int, int, int]]) -> dict[str, dict[tuple[int, int], float]]:
    """Return when each job ends, in microseconds, by side and (task, job)."""
    session, taskset, horizon_ms = SimSession(policy=POLICIES[case.policy]), case.taskset, case.horizon_us / US_PER_MS
    ends: dict[str, dict[tuple[int, int], float]] = {
        "our events": {
            (event.task_id or 0, event.job or 0): event.time_ns / NS_PER_US
            for event in session.run(taskset, horizon_ms=horizon_ms)
            if event.type is EventType.EXIT
        },
        "SimSo": {(task, job): finish for task, job, finish in theirs},
        "naive": {(record.task, record.job): record.finish_us for record in naive.simulate(*case)},
    }
    own = SimSession(policy=OwnEDF if case.policy == "edf" else POLICIES[case.policy])
    for side, jobs in {
        "our records": session.jobs(taskset, horizon_ms=horizon_ms).jobs,
        "our stream": session.stream_jobs(taskset, horizon_ms=horizon_ms),
        "own policy": own.jobs(taskset, horizon_ms=horizon_ms).jobs,
    }.items():
        ends[side] = {
            (job.task_id, job.index): (job.finish_ns or 0) / NS_PER_US for job in jobs if job.outcome is EventType.EXIT
        }
    # At the horizon itself SimSo stops first.
    return {side: {key: us for key, us in end.items() if us < case.horizon_us} for side, end in ends.items()}


def check_agreement(case: Case, theirs: list[tuple[int, int, int]]) -> int:
    """Compare the finish of each job on all sides, else exit; return the number of jobs compared."""
    ends = finishes(case, theirs)
    ours = ends.pop("our events")
    for side, end in ends.items():
        odd = [key for key in end.keys() | ours.keys() if end.get(key) != ours.get(key)]
        if odd:
            first = min(odd)
            sys.exit(f"error: {case.policy}: task, job {first} ends at {ours.get(first)} us, {side}: {end.get(first)}")
    return len(ours)


def measure(peer: Peer, rounds: int, horizon_us: int) -> Samples:
    """Let all sides simulate in turn, round by round."""
    samples: Samples = {size: {policy: {} for policy in POLICIES} for size in SIZES}
    for number in range(rounds):
        for size, policies in samples.items():
            pairs = draw(size, number)
            for policy, sides in policies.items():
                case = Case(pairs, policy, horizon_us)
                answer = peer.ask(case)
                jobs = check_agreement(case, answer["finished"])
                print(f"round {number + 1}/{rounds} n={size} {policy}: {jobs} jobs end as SimSo's", file=sys.stderr)
                theirs = Sample(answer["jobs"], answer["cpu_s"], answer["wall_s"])
                sides.setdefault("simso", []).append(theirs)
                for side in ("naive", *OURS):
                    if side != "own" or policy == "edf":
                        sides.setdefault(side, []).append(sample(side, case, jobs))
    return samples


def ratios(values: list[Sample], peer: list[Sample]) -> list[float]:
    """Return how many times the jobs per CPU second of the peer, per round."""
    return [a.jobs / a.cpu_s * b.cpu_s / b.jobs for a, b in zip(values, peer, strict=True)]


def verdict(median: float, target: float | None) -> str:
    """Return what to print beside a figure that has a target."""
    return "" if target is None else f"  target {target:g}: {'reached' if median >= target else 'MISSED'}"


def show(samples: Samples) -> None:
    """Print medians of jobs per second, and of the ratios of each round."""
    print(f"{'n':>3} {'policy':8}{'side':10}{'jobs/s (CPU)':>14}{'(wall)':>12}{'x SimSo (CPU)':>15}{'min..max':>16}")
    for size, policies in samples.items():
        for policy, sides in policies.items():
            for side, values in sides.items():
                cpu = statistics.median(s.jobs / s.cpu_s for s in values)
                wall = statistics.median(s.jobs / s.wall_s for s in values)
                times = ratios(values, sides["simso"])
                median, span = statistics.median(times), f"{min(times):.1f}..{max(times):.1f}"
                target = verdict(median, TARGETS.get((side, policy), {}).get(size))
                print(f"{size:3} {policy:8}{side:10}{cpu:14,.0f}{wall:12,.0f}{median:15.1f}{span:>16}{target}")
    print("\nrecords against the full trace (CPU)")
    for size, policies in samples.items():
        for policy, sides in policies.items():
            times = ratios(sides["records"], sides["events"])
            median, span = statistics.median(times), f"{min(times):.1f}..{max(times):.1f}"
            print(f"{size:3} {policy:8}{median:8.1f}{span:>12}{verdict(median, TRACE_TARGET)}")


def main() -> None:
    """Run the comparison as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simso", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=MIN_ROUNDS, help=f"rounds, one task-set each ({MIN_ROUNDS})")
    parser.add_argument("--horizon", type=int, default=20, help="simulated seconds (default 20)")
    parser.add_argument("--json", action="store_true", help="print the raw samples as JSON instead of the tables")
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
    costs = simso_costs.measure(options.rounds)
    if options.json:
        named = {
            f"n={size}": {p: {side: [s._asdict() for s in v] for side, v in sides.items()} for p, sides in ps.items()}
            for size, ps in samples.items()
        }
        machine = {"python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({**machine, **named, "costs": costs}, indent=1))
    else:
        show(samples)
        simso_costs.show(costs)


if __name__ == "__main__":
    main()
