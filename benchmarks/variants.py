"""How fast variants come, and what the first one costs, against the way of the original tool.

The original flattened a task, walked `itertools.product` over its choices (which lists them all first), and made a
task object per variant; a task-set was the product over its tasks' variants, whose objects were shared among the sets.
It is re-created here as a small model without its flattening library, so faster than it was: `original (shared)` does
as it did, `original (fresh)` gives each set tasks of its own, as `taskgen` does. With one task the two are the same.

Runs are interleaved and the medians shown; `--json` prints the raw samples instead.
"""

import argparse
import itertools
import json
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from taskgen import TaskSet

TARGET = 100_000  #: fresh three-task variants per second
Description = list[dict[str, Any]]


def one_task() -> Description:
    """One task with 128 x 1000 variants."""
    return [{"pkg": "hey", "quota": "1M", "priority": range(128), "period": range(1, 1001)}]


def three_tasks() -> Description:
    """Three tasks with 128 x 4 variants each, 1.3e8 in all."""
    return [{"pkg": "hey", "quota": "1M", "priority": range(128), "period": [10, 20, 50, 100]} for _ in range(3)]


def three_tasks_with_arguments() -> Description:
    """The same with a choice inside `config`."""
    return [{"pkg": "pi", "quota": "1M", "config": {"arg1": range(128)}, "period": [10, 20, 50]} for _ in range(3)]


def cube() -> Description:
    """One task with 100 x 100 x 100 variants."""
    return [{"pkg": "hey", "priority": range(100), "period": range(1, 101), "config": {"arg1": range(100)}}]


def huge_product() -> Description:
    """1e30 variants."""
    return [{key: range(10**10) for key in ("priority", "period", "deadline")}]


def endless() -> Description:
    """Six endless generators."""
    return [{"period": itertools.count(1)} for _ in range(6)]


class OriginalTask(dict[str, Any]):
    """A task of the original tool: default values, then what was given, and a list of its jobs."""

    def __init__(self, *blocks: Mapping[str, Any]) -> None:
        super().__init__(id=None, priority=None, quota=None, pkg=None, config=None, period=None, numberofjobs=1)
        self.jobs: list[Any] = []
        for block in blocks:
            self.update(block)


class OriginalTaskSet:
    """A task-set of the original tool."""

    def __init__(self, tasks: list[OriginalTask]) -> None:
        self.tasks = tasks


def flattened(task: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of a task and of its nested dicts; a nested key came back flattened in the variants."""
    for key, value in task.items():
        if isinstance(value, dict):
            yield from ((f"{key}:{inner}", deep) for inner, deep in flattened(value))
        else:
            yield key, value


def listed(flat: Mapping[str, Any]) -> list[list[Any]]:
    """Return the values of each attribute as a list."""
    return [[v] if isinstance(v, str) or not isinstance(v, Iterable) else list(v) for v in flat.values()]


def original_task(task: Mapping[str, Any]) -> Iterator[OriginalTask]:
    """Yield the variants of a task."""
    flat = dict(flattened(task))
    return (OriginalTask(dict(zip(flat, values, strict=True))) for values in itertools.product(*listed(flat)))


def original_shared(description: Description) -> Iterator[Any]:
    """Yield the variants of a set, whose tasks are shared with other variants."""
    return (OriginalTaskSet(list(tasks)) for tasks in itertools.product(*map(original_task, description)))


def original_fresh(description: Description) -> Iterator[Any]:
    """Yield the variants of a set with tasks of their own."""
    flats = [dict(flattened(task)) for task in description]
    for values in itertools.product(*itertools.chain(*map(listed, flats))):
        rest = iter(values)
        # zip() asks the keys first, so each task takes exactly its own values.
        yield OriginalTaskSet([OriginalTask(dict(zip(flat, rest, strict=False))) for flat in flats])


def ours(description: Description) -> Iterator[Any]:
    """Yield the variants of a set as taskgen does."""
    return iter(TaskSet(description).variants())


WAYS: dict[str, Callable[[Description], Iterator[Any]]] = {
    "taskgen": ours,
    "original (fresh)": original_fresh,
    "original (shared)": original_shared,
}
RATES = {"one task": one_task, "three tasks": three_tasks, "three tasks, config": three_tasks_with_arguments}
#: The first variant of what the original can begin at all, and of what only taskgen can.
FIRSTS = {
    "100 x 100 x 100": (cube, ("taskgen", "original (shared)")),
    "range(10**9)": (lambda: [{"id": range(10**9)}], ("taskgen",)),
    "10^30": (huge_product, ("taskgen",)),
    "six endless": (endless, ("taskgen",)),
}


def rate(way: Callable[[Description], Iterator[Any]], description: Description, size: int) -> float:
    """Return variants per second over the first `size` variants, the preparation included."""
    start = time.perf_counter()
    for _ in itertools.islice(way(description), size):
        pass
    return size / (time.perf_counter() - start)


def first(way: Callable[[Description], Iterator[Any]], description: Description) -> tuple[float, float]:
    """Return microseconds and peak KiB until the first variant; memory is measured in a pass of its own."""
    start = time.perf_counter()
    next(way(description))
    microseconds = (time.perf_counter() - start) * 1e6
    tracemalloc.start()
    try:
        next(way(description))
        return microseconds, tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


def measure(rounds: int, size: int) -> dict[str, Any]:
    """Measure everything in interleaved rounds; return the raw samples by space and way."""
    rates: dict[str, dict[str, list[float]]] = {space: {way: [] for way in WAYS} for space in RATES}
    firsts: dict[str, dict[str, list[tuple[float, float]]]] = {
        s: {w: [] for w in ways} for s, (_, ways) in FIRSTS.items()
    }
    for number in range(rounds):
        for space, describe in RATES.items():
            for way, samples in rates[space].items():
                samples.append(rate(WAYS[way], describe(), size))
        for space, (describe, ways) in FIRSTS.items():
            for way in ways:
                if way == "taskgen" or number == 0:  # the original needs seconds and hundreds of MiB
                    firsts[space][way].append(first(WAYS[way], describe()))
    return {"rates_per_s": rates, "first_us_and_kib": firsts}


def show(samples: dict[str, Any]) -> None:
    """Print medians and ratios as tables."""
    print(f"{'variants/s':24}{'way':22}{'median':>12}{'taskgen is':>14}")
    for space, ways in samples["rates_per_s"].items():
        own = statistics.median(ways["taskgen"])
        for way, values in ways.items():
            median = statistics.median(values)
            print(f"{space:24}{way:22}{median:12,.0f}{own / median:12.2f} x")
    verdict = "reached" if statistics.median(samples["rates_per_s"]["three tasks"]["taskgen"]) >= TARGET else "MISSED"
    print(f"target {TARGET:,} fresh three-task variants/s: {verdict}\n")
    print(f"{'first variant of':24}{'way':22}{'us':>12}{'peak KiB':>14}")
    for space, ways in samples["first_us_and_kib"].items():
        for way, values in ways.items():
            microseconds, kib = (statistics.median(column) for column in zip(*values, strict=True))
            print(f"{space:24}{way:22}{microseconds:12,.0f}{kib:14,.0f}")


def main() -> None:
    """Run the comparison as a command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--size", type=int, default=100_000, help="variants per sample (default 100000)")
    parser.add_argument("--json", action="store_true", help="print the raw samples as JSON instead of the tables")
    options = parser.parse_args()
    samples = measure(options.rounds, options.size)
    if options.json:
        print(json.dumps({"python": platform.python_version(), "machine": platform.machine(), **samples}, indent=1))
    else:
        show(samples)


if __name__ == "__main__":
    main()
