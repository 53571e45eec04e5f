"""Critical times, in milliseconds: a job that lives longer is killed."""

from typing import Any

from taskgen.blocks._program import Attributes


def Value(criticaltime_ms: Any) -> Attributes:
    """Set the critical time; a choice makes variants."""
    return {"criticaltime": criticaltime_ms}


High = Value(range(1000, 5000, 1000))
Medium = Value(range(5000, 10000, 1000))
Low = Value(range(10000, 15000, 1000))
