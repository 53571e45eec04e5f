"""The goal document of a board: which goals apply, and how often the board looks at its tasks."""

from typing import Any

#: How often a board asks for the state of its tasks, in its own unit.
QUERY_INTERVAL = 1000


def goal_document(*, fairness: bool, utilization: bool) -> dict[str, Any]:
    """Return a goal document of its own: changing one changes no other."""
    goal = {"fairness": {"apply": int(fairness)}, "utilization": {"apply": int(utilization)}}
    return {"optimize": {"goal": goal, "query_interval": QUERY_INTERVAL}}
