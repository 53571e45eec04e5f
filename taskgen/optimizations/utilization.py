"""Admission control that keeps the processor busy."""

from typing import Any

from taskgen.optimizations._goal import goal_document


class Utilization(dict[str, Any]):
    """Admit tasks so that the processor is used as much as possible: a goal document, changeable as a dict."""

    def __init__(self) -> None:
        super().__init__(goal_document(fairness=False, utilization=True))
