"""How many task-sets does a target get through, and what do starting and stopping one cost?

`once-N` is a set of N tasks with one short job each, run to its end:

- `sets`: runs per second of this machine's clock, from one order to run to the next.
- `start`: from the order to run until the first event is here.

`stop-N` is a set of N tasks that never ends, and is stopped as soon as its first event is here:

- `stop`: from `stop()` until the target is free for the next set.

All of it is host time: it measures the simulator or the session, the protocol and the board together, and depends on
this machine. Where a board can't be told how many jobs a task has, the horizon ends `once-N`, and bounds `sets`. There
is no theory to compare with.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from taskgen.bench.scale import PROCESSES, ms, scale_of, task
from taskgen.bench.suite import Case, Finding, Measured, Metric, Sample, Samples, Setting, Suite
from taskgen.taskset import TaskSet

_SIZES: Final = (1, 4, 16)
_NS_PER_S: Final = 1_000_000_000
#: A board creates an instance in 38 ms (wire-protocol 6.7), and runs some of them one after another.
_PROCESS_MS: Final = 400
#: So many periods a set is waited for that is to be stopped, and shows nothing.
_PATIENCE: Final = 4


def _cases(setting: Setting) -> list[Case]:
    return [make(setting, n) for n in _SIZES for make in (_once, _stop)]


def _once(setting: Setting, n: int) -> Case:
    scale, period_ms = scale_of(setting), _period_ms(setting, n)
    tasks = [task(setting, rank=0, period_ms=period_ms, work_ms=scale.short_ms, jobs=1) for _ in range(n)]
    return Case(f"once-{n}", TaskSet(tasks), _whole, {"n": n}, horizon_ms=period_ms)


def _stop(setting: Setting, n: int) -> Case:
    scale, period_ms = scale_of(setting), _period_ms(setting, n)
    tasks = [task(setting, rank=0, period_ms=period_ms, work_ms=scale.short_ms) for _ in range(n)]
    return Case(f"stop-{n}", TaskSet(tasks), _stopped, {"n": n}, horizon_ms=_PATIENCE * period_ms, stop_after=1)


def _period_ms(setting: Setting, n: int) -> int:
    scale = scale_of(setting)
    return n * _PROCESS_MS + scale.period_ms if scale is PROCESSES else 2 * n * scale.period_ms


def _whole(measured: Measured) -> Mapping[str, Sample]:
    return {"sets": _NS_PER_S / measured.run_ns, "start": ms(measured.start_ns)}


def _stopped(measured: Measured) -> Mapping[str, Sample]:
    return {} if measured.stop_ns is None else {"stop": ms(measured.stop_ns)}


def _judge(cases: Sequence[Case], samples: Mapping[str, Samples]) -> list[Finding]:
    rates = [max(found) for case in cases if (found := samples.get(case.name, {}).get("sets"))]
    if not rates:
        return []
    best = max(rates)
    shown = f"{best:.0f}" if best >= 100 else f"{best:.3g}"  # three digits, and never 6.79e+03
    return [Finding("rate", f"at best {shown} task-sets per second", values={"sets": best})]


SUITE = Suite(
    name="churn",
    about="how many task-sets does it get through, and what do starting and stopping one cost?",
    version=1,
    metrics=(
        Metric("sets", "sets/s", "more", 0, "runs per second", host=True),
        Metric("start", "ms", "less", 0.05, "from the order to run to the first event", host=True),
        Metric("stop", "ms", "less", 0.05, "from stop() until the target is free", host=True),
    ),
    cases=_cases,
    judge=_judge,
)
