"""Hypothesis strategies of real-time systems: `from taskgen import strategies as ts`; needs the extra `testing`.

| strategy | examples | shrink towards |
|---|---|---|
| `tasksets` | concrete task-sets | few tasks, small whole numbers, priority 0, D = T |
| `tasks` | single tasks without an id | small whole numbers |
| `periods` | periods in ms | the shortest |
| `harmonic_periods` | tuples of periods, each divides the next | few, the shortest |
| `utilizations` | tuples of exact fractions under a bound | few, the smallest |
| `blocks` | programs of the boards | `hey` |
| `faults` | texts of faults of boards | `latency` without conditions |

All bounds are keyword-only and checked at the call; what they describe is constructed, never filtered. Where Hypothesis
is imported, `st.from_type(TaskSet)` and the profiles taskgen-dev, -ci, -nightly, -board, -replay and -repro exist.

>>> from hypothesis import find
>>> find(tasksets(policy="FP"), lambda taskset: len(taskset) == 2)
TaskSet([Task({'id': 0, 'executiontime': 1, 'period': 2, 'priority': 0}), Task({'id': 1, 'executiontime': 1, ...})])
"""

from taskgen.errors import UsageError

try:
    import hypothesis as _hypothesis  # noqa: F401  # only to see whether it is there
except ModuleNotFoundError as error:
    if error.name != "hypothesis":
        raise

    class MissingHypothesis(UsageError, ModuleNotFoundError):
        """taskgen.strategies was imported without Hypothesis."""

    raise MissingHypothesis(
        "taskgen.strategies needs Hypothesis, which is not installed", hint="pip install 'rt-taskgen[testing]'"
    ) from None

from taskgen.strategies.block import blocks
from taskgen.strategies.fault import faults
from taskgen.strategies.period import AUTOMOTIVE_PERIODS, harmonic_periods, periods
from taskgen.strategies.taskset import tasks, tasksets
from taskgen.strategies.utilization import utilizations

__all__ = [
    "AUTOMOTIVE_PERIODS",
    "blocks",
    "faults",
    "harmonic_periods",
    "periods",
    "tasks",
    "tasksets",
    "utilizations",
]
