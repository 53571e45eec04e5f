"""How many examples of a property are searched per second on one core, and what its parts cost.

An example is a task-set of `tasksets(n=5, policy="FP")`, simulated for one hyperperiod, but not beyond 200 jobs, and
judged by one law of `taskgen.testing.properties`, as `taskgen.testing.runs.check` does it. Hypothesis keeps no database
here. A law that looks at jobs alone needs no events, which is faster; `--property` chooses another one.

The parts are measured one by one (generating with a property that looks at nothing; simulating and judging on the sets
that came), the whole as one property. Rounds are interleaved; the figures are medians of CPU time, so that what else
the machine does counts little, the rate of the best round beside them; `--json` prints the raw samples instead.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sim import SimSession
from taskgen import TaskSet
from taskgen import strategies as ts
from taskgen.horizon import hyperperiod_ns
from taskgen.parameters import parameters_of
from taskgen.testing.properties import Law, Scheduling, load
from taskgen.testing.runs import Executed, check, execute
from taskgen.units import NS_PER_MS

TARGET = 300  #: examples per second of the whole,
TARGETED = "at most 5 tasks"  #: in this space
MOST_JOBS = 200
SPACES: dict[str, Callable[[], st.SearchStrategy[TaskSet]]] = {
    "at most 5 tasks": lambda: ts.tasksets(n=5, policy="FP"),
    "5 tasks": lambda: ts.tasksets(n=5, min_n=5, policy="FP"),
    "10 tasks": lambda: ts.tasksets(n=10, min_n=10, policy="FP"),
}


def horizon_ms(taskset: TaskSet) -> int:
    """Return one hyperperiod, or less if it would release more jobs than `MOST_JOBS`; the periods are whole ms."""
    tasks = parameters_of(taskset)
    per_ms = sum(Fraction(NS_PER_MS, task.period_ns) for task in tasks)
    return min(hyperperiod_ns(tasks) // NS_PER_MS, int((MOST_JOBS - len(tasks)) / per_ms))


def searched(strategy: st.SearchStrategy[TaskSet], look: Callable[[TaskSet], bool], size: int) -> tuple[int, float]:
    """Let Hypothesis look at so many examples; return how many it was, and the CPU time."""
    count = 0

    @settings(max_examples=size, database=None, derandomize=True, deadline=None)
    @given(strategy)
    def test(taskset: TaskSet) -> None:
        nonlocal count
        count += 1
        assert look(taskset)  # noqa: S101  # this is a property

    start = time.process_time()
    test()
    return count, time.process_time() - start


def per_item(call: Callable[[Any], object], items: list[Any]) -> float:
    """Return the CPU time of a call in microseconds."""
    start = time.process_time()
    for item in items:
        call(item)
    return (time.process_time() - start) / len(items) * 1e6


def round_of(strategy: st.SearchStrategy[TaskSet], law: Law, size: int) -> dict[str, float]:
    """Measure one space once: microseconds per example of each part, and of the whole."""
    session = SimSession(policy="fp")
    scheduling = Scheduling(policy="fp")
    drawn: list[TaskSet] = []

    def keep(taskset: TaskSet) -> bool:
        drawn.append(taskset)
        return True

    def run(taskset: TaskSet) -> Executed:
        return execute(session, taskset, horizon_ms=horizon_ms(taskset), reads=law.reads)

    def judge(pair: tuple[TaskSet, Executed]) -> bool:
        taskset, trace = pair
        assert not law.skips(taskset, session.capabilities, scheduling)  # noqa: S101  # it is judged
        return not law.verdict(taskset, trace, run)

    def holds(taskset: TaskSet) -> bool:
        (verdict,) = check(session, taskset, [law], scheduling=scheduling, horizon_ms=horizon_ms(taskset))
        return verdict.holds

    count, seconds = searched(strategy, keep, size)
    traces = [run(taskset) for taskset in drawn]
    whole, whole_seconds = searched(strategy, holds, size)
    return {
        "generate": seconds / count * 1e6,
        "simulate": per_item(run, drawn),
        "judge": per_item(judge, list(zip(drawn, traces, strict=True))),
        "whole": whole_seconds / whole * 1e6,
        "jobs": statistics.mean(len(trace.jobs) for trace in traces),
    }


def measure(law: Law, rounds: int, size: int) -> dict[str, list[dict[str, float]]]:
    """Measure all spaces in interleaved rounds; return the raw samples."""
    samples: dict[str, list[dict[str, float]]] = {space: [] for space in SPACES}
    for _ in range(rounds):
        for space, make in SPACES.items():
            samples[space].append(round_of(make(), law, size))
    return samples


def show(law: Law, samples: dict[str, list[dict[str, float]]]) -> None:
    """Print the medians as a table."""
    parts = ("generate", "simulate", "judge", "whole")
    heads = "".join(f"{head:>12}" for head in (*parts, "examples/s", "best", "generated/s"))
    print(f"{law.name:24}{heads}{'jobs':>7}")
    rates = {}
    for space, rounds in samples.items():
        medians = {part: statistics.median(sample[part] for sample in rounds) for part in rounds[0]}
        rates[space] = 1e6 / medians["whole"]
        best = 1e6 / min(sample["whole"] for sample in rounds)
        shown = "".join(f"{medians[part]:9.0f} us" for part in parts)
        generated = 1e6 / medians["generate"]
        print(f"{space:24}{shown}{rates[space]:12,.0f}{best:12,.0f}{generated:12,.0f}{medians['jobs']:7.0f}")
    verdict = "reached" if rates[TARGETED] >= TARGET else "MISSED"
    print(f"target {TARGET} examples per second of one core, {TARGETED}: {verdict}")


def main() -> None:
    """Run the measurement as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.properties", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--size", type=int, default=1000, help="examples per sample (default 1000)")
    parser.add_argument("--json", action="store_true", help="print the raw samples as JSON instead of the table")
    parser.add_argument("--property", default="fixed_priority_response", help="a law (default %(default)s)")
    options = parser.parse_args()
    law = load(options.property)
    samples = measure(law, options.rounds, options.size)
    if options.json:
        print(json.dumps({"python": platform.python_version(), "machine": platform.machine(), **samples}, indent=1))
    else:
        show(law, samples)


if __name__ == "__main__":
    main()
