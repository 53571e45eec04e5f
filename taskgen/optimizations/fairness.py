"""Admission control that shares the processor fairly."""

from typing import Any

from taskgen.optimizations._goal import goal_document


class Fairness(dict[str, Any]):
    """Admit tasks so that each gets its fair share: a goal document, changeable as a dict."""

    def __init__(self) -> None:
        super().__init__(goal_document(fairness=True, utilization=False))
