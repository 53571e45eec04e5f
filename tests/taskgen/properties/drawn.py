"""Small task-sets for the laws: few milliseconds, few priorities, so that much happens soon."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from taskgen import TaskSet
from taskgen import strategies as ts

HORIZON_MS = 60
PERIODS = (4, 5, 6, 8, 10, 12, 15, 20)

#: What a set may have beside C, T and a priority or a deadline.
BARE: dict[str, Any] = {}
SHIFTED: dict[str, Any] = {"max_offset": 12, "max_jitter": 20}
MORTAL: dict[str, Any] = {"max_criticaltime": 20, "max_jobs": 5, "single_jobs": True}
EXTRAS: dict[str, Any] = {**SHIFTED, **MORTAL, "max_arrivals": 5}


def sets(kind: Any, load: float = 1, **extras: Any) -> st.SearchStrategy[TaskSet]:
    """Draw 1 to 5 tasks of a kind, FP, EDF or mixed, with a utilization up to `load`; nothing is bound to a core."""
    options: dict[str, Any] = {"deadlines": "implicit" if kind == "FP" else "arbitrary", **extras}
    return ts.tasksets(
        policy=kind, periods=PERIODS, max_priority=4, max_utilization=load, migration="global", **options
    )


def nightly(config: pytest.Config) -> settings:
    """Return how deep a nightly run goes: the profile taskgen-nightly, unless `--hypothesis-profile` names another."""
    return settings.get_profile(config.getoption("--hypothesis-profile", None) or "taskgen-nightly")
