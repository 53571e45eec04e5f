"""What the simulator costs besides its jobs: import, a tiny simulation, memory. A part of `benchmarks.simso`."""

import gc
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections import deque
from typing import Any

from sim import SimSession
from taskgen import TaskSet

TINY = TaskSet([{"executiontime": 1, "period": period, "priority": 1} for period in (4, 6, 12)])
TINY_TARGET_US = 1000
REPEATS = 200  #: tiny simulations per sample
HORIZONS_MS = (20_000, 200_000)
HEAVY = ("numpy", "matplotlib", "hypothesis")
MIB = 1 << 20

_IMPORT = f"""
import sys, time
since = time.process_time()
import sim
print(1000 * (time.process_time() - since), *[name for name in {HEAVY} if name in sys.modules])
"""


def import_ms() -> tuple[float, list[str]]:
    """Return the CPU time of `import sim` in a new interpreter, and what it should not have imported."""
    answer = subprocess.run([sys.executable, "-c", _IMPORT], check=True, capture_output=True, text=True).stdout.split()
    return float(answer[0]), answer[1:]


def tiny_us() -> float:
    """Return the CPU time of a simulation of 3 tasks over one hyperperiod (6 jobs), jobs read."""
    session = SimSession(policy="edf")
    gc.collect()
    since = time.process_time()
    for _ in range(REPEATS):
        _ = session.jobs(TINY).jobs
    return (time.process_time() - since) / REPEATS * 1e6


def peak_mib(horizon_ms: int) -> float:
    """Return the memory that ten tasks take at most while somebody reads their jobs."""
    tasks = TaskSet([{"executiontime": 0.9, "period": 10 + number} for number in range(10)])
    session = SimSession(policy="edf")
    gc.collect()
    tracemalloc.start()
    try:
        deque(session.stream_jobs(tasks, horizon_ms=horizon_ms), maxlen=0)
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


def measure(rounds: int) -> dict[str, Any]:
    """Return the samples of each figure."""
    imports = [import_ms() for _ in range(rounds)]
    return {
        "import_ms": [cpu_ms for cpu_ms, _ in imports],
        "heavy_imports": imports[0][1],
        "tiny_us": [tiny_us() for _ in range(rounds)],
        "peak_mib": {str(horizon_ms): peak_mib(horizon_ms) for horizon_ms in HORIZONS_MS},
    }


def show(costs: dict[str, Any]) -> None:
    """Print the medians."""
    tiny = statistics.median(costs["tiny_us"])
    verdict = "reached" if tiny < TINY_TARGET_US else "MISSED"
    print(
        f"\nimport sim: {statistics.median(costs['import_ms']):.0f} ms CPU, of {', '.join(HEAVY)} it imports", end=" "
    )
    print(", ".join(costs["heavy_imports"]) or "none")
    print(f"3 tasks over 1 hyperperiod: {tiny:.0f} us CPU with all overhead  target {TINY_TARGET_US}: {verdict}")
    for horizon_ms, peak in costs["peak_mib"].items():
        print(f"stream_jobs over {int(horizon_ms) // 1000} s: at most {peak:.2f} MiB")
