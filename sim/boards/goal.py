"""The goal document of a board's optimiser, read as the board reads it (wire-protocol 5.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sim.boards.description import number_of
from taskgen.errors import InputError

Goal = Literal["none", "fairness", "utilization"]

#: A value is copied to a buffer of four bytes, the last of which ends it.
_TEXT_SIZE = 3


@dataclass(frozen=True, slots=True)
class Goals:
    """What a goal document asks for."""

    goal: Goal | None  #: None: no `goal` element, the goal stays what it was
    query_interval_ms: int | None  #: None where the generation ignores it


def parse_goal(document: Mapping[str, Any], *, polls: bool) -> Goals:
    """Read a goal document as the board does (5.4).

    `document` is the content of the root element, or a mapping with the root alone, whose name doesn't matter; on G3 it
    is the task-set. `polls`: the generation needs a query_interval, the others ignore it.

    Raises:
        InputError: the board's parser throws: a `goal` lacks a sub-tree, a value is empty, or
            query_interval is missing where it is needed.
    """
    content = document
    if "goal" not in content and len(content) == 1:
        (only,) = content.values()
        content = only if isinstance(only, Mapping) else content
    interval_ms = _number(content, "query_interval") if polls else None
    goal = content.get("goal")
    if goal is None:
        return Goals(None, interval_ms)
    if not isinstance(goal, Mapping):
        raise InputError("goal: has no sub-trees, expected fairness and utilization")
    chosen = {name: _number(_subtree(goal, name), "apply", f"goal/{name}/") for name in ("fairness", "utilization")}
    if chosen["fairness"]:
        return Goals("fairness", interval_ms)
    return Goals("utilization" if chosen["utilization"] else "none", interval_ms)


def _subtree(goal: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = goal.get(name)
    if not isinstance(found, Mapping):
        raise InputError(f"goal/{name}: is missing, expected an element with apply", hint="give both sub-trees")
    return found


def _number(element: Mapping[str, Any], key: str, path: str = "") -> int:
    """Read a number from at most three characters; parsing stops at the first that is no digit."""
    text = str(element.get(key, ""))[:_TEXT_SIZE]
    if not text:
        raise InputError(f"{path}{key}: is missing or empty, expected a number of at most three digits")
    return number_of(text)
