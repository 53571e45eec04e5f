"""Tasks for the analysis, written as in its books, and bounds in ms."""

from taskgen.parameters import Parameters, parameters_of
from taskgen.units import NS_PER_MS


def ms(*tasks: tuple[float | None, ...]) -> tuple[Parameters, ...]:
    """Return tasks (C, T, D, J) in ms, in the order of their priority; missing or 0: D = T, J = 0."""
    names = ("executiontime", "period", "deadline", "jitter")
    return parameters_of(
        {"id": place, "priority": place, **dict(zip(names, task, strict=False))} for place, task in enumerate(tasks)
    )


def in_ms(bounds: dict[int, int | None]) -> list[float | None]:
    return [None if bound is None else bound / NS_PER_MS for bound in bounds.values()]
