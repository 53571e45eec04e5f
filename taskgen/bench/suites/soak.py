"""Does it keep going: does the board's clock drift, are jobs lost, does this process grow?

`--duration` (60 s by default) is cut into ten slices, or more where one would have more than 10 000 periods; each is
a run of a periodic set, and a simulator's time is simulated. Whatever `--repeat` says, each slice runs once, in the
order of time, so that samples show a trend. Of each slice:

- `lost`: jobs that should have started and didn't. A task of period T has H/T releases before the horizon H; where an
  overrun costs a release by the rules of a generation none happens here, since jobs are much shorter than T.
- `drift`: of the board's clock against this machine's, in parts per million: by how much the shortest delay between an
  event's stamp and its arrival here grows from the first third of the slice to the last. The shortest one, because
  whatever disturbs an event on its way only delays it. It counts without its sign: too fast is as bad as too slow. A
  simulator has no clock of its own, nor has a board in software whose time runs faster than the wall's.
- `memory`: of this process after the slice.

A crystal is good for 100 ppm; the board's stamps count ms, so a slice of 6 s can't tell less than about 250 ppm.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from taskgen.bench.scale import one_job_per_task, quiet, row_of, scale_of, task
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.taskset import TaskSet

_SLICES: Final = 10
#: Of a slice: the events of a run are bounded. A simulator gets there in a quarter of an hour of its time.
_MOST_PERIODS: Final = 10_000
_MIB: Final = 1 << 20
#: Memory that grows by more than this share, and by more than this, is a leak.
_LEAK: Final = 1.05
_LEAK_MIB: Final = 8
#: A clock that is off by more isn't the wall's.
_CLOCK: Final = 0.1
_FEWEST_EVENTS: Final = 6


def _lacks(setting: Setting) -> str:
    return "a task has one job on this board, whatever its period" if one_job_per_task(setting) else ""


def _cases(setting: Setting) -> list[Case]:
    scale = scale_of(setting)
    # A whole number of periods, and one at least.
    total = setting.duration_ms // scale.period_ms
    slices = max(_SLICES, -(-total // _MOST_PERIODS))
    periods = max(1, total // slices)
    ranks = range(2) if row_of(setting) is None else range(1)
    tasks = [task(setting, rank=rank, period_ms=scale.period_ms * (rank + 1), work_ms=scale.short_ms) for rank in ranks]
    return [
        Case(
            "slice",
            TaskSet(tasks),
            _measure,
            {"periods": periods},
            horizon_ms=periods * scale.period_ms,
            predicted={"lost": 0},
            repeat=slices,
            stamped=setting.real,
        )
    ]


def _measure(measured: Measured) -> Mapping[str, Sample]:
    drift = _drift_ppm(measured)
    return quiet({"lost": _lost(measured), "drift": None if drift is None else abs(drift), "memory": _memory_mib()})


def _lost(measured: Measured) -> int:
    trace = measured.trace
    expected = sum(-(-trace.plan.horizon.time_ns // task.period_ns) for task in trace.plan.tasks)
    started = sum(job.start_ns is not None or job.release_ns is not None for job in trace.jobs)
    return max(0, expected - started)


def _drift_ppm(measured: Measured) -> float | None:
    """Return the drift, positive if the board's clock is slow.

    None: the target has no clock of its own, or told too little.
    """
    stamps = [event.time_ns for event in measured.trace.events]
    arrived = measured.arrived_ns
    if len(stamps) < _FEWEST_EVENTS or len(arrived) != len(stamps):
        return None
    third = len(stamps) // 3
    early, late = (_least_delay(stamps[part], arrived[part]) for part in (slice(third), slice(-third, None)))
    apart_ns = late[0] - early[0]
    if apart_ns <= 0:
        return None
    drift = (late[1] - early[1]) / apart_ns
    return None if abs(drift) > _CLOCK else drift * 1e6


def _least_delay(stamps: Sequence[int], arrived: Sequence[int]) -> tuple[int, int]:
    """Return the stamp of the event that came soonest, and its delay."""
    delay_ns, stamp_ns = min((here_ns - there_ns, there_ns) for here_ns, there_ns in zip(arrived, stamps, strict=True))
    return stamp_ns, delay_ns


def _memory_mib() -> float | None:
    """Return what this process has in memory; None where the system doesn't tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGESIZE") / _MIB


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    findings: list[Finding] = []
    for case in cases:
        found = samples.get(case.name, {})
        if lost := found.get("lost"):
            findings.append(Finding("jobs", f"{sum(lost)} jobs lost in {len(lost)} slices", ok=not sum(lost)))
        if len(memory := found.get("memory", ())) >= _SLICES // 2:
            findings.append(_leak(memory))
        if drift := found.get("drift"):
            findings.append(
                Finding("drift", f"the board's clock is off by {median(drift):.0f} ppm (median of the slices)")
            )
    return findings


def _leak(memory: Sequence[float]) -> Finding:
    """Compare the last third with the middle one: in the first one, everything is loaded for the first time."""
    third = len(memory) // 3
    before, after = median(memory[third : 2 * third]), median(memory[-third:])
    leaks = after > before * _LEAK and after - before > _LEAK_MIB
    return Finding(
        "memory",
        f"this process {'grows' if leaks else 'keeps its size'}: {before:.1f} MiB, then {after:.1f} MiB",
        ok=not leaks,
        values={"before_mib": before, "after_mib": after},
    )


SUITE = Suite(
    name="soak",
    about="does it keep going: does the clock drift, are jobs lost, does this process grow?",
    version=1,
    metrics=(
        Metric("lost", "1", "less", 0, "jobs that should have started and didn't"),
        Metric("drift", "ppm", "less", 500, "of the board's clock against this machine's, without sign", host=True),
        Metric("memory", "MiB", "less", 8, "of this process", host=True),
    ),
    cases=_cases,
    lacks=_lacks,
    judge=_judge,
)
